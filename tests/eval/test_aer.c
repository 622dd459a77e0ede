/* Alignment error rate, worked out by hand; links as text. */
#include "eval/aer.h"
#include <math.h>
#include "tests/check.h"

static at_aer_counts count(const char *proposed, const char *gold)
{
    at_aer_counts counts = {0};
    at_links a = {0}, g = {0};
    check_ok(at_links_parse(proposed, &a));
    check_ok(at_links_parse(gold, &g));
    at_aer_add(&counts, &a, &g);
    at_links_free(&a);
    at_links_free(&g);
    return counts;
}

static void near(double got, double want)
{
    if (fabs(got - want) > 1e-12)
        fail_msg("got %.15g, want %.15g", got, want);
}

static void sure_and_possible_links(void **state)
{
    (void)state;
    /* A = {0-0, 1-1, 2-3, 3-2}; S = {0-0, 1-1, 3-3}; P = S and {2-3, 1-0}.
     * |A and S| = 2, |A and P| = 3: AER = 1 - 5 / 7; precision 3/4, recall 2/3. */
    at_aer_counts c = count("3-2 0-0 2-3 1-1", "0-0 1-1 1p0 2?3 3-3");
    assert_int_equal(c.proposed, 4);
    assert_int_equal(c.sure, 3);
    assert_int_equal(c.proposed_sure, 2);
    assert_int_equal(c.possible, 3);
    at_aer_score s = at_aer_compute(&c);
    near(s.aer, 2.0 / 7);
    near(s.precision, 0.75);
    near(s.recall, 2.0 / 3);
}

static void ends_of_the_scale(void **state)
{
    (void)state;
    at_aer_counts c = count("0-0 1-2", "0-0 1-2");
    near(at_aer_compute(&c).aer, 0);
    c = count("0-0 1-2", "0-1 1p0"); /* nothing right */
    near(at_aer_compute(&c).aer, 1);
    c = count("1-2", "1p2"); /* possible links alone: 1 - (0 + 1) / (1 + 0) */
    near(at_aer_compute(&c).aer, 0);
    c = count("", "0-0");
    near(at_aer_compute(&c).aer, 1);
    near(at_aer_compute(&c).precision, 1);
    c = count("", "");
    near(at_aer_compute(&c).aer, 0);
}

static void lines_add_up(void **state)
{
    (void)state;
    /* Together, not the mean of lines: 1 - (1 + 0 + 1 + 1) / (2 + 2). */
    at_aer_counts all = {0};
    const char *const pairs[][2] = {{"0-0", "0-0"}, {"5-5", "1-1 2p2 5p5"}};
    at_links a = {0}, g = {0};
    for (size_t i = 0; i < 2; i++) {
        check_ok(at_links_parse(pairs[i][0], &a));
        check_ok(at_links_parse(pairs[i][1], &g));
        at_aer_add(&all, &a, &g);
    }
    near(at_aer_compute(&all).aer, 0.25);
    json_t *object = at_aer_json(&all);
    assert_string_equal(json_string_value(json_object_get(object, "name")), "AER");
    near(json_real_value(json_object_get(object, "score")), 0.25);
    json_decref(object);
    at_links_free(&a);
    at_links_free(&g);
}

static void links_as_text(void **state)
{
    (void)state;
    at_links l = {0};
    check_ok(at_links_parse("  2-1\t0-0 2p1 0-0 \n", &l)); /* each once, sure if sure anywhere */
    assert_int_equal(l.count, 2);
    assert_true(l.list[0].source == 0 && l.list[0].target == 0 && !l.list[0].possible);
    assert_true(l.list[1].source == 2 && l.list[1].target == 1 && !l.list[1].possible);
    check_ok(at_links_parse("", &l));
    assert_int_equal(l.count, 0);
    static const char *const bad[] = {"0",   "0-", "-1", "0-1-2", "a-b", "0-1x", "0:1", "99999999999-0",
                                      "0--1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_fails(at_links_parse(bad[i], &l), AT_EFORMAT, "is no link");
    at_links_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sure_and_possible_links),
        cmocka_unit_test(ends_of_the_scale),
        cmocka_unit_test(lines_add_up),
        cmocka_unit_test(links_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
