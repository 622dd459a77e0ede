/* attention/rollout.h - self-attention followed through all layers, residual connections included.
 *
 * Role    A layer's own weights say which states were mixed, not which words: from layer 1 on a state holds
 *         many words. Rollout multiplies the layers: R = A'_L ... A'_1, A'_l = (mean of the heads of l + I)
 *         / 2. S. Abnar and W. Zuidema, "Quantifying attention flow in Transformers", 2020, arXiv:2005.00928,
 *         equation 1. It leaves out values, norms and feed-forward parts: a picture, no explanation.
 * Owns    Nothing.
 * Shapes  out (n,n), rows sum to 1.
 * Errors  AT_ENOMEM; AT_ENOSUP when the trace has no such self-attention, AT_ESHAPE when a layer is not
 *         (n,n), AT_EARG for more than AT_ROLLOUT_MOST places: the cost grows with n^3.
 *
 *     at_trace_want(trace, AT_ENCODER_SELF, -1, -1);
 *     … run the model …
 *     st = at_trace_rollout(trace, AT_ENCODER_SELF, 0, out, n);
 */
#ifndef AT_ATTENTION_ROLLOUT_H
#define AT_ATTENTION_ROLLOUT_H
#include "attention/trace.h"

enum { AT_ROLLOUT_MOST = 1024 };

at_status at_trace_rollout(const at_trace *trace, at_attention_kind kind, size_t sequence, float *out,
                           size_t n);
#endif
