#include "tests/kernel/levels.h"

typedef void binary(float *out, const float *a, const float *b, size_t n);

/* One rounding of a product more or less, where a level fuses and the reference does not. */
static const double ONE_ROUNDING = 2 * FLT_EPSILON;

static void compare_binary(binary *got, binary *want, double tolerance, size_t n, at_rng *rng)
{
    float *a = random_block(rng, n, 3), *b = random_block(rng, n, 3), *x = random_block(rng, n, 1);
    float *y = copy_block(x, n), *in_place = copy_block(a, n);
    got(x, a, b, n);
    want(y, a, b, n);
    check_near(x, y, n, tolerance * 8); /* the numbers reach 8 and more, their sum may be small */
    got(in_place, in_place, b, n);
    if (tolerance == 0)
        check_same_bits(in_place, x, n * sizeof *x);
    float *blocks[] = {a, b, x, y, in_place};
    for (size_t i = 0; i < 5; i++)
        check_guard_free(blocks[i]);
}

static void elementwise_equal_the_reference(void **state)
{
    (void)state;
    const at_kernels *ref = &at_kernels_ref;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < EDGE_SIZES; i++) {
            const at_kernels *k = level(l);
            compare_binary(k->add, ref->add, 0, edge_sizes[i], &rng);
            compare_binary(k->mul, ref->mul, 0, edge_sizes[i], &rng);
            compare_binary(k->mul_add, ref->mul_add, ONE_ROUNDING, edge_sizes[i], &rng);
        }
}

static void scale_and_axpy_equal_the_reference(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < EDGE_SIZES; i++) {
            size_t n = edge_sizes[i];
            float *a = random_block(&rng, n, 3), *x = copy_block(a, n), *y = copy_block(a, n);
            level(l)->scale(x, x, 0.7f, n);
            at_kernels_ref.scale(y, y, 0.7f, n);
            check_same_bits(x, y, n * sizeof *x);
            level(l)->axpy(x, -1.3f, a, n);
            at_kernels_ref.axpy(y, -1.3f, a, n);
            check_near(x, y, n, 8 * ONE_ROUNDING);
            check_guard_free(a);
            check_guard_free(x);
            check_guard_free(y);
        }
}

/* Taps of a maximum: which one won, and its gradient. */
static void taps_equal_the_reference(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < EDGE_SIZES; i++) {
            size_t n = edge_sizes[i];
            float *x = random_block(&rng, n, 3), *best = random_block(&rng, n, 3),
                  *want = copy_block(best, n);
            float *which = check_guarded(n), *taps = check_guarded(n);
            for (size_t j = 0; j < n; j++)
                which[j] = taps[j] = (float)(j % 3);
            if (n > 2)
                x[2] = best[2]; /* the first of equals stays */
            level(l)->larger(best, which, x, 7, n);
            at_kernels_ref.larger(want, taps, x, 7, n);
            check_same_bits(best, want, n * sizeof *best);
            check_same_bits(which, taps, n * sizeof *which);
            level(l)->add_where(best, x, which, 7, n);
            at_kernels_ref.add_where(want, x, taps, 7, n);
            check_same_bits(best, want, n * sizeof *best);
            float *blocks[] = {x, best, want, which, taps};
            for (size_t b = 0; b < 5; b++)
                check_guard_free(blocks[b]);
        }
}

/* Within 2 units in the last place of the true value, over all of the range with a finite result; below the
 * smallest normal number an absolute 2 steps. */
static void exp_is_right_to_two_units(void **state)
{
    (void)state;
    enum { N = 20011 };
    float *a = check_guarded(N), *x = check_guarded(N);
    for (size_t i = 0; i < N; i++)
        a[i] = -104.0f + 192.72f * (float)i / (N - 1);
    for (size_t l = 0; l < level_count(); l++) {
        level(l)->exp(x, a, N);
        for (size_t i = 0; i < N; i++) {
            double want = exp((double)a[i]), room = 2 * want * FLT_EPSILON;
            if (!(fabs((double)x[i] - want) <= (a[i] < -87.3f ? want : room)))
                fail_msg("%s: exp(%.9g) = %.9g, want %.9g", level(l)->name, (double)a[i], (double)x[i], want);
        }
    }
    check_guard_free(a);
    check_guard_free(x);
}

static void exp_at_the_ends(void **state)
{
    (void)state;
    const float a[] = {-INFINITY, -1e30f, -200, 0, -0.0f, 89, 1e30f, INFINITY, NAN, 1e-40f};
    const float want[] = {0, 0, 0, 1, 1, INFINITY, INFINITY, INFINITY, NAN, 1};
    enum { N = sizeof a / sizeof *a };
    for (size_t l = 0; l < level_count(); l++)
        for (size_t n = 0; n <= N; n++) {
            float *x = check_guarded(n);
            level(l)->exp(x, a, n);
            check_near(x, want, n, 0);
            check_guard_free(x);
        }
}

static double activated(double x, at_activation f)
{
    switch (f) {
    case AT_RELU:
        return x > 0 ? x : 0;
    case AT_GELU:
        return 0.5 * x * erfc(-x * sqrt(0.5));
    case AT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    case AT_SILU:
        return x / (1 + exp(-x));
    case AT_TANH:
        return tanh(x);
    case AT_SIGMOID:
        return 1 / (1 + exp(-x));
    case AT_LINEAR:
        break;
    }
    return x;
}

static double slope(double x, at_activation f)
{
    double step = 1e-5;
    if (f == AT_RELU)
        return x > 0;
    return (activated(x + step, f) - activated(x - step, f)) / (2 * step);
}

/* 5e-7 of max(1, |value|): polynomials of about 1e-7 and a few roundings. The slope's own truth is a
 * difference quotient, good to 1e-9. */
static void activations_and_slopes_are_right(void **state)
{
    (void)state;
    enum { N = 2003 };
    float *x = check_guarded(N), *y = check_guarded(N), *d = check_guarded(N), *d_out = check_guarded(N);
    float *want = check_guarded(N), *want_d = check_guarded(N);
    for (size_t l = 0; l < level_count(); l++)
        for (at_activation f = AT_LINEAR; f <= AT_SIGMOID; f++) {
            for (size_t i = 0; i < N; i++) {
                x[i] = 12.0f * ((float)i - 1001.5f) / 1001;
                want[i] = (float)activated(x[i], f);
                d_out[i] = (float)(i % 7) - 3.0f;
                d[i] = (float)(i % 3);
                want_d[i] = (float)(d[i] + d_out[i] * slope(x[i], f));
            }
            level(l)->activate(y, x, f, N);
            check_near(y, want, N, 5e-7);
            bool by_output = f == AT_RELU || f == AT_TANH || f == AT_SIGMOID;
            level(l)->activate_backward(d, d_out, by_output ? NULL : x, by_output ? y : NULL, f, N);
            check_near(d, want_d, N, 3e-6); /* 3 times the slope's error */
        }
    float *blocks[] = {x, y, d, d_out, want, want_d};
    for (size_t i = 0; i < 6; i++)
        check_guard_free(blocks[i]);
}

static void activations_at_edges(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (at_activation f = AT_LINEAR; f <= AT_SIGMOID; f++)
            for (size_t i = 0; i < EDGE_SIZES; i++) {
                size_t n = edge_sizes[i];
                float *x = random_block(&rng, n, 4), *y = copy_block(x, n), *z = copy_block(x, n);
                float *d = random_block(&rng, n, 1), *e = copy_block(d, n);
                level(l)->activate(y, y, f, n);
                at_kernels_ref.activate(z, z, f, n);
                check_near(y, z, n, 5e-7);
                level(l)->activate_backward(d, x, x, z, f, n);
                at_kernels_ref.activate_backward(e, x, x, z, f, n);
                check_near(d, e, n, 1e-5); /* x, here d_out, reaches 16 */
                float *blocks[] = {x, y, z, d, e};
                for (size_t j = 0; j < 5; j++)
                    check_guard_free(blocks[j]);
            }
}

/* Large arguments saturate; NaN comes through. */
static void activations_saturate(void **state)
{
    (void)state;
    const float x[] = {-1e4f, -100, 100, 1e4f, NAN};
    const float want[][5] = {
        {-1e4f, -100, 100, 1e4f, NAN}, {0, 0, 100, 1e4f, NAN}, {0, 0, 100, 1e4f, NAN}, {0, 0, 100, 1e4f, NAN},
        {0, 0, 100, 1e4f, NAN},        {-1, -1, 1, 1, NAN},    {0, 0, 1, 1, NAN}};
    for (size_t l = 0; l < level_count(); l++)
        for (at_activation f = AT_LINEAR; f <= AT_SIGMOID; f++) {
            float y[5];
            level(l)->activate(y, x, f, 5);
            check_near(y, want[f], 5, 1e-7);
        }
}

/* Sums of n products in float: the error grows with the square root of n at worst like this. */
static void reductions_equal_double_sums(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < EDGE_SIZES; i++) {
            size_t n = edge_sizes[i];
            float *a = random_block(&rng, n, 1), *b = random_block(&rng, n, 1), max = -INFINITY;
            double dot = 0, squares = 0;
            for (size_t j = 0; j < n; j++) {
                dot += (double)a[j] * b[j];
                squares += (double)a[j] * a[j];
                max = a[j] > max ? a[j] : max;
            }
            assert_true(level(l)->max(a, n) == max);
            assert_true(fabs((double)level(l)->dot(a, b, n) - dot) <=
                        4 * FLT_EPSILON * (1 + sqrt((double)n)));
            assert_true(fabs(level(l)->sum_squares(a, n) - squares) <= 1e-12 * (1 + squares));
            check_guard_free(a);
            check_guard_free(b);
        }
}

static void sum_squares_lets_nan_and_inf_through(void **state)
{
    (void)state;
    for (size_t l = 0; l < level_count(); l++)
        for (size_t bad = 0; bad < 35; bad++) {
            float a[35] = {0};
            a[bad] = NAN;
            assert_true(isnan(level(l)->sum_squares(a, 35)));
            a[bad] = -INFINITY;
            assert_true(isinf(level(l)->sum_squares(a, 35)));
            a[bad] = 1e30f; /* its square is no float */
            assert_true(fabs(level(l)->sum_squares(a, 35) / 1e60 - 1) < 1e-6);
        }
}

static void column_sums_are_in_order_of_rows(void **state)
{
    (void)state;
    enum { ROWS = 13, STRIDE = LONGEST + 5 };
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    float *a = random_block(&rng, ROWS * STRIDE, 1);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < EDGE_SIZES; i++)
            for (size_t rows = 0; rows <= ROWS; rows += 1 + rows / 3) {
                size_t n = edge_sizes[i];
                float *x = random_block(&rng, n, 1), *y = copy_block(x, n);
                level(l)->column_sum(x, a, STRIDE, rows, n);
                at_kernels_ref.column_sum(y, a, STRIDE, rows, n);
                check_same_bits(x, y, n * sizeof *x); /* one order, one rounding an addition */
                check_guard_free(x);
                check_guard_free(y);
            }
    check_guard_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise_equal_the_reference),
        cmocka_unit_test(scale_and_axpy_equal_the_reference),
        cmocka_unit_test(taps_equal_the_reference),
        cmocka_unit_test(exp_is_right_to_two_units),
        cmocka_unit_test(exp_at_the_ends),
        cmocka_unit_test(activations_and_slopes_are_right),
        cmocka_unit_test(activations_at_edges),
        cmocka_unit_test(activations_saturate),
        cmocka_unit_test(reductions_equal_double_sums),
        cmocka_unit_test(sum_squares_lets_nan_and_inf_through),
        cmocka_unit_test(column_sums_are_in_order_of_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
