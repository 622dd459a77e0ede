/* cli/prompt.h - lines that somebody types, with editing and a history where libedit is built in.
 *
 * Owns    The line it gives, until the next call or at_cli_prompt_close.
 * Errors  AT_EIO, AT_ENOMEM. Without libedit, or where standard input is no terminal, lines are read plainly.
 *
 *     at_cli_prompt p = {0};
 *     const char *line;
 *     while (at_cli_prompt_line(&p, "> ", &line) == AT_OK && line) …
 *     at_cli_prompt_close(&p);
 */
#ifndef AT_CLI_PROMPT_H
#define AT_CLI_PROMPT_H
#include <stddef.h>
#include "base/status.h"

typedef struct at_cli_prompt {
    char *buffer; /* getline's or libedit's */
    size_t size;
} at_cli_prompt;

at_status at_cli_prompt_line(at_cli_prompt *prompt, const char *sign, const char **line); /* NULL: the end */
void at_cli_prompt_close(at_cli_prompt *prompt);
#endif
