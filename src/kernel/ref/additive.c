#include <math.h>
#include "kernel/ref/ref.h"

void at_ref_additive(const at_additive *a, float *scores)
{
    for (size_t s = 0; s < a->keys; s++) {
        const float *k = a->k + s * a->k_stride;
        double sum = 0;
        for (size_t j = 0; j < a->width; j++)
            sum += (double)a->v[j] * (double)tanhf(a->q[j] + k[j]);
        scores[s] = (float)sum;
    }
}

void at_ref_additive_backward(const at_additive *a)
{
    for (size_t s = 0; s < a->keys; s++) {
        const float *k = a->k + s * a->k_stride;
        float *d_k = a->d_k + s * a->k_stride, d = a->d_scores[s];
        for (size_t j = 0; j < a->width; j++) {
            float u = tanhf(a->q[j] + k[j]), inner = d * a->v[j] * (1.0f - u * u);
            a->d_q[j] += inner;
            d_k[j] += inner;
            a->d_v[j] += d * u;
        }
    }
}
