/* RNN, GRU, LSTM: one direction at a time, sequences as ragged rows, gates in the library's order. */
#include "layer/recurrent.h"
#include <stdio.h>
#include <string.h>
#include "tests/conformance/operators.h"

enum { X, W, R, B, LENS, FIRST_H, FIRST_C, PEEPHOLES }; /* inputs */

typedef struct recurrent {
    onnx_case *c;
    at_cell_kind kind;
    size_t steps, batch, in, width, directions, gates;
    bool batch_first;
    int64_t reset_after, input_forget;
    double clip;
    bool reverse; /* the only direction */
    at_rows rows;
    at_gate functions[2][3];
} recurrent;

/* ONNX's number of each of our blocks: GRU z r h, LSTM i o f c, peepholes i o f. */
static const int gate_order[][4] = {{0}, {1, 0, 2}, {0, 2, 3, 1}}, peephole_order[] = {0, 2, 1};

static const struct {
    const char *name;
    at_gate_kind kind;
    bool alpha, beta; /* takes one */
    float default_alpha, default_beta;
} functions[] = {
    {"Affine", AT_GATE_AFFINE, true, true, 1, 0},
    {"Elu", AT_GATE_ELU, true, false, 1, 0},
    {"HardSigmoid", AT_GATE_HARD_SIGMOID, true, true, 0.2f, 0.5f},
    {"LeakyRelu", AT_GATE_LEAKY_RELU, true, false, 0.01f, 0},
    {"Relu", AT_GATE_RELU, false, false, 0, 0},
    {"ScaledTanh", AT_GATE_SCALED_TANH, true, true, 1, 1},
    {"Sigmoid", AT_GATE_SIGMOID, false, false, 0, 0},
    {"Softplus", AT_GATE_SOFTPLUS, false, false, 0, 0},
    {"Softsign", AT_GATE_SOFTSIGN, false, false, 0, 0},
    {"Tanh", AT_GATE_TANH, false, false, 0, 0},
    {"ThresholdedRelu", AT_GATE_THRESHOLDED_RELU, true, false, 1, 0},
};

static float next_value(const json_t *list, size_t *used, float usual)
{
    const json_t *value = json_array_get(list, *used);
    *used += value != NULL;
    return value ? (float)json_number_value(value) : usual;
}

/* Alphas and betas are consumed in order by the functions that take one. */
static at_status read_functions(recurrent *a)
{
    const json_t *names = json_object_get(a->c->attributes, "activations");
    const json_t *alphas = json_object_get(a->c->attributes, "activation_alpha"),
                 *betas = json_object_get(a->c->attributes, "activation_beta");
    size_t each = (size_t)a->kind + 1, alpha = 0, beta = 0;
    if (!names)
        return AT_OK;
    if (json_array_size(names) != each * a->directions)
        return at_fail(AT_EFORMAT, "activations: want %zu names", each * a->directions);
    for (size_t i = 0; i < each * a->directions; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        at_gate *gate = &a->functions[i / each][i % each];
        for (size_t j = 0; name && j < sizeof functions / sizeof *functions; j++) {
            if (strcmp(functions[j].name, name) != 0)
                continue;
            gate->kind = functions[j].kind;
            if (functions[j].alpha)
                gate->alpha = next_value(alphas, &alpha, functions[j].default_alpha);
            if (functions[j].beta)
                gate->beta = next_value(betas, &beta, functions[j].default_beta);
        }
        if (gate->kind == AT_GATE_USUAL)
            return at_fail(AT_ENOSUP, "activations: '%s' is not known here", name ? name : "");
    }
    return AT_OK;
}

static at_status read_attributes(recurrent *a)
{
    const char *direction = "forward";
    int64_t layout = 0, hidden = (int64_t)a->width;
    at_status st = case_text(a->c, "direction", &direction);
    if (st == AT_OK)
        st = case_int(a->c, "layout", &layout);
    if (st == AT_OK)
        st = case_int(a->c, "hidden_size", &hidden);
    if (st == AT_OK)
        st = case_int(a->c, "linear_before_reset", &a->reset_after);
    if (st == AT_OK)
        st = case_int(a->c, "input_forget", &a->input_forget);
    if (st == AT_OK)
        st = case_real(a->c, "clip", &a->clip);
    if (st != AT_OK)
        return st;
    a->batch_first = layout != 0;
    a->reverse = strcmp(direction, "reverse") == 0;
    bool both = strcmp(direction, "bidirectional") == 0;
    if (!both && !a->reverse && strcmp(direction, "forward") != 0)
        return at_fail(AT_ENOSUP, "direction '%s' is not known here", direction);
    if (a->directions != (both ? 2u : 1u) || hidden != (int64_t)a->width)
        return at_fail(AT_ESHAPE, "W, R: direction %s and hidden_size %lld do not fit %s", direction,
                       (long long)hidden, at_shape_text(a->c->in[R].shape).s);
    return read_functions(a);
}

/* An input that may be left out. */
static at_status expect(const recurrent *a, size_t input, const char *name, at_shape shape)
{
    const onnx_array *x = &a->c->in[input];
    return x->data ? at_shape_expect(name, x->shape, shape) : AT_OK;
}

static at_status read_sizes(recurrent *a)
{
    at_status st = case_expect(a->c, X, "X", 3);
    if (st == AT_OK)
        st = case_expect(a->c, W, "W", 3);
    if (st == AT_OK)
        st = case_expect(a->c, R, "R", 3);
    if (st != AT_OK)
        return st;
    at_shape x = a->c->in[X].shape, r = a->c->in[R].shape;
    a->gates = at_cell_gates(a->kind);
    a->directions = (size_t)r.dim[0];
    a->width = (size_t)r.dim[2];
    a->in = (size_t)x.dim[2];
    st = read_attributes(a);
    if (st != AT_OK)
        return st;
    a->steps = (size_t)x.dim[a->batch_first ? 1 : 0];
    a->batch = (size_t)x.dim[a->batch_first ? 0 : 1];
    int64_t n = (int64_t)a->directions, d = (int64_t)a->width, g = (int64_t)a->gates, b = (int64_t)a->batch;
    at_shape state = a->batch_first ? at_shape3(b, n, d) : at_shape3(n, b, d);
    st = expect(a, W, "W", at_shape3(n, g * d, (int64_t)a->in));
    if (st == AT_OK)
        st = expect(a, R, "R", at_shape3(n, g * d, d));
    if (st == AT_OK)
        st = expect(a, B, "B", at_shape2(n, 2 * g * d));
    if (st == AT_OK)
        st = expect(a, LENS, "sequence_lens", at_shape1(b));
    if (st == AT_OK)
        st = expect(a, FIRST_H, "initial_h", state);
    if (st == AT_OK)
        st = expect(a, FIRST_C, "initial_c", state);
    return st == AT_OK ? expect(a, PEEPHOLES, "P", at_shape2(n, 3 * d)) : st;
}

static at_status read_lengths(recurrent *a)
{
    const onnx_array *lens = &a->c->in[LENS];
    int32_t *offsets = at_tape_saved(a->c->tape, a->batch + 1, sizeof *offsets);
    if (!offsets)
        return at_tape_status(a->c->tape);
    offsets[0] = 0;
    for (size_t b = 0; b < a->batch; b++) {
        int64_t length = lens->ints ? lens->ints[b] : (int64_t)a->steps;
        if (length < 0 || length > (int64_t)a->steps)
            return at_fail(AT_EFORMAT, "sequence_lens: %lld of %zu steps", (long long)length, a->steps);
        offsets[b + 1] = offsets[b] + (int32_t)length;
    }
    a->rows = (at_rows){a->batch, offsets, NULL};
    return AT_OK;
}

/* Row of step t of sequence b in an array (steps, batch, …) or (batch, steps, …). */
static size_t place(const recurrent *a, size_t b, size_t t)
{
    return a->batch_first ? b * a->steps + t : t * a->batch + b;
}

/* Row of direction n of sequence b in an array of states. */
static size_t state_place(const recurrent *a, size_t b, size_t n)
{
    return a->batch_first ? b * a->directions + n : n * a->batch + b;
}

/* Blocks of `size` numbers in the library's order, as a parameter of the shape. */
static at_param *reordered(const recurrent *a, const char *name, const float *from, const int *order,
                           size_t blocks, at_shape shape)
{
    size_t size = at_shape_count(shape) / blocks;
    at_param *p = at_tape_saved(a->c->tape, 1, sizeof *p);
    float *data = case_floats(a->c, blocks * size);
    if (!p || !data)
        return NULL;
    for (size_t i = 0; i < blocks; i++)
        memcpy(data + i * size, from + (size_t)order[i] * size, size * sizeof *data);
    *p = (at_param){.name = (char *)(uintptr_t)name, .shape = shape, .data = data};
    return p;
}

static at_var *ragged_input(const recurrent *a)
{
    size_t total = at_rows_total(&a->rows);
    float *rows = case_floats(a->c, total * a->in);
    for (size_t b = 0; rows && b < a->batch; b++)
        for (int32_t i = a->rows.offsets[b]; i < a->rows.offsets[b + 1]; i++)
            memcpy(rows + (size_t)i * a->in,
                   a->c->in[X].data + place(a, b, (size_t)(i - a->rows.offsets[b])) * a->in,
                   a->in * sizeof *rows);
    return at_leaf(a->c->tape, at_shape2((int64_t)total, (int64_t)a->in), rows, NULL);
}

/* NULL when the case has none: zeros. */
static at_var *first_state(const recurrent *a, size_t input, size_t direction)
{
    const float *from = a->c->in[input].data;
    float *rows = from ? case_floats(a->c, a->batch * a->width) : NULL;
    for (size_t b = 0; rows && b < a->batch; b++)
        memcpy(rows + b * a->width, from + state_place(a, b, direction) * a->width, a->width * sizeof *rows);
    return rows ? at_leaf(a->c->tape, at_shape2((int64_t)a->batch, (int64_t)a->width), rows, NULL) : NULL;
}

/* The products with the input, then the recurrence. */
static at_var *run_direction(const recurrent *a, size_t n, at_var *x, at_cell_state *last)
{
    const onnx_case *c = a->c;
    const int *order = gate_order[a->kind];
    size_t sums = a->gates * a->width, d = a->width;
    at_shape wide = at_shape2((int64_t)sums, (int64_t)a->in), deep = at_shape2((int64_t)sums, (int64_t)d);
    const float *bias = c->in[B].data ? c->in[B].data + n * 2 * sums : NULL;
    const at_param *input = reordered(a, "W", c->in[W].data + n * sums * a->in, order, a->gates, wide);
    const at_param *input_bias =
        bias ? reordered(a, "Wb", bias, order, a->gates, at_shape1((int64_t)sums)) : NULL;
    at_cell_weights w = {
        .cell = {.kind = a->kind,
                 .f = a->functions[n][0],
                 .g = a->functions[n][a->kind == AT_CELL_RNN ? 0 : 1],
                 .h = a->functions[n][2],
                 .clip = (float)a->clip,
                 .reset_before = a->kind == AT_CELL_GRU && a->reset_after == 0,
                 .input_forget = a->input_forget != 0},
        .hidden = reordered(a, "R", c->in[R].data + n * sums * d, order, a->gates, deep),
    };
    if (bias)
        w.bias = reordered(a, "Rb", bias + sums, order, a->gates, at_shape1((int64_t)sums));
    if (c->in[PEEPHOLES].data)
        w.peepholes = reordered(a, "P", c->in[PEEPHOLES].data + n * 3 * d, peephole_order, 3,
                                at_shape1((int64_t)(3 * d)));
    if (at_tape_status(c->tape) != AT_OK)
        return NULL;
    at_cell_state first = {first_state(a, FIRST_H, n), first_state(a, FIRST_C, n)};
    return at_recurrence(c->tape, &w, at_linear(c->tape, x, input, input_bias, AT_LINEAR), &a->rows,
                         a->reverse || n == 1, &first, last);
}

/* Steps behind a sequence's end are zeros. */
static void write_steps(const recurrent *a, size_t n, const at_var *h, float *out)
{
    for (size_t b = 0; b < a->batch; b++)
        for (int32_t i = a->rows.offsets[b]; i < a->rows.offsets[b + 1]; i++) {
            size_t t = (size_t)(i - a->rows.offsets[b]), at = place(a, b, t) * a->directions + n;
            if (!a->batch_first)
                at = (t * a->directions + n) * a->batch + b;
            memcpy(out + at * a->width, h->data + (size_t)i * a->width, a->width * sizeof *out);
        }
}

static void write_state(const recurrent *a, size_t n, const at_var *state, float *out)
{
    for (size_t b = 0; b < a->batch; b++)
        memcpy(out + state_place(a, b, n) * a->width, state->data + b * a->width, a->width * sizeof *out);
}

static at_status run_recurrent(onnx_case *c, at_cell_kind kind)
{
    recurrent a = {.c = c, .kind = kind};
    at_status st = read_sizes(&a);
    if (st == AT_OK)
        st = read_lengths(&a);
    if (st != AT_OK)
        return st;
    int64_t s = (int64_t)a.steps, b = (int64_t)a.batch, n = (int64_t)a.directions, d = (int64_t)a.width;
    at_shape state = a.batch_first ? at_shape3(b, n, d) : at_shape3(n, b, d);
    float *steps = case_output(c, 0, a.batch_first ? at_shape4(b, s, n, d) : at_shape4(s, n, b, d));
    float *last_h = case_output(c, 1, state),
          *last_c = kind == AT_CELL_LSTM ? case_output(c, 2, state) : NULL;
    at_var *x = ragged_input(&a);
    if (at_tape_status(c->tape) != AT_OK)
        return at_tape_status(c->tape);
    memset(steps, 0, c->got[0].count * sizeof *steps);
    for (size_t i = 0; i < a.directions; i++) {
        at_cell_state last;
        const at_var *h = run_direction(&a, i, x, &last);
        if (!h)
            return at_tape_status(c->tape);
        write_steps(&a, i, h, steps);
        write_state(&a, i, last.h, last_h);
        if (last_c)
            write_state(&a, i, last.c, last_c);
    }
    return at_tape_status(c->tape);
}

at_status run_rnn(onnx_case *c)
{
    return run_recurrent(c, AT_CELL_RNN);
}

at_status run_gru(onnx_case *c)
{
    return run_recurrent(c, AT_CELL_GRU);
}

at_status run_lstm(onnx_case *c)
{
    return run_recurrent(c, AT_CELL_LSTM);
}
