#include <string.h>
#include "autograd/internal.h"

/* One loop over n elements on all threads; which pointers are used is the task's own business. */
typedef struct span {
    const at_kernels *k;
    float *out;
    const float *a, *b, *c;
    float factor;
    at_activation f;
} span;

static void add_span(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const span *s = context;
    s->k->add(s->out + first, s->a + first, s->b + first, end - first);
}

static void mul_span(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const span *s = context;
    s->k->mul(s->out + first, s->a + first, s->b + first, end - first);
}

static void mul_add_span(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const span *s = context;
    s->k->mul_add(s->out + first, s->a + first, s->b + first, end - first);
}

static void scale_span(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const span *s = context;
    s->k->scale(s->out + first, s->a + first, s->factor, end - first);
}

static void axpy_span(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const span *s = context;
    s->k->axpy(s->out + first, s->factor, s->a + first, end - first);
}

static void activate_span(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const span *s = context;
    s->k->activate(s->out + first, s->a + first, s->f, end - first);
}

static void activate_backward_span(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const span *s = context;
    s->k->activate_backward(s->out + first, s->a + first, s->b + first, s->c + first, s->f, end - first);
}

static void over(at_tape *tape, at_range_task *task, span *s, size_t n)
{
    s->k = tape->exec->kernels;
    at_exec_rows(tape->exec, n, AT_ELEMENT_GRAIN, task, s);
}

void at_pass_gradient(at_tape *tape, at_var *v, at_var *out)
{
    if (!v || !v->needs_grad)
        return;
    if (!v->grad && v->owns_grad && out->owns_grad && v != out) {
        v->grad = out->grad; /* handed on instead of copied: out's is not read again */
        out->grad = NULL;
        return;
    }
    at_add_gradient(tape, v, out->grad);
}

void at_add_gradient(at_tape *tape, at_var *v, const float *d_out)
{
    bool fresh;
    float *d = at_tape_grad(tape, v, &fresh);
    size_t n = d ? at_shape_count(v->shape) : 0;
    if (d && fresh)
        memcpy(d, d_out, n * sizeof *d);
    else if (d)
        over(tape, add_span, &(span){.out = d, .a = d, .b = d_out}, n);
}

static void add_backward(at_tape *tape, const at_node *node)
{
    at_add_gradient(tape, node->in[0], node->out->grad);
    at_pass_gradient(tape, node->in[1], node->out);
}

static void mul_backward(at_tape *tape, const at_node *node)
{
    for (int i = 0; i < 2; i++) {
        float *d = at_tape_grad(tape, node->in[i], NULL);
        if (d)
            over(tape, mul_add_span, &(span){.out = d, .a = node->out->grad, .b = node->in[1 - i]->data},
                 at_shape_count(node->out->shape));
    }
}

static void scale_backward(at_tape *tape, const at_node *node)
{
    float *d = at_tape_grad(tape, node->in[0], NULL);
    const float *factor = node->saved;
    if (d)
        over(tape, axpy_span, &(span){.out = d, .a = node->out->grad, .factor = *factor},
             at_shape_count(node->out->shape));
}

static void activate_backward(at_tape *tape, const at_node *node)
{
    float *d = at_tape_grad(tape, node->in[0], NULL);
    const at_activation *f = node->saved;
    if (d)
        over(tape, activate_backward_span,
             &(span){.out = d, .a = node->out->grad, .b = node->in[0]->data, .c = node->out->data, .f = *f},
             at_shape_count(node->out->shape));
}

const at_op at_op_add = {"add", add_backward};
const at_op at_op_mul = {"mul", mul_backward};
const at_op at_op_scale = {"scale", scale_backward};
const at_op at_op_activate = {"activate", activate_backward};

at_var *at_add(at_tape *tape, at_var *a, at_var *b)
{
    if (!a || !at_expect_shape(tape, "add", b, a->shape))
        return NULL;
    at_var *out = at_tape_value(tape, a->shape);
    if (!out)
        return NULL;
    over(tape, add_span, &(span){.out = out->data, .a = a->data, .b = b->data}, at_shape_count(a->shape));
    return at_tape_record(tape, &at_op_add, out, (at_var *[]){a, b}, 2, NULL);
}

at_var *at_mul(at_tape *tape, at_var *a, at_var *b)
{
    if (!a || !at_expect_shape(tape, "mul", b, a->shape))
        return NULL;
    at_var *out = at_tape_value(tape, a->shape);
    if (!out)
        return NULL;
    over(tape, mul_span, &(span){.out = out->data, .a = a->data, .b = b->data}, at_shape_count(a->shape));
    return at_tape_record(tape, &at_op_mul, out, (at_var *[]){a, b}, 2, NULL);
}

at_var *at_scale(at_tape *tape, at_var *a, float factor)
{
    at_var *out = a ? at_tape_value(tape, a->shape) : NULL;
    float *saved = out ? at_tape_saved(tape, 1, sizeof *saved) : NULL;
    if (!saved)
        return NULL;
    *saved = factor;
    over(tape, scale_span, &(span){.out = out->data, .a = a->data, .factor = factor},
         at_shape_count(a->shape));
    return at_tape_record(tape, &at_op_scale, out, &a, 1, saved);
}

at_var *at_activate(at_tape *tape, at_var *a, at_activation f)
{
    at_var *out = a ? at_tape_value(tape, a->shape) : NULL;
    at_activation *saved = out ? at_tape_saved(tape, 1, sizeof *saved) : NULL;
    if (!saved)
        return NULL;
    *saved = f;
    over(tape, activate_span, &(span){.out = out->data, .a = a->data, .f = f}, at_shape_count(a->shape));
    return at_tape_record(tape, &at_op_activate, out, &a, 1, saved);
}

/* Sum: fixed order, one thread: it is used on losses and in tests, not on large arrays. */
static void sum_backward(at_tape *tape, const at_node *node)
{
    float *d = at_tape_grad(tape, node->in[0], NULL);
    size_t n = d ? at_shape_count(node->in[0]->shape) : 0;
    for (size_t i = 0; i < n; i++)
        d[i] += node->out->grad[0];
}

const at_op at_op_sum = {"sum", sum_backward};

at_var *at_sum(at_tape *tape, at_var *a)
{
    at_var *out = a ? at_tape_value(tape, at_shape1(1)) : NULL;
    if (!out)
        return NULL;
    double sum = 0;
    size_t n = at_shape_count(a->shape);
    for (size_t i = 0; i < n; i++)
        sum += (double)a->data[i];
    out->data[0] = (float)sum;
    return at_tape_record(tape, &at_op_sum, out, &a, 1, NULL);
}

static void reshape_backward(at_tape *tape, const at_node *node)
{
    at_pass_gradient(tape, node->in[0], node->out);
}

const at_op at_op_reshape = {"reshape", reshape_backward};

at_var *at_reshape(at_tape *tape, at_var *a, at_shape shape)
{
    if (!a)
        return NULL;
    if (at_shape_count(a->shape) != at_shape_count(shape)) {
        at_tape_fail(tape, AT_ESHAPE, "reshape: %s has not as many elements as %s", at_shape_text(a->shape).s,
                     at_shape_text(shape).s);
        return NULL;
    }
    at_var *out = at_tape_saved(tape, 1, sizeof *out);
    if (!out)
        return NULL;
    *out = (at_var){.shape = shape, .data = a->data, .owns_grad = true};
    return at_tape_record(tape, &at_op_reshape, out, &a, 1, NULL);
}
