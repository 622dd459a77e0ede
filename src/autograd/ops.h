/* autograd/ops.h - elementary operations, forward and backward.
 *
 * Role    What attention, layers and models are made of.
 * Owns    Nothing: results live on the tape.
 * Shapes  Each function says its own; the last dimension is the row's width.
 * Errors  Bad shapes: NULL, AT_ESHAPE sticks to the tape and names both shapes.
 *
 *     at_var *y = at_softmax(tape, at_scale(tape, at_matmul(tape, q, k, true), 0.125f));
 */
#ifndef AT_AUTOGRAD_OPS_H
#define AT_AUTOGRAD_OPS_H
#include "autograd/tape.h"

at_var *at_add(at_tape *tape, at_var *a, at_var *b); /* same shape */
at_var *at_mul(at_tape *tape, at_var *a, at_var *b); /* same shape, element by element */
at_var *at_scale(at_tape *tape, at_var *a, float factor);
at_var *at_activate(at_tape *tape, at_var *a, at_activation f);
at_var *at_softmax(at_tape *tape, at_var *a); /* over the last dimension */
at_var *at_sum(at_tape *tape, at_var *a);     /* -> (1) */
/* a (M,K) · b (K,N) -> (M,N); transposed: b is (N,K). */
at_var *at_matmul(at_tape *tape, at_var *a, at_var *b, bool transposed);
/* base + dropout(a), rows (N,D); base may be NULL. rate 0 or not training: no dropout.
 * Srivastava et al. 2014. The mask is a function of (seed, step, operation, example, position). */
at_var *at_dropout_add(at_tape *tape, at_var *base, at_var *a, float rate, const at_rows *rows);

extern const at_op *const at_autograd_ops[]; /* NULL-terminated: the tests walk it */
#endif
