#include "kernel/simd/attend.h"

/* The weights come back from the scores and the log-sum-exp (Dao et al. 2022, "FlashAttention",
 * arXiv:2205.14135, appendix B); the derivation stands with the reference. Tiles of keys go outside, so
 * that each is turned round once. */

typedef struct block {
    const at_attend *a;
    const at_tiles *tiles;
    size_t t0, rows, s0, columns;
} block;

static float dot(const float *x, const float *y, size_t n)
{
    at_vec sum = vec_zero();
    for (size_t j = 0; j < n; j += AT_VEC) {
        size_t lanes = vec_lanes(n - j);
        sum = vec_fma(vec_load_n(x + j, lanes), vec_load_n(y + j, lanes), sum);
    }
    return vec_sum(sum);
}

/* One row of a tile: what is visible of it, its bias and factors (each may be NULL). */
typedef struct slope {
    const at_attend *a;
    const float *factors, *bias;
    size_t lo, hi, columns;
    float lse, mean;
} slope;

/* Products q·k become weights with dropout, products d_o·v the scaled slopes of the scores. */
AT_INLINE void slope_row(const slope *s, float *x, float *d, bool capped)
{
    at_vec by = vec_set(s->a->scale), middle = vec_set(s->mean), shift = vec_set(s->lse);
    at_vec factor = vec_set(1.0f), one = vec_set(1.0f);
    size_t c = 0;
    for (; c < s->hi; c += AT_VEC) {
        at_vec score = vec_mul(by, vec_load(x + c)), steepness = by;
        if (capped) {
            at_vec level = vec_tanh(vec_div(score, vec_set(s->a->softcap)));
            score = vec_mul(vec_set(s->a->softcap), level);
            steepness = vec_mul(by, vec_fnma(level, level, one));
        }
        if (s->bias)
            score = vec_add(score, vec_load_n(s->bias + c, vec_lanes(s->hi - c)));
        at_vec p = vec_exp(vec_sub(attend_masked(score, c, s->lo, s->hi), shift));
        if (s->factors)
            factor = vec_load(s->factors + c);
        at_vec apart = vec_sub(vec_mul(vec_load(d + c), factor), middle);
        vec_store(x + c, vec_mul(p, factor));
        vec_store(d + c, vec_mul(vec_mul(steepness, p), apart));
    }
    for (; c < s->columns; c += AT_VEC) {
        vec_store(x + c, vec_zero());
        vec_store(d + c, vec_zero());
    }
}

static void slope_rows(const block *b)
{
    const at_attend *a = b->a;
    const at_tiles *tiles = b->tiles;
    for (size_t r = 0; r < b->rows; r++) {
        size_t t = b->t0 + r;
        float lse = a->lse[t * a->lse_stride];
        at_visible keys = lse == -INFINITY ? (at_visible){0, 0} : at_visible_keys(a, t);
        size_t lo = keys.first > b->s0 ? keys.first - b->s0 : 0, hi = keys.end > b->s0 ? keys.end - b->s0 : 0;
        slope s = {.a = a,
                   .factors = a->drop_rate > 0 ? tiles->factors + r * ((b->columns + 3) / 4 * 4) : NULL,
                   .bias = at_bias_at(a, t, b->s0),
                   .lo = lo,
                   .hi = hi < b->columns ? hi : b->columns,
                   .columns = b->columns,
                   .lse = lse,
                   .mean = dot(a->o + t * a->o_stride, a->d_o + t * a->o_stride, a->d_value)};
        if (a->softcap > 0)
            slope_row(&s, tiles->scores + r * tiles->stride, tiles->slopes + r * tiles->stride, true);
        else
            slope_row(&s, tiles->scores + r * tiles->stride, tiles->slopes + r * tiles->stride, false);
    }
}

/* tile = x (rows, d) · packed (d, columns) */
static void tile_product(const block *b, float *tile, const float *x, size_t stride, const float *packed,
                         size_t d)
{
    const at_tiles *t = b->tiles;
    size_t strip = attend_strip(b->a, t, b->t0, b->rows, b->s0, b->columns);
    for (size_t r = 0; r < b->rows; r += strip) {
        size_t rows = b->rows - r < strip ? b->rows - r : strip;
        at_gemm g = {.a = x + r * stride,
                     .a_row = stride,
                     .a_col = 1,
                     .b = packed,
                     .b_row = t->panel,
                     .b_panel = d * t->panel,
                     .c = tile + r * t->stride,
                     .c_row = t->stride,
                     .m = rows,
                     .n = attend_reach(b->a, b->t0 + r + rows - 1, b->s0, b->columns),
                     .k = d};
        if (g.n > 0)
            t->table->gemm(&g, 0, g.m, 0, g.n);
    }
}

/* to (columns, d) += tileᵀ · x (rows, d); only later queries see later keys. */
static void add_to_keys(const block *b, float *to, size_t to_stride, const float *tile, const float *x,
                        size_t x_stride, size_t d)
{
    const at_tiles *t = b->tiles;
    size_t strip = attend_strip(b->a, t, b->t0, b->rows, b->s0, b->columns), first = 0;
    strip = strip == b->rows ? b->columns : strip;
    for (size_t c = 0; c < b->columns; c += strip) {
        while (first < b->rows && attend_reach(b->a, b->t0 + first, b->s0, b->columns) <= c)
            first++;
        at_gemm g = {.a = tile + first * t->stride + c,
                     .a_row = 1,
                     .a_col = t->stride,
                     .b = x + first * x_stride,
                     .b_row = x_stride,
                     .b_panel = t->panel,
                     .c = to + c * to_stride,
                     .c_row = to_stride,
                     .m = b->columns - c < strip ? b->columns - c : strip,
                     .n = d,
                     .k = b->rows - first,
                     .accumulate = true};
        if (g.k > 0)
            t->table->gemm(&g, 0, g.m, 0, g.n);
    }
}

/* d_q (rows, d) += slopes · keys */
static void add_to_queries(const block *b)
{
    const at_attend *a = b->a;
    const at_tiles *t = b->tiles;
    size_t strip = attend_strip(a, t, b->t0, b->rows, b->s0, b->columns);
    for (size_t r = 0; r < b->rows; r += strip) {
        size_t rows = b->rows - r < strip ? b->rows - r : strip;
        at_gemm g = {.a = t->slopes + r * t->stride,
                     .a_row = t->stride,
                     .a_col = 1,
                     .b = a->k + b->s0 * a->k_stride,
                     .b_row = a->k_stride,
                     .b_panel = t->panel,
                     .c = a->d_q + (b->t0 + r) * a->q_stride,
                     .c_row = a->q_stride,
                     .m = rows,
                     .n = a->d_key,
                     .k = attend_reach(a, b->t0 + r + rows - 1, b->s0, b->columns),
                     .accumulate = true};
        if (g.k > 0)
            t->table->gemm(&g, 0, g.m, 0, g.n);
    }
}

static void backward_block(const block *b)
{
    const at_attend *a = b->a;
    const at_tiles *t = b->tiles;
    const float *q = a->q + b->t0 * a->q_stride, *d_o = a->d_o + b->t0 * a->o_stride;
    tile_product(b, t->scores, q, a->q_stride, t->keys, a->d_key);
    tile_product(b, t->slopes, d_o, a->o_stride, t->values, a->d_value);
    if (a->drop_rate > 0)
        AT_SIMD_NAME(attend_factors)(a, t->factors, b->t0, b->rows, b->s0, b->columns);
    slope_rows(b);
    add_to_keys(b, a->d_v + b->s0 * a->v_stride, a->v_stride, t->scores, d_o, a->o_stride, a->d_value);
    add_to_keys(b, a->d_k + b->s0 * a->k_stride, a->k_stride, t->slopes, q, a->q_stride, a->d_key);
    add_to_queries(b);
}

void AT_SIMD_NAME(attend_backward)(const at_attend *a, float *scratch)
{
    at_tiles tiles = attend_tiles(a, scratch);
    for (size_t s0 = 0; s0 < a->keys; s0 += KEY_TILE) {
        size_t left = a->keys - s0 < KEY_TILE ? a->keys - s0 : KEY_TILE;
        AT_SIMD_NAME(attend_pack)(tiles.keys, a->k, a->k_stride, NULL, s0, left, a->d_key, tiles.panel);
        AT_SIMD_NAME(attend_pack)(tiles.values, a->v, a->v_stride, NULL, s0, left, a->d_value, tiles.panel);
        for (size_t t = 0; t < a->queries; t += QUERY_BLOCK) {
            block b = {a, &tiles, t, a->queries - t < QUERY_BLOCK ? a->queries - t : QUERY_BLOCK, s0, left};
            at_visible range = attend_range(a, t, t + b.rows);
            if (range.end <= s0 || range.first >= s0 + left)
                continue;
            b.columns = range.end - s0 < left ? range.end - s0 : left;
            if (attend_hidden(a, t, b.rows, s0, b.columns))
                continue;
            backward_block(&b);
        }
    }
}
