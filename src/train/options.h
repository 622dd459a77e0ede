/* train/options.h - section "train" of a recipe.
 *
 * Role    One struct and the table that reads, checks, explains and writes it.
 * Owns    best_by is a copy, freed by at_fields_free(at_train_fields, &options).
 * Errors  AT_EARG naming the key, its value and its limits.
 *
 *     at_train_options options;
 *     at_status st = at_fields_default(at_train_fields, &options);
 *     st = at_fields_set(at_train_fields, &options, "lr", "0.002");
 *     st = at_train_options_check(&options);
 */
#ifndef AT_TRAIN_OPTIONS_H
#define AT_TRAIN_OPTIONS_H
#include "base/field.h"
#include "train/optimiser.h"
#include "train/schedule.h"

/* Whether the mean of the last checkpoints becomes the model at the end. */
typedef enum at_averaging { AT_AVERAGE_BETTER, AT_AVERAGE_ALWAYS } at_averaging;

typedef enum at_train_precision { AT_PRECISION_FP32, AT_PRECISION_BF16 } at_train_precision;

typedef struct at_train_options {
    int64_t seed;
    /* how long */
    int64_t max_steps, max_epochs; /* 0: no limit */
    double max_minutes;
    int64_t patience; /* validations without a better one; 0: no early stop */
    /* how fast */
    double lr, warmup_init_lr, min_lr;
    int64_t schedule, warmup;
    /* how */
    int64_t optimiser;
    double beta1, beta2, eps, weight_decay, clip, label_smoothing, z_loss, r_drop, ema;
    double
        guided_alignment; /* times the loss of one head's cross attention against the data's links; 0: none */
    int64_t r_drop_from;  /* updates before it sees each example once */
    int64_t guided_layer, guided_head; /* layer -1: the last but one */
    int64_t accumulate;
    int64_t precision; /* of products: at_train_precision */
    /* watching */
    int64_t report_every, valid_every, score_every, score_from;
    int64_t score_beam, score_lines;
    char *best_by;
    /* keeping */
    int64_t checkpoint_every, keep;
    int64_t average_last, average;
} at_train_options;

extern const at_field at_train_fields[];

/* What no single row can check. */
at_status at_train_options_check(const at_train_options *options);
at_schedule at_train_schedule(const at_train_options *options);
at_optimiser_options at_train_optimiser(const at_train_options *options);
#endif
