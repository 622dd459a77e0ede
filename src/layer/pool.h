/* layer/pool.h - many rows to one a sequence, and rows picked.
 *
 * Role    What classifiers and embeddings put above an encoder: the mean, the largest, or a weighted mean of
 *         a sequence's rows, the weights learned (Yang et al. 2016, "Hierarchical attention networks for
 *         document classification", section 2.2).
 * Owns    Nothing: parameters are the model's, results the tape's.
 * Shapes  x (N,D) rows of B sequences -> (B,D). A sequence of no row gives zeros.
 * Errors  Widths that do not fit: NULL, AT_ESHAPE sticks and names both shapes.
 *
 *     at_var *mean = at_pool_rows(tape, x, rows, AT_POOL_MEAN);
 *     const float *weights;                                       // (N): how much each row counted
 *     at_var *sum = at_pool_attention(tape, &attention, x, rows, &weights);
 */
#ifndef AT_LAYER_POOL_H
#define AT_LAYER_POOL_H
#include "layer/multi_head.h"

typedef enum at_pooling { AT_POOL_MEAN, AT_POOL_MAX } at_pooling;

at_var *at_pool_rows(at_tape *tape, at_var *x, const at_rows *rows, at_pooling pooling);

/* out_b = sum over b's rows i of w_i x_i, w the softmax of scores (N,1) within each sequence. */
at_var *at_pool_weighted(at_tape *tape, at_var *x, at_var *scores, const at_rows *rows,
                         const float **weights); /* weights may be NULL; valid as long as the tape's values */

typedef struct at_pool_weights {
    at_projection dense; /* (A,D) and its bias */
    at_param *context;   /* (1,A): what a row's tanh(dense) is compared with */
} at_pool_weights;

/* Declares prefix + dense.{weight,bias} and prefix + context. */
at_status at_pool_declare(at_params *params, const char *prefix, size_t width, size_t hidden,
                          at_pool_weights *weights);
at_var *at_pool_attention(at_tape *tape, const at_pool_weights *w, at_var *x, const at_rows *rows,
                          const float **weights);

/* Rows index[0 … count-1] of x -> (count,D); a row may be picked more than once. The list is copied. */
at_var *at_pick_rows(at_tape *tape, at_var *x, const int32_t *index, size_t count);
#endif
