/* cli/align_choose.h - which layer and head align best, measured against gold links.
 *
 * Errors  Those of files and of aligning; AT_EFORMAT where pairs and gold lines differ in number.
 *
 *     at_status st = at_cli_align_choose(&spec, translator, &choice, &common);
 */
#ifndef AT_CLI_ALIGN_CHOOSE_H
#define AT_CLI_ALIGN_CHOOSE_H
#include "attend.h"
#include "cli/options.h"

typedef struct at_cli_choice {
    const char *sources, *targets; /* as of at_textfile_read_pairs */
    const char *gold;
    const char *store; /* the model folder whose config.json shall name the best; NULL: none */
    at_align_options how;
} at_cli_choice;

/* Every head, every layer's mean and the mean of all, the least alignment error first. */
at_status at_cli_align_choose(const at_cli_spec *spec, at_translator *translator, const at_cli_choice *choice,
                              const at_cli_common *common);
#endif
