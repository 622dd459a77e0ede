#include "kernel/simd/reduce.h"

/* Three passes over a row that stays in the cache: maximum; exponentials, kept in place, with their sum;
 * gradient. */
static float with_gradient(float *logits, size_t n, size_t target, float smoothing, float scale)
{
    float max = row_max(logits, n), at_target = logits[target] - max;
    double total, sum = row_exp(logits, logits, max, n, &total);
    at_vec factor = vec_set((float)(scale / sum)), share = vec_set(scale * (smoothing / (float)n));
    for (size_t i = 0; i < n; i += AT_VEC) {
        size_t lanes = vec_lanes(n - i);
        vec_store_n(logits + i, vec_sub(vec_mul(vec_load_n(logits + i, lanes), factor), share), lanes);
    }
    logits[target] -= scale * (1 - smoothing);
    double loss = log(sum) - (1.0 - smoothing) * at_target;
    return (float)(smoothing > 0 ? loss - smoothing * (total / (double)n) : loss); /* never 0 * -inf */
}

static float without_gradient(const float *logits, size_t n, size_t target, float smoothing)
{
    float max = row_max(logits, n);
    at_vec sum = vec_zero(), all = vec_zero(), shift = vec_set(max);
    for (size_t i = 0; i < n; i += AT_VEC) {
        size_t lanes = vec_lanes(n - i);
        at_vec x = vec_sub(vec_load_n(logits + i, lanes), shift);
        sum = vec_add(sum, vec_select(vec_first(lanes), vec_exp_weight(x), vec_zero()));
        all = vec_add(all, vec_select(vec_first(lanes), x, vec_zero()));
    }
    double loss = log(vec_sum_double(sum)) - (1.0 - smoothing) * (double)(logits[target] - max);
    return (float)(smoothing > 0 ? loss - smoothing * (vec_sum_double(all) / (double)n) : loss);
}

static float cross_entropy(float *logits, size_t n, size_t target, float smoothing, float scale)
{
    return scale != 0 ? with_gradient(logits, n, target, smoothing, scale)
                      : without_gradient(logits, n, target, smoothing);
}

void AT_SIMD_NAME(fill_loss)(at_kernels *table)
{
    table->cross_entropy = cross_entropy;
}
