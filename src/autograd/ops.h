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
at_var *at_softmax(at_tape *tape, at_var *a);     /* over the last dimension */
at_var *at_log_softmax(at_tape *tape, at_var *a); /* its logarithm, without taking one of a small number */
at_var *at_sum(at_tape *tape, at_var *a);         /* -> (1) */
/* The same numbers in another shape with as many elements: nothing is copied. */
at_var *at_reshape(at_tape *tape, at_var *a, at_shape shape);
/* a (M,K) · b (K,N) -> (M,N); transposed: b is (N,K). */
at_var *at_matmul(at_tape *tape, at_var *a, at_var *b, bool transposed);
/* base + dropout(a), rows (N,D); base may be NULL. rate 0 or not training: no dropout.
 * Srivastava et al. 2014. The mask is a function of (seed, step, operation, example, position). */
at_var *at_dropout_add(at_tape *tape, at_var *base, at_var *a, float rate, const at_rows *rows);

/* Row i is x's row index[i]; a row may be taken several times. x (N,D) -> (count,D). */
at_var *at_gather(at_tape *tape, at_var *x, const int32_t *index, size_t count);
/* Rows first … first+count-1, without a copy; all of them: x itself. */
at_var *at_slice(at_tape *tape, at_var *x, size_t first, size_t count);
/* Rows of all parts, one after the other; at least one part, one width. */
at_var *at_stack_rows(at_tape *tape, at_var *const *parts, size_t count);
/* The parts' columns side by side; as many rows in each. One part: itself. */
at_var *at_beside(at_tape *tape, at_var *const *parts, size_t count);
/* Columns first … first+count-1; all of them: x itself. */
at_var *at_columns(at_tape *tape, at_var *x, size_t first, size_t count);
/* The mean of each sequence's rows, zeros for an empty one: (N,D) -> (B,D). */
at_var *at_mean(at_tape *tape, at_var *x, const at_rows *rows);
/* The larger of each two neighbours: (N,2D) -> (N,D). Goodfellow et al. 2013, arXiv:1302.4389. */
at_var *at_maxout(at_tape *tape, at_var *x);

/* For those who write operations. */
/* v's gradient += d_out. */
void at_add_gradient(at_tape *tape, at_var *v, const float *d_out);
/* v's gradient += out's, which the operation must not read afterwards: it may be handed on without a copy. */
void at_pass_gradient(at_tape *tape, at_var *v, at_var *out);

extern const at_op *const at_autograd_ops[]; /* NULL-terminated: the tests walk it */
#endif
