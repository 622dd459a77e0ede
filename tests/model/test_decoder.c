/* A decoder alone, GPT-2's and Llama's way: gradients, the same logits in one go, in chunks, step by step and
 * in company, options refused. */
#include <math.h>
#include <string.h>
#include "model/state.h"
#include "tests/gradient.h"
#include "tests/toy.h"

#define GPT2 "\"positions\": \"learned\", \"norm\": \"layer\", \"activation\": \"gelu\", \"biases\": true"
#define LLAMA                                                                                       \
    "\"positions\": \"rotary\", \"norm\": \"rms\", \"activation\": \"swiglu\", \"biases\": false, " \
    "\"tied\": "                                                                                    \
    "false"

static const char *const styles[] = {
    "{" GPT2 "}",
    "{" LLAMA ", \"d_model\": 16, \"heads\": 4, \"groups\": 2}",
    "{" GPT2 ", \"positions\": \"none\", \"tied\": false, \"activation\": \"relu\"}",
    "{" LLAMA ", \"norm\": \"layer\", \"tied\": true, \"d_model\": 12, \"heads\": 2, \"groups\": 1}",
    "{" GPT2 ", \"positions\": \"rotary\", \"d_model\": 12, \"heads\": 2, \"activation\": \"gelu_tanh\"}",
};
enum { STYLES = sizeof styles / sizeof *styles };

typedef struct loss_case {
    const toy *t;
    const toy_batch *batch;
    at_loss_options options;
} loss_case;

static at_var *loss(at_tape *tape, at_var *const *x, const void *context)
{
    (void)x;
    const loss_case *c = context;
    return at_model_loss(c->t->model, tape, &c->batch->batch, &c->options, NULL);
}

static void check_gradients(const char *options, float z, bool training)
{
    static const int lengths[] = {3, 0, 5, 1};
    toy t;
    toy_batch b;
    toy_open(&t, &(toy_spec){.family = "decoder", .options = options, .seed = 3});
    toy_fill(&b, &t, 4, NULL, lengths, 5);
    at_params *params = &t.model->params;
    for (size_t i = 0; i < params->count; i++) { /* small first weights hide mistakes: stir them all */
        const at_param *p = params->list[i];
        gradient_random(params->block + p->offset, at_shape_count(p->shape), (uint32_t)i, 0.5f);
    }
    loss_case c = {&t, &b, {.smoothing = 0.1f, .scale = 0.37f, .z = z}};
    gradient_check(&(gradient_case){.name = options,
                                    .build = loss,
                                    .context = &c,
                                    .params = params,
                                    .training = training,
                                    .tolerance = 5e-3});
    toy_close(&t);
}

static void gradients_are_right(void **state)
{
    (void)state;
    check_gradients("{" GPT2 ", \"layers\": 1, \"d_model\": 4, \"ffn\": 5, \"heads\": 2}", 0, false);
    check_gradients("{" LLAMA ", \"layers\": 1, \"d_model\": 8, \"ffn\": 5, \"heads\": 4, \"groups\": 2}",
                    0.3f, false);
    check_gradients("{" GPT2 ", \"layers\": 1, \"d_model\": 4, \"ffn\": 5, \"heads\": 2, \"dropout\": 0.2, "
                    "\"attention_dropout\": 0.3}",
                    0.2f, true);
}

/* Logits of every row of a batch, without a state. */
static void whole(toy *t, const at_batch *batch, float *out)
{
    at_tape_begin(t->tape, AT_TAPE_RUN, 0, 0);
    at_var *rows = t->model->family->decode(t->model, t->tape, batch, NULL);
    const at_var *logits = at_model_logits(t->model, t->tape, rows);
    check_ok(at_tape_status(t->tape));
    memcpy(out, logits->data, at_rows_total(&batch->target) * TOY_VOCABULARY * sizeof *out);
}

/* The same ids through a state, `chunk` at a time; the state's bytes. */
static size_t through_state(toy *t, const int32_t *ids, size_t count, size_t chunk, bool narrow, float *out)
{
    at_state *state;
    int slot;
    check_ok(narrow ? at_state_new_bf16(t->model, &state) : at_state_new(t->model, &state));
    check_ok(at_state_open(state, AT_NO_SOURCE, &slot));
    assert_int_equal(at_state_source_length(state, slot), 0);
    for (size_t done = 0; done < count; done += chunk) {
        size_t n = count - done < chunk ? count - done : chunk;
        int32_t offsets[] = {0, (int32_t)n};
        at_rows rows = {1, offsets, NULL};
        at_tape_begin(t->tape, AT_TAPE_RUN, 0, 0);
        const at_var *logits = at_state_step(t->model, t->tape, state, &slot, &rows, ids + done);
        check_ok(at_tape_status(t->tape));
        memcpy(out + done * TOY_VOCABULARY, logits->data, n * TOY_VOCABULARY * sizeof *out);
    }
    assert_int_equal(at_state_length(state, slot), count);
    at_state_close(state, slot);
    assert_int_equal(at_state_rows(state), 0);
    size_t bytes = at_state_bytes(state);
    at_state_free(state);
    return bytes;
}

static void in_chunks(toy *t, const int32_t *ids, size_t count, size_t chunk, float *out)
{
    through_state(t, ids, count, chunk, false, out);
}

/* Keys and values in bf16: half the bytes; logits as near as rounding keys by 1 in 512 lets them be. */
static void a_state_in_bf16_is_half_and_near(void **state)
{
    (void)state;
    enum { LENGTH = 21, NUMBERS = LENGTH * TOY_VOCABULARY };
    static const int length[] = {LENGTH};
    static float want[NUMBERS], got[NUMBERS];
    for (size_t s = 0; s < STYLES; s++) {
        toy t;
        toy_batch b;
        toy_open(&t, &(toy_spec){.family = "decoder", .options = styles[s], .seed = 4});
        toy_fill(&b, &t, 1, NULL, length, 2);
        size_t whole_bytes = through_state(&t, b.in, LENGTH, 1, false, want);
        for (size_t chunk = 1; chunk <= LENGTH; chunk += 4) {
            size_t bytes = through_state(&t, b.in, LENGTH, chunk, true, got);
            assert_int_equal(2 * bytes, whole_bytes);
            check_near(got, want, NUMBERS, 0.01);
            assert_memory_not_equal(got, want, sizeof got);
        }
        toy_close(&t);
    }
}

static void whole_chunks_and_steps_agree(void **state)
{
    (void)state;
    enum { LENGTH = 21 };
    static const int length[] = {LENGTH};
    static float want[LENGTH * TOY_VOCABULARY], got[LENGTH * TOY_VOCABULARY];
    for (size_t s = 0; s < STYLES; s++) {
        toy t;
        toy_batch b;
        toy_open(&t, &(toy_spec){.family = "decoder", .options = styles[s], .seed = 4});
        toy_fill(&b, &t, 1, NULL, length, 2);
        whole(&t, &b.batch, want);
        for (size_t chunk = 1; chunk <= LENGTH; chunk = chunk < 4 ? chunk + 1 : chunk + 6) {
            in_chunks(&t, b.in, LENGTH, chunk, got);
            check_near(got, want, LENGTH * TOY_VOCABULARY, 1e-5);
        }
        toy_close(&t);
    }
}

/* A row's bits depend neither on its company nor on the threads. */
static void company_and_threads_change_no_bit(void **state)
{
    (void)state;
    static const int lengths[] = {9, 1, 17, 4};
    static float all[31 * TOY_VOCABULARY], one[31 * TOY_VOCABULARY], single[17 * TOY_VOCABULARY];
    for (size_t s = 0; s < STYLES; s++) {
        toy t;
        toy_batch b, alone;
        for (int threads = 1; threads <= 3; threads += 2) {
            toy_open(&t,
                     &(toy_spec){.family = "decoder", .options = styles[s], .seed = 4, .threads = threads});
            toy_fill(&b, &t, 4, NULL, lengths, 2);
            whole(&t, &b.batch, threads == 1 ? one : all);
            for (size_t i = 0; i < 4; i++) {
                toy_single(&alone, &b, i);
                alone.batch.source.count = 0;
                whole(&t, &alone.batch, single);
                const float *same = (threads == 1 ? one : all) + b.target_offsets[i] * TOY_VOCABULARY;
                assert_memory_equal(single, same, (size_t)lengths[i] * TOY_VOCABULARY * sizeof *single);
            }
            toy_close(&t);
        }
        assert_memory_equal(one, all, sizeof one);
    }
}

static void later_words_are_not_seen(void **state)
{
    (void)state;
    static const int length[] = {8};
    static float before[8 * TOY_VOCABULARY], after[8 * TOY_VOCABULARY];
    for (size_t s = 0; s < STYLES; s++) {
        toy t;
        toy_batch b;
        toy_open(&t, &(toy_spec){.family = "decoder", .options = styles[s], .seed = 4});
        toy_fill(&b, &t, 1, NULL, length, 2);
        whole(&t, &b.batch, before);
        b.in[5] = b.in[5] == 4 ? 5 : 4;
        whole(&t, &b.batch, after);
        assert_memory_equal(before, after, 5 * TOY_VOCABULARY * sizeof *before);
        assert_memory_not_equal(before + 5 * TOY_VOCABULARY, after + 5 * TOY_VOCABULARY,
                                TOY_VOCABULARY * sizeof *before);
        toy_close(&t);
    }
}

/* Products that end in the residual sum begin smaller, by the square root of twice the layers. */
static void first_weights_are_gpt2s(void **state)
{
    (void)state;
    toy t;
    toy_open(&t, &(toy_spec){.family = "decoder", .options = "{\"d_model\": 60, \"ffn\": 240}", .seed = 1});
    static const struct {
        const char *name;
        double deviation;
    } cases[] = {{"transformer.h.1.attn.q_proj.weight", 0.02},
                 {"transformer.h.1.mlp.c_proj.weight", 0.01},
                 {"transformer.h.0.attn.c_proj.weight", 0.01},
                 {"transformer.wpe.weight", 0.02}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const at_param *p = at_params_find(&t.model->params, cases[i].name);
        assert_non_null(p);
        double sum = 0;
        size_t n = at_shape_count(p->shape);
        for (size_t k = 0; k < n; k++)
            sum += (double)p->data[k] * (double)p->data[k];
        assert_true(fabs(sqrt(sum / (double)n) / cases[i].deviation - 1) < 0.06);
    }
    assert_null(at_params_find(&t.model->params, "lm_head.weight"));
    toy_close(&t);
}

static void options_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *options, *message;
    } bad[] = {
        {"{\"heads\": 5}", "5 heads do not divide d_model 128"},
        {"{\"heads\": 4, \"groups\": 3}", "3 groups do not divide 4 heads"},
        {"{\"d_model\": 12, \"heads\": 4, \"positions\": \"rotary\"}", "even width"},
        {"{\"d_model\": 16384, \"heads\": 1, \"max_length\": 1048576, \"positions\": \"rotary\"}",
         "even width up to 8192"},
        {"{\"d_model\": 8192, \"heads\": 1, \"max_length\": 1048576, \"positions\": \"rotary\"}",
         "model.max_length"},
        {"{\"norm\": \"post\"}", "norm"},
        {"{\"encoder_layers\": 2}", "encoder_layers"},
    };
    const at_vocabulary v = {9, 9, 0, 1, 2, 3, 0};
    at_model *model;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *options = json_loads(bad[i].options, 0, NULL);
        check_fails(at_model_new("decoder", options, &v, &model), AT_EARG, bad[i].message);
        json_decref(options);
    }
}

static void a_text_past_the_context_is_refused(void **state)
{
    (void)state;
    static const int length[] = {41};
    toy t;
    toy_batch b;
    toy_open(&t, &(toy_spec){.family = "decoder", .seed = 4});
    toy_fill(&b, &t, 1, NULL, length, 2);
    at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
    assert_null(t.model->family->decode(t.model, t.tape, &b.batch, NULL));
    check_fails(at_tape_status(t.tape), AT_ENOSUP, "text of 41 pieces: this model reaches 40");
    toy_close(&t);
}

enum { WINDOW = 8, LONG_TEXT = 30 };

/* `count` ids into a slot, once its oldest rows have made room for them; the last row's logits. */
static void feed_rolling(toy *t, at_state *state, int slot, const int32_t *ids, size_t count, float *last)
{
    size_t length = at_state_length(state, slot);
    if (length + count > WINDOW)
        at_state_drop_oldest(state, slot, length + count - WINDOW);
    int32_t offsets[] = {0, (int32_t)count};
    at_rows rows = {1, offsets, NULL};
    at_tape_begin(t->tape, AT_TAPE_RUN, 0, 0);
    const at_var *logits = at_state_next(t->model, t->tape, state, &slot, &rows, ids);
    check_ok(at_tape_status(t->tape));
    memcpy(last, logits->data, TOY_VOCABULARY * sizeof *last);
}

static void open_stirred(toy *t, const char *options)
{
    toy_open(t, &(toy_spec){.family = "decoder", .options = options, .seed = 3});
    at_params *params = &t->model->params;
    for (size_t i = 0; i < params->count; i++)
        gradient_random(params->block + params->list[i]->offset, at_shape_count(params->list[i]->shape),
                        (uint32_t)i, 0.5f);
}

/* Past the context: keys of one layer know their own piece only, so a slot whose oldest rows were dropped
 * says what one says that has read the last pieces alone, at other places; and the pool grows no more. */
static void the_oldest_rows_may_go(void **state)
{
    (void)state;
    static const char one_layer[] =
        "{" LLAMA ", \"d_model\": 16, \"heads\": 4, \"groups\": 2, \"layers\": 1, "
        "\"max_length\": 8}";
    static const size_t chunks[] = {1, 3};
    toy t;
    open_stirred(&t, one_layer);
    int32_t ids[LONG_TEXT];
    for (int i = 0; i < LONG_TEXT; i++)
        ids[i] = 4 + i * i % 7;
    assert_true(t.model->family->state_rolls(t.model));
    for (size_t c = 0; c < 2; c++) {
        at_state *rolling;
        int slot;
        float got[TOY_VOCABULARY], want[TOY_VOCABULARY];
        check_ok(at_state_new(t.model, &rolling));
        check_ok(at_state_open(rolling, AT_NO_SOURCE, &slot));
        for (size_t i = 0; i < LONG_TEXT; i += chunks[c]) {
            feed_rolling(&t, rolling, slot, ids + i, chunks[c], got);
            size_t end = i + chunks[c], first = end > WINDOW ? end - WINDOW : 0;
            int fresh;
            check_ok(at_state_open(rolling, AT_NO_SOURCE, &fresh));
            feed_rolling(&t, rolling, fresh, ids + first, end - first, want);
            at_state_close(rolling, fresh);
            check_near(got, want, TOY_VOCABULARY, 2e-5);
        }
        assert_int_equal(at_state_length(rolling, slot), WINDOW);
        assert_int_equal(at_state_rows(rolling), WINDOW);
        int copy; /* a fork goes on at the same position */
        check_ok(at_state_fork(rolling, slot, &copy));
        feed_rolling(&t, rolling, slot, ids, 1, got);
        feed_rolling(&t, rolling, copy, ids, 1, want);
        check_same_bits(got, want, sizeof got);
        at_state_close(rolling, slot);
        at_state_close(rolling, copy);
        assert_int_equal(at_state_rows(rolling), 0);
        at_state_free(rolling);
    }
    toy_close(&t);
}

/* Positions behind a short context's tables are those of a long one's: two layers, rows dropped alike. */
static void rolling_positions_are_those_of_a_longer_context(void **state)
{
    (void)state;
    static const char *const lengths[] = {"{" LLAMA ", \"d_model\": 16, \"heads\": 4, \"max_length\": 8}",
                                          "{" LLAMA ", \"d_model\": 16, \"heads\": 4, \"max_length\": 64}"};
    static float all[2][LONG_TEXT][TOY_VOCABULARY];
    for (size_t m = 0; m < 2; m++) {
        toy t;
        at_state *rolling;
        int slot;
        open_stirred(&t, lengths[m]);
        check_ok(at_state_new(t.model, &rolling));
        check_ok(at_state_open(rolling, AT_NO_SOURCE, &slot));
        for (int i = 0; i < LONG_TEXT; i++)
            feed_rolling(&t, rolling, slot, (const int32_t[]){4 + i * 3 % 7}, 1, all[m][i]);
        at_state_free(rolling);
        toy_close(&t);
    }
    check_same_bits(all[0], all[1], sizeof all[0]);
}

static void learned_positions_do_not_roll(void **state)
{
    (void)state;
    toy t;
    toy_open(&t, &(toy_spec){.family = "decoder", .options = styles[0]});
    assert_false(t.model->family->state_rolls(t.model));
    toy_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_right),
        cmocka_unit_test(whole_chunks_and_steps_agree),
        cmocka_unit_test(a_state_in_bf16_is_half_and_near),
        cmocka_unit_test(company_and_threads_change_no_bit),
        cmocka_unit_test(later_words_are_not_seen),
        cmocka_unit_test(first_weights_are_gpt2s),
        cmocka_unit_test(options_that_cannot_be_are_refused),
        cmocka_unit_test(a_text_past_the_context_is_refused),
        cmocka_unit_test(the_oldest_rows_may_go),
        cmocka_unit_test(rolling_positions_are_those_of_a_longer_context),
        cmocka_unit_test(learned_positions_do_not_roll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
