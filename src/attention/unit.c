/* Rows over their length, head by head: what makes a dot product a cosine. */
#include <math.h>
#include "attention/internal.h"
#include "attention/score.h"

enum { GRAIN = 16384, COLUMN_GRAIN = 1 };

typedef struct unit_run {
    const at_kernels *k;
    size_t heads, width, rows;
    const float *x, *gain;
    float *out, *inverse; /* (rows*heads) 1 / length, 0 for a row of zeros */
    const float *d_out;
    float *d_x, *d_gain;
} unit_run;

static void forward_task(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const unit_run *r = context;
    for (size_t i = begin; i < end; i++) {
        double squares = r->k->sum_squares(r->x + i * r->width, r->width);
        r->inverse[i] = squares > 0 || squares != squares ? (float)(1 / sqrt(squares)) : 0;
        float gain = r->gain ? r->gain[i % r->heads] : 1;
        r->k->scale(r->out + i * r->width, r->x + i * r->width, gain * r->inverse[i], r->width);
    }
}

/* y = g u, u = x / |x|: d_x = g / |x| (d_y - u (u · d_y)). */
static void backward_task(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const unit_run *r = context;
    for (size_t i = begin; i < end; i++) {
        const float *x = r->x + i * r->width, *d = r->d_out + i * r->width;
        float inverse = r->inverse[i], scale = (r->gain ? r->gain[i % r->heads] : 1) * inverse;
        float along = r->k->dot(x, d, r->width);
        r->k->axpy(r->d_x + i * r->width, scale, d, r->width);
        r->k->axpy(r->d_x + i * r->width, -scale * along * inverse * inverse, x, r->width);
    }
}

/* d_gain[h] += sum over rows of u · d_y, rows in order. */
static void gain_task(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const unit_run *r = context;
    for (size_t h = begin; h < end; h++) {
        double sum = 0;
        for (size_t i = h; i < r->rows * r->heads; i += r->heads)
            sum +=
                (double)(r->inverse[i] * r->k->dot(r->x + i * r->width, r->d_out + i * r->width, r->width));
        r->d_gain[h] += (float)sum;
    }
}

static void unit_backward(at_tape *tape, const at_node *node)
{
    unit_run r = *(const unit_run *)node->saved;
    r.d_out = node->out->grad;
    r.d_x = at_tape_grad(tape, node->in[0], NULL);
    if (r.d_x)
        at_exec_rows(tape->exec, r.rows * r.heads, 1 + GRAIN / r.width, backward_task, &r);
    r.d_gain = at_tape_grad(tape, node->in[1], NULL);
    if (r.d_gain)
        at_exec_rows(tape->exec, r.heads, COLUMN_GRAIN, gain_task, &r);
}

const at_op at_op_unit_rows = {"unit_rows", unit_backward};

at_var *at_unit_rows(at_tape *tape, at_var *x, size_t heads, at_var *gain)
{
    if (!at_expect_rank(tape, "rows to divide by their length", x, 2) ||
        (gain && !at_expect_shape(tape, "gain of heads", gain, at_shape1((int64_t)heads))))
        return NULL;
    size_t width = (size_t)x->shape.dim[1];
    if (width == 0 || width % heads != 0) {
        at_tape_fail(tape, AT_ESHAPE, "cosine score: %zu columns do not divide into %zu heads", width, heads);
        return NULL;
    }
    at_var *out = at_tape_value(tape, x->shape);
    unit_run *r = out ? at_tape_saved(tape, 1, sizeof *r) : NULL;
    float *inverse = r ? at_tape_saved(tape, (size_t)x->shape.dim[0] * heads, sizeof *inverse) : NULL;
    if (!inverse)
        return NULL;
    *r = (unit_run){.k = tape->exec->kernels,
                    .heads = heads,
                    .width = width / heads,
                    .rows = (size_t)x->shape.dim[0],
                    .x = x->data,
                    .gain = gain ? gain->data : NULL,
                    .out = out->data,
                    .inverse = inverse};
    at_exec_rows(tape->exec, r->rows * heads, 1 + GRAIN / r->width, forward_task, r);
    return at_tape_record(tape, &at_op_unit_rows, out, (at_var *[]){x, gain}, 2, r);
}
