/* The recurrent encoder-decoder: gradients, training against running, every option, what is refused. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "attention/trace.h"
#include "base/memory.h"
#include "decode/beam.h"
#include "model/state.h"
#include "tests/gradient.h"
#include "tests/toy.h"
#include "train/optimiser.h"

/* An empty source, an empty target, ragged lengths, not in order of length. */
static const int sources[] = {3, 0, 5, 1}, targets[] = {2, 1, 0, 4};
enum { PAIRS = 4, TARGET_ROWS = 7 };

static void open_toy(toy *t, const char *options)
{
    toy_open(t, &(toy_spec){.family = "recurrent", .options = options, .seed = 3});
}

/* ---------------------------------------------------------------- every option */

#define TWO "\"encoder_layers\": 2, \"decoder_layers\": 2"
#define LUONG "\"attention\": \"luong\""
#define NONE "\"attention\": \"none\""
#define WIDE "\"decoder_hidden\": 10"

/* Every value of every choice stands in one of them. */
static const char *const kinds[] = {
    "{}",
    "{\"cell\": \"lstm\", " TWO ", \"readout\": \"tanh\"}",
    "{\"use\": \"every\", \"tied\": \"target\", \"decoder_hidden\": 6, \"context\": \"map\"}",
    "{\"keys\": \"inputs\", \"readout\": \"linear\", \"context\": \"pool\", \"tied\": \"all\"}",
    "{\"bidirectional\": false, \"reverse\": true, \"keys\": \"inputs\", \"normalise\": \"sparsemax\"}",
    "{\"score\": \"dot\", " WIDE ", \"attention_dropout\": 0.3}",
    "{\"score\": \"scaled-dot\", " WIDE ", \"align\": \"local-m\", \"window\": 1}",
    "{\"score\": \"general\", \"align\": \"local-p\", \"window\": 2}",
    "{\"score\": \"concat\", \"attention_width\": 4, \"reverse\": true}",
    "{\"score\": \"cosine\", " WIDE ", \"cell\": \"lstm\"}",
    "{\"score\": \"cosine-learned\", " WIDE "}",
    "{\"score\": \"location\", \"places\": 4}",
    "{" LUONG ", \"score\": \"general\"}",
    "{" LUONG ", \"score\": \"general\", \"input_feeding\": false, " TWO "}",
    "{" LUONG ", \"score\": \"dot\", " WIDE ", " TWO ", \"cell\": \"lstm\"}",
    "{" LUONG ", \"score\": \"general\", \"align\": \"local-m\", \"window\": 1, \"input_feeding\": false}",
    "{" LUONG ", \"score\": \"concat\", \"align\": \"local-p\", \"window\": 1, \"normalise\": \"none\"}",
    "{" LUONG ", \"score\": \"location\", \"input_feeding\": false, \"readout_width\": 5}",
    "{" NONE ", \"use\": \"initial\", " WIDE "}",
    "{" NONE ", \"use\": \"initial\", " WIDE ", " TWO ", \"cell\": \"lstm\", \"reverse\": true}",
    "{" NONE ", \"use\": \"initial\", \"context\": \"map\", \"cell\": \"lstm\"}",
    "{" NONE ", \"use\": \"initial\", \"context\": \"pool\", " TWO "}",
    "{" NONE ", \"use\": \"every\"}",
    "{" NONE ", \"use\": \"every\", \"context\": \"map\", \"bidirectional\": false}",
    "{" NONE ", \"use\": \"readout\", \"context\": \"pool\", \"cell\": \"lstm\"}",
    "{" NONE ", \"use\": \"readout\", \"context\": \"map\", \"readout\": \"tanh\", " TWO "}",
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---------------------------------------------------------------- gradients */

typedef struct loss_case {
    const toy *t;
    const toy_batch *batch;
} loss_case;

static at_var *loss(at_tape *tape, at_var *const *x, const void *context)
{
    (void)x;
    const loss_case *c = context;
    const at_loss_options options = {.smoothing = 0.1f, .scale = 0.37f};
    return at_model_loss(c->t->model, tape, &c->batch->batch, &options, NULL);
}

static void check_gradients(const char *options, bool training)
{
    toy t;
    toy_batch b;
    open_toy(&t, options);
    toy_fill(&b, &t, PAIRS, sources, targets, 5);
    at_params *params = &t.model->params;
    for (size_t i = 0; i < params->count; i++) { /* larger numbers, so that every path matters */
        const at_param *p = params->list[i];
        if (!p->tied_to)
            gradient_random(params->block + p->offset, at_shape_count(p->shape), (uint32_t)i, 0.5f);
    }
    loss_case c = {&t, &b};
    gradient_check(&(gradient_case){.name = options,
                                    .build = loss,
                                    .context = &c,
                                    .params = params,
                                    .training = training,
                                    .tolerance = 5e-3});
    toy_close(&t);
}

#define TINY "\"embedding\": 4, \"encoder_hidden\": 2, \"decoder_hidden\": 4"

static void gradients_with_attention(void **state)
{
    (void)state;
    check_gradients("{" TINY "}", false);
    check_gradients("{" TINY ", \"cell\": \"lstm\", " TWO ", \"dropout\": 0.2, \"attention_dropout\": 0.2, "
                    "\"keys\": \"inputs\", \"context\": \"pool\"}",
                    true);
    check_gradients("{" TINY ", " LUONG ", \"score\": \"general\", \"cell\": \"lstm\"}", false);
    check_gradients("{" TINY ", " LUONG ", \"score\": \"dot\", \"align\": \"local-p\", \"window\": 2, "
                    "\"input_feeding\": false, " TWO ", \"reverse\": true}",
                    false);
}

static void gradients_of_one_vector(void **state)
{
    (void)state;
    check_gradients("{" TINY ", " NONE ", \"use\": \"initial\", \"cell\": \"lstm\", " TWO "}", false);
    check_gradients("{" TINY ", " NONE ", \"use\": \"readout\", \"context\": \"map\", \"tied\": \"all\"}",
                    false);
}

/* The model's own words are constants of the seed: gradients are those of the sentence that was fed. */
static void gradients_with_sampled_words(void **state)
{
    (void)state;
    check_gradients("{" TINY ", \"sampling\": 0.7, \"sampling_steps\": 1}", true);
    check_gradients("{" TINY ", " NONE ", \"use\": \"readout\", \"sampling\": 1, \"sampling_steps\": 1}",
                    true);
}

/* ---------------------------------------------------------------- training and running */

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

typedef struct slots {
    at_state *state;
    int source[PAIRS], slot[PAIRS];
} slots;

static void open_slots(slots *s, toy *t, const toy_batch *b)
{
    check_ok(at_state_new(t->model, &s->state));
    check_ok(at_state_encode(t->model, t->tape, s->state, &b->batch, s->source));
    for (size_t i = 0; i < PAIRS; i++)
        check_ok(at_state_open(s->state, s->source[i], &s->slot[i]));
}

/* Logits by a state, at most `chunk` new rows of a slot at a time. */
static void stepped(toy *t, const toy_batch *b, size_t chunk, float *out)
{
    slots s;
    open_slots(&s, t, b);
    for (;;) {
        int active[PAIRS];
        int32_t offsets[PAIRS + 1] = {0}, ids[TARGET_ROWS], place[TARGET_ROWS];
        size_t rows = 0, n = 0;
        for (size_t i = 0; i < PAIRS; i++) {
            size_t first = (size_t)b->target_offsets[i] + at_state_length(s.state, s.slot[i]);
            size_t end = (size_t)b->target_offsets[i + 1];
            if (first == end)
                continue;
            for (size_t k = 0; k < chunk && first < end; k++, first++, n++) {
                ids[n] = b->in[first];
                place[n] = (int32_t)first;
            }
            active[rows++] = s.slot[i];
            offsets[rows] = (int32_t)n;
        }
        if (rows == 0)
            break;
        at_tape_begin(t->tape, AT_TAPE_RUN, 0, 0);
        at_rows fresh = {rows, offsets, NULL};
        const at_var *logits = at_state_step(t->model, t->tape, s.state, active, &fresh, ids);
        check_ok(at_tape_status(t->tape));
        for (size_t i = 0; i < n; i++)
            memcpy(out + (size_t)place[i] * TOY_VOCABULARY, logits->data + i * TOY_VOCABULARY,
                   TOY_VOCABULARY * sizeof *out);
        at_tape_reset(t->tape);
    }
    at_state_free(s.state);
}

static void training_and_running_agree(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        toy t;
        toy_batch b;
        open_toy(&t, kinds[kind]);
        toy_fill(&b, &t, PAIRS, sources, targets, 4);
        float want[TARGET_ROWS * TOY_VOCABULARY], got[TARGET_ROWS * TOY_VOCABULARY];
        memcpy(want, whole(&t, &b.batch)->data, sizeof want);
        for (int packed = 0; packed < 2; packed++) {
            for (size_t chunk = 1; chunk <= 4; chunk += chunk) {
                memset(got, 0, sizeof got);
                stepped(&t, &b, chunk, got);
                check_near(got, want, TARGET_ROWS * TOY_VOCABULARY, 1e-5);
            }
            check_ok(at_model_pack(t.model, t.exec));
        }
        toy_close(&t);
    }
}

/* A word of the source changes every row of its target, and no other pair's. */
static void everything_reaches_the_output(void **state)
{
    (void)state;
    static const int long_sources[] = {5, 4, 5, 5};
    for (size_t kind = 0; kind < KINDS; kind++) {
        toy t;
        toy_batch b;
        open_toy(&t, kinds[kind]);
        toy_fill(&b, &t, PAIRS, long_sources, targets, 4);
        float before[TARGET_ROWS * TOY_VOCABULARY];
        memcpy(before, whole(&t, &b.batch)->data, sizeof before);
        int32_t *word = &b.source[b.source_offsets[3] + 1];
        *word = *word == 5 ? 6 : 5;
        const float *after = whole(&t, &b.batch)->data;
        size_t own = 3 * TOY_VOCABULARY; /* rows of the pairs before: 2 + 1 + 0 */
        check_same_bits(after, before, own * sizeof *after);
        for (size_t row = 3; row < TARGET_ROWS; row++)
            assert_memory_not_equal(after + row * TOY_VOCABULARY, before + row * TOY_VOCABULARY,
                                    TOY_VOCABULARY * sizeof *after);
        toy_close(&t);
    }
}

/* A pair's bits depend neither on its company nor on its place in it. */
static void a_batch_changes_no_bit(void **state)
{
    (void)state;
    static const size_t some[] = {0, 1, 12, 13, 22};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        toy t;
        toy_batch all, one;
        open_toy(&t, kinds[some[i]]);
        toy_fill(&all, &t, PAIRS, sources, targets, 4);
        float want[TARGET_ROWS * TOY_VOCABULARY];
        memcpy(want, whole(&t, &all.batch)->data, sizeof want);
        for (size_t pair = 0; pair < PAIRS; pair++) {
            toy_single(&one, &all, pair);
            size_t n = at_rows_total(&one.batch.target) * TOY_VOCABULARY;
            check_same_bits(whole(&t, &one.batch)->data,
                            want + (size_t)all.target_offsets[pair] * TOY_VOCABULARY, n * sizeof *want);
        }
        toy_close(&t);
    }
}

/* Loss and every gradient, with dropout and sampled words, at any number of threads. */
static void threads_change_no_bit(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8};
    static const char *const some[] = {
        "{\"decoder_hidden\": 48, \"encoder_hidden\": 40, \"dropout\": 0.2, \"attention_dropout\": 0.1}",
        "{\"decoder_hidden\": 48, \"dropout\": 0.2, \"sampling\": 0.5, \"sampling_steps\": 1, "
        "\"sampling_draw\": true, \"cell\": \"lstm\"}",
        "{" LUONG ", \"score\": \"general\", \"decoder_hidden\": 48, \"input_feeding\": false}",
    };
    int lengths[TOY_SEQUENCES];
    for (int i = 0; i < TOY_SEQUENCES; i++)
        lengths[i] = 1 + i * 7 % 19;
    for (size_t kind = 0; kind < sizeof some / sizeof *some; kind++) {
        float *grads = NULL;
        double first = 0;
        for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
            toy t;
            toy_batch b;
            toy_open(&t, &(toy_spec){.family = "recurrent",
                                     .options = some[kind],
                                     .threads = threads[i],
                                     .vocabulary = 301,
                                     .seed = 2});
            toy_fill(&b, &t, TOY_SEQUENCES, lengths, lengths, 4);
            double now = toy_loss(&t, &b.batch, 0.1f, 3);
            if (i == 0) {
                first = now;
                grads = t.grads;
                t.grads = NULL;
            } else {
                assert_true(now == first);
                check_same_bits(t.grads, grads, t.model->params.total * sizeof *grads);
            }
            toy_close(&t);
        }
        free(grads);
    }
}

/* ---------------------------------------------------------------- weights on request */

static void weights_agree_whole_and_stepped(void **state)
{
    (void)state;
    static const size_t some[] = {0, 6, 7, 12, 13};
    for (size_t kind = 0; kind < sizeof some / sizeof *some; kind++) {
        toy t;
        toy_batch b;
        open_toy(&t, kinds[some[kind]]);
        toy_fill(&b, &t, 1, (const int[]){6}, (const int[]){5}, 4);
        at_trace *trace = at_trace_new(), *steps = at_trace_new();
        assert_true(trace && steps);
        at_trace_want(trace, AT_CROSS, -1, -1);
        at_trace_want(steps, AT_CROSS, -1, -1);
        t.tape->trace = trace;
        whole(&t, &b.batch);
        const at_trace_map *want = at_trace_find(trace, AT_CROSS, 0, 0, 0);
        assert_true(want && want->queries == 5 && want->keys == 6);
        assert_int_equal(at_trace_count(trace), 1);
        int source, slot;
        at_state *running;
        t.tape->trace = NULL;
        check_ok(at_state_new(t.model, &running));
        check_ok(at_state_encode(t.model, t.tape, running, &b.batch, &source));
        check_ok(at_state_open(running, source, &slot));
        t.tape->trace = steps;
        for (size_t i = 0; i < 5; i++) {
            static const int32_t one[] = {0, 1};
            at_rows rows = {1, one, NULL};
            at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
            assert_non_null(at_state_step(t.model, t.tape, running, &slot, &rows, &b.in[i]));
        }
        const at_trace_map *got = at_trace_find(steps, AT_CROSS, 0, 0, 0);
        assert_true(got && got->queries == 5 && got->keys == 6);
        check_near(got->weights, want->weights, 5 * 6, 1e-6);
        at_state_free(running);
        at_trace_free(trace);
        at_trace_free(steps);
        toy_close(&t);
    }
}

/* In a batch each pair finds its own, whatever order the steps took them in. */
static void weights_bear_the_number_of_their_pair(void **state)
{
    (void)state;
    toy t;
    toy_batch all, one;
    open_toy(&t, "{}");
    toy_fill(&all, &t, PAIRS, sources, targets, 4);
    at_trace *together = at_trace_new(), *alone = at_trace_new();
    assert_true(together && alone);
    at_trace_want(together, AT_CROSS, -1, -1);
    at_trace_want(alone, AT_CROSS, -1, -1);
    t.tape->trace = together;
    whole(&t, &all.batch);
    t.tape->trace = alone;
    for (size_t i = 0; i < PAIRS; i++) {
        toy_single(&one, &all, i);
        at_trace_clear(alone);
        whole(&t, &one.batch);
        const at_trace_map *want = at_trace_find(alone, AT_CROSS, 0, 0, 0),
                           *got = at_trace_find(together, AT_CROSS, 0, 0, i);
        size_t rows = (size_t)targets[i];
        assert_true(rows == 0 || (want && got && got->queries == rows && got->keys == want->keys));
        if (rows > 0)
            check_near(got->weights, want->weights, rows * want->keys, 1e-6);
    }
    at_trace_free(together);
    at_trace_free(alone);
    toy_close(&t);
}

/* ---------------------------------------------------------------- slots */

/* A fork goes its own way; old rows give their place back; a beam's neighbours share a source. */
static void forks_part(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        toy t;
        toy_batch b;
        open_toy(&t, kinds[kind]);
        toy_fill(&b, &t, PAIRS, sources, targets, 4);
        slots s;
        open_slots(&s, &t, &b);
        size_t before = at_state_rows(s.state);
        static const int32_t ones[] = {0, 1, 2, 3, 4}, first[] = {1, 1, 1, 1}, second[] = {4, 5, 6, 7};
        at_rows four = {4, ones, NULL}, two = {2, ones, NULL}, one = {1, ones, NULL};
        at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
        assert_non_null(at_state_step(t.model, t.tape, s.state, s.slot, &four, first));
        int copy, pair[2];
        check_ok(at_state_fork(s.state, s.slot[2], &copy));
        pair[0] = s.slot[2], pair[1] = copy;
        at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
        const at_var *both = at_state_step(t.model, t.tape, s.state, pair, &two, second);
        float want[2 * TOY_VOCABULARY];
        memcpy(want, both->data, sizeof want);
        assert_int_equal(at_state_rows(s.state), before + 5); /* one a slot */
        assert_int_equal(at_state_length(s.state, copy), 2);
        at_state_close(s.state, copy);
        for (int i = 0; i < 2; i++) { /* the same alone, from the beginning */
            at_state_truncate(s.state, s.slot[2], 0);
            at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
            at_state_step(t.model, t.tape, s.state, &s.slot[2], &one, first);
            at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
            const at_var *alone = at_state_step(t.model, t.tape, s.state, &s.slot[2], &one, &second[i]);
            check_near(alone->data, want + i * TOY_VOCABULARY, TOY_VOCABULARY, 1e-6);
        }
        at_state_free(s.state);
        toy_close(&t);
    }
}

/* Every hypothesis of a beam has the probability that the model gives it when it is forced to say it. */
static void beams_add_up(void **state)
{
    (void)state;
    static const size_t some[] = {0, 1, 12, 13, 19, 24};
    for (size_t kind = 0; kind < sizeof some / sizeof *some; kind++) {
        toy t;
        toy_batch b;
        open_toy(&t, kinds[some[kind]]);
        toy_fill(&b, &t, 3, (const int[]){6, 2, 4}, (const int[]){1, 1, 1}, 4);
        at_beam_options o;
        check_ok(at_fields_default(at_beam_fields, &o));
        o.beam = o.n_best = 4;
        o.max_length = 6;
        at_arena *arena = at_arena_new();
        at_hypotheses found[3] = {0};
        check_ok(at_beam_search(t.model, t.tape, &b.batch, &o, arena, found));
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(found[i].count, 4);
            for (size_t h = 0; h < 4; h++) {
                const at_hypothesis *said = &found[i].list[h];
                toy_batch forced;
                toy_single(&forced, &b, i);
                forced.target_offsets[1] = (int32_t)said->length;
                for (size_t w = 0; w < said->length; w++) {
                    forced.out[w] = said->ids[w];
                    forced.in[w] = w ? said->ids[w - 1] : t.model->vocabulary.bos;
                }
                at_loss_report report;
                const at_loss_options plain = {0};
                at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
                at_model_loss(t.model, t.tape, &forced.batch, &plain, &report);
                check_ok(at_tape_status(t.tape));
                assert_true(fabs(report.loss + (double)said->log_probability) < 1e-4);
            }
        }
        at_arena_free(arena);
        toy_close(&t);
    }
}

/* ---------------------------------------------------------------- learning */

static void tiny_sets_are_learnt_by_heart(void **state)
{
    (void)state;
    static const size_t some[] = {0, 1, 12, 18, 22};
    for (size_t kind = 0; kind < sizeof some / sizeof *some; kind++) {
        toy t;
        toy_batch b;
        open_toy(&t, kinds[some[kind]]);
        toy_fill(&b, &t, PAIRS, (const int[]){4, 5, 3, 6}, (const int[]){4, 3, 6, 5}, 8);
        at_optimiser_options adam = {AT_ADAM, 0.9, 0.98, 1e-9, 0, 0};
        at_optimiser *optimiser;
        check_ok(at_optimiser_new(t.exec, &t.model->params, &adam, &optimiser));
        double before = toy_loss(&t, &b.batch, 0, 1), after = before;
        for (uint64_t step = 1; step <= 150; step++) {
            after = toy_loss(&t, &b.batch, 0, step);
            memcpy(optimiser->grads, t.grads, t.model->params.total * sizeof *t.grads);
            at_optimiser_step(optimiser, 0.02, at_clip_scale(at_optimiser_norm(optimiser, 1), 1));
        }
        assert_true(before > 1.5 && after < 0.05);
        at_optimiser_free(optimiser);
        toy_close(&t);
    }
}

/* ---------------------------------------------------------------- scheduled sampling */

static double loss_at(const char *options, uint64_t step)
{
    toy t;
    toy_batch b;
    open_toy(&t, options);
    toy_fill(&b, &t, PAIRS, (const int[]){4, 5, 3, 6}, (const int[]){8, 7, 6, 9}, 8);
    double found = toy_loss(&t, &b.batch, 0, step);
    toy_close(&t);
    return found;
}

static void sampling_grows_with_the_steps(void **state)
{
    (void)state;
    const double taught = loss_at("{}", 1);
    static const char *const decays[] = {"linear", "exponential", "sigmoid"};
    for (size_t i = 0; i < 3; i++) {
        char options[128];
        snprintf(options, sizeof options,
                 "{\"sampling\": 1, \"sampling_decay\": \"%s\", \"sampling_steps\": 1000000}", decays[i]);
        assert_true(fabs(loss_at(options, 1) - taught) < 1e-6); /* nearly no word yet */
        snprintf(options, sizeof options,
                 "{\"sampling\": 1, \"sampling_decay\": \"%s\", \"sampling_steps\": 10}", decays[i]);
        double own = loss_at(options, 1000000);
        assert_true(fabs(own - taught) > 1e-4);
        assert_true(own == loss_at(options, 1000000)); /* and no accident */
    }
    double best = loss_at("{\"sampling\": 1, \"sampling_steps\": 1}", 50),
           drawn = loss_at("{\"sampling\": 1, \"sampling_steps\": 1, \"sampling_draw\": true}", 50);
    assert_true(fabs(best - drawn) > 1e-6);
}

/* ---------------------------------------------------------------- what is refused */

static void bad_options_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *options, *reason;
    } cases[] = {
        {"{\"attention\": \"none\", \"use\": \"initial\"}", "or choose model.context 'map'"},
        {"{\"attention\": \"none\", \"use\": \"initial\", \"decoder_hidden\": 512, \"decoder_layers\": 2}",
         "as many layers on both sides (got 1 and 2)"},
        {"{\"use\": \"initial\"}", "want 'every' or 'readout'"},
        {"{\"align\": \"local-m\", \"window\": 0}", "model.window"},
        {"{\"score\": \"dot\"}", "one width; got 256 and 512"},
        {"{\"score\": \"cosine\", \"keys\": \"inputs\", \"embedding\": 7}", "one width; got 256 and 7"},
        {"{\"tied\": \"target\", \"use\": \"every\", \"embedding\": 64}", "model.decoder_hidden"},
        {"{\"tied\": \"all\", \"readout_width\": 100}", "model.readout_width"},
        {"{\"score\": \"loud\"}", "score"},
        {"{\"cell\": \"rnn\"}", "cell"},
        {"{\"decoder_layers\": 17}", "decoder_layers"},
        {"{\"heads\": 4}", "heads"},
    };
    const at_vocabulary vocabulary = {11, 11, 0, 1, 2, 3, 0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *section = json_loads(cases[i].options, 0, NULL);
        at_model *model = NULL;
        check_fails(at_model_new("recurrent", section, &vocabulary, &model), AT_EARG, cases[i].reason);
        assert_null(model);
        json_decref(section);
    }
    const at_vocabulary two = {11, 12, 0, 1, 2, 3, 0};
    json_t *tied = json_loads("{\"tied\": \"all\"}", 0, NULL);
    at_model *model = NULL;
    check_fails(at_model_new("recurrent", tied, &two, &model), AT_EARG, "one vocabulary");
    json_decref(tied);
}

static at_status use_memory(void *context)
{
    (void)context;
    const at_vocabulary vocabulary = {TOY_VOCABULARY, TOY_VOCABULARY, 0, 1, 2, 3, 0};
    at_model *model = NULL;
    at_state *running = NULL;
    at_status st = at_model_new("recurrent", NULL, &vocabulary, &model);
    if (st == AT_OK)
        st = at_params_allocate(&model->params);
    if (st == AT_OK)
        st = at_state_new(model, &running);
    at_state_free(running);
    at_model_free(model);
    return st;
}

static void memory_that_is_refused_is_an_error(void **state)
{
    (void)state;
    check_every_allocation(use_memory, NULL, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_with_attention),
        cmocka_unit_test(gradients_of_one_vector),
        cmocka_unit_test(gradients_with_sampled_words),
        cmocka_unit_test(training_and_running_agree),
        cmocka_unit_test(everything_reaches_the_output),
        cmocka_unit_test(a_batch_changes_no_bit),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(weights_agree_whole_and_stepped),
        cmocka_unit_test(weights_bear_the_number_of_their_pair),
        cmocka_unit_test(forks_part),
        cmocka_unit_test(beams_add_up),
        cmocka_unit_test(tiny_sets_are_learnt_by_heart),
        cmocka_unit_test(sampling_grows_with_the_steps),
        cmocka_unit_test(bad_options_are_refused_with_the_reason),
        cmocka_unit_test(memory_that_is_refused_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
