/* The guided loss by hand, through the cross attention that it names. */
#include "attention/guide.h"
#include <math.h>
#include "tests/check.h"

static at_exec *exec;
static at_tape *tape;

static int set_up(void **state)
{
    (void)state;
    check_ok(at_exec_new(NULL, 2, &exec));
    check_ok(at_tape_new(exec, &tape));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    at_tape_free(tape);
    at_exec_free(exec);
    return 0;
}

/* One head of width 1 and scale 1: the scores of a query 1 are the keys themselves. */
static const int32_t query_offsets[] = {0, 3}, key_offsets[] = {0, 2};
static const at_attend_spec one_head = {.heads = 1,
                                        .groups = 1,
                                        .scale = 1,
                                        .queries = {1, query_offsets, NULL},
                                        .keys = {1, key_offsets, NULL},
                                        .kind = AT_CROSS,
                                        .layer = 3};
/* Row 0 is linked to key 1, row 1 to both, row 2 to none. */
static const int32_t starts[] = {0, 1, 3, 3}, places[] = {1, 0, 1};

static void the_loss_by_hand(void **state)
{
    (void)state;
    float q[] = {1, 1, 5}, k[] = {0, logf(3)}, v[] = {1, 2};
    /* Weights 1/4, 3/4: -log 3/4, and -(log 1/4 + log 3/4) / 2. */
    double want = -log(0.75) - (log(0.25) + log(0.75)) / 2;
    at_guide guide = {.layer = 3, .head = 0, .weight = 0.5f};
    at_tape_begin(tape, AT_TAPE_CHECK, 0, 0);
    tape->guide = &guide;
    at_guide_begin(&guide, starts, places);
    at_var *queries = at_leaf(tape, at_shape2(3, 1), q, NULL),
           *keys = at_leaf(tape, at_shape2(2, 1), k, NULL), *values = at_leaf(tape, at_shape2(2, 1), v, NULL);
    at_attend_spec other = one_head;
    other.layer = 2;
    assert_non_null(at_attention(tape, queries, keys, values, &other));
    assert_null(guide.loss); /* another layer */
    other = one_head;
    other.kind = AT_ENCODER_SELF;
    assert_non_null(at_attention(tape, queries, keys, values, &other));
    assert_null(guide.loss);
    assert_non_null(at_attention(tape, queries, keys, values, &one_head));
    assert_non_null(guide.loss);
    assert_int_equal(guide.rows, 2);
    assert_true(fabs(guide.sum - want) < 1e-6);
    assert_true(fabs((double)guide.loss->data[0] - want / 2) < 1e-6);
    float ten = 10;
    at_var *sum = at_guide_add(tape, at_leaf(tape, at_shape1(1), &ten, NULL));
    assert_true(fabs((double)sum->data[0] - 10 - want / 2) < 1e-5);
    tape->guide = NULL;
    at_tape_reset(tape);
}

static void nothing_that_takes_it_is_told(void **state)
{
    (void)state;
    float ten = 10, q[] = {1, 1, 5}, k[] = {0, 1};
    at_guide guide = {.layer = 0, .head = 4, .weight = 0.5f};
    at_tape_begin(tape, AT_TAPE_CHECK, 0, 0);
    at_var *loss = at_leaf(tape, at_shape1(1), &ten, NULL);
    assert_ptr_equal(at_guide_add(tape, loss), loss); /* no guide */
    tape->guide = &guide;
    at_guide_begin(&guide, NULL, NULL); /* a batch without links */
    assert_ptr_equal(at_guide_add(tape, loss), loss);
    at_guide_begin(&guide, starts, places);
    assert_null(at_guide_add(tape, loss));
    check_fails(at_tape_status(tape), AT_ENOSUP, "no cross attention of layer 0");
    at_tape_begin(tape, AT_TAPE_CHECK, 0, 0);
    at_var *queries = at_leaf(tape, at_shape2(3, 1), q, NULL),
           *keys = at_leaf(tape, at_shape2(2, 1), k, NULL);
    assert_null(at_guide_loss(tape, queries, keys, &one_head, &guide));
    check_fails(at_tape_status(tape), AT_EARG, "heads 0 to 0");
    guide.head = 0;
    at_attend_spec capped = one_head;
    capped.softcap = 1;
    at_tape_begin(tape, AT_TAPE_CHECK, 0, 0);
    queries = at_leaf(tape, at_shape2(3, 1), q, NULL);
    keys = at_leaf(tape, at_shape2(2, 1), k, NULL);
    assert_null(at_guide_loss(tape, queries, keys, &capped, &guide));
    check_fails(at_tape_status(tape), AT_ENOSUP, "soft-cap");
    tape->guide = NULL;
    at_tape_reset(tape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loss_by_hand),
        cmocka_unit_test(nothing_that_takes_it_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
