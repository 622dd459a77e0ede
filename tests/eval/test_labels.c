/* Accuracy, F1, confusion and calibration, worked out by hand. */
#include <math.h>

#include "eval/labels.h"
#include "tests/check.h"

static void expect(double got, double want)
{
    if (!(fabs(got - want) < 1e-12))
        fail_msg("got %.15f, want %.15f", got, want);
}

/* gold 0: 3 right, 1 taken for 1; gold 1: 2 right, 2 taken for 0; gold 2: 1 right; class 3 never occurs.
 * 0: P 3/5, R 3/4, F 2/3; 1: P 2/3, R 1/2, F 4/7; 2: all 1. */
static const size_t pairs[][2] = {{0, 0}, {0, 0}, {0, 0}, {0, 1}, {1, 1}, {1, 1}, {1, 0}, {1, 0}, {2, 2}};

static void figures_equal_those_by_hand(void **state)
{
    (void)state;
    at_labels labels;
    check_ok(at_labels_new(4, &labels));
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        check_ok(at_labels_add(&labels, pairs[i][0], pairs[i][1], 0.5));
    expect(at_labels_accuracy(&labels), 6.0 / 9);
    at_labels_class c = at_labels_of(&labels, 0);
    assert_int_equal(c.support, 4);
    assert_int_equal(c.given, 5);
    expect(c.precision, 0.6);
    expect(c.recall, 0.75);
    expect(c.f1, 2.0 / 3);
    c = at_labels_of(&labels, 1);
    expect(c.precision, 2.0 / 3);
    expect(c.recall, 0.5);
    expect(c.f1, 4.0 / 7);
    expect(at_labels_of(&labels, 3).f1, 0);
    expect(at_labels_macro_f1(&labels), (2.0 / 3 + 4.0 / 7 + 1) / 3);
    assert_int_equal(labels.confusion[1 * 4 + 0], 2);
    at_labels_free(&labels);
}

/* A class that is only guessed counts in the mean, with F 0. */
static void a_class_only_guessed_counts(void **state)
{
    (void)state;
    at_labels labels;
    check_ok(at_labels_new(3, &labels));
    check_ok(at_labels_add(&labels, 0, 0, 1));
    check_ok(at_labels_add(&labels, 0, 1, 1));
    expect(at_labels_macro_f1(&labels), (2.0 / 3 + 0) / 2);
    at_labels_free(&labels);
}

/* Two sure (0.9 each, one right) in one bin, two doubtful (0.3, both right) in another:
 * (2 |1/2 - 0.9| + 2 |1 - 0.3|) / 4. */
static void calibration_error_equals_that_by_hand(void **state)
{
    (void)state;
    at_labels labels;
    check_ok(at_labels_new(2, &labels));
    check_ok(at_labels_add(&labels, 0, 0, 0.9));
    check_ok(at_labels_add(&labels, 0, 1, 0.9));
    check_ok(at_labels_add(&labels, 1, 1, 0.3));
    check_ok(at_labels_add(&labels, 1, 1, 0.3));
    expect(at_labels_calibration_error(&labels), (2 * 0.4 + 2 * 0.7) / 4);
    at_labels_free(&labels);
    check_ok(at_labels_new(2, &labels)); /* the edges: 0 and 1 have bins */
    check_ok(at_labels_add(&labels, 0, 0, 1));
    check_ok(at_labels_add(&labels, 0, 1, 0));
    expect(at_labels_calibration_error(&labels), 0);
    assert_int_equal(labels.bins[0].count, 1);
    assert_int_equal(labels.bins[AT_LABELS_BINS - 1].count, 1);
    at_labels_free(&labels);
}

static void nothing_and_the_impossible(void **state)
{
    (void)state;
    at_labels labels;
    check_fails(at_labels_new(0, &labels), AT_EARG, "at least one class");
    check_ok(at_labels_new(2, &labels));
    expect(at_labels_accuracy(&labels), 0);
    expect(at_labels_macro_f1(&labels), 0);
    expect(at_labels_calibration_error(&labels), 0);
    check_fails(at_labels_add(&labels, 2, 0, 1), AT_EARG, "there are 2 classes");
    check_fails(at_labels_add(&labels, 0, 2, 1), AT_EARG, "there are 2 classes");
    assert_int_equal(labels.count, 0);
    at_labels_free(&labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_equal_those_by_hand),
        cmocka_unit_test(a_class_only_guessed_counts),
        cmocka_unit_test(calibration_error_equals_that_by_hand),
        cmocka_unit_test(nothing_and_the_impossible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
