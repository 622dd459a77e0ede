/* layer/rotary.h - positions as turns: each pair of a head's elements goes round by an angle of its position.
 *
 * Role    What queries and keys of Llama-like models get instead of added positions:
 *         their products then depend on the distance alone.
 *         Su et al. 2021, arXiv:2104.09864, section 3.2.2.
 * Owns    Nothing: the tables are the caller's and live until backward is through.
 * Shapes  x (N, heads * W) -> the same; tables (P, W' / 2) with W' <= W, even.
 * Errors  Widths that do not fit: NULL, AT_ESHAPE sticks. Positions within the tables
 *         are the caller's duty (AT_ASSERT), unless there are frequencies: then those behind
 *         them are worked out, so a text may go on without end.
 *
 *     double frequencies[32];
 *     at_rotary_frequencies(frequencies, 64, 10000);
 *     at_rotary_tables(cosines, sines, 2048, 32, frequencies);
 *     at_rotary rotary = {.cosines = cosines, .sines = sines, .positions = 2048, .width = 64};
 *     q = at_rotate(tape, &rotary, q, heads, rows, starts);
 *     k = at_rotate(tape, &rotary, k, groups, rows, starts);
 */
#ifndef AT_LAYER_ROTARY_H
#define AT_LAYER_ROTARY_H
#include "autograd/ops.h"

typedef struct at_rotary {
    const float *cosines, *sines; /* (positions, width / 2) */
    size_t positions;
    size_t width;     /* elements of each head that turn, even; the rest stay as they are */
    bool interleaved; /* pairs are (2i, 2i+1), as in the paper; otherwise (i, i + width/2), as Hugging Face's
                       * Llama has them */
    const double *frequencies; /* (width / 2) of the tables; NULL: no position lies behind them */
} at_rotary;

/* Row i of sequence b turns by position starts[b] + place of i in b. starts NULL: all 0. */
at_var *at_rotate(at_tape *tape, const at_rotary *rotary, at_var *x, size_t heads, const at_rows *rows,
                  const int32_t *starts);

/* out[i] = base^(-2i / width), i < width / 2: radians a position. Scaled ones (longer contexts) are the
 * caller's own. */
void at_rotary_frequencies(double *out, size_t width, double base);
/* cosines[p][i] = cos(p * frequencies[i]), sines likewise; both (positions, pairs). */
void at_rotary_tables(float *cosines, float *sines, size_t positions, size_t pairs,
                      const double *frequencies);
#endif
