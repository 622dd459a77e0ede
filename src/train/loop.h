/* train/loop.h - batches -> a trained model in a folder, stopped and continued at will.
 *
 * Role    loader -> batch -> loss -> gradients -> clipped update -> report; validation by loss and by
 *         scores of the caller's; early stop; best model, last checkpoints and log in OUT.
 * Owns    Everything it makes; the task's parts are borrowed. OUT afterwards holds the model folder
 *         (best so far), log.jsonl and checkpoints/.
 * Numbers A training that was killed and resumed gives the same parameters and the same log, times
 *         aside, bit for bit, for one build, CPU level and kernel set, whatever the threads.
 * Errors  AT_EIO, AT_ENOMEM; AT_ENUMBER naming the first tensor with a NaN or an infinity when rolling
 *         back did not help; AT_EARG for a training that cannot be resumed with this data.
 * Threads One caller; hooks are called by it.
 *
 *     at_train_task task = {.exec = exec, .model = model, .train = loader, .valid = valid, .options =
 *     &options,
 *                           .content = {.tokenizer = tokenizer}, .out = "out", .resume = resume};
 *     at_train_result result;
 *     at_status st = at_train(&task, &result);        // model: masters allocated and initialised
 */
#ifndef AT_TRAIN_LOOP_H
#define AT_TRAIN_LOOP_H
#include <math.h>
#include "base/log.h"
#include "data/loader.h"
#include "store/folder.h"
#include "train/options.h"

/* What the caller's scoring found; NaN: not measured. */
typedef struct at_train_scores {
    double bleu, chrf;
    double accuracy; /* part of the predictions that were right, 0 … 1; the loop counts it itself */
} at_train_scores;

#define AT_NO_SCORES ((at_train_scores){NAN, NAN, NAN})

typedef struct at_train_progress {
    int64_t step, max_steps;    /* max_steps 0: no limit */
    int64_t epoch;              /* from 1 */
    double epoch_part;          /* 0 … 1 of it gone */
    double loss, lr, grad_norm; /* per target token; of this update, or of the lines' interval if logged */
    uint64_t target_tokens;     /* since the training began */
    double seconds;             /* since the training began, earlier runs and validation included */
    double tokens_per_s;        /* target tokens, validation aside */
    double seconds_left;        /* negative: unknown */
    bool logged;                /* this update closes an interval: a line went into the log */
} at_train_progress;

typedef struct at_validation {
    int64_t step, epoch;
    double loss; /* -log p per target token, without smoothing */
    at_train_scores scores;
    bool best;
    int64_t stall, patience; /* validations since the best one */
    int64_t averaged;        /* checkpoints that the model judged is the mean of; 0: the model itself */
} at_validation;

typedef struct at_train_hooks {
    void *context;
    void (*step)(void *context, const at_train_progress *progress); /* after each update */
    /* Scores of the model as it is; no more than options->score_lines of the validation set. */
    at_status (*score)(void *context, const at_model *model, at_train_scores *scores);
    void (*validated)(void *context, const at_validation *validation); /* its line is in the log already */
    bool (*stop)(void *context); /* true: save a checkpoint and end; asked after each update */
} at_train_hooks;                /* any may be NULL */

typedef struct at_train_task {
    at_exec *exec;
    at_model *model;
    at_loader *train, *valid; /* valid NULL: the last model counts as the best */
    const at_train_options *options;
    at_folder_content
        content;           /* tokenizer and sections for the model's folder; model and numbers are not read */
    const char *out;       /* the folder; made if absent */
    bool resume;           /* go on from its last whole checkpoint, if there is one */
    const char *data_mark; /* tells one corpus from another; a resumed training must bring the same; NULL */
    at_train_hooks hooks;
    const at_log *log; /* may be NULL */
} at_train_task;

typedef enum at_train_end {
    AT_END_STEPS,
    AT_END_EPOCHS,
    AT_END_MINUTES,
    AT_END_PATIENCE,
    AT_END_STOPPED
} at_train_end;

typedef struct at_train_result {
    at_train_end end;
    int64_t steps, epochs, skipped; /* updates left out for a number that was not finite */
    int64_t best_step;              /* 0: no validation */
    double best_loss;
    at_train_scores best_scores;
    int64_t averaged; /* the model in OUT is the mean of so many checkpoints; 0: it is not */
    double seconds;
} at_train_result;

at_status at_train(const at_train_task *task, at_train_result *result);
const char *at_train_end_text(at_train_end end);
#endif
