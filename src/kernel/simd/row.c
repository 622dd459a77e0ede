#include "kernel/simd/math.h"

/* Loops run over whole vectors and end with one vector of the lanes that are left: each pair of statements
 * calls the same inlined step, the first with a constant number of lanes. */

AT_INLINE void add_step(float *out, const float *a, const float *b, size_t lanes)
{
    vec_store_n(out, vec_add(vec_load_n(a, lanes), vec_load_n(b, lanes)), lanes);
}

static void add(float *out, const float *a, const float *b, size_t n)
{
    size_t i = 0;
    for (; i + AT_VEC <= n; i += AT_VEC)
        add_step(out + i, a + i, b + i, AT_VEC);
    if (i < n)
        add_step(out + i, a + i, b + i, n - i);
}

AT_INLINE void mul_step(float *out, const float *a, const float *b, size_t lanes)
{
    vec_store_n(out, vec_mul(vec_load_n(a, lanes), vec_load_n(b, lanes)), lanes);
}

static void mul(float *out, const float *a, const float *b, size_t n)
{
    size_t i = 0;
    for (; i + AT_VEC <= n; i += AT_VEC)
        mul_step(out + i, a + i, b + i, AT_VEC);
    if (i < n)
        mul_step(out + i, a + i, b + i, n - i);
}

AT_INLINE void mul_add_step(float *out, const float *a, const float *b, size_t lanes)
{
    vec_store_n(out, vec_fma(vec_load_n(a, lanes), vec_load_n(b, lanes), vec_load_n(out, lanes)), lanes);
}

static void mul_add(float *out, const float *a, const float *b, size_t n)
{
    size_t i = 0;
    for (; i + AT_VEC <= n; i += AT_VEC)
        mul_add_step(out + i, a + i, b + i, AT_VEC);
    if (i < n)
        mul_add_step(out + i, a + i, b + i, n - i);
}

static void scale(float *out, const float *a, float s, size_t n)
{
    size_t i = 0;
    at_vec factor = vec_set(s);
    for (; i + AT_VEC <= n; i += AT_VEC)
        vec_store(out + i, vec_mul(factor, vec_load(a + i)));
    if (i < n)
        vec_store_n(out + i, vec_mul(factor, vec_load_n(a + i, n - i)), n - i);
}

AT_INLINE void axpy_step(float *out, at_vec s, const float *a, size_t lanes)
{
    vec_store_n(out, vec_fma(s, vec_load_n(a, lanes), vec_load_n(out, lanes)), lanes);
}

static void axpy(float *out, float s, const float *a, size_t n)
{
    size_t i = 0;
    at_vec factor = vec_set(s);
    for (; i + AT_VEC <= n; i += AT_VEC)
        axpy_step(out + i, factor, a + i, AT_VEC);
    if (i < n)
        axpy_step(out + i, factor, a + i, n - i);
}

static void exponential(float *out, const float *a, size_t n)
{
    size_t i = 0;
    for (; i + AT_VEC <= n; i += AT_VEC)
        vec_store(out + i, vec_exp(vec_load(a + i)));
    if (i < n)
        vec_store_n(out + i, vec_exp(vec_load_n(a + i, n - i)), n - i);
}

AT_INLINE void activate_all(float *out, const float *a, at_activation f, size_t n)
{
    size_t i = 0;
    for (; i + AT_VEC <= n; i += AT_VEC)
        vec_store(out + i, vec_activated(vec_load(a + i), f));
    if (i < n)
        vec_store_n(out + i, vec_activated(vec_load_n(a + i, n - i), f), n - i);
}

static void activate(float *out, const float *a, at_activation f, size_t n)
{
    switch (f) {
    case AT_LINEAR:
        activate_all(out, a, AT_LINEAR, n);
        break;
    case AT_RELU:
        activate_all(out, a, AT_RELU, n);
        break;
    case AT_GELU:
        activate_all(out, a, AT_GELU, n);
        break;
    case AT_GELU_TANH:
        activate_all(out, a, AT_GELU_TANH, n);
        break;
    case AT_SILU:
        activate_all(out, a, AT_SILU, n);
        break;
    case AT_TANH:
        activate_all(out, a, AT_TANH, n);
        break;
    case AT_SIGMOID:
        activate_all(out, a, AT_SIGMOID, n);
        break;
    }
}

/* s + x s (1 - s) (2u)' with s the sigmoid of 2u; 1 - s is a sigmoid too, with all its digits. */
AT_INLINE at_vec gelu_tanh_slope(at_vec x)
{
    at_vec inner = vec_gelu_inner_twice(x), below = vec_sigmoid(inner),
           above = vec_sigmoid(vec_sub(vec_zero(), inner));
    at_vec rise = vec_fma(vec_mul(x, x), vec_set(3 * 0.044715f), vec_set(1.0f));
    at_vec bend = vec_mul(vec_mul(below, above), vec_mul(rise, vec_set(2 * 0.79788456080286536f)));
    return vec_fma(x, bend, below);
}

/* f' from f's input or output, whichever it reads; f is a constant where this is inlined */
AT_INLINE at_vec slope(at_vec x, at_activation f)
{
    at_vec one = vec_set(1.0f);
    switch (f) {
    case AT_RELU:
        return vec_select(vec_less(vec_zero(), x), one, vec_zero());
    case AT_GELU: {
        at_normal normal = vec_normal(x);
        return vec_fma(x, normal.density, normal.below);
    }
    case AT_GELU_TANH:
        return gelu_tanh_slope(x);
    case AT_SILU: {
        at_vec s = vec_sigmoid(x);
        return vec_mul(s, vec_fma(x, vec_sub(one, s), one));
    }
    case AT_TANH:
        return vec_fnma(x, x, one);
    case AT_SIGMOID:
        return vec_mul(x, vec_sub(one, x));
    case AT_LINEAR:
        break;
    }
    return one;
}

AT_INLINE void slope_all(float *d_in, const float *d_out, const float *x, at_activation f, size_t n)
{
    for (size_t i = 0; i < n; i += AT_VEC) {
        size_t lanes = vec_lanes(n - i);
        at_vec d = vec_load_n(d_out + i, lanes);
        at_vec s = slope(f == AT_LINEAR ? d : vec_load_n(x + i, lanes), f);
        vec_store_n(d_in + i, vec_fma(d, s, vec_load_n(d_in + i, lanes)), lanes);
    }
}

static void activate_backward(float *d_in, const float *d_out, const float *before, const float *after,
                              at_activation f, size_t n)
{
    switch (f) {
    case AT_LINEAR:
        slope_all(d_in, d_out, NULL, AT_LINEAR, n);
        break;
    case AT_RELU:
        slope_all(d_in, d_out, after, AT_RELU, n);
        break;
    case AT_GELU:
        slope_all(d_in, d_out, before, AT_GELU, n);
        break;
    case AT_GELU_TANH:
        slope_all(d_in, d_out, before, AT_GELU_TANH, n);
        break;
    case AT_SILU:
        slope_all(d_in, d_out, before, AT_SILU, n);
        break;
    case AT_TANH:
        slope_all(d_in, d_out, after, AT_TANH, n);
        break;
    case AT_SIGMOID:
        slope_all(d_in, d_out, after, AT_SIGMOID, n);
        break;
    }
}

static float dot(const float *a, const float *b, size_t n)
{
    at_vec sum[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
    size_t i = 0;
    for (; i + 4 * AT_VEC <= n; i += 4 * AT_VEC)
#pragma GCC unroll 4
        for (size_t v = 0; v < 4; v++)
            sum[v] = vec_fma(vec_load(a + i + v * AT_VEC), vec_load(b + i + v * AT_VEC), sum[v]);
    for (; i < n; i += AT_VEC) {
        size_t lanes = vec_lanes(n - i);
        sum[0] = vec_fma(vec_load_n(a + i, lanes), vec_load_n(b + i, lanes), sum[0]);
    }
    return vec_sum(vec_add(vec_add(sum[0], sum[1]), vec_add(sum[2], sum[3])));
}

/* In double: a gradient's norm must neither overflow nor lose its small parts. */
static double sum_squares(const float *a, size_t n)
{
    at_doubles sum[2] = {doubles_zero(), doubles_zero()};
    size_t i = 0;
    for (; i + 2 * AT_VEC <= n; i += 2 * AT_VEC) {
        sum[0] = doubles_add_square(sum[0], vec_load(a + i));
        sum[1] = doubles_add_square(sum[1], vec_load(a + i + AT_VEC));
    }
    for (; i < n; i += AT_VEC)
        sum[0] = doubles_add_square(sum[0], vec_load_n(a + i, vec_lanes(n - i)));
    return doubles_sum(sum[0]) + doubles_sum(sum[1]);
}

/* Strips of four vectors go down all rows with their sums in registers. */
static void column_sum(float *d_bias, const float *d_out, size_t stride, size_t rows, size_t n)
{
    size_t j = 0;
    for (; j + 4 * AT_VEC <= n; j += 4 * AT_VEC) {
        at_vec sum[4];
#pragma GCC unroll 4
        for (size_t v = 0; v < 4; v++)
            sum[v] = vec_load(d_bias + j + v * AT_VEC);
        for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (size_t v = 0; v < 4; v++)
                sum[v] = vec_add(sum[v], vec_load(d_out + i * stride + j + v * AT_VEC));
#pragma GCC unroll 4
        for (size_t v = 0; v < 4; v++)
            vec_store(d_bias + j + v * AT_VEC, sum[v]);
    }
    for (; j < n; j += AT_VEC) {
        size_t lanes = vec_lanes(n - j);
        at_vec sum = vec_load_n(d_bias + j, lanes);
        for (size_t i = 0; i < rows; i++)
            sum = vec_add(sum, vec_load_n(d_out + i * stride + j, lanes));
        vec_store_n(d_bias + j, sum, lanes);
    }
}

AT_INLINE void larger_step(float *best, float *which, const float *x, at_vec tap, size_t lanes)
{
    at_vec old = vec_load_n(best, lanes), new = vec_load_n(x, lanes);
    at_lanes more = vec_less(old, new);
    vec_store_n(best, vec_select(more, new, old), lanes);
    vec_store_n(which, vec_select(more, tap, vec_load_n(which, lanes)), lanes);
}

static void larger(float *best, float *which, const float *x, float tap, size_t n)
{
    size_t i = 0;
    for (; i + AT_VEC <= n; i += AT_VEC)
        larger_step(best + i, which + i, x + i, vec_set(tap), AT_VEC);
    if (i < n)
        larger_step(best + i, which + i, x + i, vec_set(tap), n - i);
}

AT_INLINE void add_where_step(float *d, const float *d_out, const float *which, at_vec tap, size_t lanes)
{
    at_vec old = vec_load_n(d, lanes);
    at_lanes here = vec_equal(vec_load_n(which, lanes), tap);
    vec_store_n(d, vec_select(here, vec_add(old, vec_load_n(d_out, lanes)), old), lanes);
}

static void add_where(float *d, const float *d_out, const float *which, float tap, size_t n)
{
    size_t i = 0;
    for (; i + AT_VEC <= n; i += AT_VEC)
        add_where_step(d + i, d_out + i, which + i, vec_set(tap), AT_VEC);
    if (i < n)
        add_where_step(d + i, d_out + i, which + i, vec_set(tap), n - i);
}

void AT_SIMD_NAME(fill_row)(at_kernels *table)
{
    table->add = add;
    table->mul = mul;
    table->mul_add = mul_add;
    table->scale = scale;
    table->axpy = axpy;
    table->exp = exponential;
    table->activate = activate;
    table->activate_backward = activate_backward;
    table->dot = dot;
    table->sum_squares = sum_squares;
    table->column_sum = column_sum;
    table->larger = larger;
    table->add_where = add_where;
}
