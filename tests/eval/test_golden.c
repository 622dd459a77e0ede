/* BLEU and chrF against sacreBLEU: corpus lines to the last printed digit, scores
 * to 1e-9, signatures, sentence scores, tokenized text. Another golden file may be
 * given as argument (tools/golden_bleu.py --text). */
#include <math.h>
#include <string.h>
#include <utf8proc.h>

#include "base/json.h"
#include "base/memory.h"
#include "eval/bleu.h"
#include "eval/chrf.h"
#include "tests/check.h"

enum { MAX_REFS = 2 };

static const char *golden_path = AT_TEST_DATA "/eval.json";
static json_t *golden;

typedef struct text_set {
    const char **hyps, **refs[MAX_REFS];
    at_eval_lines lines;
} text_set;

static const char **read_column(const json_t *array)
{
    size_t n = json_array_size(array);
    const char **column = at_alloc_array(n + 1, sizeof *column);
    assert_non_null(column);
    for (size_t i = 0; i < n; i++)
        column[i] = json_string_value(json_array_get(array, i)); /* null stays NULL */
    return column;
}

static text_set open_set(const json_t *test)
{
    const json_t *set =
        json_object_get(json_object_get(golden, "sets"), json_string_value(json_object_get(test, "set")));
    const json_t *hyps = json_object_get(set, "hyps"), *refs = json_object_get(set, "refs");
    text_set s = {.hyps = read_column(hyps)};
    s.lines.line_count = json_array_size(hyps);
    s.lines.ref_count = (size_t)json_integer_value(json_object_get(test, "nrefs"));
    for (size_t r = 0; r < s.lines.ref_count; r++)
        s.refs[r] = read_column(json_array_get(refs, r));
    return s;
}

static void close_set(text_set *s)
{
    at_free(s->hyps);
    for (size_t r = 0; r < MAX_REFS; r++)
        at_free(s->refs[r]);
}

static void expect_score(double got, const json_t *want, const char *what)
{
    if (!(fabs(got - json_real_value(want)) < 1e-9))
        fail_msg("%s: %.12f, sacreBLEU %.12f", what, got, json_real_value(want));
}

static at_bleu_options bleu_options(const json_t *test)
{
    static const char *const smooths[] = {"exp", "none", "floor", "add-k"};
    at_bleu_options options = at_bleu_defaults();
    const char *smooth = json_string_value(json_object_get(test, "smooth"));
    for (int i = 0; i < 4; i++)
        if (strcmp(smooth, smooths[i]) == 0)
            options.smooth = (at_bleu_smooth)i;
    options.smooth_value = options.smooth == AT_BLEU_SMOOTH_FLOOR ? 0.1 : 1.0;
    options.lowercase = json_is_true(json_object_get(test, "lowercase"));
    options.effective_order = json_is_true(json_object_get(test, "effective"));
    assert_int_equal(
        at_eval_tokenizer_parse(json_string_value(json_object_get(test, "tokenize")), &options.tokenize),
        AT_OK);
    return options;
}

static void bleu_equals_sacrebleu(void **state)
{
    (void)state;
    size_t i, k;
    json_t *test, *want;
    json_array_foreach(json_object_get(golden, "bleu"), i, test)
    {
        at_bleu_options options = bleu_options(test);
        text_set s = open_set(test);
        s.lines.hyps = s.hyps;
        s.lines.refs = (const char *const *const *)s.refs;
        at_bleu_stats stats = {0};
        at_buf line = {0};
        assert_int_equal(at_bleu_corpus(&options, &s.lines, &stats), AT_OK);
        at_bleu_print(&options, &stats, &line);
        assert_string_equal(line.data, json_string_value(json_object_get(test, "line")));
        expect_score(at_bleu_compute(&options, &stats).score, json_object_get(test, "score"), line.data);
        json_array_foreach(json_object_get(test, "sentences"), k, want)
        {
            const char *refs[MAX_REFS] = {s.refs[0][k], s.refs[1] ? s.refs[1][k] : NULL};
            at_bleu_score score;
            assert_int_equal(at_bleu_sentence(&options, s.hyps[k], refs, MAX_REFS, &score), AT_OK);
            expect_score(score.score, want, s.hyps[k]);
        }
        at_buf_free(&line);
        close_set(&s);
    }
    assert_true(i > 0);
}

static void chrf_equals_sacrebleu(void **state)
{
    (void)state;
    size_t i, k;
    json_t *test, *want;
    json_array_foreach(json_object_get(golden, "chrf"), i, test)
    {
        at_chrf_options options = at_chrf_defaults();
        options.word_order = (int)json_integer_value(json_object_get(test, "word_order"));
        options.lowercase = json_is_true(json_object_get(test, "lowercase"));
        options.whitespace = json_is_true(json_object_get(test, "whitespace"));
        text_set s = open_set(test);
        s.lines.hyps = s.hyps;
        s.lines.refs = (const char *const *const *)s.refs;
        at_chrf_stats stats = {0};
        at_buf line = {0};
        assert_int_equal(at_chrf_corpus(&options, &s.lines, &stats), AT_OK);
        at_chrf_print(&options, &stats, &line);
        assert_string_equal(line.data, json_string_value(json_object_get(test, "line")));
        expect_score(at_chrf_compute(&options, &stats), json_object_get(test, "score"), line.data);
        json_array_foreach(json_object_get(test, "sentences"), k, want)
        {
            const char *refs[MAX_REFS] = {s.refs[0][k], s.refs[1] ? s.refs[1][k] : NULL};
            double score;
            assert_int_equal(at_chrf_sentence(&options, s.hyps[k], refs, MAX_REFS, &score), AT_OK);
            expect_score(score, want, s.hyps[k]);
        }
        at_buf_free(&line);
        close_set(&s);
    }
    assert_true(i > 0);
}

/* Words of `line`, one space between them. */
static void print_words(const at_points *line, at_buf *out)
{
    for (size_t i = 0; i < line->length; i++) {
        uint32_t c = line->data[i];
        if (at_point_is_space(c)) {
            if (out->length > 0 && out->data[out->length - 1] != ' ')
                at_buf_char(out, ' ');
            continue;
        }
        utf8proc_uint8_t bytes[4];
        at_buf_bytes(out, bytes, (size_t)utf8proc_encode_char((utf8proc_int32_t)c, bytes));
    }
    if (out->length > 0 && out->data[out->length - 1] == ' ')
        out->data[--out->length] = '\0';
}

static void tokenizers_cut_as_sacrebleu_does(void **state)
{
    (void)state;
    at_points line = {0}, scratch = {0};
    at_buf out = {0};
    const json_t *hyps = json_object_get(json_object_get(json_object_get(golden, "sets"), "edge"), "hyps");
    const char *name;
    json_t *wanted, *want;
    size_t i;
    json_object_foreach(json_object_get(golden, "tokens"), name, wanted)
    {
        at_eval_tokenizer tokenizer;
        assert_int_equal(at_eval_tokenizer_parse(name, &tokenizer), AT_OK);
        json_array_foreach(wanted, i, want)
        {
            at_points_decode(&line, json_string_value(json_array_get(hyps, i)));
            at_eval_tokenize(tokenizer, &line, &scratch);
            at_buf_clear(&out);
            at_buf_text(&out, "");
            print_words(&line, &out);
            assert_string_equal(out.data ? out.data : "", json_string_value(want));
        }
    }
    at_buf_free(&out);
    at_points_free(&line);
    at_points_free(&scratch);
}

static void lower_case_is_pythons(void **state)
{
    (void)state;
    at_points got = {0}, want = {0}, scratch = {0};
    json_t *pair;
    size_t i;
    json_array_foreach(json_object_get(golden, "lower"), i, pair)
    {
        at_points_decode(&got, json_string_value(json_array_get(pair, 0)));
        at_points_decode(&want, json_string_value(json_array_get(pair, 1)));
        at_points_lower(&got, &scratch);
        assert_int_equal(got.length, want.length);
        if (want.length > 0)
            assert_memory_equal(got.data, want.data, want.length * sizeof *want.data);
    }
    at_points_free(&got);
    at_points_free(&want);
    at_points_free(&scratch);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bleu_equals_sacrebleu),
        cmocka_unit_test(chrf_equals_sacrebleu),
        cmocka_unit_test(tokenizers_cut_as_sacrebleu_does),
        cmocka_unit_test(lower_case_is_pythons),
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
