#include "kernel/simd/attend_dots.h"

/* Attention in bf16 by dot products, backward; the derivation stands with the reference. Five products of
 * numbers rounded to bf16, sums in fp32: scores and slopes of weights of a strip of queries, from which
 * weights and slopes of scores come; with these, gradients of the strip's queries, and, once a block of
 * queries is through, of values and keys. Tiles of keys go outside, so that each is laid out once. The
 * scale is applied to sums: of scores, and in the end of gradients.
 *
 * What is summed over queries needs pairs of rows: weights and slopes are written as such, slopes in rows
 * too. */
enum { STRIP_PAIRS = ROWS / 2, BLOCK_STRIPS = 8, BLOCK = BLOCK_STRIPS * ROWS };
enum { WOVEN = KEY_TILE + 16 }; /* pairs in a row of pairs of rows: an odd number of lines of the cache */

typedef struct tiles {
    size_t key_width, out_width; /* d_key, d_value in whole panels */
    /* Of a tile of keys: */
    uint32_t *keys, *values; /* turned round */
    uint32_t *key_rows;      /* woven */
    float *d_keys, *d_values;
    /* Of a block of queries: */
    uint32_t *queries, *d_out;              /* rows */
    uint32_t *query_rows, *d_out_rows;      /* woven */
    uint32_t *woven_weights, *woven_slopes; /* (BLOCK / 2, WOVEN) */
    uint32_t *slope_rows;                   /* (BLOCK, PAIRS) */
    /* Of a strip: */
    float *scores, *slopes; /* (ROWS, SCORES) */
    float *factors;         /* of dropout */
    /* Of all queries: */
    float *d_queries; /* (queries, key_width): sums */
    float *means;     /* (queries): o · d_o */
} tiles;

/* Needs no more for shorter lengths. scratch NULL: only the count of floats is of use. */
static size_t lay_out(tiles *t, float *scratch, const at_attend *a)
{
    size_t rows = attend_least(a->queries, BLOCK), columns = attend_least(a->keys, KEY_TILE), floats = 0,
           padded = attend_rounded(columns, PANEL), pairs = dots_pairs(rows);
    *t =
        (tiles){.key_width = attend_rounded(a->d_key, PANEL), .out_width = attend_rounded(a->d_value, PANEL)};
    t->keys = dots_take(scratch, &floats, padded * dots_pairs(a->d_key));
    t->values = dots_take(scratch, &floats, padded * dots_pairs(a->d_value));
    t->key_rows = dots_take(scratch, &floats, dots_pairs(columns) * t->key_width);
    t->d_keys = attend_take(scratch, &floats, columns * t->key_width);
    t->d_values = attend_take(scratch, &floats, columns * t->out_width);
    t->queries = dots_take(scratch, &floats, rows * t->key_width / 2);
    t->d_out = dots_take(scratch, &floats, rows * t->out_width / 2);
    t->query_rows = dots_take(scratch, &floats, pairs * t->key_width);
    t->d_out_rows = dots_take(scratch, &floats, pairs * t->out_width);
    t->woven_weights = dots_take(scratch, &floats, pairs * WOVEN);
    t->woven_slopes = dots_take(scratch, &floats, pairs * WOVEN);
    t->slope_rows = dots_take(scratch, &floats, 2 * pairs * PAIRS);
    t->scores = attend_take(scratch, &floats, ROWS * SCORES);
    t->slopes = attend_take(scratch, &floats, ROWS * SCORES);
    t->factors = attend_take(scratch, &floats, ROWS * KEY_TILE + 4 * AT_VEC);
    t->d_queries = attend_take(scratch, &floats, a->queries * t->key_width);
    t->means = attend_take(scratch, &floats, a->queries);
    return floats;
}

/* Queries [t0, t0+rows) against keys [s0, s0+columns), which are what they see of the tile. */
typedef struct block {
    const at_attend *a;
    const tiles *t;
    size_t t0, rows, s0, columns, laid_out;
    bool diagonal, fresh; /* sums for keys begin here */
} block;

/* Queries row … row+rows-1 of a block; an even row. */
typedef struct strip {
    size_t row, rows, columns;
    bool whole; /* all see all of the columns */
} strip;

/* One row of a strip. */
typedef struct slope {
    const at_attend *a;
    float *x, *d; /* scores and slopes of the weights: products */
    const float *factors, *bias;
    at_span seen;
    float unit, lse, mean; /* lse in units of ln 2 */
} slope;

typedef struct slope_pair {
    at_vec weight, slope; /* of the score */
} slope_pair;

/* Columns c … of a row that sees all of them, with nothing but a scale between product and score. */
AT_INLINE slope_pair slope_plain(const slope *s, size_t c)
{
    at_vec p = vec_exp2_weight(vec_fma(vec_load(s->x + c), vec_set(s->unit), vec_set(-s->lse)));
    return (slope_pair){p, vec_mul(p, vec_sub(vec_load(s->d + c), vec_set(s->mean)))};
}

AT_INLINE slope_pair slope_any(const slope *s, size_t c)
{
    if (c >= s->seen.hi)
        return (slope_pair){vec_zero(), vec_zero()};
    at_vec score = vec_mul(vec_load(s->x + c), vec_set(s->a->scale)), steepness = vec_set(1.0f);
    if (s->a->softcap > 0) {
        at_vec level = vec_tanh(vec_div(score, vec_set(s->a->softcap)));
        score = vec_mul(vec_set(s->a->softcap), level);
        steepness = vec_fnma(level, level, steepness);
    }
    if (s->bias)
        score = vec_add(score, vec_load_n(s->bias + c, vec_lanes(s->seen.hi - c)));
    score = attend_masked(score, c, s->seen.lo, s->seen.hi);
    at_vec p = vec_exp2_weight(vec_fma(score, vec_set(LOG2_E), vec_set(-s->lse)));
    at_vec factor = s->factors ? vec_load(s->factors + c) : vec_set(1.0f);
    at_vec apart = vec_sub(vec_mul(vec_load(s->d + c), factor), vec_set(s->mean));
    return (slope_pair){vec_mul(p, factor), vec_mul(vec_mul(steepness, p), apart)};
}

/* Two rows: their weights and slopes as pairs, slopes as rows too, over `width` columns. */
AT_INLINE void slope_rows(const block *b, const slope s[2], size_t row, size_t width, const bool plain)
{
    const tiles *t = b->t;
    uint32_t *weights = t->woven_weights + row / 2 * WOVEN, *slopes = t->woven_slopes + row / 2 * WOVEN,
             *rows = t->slope_rows + row * PAIRS;
    for (size_t c = 0; c < width; c += AT_VEC) {
        slope_pair first = plain ? slope_plain(&s[0], c) : slope_any(&s[0], c),
                   second = plain ? slope_plain(&s[1], c) : slope_any(&s[1], c);
        at_uvec both = uvec_narrow(first.slope, second.slope);
        uvec_store(weights + c, uvec_weave(uvec_narrow(first.weight, second.weight)));
        uvec_store(slopes + c, uvec_weave(both));
        uvec_store_halves(rows + c / 2, rows + PAIRS + c / 2, both);
    }
    for (size_t c = width; c < b->columns; c += AT_VEC) { /* behind the diagonal */
        uvec_store(weights + c, uvec_set(0));
        uvec_store(slopes + c, uvec_set(0));
    }
}

static slope slope_of(const block *b, const strip *s, size_t r)
{
    const at_attend *a = b->a;
    size_t t = b->t0 + s->row + r;
    slope row = {
        .a = a, .x = b->t->scores + r * SCORES, .d = b->t->slopes + r * SCORES, .unit = a->scale * LOG2_E};
    if (r >= s->rows)
        return row; /* sees nothing */
    row.bias = at_bias_at(a, t, b->s0);
    row.factors = a->drop_rate > 0 ? b->t->factors + r * attend_rounded(s->columns, 4) : NULL;
    row.seen = s->whole ? (at_span){0, s->columns} : attend_span(a, t, b->s0, s->columns);
    row.lse = a->lse[t * a->lse_stride] * LOG2_E;
    row.mean = b->t->means[t];
    if (row.lse == -INFINITY)
        row.seen.hi = 0;
    return row;
}

static void slope_strip(const block *b, const strip *s)
{
    const at_attend *a = b->a;
    bool plain = s->whole && s->columns % AT_VEC == 0 && !a->bias && a->softcap == 0 && a->drop_rate == 0;
    size_t width = attend_rounded(s->columns, AT_VEC);
    for (size_t r = 0; r < s->rows; r += 2) {
        slope both[2] = {slope_of(b, s, r), slope_of(b, s, r + 1)};
        if (plain && both[0].seen.hi && both[1].seen.hi)
            slope_rows(b, both, s->row + r, width, true);
        else
            slope_rows(b, both, s->row + r, width, false);
    }
}

/* tile = rows of the strip (d) · keys or values */
static void tile_product(const strip *s, float *tile, const uint32_t *rows, const uint32_t *turned, size_t d)
{
    at_dots product = {.a = rows + s->row * dots_row(d),
                       .a_row = dots_row(d),
                       .a_col = 1,
                       .b = turned,
                       .b_panel = dots_pairs(d) * PANEL,
                       .c = tile,
                       .c_row = SCORES,
                       .rows = s->rows,
                       .columns = s->columns,
                       .pairs = dots_pairs(d)};
    AT_SIMD_NAME(dots_multiply)(&product);
}

static void backward_strip(const block *b, strip *s)
{
    const at_attend *a = b->a;
    const tiles *t = b->t;
    size_t t0 = b->t0 + s->row;
    s->columns = attend_reach(a, t0 + s->rows - 1, b->s0, b->columns);
    s->whole = attend_whole(a, t0, s->rows, b->s0, s->columns);
    tile_product(s, t->scores, t->queries, t->keys, a->d_key);
    tile_product(s, t->slopes, t->d_out, t->values, a->d_value);
    if (a->drop_rate > 0)
        AT_SIMD_NAME(attend_factors)(a, t->factors, t0, s->rows, b->s0, s->columns);
    slope_strip(b, s);
    at_dots product = {.a = t->slope_rows + s->row * PAIRS,
                       .a_row = PAIRS,
                       .a_col = 1,
                       .b = t->key_rows,
                       .b_panel = dots_pairs(b->laid_out) * PANEL,
                       .c = t->d_queries + t0 * t->key_width,
                       .c_row = t->key_width,
                       .rows = s->rows,
                       .columns = a->d_key,
                       .pairs = dots_pairs(s->columns),
                       .accumulate = true};
    AT_SIMD_NAME(dots_multiply)(&product);
}

/* to (columns, d) += pairs of rows, turned round · woven; only later queries see later keys. */
static void add_to_keys(const block *b, float *to, const uint32_t *pairs, const uint32_t *woven, size_t d)
{
    at_cut c = cut_rows(0, b->columns);
    size_t first = 0, all = dots_pairs(b->rows);
    for (size_t i = 0; i < c.strips; i++) {
        size_t column = strip_begin(&c, i);
        while (b->diagonal && first < all &&
               attend_reach(b->a, b->t0 + 2 * first + 1, b->s0, b->columns) <= column)
            first++;
        at_dots product = {.a = pairs + first * WOVEN + column,
                           .a_row = 1,
                           .a_col = WOVEN,
                           .b = woven + first * PANEL,
                           .b_panel = all * PANEL,
                           .c = to + column * attend_rounded(d, PANEL),
                           .c_row = attend_rounded(d, PANEL),
                           .rows = strip_rows(&c, i),
                           .columns = d,
                           .pairs = all - first,
                           .accumulate = !b->fresh};
        AT_SIMD_NAME(dots_multiply)(&product);
    }
}

static void backward_block(const block *b)
{
    const at_attend *a = b->a;
    const tiles *t = b->t;
    at_source q = {a->q16, a->q, a->q_stride, NULL}, d_o = {a->d_o16, a->d_o, a->o_stride, NULL};
    AT_SIMD_NAME(dots_copy)(t->queries, &q, b->t0, b->rows, a->d_key);
    AT_SIMD_NAME(dots_copy)(t->d_out, &d_o, b->t0, b->rows, a->d_value);
    at_source q_rows = {(at_bf16 *)(void *)t->queries, NULL, t->key_width, NULL},
              d_o_rows = {(at_bf16 *)(void *)t->d_out, NULL, t->out_width, NULL};
    AT_SIMD_NAME(dots_weave)(t->query_rows, &q_rows, 0, b->rows, a->d_key);
    AT_SIMD_NAME(dots_weave)(t->d_out_rows, &d_o_rows, 0, b->rows, a->d_value);
    size_t pairs = dots_pairs(b->rows), strips = (pairs + STRIP_PAIRS - 1) / STRIP_PAIRS, row = 0;
    for (size_t i = 0; i < strips; i++) {
        size_t rows = 2 * (pairs / strips + (i < pairs % strips));
        strip s = {.row = row, .rows = attend_least(rows, b->rows - row)};
        backward_strip(b, &s);
        row += rows;
    }
    add_to_keys(b, t->d_values, t->woven_weights, t->d_out_rows, a->d_value);
    add_to_keys(b, t->d_keys, t->woven_slopes, t->query_rows, a->d_key);
}

/* s x, of whole panels, to a row of n numbers: added to `sums` where these are given, and rounded in `to`. */
static void write_row(at_bf16 *to, float *sums, const float *x, float s, size_t n)
{
    at_vec by = vec_set(s);
    for (size_t j = 0; j < n; j += PANEL) {
        at_vec first = vec_mul(by, vec_load(x + j)), second = vec_zero();
        size_t left = n - j, low = vec_lanes(left), high = left > AT_VEC ? vec_lanes(left - AT_VEC) : 0;
        if (sums) {
            first = vec_add(first, vec_load_n(sums + j, low));
            vec_store_n(sums + j, first, low);
        }
        if (high) {
            second = vec_mul(by, vec_load(x + j + AT_VEC));
            if (sums) {
                second = vec_add(second, vec_load_n(sums + j + AT_VEC, high));
                vec_store_n(sums + j + AT_VEC, second, high);
            }
        }
        if (to)
            uvec_store_pairs_n(to + j, uvec_narrow(first, second), attend_least(left, PANEL));
    }
}

/* The tile's sums to where gradients belong. */
static void finish_tile(const at_attend *a, const tiles *t, size_t s0, size_t columns)
{
    size_t k_sums = a->k16 ? a->d_key : a->k_stride, v_sums = a->k16 ? a->d_value : a->v_stride;
    for (size_t c = 0; c < columns; c++) {
        size_t s = s0 + c;
        write_row(a->d_k16 ? a->d_k16 + s * a->k_stride : NULL, a->d_k ? a->d_k + s * k_sums : NULL,
                  t->d_keys + c * t->key_width, a->scale, a->d_key);
        write_row(a->d_v16 ? a->d_v16 + s * a->v_stride : NULL, a->d_v ? a->d_v + s * v_sums : NULL,
                  t->d_values + c * t->out_width, 1, a->d_value);
    }
}

/* Keys [s0, s0+columns) and all queries that see them, in blocks of `rows`. */
static void backward_tile(const at_attend *a, const tiles *t, size_t rows, size_t s0, size_t columns)
{
    bool ready = false;
    for (size_t t0 = 0; t0 < a->queries; t0 += rows) {
        block b = {.a = a, .t = t, .t0 = t0, .rows = attend_least(a->queries - t0, rows), .s0 = s0};
        at_visible range = attend_range(a, t0, t0 + b.rows);
        if (range.end <= s0 || range.first >= s0 + columns)
            continue;
        b.columns = attend_least(range.end - s0, columns);
        b.laid_out = columns;
        b.diagonal = attend_diagonal(a, t0, s0, b.columns);
        if (attend_hidden(a, t0, b.rows, s0, b.columns))
            continue;
        if (!ready) {
            at_source k = {a->k16, a->k, a->k_stride, NULL}, v = {a->v16, a->v, a->v_stride, NULL};
            AT_SIMD_NAME(dots_turn)(t->keys, &k, s0, columns, a->d_key);
            AT_SIMD_NAME(dots_turn)(t->values, &v, s0, columns, a->d_value);
            AT_SIMD_NAME(dots_weave)(t->key_rows, &k, s0, columns, a->d_key);
            b.fresh = b.columns == columns && !b.diagonal;
        }
        if (!ready && !b.fresh) {
            memset(t->d_keys, 0, columns * t->key_width * sizeof(float));
            memset(t->d_values, 0, columns * t->out_width * sizeof(float));
        }
        ready = true;
        backward_block(&b);
    }
    if (!ready) {
        memset(t->d_keys, 0, columns * t->key_width * sizeof(float));
        memset(t->d_values, 0, columns * t->out_width * sizeof(float));
    }
    finish_tile(a, t, s0, columns);
}

/* o · d_o of a query, to be summed over lanes: d_o as the products have it, o as it is. */
static at_vec mean_of(const at_attend *a, size_t t)
{
    at_vec sum = vec_zero();
    size_t at = t * a->o_stride;
    for (size_t j = 0; a->o16 && j < a->d_value; j += PANEL) {
        size_t n = attend_least(a->d_value - j, PANEL);
        sum = vec_dot_pairs(uvec_load_pairs_n(a->o16 + at + j, n), uvec_load_pairs_n(a->d_o16 + at + j, n),
                            sum);
    }
    for (size_t j = 0; !a->o16 && j < a->d_value; j += AT_VEC) {
        size_t lanes = vec_lanes(a->d_value - j);
        sum = vec_fma(vec_load_n(a->o + at + j, lanes), vec_round_bf16(vec_load_n(a->d_o + at + j, lanes)),
                      sum);
    }
    return sum;
}

static void find_means(const at_attend *a, float *means)
{
    for (size_t t0 = 0; t0 < a->queries; t0 += AT_VEC) {
        at_vec sum[AT_VEC];
        for (size_t i = 0; i < AT_VEC; i++)
            sum[i] = t0 + i < a->queries ? mean_of(a, t0 + i) : vec_zero();
        vec_store_n(means + t0, vec_fold(sum, false), vec_lanes(a->queries - t0));
    }
}

void AT_SIMD_NAME(attend_dots_backward)(const at_attend *a, float *scratch)
{
    tiles t;
    lay_out(&t, scratch, a);
    find_means(a, t.means);
    memset(t.d_queries, 0, a->queries * t.key_width * sizeof(float));
    size_t blocks = (a->queries + BLOCK - 1) / BLOCK;
    size_t rows = blocks ? attend_rounded((a->queries + blocks - 1) / blocks, 2) : 0;
    for (size_t s0 = 0; s0 < a->keys; s0 += KEY_TILE)
        backward_tile(a, &t, rows, s0, attend_least(a->keys - s0, KEY_TILE));
    for (size_t i = 0; i < a->queries; i++)
        write_row(a->d_q16 ? a->d_q16 + i * a->q_stride : NULL, a->d_q ? a->d_q + i * a->q_stride : NULL,
                  t.d_queries + i * t.key_width, a->scale, a->d_key);
}

size_t AT_SIMD_NAME(attend_dots_backward_scratch)(size_t queries, size_t keys, size_t d_key, size_t d_value)
{
    at_attend a = {.queries = queries, .keys = keys, .d_key = d_key, .d_value = d_value};
    tiles t;
    return lay_out(&t, NULL, &a);
}
