/* Scores with what they learn: gradients of all parameters, a loop of steps against the whole, errors. */
#include "layer/scorer.h"
#include "attention/trace.h"
#include "layer/multi_head.h"
#include "tests/gradient.h"

static const int32_t query_offsets[] = {0, 3, 3, 7, 8}, key_offsets[] = {0, 4, 6, 7, 13};
static const at_rows queries = {4, query_offsets, NULL}, keys = {4, key_offsets, NULL};

enum { NQ = 8, NK = 13, STEPS = 4 };

typedef struct scorer_case {
    at_scorer scorer;
    size_t groups;
    bool stepwise, causal;
} scorer_case;

static at_var *whole(at_tape *tape, at_var *const *x, const void *context)
{
    const scorer_case *c = context;
    at_scorer_run *run = at_scorer_begin(tape, &c->scorer, x[1], c->groups, NQ);
    const at_pairs *pairs =
        at_pairs_new(tape, &(at_pairs){c->scorer.spec.heads, c->groups, queries, keys, NULL, NULL, NULL});
    at_var *w = at_scorer_weights(tape, run, x[0], pairs, &(at_pair_mask){.causal = c->causal});
    return at_pairs_sum(tape, w, x[2], pairs);
}

/* The same, one query of each sequence that has one left at a time; rows put back in the whole's order. */
static at_var *stepwise(at_tape *tape, at_var *const *x, const void *context)
{
    static int32_t picked[STEPS][4], offsets[STEPS][5], starts[STEPS][4], order[NQ];
    const scorer_case *c = context;
    at_scorer_run *run = at_scorer_begin(tape, &c->scorer, x[1], c->groups, NQ);
    at_var *parts[STEPS];
    int32_t done = 0;
    for (int32_t t = 0; t < STEPS; t++) {
        int32_t n = 0;
        for (size_t b = 0; b < 4; b++) {
            int32_t row = query_offsets[b] + t;
            offsets[t][b] = n;
            starts[t][b] = t;
            if (row < query_offsets[b + 1]) {
                order[row] = done + n;
                picked[t][n++] = row;
            }
        }
        offsets[t][4] = n;
        done += n;
        at_rows step = {4, offsets[t], NULL};
        const at_pairs *pairs = at_pairs_new(
            tape, &(at_pairs){c->scorer.spec.heads, c->groups, step, keys, starts[t], NULL, NULL});
        at_var *q = at_gather(tape, x[0], picked[t], (size_t)n);
        at_var *w = at_scorer_weights(tape, run, q, pairs, &(at_pair_mask){.causal = c->causal});
        parts[t] = at_pairs_sum(tape, w, x[2], pairs);
    }
    return at_gather(tape, at_stack_rows(tape, parts, STEPS), order, NQ);
}

static void declare(at_params *params, const at_scorer_spec *spec, at_scorer *scorer)
{
    check_ok(at_scorer_declare(params, "attention.", spec, scorer));
    check_ok(at_params_allocate(params));
    for (size_t i = 0; i < params->count; i++) {
        const at_param *p = params->list[i];
        gradient_random(params->block + p->offset, at_shape_count(p->shape), 40 + (uint32_t)i, 0.6f);
    }
}

static void compare_with_steps(const scorer_case *c, const at_params *params, const at_shape *shapes)
{
    (void)params;
    float q[NQ * 16], k[NK * 16], v[NK * 16]; /* 4 heads or groups of 4 */
    float *data[] = {q, k, v};
    at_exec *exec;
    at_tape *tape;
    check_ok(at_exec_new(NULL, 3, &exec));
    check_ok(at_tape_new(exec, &tape));
    at_tape_begin(tape, AT_TAPE_RUN, 1, 1);
    at_var *x[3];
    for (uint32_t i = 0; i < 3; i++) {
        gradient_random(data[i], at_shape_count(shapes[i]), i, 1);
        x[i] = at_leaf(tape, shapes[i], data[i], NULL);
    }
    const at_var *a = whole(tape, x, c), *b = stepwise(tape, x, c);
    check_ok(at_tape_status(tape));
    check_near(b->data, a->data, at_shape_count(a->shape), 1e-6);
    at_tape_free(tape);
    at_exec_free(exec);
}

static void check(at_scorer_spec spec, size_t groups, bool causal)
{
    at_params params = {0};
    scorer_case c = {.groups = groups, .causal = causal};
    declare(&params, &spec, &c.scorer);
    at_shape shapes[] = {at_shape2(NQ, (int64_t)(c.scorer.spec.heads * spec.query_width)),
                         at_shape2(NK, (int64_t)(groups * spec.key_width)),
                         at_shape2(NK, (int64_t)groups * 2)};
    gradient_case g = {.name = at_score_table[spec.score].name,
                       .build = whole,
                       .context = &c,
                       .params = params.count ? &params : NULL,
                       .leaves = {shapes[0], shapes[1], shapes[2]},
                       .spread = 0.7f};
    gradient_check(&g);
    g.build = stepwise;
    gradient_check(&g);
    compare_with_steps(&c, &params, shapes);
    at_params_free(&params);
}

static void every_score_alone_and_with_heads(void **state)
{
    (void)state;
    for (at_score score = 0; score < AT_SCORES; score++) {
        at_scorer_spec spec = {.score = score,
                               .query_width = 3,
                               .key_width = at_score_table[score].equal_widths ? 3 : 4,
                               .hidden = 5,
                               .places = 5};
        check(spec, 1, false);
        spec.heads = 4;
        check(spec, 2, true);
        spec.normalise = AT_NORMALISE_NONE;
        check(spec, 4, false);
    }
    check(
        (at_scorer_spec){
            .score = AT_SCORE_ADDITIVE, .query_width = 3, .key_width = 3, .heads = 2, .projected = true},
        2, false);
}

static void local_attention(void **state)
{
    (void)state;
    for (at_local local = AT_LOCAL_MONOTONIC; local < AT_LOCALS; local++) {
        at_scorer_spec spec = {
            .score = AT_SCORE_GENERAL, .local = local, .reach = 2, .query_width = 3, .key_width = 4};
        check(spec, 1, false);
        spec.score = AT_SCORE_ADDITIVE;
        spec.heads = 2;
        check(spec, 2, false);
    }
}

/* With a score that is not fused: a map a head and sequence, rows that sum to 1. */
static void heads_file_their_weights(void **state)
{
    (void)state;
    at_params params = {0};
    at_multi_head_weights weights;
    at_multi_head_spec spec = {.query_width = 6,
                               .key_width = 6,
                               .value_width = 6,
                               .heads = 3,
                               .groups = 3,
                               .head_width = 2,
                               .out_width = 6,
                               .score = AT_SCORE_ADDITIVE};
    check_ok(at_multi_head_declare(&params, "attn.", &spec, &weights));
    check_ok(at_params_allocate(&params));
    at_params_init(&params, 3);
    at_exec *exec;
    at_tape *tape;
    at_trace *trace = at_trace_new();
    assert_non_null(trace);
    at_trace_want(trace, AT_CROSS, 1, -1);
    check_ok(at_exec_new(NULL, 1, &exec));
    check_ok(at_tape_new(exec, &tape));
    at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
    tape->trace = trace;
    float q[NQ * 6], k[NK * 6];
    gradient_random(q, NQ * 6, 1, 1);
    gradient_random(k, NK * 6, 2, 1);
    at_attend_spec attend = {
        .heads = 3, .groups = 3, .queries = queries, .keys = keys, .kind = AT_CROSS, .layer = 1};
    at_var *x = at_leaf(tape, at_shape2(NK, 6), k, NULL);
    assert_non_null(
        at_multi_head(tape, &weights, at_leaf(tape, at_shape2(NQ, 6), q, NULL), x, x, &attend, NULL));
    assert_int_equal(at_trace_count(trace), 3 * 4);
    for (size_t i = 0; i < at_trace_count(trace); i++) {
        const at_trace_map *m = at_trace_at(trace, i);
        for (size_t t = 0; t < m->queries; t++) {
            double sum = 0;
            for (size_t s = 0; s < m->keys; s++)
                sum += (double)m->weights[t * m->keys + s];
            assert_true(sum > 0.99999 && sum < 1.00001);
        }
    }
    /* What the fused kernel alone can do is refused by name. */
    attend.softcap = 2;
    at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
    x = at_leaf(tape, at_shape2(NK, 6), k, NULL);
    assert_null(at_multi_head(tape, &weights, at_leaf(tape, at_shape2(NQ, 6), q, NULL), x, x, &attend, NULL));
    check_fails(at_tape_status(tape), AT_ENOSUP, "score 'additive' knows no bias, soft-cap");
    at_tape_free(tape);
    at_exec_free(exec);
    at_trace_free(trace);
    at_params_free(&params);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    at_params params = {0};
    at_scorer scorer;
    check_fails(at_scorer_declare(&params, "", &(at_scorer_spec){.query_width = 3, .key_width = 4}, &scorer),
                AT_EARG,
                "score 'scaled-dot' wants queries and keys of one width; got 3 and 4. general, additive");
    check_fails(
        at_scorer_declare(&params, "",
                          &(at_scorer_spec){.query_width = 3, .key_width = 3, .local = AT_LOCAL_MONOTONIC},
                          &scorer),
        AT_EARG, "at least 1; got 0");
    check_fails(at_scorer_declare(&params, "", &(at_scorer_spec){.score = AT_SCORE_LOCATION}, &scorer),
                AT_EARG, "'location'");
    at_params_free(&params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_score_alone_and_with_heads),
        cmocka_unit_test(local_attention),
        cmocka_unit_test(heads_file_their_weights),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
