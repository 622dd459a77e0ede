/* Two operations: the step, and the node in front of the loop, whose backward runs after those of all steps.
 * Steps leave copies of their inputs and gradients there, one after the other, in backward's order. */
#include "layer/repeated.h"
#include <string.h>
#include "layer/internal.h"

struct at_repeated {
    const at_param *w, *b;
    at_panels panels, back; /* for the products forward; for those back, from the first of them on */
    at_var *token;          /* stands for the weights on the tape: wants a gradient when they do */
    size_t rows, in, out;
    size_t taken; /* rows given so far; in backward: rows that came back */
    float *x, *d; /* (rows,in), (rows,out), from the first step back on */
};

/* Gradients of weights and bias, from all rows at once. */
static void repeated_backward(at_tape *tape, const at_node *node)
{
    at_repeated *r = node->saved;
    float *d_w = at_tape_grad(tape, node->in[0], NULL), *d_b = at_tape_grad(tape, node->in[1], NULL);
    if (d_w) {
        float *borrowed;
        const float *factor = at_rounded(tape, r->d, r->taken * r->out, &borrowed);
        if (factor)
            at_add_to_weight(tape, d_w, factor, r->out, r->x, r->in, r->taken);
        at_tape_return(tape, borrowed);
    }
    if (d_b)
        at_add_columns(tape->exec, d_b, r->d, r->taken, r->out);
    at_panels_return(tape, &r->back);
    at_tape_return(tape, r->x);
    at_tape_return(tape, r->d);
    r->x = r->d = NULL;
}

const at_op at_op_repeated = {"repeated", repeated_backward};

/* Keeps the step's rows for the node in front of the loop. */
static void leave_rows(at_tape *tape, at_repeated *r, const at_var *x, const float *d)
{
    if (!r->x) {
        r->taken = 0;
        r->x = at_tape_borrow(tape, r->rows * r->in + 1);
        r->d = at_tape_borrow(tape, r->rows * r->out + 1);
        at_tape_grad(tape, r->token, NULL);
    }
    size_t n = (size_t)x->shape.dim[0];
    if (!r->x || !r->d)
        return;
    memcpy(r->x + r->taken * r->in, x->data, n * r->in * sizeof *r->x);
    memcpy(r->d + r->taken * r->out, d, n * r->out * sizeof *r->d);
    r->taken += n;
}

static void step_to_input(at_tape *tape, at_repeated *r, const at_var *x, const float *d, float *d_x,
                          bool fresh)
{
    if (!r->back.narrow && !r->back.plain && !at_panels_back(tape, r->w, &r->back))
        return;
    size_t n = (size_t)x->shape.dim[0];
    float *borrowed;
    const float *factor = at_rounded(tape, d, n * r->out, &borrowed);
    if (factor)
        at_add_to_input(tape, r->w, &r->back, factor, n, d_x, fresh);
    at_tape_return(tape, borrowed);
}

static void step_backward(at_tape *tape, const at_node *node)
{
    at_repeated *r = node->saved;
    at_var *x = node->in[0];
    const float *d = node->out->grad;
    if (r->token->needs_grad)
        leave_rows(tape, r, x, d);
    bool fresh;
    float *d_x = at_tape_grad(tape, x, &fresh);
    if (d_x)
        step_to_input(tape, r, x, d, d_x, fresh);
    if (node->in[1] && tape->status == AT_OK)
        at_pass_gradient(tape, node->in[1], node->out);
}

const at_op at_op_repeated_step = {"repeated_step", step_backward};

at_repeated *at_repeated_new(at_tape *tape, const at_param *w, const at_param *b, size_t rows)
{
    size_t in = (size_t)w->shape.dim[1], out = (size_t)w->shape.dim[0];
    at_repeated *r = at_tape_saved(tape, 1, sizeof *r);
    at_var *token = at_tape_value(tape, at_shape1(1));
    if (!r || !token)
        return NULL;
    *r = (at_repeated){.w = w, .b = b, .token = token, .rows = rows, .in = in, .out = out};
    if (!at_panels_of(tape, w, &r->panels))
        return NULL;
    token->data[0] = 0;
    if (tape->mode == AT_TAPE_RUN)
        return r;
    at_var *vars[] = {at_param_var(tape, w), b ? at_param_var(tape, b) : NULL};
    return at_tape_record(tape, &at_op_repeated, token, vars, 2, r) ? r : NULL;
}

at_var *at_repeated_step(at_tape *tape, at_repeated *r, at_var *x, at_var *add)
{
    if (!r || !x)
        return NULL;
    int64_t n = x->shape.dim[0];
    if (!at_expect_shape(tape, r->w->name, x, at_shape2(n, (int64_t)r->in)) ||
        (add && !at_expect_shape(tape, r->w->name, add, at_shape2(n, (int64_t)r->out))))
        return NULL;
    r->taken += (size_t)n;
    AT_ASSERT(r->taken <= r->rows);
    at_var *out = at_tape_value(tape, at_shape2(n, (int64_t)r->out));
    if (!out)
        return NULL;
    float *borrowed;
    const float *a = at_rounded(tape, x->data, (size_t)n * r->in, &borrowed);
    if (!a)
        return NULL;
    at_gemm g = {.a = a,
                 .a_row = r->in,
                 .a_col = 1,
                 .c = out->data,
                 .c_row = r->out,
                 .m = (size_t)n,
                 .n = r->out,
                 .k = r->in,
                 .bias = r->b ? r->b->data : NULL,
                 .residual = add ? add->data : NULL};
    at_gemm_panels(tape->exec, &g, &r->panels);
    at_exec_gemm(tape->exec, &g);
    at_tape_return(tape, borrowed);
    return at_tape_record(tape, &at_op_repeated_step, out, (at_var *[]){x, add, r->token}, 3, r);
}
