#include <math.h>
#include "base/rng.h"
#include "kernel/dropout.h"
#include "kernel/ref/ref.h"
#include "kernel/visible.h"

/* One query row at a time, in two passes over its keys: scores, then weights. Sums run over the keys in order
 * and in double, so a row's bits depend on nothing but its own visible keys. */

static size_t row_of(const at_attend *a, size_t s)
{
    return a->rows ? (size_t)a->rows[s] : s;
}

static float product(const at_attend *a, size_t t, size_t s)
{
    return a->scale * at_ref_dot(a->q + t * a->q_stride, a->k + row_of(a, s) * a->k_stride, a->d_key);
}

static float capped(const at_attend *a, float x)
{
    return a->softcap > 0 ? a->softcap * tanhf(x / a->softcap) : x;
}

static float biased(const at_attend *a, size_t t, size_t s, float x)
{
    return a->bias ? x + *at_bias_at(a, t, s) : x;
}

static float score(const at_attend *a, size_t t, size_t s)
{
    return biased(a, t, s, capped(a, product(a, t, s)));
}

/* 1/(1 - rate) for a kept weight, 0 for a dropped one. */
static float dropout_factor(const at_attend *a, size_t t, size_t s)
{
    if (a->drop_rate <= 0)
        return 1;
    uint32_t counter[4] = {(uint32_t)(s / 4), (uint32_t)t, a->drop_counter[0], a->drop_counter[1]}, words[4];
    at_philox(counter, a->drop_key, words);
    return words[s % 4] >= at_drop_limit(a->drop_rate) ? at_drop_scale(a->drop_rate) : 0;
}

/* weights[s - first] for the visible keys, without dropout; returns the log-sum-exp, -INFINITY when none
 * is visible. */
static float weigh(const at_attend *a, size_t t, at_visible keys, float *weights)
{
    float max = -INFINITY;
    for (size_t s = keys.first; s < keys.end; s++) {
        float x = score(a, t, s);
        weights[s - keys.first] = x;
        max = x > max ? x : max;
    }
    size_t count = keys.end - keys.first;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += max == -INFINITY ? 0 : expf(weights[i] - max);
    at_ref_softmax(weights, weights, count);
    return sum > 0 ? (float)(max + log(sum)) : max + (float)sum;
}

/* Scratch: a row of weights, then a row of sums as doubles. */
size_t at_ref_attend_scratch(size_t queries, size_t keys, size_t d_key, size_t d_value)
{
    (void)queries;
    size_t weights = (keys + 15) / 16 * 16;
    return weights + 2 * (d_key > d_value ? d_key : d_value) + 16;
}

static double *sums_in(float *scratch, size_t keys)
{
    return (double *)(void *)(scratch + (keys + 15) / 16 * 16);
}

void at_ref_attend(const at_attend *a, float *scratch)
{
    double *sums = sums_in(scratch, a->keys);
    for (size_t t = 0; t < a->queries; t++) {
        at_visible keys = at_visible_keys(a, t);
        float lse = weigh(a, t, keys, scratch);
        if (a->lse)
            a->lse[t * a->lse_stride] = lse;
        for (size_t j = 0; j < a->d_value; j++)
            sums[j] = 0;
        for (size_t s = keys.first; s < keys.end; s++) {
            const float *v = a->v + row_of(a, s) * a->v_stride;
            double w = (double)scratch[s - keys.first] * dropout_factor(a, t, s);
            for (size_t j = 0; j < a->d_value; j++)
                sums[j] += w * v[j];
        }
        for (size_t j = 0; j < a->d_value; j++)
            a->o[t * a->o_stride + j] = (float)sums[j];
    }
}

/* With p the weights, f the dropout factors and w = p f what met the values:
 * d_v_s += w d_o;  d_p = f (d_o · v_s);  D = sum_s p d_p = o · d_o;  d_score = p (d_p - D).
 * The soft-cap's slope is 1 - tanh². */
void at_ref_attend_backward(const at_attend *a, float *scratch)
{
    double *sums = sums_in(scratch, a->keys);
    for (size_t t = 0; t < a->queries; t++) {
        float lse = a->lse[t * a->lse_stride];
        at_visible keys = lse == -INFINITY ? (at_visible){0, 0} : at_visible_keys(a, t);
        const float *q = a->q + t * a->q_stride, *d_o = a->d_o + t * a->o_stride;
        float mean = at_ref_dot(a->o + t * a->o_stride, d_o, a->d_value);
        for (size_t j = 0; j < a->d_key; j++)
            sums[j] = 0;
        for (size_t s = keys.first; s < keys.end; s++) {
            float c = capped(a, product(a, t, s)), level = a->softcap > 0 ? c / a->softcap : 0;
            float p = expf(biased(a, t, s, c) - lse), f = dropout_factor(a, t, s);
            float d_p = f * at_ref_dot(d_o, a->v + s * a->v_stride, a->d_value);
            float d_score = a->scale * p * (d_p - mean) * (1 - level * level);
            for (size_t j = 0; j < a->d_key; j++) {
                sums[j] += (double)d_score * a->k[s * a->k_stride + j];
                a->d_k[s * a->k_stride + j] += d_score * q[j];
            }
            for (size_t j = 0; j < a->d_value; j++)
                a->d_v[s * a->v_stride + j] += p * f * d_o[j];
        }
        for (size_t j = 0; j < a->d_key; j++)
            a->d_q[t * a->q_stride + j] += (float)sums[j];
    }
}

static void stage_row(const at_attend *a, size_t t, at_stage stage, float *out)
{
    float lse = a->lse[t * a->lse_stride];
    at_visible keys = at_visible_keys(a, t);
    for (size_t s = 0; s < a->keys; s++) {
        bool seen = s >= keys.first && s < keys.end;
        if (stage == AT_STAGE_PRODUCTS)
            out[s] = product(a, t, s);
        else if (stage == AT_STAGE_CAPPED)
            out[s] = capped(a, product(a, t, s));
        else if (stage == AT_STAGE_SCORES)
            out[s] = seen ? score(a, t, s) : -INFINITY;
        else
            out[s] = seen && lse != -INFINITY ? expf(score(a, t, s) - lse) : 0;
    }
}

void at_ref_attend_weights(const at_attend *a, size_t t0, size_t t1, at_stage stage, float *out)
{
    for (size_t t = t0; t < t1; t++, out += a->keys)
        stage_row(a, t, stage, out);
}
