#include <math.h>
#include "kernel/ref/ref.h"

/* Ba, Kiros and Hinton 2016, arXiv:1607.06450: mean and variance (over d, not d - 1) of each row, in two
 * passes, because the mean of squares less the square of the mean loses all digits of a row far from zero. */
void at_ref_layer_norm(float *out, float *mean, float *rstd, const float *x, const float *gamma,
                       const float *beta, size_t rows, size_t d, float eps)
{
    for (size_t i = 0; i < rows; i++, x += d, out += d) {
        double sum = 0, squares = 0;
        for (size_t j = 0; j < d; j++)
            sum += x[j];
        double middle = d ? sum / (double)d : 0;
        for (size_t j = 0; j < d; j++)
            squares += (x[j] - middle) * (x[j] - middle);
        mean[i] = (float)middle;
        rstd[i] = (float)(1 / sqrt((d ? squares / (double)d : 0) + eps));
        for (size_t j = 0; j < d; j++)
            out[j] = (x[j] - mean[i]) * rstd[i] * (gamma ? gamma[j] : 1) + (beta ? beta[j] : 0);
    }
}

/* With h = (x - mean) rstd and g = d_out gamma: d_x = rstd (g - mean(g) - h mean(g h)). */
void at_ref_layer_norm_backward(float *d_x, float *d_gamma, float *d_beta, const float *d_out, const float *x,
                                const float *mean, const float *rstd, const float *gamma, size_t rows,
                                size_t d)
{
    for (size_t i = 0; i < rows; i++, x += d, d_x += d, d_out += d) {
        double sum_g = 0, sum_gh = 0;
        for (size_t j = 0; j < d; j++) {
            float g = d_out[j] * (gamma ? gamma[j] : 1), h = (x[j] - mean[i]) * rstd[i];
            sum_g += g;
            sum_gh += (double)g * h;
            if (d_gamma)
                d_gamma[j] += d_out[j] * h;
            if (d_beta)
                d_beta[j] += d_out[j];
        }
        float mean_g = (float)(sum_g / (double)d), mean_gh = (float)(sum_gh / (double)d);
        for (size_t j = 0; j < d; j++) {
            float g = d_out[j] * (gamma ? gamma[j] : 1), h = (x[j] - mean[i]) * rstd[i];
            d_x[j] += rstd[i] * (g - mean_g - h * mean_gh);
        }
    }
}

/* Zhang and Sennrich 2019, arXiv:1910.07467. */
void at_ref_rms_norm(float *out, float *rstd, const float *x, const float *gamma, size_t rows, size_t d,
                     float eps)
{
    for (size_t i = 0; i < rows; i++, x += d, out += d) {
        double squares = at_ref_sum_squares(x, d);
        rstd[i] = (float)(1 / sqrt((d ? squares / (double)d : 0) + eps));
        for (size_t j = 0; j < d; j++)
            out[j] = x[j] * rstd[i] * (gamma ? gamma[j] : 1);
    }
}

void at_ref_rms_norm_backward(float *d_x, float *d_gamma, const float *d_out, const float *x,
                              const float *rstd, const float *gamma, size_t rows, size_t d)
{
    for (size_t i = 0; i < rows; i++, x += d, d_x += d, d_out += d) {
        double sum_gh = 0;
        for (size_t j = 0; j < d; j++) {
            float g = d_out[j] * (gamma ? gamma[j] : 1), h = x[j] * rstd[i];
            sum_gh += (double)g * h;
            if (d_gamma)
                d_gamma[j] += d_out[j] * h;
        }
        float mean_gh = (float)(sum_gh / (double)d);
        for (size_t j = 0; j < d; j++) {
            float g = d_out[j] * (gamma ? gamma[j] : 1), h = x[j] * rstd[i];
            d_x[j] += rstd[i] * (g - h * mean_gh);
        }
    }
}
