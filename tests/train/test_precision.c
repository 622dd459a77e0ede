/* Training whose products are in bf16 learns like one in fp32, and resumes to the same bits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "layer/recurrent.h"
#include "layer/repeated.h"
#include "tests/check.h"
#include "tests/training.h"

enum { STEPS = 120, FP32 = 0, BF16 = 1 };

typedef struct curve {
    double losses[STEPS];
    size_t count;
} curve;

static void note(void *context, const at_train_progress *now)
{
    curve *c = context;
    if (now->logged)
        c->losses[c->count++] = now->loss;
}

static double learn(int64_t precision, int64_t seed, curve *c)
{
    check_training t;
    at_train_result result;
    char out[32];
    snprintf(out, sizeof out, "learn-%d-%d", (int)precision, (int)seed);
    check_training_make(&t, &(check_training_spec){.threads = 2, .out = out});
    at_params_init(&t.model->params, (uint64_t)seed);
    t.options.seed = seed;
    t.options.precision = precision;
    t.options.max_steps = STEPS;
    *c = (curve){0};
    t.hooks = (at_train_hooks){.context = c, .step = note};
    check_ok(check_training_run(&t, false, &result));
    check_training_free(&t);
    return result.best_loss;
}

/* The curves are those of two trainings that differ by rounding alone: as near to each other as a few
 * hundredths all the way, much nearer than trainings of two seeds are; and not the same. */
static void losses_stay_within_noise_of_fp32(void **state)
{
    (void)state;
    curve fp32, bf16, other;
    double best = learn(FP32, 1, &fp32), best16 = learn(BF16, 1, &bf16);
    learn(FP32, 2, &other);
    assert_int_equal(fp32.count, STEPS / 3);
    assert_int_equal(bf16.count, fp32.count);
    double apart = 0, seeds = 0;
    bool same = true;
    for (size_t i = 0; i < fp32.count; i++) {
        apart += fabs(bf16.losses[i] - fp32.losses[i]) / (double)fp32.count;
        seeds += fabs(other.losses[i] - fp32.losses[i]) / (double)fp32.count;
        same = same && bf16.losses[i] == fp32.losses[i];
    }
    print_message("mean distance of losses: bf16 %.4f, another seed %.4f; best %.4f and %.4f\n", apart, seeds,
                  best16, best);
    assert_false(same);
    assert_true(apart < 0.04 && apart < seeds / 2);
    assert_true(fp32.losses[0] > 1.5 * fp32.losses[fp32.count - 1]); /* something was learned */
    assert_true(fabs(best16 - best) < 0.05 * best + 0.02);
}

static void read_file(const check_training *t, const char *name, char **bytes, size_t *length)
{
    char *path = at_path_join(t->out, name);
    check_ok(at_file_read(path, 1 << 24, bytes, length));
    at_free(path);
}

static void train_to(int threads, const char *out, int64_t steps, bool resume, char **model, size_t *length)
{
    check_training t;
    at_train_result result;
    check_training_make(&t, &(check_training_spec){.threads = threads, .out = out, .dropout = 0.1});
    t.options.precision = BF16;
    t.options.ema = 0.9;
    t.options.accumulate = 2;
    t.options.max_steps = steps;
    t.options.checkpoint_every = 5;
    t.options.valid_every = 4;
    check_ok(check_training_run(&t, resume, &result));
    char name[64];
    snprintf(name, sizeof name, "checkpoints/step-%d/model.safetensors", (int)steps);
    read_file(&t, name, model, length);
    check_training_free(&t);
}

static void resumed_and_on_any_threads_it_is_the_same(void **state)
{
    (void)state;
    char *whole, *resumed, *part;
    size_t length, resumed_length, part_length;
    train_to(1, "whole", 20, false, &whole, &length);
    train_to(3, "parts", 10, false, &part, &part_length);
    train_to(2, "parts", 20, true, &resumed, &resumed_length);
    assert_int_equal(length, resumed_length);
    check_same_bits(whole, resumed, length);
    at_free(whole);
    at_free(part);
    at_free(resumed);
}

static double rounded(float x)
{
    return (double)at_bf16_to_f32(at_f32_to_bf16(x));
}

/* One product by hand, of a linear layer or of one in a loop: inputs, weights and the gradient that comes
 * back are rounded, sums are not. */
static void product_sees_rounded_factors(bool repeats)
{
    enum { N = 3, IN = 5, OUT = 4 };
    at_exec *exec;
    at_tape *tape;
    at_params params = {0};
    at_param *w;
    check_ok(at_exec_new(NULL, 1, &exec));
    check_ok(at_tape_new(exec, &tape));
    at_param_spec spec = {.name = "w", .shape = at_shape2(OUT, IN), .init = AT_INIT_XAVIER};
    check_ok(at_params_add(&params, &spec, &w));
    w->compact = true;
    check_ok(at_params_allocate(&params));
    at_params_init(&params, 5);
    check_ok(at_params_shadow(&params, exec));
    float grads[64] = {0}, x[N * IN], d_x[N * IN] = {0}, c[N * OUT];
    for (size_t i = 0; i < N * IN; i++)
        x[i] = 1 + (float)i * 0.01371f;
    for (size_t i = 0; i < N * OUT; i++)
        c[i] = 1 - (float)i * 0.0837f;
    at_tape_begin(tape, AT_TAPE_CHECK, 0, 0);
    tape->mixed = true;
    tape->grads = grads;
    at_var *in = at_leaf(tape, at_shape2(N, IN), x, d_x);
    at_var *y = repeats ? at_repeated_step(tape, at_repeated_new(tape, w, NULL, N), in, NULL)
                        : at_linear(tape, in, w, NULL, AT_LINEAR);
    float got[N * OUT];
    memcpy(got, y->data, sizeof got);
    at_var *loss = at_sum(tape, at_mul(tape, y, at_leaf(tape, at_shape2(N, OUT), c, NULL)));
    check_ok(at_tape_backward(tape, loss));

    float want[N * OUT], want_x[N * IN], want_w[OUT * IN];
    for (size_t i = 0; i < N; i++)
        for (size_t o = 0; o < OUT; o++) {
            double sum = 0;
            for (size_t l = 0; l < IN; l++)
                sum += rounded(x[i * IN + l]) * rounded(w->data[o * IN + l]);
            want[i * OUT + o] = (float)sum;
        }
    for (size_t l = 0; l < IN; l++) {
        for (size_t i = 0; i < N; i++) {
            double sum = 0;
            for (size_t o = 0; o < OUT; o++)
                sum += rounded(c[i * OUT + o]) * rounded(w->data[o * IN + l]);
            want_x[i * IN + l] = (float)sum;
        }
        for (size_t o = 0; o < OUT; o++) {
            double sum = 0;
            for (size_t i = 0; i < N; i++)
                sum += rounded(c[i * OUT + o]) * rounded(x[i * IN + l]);
            want_w[o * IN + l] = (float)sum;
        }
    }
    check_near(got, want, N * OUT, 1e-6); /* a factor that is not rounded would be off by 1e-3 */
    check_near(d_x, want_x, N * IN, 1e-6);
    check_near(grads + w->offset, want_w, OUT * IN, 1e-6);
    at_params_free(&params);
    at_tape_free(tape);
    at_exec_free(exec);
}

static void products_see_rounded_factors(void **state)
{
    (void)state;
    product_sees_rounded_factors(false);
    product_sees_rounded_factors(true);
}

enum { CELL_IN = 12, CELL_WIDTH = 48, CELL_ROWS = 9 };

typedef struct cell_run {
    at_recurrent layer;
    at_params params;
    float *grads, *d_x, y[CELL_ROWS * CELL_WIDTH];
} cell_run;

/* The states of three sequences; unless only running, the gradients of their squares. */
static void run_cell(cell_run *r, at_exec *exec, at_tape_mode mode, bool mixed)
{
    static const int32_t offsets[] = {0, 4, 8, CELL_ROWS};
    static float x[CELL_ROWS * CELL_IN];
    at_rows rows = {3, offsets, NULL};
    at_tape *tape;
    check_ok(at_tape_new(exec, &tape));
    for (size_t i = 0; i < CELL_ROWS * CELL_IN; i++)
        x[i] = sinf((float)i * 1.37f);
    memset(r->grads, 0, r->params.total * sizeof *r->grads);
    memset(r->d_x, 0, sizeof x);
    at_tape_begin(tape, mode, 0, 0);
    tape->mixed = mixed;
    tape->grads = r->grads;
    at_var *y = at_recurrent_rows(tape, &r->layer, at_leaf(tape, at_shape2(CELL_ROWS, CELL_IN), x, r->d_x),
                                  &rows, NULL, NULL);
    assert_non_null(y);
    memcpy(r->y, y->data, sizeof r->y);
    if (mode != AT_TAPE_RUN)
        check_ok(at_tape_backward(tape, at_sum(tape, at_mul(tape, y, y))));
    at_tape_free(tape);
}

static void near_but_not_the_same(const char *what, const float *got, const float *want, size_t n)
{
    double off = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        off += pow((double)got[i] - (double)want[i], 2);
        all += pow((double)want[i], 2);
    }
    double part = sqrt(off / all);
    print_message("%s: %.5f apart\n", what, part);
    assert_true(part > 1e-5 && part < 0.02);
}

static void cells_stay_near_fp32(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        at_cell cell;
    } cells[] = {{"rnn", {.kind = AT_CELL_RNN}},
                 {"gru", {.kind = AT_CELL_GRU}},
                 {"gru, reset before", {.kind = AT_CELL_GRU, .reset_before = true}},
                 {"lstm", {.kind = AT_CELL_LSTM}}};
    at_exec *exec;
    check_ok(at_exec_new(NULL, 2, &exec));
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        cell_run r = {0};
        at_recurrent_spec spec = {
            .cell = cells[i].cell, .in = CELL_IN, .width = CELL_WIDTH, .layers = 1, .biases = true};
        check_ok(at_recurrent_declare(&r.params, "r", &spec, &r.layer));
        check_ok(at_params_allocate(&r.params));
        at_params_init(&r.params, 3);
        check_ok(at_params_shadow(&r.params, exec));
        float *want = calloc(r.params.total, sizeof *want), want_x[CELL_ROWS * CELL_IN];
        r.grads = calloc(r.params.total, sizeof *r.grads);
        r.d_x = calloc(CELL_ROWS * CELL_IN, sizeof *r.d_x);
        assert_true(want && r.grads && r.d_x);
        run_cell(&r, exec, AT_TAPE_CHECK, false);
        memcpy(want, r.grads, r.params.total * sizeof *want);
        memcpy(want_x, r.d_x, sizeof want_x);
        run_cell(&r, exec, AT_TAPE_CHECK, true);
        for (size_t j = 0; j < r.params.count; j++) {
            const at_param *p = r.params.list[j];
            print_message("%s ", cells[i].name);
            near_but_not_the_same(p->name, r.grads + p->offset, want + p->offset, at_shape_count(p->shape));
        }
        near_but_not_the_same(cells[i].name, r.d_x, want_x, CELL_ROWS * CELL_IN);
        /* Kept in bf16, packed as a model is for running, or packed when the loop begins. */
        float mixed[CELL_ROWS * CELL_WIDTH];
        memcpy(mixed, r.y, sizeof mixed);
        check_ok(at_params_compact(&r.params, exec));
        for (int packs = 0; packs < 2; packs++) {
            for (size_t j = 0; packs && j < r.params.count; j++)
                if (r.params.list[j]->compact)
                    check_ok(at_param_pack(r.params.list[j], exec));
            run_cell(&r, exec, AT_TAPE_RUN, false);
            check_near(r.y, mixed, CELL_ROWS * CELL_WIDTH, exec->kernels->dots ? 0 : 0.01);
        }
        free(want);
        free(r.grads);
        free(r.d_x);
        at_params_free(&r.params);
    }
    at_exec_free(exec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_see_rounded_factors),
        cmocka_unit_test(cells_stay_near_fp32),
        cmocka_unit_test(losses_stay_within_noise_of_fp32),
        cmocka_unit_test(resumed_and_on_any_threads_it_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
