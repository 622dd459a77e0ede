#include "kernel/simd/reduce.h"

static float max(const float *a, size_t n)
{
    return row_max(a, n);
}

static float sum_exp(const float *a, float highest, size_t n)
{
    if (highest == -INFINITY) /* nothing to look at: exp(-inf - -inf) would be NaN */
        return 0;
    at_vec sum[2] = {vec_zero(), vec_zero()}, shift = vec_set(highest);
    size_t i = 0;
    for (; i + 2 * AT_VEC <= n; i += 2 * AT_VEC) {
        sum[0] = vec_add(sum[0], vec_exp_weight(vec_sub(vec_load(a + i), shift)));
        sum[1] = vec_add(sum[1], vec_exp_weight(vec_sub(vec_load(a + i + AT_VEC), shift)));
    }
    for (; i < n; i += AT_VEC) {
        size_t lanes = vec_lanes(n - i);
        at_vec e = vec_exp_weight(vec_sub(vec_load_n(a + i, lanes), shift));
        sum[0] = vec_add(sum[0], vec_select(vec_first(lanes), e, vec_zero()));
    }
    return (float)vec_sum_double(vec_add(sum[0], sum[1]));
}

static void softmax(float *out, const float *a, size_t n)
{
    float highest = row_max(a, n);
    if (highest == -INFINITY) {
        for (size_t i = 0; i < n; i++)
            out[i] = a[i] == -INFINITY ? 0 : a[i]; /* a NaN stays one */
        return;
    }
    double sum = row_exp(out, a, highest, n, NULL);
    at_vec inverse = vec_set((float)(1 / sum));
    for (size_t i = 0; i < n; i += AT_VEC) {
        size_t lanes = vec_lanes(n - i);
        vec_store_n(out + i, vec_mul(vec_load_n(out + i, lanes), inverse), lanes);
    }
}

static void softmax_backward(float *d_in, const float *w, const float *d_w, size_t n)
{
    at_vec sum = vec_zero();
    for (size_t i = 0; i < n; i += AT_VEC) {
        size_t lanes = vec_lanes(n - i);
        sum = vec_fma(vec_load_n(w + i, lanes), vec_load_n(d_w + i, lanes), sum);
    }
    at_vec mean = vec_set(vec_sum(sum));
    for (size_t i = 0; i < n; i += AT_VEC) {
        size_t lanes = vec_lanes(n - i);
        at_vec d = vec_sub(vec_load_n(d_w + i, lanes), mean);
        vec_store_n(d_in + i, vec_fma(vec_load_n(w + i, lanes), d, vec_load_n(d_in + i, lanes)), lanes);
    }
}

/* Less the largest first: near it a logarithm of a probability has few digits of its own. */
static void log_softmax(float *out, const float *a, size_t n)
{
    float highest = row_max(a, n), shift = highest == -INFINITY ? 0 : highest;
    at_vec top = vec_set(shift),
           rest = vec_set(highest == -INFINITY ? 0 : (float)log((double)sum_exp(a, highest, n)));
    for (size_t i = 0; i < n; i += AT_VEC) {
        size_t lanes = vec_lanes(n - i);
        vec_store_n(out + i, vec_sub(vec_sub(vec_load_n(a + i, lanes), top), rest), lanes);
    }
}

static void log_softmax_backward(float *d_in, const float *out, const float *d_out, size_t n)
{
    at_vec sum = vec_zero();
    for (size_t i = 0; i < n; i += AT_VEC)
        sum = vec_add(sum, vec_load_n(d_out + i, vec_lanes(n - i)));
    at_vec all = vec_set(vec_sum(sum));
    for (size_t i = 0; i < n; i += AT_VEC) {
        size_t lanes = vec_lanes(n - i);
        at_vec d = vec_fnma(vec_exp_weight(vec_load_n(out + i, lanes)), all, vec_load_n(d_out + i, lanes));
        vec_store_n(d_in + i, vec_add(vec_load_n(d_in + i, lanes), d), lanes);
    }
}

void AT_SIMD_NAME(fill_softmax)(at_kernels *table)
{
    table->max = max;
    table->sum_exp = sum_exp;
    table->softmax = softmax;
    table->log_softmax = log_softmax;
    table->log_softmax_backward = log_softmax_backward;
    table->softmax_backward = softmax_backward;
}
