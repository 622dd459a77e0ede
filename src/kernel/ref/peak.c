#include "kernel/ref/ref.h"

enum { CHAINS = 8, ROUNDS = 20000 };

/* Plain C's multiply-adds: a product and a sum, in chains that do not wait for each other. */
double at_ref_peak(float *sink)
{
    float sum[CHAINS] = {0}, x = 1.0f + *sink, y = 1e-9f;
    for (int r = 0; r < ROUNDS; r++)
        for (int i = 0; i < CHAINS; i++)
            sum[i] = sum[i] * x + y;
    *sink = 0;
    for (int i = 0; i < CHAINS; i++)
        *sink += sum[i] * 1e-30f;
    return 2.0 * CHAINS * ROUNDS;
}
