#include "train/recipe.h"
#include <string.h>
#include "base/file.h"
#include "tests/check.h"
#include "train/options.h"

typedef struct data_options {
    char *source;
    int64_t seed, tokens;
} data_options;

static const at_field data_fields[] = {
    {"source", AT_FIELD_TEXT, offsetof(data_options, source), "en", 0, 0, NULL, "language"},
    {"seed", AT_FIELD_INT, offsetof(data_options, seed), "1", 0, 0, NULL, "as a key of two sections"},
    {"batch_tokens", AT_FIELD_INT, offsetof(data_options, tokens), "4096", 1, 1e6, NULL, "size"},
    {0}};

typedef struct fixture {
    at_train_options train;
    data_options data;
    at_section sections[2];
    at_recipe recipe;
} fixture;

static void set_up(fixture *f)
{
    check_ok(at_fields_default(at_train_fields, &f->train));
    check_ok(at_fields_default(data_fields, &f->data));
    f->sections[0] = (at_section){"train", at_train_fields, &f->train, NULL};
    f->sections[1] = (at_section){"data", data_fields, &f->data, NULL};
    f->recipe = (at_recipe){f->sections, 2};
}

static void tear_down(fixture *f)
{
    at_fields_free(at_train_fields, &f->train);
    at_fields_free(data_fields, &f->data);
}

static const char *write_file(const char *name, const char *text)
{
    const char *path = check_path(name);
    check_ok(at_file_write(path, text, strlen(text)));
    return path;
}

static void file_flags_and_back(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    const char *path = write_file("recipe.json", "{\"description\": \"d\", \"train\": {\"lr\": 0.005, "
                                                 "\"schedule\": \"cosine\", \"max_steps\": 80}, "
                                                 "\"data\": {\"source\": \"de\"}}");
    check_ok(at_recipe_read(&f.recipe, path));
    assert_true(f.train.lr == 0.005 && f.train.max_steps == 80 && f.train.schedule == AT_SCHEDULE_COSINE);
    assert_string_equal(f.data.source, "de");
    check_ok(at_recipe_set(&f.recipe, "train.lr=0.002"));
    assert_true(f.train.lr == 0.002);
    bool known;
    check_ok(at_recipe_flag(&f.recipe, "batch-tokens", NULL, &known));
    assert_true(known);
    check_ok(at_recipe_flag(&f.recipe, "batch-tokens", "512", &known));
    check_ok(at_recipe_flag(&f.recipe, "data.seed", "9", &known));
    assert_true(f.data.tokens == 512 && f.data.seed == 9 && f.train.seed == 1);
    check_ok(at_recipe_flag(&f.recipe, "no-such", "1", &known));
    assert_false(known);
    json_t *whole = at_recipe_write(&f.recipe, "d");
    assert_non_null(whole);
    fixture g;
    set_up(&g);
    check_ok(at_recipe_apply(&g.recipe, whole));
    assert_true(g.train.lr == 0.002 && g.data.tokens == 512 && g.train.schedule == AT_SCHEDULE_COSINE);
    json_decref(whole);
    tear_down(&g);
    tear_down(&f);
}

static void mistakes_name_the_nearest(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    bool known;
    check_fails(at_recipe_read(&f.recipe, write_file("a.json", "{\"trian\": {}}")), AT_EARG,
                "did you mean 'train'");
    check_fails(at_recipe_read(&f.recipe, write_file("b.json", "{\"train\": {\"warm_up\": 3}}")), AT_EARG,
                "did you mean 'warmup'");
    check_fails(at_recipe_read(&f.recipe, write_file("c.json", "{\"train\": {\"lr\": 1e9}}")), AT_EARG, "lr");
    check_fails(at_recipe_read(&f.recipe, write_file("d.json", "[1]")), AT_EFORMAT, "d.json");
    check_fails(at_recipe_read(&f.recipe, check_path("absent.json")), AT_EIO, "absent.json");
    check_fails(at_recipe_set(&f.recipe, "lr=3"), AT_EARG, "section.key=value");
    check_fails(at_recipe_set(&f.recipe, "dat.source=3"), AT_EARG, "did you mean 'data'");
    check_fails(at_recipe_set(&f.recipe, "train.learning=3"), AT_EARG, "unknown option 'learning'");
    check_fails(at_recipe_flag(&f.recipe, "seed", "3", &known), AT_EARG, "--train.seed or --data.seed");
    tear_down(&f);
}

static void contradictions_are_found(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    check_fails(at_train_options_check(&f.train), AT_EARG, "never end");
    f.train.max_epochs = 3;
    check_ok(at_train_options_check(&f.train));
    check_ok(at_fields_set(at_train_fields, &f.train, "best_by", "bleu"));
    check_fails(at_train_options_check(&f.train), AT_EARG, "score_every");
    f.train.score_every = 1;
    check_ok(at_train_options_check(&f.train));
    f.train.schedule = AT_SCHEDULE_LINEAR;
    check_fails(at_train_options_check(&f.train), AT_EARG, "max_steps");
    check_ok(at_fields_set(at_train_fields, &f.train, "best_by", "rouge"));
    check_fails(at_train_options_check(&f.train), AT_EARG, "none of");
    tear_down(&f);
}

static void a_section_may_lie_in_another(void **state)
{
    (void)state;
    static const char *const also[] = {"inner", NULL};
    at_train_options outer;
    data_options inner;
    check_ok(at_fields_default(at_train_fields, &outer));
    check_ok(at_fields_default(data_fields, &inner));
    at_section sections[] = {{"train", at_train_fields, &outer, also},
                             {"train.inner", data_fields, &inner, NULL}};
    at_recipe recipe = {sections, 2};
    const char *path =
        write_file("nested.json", "{\"train\": {\"lr\": 0.5, \"inner\": {\"batch_tokens\": 9}}}");
    check_ok(at_recipe_read(&recipe, path));
    assert_true(outer.lr == 0.5 && inner.tokens == 9);
    check_ok(at_recipe_set(&recipe, "train.inner.source=zh"));
    assert_string_equal(inner.source, "zh");
    bool known;
    check_ok(at_recipe_flag(&recipe, "train.inner.seed", "4", &known));
    assert_true(known && inner.seed == 4 && outer.seed == 1);
    json_t *whole = at_recipe_write(&recipe, NULL);
    json_t *written = json_object_get(json_object_get(whole, "train"), "inner");
    assert_int_equal(json_integer_value(json_object_get(written, "batch_tokens")), 9);
    json_decref(whole);
    at_fields_free(at_train_fields, &outer);
    at_fields_free(data_fields, &inner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_flags_and_back),
        cmocka_unit_test(mistakes_name_the_nearest),
        cmocka_unit_test(contradictions_are_found),
        cmocka_unit_test(a_section_may_lie_in_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
