/* The profile: each second belongs to a row, work to the operation that did it, and peaks are plausible. */
#include <stdio.h>
#include "tests/check.h"
#include "kernel/exec.h"

static void test_rows_add_up(void **state AT_UNUSED)
{
    at_profile profile;
    at_profile_start(&profile);
    double start = profile.last;
    profile.flops = 10;
    at_profile_take(&profile, "a", false);
    profile.bytes = 5;
    at_profile_take(&profile, "a", true);
    profile.flops = 3;
    at_profile_take(&profile, "a", false);
    assert_int_equal(profile.count, 2);
    assert_int_equal(profile.rows[0].calls, 2);
    assert_int_equal(profile.rows[1].calls, 1);
    assert_true(profile.rows[1].backward);
    assert_true(profile.rows[0].flops == 13 && profile.rows[0].bytes == 0);
    assert_true(profile.rows[1].flops == 0 && profile.rows[1].bytes == 5);
    double sum = profile.rows[0].seconds + profile.rows[1].seconds;
    assert_true(sum >= 0);
    assert_true(sum - (profile.last - start) < 1e-9 && sum - (profile.last - start) > -1e-9);
}

/* More names than rows: what finds none is kept together, not lost. */
static void test_no_room(void **state AT_UNUSED)
{
    static char names[AT_PROFILE_ROWS + 10][8];
    at_profile profile;
    at_profile_start(&profile);
    for (int i = 0; i < AT_PROFILE_ROWS + 10; i++) {
        snprintf(names[i], sizeof names[i], "n%d", i);
        profile.flops = 1;
        at_profile_take(&profile, names[i], false);
    }
    assert_int_equal(profile.count, AT_PROFILE_ROWS);
    assert_string_equal(profile.rows[AT_PROFILE_ROWS - 1].name, "others");
    assert_int_equal(profile.rows[AT_PROFILE_ROWS - 1].calls, 11);
    assert_true(profile.rows[AT_PROFILE_ROWS - 1].flops == 11);
}

static void test_product_is_counted(void **state AT_UNUSED)
{
    at_exec *exec;
    assert_int_equal(at_exec_new(NULL, 1, &exec), AT_OK);
    float a[6] = {1, 2, 3, 4, 5, 6}, b[12] = {0}, c[8];
    at_gemm g = {.a = a, .a_row = 3, .a_col = 1, .c = c, .c_row = 4, .m = 2, .n = 4, .k = 3};
    at_gemm_plain(exec, &g, b, 4);
    at_exec_gemm(exec, &g); /* nobody asked: nothing happens */
    at_profile profile;
    at_profile_start(&profile);
    exec->profile = &profile;
    at_exec_gemm(exec, &g);
    at_exec_took(exec, "product", false);
    assert_true(profile.rows[0].flops == 2 * 2 * 4 * 3);
    assert_true(profile.rows[0].bytes == 4 * (2 * 3 + 3 * 4 + 2 * 4));
    at_exec_free(exec);
}

static void test_peaks(void **state AT_UNUSED)
{
    const at_kernels *const *list;
    size_t count = at_kernels_usable(&list);
    for (size_t i = 0; i < count; i++) {
        at_exec *exec;
        double flops = 0, bytes = 0;
        assert_int_equal(at_exec_new(list[i]->name, 1, &exec), AT_OK);
        assert_int_equal(at_exec_peaks(exec, &flops, &bytes), AT_OK);
        assert_true(flops > 1e7 && flops < 1e13);
        assert_true(bytes > 1e7 && bytes < 1e13);
        at_exec_free(exec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_add_up),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_product_is_counted),
        cmocka_unit_test(test_peaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
