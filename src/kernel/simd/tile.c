#include "kernel/simd/tile.h"

/* Sums [times factors] [+ c] go to c. Constants as in `multiply`. */
AT_INLINE void finish(const at_tile *t, at_vec *sum, const int rows, const int vecs, size_t i, size_t j)
{
    const size_t c_row = t->c_row, left = t->columns - j;
    float *c = t->c + i * c_row + j;
    if (t->times) {
        const float *times = t->times + i * t->times_step;
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++)
                sum[r * vecs + v] = vec_mul(sum[r * vecs + v], vec_set(times[(size_t)r * t->times_step]));
    }
    bool cut = t->exact && left < (size_t)vecs * AT_VEC;
    if (t->add && !cut)
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++) {
                at_vec before = vec_load(c + (size_t)r * c_row + (size_t)v * AT_VEC);
                sum[r * vecs + v] = vec_add(before, sum[r * vecs + v]);
            }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) {
            float *to = c + (size_t)r * c_row + (size_t)v * AT_VEC;
            size_t before = (size_t)v * AT_VEC, lanes = left > before ? vec_lanes(left - before) : 0;
            if (!cut)
                vec_store(to, sum[r * vecs + v]);
            else if (t->add)
                vec_store_n(to, vec_add(vec_load_n(to, lanes), sum[r * vecs + v]), lanes);
            else
                vec_store_n(to, sum[r * vecs + v], lanes);
        }
}

/* One strip: `rows` from i on, against `vecs` vectors of column j's panel, rows b_row apart; constants where
 * this is inlined. */
__attribute__((no_sanitize("undefined"))) AT_INLINE void multiply(const at_tile *t, const int rows,
                                                                  const int vecs, const size_t b_row,
                                                                  size_t i, size_t j, size_t k0, size_t k1)
{
    const size_t a_row = t->a_row, a_col = t->a_col, c_row = t->c_row;
    float *c = t->c + i * c_row + j;
    at_vec sum[ROWS * VECS];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++)
            sum[r * vecs + v] = vec_zero();
    if (t->accumulate) {
        const float *factor = t->factor ? t->factor + i : NULL;
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++) {
                at_vec x = vec_load(c + (size_t)r * c_row + (size_t)v * AT_VEC);
                sum[r * vecs + v] = factor ? vec_mul(x, vec_set(factor[r])) : x;
            }
    }
    /* Five rows share a pointer: their offsets are what one address can express. */
    const float *first = t->a + i * a_row + k0 * a_col;
    const float *a[3] = {first, first + (rows > 5 ? 5 * a_row : 0), first + (rows > 10 ? 10 * a_row : 0)};
    const float *b = t->b + j / PANEL * t->b_panel + k0 * b_row;
#pragma GCC unroll 4
    for (size_t l = k0; l < k1; l++) {
        at_vec in[VECS];
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++)
            in[v] = vec_load(b + (size_t)v * AT_VEC);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            at_vec x = vec_set(a[r / 5][(size_t)(r % 5) * a_row]);
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++)
                sum[r * vecs + v] = vec_fma(x, in[v], sum[r * vecs + v]);
        }
        a[0] += a_col;
        a[1] += a_col;
        a[2] += a_col;
        b += b_row;
    }
    finish(t, sum, rows, vecs, i, j);
}

/* `count` strips of `rows` rows from i on. */
typedef struct run {
    size_t i, count, j, k0, k1;
} run;

AT_INLINE void multiply_run(const at_tile *t, const int rows, const run *s)
{
    bool narrow = t->columns - s->j <= AT_VEC; /* half a panel is enough */
    for (size_t n = 0; n < s->count; n++)
        if (narrow)
            multiply(t, rows, 1, t->b_row ? t->b_row : PANEL, s->i + n * (size_t)rows, s->j, s->k0, s->k1);
        else if (t->b_row)
            multiply(t, rows, VECS, t->b_row, s->i + n * (size_t)rows, s->j, s->k0, s->k1);
        else
            multiply(t, rows, VECS, PANEL, s->i + n * (size_t)rows, s->j, s->k0, s->k1);
}

static void multiply_strips(const at_tile *t, size_t rows, const run *s)
{
    switch (rows) {
    case 1:
        multiply_run(t, 1, s);
        break;
    case 2:
        multiply_run(t, 2, s);
        break;
    case 3:
        multiply_run(t, 3, s);
        break;
    case 4:
        multiply_run(t, 4, s);
        break;
    case 5:
        multiply_run(t, 5, s);
        break;
    case 6:
        multiply_run(t, 6, s);
        break;
#if defined(AT_SIMD_AVX512)
    case 7:
        multiply_run(t, 7, s);
        break;
    case 8:
        multiply_run(t, 8, s);
        break;
    case 9:
        multiply_run(t, 9, s);
        break;
    case 10:
        multiply_run(t, 10, s);
        break;
    case 11:
        multiply_run(t, 11, s);
        break;
    case 12:
        multiply_run(t, 12, s);
        break;
    case 13:
        multiply_run(t, 13, s);
        break;
    case 14:
        multiply_run(t, 14, s);
        break;
#endif
    default:
        AT_ASSERT(rows <= ROWS);
    }
}

static void multiply_one(const at_tile *t, const at_cut *c, size_t strip, size_t j)
{
    at_part all = {0, t->k, t->columns}, part = t->parts ? t->parts[strip] : all;
    if (j >= part.columns)
        return;
    run one = {.i = strip_begin(c, strip), .count = 1, .j = j, .k0 = part.k0, .k1 = part.k1};
    multiply_strips(t, strip_rows(c, strip), &one);
}

static void fetch_ahead(const at_tile *t, size_t first, size_t end)
{
    for (const at_ahead *next = t->ahead; next < t->ahead + 2; next++)
        for (size_t i = first; i < end && i < next->count; i++)
            for (size_t l = 0; l < next->floats; l += LINE)
                __builtin_prefetch(next->rows + i * next->stride + l, 0, 3);
}

void AT_SIMD_NAME(tile_multiply)(const at_tile *t)
{
    if (t->rows == 0)
        return;
    at_cut c = cut_rows(0, t->rows);
    if (t->strips_outside) {
        for (size_t strip = 0; strip < c.strips; strip++)
            for (size_t j = 0; j < t->columns; j += PANEL)
                multiply_one(t, &c, strip, j);
        return;
    }
    for (size_t j = 0; j < t->columns; j += PANEL) {
        bool apart = t->parts || (t->ahead[0].rows && j == 0);
        for (size_t strip = 0; apart && strip < c.strips; strip++) {
            if (j == 0)
                fetch_ahead(t, strip_begin(&c, strip), strip_begin(&c, strip + 1));
            multiply_one(t, &c, strip, j);
        }
        if (apart)
            continue;
        run longer = {0, c.longer, j, 0, t->k},
            rest = {strip_begin(&c, c.longer), c.strips - c.longer, j, 0, t->k};
        if (longer.count > 0)
            multiply_strips(t, c.rows + 1, &longer);
        multiply_strips(t, c.rows, &rest);
    }
}
