#include "autograd/internal.h"

/* d_a (M,K) += d (M,N) · b^T; b is (K,N), or (N,K) when transposed. */
static void matmul_backward(at_tape *tape, const at_node *node)
{
    at_var *a = node->in[0], *b = node->in[1];
    bool transposed = *(const bool *)node->saved;
    size_t m = (size_t)a->shape.dim[0], k = (size_t)a->shape.dim[1], n = (size_t)node->out->shape.dim[1];
    const float *d = node->out->grad;
    bool fresh;
    float *d_a = at_tape_grad(tape, a, &fresh);
    if (d_a) {
        at_gemm g = {.a = d,
                     .a_row = n,
                     .a_col = 1,
                     .c = d_a,
                     .c_row = k,
                     .m = m,
                     .n = k,
                     .k = n,
                     .accumulate = !fresh};
        float *panels = NULL;
        if (transposed) {
            at_gemm_plain(tape->exec, &g, b->data, k);
        } else {
            panels = at_tape_borrow(tape, at_packed_size(tape->exec, n, k));
            if (!panels)
                return;
            at_exec_pack(tape->exec, panels, b->data, 1, n, n, k);
            at_gemm_packed(tape->exec, &g, panels);
        }
        at_exec_gemm(tape->exec, &g);
        at_tape_return(tape, panels);
    }
    float *d_b = at_tape_grad(tape, b, &fresh);
    if (!d_b)
        return;
    at_gemm g = {.a_row = 1, .c = d_b, .k = m, .accumulate = !fresh};
    if (transposed) { /* d_b (N,K) += d^T (N,M) · a (M,K) */
        g.a = d, g.a_col = n, g.m = n, g.n = k, g.c_row = k;
        at_gemm_plain(tape->exec, &g, a->data, k);
    } else { /* d_b (K,N) += a^T (K,M) · d (M,N) */
        g.a = a->data, g.a_col = k, g.m = k, g.n = n, g.c_row = n;
        at_gemm_plain(tape->exec, &g, d, n);
    }
    at_exec_gemm(tape->exec, &g);
}

const at_op at_op_matmul = {"matmul", matmul_backward};

at_var *at_matmul(at_tape *tape, at_var *a, at_var *b, bool transposed)
{
    if (!at_expect_rank(tape, "matmul a", a, 2) || !at_expect_rank(tape, "matmul b", b, 2))
        return NULL;
    size_t m = (size_t)a->shape.dim[0], k = (size_t)a->shape.dim[1];
    size_t n = (size_t)b->shape.dim[transposed ? 0 : 1];
    if ((size_t)b->shape.dim[transposed ? 1 : 0] != k) {
        at_tape_fail(tape, AT_ESHAPE, "matmul: inner widths differ: %s and %s%s", at_shape_text(a->shape).s,
                     at_shape_text(b->shape).s, transposed ? " transposed" : "");
        return NULL;
    }
    at_var *out = at_tape_value(tape, at_shape2((int64_t)m, (int64_t)n));
    bool *saved = out ? at_tape_saved(tape, 1, sizeof *saved) : NULL;
    if (!saved)
        return NULL;
    *saved = transposed;
    at_gemm g = {.a = a->data, .a_row = k, .a_col = 1, .c = out->data, .c_row = n, .m = m, .n = n, .k = k};
    float *panels = NULL;
    if (transposed) {
        panels = at_tape_borrow(tape, at_packed_size(tape->exec, k, n));
        if (!panels)
            return NULL;
        at_exec_pack(tape->exec, panels, b->data, 1, k, k, n);
        at_gemm_packed(tape->exec, &g, panels);
    } else {
        at_gemm_plain(tape->exec, &g, b->data, n);
    }
    at_exec_gemm(tape->exec, &g);
    at_tape_return(tape, panels);
    return at_tape_record(tape, &at_op_matmul, out, (at_var *[]){a, b}, 2, saved);
}

const at_op *const at_autograd_ops[] = {
    &at_op_add,     &at_op_mul,    &at_op_scale,       &at_op_activate, &at_op_softmax, &at_op_log_softmax,
    &at_op_sum,     &at_op_matmul, &at_op_dropout_add, &at_op_gather,   &at_op_slice,   &at_op_stack,
    &at_op_columns, &at_op_beside, &at_op_mean,        &at_op_maxout,   &at_op_reshape, NULL};
