#include <string.h>
#include "layer/internal.h"

typedef struct linear_saved {
    const at_param *w;
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

/* ---------------------------------------------------------------- weights as factors */

bool at_narrow_weights(const at_tape *tape, const at_param *w)
{
    AT_ASSERT(w->data || tape->mode == AT_TAPE_RUN); /* bf16 alone is for running */
    return w->data16 && (!w->data || tape->mixed);
}

/* (k,n) of w, its element (l,j) at l*b_row + j*b_col. */
static bool pack_now(at_tape *tape, const at_param *w, size_t k, size_t n, size_t b_row, size_t b_col,
                     at_panels *panels)
{
    bool narrow = at_narrow_weights(tape, w);
    size_t floats =
        narrow ? (at_packed_bf16_size(tape->exec, k, n) + 1) / 2 : at_packed_size(tape->exec, k, n);
    *panels = (at_panels){.borrowed = at_tape_borrow(tape, floats)};
    if (!panels->borrowed)
        return false;
    if (narrow) {
        at_bf16 *to = (at_bf16 *)(void *)panels->borrowed;
        at_exec_pack_bf16(tape->exec, to, w->data16, b_row, b_col, k, n);
        panels->narrow = to;
    } else {
        at_exec_pack(tape->exec, panels->borrowed, w->data, b_row, b_col, k, n);
        panels->wide = panels->borrowed;
    }
    return true;
}

bool at_panels_of(at_tape *tape, const at_param *w, at_panels *panels)
{
    size_t in = at_param_inputs(w), out = (size_t)w->shape.dim[0];
    if ((w->packed || w->packed16) && w->packed_panel == tape->exec->kernels->panel) {
        *panels = (at_panels){.wide = w->packed, .narrow = w->packed16};
        return true;
    }
    return pack_now(tape, w, in, out, 1, in, panels);
}

bool at_panels_back(at_tape *tape, const at_param *w, at_panels *panels)
{
    size_t in = at_param_inputs(w), out = (size_t)w->shape.dim[0];
    *panels = (at_panels){.plain = w->data, .plain_row = in};
    return !at_narrow_weights(tape, w) || pack_now(tape, w, out, in, in, 1, panels);
}

bool at_panels_rows(at_tape *tape, const float *x, size_t x_row, size_t rows, size_t width, at_panels *panels)
{
    *panels = (at_panels){.plain = x, .plain_row = x_row};
    if (!tape->mixed)
        return true;
    size_t floats = (at_packed_bf16_size(tape->exec, rows, width) + 1) / 2;
    *panels = (at_panels){.borrowed = at_tape_borrow(tape, floats)};
    if (!panels->borrowed)
        return false;
    at_bf16 *to = (at_bf16 *)(void *)panels->borrowed;
    at_exec_pack_narrow(tape->exec, to, x, x_row, rows, width);
    panels->narrow = to;
    return true;
}

void at_panels_return(at_tape *tape, at_panels *panels)
{
    at_tape_return(tape, panels->borrowed);
    *panels = (at_panels){0};
}

void at_gemm_panels(const at_exec *exec, at_gemm *g, const at_panels *panels)
{
    if (panels->narrow)
        at_gemm_packed_bf16(exec, g, panels->narrow);
    else if (panels->wide)
        at_gemm_packed(exec, g, panels->wide);
    else
        at_gemm_plain(exec, g, panels->plain, panels->plain_row);
}

const float *at_rounded(at_tape *tape, const float *x, size_t n, float **borrowed)
{
    bool round = tape->mixed && !tape->exec->kernels->dots;
    *borrowed = round ? at_tape_borrow(tape, n + 1) : NULL;
    if (!round)
        return x;
    if (*borrowed)
        at_exec_round_bf16(tape->exec, *borrowed, x, n);
    return *borrowed;
}

/* ---------------------------------------------------------------- linear, backward */

void at_add_to_input(at_tape *tape, const at_param *w, const at_panels *back, const float *d, size_t n,
                     float *d_x, bool fresh)
{
    size_t in = at_param_inputs(w), out = (size_t)w->shape.dim[0];
    at_gemm g = {.a = d,
                 .a_row = out,
                 .a_col = 1,
                 .c = d_x,
                 .c_row = in,
                 .m = n,
                 .n = in,
                 .k = out,
                 .accumulate = !fresh};
    at_gemm_panels(tape->exec, &g, back);
    at_exec_gemm(tape->exec, &g);
}

void at_add_to_weight(at_tape *tape, float *d_w, const float *d, size_t out, const float *x, size_t in,
                      size_t n)
{
    at_panels panels;
    if (!at_panels_rows(tape, x, in, n, in, &panels))
        return;
    at_gemm g = {.a = d,
                 .a_row = 1,
                 .a_col = out,
                 .c = d_w,
                 .c_row = in,
                 .m = out,
                 .n = in,
                 .k = n,
                 .accumulate = true};
    at_gemm_panels(tape->exec, &g, &panels);
    at_exec_gemm(tape->exec, &g);
    at_panels_return(tape, &panels);
}

/* d (N,out), after the activation: gradients of x, w and bias. */
static void linear_products(at_tape *tape, const at_node *node, const float *d)
{
    at_var *x = node->in[0], *w = node->in[1], *b = node->in[2];
    const linear_saved *saved = node->saved;
    size_t n = (size_t)x->shape.dim[0], out = (size_t)w->shape.dim[0];
    bool fresh;
    float *d_x = at_tape_grad(tape, x, &fresh), *borrowed;
    const float *factor = at_rounded(tape, d, n * out, &borrowed);
    if (!factor)
        return;
    at_panels back;
    if (d_x && at_panels_back(tape, saved->w, &back)) {
        at_add_to_input(tape, saved->w, &back, factor, n, d_x, fresh);
        at_panels_return(tape, &back);
    }
    float *d_w = at_tape_grad(tape, w, NULL);
    if (d_w)
        at_add_to_weight(tape, d_w, factor, out, x->data, (size_t)x->shape.dim[1], n);
    at_tape_return(tape, borrowed);
    float *d_b = at_tape_grad(tape, b, NULL);
    if (d_b)
        at_add_columns(tape->exec, d_b, d, n, out);
}

static void linear_backward(at_tape *tape, const at_node *node)
{
    const linear_saved *saved = node->saved;
    if (saved->f == AT_LINEAR) {
        linear_products(tape, node, node->out->grad);
        at_pass_gradient(tape, node->in[3], node->out);
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
    at_panels panels;
    float *borrowed;
    if (!at_panels_of(tape, w, &panels))
        return;
    AT_ASSERT(!tape->mixed || (g->a_row == g->k && g->a_col == 1));
    const float *a = at_rounded(tape, g->a, g->m * g->k, &borrowed);
    if (a) {
        at_gemm rounded = *g;
        rounded.a = a;
        at_gemm_panels(tape->exec, &rounded, &panels);
        at_exec_gemm(tape->exec, &rounded);
    }
    at_tape_return(tape, borrowed);
    at_panels_return(tape, &panels);
}

static at_var *run_linear(at_tape *tape, at_var *base, at_var *x, const at_param *w, const at_param *b,
                          at_activation f)
{
    if (!at_expect_rank(tape, w->name, x, 2) ||
        !at_expect_shape(tape, w->name, x, at_shape2(x->shape.dim[0], (int64_t)at_param_inputs(w))) ||
        (base && !at_expect_shape(tape, w->name, base, at_shape2(x->shape.dim[0], w->shape.dim[0]))))
        return NULL;
    at_var *out = at_tape_value(tape, at_shape2(x->shape.dim[0], w->shape.dim[0]));
    linear_saved *saved = out ? at_tape_saved(tape, 1, sizeof *saved) : NULL;
    if (!saved)
        return NULL;
    *saved = (linear_saved){w, f, NULL};
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
                 .residual = base ? base->data : NULL,
                 .before = saved->before};
    at_product(tape, &g, w);
    at_var *in[] = {x, at_param_var(tape, w), b ? at_param_var(tape, b) : NULL, base};
    return at_tape_record(tape, &at_op_linear, tape->status == AT_OK ? out : NULL, in, 4, saved);
}

at_var *at_linear(at_tape *tape, at_var *x, const at_param *w, const at_param *b, at_activation f)
{
    return run_linear(tape, NULL, x, w, b, f);
}

at_var *at_linear_onto(at_tape *tape, at_var *base, at_var *x, const at_param *w, const at_param *b)
{
    return run_linear(tape, base, x, w, b, AT_LINEAR);
}

const at_op *const at_layer_ops[] = {
    &at_op_linear,   &at_op_embed,         &at_op_layer_norm,    &at_op_rms_norm,
    &at_op_rotary,   &at_op_repeated,      &at_op_repeated_step, &at_op_pool_mean,
    &at_op_pool_max, &at_op_pool_weighted, &at_op_pick,          NULL,
};
