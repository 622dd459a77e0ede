/* Training path and running path are one network; batches, slots and threads change nothing. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "attention/trace.h"
#include "model/state.h"
#include "tests/gradient.h"
#include "tests/toy.h"

static const int sources[] = {5, 1, 8, 0}, targets[] = {6, 7, 1, 4};
enum { PAIRS = 4, TARGET_ROWS = 18 };

/* Logits of all target rows as training computes them; the caller resets the tape. */
static const at_var *whole(toy *t, const at_batch *batch)
{
    at_tape_begin(t->tape, AT_TAPE_CHECK, 0, 0);
    t->tape->grads = NULL;
    at_var *memory = t->model->family->encode(t->model, t->tape, batch);
    at_var *rows = t->model->family->decode(t->model, t->tape, batch, memory);
    const at_var *logits = at_model_logits(t->model, t->tape, rows);
    check_ok(at_tape_status(t->tape));
    return logits;
}

/* The same through a state, at most `chunk` new rows of a slot at a time; pairs that are through leave. */
static void stepped(toy *t, const toy_batch *b, size_t chunk, float *out)
{
    size_t v = (size_t)t->model->vocabulary.target, count = b->batch.source.count;
    int source[TOY_SEQUENCES], slot[TOY_SEQUENCES];
    at_state *state;
    check_ok(at_state_new(t->model, &state));
    check_ok(at_state_encode(t->model, t->tape, state, &b->batch, source));
    for (size_t i = 0; i < count; i++)
        check_ok(at_state_open(state, source[i], &slot[i]));
    for (bool busy = true; busy;) {
        int active[TOY_SEQUENCES];
        int32_t offsets[TOY_SEQUENCES + 1] = {0}, ids[TOY_ROWS], place[TOY_ROWS];
        size_t rows = 0, n = 0;
        for (size_t i = 0; i < count; i++) {
            size_t first = (size_t)b->target_offsets[i] + at_state_length(state, slot[i]);
            size_t end = (size_t)b->target_offsets[i + 1];
            end = end - first > chunk ? first + chunk : end;
            if (first == end)
                continue;
            for (; first < end; first++, n++) {
                ids[n] = b->in[first];
                place[n] = (int32_t)first;
            }
            active[rows++] = slot[i];
            offsets[rows] = (int32_t)n;
        }
        busy = rows > 0;
        if (!busy)
            break;
        at_tape_begin(t->tape, AT_TAPE_RUN, 0, 0);
        at_rows fresh = {rows, offsets, NULL};
        const at_var *logits = at_state_step(t->model, t->tape, state, active, &fresh, ids);
        check_ok(at_tape_status(t->tape));
        for (size_t i = 0; i < n; i++)
            memcpy(out + (size_t)place[i] * v, logits->data + i * v, v * sizeof *out);
        at_tape_reset(t->tape);
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(at_state_length(state, slot[i]), targets[i]);
        assert_int_equal(at_state_source_length(state, slot[i]), sources[i]);
    }
    at_state_free(state);
}

static void paths_agree_with(const char *kernels, const char *options)
{
    toy t;
    toy_batch b;
    toy_open(&t, &(toy_spec){.kernels = kernels, .options = options, .seed = 2});
    toy_fill(&b, &t, PAIRS, sources, targets, 4);
    float want[TARGET_ROWS * TOY_VOCABULARY], got[TARGET_ROWS * TOY_VOCABULARY];
    memcpy(want, whole(&t, &b.batch)->data, sizeof want);
    for (int packed = 0; packed < 2; packed++) {
        for (size_t chunk = 1; chunk <= TARGET_ROWS; chunk = chunk < 3 ? chunk + 1 : chunk * 6) {
            memset(got, 0, sizeof got);
            stepped(&t, &b, chunk, got);
            check_near(got, want, TARGET_ROWS * TOY_VOCABULARY, 1e-5);
        }
        check_ok(at_model_pack(t.model, t.exec));
    }
    toy_close(&t);
}

static void training_and_running_agree(void **state)
{
    (void)state;
    static const char *const positions[] = {"sinusoidal", "learned", "none"}, *const tied[] = {
                                                                                  "all", "target", "none"};
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    for (int i = 0; i < 3 * 2 * 3 * 2 * 2; i++) {
        char options[256];
        snprintf(options, sizeof options,
                 "{\"positions\": \"%s\", \"norm\": \"%s\", \"tied\": \"%s\", \"shared_values\": %s, "
                 "\"activation\": \"%s\"}",
                 positions[i % 3], i / 3 % 2 ? "pre" : "post", tied[i / 6 % 3], i / 18 % 2 ? "true" : "false",
                 i / 36 % 2 ? "gelu" : "relu");
        paths_agree_with(sets[0]->name, options);
        if (i % 5 == 0) /* the other sets do the same by other kernels: some combinations will do */
            for (size_t set = 1; set < count; set++)
                paths_agree_with(sets[set]->name, options);
    }
}

static void every_score_runs_as_it_trains(void **state)
{
    (void)state;
    static const char *const scores[] = {"scaled-dot", "dot",    "general",        "additive",
                                         "concat",     "cosine", "cosine-learned", "location"};
    static const char *const normalisers[] = {"softmax", "sparsemax", "none"};
    for (size_t i = 0; i < 8 * 3; i++) {
        char options[128];
        snprintf(options, sizeof options, "{\"score\": \"%s\", \"normalise\": \"%s\", \"shared_values\": %s}",
                 scores[i % 8], normalisers[i / 8], i % 2 ? "true" : "false");
        paths_agree_with(NULL, options);
    }
}

/* Linformer in the encoder: cross attention and the decoder are as they were. */
static void linformer_runs_as_it_trains(void **state)
{
    (void)state;
    paths_agree_with(NULL, "{\"linformer_k\": 3}");
    paths_agree_with(NULL, "{\"linformer_k\": 60, \"linformer_share_heads\": false, \"norm\": \"pre\"}");
}

/* A sentence's bits do not depend on who shares its batch. */
static void a_batch_changes_no_bit(void **state)
{
    (void)state;
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    for (size_t set = 0; set < count; set++) {
        toy t;
        toy_batch all, one;
        toy_open(
            &t,
            &(toy_spec){.kernels = sets[set]->name, .seed = 2, .options = "{\"d_model\": 48, \"ffn\": 100}"});
        toy_fill(&all, &t, PAIRS, sources, targets, 4);
        float want[TARGET_ROWS * TOY_VOCABULARY], got[TARGET_ROWS * TOY_VOCABULARY];
        memcpy(want, whole(&t, &all.batch)->data, sizeof want);
        for (size_t i = 0; i < PAIRS; i++) {
            toy_single(&one, &all, i);
            size_t first = (size_t)all.target_offsets[i] * TOY_VOCABULARY;
            size_t n = at_rows_total(&one.batch.target) * TOY_VOCABULARY;
            memcpy(got, whole(&t, &one.batch)->data, n * sizeof *got);
            check_same_bits(got, want + first, n * sizeof *got);
        }
        toy_close(&t);
    }
}

/* Loss and every gradient, with dropout, at any number of threads; large enough that loops are cut. */
static void threads_change_no_bit(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8, 16};
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    int lengths[TOY_SEQUENCES];
    for (int i = 0; i < TOY_SEQUENCES; i++)
        lengths[i] = 1 + i * 7 % 38;
    for (size_t set = 0; set<count; set += count> 1 ? count - 1 : 1) { /* the best and the reference */
        float *grads = NULL;
        double loss = 0;
        for (int i = 0; i < 5; i++) {
            toy t;
            toy_batch b;
            toy_open(&t, &(toy_spec){.kernels = sets[set]->name,
                                     .threads = threads[i],
                                     .seed = 2,
                                     .vocabulary = 301,
                                     .options = "{\"d_model\": 48, \"ffn\": 96, \"dropout\": 0.1, "
                                                "\"attention_dropout\": 0.1, \"activation_dropout\": 0.1}"});
            toy_fill(&b, &t, TOY_SEQUENCES, lengths, lengths, 4);
            double now = toy_loss(&t, &b.batch, 0.1f, 3);
            if (i == 0) {
                loss = now;
                grads = t.grads;
                t.grads = NULL;
            } else {
                assert_true(now == loss);
                check_same_bits(t.grads, grads, t.model->params.total * sizeof *grads);
            }
            toy_close(&t);
        }
        free(grads);
    }
}

/* Cross attention's weights are the same looked at whole or step by step, and rows sum to 1. */
static void weights_agree_whole_and_stepped(void **state)
{
    (void)state;
    toy t;
    toy_batch b;
    toy_open(&t, &(toy_spec){.seed = 5});
    toy_fill(&b, &t, 1, (const int[]){6}, (const int[]){5}, 4);
    at_trace *trace = at_trace_new(), *steps = at_trace_new();
    assert_true(trace && steps);
    at_trace_want(trace, AT_CROSS, -1, -1);
    at_trace_want(steps, AT_CROSS, -1, -1);
    t.tape->trace = trace;
    whole(&t, &b.batch);
    int source, slot;
    at_state *running;
    check_ok(at_state_new(t.model, &running));
    check_ok(at_state_encode(t.model, t.tape, running, &b.batch, &source));
    check_ok(at_state_open(running, source, &slot));
    t.tape->trace = steps;
    for (size_t i = 0; i < 5; i++) {
        at_trace_clear(steps);
        at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
        static const int32_t one[] = {0, 1};
        at_rows rows = {1, one, NULL};
        assert_non_null(at_state_step(t.model, t.tape, running, &slot, &rows, &b.in[i]));
        for (int layer = 0; layer < 2; layer++)
            for (int head = 0; head < 3; head++) {
                const at_trace_map *want = at_trace_find(trace, AT_CROSS, layer, head, 0),
                                   *got = at_trace_find(steps, AT_CROSS, layer, head, 0);
                assert_true(want && got && want->queries == 5 && got->queries == 1 && got->keys == 6);
                check_near(got->weights, want->weights + i * 6, 6, 1e-6);
                float sum = 0;
                for (size_t s = 0; s < 6; s++)
                    sum += got->weights[s];
                assert_true(fabsf(sum - 1) < 1e-5f);
            }
    }
    at_state_free(running);
    at_trace_free(trace);
    at_trace_free(steps);
    toy_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_and_running_agree),  cmocka_unit_test(every_score_runs_as_it_trains),
        cmocka_unit_test(linformer_runs_as_it_trains), cmocka_unit_test(a_batch_changes_no_bit),
        cmocka_unit_test(threads_change_no_bit),       cmocka_unit_test(weights_agree_whole_and_stepped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
