/* Slots: fork, truncate, close, shared sources; pools are empty at the end; failed steps; refused memory. */
#include "model/state.h"
#include <string.h>
#include "tests/toy.h"

static const int sources[] = {5, 2, 7}, targets[] = {6, 4, 1};

typedef struct running {
    toy t;
    toy_batch b;
    at_state *state;
    int source[3];
} running;

static void open_running(running *r, const char *options)
{
    toy_open(&r->t, &(toy_spec){.options = options, .seed = 3});
    toy_fill(&r->b, &r->t, 3, sources, targets, 2);
    check_ok(at_state_new(r->t.model, &r->state));
    check_ok(at_state_encode(r->t.model, r->t.tape, r->state, &r->b.batch, r->source));
}

static void close_running(running *r)
{
    at_state_free(r->state);
    toy_close(&r->t);
}

/* `count` ids into one slot; the last row of logits. */
static void feed(running *r, int slot, const int32_t *ids, size_t count, float *last)
{
    at_tape_begin(r->t.tape, AT_TAPE_RUN, 0, 0);
    int32_t offsets[] = {0, (int32_t)count};
    at_rows rows = {1, offsets, NULL};
    const at_var *logits = at_state_step(r->t.model, r->t.tape, r->state, &slot, &rows, ids);
    check_ok(at_tape_status(r->t.tape));
    if (last)
        memcpy(last, logits->data + (count - 1) * TOY_VOCABULARY, TOY_VOCABULARY * sizeof *last);
}

/* A slot that reads `ids` from the beginning. */
static void fresh(running *r, int source, const int32_t *ids, size_t count, float *last)
{
    int slot;
    check_ok(at_state_open(r->state, source, &slot));
    feed(r, slot, ids, count, last);
    at_state_close(r->state, slot);
}

static void forks_go_their_own_ways(void **state)
{
    (void)state;
    static running r;
    open_running(&r, NULL);
    static const int32_t left[] = {1, 5, 6, 7, 8}, right[] = {1, 5, 6, 9, 4};
    float a[TOY_VOCABULARY], b[TOY_VOCABULARY], want[TOY_VOCABULARY];
    int slot, copy;
    check_ok(at_state_open(r.state, r.source[0], &slot));
    feed(&r, slot, left, 3, NULL);
    check_ok(at_state_fork(r.state, slot, &copy));
    assert_int_equal(at_state_length(r.state, copy), 3);
    feed(&r, slot, left + 3, 1, NULL);
    feed(&r, copy, right + 3, 1, NULL); /* in turns: rows of both lie between each other */
    feed(&r, slot, left + 4, 1, a);
    feed(&r, copy, right + 4, 1, b);
    fresh(&r, r.source[0], left, 5, want);
    check_near(a, want, TOY_VOCABULARY, 1e-6);
    fresh(&r, r.source[0], right, 5, want);
    check_near(b, want, TOY_VOCABULARY, 1e-6);
    at_state_close(r.state, slot); /* the fork keeps what it shares */
    at_state_truncate(r.state, copy, 2);
    assert_int_equal(at_state_length(r.state, copy), 2);
    feed(&r, copy, left + 2, 3, b);
    fresh(&r, r.source[0], left, 5, want);
    check_near(b, want, TOY_VOCABULARY, 1e-6);
    at_state_close(r.state, copy);
    close_running(&r);
}

/* 200 rounds of opening, forking, truncating and closing in any order need no more memory than one. */
static void all_rows_come_back(void **state)
{
    (void)state;
    static running r;
    open_running(&r, NULL);
    static const int32_t ids[] = {1, 5, 6, 7, 8, 9, 4, 3};
    size_t bytes = 0, source_rows = at_state_rows(r.state);
    assert_int_equal(source_rows, sources[0] + sources[1] + sources[2]);
    for (int round = 0; round < 200; round++) {
        int slots[6];
        check_ok(at_state_open(r.state, r.source[round % 3], &slots[0]));
        feed(&r, slots[0], ids, 8, NULL);
        for (int i = 1; i < 6; i++) {
            check_ok(at_state_fork(r.state, slots[i - 1], &slots[i]));
            at_state_truncate(r.state, slots[i], (size_t)(8 - i));
            feed(&r, slots[i], ids, 3, NULL);
        }
        assert_int_equal(at_state_slots(r.state), 6);
        for (int i = 0; i < 6; i++)
            at_state_close(r.state, slots[(i * 5 + round) % 6]);
        assert_int_equal(at_state_rows(r.state), source_rows);
        at_state_drop_source(r.state, r.source[round % 3]);
        toy_batch one;
        toy_single(&one, &r.b, (size_t)(round % 3));
        check_ok(at_state_encode(r.t.model, r.t.tape, r.state, &one.batch, &r.source[round % 3]));
        if (round == 0)
            bytes = at_state_bytes(r.state);
        assert_int_equal(at_state_bytes(r.state), bytes); /* 200 rounds fit where one did */
    }
    for (int i = 0; i < 3; i++)
        at_state_drop_source(r.state, r.source[i]);
    assert_int_equal(at_state_rows(r.state), 0);
    close_running(&r);
}

/* Counted: every row that was ever given out is free again, once, when the last slot closes. */
static void rows_are_counted(void **state)
{
    (void)state;
    static running r;
    open_running(&r, NULL);
    static const int32_t ids[] = {1, 5, 6, 7};
    int a, b, c, again;
    check_ok(at_state_open(r.state, r.source[1], &a));
    feed(&r, a, ids, 4, NULL);
    check_ok(at_state_fork(r.state, a, &b));
    check_ok(at_state_fork(r.state, b, &c));
    at_cache before = at_state_self(r.state, a), after = at_state_self(r.state, c);
    assert_memory_equal(before.rows, after.rows,
                        4 * sizeof *before.rows); /* numbers are copied, keys are not */
    int32_t shared[4];
    memcpy(shared, before.rows, sizeof shared);
    at_state_close(r.state, a);
    at_state_close(r.state, c);
    check_ok(at_state_open(r.state, r.source[1], &again));
    feed(&r, again, ids, 4, NULL);
    at_cache fresh_rows = at_state_self(r.state, again);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            assert_int_not_equal(fresh_rows.rows[i], shared[j]); /* b still looks at them */
    at_state_close(r.state, b);
    check_ok(at_state_open(r.state, r.source[1], &b));
    feed(&r, b, ids, 4, NULL);
    at_cache reused = at_state_self(r.state, b);
    for (int i = 0; i < 4; i++) {
        int found = 0;
        for (int j = 0; j < 4; j++)
            found += reused.rows[i] == shared[j];
        assert_int_equal(found, 1);
    }
    close_running(&r);
}

/* Dropping a source that a slot looks at: its rows stay until the slot closes. */
static void a_source_lives_as_long_as_its_slots(void **state)
{
    (void)state;
    static running r;
    open_running(&r, NULL);
    static const int32_t ids[] = {1, 5, 6};
    float want[TOY_VOCABULARY], got[TOY_VOCABULARY];
    int slot, sources_again[3];
    fresh(&r, r.source[0], ids, 3, want);
    check_ok(at_state_open(r.state, r.source[0], &slot));
    at_state_drop_source(r.state, r.source[0]);
    check_ok(at_state_encode(r.t.model, r.t.tape, r.state, &r.b.batch, sources_again));
    for (int i = 0; i < 3; i++)
        assert_int_not_equal(sources_again[i], r.source[0]);
    feed(&r, slot, ids, 3, got);
    check_same_bits(got, want, sizeof got);
    at_state_close(r.state, slot);
    toy_batch one;
    int reused;
    toy_single(&one, &r.b, 1);
    check_ok(at_state_encode(r.t.model, r.t.tape, r.state, &one.batch, &reused));
    assert_int_equal(reused, r.source[0]);
    close_running(&r);
}

static void a_sentence_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static running r;
    open_running(&r, "{\"max_length\": 8}");
    static const int32_t ids[] = {1, 5, 6, 7, 8, 9, 4, 3, 5, 6, 7, 8}, offsets[] = {0, 9}, two[] = {0, 1, 10};
    int slot, other;
    check_ok(at_state_open(r.state, r.source[0], &slot));
    check_ok(at_state_open(r.state, r.source[1], &other));
    at_tape_begin(r.t.tape, AT_TAPE_RUN, 0, 0);
    at_rows rows = {1, offsets, NULL}, both = {2, two, NULL};
    assert_null(at_state_step(r.t.model, r.t.tape, r.state, &slot, &rows, ids));
    check_fails(at_tape_status(r.t.tape), AT_ENOSUP,
                "target of 9 pieces: this model reaches 8 (model.max_length)");
    assert_int_equal(at_state_length(r.state, slot), 0);
    feed(&r, slot, ids, 8, NULL);
    at_tape_begin(r.t.tape, AT_TAPE_RUN, 0, 0);
    assert_null(at_state_step(r.t.model, r.t.tape, r.state, (const int[]){other, slot}, &both, ids));
    assert_int_equal(at_tape_status(r.t.tape), AT_ENOSUP);
    assert_int_equal(at_state_length(r.state, other), 0); /* a failed step leaves every slot as it was */
    assert_int_equal(at_state_length(r.state, slot), 8);
    toy_batch longer;
    int source;
    at_tape_begin(r.t.tape, AT_TAPE_RUN, 0, 0);
    toy_fill(&longer, &r.t, 1, (const int[]){9}, (const int[]){1}, 1);
    check_fails(at_state_encode(r.t.model, r.t.tape, r.state, &longer.batch, &source), AT_ENOSUP,
                "source of 9 pieces");
    close_running(&r);
}

/* Memory refused while encoding: the sources that were there, and nothing else, have rows. */
static void a_refused_encoding_takes_no_rows(void **state)
{
    (void)state;
    static running r;
    open_running(&r, NULL);
    toy_batch longer;
    int found[12], lengths[12];
    for (int i = 0; i < 12; i++)
        lengths[i] = 30 + i / 2;
    toy_fill(&longer, &r.t, 12, lengths, lengths, 1); /* more rows than a pool begins with */
    size_t rows = at_state_rows(r.state);
    at_status st = AT_ENOMEM;
    for (long n = 0; st != AT_OK; n++) {
        check_fail_allocation(n);
        st = at_state_encode(r.t.model, r.t.tape, r.state, &longer.batch, found);
        check_allocations_restore();
        assert_true(st == AT_OK || (st == AT_ENOMEM && at_state_rows(r.state) == rows));
    }
    assert_int_equal(at_state_rows(r.state), rows + at_rows_total(&longer.batch.source));
    close_running(&r);
}

typedef struct refusal {
    toy *t;
    const toy_batch *b;
} refusal;

/* Model, tape, state, encoding, steps, forks: all that loading a file is not. */
static at_status run_all(void *context)
{
    const refusal *c = context;
    at_model *model = NULL;
    at_tape *tape = NULL;
    at_state *state = NULL;
    json_t *options = NULL;
    at_status st = at_model_new("transformer", NULL, &c->t->model->vocabulary, &model);
    if (st == AT_OK)
        st = at_params_allocate(&model->params);
    if (st == AT_OK)
        st = (options = at_model_options(model)) ? AT_OK : AT_ENOMEM;
    if (st == AT_OK)
        st = at_model_pack(model, c->t->exec);
    if (st == AT_OK)
        st = at_tape_new(c->t->exec, &tape);
    if (st == AT_OK)
        st = at_state_new(model, &state);
    int source[3], slot, copy;
    if (st == AT_OK)
        st = at_state_encode(model, tape, state, &c->b->batch, source);
    if (st == AT_OK)
        st = at_state_open(state, source[2], &slot);
    static const int32_t ids[] = {1, 5, 6}, offsets[] = {0, 3};
    at_rows rows = {1, offsets, NULL};
    if (st == AT_OK) {
        at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
        const at_var *logits = at_state_step(model, tape, state, &slot, &rows, ids);
        st = logits ? AT_OK : at_tape_status(tape);
        if (!logits)
            assert_int_equal(at_state_length(state, slot), 0);
    }
    if (st == AT_OK)
        st = at_state_fork(state, slot, &copy);
    json_decref(options);
    at_state_free(state);
    at_tape_free(tape);
    at_model_free(model);
    return st;
}

static at_status train_once(void *context)
{
    const refusal *c = context;
    at_tape *tape = NULL;
    at_status st = at_tape_new(c->t->exec, &tape);
    if (st != AT_OK)
        return st;
    at_tape_begin(tape, AT_TAPE_TRAIN, 1, 1);
    tape->grads = c->t->grads;
    at_var *loss = at_model_loss(c->t->model, tape, &c->b->batch,
                                 &(at_loss_options){.smoothing = 0.1f, .scale = 1}, NULL);
    st = at_tape_status(tape);
    if (st == AT_OK)
        st = at_tape_backward(tape, loss);
    at_tape_free(tape);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    toy t;
    toy_batch b;
    toy_open(&t, &(toy_spec){.seed = 3, .options = "{\"dropout\": 0.1}"});
    toy_fill(&b, &t, 3, sources, targets, 2);
    toy_loss(&t, &b.batch, 0, 1); /* the exec's scratch has its size now */
    refusal c = {&t, &b};
    check_every_allocation(run_all, &c, 3000);
    check_every_allocation(train_once, &c, 500);
    toy_close(&t);
}

/* Keys that serve as values are kept once. */
static void shared_values_halve_the_pools(void **state)
{
    (void)state;
    static running r;
    size_t bytes[2];
    for (int shared = 0; shared < 2; shared++) {
        open_running(&r, shared ? "{\"shared_values\": true}" : NULL);
        fresh(&r, r.source[0], (const int32_t[]){1, 5}, 2, NULL);
        bytes[shared] = at_state_bytes(r.state);
        close_running(&r);
    }
    assert_int_equal(2 * bytes[1], bytes[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forks_go_their_own_ways),
        cmocka_unit_test(all_rows_come_back),
        cmocka_unit_test(rows_are_counted),
        cmocka_unit_test(a_source_lives_as_long_as_its_slots),
        cmocka_unit_test(a_sentence_that_is_too_long_is_refused),
        cmocka_unit_test(shared_values_halve_the_pools),
        cmocka_unit_test(a_refused_encoding_takes_no_rows),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
