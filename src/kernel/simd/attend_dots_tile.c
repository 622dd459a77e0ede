#include "kernel/simd/attend_dots.h"

/* All rows against the first vectors of the panel of column j; both are constants where this is inlined. */
__attribute__((no_sanitize("undefined"))) AT_INLINE void multiply(const at_dots *t, const int rows,
                                                                  const int vecs, size_t j)
{
    const size_t a_row = t->a_row, a_col = t->a_col, c_row = t->c_row;
    float *c = t->c + j;
    at_vec sum[ROWS * VECS];
#pragma GCC unroll 32
    for (int x = 0; x < rows * vecs; x++)
        sum[x] = vec_zero();
    if (t->accumulate) {
#pragma GCC unroll 32
        for (int x = 0; x < rows * vecs; x++) {
            at_vec before = vec_load(c + (size_t)(x / vecs) * c_row + (size_t)(x % vecs) * AT_VEC);
            sum[x] = t->factor ? vec_mul(before, vec_set(t->factor[x / vecs])) : before;
        }
    }
    /* Five rows share a pointer: their offsets are what one address can express. */
    const uint32_t *a[3] = {t->a, t->a + (rows > 5 ? 5 * a_row : 0), t->a + (rows > 10 ? 10 * a_row : 0)};
    const uint32_t *b = t->b + j / PANEL * t->b_panel;
#pragma GCC unroll 2
    for (size_t l = 0; l < t->pairs; l++) {
        at_uvec in[VECS];
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++)
            in[v] = uvec_load(b + (size_t)v * AT_VEC);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            at_uvec x = uvec_set(a[r / 5][(size_t)(r % 5) * a_row]);
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++)
                sum[r * vecs + v] = vec_dot_pairs(x, in[v], sum[r * vecs + v]);
        }
        a[0] += a_col;
        a[1] += a_col;
        a[2] += a_col;
        b += PANEL;
    }
#pragma GCC unroll 32
    for (int x = 0; x < rows * vecs; x++)
        vec_store(c + (size_t)(x / vecs) * c_row + (size_t)(x % vecs) * AT_VEC, sum[x]);
}

AT_INLINE void multiply_panels(const at_dots *t, const int rows)
{
    for (size_t j = 0; j < t->columns; j += PANEL)
        if (t->columns - j > AT_VEC)
            multiply(t, rows, VECS, j);
        else
            multiply(t, rows, 1, j);
}

void AT_SIMD_NAME(dots_multiply)(const at_dots *t)
{
    switch (t->rows) {
    case 0:
        break;
    case 1:
        multiply_panels(t, 1);
        break;
    case 2:
        multiply_panels(t, 2);
        break;
    case 3:
        multiply_panels(t, 3);
        break;
    case 4:
        multiply_panels(t, 4);
        break;
    case 5:
        multiply_panels(t, 5);
        break;
    case 6:
        multiply_panels(t, 6);
        break;
    case 7:
        multiply_panels(t, 7);
        break;
    case 8:
        multiply_panels(t, 8);
        break;
    case 9:
        multiply_panels(t, 9);
        break;
    case 10:
        multiply_panels(t, 10);
        break;
    case 11:
        multiply_panels(t, 11);
        break;
    case 12:
        multiply_panels(t, 12);
        break;
    case 13:
        multiply_panels(t, 13);
        break;
    case 14:
        multiply_panels(t, 14);
        break;
    default:
        AT_ASSERT(t->rows <= ROWS);
    }
}

void AT_SIMD_NAME(dots_copy)(uint32_t *to, const at_source *from, size_t t0, size_t rows, size_t d)
{
    size_t width = dots_row(d);
    for (size_t r = 0; r < rows; r++) {
        if (r + AHEAD < rows)
            source_fetch(from, t0 + r + AHEAD, d);
        for (size_t j = 0; j < d; j += PANEL)
            uvec_store(to + r * width + j / 2, source_load(from, t0 + r, j, d));
    }
}

/* Numbers j … of AT_VEC rows from s on, of which `count` exist. */
AT_INLINE void turn_group(uint32_t *group, const at_source *from, size_t s, size_t count, size_t j, size_t d)
{
    at_uvec v[AT_VEC];
#pragma GCC unroll 16
    for (size_t i = 0; i < AT_VEC; i++)
        v[i] = i < count ? source_load(from, s + i, j, d) : uvec_set(0);
    uvec_transpose(v);
    size_t pairs = dots_pairs(d - j);
    if (pairs >= AT_VEC) {
#pragma GCC unroll 16
        for (size_t l = 0; l < AT_VEC; l++)
            uvec_store(group + (j / 2 + l) * PANEL, v[l]);
        return;
    }
    for (size_t l = 0; l < pairs; l++)
        uvec_store(group + (j / 2 + l) * PANEL, v[l]);
}

void AT_SIMD_NAME(dots_turn)(uint32_t *panels, const at_source *from, size_t s0, size_t columns, size_t d)
{
    size_t padded = attend_rounded(columns, PANEL), pairs = dots_pairs(d);
    for (size_t c = 0; c < padded; c += AT_VEC) {
        uint32_t *group = panels + c / PANEL * PANEL * pairs + c % PANEL;
        size_t left = c < columns ? columns - c : 0;
        for (size_t i = AT_VEC; i < 2 * AT_VEC && i < left; i++)
            source_fetch(from, s0 + c + i, d);
        for (size_t j = 0; j < d; j += PANEL) {
            if (left >= AT_VEC)
                turn_group(group, from, s0 + c, AT_VEC, j, d);
            else
                turn_group(group, from, s0 + c, left, j, d);
        }
    }
}

void AT_SIMD_NAME(dots_weave)(uint32_t *panels, const at_source *from, size_t s0, size_t count, size_t d)
{
    size_t pairs = dots_pairs(count);
    for (size_t l = 0; l < pairs; l++) {
        size_t s = s0 + 2 * l;
        bool alone = 2 * l + 1 == count;
        for (size_t i = 2 * l + AHEAD; i < count && i < 2 * l + AHEAD + 2; i++)
            source_fetch(from, s0 + i, d);
        for (size_t j = 0; j < d; j += PANEL) {
            at_uvec first, second, none = uvec_set(0);
            uvec_weave2(source_load(from, s, j, d), alone ? none : source_load(from, s + 1, j, d), &first,
                        &second);
            uint32_t *to = panels + j * pairs + l * PANEL;
            uvec_store(to, first);
            uvec_store(to + AT_VEC, second);
        }
    }
}
