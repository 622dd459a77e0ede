#include "base/rng.h"
#include <math.h>
#include <string.h>
#include "tests/check.h"

/* The known answers that Random123 1.14 gives in its file kat_vectors for philox4x32, 10 rounds. */
static void philox_gives_the_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t got[4];
        at_philox(cases[i].counter, cases[i].key, got);
        check_same_bits(got, cases[i].want, sizeof got);
    }
}

static void state_of_two_numbers_resumes(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(7, AT_RNG_SAMPLE);
    for (int i = 0; i < 13; i++)
        at_rng_word(&rng);
    at_rng copy = {rng.key, rng.position};
    assert_int_equal(copy.position, 13);
    for (int i = 0; i < 50; i++)
        assert_int_equal(at_rng_word(&copy), at_rng_word(&rng));
}

static void seeds_and_purposes_differ(void **state)
{
    (void)state;
    at_rng a = at_rng_make(1, AT_RNG_INIT), b = at_rng_make(1, AT_RNG_SHUFFLE),
           c = at_rng_make(2, AT_RNG_INIT);
    uint32_t x = at_rng_word(&a), y = at_rng_word(&b), z = at_rng_word(&c);
    assert_true(x != y && y != z && x != z);
}

/* 70,000 draws of 7: each count is 10,000 with deviation 93; five deviations are allowed. */
static void below_is_even(void **state)
{
    (void)state;
    int counts[7] = {0};
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (int i = 0; i < 70000; i++)
        counts[at_rng_below(&rng, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(counts[i], 10000 - 465, 10000 + 465);
    assert_int_equal(at_rng_below(&rng, 1), 0);
}

static void moments_are_right(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    double uniform = 0, normal = 0, square = 0;
    for (int i = 0; i < DRAWS; i++) {
        float u = at_rng_uniform(&rng), n = at_rng_normal(&rng);
        assert_true(u >= 0 && u < 1 && isfinite(n));
        uniform += (double)u;
        normal += (double)n;
        square += (double)n * (double)n;
    }
    /* Five standard errors each. */
    assert_true(fabs(uniform / DRAWS - 0.5) < 5 * 0.2887 / sqrt(DRAWS));
    assert_true(fabs(normal / DRAWS) < 5 / sqrt(DRAWS));
    assert_true(fabs(square / DRAWS - 1) < 5 * sqrt(2.0 / DRAWS));
}

static void a_shuffle_is_a_permutation(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    uint32_t items[COUNT];
    bool seen[COUNT] = {false};
    size_t moved = 0;
    for (uint32_t i = 0; i < COUNT; i++)
        items[i] = i;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_SHUFFLE);
    at_rng_shuffle(&rng, items, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_false(seen[items[i]]);
        seen[items[i]] = true;
        moved += items[i] != i;
    }
    assert_true(moved > COUNT * 9 / 10);
    at_rng_shuffle(&rng, items, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(state_of_two_numbers_resumes),
        cmocka_unit_test(seeds_and_purposes_differ),
        cmocka_unit_test(below_is_even),
        cmocka_unit_test(moments_are_right),
        cmocka_unit_test(a_shuffle_is_a_permutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
