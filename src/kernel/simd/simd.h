/* kernel/simd/simd.h - vectors of floats, the same few verbs on every CPU.
 *
 * Role    Each source of this folder is compiled once a level, with that level's compiler flags and with
 *         AT_SIMD=avx512, avx2 or neon; it is written against these verbs, so that it has no text of its own
 *         for any CPU. Names that the linker sees carry the level through AT_SIMD_NAME.
 * Owns    Nothing. vec_* of vec_LEVEL.h are single instructions, or as few as the CPU allows.
 * Shapes  at_vec: AT_VEC floats. at_uvec: as many uint32. at_lanes: the outcome of a comparison. `n` counts
 *         lanes from the first, 0 … AT_VEC; memory behind them is neither read nor written, lanes read behind
 *         them are 0.
 * Numbers vec_fma rounds once. vec_max and vec_min give their second argument when either is NaN; comparisons
 * with NaN
 *         are false. vec_sum adds in one fixed order. What a lane gets depends on that lane alone, so a row's
 *         bits do not depend on where it begins: treat the end of a row by vec_load_n, never by a scalar loop
 *         of its own. bf16 is a way to store numbers: vec_widen and vec_pairs make floats of it, vec_narrow
 *         rounds to the nearest, ties to even, and keeps NaN.
 *
 *     for (size_t i = 0; i < n; i += AT_VEC) {
 *         size_t lanes = vec_lanes(n - i);
 *         vec_store_n(out + i, vec_mul(vec_load_n(a + i, lanes), vec_set(s)), lanes);
 *     }
 */
#ifndef AT_KERNEL_SIMD_SIMD_H
#define AT_KERNEL_SIMD_SIMD_H
#include "kernel/kernel.h"

#define AT_SIMD_JOIN(level, name) at_##level##_##name
#define AT_SIMD_JOINED(level, name) AT_SIMD_JOIN(level, name)
#define AT_SIMD_NAME(name) AT_SIMD_JOINED(AT_SIMD, name)
#define AT_SIMD_QUOTE(text) #text
#define AT_SIMD_QUOTED(text) AT_SIMD_QUOTE(text)
#define AT_SIMD_TEXT AT_SIMD_QUOTED(AT_SIMD)

#define AT_INLINE static inline AT_UNUSED __attribute__((always_inline))

#if defined(AT_SIMD_AVX512)
#include "kernel/simd/vec_avx512.h"
#elif defined(AT_SIMD_AVX2)
#include "kernel/simd/vec_avx2.h"
#elif defined(AT_SIMD_NEON)
#include "kernel/simd/vec_neon.h"
#else
#error \
    "kernel/simd is compiled once a level: define AT_SIMD=avx512, avx2 or neon and AT_SIMD_AVX512 and so on"
#endif

/* How many of the `left` next elements one vector takes. */
AT_INLINE size_t vec_lanes(size_t left)
{
    return left < AT_VEC ? left : AT_VEC;
}

/* The first `lanes` of a row of bf16; the others 0. */
AT_INLINE at_vec vec_widen_n(const at_bf16 *p, size_t lanes)
{
    if (lanes == AT_VEC)
        return vec_widen(p);
    at_bf16 part[AT_VEC] = {0};
    for (size_t i = 0; i < lanes; i++)
        part[i] = p[i];
    return vec_widen(part);
}

AT_INLINE void vec_narrow_n(at_bf16 *p, at_vec v, size_t lanes)
{
    if (lanes == AT_VEC) {
        vec_narrow(p, v);
        return;
    }
    at_bf16 part[AT_VEC];
    vec_narrow(part, v);
    for (size_t i = 0; i < lanes; i++)
        p[i] = part[i];
}

#ifndef AT_SIMD_AVX2 /* which has a way of its own */
/* v[j] lane i = at[i][l + j] */
AT_INLINE void vec_load_turned(at_vec v[AT_VEC], const float *const at[AT_VEC], size_t l)
{
#pragma GCC unroll 16
    for (size_t i = 0; i < AT_VEC; i++)
        v[i] = vec_load(at[i] + l);
    vec_transpose(v);
}
#endif

/* e^x within 1.1 units in the last place: x = n ln 2 + r, a polynomial in r (degree 6, fitted for the least
 * largest relative error, 3e-9), times 2^n. Above 88.72 it is inf; NaN stays. Below -87.33, where results
 * would no longer be normal numbers and cost the CPU a hundred cycles each (every masked score would), it
 * is 0. ln 2 is cut in two so that n times its first part is exact. */
AT_INLINE at_vec vec_exp(at_vec x)
{
    at_lanes nothing = vec_less(x, vec_set(-87.33f));
    x = vec_max(vec_set(-87.33f), vec_min(vec_set(89.0f), x)); /* in this order NaN comes through */
    at_vec n = vec_round(vec_mul(x, vec_set(1.44269504f)));
    at_vec r = vec_fma(n, vec_set(-0.693359375f), x);
    r = vec_fma(n, vec_set(2.12194440e-4f), r);
    at_vec q = vec_set(0x1.6a23cep-10f);
    q = vec_fma(q, r, vec_set(0x1.123a2p-7f));
    q = vec_fma(q, r, vec_set(0x1.5558f2p-5f));
    q = vec_fma(q, r, vec_set(0x1.555492p-3f));
    q = vec_fma(q, r, vec_set(0x1.fffffcp-2f));
    q = vec_fma(vec_mul(q, r), r, r);
    return vec_select(nothing, vec_zero(), vec_scale2(vec_add(q, vec_set(1.0f)), n));
}

/* The same for x of at most a rounding above 0, as weights of a softmax are: no overflow to mind, and n comes
 * as the last bits of a sum with a large number. At -88 n is -127, whose power of two reads as 0: that is
 * what lower ones get. */
AT_INLINE at_vec vec_exp_weight(at_vec x)
{
    const at_vec large = vec_set(12582912.0f + 127.0f);
    x = vec_max(vec_set(-88.0f), x); /* in this order NaN comes through */
    at_vec t = vec_fma(x, vec_set(1.44269504f), large), n = vec_sub(t, large);
    at_vec r = vec_fma(n, vec_set(-0.693359375f), x);
    r = vec_fma(n, vec_set(2.12194440e-4f), r);
    at_vec q = vec_set(0x1.6a23cep-10f);
    q = vec_fma(q, r, vec_set(0x1.123a2p-7f));
    q = vec_fma(q, r, vec_set(0x1.5558f2p-5f));
    q = vec_fma(q, r, vec_set(0x1.555492p-3f));
    q = vec_fma(q, r, vec_set(0x1.fffffcp-2f));
    q = vec_fma(vec_mul(q, r), r, r);
    at_vec power = vec_power_of(t);
    return vec_fma(q, power, power);
}

/* The level's table, and who fills it: each file its own entries. */
const at_kernels *AT_SIMD_NAME(kernels)(void);
void AT_SIMD_NAME(fill_gemm)(at_kernels *table);
void AT_SIMD_NAME(fill_bf16)(at_kernels *table);
void AT_SIMD_NAME(fill_row)(at_kernels *table);
void AT_SIMD_NAME(fill_norm)(at_kernels *table);
void AT_SIMD_NAME(fill_turn)(at_kernels *table);
void AT_SIMD_NAME(fill_softmax)(at_kernels *table);
void AT_SIMD_NAME(fill_attend)(at_kernels *table);
void AT_SIMD_NAME(fill_attend_bf16)(at_kernels *table);
void AT_SIMD_NAME(fill_dropout)(at_kernels *table);
void AT_SIMD_NAME(fill_loss)(at_kernels *table);
void AT_SIMD_NAME(fill_adam)(at_kernels *table);
void AT_SIMD_NAME(fill_cell)(at_kernels *table);
void AT_SIMD_NAME(fill_peak)(at_kernels *table);
void AT_SIMD_NAME(fill_additive)(at_kernels *table);
void AT_SIMD_NAME(fill_attend_dots)(at_kernels *table); /* of a set that has dot products */
#endif
