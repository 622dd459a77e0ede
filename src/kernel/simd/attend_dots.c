#include "kernel/simd/attend_dots.h"

/* Attention in bf16 by dot products, forward. Queries, keys, values and the weights exp(score - largest)
 * are rounded to bf16; sums are fp32. The scale is applied to the sums. What the weights are divided by is
 * the sum of the unrounded ones: so the log-sum-exp is that of the scores, from which backward makes the
 * weights again, and roundings of weights, up as often as down, cancel in the output. */
enum { GROUP_STRIPS = 40, GROUP_ROWS = GROUP_STRIPS * ROWS };
enum { FEW = 2 }; /* queries before keys in bf16 that the level's own attention does: attend_bf16.c */

/* The first of rows that share the layout of a tile of keys, and what they know so far, as in attend.c: a
 * strip's in one vector each. Scores in units of ln 2. */
typedef struct strip {
    size_t t0, rows, in_group;
    bool begun;
    float best[AT_VEC], sum[AT_VEC], correction[AT_VEC];
} strip;

typedef struct tiles {
    uint32_t *queries; /* rows of the group */
    uint32_t *keys;    /* turned round */
    uint32_t *values;  /* woven */
    float *scores;     /* (ROWS, SCORES) */
    uint32_t *weights; /* (ROWS, PAIRS) */
    float *factors;    /* of dropout */
    float *out;        /* (rows of the group, out_width): sums of values */
    size_t out_width;
    bool raw; /* the largest product is the largest score: only a scale above 0 lies between */
} tiles;

/* Keys [s0, s0+columns). */
typedef struct tile {
    size_t s0, columns;
    bool ready; /* laid out */
} tile;

/* Needs no more for shorter lengths. scratch NULL: only the count of floats is of use. */
static size_t lay_out(tiles *t, float *scratch, const at_attend *a)
{
    size_t rows = attend_least(a->queries, GROUP_ROWS), columns = attend_least(a->keys, KEY_TILE), floats = 0;
    *t = (tiles){.out_width = attend_rounded(a->d_value, PANEL),
                 .raw = !a->bias && a->softcap == 0 && a->scale > 0};
    t->queries = dots_take(scratch, &floats, rows * dots_row(a->d_key));
    t->keys = dots_take(scratch, &floats, attend_rounded(columns, PANEL) * dots_pairs(a->d_key));
    t->values = dots_take(scratch, &floats, dots_pairs(columns) * t->out_width);
    t->scores = attend_take(scratch, &floats, ROWS * SCORES);
    t->weights = dots_take(scratch, &floats, ROWS * PAIRS);
    t->factors = attend_take(scratch, &floats, ROWS * KEY_TILE + 4 * AT_VEC);
    t->out = attend_take(scratch, &floats, rows * t->out_width);
    return floats;
}

/* Products of a row become scores, but for a scale when `raw`; -INFINITY up to `width` where nothing is seen.
 * The largest is that of the result's lanes. */
AT_INLINE at_vec mask_row(const at_attend *a, float *x, const float *bias, const at_span *seen, size_t width,
                          bool raw)
{
    at_vec top = vec_set(-INFINITY);
    size_t c = 0;
    if (raw && seen->lo == 0)
        for (; c + AT_VEC <= seen->hi; c += AT_VEC)
            top = vec_max(vec_load(x + c), top);
    for (; c < seen->hi; c += AT_VEC) {
        at_vec product = vec_load(x + c);
        at_vec score =
            attend_score(a, raw ? product : vec_mul(product, vec_set(a->scale)), bias, c, seen->lo, seen->hi);
        top = vec_max(score, top);
        vec_store(x + c, score);
    }
    for (; c < width; c += AT_VEC)
        vec_store(x + c, vec_set(-INFINITY));
    return top;
}

static void mask_strip(const at_attend *a, const tiles *t, const tile *in, strip *s, size_t columns,
                       float unit)
{
    at_vec top[AT_VEC];
    bool whole = attend_whole(a, s->t0, s->rows, in->s0, columns);
    size_t width = attend_rounded(columns, PANEL);
    for (size_t i = 0; i < s->rows; i++) {
        at_span seen = whole ? (at_span){0, columns} : attend_span(a, s->t0 + i, in->s0, columns);
        top[i] = mask_row(a, t->scores + i * SCORES, at_bias_at(a, s->t0 + i, in->s0), &seen, width, t->raw);
    }
    for (size_t i = s->rows; i < AT_VEC; i++)
        top[i] = vec_set(-INFINITY);
    at_vec none = vec_set(-INFINITY), last = vec_load(s->best);
    at_vec best = vec_max(vec_mul(vec_fold(top, true), vec_set(unit)), last);
    at_vec by = vec_select(vec_equal(best, last), vec_set(1.0f), vec_exp2_weight(vec_sub(last, best)));
    vec_store(s->best, best);
    vec_store(s->correction,
              vec_select(vec_equal(last, none), vec_set(1.0f), by)); /* nothing yet: all is 0 */
}

/* Scores times `unit` become weights, rounded in `to`; the sum of the unrounded is that of the result's
 * lanes. */
AT_INLINE at_vec weigh_row(const float *x, uint32_t *to, const float *factors, size_t width, float unit,
                           float best)
{
    at_vec sum = vec_zero(), by = vec_set(unit), shift = vec_set(best == -INFINITY ? 0 : -best);
    for (size_t c = 0; c < width; c += PANEL) {
        at_vec first = vec_exp2_weight(vec_fma(vec_load(x + c), by, shift)),
               second = vec_exp2_weight(vec_fma(vec_load(x + c + AT_VEC), by, shift));
        sum = vec_add(sum, vec_add(first, second));
        if (factors) {
            first = vec_mul(first, vec_load(factors + c));
            second = vec_mul(second, vec_load(factors + c + AT_VEC));
        }
        uvec_store(to + c / 2, uvec_narrow(first, second));
    }
    return sum;
}

static void weigh_strip(const at_attend *a, const tiles *t, strip *s, size_t columns, float unit)
{
    at_vec sum[AT_VEC];
    size_t width = attend_rounded(columns, PANEL), factors = attend_rounded(columns, 4);
    for (size_t i = 0; i < s->rows; i++)
        sum[i] = weigh_row(t->scores + i * SCORES, t->weights + i * PAIRS,
                           a->drop_rate > 0 ? t->factors + i * factors : NULL, width, unit, s->best[i]);
    for (size_t i = s->rows; i < AT_VEC; i++)
        sum[i] = vec_zero();
    vec_store(s->sum, vec_fma(vec_load(s->sum), vec_load(s->correction), vec_fold(sum, false)));
}

static void forward_strip(const at_attend *a, const tiles *t, tile *in, strip *s)
{
    at_visible own = attend_range(a, s->t0, s->t0 + s->rows);
    if (own.first >= in->s0 + in->columns || own.end <= in->s0)
        return;
    size_t columns = attend_least(own.end - in->s0, in->columns), key_pairs = dots_pairs(a->d_key);
    if (attend_hidden(a, s->t0, s->rows, in->s0, columns))
        return;
    if (!in->ready) {
        at_source k = {a->k16, a->k, a->k_stride, a->rows}, v = {a->v16, a->v, a->v_stride, a->rows};
        AT_SIMD_NAME(dots_turn)(t->keys, &k, in->s0, in->columns, a->d_key);
        AT_SIMD_NAME(dots_weave)(t->values, &v, in->s0, in->columns, a->d_value);
        in->ready = true;
    }
    at_dots scores = {.a = t->queries + s->in_group * dots_row(a->d_key),
                      .a_row = dots_row(a->d_key),
                      .a_col = 1,
                      .b = t->keys,
                      .b_panel = key_pairs * PANEL,
                      .c = t->scores,
                      .c_row = SCORES,
                      .rows = s->rows,
                      .columns = columns,
                      .pairs = key_pairs};
    AT_SIMD_NAME(dots_multiply)(&scores);
    if (a->drop_rate > 0)
        AT_SIMD_NAME(attend_factors)(a, t->factors, s->t0, s->rows, in->s0, columns);
    float unit = t->raw ? a->scale * LOG2_E : LOG2_E;
    mask_strip(a, t, in, s, columns, unit);
    weigh_strip(a, t, s, columns, unit);
    at_dots out = {.a = t->weights,
                   .a_row = PAIRS,
                   .a_col = 1,
                   .b = t->values,
                   .b_panel = dots_pairs(in->columns) * PANEL,
                   .c = t->out + s->in_group * t->out_width,
                   .c_row = t->out_width,
                   .rows = s->rows,
                   .columns = a->d_value,
                   .pairs = dots_pairs(columns),
                   .accumulate = s->begun,
                   .factor = s->correction};
    AT_SIMD_NAME(dots_multiply)(&out);
    s->begun = true;
}

/* x (n, whole panels) times s, to where the output belongs. */
static void write_row(const at_attend *a, size_t row, const float *x, float s)
{
    at_vec by = vec_set(s);
    for (size_t j = 0; j < a->d_value; j += PANEL) {
        at_vec first = vec_mul(by, vec_load(x + j)), second = vec_mul(by, vec_load(x + j + AT_VEC));
        size_t at = row * a->o_stride + j, n = attend_least(a->d_value - j, PANEL);
        if (a->o16) {
            uvec_store_pairs_n(a->o16 + at, uvec_narrow(first, second), n);
            continue;
        }
        vec_store_n(a->o + at, first, vec_lanes(n));
        if (n > AT_VEC)
            vec_store_n(a->o + at + AT_VEC, second, n - AT_VEC);
    }
}

static void finish_strip(const at_attend *a, const tiles *t, strip *s)
{
    float *lse = s->correction;
    at_vec sum = vec_load(s->sum), none = vec_zero();
    at_lanes nothing = vec_equal(sum, none);
    at_vec log = vec_fma(vec_load(s->best), vec_set(LN_2), vec_log(sum));
    vec_store(lse, vec_select(nothing, vec_set(-INFINITY), log));
    vec_store(s->sum, vec_select(nothing, none, vec_div(vec_set(1.0f), sum)));
    for (size_t r = 0; r < s->rows; r++) {
        if (lse[r] == -INFINITY)
            memset(t->out + (s->in_group + r) * t->out_width, 0, t->out_width * sizeof(float));
        write_row(a, s->t0 + r, t->out + (s->in_group + r) * t->out_width, s->sum[r]);
        if (a->lse)
            a->lse[(s->t0 + r) * a->lse_stride] = lse[r];
    }
}

static void forward_group(const at_attend *a, const tiles *t, size_t t0, size_t rows)
{
    strip strips[GROUP_STRIPS];
    at_source q = {a->q16, a->q, a->q_stride, NULL};
    AT_SIMD_NAME(dots_copy)(t->queries, &q, t0, rows, a->d_key);
    at_cut c = cut_rows(0, rows);
    for (size_t i = 0; i < c.strips; i++) {
        strip *s = &strips[i];
        s->in_group = strip_begin(&c, i);
        s->t0 = t0 + s->in_group;
        s->rows = strip_rows(&c, i);
        s->begun = false;
        vec_store(s->best, vec_set(-INFINITY));
        vec_store(s->sum, vec_zero());
    }
    at_visible range = attend_range(a, t0, t0 + rows);
    for (size_t s0 = range.first / KEY_TILE * KEY_TILE; s0 < range.end; s0 += KEY_TILE) {
        tile in = {.s0 = s0, .columns = attend_least(range.end - s0, KEY_TILE)};
        for (size_t i = 0; i < c.strips; i++)
            forward_strip(a, t, &in, &strips[i]);
    }
    for (size_t i = 0; i < c.strips; i++)
        finish_strip(a, t, &strips[i]);
}

static void attend(const at_attend *a, float *scratch)
{
    if (a->queries <= FEW && a->k16) {
        AT_SIMD_NAME(kernels)()->attend_bf16(a, scratch);
        return;
    }
    tiles t;
    lay_out(&t, scratch, a);
    for (size_t t0 = 0; t0 < a->queries; t0 += GROUP_ROWS)
        forward_group(a, &t, t0, attend_least(a->queries - t0, GROUP_ROWS));
}

static size_t attend_scratch(size_t queries, size_t keys, size_t d_key, size_t d_value)
{
    size_t few =
        queries <= FEW ? AT_SIMD_NAME(kernels)()->attend_bf16_scratch(queries, keys, d_key, d_value) : 0;
    at_attend a = {.queries = queries, .keys = keys, .d_key = d_key, .d_value = d_value};
    tiles t;
    size_t tiled = lay_out(&t, NULL, &a);
    return few > tiled ? few : tiled;
}

void AT_SIMD_NAME(fill_attend_dots)(at_kernels *table)
{
    table->attend_bf16 = attend;
    table->attend_bf16_scratch = attend_scratch;
    table->attend_bf16_backward = AT_SIMD_NAME(attend_dots_backward);
    table->attend_bf16_backward_scratch = AT_SIMD_NAME(attend_dots_backward_scratch);
}
