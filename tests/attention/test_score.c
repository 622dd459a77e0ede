/* Every score, normaliser and mask against numbers worked out by hand; traces; one result on any threads. */
#include "attention/score.h"
#include <math.h>
#include <string.h>
#include "attention/trace.h"
#include "layer/scorer.h"
#include "tests/gradient.h"

/* One query (1, 2) and the keys (3, 1), (0, -1), (2, 2). */
static float query[] = {1, 2}, three_keys[] = {3, 1, 0, -1, 2, 2};
static const int32_t one[] = {0, 1}, three[] = {0, 3};
static const at_pairs one_by_three = {
    .heads = 1, .groups = 1, .queries = {1, one, NULL}, .keys = {1, three, NULL}};

typedef struct bench {
    at_exec *exec;
    at_tape *tape;
} bench;

static bench begin(int threads)
{
    bench b;
    check_ok(at_exec_new(NULL, threads, &b.exec));
    check_ok(at_tape_new(b.exec, &b.tape));
    at_tape_begin(b.tape, AT_TAPE_RUN, 0, 0);
    return b;
}

static void end(bench b)
{
    check_ok(at_tape_status(b.tape));
    at_tape_free(b.tape);
    at_exec_free(b.exec);
}

/* The score of the query with each key; `numbers` fill the parameters one after the other. */
static void check_score(at_score score, const float *numbers, const float *want)
{
    bench b = begin(1);
    at_params params = {0};
    at_scorer scorer;
    at_scorer_spec spec = {.score = score, .query_width = 2, .key_width = 2, .hidden = 1, .places = 2};
    check_ok(at_scorer_declare(&params, "", &spec, &scorer));
    check_ok(at_params_allocate(&params));
    for (size_t i = 0; i < params.count; i++) {
        size_t n = at_shape_count(params.list[i]->shape);
        memcpy(params.block + params.list[i]->offset, numbers, n * sizeof *numbers);
        numbers += n;
    }
    const at_pairs *pairs = at_pairs_new(b.tape, &one_by_three);
    at_var *k = at_leaf(b.tape, at_shape2(3, 2), three_keys, NULL);
    at_scorer_run *run = at_scorer_begin(b.tape, &scorer, k, 1, 1);
    const at_var *got = at_scorer_scores(b.tape, run, at_leaf(b.tape, at_shape2(1, 2), query, NULL), pairs);
    check_ok(at_tape_status(b.tape));
    check_near(got->data, want, 3, 1e-6);
    at_params_free(&params);
    end(b);
}

static void scores_by_hand(void **state)
{
    (void)state;
    /* 1*3 + 2*1, 0 - 2, 2 + 4 */
    check_score(AT_SCORE_DOT, NULL, (float[]){5, -2, 6});
    /* over sqrt(2) */
    check_score(AT_SCORE_SCALED_DOT, NULL, (float[]){3.5355339f, -1.4142136f, 4.2426407f});
    /* W = (1 0; 1 2): W k = (3, 5), (0, -2), (2, 6) */
    check_score(AT_SCORE_GENERAL, (float[]){1, 0, 1, 2}, (float[]){13, -4, 14});
    /* W_q = (1 0), W_k = (0 1), v = 2: 2 tanh(1 + 1), 2 tanh(1 - 1), 2 tanh(1 + 2) */
    check_score(AT_SCORE_ADDITIVE, (float[]){1, 0, 0, 1, 2}, (float[]){1.9280552f, 0, 1.9901095f});
    /* W = (0 0.5 1 0), v = -1: -tanh(1 + 3), -tanh(1 + 0), -tanh(1 + 2) */
    check_score(AT_SCORE_CONCAT, (float[]){0, 0.5f, 1, 0, -1},
                (float[]){-0.9993293f, -0.7615942f, -0.9950548f});
    /* 5 / sqrt(5 * 10), -2 / sqrt(5), 6 / sqrt(5 * 8) */
    check_score(AT_SCORE_COSINE, NULL, (float[]){0.7071068f, -0.8944272f, 0.9486833f});
    /* the same times 0.5 sqrt(2) */
    check_score(AT_SCORE_COSINE_LEARNED, (float[]){0.5f}, (float[]){0.5f, -0.6324555f, 0.6708204f});
    /* W = (1 0; 0 1): place 0 gets 1, place 1 gets 2, there is no place 2 */
    check_score(AT_SCORE_LOCATION, (float[]){1, 0, 0, 1}, (float[]){1, 2, -INFINITY});
}

static void a_row_of_zeros_has_no_angle(void **state)
{
    (void)state;
    bench b = begin(1);
    float zeros[] = {0, 0, 3, 4};
    const at_var *u = at_unit_rows(b.tape, at_leaf(b.tape, at_shape2(2, 2), zeros, NULL), 1, NULL);
    static const float want[] = {0, 0, 0.6f, 0.8f};
    check_near(u->data, want, 4, 1e-7);
    end(b);
}

typedef struct weights_case {
    float scores[4];
    at_normaliser how;
    at_pair_mask mask;
    int32_t start;
    float want[4];
} weights_case;

/* One query and four keys. */
static void weights_by_hand(void **state)
{
    (void)state;
    static const float hide_first[] = {-INFINITY, 0, 0, 0},
                       hide_all[] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    const float ln3 = 1.0986123f;
    const weights_case cases[] = {
        {{ln3, 0, 0, -INFINITY}, AT_NORMALISE_SOFTMAX, {0}, 0, {0.6f, 0.2f, 0.2f, 0}},
        {{9, ln3, 0, 0}, AT_NORMALISE_SOFTMAX, {.added = hide_first}, 0, {0, 0.6f, 0.2f, 0.2f}},
        {{9, 9, 9, 9}, AT_NORMALISE_SOFTMAX, {.added = hide_all}, 0, {0, 0, 0, 0}},
        /* tau of 0.5 and 0.2 is -0.15: 0.65 + 0.35 = 1, and -1 is below */
        {{0.5f, 0.2f, -1, -1}, AT_NORMALISE_SPARSEMAX, {0}, 0, {0.65f, 0.35f, 0, 0}},
        {{7, 1, 1, 1}, AT_NORMALISE_SPARSEMAX, {0}, 0, {1, 0, 0, 0}},
        {{0.5f, -2, 3, 4}, AT_NORMALISE_NONE, {.added = hide_first}, 0, {0, -2, 3, 4}},
        {{0, 0, 0, 0}, AT_NORMALISE_SOFTMAX, {.causal = true}, 1, {0.5f, 0.5f, 0, 0}},
        {{0, 0, 0, 0}, AT_NORMALISE_SOFTMAX, {.causal = true, .window = 1}, 2, {0, 0, 1, 0}},
        /* local-m, one key on each side of the query's own place; the last keys behind the end */
        {{0, 0, 0, 0}, AT_NORMALISE_SOFTMAX, {.reach = 1}, 1, {1 / 3.0f, 1 / 3.0f, 1 / 3.0f, 0}},
        {{0, 0, 0, 0}, AT_NORMALISE_SOFTMAX, {.reach = 1}, 9, {0, 0, 0.5f, 0.5f}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const int32_t four[] = {0, 4};
        weights_case c = cases[i];
        bench b = begin(1);
        const at_pairs *pairs = at_pairs_new(b.tape, &(at_pairs){.heads = 1,
                                                                 .groups = 1,
                                                                 .queries = {1, one, NULL},
                                                                 .keys = {1, four, NULL},
                                                                 .starts = &c.start});
        at_var *s = at_leaf(b.tape, at_shape1(4), c.scores, NULL);
        const at_var *w = at_pairs_normalise(b.tape, at_pairs_mask(b.tape, s, pairs, &c.mask), pairs, c.how);
        check_near(w->data, c.want, 4, 1e-6);
        end(b);
    }
}

/* share 0.5 of four keys is the centre 2; reach 2, so the bell's deviation is 1: e^-2, e^-0.5, 1, e^-0.5.
 * With reach 1 the first key is hidden and the deviation is 1/2. */
static void a_bell_by_hand(void **state)
{
    (void)state;
    static const int32_t four[] = {0, 4};
    static const float want[2][4] = {{0, 0.13533528f / 3, 1 / 3.0f, 0.13533528f / 3},
                                     {0.13533528f / 4, 0.60653066f / 4, 0.25f, 0.60653066f / 4}};
    for (int64_t reach = 1; reach <= 2; reach++) {
        bench b = begin(1);
        const at_pairs *pairs = at_pairs_new(
            b.tape, &(at_pairs){.heads = 1, .groups = 1, .queries = {1, one, NULL}, .keys = {1, four, NULL}});
        float zeros[4] = {0}, half = 0.5f;
        at_var *share = at_leaf(b.tape, at_shape2(1, 1), &half, NULL);
        at_pair_mask mask = {.reach = reach, .share = share};
        at_var *s = at_pairs_mask(b.tape, at_leaf(b.tape, at_shape1(4), zeros, NULL), pairs, &mask);
        at_var *w = at_pairs_normalise(b.tape, s, pairs, AT_NORMALISE_SOFTMAX);
        check_near(at_pairs_focus(b.tape, w, share, pairs, reach)->data, want[reach - 1], 4, 1e-6);
        end(b);
    }
}

/* 0.6 (10, 0) + 0.2 (0, 5) + 0.2 (5, 5) = (7, 2); a query whose sequence has no key gets zeros. */
static void sums_by_hand(void **state)
{
    (void)state;
    static const int32_t queries[] = {0, 1, 2}, keys[] = {0, 3, 3};
    float w[] = {0.6f, 0.2f, 0.2f}, values[] = {10, 0, 0, 5, 5, 5};
    bench b = begin(1);
    const at_pairs *pairs = at_pairs_new(
        b.tape, &(at_pairs){.heads = 1, .groups = 1, .queries = {2, queries, NULL}, .keys = {2, keys, NULL}});
    const at_var *c = at_pairs_sum(b.tape, at_leaf(b.tape, at_shape1(3), w, NULL),
                                   at_leaf(b.tape, at_shape2(3, 2), values, NULL), pairs);
    static const float want[] = {7, 2, 0, 0};
    check_near(c->data, want, 4, 1e-6);
    end(b);
}

/* Weights of five steps, one query each, are five rows of one map; another sequence has fewer. */
static void a_trace_grows_step_by_step(void **state)
{
    (void)state;
    static const int32_t keys[] = {0, 3, 5};
    at_trace *trace = at_trace_new();
    assert_non_null(trace);
    at_trace_want(trace, AT_CROSS, -1, -1);
    bench b = begin(1);
    b.tape->trace = trace;
    for (int32_t step = 0; step < 5; step++) {
        int32_t starts[] = {step, step}, queries[] = {0, 1, step < 2 ? 2 : 1};
        float w[5];
        for (int i = 0; i < 5; i++)
            w[i] = (float)(10 * step + i);
        const at_pairs *pairs = at_pairs_new(b.tape, &(at_pairs){.heads = 1,
                                                                 .groups = 1,
                                                                 .queries = {2, queries, NULL},
                                                                 .keys = {2, keys, NULL},
                                                                 .starts = starts});
        at_var *v = at_leaf(b.tape, at_shape1(step < 2 ? 5 : 3), w, NULL);
        at_pairs_trace(b.tape, v, pairs, AT_CROSS, 0);
    }
    b.tape->trace = NULL;
    assert_int_equal(at_trace_count(trace), 2);
    const at_trace_map *first = at_trace_find(trace, AT_CROSS, 0, 0, 0),
                       *second = at_trace_find(trace, AT_CROSS, 0, 0, 1);
    assert_int_equal(first->queries, 5);
    assert_int_equal(second->queries, 2);
    for (int i = 0; i < 15; i++)
        assert_true(first->weights[i] == (float)(10 * (i / 3) + i % 3));
    for (int i = 0; i < 4; i++)
        assert_true(second->weights[i] == (float)(10 * (i / 2) + 3 + i % 2));
    at_trace_free(trace);
    end(b);
}

/* Outputs and gradients of a long ragged batch, additive score: q, k, v, values one after the other. */
enum { LONG = 60, ALL = 4 * LONG * 8 + 16 };

static void run_long(int threads, float *out, float *grads)
{
    int32_t offsets[10] = {0, 3, 4, 11, 11, 20, 33, 40, 52, LONG};
    at_rows rows = {9, offsets, NULL};
    static float data[ALL];
    gradient_random(data, ALL, 3, 1);
    memset(grads, 0, ALL * sizeof *grads);
    bench b = begin(threads);
    at_tape_begin(b.tape, AT_TAPE_TRAIN, 3, 4);
    const at_pairs *pairs =
        at_pairs_new(b.tape, &(at_pairs){.heads = 4, .groups = 2, .queries = rows, .keys = rows});
    size_t q = 0, k = LONG * 16, v = k + LONG * 8, values = v + 16;
    at_var *vars[] = {at_leaf(b.tape, at_shape2(LONG, 16), data + q, grads + q),
                      at_leaf(b.tape, at_shape2(LONG, 8), data + k, grads + k),
                      at_leaf(b.tape, at_shape1(16), data + v, grads + v),
                      at_leaf(b.tape, at_shape2(LONG, 4), data + values, grads + values)};
    at_var *s = at_score_additive(b.tape, vars[0], vars[1], vars[2], pairs);
    s = at_add(b.tape, s, at_score_dot(b.tape, vars[0], vars[1], pairs, 0.5f));
    s = at_pairs_mask(b.tape, s, pairs, &(at_pair_mask){.causal = true});
    at_var *w =
        at_pairs_drop(b.tape, at_pairs_normalise(b.tape, s, pairs, AT_NORMALISE_SPARSEMAX), pairs, 0.2f);
    at_var *c = at_pairs_sum(b.tape, w, vars[3], pairs);
    memcpy(out, c->data, LONG * 8 * sizeof *out);
    check_ok(at_tape_backward(b.tape, at_sum(b.tape, at_mul(b.tape, c, c))));
    end(b);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    static float want[LONG * 8], got[LONG * 8], want_grads[ALL], grads[ALL];
    run_long(1, want, want_grads);
    for (int threads = 2; threads <= 8; threads = threads == 3 ? 8 : threads + 1) {
        run_long(threads, got, grads);
        check_same_bits(got, want, sizeof got);
        check_same_bits(grads, want_grads, sizeof grads);
    }
}

static void widths_that_do_not_fit_are_named(void **state)
{
    (void)state;
    float numbers[12] = {0};
    bench b = begin(1);
    const at_pairs *pairs = at_pairs_new(b.tape, &one_by_three);
    at_var *q = at_leaf(b.tape, at_shape2(1, 2), numbers, NULL);
    assert_null(at_score_dot(b.tape, q, at_leaf(b.tape, at_shape2(3, 4), numbers, NULL), pairs, 1));
    check_fails(at_tape_status(b.tape), AT_ESHAPE,
                "queries are 2 wide and keys 4; it wants equal widths, which the scores general");
    at_tape_begin(b.tape, AT_TAPE_RUN, 0, 0);
    pairs = at_pairs_new(b.tape, &one_by_three);
    assert_null(at_pairs_sum(b.tape, at_leaf(b.tape, at_shape1(4), numbers, NULL),
                             at_leaf(b.tape, at_shape2(3, 4), numbers, NULL), pairs));
    check_fails(at_tape_status(b.tape), AT_ESHAPE, "weights of values: want (3), got (4)");
    at_tape_begin(b.tape, AT_TAPE_RUN, 0, 0);
    end(b);
}

static void the_table_has_a_row_for_every_name(void **state)
{
    (void)state;
    const char *choices = AT_SCORE_CHOICES;
    for (at_score i = 0; i < AT_SCORES; i++) {
        const at_score_row *row = &at_score_table[i];
        assert_true(row->formula && row->paper);
        size_t n = strlen(row->name);
        assert_memory_equal(choices, row->name, n);
        choices += n + (choices[n] == '|');
    }
    assert_int_equal(*choices, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_by_hand),
        cmocka_unit_test(a_row_of_zeros_has_no_angle),
        cmocka_unit_test(weights_by_hand),
        cmocka_unit_test(a_bell_by_hand),
        cmocka_unit_test(sums_by_hand),
        cmocka_unit_test(a_trace_grows_step_by_step),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(widths_that_do_not_fit_are_named),
        cmocka_unit_test(the_table_has_a_row_for_every_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
