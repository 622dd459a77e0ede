#include "tests/kernel/levels.h"

/* A step of every kind of cell at every level against the reference: odd widths, rows that end before others,
 * rows of x, out and their gradients in another order. Sigmoid and tanh are right to 1.5e-7 each; a result is
 * a handful of them. In the backward the gates are any numbers here, and terms up to 100 cancel. */
static const double ROUNDINGS = 2e-6, BACK = 2e-5;
enum { ROWS = 5, PLACES = 7, CARRY = 3 };

typedef struct blocks {
    float *x, *kept, *h, *c, *h_new, *c_new, *out;
    float *d_out, *d_h, *d_c, *d_u, *d_x, *d_rh, *peepholes;
} blocks;

typedef enum stage { RESET, FORWARD, BACKWARD, RESET_BACKWARD, STAGES } stage;

static void make(blocks *b, const at_cell *cell, uint64_t seed)
{
    at_rng rng = at_rng_make(seed, AT_RNG_TEST);
    size_t d = cell->width, gates = at_cell_gates(cell->kind) * d, kept = at_cell_kept(cell->kind) * d;
    b->x = random_block(&rng, PLACES * gates, 1);
    b->kept = random_block(&rng, ROWS * kept, 1);
    b->h = random_block(&rng, ROWS * d, 1);
    b->c = random_block(&rng, ROWS * d, 1);
    b->h_new = random_block(&rng, CARRY * d, 1);
    b->c_new = random_block(&rng, ROWS * d, 1);
    b->out = random_block(&rng, PLACES * d, 1);
    b->d_out = random_block(&rng, PLACES * d, 1);
    b->d_h = random_block(&rng, ROWS * d, 1);
    b->d_c = random_block(&rng, ROWS * d, 1);
    b->d_u = random_block(&rng, ROWS * gates, 1);
    b->d_x = random_block(&rng, PLACES * gates, 1);
    b->d_rh = random_block(&rng, ROWS * d, 1);
    b->peepholes = random_block(&rng, 3 * d, 1);
}

static void run(const at_kernels *k, blocks *b, const at_cell *like, stage what, bool fresh)
{
    static const int32_t at[ROWS] = {6, 2, 0, 5, 3};
    at_cell cell = *like;
    cell.peepholes = like->peepholes ? b->peepholes : NULL;
    at_cell_step s = {.cell = &cell,
                      .at = at,
                      .x = b->x,
                      .kept = b->kept,
                      .h = b->h,
                      .c = b->c,
                      .h_new = b->h_new,
                      .c_new = b->c_new,
                      .out = b->out,
                      .carry = CARRY,
                      .d_out = b->d_out,
                      .d_h = b->d_h,
                      .d_c = b->d_c,
                      .d_u = b->d_u,
                      .d_x = b->d_x,
                      .d_x_fresh = fresh,
                      .d_rh = b->d_rh};
    void (*const kernel[STAGES])(const at_cell_step *, size_t,
                                 size_t) = {k->cell_reset, k->cell, k->cell_backward, k->cell_reset_backward};
    kernel[what](&s, 0, 2);
    kernel[what](&s, 2, ROWS);
}

static void compare(const blocks *got, const blocks *want, const at_cell *cell)
{
    size_t d = cell->width, gates = at_cell_gates(cell->kind) * d, kept = at_cell_kept(cell->kind) * d;
    check_near(got->x, want->x, PLACES * gates, 0);
    check_near(got->kept, want->kept, ROWS * kept, ROUNDINGS);
    check_near(got->h, want->h, ROWS * d, 0);
    check_near(got->c, want->c, ROWS * d, 0);
    check_near(got->h_new, want->h_new, CARRY * d, ROUNDINGS);
    check_near(got->c_new, want->c_new, ROWS * d, ROUNDINGS);
    check_near(got->out, want->out, PLACES * d, ROUNDINGS);
    check_near(got->d_out, want->d_out, PLACES * d, 0);
    check_near(got->d_h, want->d_h, ROWS * d, BACK);
    check_near(got->d_c, want->d_c, ROWS * d, BACK);
    check_near(got->d_u, want->d_u, ROWS * gates, BACK);
    check_near(got->d_x, want->d_x, PLACES * gates, BACK);
    check_near(got->d_rh, want->d_rh, ROWS * d, 0);
}

static void drop(blocks *b)
{
    float *all[] = {b->x,     b->kept, b->h,   b->c,   b->h_new, b->c_new, b->out,
                    b->d_out, b->d_h,  b->d_c, b->d_u, b->d_x,   b->d_rh,  b->peepholes};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        check_guard_free(all[i]);
}

static void against_reference(const at_cell *cell, uint64_t seed)
{
    for (size_t l = 0; l < level_count(); l++)
        for (stage what = RESET; what < STAGES; what++) {
            bool only_reset = what == RESET || what == RESET_BACKWARD;
            if (only_reset && !cell->reset_before)
                continue;
            for (int fresh = 0; fresh < 2; fresh++) {
                blocks got, want;
                make(&got, cell, seed);
                make(&want, cell, seed);
                run(level(l), &got, cell, what, fresh);
                run(&at_kernels_ref, &want, cell, what, fresh);
                compare(&got, &want, cell);
                drop(&got);
                drop(&want);
            }
        }
}

static const float some_peepholes[1];

static void every_cell_at_odd_widths(void **state)
{
    (void)state;
    const at_gate sigmoid = {AT_GATE_SIGMOID, 0, 0}, tanh = {AT_GATE_TANH, 0, 0}, relu = {AT_GATE_RELU, 0, 0};
    const at_gate elu = {AT_GATE_ELU, 1, 0};
    const at_cell cells[] = {
        {AT_CELL_RNN, 0, sigmoid, tanh, tanh, 0, false, false, NULL},
        {AT_CELL_RNN, 0, sigmoid, relu, tanh, 0, false, false, NULL},
        {AT_CELL_RNN, 0, sigmoid, elu, tanh, 0, false, false, NULL},
        {AT_CELL_GRU, 0, sigmoid, tanh, tanh, 0, false, false, NULL},
        {AT_CELL_GRU, 0, sigmoid, tanh, tanh, 0, true, false, NULL},
        {AT_CELL_GRU, 0, sigmoid, elu, tanh, 0.5f, true, false, NULL},
        {AT_CELL_LSTM, 0, sigmoid, tanh, tanh, 0, false, false, NULL},
        {AT_CELL_LSTM, 0, sigmoid, tanh, tanh, 0, false, false, some_peepholes},
        {AT_CELL_LSTM, 0, sigmoid, tanh, tanh, 0, false, true, some_peepholes},
        {AT_CELL_LSTM, 0, sigmoid, tanh, elu, 0, false, false, NULL},
    };
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        for (size_t w = 0; w < EDGE_SIZES; w++) {
            at_cell cell = cells[i];
            cell.width = edge_sizes[w];
            if (cell.width < 260)
                against_reference(&cell, check_rng_seed() + i);
        }
}

/* One step of a GRU by hand: D = 1, x = (0, ln 3, 1), u = (0, 0, 2), h = 5. r = 1/2, z = 3/4,
 * n = tanh(1 + 1/2 * 2), h' = n + 3/4 (5 - n). With the reset before, u of n is what the product with
 * r h gave: n = tanh(1 + 2). */
static void a_gru_by_hand(void **state)
{
    (void)state;
    for (size_t l = 0; l < level_count(); l++)
        for (int before = 0; before < 2; before++) {
            at_cell cell = {.kind = AT_CELL_GRU, .width = 1, .reset_before = before};
            cell.f.kind = AT_GATE_SIGMOID;
            cell.g.kind = cell.h.kind = AT_GATE_TANH;
            float x[] = {0, 1.09861229f, 1}, kept[] = {0, 0, 2, 0}, h = 5, out = 0;
            at_cell_step s = {.cell = &cell, .x = x, .kept = kept, .h = &h, .out = &out};
            if (before)
                level(l)->cell_reset(&s, 0, 1);
            level(l)->cell(&s, 0, 1);
            float n = before ? 0.995054754f : 0.964027580f, want = n + 0.75f * (5 - n);
            float want_kept[] = {0.5f, 0.75f, before ? n : 2, before ? 2.5f : n};
            check_near(&out, &want, 1, 1e-6);
            check_near(kept, want_kept, 4, 1e-6);
        }
}

/* Peepholes and all: D = 1, x = u = 0 but for g, c = 2, peepholes (0, ln 3 / 2, 1): i = 1/2, f = 3/4,
 * g = tanh(1), c' = 3/2 + g/2, o = sigmoid(c'), h' = o tanh(c'). With f = 1 - i, c' = 1 + g/2. */
static void an_lstm_by_hand(void **state)
{
    (void)state;
    static const float peepholes[] = {0, 0.549306144f, 1};
    for (size_t l = 0; l < level_count(); l++)
        for (int coupled = 0; coupled < 2; coupled++) {
            at_cell cell = {
                .kind = AT_CELL_LSTM, .width = 1, .peepholes = peepholes, .input_forget = coupled};
            cell.f.kind = AT_GATE_SIGMOID;
            cell.g.kind = cell.h.kind = AT_GATE_TANH;
            float x[] = {0, 0, 1, 0}, kept[] = {0, 0, 0, 0}, h = 0, c = 2, c_new = 0, out = 0;
            at_cell_step s = {
                .cell = &cell, .x = x, .kept = kept, .h = &h, .c = &c, .c_new = &c_new, .out = &out};
            level(l)->cell(&s, 0, 1);
            float after = (coupled ? 1 : 1.5f) + 0.5f * 0.761594156f;
            float want = (float)(tanh((double)after) / (1 + exp(-(double)after)));
            check_near(&c_new, &after, 1, 1e-6);
            check_near(&out, &want, 1, 1e-6);
        }
}

/* Each function of a gate at a point on either side of its bend. */
static void functions_by_hand(void **state)
{
    (void)state;
    static const struct {
        at_gate gate;
        float at[2], want[2];
    } cases[] = {
        {{AT_GATE_SIGMOID, 0, 0}, {0, 1.09861229f}, {0.5f, 0.75f}},
        {{AT_GATE_TANH, 0, 0}, {0, 0.549306144f}, {0, 0.5f}},
        {{AT_GATE_RELU, 0, 0}, {-3, 2}, {0, 2}},
        {{AT_GATE_AFFINE, 2, 1}, {-3, 2}, {-5, 5}},
        {{AT_GATE_LEAKY_RELU, 0.25f, 0}, {-2, 2}, {-0.5f, 2}},
        {{AT_GATE_THRESHOLDED_RELU, 1, 0}, {0.5f, 2}, {0, 2}},
        {{AT_GATE_SCALED_TANH, 2, 0.5f}, {0, 1.09861229f}, {0, 1}},
        {{AT_GATE_HARD_SIGMOID, 0.25f, 0.5f}, {-3, 1}, {0, 0.75f}},
        {{AT_GATE_ELU, 2, 0}, {-0.693147181f, 2}, {-1, 2}},
        {{AT_GATE_SOFTSIGN, 0, 0}, {-1, 3}, {-0.5f, 0.75f}},
        {{AT_GATE_SOFTPLUS, 0, 0}, {0, 1.09861229f}, {0.693147181f, 1.38629436f}},
    };
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            at_cell cell = {.kind = AT_CELL_RNN, .width = 2, .g = cases[i].gate};
            float x[2], kept[2] = {0, 0}, h[2] = {0, 0}, out[2];
            memcpy(x, cases[i].at, sizeof x);
            at_cell_step s = {.cell = &cell, .x = x, .kept = kept, .h = h, .out = out};
            level(l)->cell(&s, 0, 1);
            check_near(out, cases[i].want, 2, 1e-6);
        }
}

/* Large sums saturate, also beyond a bound; NaN comes through. */
static void extreme_sums(void **state)
{
    (void)state;
    for (size_t l = 0; l < level_count(); l++) {
        at_cell cell = {.kind = AT_CELL_GRU, .width = 4};
        cell.f.kind = AT_GATE_SIGMOID;
        cell.g.kind = cell.h.kind = AT_GATE_TANH;
        float x[12] = {0, 0, 0, NAN, 1e30f, -1e30f, -INFINITY, 0, -1e30f, 1e30f, INFINITY, 0};
        float kept[16] = {0}, h[4] = {3, 3, 3, 3}, out[4];
        at_cell_step s = {.cell = &cell, .x = x, .kept = kept, .h = h, .out = out};
        level(l)->cell(&s, 0, 1);
        float want[4] = {3, 1, 1, NAN};
        check_near(out, want, 4, 1e-6);
        assert_true(kept[3] != kept[3]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell_at_odd_widths),
        cmocka_unit_test(a_gru_by_hand),
        cmocka_unit_test(an_lstm_by_hand),
        cmocka_unit_test(functions_by_hand),
        cmocka_unit_test(extreme_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
