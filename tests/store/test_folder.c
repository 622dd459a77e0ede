/* A model saved is the model loaded; a folder that is not whole says what is wrong with it. */
#include <math.h>
#include <stdio.h>
#include <unistd.h>
#include "base/memory.h"
#include "store/average.h"
#include "store/folder.h"
#include "tests/store/small.h"

static at_tokenizer *tokenizer;

static int open_tokenizer(void **state)
{
    (void)state;
    tokenizer = small_tokenizer();
    return 0;
}

static int close_tokenizer(void **state)
{
    (void)state;
    at_tokenizer_free(tokenizer);
    return 0;
}

/* A fresh copy of the small model in check_folder()/name. */
static void save_small(const char *name, const char *options, at_type type)
{
    at_model *model = small_model(options, 7);
    at_folder_content content = {.model = model, .tokenizer = tokenizer, .type = type};
    check_ok(at_remove_tree(check_path(name)));
    check_ok(at_folder_save(check_path(name), &content));
    at_model_free(model);
}

static void same_numbers(const at_model *got, const at_model *want, double tolerance)
{
    assert_int_equal(got->params.count, want->params.count);
    for (size_t i = 0; i < want->params.count; i++) {
        const at_param *p = want->params.list[i], *q = at_params_find(&got->params, p->name);
        assert_non_null(q);
        assert_true(at_shape_same(p->shape, q->shape));
        check_near(q->data, p->data, at_shape_count(p->shape), tolerance);
    }
}

static void every_variant_comes_back(void **state)
{
    (void)state;
    static const char *const variants[] = {
        SMALL,
        "{'d_model': 8, 'heads': 1, 'ffn': 4, 'encoder_layers': 2, 'decoder_layers': 1, 'positions': "
        "'learned',"
        " 'max_length': 9, 'norm': 'pre', 'activation': 'gelu'}",
        "{'d_model': 6, 'heads': 3, 'ffn': 4, 'positions': 'none', 'tied': 'target', 'dropout': 0.25}",
        "{'d_model': 6, 'heads': 3, 'ffn': 4, 'tied': 'none', 'shared_values': true}"};
    static const struct kind {
        at_type type;
        double tolerance;
    } kinds[] = {{AT_F32, 0}, {AT_F16, 0x1p-10}, {AT_BF16, 0x1p-7}};
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        for (size_t k = 0; k < 3; k++) {
            save_small("m", variants[i], kinds[k].type);
            at_model *want = small_model(variants[i], 7);
            at_folder *folder;
            check_ok(at_folder_load(check_path("m"), NULL, &folder));
            same_numbers(folder->model, want, kinds[k].tolerance);
            json_t *a = at_model_options(folder->model), *b = at_model_options(want);
            assert_true(json_equal(a, b));
            assert_int_equal(at_tokenizer_size(folder->tokenizer), 12);
            assert_int_equal(folder->model->vocabulary.eos, 2);
            assert_true(kinds[k].type != AT_F32 ||
                        !folder->model->params.block); /* lies in the mapped file */
            check_ok(at_folder_check_finite(folder));
            json_decref(a);
            json_decref(b);
            at_folder_free(folder);
            at_model_free(want);
        }
    }
}

static void sections_and_card_are_kept(void **state)
{
    (void)state;
    at_model *model = small_model(SMALL, 1);
    json_t *decode = json_pack("{s:i}", "beam", 5),
           *data = json_pack("{s:s, s:s}", "source", "en", "target", "de");
    at_folder_content content = {
        .model = model, .tokenizer = tokenizer, .decode = decode, .data = data, .card = "# Card\n"};
    check_ok(at_folder_save(check_path("a/b/model/"), &content));
    at_folder *folder;
    check_ok(at_folder_load(check_path("a/b/model"), NULL, &folder));
    assert_true(json_equal(folder->decode, decode) && json_equal(folder->data, data));
    assert_null(folder->preprocess);
    assert_int_equal(json_integer_value(json_object_get(folder->config, "num_beams")), 5);
    assert_string_equal(json_string_value(json_object_get(folder->config, "model_type")), "marian");
    at_folder_free(folder);
    char *text;
    size_t length;
    check_ok(at_file_read(check_path("a/b/model/README.md"), 100, &text, &length));
    assert_string_equal(text, "# Card\n");
    at_free(text);
    json_decref(decode);
    json_decref(data);
    at_model_free(model);
}

static void saving_spares_what_is_not_ours(void **state)
{
    (void)state;
    at_model *model = small_model(SMALL, 1);
    at_folder_content content = {.model = model, .tokenizer = tokenizer};
    check_ok(at_make_folder(check_path("home")));
    check_ok(at_file_write(check_path("home/letter.txt"), "x", 1));
    check_fails(at_folder_save(check_path("home"), &content), AT_EARG, "holds other things");
    check_fails(at_folder_save(check_path("home/letter.txt"), &content), AT_EARG, "is a file");
    assert_false(at_file_exists(check_path("home/config.json")));
    /* The folder of a training: the model comes in, the log stays. */
    check_ok(at_file_write(check_path("home/log.jsonl"), "{}\n", 3));
    check_ok(at_folder_save(check_path("home"), &content));
    assert_true(at_file_exists(check_path("home/log.jsonl")) &&
                at_file_exists(check_path("home/config.json")));
    check_ok(at_folder_save(check_path("home"), &content));
    at_model_free(model);
}

static void other_numbers_may_be_stored(void **state)
{
    (void)state;
    at_model *model = small_model(SMALL, 1);
    float *half = at_alloc_aligned(model->params.total, sizeof *half);
    for (size_t i = 0; i < model->params.total; i++)
        half[i] = model->params.block[i] / 2;
    at_folder_content content = {.model = model, .tokenizer = tokenizer, .numbers = half};
    check_ok(at_folder_save(check_path("half"), &content));
    content.numbers = NULL;
    check_ok(at_folder_save(check_path("whole"), &content));
    float *mean = at_alloc_aligned(model->params.total, sizeof *mean);
    char half_path[512], whole_path[512];
    snprintf(half_path, sizeof half_path, "%s", check_path("half"));
    snprintf(whole_path, sizeof whole_path, "%s", check_path("whole"));
    const char *const paths[] = {half_path, whole_path, half_path};
    check_ok(at_average_folders(paths, 3, &model->params, mean));
    for (size_t i = 0; i < model->params.count; i++) {
        const at_param *p = model->params.list[i];
        for (size_t k = 0; k < at_shape_count(p->shape); k++)
            half[k] = p->data[k] * (2.0f / 3);
        check_near(mean + p->offset, half, at_shape_count(p->shape), 1e-6);
    }
    check_fails(at_average_folders(paths, 0, &model->params, mean), AT_EARG, "nothing to average");
    at_free_aligned(half);
    at_free_aligned(mean);
    at_model_free(model);
}

static void fails_to_load(const char *name, at_status status, const char *message)
{
    at_folder *folder;
    check_fails(at_folder_load(check_path(name), NULL, &folder), status, message);
    assert_null(folder);
}

/* Rewrites the tensors of a saved model, each as `change` leaves it; false from it leaves it out. */
static void rewrite(const char *name, bool (*change)(at_save_tensor *tensor))
{
    at_safetensors file;
    at_save_tensor list[256];
    size_t count = 0;
    char path[512];
    snprintf(path, sizeof path, "%s/model.safetensors", check_path(name));
    check_ok(at_safetensors_open(path, &file));
    for (size_t i = 0; i < file.count; i++) {
        const at_stored *t = &file.list[i];
        list[count] = (at_save_tensor){t->name, t->shape, AT_F32, at_stored_view(t)};
        count += change(&list[count]);
    }
    check_ok(at_safetensors_save(path, list, count, NULL));
    at_safetensors_close(&file);
}

static bool drop_fc1(at_save_tensor *t)
{
    return strcmp(t->name, "model.encoder.layers.0.fc1.weight") != 0;
}

static bool turn_fc1(at_save_tensor *t)
{
    if (!drop_fc1(t))
        t->shape = at_shape2(t->shape.dim[1], t->shape.dim[0]);
    return true;
}

static bool rename_bias(at_save_tensor *t)
{
    if (strcmp(t->name, "final_logits_bias") == 0)
        t->name = "final_bias";
    return true;
}

static bool fill_bias(at_save_tensor *t)
{
    static const float ones[12] = {1};
    if (strcmp(t->name, "final_logits_bias") == 0)
        t->data = ones;
    return true;
}

static bool shift_positions(at_save_tensor *t)
{
    if (strcmp(t->name, "model.encoder.embed_positions.weight") == 0)
        t->data++, t->shape.dim[0]--;
    return true;
}

static bool put_nan(at_save_tensor *t)
{
    static float bad[16 * 8];
    bad[77] = NAN;
    if (!drop_fc1(t))
        t->data = bad;
    return true;
}

static void tensors_that_do_not_fit_are_named(void **state)
{
    (void)state;
    static const struct damage {
        bool (*change)(at_save_tensor *tensor);
        at_status status;
        const char *message;
    } damages[] = {
        {drop_fc1, AT_ESHAPE,
         "model.safetensors: tensor 'model.encoder.layers.0.fc1.weight' (16,8) is missing"},
        {turn_fc1, AT_ESHAPE,
         "'model.encoder.layers.0.fc1.weight': file has (8,16), config.json wants (16,8)"},
        {rename_bias, AT_ESHAPE, "'final_bias' (1,12) has no place in the transformer"},
        {fill_bias, AT_ENOSUP, "'final_logits_bias' is not zero"},
        {shift_positions, AT_ENOSUP, "not the table of interleaved sines"},
    };
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        save_small("d", SMALL, AT_F32);
        rewrite("d", damages[i].change);
        fails_to_load("d", damages[i].status, damages[i].message);
    }
    save_small("d", SMALL, AT_F32);
    rewrite("d", put_nan);
    at_folder *folder;
    check_ok(at_folder_load(check_path("d"), NULL, &folder));
    check_fails(at_folder_check_finite(folder), AT_ENUMBER,
                "'model.encoder.layers.0.fc1.weight': number 77 is nan");
    at_folder_free(folder);
}

static void edit_config(const char *name, const char *section, const char *key, json_t *value)
{
    char path[512];
    snprintf(path, sizeof path, "%s/config.json", check_path(name));
    json_t *config;
    check_ok(at_json_load(path, 1 << 20, &config));
    json_t *in = config;
    if (section)
        in = json_object_get(config, "attend");
    if (section && *section)
        in = json_object_get(in, section);
    assert_int_equal(value ? json_object_set_new(in, key, value) : json_object_del(in, key), 0);
    check_ok(at_json_save(path, config));
    json_decref(config);
}

static void configs_that_do_not_fit_are_named(void **state)
{
    (void)state;
    const struct edit {
        const char *section, *key;
        json_t *value;
        at_status status;
        const char *message;
    } edits[] = {
        {NULL, "attend", NULL, AT_ENOSUP, "config.json: no field 'attend'"},
        {NULL, "attend", json_integer(1), AT_EFORMAT, "field 'attend': want an object"},
        {"", "version", json_integer(99), AT_EFORMAT, "field 'version'"},
        {"", "model", NULL, AT_EFORMAT, "field 'model': missing"},
        {"", "decode", json_integer(3), AT_EFORMAT, "field 'attend.decode'"},
        {"model", "family", json_string("mamba"), AT_EARG, "unknown 'mamba'"},
        {"model", "heads", json_integer(3), AT_EARG, "do not divide"},
        {"model", "d_modle", json_integer(8), AT_EARG, "d_model"},
        {"model", "ffn", json_integer(32), AT_EFORMAT,
         "field 'encoder_ffn_dim' differs from 'attend.model.ffn'"},
        {NULL, "vocab_size", NULL, AT_EFORMAT, "field 'vocab_size': missing"},
        {NULL, "vocab_size", json_integer(0), AT_EFORMAT, "field 'vocab_size'"},
        {NULL, "eos_token_id", json_integer(12), AT_EFORMAT, "field 'eos_token_id'"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        save_small("c", SMALL, AT_F32);
        edit_config("c", edits[i].section, edits[i].key, edits[i].value);
        fails_to_load("c", edits[i].status, edits[i].message);
    }
    save_small("c", SMALL, AT_F32);
    edit_config("c", NULL, "vocab_size", json_integer(13));
    edit_config("c", NULL, "decoder_vocab_size", json_integer(13));
    fails_to_load("c", AT_ESHAPE, "'model.shared.weight': file has (12,8), config.json wants (13,8)");
}

static void missing_files_are_explained(void **state)
{
    (void)state;
    fails_to_load("nowhere", AT_EIO, "no such folder");
    check_ok(at_make_folder(check_path("bare")));
    fails_to_load("bare", AT_EIO, "holds no model.safetensors");
    check_ok(at_file_write(check_path("bare/pytorch_model.bin"), "PK", 2));
    fails_to_load("bare", AT_ENOSUP, "pytorch_model.bin, a pickle");
    static const char *const files[] = {"config.json", "tokenizer.json", "model.safetensors"};
    for (size_t i = 0; i < 3; i++) {
        char path[512];
        save_small("w", SMALL, AT_F32);
        snprintf(path, sizeof path, "%s/%s", check_path("w"), files[i]);
        assert_int_equal(truncate(path, 100), 0);
        fails_to_load("w", AT_EFORMAT, files[i]);
        assert_int_equal(unlink(path), 0);
        fails_to_load("w", AT_EIO, files[i]);
    }
    check_ok(at_file_write(check_path("file"), "x", 1));
    fails_to_load("file", AT_EIO, "not a folder");
}

static at_status load_once(void *path)
{
    at_folder *folder;
    at_status st = at_folder_load(path, NULL, &folder);
    if (st == AT_OK)
        at_folder_free(folder);
    return st;
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    char path[512];
    for (at_type type = AT_F32; type <= AT_BF16; type++) { /* mapped; widened */
        save_small("e", SMALL, type);
        snprintf(path, sizeof path, "%s", check_path("e"));
        check_every_allocation(load_once, path, 20000);
    }
}

int main(void)
{
    small_use_memory();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_variant_comes_back),
        cmocka_unit_test(sections_and_card_are_kept),
        cmocka_unit_test(saving_spares_what_is_not_ours),
        cmocka_unit_test(other_numbers_may_be_stored),
        cmocka_unit_test(tensors_that_do_not_fit_are_named),
        cmocka_unit_test(configs_that_do_not_fit_are_named),
        cmocka_unit_test(missing_files_are_explained),
        cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
