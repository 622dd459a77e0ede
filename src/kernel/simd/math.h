/* kernel/simd/math.h - functions of a vector, lane by lane, beyond simd.h's exp.
 *
 * Role    What the activations are made of. Errors stated are absolute, of results up
 *         to 1; NaN comes through.
 * Owns    Nothing.
 * Errors  None.
 *
 *     at_vec y = vec_mul(x, vec_sigmoid(x));      // SiLU
 */
#ifndef AT_KERNEL_SIMD_MATH_H
#define AT_KERNEL_SIMD_MATH_H
#include <math.h>
#include "kernel/simd/simd.h"

/* 1/(1 + e^-x), within 1.5e-7; with e = e^-|x| below 0 it is e/(1 + e) */
AT_INLINE at_vec vec_sigmoid(at_vec x)
{
    at_vec one = vec_set(1.0f), e = vec_exp_weight(vec_sub(vec_zero(), vec_abs(x)));
    return vec_div(vec_select(vec_less(x, vec_zero()), e, one), vec_add(one, e));
}

/* tanh, within 1.5e-7 of its value near zero too, where 1 - 2/(e^2x + 1) has no digits left: with
 * e = e^-2|x| - 1, kept as 2^n (e^r - 1) + (2^n - 1), it is -e/(2 + e). The polynomial is e^r's of simd.h. */
AT_INLINE at_vec vec_tanh(at_vec x)
{
    at_vec y = vec_max(vec_set(-30.0f), vec_mul(vec_set(-2.0f), vec_abs(x)));
    const at_vec large = vec_set(12582912.0f + 127.0f); /* as in vec_exp_weight */
    at_vec t = vec_fma(y, vec_set(1.44269504f), large), n = vec_sub(t, large);
    at_vec r = vec_fma(n, vec_set(2.12194440e-4f), vec_fma(n, vec_set(-0.693359375f), y));
    at_vec q = vec_set(0x1.6a23cep-10f);
    q = vec_fma(q, r, vec_set(0x1.123a2p-7f));
    q = vec_fma(q, r, vec_set(0x1.5558f2p-5f));
    q = vec_fma(q, r, vec_set(0x1.555492p-3f));
    q = vec_fma(q, r, vec_set(0x1.fffffcp-2f));
    q = vec_fma(vec_mul(q, r), r, r);
    at_vec power = vec_power_of(t);
    at_vec e = vec_fma(power, q, vec_sub(power, vec_set(1.0f)));
    return vec_sign(vec_div(e, vec_add(vec_set(2.0f), e)), x);
}

/* The natural logarithm of positive normal numbers and infinity, within 0.9 units in the last place:
 * n ln 2 + f - f^2/2 + f^3 times a polynomial of degree 7, fitted for the least largest relative error of the
 * logarithm of 1 + f. */
AT_INLINE at_vec vec_log(at_vec x)
{
    at_vec n, f = vec_sub(vec_split(x, &n), vec_set(1.0f)), square = vec_mul(f, f);
    at_vec q = vec_set(-0x1.422b32p-4f);
    q = vec_fma(q, f, vec_set(0x1.07c41ap-3f));
    q = vec_fma(q, f, vec_set(-0x1.0cce5ap-3f));
    q = vec_fma(q, f, vec_set(0x1.226f7cp-3f));
    q = vec_fma(q, f, vec_set(-0x1.547ab8p-3f));
    q = vec_fma(q, f, vec_set(0x1.99a592p-3f));
    q = vec_fma(q, f, vec_set(-0x1.000216p-2f));
    q = vec_fma(q, f, vec_set(0x1.55554ap-2f));
    at_vec rest = vec_fma(vec_mul(square, f), q, vec_mul(n, vec_set(-2.12194440e-4f)));
    rest = vec_add(vec_fma(square, vec_set(-0.5f), rest), f);
    at_vec log = vec_fma(n, vec_set(0.693359375f), rest);
    return vec_select(vec_less(x, vec_set(INFINITY)), log, x);
}

/* Lane i: the sum of v[i]'s lanes, in vec_sum's order. */
AT_INLINE at_vec vec_sums(at_vec v[AT_VEC])
{
    vec_transpose(v);
#pragma GCC unroll 8
    for (size_t half = AT_VEC / 2; half > 0; half /= 2)
#pragma GCC unroll 8
        for (size_t i = 0; i < half; i++)
            v[i] = vec_add(v[i], v[i + half]);
    return v[0];
}

/* Lane i: the largest of v[i]'s lanes. */
AT_INLINE at_vec vec_highests(at_vec v[AT_VEC])
{
    vec_transpose(v);
#pragma GCC unroll 8
    for (size_t half = AT_VEC / 2; half > 0; half /= 2)
#pragma GCC unroll 8
        for (size_t i = 0; i < half; i++)
            v[i] = vec_max(v[i], v[i + half]);
    return v[0];
}

typedef struct at_normal {
    at_vec below, density; /* the standard normal distribution up to x, and at x */
} at_normal;

/* below: e^(-x²/2) times a polynomial of degree 8 in 1/(1 + 0.3 |x|) for the tail, fitted for the least
 * largest relative error (6e-8) on 0 … 14.5, so that the tail keeps its digits; the other side is one less
 * that. */
AT_INLINE at_normal vec_normal(at_vec x)
{
    at_vec a = vec_abs(x), one = vec_set(1.0f);
    at_vec bell = vec_exp_weight(vec_mul(vec_mul(a, a), vec_set(-0.5f)));
    at_vec t = vec_div(one, vec_fma(a, vec_set(0.3f), one));
    at_vec q = vec_set(3.84075517e-2f);
    q = vec_fma(q, t, vec_set(-1.69308199e-1f));
    q = vec_fma(q, t, vec_set(2.28953223e-1f));
    q = vec_fma(q, t, vec_set(-7.68412140e-2f));
    q = vec_fma(q, t, vec_set(1.42766274e-1f));
    q = vec_fma(q, t, vec_set(9.45854707e-2f));
    q = vec_fma(q, t, vec_set(1.21945355e-1f));
    q = vec_fma(q, t, vec_set(1.19484195e-1f));
    q = vec_fma(q, t, vec_set(7.37300502e-6f));
    at_vec tail = vec_mul(q, bell);
    at_vec below = vec_select(vec_less(vec_zero(), x), vec_sub(one, tail), tail);
    return (at_normal){below, vec_mul(bell, vec_set(0.39894228040143268f))};
}

/* Hendrycks and Gimpel 2016, arXiv:1606.08415: 0.5 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x³), is the
 * sigmoid of 2u, which keeps the digits of the left tail. */
AT_INLINE at_vec vec_gelu_inner_twice(at_vec x)
{
    at_vec cube = vec_fma(vec_mul(x, x), vec_set(0.044715f), vec_set(1.0f));
    return vec_mul(vec_mul(x, cube), vec_set(2 * 0.79788456080286536f));
}

/* f is a constant where this is inlined */
AT_INLINE at_vec vec_activated(at_vec x, at_activation f)
{
    switch (f) {
    case AT_RELU:
        return vec_max(vec_zero(), x); /* in this order NaN comes through */
    case AT_GELU:
        return vec_mul(x, vec_normal(x).below);
    case AT_GELU_TANH:
        return vec_mul(x, vec_sigmoid(vec_gelu_inner_twice(x)));
    case AT_SILU:
        return vec_mul(x, vec_sigmoid(x));
    case AT_TANH:
        return vec_tanh(x);
    case AT_SIGMOID:
        return vec_sigmoid(x);
    case AT_LINEAR:
        break;
    }
    return x;
}
#endif
