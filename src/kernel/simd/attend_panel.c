#include "kernel/dropout.h"
#include "kernel/simd/attend_panel.h"
#include "kernel/simd/philox.h"

size_t AT_SIMD_NAME(panel_lay_out)(at_panel *p, float *scratch, const at_attend *a, size_t rows)
{
    size_t floats = 0, keys = attend_rounded(attend_least(a->keys, KEY_TILE), 4);
    rows = attend_rounded(attend_least(a->queries, rows), PANEL);
    *p = (at_panel){.a = a};
    p->queries = attend_take(scratch, &floats, a->d_key * rows);
    p->weights = attend_take(scratch, &floats, keys * rows);
    p->factors = attend_take(scratch, &floats, keys * rows);
    p->bias = attend_take(scratch, &floats, keys * rows);
    return floats;
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
            vec_store(p->factors + (s + i) * p->stride + c,
                      vec_select(uvec_less(words[i], limit), vec_zero(), scale));
    }
}

/* products of rows [s0,s1) of x and lanes [c,end) */
static void multiply_rows(const at_panel *p, const at_lanes_product *x, size_t s0, size_t s1, size_t c,
                          size_t end)
{
    at_tile product = {.a = x->rows + s0 * x->stride,
                       .a_row = x->stride,
                       .a_col = 1,
                       .b = x->turned + c / PANEL * PANEL * x->d + c % PANEL,
                       .c = x->out + s0 * p->stride + c,
                       .c_row = p->stride,
                       .rows = s1 - s0,
                       .columns = end - c,
                       .k = x->d};
    for (size_t n = 0; n < 2 && c < PANEL && p->t0 == 0; n++) {
        const at_ahead *next = &x->ahead[n];
        size_t count = next->count > s0 ? next->count - s0 : 0;
        product.ahead[n] = (at_ahead){next->rows + s0 * next->stride, next->stride, count, next->floats};
    }
    AT_SIMD_NAME(tile_multiply)(&product);
}

/* Where the diagonal goes through, the last keys meet the panel's last vector alone. */
void AT_SIMD_NAME(panel_multiply)(const at_panel *p, const at_lanes_product *x)
{
    for (size_t c0 = 0; c0 < p->rows; c0 += PANEL) {
        size_t end = attend_least(c0 + PANEL, p->rows), from = 0;
        for (size_t c = c0, next = c0 + PANEL - AT_VEC; c < end; c = next, next += AT_VEC) {
            size_t keys = panel_end(p->a, p->t0 + attend_least(next, end) - 1);
            if (keys > from)
                multiply_rows(p, x, from, keys, c, end);
            from = keys > from ? keys : from;
        }
    }
}

void AT_SIMD_NAME(panel_begin)(at_panel *p, size_t t0, size_t rows)
{
    const at_attend *a = p->a;
    p->t0 = t0;
    p->rows = attend_least(a->queries - t0, rows);
    p->stride = attend_rounded(p->rows, PANEL);
    p->keys = panel_end(a, t0 + p->rows - 1);
    p->clear = a->softcap > 0 || a->bias || a->window > 0 ? 0 : panel_end(a, t0);
    AT_SIMD_NAME(attend_turn)(p->queries, a->q, a->q_stride, NULL, t0, p->rows, a->d_key, a->scale);
    if (a->bias && a->bias_stride)
        AT_SIMD_NAME(attend_turn)(p->bias, a->bias, a->bias_stride, NULL, t0, p->rows, p->keys, 1);
    for (size_t c = 0; c < p->rows && a->drop_rate > 0; c += AT_VEC)
        draw_factors(p, c);
}
