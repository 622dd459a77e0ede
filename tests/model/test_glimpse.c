/* Recurrent visual attention: gradients at given places, REINFORCE against the expectation worked out, what
 * learns from what, and that looking is learned. */
#include "model/glimpse.h"
#include <math.h>
#include <string.h>
#include "autograd/ops.h"
#include "tests/gradient.h"
#include "tests/toy.h"
#include "train/optimiser.h"

enum { SIDE = 12, MOST = 64, CLASSES = 3 };

/* Pictures with labels; one row each. */
typedef struct album {
    at_batch batch;
    int32_t offsets[MOST + 1], labels[MOST];
    uint32_t examples[MOST];
    float pixels[MOST * SIDE * SIDE * 3];
} album;

static void open_album(album *a, size_t count, size_t channels)
{
    for (size_t i = 0; i <= count; i++)
        a->offsets[i] = (int32_t)i;
    for (size_t i = 0; i < count; i++) {
        a->labels[i] = (int32_t)(i % CLASSES);
        a->examples[i] = (uint32_t)(3 * i + 1);
    }
    gradient_random(a->pixels, count * SIDE * SIDE * channels, 11, 0.5f);
    a->batch = (at_batch){.source = {count, a->offsets, a->examples},
                          .pixels = {SIDE, SIDE, channels, a->pixels},
                          .labels = a->labels};
}

/* ---------------------------------------------------------------- the differentiable part */

typedef struct gaze_case {
    const toy *t;
    const album *a;
    at_gaze gaze;
} gaze_case;

static at_var *class_loss(at_tape *tape, const gaze_case *c)
{
    const at_loss_options how = {.scale = 0.37f};
    at_loss_report report = {0};
    at_var *x = at_gaze_run(c->t->model, tape, &c->a->batch, &c->gaze);
    x = x ? c->t->model->family->classify(c->t->model, tape, x) : NULL;
    return at_logit_cross_entropy(tape, x, c->a->labels, &how, &report);
}

static at_var *build_loss(at_tape *tape, at_var *const *x, const void *context)
{
    (void)x;
    return class_loss(tape, context);
}

static void check(const char *options, size_t channels, uint64_t seed)
{
    enum { COUNT = 4, STEPS = 3 };
    static album a; /* the seed: one where no sum lies near ReLU's corner */
    float places[COUNT * STEPS * 2];
    toy t;
    toy_open(&t, &(toy_spec){.family = "glimpse", .options = options, .labels = CLASSES, .seed = seed});
    open_album(&a, COUNT, channels);
    gradient_random(places, sizeof places / sizeof *places, 3, 0.5f);
    at_params *params = &t.model->params;
    for (size_t i = 0; i < params->count; i++) /* biases begin as 0: stir them, off ReLU's corner */
        if (params->list[i]->role == AT_PLAIN)
            gradient_random(params->block + params->list[i]->offset, at_shape_count(params->list[i]->shape),
                            (uint32_t)i, 0.3f);
    gaze_case c = {&t, &a, {.places = places}};
    gradient_check(&(gradient_case){
        .name = options, .build = build_loss, .context = &c, .params = params, .tolerance = 5e-3});
    toy_close(&t);
}

static void gradients_at_given_places(void **state)
{
    (void)state;
    check("{}", 1, 5);
    check("{\"combine\": \"product\", \"cell\": \"lstm\", \"scales\": 2}", 1, 4);
    check("{\"cell\": \"gru\", \"scales\": 2, \"channels\": 3, \"zoom\": 3}", 3, 4);
    check("{\"norm\": true}", 1, 5);
}

/* ---------------------------------------------------------------- REINFORCE */

/* Gradients of one training batch's loss. */
static void step_gradients(toy *t, const album *a, uint64_t step, at_loss_report *report)
{
    const at_loss_options how = {.scale = 1};
    memset(t->grads, 0, t->model->params.total * sizeof *t->grads);
    at_tape_begin(t->tape, AT_TAPE_TRAIN, 7, step);
    t->tape->grads = t->grads;
    check_ok(at_tape_backward(t->tape, at_model_loss(t->model, t->tape, &a->batch, &how, report)));
}

static const float *gradient_of(const toy *t, const char *name)
{
    return t->grads + at_params_find(&t->model->params, name)->offset;
}

/* The probability of the picture's label, one of two, when the second glimpse falls on each of the places
 * (count,2). */
static void chances_at(toy *t, const album *a, const float *places, size_t count, double *chance)
{
    float *both = calloc(4 * count, sizeof *both); /* the first in the middle */
    assert_non_null(both);
    for (size_t i = 0; i < 2 * count; i++)
        both[i / 2 * 4 + 2 + i % 2] = places[i];
    at_tape_begin(t->tape, AT_TAPE_RUN, 0, 0);
    at_var *x = at_gaze_run(t->model, t->tape, &a->batch, &(at_gaze){.places = both, .copies = count});
    x = t->model->family->classify(t->model, t->tape, x);
    assert_non_null(x);
    for (size_t i = 0; i < count; i++)
        chance[i] =
            1 / (1 + exp((double)x->data[2 * i + !a->labels[0]] - (double)x->data[2 * i + a->labels[0]]));
    free(both);
}

/* Left half dark, right half bright, and a net that tells them apart where it looks second. */
static void open_halves(toy *t, album *a, const char *options)
{
    const float places[] = {-0.6f, 0, 0.6f, 0};
    double chance[2] = {0, 0};
    open_album(a, 1, 1);
    a->labels[0] = 1;
    for (size_t i = 0; i < SIDE * SIDE; i++)
        a->pixels[i] = i % SIDE < SIDE / 2 ? 0 : 200;
    for (uint64_t seed = 1; seed < 200; seed++) {
        toy_open(t, &(toy_spec){.family = "glimpse", .options = options, .labels = 2, .seed = seed});
        chances_at(t, a, places, 2, chance);
        if (chance[1] > 0.5 && chance[0] < 0.5)
            return;
        toy_close(t);
    }
    fail_msg("no net tells the halves apart");
}

typedef struct expectation {
    double reward, d_mean[2]; /* E R, and its gradient by the mean */
    float mean[2], baseline;
} expectation;

/* R(place) N(place; mean, deviation^2), summed over a grid of 4 deviations each way. */
static void expect(toy *t, const album *a, bool probability, expectation *e)
{
    enum { GRID = 121, CELLS = GRID * GRID };
    const double deviation = 0.3, step = 8 * deviation / GRID;
    static float places[2 * CELLS];
    static double chance[CELLS];
    float path[4];
    at_tape_begin(t->tape, AT_TAPE_RUN, 0, 0);
    at_gaze_run(t->model, t->tape, &a->batch, &(at_gaze){.path = path});
    *e = (expectation){.mean = {path[2], path[3]}};
    for (size_t i = 0; i < CELLS; i++) {
        double at[2] = {(double)(i % GRID), (double)(i / GRID)};
        for (size_t j = 0; j < 2; j++) {
            double place = e->mean[j] + (at[j] + 0.5 - GRID / 2.0) * step;
            places[2 * i + j] = (float)fmax(-1, fmin(1, place));
        }
    }
    chances_at(t, a, places, CELLS, chance);
    for (size_t i = 0; i < CELLS; i++) {
        double x = ((double)(i % GRID) + 0.5 - GRID / 2.0) * step,
               y = ((double)(i / GRID) + 0.5 - GRID / 2.0) * step, variance = deviation * deviation;
        double p = exp(-(x * x + y * y) / (2 * variance)) / (2 * 3.14159265358979 * variance) * step * step;
        p *= probability ? chance[i] : chance[i] > 0.5;
        e->reward += p;
        e->d_mean[0] += p * x / variance;
        e->d_mean[1] += p * y / variance;
    }
}

/* The mean of many drawn gradients is the gradient of the expected reward, though the baseline says 0.4
 * whatever it sees. */
static void drawn_gradients_meet(const char *options, bool probability)
{
    enum { STEPS = 300 };
    static album a;
    toy t;
    expectation e;
    double mean[2] = {0}, squares[2] = {0}, baseline = 0;
    open_halves(&t, &a, options);
    expect(&t, &a, probability, &e);
    print_message("reward %.3f, gradient %.3f %.3f\n", e.reward, e.d_mean[0], e.d_mean[1]);
    assert_true(e.reward > 0.02 && e.reward < 0.98 && fabs(e.d_mean[0]) > 0.1);
    const at_param *weight = at_params_find(&t.model->params, "baseline.weight");
    memset(t.model->params.block + weight->offset, 0, 7 * sizeof(float));
    t.model->params.block[at_params_find(&t.model->params, "baseline.bias")->offset] = 0.4f;
    at_loss_report report = {0};
    for (uint64_t step = 1; step <= STEPS; step++) {
        step_gradients(&t, &a, step, &report);
        for (int j = 0; j < 2; j++) {
            double g = (double)gradient_of(&t, "locator.mean.bias")[j];
            mean[j] += g / STEPS;
            squares[j] += g * g / STEPS;
        }
        baseline += (double)gradient_of(&t, "baseline.bias")[0] / STEPS;
    }
    for (int j = 0; j < 2; j++) {
        double slope = 1 - (double)e.mean[j] * (double)e.mean[j]; /* of tanh */
        double error = sqrt((squares[j] - mean[j] * mean[j]) / STEPS);
        print_message("mean %d: expected %.4f, drawn %.4f +- %.4f\n", j, -e.d_mean[j] * slope, mean[j],
                      error);
        assert_true(error < 0.1);
        assert_true(fabs(mean[j] + e.d_mean[j] * slope) < 4 * error + 0.01);
    }
    assert_true(fabs(baseline - 2 * (0.4 - e.reward)) < 0.05);
    toy_close(&t);
}

#define HALVES "{\"glimpses\": 2, \"deviation\": 0.3, \"copies\": 64"

static void drawn_gradients_meet_the_expectation(void **state)
{
    (void)state;
    drawn_gradients_meet(HALVES "}", false);
    drawn_gradients_meet(HALVES ", \"reward\": \"probability\"}", true);
}

/* Rewards move the location network and the baseline, nothing else: the others' gradients are those of
 * cross-entropy along the same path. */
static void rewards_move_only_looking(const char *options)
{
    static album a;
    toy t;
    at_loss_report report = {0};
    toy_open(&t, &(toy_spec){.family = "glimpse", .options = options, .labels = CLASSES, .seed = 6});
    open_album(&a, 5, 1);
    step_gradients(&t, &a, 9, &report);
    float *all = malloc(t.model->params.total * sizeof *all);
    assert_non_null(all);
    memcpy(all, t.grads, t.model->params.total * sizeof *all);
    memset(t.grads, 0, t.model->params.total * sizeof *all);
    at_tape_begin(t.tape, AT_TAPE_TRAIN, 7, 9);
    t.tape->grads = t.grads;
    gaze_case c = {&t, &a, {.draw = true}};
    at_tape_dropout_key(t.tape, c.gaze.key); /* as the loss draws its own */
    check_ok(at_tape_backward(t.tape, at_scale(t.tape, class_loss(t.tape, &c), 1 / 0.37f)));
    for (size_t i = 0; i < t.model->params.count; i++) {
        const at_param *p = t.model->params.list[i];
        bool policy = !strncmp(p->name, "locator", 7) || !strncmp(p->name, "baseline", 8);
        double moved = 0;
        for (size_t j = 0; j < at_shape_count(p->shape); j++)
            moved += fabs((double)all[p->offset + j]);
        if (!policy)
            check_near(all + p->offset, t.grads + p->offset, at_shape_count(p->shape), 1e-5);
        assert_true(!policy || moved > 0);
    }
    free(all);
    toy_close(&t);
}

static void rewards_move_nothing_else(void **state)
{
    (void)state;
    rewards_move_only_looking("{}");
    rewards_move_only_looking("{\"norm\": true}");
}

/* ---------------------------------------------------------------- paths */

static void paths_follow_seed_and_example(void **state)
{
    (void)state;
    enum { COUNT = 20, STEPS = 3, COPIES = 2, NUMBERS = COUNT * COPIES * STEPS * 2 };
    static album a;
    static float want[NUMBERS], path[NUMBERS];
    for (int threads = 1; threads <= 8; threads += threads == 1 ? 2 : 5) {
        toy t;
        toy_open(&t, &(toy_spec){.family = "glimpse", .threads = threads, .labels = CLASSES, .seed = 6});
        open_album(&a, COUNT, 1);
        at_gaze gaze = {.draw = true, .copies = COPIES, .key = {5, 6}, .path = threads == 1 ? want : path};
        at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
        assert_non_null(at_gaze_run(t.model, t.tape, &a.batch, &gaze));
        if (threads > 1)
            check_same_bits(path, want, sizeof want);
        for (size_t i = 0; i < NUMBERS; i++)
            assert_true(fabsf(want[i]) <= 1);
        assert_memory_not_equal(want, want + STEPS * 2, STEPS * 2 * sizeof *want); /* copies differ */
        /* The third picture alone takes the paths that it took in company. */
        a.batch.source = (at_rows){1, a.offsets, a.examples + 2};
        a.batch.pixels.data = a.pixels + 2 * SIDE * SIDE;
        gaze.path = path;
        assert_non_null(at_gaze_run(t.model, t.tape, &a.batch, &gaze));
        check_same_bits(path, want + 2 * COPIES * STEPS * 2, COPIES * STEPS * 2 * sizeof *path);
        gaze.key[0] = 4;
        assert_non_null(at_gaze_run(t.model, t.tape, &a.batch, &gaze));
        assert_memory_not_equal(path, want + 2 * COPIES * STEPS * 2, COPIES * STEPS * 2 * sizeof *path);
        toy_close(&t);
    }
}

/* ---------------------------------------------------------------- learning to look */

/* A mark of three kinds anywhere on an empty picture, too fine for the wide scale to tell which. */
static void draw_marks(album *a, uint32_t stream)
{
    static const float marks[CLASSES][9] = {
        {1, 0, 1, 0, 0, 0, 1, 0, 1}, {0, 1, 0, 1, 0, 1, 0, 1, 0}, {0, 1, 1, 0, 0, 0, 1, 1, 0}};
    static float noise[3 * MOST];
    gradient_random(noise, 3 * MOST, stream, 100);
    memset(a->pixels, 0, sizeof a->pixels);
    for (size_t i = 0; i < MOST; i++) {
        size_t x = (size_t)fabsf(noise[3 * i]) % (SIDE - 2), y = (size_t)fabsf(noise[3 * i + 1]) % (SIDE - 2);
        a->labels[i] = (int32_t)fabsf(noise[3 * i + 2]) % CLASSES;
        for (size_t j = 0; j < 9; j++)
            a->pixels[(i * SIDE + y + j / 3) * SIDE + x + j % 3] = marks[a->labels[i]][j];
    }
}

/* Part of the marks named right, at places as the model chooses them. */
static double learn(const char *options)
{
    enum { STEPS = 1500, TESTS = 10 };
    static album a;
    toy t;
    at_optimiser *o;
    at_loss_report report = {0};
    const at_loss_options plain = {.scale = 1};
    toy_open(&t, &(toy_spec){.family = "glimpse", .options = options, .labels = CLASSES, .seed = 1});
    open_album(&a, MOST, 1);
    at_optimiser_options how = {.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8};
    check_ok(at_optimiser_new(t.exec, &t.model->params, &how, &o));
    for (uint64_t step = 1; step <= STEPS; step++) {
        draw_marks(&a, (uint32_t)step);
        at_optimiser_clear(o);
        at_tape_begin(t.tape, AT_TAPE_TRAIN, 1, step);
        t.tape->grads = o->grads;
        check_ok(at_tape_backward(t.tape, at_model_loss(t.model, t.tape, &a.batch, &plain, &report)));
        at_optimiser_step(o, 0.004 * (1 - 0.9 * (double)step / STEPS), 1.0 / MOST);
    }
    size_t right = 0;
    for (uint32_t i = 0; i < TESTS; i++) {
        draw_marks(&a, STEPS + 1 + i);
        at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
        at_model_loss(t.model, t.tape, &a.batch, &plain, &report);
        right += report.right;
    }
    at_optimiser_free(o);
    toy_close(&t);
    return (double)right / (TESTS * MOST);
}

#define LOOKER                                                                           \
    "\"glimpses\": 2, \"glimpse_size\": 4, \"scales\": 3, \"what\": 32, \"where\": 16, " \
    "\"glimpse_width\": 32, \"width\": 32, \"locator\": 32, \"deviation\": 0.15"

static void looking_is_learned(void **state)
{
    (void)state;
    double learned = learn("{" LOOKER "}"), random = learn("{" LOOKER ", \"locations\": \"random\"}");
    print_message("right: learned places %.3f, random places %.3f\n", learned, random);
    assert_true(learned > 0.8);
    assert_true(learned > random + 0.15);
}

/* ---------------------------------------------------------------- what is wrong */

static void refuse(const char *options, int64_t labels, const char *message)
{
    const at_vocabulary v = {.source = 1, .target = 1, .labels = labels};
    json_t *section = json_loads(options, 0, NULL);
    at_model *model;
    check_fails(at_model_new("glimpse", section, &v, &model), AT_EARG, message);
    json_decref(section);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static album a;
    toy t;
    refuse("{\"combine\": \"product\", \"where\": 64}", 3, "got 128 and 64");
    refuse("{\"scales\": 8, \"zoom\": 8}", 3, "model.scales");
    refuse("{}", 0, "data.task must be classify");
    toy_open(&t, &(toy_spec){.family = "glimpse", .labels = CLASSES, .seed = 6});
    open_album(&a, 2, 3);
    at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
    assert_null(at_gaze_run(t.model, t.tape, &a.batch, &(at_gaze){.copies = 1}));
    check_fails(at_tape_status(t.tape), AT_ESHAPE, "pictures of 1 channels; got 3");
    a.batch.pixels.data = NULL;
    at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
    assert_null(at_gaze_run(t.model, t.tape, &a.batch, &(at_gaze){.copies = 1}));
    check_fails(at_tape_status(t.tape), AT_ESHAPE, "got 0");
    toy_close(&t);
}

typedef struct attempt {
    at_exec *exec;
    toy *t;
    const album *a;
} attempt;

static at_status try_step(void *context)
{
    attempt *t = context;
    const at_loss_options how = {.scale = 1};
    at_tape *tape;
    at_status st = at_tape_new(t->exec, &tape);
    if (st != AT_OK)
        return st;
    at_tape_begin(tape, AT_TAPE_TRAIN, 7, 1);
    tape->grads = t->t->grads;
    at_var *loss = at_model_loss(t->t->model, tape, &t->a->batch, &how, NULL);
    st = loss ? at_tape_backward(tape, loss) : at_tape_status(tape);
    at_tape_free(tape);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static album a;
    toy t;
    toy_open(&t, &(toy_spec){.family = "glimpse", .labels = CLASSES, .seed = 6});
    open_album(&a, 3, 1);
    attempt each = {t.exec, &t, &a};
    check_every_allocation(try_step, &each, 2000);
    toy_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_at_given_places), cmocka_unit_test(drawn_gradients_meet_the_expectation),
        cmocka_unit_test(rewards_move_nothing_else), cmocka_unit_test(paths_follow_seed_and_example),
        cmocka_unit_test(looking_is_learned),        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
