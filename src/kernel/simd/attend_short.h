/* kernel/simd/attend_short.h - attention of short sequences: all keys in one tile, narrow heads.
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
#ifndef AT_KERNEL_SIMD_ATTEND_SHORT_H
#define AT_KERNEL_SIMD_ATTEND_SHORT_H
#include "kernel/simd/attend.h"

enum { SHORT_WIDTH = 64 }; /* of heads, measured: wider, the tiles are as fast */

/* Queries t0 … t0+rows-1, which see no key behind `keys`; [0,clear) all see, and nothing is done to these
 * keys' products. */
typedef struct at_panel {
    const at_attend *a;
    size_t t0, rows, keys, clear;
    float *queries; /* times the scale */
    float *weights; /* scores before */
    float *factors; /* of dropout, or NULL */
    float *bias;    /* or NULL; of one row for all queries, as it is */
} at_panel;

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
    lo = !a->causal || lo < 0 ? 0 : lo > PANEL ? PANEL : lo;
    hi = a->window <= 0 || hi > PANEL ? PANEL : hi < 0 ? 0 : hi;
    return (at_span){(size_t)lo, (size_t)hi};
}

/* A vector of products with key s, of lanes c …, becomes scores. */
AT_INLINE at_vec panel_score(const at_panel *p, at_vec x, size_t s, size_t c)
{
    const at_attend *a = p->a;
    if (a->softcap > 0)
        x = attend_capped(x, a->softcap);
    if (p->bias)
        x = vec_add(x, a->bias_stride ? vec_load(p->bias + s * PANEL + c) : vec_set(p->bias[s]));
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

/* Queries from t0 on: their numbers, and products with all keys that any of them sees. */
void AT_SIMD_NAME(panel_begin)(at_panel *p, size_t t0);
size_t AT_SIMD_NAME(attend_short_scratch)(size_t queries, size_t keys, size_t d_key, size_t d_value);
void AT_SIMD_NAME(attend_short)(const at_attend *a, float *scratch);
#endif
