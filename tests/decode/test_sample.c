/* One row of logits to one id: what each option leaves, how often what is drawn, refusals. */
#include "decode/sample.h"
#include <math.h>
#include "base/memory.h"
#include "tests/check.h"

enum { N = 6 };

/* Probabilities 0.4 0.3 0.15 0.1 0.04 0.01, in another order. */
static const double wanted[N] = {0.1, 0.4, 0.01, 0.3, 0.15, 0.04};
static float logits[N];
static at_sampler *sampler;

static int begin(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++)
        logits[i] = (float)(log(wanted[i]) + 3);
    check_ok(at_sampler_new(N, &sampler));
    return 0;
}

static int end(void **state)
{
    (void)state;
    at_sampler_free(sampler);
    return 0;
}

/* Draws 20,000 times; each id as often as `probability` says, within five deviations. */
static void check_draws(const at_sample_options *o, const int32_t *said, size_t count,
                        const double *probability)
{
    enum { DRAWS = 20000 };
    size_t times[N] = {0};
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    check_ok(at_sample_check(o));
    for (int i = 0; i < DRAWS; i++) {
        at_sampled next = at_sample(sampler, o, logits, said, count, &rng);
        assert_in_range(next.id, 0, N - 1);
        assert_true(fabs(next.log_probability - log(wanted[next.id])) < 1e-6); /* the model's own */
        times[next.id]++;
    }
    for (int i = 0; i < N; i++) {
        double p = probability[i], deviation = sqrt(DRAWS * p * (1 - p));
        assert_true(p > 0 || times[i] == 0);
        assert_true(fabs((double)times[i] - DRAWS * p) <= 5 * deviation + 1e-9);
    }
}

static void draws_follow_the_options(void **state)
{
    (void)state;
    at_sample_options o = AT_SAMPLE_DEFAULTS;
    check_draws(&o, NULL, 0, wanted);
    o.temperature = 0.5; /* squares, divided by their sum 0.2843 */
    double squared[N], sum = 0;
    for (int i = 0; i < N; i++)
        sum += squared[i] = wanted[i] * wanted[i];
    for (int i = 0; i < N; i++)
        squared[i] /= sum;
    check_draws(&o, NULL, 0, squared);
    o = (at_sample_options)AT_SAMPLE_DEFAULTS;
    o.top_k = 2;
    check_draws(&o, NULL, 0, (const double[]){0, 4.0 / 7, 0, 3.0 / 7, 0, 0});
    o.top_k = 0;
    o.top_p = 0.75; /* 0.4 + 0.3 is not enough */
    check_draws(&o, NULL, 0, (const double[]){0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85, 0});
    o.top_p = 1e-9; /* one at least */
    check_draws(&o, NULL, 0, (const double[]){0, 1, 0, 0, 0, 0});
    o.top_p = 1;
    o.min_p = 0.3; /* at least 0.12 */
    check_draws(&o, NULL, 0, (const double[]){0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85, 0});
    o.min_p = 0;
    /* Entropy 1.4357; -log p: 2.30 0.92 4.61 1.20 1.90 3.22; the nearest are 0.3, 0.15, 0.4. */
    o.typical = 0.4;
    check_draws(&o, NULL, 0, (const double[]){0, 0, 0, 0.3 / 0.45, 0.15 / 0.45, 0});
    o.typical = 0.5;
    check_draws(&o, NULL, 0, (const double[]){0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85, 0});
}

/* Each filter looks at what the one before has left: of top-k 3 (0.85), top-p 0.8 keeps two. */
static void filters_follow_each_other(void **state)
{
    (void)state;
    at_sample_options o = AT_SAMPLE_DEFAULTS;
    o.top_k = 3;
    o.top_p = 0.8;
    check_draws(&o, NULL, 0, (const double[]){0, 4.0 / 7, 0, 3.0 / 7, 0, 0});
    o.min_p = 0.8; /* 0.3 is 0.75 of 0.4 */
    check_draws(&o, NULL, 0, (const double[]){0, 1, 0, 0, 0, 0});
}

static void repetition_is_punished_on_both_sides_of_zero(void **state)
{
    (void)state;
    static const int32_t said[] = {1, 3, 1};
    at_sample_options o = AT_SAMPLE_DEFAULTS;
    double changed[N], sum = 0;
    o.repetition = 2;
    for (int i = 0; i < N; i++) {
        double x = (double)logits[i];
        if (i == 1 || i == 3)
            x = x > 0 ? x / 2 : x * 2;
        sum += changed[i] = exp(x);
    }
    for (int i = 0; i < N; i++)
        changed[i] /= sum;
    check_draws(&o, said, 3, changed);
    check_draws(&(at_sample_options)AT_SAMPLE_DEFAULTS, NULL, 0, wanted); /* nothing stays behind */
    float negative[N];
    for (int i = 0; i < N; i++)
        negative[i] = logits[i] - 10;
    o.temperature = 0;
    at_rng rng = at_rng_make(1, AT_RNG_TEST);
    assert_int_equal(at_sample(sampler, &o, negative, said, 3, &rng).id, 4); /* 1 and 3 are twice as low */
}

static void greedy_takes_the_first_of_equals(void **state)
{
    (void)state;
    static const float equal[N] = {1, 3, 2, 3, 3, 0};
    at_sample_options o = AT_SAMPLE_DEFAULTS;
    at_rng rng = at_rng_make(1, AT_RNG_TEST);
    o.temperature = 0;
    assert_int_equal(at_sample(sampler, &o, equal, NULL, 0, &rng).id, 1);
    assert_int_equal(at_sample(sampler, &o, logits, NULL, 0, &rng).id, 1);
    at_sampler *banned;
    check_ok(at_sampler_new(N, &banned));
    at_sampler_ban(banned, 1);
    at_sampler_ban(banned, -1); /* a tokenizer without such a piece */
    assert_int_equal(at_sample(banned, &o, equal, NULL, 0, &rng).id, 3);
    for (int i = 0; i < N; i++)
        at_sampler_ban(banned, i);
    assert_int_equal(at_sample(banned, &o, equal, NULL, 0, &rng).id, -1);
    at_sampler_free(banned);
    static const float nan[N] = {NAN, NAN, NAN, NAN, NAN, NAN}, half[N] = {1, NAN, 0, 0, 0, 0};
    assert_int_equal(at_sample(sampler, &o, nan, NULL, 0, &rng).id, -1);
    assert_int_equal(at_sample(sampler, &o, half, NULL, 0, &rng).id, -1);
}

static void options_out_of_their_limits_are_refused(void **state)
{
    (void)state;
    static const struct {
        at_sample_options o;
        const char *message;
    } bad[] = {
        {{-0.1, 0, 1, 0, 1, 1}, "'temperature': -0.1"},
        {{NAN, 0, 1, 0, 1, 1}, "'temperature'"},
        {{1, -1, 1, 0, 1, 1}, "'top_k'"},
        {{1, 0, 0, 0, 1, 1}, "'top_p'"},
        {{1, 0, 1.1, 0, 1, 1}, "'top_p'"},
        {{1, 0, 1, -1, 1, 1}, "'min_p'"},
        {{1, 0, 1, 0, 0, 1}, "'typical'"},
        {{1, 0, 1, 0, 1, 0}, "'repetition'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_fails(at_sample_check(&bad[i].o), AT_EARG, bad[i].message);
    at_sample_options usual;
    check_ok(at_fields_default(at_sample_fields, &usual));
    at_sample_options same = AT_SAMPLE_DEFAULTS;
    assert_memory_equal(&usual, &same, sizeof same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_follow_the_options),
        cmocka_unit_test(filters_follow_each_other),
        cmocka_unit_test(repetition_is_punished_on_both_sides_of_zero),
        cmocka_unit_test(greedy_takes_the_first_of_equals),
        cmocka_unit_test(options_out_of_their_limits_are_refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
