/* task/by_hand.h - attention on numbers that a person wrote: every step of it, to be printed and drawn.
 *
 * Role    Reads named queries, keys and values from a JSON file and runs them through the same
 *         operations as the models (attention/score.h, pairs.h, layer/scorer.h), keeping each stage.
 * Owns    What it reads and what it computes: at_by_hand_free, at_by_hand_result_free.
 * Shapes  Q queries, S keys, W columns of the values.
 * Errors  AT_EFORMAT with file and field, AT_EARG for what cannot be computed: widths that the score cannot
 *         join, weights that it needs and has not; the message says what is possible.
 *
 *     at_by_hand in;
 *     at_status st = at_by_hand_load("tom.json", &in);
 *     st = at_fields_set(at_by_hand_fields, &in.options, "score", "cosine");
 *     at_by_hand_result r;
 *     st = at_by_hand_run(exec, &in, &r);                       // r.weights (Q,S), r.sums (Q,W)
 */
#ifndef AT_TASK_BY_HAND_H
#define AT_TASK_BY_HAND_H
#include "base/field.h"
#include "layer/scorer.h"

/* The file's object:
 *   "title"      text
 *   "queries"    {name: [numbers], …}, or [{"name": …, "vector": [numbers]}, …] where names repeat
 *   "keys"       the same
 *   "values"     the same, by the names of the keys; absent: keys are the values
 *   "columns"    [names] of the values' numbers
 *   "mask"       "none", "causal", or a row of 0 (hidden) and 1 for each query
 *   "weights"    {name: numbers} of the score, names and shapes as layer/scorer.h has them
 * and the options below. */
typedef struct at_by_hand_options {
    int64_t score, normalise, local; /* at_score, at_normaliser, at_local */
    int64_t reach;
    bool scale; /* of scaled-dot: false leaves 1 / sqrt(K) out */
} at_by_hand_options;
extern const at_field at_by_hand_fields[];

typedef struct at_named_rows {
    char **names; /* (count) */
    float *numbers;
    size_t count, width;
} at_named_rows;

typedef struct at_by_hand {
    char *title; /* NULL: none */
    at_named_rows queries, keys, values;
    char **columns; /* (values.width) */
    at_by_hand_options options;
    bool causal;
    unsigned char *mask; /* (Q,S) 1: look; NULL: all */
    json_t *weights;     /* NULL: none given */
    bool draw;           /* weights that are not given are drawn from `seed` */
    uint64_t seed;
} at_by_hand;

at_status at_by_hand_load(const char *path, at_by_hand *in);
void at_by_hand_free(at_by_hand *in);
/* "none", "causal", or rows of 0 and 1 with '/' between them: "110/111". */
at_status at_by_hand_mask(at_by_hand *in, const char *text);

typedef struct at_by_hand_result {
    float *scores, *masked, *weights; /* (Q,S): raw; scaled and masked; normalised */
    float *parts;                     /* (Q,S,W) each weight times its value */
    float *sums;                      /* (Q,W) */
    float *centres;                   /* (Q) of local-p, in keys from 0; NULL otherwise */
    float factor;                     /* of the scale: 1 for none */
} at_by_hand_result;

at_status at_by_hand_run(at_exec *exec, const at_by_hand *in, at_by_hand_result *out);
void at_by_hand_result_free(at_by_hand_result *result);
#endif
