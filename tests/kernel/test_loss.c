#include "tests/kernel/levels.h"

/* Loss and gradient of one row, as the definition says, in double. */
static double in_double(float *gradient, const float *logits, size_t n, size_t target, double smoothing,
                        double scale)
{
    double max = -INFINITY, sum = 0, loss = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, (double)logits[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp(logits[i] - max);
    for (size_t i = 0; i < n; i++) {
        double log_p = logits[i] - max - log(sum),
               want = (i == target ? 1 - smoothing : 0) + smoothing / (double)n;
        loss -= want > 0 ? want * log_p : 0;
        gradient[i] = (float)(scale * (exp(log_p) - want));
    }
    return loss;
}

static void compare(const at_kernels *k, const float *logits, size_t n, size_t target, float smoothing)
{
    float *x = copy_block(logits, n), *want = check_guarded(n), scale = 0.37f;
    double loss = in_double(want, logits, n, target, (double)smoothing, (double)scale);
    float only = k->cross_entropy(x, n, target, smoothing, 0);
    check_same_bits(x, logits, n * sizeof *x);
    float got = k->cross_entropy(x, n, target, smoothing, scale);
    check_near(&only, &(float){(float)loss}, 1, 2e-6);
    check_near(&got, &(float){(float)loss}, 1, 2e-6); /* relative: a sum of n exponentials of 2 units each */
    check_near(x, want, n, 3e-7);                     /* probabilities, as in test_softmax.c */
    check_guard_free(x);
    check_guard_free(want);
}

static void cross_entropy_equals_double(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < EDGE_SIZES; i++)
            for (int s = 0; s < 3; s++) {
                size_t n = edge_sizes[i];
                if (n == 0)
                    continue; /* has no target */
                float *a = random_block(&rng, n, s == 2 ? 20 : 3);
                compare(level(l), a, n, at_rng_below(&rng, (uint32_t)n), s == 1 ? 0 : 0.1f);
                check_guard_free(a);
            }
}

static void a_vocabulary_of_ten_thousand(void **state)
{
    (void)state;
    enum { N = 10003 };
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    float *a = random_block(&rng, N, 3);
    for (size_t l = 0; l < level_count(); l++)
        compare(level(l), a, N, N - 1, 0.1f);
    check_guard_free(a);
}

static void huge_and_masked_logits(void **state)
{
    (void)state;
    for (size_t l = 0; l < level_count(); l++)
        for (size_t n = 3; n < 40; n++) {
            float a[40];
            for (size_t i = 0; i < n; i++)
                a[i] = i % 2 ? 1e4f : -1e4f;
            compare(level(l), a, n, 0, 0.1f);
            compare(level(l), a, n, 1, 0);
            for (size_t i = 0; i < n; i++)
                a[i] = i % 3 == 0 ? -INFINITY : (float)i;
            compare(level(l), a, n, 1, 0); /* without smoothing, masked logits cost nothing */
        }
}

/* The gradient is the loss's own difference quotient. */
static void gradient_is_the_slope_of_the_loss(void **state)
{
    (void)state;
    enum { N = 19 };
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    float a[N], gradient[N], around[N];
    fill(&rng, a, N, 1);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < N; i++) {
            memcpy(gradient, a, sizeof a);
            level(l)->cross_entropy(gradient, N, 4, 0.1f, 1);
            memcpy(around, a, sizeof a);
            double step = 1e-3, up, down;
            float unused[N];
            around[i] = a[i] + (float)step;
            up = in_double(unused, around, N, 4, (double)0.1f, 1);
            double width = around[i];
            around[i] = a[i] - (float)step;
            down = in_double(unused, around, N, 4, (double)0.1f, 1);
            width -= around[i];
            assert_true(fabs((up - down) / width - (double)gradient[i]) < 1e-6); /* step² */
        }
}

static void nan_makes_the_loss_nan(void **state)
{
    (void)state;
    for (size_t l = 0; l < level_count(); l++)
        for (size_t bad = 0; bad < 35; bad++) {
            float a[35] = {0};
            a[bad] = NAN;
            assert_true(isnan(level(l)->cross_entropy(a, 35, 3, 0, 0)));
            assert_true(isnan(level(l)->cross_entropy(a, 35, 3, 0.1f, 1)));
        }
}

/* Adam by its formula in double; four roundings of numbers around 1. */
static void adam_follows_its_formula(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    const at_adam a = {.lr = 0.01f,
                       .beta1 = 0.9f,
                       .beta2 = 0.98f,
                       .eps = 1e-8f,
                       .decay = 0.05f,
                       .correct1 = 1 / (1 - 0.729f),
                       .correct2 = 1 / (1 - 0.941192f),
                       .grad_scale = 0.3f};
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < EDGE_SIZES; i++) {
            size_t n = edge_sizes[i];
            float *p = random_block(&rng, n, 1), *m = random_block(&rng, n, 1), *v = random_block(&rng, n, 1);
            float *g = random_block(&rng, n, 1), *want = check_guarded(3 * n);
            for (size_t j = 0; j < n; j++) {
                v[j] *= v[j];
                double grad = (double)g[j] * a.grad_scale;
                double mean = (double)a.beta1 * m[j] + (1 - (double)a.beta1) * grad;
                double square = (double)a.beta2 * v[j] + (1 - (double)a.beta2) * grad * grad;
                double move =
                    mean * a.correct1 / (sqrt(square * a.correct2) + a.eps) + (double)a.decay * p[j];
                want[j] = (float)(p[j] - a.lr * move);
                want[n + j] = (float)mean;
                want[2 * n + j] = (float)square;
            }
            level(l)->adam(p, m, v, g, n, &a);
            check_near(p, want, n, 1e-6);
            check_near(m, want + n, n, 1e-6);
            check_near(v, want + 2 * n, n, 1e-6);
            float *blocks[] = {p, m, v, g, want};
            for (size_t j = 0; j < 5; j++)
                check_guard_free(blocks[j]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy_equals_double), cmocka_unit_test(a_vocabulary_of_ten_thousand),
        cmocka_unit_test(huge_and_masked_logits),      cmocka_unit_test(gradient_is_the_slope_of_the_loss),
        cmocka_unit_test(nan_makes_the_loss_nan),      cmocka_unit_test(adam_follows_its_formula),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
