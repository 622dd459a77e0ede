/* Choosing kernels, cutting rows over threads, scratch. */
#include "tests/check.h"
#include <string.h>
#include "kernel/exec.h"

static void best_kernels_are_chosen_by_default(void **state)
{
    (void)state;
    const at_kernels *const *list;
    size_t count = at_kernels_usable(&list);
    assert_true(count >= 1);
    assert_ptr_equal(list[count - 1], &at_kernels_ref);
    unsetenv("ATTEND_KERNELS");
    at_exec *exec;
    check_ok(at_exec_new(NULL, 1, &exec));
    assert_ptr_equal(exec->kernels, list[0]);
    assert_int_equal(exec->threads, 1);
    at_exec_free(exec);
    assert_true(strlen(at_cpu_name()) > 0);
}

/* Every entry of every table is there. */
static void tables_have_no_hole(void **state)
{
    (void)state;
    const at_kernels *const *list;
    size_t count = at_kernels_usable(&list);
    for (size_t i = 0; i < count; i++) {
        void *entries[(sizeof(at_kernels) - offsetof(at_kernels, pack)) / sizeof(void *)];
        memcpy(entries, (const char *)list[i] + offsetof(at_kernels, pack), sizeof entries);
        for (size_t e = 0; e < sizeof entries / sizeof *entries; e++)
            assert_non_null(entries[e]);
        assert_true(list[i]->panel > 0 && list[i]->tile > 0);
    }
}

static void kernels_are_chosen_by_name_and_by_environment(void **state)
{
    (void)state;
    at_exec *exec;
    check_ok(at_exec_new("ref", 2, &exec));
    assert_ptr_equal(exec->kernels, &at_kernels_ref);
    at_exec_free(exec);
    setenv("ATTEND_KERNELS", "ref", 1);
    check_ok(at_exec_new(NULL, 1, &exec));
    assert_ptr_equal(exec->kernels, &at_kernels_ref);
    at_exec_free(exec);
    setenv("ATTEND_KERNELS", "mmx", 1);
    check_fails(at_exec_new(NULL, 1, &exec), AT_EARG, "environment ATTEND_KERNELS: 'mmx' cannot run here");
    assert_null(exec);
    unsetenv("ATTEND_KERNELS");
    check_fails(at_exec_new("sse", 1, &exec), AT_EARG, "can run: ");
    check_fails(at_exec_new("ref", -1, &exec), AT_EARG, "threads");
}

enum { ROWS = 1000 };

static void count_rows(void *context, size_t first, size_t end, int worker)
{
    unsigned char *seen = context;
    assert_true(worker >= 0 && worker < 3);
    for (size_t i = first; i < end; i++)
        seen[i]++;
}

static void every_row_is_done_once(void **state)
{
    (void)state;
    at_exec *exec;
    check_ok(at_exec_new("ref", 3, &exec));
    static const size_t grains[] = {1, 7, 100, 999, 1000, 1001, SIZE_MAX};
    for (size_t g = 0; g < sizeof grains / sizeof *grains; g++)
        for (size_t rows = 0; rows <= ROWS; rows += 250) {
            unsigned char seen[ROWS] = {0};
            at_exec_rows(exec, rows, grains[g], count_rows, seen);
            for (size_t i = 0; i < ROWS; i++)
                assert_int_equal(seen[i], i < rows);
        }
    at_exec_free(exec);
}

static void each_worker_has_scratch_of_its_own(void **state)
{
    (void)state;
    at_exec *exec;
    check_ok(at_exec_new("ref", 3, &exec));
    static const size_t sizes[] = {1, 100, 17, 5000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        check_ok(at_exec_reserve(exec, sizes[s]));
        for (int worker = 0; worker < 3; worker++) {
            float *scratch = at_exec_scratch(exec, worker);
            assert_int_equal((uintptr_t)scratch % 64, 0);
            for (size_t i = 0; i < sizes[s]; i++)
                scratch[i] = (float)worker;
        }
        for (int worker = 0; worker < 3; worker++)
            for (size_t i = 0; i < sizes[s]; i++)
                assert_true(at_exec_scratch(exec, worker)[i] == (float)worker);
    }
    check_fails(at_exec_reserve(exec, SIZE_MAX / 2), AT_ENOMEM, NULL);
    at_exec_free(exec);
}

static at_status make_and_reserve(void *context)
{
    (void)context;
    at_exec *exec;
    at_status st = at_exec_new("ref", 2, &exec);
    if (st == AT_OK)
        st = at_exec_reserve(exec, 100);
    at_exec_free(exec);
    return st;
}

static void refused_memory_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    check_every_allocation(make_and_reserve, NULL, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_kernels_are_chosen_by_default),
        cmocka_unit_test(tables_have_no_hole),
        cmocka_unit_test(kernels_are_chosen_by_name_and_by_environment),
        cmocka_unit_test(every_row_is_done_once),
        cmocka_unit_test(each_worker_has_scratch_of_its_own),
        cmocka_unit_test(refused_memory_is_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
