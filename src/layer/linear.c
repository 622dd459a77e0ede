#include <string.h>
#include "layer/internal.h"

typedef struct linear_saved {
    at_activation f;
    float *before; /* (N,out) input of the activation, kept only where its derivative reads it */
} linear_saved;

/* ReLU, tanh and sigmoid know their derivative from their output. */
static bool needs_before(at_activation f)
{
    return f == AT_GELU || f == AT_GELU_TANH || f == AT_SILU;
}

typedef struct activation_rows {
    const at_kernels *k;
    float *d_in;
    const float *d_out, *before, *after;
    at_activation f;
} activation_rows;

static void activation_span(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const activation_rows *s = context;
    memset(s->d_in + first, 0, (end - first) * sizeof *s->d_in);
    s->k->activate_backward(s->d_in + first, s->d_out + first, s->before ? s->before + first : NULL,
                            s->after + first, s->f, end - first);
}

typedef struct bias_columns {
    const at_kernels *k;
    float *d_bias;
    const float *d;
    size_t rows, width;
} bias_columns;

static void bias_span(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const bias_columns *s = context;
    s->k->column_sum(s->d_bias + first, s->d + first, s->width, s->rows, end - first);
}

void at_add_columns(at_exec *exec, float *d_bias, const float *d, size_t rows, size_t width)
{
    bias_columns s = {exec->kernels, d_bias, d, rows, width};
    at_exec_rows(exec, width, AT_COLUMN_GRAIN, bias_span, &s);
}

/* d (N,out), after the activation: gradients of x, w and bias. */
static void linear_products(at_tape *tape, const at_node *node, const float *d)
{
    at_var *x = node->in[0], *w = node->in[1], *b = node->in[2];
    size_t n = (size_t)x->shape.dim[0], in = (size_t)x->shape.dim[1], out = (size_t)w->shape.dim[0];
    bool fresh;
    float *d_x = at_tape_grad(tape, x, &fresh);
    if (d_x) {
        at_gemm g = {.a = d,
                     .a_row = out,
                     .a_col = 1,
                     .c = d_x,
                     .c_row = in,
                     .m = n,
                     .n = in,
                     .k = out,
                     .accumulate = !fresh};
        at_gemm_plain(tape->exec, &g, w->data, in);
        at_exec_gemm(tape->exec, &g);
    }
    float *d_w = at_tape_grad(tape, w, NULL);
    if (d_w) {
        at_gemm g = {.a = d,
                     .a_row = 1,
                     .a_col = out,
                     .c = d_w,
                     .c_row = in,
                     .m = out,
                     .n = in,
                     .k = n,
                     .accumulate = true};
        at_gemm_plain(tape->exec, &g, x->data, in);
        at_exec_gemm(tape->exec, &g);
    }
    float *d_b = at_tape_grad(tape, b, NULL);
    if (d_b)
        at_add_columns(tape->exec, d_b, d, n, out);
}

static void linear_backward(at_tape *tape, const at_node *node)
{
    const linear_saved *saved = node->saved;
    if (saved->f == AT_LINEAR) {
        linear_products(tape, node, node->out->grad);
        return;
    }
    size_t count = at_shape_count(node->out->shape);
    float *d = at_tape_borrow(tape, count);
    if (!d)
        return;
    activation_rows s = {tape->exec->kernels, d, node->out->grad, saved->before, node->out->data, saved->f};
    at_exec_rows(tape->exec, count, AT_LAYER_GRAIN, activation_span, &s);
    linear_products(tape, node, d);
    at_tape_return(tape, d);
}

const at_op at_op_linear = {"linear", linear_backward};

void at_product(at_tape *tape, at_gemm *g, const at_param *w)
{
    g->k = at_param_inputs(w);
    g->n = (size_t)w->shape.dim[0];
    if (w->packed && w->packed_panel == tape->exec->kernels->panel) {
        at_gemm_packed(tape->exec, g, w->packed);
        at_exec_gemm(tape->exec, g);
        return;
    }
    float *panels = at_tape_borrow(tape, at_packed_size(tape->exec, g->k, g->n));
    if (!panels)
        return;
    at_exec_pack(tape->exec, panels, w->data, 1, g->k, g->k, g->n);
    at_gemm_packed(tape->exec, g, panels);
    at_exec_gemm(tape->exec, g);
    at_tape_return(tape, panels);
}

at_var *at_linear(at_tape *tape, at_var *x, const at_param *w, const at_param *b, at_activation f)
{
    if (!at_expect_rank(tape, w->name, x, 2) ||
        !at_expect_shape(tape, w->name, x, at_shape2(x->shape.dim[0], (int64_t)at_param_inputs(w))))
        return NULL;
    at_var *out = at_tape_value(tape, at_shape2(x->shape.dim[0], w->shape.dim[0]));
    linear_saved *saved = out ? at_tape_saved(tape, 1, sizeof *saved) : NULL;
    if (!saved)
        return NULL;
    *saved = (linear_saved){f, NULL};
    if (tape->mode != AT_TAPE_RUN && needs_before(f)) {
        saved->before = at_tape_saved(tape, at_shape_count(out->shape), sizeof(float));
        if (!saved->before)
            return NULL;
    }
    at_gemm g = {.a = x->data,
                 .a_row = (size_t)x->shape.dim[1],
                 .a_col = 1,
                 .c = out->data,
                 .c_row = (size_t)w->shape.dim[0],
                 .m = (size_t)x->shape.dim[0],
                 .bias = b ? b->data : NULL,
                 .activation = f,
                 .before = saved->before};
    at_product(tape, &g, w);
    at_var *in[] = {x, at_param_var(tape, w), b ? at_param_var(tape, b) : NULL};
    return at_tape_record(tape, &at_op_linear, tape->status == AT_OK ? out : NULL, in, 3, saved);
}

const at_op *const at_layer_ops[] = {
    &at_op_linear,   &at_op_embed,         &at_op_layer_norm,    &at_op_rms_norm,
    &at_op_rotary,   &at_op_repeated,      &at_op_repeated_step, &at_op_pool_mean,
    &at_op_pool_max, &at_op_pool_weighted, &at_op_pick,          NULL,
};
