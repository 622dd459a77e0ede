#include "kernel/simd/attend.h"

/* One query (decoding) and single rows of weights: the same chains over the same tiles of keys as among other
 * queries, so the same bits, but keys and values are read where they lie. */

enum { TOGETHER = 4 }; /* vectors of keys whose chains go on side by side: one alone would wait for itself */
enum { WIDEST = 8 };   /* vectors of columns of values */

/* Rows fetched ahead where keys come from memory: a group of rows is read line by line side by side, so the
 * CPU sees many streams and guesses few. It doubles the speed; out of the third cache keys come a tenth
 * faster unasked, but with so many in one head, all heads and layers of a model hardly lie there. */
enum { AHEAD_ROWS = TOGETHER * AT_VEC, FAR_FLOATS = 1 << 15 };

static bool is_far(const at_attend *a, size_t width)
{
    return a->keys * width > FAR_FLOATS;
}

/* Products with keys at[0], at[1], … from column l on. */
AT_INLINE at_vec score_block(at_vec sum, const float *const at[AT_VEC], const float *q, const float scale,
                             size_t l)
{
    at_vec v[AT_VEC];
    attend_turned(v, at, l, AT_VEC);
#pragma GCC unroll 16
    for (size_t j = 0; j < AT_VEC; j++)
        sum = vec_fma(vec_set(q[l + j] * scale), v[j], sum);
    return sum;
}

/* `groups`, a constant, vectors of keys from column c on; fetch: of those behind them, as many. */
AT_INLINE void score_groups(const at_attend *a, const float *q, const float scale, size_t s0, size_t c,
                            size_t columns, const size_t groups, const bool fetch, float *out)
{
    const float *at[TOGETHER][AT_VEC], *next[TOGETHER][AT_VEC];
    at_vec sum[TOGETHER], v[AT_VEC];
    for (size_t g = 0; g < groups; g++) {
        size_t s = s0 + c + g * AT_VEC;
        attend_rows(at[g], a->k, a->k_stride, a->rows, s, s0 + columns);
        if (fetch)
            attend_rows(next[g], a->k, a->k_stride, a->rows, s + AHEAD_ROWS, a->keys);
        sum[g] = vec_zero();
    }
    size_t l = 0;
    for (; l + LINE <= a->d_key; l += LINE) /* whole lines, which may not stay in the first cache */
#pragma GCC unroll 4
        for (size_t g = 0; g < groups; g++) {
#pragma GCC unroll 16
            for (size_t i = 0; fetch && i < AT_VEC; i++)
                __builtin_prefetch(next[g][i] + l, 0, 2);
#pragma GCC unroll 4
            for (size_t part = 0; part < LINE; part += AT_VEC)
                sum[g] = score_block(sum[g], at[g], q, scale, l + part);
        }
    for (; l + AT_VEC <= a->d_key; l += AT_VEC)
        for (size_t g = 0; g < groups; g++)
            sum[g] = score_block(sum[g], at[g], q, scale, l);
    for (size_t g = 0; l < a->d_key && g < groups; g++) {
        attend_turned(v, at[g], l, a->d_key - l);
        for (size_t j = 0; l + j < a->d_key; j++)
            sum[g] = vec_fma(vec_set(q[l + j] * scale), v[j], sum[g]);
    }
    for (size_t g = 0; g < groups; g++)
        vec_store(out + c + g * AT_VEC, sum[g]);
}

/* Products of scale times a query with keys [s0, s0+columns). out has room for whole vectors. */
AT_INLINE void score_row(const at_attend *a, const float *q, const float scale, size_t s0, size_t columns,
                         float *out)
{
    size_t c = 0;
    for (; is_far(a, a->d_key) && c + AHEAD_ROWS <= columns; c += AHEAD_ROWS)
        score_groups(a, q, scale, s0, c, columns, TOGETHER, true, out);
    for (; c + TOGETHER * AT_VEC <= columns; c += TOGETHER * AT_VEC)
        score_groups(a, q, scale, s0, c, columns, TOGETHER, false, out);
    for (; c + AT_VEC < columns; c += 2 * AT_VEC)
        score_groups(a, q, scale, s0, c, columns, 2, false, out);
    for (; c < columns; c += AT_VEC)
        score_groups(a, q, scale, s0, c, columns, 1, false, out);
}

AT_INLINE const float *value_at(const at_attend *a, size_t s)
{
    return a->v + (a->rows ? (size_t)a->rows[s] : s) * a->v_stride;
}

/* o[j…] = [o +] sum_s w_s v_s over `vecs` vectors of columns; vecs and fetch are constants where this is
 * inlined. */
AT_INLINE void add_values_strip(const at_attend *a, const float *w, const at_span *keys, bool first, size_t j,
                                const size_t vecs, size_t lanes, const bool fetch)
{
    at_vec sum[WIDEST];
#pragma GCC unroll 8
    for (size_t v = 0; v < vecs; v++)
        sum[v] = first ? vec_zero() : vec_load_n(a->o + j + v * AT_VEC, lanes);
    for (size_t s = keys->lo; s < keys->hi; s++) {
        const float *value = value_at(a, s) + j;
        for (size_t v = 0; fetch && v < vecs; v += LINE / AT_VEC)
            __builtin_prefetch(value_at(a, attend_least(s + AHEAD_ROWS, a->keys - 1)) + j + v * AT_VEC, 0, 2);
        at_vec weight = vec_set(w[s - keys->lo]);
#pragma GCC unroll 8
        for (size_t v = 0; v < vecs; v++)
            sum[v] = vec_fma(weight, vec_load_n(value + v * AT_VEC, lanes), sum[v]);
    }
#pragma GCC unroll 8
    for (size_t v = 0; v < vecs; v++)
        vec_store_n(a->o + j + v * AT_VEC, sum[v], lanes);
}

static void add_values(const at_attend *a, const float *w, const at_span *keys, bool first)
{
    size_t j = 0, d = a->d_value;
    for (; is_far(a, a->d_value) && j + WIDEST * AT_VEC <= d; j += WIDEST * AT_VEC)
        add_values_strip(a, w, keys, first, j, WIDEST, AT_VEC, true);
    for (; j + WIDEST * AT_VEC <= d; j += WIDEST * AT_VEC)
        add_values_strip(a, w, keys, first, j, WIDEST, AT_VEC, false);
    for (; j + 4 * AT_VEC <= d; j += 4 * AT_VEC)
        add_values_strip(a, w, keys, first, j, 4, AT_VEC, false);
    for (; j + 2 * AT_VEC <= d; j += 2 * AT_VEC)
        add_values_strip(a, w, keys, first, j, 2, AT_VEC, false);
    for (; j < d; j += AT_VEC)
        add_values_strip(a, w, keys, first, j, 1, vec_lanes(d - j), false);
}

static float first_of(at_vec x)
{
    float lanes[AT_VEC];
    vec_store(lanes, x);
    return lanes[0];
}

void AT_SIMD_NAME(attend_alone)(const at_attend *a, float *scratch)
{
    float *scores = scratch, *q = scratch + KEY_TILE;
    float *factors = a->drop_rate > 0 ? q + attend_rounded(a->d_key, 16) : NULL;
    attend_copy(q, a->q, a->scale, a->d_key);
    at_visible keys = at_visible_keys(a, 0);
    at_vec best = vec_set(-INFINITY), sum = vec_zero(); /* all lanes alike */
    bool first = true;
    for (size_t s0 = keys.first / KEY_TILE * KEY_TILE; s0 < keys.end; s0 += KEY_TILE) {
        size_t columns = attend_least(keys.end - s0, KEY_TILE);
        if (attend_hidden(a, 0, 1, s0, columns))
            continue;
        score_row(a, q, 1, s0, columns, scores);
        if (factors)
            AT_SIMD_NAME(attend_factors)(a, factors, 0, 1, s0, columns);
        at_span seen = attend_span(a, 0, s0, columns);
        at_vec top = attend_mask(a, scores, at_bias_at(a, 0, s0), &seen), last = best;
        best = vec_max(vec_set(vec_highest(top)), last);
        at_vec correction = attend_correction(last, best);
        at_vec weights = attend_weigh(scores, factors, seen.hi, columns, first_of(best));
        sum = vec_add(vec_mul(sum, correction), vec_set(vec_sum(weights)));
        if (!first && first_of(correction) != 1)
            attend_copy(a->o, a->o, first_of(correction), a->d_value);
        add_values(a, scores, &(at_span){s0, s0 + columns}, first);
        first = false;
    }
    float all = first_of(sum);
    if (all == 0)
        memset(a->o, 0, a->d_value * sizeof *a->o);
    else
        attend_copy(a->o, a->o, 1 / all, a->d_value);
    if (a->lse)
        a->lse[0] = all == 0 ? -INFINITY : first_of(vec_add(best, vec_log(sum)));
}

static void stage_row(const at_attend *a, size_t t, at_stage stage, float *out)
{
    _Alignas(64) float scores[KEY_TILE];
    float lse = a->lse[t * a->lse_stride];
    for (size_t s0 = 0; s0 < a->keys; s0 += KEY_TILE) {
        size_t columns = attend_least(a->keys - s0, KEY_TILE);
        at_span seen = attend_span(a, t, s0, columns);
        bool masked = stage == AT_STAGE_SCORES || stage == AT_STAGE_WEIGHTS;
        if (masked && seen.lo >= seen.hi)
            seen.hi = 0;
        else
            score_row(a, a->q + t * a->q_stride, a->scale, s0, columns, scores);
        for (size_t c = 0; c < columns; c += AT_VEC) {
            at_vec x = vec_set(-INFINITY);
            if (c < seen.hi || !masked)
                x = vec_load(scores + c);
            if (stage == AT_STAGE_CAPPED && a->softcap > 0)
                x = attend_capped(x, a->softcap);
            if (c < seen.hi && masked)
                x = attend_score(a, x, at_bias_at(a, t, s0), c, seen.lo, seen.hi);
            if (stage == AT_STAGE_WEIGHTS)
                x = lse == -INFINITY ? vec_zero() : vec_exp_weight(vec_sub(x, vec_set(lse)));
            vec_store_n(out + s0 + c, x, vec_lanes(columns - c));
        }
    }
}

void AT_SIMD_NAME(attend_weights)(const at_attend *a, size_t t0, size_t t1, at_stage stage, float *out)
{
    for (size_t t = t0; t < t1; t++, out += a->keys)
        stage_row(a, t, stage, out);
}
