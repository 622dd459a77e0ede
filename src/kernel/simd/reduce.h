/* kernel/simd/reduce.h - what softmax and loss both do with a row.
 *
 * Role    Maximum, and exponentials with their sum, in the fixed order of four chains of
 *         vectors.
 * Owns    Nothing.
 * Errors  None.
 *
 *     float max = row_max(a, n);
 *     double sum = row_exp(out, a, max, n, NULL);
 */
#ifndef AT_KERNEL_SIMD_REDUCE_H
#define AT_KERNEL_SIMD_REDUCE_H
#include <math.h>
#include "kernel/simd/simd.h"

/* -INFINITY when n is 0; NaN is passed over. */
AT_INLINE float row_max(const float *a, size_t n)
{
    at_vec lowest = vec_set(-INFINITY), top[4] = {lowest, lowest, lowest, lowest};
    size_t i = 0;
    for (; i + 4 * AT_VEC <= n; i += 4 * AT_VEC)
#pragma GCC unroll 4
        for (size_t v = 0; v < 4; v++)
            top[v] = vec_max(vec_load(a + i + v * AT_VEC), top[v]);
    for (; i < n; i += AT_VEC) {
        size_t lanes = vec_lanes(n - i);
        top[0] = vec_max(vec_select(vec_first(lanes), vec_load_n(a + i, lanes), lowest), top[0]);
    }
    return vec_highest(vec_max(vec_max(top[0], top[1]), vec_max(top[2], top[3])));
}

/* out = exp(a - max); returns its sum, and in *total (unless NULL) that of a - max. out may be a. */
AT_INLINE double row_exp(float *out, const float *a, float max, size_t n, double *total)
{
    at_vec sum[2] = {vec_zero(), vec_zero()}, all[2] = {vec_zero(), vec_zero()}, shift = vec_set(max);
    size_t i = 0;
    for (; i + 2 * AT_VEC <= n; i += 2 * AT_VEC)
#pragma GCC unroll 2
        for (size_t v = 0; v < 2; v++) {
            at_vec x = vec_sub(vec_load(a + i + v * AT_VEC), shift), e = vec_exp_weight(x);
            sum[v] = vec_add(sum[v], e);
            all[v] = vec_add(all[v], x);
            vec_store(out + i + v * AT_VEC, e);
        }
    for (; i < n; i += AT_VEC) {
        size_t lanes = vec_lanes(n - i);
        at_vec x = vec_sub(vec_load_n(a + i, lanes), shift), e = vec_exp_weight(x);
        sum[0] = vec_add(sum[0], vec_select(vec_first(lanes), e, vec_zero()));
        all[0] = vec_add(all[0], vec_select(vec_first(lanes), x, vec_zero()));
        vec_store_n(out + i, e, lanes);
    }
    if (total)
        *total = vec_sum_double(vec_add(all[0], all[1]));
    return vec_sum_double(vec_add(sum[0], sum[1]));
}
#endif
