#include "train/optimiser.h"
#include <math.h>
#include <string.h>
#include "base/rng.h"
#include "tests/check.h"

/* More than two chunks of the passes, and neither part a multiple of one; both of 16, as the table lays
 * them. */
enum { DECAYED = 9008, PLAIN = 8512, TOTAL = DECAYED + PLAIN };

typedef struct fixture {
    at_exec *exec;
    at_params params;
    at_optimiser *o;
} fixture;

static void set_up(fixture *f, int threads, const at_optimiser_options *options)
{
    *f = (fixture){0};
    at_param *p;
    check_ok(at_exec_new(NULL, threads, &f->exec));
    check_ok(at_params_add(
        &f->params, &(at_param_spec){"norm", at_shape1(PLAIN), AT_PLAIN, AT_INIT_ONE, 0, NULL, false}, &p));
    check_ok(at_params_add(
        &f->params,
        &(at_param_spec){"matrix", at_shape2(1, DECAYED), AT_DECAYED, AT_INIT_NORMAL, 1, NULL, false}, &p));
    check_ok(at_params_allocate(&f->params));
    at_params_init(&f->params, 5);
    assert_int_equal(f->params.total, TOTAL);
    check_ok(at_optimiser_new(f->exec, &f->params, options, &f->o));
}

static void tear_down(fixture *f)
{
    at_optimiser_free(f->o);
    at_params_free(&f->params);
    at_exec_free(f->exec);
}

static void fill_gradients(fixture *f, uint64_t seed)
{
    at_rng rng = at_rng_make(seed, AT_RNG_TEST);
    for (size_t i = 0; i < TOTAL; i++)
        f->o->grads[i] = at_rng_normal(&rng);
}

/* The formulas of the two papers, in double. */
static void reference_step(const at_optimiser_options *a, double lr, double scale, int64_t t, double *p,
                           double *m, double *v, const float *grads)
{
    for (size_t i = 0; i < TOTAL; i++) {
        double decay = i < DECAYED ? a->decay : 0, g = scale * (double)grads[i];
        if (a->kind == AT_ADAM)
            g += decay * p[i];
        m[i] = a->beta1 * m[i] + (1 - a->beta1) * g;
        v[i] = a->beta2 * v[i] + (1 - a->beta2) * g * g;
        double mean = m[i] / (1 - pow(a->beta1, (double)t)), square = v[i] / (1 - pow(a->beta2, (double)t));
        if (a->kind == AT_ADAMW)
            p[i] -= lr * decay * p[i];
        p[i] -= lr * mean / (sqrt(square) + a->eps);
    }
}

static void follows(at_optimiser_kind kind, double decay)
{
    at_optimiser_options options = {kind, 0.9, 0.98, 1e-9, decay, 0};
    fixture f;
    set_up(&f, 2, &options);
    static double p[TOTAL], m[TOTAL], v[TOTAL];
    static float want[TOTAL];
    for (size_t i = 0; i < TOTAL; i++)
        p[i] = (double)f.params.block[i], m[i] = v[i] = 0;
    for (int64_t t = 1; t <= 20; t++) {
        fill_gradients(&f, (uint64_t)t);
        reference_step(&options, 0.01, 0.5, t, p, m, v, f.o->grads);
        at_optimiser_step(f.o, 0.01, 0.5);
    }
    for (size_t i = 0; i < TOTAL; i++)
        want[i] = (float)p[i];
    /* 20 updates of about lr each, in float: some units in the last place of numbers around 1 */
    check_near(f.params.block, want, TOTAL, 2e-5);
    tear_down(&f);
}

static void adam_follows_the_paper(void **state)
{
    (void)state;
    follows(AT_ADAM, 0);
    follows(AT_ADAM, 0.1);
}

static void adamw_follows_the_paper(void **state)
{
    (void)state;
    follows(AT_ADAMW, 0.1);
}

static void norm_and_clipping(void **state)
{
    (void)state;
    at_optimiser_options options = {AT_ADAM, 0.9, 0.98, 1e-9, 0, 0};
    fixture f;
    set_up(&f, 2, &options);
    fill_gradients(&f, 3);
    double sum = 0;
    for (size_t i = 0; i < TOTAL; i++)
        sum += (double)f.o->grads[i] * (double)f.o->grads[i];
    double norm = at_optimiser_norm(f.o, 0.25);
    assert_true(fabs(norm - 0.25 * sqrt(sum)) < 1e-6 * norm);
    assert_true(at_clip_scale(norm, 0) == 1 && at_clip_scale(norm, norm * 2) == 1);
    assert_true(fabs(at_clip_scale(norm, 1) * norm - 1) < 1e-12);
    f.o->grads[TOTAL - 1] = NAN;
    assert_false(isfinite(at_optimiser_norm(f.o, 1)));
    f.o->grads[TOTAL - 1] = -INFINITY;
    assert_false(isfinite(at_optimiser_norm(f.o, 1)));
    at_optimiser_clear(f.o);
    assert_true(at_optimiser_norm(f.o, 1) == 0);
    tear_down(&f);
}

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    at_optimiser_options options = {AT_ADAMW, 0.9, 0.98, 1e-9, 0.1, 0.999};
    static float params[TOTAL], average[TOTAL];
    const int threads[] = {1, 2, 3, 8};
    double norm = 0;
    for (size_t i = 0; i < 4; i++) {
        fixture f;
        set_up(&f, threads[i], &options);
        double now = 0;
        for (uint64_t t = 1; t <= 3; t++) {
            fill_gradients(&f, t);
            now = at_optimiser_norm(f.o, 1);
            at_optimiser_step(f.o, 0.01, at_clip_scale(now, 1));
        }
        if (i == 0) {
            memcpy(params, f.params.block, sizeof params);
            memcpy(average, f.o->ema, sizeof average);
            norm = now;
        }
        check_same_bits(f.params.block, params, sizeof params);
        check_same_bits(f.o->ema, average, sizeof average);
        check_same_bits(&now, &norm, sizeof norm);
        tear_down(&f);
    }
}

static void average_follows_slowly(void **state)
{
    (void)state;
    at_optimiser_options options = {AT_ADAM, 0.9, 0.98, 1e-9, 0, 0.5};
    fixture f;
    set_up(&f, 1, &options);
    double want = (double)f.o->ema[0];
    for (int t = 1; t <= 10; t++) {
        fill_gradients(&f, (uint64_t)t);
        at_optimiser_step(f.o, 0.01, 1);
        double keep = fmin(0.5, (1.0 + t) / (10.0 + t));
        want = keep * want + (1 - keep) * (double)f.params.block[0];
    }
    assert_true(fabs(want - (double)f.o->ema[0]) < 1e-5);
    tear_down(&f);
}

typedef struct attempt {
    at_exec *exec;
    at_params *params;
} attempt;

static at_status try_new(void *context)
{
    attempt *a = context;
    at_optimiser_options options = {AT_ADAM, 0.9, 0.98, 1e-9, 0, 0.9};
    at_optimiser *o;
    at_status st = at_optimiser_new(a->exec, a->params, &options, &o);
    if (st == AT_OK)
        at_optimiser_free(o);
    return st;
}

static void no_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    at_optimiser_options options = {AT_ADAM, 0.9, 0.98, 1e-9, 0, 0};
    fixture f;
    set_up(&f, 1, &options);
    attempt a = {f.exec, &f.params};
    check_every_allocation(try_new, &a, 20);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adam_follows_the_paper), cmocka_unit_test(adamw_follows_the_paper),
        cmocka_unit_test(norm_and_clipping),      cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(average_follows_slowly), cmocka_unit_test(no_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
