#include <math.h>
#include "kernel/simd/simd.h"

/* Sums run in two chains of vectors, so that one addition need not wait for the last. */

AT_INLINE float row_sum(const float *x, size_t d)
{
    at_vec a = vec_zero(), b = vec_zero();
    size_t j = 0;
    for (; j + 2 * AT_VEC <= d; j += 2 * AT_VEC) {
        a = vec_add(a, vec_load(x + j));
        b = vec_add(b, vec_load(x + j + AT_VEC));
    }
    for (; j < d; j += AT_VEC)
        a = vec_add(a, vec_load_n(x + j, vec_lanes(d - j)));
    return vec_sum(vec_add(a, b));
}

AT_INLINE at_vec add_square(at_vec sum, at_vec x, at_vec middle)
{
    at_vec apart = vec_sub(x, middle);
    return vec_fma(apart, apart, sum);
}

/* of (x - mean)² */
AT_INLINE float row_squares(const float *x, float mean, size_t d)
{
    at_vec a = vec_zero(), b = vec_zero(), middle = vec_set(mean);
    size_t j = 0;
    for (; j + 2 * AT_VEC <= d; j += 2 * AT_VEC) {
        a = add_square(a, vec_load(x + j), middle);
        b = add_square(b, vec_load(x + j + AT_VEC), middle);
    }
    for (; j < d; j += AT_VEC) {
        size_t lanes = vec_lanes(d - j);
        a = add_square(a, vec_select(vec_first(lanes), vec_load_n(x + j, lanes), middle), middle);
    }
    return vec_sum(vec_add(a, b));
}

AT_INLINE float root_inverse(float squares, size_t d, float eps)
{
    return 1 / sqrtf((d ? squares / (float)d : 0) + eps);
}

/* out = (x - mean) rstd gamma + beta; gamma and beta may be NULL */
AT_INLINE void normalise(float *out, const float *x, float mean, float rstd, const float *gamma,
                         const float *beta, size_t d)
{
    at_vec middle = vec_set(mean), factor = vec_set(rstd);
    for (size_t j = 0; j < d; j += AT_VEC) {
        size_t lanes = vec_lanes(d - j);
        at_vec h = vec_mul(vec_sub(vec_load_n(x + j, lanes), middle), factor);
        if (gamma)
            h = vec_mul(h, vec_load_n(gamma + j, lanes));
        if (beta)
            h = vec_add(h, vec_load_n(beta + j, lanes));
        vec_store_n(out + j, h, lanes);
    }
}

static void layer_norm(float *out, float *mean, float *rstd, const float *x, const float *gamma,
                       const float *beta, size_t rows, size_t d, float eps)
{
    for (size_t i = 0; i < rows; i++, x += d, out += d) {
        mean[i] = d ? row_sum(x, d) / (float)d : 0;
        rstd[i] = root_inverse(row_squares(x, mean[i], d), d, eps);
        normalise(out, x, mean[i], rstd[i], gamma, beta, d);
    }
}

typedef struct norm_row {
    const float *d_out, *x, *gamma;
    float *d_x, *d_gamma, *d_beta;
    at_vec mean, rstd;
} norm_row;

/* h = (x - mean) rstd and g = d_out gamma of the vector at j */
AT_INLINE void normal_parts(const norm_row *r, size_t j, size_t lanes, at_vec *h, at_vec *g)
{
    at_vec d = vec_load_n(r->d_out + j, lanes);
    *h = vec_mul(vec_sub(vec_select(vec_first(lanes), vec_load_n(r->x + j, lanes), r->mean), r->mean),
                 r->rstd);
    *g = r->gamma ? vec_mul(d, vec_load_n(r->gamma + j, lanes)) : d;
}

/* d_x += rstd (g - mean(g) - h mean(g h)), where `centred`; without it the row was only scaled and mean(g) is
 * left out. */
AT_INLINE void row_backward(const norm_row *r, size_t d, bool centred)
{
    at_vec sum_g = vec_zero(), sum_gh = vec_zero(), h, g;
    for (size_t j = 0; j < d; j += AT_VEC) {
        size_t lanes = vec_lanes(d - j);
        normal_parts(r, j, lanes, &h, &g);
        sum_g = vec_add(sum_g, g);
        sum_gh = vec_fma(g, h, sum_gh);
        if (r->d_gamma) {
            at_vec d_out = vec_load_n(r->d_out + j, lanes);
            vec_store_n(r->d_gamma + j, vec_fma(d_out, h, vec_load_n(r->d_gamma + j, lanes)), lanes);
        }
        if (r->d_beta) {
            at_vec d_out = vec_load_n(r->d_out + j, lanes);
            vec_store_n(r->d_beta + j, vec_add(d_out, vec_load_n(r->d_beta + j, lanes)), lanes);
        }
    }
    at_vec mean_g = vec_set(centred ? vec_sum(sum_g) / (float)d : 0),
           mean_gh = vec_set(vec_sum(sum_gh) / (float)d);
    for (size_t j = 0; j < d; j += AT_VEC) {
        size_t lanes = vec_lanes(d - j);
        normal_parts(r, j, lanes, &h, &g);
        at_vec apart = vec_fnma(h, mean_gh, centred ? vec_sub(g, mean_g) : g);
        vec_store_n(r->d_x + j, vec_fma(r->rstd, apart, vec_load_n(r->d_x + j, lanes)), lanes);
    }
}

static void layer_norm_backward(float *d_x, float *d_gamma, float *d_beta, const float *d_out, const float *x,
                                const float *mean, const float *rstd, const float *gamma, size_t rows,
                                size_t d)
{
    for (size_t i = 0; i < rows; i++) {
        norm_row r = {d_out + i * d, x + i * d,        gamma,           d_x + i * d, d_gamma,
                      d_beta,        vec_set(mean[i]), vec_set(rstd[i])};
        row_backward(&r, d, true);
    }
}

static void rms_norm(float *out, float *rstd, const float *x, const float *gamma, size_t rows, size_t d,
                     float eps)
{
    for (size_t i = 0; i < rows; i++, x += d, out += d) {
        rstd[i] = root_inverse(row_squares(x, 0, d), d, eps);
        normalise(out, x, 0, rstd[i], gamma, NULL, d);
    }
}

static void rms_norm_backward(float *d_x, float *d_gamma, const float *d_out, const float *x,
                              const float *rstd, const float *gamma, size_t rows, size_t d)
{
    for (size_t i = 0; i < rows; i++) {
        norm_row r = {d_out + i * d, x + i * d, gamma,      d_x + i * d,
                      d_gamma,       NULL,      vec_zero(), vec_set(rstd[i])};
        row_backward(&r, d, false);
    }
}

void AT_SIMD_NAME(fill_norm)(at_kernels *table)
{
    table->layer_norm = layer_norm;
    table->layer_norm_backward = layer_norm_backward;
    table->rms_norm = rms_norm;
    table->rms_norm_backward = rms_norm_backward;
}
