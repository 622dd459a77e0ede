/* The most this level can do: multiply-adds on registers alone, in as many chains as hide their latency. */
#include "kernel/simd/simd.h"

enum { CHAINS = 12, ROUNDS = 100000 };

static double peak(float *sink)
{
    at_vec sum[CHAINS], x = vec_set(1.0f + *sink), y = vec_set(1e-9f);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = vec_set((float)i);
    for (int r = 0; r < ROUNDS; r++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            sum[i] = vec_fma(sum[i], x, y);
    at_vec all = vec_zero();
    for (int i = 0; i < CHAINS; i++)
        all = vec_add(all, sum[i]);
    *sink = vec_sum(all);
    return 2.0 * AT_VEC * CHAINS * ROUNDS;
}

void AT_SIMD_NAME(fill_peak)(at_kernels *table)
{
    table->peak = peak;
}
