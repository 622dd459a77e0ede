/* kernel/simd/vec_avx512.h - the verbs of simd.h in AVX-512 (F, BW, DQ, VL). */
#ifndef AT_KERNEL_SIMD_VEC_AVX512_H
#define AT_KERNEL_SIMD_VEC_AVX512_H
#ifndef AT_EMULATE_AVX512 /* or else the build includes tests/emulate/avx512.h */
#include <immintrin.h>
#endif

typedef __m512 at_vec;
typedef __m512i at_uvec;
typedef __mmask16 at_lanes;
enum { AT_VEC = 16 };

AT_INLINE at_lanes vec_first(size_t n)
{
    return (at_lanes)((1u << n) - 1u);
}

AT_INLINE at_vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

AT_INLINE void vec_store(float *p, at_vec v)
{
    _mm512_storeu_ps(p, v);
}

AT_INLINE at_vec vec_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(vec_first(n), p);
}

AT_INLINE void vec_store_n(float *p, at_vec v, size_t n)
{
    _mm512_mask_storeu_ps(p, vec_first(n), v);
}

AT_INLINE at_vec vec_set(float x)
{
    return _mm512_set1_ps(x);
}

AT_INLINE at_vec vec_zero(void)
{
    return _mm512_setzero_ps();
}

AT_INLINE at_vec vec_add(at_vec a, at_vec b)
{
    return _mm512_add_ps(a, b);
}

AT_INLINE at_vec vec_sub(at_vec a, at_vec b)
{
    return _mm512_sub_ps(a, b);
}

AT_INLINE at_vec vec_mul(at_vec a, at_vec b)
{
    return _mm512_mul_ps(a, b);
}

AT_INLINE at_vec vec_div(at_vec a, at_vec b)
{
    return _mm512_div_ps(a, b);
}

AT_INLINE at_vec vec_sqrt(at_vec a)
{
    return _mm512_sqrt_ps(a);
}

/* a * b + c, rounded once */
AT_INLINE at_vec vec_fma(at_vec a, at_vec b, at_vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* c - a * b, rounded once */
AT_INLINE at_vec vec_fnma(at_vec a, at_vec b, at_vec c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

AT_INLINE at_vec vec_max(at_vec a, at_vec b)
{
    return _mm512_max_ps(a, b);
}

AT_INLINE at_vec vec_min(at_vec a, at_vec b)
{
    return _mm512_min_ps(a, b);
}

AT_INLINE at_vec vec_abs(at_vec a)
{
    return _mm512_abs_ps(a);
}

/* |size| with the sign of `sign` */
AT_INLINE at_vec vec_sign(at_vec size, at_vec sign)
{
    __m512 bit = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(bit, size), _mm512_and_ps(bit, sign));
}

/* to the nearest whole number, ties to even */
AT_INLINE at_vec vec_round(at_vec a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a * 2^n for whole n, over- and underflow as they should be */
AT_INLINE at_vec vec_scale2(at_vec a, at_vec n)
{
    return _mm512_scalef_ps(a, n);
}

/* 2^n of t = n + 1.5 * 2^23 + 127, whose last bits are n's exponent; n of -126 … 127 */
AT_INLINE at_vec vec_power_of(at_vec t)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(t), 23));
}

/* x = result * 2^power, the result from sqrt(1/2) to sqrt(2); x a positive normal number */
AT_INLINE at_vec vec_split(at_vec x, at_vec *power)
{
    __m512i bits = _mm512_castps_si512(x), low = _mm512_set1_epi32(0x3F3504F3);
    __m512i n = _mm512_srai_epi32(_mm512_sub_epi32(bits, low), 23);
    *power = _mm512_cvtepi32_ps(n);
    return _mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(n, 23)));
}

AT_INLINE at_lanes vec_less(at_vec a, at_vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

AT_INLINE at_lanes vec_less_equal(at_vec a, at_vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ);
}

AT_INLINE at_lanes vec_equal(at_vec a, at_vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}

AT_INLINE at_vec vec_select(at_lanes lanes, at_vec yes, at_vec no)
{
    return _mm512_mask_blend_ps(lanes, no, yes);
}

AT_INLINE bool vec_any(at_lanes lanes)
{
    return lanes != 0;
}

/* Halves added to each other: lanes 0+8, 1+9, …, then 0+4, …, 0+2, …, 0+1. */
AT_INLINE float vec_sum(at_vec v)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

AT_INLINE float vec_highest(at_vec v)
{
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

/* Lanes as doubles, for long sums. */
AT_INLINE double vec_sum_double(at_vec v)
{
    __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    __m512d d = _mm512_add_pd(low, _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)));
    __m256d h = _mm256_add_pd(_mm512_castpd512_pd256(d), _mm512_extractf64x4_pd(d, 1));
    __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

/* Lanes of doubles, as many as a vector has floats. */
typedef struct at_doubles {
    __m512d low, high;
} at_doubles;

AT_INLINE at_doubles doubles_zero(void)
{
    return (at_doubles){_mm512_setzero_pd(), _mm512_setzero_pd()};
}

/* sum + v * v */
AT_INLINE at_doubles doubles_add_square(at_doubles sum, at_vec v)
{
    __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
    return (at_doubles){_mm512_fmadd_pd(low, low, sum.low), _mm512_fmadd_pd(high, high, sum.high)};
}

AT_INLINE double doubles_sum(at_doubles a)
{
    __m512d d = _mm512_add_pd(a.low, a.high);
    __m256d h = _mm256_add_pd(_mm512_castpd512_pd256(d), _mm512_extractf64x4_pd(d, 1));
    __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

/* v[i] lane j becomes v[j] lane i: pairs, then fours within quarters, then the quarters. */
AT_INLINE void vec_transpose(at_vec v[AT_VEC])
{
    __m512 a[16], b[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        a[2 * i] = _mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]);
        a[2 * i + 1] = _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) { /* b[i + j]: columns j, j+4, j+8, j+12 of rows i … i+3 */
        __m512d p0 = _mm512_castps_pd(a[i]), p1 = _mm512_castps_pd(a[i + 1]);
        __m512d p2 = _mm512_castps_pd(a[i + 2]), p3 = _mm512_castps_pd(a[i + 3]);
        b[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(p0, p2));
        b[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(p0, p2));
        b[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(p1, p3));
        b[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(p1, p3));
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        __m512 even0 = _mm512_shuffle_f32x4(b[j], b[4 + j], 0x88),
               odd0 = _mm512_shuffle_f32x4(b[j], b[4 + j], 0xDD);
        __m512 even1 = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0x88);
        __m512 odd1 = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0xDD);
        v[j] = _mm512_shuffle_f32x4(even0, even1, 0x88);
        v[4 + j] = _mm512_shuffle_f32x4(odd0, odd1, 0x88);
        v[8 + j] = _mm512_shuffle_f32x4(even0, even1, 0xDD);
        v[12 + j] = _mm512_shuffle_f32x4(odd0, odd1, 0xDD);
    }
}

AT_INLINE at_uvec uvec_set(uint32_t x)
{
    return _mm512_set1_epi32((int)x);
}

/* 0, 1, 2, … */
AT_INLINE at_uvec uvec_count(void)
{
    return _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
}

AT_INLINE at_uvec uvec_add(at_uvec a, at_uvec b)
{
    return _mm512_add_epi32(a, b);
}

AT_INLINE at_uvec uvec_xor(at_uvec a, at_uvec b)
{
    return _mm512_xor_si512(a, b);
}

/* The low and the high 32 bits of each product. */
AT_INLINE void uvec_mul_wide(at_uvec a, at_uvec b, at_uvec *low, at_uvec *high)
{
    __m512i even = _mm512_mul_epu32(a, b);
    __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
    *low = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
    *high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
}

AT_INLINE at_uvec uvec_select(at_lanes lanes, at_uvec yes, at_uvec no)
{
    return _mm512_mask_blend_epi32(lanes, no, yes);
}

AT_INLINE at_lanes uvec_less(at_uvec a, at_uvec b)
{
    return _mm512_cmplt_epu32_mask(a, b);
}

AT_INLINE at_vec uvec_to_float(at_uvec a)
{
    return _mm512_cvtepu32_ps(a);
}

AT_INLINE at_uvec uvec_load(const uint32_t *p)
{
    return _mm512_loadu_si512(p);
}

AT_INLINE void uvec_store(uint32_t *p, at_uvec v)
{
    _mm512_storeu_si512(p, v);
}

/* out[0], out[1], … hold w[0][0] w[1][0] w[2][0] w[3][0] w[0][1] … in memory's order. */
AT_INLINE void uvec_weave4(const at_uvec w[4], at_uvec out[4])
{
    __m512i a = _mm512_unpacklo_epi32(w[0], w[1]), b = _mm512_unpackhi_epi32(w[0], w[1]);
    __m512i c = _mm512_unpacklo_epi32(w[2], w[3]), d = _mm512_unpackhi_epi32(w[2], w[3]);
    /* q[i] holds lanes i, i+4, i+8, i+12, four words each; what is left is to transpose 4 x 4 blocks. */
    __m512i q0 = _mm512_unpacklo_epi64(a, c), q1 = _mm512_unpackhi_epi64(a, c);
    __m512i q2 = _mm512_unpacklo_epi64(b, d), q3 = _mm512_unpackhi_epi64(b, d);
    __m512i r0 = _mm512_shuffle_i32x4(q0, q1, 0x88), r1 = _mm512_shuffle_i32x4(q0, q1, 0xDD);
    __m512i r2 = _mm512_shuffle_i32x4(q2, q3, 0x88), r3 = _mm512_shuffle_i32x4(q2, q3, 0xDD);
    /* r0: q0.0 q0.2 q1.0 q1.2; r1: q0.1 q0.3 q1.1 q1.3; r2 and r3 the same of q2, q3 */
    out[0] = _mm512_shuffle_i32x4(r0, r2, 0x88);
    out[1] = _mm512_shuffle_i32x4(r1, r3, 0x88);
    out[2] = _mm512_shuffle_i32x4(r0, r2, 0xDD);
    out[3] = _mm512_shuffle_i32x4(r1, r3, 0xDD);
}

AT_INLINE at_vec vec_of_bits(at_uvec bits)
{
    return _mm512_castsi512_ps(bits);
}

/* AT_VEC numbers in bf16. */
AT_INLINE at_vec vec_widen(const at_bf16 *p)
{
    __m256i narrow = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return vec_of_bits(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
}

/* AT_VEC pairs: the first and the second number of each. */
AT_INLINE void vec_pairs(const at_bf16 *p, at_vec *first, at_vec *second)
{
    __m512i both = _mm512_loadu_si512(p);
    *first = vec_of_bits(_mm512_slli_epi32(both, 16));
    *second = vec_of_bits(_mm512_and_si512(both, _mm512_set1_epi32((int)0xFFFF0000u)));
}

/* vec_pairs the other way round, of numbers that bf16 can hold. */
AT_INLINE at_uvec uvec_pairs(at_vec first, at_vec second)
{
    __m512i upper = _mm512_and_si512(_mm512_castps_si512(second), _mm512_set1_epi32((int)0xFFFF0000u));
    return _mm512_or_si512(_mm512_srli_epi32(_mm512_castps_si512(first), 16), upper);
}

/* AT_VEC pairs as they lie. */
AT_INLINE at_uvec uvec_load_pairs(const at_bf16 *p)
{
    return _mm512_loadu_si512(p);
}

#ifdef AT_SIMD_DOTS
/* sum + both products of each pair of bf16 */
AT_INLINE at_vec vec_dot_pairs(at_uvec a, at_uvec b, at_vec sum)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

/* The first n of 2 AT_VEC numbers in bf16; the others 0. */
AT_INLINE at_uvec uvec_load_pairs_n(const at_bf16 *p, size_t n)
{
    return _mm512_maskz_loadu_epi16((__mmask32)((1ull << n) - 1), p);
}

AT_INLINE void uvec_store_pairs_n(at_bf16 *p, at_uvec v, size_t n)
{
    _mm512_mask_storeu_epi16(p, (__mmask32)((1ull << n) - 1), v);
}

/* Both one behind the other in bf16, to the nearest, ties to even; denormal numbers become 0, NaN stays. */
AT_INLINE at_uvec uvec_narrow(at_vec first, at_vec second)
{
    return (__m512i)_mm512_cvtne2ps_pbh(second, first);
}

/* Rows a and b of 2 AT_VEC numbers as pairs: (a_j, b_j) of the first AT_VEC, and of the others. */
AT_INLINE void uvec_weave2(at_uvec a, at_uvec b, at_uvec *first, at_uvec *second)
{
    const __m512i low =
        _mm512_set_epi32(0x2F000F, 0x2E000E, 0x2D000D, 0x2C000C, 0x2B000B, 0x2A000A, 0x290009, 0x280008,
                         0x270007, 0x260006, 0x250005, 0x240004, 0x230003, 0x220002, 0x210001, 0x200000);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(0x100010));
    *first = _mm512_permutex2var_epi16(a, low, b);
    *second = _mm512_permutex2var_epi16(a, high, b);
}

/* What uvec_narrow made of a and b, as pairs (a_j, b_j). */
AT_INLINE at_uvec uvec_weave(at_uvec both)
{
    const __m512i order =
        _mm512_set_epi32(0x1F000F, 0x1E000E, 0x1D000D, 0x1C000C, 0x1B000B, 0x1A000A, 0x190009, 0x180008,
                         0x170007, 0x160006, 0x150005, 0x140004, 0x130003, 0x120002, 0x110001, 0x100000);
    return _mm512_permutexvar_epi16(order, both);
}

/* The first AT_VEC numbers in bf16 of v to one place, the others to another. */
AT_INLINE void uvec_store_halves(uint32_t *first, uint32_t *second, at_uvec v)
{
    _mm256_storeu_si256((__m256i *)(void *)first, _mm512_castsi512_si256(v));
    _mm256_storeu_si256((__m256i *)(void *)second, _mm512_extracti64x4_epi64(v, 1));
}

AT_INLINE void uvec_transpose(at_uvec v[AT_VEC])
{
    at_vec turned[AT_VEC];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        turned[i] = vec_of_bits(v[i]);
    vec_transpose(turned);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        v[i] = _mm512_castps_si512(turned[i]);
}

AT_INLINE at_vec vec_join(at_vec a, at_vec b, const bool largest)
{
    return largest ? vec_max(a, b) : vec_add(a, b);
}

/* Lane i: the sum of v[i]'s lanes in vec_sum's order, or the largest. Halves of all are joined while they are
 * turned round, which takes half of what a transposition would. */
AT_INLINE at_vec vec_fold(const at_vec v[AT_VEC], const bool largest)
{
    __m512 x[8], y[4], z[2];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) { /* halves of rows r, r + 4 */
        __m512 a = v[i / 4 * 8 + i % 4], b = v[i / 4 * 8 + i % 4 + 4];
        x[i] = vec_join(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE), largest);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) /* quarters of i, i + 4, i + 8, i + 12 */
        y[i] = vec_join(_mm512_shuffle_f32x4(x[i], x[i + 4], 0x88),
                        _mm512_shuffle_f32x4(x[i], x[i + 4], 0xDD), largest);
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++)
        z[i] = vec_join(_mm512_unpacklo_ps(y[2 * i], y[2 * i + 1]),
                        _mm512_unpackhi_ps(y[2 * i], y[2 * i + 1]), largest);
    __m512d a = _mm512_castps_pd(z[0]), b = _mm512_castps_pd(z[1]);
    return vec_join(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)),
                    largest);
}
#endif

AT_INLINE at_uvec uvec_bf16(at_vec v)
{
    __m512i bits = _mm512_castps_si512(v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
    __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    return _mm512_srli_epi32(_mm512_mask_blend_epi32(nan, rounded, quiet), 16);
}

AT_INLINE void vec_narrow(at_bf16 *p, at_vec v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(uvec_bf16(v)));
}

/* What vec_narrow and vec_widen make of it. */
AT_INLINE at_vec vec_round_bf16(at_vec v)
{
    return vec_of_bits(_mm512_slli_epi32(uvec_bf16(v), 16));
}
#endif
