/* kernel/simd/attend.h - tiles of attention, as forward and backward both need them.
 *
 * Role    Attention goes by groups of blocks of queries and by tiles of keys. All that a
 *         tile's products read and add to is first laid out in scratch (queries times the
 *         scale, panels of keys and values, sums), where rows lie behind each other: in the
 *         model they lie a power of two apart and would fight for few lines of the cache.
 *         Tiles begin at multiples of KEY_TILE, so what a query gets does not depend on the
 *         queries around it.
 * Owns    Nothing; at_tiles points into the caller's scratch.
 * Shapes  scores, slopes (rows, stride); factors (rows, 4 * blocks), blocks of 4 keys.
 * Errors  None.
 *
 *     at_tiles tiles = attend_tiles(a, scratch);
 *     AT_SIMD_NAME(attend_turn)(tiles.keys, a->k, a->k_stride, a->rows, s0, columns, a->d_key, 1);
 */
#ifndef AT_KERNEL_SIMD_ATTEND_H
#define AT_KERNEL_SIMD_ATTEND_H
#include <math.h>
#include <string.h>
#include "kernel/simd/math.h"
#include "kernel/simd/tile.h"
#include "kernel/visible.h"

/* A block is a whole number of strips. The keys' panels are laid out once for a group of GROUP blocks. */
enum { STRIPS = AT_VEC == 16 ? 5 : 12, QUERY_BLOCK = STRIPS * ROWS, GROUP = 4, KEY_TILE = 128 };

typedef struct at_tiles {
    size_t stride;               /* of scores and slopes: an odd number of lines of the cache */
    size_t key_width, out_width; /* d_key, d_value in whole panels */
    float *keys;                 /* keys transposed, in panels: (d_key, columns) */
    float *values;               /* forward: panels (columns, d_value); backward: as keys */
    float *queries;              /* (rows, d_key), times the scale; forward: of the group */
    float *scores;               /* then weights */
    float *factors;              /* of dropout: 0 or 1/(1 - rate) */
    float *out;                  /* forward: (rows of the group, out_width) sums of values */
    /* Backward only: */
    float *slopes;                        /* of the weights, then of the scores */
    float *key_rows;                      /* keys times the scale: panels (columns, d_key) */
    float *query_rows;                    /* queries times the scale: panels (rows, d_key) */
    float *d_out, *d_out_rows;            /* (rows, d_value), and as panels */
    float *d_queries, *d_keys, *d_values; /* sums, whole panels wide */
} at_tiles;

static inline size_t attend_rounded(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static inline size_t attend_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Lays a part of n floats behind the others. */
static inline float *attend_take(float *scratch, size_t *floats, size_t n)
{
    float *part = scratch ? scratch + *floats : NULL;
    *floats += attend_rounded(n, 16);
    return part;
}

/* Needs no more for shorter lengths. scratch NULL: only the count of floats is of use. */
static inline size_t attend_lay_out(at_tiles *t, float *scratch, const at_attend *a, bool backward)
{
    size_t columns = attend_rounded(attend_least(a->keys, KEY_TILE), PANEL), floats = 0;
    size_t rows = attend_least(a->queries, QUERY_BLOCK),
           group = attend_least(a->queries, GROUP * QUERY_BLOCK);
    *t = (at_tiles){.stride = attend_rounded(columns, 32) + 16,
                    .key_width = attend_rounded(a->d_key, PANEL),
                    .out_width = attend_rounded(a->d_value, PANEL)};
    t->keys = attend_take(scratch, &floats, columns * a->d_key);
    t->values = attend_take(scratch, &floats, columns * t->out_width);
    t->scores = attend_take(scratch, &floats, rows * t->stride);
    t->factors = attend_take(scratch, &floats, rows * columns + 4 * AT_VEC);
    t->queries = attend_take(scratch, &floats, (backward ? rows : group) * a->d_key);
    if (!backward) {
        t->out = attend_take(scratch, &floats, group * t->out_width);
        return floats;
    }
    t->slopes = attend_take(scratch, &floats, rows * t->stride);
    t->key_rows = attend_take(scratch, &floats, columns * t->key_width);
    t->query_rows = attend_take(scratch, &floats, rows * t->key_width);
    t->d_out = attend_take(scratch, &floats, rows * a->d_value);
    t->d_out_rows = attend_take(scratch, &floats, rows * t->out_width);
    t->d_queries = attend_take(scratch, &floats, rows * t->key_width);
    t->d_keys = attend_take(scratch, &floats, columns * t->key_width);
    t->d_values = attend_take(scratch, &floats, columns * t->out_width);
    return floats;
}

/* Every key that some query of [t0,t1) sees lies in the result. What one sees moves up with the query. */
static inline at_visible attend_range(const at_attend *a, size_t t0, size_t t1)
{
    at_visible low = at_visible_keys(a, t0), high = at_visible_keys(a, t1 - 1), all = {a->keys, 0};
    if (low.end > 0 && high.end > 0)
        return (at_visible){low.first, high.end};
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

/* Does causality hide a key of [s0, s0+columns) from a query from t0 on? Such a tile's products leave out
 * what no row of a strip sees. That is 0 times something: no bit changes. */
static inline bool attend_diagonal(const at_attend *a, size_t t0, size_t s0, size_t columns)
{
    return attend_reach(a, t0, s0, columns) < columns;
}

/* Do all of queries [t0, t0+rows) see all of keys [s0, s0+columns), bias aside? */
static inline bool attend_whole(const at_attend *a, size_t t0, size_t rows, size_t s0, size_t columns)
{
    at_visible first = at_visible_keys(a, t0), last = at_visible_keys(a, t0 + rows - 1);
    return first.end >= s0 + columns && last.end >= s0 + columns && first.first <= s0 && last.first <= s0;
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

/* Columns lo … hi-1 of a tile: what a query sees of it. */
typedef struct at_span {
    size_t lo, hi;
} at_span;

static inline at_span attend_span(const at_attend *a, size_t t, size_t s0, size_t columns)
{
    at_visible keys = at_visible_keys(a, t);
    size_t lo = keys.first > s0 ? keys.first - s0 : 0, hi = keys.end > s0 ? keys.end - s0 : 0;
    return (at_span){lo, hi < columns ? hi : columns};
}

/* Scaled products of a row become scores, -INFINITY where nothing is seen; the largest is that of the
 * result's lanes. */
AT_INLINE at_vec attend_mask(const at_attend *a, float *x, const float *bias, const at_span *seen)
{
    at_vec top = vec_set(-INFINITY);
    size_t c = 0;
    if (!bias && a->softcap == 0 && seen->lo == 0)
        for (; c + AT_VEC <= seen->hi; c += AT_VEC)
            top = vec_max(vec_load(x + c), top);
    for (; c < seen->hi; c += AT_VEC) {
        at_vec score = attend_score(a, vec_load(x + c), bias, c, seen->lo, seen->hi);
        top = vec_max(score, top);
        vec_store(x + c, score);
    }
    return top;
}

/* By what new largest scores make all before them too large. */
AT_INLINE at_vec attend_correction(at_vec last, at_vec best)
{
    at_vec by = vec_select(vec_equal(best, last), vec_set(1.0f), vec_exp_weight(vec_sub(last, best)));
    return vec_select(vec_equal(last, vec_set(-INFINITY)), vec_set(1.0f), by); /* nothing yet: all is 0 */
}

/* Scores of a row become weights exp(score - best), times the factors, zeros from hi on; the sum of the
 * exponentials is that of the result's lanes. */
AT_INLINE at_vec attend_weigh(float *x, const float *factors, size_t hi, size_t columns, float best)
{
    at_vec sum = vec_zero(),
           shift = vec_set(best == -INFINITY ? 0 : best); /* exp(-inf - -inf) would be NaN */
    size_t c = 0;
    if (factors)
        for (; c < hi; c += AT_VEC) {
            at_vec e = vec_exp_weight(vec_sub(vec_load(x + c), shift));
            sum = vec_add(sum, e);
            vec_store(x + c, vec_mul(e, vec_load(factors + c)));
        }
    for (; c < hi; c += AT_VEC) {
        at_vec e = vec_exp_weight(vec_sub(vec_load(x + c), shift));
        sum = vec_add(sum, e);
        vec_store(x + c, e);
    }
    for (; c < columns; c += AT_VEC)
        vec_store(x + c, vec_zero());
    return sum;
}

enum { AHEAD = 8 }; /* rows: they lie far apart, so the CPU does not guess the next one */

/* Brings n floats of a row into the second cache or nearer. */
AT_INLINE void attend_fetch(const float *row, size_t n)
{
    for (size_t j = 0; j < n; j += 16)
        __builtin_prefetch(row + j, 0, 2);
}

/* Where rows s, s+1, … of `from` are. From `end` on they repeat the last one: what comes of them is
 * masked. */
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
    if (lanes == AT_VEC) {
        vec_load_turned(v, at, l);
        return;
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < AT_VEC; i++)
        v[i] = vec_load_n(at[i] + l, lanes);
    vec_transpose(v);
}

/* x[0 … n-1] = s * from */
AT_INLINE void attend_copy(float *x, const float *from, float s, size_t n)
{
    size_t j = 0;
    for (; j + AT_VEC <= n; j += AT_VEC)
        vec_store(x + j, vec_mul(vec_load(from + j), vec_set(s)));
    if (j < n)
        vec_store_n(x + j, vec_mul(vec_load_n(from + j, n - j), vec_set(s)), n - j);
}

/* to (rows, n) = s * from */
AT_INLINE void attend_copy_rows(float *to, const float *from, size_t stride, float s, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++) {
        if (r + AHEAD < rows)
            attend_fetch(from + (r + AHEAD) * stride, n);
        attend_copy(to + r * n, from + r * stride, s, n);
    }
}

/* Rows [s0, s0+columns) of `from` (width d) times s, as panels of their transpose. */
void AT_SIMD_NAME(attend_turn)(float *panels, const float *from, size_t stride, const int32_t *rows,
                               size_t s0, size_t columns, size_t d, float s);
/* Rows [s0, s0+count) of `from` (width d) times s, as panels: panel p at panels + p*count*PANEL. */
void AT_SIMD_NAME(attend_pack)(float *panels, const float *from, size_t stride, const int32_t *rows,
                               size_t s0, size_t count, size_t d, float s);
/* factors of rows [t0, t0+rows) and keys [s0, s0+columns); s0 a multiple of 4 */
void AT_SIMD_NAME(attend_factors)(const at_attend *a, float *factors, size_t t0, size_t rows, size_t s0,
                                  size_t columns);
/* The only query of a. */
void AT_SIMD_NAME(attend_alone)(const at_attend *a, float *scratch);
void AT_SIMD_NAME(attend_weights)(const at_attend *a, size_t t0, size_t t1, at_stage stage, float *out);
void AT_SIMD_NAME(attend_backward)(const at_attend *a, float *scratch);
#endif
