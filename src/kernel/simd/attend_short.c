#include "kernel/simd/attend_panel.h"

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

/* Scores become weights; the result's lanes are the sums of the exponentials, in the order of a row's lanes
 * and vec_sum. */
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
static void write_out(const at_panel *p, const at_panel_rows *values, const float *times)
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
                       .b = values->rows,
                       .b_row = values->row,
                       .b_panel = values->panel,
                       .c = a->o + p->t0 * a->o_stride,
                       .c_row = a->o_stride,
                       .rows = p->rows,
                       .columns = a->d_value,
                       .k = p->keys,
                       .times = times,
                       .times_step = 1,
                       .exact = true,
                       .parts = panel_end(a, p->t0) < p->keys ? parts : NULL};
    size_t next = p->t0 + PANEL;
    if (next < a->queries)
        product.ahead[0] = (at_ahead){a->q + next * a->q_stride, a->q_stride,
                                      attend_least(a->queries - next, PANEL), a->d_key};
    AT_SIMD_NAME(tile_multiply)(&product);
}

static void forward_panel(const at_panel *p, const at_panel_rows *values)
{
    const at_attend *a = p->a;
    float lse[PANEL], times[PANEL];
    for (size_t c = 0; c < p->rows; c += AT_VEC) {
        size_t keys = panel_end(a, p->t0 + attend_least(c + AT_VEC, p->rows) - 1);
        float *x = p->weights + c;
        const float *factors = p->factors + c;
        at_vec best = highest(p, x, c, keys), none = vec_set(-INFINITY);
        at_vec shift =
            vec_select(vec_equal(best, none), vec_zero(), best); /* exp(-inf - -inf) would be NaN */
        at_vec sum = a->drop_rate > 0 ? weigh_keys(x, factors, keys, shift, true)
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
    at_panel p;
    size_t floats = AT_SIMD_NAME(panel_lay_out)(&p, scratch, a, PANEL);
    panel_fetch(a->k, a->k_stride, attend_least(ROWS, a->keys), a->d_key);
    at_panel_rows values = panel_rows(scratch + floats, a->v, a->v_stride, a->keys, a->d_value);
    at_lanes_product scores = {
        .rows = a->k, .stride = a->k_stride, .d = a->d_key, .turned = p.queries, .out = p.weights};
    scores.ahead[0] = panel_behind(a->k, a->k_stride, a->keys, a->d_key);
    scores.ahead[1] = (at_ahead){a->v, a->v_stride, a->keys, a->d_value};
    for (size_t t = 0; t < a->queries; t += PANEL) {
        AT_SIMD_NAME(panel_begin)(&p, t, PANEL);
        AT_SIMD_NAME(panel_multiply)(&p, &scores);
        forward_panel(&p, &values);
    }
}
