#include <math.h>
#include "kernel/ref/ref.h"

void at_ref_add(float *out, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = a[i] + b[i];
}

void at_ref_mul(float *out, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = a[i] * b[i];
}

void at_ref_mul_add(float *out, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] += a[i] * b[i];
}

void at_ref_scale(float *out, const float *a, float s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = s * a[i];
}

void at_ref_axpy(float *out, float s, const float *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] += s * a[i];
}

void at_ref_exp(float *out, const float *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = expf(a[i]);
}

static const float SQRT_HALF = 0.70710678118654752f;       /* 1/sqrt(2) */
static const float TWICE_SQRT_2_PI = 1.59576912160573072f; /* 2 sqrt(2/pi) */
static const float SQRT_1_2PI = 0.39894228040143268f;      /* 1/sqrt(2 pi) */
static const float GELU_CUBE = 0.044715f;                  /* Hendrycks and Gimpel 2016, arXiv:1606.08415 */

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

/* The normal distribution's cumulative function; by erfc, which keeps the digits of the left tail. */
static float normal_below(float x)
{
    return 0.5f * erfcf(-x * SQRT_HALF);
}

/* 0.5 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x³), is the sigmoid of 2u, which keeps the digits of the
 * left tail. */
static float gelu_inner_twice(float x)
{
    return TWICE_SQRT_2_PI * (x + GELU_CUBE * x * x * x);
}

static float activated(float x, at_activation f)
{
    switch (f) {
    case AT_RELU:
        return x > 0 ? x : (x == x ? 0 : x); /* NaN comes through */
    case AT_GELU:
        return x * normal_below(x);
    case AT_GELU_TANH:
        return x * sigmoid(gelu_inner_twice(x));
    case AT_SILU:
        return x * sigmoid(x);
    case AT_TANH:
        return tanhf(x);
    case AT_SIGMOID:
        return sigmoid(x);
    case AT_LINEAR:
        break;
    }
    return x;
}

void at_ref_activate(float *out, const float *a, at_activation f, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = activated(a[i], f);
}

static float gelu_tanh_slope(float x)
{
    float below = sigmoid(gelu_inner_twice(x)), above = sigmoid(-gelu_inner_twice(x));
    return below + x * below * above * TWICE_SQRT_2_PI * (1.0f + 3.0f * GELU_CUBE * x * x);
}

/* f' of one element; x is f's input, y its output. */
static float slope(float x, float y, at_activation f)
{
    switch (f) {
    case AT_RELU:
        return y > 0 ? 1 : 0;
    case AT_GELU:
        return normal_below(x) + x * SQRT_1_2PI * expf(-0.5f * x * x);
    case AT_GELU_TANH:
        return gelu_tanh_slope(x);
    case AT_SILU:
        return sigmoid(x) * (1.0f + x * (1.0f - sigmoid(x)));
    case AT_TANH:
        return 1.0f - y * y;
    case AT_SIGMOID:
        return y * (1.0f - y);
    case AT_LINEAR:
        break;
    }
    return 1;
}

void at_ref_activate_backward(float *d_in, const float *d_out, const float *before, const float *after,
                              at_activation f, size_t n)
{
    for (size_t i = 0; i < n; i++)
        d_in[i] += d_out[i] * slope(before ? before[i] : 0, after ? after[i] : 0, f);
}

float at_ref_max(const float *a, size_t n)
{
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++)
        max = a[i] > max ? a[i] : max;
    return max;
}

float at_ref_dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return (float)sum;
}

double at_ref_sum_squares(const float *a, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * a[i];
    return sum;
}

void at_ref_column_sum(float *d_bias, const float *d_out, size_t stride, size_t rows, size_t n)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++)
            d_bias[j] += d_out[i * stride + j];
}

void at_ref_larger(float *best, float *which, const float *x, float tap, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] > best[i]) {
            best[i] = x[i];
            which[i] = tap;
        }
}

void at_ref_add_where(float *d, const float *d_out, const float *which, float tap, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(which[i] < tap) && !(which[i] > tap))
            d[i] += d_out[i];
}
