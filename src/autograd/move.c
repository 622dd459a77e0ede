/* Rows taken elsewhere: gather, slice, stack; and what makes one row of several: mean, maxout. */
#include <string.h>
#include "autograd/internal.h"

enum { MOVE_COLUMNS = 64 }; /* columns a task takes when rows may meet in one row */

typedef struct moving {
    const at_kernels *k;
    float *out;
    const float *in;
    const int32_t *index;
    size_t rows, d;
} moving;

static size_t rows_grain(size_t d)
{
    return 1 + AT_ELEMENT_GRAIN / (d + 1);
}

static void gather_rows(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const moving *s = context;
    for (size_t i = first; i < end; i++)
        memcpy(s->out + i * s->d, s->in + (size_t)s->index[i] * s->d, s->d * sizeof *s->out);
}

/* Columns are cut among threads; each adds all rows in order, so rows that meet never race. */
static void scatter_columns(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const moving *s = context;
    for (size_t i = 0; i < s->rows; i++) {
        float *to = s->out + (size_t)s->index[i] * s->d + first;
        s->k->add(to, to, s->in + i * s->d + first, end - first);
    }
}

static void gather_backward(at_tape *tape, const at_node *node)
{
    moving s = *(const moving *)node->saved;
    s.out = at_tape_grad(tape, node->in[0], NULL);
    s.in = node->out->grad;
    if (s.out)
        at_exec_rows(tape->exec, s.d, MOVE_COLUMNS, scatter_columns, &s);
}

const at_op at_op_gather = {"gather", gather_backward};

at_var *at_gather(at_tape *tape, at_var *x, const int32_t *index, size_t count)
{
    if (!at_expect_rank(tape, "gather", x, 2))
        return NULL;
    size_t d = (size_t)x->shape.dim[1];
    at_var *out = at_tape_value(tape, at_shape2((int64_t)count, (int64_t)d));
    int32_t *kept = at_tape_saved(tape, count, sizeof *kept);
    moving *s = kept ? at_tape_saved(tape, 1, sizeof *s) : NULL;
    if (!s)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        AT_ASSERT(index[i] >= 0 && index[i] < x->shape.dim[0]);
        kept[i] = index[i];
    }
    *s = (moving){tape->exec->kernels, out->data, x->data, kept, count, d};
    at_exec_rows(tape->exec, count, rows_grain(d), gather_rows, s);
    return at_tape_record(tape, &at_op_gather, out, &x, 1, s);
}

/* The slice's place in its parent: where its gradient is added. */
static void slice_backward(at_tape *tape, const at_node *node)
{
    const size_t *first = node->saved;
    float *d = at_tape_grad(tape, node->in[0], NULL);
    if (!d)
        return;
    d += *first * (size_t)node->out->shape.dim[1];
    tape->exec->kernels->add(d, d, node->out->grad, at_shape_count(node->out->shape));
}

const at_op at_op_slice = {"slice", slice_backward};

at_var *at_slice(at_tape *tape, at_var *x, size_t first, size_t count)
{
    if (!at_expect_rank(tape, "slice", x, 2))
        return NULL;
    AT_ASSERT(first + count <= (size_t)x->shape.dim[0]);
    if (count == (size_t)x->shape.dim[0])
        return x;
    at_var *out = at_tape_saved(tape, 1, sizeof *out);
    size_t *saved = out ? at_tape_saved(tape, 1, sizeof *saved) : NULL;
    if (!saved)
        return NULL;
    *saved = first;
    at_shape shape = at_shape2((int64_t)count, x->shape.dim[1]);
    *out = (at_var){shape, x->data + first * (size_t)x->shape.dim[1], NULL, false, true};
    return at_tape_record(tape, &at_op_slice, out, &x, 1, saved);
}

typedef struct stacked {
    at_var **parts;
    size_t count;
} stacked;

static void stack_backward(at_tape *tape, const at_node *node)
{
    const stacked *s = node->saved;
    const float *d = node->out->grad;
    for (size_t i = 0; i < s->count; d += at_shape_count(s->parts[i]->shape), i++)
        at_add_gradient(tape, s->parts[i], d);
}

const at_op at_op_stack = {"stack", stack_backward};

at_var *at_stack_rows(at_tape *tape, at_var *const *parts, size_t count)
{
    AT_ASSERT(count > 0);
    int64_t rows = 0;
    at_var *wants = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!at_expect_rank(tape, "stack", parts[i], 2) ||
            !at_expect_shape(tape, "stack", parts[i],
                             at_shape2(parts[i]->shape.dim[0], parts[0]->shape.dim[1])))
            return NULL;
        rows += parts[i]->shape.dim[0];
        wants = parts[i]->needs_grad ? parts[i] : wants;
    }
    at_var *out = at_tape_value(tape, at_shape2(rows, parts[0]->shape.dim[1]));
    at_var **kept = at_tape_saved(tape, count, sizeof(at_var *));
    stacked *s = at_tape_saved(tape, 1, sizeof *s);
    if (!out || !kept || !s)
        return NULL;
    *s = (stacked){kept, count};
    float *to = out->data;
    for (size_t i = 0; i < count; i++) {
        size_t n = at_shape_count(parts[i]->shape);
        kept[i] = parts[i];
        memcpy(to, parts[i]->data, n * sizeof *to);
        to += n;
    }
    return at_tape_record(tape, &at_op_stack, out, &wants, 1, s);
}

/* Columns [first, first + count), copied; two halves of a row become two variables. */
typedef struct cut {
    size_t first, count, d;
} cut;

static void columns_backward(at_tape *tape, const at_node *node)
{
    const cut *s = node->saved;
    float *d = at_tape_grad(tape, node->in[0], NULL);
    size_t rows = (size_t)node->out->shape.dim[0];
    for (size_t i = 0; d && i < rows; i++) {
        float *to = d + i * s->d + s->first;
        tape->exec->kernels->add(to, to, node->out->grad + i * s->count, s->count);
    }
}

const at_op at_op_columns = {"columns", columns_backward};

at_var *at_columns(at_tape *tape, at_var *x, size_t first, size_t count)
{
    if (!at_expect_rank(tape, "columns", x, 2))
        return NULL;
    size_t rows = (size_t)x->shape.dim[0], d = (size_t)x->shape.dim[1];
    AT_ASSERT(first + count <= d);
    if (count == d)
        return x;
    at_var *out = at_tape_value(tape, at_shape2((int64_t)rows, (int64_t)count));
    cut *s = out ? at_tape_saved(tape, 1, sizeof *s) : NULL;
    if (!s)
        return NULL;
    *s = (cut){first, count, d};
    for (size_t i = 0; i < rows; i++)
        memcpy(out->data + i * count, x->data + i * d + first, count * sizeof(float));
    return at_tape_record(tape, &at_op_columns, out, &x, 1, s);
}

static void beside_backward(at_tape *tape, const at_node *node)
{
    const stacked *s = node->saved;
    size_t rows = (size_t)node->out->shape.dim[0], d = (size_t)node->out->shape.dim[1], at = 0;
    for (size_t i = 0; i < s->count; i++) {
        size_t width = (size_t)s->parts[i]->shape.dim[1];
        float *to = at_tape_grad(tape, s->parts[i], NULL);
        for (size_t r = 0; to && r < rows; r++)
            tape->exec->kernels->add(to + r * width, to + r * width, node->out->grad + r * d + at, width);
        at += width;
    }
}

const at_op at_op_beside = {"beside", beside_backward};

at_var *at_beside(at_tape *tape, at_var *const *parts, size_t count)
{
    AT_ASSERT(count > 0);
    int64_t width = 0;
    at_var *wants = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!at_expect_rank(tape, "beside", parts[i], 2) ||
            !at_expect_shape(tape, "beside", parts[i],
                             at_shape2(parts[0]->shape.dim[0], parts[i]->shape.dim[1])))
            return NULL;
        width += parts[i]->shape.dim[1];
        wants = parts[i]->needs_grad ? parts[i] : wants;
    }
    if (count == 1)
        return parts[0];
    at_var *out = at_tape_value(tape, at_shape2(parts[0]->shape.dim[0], width));
    at_var **kept = at_tape_saved(tape, count, sizeof(at_var *));
    stacked *s = at_tape_saved(tape, 1, sizeof *s);
    if (!out || !kept || !s)
        return NULL;
    *s = (stacked){kept, count};
    size_t rows = (size_t)out->shape.dim[0], at = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n = (size_t)parts[i]->shape.dim[1];
        kept[i] = parts[i];
        for (size_t r = 0; r < rows; r++)
            memcpy(out->data + r * (size_t)width + at, parts[i]->data + r * n, n * sizeof(float));
        at += n;
    }
    return at_tape_record(tape, &at_op_beside, out, &wants, 1, s);
}

typedef struct pooled {
    const at_kernels *k;
    at_rows rows;
    float *out; /* (B,D) forward; (N,D) backward */
    const float *in;
    size_t d;
} pooled;

static void pool_sequences(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const pooled *s = context;
    for (size_t b = first; b < end; b++) {
        float *out = s->out + b * s->d;
        int32_t from = s->rows.offsets[b], to = s->rows.offsets[b + 1];
        memset(out, 0, s->d * sizeof *out);
        for (int32_t i = from; i < to; i++)
            s->k->axpy(out, 1.0f / (float)(to - from), s->in + (size_t)i * s->d, s->d);
    }
}

static void unpool_sequences(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const pooled *s = context;
    for (size_t b = first; b < end; b++) {
        int32_t from = s->rows.offsets[b], to = s->rows.offsets[b + 1];
        for (int32_t i = from; i < to; i++)
            s->k->axpy(s->out + (size_t)i * s->d, 1.0f / (float)(to - from), s->in + b * s->d, s->d);
    }
}

static void mean_backward(at_tape *tape, const at_node *node)
{
    pooled s = *(const pooled *)node->saved;
    s.out = at_tape_grad(tape, node->in[0], NULL);
    s.in = node->out->grad;
    if (s.out)
        at_exec_rows(tape->exec, s.rows.count, 8, unpool_sequences, &s);
}

const at_op at_op_mean = {"mean", mean_backward};

at_var *at_mean(at_tape *tape, at_var *x, const at_rows *rows)
{
    if (!at_expect_rank(tape, "mean", x, 2))
        return NULL;
    AT_ASSERT(at_rows_total(rows) == (size_t)x->shape.dim[0]);
    at_var *out = at_tape_value(tape, at_shape2((int64_t)rows->count, x->shape.dim[1]));
    pooled *s = out ? at_tape_saved(tape, 1, sizeof *s) : NULL;
    if (!s)
        return NULL;
    *s = (pooled){tape->exec->kernels, *rows, out->data, x->data, (size_t)x->shape.dim[1]};
    at_exec_rows(tape->exec, rows->count, 8, pool_sequences, s);
    return at_tape_record(tape, &at_op_mean, out, &x, 1, s);
}

static void maxout_backward(at_tape *tape, const at_node *node)
{
    float *d = at_tape_grad(tape, node->in[0], NULL);
    const float *x = node->in[0]->data;
    size_t n = d ? at_shape_count(node->out->shape) : 0;
    for (size_t i = 0; i < n; i++)
        d[2 * i + (x[2 * i + 1] > x[2 * i])] += node->out->grad[i];
}

const at_op at_op_maxout = {"maxout", maxout_backward};

at_var *at_maxout(at_tape *tape, at_var *x)
{
    if (!at_expect_rank(tape, "maxout", x, 2))
        return NULL;
    AT_ASSERT(x->shape.dim[1] % 2 == 0);
    at_var *out = at_tape_value(tape, at_shape2(x->shape.dim[0], x->shape.dim[1] / 2));
    size_t n = out ? at_shape_count(out->shape) : 0;
    for (size_t i = 0; i < n; i++)
        out->data[i] = x->data[2 * i + 1] > x->data[2 * i] ? x->data[2 * i + 1] : x->data[2 * i];
    return at_tape_record(tape, &at_op_maxout, out, &x, 1, NULL);
}
