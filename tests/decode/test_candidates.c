/* The best entries of long rows: against a full sort, with ties, bans, and rows cut into spans. */
#include "decode/candidates.h"
#include <math.h>
#include <stdlib.h>
#include "tests/gradient.h"

enum { ROWS = 5, MOST = 1000 };

typedef struct entry {
    float value;
    int32_t id;
} entry;

static int falling(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void check_rows(at_exec *exec, const float *logits, size_t n, size_t k, bool ties)
{
    static const bool no_end[ROWS] = {false, true, false, true, true};
    at_candidate got[ROWS * 64];
    at_candidate_request request = {logits, ROWS, n, k, {0, 1}, 2, no_end};
    at_candidates(exec, &request, got);
    for (size_t row = 0; row < ROWS; row++) {
        entry all[MOST];
        size_t count = 0;
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            sum += exp((double)logits[row * n + i]);
            if (i > 1 && !(i == 2 && no_end[row]))
                all[count++] = (entry){logits[row * n + i], (int32_t)i};
        }
        qsort(all, count, sizeof *all, falling);
        for (size_t i = 0; i < k; i++) {
            const at_candidate *c = &got[row * k + i];
            if (i >= count) { /* all there is has been given */
                assert_true(c->id == -1 && isinf(c->log_probability));
                continue;
            }
            assert_int_equal(c->id, all[i].id);
            assert_true(fabs((double)c->log_probability - ((double)all[i].value - log(sum))) <
                        (ties ? 1e-4 : 1e-5));
        }
    }
}

static void the_best_of_each_row(void **state)
{
    (void)state;
    static float logits[ROWS * MOST];
    static const size_t sizes[] = {4, 6, 127, 128, 129, 300, 1000};
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    for (size_t set = 0; set < count; set++) {
        at_exec *exec;
        check_ok(at_exec_new(sets[set]->name, 3, &exec));
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            for (int ties = 0; ties < 2; ties++) {
                gradient_random(logits, ROWS * sizes[s], (uint32_t)s, 2);
                for (size_t i = 0; ties && i < ROWS * sizes[s]; i++)
                    logits[i] = roundf(logits[i]); /* many equal ones: the lower id comes first */
                check_rows(exec, logits, sizes[s], 1, ties);
                check_rows(exec, logits, sizes[s], sizes[s] < 64 ? sizes[s] : 64, ties);
                check_rows(exec, logits, sizes[s], 3, ties);
            }
        }
        at_exec_free(exec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_best_of_each_row)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
