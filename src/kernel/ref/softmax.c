#include <math.h>
#include "kernel/ref/ref.h"

float at_ref_sum_exp(const float *a, float max, size_t n)
{
    double sum = 0;
    if (max == -INFINITY) /* nothing to look at: exp(-inf - -inf) would be NaN */
        return 0;
    for (size_t i = 0; i < n; i++)
        sum += expf(a[i] - max);
    return (float)sum;
}

void at_ref_softmax(float *out, const float *a, size_t n)
{
    float max = at_ref_max(a, n);
    if (max == -INFINITY) {
        for (size_t i = 0; i < n; i++)
            out[i] = a[i] == -INFINITY ? 0 : a[i]; /* a NaN stays one */
        return;
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = expf(a[i] - max);
        sum += out[i];
    }
    float inverse = (float)(1.0 / sum);
    for (size_t i = 0; i < n; i++)
        out[i] *= inverse;
}

void at_ref_softmax_backward(float *d_in, const float *w, const float *d_w, size_t n)
{
    float mean = at_ref_dot(w, d_w, n);
    for (size_t i = 0; i < n; i++)
        d_in[i] += w[i] * (d_w[i] - mean);
}

void at_ref_log_softmax(float *out, const float *a, size_t n)
{
    float max = at_ref_max(a, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += max == -INFINITY ? 0 : exp((double)a[i] - max);
    double shift = max == -INFINITY ? 0 : max + log(sum);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(a[i] - shift);
}

void at_ref_log_softmax_backward(float *d_in, const float *out, const float *d_out, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += d_out[i];
    for (size_t i = 0; i < n; i++)
        d_in[i] += d_out[i] - expf(out[i]) * (float)sum;
}
