#include "kernel/simd/attend_panel.h"

/* Lanes as in attend_short.c. All keys of a query are at hand, so the mean of its slopes comes of the weights
 * and slopes themselves, and its output is not read. */

enum { TOGETHER = KEY_TILE }; /* queries; fewer would add to the keys' gradients more often */

typedef struct group {
    at_panel panel;
    float *d_out;  /* turned */
    float *slopes; /* of the weights, then of the scores */
    float *rows;   /* where some cannot be read as they lie */
} group;

static size_t lay_out(group *g, float *scratch, const at_attend *a)
{
    size_t floats = AT_SIMD_NAME(panel_lay_out)(&g->panel, scratch, a, TOGETHER);
    size_t rows = attend_rounded(attend_least(a->queries, TOGETHER), PANEL);
    size_t keys = attend_least(a->keys, KEY_TILE), widest = a->d_key > a->d_value ? a->d_key : a->d_value;
    g->d_out = attend_take(scratch, &floats, a->d_value * rows);
    g->slopes = attend_take(scratch, &floats, keys * rows);
    g->rows = attend_take(scratch, &floats, (keys > rows ? keys : rows) * attend_rounded(widest, PANEL));
    return floats;
}

size_t AT_SIMD_NAME(attend_short_scratch)(size_t queries, size_t keys, size_t d_key, size_t d_value)
{
    at_attend a = {.queries = queries,
                   .keys = keys,
                   .d_key = attend_least(d_key, SHORT_WIDTH),
                   .d_value = attend_least(d_value, SHORT_WIDTH)};
    group g;
    return lay_out(&g, NULL, &a);
}

/* Scores of keys [0,keys) become weights, slopes of the weights those of the scores. x and d: lanes c … */
AT_INLINE void slope_lanes(const group *g, size_t c, size_t keys, at_vec shift, const bool dropped)
{
    const at_panel *p = &g->panel;
    float *x = p->weights + c, *d = g->slopes + c;
    const float *factors = p->factors + c;
    at_vec mean[2] = {vec_zero(), vec_zero()};
#pragma GCC unroll 2
    for (size_t s = 0; s < keys; s++) {
        size_t at = s * p->stride;
        at_vec score = vec_load(x + at), slope = vec_load(d + at);
        if (s >= p->clear)
            score = panel_score(p, score, s, c);
        at_vec w = vec_exp_weight(vec_sub(score, shift));
        if (dropped) {
            slope = vec_mul(slope, vec_load(factors + at));
            vec_store(d + at, slope);
        }
        mean[s % 2] = vec_fma(w, slope, mean[s % 2]);
        vec_store(x + at, w);
    }
    at_vec middle = vec_add(mean[0], mean[1]);
    for (size_t s = 0; s < keys; s++) {
        size_t at = s * p->stride;
        at_vec w = vec_load(x + at);
        vec_store(d + at, vec_mul(w, vec_sub(vec_load(d + at), middle)));
        if (dropped)
            vec_store(x + at, vec_mul(w, vec_load(factors + at)));
    }
    for (size_t s = keys; s < p->keys; s++) {
        vec_store(x + s * p->stride, vec_zero());
        vec_store(d + s * p->stride, vec_zero());
    }
}

static void slope_group(const group *g)
{
    const at_panel *p = &g->panel;
    const at_attend *a = p->a;
    for (size_t c = 0; c < p->rows; c += AT_VEC) {
        float lse[AT_VEC];
        for (size_t i = 0; i < AT_VEC; i++) { /* nothing seen: exp(… - inf) is 0 */
            float own = a->lse[(p->t0 + attend_least(c + i, p->rows - 1)) * a->lse_stride];
            lse[i] = own == -INFINITY ? INFINITY : own;
        }
        size_t keys = panel_end(a, p->t0 + attend_least(c + AT_VEC, p->rows) - 1);
        if (a->drop_rate > 0)
            slope_lanes(g, c, keys, vec_load(lse), true);
        else
            slope_lanes(g, c, keys, vec_load(lse), false);
    }
}

/* to (keys, d) += scale lanes (keys, queries) · rows (queries, d); only later queries see later keys. */
static void add_to_keys(const group *g, float *to, size_t stride, const float *lanes,
                        const at_panel_rows *rows, size_t d, const float *scale)
{
    const at_panel *p = &g->panel;
    const at_attend *a = p->a;
    at_part parts[KEY_TILE / ROWS + 1];
    at_cut c = cut_rows(0, p->keys);
    bool diagonal = panel_end(a, p->t0) < p->keys;
    for (size_t i = 0, first = 0; diagonal && i < c.strips; i++) {
        while (first < p->rows && panel_end(a, p->t0 + first) <= strip_begin(&c, i))
            first++;
        parts[i] = (at_part){first, p->rows, d};
    }
    at_tile product = {.a = lanes,
                       .a_row = p->stride,
                       .a_col = 1,
                       .b = rows->rows,
                       .b_row = rows->row,
                       .b_panel = rows->panel,
                       .c = to,
                       .c_row = stride,
                       .rows = p->keys,
                       .columns = d,
                       .k = p->rows,
                       .times = scale,
                       .add = true,
                       .exact = true,
                       .parts = diagonal ? parts : NULL};
    AT_SIMD_NAME(tile_multiply)(&product);
}

/* d_q += scale slopes · keys */
static void add_to_queries(const group *g, const at_panel_rows *rows)
{
    const at_panel *p = &g->panel;
    const at_attend *a = p->a;
    at_part parts[TOGETHER];
    at_cut c = cut_rows(0, p->rows);
    bool diagonal = panel_end(a, p->t0) < p->keys;
    for (size_t i = 0; diagonal && i < c.strips; i++) {
        size_t last = p->t0 + strip_begin(&c, i) + strip_rows(&c, i) - 1;
        parts[i] = (at_part){0, panel_end(a, last), a->d_key};
    }
    at_tile product = {.a = g->slopes,
                       .a_row = 1,
                       .a_col = p->stride,
                       .b = rows->rows,
                       .b_row = rows->row,
                       .b_panel = rows->panel,
                       .c = a->d_q + p->t0 * a->q_stride,
                       .c_row = a->q_stride,
                       .rows = p->rows,
                       .columns = a->d_key,
                       .k = p->keys,
                       .times = &a->scale,
                       .add = true,
                       .exact = true,
                       .parts = diagonal ? parts : NULL};
    AT_SIMD_NAME(tile_multiply)(&product);
}

static void backward_group(group *g, size_t t0)
{
    at_panel *p = &g->panel;
    const at_attend *a = p->a;
    AT_SIMD_NAME(panel_begin)(p, t0, TOGETHER);
    if (p->keys == 0)
        return;
    AT_SIMD_NAME(attend_turn)(g->d_out, a->d_o, a->o_stride, NULL, t0, p->rows, a->d_value, 1);
    at_lanes_product scores = {a->k, p->queries, a->k_stride, a->d_key, p->weights, {{0}}},
                     slopes = {a->v, g->d_out, a->v_stride, a->d_value, g->slopes, {{0}}};
    scores.ahead[0] = panel_behind(a->k, a->k_stride, a->keys, a->d_key);
    scores.ahead[1] = (at_ahead){a->v, a->v_stride, a->keys, a->d_value};
    slopes.ahead[0] = (at_ahead){a->d_v, a->v_stride, a->keys, a->d_value};
    slopes.ahead[1] = (at_ahead){a->d_k, a->k_stride, a->keys, a->d_key};
    AT_SIMD_NAME(panel_multiply)(p, &scores);
    AT_SIMD_NAME(panel_multiply)(p, &slopes);
    panel_fetch(a->d_q + t0 * a->q_stride, a->q_stride, p->rows, a->d_key); /* added to in the end */
    slope_group(g);
    at_panel_rows rows = panel_rows(g->rows, a->d_o + t0 * a->o_stride, a->o_stride, p->rows, a->d_value);
    add_to_keys(g, a->d_v, a->v_stride, p->weights, &rows, a->d_value, NULL);
    rows = panel_rows(g->rows, a->q + t0 * a->q_stride, a->q_stride, p->rows, a->d_key);
    add_to_keys(g, a->d_k, a->k_stride, g->slopes, &rows, a->d_key, &a->scale);
    rows = panel_rows(g->rows, a->k, a->k_stride, p->keys, a->d_key);
    add_to_queries(g, &rows);
}

void AT_SIMD_NAME(attend_short_backward)(const at_attend *a, float *scratch)
{
    group g;
    lay_out(&g, scratch, a);
    panel_fetch(a->k, a->k_stride, attend_least(ROWS, a->keys), a->d_key);
    for (size_t t = 0; t < a->queries; t += TOGETHER)
        backward_group(&g, t);
}
