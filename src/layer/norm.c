#include <string.h>
#include "layer/internal.h"

typedef struct norm_rows {
    const at_kernels *k;
    const float *x, *gain, *bias; /* bias NULL: none */
    float *out, *mean, *rstd;     /* mean NULL: rows are only scaled, not centred (RMSNorm) */
    size_t rows, d;
    float eps;
    const float *d_out;
    float *d_x, *partial; /* partial: 2*d a chunk, gain then bias */
} norm_rows;

static void norm_forward(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const norm_rows *s = context;
    size_t at = first * s->d, rows = end - first;
    if (s->mean)
        s->k->layer_norm(s->out + at, s->mean + first, s->rstd + first, s->x + at, s->gain, s->bias, rows,
                         s->d, s->eps);
    else
        s->k->rms_norm(s->out + at, s->rstd + first, s->x + at, s->gain, rows, s->d, s->eps);
}

/* Chunks are of fixed size and joined in order, so the sums do not depend on threads. */
static void norm_chunk(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const norm_rows *s = context;
    for (size_t chunk = first; chunk < end; chunk++) {
        size_t row = chunk * AT_NORM_CHUNK, at = row * s->d;
        size_t rows = s->rows - row < AT_NORM_CHUNK ? s->rows - row : AT_NORM_CHUNK;
        float *d_gain = s->partial + chunk * 2 * s->d;
        memset(d_gain, 0, 2 * s->d * sizeof *d_gain);
        if (s->mean)
            s->k->layer_norm_backward(s->d_x + at, d_gain, d_gain + s->d, s->d_out + at, s->x + at,
                                      s->mean + row, s->rstd + row, s->gain, rows, s->d);
        else
            s->k->rms_norm_backward(s->d_x + at, d_gain, s->d_out + at, s->x + at, s->rstd + row, s->gain,
                                    rows, s->d);
    }
}

static void norm_backward(at_tape *tape, const at_node *node)
{
    norm_rows s = *(const norm_rows *)node->saved;
    at_var *x = node->in[0];
    size_t chunks = (s.rows + AT_NORM_CHUNK - 1) / AT_NORM_CHUNK;
    s.d_out = node->out->grad;
    s.partial = at_tape_borrow(tape, chunks * 2 * s.d + 1);
    float *own = NULL;
    s.d_x = at_tape_grad(tape, x, NULL);
    if (!s.d_x) /* only the parameters learn: the kernel still writes somewhere */
        s.d_x = own = at_tape_borrow(tape, s.rows * s.d + 1);
    if (tape->status != AT_OK)
        return;
    at_exec_rows(tape->exec, chunks, 1, norm_chunk, &s);
    for (int i = 0; i < 2; i++) {
        float *d = at_tape_grad(tape, node->in[1 + i], NULL);
        for (size_t chunk = 0; d && chunk < chunks; chunk++)
            s.k->add(d, d, s.partial + (2 * chunk + (size_t)i) * s.d, s.d);
    }
    at_tape_return(tape, own);
    at_tape_return(tape, s.partial);
}

const at_op at_op_layer_norm = {"layer_norm", norm_backward};
const at_op at_op_rms_norm = {"rms_norm", norm_backward};

static at_var *norm(at_tape *tape, const at_op *op, at_var *x, const at_param *gain, const at_param *bias,
                    float eps)
{
    if (!at_expect_rank(tape, gain->name, x, 2) ||
        !at_expect_shape(tape, gain->name, x, at_shape2(x->shape.dim[0], gain->shape.dim[0])))
        return NULL;
    size_t rows = (size_t)x->shape.dim[0], d = (size_t)x->shape.dim[1];
    at_var *out = at_tape_value(tape, x->shape);
    norm_rows *s = at_tape_saved(tape, 1, sizeof *s);
    float *stats = at_tape_saved(tape, 2 * rows, sizeof *stats);
    if (tape->status != AT_OK)
        return NULL;
    *s = (norm_rows){.k = tape->exec->kernels,
                     .x = x->data,
                     .gain = gain->data,
                     .bias = bias ? bias->data : NULL,
                     .out = out->data,
                     .mean = op == &at_op_layer_norm ? stats : NULL,
                     .rstd = stats + rows,
                     .rows = rows,
                     .d = d,
                     .eps = eps};
    at_exec_rows(tape->exec, rows, 1 + AT_LAYER_GRAIN / (d + 1), norm_forward, s);
    at_var *in[] = {x, at_param_var(tape, gain), bias ? at_param_var(tape, bias) : NULL};
    return at_tape_record(tape, op, out, in, 3, s);
}

at_var *at_layer_norm(at_tape *tape, at_var *x, const at_param *gain, const at_param *bias, float eps)
{
    return norm(tape, &at_op_layer_norm, x, gain, bias, eps);
}

at_var *at_rms_norm(at_tape *tape, at_var *x, const at_param *gain, float eps)
{
    return norm(tape, &at_op_rms_norm, x, gain, NULL, eps);
}
