/* Words found again in the line that they came from: through lower case, Moses tokens and unknown words. */
#include <string.h>
#include "tests/check.h"
#include "text/preprocess.h"
#include "text/train.h"
#include "text/words.h"

static at_tokenizer *learn(at_tokenizer_options options, const char *const *lines, size_t count)
{
    at_learner *learner;
    at_tokenizer *tokenizer;
    check_ok(at_learner_new(&options, &learner));
    for (size_t i = 0; i < count; i++)
        check_ok(at_learner_line(learner, lines[i], strlen(lines[i])));
    check_ok(at_learner_finish(learner, &tokenizer));
    at_learner_free(learner);
    return tokenizer;
}

static at_tokenizer *words_of_four(void)
{
    static const char *const lines[] = {"tom sees the cat .", "tom sees the cat ."};
    at_tokenizer_options options = {.type = AT_TYPE_WORD, .vocab_size = 9};
    return learn(options, lines, 2);
}

static at_tokenizer *pieces(void)
{
    static const char *const lines[] = {"tom chases jerry .", "tom chases jerry ."};
    at_tokenizer_options options = {.type = AT_TYPE_BPE, .vocab_size = 280};
    return learn(options, lines, 2);
}

static void join(at_buf *out, const char *text, size_t length)
{
    if (out->length > 0)
        at_buf_char(out, '|');
    at_buf_bytes(out, text, length);
}

/* What stands in `raw` for each word of `prepared`; "-" for nothing. */
static void expect_origin(const at_tokenizer *t, const char *prepared, const char *raw, const char *want)
{
    at_ids ids = {0};
    at_words words;
    at_word_span spans[64];
    at_buf got = {0};
    check_ok(at_tokenizer_encode(t, prepared, strlen(prepared), &(at_encoding){.close = true}, &ids));
    check_ok(at_words_find(t, ids.id, ids.count, &words));
    check_ok(at_words_origin(t, ids.id, &words, raw, spans));
    for (size_t w = 0; w < words.count; w++) {
        size_t length = spans[w].end - spans[w].begin;
        join(&got, length ? raw + spans[w].begin : "-", length ? length : 1);
    }
    assert_string_equal(got.data, want);
    at_words_free(&words);
    at_ids_free(&ids);
    at_buf_free(&got);
}

static void words_keep_their_place(void **state)
{
    (void)state;
    at_tokenizer *t = pieces();
    expect_origin(t, "tom chases jerry .", "Tom chases Jerry.", "Tom|chases|Jerry|.|-");
    expect_origin(t, "tom &apos;s jerry", "Tom's Jerry", "Tom|'|s|Jerry|-");
    expect_origin(t, "well @-@ known", "Well-known", "Well|-|known|-");
    expect_origin(t, "tom", "", "-|-");
    expect_origin(t, "a", "xyz a", "a|-");
    at_tokenizer_free(t);
}

static void unknown_words_lie_between_their_neighbours(void **state)
{
    (void)state;
    at_tokenizer *t = words_of_four();
    expect_origin(t, "tom sees the zyzzyva .", "Tom sees the Zyzzyva.", "Tom|sees|the|Zyzzyva|.|-");
    expect_origin(t, "zyzzyva sees aardvark gnu .", "Zyzzyva sees Aardvark Gnu .",
                  "Zyzzyva|sees|Aardvark|Gnu|.|-");
    expect_origin(t, "anne", "Anne", "Anne|-");
    expect_origin(t, "tom the the", "Tom the the", "Tom|the|the|-");
    at_tokenizer_free(t);
}

static void expect_raw(const at_tokenizer *t, const char *prepared, const char *raw, const char *want,
                       const char *numbers)
{
    at_ids ids = {0};
    at_words words;
    at_buf got = {0}, places = {0};
    check_ok(at_tokenizer_encode(t, prepared, strlen(prepared), &(at_encoding){.close = true}, &ids));
    check_ok(at_words_raw(t, ids.id, ids.count, raw, &words));
    for (size_t w = 0; w < words.count; w++)
        join(&got, words.text[w], strlen(words.text[w]));
    assert_string_equal(got.data, want);
    for (size_t i = 0; i < words.pieces; i++) {
        if (i == 0 || words.word[i] != words.word[i - 1])
            at_buf_printf(&places, "%s%d", i ? " " : "", (int)words.word[i]);
        assert_true(words.word[i] >= 0 && words.word[i] < (int32_t)words.count);
        assert_true(i == 0 || words.word[i] >= words.word[i - 1]);
    }
    assert_string_equal(places.data, numbers);
    at_words_free(&words);
    at_ids_free(&ids);
    at_buf_free(&got);
    at_buf_free(&places);
}

static void words_of_the_line_itself(void **state)
{
    (void)state;
    at_tokenizer *t = pieces();
    expect_raw(t, "tom chases jerry .", "Tom chases Jerry.", "Tom|chases|Jerry.|</s>", "0 1 2 3");
    expect_raw(t, "tom chases jerry .", " Tom  chases Jerry .", "Tom|chases|Jerry|.|</s>", "0 1 2 3 4");
    expect_raw(t, "汤姆 追", "汤姆追", "汤姆追|</s>", "0 1");
    expect_raw(t, "tom", "Tom \xEF\xBF\xBD", "Tom|\xEF\xBF\xBD|</s>", "0 2"); /* a word without a piece */
    expect_raw(t, "", "", "</s>", "0");
    at_tokenizer_free(t);
    t = words_of_four();
    expect_raw(t, "anne sees bob .", "Anne sees Bob.", "Anne|sees|Bob.|</s>", "0 1 2 3");
    at_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_keep_their_place),
        cmocka_unit_test(unknown_words_lie_between_their_neighbours),
        cmocka_unit_test(words_of_the_line_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
