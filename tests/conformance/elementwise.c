/* Gelu, Softmax, LogSoftmax, SoftmaxCrossEntropyLoss. */
#include <string.h>
#include "tests/conformance/operators.h"

at_status run_gelu(onnx_case *c)
{
    const char *approximate = "none";
    at_status st = case_expect(c, 0, "X", 0);
    if (st == AT_OK)
        st = case_text(c, "approximate", &approximate);
    if (st != AT_OK)
        return st;
    bool tanh = strcmp(approximate, "tanh") == 0;
    if (!tanh && strcmp(approximate, "none") != 0)
        return at_fail(AT_ENOSUP, "approximate: want none or tanh, got '%s'", approximate);
    at_var *x = at_leaf(c->tape, c->in[0].shape, c->in[0].data, NULL);
    const at_var *y = at_activate(c->tape, x, tanh ? AT_GELU_TANH : AT_GELU);
    float *out = y ? case_output(c, 0, c->in[0].shape) : NULL;
    if (out)
        memcpy(out, y->data, c->in[0].count * sizeof *out);
    return at_tape_status(c->tape);
}

/* One operation over an axis. Before opset 13 the axis, 1 unless said, began a matrix's columns. */
static at_status over_axis(onnx_case *c, at_var *(*operation)(at_tape *tape, at_var *a))
{
    const onnx_array *x = &c->in[0];
    int64_t wanted = c->opset < 13 ? 1 : -1;
    int axis = 0;
    at_status st = case_expect(c, 0, "input", 0);
    if (st == AT_OK)
        st = case_int(c, "axis", &wanted);
    if (st == AT_OK)
        st = axis_of(wanted, x->shape.rank, &axis);
    if (st != AT_OK)
        return st;
    int last = c->opset < 13 ? x->shape.rank : axis + 1;
    size_t outer = dimensions(x->shape, 0, axis), n = dimensions(x->shape, axis, last);
    size_t inner = dimensions(x->shape, last, x->shape.rank);
    float *rows = case_floats(c, x->count), *out = case_output(c, 0, x->shape);
    if (!rows || !out)
        return at_tape_status(c->tape);
    axis_to_rows(rows, x->data, outer, n, inner);
    const at_var *y =
        operation(c->tape, at_leaf(c->tape, at_shape2((int64_t)(outer * inner), (int64_t)n), rows, NULL));
    if (y)
        rows_to_axis(out, y->data, outer, n, inner);
    return at_tape_status(c->tape);
}

at_status run_softmax(onnx_case *c)
{
    return over_axis(c, at_softmax);
}

at_status run_log_softmax(onnx_case *c)
{
    return over_axis(c, at_log_softmax);
}

typedef struct losses {
    size_t n, classes, inner; /* N, C, product of the dimensions behind */
    const char *reduction;
    bool ignoring;
    int64_t ignored;
} losses;

/* rows (N * inner, C): the loss of each, weighted, and the sum of all weights. */
static at_status loss_of_rows(onnx_case *c, const losses *l, float *rows, float *loss, double *weights)
{
    const onnx_array *target = &c->in[1], *weight = &c->in[2];
    for (size_t i = 0; i < l->n * l->inner; i++) {
        int64_t t = target->ints[i];
        loss[i] = 0;
        if (l->ignoring && t == l->ignored)
            continue;
        if (t < 0 || t >= (int64_t)l->classes)
            return at_fail(AT_EFORMAT, "labels: number %zu is %lld; there are %zu classes", i, (long long)t,
                           l->classes);
        float w = weight->data ? weight->data[t] : 1;
        loss[i] = w * c->exec->kernels->cross_entropy(rows + i * l->classes, l->classes, (size_t)t, 0, 0);
        *weights += (double)w;
    }
    return AT_OK;
}

static at_status write_loss(onnx_case *c, const losses *l, const float *loss, double weights)
{
    size_t count = l->n * l->inner;
    if (strcmp(l->reduction, "none") == 0) {
        float *out = case_output(c, 0, c->in[1].shape);
        if (out)
            memcpy(out, loss, count * sizeof *out);
        return at_tape_status(c->tape);
    }
    bool mean = strcmp(l->reduction, "mean") == 0;
    if (!mean && strcmp(l->reduction, "sum") != 0)
        return at_fail(AT_ENOSUP, "reduction: want none, sum or mean, got '%s'", l->reduction);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)loss[i];
    float *out = case_output(c, 0, at_shape1(1));
    if (out)
        *out = (float)(mean ? sum / weights : sum);
    return at_tape_status(c->tape);
}

static at_status read_losses(const onnx_case *c, losses *l)
{
    const onnx_array *x = &c->in[0], *target = &c->in[1], *weight = &c->in[2];
    at_status st = case_expect(c, 0, "scores", 0);
    if (st == AT_OK)
        st = case_expect(c, 1, "labels", 0);
    if (st == AT_OK && x->shape.rank < 2)
        st = at_fail(AT_ESHAPE, "scores: want (N,C,…), got %s", at_shape_text(x->shape).s);
    if (st != AT_OK)
        return st;
    *l = (losses){.n = (size_t)x->shape.dim[0],
                  .classes = (size_t)x->shape.dim[1],
                  .inner = dimensions(x->shape, 2, x->shape.rank),
                  .reduction = "mean",
                  .ignoring = json_object_get(c->attributes, "ignore_index") != NULL};
    if (!target->ints || target->count != l->n * l->inner)
        return at_fail(AT_ESHAPE, "labels: want whole numbers, one for each row of %s, got %s",
                       at_shape_text(x->shape).s, at_shape_text(target->shape).s);
    if (weight->data && weight->count != l->classes)
        return at_fail(AT_ESHAPE, "weights: want (%zu), got %s", l->classes, at_shape_text(weight->shape).s);
    st = case_text(c, "reduction", &l->reduction);
    return st == AT_OK ? case_int(c, "ignore_index", &l->ignored) : st;
}

at_status run_cross_entropy(onnx_case *c)
{
    losses l;
    at_status st = read_losses(c, &l);
    if (st != AT_OK)
        return st;
    const onnx_array *x = &c->in[0];
    float *rows = case_floats(c, x->count), *loss = case_floats(c, l.n * l.inner);
    if (!rows || !loss)
        return at_tape_status(c->tape);
    axis_to_rows(rows, x->data, l.n, l.classes, l.inner);
    double weights = 0;
    st = loss_of_rows(c, &l, rows, loss, &weights);
    if (st == AT_OK)
        st = write_loss(c, &l, loss, weights);
    if (st != AT_OK || !case_wants(c, 1))
        return st;
    at_shape shape = at_shape2((int64_t)(l.n * l.inner), (int64_t)l.classes);
    const at_var *log_prob = at_log_softmax(c->tape, at_leaf(c->tape, shape, rows, NULL));
    float *out = case_output(c, 1, x->shape);
    if (log_prob && out)
        rows_to_axis(out, log_prob->data, l.n, l.classes, l.inner);
    return at_tape_status(c->tape);
}
