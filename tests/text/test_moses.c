#include <string.h>
#include "tests/text/golden.h"
#include "text/moses.h"
#include "text/preprocess.h"

static void expect(const char *what, at_buf *got, const char *want, const char *text)
{
    check_ok(at_buf_status(got));
    if (strcmp(got->data ? got->data : "", want) != 0)
        fail_msg("%s of '%s'\n  is      %s\n  not     %s", what, text, got->data ? got->data : "", want);
    at_buf_clear(got);
}

static void same_tokens_as_sacremoses(void **state)
{
    (void)state;
    json_t *rows = golden_rows("moses.json"), *row;
    size_t i;
    at_buf out = {0};
    json_array_foreach(rows, i, row)
    {
        const char *language = golden_text(row, "language"), *text = golden_text(row, "text");
        check_ok(at_moses_tokenize(language, text, &out));
        expect("tokens", &out, golden_text(row, "tokens"), text);
        at_moses_options plain = {.no_normalize = true, .no_escape = true};
        check_ok(at_moses_tokenize_with(language, text, &plain, &out));
        expect("plain tokens", &out, golden_text(row, "plain"), text);
        check_ok(at_moses_detokenize(language, golden_text(row, "tokens"), &out));
        expect("detokenized", &out, golden_text(row, "back"), text);
    }
    at_buf_free(&out);
    json_decref(rows);
}

static void odd_bytes_survive(void **state)
{
    (void)state;
    at_buf out = {0};
    check_ok(at_moses_tokenize("en",
                               "a\xFF"
                               "b 汤姆。",
                               &out));
    expect("tokens", &out, "a \xFF b 汤姆 。", "bad bytes");
    check_ok(at_moses_tokenize("fr", "l'eau, non.", &out)); /* no rules of its own: apostrophes apart */
    expect("tokens", &out, "l &apos; eau , non .", "French");
    check_ok(at_moses_detokenize("zh", "汤姆 追 杰瑞 。", &out));
    expect("detokenized", &out, "汤姆追杰瑞。", "Chinese");
    check_ok(at_moses_tokenize("en", "", &out));
    expect("tokens", &out, "", "");
    check_ok(at_moses_detokenize("en", "  ", &out));
    expect("detokenized", &out, "", "");
    at_buf_free(&out);
}

static void preprocessing_applies_and_undoes(void **state)
{
    (void)state;
    at_preprocess p;
    at_buf out = {0};
    json_t *section =
        json_pack("{s:b,s:b,s:s,s:s}", "moses", 1, "lowercase", 1, "source", "en", "target", "de");
    check_ok(at_preprocess_read(&p, section));
    assert_true(at_preprocess_any(&p));
    check_ok(at_preprocess_apply(&p, true, "A Man's Hat.", &out));
    expect("prepared", &out, "a man &apos;s hat .", "A Man's Hat.");
    check_ok(at_preprocess_apply(&p, false, "Peter's Hut.", &out));
    expect("prepared", &out, "peter &apos; s hut .", "Peter's Hut.");
    check_ok(at_preprocess_undo(&p, "ein hut , zwei hüte .", &out));
    expect("undone", &out, "ein hut, zwei hüte.", "tokens");
    at_preprocess_free(&p);
    json_decref(section);
    at_buf_free(&out);
}

static at_status there_and_back(void *context)
{
    (void)context;
    at_buf tokens = {0}, text = {0};
    at_status st = at_moses_tokenize("de", "„Das ist's\", sagte er. (5 %)...", &tokens);
    if (st == AT_OK)
        st = at_moses_detokenize("de", tokens.data, &text);
    at_buf_free(&tokens);
    at_buf_free(&text);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    check_every_allocation(there_and_back, NULL, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_tokens_as_sacremoses), cmocka_unit_test(odd_bytes_survive),
        cmocka_unit_test(preprocessing_applies_and_undoes), cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
