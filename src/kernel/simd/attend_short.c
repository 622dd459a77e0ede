#include "kernel/simd/attend_short.h"
#include "kernel/dropout.h"
#include "kernel/simd/philox.h"

typedef struct layout {
    at_panel panel;
    float *values; /* panels (keys, d_value), where they cannot be read as they lie */
} layout;

static size_t lay_out(layout *l, float *scratch, const at_attend *a)
{
    size_t floats = 0, keys = attend_rounded(a->keys, AT_VEC);
    *l = (layout){.panel = {.a = a}};
    at_panel *p = &l->panel;
    p->queries = attend_take(scratch, &floats, a->d_key * PANEL);
    p->weights = attend_take(scratch, &floats, keys * PANEL);
    p->factors = attend_take(scratch, &floats, keys * PANEL);
    p->bias = attend_take(scratch, &floats, keys * PANEL);
    l->values = attend_take(scratch, &floats, a->keys * attend_rounded(a->d_value, PANEL));
    return floats;
}

size_t AT_SIMD_NAME(attend_short_scratch)(size_t queries, size_t keys, size_t d_key, size_t d_value)
{
    at_attend a = {.queries = queries,
                   .keys = attend_least(keys, KEY_TILE),
                   .d_key = attend_least(d_key, SHORT_WIDTH),
                   .d_value = attend_least(d_value, SHORT_WIDTH)};
    layout l;
    return lay_out(&l, NULL, &a);
}

/* Elements kept of keys [0,keys), lanes c …: four keys are the four words of a block. */
static void draw_factors(const at_panel *p, size_t c)
{
    const at_attend *a = p->a;
    at_uvec limit = uvec_set(at_drop_limit(a->drop_rate));
    at_vec scale = vec_set(at_drop_scale(a->drop_rate));
    at_uvec query = uvec_add(uvec_set((uint32_t)(p->t0 + c)), uvec_count());
    for (size_t s = 0; s < p->keys; s += 4) {
        at_uvec words[4], counter[4] = {uvec_set((uint32_t)(s / 4)), query, uvec_set(a->drop_counter[0]),
                                        uvec_set(a->drop_counter[1])};
        uvec_philox(counter, a->drop_key, words);
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++)
            vec_store(p->factors + (s + i) * PANEL + c,
                      vec_select(uvec_less(words[i], limit), vec_zero(), scale));
    }
}

/* products of keys [s0,s1) and the panel's lanes from c on */
static void score_keys(const at_panel *p, size_t s0, size_t s1, size_t c)
{
    const at_attend *a = p->a;
    at_tile product = {.a = a->k + s0 * a->k_stride,
                       .a_row = a->k_stride,
                       .a_col = 1,
                       .b = p->queries + c,
                       .c = p->weights + s0 * PANEL + c,
                       .c_row = PANEL,
                       .rows = s1 - s0,
                       .columns = p->rows - c,
                       .k = a->d_key};
    AT_SIMD_NAME(tile_multiply)(&product);
}

void AT_SIMD_NAME(panel_begin)(at_panel *p, size_t t0)
{
    const at_attend *a = p->a;
    p->t0 = t0;
    p->rows = attend_least(a->queries - t0, PANEL);
    p->keys = panel_end(a, t0 + p->rows - 1);
    p->clear = a->softcap > 0 || p->bias || a->window > 0 ? 0 : panel_end(a, t0);
    AT_SIMD_NAME(attend_turn)(p->queries, a->q, a->q_stride, NULL, t0, p->rows, a->d_key, a->scale);
    if (a->bias_stride && p->bias)
        AT_SIMD_NAME(attend_turn)
        (p->bias, a->bias + t0 * a->bias_stride, a->bias_stride, NULL, 0, p->rows, p->keys, 1);
    /* Where the diagonal goes through, later keys meet later queries alone. */
    size_t from = 0;
    for (size_t c = AT_VEC; c < p->rows && from < p->keys; c += AT_VEC) {
        size_t end = panel_end(a, t0 + c - 1);
        if (end > from)
            score_keys(p, from, end, c - AT_VEC);
        from = end > from ? end : from;
    }
    if (from < p->keys)
        score_keys(p, from, p->keys, (p->rows - 1) / AT_VEC * AT_VEC);
    for (size_t c = 0; c < p->rows && p->factors; c += AT_VEC)
        draw_factors(p, c);
}

/* Products become scores; the result's lanes are the largest. x: lanes c … of keys [0,keys) */
static at_vec highest(const at_panel *p, float *x, size_t c, size_t keys)
{
    at_vec top[4];
    size_t s = 0;
    for (size_t i = 0; i < 4; i++)
        top[i] = vec_set(-INFINITY);
    for (; s + 4 <= attend_least(p->clear, keys); s += 4)
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++)
            top[i] = vec_max(vec_load(x + (s + i) * PANEL), top[i]);
    for (; s < keys; s++) {
        at_vec score = vec_load(x + s * PANEL);
        if (s >= p->clear) {
            score = panel_score(p, score, s, c);
            vec_store(x + s * PANEL, score);
        }
        top[0] = vec_max(score, top[0]);
    }
    return vec_max(vec_max(top[0], top[1]), vec_max(top[2], top[3]));
}

/* One key: its exponentials, and its weights. */
AT_INLINE at_vec weigh(float *x, const float *factors, at_vec shift, const bool dropped)
{
    at_vec e = vec_exp_weight(vec_sub(vec_load(x), shift));
    vec_store(x, dropped ? vec_mul(e, vec_load(factors)) : e);
    return e;
}

/* Scores become weights; the result's lanes are the sums of the exponentials, in the order of a row's lanes and
 * vec_sum. */
AT_INLINE at_vec weigh_keys(float *x, const float *factors, size_t keys, at_vec shift, const bool dropped)
{
    at_vec sum[AT_VEC];
    size_t s = 0;
#pragma GCC unroll 16
    for (size_t i = 0; i < AT_VEC; i++)
        sum[i] = vec_zero();
    for (; s + AT_VEC <= keys; s += AT_VEC)
#pragma GCC unroll 16
        for (size_t i = 0; i < AT_VEC; i++)
            sum[i] = vec_add(sum[i], weigh(x + (s + i) * PANEL, factors + (s + i) * PANEL, shift, dropped));
#pragma GCC unroll 16
    for (size_t i = 0; i < AT_VEC; i++)
        if (s + i < keys)
            sum[i] = vec_add(sum[i], weigh(x + (s + i) * PANEL, factors + (s + i) * PANEL, shift, dropped));
#pragma GCC unroll 8
    for (size_t half = AT_VEC / 2; half > 0; half /= 2)
#pragma GCC unroll 8
        for (size_t i = 0; i < half; i++)
            sum[i] = vec_add(sum[i], sum[i + half]);
    return sum[0];
}

/* o = weights · values, times what makes the weights sum to 1 */
static void write_out(const at_panel *p, const float *values, const float *times)
{
    const at_attend *a = p->a;
    at_part parts[PANEL];
    at_cut c = cut_rows(0, p->rows);
    for (size_t i = 0; i < c.strips; i++) {
        size_t last = p->t0 + strip_begin(&c, i) + strip_rows(&c, i) - 1;
        parts[i] = (at_part){0, panel_end(a, last), a->d_value};
    }
    at_tile product = {.a = p->weights,
                       .a_row = 1,
                       .a_col = PANEL,
                       .b = values ? values : a->v,
                       .b_row = values ? PANEL : a->v_stride,
                       .b_panel = values ? a->keys * PANEL : PANEL,
                       .c = a->o + p->t0 * a->o_stride,
                       .c_row = a->o_stride,
                       .rows = p->rows,
                       .columns = a->d_value,
                       .k = p->keys,
                       .times = times,
                       .times_step = 1,
                       .exact = true,
                       .parts = panel_end(a, p->t0) < p->keys ? parts : NULL};
    AT_SIMD_NAME(tile_multiply)(&product);
}

static void forward_panel(const at_panel *p, const float *values)
{
    const at_attend *a = p->a;
    float lse[PANEL], times[PANEL];
    for (size_t c = 0; c < p->rows; c += AT_VEC) {
        size_t keys = panel_end(a, p->t0 + attend_least(c + AT_VEC, p->rows) - 1);
        float *x = p->weights + c;
        const float *factors = p->factors ? p->factors + c : x;
        at_vec best = highest(p, x, c, keys), none = vec_set(-INFINITY);
        at_vec shift = vec_select(vec_equal(best, none), vec_zero(), best); /* exp(-inf - -inf) would be NaN */
        at_vec sum = p->factors ? weigh_keys(x, factors, keys, shift, true)
                                : weigh_keys(x, factors, keys, shift, false);
        for (size_t s = keys; s < p->keys; s++)
            vec_store(x + s * PANEL, vec_zero());
        at_lanes nothing = vec_equal(sum, vec_zero());
        vec_store(lse + c, vec_select(nothing, none, vec_add(best, vec_log(sum))));
        vec_store(times + c, vec_select(nothing, vec_zero(), vec_div(vec_set(1.0f), sum)));
    }
    write_out(p, values, times);
    for (size_t r = 0; r < p->rows; r++) {
        if (lse[r] == -INFINITY)
            memset(a->o + (p->t0 + r) * a->o_stride, 0, a->d_value * sizeof *a->o);
        if (a->lse)
            a->lse[(p->t0 + r) * a->lse_stride] = lse[r];
    }
}

void AT_SIMD_NAME(attend_short)(const at_attend *a, float *scratch)
{
    layout l;
    lay_out(&l, scratch, a);
    at_panel *p = &l.panel;
    if (a->drop_rate == 0)
        p->factors = NULL;
    if (!a->bias || !a->bias_stride)
        p->bias = (float *)a->bias;
    panel_fetch(a->k, a->k_stride, a->keys, a->d_key);
    panel_fetch(a->v, a->v_stride, a->keys, a->d_value);
    const float *values = NULL;
    if (!tile_plain(a->d_value)) {
        AT_SIMD_NAME(attend_pack)(l.values, a->v, a->v_stride, NULL, 0, a->keys, a->d_value, 1);
        values = l.values;
    }
    for (size_t t = 0; t < a->queries; t += PANEL) {
        AT_SIMD_NAME(panel_begin)(p, t);
        forward_panel(p, values);
    }
}
