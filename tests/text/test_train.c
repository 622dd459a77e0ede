#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "tests/text/golden.h"
#include "text/train.h"

static at_tokenizer *learn(at_tokenizer_options options, const char *const *lines, size_t count)
{
    at_learner *learner;
    at_tokenizer *t;
    check_ok(at_learner_new(&options, &learner));
    for (size_t i = 0; i < count; i++)
        check_ok(at_learner_line(learner, lines[i], strlen(lines[i])));
    check_ok(at_learner_finish(learner, &t));
    at_learner_free(learner);
    return t;
}

static void expect_pieces(const at_tokenizer *t, int32_t from, const char *const *want, size_t count)
{
    assert_int_equal(at_tokenizer_size(t), from + (int32_t)count);
    for (size_t i = 0; i < count; i++) {
        size_t n;
        const char *piece = at_tokenizer_piece(t, from + (int32_t)i, &n);
        if (n != strlen(want[i]) || memcmp(piece, want[i], n) != 0)
            fail_msg("piece %zu is '%.*s', not '%s'", i, (int)n, piece, want[i]);
    }
}

/* Sennrich et al. 2016, algorithm 1: low x5, lower x2, newest x6, widest x3. Of equal pairs the one
 * whose pieces came first is merged first. */
static void merges_of_the_paper(void **state)
{
    (void)state;
    static const char *const lines[] = {"low\nlow\nlow\nlow\nlow", "lower\nlower", "newest\nnewest\nnewest",
                                        "newest\nnewest\nnewest", "widest\nwidest\nwidest"};
    static const char *const want[] = {"es", "est", "lo", "low", "ew", "new", "newest"};
    at_tokenizer *t = learn((at_tokenizer_options){.vocab_size = 260 + 7}, lines, 5);
    expect_pieces(t, 260, want, 7);
    at_tokenizer_free(t);
    t = learn((at_tokenizer_options){.vocab_size = 1000, .min_frequency = 7}, lines, 5);
    expect_pieces(t, 260, want, 4);
    at_tokenizer_free(t);
}

static void same_merges_as_hugging_face(void **state)
{
    (void)state;
    json_t *rows = golden_rows("train.json"), *merges = json_array_get(rows, 0);
    at_learner *learner;
    at_tokenizer *t;
    json_t *saved;
    check_ok(at_learner_new(&(at_tokenizer_options){.vocab_size = 400}, &learner));
    check_ok(at_learner_file(learner, AT_TEST_DATA "/text/train.txt"));
    check_ok(at_learner_finish(learner, &t));
    at_learner_free(learner);
    check_ok(at_tokenizer_save(t, check_path("learnt.json")));
    check_ok(at_json_load(check_path("learnt.json"), 1 << 22, &saved));
    json_t *ours = json_object_get(json_object_get(saved, "model"), "merges");
    assert_int_equal(json_array_size(ours), json_array_size(merges));
    for (size_t i = 0; i < json_array_size(merges); i++)
        assert_string_equal(json_string_value(json_array_get(ours, i)),
                            json_string_value(json_array_get(merges, i)));
    json_decref(saved);
    json_decref(rows);
    at_tokenizer_free(t);
}

static void expect_round(const at_tokenizer *t, const char *text, size_t pieces, const char *back)
{
    at_ids ids = {0};
    at_buf out = {0};
    check_ok(at_tokenizer_encode(t, text, strlen(text), NULL, &ids));
    assert_int_equal(ids.count, pieces);
    check_ok(at_tokenizer_decode(t, ids.id, ids.count, true, &out));
    assert_string_equal(out.data, back);
    at_ids_free(&ids);
    at_buf_free(&out);
}

static void characters(void **state)
{
    (void)state;
    static const char *const lines[] = {"汤姆追杰瑞", "汤姆 äh"};
    at_tokenizer *t = learn((at_tokenizer_options){.type = AT_TYPE_CHAR, .vocab_size = 262}, lines, 2);
    expect_pieces(t, 260, (const char *const[]){"姆", "汤"}, 2); /* as often: by bytes */
    expect_round(t, "汤 x\n", 4, "汤 x\n");
    expect_round(t, "追", 3, "追"); /* too rare for 262: its bytes */
    at_tokenizer_free(t);
}

static void words(void **state)
{
    (void)state;
    static const char *const lines[] = {"a man and a dog", "a man"};
    at_tokenizer *t = learn(
                     (at_tokenizer_options){.type = AT_TYPE_WORD, .vocab_size = 100, .min_frequency = 2},
                     lines, 2),
                 *again;
    expect_pieces(t, 4, (const char *const[]){"a", "man"}, 2);
    expect_round(t, "a  cat\ta man", 4, "a a man"); /* <unk> is special: skipped */
    check_ok(at_tokenizer_save(t, check_path("words.json")));
    check_ok(at_tokenizer_load(check_path("words.json"), &again));
    expect_round(again, "a man", 2, "a man");
    at_tokenizer_free(t);
    at_tokenizer_free(again);
}

static void normalizers_come_first(void **state)
{
    (void)state;
    static const char *const lines[] = {"ＡＢ AB ab"};
    at_tokenizer *t =
        learn((at_tokenizer_options){.vocab_size = 262, .normalizer = 2, .lowercase = true}, lines, 1);
    expect_pieces(t, 260, (const char *const[]){"ab", " ab"}, 2);
    expect_round(t, "ＡＢ", 1, "ab");
    at_tokenizer_free(t);
}

static void bad_input_is_named(void **state)
{
    (void)state;
    at_learner *learner;
    check_fails(at_learner_new(&(at_tokenizer_options){.vocab_size = 259}, &learner), AT_EARG,
                "vocab_size 259");
    check_ok(at_learner_new(&(at_tokenizer_options){.vocab_size = 300}, &learner));
    check_ok(at_file_write(check_path("bad.txt"), "good\nbad \xFF\n", 12));
    check_fails(at_learner_file(learner, check_path("bad.txt")), AT_EFORMAT,
                "bad.txt:2: invalid UTF-8 at byte 5");
    check_fails(at_learner_file(learner, check_path("absent.txt")), AT_EIO, "absent.txt");
    check_fails(at_learner_line(learner, "\xC3", 1), AT_EFORMAT, "invalid UTF-8 at byte 1");
    at_learner_free(learner);
    at_tokenizer *t = learn((at_tokenizer_options){.vocab_size = 300}, NULL, 0); /* nothing to learn from */
    assert_int_equal(at_tokenizer_size(t), 260);
    expect_round(t, "x", 1, "x");
    at_tokenizer_free(t);
}

static at_status learn_little(void *context)
{
    (void)context;
    at_learner *learner;
    at_tokenizer *t = NULL;
    at_status st = at_learner_new(&(at_tokenizer_options){.vocab_size = 264}, &learner);
    if (st == AT_OK)
        st = at_learner_line(learner, "abab abc", 8);
    if (st == AT_OK)
        st = at_learner_finish(learner, &t);
    at_tokenizer_free(t);
    at_learner_free(learner);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    check_every_allocation(learn_little, NULL, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(merges_of_the_paper),
                                       cmocka_unit_test(same_merges_as_hugging_face),
                                       cmocka_unit_test(characters),
                                       cmocka_unit_test(words),
                                       cmocka_unit_test(normalizers_come_first),
                                       cmocka_unit_test(bad_input_is_named),
                                       cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
