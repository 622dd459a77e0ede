#include "tests/kernel/levels.h"

/* Sums of v tanh(q + k) in double; every key and each width where vector loops end. */
static void additive_equals_double(void **state)
{
    (void)state;
    enum { KEYS = 3, GAP = 2 };
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < EDGE_SIZES; i++) {
            size_t n = edge_sizes[i], stride = n + GAP;
            float *q = random_block(&rng, n, 1), *k = random_block(&rng, KEYS * stride, 1),
                  *v = random_block(&rng, n, 1), *got = check_guarded(KEYS), want[KEYS];
            at_additive a = {.q = q, .k = k, .v = v, .keys = KEYS, .width = n, .k_stride = stride};
            for (size_t s = 0; s < KEYS; s++) {
                double sum = 0;
                for (size_t j = 0; j < n; j++)
                    sum += (double)v[j] * tanh((double)q[j] + (double)k[s * stride + j]);
                want[s] = (float)sum;
            }
            level(l)->additive(&a, got);
            check_near(got, want, KEYS, 1e-5); /* a thousand terms of size 1, each within 2e-7 */
            float *blocks[] = {q, k, v, got};
            for (size_t j = 0; j < 4; j++)
                check_guard_free(blocks[j]);
        }
}

/* Gradients are added to what is there, and between rows of keys nothing is written. */
static void additive_backward_equals_double(void **state)
{
    (void)state;
    enum { KEYS = 3, GAP = 2 };
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < EDGE_SIZES; i++) {
            size_t n = edge_sizes[i], stride = n + GAP, all = KEYS * stride;
            float *q = random_block(&rng, n, 1), *k = random_block(&rng, all, 1),
                  *v = random_block(&rng, n, 1), *d = random_block(&rng, KEYS, 1);
            float *d_q = random_block(&rng, n, 1), *d_k = random_block(&rng, all, 1),
                  *d_v = random_block(&rng, n, 1);
            float *want_q = copy_block(d_q, n), *want_k = copy_block(d_k, all), *want_v = copy_block(d_v, n);
            for (size_t j = 0; j < n; j++) {
                double sum_q = 0, sum_v = 0;
                for (size_t s = 0; s < KEYS; s++) {
                    double u = tanh((double)q[j] + (double)k[s * stride + j]);
                    double inner = (double)d[s] * (double)v[j] * (1 - u * u);
                    sum_q += inner;
                    sum_v += (double)d[s] * u;
                    want_k[s * stride + j] += (float)inner;
                }
                want_q[j] += (float)sum_q;
                want_v[j] += (float)sum_v;
            }
            at_additive a = {.q = q,
                             .k = k,
                             .v = v,
                             .keys = KEYS,
                             .width = n,
                             .k_stride = stride,
                             .d_scores = d,
                             .d_q = d_q,
                             .d_k = d_k,
                             .d_v = d_v};
            level(l)->additive_backward(&a);
            check_near(d_q, want_q, n, 3e-6);
            check_near(d_k, want_k, all, 3e-6);
            check_near(d_v, want_v, n, 3e-6);
            float *blocks[] = {q, k, v, d, d_q, d_k, d_v, want_q, want_k, want_v};
            for (size_t j = 0; j < sizeof blocks / sizeof *blocks; j++)
                check_guard_free(blocks[j]);
        }
}

static int falling(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Martins and Astudillo 2016, algorithm 1, by sorting. */
static void sparsemax_of(float *want, const float *a, size_t n)
{
    double sorted[LONGEST], sum = 0, tau = 0;
    for (size_t i = 0; i < n; i++)
        sorted[i] = (double)a[i];
    qsort(sorted, n, sizeof *sorted, falling);
    for (size_t k = 1; k <= n; k++) {
        sum += sorted[k - 1];
        if (1 + (double)k * sorted[k - 1] > sum)
            tau = (sum - 1) / (double)k;
    }
    for (size_t i = 0; i < n; i++)
        want[i] = (double)a[i] > tau ? (float)((double)a[i] - tau) : 0;
}

static void sparsemax_equals_sorting(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    static const float spreads[] = {0.01f, 1, 30};
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < 3 * EDGE_SIZES; i++) {
            size_t n = edge_sizes[i / 3];
            float *a = random_block(&rng, n, spreads[i % 3]), *got = check_guarded(n), want[LONGEST];
            for (size_t j = 0; j < n; j += 5)
                a[j] = n > 5 && j + 5 < n ? -INFINITY : a[j]; /* masked */
            sparsemax_of(want, a, n);
            level(l)->sparsemax(got, a, n);
            check_near(got, want, n, 1e-6);
            double sum = n == 0;
            for (size_t j = 0; j < n; j++)
                sum += (double)got[j];
            assert_true(fabs(sum - 1) < 1e-5);
            check_guard_free(a);
            check_guard_free(got);
        }
}

static void nothing_to_look_at_gives_zeros_and_nan_stays(void **state)
{
    (void)state;
    for (size_t l = 0; l < level_count(); l++) {
        float none[] = {-INFINITY, -INFINITY, -INFINITY}, zeros[3] = {0}, bad[] = {1, NAN, -INFINITY};
        level(l)->sparsemax(none, none, 3);
        check_same_bits(none, zeros, sizeof zeros);
        level(l)->sparsemax(bad, bad, 3);
        assert_true(isnan(bad[1]));
    }
}

/* By hand: (0.6, 0.4, 0) of gradients (1, 3, 7) sends back (1, 3) less their mean 2, and nothing. */
static void sparsemax_backward_by_hand(void **state)
{
    (void)state;
    for (size_t l = 0; l < level_count(); l++) {
        float d[] = {10, 20, 30}, want[] = {9, 21, 30};
        const float w[] = {0.6f, 0.4f, 0}, d_w[] = {1, 3, 7}, zeros[3] = {0};
        level(l)->sparsemax_backward(d, w, d_w, 3);
        check_near(d, want, 3, 1e-6);
        level(l)->sparsemax_backward(d, zeros, d_w, 3);
        check_near(d, want, 3, 1e-6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(additive_equals_double),
        cmocka_unit_test(additive_backward_equals_double),
        cmocka_unit_test(sparsemax_equals_sorting),
        cmocka_unit_test(nothing_to_look_at_gives_zeros_and_nan_stays),
        cmocka_unit_test(sparsemax_backward_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
