/* autograd/internal.h - shared by the files of this folder: operations over all elements, cut by size. */
#ifndef AT_AUTOGRAD_INTERNAL_H
#define AT_AUTOGRAD_INTERNAL_H
#include "autograd/ops.h"

/* Elements a task takes at least: smaller work runs on the calling thread. */
enum { AT_ELEMENT_GRAIN = 16384 };

/* v's gradient += d_out. */
void at_add_gradient(at_tape *tape, at_var *v, const float *d_out);
/* v's gradient += out's, which the operation must not read afterwards: it may be handed on without a copy. */
void at_pass_gradient(at_tape *tape, at_var *v, at_var *out);

extern const at_op at_op_add, at_op_mul, at_op_scale, at_op_activate, at_op_softmax, at_op_sum, at_op_matmul,
    at_op_dropout_add;
#endif
