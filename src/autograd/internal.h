/* autograd/internal.h - shared by the files of this folder: operations over all elements, cut by size. */
#ifndef AT_AUTOGRAD_INTERNAL_H
#define AT_AUTOGRAD_INTERNAL_H
#include "autograd/ops.h"

/* Elements a task takes at least: smaller work runs on the calling thread. */
enum { AT_ELEMENT_GRAIN = 16384 };

extern const at_op at_op_add, at_op_mul, at_op_scale, at_op_activate, at_op_softmax, at_op_log_softmax,
    at_op_sum, at_op_matmul, at_op_dropout_add, at_op_gather, at_op_slice, at_op_stack, at_op_columns,
    at_op_beside, at_op_mean, at_op_maxout, at_op_reshape;
#endif
