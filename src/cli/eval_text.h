/* cli/eval_text.h - how likely a model of one text holds a text: loss, perplexity, bits a byte.
 *
 * Errors  Those of at_generator_open and at_generator_score; AT_EIO; AT_EFORMAT "FILE:LINE: …".
 *
 *     at_status st = at_cli_eval_text("model", "valid.txt", &common);     // prints
 */
#ifndef AT_CLI_EVAL_TEXT_H
#define AT_CLI_EVAL_TEXT_H
#include "cli/options.h"

at_status at_cli_eval_text(const char *model, const char *text, const at_cli_common *common);
#endif
