#include "autograd/internal.h"

/* Rows of width d, some rows a task; a function of each row and how its gradient comes back. */
typedef void row_forward(float *out, const float *a, size_t n);
typedef void row_backward(float *d_in, const float *out, const float *d_out, size_t n);

typedef struct row_run {
    row_forward *forward;
    row_backward *backward;
    float *out;
    const float *a, *b;
    size_t d;
} row_run;

static size_t row_grain(size_t d)
{
    return 1 + AT_ELEMENT_GRAIN / (d + 1);
}

static void run_forward(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const row_run *s = context;
    for (size_t i = first; i < end; i++)
        s->forward(s->out + i * s->d, s->a + i * s->d, s->d);
}

static void run_backward(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const row_run *s = context;
    for (size_t i = first; i < end; i++)
        s->backward(s->out + i * s->d, s->a + i * s->d, s->b + i * s->d, s->d);
}

static size_t last_dimension(const at_var *a)
{
    return (size_t)a->shape.dim[a->shape.rank - 1];
}

static void rows_backward(at_tape *tape, const at_node *node, row_backward *backward)
{
    float *d = at_tape_grad(tape, node->in[0], NULL);
    size_t width = last_dimension(node->out);
    if (!d || width == 0)
        return;
    row_run s = {NULL, backward, d, node->out->data, node->out->grad, width};
    at_exec_rows(tape->exec, at_shape_count(node->out->shape) / width, row_grain(width), run_backward, &s);
}

static void softmax_backward(at_tape *tape, const at_node *node)
{
    rows_backward(tape, node, tape->exec->kernels->softmax_backward);
}

static void log_softmax_backward(at_tape *tape, const at_node *node)
{
    rows_backward(tape, node, tape->exec->kernels->log_softmax_backward);
}

const at_op at_op_softmax = {"softmax", softmax_backward};
const at_op at_op_log_softmax = {"log_softmax", log_softmax_backward};

static at_var *of_rows(at_tape *tape, const at_op *op, row_forward *forward, at_var *a)
{
    at_var *out = a ? at_tape_value(tape, a->shape) : NULL;
    if (!out)
        return NULL;
    size_t width = last_dimension(a);
    row_run s = {forward, NULL, out->data, a->data, NULL, width};
    if (width > 0)
        at_exec_rows(tape->exec, at_shape_count(a->shape) / width, row_grain(width), run_forward, &s);
    return at_tape_record(tape, op, out, &a, 1, NULL);
}

at_var *at_softmax(at_tape *tape, at_var *a)
{
    return of_rows(tape, &at_op_softmax, tape->exec->kernels->softmax, a);
}

at_var *at_log_softmax(at_tape *tape, at_var *a)
{
    return of_rows(tape, &at_op_log_softmax, tape->exec->kernels->log_softmax, a);
}

/* Dropout draws by example and position, so a mask depends neither on the batch nor on the thread. Work is
 * cut by sequence; saved for the backward, which draws the same masks again. */
typedef struct dropout_rows {
    const at_kernels *k;
    float *out;
    const float *base, *a;
    size_t d;
    float rate;
    uint32_t key[2];
    at_rows rows;
} dropout_rows;

static void dropout_sequences(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const dropout_rows *s = context;
    for (size_t b = first; b < end; b++) {
        uint32_t example = s->rows.examples ? s->rows.examples[b] : (uint32_t)b;
        for (int32_t i = s->rows.offsets[b]; i < s->rows.offsets[b + 1]; i++) {
            size_t at = (size_t)i * s->d;
            uint32_t counter[3] = {(uint32_t)(i - s->rows.offsets[b]), example, 0};
            s->k->dropout(s->out + at, s->base ? s->base + at : NULL, s->a + at, s->d, s->rate, s->key,
                          counter);
        }
    }
}

static void run_dropout(at_tape *tape, dropout_rows *s)
{
    size_t mean = at_rows_total(&s->rows) / (s->rows.count ? s->rows.count : 1) + 1;
    at_exec_rows(tape->exec, s->rows.count, 1 + AT_ELEMENT_GRAIN / (mean * s->d + 1), dropout_sequences, s);
}

static void dropout_add_backward(at_tape *tape, const at_node *node)
{
    bool fresh;
    float *d_a = at_tape_grad(tape, node->in[0], &fresh);
    if (d_a) {
        dropout_rows s = *(const dropout_rows *)node->saved;
        s.out = d_a;
        s.base = fresh ? NULL : d_a;
        s.a = node->out->grad;
        run_dropout(tape, &s);
    }
    at_pass_gradient(tape, node->in[1], node->out);
}

const at_op at_op_dropout_add = {"dropout_add", dropout_add_backward};

at_var *at_dropout_add(at_tape *tape, at_var *base, at_var *a, float rate, const at_rows *rows)
{
    if (!at_expect_rank(tape, "dropout", a, 2))
        return NULL;
    if (tape->mode != AT_TAPE_TRAIN || rate <= 0)
        return base ? at_add(tape, base, a) : a;
    if (base && !at_expect_shape(tape, "dropout base", base, a->shape))
        return NULL;
    AT_ASSERT(at_rows_total(rows) == (size_t)a->shape.dim[0]);
    at_var *out = at_tape_value(tape, a->shape);
    dropout_rows *s = out ? at_tape_saved(tape, 1, sizeof *s) : NULL;
    if (!s)
        return NULL;
    *s = (dropout_rows){tape->exec->kernels,
                        out->data,
                        base ? base->data : NULL,
                        a->data,
                        (size_t)a->shape.dim[1],
                        rate,
                        {0, 0},
                        *rows};
    at_tape_dropout_key(tape, s->key);
    run_dropout(tape, s);
    return at_tape_record(tape, &at_op_dropout_add, out, (at_var *[]){a, base}, 2, s);
}
