/* What golden values do not show: adding up, warnings, JSON, bad options. */
#include <string.h>

#include "eval/bleu.h"
#include "eval/chrf.h"
#include "tests/check.h"

static const char *const hyps[] = {"the cat sat on the mat .", "half\xe4wrong bytes", "a b c d e"};
static const char *const refs[] = {"the cat is on the mat .", "half wrong bytes", "a b c d f"};

static void counts_of_lines_add_up_to_those_of_the_corpus(void **state)
{
    (void)state;
    at_bleu_options options = at_bleu_defaults();
    const char *const *columns[] = {refs};
    at_bleu_stats whole = {0}, parts = {0};
    assert_int_equal(at_bleu_corpus(&options, &(at_eval_lines){hyps, columns, 3, 1}, &whole), AT_OK);
    at_bleu *bleu = NULL;
    assert_int_equal(at_bleu_new(&options, &bleu), AT_OK);
    for (int i = 2; i >= 0; i--) {
        at_bleu_stats line = {0};
        assert_int_equal(at_bleu_add(bleu, hyps[i], &refs[i], 1, &line), AT_OK);
        at_bleu_merge(&parts, &line);
    }
    at_bleu_free(bleu);
    assert_memory_equal(&whole, &parts, sizeof whole);
    assert_int_equal(whole.lines, 3);
    assert_int_equal(whole.total[0], 7 + 2 + 5);
    assert_int_equal(whole.correct[0], 6 + 1 + 4);
}

static void json_has_the_keys_of_the_line(void **state)
{
    (void)state;
    at_bleu_options options = at_bleu_defaults();
    const char *const *columns[] = {refs};
    at_bleu_stats stats = {0};
    assert_int_equal(at_bleu_corpus(&options, &(at_eval_lines){refs, columns, 3, 1}, &stats), AT_OK);
    json_t *object = at_bleu_json(&options, &stats);
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(4));
    assert_string_equal(text,
                        "{\"name\":\"BLEU\",\"score\":100.0,"
                        "\"signature\":\"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:attend-0.1\","
                        "\"verbose_score\":\"100.0/100.0/100.0/100.0 (BP = 1.000 ratio = 1.000 hyp_len = 15 "
                        "ref_len = 15)\",\"nrefs\":\"1\",\"case\":\"mixed\",\"eff\":\"no\",\"tok\":\"13a\","
                        "\"smooth\":\"exp\",\"version\":\"attend-0.1\"}");
    free(text);
    json_decref(object);

    at_chrf_options chrf = at_chrf_defaults();
    at_chrf_stats counts = {0};
    chrf.word_order = 2;
    assert_int_equal(at_chrf_corpus(&chrf, &(at_eval_lines){refs, columns, 3, 1}, &counts), AT_OK);
    object = at_chrf_json(&chrf, &counts);
    assert_string_equal(json_string_value(json_object_get(object, "name")), "chrF2++");
    assert_string_equal(json_string_value(json_object_get(object, "nw")), "2");
    json_decref(object);
}

static void tokenized_text_and_few_lines_are_warned_of(void **state)
{
    (void)state;
    at_bleu_options options = at_bleu_defaults();
    at_bleu_stats stats = {0};
    at_buf out = {0};
    at_bleu *bleu = NULL;
    assert_int_equal(at_bleu_new(&options, &bleu), AT_OK);
    for (int i = 0; i < 99; i++)
        assert_int_equal(at_bleu_add(bleu, hyps[0], &refs[0], 1, &stats), AT_OK);
    at_bleu_warnings(&options, &stats, &out);
    assert_non_null(strstr(out.data, "only 99 lines"));
    assert_null(strstr(out.data, "tokenized"));
    assert_int_equal(at_bleu_add(bleu, hyps[0], &refs[0], 1, &stats), AT_OK);
    at_buf_clear(&out);
    at_bleu_warnings(&options, &stats, &out);
    assert_null(strstr(out.data, "only"));
    assert_non_null(strstr(out.data, "looks tokenized"));
    options.tokenize = AT_TOKENIZE_NONE;
    at_buf_clear(&out);
    at_bleu_warnings(&options, &stats, &out);
    assert_int_equal(out.length, 0);
    at_bleu_free(bleu);
    at_buf_free(&out);
}

static void bad_options_and_missing_references_are_named(void **state)
{
    (void)state;
    at_bleu_options options = at_bleu_defaults();
    at_bleu *bleu = NULL;
    at_bleu_stats stats = {0};
    const char *none[] = {NULL, NULL};
    options.max_order = 9;
    assert_int_equal(at_bleu_new(&options, &bleu), AT_EARG);
    assert_non_null(strstr(at_error_message(), "max_order 9"));
    options.max_order = 4;
    assert_int_equal(at_bleu_new(&options, &bleu), AT_OK);
    assert_int_equal(at_bleu_add(bleu, "x", none, 2, &stats), AT_EARG);
    assert_non_null(strstr(at_error_message(), "line 1 has no reference"));
    assert_int_equal(stats.lines, 0);
    at_bleu_free(bleu);

    at_eval_tokenizer tokenizer;
    assert_int_equal(at_eval_tokenizer_parse("14a", &tokenizer), AT_EARG);
    assert_non_null(strstr(at_error_message(), "use 13a, zh, char, intl or none"));

    at_chrf_options chrf = at_chrf_defaults();
    double score;
    chrf.char_order = 0;
    assert_int_equal(at_chrf_sentence(&chrf, "x", &refs[0], 1, &score), AT_EARG);
}

static void nothing_scored_is_zero_and_no_crash(void **state)
{
    (void)state;
    at_bleu_options options = at_bleu_defaults();
    at_bleu_stats stats = {0};
    at_chrf_options chrf = at_chrf_defaults();
    at_chrf_stats counts = {0};
    assert_true(at_bleu_compute(&options, &stats).score == 0.0);
    assert_true(at_chrf_compute(&chrf, &counts) == 0.0);
}

static at_status score_everything(void *context)
{
    (void)context;
    const char *const *columns[] = {refs};
    at_eval_lines lines = {hyps, columns, 3, 1};
    at_bleu_options options = at_bleu_defaults();
    at_chrf_options chrf = at_chrf_defaults();
    at_bleu_stats stats = {0};
    at_chrf_stats counts = {0};
    options.lowercase = chrf.lowercase = true;
    chrf.word_order = 2;
    at_status st = at_bleu_corpus(&options, &lines, &stats);
    if (st == AT_OK)
        st = at_chrf_corpus(&chrf, &lines, &counts);
    if (st != AT_OK)
        return st;
    json_t *object = at_bleu_json(&options, &stats);
    if (!object)
        return AT_ENOMEM;
    json_decref(object);
    return AT_OK;
}

static void every_failing_allocation_is_an_error_without_leak(void **state)
{
    (void)state;
    check_every_allocation(score_everything, NULL, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_of_lines_add_up_to_those_of_the_corpus),
        cmocka_unit_test(json_has_the_keys_of_the_line),
        cmocka_unit_test(tokenized_text_and_few_lines_are_warned_of),
        cmocka_unit_test(bad_options_and_missing_references_are_named),
        cmocka_unit_test(nothing_scored_is_zero_and_no_crash),
        cmocka_unit_test(every_failing_allocation_is_an_error_without_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
