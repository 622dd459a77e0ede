/* train/internal.h - what the loop's files share: a training while it runs.
 *
 * Role    loop.c takes the steps, judge.c validates, keep.c saves and restores, journal.c
 *         writes log.jsonl. at_progress is all that a checkpoint's state.json holds.
 */
#ifndef AT_TRAIN_INTERNAL_H
#define AT_TRAIN_INTERNAL_H
#include <stdio.h>
#include "store/checkpoint.h"
#include "train/loop.h"

enum { AT_MAX_AVERAGED = 1000 };

/* Sums since the log's last line. */
typedef struct at_interval {
    double loss, grad_norm, seconds;
    int64_t tokens, steps;
} at_interval;

typedef struct at_progress {
    int64_t step; /* updates tried, those left out included */
    at_cursor cursor;
    int64_t updates; /* the optimiser's */
    int64_t tokens;
    double seconds;
    at_interval interval;
    int64_t validations, stall;
    bool judged; /* there is a best one */
    double best; /* what best_by names, so that less is better */
    at_validation best_validation;
    int64_t skipped, bad_in_a_row, rollbacks;
    double lr_factor;                                /* halved by each rollback */
    int64_t log_bytes;                               /* length of log.jsonl */
    int64_t regular[AT_MAX_AVERAGED], regular_count; /* steps of the checkpoints to average, oldest first */
    int64_t extra; /* step of a checkpoint between the regular ones; -1: none */
} at_progress;

/* The epoch, from 1, that the last update belonged to. */
static inline int64_t at_progress_epoch(const at_progress *p)
{
    bool over =
        p->cursor.batch == 0 && p->cursor.epoch > 0; /* the cursor stands before the next one already */
    return (int64_t)p->cursor.epoch + !over;
}

typedef struct at_journal {
    FILE *stream;
    char *path;
} at_journal;

typedef struct at_trainer {
    const at_train_task *task;
    const at_train_options *options;
    at_schedule schedule;
    at_params *params;
    at_optimiser *optimiser;
    at_tape *tape;
    at_arena *arena; /* the batch at hand */
    at_progress progress;
    at_journal journal;
    char *checkpoints;          /* OUT/checkpoints */
    double lr, loss, grad_norm; /* of the last update */
    double speed;               /* target tokens a second, smoothed */
    double begun;               /* clock and step at the start of this run */
    int64_t begun_step;
    double validating; /* seconds of this run spent on validation */
} at_trainer;

/* journal.c */
at_status at_journal_open(at_journal *journal, const char *folder,
                          int64_t bytes); /* cut back to that length */
void at_journal_close(at_journal *journal);
at_status at_journal_write(at_journal *journal, json_t *line); /* takes the reference; NULL: AT_ENOMEM */
at_status at_journal_sync(at_journal *journal, int64_t *bytes);
json_t *at_journal_report(const at_trainer *trainer);
json_t *at_journal_validation(const at_validation *validation);

/* judge.c */
/* Loss and, if asked, scores of the model with the numbers of `block` (laid out as the parameters). */
at_status at_judge_measure(at_trainer *trainer, float *block, bool score, at_validation *validation);
/* What best_by names, less being better; NaN when it was not measured. */
double at_judge_value(const at_train_options *options, const at_validation *validation);
/* A regular validation: measured, logged, compared, the best kept in OUT. */
at_status at_judge(at_trainer *trainer);
/* The mean of the last checkpoints against the best. */
at_status at_judge_average(at_trainer *trainer, int64_t *averaged);
/* The parameters that are judged and kept: the masters, or their moving average. */
float *at_judged_block(const at_trainer *trainer);

/* keep.c */
at_status at_keep_best(at_trainer *trainer, const float *numbers);
at_status at_keep_checkpoint(at_trainer *trainer, bool regular);
/* From the newest whole checkpoint; *found false: there is none. */
at_status at_keep_restore(at_trainer *trainer, bool *found);
#endif
