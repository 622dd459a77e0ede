#include <math.h>
#include <string.h>
#include "kernel/internal.h"
#include "kernel/simd/math.h"
#include "kernel/visible.h"

/* Keys and values in bf16. Few queries (decoding) read them once, as they lie: what counts is how fast memory
 * gives them. For more queries a head's keys and values are widened into scratch, and the level's own fp32
 * attention does the rest: widening is a small part of it then. */

enum { FEW = 2, TILE = 128, WIDEST = 8 };
/* Rows fetched ahead of those at work, and numbers in a line of the cache: as in attend_alone.c. */
enum { AHEAD = 32, LINE = 32 };

AT_INLINE size_t row_of(const at_attend *a, size_t s)
{
    return a->rows ? (size_t)a->rows[s] : s;
}

AT_INLINE size_t row_ahead(const at_attend *a, size_t s)
{
    return row_of(a, s + AHEAD < a->keys ? s + AHEAD : a->keys - 1);
}

/* out[c] = q · k of key s0 + c: a vector of keys at a time, each with a sum of its own; the sums turned round
 * and added. Keys from `columns` on repeat the last one. */
static void score_keys(const at_attend *a, const float *q, size_t s0, size_t columns, float *out)
{
    for (size_t c = 0; c < columns; c += AT_VEC) {
        const at_bf16 *at[AT_VEC], *next[AT_VEC];
        at_vec sum[AT_VEC];
#pragma GCC unroll 16
        for (size_t i = 0; i < AT_VEC; i++) {
            size_t last = columns - 1, key = c + i < last ? c + i : last;
            at[i] = a->k16 + row_of(a, s0 + key) * a->k_stride;
            next[i] = a->k16 + row_ahead(a, s0 + c + i) * a->k_stride;
            sum[i] = vec_zero();
        }
        for (size_t l = 0; l < a->d_key; l += AT_VEC) {
            size_t lanes = vec_lanes(a->d_key - l);
            at_vec part = vec_load_n(q + l, lanes);
            if (l % LINE == 0)
#pragma GCC unroll 16
                for (size_t i = 0; i < AT_VEC; i++)
                    __builtin_prefetch(next[i] + l, 0, 2);
#pragma GCC unroll 16
            for (size_t i = 0; i < AT_VEC; i++)
                sum[i] = vec_fma(part, vec_widen_n(at[i] + l, lanes), sum[i]);
        }
        vec_store(out + c, vec_sums(sum));
    }
}

/* Products become scores (kernel.h), -INFINITY behind the last column; the largest. */
static float finish_scores(const at_attend *a, float *x, const float *bias, size_t columns)
{
    at_vec top = vec_set(-INFINITY);
    for (size_t c = 0; c < columns; c += AT_VEC) {
        size_t lanes = vec_lanes(columns - c);
        at_vec score = vec_mul(vec_set(a->scale), vec_load(x + c));
        if (a->softcap > 0)
            score = vec_mul(vec_set(a->softcap), vec_tanh(vec_div(score, vec_set(a->softcap))));
        if (bias)
            score = vec_add(score, vec_load_n(bias + c, lanes));
        score = vec_select(vec_first(lanes), score, vec_set(-INFINITY));
        top = vec_max(score, top);
        vec_store(x + c, score);
    }
    return vec_highest(top);
}

/* Scores become weights exp(score - best), NaN too; their sum. */
static float weigh(float *x, size_t columns, float best)
{
    at_vec sum = vec_zero(), shift = vec_set(best == -INFINITY ? 0 : best);
    for (size_t c = 0; c < columns; c += AT_VEC) {
        at_vec e = vec_exp_weight(vec_sub(vec_load(x + c), shift));
        sum = vec_add(sum, e);
        vec_store(x + c, e);
    }
    return vec_sum(sum);
}

/* o[j…] = factor o + sum_c w_c v_c over `vecs` vectors of columns: a constant where this is inlined. */
AT_INLINE void add_strip(const at_attend *a, const float *w, size_t s0, size_t columns, float factor,
                         float *o, size_t j, const size_t vecs, size_t lanes)
{
    at_vec sum[WIDEST];
#pragma GCC unroll 8
    for (size_t v = 0; v < vecs; v++)
        sum[v] = vec_mul(vec_set(factor), vec_load_n(o + j + v * AT_VEC, lanes));
    for (size_t c = 0; c < columns; c++) {
        const at_bf16 *value = a->v16 + row_of(a, s0 + c) * a->v_stride + j;
        const at_bf16 *later = a->v16 + row_ahead(a, s0 + c) * a->v_stride + j;
        at_vec weight = vec_set(w[c]);
#pragma GCC unroll 8
        for (size_t v = 0; v < vecs; v++) {
            if (v * AT_VEC % LINE == 0)
                __builtin_prefetch(later + v * AT_VEC, 0, 2);
            sum[v] = vec_fma(weight, vec_widen_n(value + v * AT_VEC, lanes), sum[v]);
        }
    }
#pragma GCC unroll 8
    for (size_t v = 0; v < vecs; v++)
        vec_store_n(o + j + v * AT_VEC, sum[v], lanes);
}

static void add_values(const at_attend *a, const float *w, size_t s0, size_t columns, float factor, float *o)
{
    size_t j = 0, d = a->d_value;
    for (; j + WIDEST * AT_VEC <= d; j += WIDEST * AT_VEC)
        add_strip(a, w, s0, columns, factor, o, j, WIDEST, AT_VEC);
    for (; j + 2 * AT_VEC <= d; j += 2 * AT_VEC)
        add_strip(a, w, s0, columns, factor, o, j, 2, AT_VEC);
    for (; j < d; j += AT_VEC)
        add_strip(a, w, s0, columns, factor, o, j, 1, vec_lanes(d - j));
}

/* One query: tiles of keys one after the other, each making what came before smaller by what it found larger
 * (Milakov and Gimelshein 2018, arXiv:1805.02867). */
static void attend_row(const at_attend *a, size_t t)
{
    _Alignas(64) float x[TILE];
    at_visible keys = at_visible_keys(a, t);
    float *o = a->o + t * a->o_stride, best = -INFINITY, sum = 0;
    memset(o, 0, a->d_value * sizeof *o);
    for (size_t s0 = keys.first; s0 < keys.end; s0 += TILE) {
        size_t columns = keys.end - s0 < TILE ? keys.end - s0 : TILE;
        score_keys(a, a->q + t * a->q_stride, s0, columns, x);
        float top = finish_scores(a, x, at_bias_at(a, t, s0), columns), last = best;
        best = top > last ? top : last;
        float factor = best == last || last == -INFINITY ? 1 : expf(last - best);
        sum = sum * factor + weigh(x, columns, best);
        add_values(a, x, s0, columns, factor, o);
    }
    bool nothing = sum == 0;
    float whole = nothing ? 0 : 1 / sum;
    for (size_t j = 0; j < a->d_value; j += AT_VEC) {
        size_t lanes = vec_lanes(a->d_value - j);
        vec_store_n(o + j, vec_mul(vec_set(whole), vec_load_n(o + j, lanes)), lanes);
    }
    if (a->lse)
        a->lse[t * a->lse_stride] = nothing ? -INFINITY : best + logf(sum);
}

static size_t attend_bf16_scratch(size_t queries, size_t keys, size_t d_key, size_t d_value)
{
    if (queries <= FEW)
        return at_attend_wide_ends_scratch(queries, d_key, d_value);
    return at_attend_widened_scratch(AT_SIMD_NAME(kernels)(), queries, keys, d_key, d_value);
}

static void attend_bf16(const at_attend *a, float *scratch)
{
    const at_kernels *table = AT_SIMD_NAME(kernels)();
    if (a->queries > FEW) {
        at_attend_widened(table, a, scratch);
        return;
    }
    at_attend wide = at_attend_wide_ends(table, a, scratch);
    for (size_t t = 0; t < a->queries; t++)
        attend_row(&wide, t);
    at_attend_narrow_out(table, a, &wide);
}

static size_t attend_bf16_backward_scratch(size_t queries, size_t keys, size_t d_key, size_t d_value)
{
    return at_attend_widened_backward_scratch(AT_SIMD_NAME(kernels)(), queries, keys, d_key, d_value);
}

static void attend_bf16_backward(const at_attend *a, float *scratch)
{
    at_attend_widened_backward(AT_SIMD_NAME(kernels)(), a, scratch);
}

void AT_SIMD_NAME(fill_attend_bf16)(at_kernels *table)
{
    table->attend_bf16 = attend_bf16;
    table->attend_bf16_scratch = attend_bf16_scratch;
    table->attend_bf16_backward = attend_bf16_backward;
    table->attend_bf16_backward_scratch = attend_bf16_backward_scratch;
}
