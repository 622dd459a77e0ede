/* layer/tokens.h - what a Transformer of pictures does to rows beside what one of texts does.
 *
 * Role    The class token in front with positions (Dosovitskiy et al. 2021), factors of columns (layer
 *         scale: Touvron et al. 2021, arXiv:2103.17239; temperatures of heads: Lee et al. 2021,
 *         arXiv:2112.13492), whole branches left out (stochastic depth: Huang et al. 2016, arXiv:1603.09382),
 *         patches left out (Liu et al. 2022, arXiv:2208.07220).
 * Owns    Nothing: parameters are the model's, results the tape's.
 * Shapes  x (B*N, D), every picture N rows.
 * Errors  Shapes that do not fit: NULL, AT_ESHAPE sticks and names both.
 *
 *     at_token_spec spec = {.count = batch->source.count, .class = cls, .learned = positions};
 *     at_var *x = at_tokens(tape, patches, &spec);              // (B*(N+1), D)
 *     at_rows rows = at_rows_even(tape, count, N + 1, examples);
 *     x = at_drop_paths(tape, x, y, 0.1f, &rows);               // x + y, or x alone
 */
#ifndef AT_LAYER_TOKENS_H
#define AT_LAYER_TOKENS_H
#include "layer/layer.h"

typedef struct at_token_spec {
    size_t count;            /* B */
    const at_param *class;   /* D numbers; NULL: none in front */
    const at_param *learned; /* positions, D numbers a row, the class token's first; NULL: none */
    const float *fixed;      /* the same, not learned; NULL: none */
} at_token_spec;

/* Row i of each picture plus its position, behind the class token plus its own. */
at_var *at_tokens(at_tape *tape, at_var *x, const at_token_spec *spec);

/* Column j times gain[j / (D / G)]: gain has G numbers, G divides D. */
at_var *at_scale_columns(at_tape *tape, at_var *x, const at_param *gain);

/* base + x, all rows of a sequence of x left out with chance `rate` while training, the others divided by
 * 1 - rate. A function of (seed, step, operation, example). */
at_var *at_drop_paths(at_tape *tape, at_var *base, at_var *x, float rate, const at_rows *rows);

/* `each` rows a sequence, on the tape. Count 0 sticks AT_ENOMEM when there is no memory. */
at_rows at_rows_even(at_tape *tape, size_t count, size_t each, const uint32_t *examples);

/* The first `keep` rows of each sequence of x and of the others so many that part `rate` is gone, the same
 * number everywhere, in their order; *each: rows a sequence afterwards. x itself when not training. */
at_var *at_drop_rows(at_tape *tape, at_var *x, float rate, size_t keep, const at_rows *rows, size_t *each);

/* (height*width, D), D divisible by 4, more than 4: sines and cosines of the column, then of the line, with
 * frequencies 10000^(-i/(D/4-1)): the fixed positions of Beyer et al. 2022, arXiv:2205.01580. */
void at_sinusoids_2d(float *out, size_t height, size_t width, size_t d);

extern const at_op
    *const at_picture_ops[]; /* those of layer/window.h too; NULL-terminated: the tests walk it */
#endif
