/* Rotary positions: turns worked out by hand, distance alone in products, every level, threads, messages. */
#include "layer/rotary.h"
#include <math.h>
#include <string.h>
#include "tests/gradient.h"
#include "tests/kernel/levels.h"

/* Quarter turns: (a, b) becomes (-b, a) once, (-a, -b) twice. */
static void quarter_turns_by_hand(void **state)
{
    (void)state;
    static const float cosines[] = {1, 1, 0, 0, -1, -1}, sines[] = {0, 0, 1, 1, 0, 0};
    static const float apart[] = {1, 2, 3, 4, 9, -3, -4, 1, 2, 9, -1, -2, -3, -4, 9};
    static const float beside[] = {1, 2, 3, 4, 9, -2, 1, -4, 3, 9, -1, -2, -3, -4, 9};
    static const int32_t offsets[] = {0, 3};
    static float x[] = {1, 2, 3, 4, 9, 1, 2, 3, 4, 9, 1, 2, 3, 4, 9}; /* the fifth element does not turn */
    at_rows rows = {1, offsets, NULL};
    for (size_t l = 0; l < level_count(); l++) {
        at_exec *exec;
        at_tape *tape;
        check_ok(at_exec_new(level(l)->name, 1, &exec));
        check_ok(at_tape_new(exec, &tape));
        at_rotary rotary = {cosines, sines, 3, 4, false, NULL};
        at_var *leaf = at_leaf(tape, at_shape2(3, 5), x, NULL);
        check_near(at_rotate(tape, &rotary, leaf, 1, &rows, NULL)->data, apart, 15, 0);
        rotary.interleaved = true;
        check_near(at_rotate(tape, &rotary, leaf, 1, &rows, NULL)->data, beside, 15, 0);
        at_tape_free(tape);
        at_exec_free(exec);
    }
}

/* frequencies 10000^(-2i/4) are 1 and 0.01; far positions keep the digits of a float. */
static void tables_follow_the_formula(void **state)
{
    (void)state;
    enum { FAR = 20000 };
    double frequencies[2];
    at_rotary_frequencies(frequencies, 4, 10000);
    assert_true(fabs(frequencies[0] - 1) < 1e-15 && fabs(frequencies[1] - 0.01) < 1e-15);
    float *cosines = check_guarded(2 * FAR), *sines = check_guarded(2 * FAR);
    at_rotary_tables(cosines, sines, FAR, 2, frequencies);
    static const float near[] = {0.540302306f, 0.999950000f, 0.841470985f, 0.00999983333f};
    check_near(cosines + 2, near, 2, 1e-7);
    check_near(sines + 2, near + 2, 2, 1e-7);
    for (size_t p = 0; p < FAR; p += 997) {
        assert_true(fabs((double)cosines[2 * p + 1] - cos(0.01 * (double)p)) < 1e-7);
        assert_true(fabs((double)sines[2 * p] - sin((double)p)) < 1e-7);
    }
    check_guard_free(cosines);
    check_guard_free(sines);
}

/* q at position m times k at position n depends on m - n only: what the paper is about. */
static void products_depend_on_the_distance(void **state)
{
    (void)state;
    enum { WIDTH = 24, POSITIONS = 40 };
    double frequencies[WIDTH / 2];
    float cosines[POSITIONS * WIDTH / 2], sines[POSITIONS * WIDTH / 2], x[2 * WIDTH];
    at_rotary_frequencies(frequencies, WIDTH, 10000);
    at_rotary_tables(cosines, sines, POSITIONS, WIDTH / 2, frequencies);
    gradient_random(x, 2 * WIDTH, 4, 1);
    static const int32_t offsets[] = {0, 1, 2};
    at_rows rows = {2, offsets, NULL};
    at_exec *exec;
    at_tape *tape;
    check_ok(at_exec_new(NULL, 1, &exec));
    check_ok(at_tape_new(exec, &tape));
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        at_rotary rotary = {cosines, sines, POSITIONS, WIDTH, interleaved, NULL};
        float want = 0;
        for (int32_t n = 0; n < 30; n += 3) {
            int32_t starts[] = {n + 7, n};
            const at_var *y =
                at_rotate(tape, &rotary, at_leaf(tape, at_shape2(2, WIDTH), x, NULL), 1, &rows, starts);
            float product = at_kernels_ref.dot(y->data, y->data + WIDTH, WIDTH);
            want = n == 0 ? product : want;
            check_near(&product, &want, 1, 1e-5);
        }
        assert_true(fabsf(want - at_kernels_ref.dot(x, x + WIDTH, WIDTH)) > 1e-3f);
    }
    at_tape_free(tape);
    at_exec_free(exec);
}

/* Every level against the reference at the sizes where vectors go wrong, in place, back and added. */
static void levels_equal_the_reference(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < 4 * EDGE_SIZES; i++) {
            size_t pairs = edge_sizes[i / 4], width = 2 * pairs + i % 3, heads = 1 + i % 2, n = heads * width;
            float *x = random_block(&rng, n, 1), *c = random_block(&rng, pairs, 1);
            float *s = random_block(&rng, pairs, 1), *got = random_block(&rng, n, 1);
            float *want = copy_block(got, n), *there = copy_block(x, n);
            at_turn t = {got, x, heads, width, c, s, pairs, false, i & 1, i & 2};
            level(l)->turn(&t);
            t.out = want;
            at_kernels_ref.turn(&t);
            check_near(got, want, n, 1e-6);
            if (!t.accumulate) {
                t.out = there;
                t.x = there;
                level(l)->turn(&t);
                check_same_bits(there, got, n * sizeof *got);
            }
            float *blocks[] = {x, c, s, got, want, there};
            for (size_t b = 0; b < 6; b++)
                check_guard_free(blocks[b]);
        }
}

static void same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    enum { ROWS = 700, WIDTH = 66 };
    static float x[ROWS * WIDTH], first[ROWS * WIDTH], cosines[ROWS * 16], sines[ROWS * 16];
    static const int32_t offsets[] = {0, 300, 301, ROWS};
    static const int threads[] = {1, 2, 3, 8, 16};
    double frequencies[16];
    at_rotary_frequencies(frequencies, 32, 10000);
    at_rotary_tables(cosines, sines, ROWS, 16, frequencies);
    gradient_random(x, ROWS * WIDTH, 4, 1);
    at_rotary rotary = {cosines, sines, ROWS, 32, false, NULL};
    at_rows rows = {3, offsets, NULL};
    for (int i = 0; i < 5; i++) {
        at_exec *exec;
        at_tape *tape;
        check_ok(at_exec_new(NULL, threads[i], &exec));
        check_ok(at_tape_new(exec, &tape));
        const at_var *y =
            at_rotate(tape, &rotary, at_leaf(tape, at_shape2(ROWS, WIDTH), x, NULL), 2, &rows, NULL);
        assert_non_null(y);
        if (i == 0)
            memcpy(first, y->data, sizeof first);
        check_same_bits(y->data, first, sizeof first);
        at_tape_free(tape);
        at_exec_free(exec);
    }
}

/* A short table with frequencies turns as a long one does: rows before, at and behind its end, in two
 * sequences. */
static void positions_behind_the_tables_are_worked_out(void **state)
{
    (void)state;
    enum { SHORT = 5, LONG = 4000, PAIRS = 3, WIDTH = 2 * PAIRS, COUNT = 7 };
    double frequencies[PAIRS];
    static float cosines[LONG * PAIRS], sines[LONG * PAIRS], x[COUNT * WIDTH];
    static const int32_t offsets[] = {0, 4, COUNT}, starts[] = {3, 3990};
    at_rotary_frequencies(frequencies, WIDTH, 10000);
    at_rotary_tables(cosines, sines, LONG, PAIRS, frequencies);
    gradient_random(x, COUNT * WIDTH, 4, 1);
    at_rows rows = {2, offsets, NULL};
    at_exec *exec;
    at_tape *tape;
    check_ok(at_exec_new(NULL, 1, &exec));
    check_ok(at_tape_new(exec, &tape));
    at_rotary whole = {cosines, sines, LONG, WIDTH, false, NULL},
              part = {cosines, sines, SHORT, WIDTH, false, frequencies};
    at_var *leaf = at_leaf(tape, at_shape2(COUNT, WIDTH), x, NULL);
    const at_var *want = at_rotate(tape, &whole, leaf, 1, &rows, starts),
                 *got = at_rotate(tape, &part, leaf, 1, &rows, starts);
    assert_true(want && got);
    check_same_bits(got->data, want->data, COUNT * WIDTH * sizeof(float));
    at_tape_free(tape);
    at_exec_free(exec);
}

static void widths_that_do_not_fit_are_named(void **state)
{
    (void)state;
    static const float one[4] = {1, 1, 1, 1};
    static float x[12];
    static const int32_t offsets[] = {0, 2};
    static const struct {
        size_t width, heads;
        int64_t rows;
        const char *message;
    } bad[] = {{2, 4, 2, "rotary: (2,6) has no 4 heads of which the first 2 elements turn in pairs"},
               {3, 2, 2, "rotary: (2,6) has no 2 heads of which the first 3 elements"},
               {4, 3, 2, "rotary: (2,6) has no 3 heads of which the first 4 elements"},
               {2, 0, 2, "rotary: (2,6) has no 0 heads"},
               {2, 1, 1, "rotary: want (2,6), got (1,6)"}};
    at_exec *exec;
    at_tape *tape;
    check_ok(at_exec_new(NULL, 1, &exec));
    check_ok(at_tape_new(exec, &tape));
    at_rows rows = {1, offsets, NULL};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
        at_rotary rotary = {one, one, 2, bad[i].width, false, NULL};
        at_var *leaf = at_leaf(tape, at_shape2(bad[i].rows, 6), x, NULL);
        assert_null(at_rotate(tape, &rotary, leaf, bad[i].heads, &rows, NULL));
        check_fails(at_tape_status(tape), AT_ESHAPE, bad[i].message);
    }
    at_tape_free(tape);
    at_exec_free(exec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quarter_turns_by_hand),
        cmocka_unit_test(tables_follow_the_formula),
        cmocka_unit_test(products_depend_on_the_distance),
        cmocka_unit_test(levels_equal_the_reference),
        cmocka_unit_test(same_bits_for_any_number_of_threads),
        cmocka_unit_test(positions_behind_the_tables_are_worked_out),
        cmocka_unit_test(widths_that_do_not_fit_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
