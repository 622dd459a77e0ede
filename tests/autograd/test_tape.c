/* The tape itself: sticky errors, blocks that go back, dropout's masks, gradients that add up. */
#include <math.h>
#include <string.h>
#include "autograd/ops.h"
#include "tests/gradient.h"

typedef struct bench {
    at_exec *exec;
    at_tape *tape;
} bench;

static int open_bench(void **state)
{
    static bench b;
    check_ok(at_exec_new(NULL, 1, &b.exec));
    check_ok(at_tape_new(b.exec, &b.tape));
    *state = &b;
    return 0;
}

static int close_bench(void **state)
{
    bench *b = *state;
    at_tape_free(b->tape);
    at_exec_free(b->exec);
    return 0;
}

static void shapes_that_do_not_fit_stick_with_both_shapes(void **state)
{
    at_tape *tape = ((bench *)*state)->tape;
    float x[12] = {0};
    at_tape_begin(tape, AT_TAPE_CHECK, 0, 0);
    at_var *a = at_leaf(tape, at_shape2(3, 4), x, NULL), *b = at_leaf(tape, at_shape2(4, 3), x, NULL);
    assert_null(at_add(tape, a, b));
    check_fails(at_tape_status(tape), AT_ESHAPE, "want (3,4), got (4,3)");
    assert_null(at_scale(tape, a, 2)); /* the first error stays */
    assert_null(at_add(tape, NULL, a));
    assert_int_equal(at_tape_backward(tape, NULL), AT_ESHAPE);
    at_tape_reset(tape);
    check_ok(at_tape_status(tape));
    a = at_leaf(tape, at_shape2(3, 4), x, NULL);
    assert_null(at_matmul(tape, a, a, false));
    check_fails(at_tape_status(tape), AT_ESHAPE, "(3,4) and (3,4)");
    at_tape_reset(tape);
    a = at_leaf(tape, at_shape3(3, 2, 2), x, NULL);
    assert_null(at_matmul(tape, a, a, true));
    check_fails(at_tape_status(tape), AT_ESHAPE, "want rank 2, got (3,2,2)");
    at_tape_reset(tape);
}

static void gradients_add_to_what_leaves_hold(void **state)
{
    at_tape *tape = ((bench *)*state)->tape;
    float x[] = {1, 2, 3}, grad[] = {10, 20, 30};
    for (int round = 1; round <= 2; round++) {
        at_tape_begin(tape, AT_TAPE_CHECK, 0, 0);
        at_var *v = at_leaf(tape, at_shape1(3), x, grad);
        check_ok(at_tape_backward(tape, at_sum(tape, at_mul(tape, v, v))));
        for (int i = 0; i < 3; i++)
            assert_true(grad[i] == 10 * x[i] + (float)round * 2 * x[i]);
    }
    at_tape_reset(tape);
}

static void running_records_nothing(void **state)
{
    at_tape *tape = ((bench *)*state)->tape;
    float x[] = {1, 2, 3}, grad[3] = {0};
    size_t count;
    at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
    at_var *v = at_leaf(tape, at_shape1(3), x, grad), *y = at_mul(tape, v, v);
    at_tape_nodes(tape, &count);
    assert_int_equal(count, 0);
    assert_false(y->needs_grad);
    at_tape_begin(tape, AT_TAPE_CHECK, 0, 0);
    at_var *constant = at_leaf(tape, at_shape1(3), x, NULL);
    at_mul(tape, constant, constant);
    at_tape_nodes(tape, &count);
    assert_int_equal(count, 0); /* nobody wants its gradient */
    at_tape_reset(tape);
}

/* A hundred steps, half of them without backward, take no more memory than the first. */
static void memory_of_a_step_is_used_again(void **state)
{
    at_tape *tape = ((bench *)*state)->tape;
    static float x[64 * 64], grad[64 * 64];
    size_t first = 0;
    for (int step = 0; step < 100; step++) {
        at_tape_begin(tape, AT_TAPE_TRAIN, 1, (uint64_t)step);
        at_var *v = at_leaf(tape, at_shape2(64, 64), x, grad);
        at_var *y = at_matmul(tape, at_activate(tape, v, AT_GELU), v, true);
        at_var *loss = at_sum(tape, at_softmax(tape, at_add(tape, y, v)));
        float *lost = at_tape_borrow(tape, 5000); /* of an operation whose backward never runs */
        assert_non_null(lost);
        if (step == 0 || step % 2)
            check_ok(at_tape_backward(tape, loss));
        if (step == 1)
            first = at_tape_peak(tape);
    }
    assert_int_equal(at_tape_peak(tape), first);
    at_tape_reset(tape);
}

enum { ROWS = 6, WIDTH = 37 };

static void draw(at_tape *tape, float *out, const at_rows *rows, uint64_t seed, uint64_t step, int before)
{
    float x[ROWS * WIDTH];
    for (int i = 0; i < ROWS * WIDTH; i++)
        x[i] = 1;
    at_tape_begin(tape, AT_TAPE_TRAIN, seed, step);
    size_t n = at_rows_total(rows);
    at_var *v = at_leaf(tape, at_shape2((int64_t)n, WIDTH), x, NULL);
    for (int i = 0; i < before; i++)
        at_dropout_add(tape, NULL, v, 0.25f, rows);
    const at_var *y = at_dropout_add(tape, NULL, v, 0.25f, rows);
    assert_non_null(y);
    memcpy(out, y->data, n * WIDTH * sizeof *out);
    at_tape_reset(tape);
}

/* Seed, step, operation, example, position: each of the five changes the mask, and nothing else does. */
static void a_mask_is_a_function_of_five_things(void **state)
{
    at_tape *tape = ((bench *)*state)->tape;
    static const int32_t two[] = {0, 4, 6}, swapped[] = {0, 2, 6}, alone[] = {0, 4};
    static const uint32_t names[] = {5, 8}, names_swapped[] = {8, 5}, other[] = {6, 8};
    const at_rows rows = {2, two, names}, turned = {2, swapped, names_swapped}, first = {1, alone, names},
                  renamed = {2, two, other};
    float a[ROWS * WIDTH], b[ROWS * WIDTH];
    draw(tape, a, &rows, 1, 1, 0);
    draw(tape, b, &rows, 1, 1, 0);
    check_same_bits(a, b, sizeof a);
    draw(tape, b, &turned, 1, 1, 0); /* another batch order */
    check_same_bits(a, b + (size_t)2 * WIDTH, 4 * WIDTH * sizeof *a);
    check_same_bits(a + (size_t)4 * WIDTH, b, 2 * WIDTH * sizeof *a);
    draw(tape, b, &first, 1, 1, 0); /* alone in its batch */
    check_same_bits(a, b, 4 * WIDTH * sizeof *a);
    assert_memory_not_equal(a, a + WIDTH, WIDTH * sizeof *a);
    draw(tape, b, &renamed, 1, 1, 0);
    assert_memory_not_equal(a, b, WIDTH * sizeof *a);
    check_same_bits(a + (size_t)4 * WIDTH, b + (size_t)4 * WIDTH, 2 * WIDTH * sizeof *a);
    draw(tape, b, &rows, 2, 1, 0);
    assert_memory_not_equal(a, b, WIDTH * sizeof *a);
    draw(tape, b, &rows, 1, 2, 0);
    assert_memory_not_equal(a, b, WIDTH * sizeof *a);
    draw(tape, b, &rows, 1, 1, 1);
    assert_memory_not_equal(a, b, WIDTH * sizeof *a);
}

static void dropout_keeps_the_mean(void **state)
{
    at_tape *tape = ((bench *)*state)->tape;
    static const int32_t offsets[] = {0, ROWS};
    const at_rows rows = {1, offsets, NULL};
    float y[ROWS * WIDTH];
    double sum = 0;
    size_t kept = 0, drawn = 0;
    for (uint64_t step = 0; step < 200; step++) {
        draw(tape, y, &rows, 11, step, 0);
        for (int i = 0; i < ROWS * WIDTH; i++) {
            sum += (double)y[i];
            kept += y[i] != 0;
            drawn++;
            assert_true(y[i] == 0 || fabsf(y[i] - 1 / 0.75f) < 1e-6f);
        }
    }
    /* 44,400 draws: the deviation of the share is 0.002. */
    assert_true(fabs((double)kept / (double)drawn - 0.75) < 0.01);
    assert_true(fabs(sum / (double)drawn - 1) < 0.014);
}

static void empty_arrays_are_no_error(void **state)
{
    at_tape *tape = ((bench *)*state)->tape;
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, grad[8] = {0}, none[1] = {0};
    static const int32_t zero[] = {0, 0};
    const at_rows rows = {1, zero, NULL};
    at_tape_begin(tape, AT_TAPE_TRAIN, 1, 1);
    at_var *empty = at_leaf(tape, at_shape2(0, 4), none, none), *w = at_leaf(tape, at_shape2(4, 2), x, grad);
    at_var *y = at_matmul(tape, empty, w, false);
    y = at_dropout_add(tape, NULL, at_softmax(tape, at_activate(tape, y, AT_RELU)), 0.5f, &rows);
    check_ok(at_tape_backward(tape, at_sum(tape, y)));
    for (int i = 0; i < 8; i++)
        assert_true(grad[i] == 0);
    at_tape_begin(tape, AT_TAPE_CHECK, 1, 1);
    at_var *a = at_leaf(tape, at_shape2(2, 0), none, none), *b = at_leaf(tape, at_shape2(0, 3), none, none);
    const at_var *c = at_matmul(tape, a, b, false); /* a sum of nothing is 0 */
    assert_non_null(c);
    for (int i = 0; i < 6; i++)
        assert_true(c->data[i] == 0);
    at_tape_reset(tape);
}

static at_status one_step(void *context)
{
    bench *b = context;
    at_tape *tape;
    at_status st = at_tape_new(b->exec, &tape);
    if (st != AT_OK)
        return st;
    float x[20] = {0.5f}, grad[20] = {0};
    static const int32_t offsets[] = {0, 2, 4};
    at_tape_begin(tape, AT_TAPE_TRAIN, 1, 1);
    at_var *v = at_leaf(tape, at_shape2(4, 5), x, grad);
    at_var *y = at_matmul(tape, at_scale(tape, v, 2), at_activate(tape, v, AT_SILU), true);
    y = at_dropout_add(tape, y, at_softmax(tape, y), 0.1f, &(at_rows){2, offsets, NULL});
    st = at_tape_backward(tape, at_sum(tape, at_mul(tape, y, y)));
    at_tape_free(tape);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    check_every_allocation(one_step, *state, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_that_do_not_fit_stick_with_both_shapes),
        cmocka_unit_test(gradients_add_to_what_leaves_hold),
        cmocka_unit_test(running_records_nothing),
        cmocka_unit_test(memory_of_a_step_is_used_again),
        cmocka_unit_test(a_mask_is_a_function_of_five_things),
        cmocka_unit_test(dropout_keeps_the_mean),
        cmocka_unit_test(empty_arrays_are_no_error),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
