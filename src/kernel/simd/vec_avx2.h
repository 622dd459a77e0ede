/* kernel/simd/vec_avx2.h - the verbs of simd.h in AVX2 and FMA. */
#ifndef AT_KERNEL_SIMD_VEC_AVX2_H
#define AT_KERNEL_SIMD_VEC_AVX2_H
#include <immintrin.h>

typedef __m256 at_vec;
typedef __m256i at_uvec;
typedef __m256 at_lanes; /* all bits of a lane, or none */
enum { AT_VEC = 8 };

AT_INLINE at_lanes vec_first(size_t n)
{
    __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane));
}

AT_INLINE at_vec vec_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

AT_INLINE void vec_store(float *p, at_vec v)
{
    _mm256_storeu_ps(p, v);
}

AT_INLINE at_vec vec_load_n(const float *p, size_t n)
{
    return n == AT_VEC ? vec_load(p) : _mm256_maskload_ps(p, _mm256_castps_si256(vec_first(n)));
}

AT_INLINE void vec_store_n(float *p, at_vec v, size_t n)
{
    if (n == AT_VEC)
        vec_store(p, v);
    else
        _mm256_maskstore_ps(p, _mm256_castps_si256(vec_first(n)), v);
}

AT_INLINE at_vec vec_set(float x)
{
    return _mm256_set1_ps(x);
}

AT_INLINE at_vec vec_zero(void)
{
    return _mm256_setzero_ps();
}

AT_INLINE at_vec vec_add(at_vec a, at_vec b)
{
    return _mm256_add_ps(a, b);
}

AT_INLINE at_vec vec_sub(at_vec a, at_vec b)
{
    return _mm256_sub_ps(a, b);
}

AT_INLINE at_vec vec_mul(at_vec a, at_vec b)
{
    return _mm256_mul_ps(a, b);
}

AT_INLINE at_vec vec_div(at_vec a, at_vec b)
{
    return _mm256_div_ps(a, b);
}

AT_INLINE at_vec vec_sqrt(at_vec a)
{
    return _mm256_sqrt_ps(a);
}

/* a * b + c, rounded once */
AT_INLINE at_vec vec_fma(at_vec a, at_vec b, at_vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* c - a * b, rounded once */
AT_INLINE at_vec vec_fnma(at_vec a, at_vec b, at_vec c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

AT_INLINE at_vec vec_max(at_vec a, at_vec b)
{
    return _mm256_max_ps(a, b);
}

AT_INLINE at_vec vec_min(at_vec a, at_vec b)
{
    return _mm256_min_ps(a, b);
}

AT_INLINE at_vec vec_abs(at_vec a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

/* |size| with the sign of `sign` */
AT_INLINE at_vec vec_sign(at_vec size, at_vec sign)
{
    return _mm256_or_ps(vec_abs(size), _mm256_and_ps(_mm256_set1_ps(-0.0f), sign));
}

/* to the nearest whole number, ties to even */
AT_INLINE at_vec vec_round(at_vec a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

AT_INLINE at_vec vec_power2(__m256i n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

/* a * 2^n for whole n of -252 … 254, in two steps because 2^n alone may be no float */
AT_INLINE at_vec vec_scale2(at_vec a, at_vec n)
{
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    return vec_mul(vec_mul(a, vec_power2(half)), vec_power2(_mm256_sub_epi32(whole, half)));
}

/* 2^n of t = n + 1.5 * 2^23 + 127, whose last bits are n's exponent; n of -126 … 127 */
AT_INLINE at_vec vec_power_of(at_vec t)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(t), 23));
}

/* x = result * 2^power, the result from sqrt(1/2) to sqrt(2); x a positive normal number */
AT_INLINE at_vec vec_split(at_vec x, at_vec *power)
{
    __m256i bits = _mm256_castps_si256(x), low = _mm256_set1_epi32(0x3F3504F3);
    __m256i n = _mm256_srai_epi32(_mm256_sub_epi32(bits, low), 23);
    *power = _mm256_cvtepi32_ps(n);
    return _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(n, 23)));
}

AT_INLINE at_lanes vec_less(at_vec a, at_vec b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}

AT_INLINE at_lanes vec_less_equal(at_vec a, at_vec b)
{
    return _mm256_cmp_ps(a, b, _CMP_LE_OQ);
}

AT_INLINE at_lanes vec_equal(at_vec a, at_vec b)
{
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}

AT_INLINE at_vec vec_select(at_lanes lanes, at_vec yes, at_vec no)
{
    return _mm256_blendv_ps(no, yes, lanes);
}

AT_INLINE bool vec_any(at_lanes lanes)
{
    return _mm256_movemask_ps(lanes) != 0;
}

/* Halves added to each other: lanes 0+4, 1+5, …, then 0+2, 1+3, then 0+1. */
AT_INLINE float vec_sum(at_vec v)
{
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

AT_INLINE float vec_highest(at_vec v)
{
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

/* Lanes as doubles, for long sums. */
AT_INLINE double vec_sum_double(at_vec v)
{
    __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
    __m256d h = _mm256_add_pd(low, _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
    __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

/* Lanes of doubles, as many as a vector has floats. */
typedef struct at_doubles {
    __m256d low, high;
} at_doubles;

AT_INLINE at_doubles doubles_zero(void)
{
    return (at_doubles){_mm256_setzero_pd(), _mm256_setzero_pd()};
}

/* sum + v * v */
AT_INLINE at_doubles doubles_add_square(at_doubles sum, at_vec v)
{
    __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(v)),
            high = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
    return (at_doubles){_mm256_fmadd_pd(low, low, sum.low), _mm256_fmadd_pd(high, high, sum.high)};
}

AT_INLINE double doubles_sum(at_doubles a)
{
    __m256d h = _mm256_add_pd(a.low, a.high);
    __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

/* v[i] lane j becomes v[j] lane i: pairs, then fours within halves, then the halves. */
AT_INLINE void vec_transpose(at_vec v[AT_VEC])
{
    __m256 a[8], b[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_ps(v[2 * i], v[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_ps(v[2 * i], v[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) { /* b[i + j]: columns j and j+4 of rows i … i+3 */
        b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xEE);
        b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xEE);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        v[j] = _mm256_permute2f128_ps(b[j], b[4 + j], 0x20);
        v[4 + j] = _mm256_permute2f128_ps(b[j], b[4 + j], 0x31);
    }
}

/* v[j] lane i = at[i][l + j]: rows 4 … 7 are loaded into the upper halves, which spares the last third of
 * vec_transpose. */
AT_INLINE void vec_load_turned(at_vec v[AT_VEC], const float *const at[AT_VEC], size_t l)
{
    __m256 a[8]; /* columns 0 … 3 of rows i and i+4, then columns 4 … 7 */
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        const float *row = at[i % 4] + l + i / 4 * 4, *other = at[i % 4 + 4] + l + i / 4 * 4;
        a[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(row)), _mm_loadu_ps(other), 1);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        __m256 low = _mm256_unpacklo_ps(a[i], a[i + 1]), high = _mm256_unpackhi_ps(a[i], a[i + 1]);
        __m256 later_low = _mm256_unpacklo_ps(a[i + 2], a[i + 3]),
               later_high = _mm256_unpackhi_ps(a[i + 2], a[i + 3]);
        v[i] = _mm256_shuffle_ps(low, later_low, 0x44);
        v[i + 1] = _mm256_shuffle_ps(low, later_low, 0xEE);
        v[i + 2] = _mm256_shuffle_ps(high, later_high, 0x44);
        v[i + 3] = _mm256_shuffle_ps(high, later_high, 0xEE);
    }
}

AT_INLINE at_uvec uvec_set(uint32_t x)
{
    return _mm256_set1_epi32((int)x);
}

/* 0, 1, 2, … */
AT_INLINE at_uvec uvec_count(void)
{
    return _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
}

AT_INLINE at_uvec uvec_add(at_uvec a, at_uvec b)
{
    return _mm256_add_epi32(a, b);
}

AT_INLINE at_uvec uvec_xor(at_uvec a, at_uvec b)
{
    return _mm256_xor_si256(a, b);
}

/* The low and the high 32 bits of each product. */
AT_INLINE void uvec_mul_wide(at_uvec a, at_uvec b, at_uvec *low, at_uvec *high)
{
    __m256i even = _mm256_mul_epu32(a, b);
    __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
    *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
    *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
}

AT_INLINE at_uvec uvec_select(at_lanes lanes, at_uvec yes, at_uvec no)
{
    return _mm256_blendv_epi8(no, yes, _mm256_castps_si256(lanes));
}

AT_INLINE at_lanes uvec_less(at_uvec a, at_uvec b)
{
    __m256i top = _mm256_set1_epi32((int)0x80000000u);
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_xor_si256(b, top), _mm256_xor_si256(a, top)));
}

/* Both halves are exact, so the sum is rounded once, as a conversion is. */
AT_INLINE at_vec uvec_to_float(at_uvec a)
{
    at_vec high = _mm256_cvtepi32_ps(_mm256_srli_epi32(a, 16));
    at_vec low = _mm256_cvtepi32_ps(_mm256_and_si256(a, _mm256_set1_epi32(0xFFFF)));
    return vec_fma(high, vec_set(65536.0f), low);
}

AT_INLINE at_uvec uvec_load(const uint32_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

AT_INLINE void uvec_store(uint32_t *p, at_uvec v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

/* out[0], out[1], … hold w[0][0] w[1][0] w[2][0] w[3][0] w[0][1] … in memory's order. */
AT_INLINE void uvec_weave4(const at_uvec w[4], at_uvec out[4])
{
    __m256i a = _mm256_unpacklo_epi32(w[0], w[1]), b = _mm256_unpackhi_epi32(w[0], w[1]);
    __m256i c = _mm256_unpacklo_epi32(w[2], w[3]), d = _mm256_unpackhi_epi32(w[2], w[3]);
    __m256i q0 = _mm256_unpacklo_epi64(a, c), q1 = _mm256_unpackhi_epi64(a, c); /* q[i]: lanes i and i+4 */
    __m256i q2 = _mm256_unpacklo_epi64(b, d), q3 = _mm256_unpackhi_epi64(b, d);
    out[0] = _mm256_permute2x128_si256(q0, q1, 0x20);
    out[1] = _mm256_permute2x128_si256(q2, q3, 0x20);
    out[2] = _mm256_permute2x128_si256(q0, q1, 0x31);
    out[3] = _mm256_permute2x128_si256(q2, q3, 0x31);
}

AT_INLINE at_vec vec_of_bits(at_uvec bits)
{
    return _mm256_castsi256_ps(bits);
}

/* AT_VEC numbers in bf16. */
AT_INLINE at_vec vec_widen(const at_bf16 *p)
{
    __m128i narrow = _mm_loadu_si128((const __m128i *)(const void *)p);
    return vec_of_bits(_mm256_slli_epi32(_mm256_cvtepu16_epi32(narrow), 16));
}

/* AT_VEC pairs: the first and the second number of each. */
AT_INLINE void vec_pairs(const at_bf16 *p, at_vec *first, at_vec *second)
{
    __m256i both = _mm256_loadu_si256((const __m256i *)(const void *)p);
    *first = vec_of_bits(_mm256_slli_epi32(both, 16));
    *second = vec_of_bits(_mm256_and_si256(both, _mm256_set1_epi32((int)0xFFFF0000u)));
}

/* vec_pairs the other way round, of numbers that bf16 can hold. */
AT_INLINE at_uvec uvec_pairs(at_vec first, at_vec second)
{
    __m256i upper = _mm256_and_si256(_mm256_castps_si256(second), _mm256_set1_epi32((int)0xFFFF0000u));
    return _mm256_or_si256(_mm256_srli_epi32(_mm256_castps_si256(first), 16), upper);
}

AT_INLINE at_uvec uvec_bf16(at_vec v)
{
    __m256i bits = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
}

AT_INLINE void vec_narrow(at_bf16 *p, at_vec v)
{
    __m256i wide = uvec_bf16(v);
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(wide, wide), 0x08);
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(packed));
}

/* What vec_narrow and vec_widen make of it. */
AT_INLINE at_vec vec_round_bf16(at_vec v)
{
    return vec_of_bits(_mm256_slli_epi32(uvec_bf16(v), 16));
}
#endif
