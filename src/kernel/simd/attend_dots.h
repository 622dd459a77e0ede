/* kernel/simd/attend_dots.h - tiles of attention in pairs of bf16, for the CPU's dot products.
 *
 * Role    As kernel/simd/attend.h, whose masks and ranges serve here too; but a strip of queries
 *         goes through all that is done with a tile before the next begins, so that its scores
 *         stay in the first cache. All that is multiplied is laid out in scratch as pairs of
 *         bf16, zeros where an odd one has no partner.
 * Owns    Nothing.
 * Shapes  A pair is 32 bits, the first number low. Rows of pairs lie as rows do: (row, pair) in
 *         order. Panels of PANEL columns: pair (l,j) at (j/PANEL)*size + l*PANEL + j%PANEL.
 * Errors  None.
 * Numbers Sums are fp32, one chain of dot products over pairs of k in order; they and what is multiplied take
 *         denormal numbers for zeros. Scores are kept in units of ln 2, so that weights are powers of two.
 *
 *     at_dots scores = {.a = queries, .a_row = width / 2, .a_col = 1, .b = keys, .b_panel = pairs * PANEL,
 *                       .c = scores, .c_row = SCORES, .rows = 14, .columns = 128, .pairs = pairs};
 *     AT_SIMD_NAME(dots_multiply)(&scores);
 */
#ifndef AT_KERNEL_SIMD_ATTEND_DOTS_H
#define AT_KERNEL_SIMD_ATTEND_DOTS_H
#include "kernel/simd/attend.h"

_Static_assert(PANEL == 2 * AT_VEC && KEY_TILE % PANEL == 0, "a row of a panel is one vector of bf16");

/* Rows of scores in fp32 and of pairs: an odd number of lines of the cache apart. */
enum { SCORES = KEY_TILE + 16, PAIRS = KEY_TILE / 2 + 16 };

#define LOG2_E 1.44269504f
#define LN_2 0.69314718f

/* (rows, d) in bf16 or in fp32, which is rounded while it is laid out. Row s is row (rows ? rows[s] : s). */
typedef struct at_source {
    const at_bf16 *narrow;
    const float *wide;
    size_t stride;
    const int32_t *rows;
} at_source;

/* Numbers j, j+1, … of a row, as many as a vector of bf16 has; those from d on 0. */
AT_INLINE at_uvec source_load(const at_source *s, size_t row, size_t j, size_t d)
{
    size_t at = (s->rows ? (size_t)s->rows[row] : row) * s->stride + j, n = attend_least(d - j, PANEL);
    if (s->narrow)
        return n == PANEL ? uvec_load_pairs(s->narrow + at) : uvec_load_pairs_n(s->narrow + at, n);
    return uvec_narrow(vec_load_n(s->wide + at, vec_lanes(n)),
                       vec_load_n(s->wide + at + AT_VEC, n > AT_VEC ? n - AT_VEC : 0));
}

/* Brings a row into the second cache or nearer. */
AT_INLINE void source_fetch(const at_source *s, size_t row, size_t d)
{
    size_t at = (s->rows ? (size_t)s->rows[row] : row) * s->stride;
    for (size_t j = 0; j < d; j += s->narrow ? 2 * LINE : LINE)
        __builtin_prefetch(s->narrow ? (const void *)(s->narrow + at + j) : (const void *)(s->wide + at + j),
                           0, 2);
}

static inline size_t dots_pairs(size_t n)
{
    return (n + 1) / 2;
}

/* Pairs of a row of d numbers in scratch, in whole vectors. */
static inline size_t dots_row(size_t d)
{
    return attend_rounded(d, PANEL) / 2;
}

/* 2^x of x of at most a rounding above 0, within 3e-6 of itself: these are weights that 8 bits will hold.
 * Below -126.5 it is 0; NaN comes through. The polynomial has the least largest relative error on -1/2 …
 * 1/2 of those of degree 4 that are 1 at 0. */
AT_INLINE at_vec vec_exp2_weight(at_vec x)
{
    const at_vec large = vec_set(12582912.0f + 127.0f); /* as in vec_exp_weight */
    x = vec_max(vec_set(-127.0f), x);
    at_vec t = vec_add(x, large), f = vec_sub(x, vec_sub(t, large));
    at_vec q = vec_set(0x1.3a02ccp-7f);
    q = vec_fma(q, f, vec_set(0x1.c9fc46p-5f));
    q = vec_fma(q, f, vec_set(0x1.ec0378p-3f));
    q = vec_fma(q, f, vec_set(0x1.62e12cp-1f));
    q = vec_fma(q, f, vec_set(1.0f));
    return vec_mul(q, vec_power_of(t)); /* the power of -127 comes out as 0 */
}

/* c (rows, columns in whole vectors) = [factor c +] a · b */
typedef struct at_dots {
    const uint32_t *a; /* pair (i,l) at a[i*a_row + l*a_col] */
    size_t a_row, a_col;
    const uint32_t *b; /* panels */
    size_t b_panel;
    float *c;
    size_t c_row;
    size_t rows, columns, pairs; /* at most ROWS rows */
    bool accumulate;
    const float *factor; /* (rows), or NULL: all 1 */
} at_dots;
void AT_SIMD_NAME(dots_multiply)(const at_dots *t);

/* Rows [t0, t0+rows) in order, dots_row(d) pairs each. */
void AT_SIMD_NAME(dots_copy)(uint32_t *to, const at_source *from, size_t t0, size_t rows, size_t d);
/* Rows [s0, s0+columns) turned round: panels of pairs (2l, 2l+1) of their numbers, dots_pairs(d) by
 * columns. */
void AT_SIMD_NAME(dots_turn)(uint32_t *panels, const at_source *from, size_t s0, size_t columns, size_t d);
/* Panels of pairs of rows (s0 + 2l, s0 + 2l + 1): dots_pairs(count) by d. */
void AT_SIMD_NAME(dots_weave)(uint32_t *panels, const at_source *from, size_t s0, size_t count, size_t d);

/* Lays a part of n pairs behind the others. */
static inline uint32_t *dots_take(float *scratch, size_t *floats, size_t n)
{
    return (uint32_t *)(void *)attend_take(scratch, floats, n);
}

void AT_SIMD_NAME(attend_dots_backward)(const at_attend *a, float *scratch);
size_t AT_SIMD_NAME(attend_dots_backward_scratch)(size_t queries, size_t keys, size_t d_key, size_t d_value);
#endif
