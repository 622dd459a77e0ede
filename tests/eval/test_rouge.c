/* ROUGE against rouge-score: corpus lines to the last printed digit, sentences to 1e-9, stems against NLTK's.
 * Another golden file may be given as argument (tools/golden_rouge.py --text). */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "eval/rouge.h"
#include "eval/stem.h"
#include "tests/check.h"

enum { MAX_REFS = 2, MAX_WORD = 64 };

static const char *golden_path = AT_TEST_DATA "/rouge.json";
static json_t *golden;

static const char **read_column(const json_t *array)
{
    size_t n = json_array_size(array);
    const char **column = at_alloc_array(n + 1, sizeof *column);
    assert_non_null(column);
    for (size_t i = 0; i < n; i++)
        column[i] = json_string_value(json_array_get(array, i));
    return column;
}

static void check_case(const json_t *test, const char **hyps, const char *const *const *refs, size_t count)
{
    at_rouge_options o = at_rouge_defaults();
    o.stem = json_is_true(json_object_get(test, "stem"));
    size_t nrefs = (size_t)json_integer_value(json_object_get(test, "nrefs"));
    at_eval_lines lines = {hyps, refs, count, nrefs};
    at_rouge_stats stats = {0};
    assert_int_equal(at_rouge_corpus(&o, &lines, &stats), AT_OK);
    for (int k = 0; k < AT_ROUGE_KINDS; k++) {
        at_buf line = {0};
        at_rouge_print(&o, &stats, (at_rouge_kind)k, &line);
        assert_string_equal(line.data,
                            json_string_value(json_array_get(json_object_get(test, "lines"), (size_t)k)));
        at_buf_free(&line);
    }
    for (size_t i = 0; i < count; i++) {
        const char *const *one[MAX_REFS] = {refs[0] + i, refs[1] + i};
        at_eval_lines sentence = {hyps + i, one, 1, nrefs};
        at_rouge_stats s = {0};
        assert_int_equal(at_rouge_corpus(&o, &sentence, &s), AT_OK);
        const json_t *want = json_array_get(json_object_get(test, "sentences"), i);
        for (int k = 0; k < AT_ROUGE_KINDS; k++) {
            double got = at_rouge_compute(&s, (at_rouge_kind)k).f;
            double peer = json_number_value(json_array_get(want, (size_t)k));
            if (!(fabs(got - peer) < 1e-9))
                fail_msg("line %zu, %s: %.12f, rouge-score %.12f", i, at_rouge_name((at_rouge_kind)k), got,
                         peer);
        }
    }
}

static void rouge_equals_rouge_score(void **state)
{
    (void)state;
    const json_t *data = json_object_get(golden, "data"), *columns = json_object_get(data, "refs");
    const char **hyps = read_column(json_object_get(data, "hyps"));
    const char **first = read_column(json_array_get(columns, 0)),
               **second = read_column(json_array_get(columns, 1));
    const char *const *const refs[MAX_REFS] = {first, second};
    size_t i;
    json_t *test;
    json_array_foreach(json_object_get(golden, "cases"), i, test)
    {
        check_case(test, hyps, refs, json_array_size(json_object_get(data, "hyps")));
    }
    assert_int_equal(i, 4);
    at_free(hyps);
    at_free(first);
    at_free(second);
}

static void stems_equal_nltks(void **state)
{
    (void)state;
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(golden, "stems"), i, pair)
    {
        const char *from = json_string_value(json_array_get(pair, 0));
        size_t n = strlen(from);
        uint32_t word[MAX_WORD];
        bool flags[MAX_WORD];
        char got[MAX_WORD];
        if (n >= MAX_WORD)
            continue;
        for (size_t j = 0; j < n; j++)
            word[j] = (uint32_t)from[j];
        n = at_stem_english(word, n, flags);
        for (size_t j = 0; j < n; j++)
            got[j] = (char)word[j];
        got[n] = '\0';
        if (strcmp(got, json_string_value(json_array_get(pair, 1))) != 0)
            fail_msg("%s: %s, NLTK %s", from, got, json_string_value(json_array_get(pair, 1)));
    }
    assert_true(i > 100);
}

/* the cat sat | the cat is: words 2 of 3 and 3, pairs 1 of 2 and 2, subsequence 2. */
static void words_may_be_cut_as_bleu_does(void **state)
{
    (void)state;
    const char *hyps[] = {"汤姆追杰瑞", "the cat sat"}, *first[] = {"汤姆不追杰瑞", "The cat is"};
    const char *const *const refs[] = {first};
    at_rouge_options o = {.tokenize = AT_TOKENIZE_ZH, .lowercase = true};
    at_rouge_stats stats = {0};
    at_buf line = {0};
    assert_int_equal(at_rouge_corpus(&o, &(at_eval_lines){hyps, refs, 2, 1}, &stats), AT_OK);
    assert_true(fabs(stats.sum[AT_ROUGE_1].recall - (5.0 / 6 + 2.0 / 3)) < 1e-12);
    assert_true(fabs(stats.sum[AT_ROUGE_1].precision - (1 + 2.0 / 3)) < 1e-12);
    assert_true(fabs(stats.sum[AT_ROUGE_2].precision - (3.0 / 4 + 1.0 / 2)) < 1e-12);
    assert_true(fabs(stats.sum[AT_ROUGE_L].recall - (5.0 / 6 + 2.0 / 3)) < 1e-12);
    at_rouge_signature(&o, &stats, &line);
    assert_string_equal(line.data, "nrefs:1|case:lc|tok:zh|version:attend-0.1");
    at_buf_free(&line);
    const char *const *const none[] = {(const char *[]){NULL, NULL}};
    assert_int_equal(at_rouge_corpus(&o, &(at_eval_lines){hyps, none, 2, 1}, &stats), AT_EARG);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rouge_equals_rouge_score),
        cmocka_unit_test(stems_equal_nltks),
        cmocka_unit_test(words_may_be_cut_as_bleu_does),
    };
    if (argc > 1)
        golden_path = argv[1];
    if (at_json_load(golden_path, (size_t)64 << 20, &golden) != AT_OK) {
        fprintf(stderr, "%s\n", at_error_message());
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(golden);
    return failed;
}
