/* kernel/simd/attend.h - tiles of attention, as forward and backward both need them.
 *
 * Role    Attention goes by blocks of queries and tiles of keys, whose scores live in
 *         scratch; products of tiles are the level's own gemm. Tiles begin at multiples of
 *         KEY_TILE, so what a query gets does not depend on the queries around it.
 * Owns    Nothing; at_tiles points into the caller's scratch.
 * Shapes  scores, slopes (rows, stride); factors (rows, 4 * blocks), blocks of 4 keys.
 * Errors  None.
 *
 *     at_tiles tiles = attend_tiles(a, scratch);
 *     AT_SIMD_NAME(attend_pack)(tiles.keys, a->k, a->k_stride, a->rows, s0, columns, a->d_key, tiles.panel);
 */
#ifndef AT_KERNEL_SIMD_ATTEND_H
#define AT_KERNEL_SIMD_ATTEND_H
#include <math.h>
#include <string.h>
#include "kernel/simd/math.h"
#include "kernel/visible.h"

enum { QUERY_BLOCK = 64, KEY_TILE = 128, WIDEST_PANEL = 32 };

typedef struct at_tiles {
    const at_kernels *table;
    size_t panel, stride;
    float *keys;    /* transposed, in panels: (d_key, columns) */
    float *values;  /* forward: gathered rows (columns, d_value); backward: as keys */
    float *scores;  /* then weights */
    float *slopes;  /* backward: of the weights, then of the scores */
    float *factors; /* of dropout: 0 or 1/(1 - rate) */
} at_tiles;

static inline size_t attend_rounded(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static inline size_t attend_columns(size_t keys)
{
    return keys < KEY_TILE ? attend_rounded(keys, WIDEST_PANEL) : KEY_TILE;
}

/* Needs no more than attend_scratch says for these lengths or longer ones. */
static inline at_tiles attend_tiles(const at_attend *a, float *scratch)
{
    at_tiles t = {.table = AT_SIMD_NAME(kernels)(), .stride = attend_columns(a->keys)};
    size_t rows = a->queries < QUERY_BLOCK ? a->queries : QUERY_BLOCK, area = rows * t.stride;
    t.panel = t.table->panel;
    t.keys = scratch;
    t.values = t.keys + t.stride * a->d_key;
    t.scores = t.values + t.stride * a->d_value;
    t.slopes = t.scores + area;
    t.factors = t.slopes + area;
    return t;
}

/* Every key that some query of [t0,t1) sees lies in the result. */
static inline at_visible attend_range(const at_attend *a, size_t t0, size_t t1)
{
    at_visible all = {a->keys, 0};
    for (size_t t = t0; t < t1; t++) {
        at_visible keys = at_visible_keys(a, t);
        if (keys.end == 0)
            continue;
        all.first = keys.first < all.first ? keys.first : all.first;
        all.end = keys.end > all.end ? keys.end : all.end;
    }
    return all;
}

/* How many of keys [s0, s0+columns) causality leaves to query t, in whole vectors, which is what rows are
 * worked on in: never fewer for a later one. */
static inline size_t attend_reach(const at_attend *a, size_t t, size_t s0, size_t columns)
{
    int64_t end = (int64_t)t + a->past + a->ahead + 1 - (int64_t)s0;
    if (!a->causal || end > (int64_t)columns)
        return columns;
    size_t reach = end > 0 ? attend_rounded((size_t)end, AT_VEC) : 0;
    return reach < columns ? reach : columns;
}

/* Rows that a product of a tile takes at a time: all, but few where the diagonal goes through it, so that
 * little is computed beyond. What is left out is 0 times something: no bit changes. */
static inline size_t attend_strip(const at_attend *a, const at_tiles *tiles, size_t t0, size_t rows,
                                  size_t s0, size_t columns)
{
    return attend_reach(a, t0, s0, columns) < columns ? 2 * tiles->table->tile : rows;
}

/* Does the bias hide every key of [s0, s0+columns) from every query of [t0, t0+rows)? Such a tile adds
 * nothing. */
static inline bool attend_hidden(const at_attend *a, size_t t0, size_t rows, size_t s0, size_t columns)
{
    if (!a->bias)
        return false;
    for (size_t r = 0; r < (a->bias_stride ? rows : 1); r++) {
        const float *bias = at_bias_at(a, t0 + r, s0);
        for (size_t c = 0; c < columns; c++)
            if (bias[c] != -INFINITY)
                return false;
    }
    return true;
}

/* `from` where the column is visible, -INFINITY elsewhere; the vector begins at column c < hi, [lo,hi) is
 * visible. */
AT_INLINE at_vec attend_masked(at_vec from, size_t c, size_t lo, size_t hi)
{
    at_vec none = vec_set(-INFINITY);
    if (c + AT_VEC > hi)
        from = vec_select(vec_first(hi - c), from, none);
    if (c < lo)
        from = vec_select(vec_first(vec_lanes(lo - c)), none, from);
    return from;
}

/* cap(x), see kernel.h */
AT_INLINE at_vec attend_capped(at_vec x, float softcap)
{
    return vec_mul(vec_set(softcap), vec_tanh(vec_div(x, vec_set(softcap))));
}

/* A vector of scaled products becomes scores: soft-cap, bias (of these keys, or NULL), mask. */
AT_INLINE at_vec attend_score(const at_attend *a, at_vec x, const float *bias, size_t c, size_t lo, size_t hi)
{
    if (a->softcap > 0)
        x = attend_capped(x, a->softcap);
    if (bias)
        x = vec_add(x, vec_load_n(bias + c, vec_lanes(hi - c)));
    return attend_masked(x, c, lo, hi);
}

/* Where rows s, s+1, … of `from` are. Rows from `end` on repeat the last one: what comes of them is masked.
 * */
AT_INLINE void attend_rows(const float *at[AT_VEC], const float *from, size_t stride, const int32_t *rows,
                           size_t s, size_t end)
{
    for (size_t i = 0; i < AT_VEC; i++) {
        size_t key = s + i < end ? s + i : end - 1;
        at[i] = from + (rows ? (size_t)rows[key] : key) * stride;
    }
}

/* Columns l, l+1, … of AT_VEC rows the other way round: v[j] holds column l + j of all. */
AT_INLINE void attend_turned(at_vec v[AT_VEC], const float *const at[AT_VEC], size_t l, size_t lanes)
{
#pragma GCC unroll 16
    for (size_t i = 0; i < AT_VEC; i++)
        v[i] = vec_load_n(at[i] + l, lanes);
    vec_transpose(v);
}

/* Rows [s0, s0+columns) of `from` (width d) as panels of their transpose. */
void AT_SIMD_NAME(attend_pack)(float *panels, const float *from, size_t stride, const int32_t *rows,
                               size_t s0, size_t columns, size_t d, size_t panel);
/* factors of rows [t0, t0+rows) and keys [s0, s0+columns); s0 a multiple of 4 */
void AT_SIMD_NAME(attend_factors)(const at_attend *a, float *factors, size_t t0, size_t rows, size_t s0,
                                  size_t columns);
void AT_SIMD_NAME(attend_backward)(const at_attend *a, float *scratch);
#endif
