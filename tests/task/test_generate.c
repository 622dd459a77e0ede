/* Writing on: prompts whole and in parts, alone and in company, past the context, stop strings, half
 * characters, how likely a text is, refusals. */
#include <math.h>
#include <string.h>
#include "base/memory.h"
#include "task/generator.h"
#include "tests/gradient.h"
#include "tests/toy.h"
#include "text/train.h"
#include "text/utf8.h"

enum { PIECES = 260, REACH = 40, MOST_TEXTS = 16 };

typedef struct writer {
    toy t;
    at_folder folder;
    at_generator *generator;
} writer;

/* A model of bytes with large random weights, so that it says many things. */
static void open_writer(writer *w, const char *options, const char *begin, int threads)
{
    *w = (writer){0};
    toy_open(&w->t,
             &(toy_spec){.family = "decoder", .options = options, .vocabulary = PIECES, .threads = threads});
    at_params *params = &w->t.model->params;
    for (size_t i = 0; i < params->count; i++)
        gradient_random(params->block + params->list[i]->offset, at_shape_count(params->list[i]->shape),
                        (uint32_t)i, 0.9f);
    at_learner *learner;
    at_tokenizer_options bytes = {.type = AT_TYPE_BYTE};
    check_ok(at_learner_new(&bytes, &learner));
    check_ok(at_learner_finish(learner, &w->folder.tokenizer));
    at_learner_free(learner);
    w->folder.model = w->t.model;
    w->folder.data = json_pack("{s:s}", "begin", begin);
    check_ok(at_generator_borrow(&w->folder, w->t.exec, &w->generator));
    assert_int_equal(at_generator_context(w->generator), REACH);
}

static void close_writer(writer *w)
{
    at_generator_release(w->generator);
    at_tokenizer_free(w->folder.tokenizer);
    json_decref((json_t *)(uintptr_t)w->folder.data);
    toy_close(&w->t);
}

/* What came, by prompt and sample. */
typedef struct heard {
    int samples;
    struct {
        at_buf text, bytes;
        double log_probability;
        size_t pieces, left_out;
        at_ends ends;
    } texts[MOST_TEXTS];
    size_t calls, stop_after;
} heard;

static bool hear(void *context, const at_token *t)
{
    heard *h = context;
    size_t i = t->prompt * (size_t)h->samples + (size_t)t->sample;
    assert_true(i < MOST_TEXTS);
    assert_int_equal(h->texts[i].ends, AT_ENDS_NOT);
    assert_int_equal(strlen(t->text), t->text_length);
    assert_int_equal(at_utf8_valid(t->text, t->text_length), t->text_length); /* never half a character */
    at_buf_bytes(&h->texts[i].text, t->text, t->text_length);
    at_buf_bytes(&h->texts[i].bytes, t->piece, t->piece_length);
    h->texts[i].log_probability += t->log_probability;
    h->texts[i].pieces++;
    h->texts[i].ends = t->ends;
    h->texts[i].left_out = t->left_out;
    return ++h->calls != h->stop_after;
}

static void forget(heard *h)
{
    for (int i = 0; i < MOST_TEXTS; i++) {
        at_buf_free(&h->texts[i].text);
        at_buf_free(&h->texts[i].bytes);
    }
    *h = (heard){0};
}

static at_status generate(writer *w, const char *const *prompts, size_t count, const at_generate_options *o,
                          heard *h)
{
    forget(h);
    h->samples = o->samples;
    return at_generate(w->generator, prompts, count, o, hear, h);
}

static void check_same(const heard *a, size_t i, const heard *b, size_t k)
{
    assert_int_equal(a->texts[i].bytes.length, b->texts[k].bytes.length);
    assert_memory_equal(a->texts[i].bytes.data, b->texts[k].bytes.data, a->texts[i].bytes.length);
    assert_memory_equal(&a->texts[i].log_probability, &b->texts[k].log_probability, sizeof(double));
    assert_int_equal(a->texts[i].ends, b->texts[k].ends);
}

#define GPT2 "{}"
#define LLAMA                                                                                        \
    "{\"positions\": \"rotary\", \"norm\": \"rms\", \"activation\": \"swiglu\", \"biases\": false, " \
    "\"d_model\": 16, \"heads\": 4, \"groups\": 2}"

static const char prompt[] = "the quick brown fox jumps over";

static void the_size_of_chunks_changes_nothing(void **state)
{
    (void)state;
    static const char *const models[] = {GPT2, LLAMA};
    for (int m = 0; m < 2; m++) {
        writer w;
        heard whole = {0}, parts = {0};
        const char *prompts[] = {prompt};
        open_writer(&w, models[m], "\n", 1);
        at_generate_options o = AT_GENERATE_DEFAULTS;
        o.temperature = 0;
        o.max_tokens = 90; /* rolls over the context */
        o.ignore_end = true;
        check_ok(generate(&w, prompts, 1, &o, &whole));
        assert_int_equal(whole.texts[0].pieces, 90);
        assert_int_equal(whole.texts[0].ends, AT_ENDS_LENGTH);
        for (o.chunk = 1; o.chunk < 40; o.chunk += 6) {
            check_ok(generate(&w, prompts, 1, &o, &parts));
            assert_memory_equal(whole.texts[0].bytes.data, parts.texts[0].bytes.data,
                                whole.texts[0].bytes.length);
            assert_true(fabs(whole.texts[0].log_probability - parts.texts[0].log_probability) < 1e-3);
        }
        forget(&whole);
        forget(&parts);
        close_writer(&w);
    }
}

/* Four prompts three times each: every text as if it were alone, on one thread and on three. */
static void company_changes_no_bit(void **state)
{
    (void)state;
    static const char *const prompts[] = {prompt, "", "a", "the quick"};
    heard together = {0}, alone = {0};
    for (int threads = 1; threads <= 3; threads += 2) {
        writer w;
        open_writer(&w, LLAMA, "</s>", threads);
        at_generate_options o = AT_GENERATE_DEFAULTS;
        o.max_tokens = 30;
        o.samples = 3;
        o.seed = 5;
        o.batch = threads == 1 ? 32 : 5;
        heard *h = threads == 1 ? &together : &alone;
        check_ok(generate(&w, prompts, 4, &o, h));
        for (size_t i = 0; threads == 3 && i < 12; i++)
            check_same(&together, i, h, i);
        if (threads == 1) {
            o.batch = 1;
            check_ok(generate(&w, prompts, 4, &o, &alone));
            for (size_t i = 0; i < 12; i++)
                check_same(&together, i, &alone, i);
            assert_memory_not_equal(together.texts[0].bytes.data, together.texts[1].bytes.data, 8);
            o.seed = 6;
            check_ok(generate(&w, prompts, 4, &o, &alone));
            assert_memory_not_equal(together.texts[0].bytes.data, alone.texts[0].bytes.data, 8);
        }
        close_writer(&w);
    }
    forget(&together);
    forget(&alone);
}

/* A text ends before the stop string, wherever pieces lie; one that never comes changes nothing. */
static void stop_strings(void **state)
{
    (void)state;
    writer w;
    heard free_text = {0}, stopped = {0};
    const char *prompts[] = {prompt};
    open_writer(&w, GPT2, "\n", 1);
    at_generate_options o = AT_GENERATE_DEFAULTS;
    o.max_tokens = 60;
    o.ignore_end = true;
    o.seed = 3;
    check_ok(generate(&w, prompts, 1, &o, &free_text));
    const at_buf *bytes = &free_text.texts[0].bytes;
    assert_int_equal(bytes->length, 60);
    size_t at = 20;
    while (at < 50 && (!bytes->data[at] || !bytes->data[at + 1] || !bytes->data[at + 2]))
        at++;
    char stop[4] = {bytes->data[at], bytes->data[at + 1], bytes->data[at + 2], '\0'};
    const char *stops[] = {"never said by this model", stop};
    o.stop = stops;
    o.stop_count = 2;
    check_ok(generate(&w, prompts, 1, &o, &stopped));
    assert_int_equal(stopped.texts[0].ends, AT_ENDS_STOP);
    assert_int_equal(stopped.texts[0].pieces, at + 3);
    /* The same text, cut; both cleaned the same way as far as characters go. */
    size_t shown = stopped.texts[0].text.length;
    assert_true(shown > 0 && shown <= free_text.texts[0].text.length);
    assert_memory_equal(stopped.texts[0].text.data, free_text.texts[0].text.data, shown - 3);
    o.stop_count = 1;
    check_ok(generate(&w, prompts, 1, &o, &stopped));
    assert_int_equal(stopped.texts[0].ends, AT_ENDS_LENGTH);
    assert_int_equal(stopped.texts[0].text.length, free_text.texts[0].text.length);
    assert_memory_equal(stopped.texts[0].text.data, free_text.texts[0].text.data, shown);
    static const char *const empty[] = {""};
    o.stop = empty;
    check_fails(generate(&w, prompts, 1, &o, &stopped), AT_EARG, "'stop'");
    forget(&free_text);
    forget(&stopped);
    close_writer(&w);
}

static void past_the_context(void **state)
{
    (void)state;
    writer w;
    heard h = {0};
    char longer[2 * REACH + 1];
    memset(longer, 'x', 2 * REACH);
    memcpy(longer + REACH, "the end that is read by the model here, 40", REACH);
    longer[2 * REACH] = '\0';
    const char *prompts[] = {longer}, *ends[] = {longer + REACH};
    open_writer(&w, GPT2, "\n", 1);
    at_generate_options o = AT_GENERATE_DEFAULTS;
    o.temperature = 0;
    o.max_tokens = 70;
    o.ignore_end = true;
    check_ok(generate(&w, prompts, 1, &o, &h));
    assert_int_equal(h.texts[0].left_out, REACH);
    assert_int_equal(h.texts[0].pieces, 70);
    heard same = {0};
    check_ok(generate(&w, ends, 1, &o, &same)); /* what lies before the context has no say */
    assert_int_equal(same.texts[0].left_out, 0);
    check_same(&h, 0, &same, 0);
    o.window = AT_WINDOW_REFUSE;
    check_fails(generate(&w, prompts, 1, &o, &same), AT_EARG,
                "prompt 1: 80 pieces, and the model's context is 40");
    const char *fits[] = {"short enough"};
    check_ok(generate(&w, fits, 1, &o, &same));
    assert_int_equal(same.texts[0].ends, AT_ENDS_CONTEXT);
    assert_int_equal(same.texts[0].pieces, REACH + 1 - 12);
    forget(&h);
    forget(&same);
    close_writer(&w);
}

/* Rotary positions roll: the text goes on, alone and in company alike, and otherwise than with the newer half
 * read again; learned ones are read again either way. */
static void the_window_rolls(void **state)
{
    (void)state;
    static const char *const styles[] = {LLAMA, GPT2};
    const char *prompts[] = {prompt, "a", "and then there was light"};
    for (int rolls = 1; rolls >= 0; rolls--) {
        writer w;
        heard alone = {0}, together = {0}, again = {0};
        open_writer(&w, styles[!rolls], "\n", 2);
        at_generate_options o = AT_GENERATE_DEFAULTS;
        o.max_tokens = 3 * REACH;
        o.ignore_end = true;
        o.temperature = 0;
        check_ok(generate(&w, prompts, 3, &o, &together));
        for (size_t i = 0; i < 3; i++) {
            check_ok(generate(&w, prompts + i, 1, &o, &alone));
            assert_int_equal(alone.texts[0].pieces, 3 * REACH);
            check_same(&together, i, &alone, 0);
        }
        o.window = AT_WINDOW_AGAIN;
        check_ok(generate(&w, prompts, 3, &o, &again));
        for (size_t i = 0; i < 3 && !rolls; i++)
            check_same(&together, i, &again, i);
        bool other = false;
        for (size_t i = 0; i < 3; i++)
            other =
                other || memcmp(&again.texts[i].log_probability, &together.texts[i].log_probability, 8) != 0;
        assert_true(other == (rolls == 1));
        o.window = (at_window)3;
        check_fails(generate(&w, prompts, 1, &o, &alone), AT_EARG, "'window'");
        forget(&alone);
        forget(&together);
        forget(&again);
        close_writer(&w);
    }
}

/* The texts' log probabilities are those of the whole text read at once, less the prompt's. */
static void scores_agree_with_what_was_said(void **state)
{
    (void)state;
    writer w;
    heard h = {0};
    const char *prompts[] = {"ab"};
    open_writer(&w, LLAMA, "\n", 1);
    at_generate_options o = AT_GENERATE_DEFAULTS;
    o.max_tokens = 12;
    o.ignore_end = true;
    at_text_score all, asked;
    for (o.seed = 1; o.seed < 4000; o.seed++) { /* a text that is valid UTF-8 can be read again */
        check_ok(generate(&w, prompts, 1, &o, &h));
        const at_buf *b = &h.texts[0].bytes;
        if (at_utf8_valid(b->data, b->length) == b->length)
            break;
    }
    assert_true(o.seed < 4000);
    at_buf text = {0};
    at_buf_text(&text, "ab");
    at_buf_bytes(&text, h.texts[0].bytes.data, h.texts[0].bytes.length);
    check_ok(at_generator_score(w.generator, text.data, text.length, &all));
    check_ok(at_generator_score(w.generator, "ab", 2, &asked));
    assert_int_equal(all.pieces, 13);
    assert_int_equal(all.bytes, 13);
    double said = all.log_probability - asked.log_probability;
    assert_true(fabs(said - h.texts[0].log_probability) < 1e-3);
    /* Windows: a text of three contexts is three texts that overlap by one. */
    char longer[3 * REACH + 2];
    for (int i = 0; i <= 3 * REACH; i++)
        longer[i] = (char)('a' + i * i % 26);
    longer[3 * REACH + 1] = '\0';
    check_ok(at_generator_score(w.generator, longer, 3 * REACH + 1, &all));
    double sum = 0;
    for (int i = 0; i < 3; i++) {
        check_ok(at_generator_score(w.generator, longer + i * REACH, REACH + 1, &asked));
        sum += asked.log_probability;
    }
    assert_int_equal(all.pieces, 3 * REACH);
    assert_true(fabs(sum - all.log_probability) < 1e-3);
    check_fails(at_generator_score(w.generator, "a", 1, &all), AT_EARG, "two are needed");
    check_fails(at_generator_score(w.generator, "a\xff", 2, &all), AT_EFORMAT, "invalid UTF-8 at byte 2");
    at_buf_free(&text);
    forget(&h);
    close_writer(&w);
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    writer w;
    heard h = {0};
    const char *prompts[] = {"fine", "b\xc3"};
    open_writer(&w, GPT2, "</s>", 1);
    at_generate_options o = AT_GENERATE_DEFAULTS;
    check_fails(generate(&w, prompts, 2, &o, &h), AT_EFORMAT, "prompt 2: invalid UTF-8 at byte 2");
    o.temperature = -1;
    check_fails(generate(&w, prompts, 1, &o, &h), AT_EARG, "'temperature': -1");
    o.temperature = 1;
    o.max_tokens = 0;
    check_fails(generate(&w, prompts, 1, &o, &h), AT_EARG, "'max_tokens'");
    o.max_tokens = 5;
    o.samples = 0;
    check_fails(generate(&w, prompts, 1, &o, &h), AT_EARG, "'samples'");
    o.samples = 1;
    o.batch = 0;
    check_fails(generate(&w, prompts, 1, &o, &h), AT_EARG, "'batch'");
    o.batch = 1;
    o.ignore_end = true;
    forget(&h);
    h.samples = 1;
    h.stop_after = 2;
    check_fails(at_generate(w.generator, prompts, 1, &o, hear, &h), AT_ECANCEL, "stopped by the caller");
    assert_int_equal(h.calls, 2);
    check_ok(generate(&w, prompts, 1, &o, &h)); /* it goes on working */
    assert_int_equal(h.calls, 5);
    forget(&h);
    float *numbers = w.t.model->params.block;
    for (size_t i = 0; i < w.t.model->params.total; i++)
        numbers[i] = NAN;
    check_fails(generate(&w, prompts, 1, &o, &h), AT_ENUMBER, "not finite");
    forget(&h);
    close_writer(&w);
    toy t;
    toy_open(&t, &(toy_spec){0});
    at_folder translator = {.model = t.model};
    at_generator *none;
    check_fails(at_generator_borrow(&translator, t.exec, &none), AT_ENOSUP, "attend translate");
    toy_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_of_chunks_changes_nothing),
        cmocka_unit_test(company_changes_no_bit),
        cmocka_unit_test(stop_strings),
        cmocka_unit_test(past_the_context),
        cmocka_unit_test(the_window_rolls),
        cmocka_unit_test(scores_agree_with_what_was_said),
        cmocka_unit_test(bad_input_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
