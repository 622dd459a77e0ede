/* cli/progress.h - how a training goes, on stderr.
 *
 * Role    On a terminal one line that is written over, as wide as the terminal; in a pipe a plain line for
 *         each line of the log. Validations stay on lines of their own in both.
 * Owns    Nothing. Numbers come from train/loop.h's hooks.
 *
 *     at_progress_bar bar = at_progress_begin(quiet);
 *     at_progress_step(&bar, &progress);
 *     at_progress_validated(&bar, &validation);
 *     at_progress_end(&bar);
 */
#ifndef AT_CLI_PROGRESS_H
#define AT_CLI_PROGRESS_H
#include "train/loop.h"

typedef struct at_progress_bar {
    bool quiet, terminal;
    const char *unit; /* what the training counts: "tokens", unless set to "pictures" */
    bool shown;       /* an unfinished line is on the terminal */
    double last;      /* clock of the last drawing */
    int64_t stall, patience;
} at_progress_bar;

at_progress_bar at_progress_begin(bool quiet);
void at_progress_step(at_progress_bar *bar, const at_train_progress *progress);
void at_progress_validated(at_progress_bar *bar, const at_validation *validation);
/* A remark of the library's, on a line of its own: a line for at_log. */
void at_progress_remark(void *bar, const char *text);
void at_progress_end(at_progress_bar *bar);
#endif
