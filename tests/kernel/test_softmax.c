#include "tests/kernel/levels.h"

/* Weights are at most 1: 3e-7 is an exponential of 2 units, its sum and one division. */
static const double WEIGHT = 3e-7;

static void softmax_of(float *want, const float *a, size_t n)
{
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, (double)a[i]);
    for (size_t i = 0; i < n; i++)
        sum += isinf(max) ? 0 : exp((double)a[i] - max);
    for (size_t i = 0; i < n; i++)
        want[i] = isinf(max) ? 0 : (float)(exp((double)a[i] - max) / sum);
}

static void compare(const at_kernels *k, const float *a, size_t n)
{
    float *x = copy_block(a, n), *y = check_guarded(n), *want = check_guarded(n);
    softmax_of(want, a, n);
    k->softmax(y, a, n);
    check_near(y, want, n, WEIGHT);
    k->softmax(x, x, n);
    check_same_bits(x, y, n * sizeof *x);
    check_guard_free(x);
    check_guard_free(y);
    check_guard_free(want);
}

static void softmax_equals_double(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < EDGE_SIZES; i++) {
            float *a = random_block(&rng, edge_sizes[i], 4);
            compare(level(l), a, edge_sizes[i]);
            check_guard_free(a);
        }
}

static void masked_and_huge_and_tied_scores(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t n = 0; n < 70; n++) {
            float a[70];
            for (size_t i = 0; i < n; i++)
                a[i] = -INFINITY;
            compare(level(l), a, n); /* nothing to look at: zeros */
            for (size_t i = 0; i < n; i++)
                a[i] = at_rng_below(&rng, 2) ? -INFINITY : at_rng_normal(&rng);
            compare(level(l), a, n);
            for (size_t i = 0; i < n; i++)
                a[i] = at_rng_below(&rng, 2) ? -1e4f : 1e4f;
            compare(level(l), a, n);
            for (size_t i = 0; i < n; i++)
                a[i] = 3.25f;
            compare(level(l), a, n);
            for (size_t i = 0; i < n; i++)
                a[i] = 1e-41f * (float)i; /* below the smallest normal number */
            compare(level(l), a, n);
        }
}

static void nan_is_not_hidden(void **state)
{
    (void)state;
    for (size_t l = 0; l < level_count(); l++)
        for (size_t bad = 0; bad < 35; bad++) {
            float a[35] = {0}, none[35];
            for (size_t i = 0; i < 35; i++)
                none[i] = -INFINITY;
            a[bad] = none[bad] = NAN;
            level(l)->softmax(a, a, 35);
            assert_true(isnan(a[bad]));
            level(l)->softmax(none, none, 35);
            assert_true(isnan(none[bad]));
        }
}

static void sum_exp_equals_double(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < EDGE_SIZES; i++) {
            size_t n = edge_sizes[i];
            float *a = random_block(&rng, n, 3), max = level(l)->max(a, n);
            double want = 0;
            for (size_t j = 0; j < n; j++)
                want += exp((double)a[j] - (double)max);
            assert_true(fabs((double)level(l)->sum_exp(a, max, n) - want) <= 1e-6 * want);
            check_guard_free(a);
            const float none[] = {-INFINITY, -INFINITY};
            assert_true(level(l)->sum_exp(none, -INFINITY, 2) == 0);
        }
}

/* d_in against the derivative in double, w·(d_w - w·d_w), with the w that the kernel was given */
static void backward_equals_double(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < EDGE_SIZES; i++) {
            size_t n = edge_sizes[i];
            float *w = random_block(&rng, n, 2), *d_w = random_block(&rng, n, 1),
                  *d = random_block(&rng, n, 1);
            float *want = copy_block(d, n);
            double mean = 0;
            at_kernels_ref.softmax(w, w, n);
            for (size_t j = 0; j < n; j++)
                mean += (double)w[j] * d_w[j];
            for (size_t j = 0; j < n; j++)
                want[j] = (float)(want[j] + w[j] * (d_w[j] - mean));
            level(l)->softmax_backward(d, w, d_w, n);
            check_near(d, want, n, 1e-6); /* two roundings of numbers up to 4 and a sum of weight 1 */
            float *blocks[] = {w, d_w, d, want};
            for (size_t j = 0; j < 4; j++)
                check_guard_free(blocks[j]);
        }
}

/* Also rows whose probabilities are no float any more (scores 1000 apart), rows far from zero, hidden
 * ones. */
static void log_softmax_equals_double(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < 4 * EDGE_SIZES; i++) {
            size_t n = edge_sizes[i / 4];
            float *a = random_block(&rng, n, i % 4 == 1 ? 1000 : 3);
            for (size_t j = 0; j < n; j++) {
                a[j] += i % 4 == 2 ? 1e4f : 0;
                a[j] = i % 4 == 3 && (j % 3 == 1 || n == 33) ? -INFINITY : a[j];
            }
            float *out = check_guarded(n), *want = check_guarded(n), *d = random_block(&rng, n, 1);
            float *d_out = random_block(&rng, n, 1), *d_want = copy_block(d, n);
            double max = -INFINITY, sum = 0, total = 0;
            for (size_t j = 0; j < n; j++)
                max = fmax(max, (double)a[j]);
            for (size_t j = 0; j < n; j++)
                sum += isinf(max) ? 1 : exp((double)a[j] - max);
            for (size_t j = 0; j < n; j++)
                want[j] = (float)((double)a[j] - (isinf(max) ? 0 : max) - (isinf(max) ? 0 : log(sum)));
            level(l)->log_softmax(out, a, n);
            check_near(out, want, n, 3e-7);
            for (size_t j = 0; j < n; j++)
                total += (double)d_out[j];
            for (size_t j = 0; j < n; j++)
                d_want[j] = (float)(d_want[j] + d_out[j] - exp((double)want[j]) * total);
            level(l)->log_softmax_backward(d, out, d_out, n);
            check_near(d, d_want, n, 1e-5); /* the sum is of up to a thousand numbers */
            level(l)->log_softmax(a, a, n);
            check_same_bits(a, out, n * sizeof *a);
            float *blocks[] = {a, out, want, d, d_out, d_want};
            for (size_t j = 0; j < 6; j++)
                check_guard_free(blocks[j]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_equals_double),  cmocka_unit_test(masked_and_huge_and_tied_scores),
        cmocka_unit_test(nan_is_not_hidden),      cmocka_unit_test(sum_exp_equals_double),
        cmocka_unit_test(backward_equals_double), cmocka_unit_test(log_softmax_equals_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
