/* cli/aer.h - alignment files scored against gold ones: eval's metric aer, align's choice of a head.
 *
 * Errors  AT_EIO; AT_EFORMAT with file and line for what is no link, and for files of unequal length.
 *
 *     at_status st = at_cli_eval_aer("model.align", "gold.align", &common);
 */
#ifndef AT_CLI_AER_H
#define AT_CLI_AER_H
#include "cli/options.h"
#include "eval/aer.h"

/* All links of a file, a line each. */
typedef struct at_linkfile {
    at_links *lines;
    size_t count, capacity;
} at_linkfile;

at_status at_linkfile_read(at_linkfile *file, const char *path);
void at_linkfile_free(at_linkfile *file);

/* Prints the score in the form of the other metrics. */
at_status at_cli_eval_aer(const char *proposed, const char *gold, const at_cli_common *common);
#endif
