/* Training curves: well-formed, gaps at NaN, any range of numbers, long series. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "draw/curves.h"
#include "tests/check.h"
#include "tests/draw/xml.h"

static const double steps[] = {100, 200, 300, 400, 500, 600};
static const double loss[] = {5.0, 4.0, NAN, 3.0, 2.5, 2.2};
static const double bleu[] = {NAN, 10.0, NAN, 20.0, NAN, NAN};
static const double rate[] = {1e-3, 2e-3, 3e-3, 2.5e-3, 2.1e-3, 2e-3};

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
        n++;
    return n;
}

static void draws_four_series_on_three_scales(void **state)
{
    (void)state;
    at_series series[] = {{"loss", steps, loss, 6, AT_AXIS_LEFT},
                          {"valid <loss>", steps, rate, 6, AT_AXIS_LEFT},
                          {"BLEU", steps, bleu, 6, AT_AXIS_RIGHT},
                          {"lr", steps, rate, 6, AT_AXIS_BELOW}};
    at_curves curves = {.title = "a & b",
                        .x_label = "step",
                        .series = series,
                        .count = 4,
                        .caption = "seed 1; best step 500 <here>"};
    at_buf out = {0};
    check_ok(at_curves_svg(&curves, &out));
    check_xml(out.data);
    assert_non_null(strstr(out.data, "loss 2.2<"));
    assert_non_null(strstr(out.data, "BLEU 20 (right)"));
    assert_non_null(strstr(out.data, "lr 0.002 (below)"));
    assert_non_null(strstr(out.data, "valid &lt;loss&gt;"));
    assert_int_equal(count(out.data, "<circle"), 5 + 6 + 2 + 6);
    assert_null(strstr(out.data, "nan"));
    at_buf_free(&out);
}

static void a_nan_is_a_gap(void **state)
{
    (void)state;
    at_series series = {"loss", steps, loss, 6, AT_AXIS_LEFT};
    at_buf out = {0};
    check_ok(at_curves_svg(&(at_curves){.series = &series, .count = 1}, &out));
    check_xml(out.data);
    /* The legend's sample has the class too; the curve comes after it. */
    const char *path = strstr(out.data, "class=\"l l0\"");
    assert_non_null(path);
    path = strstr(path + 1, "class=\"l l0\"");
    assert_non_null(path);
    path = strstr(path, "d=\"") + 3;
    size_t moves = 0, draws = 0;
    for (; *path != '"'; path++) {
        moves += *path == 'M';
        draws += *path == 'L';
    }
    assert_int_equal(moves, 2);
    assert_int_equal(draws, 3);
    at_buf_free(&out);
}

static void any_range_of_numbers_gives_finite_coordinates(void **state)
{
    (void)state;
    static const double ranges[][2] = {{0, 0},         {3, 3},          {-5, 5},    {1e-12, 2e-12},
                                       {1e9, 1e9 + 1}, {-1e30, 1e30},   {NAN, NAN}, {INFINITY, 1.0},
                                       {7, NAN},       {1e-300, 1e300}, {-2, -2},   {0.1, 0.3001}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        for (int axis = 0; axis < AT_AXIS_COUNT; axis++) {
            at_series series = {"y", steps, ranges[i], 2, (at_axis)axis};
            at_buf out = {0};
            check_ok(at_curves_svg(&(at_curves){.series = &series, .count = 1}, &out));
            check_xml(out.data);
            assert_null(strstr(out.data, "nan"));
            assert_null(strstr(out.data, "inf"));
            assert_true(count(out.data, "class=\"s e\"") < 40);
            at_buf_free(&out);
        }
    }
}

static void long_series_are_thinned_and_keep_their_spikes(void **state)
{
    (void)state;
    enum { N = 100000 };
    double *x = at_alloc_array(N, sizeof *x), *y = at_alloc_array(N, sizeof *y);
    assert_non_null(x);
    assert_non_null(y);
    for (int i = 0; i < N; i++) {
        x[i] = i;
        y[i] = i == 54321 ? 10.0 : 1.0 + 1e-6 * i;
    }
    at_series series = {"loss", x, y, N, AT_AXIS_LEFT};
    at_buf out = {0};
    check_ok(at_curves_svg(&(at_curves){.series = &series, .count = 1}, &out));
    check_xml(out.data);
    assert_true(out.length < 40000);
    assert_non_null(strstr(out.data, " 84.0L")); /* the top of the panel: the spike */
    at_buf_free(&out);
    at_free(x);
    at_free(y);
}

static void no_series_is_an_error(void **state)
{
    (void)state;
    at_buf out = {0};
    check_fails(at_curves_svg(&(at_curves){0}, &out), AT_EARG, "no series");
    at_series series = {"empty", NULL, NULL, 0, AT_AXIS_LEFT};
    check_ok(at_curves_svg(&(at_curves){.series = &series, .count = 1}, &out));
    check_xml(out.data);
    assert_non_null(strstr(out.data, "empty (no values)"));
    at_buf_free(&out);
}

static at_status draw_all(void *context)
{
    (void)context;
    at_series series[] = {{"loss", steps, loss, 6, AT_AXIS_LEFT}, {"lr", steps, rate, 6, AT_AXIS_BELOW}};
    at_buf out = {0};
    at_status st = at_curves_svg(&(at_curves){.series = series, .count = 2, .caption = "one two"}, &out);
    at_buf_free(&out);
    return st;
}

static void every_failing_allocation_is_an_error_without_leak(void **state)
{
    (void)state;
    check_every_allocation(draw_all, NULL, 500);
}

static void logarithms_have_whole_powers_for_ticks(void **state)
{
    (void)state;
    static const double lengths[] = {64, 128, 0, 1024, 16384}, times[] = {0.01, 0.02, 5, -1, 700};
    at_series series = {"ms", lengths, times, 5, AT_AXIS_LEFT};
    at_buf out = {0};
    check_ok(at_curves_svg(&(at_curves){.series = &series, .count = 1, .x_log = 2, .y_log = 10}, &out));
    check_xml(out.data);
    assert_int_equal(count(out.data, "<circle"), 3); /* neither length 0 nor time -1 */
    assert_non_null(strstr(out.data, ">64</text>"));
    assert_non_null(strstr(out.data, ">16384</text>"));
    assert_non_null(strstr(out.data, ">0.01</text>"));
    assert_non_null(strstr(out.data, ">1000</text>"));
    assert_null(strstr(out.data, "nan"));
    assert_null(strstr(out.data, "inf"));
    at_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_four_series_on_three_scales),
        cmocka_unit_test(logarithms_have_whole_powers_for_ticks),
        cmocka_unit_test(a_nan_is_a_gap),
        cmocka_unit_test(any_range_of_numbers_gives_finite_coordinates),
        cmocka_unit_test(long_series_are_thinned_and_keep_their_spikes),
        cmocka_unit_test(no_series_is_an_error),
        cmocka_unit_test(every_failing_allocation_is_an_error_without_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
