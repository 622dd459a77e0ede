/* kernel/simd/attend_panel.h - attention of short sequences: all keys in one tile, narrow heads.
 *
 * Role    A panel of queries at a time. Scores lie the other way round than in attend.h's tiles, a key a
 *         row and a query a lane: maxima and sums go down the rows and nothing is turned but the
 *         queries; keys, values and outputs are read and written where they lie. The rest of the tiles'
 *         ways, corrections of what came before and sums put by, falls away.
 * Owns    Nothing; parts point into the caller's scratch.
 * Shapes  queries (d_key, PANEL), weights and bias (keys, PANEL).
 * Errors  None.
 * Numbers Forward, chains and order of sums are those of attend.c: the same bits, so that which of the two
 *         runs is a matter of speed alone.
 *
 *     if (attend_is_short(a))
 *         AT_SIMD_NAME(attend_short)(a, scratch);
 */
#ifndef AT_KERNEL_SIMD_ATTEND_PANEL_H
#define AT_KERNEL_SIMD_ATTEND_PANEL_H
#include "kernel/simd/attend.h"

enum { SHORT_WIDTH = 64 }; /* of heads: what the registers and the first caches are shared out for */
/* Rows of a right side that are read where they lie. Short strips come by more often, and then rows that lie
 * far apart in the cache cost more than a copy. */
enum { PLAIN_ROWS = ROWS > 8 ? KEY_TILE : 64 };

/* Queries t0 … t0+rows-1, which see no key behind `keys`; [0,clear) all see, and nothing is done to these
 * keys' products. */
typedef struct at_panel {
    const at_attend *a;
    size_t t0, rows, keys, clear;
    size_t stride;  /* of weights and factors: rows in whole panels */
    float *queries; /* times the scale, turned */
    float *weights; /* scores before */
    float *factors; /* of dropout */
    float *bias;    /* turned, where each query has a row */
} at_panel;

/* out (keys, stride) = rows (keys, d) · turned (d, lanes) */
typedef struct at_lanes_product {
    const float *rows, *turned;
    size_t stride, d;
    float *out;
    at_ahead ahead[2]; /* while the first lanes are multiplied */
} at_lanes_product;

/* Rows as the right side of a product. */
typedef struct at_panel_rows {
    const float *rows;
    size_t row, panel; /* as b_row and b_panel of a tile */
} at_panel_rows;

static inline bool attend_is_short(const at_attend *a)
{
    return a->keys <= KEY_TILE && a->queries > 1 && a->d_key <= SHORT_WIDTH && a->d_value <= SHORT_WIDTH &&
           !a->rows;
}

/* The first key behind those that queries up to t see. */
static inline size_t panel_end(const at_attend *a, size_t t)
{
    int64_t end = (int64_t)t + a->past + a->ahead + 1;
    if (!a->causal || end > (int64_t)a->keys)
        return a->keys;
    return end > 0 ? (size_t)end : 0;
}

/* Lanes [lo,hi) of a panel see key s. */
static inline at_span panel_lanes(const at_panel *p, size_t s)
{
    const at_attend *a = p->a;
    int64_t own = (int64_t)s - a->past - (int64_t)p->t0, lo = own - a->ahead, hi = own + a->window;
    int64_t all = (int64_t)p->stride;
    lo = !a->causal || lo < 0 ? 0 : lo > all ? all : lo;
    hi = a->window <= 0 || hi > all ? all : hi < 0 ? 0 : hi;
    return (at_span){(size_t)lo, (size_t)hi};
}

static inline const float *panel_bias(const at_panel *p, size_t s, size_t c)
{
    return p->bias + c / PANEL * PANEL * p->keys + s * PANEL + c % PANEL;
}

/* A vector of products with key s, of lanes c …, becomes scores. */
AT_INLINE at_vec panel_score(const at_panel *p, at_vec x, size_t s, size_t c)
{
    const at_attend *a = p->a;
    if (a->softcap > 0)
        x = attend_capped(x, a->softcap);
    if (a->bias)
        x = vec_add(x, a->bias_stride ? vec_load(panel_bias(p, s, c)) : vec_set(a->bias[s]));
    at_span seen = panel_lanes(p, s);
    at_vec none = vec_set(-INFINITY);
    if (seen.lo > c)
        x = vec_select(vec_first(vec_lanes(seen.lo - c)), none, x);
    if (seen.hi < c + AT_VEC)
        x = vec_select(vec_first(seen.hi > c ? seen.hi - c : 0), x, none);
    return x;
}

/* Brings what a head reads, and what it writes, nearer. */
AT_INLINE void panel_fetch(const float *rows, size_t stride, size_t count, size_t d)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < d; j += LINE)
            __builtin_prefetch(rows + i * stride + j, 0, 3);
}

/* What comes a strip later. */
static inline at_ahead panel_behind(const float *rows, size_t stride, size_t count, size_t d)
{
    return (at_ahead){rows + ROWS * stride, stride, count > ROWS ? count - ROWS : 0, d};
}

/* Of the rows' length `own` is as long as whole panels; they are copied there only if need be. */
static inline at_panel_rows panel_rows(float *own, const float *rows, size_t stride, size_t count, size_t d)
{
    if (tile_plain(d) && count <= PLAIN_ROWS)
        return (at_panel_rows){rows, stride, PANEL};
    AT_SIMD_NAME(attend_pack)(own, rows, stride, NULL, 0, count, d, 1);
    return (at_panel_rows){own, 0, count * PANEL};
}

/* Room for `rows` queries; returns the floats used. */
size_t AT_SIMD_NAME(panel_lay_out)(at_panel *p, float *scratch, const at_attend *a, size_t rows);
/* Up to `rows` queries from t0 on. */
void AT_SIMD_NAME(panel_begin)(at_panel *p, size_t t0, size_t rows);
/* Where some query of a vector sees the key; elsewhere nothing is written. */
void AT_SIMD_NAME(panel_multiply)(const at_panel *p, const at_lanes_product *x);
void AT_SIMD_NAME(attend_short)(const at_attend *a, float *scratch);
void AT_SIMD_NAME(attend_short_backward)(const at_attend *a, float *scratch);
size_t AT_SIMD_NAME(attend_short_scratch)(size_t queries, size_t keys, size_t d_key, size_t d_value);
#endif
