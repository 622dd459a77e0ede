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
    at_guide_begin(&guide, &one_head.queries, starts, places);
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

/* The loss of three queries and two keys, all at once or query by query, as of sequence 1 of a batch. */
static double of_pairs(at_normaliser how, bool by_step, float *gradient)
{
    static const int32_t one[] = {0, 1}, name[] = {1}, offsets[] = {0, 0, 3};
    float numbers[] = {0, logf(3), 0.25f, 0.5f, 5, 1}, d[6] = {0}, zero = 0;
    at_guide guide = {.layer = 0, .head = 0, .weight = 0.5f};
    at_tape_begin(tape, AT_TAPE_CHECK, 0, 0);
    tape->guide = &guide;
    at_guide_begin(&guide, &(at_rows){2, offsets, NULL}, starts, places);
    for (int t = 0; t < (by_step ? 3 : 1); t++) {
        int32_t place[] = {t};
        at_pairs like = {.heads = 1,
                         .groups = 1,
                         .queries = {1, by_step ? one : query_offsets, NULL},
                         .keys = one_head.keys,
                         .starts = place,
                         .names = name};
        const at_pairs *pairs = at_pairs_new(tape, &like);
        at_var *scores = at_leaf(tape, at_shape1(by_step ? 2 : 6), numbers + 2 * t, d + 2 * t);
        at_var *weights = at_pairs_normalise(tape, scores, pairs, how);
        assert_true(at_guide_pairs(tape, scores, weights, pairs, how, AT_CROSS, 0));
    }
    assert_int_equal(guide.rows, 2);
    at_var *loss = at_guide_add(tape, at_leaf(tape, at_shape1(1), &zero, NULL));
    assert_true(fabs((double)loss->data[0] - guide.sum / 2) < 1e-6);
    at_tape_backward(tape, loss);
    check_ok(at_tape_status(tape));
    for (int i = 0; i < 6; i++)
        gradient[i] = d[i];
    tape->guide = NULL;
    at_tape_reset(tape);
    return guide.sum;
}

/* Row 0 is linked to key 1, row 1 to both; gradients are half of weights minus links. */
static void the_losses_of_pairs_by_hand(void **state)
{
    (void)state;
    /* Softmax: 1/4 and 3/4. Row 1: e^1/4 / (e^1/4 + e^1/2). */
    double w = 1 / (1 + exp(0.25));
    /* Sparsemax: log 3 > 1, so row 0 is (0, 1) with tau = log 3 - 1, at no loss; row 1 is (3/8, 5/8), tau =
     * -1/8: -3/8 + (1/16 + 1/4 - 2/64) / 2 + 1/4 = 1/64. */
    const double wants[] = {-log(0.75) - (log(w) + log(1 - w)) / 2, 1.0 / 64,
                            (log(3) - 1) * (log(3) - 1) / 2 + 1.0 / 32};
    const double slopes[][4] = {
        {0.25, -0.25, w - 0.5, 0.5 - w}, {0, 0, -0.125, 0.125}, {0, log(3) - 1, -0.25, 0}};
    for (int how = 0; how < AT_NORMALISERS; how++) {
        for (int by_step = 0; by_step < 2; by_step++) {
            float gradient[6];
            assert_true(fabs(of_pairs((at_normaliser)how, by_step == 1, gradient) - wants[how]) < 1e-6);
            for (int i = 0; i < 6; i++)
                assert_true(fabs((double)gradient[i] - (i < 4 ? slopes[how][i] / 2 : 0)) < 1e-6);
        }
    }
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
    at_guide_begin(&guide, &one_head.queries, NULL, NULL); /* a batch without links */
    assert_ptr_equal(at_guide_add(tape, loss), loss);
    at_guide_begin(&guide, &one_head.queries, starts, places);
    assert_null(at_guide_add(tape, loss));
    check_fails(at_tape_status(tape), AT_ENOSUP, "no cross attention to teach");
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
        cmocka_unit_test(the_losses_of_pairs_by_hand),
        cmocka_unit_test(nothing_that_takes_it_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
