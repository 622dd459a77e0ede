#include <string.h>
#include "base/memory.h"
#include "tests/check.h"
#include "text/train.h"
#include "text/words.h"

/* Learns all of `lines`, so that whole words are pieces, but the words in `rare`, whose pieces are bytes. */
static at_tokenizer *tokenizer;

static int set_up(void **state)
{
    (void)state;
    static const char *const lines[] = {"Tom chases Jerry", "\"Well-known\" words, don't they",
                                        "汤姆追杰瑞。 I 汤姆"};
    at_learner *learner;
    check_ok(at_learner_new(&(at_tokenizer_options){.vocab_size = 400, .min_frequency = 1}, &learner));
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        check_ok(at_learner_line(learner, lines[i], strlen(lines[i])));
    check_ok(at_learner_finish(learner, &tokenizer));
    at_learner_free(learner);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    at_tokenizer_free(tokenizer);
    return 0;
}

typedef at_status find_words(const at_tokenizer *, const int32_t *, size_t, at_words *);

static void expect_found(find_words *find, const char *text, bool close, const char *joined)
{
    at_ids ids = {0};
    at_words words = {0};
    at_buf got = {0}, decoded = {0};
    check_ok(at_tokenizer_encode(tokenizer, text, strlen(text), &(at_encoding){.close = close}, &ids));
    check_ok(find(tokenizer, ids.id, ids.count, &words));
    assert_int_equal(words.pieces, ids.count);
    for (size_t i = 0; i < words.count; i++)
        at_buf_printf(&got, "%s%s", i ? "|" : "", words.text[i]);
    if (strcmp(got.data ? got.data : "", joined) != 0)
        fail_msg("words of '%s' are %s, not %s", text, got.data ? got.data : "", joined);
    check_ok(at_tokenizer_decode(tokenizer, ids.id, ids.count, false, &decoded));
    for (size_t i = 0; i < words.pieces;
         i++) { /* spans tile the text; words rise one at a time and all occur */
        assert_int_equal(words.span[i].begin, i ? words.span[i - 1].end : 0);
        assert_true(words.word[i] >= 0 && words.word[i] < (int32_t)words.count);
        assert_true(words.word[i] == (i ? words.word[i - 1] : 0) ||
                    (i && words.word[i] == words.word[i - 1] + 1));
    }
    if (words.pieces) {
        assert_int_equal(words.span[words.pieces - 1].end, decoded.length);
        assert_int_equal(words.word[words.pieces - 1], words.count - 1);
    }
    at_words_free(&words);
    at_ids_free(&ids);
    at_buf_free(&got);
    at_buf_free(&decoded);
}

static void expect_words(const char *text, bool close, const char *joined)
{
    expect_found(at_words_find, text, close, joined);
}

static void spaced_words(void **state)
{
    (void)state;
    expect_found(at_words_spaced, "Tom chases Jerry.", true, "Tom|chases|Jerry.|</s>");
    expect_found(at_words_spaced, "  \"Tom chases , Jerry . ", false, "\"Tom|chases|,|Jerry|.");
    expect_found(at_words_spaced, "汤姆追杰瑞。", true, "汤姆追杰瑞。|</s>");
    expect_found(at_words_spaced, "汤姆 追 Jerry。", false, "汤姆|追|Jerry。");
    expect_found(at_words_spaced, "a\u00A0b", false, "a|b");
    expect_found(at_words_spaced, "", true, "</s>");
}

static void whitespace_words(void **state)
{
    (void)state;
    expect_words("Tom chases Jerry.", true, "Tom|chases|Jerry|.|</s>");
    expect_words("xylophone zebra", false, "xylophone|zebra"); /* many pieces a word */
    expect_words("  Tom   chases ", false, "Tom|chases");
    expect_words("\"Well-known\" words, don't they?!", false, "\"|Well-known|\"|words|,|don't|they|?!");
    expect_words("...", false, "...");
    expect_words("", false, "");
    expect_words("", true, "</s>");
    expect_words("a\u00A0b", false, "a|b");
    expect_words("Straße über", false, "Straße|über"); /* bytes of one character */
}

static void pieces_of_unspaced_scripts(void **state)
{
    (void)state;
    expect_words("汤姆追杰瑞。", true, "汤姆追杰瑞|。|</s>"); /* the run was learnt as one piece */
    expect_words("我", false, "我");                          /* three bytes, one word */
    expect_words("我你", false, "我|你");
    expect_words("我love你", false, "我|love|你");
    expect_words("Tom 追 Jerry", false, "Tom|追|Jerry");
}

static void bad_bytes_are_shown(void **state)
{
    (void)state;
    expect_words("a\xFF", false, "a\xEF\xBF\xBD");
}

static void pieces_as_words(void **state)
{
    (void)state;
    at_ids ids = {0};
    at_words words = {0};
    check_ok(at_tokenizer_encode(tokenizer, "Tom chases", 10, NULL, &ids));
    check_ok(at_words_pieces(tokenizer, ids.id, ids.count, &words));
    assert_int_equal(words.count, ids.count);
    assert_string_equal(words.text[0], "Tom");
    assert_string_equal(words.text[1], "\u2581chases");
    at_words_free(&words);
    check_fails(at_words_find(tokenizer, (int32_t[]){-1}, 1, &words), AT_EARG, "-1");
    at_ids_free(&ids);
}

static void any_text_has_words(void **state)
{
    (void)state;
    static const char *const parts[] = {" ",    "  ",   "a",  "b.",   "\"", "汤",
                                        "\xE6", "\xB1", "。", "</s>", "\n", "\u3000"};
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (int round = 0; round < 500; round++) {
        at_buf text = {0};
        at_ids ids = {0};
        at_words words = {0};
        for (uint32_t n = at_rng_below(&rng, 12); n > 0; n--)
            at_buf_text(&text, parts[at_rng_below(&rng, sizeof parts / sizeof *parts)]);
        check_ok(at_tokenizer_encode(tokenizer, text.data ? text.data : "", text.length,
                                     &(at_encoding){.special = round % 2, .dropout = 0.5, .rng = &rng},
                                     &ids));
        find_words *find = round % 3 ? at_words_find : at_words_spaced;
        check_ok(find(tokenizer, ids.id, ids.count, &words));
        for (size_t i = 1; i < ids.count; i++)
            assert_true(words.word[i] == words.word[i - 1] || words.word[i] == words.word[i - 1] + 1);
        assert_true(ids.count == 0 || words.word[ids.count - 1] + 1 == (int32_t)words.count);
        at_words_free(&words);
        at_ids_free(&ids);
        at_buf_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(spaced_words),
                                       cmocka_unit_test(whitespace_words),
                                       cmocka_unit_test(pieces_of_unspaced_scripts),
                                       cmocka_unit_test(bad_bytes_are_shown),
                                       cmocka_unit_test(pieces_as_words),
                                       cmocka_unit_test(any_text_has_words)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
