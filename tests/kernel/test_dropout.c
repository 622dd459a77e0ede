#include "kernel/dropout.h"
#include "tests/kernel/levels.h"

static const uint32_t KEY[2] = {0x12345678u, 0x9abcdef0u}, COUNTER[3] = {7, 0xffffffffu, 3};

/* From the contract, word by word. */
static void in_words(float *out, const float *base, const float *a, size_t n, double rate)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t words[4];
        at_philox((const uint32_t[]){(uint32_t)(i / 4), COUNTER[0], COUNTER[1], COUNTER[2]}, KEY, words);
        float kept = words[i % 4] >= rate * 4294967296.0 ? a[i] * (1.0f / (1.0f - (float)rate)) : 0;
        out[i] = base ? base[i] + kept : kept;
    }
}

static void masks_have_the_same_bits_everywhere(void **state)
{
    (void)state;
    const float rates[] = {0, 0.1f, 0.3f, 0.5f, 0.9f, 0.99999994f};
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < EDGE_SIZES; i++)
            for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
                size_t n = edge_sizes[i];
                float *a = random_block(&rng, n, 1), *base = random_block(&rng, n, 1);
                float *out = check_guarded(n), *want = check_guarded(n);
                level(l)->dropout(out, NULL, a, n, rates[r], KEY, COUNTER);
                in_words(want, NULL, a, n, (double)rates[r]);
                check_same_bits(out, want, n * sizeof *out);
                level(l)->dropout(out, base, a, n, rates[r], KEY, COUNTER);
                in_words(want, base, a, n, (double)rates[r]);
                check_same_bits(out, want, n * sizeof *out);
                level(l)->dropout(base, base, a, n, rates[r], KEY, COUNTER);
                check_same_bits(base, want, n * sizeof *out);
                float *blocks[] = {a, base, out, want};
                for (size_t j = 0; j < 4; j++)
                    check_guard_free(blocks[j]);
            }
}

static void the_limit_is_the_rate_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(at_drop_limit(0), 0);
    assert_int_equal(at_drop_limit(0.5f), 0x80000000u);
    assert_int_equal(at_drop_limit(0.25f), 0x40000000u);
    assert_int_equal(at_drop_limit(1e-20f), 1);
    assert_int_equal(at_drop_limit(0.99999994f), 0xffffff00u);
}

/* 100,000 draws of rate 0.1: the share dropped is within 4 deviations, 4 * sqrt(0.1 * 0.9 / 1e5) = 0.0038;
 * the mean of what is kept stays 1. */
static void the_rate_is_the_share_dropped(void **state)
{
    (void)state;
    enum { N = 100000 };
    float *a = check_guarded(N);
    for (size_t l = 0; l < level_count(); l++) {
        for (size_t i = 0; i < N; i++)
            a[i] = 1;
        level(l)->dropout(a, NULL, a, N, 0.1f, KEY, COUNTER);
        double sum = 0;
        size_t dropped = 0;
        for (size_t i = 0; i < N; i++) {
            sum += a[i];
            dropped += a[i] == 0;
        }
        assert_true(fabs((double)dropped / N - 0.1) < 0.0038);
        assert_true(fabs(sum / N - 1) < 0.005);
    }
    check_guard_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_have_the_same_bits_everywhere),
        cmocka_unit_test(the_limit_is_the_rate_rounded_up),
        cmocka_unit_test(the_rate_is_the_share_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
