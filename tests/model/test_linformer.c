/* Linformer inside encoders: alone and in company, masked keys as if they were not there, what a trace says,
 * and where it is refused. Its gradients: test_gradients.c and test_torch.c. */
#include <math.h>
#include <string.h>
#include "attention/trace.h"
#include "model/stack.h"
#include "tests/gradient.h"
#include "tests/toy.h"

#define LINFORMER "\"linformer_k\": 5, \"linformer_share_heads\": false"

/* Sequences longer and shorter than k; each gives the bits that it gives alone, on any number of threads. */
static void company_and_threads_change_no_bit(void **state)
{
    (void)state;
    static const int lengths[] = {9, 1, 4, 40}, none[] = {0, 0, 0, 0};
    float want[54 * 12];
    for (int threads = 1; threads <= 3; threads += 2) {
        toy t;
        toy_batch b, one;
        toy_open(&t, &(toy_spec){
                         .family = "encoder", .options = "{" LINFORMER "}", .threads = threads, .seed = 5});
        toy_fill(&b, &t, 4, lengths, none, 4);
        at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
        at_var *all = t.model->family->encode(t.model, t.tape, &b.batch);
        check_ok(at_tape_status(t.tape));
        if (threads == 1)
            memcpy(want, all->data, sizeof want);
        check_same_bits(all->data, want, sizeof want);
        for (size_t i = 0; i < 4; i++) {
            toy_single(&one, &b, i);
            at_var *alone = t.model->family->encode(t.model, t.tape, &one.batch);
            assert_non_null(alone);
            check_same_bits(alone->data, want + 12 * b.source_offsets[i],
                            12 * (size_t)lengths[i] * sizeof(float));
        }
        toy_close(&t);
    }
}

/* Maps are over the pieces, not over slots; rows are shares. Without positions the projection still ends. */
static void a_trace_is_over_the_pieces(void **state)
{
    (void)state;
    toy t;
    toy_batch b;
    toy_open(&t, &(toy_spec){
                     .family = "encoder", .options = "{" LINFORMER ", \"positions\": \"none\"}", .seed = 5});
    toy_fill(&b, &t, 2, (const int[]){7, 3}, (const int[]){0, 0}, 4);
    at_trace *trace = at_trace_new();
    at_trace_want(trace, AT_ENCODER_SELF, -1, -1);
    t.tape->trace = trace;
    at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
    assert_non_null(t.model->family->encode(t.model, t.tape, &b.batch));
    assert_int_equal(at_trace_count(trace), 2 * 2 * 3);
    for (size_t i = 0; i < at_trace_count(trace); i++) {
        const at_trace_map *m = at_trace_at(trace, i);
        size_t n = m->sequence ? 3 : 7;
        assert_true(m->queries == n && m->keys == n);
        for (size_t q = 0; q < n; q++) {
            double sum = 0;
            for (size_t s = 0; s < n; s++)
                sum += (double)m->weights[q * n + s];
            assert_true(fabs(sum - 1) < 1e-5);
        }
    }
    at_trace_clear(trace);
    at_trace_want_stage(trace, AT_STAGE_SCORES);
    at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
    assert_null(t.model->family->encode(t.model, t.tape, &b.batch));
    check_fails(at_tape_status(t.tape), AT_ENOSUP, "projected keys");
    toy_fill(&b, &t, 1, (const int[]){41}, (const int[]){0}, 4);
    at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
    assert_null(t.model->family->encode(t.model, t.tape, &b.batch));
    check_fails(at_tape_status(t.tape), AT_ENOSUP, "41 pieces");
    at_trace_free(trace);
    toy_close(&t);
}

enum { WIDE = 6, LONG = 5 };

typedef struct heads {
    at_params params;
    at_multi_head_weights weights;
    at_exec *exec;
    at_tape *tape;
} heads;

static void open_heads(heads *h)
{
    memset(h, 0, sizeof *h);
    at_multi_head_spec spec = {.query_width = WIDE,
                               .key_width = WIDE,
                               .value_width = WIDE,
                               .heads = 2,
                               .groups = 2,
                               .head_width = 3,
                               .out_width = WIDE,
                               .linformer = {.slots = 4, .places = LONG}};
    check_ok(at_multi_head_declare(&h->params, "", &spec, &h->weights));
    check_ok(at_params_allocate(&h->params));
    at_params_init(&h->params, 4);
    check_ok(at_exec_new(NULL, 1, &h->exec));
    check_ok(at_tape_new(h->exec, &h->tape));
    at_tape_begin(h->tape, AT_TAPE_RUN, 0, 0);
}

static void close_heads(heads *h)
{
    at_tape_free(h->tape);
    at_exec_free(h->exec);
    at_params_free(&h->params);
}

static at_var *run_heads(heads *h, at_var *q, at_var *k, at_attend_spec spec)
{
    spec.heads = spec.groups = 2;
    return at_multi_head(h->tape, &h->weights, q, k, k, &spec, NULL);
}

/* Padding behind a sequence, masked, gives what the sequence alone gives, whatever stands there. */
static void masked_keys_are_not_there(void **state)
{
    (void)state;
    static const int32_t two[] = {0, 2}, five[] = {0, LONG}, three[] = {0, 3};
    static const float mask[] = {0, 0, 0, -INFINITY, -INFINITY};
    float q[2 * WIDE], k[LONG * WIDE];
    gradient_random(q, 2 * WIDE, 1, 1);
    gradient_random(k, LONG * WIDE, 2, 1);
    heads h;
    open_heads(&h);
    at_var *queries = at_leaf(h.tape, at_shape2(2, WIDE), q, NULL);
    at_attend_spec spec = {.queries = {1, two, NULL}, .keys = {1, three, NULL}};
    at_var *want = run_heads(&h, queries, at_leaf(h.tape, at_shape2(3, WIDE), k, NULL), spec);
    spec.keys.offsets = five;
    at_var *all = at_leaf(h.tape, at_shape2(LONG, WIDE), k, NULL), *whole = run_heads(&h, queries, all, spec);
    spec.bias = (at_score_bias){.numbers = mask, .count = LONG};
    at_var *masked = run_heads(&h, queries, all, spec);
    assert_true(want && whole && masked);
    check_near(masked->data, want->data, 2 * WIDE, 1e-6);
    assert_memory_not_equal(whole->data, want->data, 2 * WIDE * sizeof(float));
    spec.causal = true;
    assert_null(run_heads(&h, queries, all, spec));
    check_fails(at_tape_status(h.tape), AT_ENOSUP, "causal attention would see");
    close_heads(&h);
}

static void where_it_cannot_be_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *family, *options, *message;
    } bad[] = {{"decoder", "{\"linformer_k\": 8}", "later ones too"},
               {"encoder", "{\"linformer_k\": 8, \"body\": \"gru\"}", "no attention to shorten"},
               {"recurrent", "{\"linformer_k\": 8}", "linformer_k"},
               {"transformer", "{\"linformer_k\": 70000}", "65536"}};
    const at_vocabulary v = {9, 9, 0, 1, 2, 3, 0};
    at_model *model;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *options = json_loads(bad[i].options, 0, NULL);
        check_fails(at_model_new(bad[i].family, options, &v, &model), AT_EARG, bad[i].message);
        json_decref(options);
    }
    at_params params = {0};
    at_stack stack = {0};
    at_stack_spec spec = {
        .layers = 1, .width = 4, .ffn = 4, .heads = 1, .causal = true, .linformer = {.slots = 2}};
    check_fails(at_stack_declare(&params, &spec, &stack), AT_EARG, "later ones too");
    at_params_free(&params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(company_and_threads_change_no_bit),
        cmocka_unit_test(a_trace_is_over_the_pieces),
        cmocka_unit_test(masked_keys_are_not_there),
        cmocka_unit_test(where_it_cannot_be_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
