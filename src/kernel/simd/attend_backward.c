#include "kernel/simd/attend_panel.h"

/* The weights come back from the scores and the log-sum-exp (Dao et al. 2022, "FlashAttention",
 * arXiv:2205.14135, appendix B); the derivation stands with the reference. Tiles of keys go outside, so
 * that each is turned round once. Slopes of scores stay without the scale: the queries that they meet bear it
 * already, and so do the rows of keys. */

typedef struct block {
    const at_attend *a;
    const at_tiles *tiles;
    size_t t0, rows, s0;
    size_t columns, laid_out; /* that these queries see; of the whole tile */
    bool diagonal;
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
    at_span seen;
    size_t columns;
    float lse, mean;
} slope;

/* Scaled products q·k become weights with dropout, products d_o·v the slopes of the scores. */
AT_INLINE void slope_row(const slope *s, float *x, float *d, const bool capped, const bool dropped)
{
    at_vec middle = vec_set(s->mean), shift = vec_set(s->lse), one = vec_set(1.0f);
    size_t c = 0;
    for (; c < s->seen.hi; c += AT_VEC) {
        at_vec score = vec_load(x + c), steepness = one;
        if (capped) {
            at_vec level = vec_tanh(vec_div(score, vec_set(s->a->softcap)));
            score = vec_mul(vec_set(s->a->softcap), level);
            steepness = vec_fnma(level, level, one);
        }
        if (s->bias)
            score = vec_add(score, vec_load_n(s->bias + c, vec_lanes(s->seen.hi - c)));
        at_vec p = vec_exp_weight(vec_sub(attend_masked(score, c, s->seen.lo, s->seen.hi), shift));
        at_vec factor = dropped ? vec_load(s->factors + c) : one, raw = vec_load(d + c);
        at_vec apart = vec_sub(dropped ? vec_mul(raw, factor) : raw, middle);
        vec_store(x + c, dropped ? vec_mul(p, factor) : p);
        vec_store(d + c, vec_mul(capped ? vec_mul(steepness, p) : p, apart));
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
    bool whole = attend_whole(a, b->t0, b->rows, b->s0, b->columns);
    for (size_t r = 0; r < b->rows; r++) {
        size_t t = b->t0 + r;
        float *x = tiles->scores + r * tiles->stride, *d = tiles->slopes + r * tiles->stride;
        slope s = {.a = a,
                   .bias = at_bias_at(a, t, b->s0),
                   .seen = whole ? (at_span){0, b->columns} : attend_span(a, t, b->s0, b->columns),
                   .columns = b->columns,
                   .lse = a->lse[t * a->lse_stride],
                   .mean = dot(a->o + t * a->o_stride, tiles->d_out + r * a->d_value, a->d_value)};
        if (s.lse == -INFINITY)
            s.seen.hi = 0;
        if (a->drop_rate > 0)
            s.factors = tiles->factors + r * ((b->columns + 3) / 4 * 4);
        if (a->softcap > 0 && s.factors)
            slope_row(&s, x, d, true, true);
        else if (a->softcap > 0)
            slope_row(&s, x, d, true, false);
        else if (s.factors)
            slope_row(&s, x, d, false, true);
        else
            slope_row(&s, x, d, false, false);
    }
}

/* tile = x (rows, d) · packed (d, columns) */
static void tile_product(const block *b, float *tile, const float *x, const float *packed, size_t d)
{
    at_part parts[STRIPS];
    at_cut c = cut_rows(0, b->rows);
    for (size_t i = 0; b->diagonal && i < c.strips; i++) {
        size_t last = b->t0 + strip_begin(&c, i) + strip_rows(&c, i) - 1;
        parts[i] = (at_part){0, d, attend_reach(b->a, last, b->s0, b->columns)};
    }
    at_tile product = {.a = x,
                       .a_row = d,
                       .a_col = 1,
                       .b = packed,
                       .b_panel = d * PANEL,
                       .c = tile,
                       .c_row = b->tiles->stride,
                       .rows = b->rows,
                       .columns = b->columns,
                       .k = d,
                       .parts = b->diagonal ? parts : NULL};
    AT_SIMD_NAME(tile_multiply)(&product);
}

/* to (columns, width) += tileᵀ · x (rows, d); only later queries see later keys. */
static void add_to_keys(const block *b, float *to, const float *tile, const float *x, size_t d)
{
    at_part parts[KEY_TILE / ROWS + 1];
    at_cut c = cut_rows(0, b->columns);
    size_t first = 0;
    for (size_t i = 0; b->diagonal && i < c.strips; i++) {
        while (first < b->rows && attend_reach(b->a, b->t0 + first, b->s0, b->columns) <= strip_begin(&c, i))
            first++;
        parts[i] = (at_part){first, b->rows, first < b->rows ? d : 0};
    }
    at_tile product = {.a = tile,
                       .a_row = 1,
                       .a_col = b->tiles->stride,
                       .b = x,
                       .b_panel = b->rows * PANEL,
                       .c = to,
                       .c_row = attend_rounded(d, PANEL),
                       .rows = b->columns,
                       .columns = d,
                       .k = b->rows,
                       .accumulate = true,
                       .parts = b->diagonal ? parts : NULL,
                       .strips_outside = true};
    AT_SIMD_NAME(tile_multiply)(&product);
}

/* to (rows, n) += from, whose rows are of whole panels */
static void add_rows(float *to, size_t stride, const float *from, size_t rows, size_t n)
{
    size_t width = attend_rounded(n, PANEL);
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < n; j += AT_VEC) {
            size_t lanes = vec_lanes(n - j);
            float *at = to + r * stride + j;
            vec_store_n(at, vec_add(vec_load_n(at, lanes), vec_load(from + r * width + j)), lanes);
        }
}

/* d_q (rows, d) += slopes · keys */
static void add_to_queries(const block *b)
{
    const at_attend *a = b->a;
    const at_tiles *t = b->tiles;
    at_part parts[STRIPS];
    at_cut c = cut_rows(0, b->rows);
    for (size_t i = 0; b->diagonal && i < c.strips; i++) {
        size_t last = b->t0 + strip_begin(&c, i) + strip_rows(&c, i) - 1;
        parts[i] = (at_part){0, attend_reach(a, last, b->s0, b->columns), a->d_key};
    }
    at_tile product = {.a = t->slopes,
                       .a_row = t->stride,
                       .a_col = 1,
                       .b = t->key_rows,
                       .b_panel = b->laid_out * PANEL,
                       .c = t->d_queries,
                       .c_row = t->key_width,
                       .rows = b->rows,
                       .columns = a->d_key,
                       .k = b->columns,
                       .parts = b->diagonal ? parts : NULL};
    AT_SIMD_NAME(tile_multiply)(&product);
    add_rows(a->d_q + b->t0 * a->q_stride, a->q_stride, t->d_queries, b->rows, a->d_key);
}

static void backward_block(const block *b)
{
    const at_attend *a = b->a;
    const at_tiles *t = b->tiles;
    attend_copy_rows(t->queries, a->q + b->t0 * a->q_stride, a->q_stride, a->scale, b->rows, a->d_key);
    attend_copy_rows(t->d_out, a->d_o + b->t0 * a->o_stride, a->o_stride, 1, b->rows, a->d_value);
    for (size_t r = 0; r < b->rows; r++) { /* read after the products */
        attend_fetch(a->o + (b->t0 + r) * a->o_stride, a->d_value);
        attend_fetch(a->d_q + (b->t0 + r) * a->q_stride, a->d_key);
    }
    tile_product(b, t->scores, t->queries, t->keys, a->d_key);
    tile_product(b, t->slopes, t->d_out, t->values, a->d_value);
    if (a->drop_rate > 0)
        AT_SIMD_NAME(attend_factors)(a, t->factors, b->t0, b->rows, b->s0, b->columns);
    slope_rows(b);
    AT_SIMD_NAME(attend_pack)(t->d_out_rows, t->d_out, a->d_value, NULL, 0, b->rows, a->d_value, 1);
    AT_SIMD_NAME(attend_pack)(t->query_rows, t->queries, a->d_key, NULL, 0, b->rows, a->d_key, 1);
    add_to_keys(b, t->d_values, t->scores, t->d_out_rows, a->d_value);
    add_to_keys(b, t->d_keys, t->slopes, t->query_rows, a->d_key);
    add_to_queries(b);
}

/* Keys [s0, s0+columns) and all queries that see them. */
static void backward_tile(const at_attend *a, const at_tiles *tiles, size_t s0, size_t columns)
{
    bool ready = false;
    for (size_t t = 0; t < a->queries; t += QUERY_BLOCK) {
        block b = {
            .a = a, .tiles = tiles, .t0 = t, .rows = attend_least(a->queries - t, QUERY_BLOCK), .s0 = s0};
        at_visible range = attend_range(a, t, t + b.rows);
        if (range.end <= s0 || range.first >= s0 + columns)
            continue;
        b.columns = attend_least(range.end - s0, columns);
        b.laid_out = columns;
        b.diagonal = attend_diagonal(a, t, s0, b.columns);
        if (attend_hidden(a, t, b.rows, s0, b.columns))
            continue;
        if (!ready) {
            AT_SIMD_NAME(attend_turn)(tiles->keys, a->k, a->k_stride, NULL, s0, columns, a->d_key, 1);
            AT_SIMD_NAME(attend_turn)(tiles->values, a->v, a->v_stride, NULL, s0, columns, a->d_value, 1);
            AT_SIMD_NAME(attend_pack)
            (tiles->key_rows, a->k, a->k_stride, NULL, s0, columns, a->d_key, a->scale);
            for (size_t c = s0; c < s0 + columns; c++) { /* added to in the end */
                attend_fetch(a->d_k + c * a->k_stride, a->d_key);
                attend_fetch(a->d_v + c * a->v_stride, a->d_value);
            }
            memset(tiles->d_keys, 0, columns * tiles->key_width * sizeof(float));
            memset(tiles->d_values, 0, columns * tiles->out_width * sizeof(float));
            ready = true;
        }
        backward_block(&b);
    }
    if (!ready)
        return;
    add_rows(a->d_k + s0 * a->k_stride, a->k_stride, tiles->d_keys, columns, a->d_key);
    add_rows(a->d_v + s0 * a->v_stride, a->v_stride, tiles->d_values, columns, a->d_value);
}

void AT_SIMD_NAME(attend_backward)(const at_attend *a, float *scratch)
{
    if (attend_is_short(a) && a->softcap == 0) {
        AT_SIMD_NAME(attend_short_backward)(a, scratch);
        return;
    }
    at_tiles tiles;
    attend_lay_out(&tiles, scratch, a, true);
    for (size_t s0 = 0; s0 < a->keys; s0 += KEY_TILE)
        backward_tile(a, &tiles, s0, attend_least(a->keys - s0, KEY_TILE));
}
