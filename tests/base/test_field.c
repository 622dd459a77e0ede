#include "base/field.h"
#include <string.h>
#include "tests/check.h"

typedef struct options {
    int64_t steps, schedule;
    double lr;
    bool tied;
    char *name;
} options;

static const at_field fields[] = {
    {"max_steps", AT_FIELD_INT, offsetof(options, steps), "100", 1, 1e6, NULL, "steps to train"},
    {"lr", AT_FIELD_REAL, offsetof(options, lr), "0.005", 0, 10, NULL, "peak learning rate"},
    {"schedule", AT_FIELD_CHOICE, offsetof(options, schedule), "cosine", 0, 0, "inverse-sqrt|cosine|constant",
     "how the learning rate moves"},
    {"tied", AT_FIELD_BOOL, offsetof(options, tied), "true", 0, 0, NULL, "tie embeddings"},
    {"name", AT_FIELD_TEXT, offsetof(options, name), NULL, 0, 0, NULL, "what to call it"},
    {0}};

static void defaults_come_from_the_table(void **state)
{
    (void)state;
    options o;
    memset(&o, 0xEE, sizeof o);
    check_ok(at_fields_default(fields, &o));
    assert_int_equal(o.steps, 100);
    assert_int_equal(o.schedule, 1);
    assert_true(o.lr == 0.005);
    assert_true(o.tied);
    assert_null(o.name);
}

static void text_sets_every_type(void **state)
{
    (void)state;
    options o;
    check_ok(at_fields_default(fields, &o));
    check_ok(at_fields_set(fields, &o, "max-steps", "7"));
    check_ok(at_fields_set(fields, &o, "max_steps", "1000000"));
    check_ok(at_fields_set(fields, &o, "lr", ".5e-2"));
    check_ok(at_fields_set(fields, &o, "schedule", "constant"));
    check_ok(at_fields_set(fields, &o, "tied", "off"));
    check_ok(at_fields_set(fields, &o, "name", "one"));
    check_ok(at_fields_set(fields, &o, "name", "two"));
    assert_int_equal(o.steps, 1000000);
    assert_true(o.lr == 0.005);
    assert_int_equal(o.schedule, 2);
    assert_false(o.tied);
    assert_string_equal(o.name, "two");
    at_fields_free(fields, &o);
    assert_null(o.name);
}

static void refused_values_name_key_value_and_limits(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *part;
    } cases[] = {
        {"max_steps", "0", "option 'max_steps': 0 is not within 1 to"},
        {"max_steps", "", "'' is not an integer"},
        {"max_steps", "7x", "'7x' is not an integer"},
        {"max_steps", "99999999999999999999", "not within"},
        {"lr", "10.5", "10.5 is not within 0 to 10"},
        {"lr", "nan", "'nan' is not a finite number"},
        {"lr", "inf", "'inf' is not a finite number"},
        {"schedule", "cos", "'cos' is none of inverse-sqrt|cosine|constant"},
        {"schedule", "", "none of"},
        {"tied", "maybe", "neither true nor false"},
        {"max_step", "1", "unknown option 'max_step'; did you mean 'max_steps'?"},
        {"nmae", "1", "did you mean 'name'?"},
        {"zzzzzz", "1", "unknown option 'zzzzzz'"},
    };
    options o;
    check_ok(at_fields_default(fields, &o));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_fails(at_fields_set(fields, &o, cases[i].key, cases[i].value), AT_EARG, cases[i].part);
    assert_int_equal(o.steps, 100);
    at_fields_free(fields, &o);
}

static at_status read_text(const char *text, options *o)
{
    static const char *const also[] = {"comment", NULL};
    json_t *root;
    at_status st = at_json_parse(text, strlen(text), "recipe", &root);
    if (st != AT_OK)
        return st;
    st = at_fields_read(fields, o, root, also);
    json_decref(root);
    return st;
}

static void json_sets_and_comes_back(void **state)
{
    (void)state;
    options o, again;
    check_ok(at_fields_default(fields, &o));
    check_ok(read_text("{\"lr\": 1, \"max_steps\": 3, \"tied\": false, \"name\": \"n\", \"schedule\": "
                       "\"constant\", \"comment\": [1]}",
                       &o));
    json_t *written = at_fields_write(fields, &o);
    assert_non_null(written);
    check_ok(at_fields_default(fields, &again));
    check_ok(at_fields_read(fields, &again, written, NULL));
    json_decref(written);
    assert_true(again.lr == 1 && again.steps == 3 && !again.tied && again.schedule == 2);
    assert_string_equal(again.name, "n");
    check_ok(read_text("{\"name\": null, \"lr\": null}", &again));
    assert_null(again.name);
    assert_true(again.lr == 1);
    at_fields_free(fields, &o);
    at_fields_free(fields, &again);
}

static void json_of_the_wrong_kind_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"{\"max_steps\": 1.5}", "'max_steps': want an integer"},
        {"{\"max_steps\": 0}", "0 is not within 1 to"},
        {"{\"lr\": \"1\"}", "'lr': want a number"},
        {"{\"lr\": 11}", "11 is not within 0 to 10"},
        {"{\"tied\": 1}", "want true or false"},
        {"{\"schedule\": 1}", "want a string"},
        {"{\"schedul\": 1}", "did you mean 'schedule'?"},
        {"[]", "want an object"},
    };
    options o;
    check_ok(at_fields_default(fields, &o));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_fails(read_text(cases[i].text, &o), AT_EARG, cases[i].part);
    at_fields_free(fields, &o);
}

static void help_shows_limits_and_default(void **state)
{
    (void)state;
    at_buf out = {0};
    at_fields_help(fields, "train.", &out);
    assert_non_null(
        strstr(out.data, "  --train.max-steps N             steps to train (1 to 1000000; 100)\n"));
    assert_non_null(strstr(out.data, "peak learning rate (0 to 10; 0.005)\n"));
    assert_non_null(strstr(out.data, "  --train.schedule inverse-sqrt|cosine|constant\n"));
    assert_non_null(strstr(out.data, "what to call it\n"));
    at_buf_free(&out);
}

static void nearest_knows_near_from_far(void **state)
{
    (void)state;
    static const char *const words[] = {"translate", "train", "tokenize", "eval"};
    assert_string_equal(at_nearest("transalte", words, 4), "translate");
    assert_string_equal(at_nearest("trian", words, 4), "train");
    assert_string_equal(at_nearest("evla", words, 4), "eval");
    assert_null(at_nearest("x", words, 4));
    assert_null(at_nearest("", words, 4));
    char longest[200];
    memset(longest, 't', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_null(at_nearest(longest, words, 4));
}

static at_status set_and_write(void *context AT_UNUSED)
{
    options o;
    at_status st = at_fields_default(fields, &o);
    if (st == AT_OK)
        st = at_fields_set(fields, &o, "name", "n");
    json_t *object = st == AT_OK ? at_fields_write(fields, &o) : NULL;
    if (st == AT_OK && !object)
        st = AT_ENOMEM;
    json_decref(object);
    at_fields_free(fields, &o);
    return st;
}

static void short_memory_is_reported(void **state)
{
    (void)state;
    check_every_allocation(set_and_write, NULL, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_come_from_the_table),
        cmocka_unit_test(text_sets_every_type),
        cmocka_unit_test(refused_values_name_key_value_and_limits),
        cmocka_unit_test(json_sets_and_comes_back),
        cmocka_unit_test(json_of_the_wrong_kind_is_refused),
        cmocka_unit_test(help_shows_limits_and_default),
        cmocka_unit_test(nearest_knows_near_from_far),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
