/* Outputs, last states and all gradients of recurrent layers equal PyTorch's, which computed them in double
 * (tests/data/recurrent.safetensors by tools/golden_recurrent.py): two layers, both ways, unequal lengths. */
#include <stdio.h>
#include <string.h>
#include "layer/recurrent.h"
#include "store/safetensors.h"
#include "tests/check.h"

enum { IN = 3, WIDTH = 5, SEQUENCES = 5, ROWS = 22, MOST_STATES = 4 };
static const int32_t offsets[] = {0, 3, 10, 11, 15, 22};
static const at_rows rows = {SEQUENCES, offsets, NULL};

/* Chains of up to 14 steps of sums of 5 products, in fp32. */
static const double TOLERANCE = 5e-6;

typedef struct golden {
    const at_safetensors *file;
    const char *name;
    at_recurrent layer;
    at_params params;
    at_exec *exec;
    at_tape *tape;
    float *grads;
    size_t states; /* layers times directions */
    bool lstm;
} golden;

static float *floats(const golden *g, const char *name, size_t count)
{
    char full[96];
    snprintf(full, sizeof full, "%s.%s", g->name, name);
    const at_stored *tensor = at_safetensors_find(g->file, full);
    if (!tensor)
        fail_msg("%s: not in the file", full);
    assert_int_equal(at_shape_count(tensor->shape), count);
    float *out = malloc((count + 1) * sizeof *out);
    assert_non_null(out);
    check_ok(at_stored_floats(g->file, tensor, out));
    return out;
}

static void near_file(const golden *g, const char *name, const float *got, size_t count)
{
    float *want = floats(g, name, count);
    check_near(got, want, count, TOLERANCE);
    free(want);
}

static void open_golden(golden *g, const at_recurrent_spec *spec, const char *kernels)
{
    check_ok(at_recurrent_declare(&g->params, "rnn", spec, &g->layer));
    check_ok(at_params_allocate(&g->params));
    for (size_t i = 0; i < g->params.count; i++) {
        const at_param *p = g->params.list[i];
        size_t count = at_shape_count(p->shape);
        float *from = floats(g, p->name, count);
        memcpy(g->params.block + p->offset, from, count * sizeof *from);
        free(from);
    }
    g->grads = calloc(g->params.total, sizeof *g->grads);
    assert_non_null(g->grads);
    check_ok(at_exec_new(kernels, 2, &g->exec));
    check_ok(at_tape_new(g->exec, &g->tape));
    at_tape_begin(g->tape, AT_TAPE_CHECK, 1, 1);
    g->tape->grads = g->grads;
    g->states = spec->layers * (spec->bidirectional ? 2 : 1);
    g->lstm = spec->cell.kind == AT_CELL_LSTM;
}

/* sum(r * value) of one of the results */
static at_var *weighed(const golden *g, const char *name, at_var *value, const float *r)
{
    near_file(g, name, value->data, at_shape_count(value->shape));
    at_var *weights = at_leaf(g->tape, value->shape, (float *)(uintptr_t)r, NULL);
    return at_sum(g->tape, at_mul(g->tape, value, weights));
}

static void compare(const at_safetensors *file, const char *name, const at_recurrent_spec *spec,
                    const char *kernels)
{
    golden g = {.file = file, .name = name};
    open_golden(&g, spec, kernels);
    size_t state = SEQUENCES * WIDTH, all = g.states * state, ways = spec->bidirectional ? 2 : 1;
    at_shape shape = at_shape2(SEQUENCES, WIDTH);
    float *x = floats(&g, "x", ROWS * IN), d_x[ROWS * IN] = {0};
    float *h = floats(&g, "first_h", all), d_h[MOST_STATES * SEQUENCES * WIDTH] = {0};
    float *c = g.lstm ? floats(&g, "first_c", all) : NULL, d_c[MOST_STATES * SEQUENCES * WIDTH] = {0};
    float *r_y = floats(&g, "r.y", ROWS * ways * WIDTH), *r_h = floats(&g, "r.last_h", all);
    float *r_c = g.lstm ? floats(&g, "r.last_c", all) : NULL;
    at_cell_state first[MOST_STATES], last[MOST_STATES];
    for (size_t i = 0; i < g.states; i++) {
        first[i].h = at_leaf(g.tape, shape, h + i * state, d_h + i * state);
        first[i].c = c ? at_leaf(g.tape, shape, c + i * state, d_c + i * state) : NULL;
    }
    at_var *in = at_leaf(g.tape, at_shape2(ROWS, IN), x, d_x);
    at_var *y = at_recurrent_rows(g.tape, &g.layer, in, &rows, first, last);
    assert_non_null(y);
    at_var *hs[MOST_STATES], *cs[MOST_STATES];
    for (size_t i = 0; i < g.states; i++) {
        hs[i] = last[i].h;
        cs[i] = last[i].c;
        assert_true((cs[i] != NULL) == g.lstm);
    }
    at_var *loss = weighed(&g, "y", y, r_y);
    loss = at_add(g.tape, loss, weighed(&g, "last_h", at_stack_rows(g.tape, hs, g.states), r_h));
    if (g.lstm)
        loss = at_add(g.tape, loss, weighed(&g, "last_c", at_stack_rows(g.tape, cs, g.states), r_c));
    check_ok(at_tape_backward(g.tape, loss));
    near_file(&g, "grad.x", d_x, ROWS * IN);
    near_file(&g, "grad.first_h", d_h, all);
    if (g.lstm)
        near_file(&g, "grad.first_c", d_c, all);
    for (size_t i = 0; i < g.params.count; i++) {
        const at_param *p = g.params.list[i];
        char full[96];
        snprintf(full, sizeof full, "grad.%s", p->name);
        near_file(&g, full, g.grads + p->offset, at_shape_count(p->shape));
    }
    float *blocks[] = {x, h, c, r_y, r_h, r_c, g.grads};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
    at_tape_free(g.tape);
    at_exec_free(g.exec);
    at_params_free(&g.params);
}

static void layers_equal_pytorch(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        at_cell cell;
        bool plain; /* one layer, one way, no biases */
    } cases[] = {
        {"gru", {.kind = AT_CELL_GRU}, false},
        {"lstm", {.kind = AT_CELL_LSTM}, false},
        {"rnn_tanh", {.kind = AT_CELL_RNN}, false},
        {"rnn_relu", {.kind = AT_CELL_RNN, .g = {AT_GATE_RELU, 0, 0}}, false},
        {"gru_plain", {.kind = AT_CELL_GRU}, true},
        {"lstm_plain", {.kind = AT_CELL_LSTM}, true},
    };
    at_safetensors file;
    check_ok(at_safetensors_open(AT_TEST_DATA "/recurrent.safetensors", &file));
    const at_kernels *const *list;
    size_t levels = at_kernels_usable(&list);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t l = 0; l < levels; l++) {
            at_recurrent_spec spec = {.cell = cases[i].cell, .in = IN, .width = WIDTH};
            spec.layers = cases[i].plain ? 1 : 2;
            spec.bidirectional = spec.biases = !cases[i].plain;
            compare(&file, cases[i].name, &spec, list[l]->name);
        }
    at_safetensors_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_equal_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
