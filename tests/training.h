/* tests/training.h - a training small enough for a test: ten symbols to copy, a Transformer of a few thousand
 * numbers.
 *
 * Owns    All parts, until check_training_free.
 *
 *     check_training t;
 *     check_training_make(&t, 2, "out");         // threads, folder under check_folder()
 *     t.options.max_steps = 20;
 *     check_ok(check_training_run(&t, false, &result));
 *     check_training_free(&t);
 */
#ifndef AT_TESTS_TRAINING_H
#define AT_TESTS_TRAINING_H
#include "train/loop.h"

typedef struct check_training {
    at_train_options options;
    at_data_options data;
    at_exec *exec;
    at_tokenizer *tokenizer;
    at_dataset train, valid;
    at_loader *train_loader, *valid_loader;
    at_model *model;
    at_train_hooks hooks;
    char mark[64], *out;
} check_training;

/* The options may be changed until the first run; batch_pairs and dropout are of the loader and the model. */
typedef struct check_training_spec {
    int threads;
    const char *out;
    int64_t batch_pairs; /* 0: 8 */
    double dropout;
    bool in_order; /* no shuffle: batches as in the file */
    uint64_t data_seed;
} check_training_spec;

void check_training_make(check_training *t, const check_training_spec *spec);
at_status check_training_run(check_training *t, bool resume, at_train_result *result);
void check_training_free(check_training *t);
/* OUT/log.jsonl without what a clock said: caller frees with at_free. */
char *check_training_log(const check_training *t);
#endif
