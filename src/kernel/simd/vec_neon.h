/* kernel/simd/vec_neon.h - the verbs of simd.h in ARM's 128-bit vectors. */
#ifndef AT_KERNEL_SIMD_VEC_NEON_H
#define AT_KERNEL_SIMD_VEC_NEON_H
#include <arm_neon.h>

typedef float32x4_t at_vec;
typedef uint32x4_t at_uvec;
typedef uint32x4_t at_lanes; /* all bits of a lane, or none */
enum { AT_VEC = 4 };

AT_INLINE at_uvec uvec_count(void)
{
    const uint32_t lane[4] = {0, 1, 2, 3};
    return vld1q_u32(lane);
}

AT_INLINE at_lanes vec_first(size_t n)
{
    return vcltq_u32(uvec_count(), vdupq_n_u32((uint32_t)n));
}

AT_INLINE at_vec vec_load(const float *p)
{
    return vld1q_f32(p);
}

AT_INLINE void vec_store(float *p, at_vec v)
{
    vst1q_f32(p, v);
}

AT_INLINE at_vec vec_load_n(const float *p, size_t n)
{
    if (n == AT_VEC)
        return vec_load(p);
    float part[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; i++)
        part[i] = p[i];
    return vec_load(part);
}

AT_INLINE void vec_store_n(float *p, at_vec v, size_t n)
{
    if (n == AT_VEC) {
        vec_store(p, v);
        return;
    }
    float part[4];
    vec_store(part, v);
    for (size_t i = 0; i < n; i++)
        p[i] = part[i];
}

AT_INLINE at_vec vec_set(float x)
{
    return vdupq_n_f32(x);
}

AT_INLINE at_vec vec_zero(void)
{
    return vdupq_n_f32(0.0f);
}

AT_INLINE at_vec vec_add(at_vec a, at_vec b)
{
    return vaddq_f32(a, b);
}

AT_INLINE at_vec vec_sub(at_vec a, at_vec b)
{
    return vsubq_f32(a, b);
}

AT_INLINE at_vec vec_mul(at_vec a, at_vec b)
{
    return vmulq_f32(a, b);
}

AT_INLINE at_vec vec_div(at_vec a, at_vec b)
{
    return vdivq_f32(a, b);
}

AT_INLINE at_vec vec_sqrt(at_vec a)
{
    return vsqrtq_f32(a);
}

/* a * b + c, rounded once */
AT_INLINE at_vec vec_fma(at_vec a, at_vec b, at_vec c)
{
    return vfmaq_f32(c, a, b);
}

/* c - a * b, rounded once */
AT_INLINE at_vec vec_fnma(at_vec a, at_vec b, at_vec c)
{
    return vfmsq_f32(c, a, b);
}

/* 2^n of t = n + 1.5 * 2^23 + 127, whose last bits are n's exponent; n of -126 … 127 */
AT_INLINE at_vec vec_power_of(at_vec t)
{
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(t), 23));
}

/* x = result * 2^power, the result from sqrt(1/2) to sqrt(2); x a positive normal number */
AT_INLINE at_vec vec_split(at_vec x, at_vec *power)
{
    int32x4_t bits = vreinterpretq_s32_f32(x), low = vdupq_n_s32(0x3F3504F3);
    int32x4_t n = vshrq_n_s32(vsubq_s32(bits, low), 23);
    *power = vcvtq_f32_s32(n);
    return vreinterpretq_f32_s32(vsubq_s32(bits, vshlq_n_s32(n, 23)));
}

AT_INLINE at_lanes vec_less(at_vec a, at_vec b)
{
    return vcltq_f32(a, b);
}

AT_INLINE at_lanes vec_less_equal(at_vec a, at_vec b)
{
    return vcleq_f32(a, b);
}

AT_INLINE at_lanes vec_equal(at_vec a, at_vec b)
{
    return vceqq_f32(a, b);
}

AT_INLINE at_vec vec_select(at_lanes lanes, at_vec yes, at_vec no)
{
    return vbslq_f32(lanes, yes, no);
}

AT_INLINE bool vec_any(at_lanes lanes)
{
    return vmaxvq_u32(lanes) != 0;
}

/* By comparison, because ARM's own maximum treats NaN otherwise. */
AT_INLINE at_vec vec_max(at_vec a, at_vec b)
{
    return vec_select(vec_less(b, a), a, b);
}

AT_INLINE at_vec vec_min(at_vec a, at_vec b)
{
    return vec_select(vec_less(a, b), a, b);
}

AT_INLINE at_vec vec_abs(at_vec a)
{
    return vabsq_f32(a);
}

/* |size| with the sign of `sign` */
AT_INLINE at_vec vec_sign(at_vec size, at_vec sign)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), sign, size);
}

/* to the nearest whole number, ties to even */
AT_INLINE at_vec vec_round(at_vec a)
{
    return vrndnq_f32(a);
}

AT_INLINE at_vec vec_power2(int32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

/* a * 2^n for whole n of -252 … 254, in two steps because 2^n alone may be no float */
AT_INLINE at_vec vec_scale2(at_vec a, at_vec n)
{
    int32x4_t whole = vcvtq_s32_f32(n), half = vshrq_n_s32(whole, 1);
    return vec_mul(vec_mul(a, vec_power2(half)), vec_power2(vsubq_s32(whole, half)));
}

/* Halves added to each other: lanes 0+2, 1+3, then 0+1. */
AT_INLINE float vec_sum(at_vec v)
{
    float32x2_t half = vadd_f32(vget_low_f32(v), vget_high_f32(v));
    return vget_lane_f32(half, 0) + vget_lane_f32(half, 1);
}

AT_INLINE float vec_highest(at_vec v)
{
    return vmaxnmvq_f32(v);
}

/* Lanes as doubles, for long sums. */
AT_INLINE double vec_sum_double(at_vec v)
{
    float64x2_t d = vaddq_f64(vcvt_f64_f32(vget_low_f32(v)), vcvt_high_f64_f32(v));
    return vgetq_lane_f64(d, 0) + vgetq_lane_f64(d, 1);
}

/* Lanes of doubles, as many as a vector has floats. */
typedef struct at_doubles {
    float64x2_t low, high;
} at_doubles;

AT_INLINE at_doubles doubles_zero(void)
{
    return (at_doubles){vdupq_n_f64(0), vdupq_n_f64(0)};
}

/* sum + v * v */
AT_INLINE at_doubles doubles_add_square(at_doubles sum, at_vec v)
{
    float64x2_t low = vcvt_f64_f32(vget_low_f32(v)), high = vcvt_high_f64_f32(v);
    return (at_doubles){vfmaq_f64(sum.low, low, low), vfmaq_f64(sum.high, high, high)};
}

AT_INLINE double doubles_sum(at_doubles a)
{
    float64x2_t d = vaddq_f64(a.low, a.high);
    return vgetq_lane_f64(d, 0) + vgetq_lane_f64(d, 1);
}

/* v[i] lane j becomes v[j] lane i. */
AT_INLINE void vec_transpose(at_vec v[AT_VEC])
{
    float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(v[0], v[1])),
                b = vreinterpretq_f64_f32(vtrn2q_f32(v[0], v[1]));
    float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(v[2], v[3])),
                d = vreinterpretq_f64_f32(vtrn2q_f32(v[2], v[3]));
    v[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
    v[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
    v[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
    v[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}

AT_INLINE at_uvec uvec_set(uint32_t x)
{
    return vdupq_n_u32(x);
}

AT_INLINE at_uvec uvec_add(at_uvec a, at_uvec b)
{
    return vaddq_u32(a, b);
}

AT_INLINE at_uvec uvec_xor(at_uvec a, at_uvec b)
{
    return veorq_u32(a, b);
}

/* The low and the high 32 bits of each product. */
AT_INLINE void uvec_mul_wide(at_uvec a, at_uvec b, at_uvec *low, at_uvec *high)
{
    uint64x2_t first = vmull_u32(vget_low_u32(a), vget_low_u32(b)), second = vmull_high_u32(a, b);
    *low = vcombine_u32(vmovn_u64(first), vmovn_u64(second));
    *high = vcombine_u32(vshrn_n_u64(first, 32), vshrn_n_u64(second, 32));
}

AT_INLINE at_uvec uvec_select(at_lanes lanes, at_uvec yes, at_uvec no)
{
    return vbslq_u32(lanes, yes, no);
}

AT_INLINE at_lanes uvec_less(at_uvec a, at_uvec b)
{
    return vcltq_u32(a, b);
}

AT_INLINE at_vec uvec_to_float(at_uvec a)
{
    return vcvtq_f32_u32(a);
}

AT_INLINE at_uvec uvec_load(const uint32_t *p)
{
    return vld1q_u32(p);
}

AT_INLINE void uvec_store(uint32_t *p, at_uvec v)
{
    vst1q_u32(p, v);
}

/* out[0], out[1], … hold w[0][0] w[1][0] w[2][0] w[3][0] w[0][1] … in memory's order. */
AT_INLINE void uvec_weave4(const at_uvec w[4], at_uvec out[4])
{
    uint32x4_t a = vzip1q_u32(w[0], w[1]), b = vzip2q_u32(w[0], w[1]);
    uint32x4_t c = vzip1q_u32(w[2], w[3]), d = vzip2q_u32(w[2], w[3]);
    out[0] = vreinterpretq_u32_u64(vzip1q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(c)));
    out[1] = vreinterpretq_u32_u64(vzip2q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(c)));
    out[2] = vreinterpretq_u32_u64(vzip1q_u64(vreinterpretq_u64_u32(b), vreinterpretq_u64_u32(d)));
    out[3] = vreinterpretq_u32_u64(vzip2q_u64(vreinterpretq_u64_u32(b), vreinterpretq_u64_u32(d)));
}

AT_INLINE at_vec vec_of_bits(at_uvec bits)
{
    return vreinterpretq_f32_u32(bits);
}

/* AT_VEC numbers in bf16. */
AT_INLINE at_vec vec_widen(const at_bf16 *p)
{
    return vec_of_bits(vshlq_n_u32(vmovl_u16(vld1_u16(p)), 16));
}

/* AT_VEC pairs: the first and the second number of each. */
AT_INLINE void vec_pairs(const at_bf16 *p, at_vec *first, at_vec *second)
{
    uint32x4_t both = vreinterpretq_u32_u16(vld1q_u16(p));
    *first = vec_of_bits(vshlq_n_u32(both, 16));
    *second = vec_of_bits(vandq_u32(both, vdupq_n_u32(0xFFFF0000u)));
}

/* vec_pairs the other way round, of numbers that bf16 can hold. */
AT_INLINE at_uvec uvec_pairs(at_vec first, at_vec second)
{
    uint32x4_t upper = vandq_u32(vreinterpretq_u32_f32(second), vdupq_n_u32(0xFFFF0000u));
    return vorrq_u32(vshrq_n_u32(vreinterpretq_u32_f32(first), 16), upper);
}

AT_INLINE at_uvec uvec_bf16(at_vec v)
{
    uint32x4_t bits = vreinterpretq_u32_f32(v);
    uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7FFF)), odd);
    uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    return vshrq_n_u32(vbslq_u32(vceqq_f32(v, v), rounded, quiet), 16);
}

AT_INLINE void vec_narrow(at_bf16 *p, at_vec v)
{
    vst1_u16(p, vmovn_u32(uvec_bf16(v)));
}

/* What vec_narrow and vec_widen make of it. */
AT_INLINE at_vec vec_round_bf16(at_vec v)
{
    return vec_of_bits(vshlq_n_u32(uvec_bf16(v), 16));
}
#endif
