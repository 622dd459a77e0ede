#include <string.h>
#include "kernel/simd/tile.h"

static void widen(float *out, const at_bf16 *a, size_t n)
{
    for (size_t i = 0; i < n; i += AT_VEC)
        vec_store_n(out + i, vec_widen_n(a + i, vec_lanes(n - i)), vec_lanes(n - i));
}

static void narrow(at_bf16 *out, const float *a, size_t n)
{
    for (size_t i = 0; i < n; i += AT_VEC)
        vec_narrow_n(out + i, vec_load_n(a + i, vec_lanes(n - i)), vec_lanes(n - i));
}

static void round_bf16(float *out, const float *a, size_t n)
{
    for (size_t i = 0; i < n; i += AT_VEC) {
        size_t lanes = vec_lanes(n - i);
        vec_store_n(out + i, vec_round_bf16(vec_load_n(a + i, lanes)), lanes);
    }
}

/* Part of a row, in bf16 or in fp32 to be rounded: which of the two is a constant where this is inlined. */
AT_INLINE at_vec row_part(const at_bf16 *narrow, const float *wide, size_t at, size_t lanes)
{
    return narrow ? vec_widen_n(narrow + at, lanes) : vec_round_bf16(vec_load_n(wide + at, lanes));
}

/* One panel of rows that lie as they should: two of them woven. */
AT_INLINE void weave_panel(at_bf16 *out, const at_bf16 *narrow, const float *wide, size_t b_row, size_t k,
                           size_t width)
{
    for (size_t l = 0; l < k; l += 2, out += 2 * PANEL)
#pragma GCC unroll 4
        for (size_t v = 0; v < VECS; v++) {
            size_t begin = v * AT_VEC, lanes = width <= begin ? 0 : vec_lanes(width - begin);
            at_vec first = row_part(narrow, wide, l * b_row + begin, lanes), second = vec_zero();
            if (l + 1 < k)
                second = row_part(narrow, wide, (l + 1) * b_row + begin, lanes);
            uvec_store((uint32_t *)(void *)(out + 2 * begin), uvec_pairs(first, second));
        }
}

/* One panel of a transposed matrix, whose pairs are neighbours already: a square of AT_VEC pairs of AT_VEC
 * columns at a time. */
static void turn_panel(at_bf16 *out, const at_bf16 *b, size_t b_col, size_t k, size_t width)
{
    size_t whole = width == PANEL ? k / (2 * AT_VEC) * (2 * AT_VEC) : 0;
    for (size_t l = 0; l < whole; l += 2 * AT_VEC)
        for (size_t j = 0; j < PANEL; j += AT_VEC) {
            at_vec v[AT_VEC];
#pragma GCC unroll 16
            for (size_t i = 0; i < AT_VEC; i++)
                v[i] = vec_load((const float *)(const void *)(b + (j + i) * b_col + l));
            vec_transpose(v);
#pragma GCC unroll 16
            for (size_t i = 0; i < AT_VEC; i++)
                vec_store((float *)(void *)(out + (l / 2 + i) * 2 * PANEL + 2 * j), v[i]);
        }
    if (whole == k)
        return;
    memset(out + whole * PANEL, 0, (at_bf16_panel(PANEL, k) - whole * PANEL) * sizeof *out);
    for (size_t j = 0; j < width; j++)
        for (size_t l = whole; l < k; l++)
            out[l / 2 * 2 * PANEL + 2 * j + l % 2] = b[l + j * b_col];
}

/* Any other way. */
static void pick_panel(at_bf16 *out, const at_bf16 *b, size_t b_row, size_t b_col, size_t k, size_t width)
{
    memset(out, 0, at_bf16_panel(PANEL, k) * sizeof *out);
    for (size_t l = 0; l < k; l++)
        for (size_t j = 0; j < width; j++)
            out[l / 2 * 2 * PANEL + 2 * j + l % 2] = b[l * b_row + j * b_col];
}

static void pack_bf16(at_bf16 *out, const at_bf16 *b, size_t b_row, size_t b_col, size_t k, size_t n,
                      size_t p0, size_t p1)
{
    size_t size = at_bf16_panel(PANEL, k);
    for (size_t p = p0; p < p1; p++) {
        size_t left = n - p * PANEL, width = left < PANEL ? left : PANEL;
        const at_bf16 *from = b + p * PANEL * b_col;
        if (b_col == 1)
            weave_panel(out + p * size, from, NULL, b_row, k, width);
        else if (b_row == 1)
            turn_panel(out + p * size, from, b_col, k, width);
        else
            pick_panel(out + p * size, from, b_row, b_col, k, width);
    }
}

static void pack_narrow(at_bf16 *out, const float *b, size_t b_row, size_t k, size_t n, size_t p0, size_t p1)
{
    size_t size = at_bf16_panel(PANEL, k);
    for (size_t p = p0; p < p1; p++) {
        size_t left = n - p * PANEL;
        weave_panel(out + p * size, NULL, b + p * PANEL, b_row, k, left < PANEL ? left : PANEL);
    }
}

void AT_SIMD_NAME(fill_bf16)(at_kernels *table)
{
    table->widen = widen;
    table->narrow = narrow;
    table->round_bf16 = round_bf16;
    table->pack_bf16 = pack_bf16;
    table->pack_narrow = pack_narrow;
}
