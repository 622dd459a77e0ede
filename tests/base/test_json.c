#include "base/json.h"
#include <string.h>
#include "base/buf.h"
#include "base/file.h"
#include "base/memory.h"
#include "tests/check.h"

static at_status parse(const char *text, json_t **root)
{
    return at_json_parse(text, strlen(text), "f.json", root);
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    json_t *root;
    at_buf text = {0};
    for (int i = 0; i < AT_JSON_DEPTH; i++)
        at_buf_char(&text, '[');
    for (int i = 0; i < AT_JSON_DEPTH; i++)
        at_buf_char(&text, ']');
    check_ok(parse(text.data, &root));
    json_decref(root);
    at_buf_clear(&text);
    for (int i = 0; i < 100000; i++)
        at_buf_text(&text, "[{\"a\":");
    check_fails(parse(text.data, &root), AT_EFORMAT, "f.json:1: nested deeper than 64");
    assert_null(root);
    at_buf_free(&text);
    check_ok(parse("{\"[[[[\\\"[[\": \"[{\"}", &root)); /* brackets in strings do not nest */
    json_decref(root);
}

static void bad_text_is_named_by_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "f.json:1:"},
        {"{\n\"a\": 1,\n\"a\": 2}", "f.json:3: duplicate"},
        {"{\n\n\"a\": }", "f.json:3:"},
        {"{} x", "f.json:1:"},
        {"{\"a\": \"\xff\"}", "f.json:1:"},
        {"[1, 2", "f.json:1:"},
        {"{\"a\": 123456789012345678901234567890}", "f.json:1:"},
        {"\\", "f.json:1:"},
        {"\"", "f.json:1:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *root;
        check_fails(parse(cases[i].text, &root), AT_EFORMAT, cases[i].part);
        assert_null(root);
    }
}

static void fields_are_checked(void **state)
{
    (void)state;
    json_t *root;
    int64_t n = 5;
    double x = 0.5;
    bool flag = true;
    const char *text = "unset";
    json_t *object;
    check_ok(parse("{\"n\": 7, \"x\": 1, \"t\": \"word\", \"b\": false, \"o\": {}, \"none\": null}", &root));
    check_ok(at_json_int(root, "n", 1, 7, &n));
    assert_int_equal(n, 7);
    check_fails(at_json_int(root, "n", 1, 6, &n), AT_EFORMAT, "field 'n': 7 is not within 1 to 6");
    check_fails(at_json_int(root, "t", 1, 6, &n), AT_EFORMAT, "field 't': want an integer, not a string");
    check_fails(at_json_int(root, "absent", 1, 6, &n), AT_EFORMAT, "field 'absent': missing");
    check_fails(at_json_int(root, "none", 1, 6, &n), AT_EFORMAT, "field 'none': missing");
    check_ok(at_json_int_or(root, "none", 1, 6, &n));
    check_ok(at_json_int_or(root, "absent", 1, 6, &n));
    assert_int_equal(n, 7);
    check_ok(at_json_real(root, "x", 0, 1, &x));
    assert_true(x == 1);
    check_fails(at_json_real(root, "x", 2, 3, &x), AT_EFORMAT, "not within 2 to 3");
    check_fails(at_json_real(root, "b", 2, 3, &x), AT_EFORMAT, "want a number, not a boolean");
    check_ok(at_json_real_or(root, "absent", 2, 3, &x));
    check_ok(at_json_bool_or(root, "b", &flag));
    assert_false(flag);
    check_fails(at_json_bool_or(root, "n", &flag), AT_EFORMAT, "want true or false, not an integer");
    check_ok(at_json_text(root, "t", &text));
    assert_string_equal(text, "word");
    check_fails(at_json_text(root, "o", &text), AT_EFORMAT, "want a string, not an object");
    check_fails(at_json_text(root, "absent", &text), AT_EFORMAT, "missing");
    check_ok(at_json_text_or(root, "absent", &text));
    check_ok(at_json_object(root, "o", &object));
    check_fails(at_json_object(root, "n", &object), AT_EFORMAT, "want an object, not an integer");
    check_fails(at_json_int(json_object_get(root, "n"), "k", 0, 1, &n), AT_EFORMAT,
                "want an object around it");
    check_fails(at_json_int(NULL, "k", 0, 1, &n), AT_EFORMAT, "nothing");
    json_decref(root);
}

static void a_file_comes_back_as_it_was_saved(void **state)
{
    (void)state;
    const char *path = check_path("a.json");
    json_t *root, *again;
    check_ok(parse("{\"z\": [1, 2.5, \"\xe6\xb1\xa4\"], \"a\": {\"k\": null}}", &root));
    check_ok(at_json_save(path, root));
    check_ok(at_json_load(path, 1000, &again));
    assert_true(json_equal(root, again));
    char *text;
    size_t length;
    check_ok(at_file_read(path, 1000, &text, &length));
    assert_true(strstr(text, "\"z\"") < strstr(text, "\"a\"")); /* insertion order */
    assert_int_equal(text[length - 1], '\n');
    at_free(text);
    json_decref(again);
    check_fails(at_json_load(path, 10, &again), AT_EFORMAT, "larger than the 10 bytes");
    check_fails(at_json_load(check_path("absent.json"), 10, &again), AT_EIO, "absent.json: cannot open");
    check_fails(at_json_save("/dev/full", root), AT_EIO, "/dev/full: cannot write");
    json_decref(root);
}

static at_status load(void *path)
{
    json_t *root;
    at_status st = at_json_load(path, 1 << 20, &root);
    if (st == AT_OK)
        json_decref(root);
    return st;
}

static void short_memory_is_no_format_error(void **state)
{
    (void)state;
    char path[512];
    strcpy(path, check_path("b.json"));
    const char *text =
        "{\"words\": [\"a\", \"bc\", {\"k\": 1.5, \"l\": [true, null, 12]}], \"n\": \"\\u6c64\"}";
    check_ok(at_file_write(path, text, strlen(text)));
    check_every_allocation(load, path, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(bad_text_is_named_by_file_and_line),
        cmocka_unit_test(fields_are_checked),
        cmocka_unit_test(a_file_comes_back_as_it_was_saved),
        cmocka_unit_test(short_memory_is_no_format_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
