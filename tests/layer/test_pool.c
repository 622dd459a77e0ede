/* Pooling by hand: values, weights, empty sequences; the same bits for any number of threads. */
#include <string.h>
#include "layer/pool.h"
#include "tests/check.h"

static const int32_t offsets[] = {0, 2, 2, 5};
static const at_rows rows = {3, offsets, NULL};
static const float x[] = {1, 4, 3, -2, 0, 1, 6, 1, 3, 4}; /* (5,2) */

static at_exec *exec;
static at_tape *tape;

static int open_tape(void **state)
{
    (void)state;
    check_ok(at_exec_new(NULL, 2, &exec));
    check_ok(at_tape_new(exec, &tape));
    at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
    return 0;
}

static int close_tape(void **state)
{
    (void)state;
    at_tape_free(tape);
    at_exec_free(exec);
    return 0;
}

static at_var *leaf(void)
{
    return at_leaf(tape, at_shape2(5, 2), (float *)(uintptr_t)x, NULL);
}

static void mean_and_max_of_sequences(void **state)
{
    (void)state;
    at_var *mean = at_pool_rows(tape, leaf(), &rows, AT_POOL_MEAN);
    at_var *max = at_pool_rows(tape, leaf(), &rows, AT_POOL_MAX);
    check_near(mean->data, ((float[]){2, 1, 0, 0, 3, 2}), 6, 1e-6);
    check_near(max->data, ((float[]){3, 4, 0, 0, 6, 4}), 6, 0);
}

/* Scores ln 3 and 0: weights 3/4 and 1/4; the last sequence has equal scores. */
static void weights_are_softmax_in_each_sequence(void **state)
{
    (void)state;
    static float scores[] = {1.0986123f, 0, 5, 5, 5};
    const float *weights;
    at_var *sum =
        at_pool_weighted(tape, leaf(), at_leaf(tape, at_shape2(5, 1), scores, NULL), &rows, &weights);
    check_near(weights, ((float[]){0.75f, 0.25f, 1 / 3.0f, 1 / 3.0f, 1 / 3.0f}), 5, 1e-6);
    check_near(sum->data, ((float[]){1.5f, 2.5f, 0, 0, 3, 2}), 6, 1e-6);
    check_ok(at_tape_status(tape));
    assert_null(at_pool_weighted(tape, leaf(), leaf(), &rows, NULL));
    assert_int_equal(at_tape_status(tape), AT_ESHAPE);
    at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
}

static void rows_are_picked(void **state)
{
    (void)state;
    at_var *some = at_pick_rows(tape, leaf(), (int32_t[]){4, 0, 4}, 3);
    check_near(some->data, ((float[]){3, 4, 1, 4, 3, 4}), 6, 0);
    assert_int_equal(at_pick_rows(tape, leaf(), offsets, 0)->shape.dim[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mean_and_max_of_sequences),
        cmocka_unit_test(weights_are_softmax_in_each_sequence),
        cmocka_unit_test(rows_are_picked),
    };
    return cmocka_run_group_tests(tests, open_tape, close_tape);
}
