/* cli/output.h - results on standard output or drawn into files, every write checked.
 *
 * Errors  AT_EIO when the disk is full or the reader has gone; AT_ENOMEM.
 *
 *     st = at_cli_print(&out);
 *     st = at_cli_print_json(json_pack("{s:i}", "lines", n), 0);
 */
#ifndef AT_CLI_OUTPUT_H
#define AT_CLI_OUTPUT_H
#include <jansson.h>
#include "base/buf.h"

/* Writes and flushes what the buffer holds; the buffer stays. */
at_status at_cli_print(const at_buf *out);
/* One value and a newline; flags are jansson's. Takes the reference; NULL is AT_ENOMEM. */
at_status at_cli_print_json(json_t *value, size_t flags);
/* The same at the end of `out`. */
void at_cli_put_json(at_buf *out, json_t *value, size_t flags);
/* What was drawn into `out`, to this file, whole or not at all; nothing if `drawn` is an error, which is
 * then what comes back. `out` is freed. */
at_status at_cli_save(at_status drawn, at_buf *out, const char *path);
#endif
