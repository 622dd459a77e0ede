#include <math.h>
#include "kernel/ref/ref.h"

/* Label smoothing as in Szegedy et al. 2015, arXiv:1512.00567, section 7: the target distribution is
 * (1 - s) at the target plus s/n everywhere. */
float at_ref_cross_entropy(float *logits, size_t n, size_t target, float smoothing, float scale)
{
    float max = at_ref_max(logits, n);
    double sum = 0, total = 0; /* of exp(logit - max), of logit - max */
    for (size_t i = 0; i < n; i++) {
        sum += expf(logits[i] - max);
        total += (double)logits[i] - max;
    }
    double log_sum = log(sum);
    double loss = log_sum - (1.0 - smoothing) * ((double)logits[target] - max);
    if (smoothing > 0) /* else 0 * -inf of a masked logit would be NaN */
        loss -= (double)smoothing * (total / (double)n);
    if (scale != 0) {
        float inverse = (float)(1 / sum), share = smoothing / (float)n;
        for (size_t i = 0; i < n; i++) {
            float want = (i == target ? 1 - smoothing : 0) + share;
            logits[i] = scale * (expf(logits[i] - max) * inverse - want);
        }
    }
    return (float)loss;
}
