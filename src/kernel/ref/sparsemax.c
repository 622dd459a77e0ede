#include <math.h>
#include "kernel/ref/ref.h"

/* The threshold above which scores, less their maximum, sum to 1 + count * tau. Michelot's method: begin with
 * all that can matter, those above max - 1, and leave out what the threshold of the rest excludes, until
 * nothing more is. It only rises, so at most n rounds; a few in practice. */
static double threshold(const float *a, float max, size_t n)
{
    double tau = -1;
    for (size_t kept = n + 1;;) {
        double sum = 0;
        size_t count = 0;
        for (size_t i = 0; i < n; i++) {
            double z = (double)a[i] - (double)max;
            if (z > tau) {
                sum += z;
                count++;
            }
        }
        if (count == kept || count == 0)
            return tau;
        tau = (sum - 1) / (double)count;
        kept = count;
    }
}

void at_ref_sparsemax(float *out, const float *a, size_t n)
{
    float max = at_ref_max(a, n);
    double tau = max == -INFINITY ? 0 : threshold(a, max, n);
    for (size_t i = 0; i < n; i++) {
        double w = (double)a[i] - (double)max - tau;
        if (a[i] == a[i]) /* a NaN stays one */
            out[i] = max > -INFINITY && w > 0 ? (float)w : 0;
        else
            out[i] = a[i];
    }
}

void at_ref_sparsemax_backward(float *d_in, const float *w, const float *d_w, size_t n)
{
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (w[i] > 0) {
            sum += (double)d_w[i];
            count++;
        }
    }
    float mean = count ? (float)(sum / (double)count) : 0;
    for (size_t i = 0; i < n; i++)
        d_in[i] += w[i] > 0 ? d_w[i] - mean : 0;
}
