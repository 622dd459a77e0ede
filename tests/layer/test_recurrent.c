/* Recurrent cells and layers: gradients by finite differences, steps against whole sequences, threads. */
#include "layer/recurrent.h"
#include <string.h>
#include "tests/gradient.h"

/* Lengths 3, 0, 5, 1, 5: one empty, one of a single row, two equal, not in order. */
static const int32_t offsets[] = {0, 3, 3, 8, 9, 14};
static const at_rows ragged = {5, offsets, NULL};
enum { ROWS = 14, SEQUENCES = 5, IN = 3 };

typedef struct cell_case {
    const char *name;
    at_cell cell;
    int64_t width;
    bool reverse, biases, peepholes, no_first, no_last;
    /* Filled in by the test: */
    at_cell_weights weights;
    const at_param *input;
} cell_case;

static void fill(at_params *params)
{
    check_ok(at_params_allocate(params));
    for (size_t i = 0; i < params->count; i++) {
        const at_param *p = params->list[i];
        gradient_random(params->block + p->offset, at_shape_count(p->shape), 40 + (uint32_t)i, 0.6f);
    }
}

static const at_param *declare(at_params *params, const char *name, at_shape shape)
{
    at_param *p;
    at_param_spec spec = {name, shape, AT_DECAYED, AT_INIT_ZERO, 0, NULL, false};
    check_ok(at_params_add(params, &spec, &p));
    return p;
}

static void declare_case(at_params *params, cell_case *c)
{
    int64_t wide = (int64_t)at_cell_gates(c->cell.kind) * c->width;
    c->weights = (at_cell_weights){.cell = c->cell};
    c->input = declare(params, "w_ih", at_shape2(wide, IN));
    c->weights.hidden = declare(params, "w_hh", at_shape2(wide, c->width));
    if (c->biases)
        c->weights.bias = declare(params, "b_hh", at_shape1(wide));
    if (c->peepholes)
        c->weights.peepholes = declare(params, "peepholes", at_shape1(3 * c->width));
    fill(params);
}

/* All results, one above the other, so that each sends a gradient back. */
static at_var *stacked(at_tape *tape, at_var *rows, at_cell_state last)
{
    at_var *parts[] = {rows, last.h, last.c};
    return at_stack_rows(tape, parts, last.c ? 3 : last.h ? 2 : 1);
}

static at_var *whole(at_tape *tape, at_var *const *x, const void *context)
{
    const cell_case *c = context;
    bool lstm = c->cell.kind == AT_CELL_LSTM;
    at_cell_state first = {x[1], lstm ? x[2] : NULL}, last = {NULL, NULL};
    at_var *sums = at_linear(tape, x[0], c->input, NULL, AT_LINEAR);
    at_var *out = at_recurrence(tape, &c->weights, sums, &ragged, c->reverse, c->no_first ? NULL : &first,
                                c->no_last ? NULL : &last);
    return out ? stacked(tape, out, last) : NULL;
}

static const cell_case cases[] = {
    {.name = "rnn", .cell = {.kind = AT_CELL_RNN}, .width = 5, .biases = true},
    {.name = "rnn relu",
     .cell = {.kind = AT_CELL_RNN, .g = {AT_GATE_RELU, 0, 0}},
     .width = 9,
     .reverse = true},
    {.name = "gru", .cell = {.kind = AT_CELL_GRU}, .width = 5, .biases = true},
    {.name = "gru back", .cell = {.kind = AT_CELL_GRU}, .width = 17, .reverse = true, .no_first = true},
    {.name = "gru of rows only",
     .cell = {.kind = AT_CELL_GRU},
     .width = 3,
     .no_first = true,
     .no_last = true},
    {.name = "gru, reset before",
     .cell = {.kind = AT_CELL_GRU, .reset_before = true},
     .width = 5,
     .biases = true},
    {.name = "gru back, reset before",
     .cell = {.kind = AT_CELL_GRU, .reset_before = true},
     .width = 8,
     .reverse = true,
     .no_last = true},
    {.name = "lstm", .cell = {.kind = AT_CELL_LSTM}, .width = 5, .biases = true},
    {.name = "lstm back", .cell = {.kind = AT_CELL_LSTM}, .width = 9, .reverse = true, .no_last = true},
    {.name = "lstm, peepholes",
     .cell = {.kind = AT_CELL_LSTM},
     .width = 5,
     .biases = true,
     .peepholes = true},
    {.name = "lstm, peepholes, f = 1 - i",
     .cell = {.kind = AT_CELL_LSTM, .input_forget = true},
     .width = 4,
     .reverse = true,
     .peepholes = true},
};
enum { CASES = sizeof cases / sizeof *cases };

static void check_case(const cell_case *c, gradient_build *build)
{
    cell_case made = *c;
    at_params params = {0};
    declare_case(&params, &made);
    gradient_case g = {.name = c->name,
                       .build = build,
                       .context = &made,
                       .leaves = {at_shape2(ROWS, IN)},
                       .params = &params};
    if (!c->no_first)
        g.leaves[1] = at_shape2(SEQUENCES, c->width);
    if (!c->no_first && c->cell.kind == AT_CELL_LSTM)
        g.leaves[2] = at_shape2(SEQUENCES, c->width);
    gradient_check(&g);
    at_params_free(&params);
}

static void whole_sequences(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++)
        check_case(&cases[i], whole);
}

/* Every function of a gate, and sums held within bounds. alpha and beta are as ONNX's defaults, or such that
 * both branches are taken. */
static void all_functions(void **state)
{
    (void)state;
    static const at_gate gates[] = {{AT_GATE_RELU, 0, 0},
                                    {AT_GATE_AFFINE, 0.7f, 0.2f},
                                    {AT_GATE_LEAKY_RELU, 0.3f, 0},
                                    {AT_GATE_THRESHOLDED_RELU, 0, 0},
                                    {AT_GATE_SCALED_TANH, 1.5f, 0.6f},
                                    {AT_GATE_HARD_SIGMOID, 0.2f, 0.5f},
                                    {AT_GATE_ELU, 0.8f, 0},
                                    {AT_GATE_SOFTSIGN, 0, 0},
                                    {AT_GATE_SOFTPLUS, 0, 0},
                                    {AT_GATE_SIGMOID, 0, 0}};
    for (size_t i = 0; i < sizeof gates / sizeof *gates; i++) {
        at_gate sigmoid = {AT_GATE_SIGMOID, 0, 0}, g = gates[i];
        check_case(&(cell_case){.name = "gru function",
                                .cell = {AT_CELL_GRU, 0, sigmoid, g, g, 0, 0, 0, NULL},
                                .width = 3},
                   whole);
        check_case(&(cell_case){.name = "lstm function",
                                .cell = {AT_CELL_LSTM, 0, sigmoid, g, g, 0, 0, 0, NULL},
                                .width = 2},
                   whole);
    }
    for (at_cell_kind kind = AT_CELL_RNN; kind <= AT_CELL_LSTM; kind++)
        check_case(&(cell_case){.name = "clip", .cell = {.kind = kind, .clip = 0.8f}, .width = 3}, whole);
}

/* The same sequences, a row at a time: those still active are the first. */
static at_var *stepwise(at_tape *tape, at_var *const *x, const void *context)
{
    static const int32_t steps[][4] = {{3, 9, 0, 8}, {4, 10, 1}, {5, 11, 2}, {6, 12}, {7, 13}};
    static const int32_t order[] = {2, 4, 0, 3};
    static const size_t active[] = {4, 3, 3, 2, 2};
    const cell_case *c = context;
    bool lstm = c->cell.kind == AT_CELL_LSTM;
    at_cell_loop *loop = at_cell_open(tape, &c->weights, ROWS);
    at_var *sums = at_linear(tape, x[0], c->input, NULL, AT_LINEAR), *out[5];
    at_cell_state s = {c->no_first ? NULL : at_gather(tape, x[1], order, 4),
                       c->no_first || !lstm ? NULL : at_gather(tape, x[2], order, 4)};
    for (size_t t = 0; t < 5; t++) {
        s.h = s.h ? at_slice(tape, s.h, 0, active[t]) : NULL;
        s.c = s.c ? at_slice(tape, s.c, 0, active[t]) : NULL;
        s = at_cell_next(tape, loop, at_gather(tape, sums, steps[t], active[t]), s);
        out[t] = s.h;
    }
    return at_stack_rows(tape, out, 5);
}

static void single_steps(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++)
        check_case(&cases[i], stepwise);
}

static at_var *first_steps_only(at_tape *tape, at_var *const *x, const void *context)
{
    const cell_case *c = context;
    at_cell_loop *loop = at_cell_open(tape, &c->weights, ROWS);
    at_var *sums = at_linear(tape, x[0], c->input, NULL, AT_LINEAR);
    at_cell_state s = {NULL, NULL};
    at_var *seen = NULL;
    for (size_t t = 0; t < 4; t++) {
        s = at_cell_next(tape, loop, at_slice(tape, sums, 2 * t, 2), s);
        seen = t == 1 ? s.h : seen;
    }
    return seen;
}

/* Steps that nothing looks at leave no trace in the weights' gradient. */
static void steps_that_nobody_looks_at(void **state)
{
    (void)state;
    cell_case c = cases[2];
    c.no_first = true;
    check_case(&c, first_steps_only);
    c = cases[5];
    c.no_first = true;
    check_case(&c, first_steps_only);
}

static at_var *layers(at_tape *tape, at_var *const *x, const void *context)
{
    const at_recurrent *layer = context;
    at_cell_state last[2 * AT_RECURRENT_LAYERS];
    at_var *out = at_recurrent_rows(tape, layer, x[0], &ragged, NULL, last);
    size_t states = layer->spec.layers * (layer->spec.bidirectional ? 2 : 1);
    at_var *h = last[0].h;
    for (size_t i = 1; i < states; i++)
        h = at_add(tape, h, last[i].h);
    if (layer->spec.bidirectional)
        h = at_beside(tape, (at_var *[]){h, last[0].c ? last[0].c : h}, 2);
    return at_stack_rows(tape, (at_var *[]){out, h}, 2);
}

static at_var *layer_steps(at_tape *tape, at_var *const *x, const void *context)
{
    at_recurrent_loop *loop = at_recurrent_open(tape, context, ROWS);
    at_cell_state states[AT_RECURRENT_LAYERS] = {{NULL, NULL}};
    at_var *out[3];
    for (size_t t = 0; t < 3; t++)
        out[t] = at_recurrent_step(tape, loop, at_slice(tape, x[0], 3 * t, 3), states);
    return at_stack_rows(tape, out, 3);
}

static void check_layers(const char *name, const at_recurrent_spec *spec, gradient_build *build,
                         bool training)
{
    at_params params = {0};
    at_recurrent layer;
    check_ok(at_recurrent_declare(&params, "encoder.rnn", spec, &layer));
    fill(&params);
    gradient_check(&(gradient_case){.name = name,
                                    .build = build,
                                    .context = &layer,
                                    .leaves = {at_shape2(ROWS, IN)},
                                    .params = &params,
                                    .training = training});
    at_params_free(&params);
}

static void layers_of_cells(void **state)
{
    (void)state;
    for (at_cell_kind kind = AT_CELL_RNN; kind <= AT_CELL_LSTM; kind++) {
        at_recurrent_spec spec = {.cell = {.kind = kind}, .in = IN, .width = 3, .layers = 2, .biases = true};
        check_layers("steps of two layers", &spec, layer_steps, false);
        spec.bidirectional = spec.peepholes = true;
        check_layers("two layers both ways", &spec, layers, false);
        spec.dropout = 0.4f;
        check_layers("two layers with dropout", &spec, layers, true);
        spec.bidirectional = false;
        check_layers("steps with dropout", &spec, layer_steps, true);
    }
}

static void parameters_are_named_as_in_pytorch(void **state)
{
    (void)state;
    at_params params = {0};
    at_recurrent layer;
    at_recurrent_spec spec = {.cell = {.kind = AT_CELL_GRU},
                              .in = 7,
                              .width = 4,
                              .layers = 2,
                              .bidirectional = true,
                              .biases = true};
    check_ok(at_recurrent_declare(&params, "rnn", &spec, &layer));
    check_ok(at_params_allocate(&params));
    at_params_init(&params, 3);
    static const struct {
        const char *name;
        int64_t rows, columns;
    } want[] = {{"rnn.weight_ih_l0", 12, 7},         {"rnn.weight_hh_l0", 12, 4},
                {"rnn.weight_ih_l0_reverse", 12, 7}, {"rnn.weight_hh_l0_reverse", 12, 4},
                {"rnn.weight_ih_l1", 12, 8},         {"rnn.weight_hh_l1_reverse", 12, 4}};
    assert_int_equal(params.count, 16);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const at_param *p = at_params_find(&params, want[i].name);
        assert_non_null(p);
        assert_true(at_shape_same(p->shape, at_shape2(want[i].rows, want[i].columns)));
        float least = 1, most = -1;
        for (size_t j = 0; j < at_shape_count(p->shape); j++) {
            least = p->data[j] < least ? p->data[j] : least;
            most = p->data[j] > most ? p->data[j] : most;
        }
        assert_true(least >= -0.5f && least < -0.3f && most <= 0.5f && most > 0.3f);
    }
    assert_non_null(at_params_find(&params, "rnn.bias_ih_l1_reverse"));
    assert_non_null(at_params_find(&params, "rnn.bias_hh_l0"));
    at_params_free(&params);
}

/* --- one machine against another ----------------------------------------------------------- */
enum { WIDE = 70, LONG = 211, MANY = 19 };

typedef struct machine {
    at_exec *exec;
    at_tape *tape;
    at_params params;
    at_recurrent layer;
    float *x, *grads;
    int32_t offsets[MANY + 1];
} machine;

static void open_machine(machine *m, const at_recurrent_spec *spec, const char *kernels, int threads)
{
    *m = (machine){0};
    check_ok(at_exec_new(kernels, threads, &m->exec));
    check_ok(at_tape_new(m->exec, &m->tape));
    check_ok(at_recurrent_declare(&m->params, "", spec, &m->layer));
    check_ok(at_params_allocate(&m->params));
    at_params_init(&m->params, 5);
    m->x = calloc(LONG * WIDE, sizeof *m->x);
    m->grads = calloc(m->params.total, sizeof *m->grads);
    assert_true(m->x && m->grads);
    gradient_random(m->x, LONG * WIDE, 3, 1);
    for (int32_t b = 0; b <= MANY; b++)
        m->offsets[b] = b == MANY ? LONG : b * (b + 3) / 2;
}

static void close_machine(machine *m)
{
    free(m->x);
    free(m->grads);
    at_params_free(&m->params);
    at_tape_free(m->tape);
    at_exec_free(m->exec);
}

static at_recurrent_spec wide_spec(at_cell_kind kind, bool reset_before)
{
    return (at_recurrent_spec){.cell = {.kind = kind, .reset_before = reset_before},
                               .in = WIDE,
                               .width = WIDE - 3,
                               .layers = 1,
                               .biases = true,
                               .peepholes = true};
}

static at_var *run_machine(machine *m, at_tape_mode mode)
{
    at_rows rows = {MANY, m->offsets, NULL};
    at_tape_begin(m->tape, mode, 1, 1);
    m->tape->grads = mode == AT_TAPE_RUN ? NULL : m->grads;
    at_var *x = at_leaf(m->tape, at_shape2(LONG, WIDE), m->x, NULL);
    at_var *out = at_recurrent_rows(m->tape, &m->layer, x, &rows, NULL, NULL);
    assert_non_null(out);
    return out;
}

static void same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8, 16};
    for (int k = 0; k < 4; k++) {
        at_recurrent_spec spec = wide_spec(k == 3 ? AT_CELL_GRU : (at_cell_kind)k, k == 3);
        spec.bidirectional = true;
        float *out = NULL, *grads = NULL;
        for (size_t i = 0; i < 5; i++) {
            machine m;
            open_machine(&m, &spec, NULL, threads[i]);
            at_var *y = run_machine(&m, AT_TAPE_TRAIN);
            check_ok(at_tape_backward(m.tape, at_sum(m.tape, at_mul(m.tape, y, y))));
            size_t bytes = at_shape_count(y->shape) * sizeof *out, all = m.params.total * sizeof *grads;
            if (!out) {
                assert_non_null(out = malloc(bytes));
                assert_non_null(grads = malloc(all));
                memcpy(out, y->data, bytes);
                memcpy(grads, m.grads, all);
            }
            check_same_bits(y->data, out, bytes);
            check_same_bits(m.grads, grads, all);
            close_machine(&m);
        }
        free(out);
        free(grads);
    }
}

/* A sequence alone, step by step, with nothing recorded: the bits of the whole batch in training. */
static void steps_have_the_bits_of_whole_sequences(void **state)
{
    (void)state;
    const at_kernels *const *list;
    size_t levels = at_kernels_usable(&list);
    for (size_t n = 0; n < 4 * levels; n++) {
        size_t k = n % 4;
        at_recurrent_spec spec = wide_spec(k == 3 ? AT_CELL_GRU : (at_cell_kind)k, k == 3);
        machine m;
        open_machine(&m, &spec, list[n / 4]->name, 2);
        size_t d = spec.width;
        static float trained[LONG * WIDE];
        memcpy(trained, run_machine(&m, AT_TAPE_TRAIN)->data, LONG * d * sizeof *trained);
        check_same_bits(run_machine(&m, AT_TAPE_RUN)->data, trained, LONG * d * sizeof *trained);
        for (size_t i = 0; i < m.params.count; i++)
            if (m.params.list[i]->shape.rank == 2)
                check_ok(at_param_pack(m.params.list[i], m.exec));
        check_same_bits(run_machine(&m, AT_TAPE_RUN)->data, trained, LONG * d * sizeof *trained);
        at_tape_begin(m.tape, AT_TAPE_RUN, 1, 1);
        for (size_t b = 0; b < MANY; b += 6) {
            size_t first = (size_t)m.offsets[b], end = (size_t)m.offsets[b + 1];
            at_recurrent_loop *loop = at_recurrent_open(m.tape, &m.layer, end - first);
            at_cell_state s = {NULL, NULL};
            for (size_t i = first; i < end; i++) {
                at_var *x = at_leaf(m.tape, at_shape2(1, WIDE), m.x + i * WIDE, NULL);
                const at_var *h = at_recurrent_step(m.tape, loop, x, &s);
                assert_non_null(h);
                check_same_bits(h->data, trained + i * d, d * sizeof *trained);
            }
        }
        close_machine(&m);
    }
}

static void shapes_that_do_not_fit_are_named(void **state)
{
    (void)state;
    at_recurrent_spec spec = wide_spec(AT_CELL_LSTM, false);
    machine m;
    open_machine(&m, &spec, NULL, 1);
    at_rows rows = {MANY, m.offsets, NULL};
    at_tape_begin(m.tape, AT_TAPE_CHECK, 1, 1);
    at_var *x = at_leaf(m.tape, at_shape2(LONG, WIDE), m.x, NULL);
    assert_null(at_recurrence(m.tape, &m.layer.cell[0], x, &rows, false, NULL, NULL));
    check_fails(at_tape_status(m.tape), AT_ESHAPE, "want (211,268), got (211,70)");
    at_tape_begin(m.tape, AT_TAPE_CHECK, 1, 1);
    x = at_leaf(m.tape, at_shape2(LONG, WIDE), m.x, NULL);
    at_cell_state first = {at_leaf(m.tape, at_shape2(3, 67), m.x, NULL), NULL};
    assert_null(at_recurrent_rows(m.tape, &m.layer, x, &rows, &first, NULL));
    check_fails(at_tape_status(m.tape), AT_ESHAPE, "weight_hh_l0: want (19,67), got (3,67)");
    at_tape_begin(m.tape, AT_TAPE_CHECK, 1, 1);
    at_cell_weights wrong = m.layer.cell[0];
    wrong.cell.kind = AT_CELL_GRU;
    x = at_leaf(m.tape, at_shape2(LONG, 3 * 67), m.x, NULL);
    assert_null(at_recurrence(m.tape, &wrong, x, &rows, false, NULL, NULL));
    check_fails(at_tape_status(m.tape), AT_ESHAPE, "weight_hh_l0");
    assert_null(at_recurrence(m.tape, &wrong, NULL, &rows, false, NULL, NULL));
    close_machine(&m);
}

/* No sequence at all, and only empty ones: no rows, and the last states are the first ones. */
static void nothing_to_do(void **state)
{
    (void)state;
    at_recurrent_spec spec = wide_spec(AT_CELL_LSTM, false);
    machine m;
    open_machine(&m, &spec, NULL, 2);
    static const int32_t none[4] = {0};
    for (size_t count = 0; count <= 3; count += 3) {
        at_tape_begin(m.tape, AT_TAPE_TRAIN, 1, 1);
        m.tape->grads = m.grads;
        at_rows rows = {count, none, NULL};
        at_shape shape = at_shape2((int64_t)count, 67);
        float grad[3 * 67] = {0};
        at_cell_state first = {at_leaf(m.tape, shape, m.x, grad), NULL}, last;
        at_var *x = at_leaf(m.tape, at_shape2(0, WIDE), m.x, NULL);
        at_var *y = at_recurrent_rows(m.tape, &m.layer, x, &rows, &first, &last);
        assert_non_null(y);
        assert_true(at_shape_same(y->shape, at_shape2(0, 67)));
        assert_true(at_shape_same(last.h->shape, shape) && at_shape_same(last.c->shape, shape));
        check_same_bits(last.h->data, m.x, count * 67 * sizeof *m.x);
        for (size_t i = 0; i < count * 67; i++)
            assert_true(last.c->data[i] == 0);
        check_ok(at_tape_backward(m.tape, at_sum(m.tape, last.h)));
        for (size_t i = 0; i < count * 67; i++)
            assert_true(grad[i] == 1);
        for (size_t i = 0; i < m.params.total; i++)
            assert_true(m.grads[i] == 0);
    }
    close_machine(&m);
}

static void no_operation_escapes(void **state)
{
    (void)state;
    gradient_check_all(at_recurrent_ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_sequences),
        cmocka_unit_test(all_functions),
        cmocka_unit_test(single_steps),
        cmocka_unit_test(steps_that_nobody_looks_at),
        cmocka_unit_test(layers_of_cells),
        cmocka_unit_test(no_operation_escapes),
        cmocka_unit_test(parameters_are_named_as_in_pytorch),
        cmocka_unit_test(same_bits_for_any_number_of_threads),
        cmocka_unit_test(steps_have_the_bits_of_whole_sequences),
        cmocka_unit_test(shapes_that_do_not_fit_are_named),
        cmocka_unit_test(nothing_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
