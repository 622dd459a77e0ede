/* A folder written by Hugging Face transformers (tools/golden_model.py) opens here and computes the same. */
#include <string.h>
#include "base/memory.h"
#include "kernel/exec.h"
#include "store/folder.h"
#include "tests/check.h"

enum { VOCABULARY = 20, MOST_ROWS = 64 };

static at_folder *folder;
static json_t *golden;
static at_exec *exec;
static at_tape *tape;

static int open_folder(void **state)
{
    (void)state;
    check_ok(at_exec_new(NULL, 2, &exec));
    check_ok(at_tape_new(exec, &tape));
    check_ok(at_folder_load(AT_TEST_DATA "/marian", exec, &folder));
    check_ok(at_json_load(AT_TEST_DATA "/marian/golden.json", 1 << 20, &golden));
    return 0;
}

static int close_folder(void **state)
{
    (void)state;
    json_decref(golden);
    at_folder_free(folder);
    at_tape_free(tape);
    at_exec_free(exec);
    return 0;
}

/* Sentences of the file as rows; `first` puts <s> before each and leaves its last id out. */
static size_t rows_of(const char *key, bool first, int32_t *ids, int32_t *offsets)
{
    size_t b, k;
    json_t *sentence, *id;
    int32_t at = 0;
    offsets[0] = 0;
    json_array_foreach(json_object_get(golden, key), b, sentence)
    {
        if (first)
            ids[at++] = 1;
        json_array_foreach(sentence, k, id)
        {
            if (!first || k + 1 < json_array_size(sentence))
                ids[at++] = (int32_t)json_integer_value(id);
        }
        offsets[b + 1] = at;
    }
    return json_array_size(json_object_get(golden, key));
}

static void logits_are_those_of_transformers(void **state)
{
    (void)state;
    int32_t source[MOST_ROWS], in[MOST_ROWS], out[MOST_ROWS], source_offsets[8], target_offsets[8];
    size_t count = rows_of("source", false, source, source_offsets);
    rows_of("target", true, in, target_offsets);
    rows_of("target", false, out, target_offsets);
    const at_batch batch = {.source = {count, source_offsets, NULL},
                            .target = {count, target_offsets, NULL},
                            .source_ids = source,
                            .target_in = in,
                            .target_out = out};
    const at_model *model = folder->model;
    at_tape_begin(tape, AT_TAPE_RUN, 1, 0);
    at_var *memory = model->family->encode(model, tape, &batch);
    at_var *logits = at_model_logits(model, tape, model->family->decode(model, tape, &batch, memory));
    check_ok(at_tape_status(tape));
    size_t b, k;
    json_t *row, *value;
    assert_int_equal(logits->shape.dim[0], json_array_size(json_object_get(golden, "logits")));
    json_array_foreach(json_object_get(golden, "logits"), b, row)
    {
        float want[VOCABULARY];
        json_array_foreach(row, k, value) want[k] = (float)json_number_value(value);
        check_near(logits->data + b * VOCABULARY, want, VOCABULARY, 2e-5); /* fp32, sums in another order */
    }
}

static void what_we_write_has_the_same_tensors_and_keys(void **state)
{
    (void)state;
    at_folder_content content = {.model = folder->model, .tokenizer = folder->tokenizer};
    check_ok(at_folder_save(check_path("again"), &content));
    at_safetensors again;
    check_ok(at_safetensors_open(check_path("again/model.safetensors"), &again));
    assert_int_equal(again.count, folder->weights.count);
    for (size_t i = 0; i < again.count; i++) {
        const at_stored *a = &again.list[i], *b = &folder->weights.list[i];
        assert_string_equal(a->name, b->name);
        assert_true(at_shape_same(a->shape, b->shape));
        check_near(at_stored_view(a), at_stored_view(b), at_shape_count(a->shape), 1e-7);
    }
    at_safetensors_close(&again);
    json_t *config;
    check_ok(at_json_load(check_path("again/config.json"), 1 << 20, &config));
    const char *key;
    json_t *value;
    json_object_foreach(folder->config, key, value)
    {
        const json_t *ours = json_object_get(config, key);
        bool same = json_is_number(value) ? json_number_value(ours) >= json_number_value(value) &&
                                                json_number_value(ours) <= json_number_value(value)
                                          : json_equal(ours, value) == 1;
        if (strcmp(key, "attend") != 0 && !same)
            fail_msg("config.json: '%s' differs", key);
    }
    json_decref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_transformers),
        cmocka_unit_test(what_we_write_has_the_same_tensors_and_keys),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
