/* kernel/simd/tile.h - the block of sums that registers hold, and products of tiles that lie in scratch.
 *
 * Role    A product whose parts were all laid out for it: b in packed panels, or in rows as they
 *         lie (tile_plain); c in whole vectors, unless it is `exact`. No
 *         bias, nothing copied; so little is done around the sums that tiles of attention,
 *         32 deep, run near the speed of large products.
 * Owns    Nothing.
 * Shapes  a (rows,k), b (k,columns), c (rows, columns rounded up to whole vectors). Panels of b
 *         are PANEL columns wide and k rows long or longer.
 * Errors  None.
 * Numbers Each output is one chain of multiply-adds over k in order, as the gemm's are.
 *
 *     at_tile t = {.a = q, .a_row = d, .a_col = 1, .b = keys, .b_panel = d * PANEL,
 *                  .c = scores, .c_row = stride, .rows = 32, .columns = 19, .k = d};
 *     AT_SIMD_NAME(tile_multiply)(&t);
 */
#ifndef AT_KERNEL_SIMD_TILE_H
#define AT_KERNEL_SIMD_TILE_H
#include "kernel/simd/simd.h"

#if defined(AT_SIMD_AVX512)
enum { PANEL = 32, ROWS = 14 }; /* 28 sums, 2 of B, 1 of A: 31 of 32 registers */
#elif defined(AT_SIMD_AVX2)
enum { PANEL = 16, ROWS = 6 }; /* 12 + 2 + 1 of 16 */
#else
enum { PANEL = 16, ROWS = 6 }; /* 24 + 4 + 1 of 32 */
#endif
enum { VECS = PANEL / AT_VEC };
enum { LINE = 16 }; /* floats in a line of the cache */

/* Rows are cut evenly into strips: 16 are 8 and 8, not 14 and 2. The first `longer` have one row more. */
typedef struct at_cut {
    size_t m0, strips, rows, longer;
} at_cut;

AT_INLINE at_cut cut_rows(size_t m0, size_t m1)
{
    size_t strips = (m1 - m0 + ROWS - 1) / ROWS;
    return (at_cut){m0, strips, (m1 - m0) / strips, (m1 - m0) % strips};
}

AT_INLINE size_t strip_begin(const at_cut *c, size_t t)
{
    return c->m0 + t * c->rows + (t < c->longer ? t : c->longer);
}

AT_INLINE size_t strip_rows(const at_cut *c, size_t t)
{
    return c->rows + (t < c->longer);
}

/* What a strip of rows needs of the product: k0 … k1-1 of k, columns up to `columns`. */
typedef struct at_part {
    size_t k0, k1, columns;
} at_part;

/* A matrix that comes next. While a strip's rows are multiplied, as many of its rows are brought nearer. */
typedef struct at_ahead {
    const float *rows;
    size_t stride, count, floats;
} at_ahead;

typedef struct at_tile {
    const float *a; /* element (i,l) at a[i*a_row + l*a_col] */
    size_t a_row, a_col;
    const float *b;
    size_t b_row, b_panel; /* b_row 0: PANEL */
    float *c;
    size_t c_row;
    size_t rows, columns, k;
    bool accumulate;     /* c = factor c + …; otherwise c is only written */
    const float *factor; /* (rows), or NULL: all 1 */
    const float *times;  /* or NULL: row i's sums are in the end multiplied by times[i * times_step] */
    size_t times_step;
    bool add;             /* c += what then is there */
    bool exact;           /* behind `columns` c is not written */
    const at_part *parts; /* of each strip of cut_rows(0, rows), or NULL: all of it */
    at_ahead ahead[2];    /* or none */
    bool strips_outside;  /* each strip passes by all panels: where a's lines lie far apart */
} at_tile;

/* May b of so many columns be read in rows as they lie? Whole panels are read, or one vector of the last. */
static inline bool tile_plain(size_t columns)
{
    return columns % PANEL == 0 || columns % PANEL == AT_VEC;
}

void AT_SIMD_NAME(tile_multiply)(const at_tile *t);

/* Bias, activation and residual of these rows and columns of C, once their sums stand there. */
void AT_SIMD_NAME(gemm_finish)(const at_gemm *g, size_t i, size_t j, size_t rows, size_t columns);
#endif
