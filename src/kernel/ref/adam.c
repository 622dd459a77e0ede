#include <math.h>
#include "kernel/ref/ref.h"

/* Kingma and Ba 2014, arXiv:1412.6980, algorithm 1; with decay, Loshchilov and Hutter 2017,
 * arXiv:1711.05101. */
void at_ref_adam(float *p, float *m, float *v, const float *g, size_t n, const at_adam *a)
{
    for (size_t i = 0; i < n; i++) {
        float grad = g[i] * a->grad_scale;
        m[i] = a->beta1 * m[i] + (1 - a->beta1) * grad;
        v[i] = a->beta2 * v[i] + (1 - a->beta2) * grad * grad;
        float step = m[i] * a->correct1 / (sqrtf(v[i] * a->correct2) + a->eps);
        p[i] -= a->lr * (step + a->decay * p[i]);
    }
}
