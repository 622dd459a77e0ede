/* tests/emulate/avx512.h - AVX-512 on a CPU without it, for tests (cmake -DAT_EMULATE_AVX512=ON).
 *
 * Role    SIMDe says what each intrinsic computes, in the vectors that the CPU has: right to the bit and
 *         slow. Here stand those that kernel/simd uses and SIMDe 0.7.4 lacks, from Intel's descriptions.
 * Owns    Nothing.
 * Errors  None.
 */
#ifndef AT_EMULATE_AVX512_H
#define AT_EMULATE_AVX512_H
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* GCC's header has always declared these; the names below are the emulator's. */
#define _mm512_maskz_loadu_ps emulate_maskz_loadu
#define _mm512_mask_storeu_ps emulate_mask_storeu
#define _mm512_cmplt_epu32_mask emulate_cmplt_unsigned
#define _mm512_cvtepi32_epi16 emulate_cvt_32_16
#define _mm512_cvtepu16_epi32 emulate_cvt_u16_32
#define _mm512_cvtepi32_ps emulate_cvt_32_float
#define _mm512_cvtps_pd emulate_cvt_float_double
#define _mm512_extractf32x8_ps(v, half) emulate_half(v, half)
#define _mm512_cvtepu32_ps emulate_cvt_u32_float
#undef _mm512_scalef_ps /* SIMDe's goes through 2^n, which is infinite for n of 128 */
#define _mm512_scalef_ps emulate_scalef
#define _mm512_shuffle_f32x4 emulate_shuffle_quarters
#define _mm512_srai_epi32 emulate_srai
#undef _mm512_dpbf16_ps /* SIMDe's adds both products first */
#define _mm512_dpbf16_ps(sum, a, b) emulate_dots(sum, (__m512i)(a), (__m512i)(b))

#define _mm512_maskz_loadu_epi16 emulate_maskz_loadu_16
#define _mm512_mask_storeu_epi16 emulate_mask_storeu_16
#define _mm512_cvtne2ps_pbh emulate_cvt_floats_bf16

#define EMULATE static inline __attribute__((always_inline, unused))

/* Lanes outside of the mask are not touched, so they may lie behind the end of an array. */
EMULATE __m512 emulate_maskz_loadu(__mmask16 mask, const float *p)
{
    float lane[16] = {0};
    if (mask == 0xFFFF)
        return simde_mm512_loadu_ps(p);
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            lane[i] = p[i];
    return simde_mm512_loadu_ps(lane);
}

EMULATE void emulate_mask_storeu(float *p, __mmask16 mask, __m512 v)
{
    float lane[16];
    if (mask == 0xFFFF) {
        simde_mm512_storeu_ps(p, v);
        return;
    }
    simde_mm512_storeu_ps(lane, v);
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            p[i] = lane[i];
}

EMULATE __m512i emulate_maskz_loadu_16(__mmask32 mask, const void *p)
{
    uint16_t lane[32] = {0};
    __m512i out;
    for (int i = 0; i < 32; i++)
        if (mask >> i & 1)
            memcpy(lane + i, (const char *)p + 2 * i, 2);
    memcpy(&out, lane, sizeof out);
    return out;
}

EMULATE void emulate_mask_storeu_16(void *p, __mmask32 mask, __m512i v)
{
    uint16_t lane[32];
    memcpy(lane, &v, sizeof lane);
    for (int i = 0; i < 32; i++)
        if (mask >> i & 1)
            memcpy((char *)p + 2 * i, lane + i, 2);
}

EMULATE __mmask16 emulate_cmplt_unsigned(__m512i a, __m512i b)
{
    uint32_t x[16], y[16], mask = 0;
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    for (int i = 0; i < 16; i++)
        mask |= (uint32_t)(x[i] < y[i]) << i;
    return (__mmask16)mask;
}

EMULATE __m512 emulate_scalef(__m512 a, __m512 n)
{
    float x[16], power[16];
    __m512 out;
    memcpy(x, &a, sizeof x);
    memcpy(power, &n, sizeof power);
    for (int i = 0; i < 16; i++)
        x[i] =
            isnan(power[i]) ? power[i] : ldexpf(x[i], (int)fmaxf(-400.0f, fminf(400.0f, floorf(power[i]))));
    memcpy(&out, x, sizeof out);
    return out;
}

/* Two quarters of a, then two of b, as the four pairs of bits say. */
EMULATE __m512 emulate_shuffle_quarters(__m512 a, __m512 b, int which)
{
    __m128 x[4], y[4], z[4];
    __m512 out;
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    z[0] = x[which & 3];
    z[1] = x[which >> 2 & 3];
    z[2] = y[which >> 4 & 3];
    z[3] = y[which >> 6 & 3];
    memcpy(&out, z, sizeof out);
    return out;
}

/* Each of `count` numbers as one of another type: C's conversion rounds as the instruction does. */
#define EMULATE_CONVERSION(name, From, from, To, to, count) \
    EMULATE To name(From a)                                 \
    {                                                       \
        from x[count];                                      \
        to y[count];                                        \
        To out;                                             \
        memcpy(x, &a, sizeof x);                            \
        for (int i = 0; i < count; i++)                     \
            y[i] = (to)x[i];                                \
        memcpy(&out, y, sizeof out);                        \
        return out;                                         \
    }

EMULATE_CONVERSION(emulate_cvt_32_16, __m512i, uint32_t, __m256i, uint16_t, 16)
EMULATE_CONVERSION(emulate_cvt_u16_32, __m256i, uint16_t, __m512i, uint32_t, 16)
EMULATE_CONVERSION(emulate_cvt_32_float, __m512i, int32_t, __m512, float, 16)
EMULATE_CONVERSION(emulate_cvt_u32_float, __m512i, uint32_t, __m512, float, 16)
EMULATE_CONVERSION(emulate_cvt_float_double, __m256, float, __m512d, double, 8)

EMULATE __m256 emulate_half(__m512 v, int half)
{
    __m256 out;
    memcpy(&out, (const char *)&v + (half ? sizeof out : 0), sizeof out);
    return out;
}

EMULATE float emulate_flush(float x)
{
    return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x;
}

/* The second number of each pair first, each product added in one rounding, denormals taken for zeros. */
EMULATE __m512 emulate_dots(__m512 sum, __m512i a, __m512i b)
{
    uint32_t x[16], y[16];
    float z[16], f, g;
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    memcpy(z, &sum, sizeof z);
    for (int i = 0; i < 16; i++)
        for (int second = 1; second >= 0; second--) {
            uint32_t u = second ? x[i] & 0xFFFF0000u : x[i] << 16,
                     v = second ? y[i] & 0xFFFF0000u : y[i] << 16;
            memcpy(&f, &u, sizeof f);
            memcpy(&g, &v, sizeof g);
            z[i] = emulate_flush(fmaf(emulate_flush(f), emulate_flush(g), emulate_flush(z[i])));
        }
    memcpy(&sum, z, sizeof sum);
    return sum;
}

/* b's numbers, then a's, to the nearest, ties to even. */
EMULATE __m512i emulate_cvt_floats_bf16(__m512 a, __m512 b)
{
    float x[32];
    uint16_t y[32];
    uint32_t bits;
    __m512i out;
    memcpy(x, &b, sizeof b);
    memcpy(x + 16, &a, sizeof a);
    for (int i = 0; i < 32; i++) {
        float flushed = emulate_flush(x[i]);
        memcpy(&bits, &flushed, sizeof bits);
        bits = isnan(x[i]) ? bits | 0x400000 : bits + 0x7FFF + (bits >> 16 & 1);
        y[i] = (uint16_t)(bits >> 16);
    }
    memcpy(&out, y, sizeof out);
    return out;
}

EMULATE __m512i emulate_srai(__m512i a, int bits)
{
    int32_t x[16];
    __m512i out;
    memcpy(x, &a, sizeof x);
    for (int i = 0; i < 16; i++)
        x[i] >>= bits;
    memcpy(&out, x, sizeof out);
    return out;
}
#endif
