/* A LlamaForCausalLM as transformers saves it (tools/golden_llama.py) opens here and computes the same, also
 * after we have saved it; what our family cannot compute is refused. */
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "model/state.h"
#include "store/folder.h"
#include "tests/check.h"

enum { VOCABULARY = 20, MOST_ROWS = 64 };

static json_t *golden;
static at_exec *exec;
static at_tape *tape;

static int begin(void **state)
{
    (void)state;
    check_ok(at_exec_new(NULL, 2, &exec));
    check_ok(at_tape_new(exec, &tape));
    check_ok(at_json_load(AT_TEST_DATA "/llama/golden.json", 1 << 20, &golden));
    return 0;
}

static int end(void **state)
{
    (void)state;
    json_decref(golden);
    at_tape_free(tape);
    at_exec_free(exec);
    return 0;
}

static void numbers(const json_t *list, float *out)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x) out[i] = (float)json_number_value(x);
}

/* All texts in one batch, and each through a state in two steps. */
static void check_logits(const at_folder *folder)
{
    int32_t ids[MOST_ROWS], offsets[8] = {0};
    float want[MOST_ROWS * VOCABULARY];
    const json_t *texts = json_object_get(golden, "texts"), *logits = json_object_get(golden, "logits");
    size_t count = json_array_size(texts), b, k;
    json_t *text, *id;
    int32_t rows = 0;
    json_array_foreach(texts, b, text)
    {
        numbers(json_array_get(logits, b), want + rows * VOCABULARY);
        json_array_foreach(text, k, id) ids[rows++] = (int32_t)json_integer_value(id);
        offsets[b + 1] = rows;
    }
    at_batch batch = {.target = {count, offsets, NULL}, .target_in = ids};
    at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
    const at_model *m = folder->model;
    const at_var *all = at_model_logits(m, tape, m->family->decode(m, tape, &batch, NULL));
    check_ok(at_tape_status(tape));
    check_near(all->data, want, (size_t)rows * VOCABULARY, 1e-4);
    for (size_t i = 0; i < count; i++) {
        at_state *state;
        int slot;
        check_ok(at_state_new(m, &state));
        check_ok(at_state_open(state, AT_NO_SOURCE, &slot));
        int32_t from = offsets[i], length = offsets[i + 1] - from, half = length / 2;
        for (int part = 0; part < 2; part++) {
            int32_t at = part ? half : 0, some[] = {0, part ? length - half : half};
            if (!some[1])
                continue;
            at_rows step = {1, some, NULL};
            at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
            const at_var *got = at_state_step(m, tape, state, &slot, &step, ids + from + at);
            check_ok(at_tape_status(tape));
            check_near(got->data, want + (from + at) * VOCABULARY, (size_t)some[1] * VOCABULARY, 1e-4);
        }
        at_state_free(state);
    }
}

static void logits_are_those_of_transformers(void **state)
{
    (void)state;
    at_folder *folder, *ours;
    check_ok(at_folder_load(AT_TEST_DATA "/llama", exec, &folder));
    assert_string_equal(folder->model->family->name, "decoder");
    assert_int_equal(folder->model->vocabulary.pad, -1);
    check_logits(folder);
    at_folder_content content = {.model = folder->model, .tokenizer = folder->tokenizer, .type = AT_F32};
    check_ok(at_folder_save(check_path("ours"), &content));
    check_ok(at_folder_load(check_path("ours"), exec, &ours));
    assert_string_equal(json_string_value(json_object_get(ours->config, "model_type")), "llama");
    assert_string_equal(json_string_value(json_array_get(json_object_get(ours->config, "architectures"), 0)),
                        "LlamaForCausalLM");
    check_logits(ours);
    static const char *const keys[] = {"hidden_size",         "intermediate_size", "num_key_value_heads",
                                       "rms_norm_eps",        "rope_parameters",   "tie_word_embeddings",
                                       "num_attention_heads", "head_dim",          "vocab_size",
                                       "num_hidden_layers",   "attention_bias",    "hidden_act"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *theirs = json_object_get(folder->config, keys[i]),
               *mine = json_object_get(ours->config, keys[i]);
        assert_non_null(mine);
        if (json_is_real(theirs))
            assert_true(json_number_value(theirs) <= json_number_value(mine) &&
                        json_number_value(theirs) >= json_number_value(mine));
        else
            assert_true(json_equal(theirs, mine));
    }
    at_folder_free(ours);
    at_folder_free(folder);
}

static void copy(const char *name, const char *to)
{
    char from[512], *bytes;
    size_t length;
    snprintf(from, sizeof from, "%s/llama/%s", AT_TEST_DATA, name);
    check_ok(at_file_read(from, 1 << 20, &bytes, &length));
    char *path = at_path_join(to, name);
    check_ok(at_file_write(path, bytes, length));
    at_free(path);
    at_free(bytes);
}

static void what_cannot_be_computed_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *message;
        at_status status;
    } bad[] = {
        {"hidden_act", "\"gelu\"", "field 'hidden_act'", AT_ENOSUP},
        {"hidden_act", "7", "field 'hidden_act'", AT_ENOSUP},
        {"rope_parameters", "{\"rope_type\": \"yarn\", \"rope_theta\": 500.0}", "rope_type default",
         AT_ENOSUP},
        {"head_dim", "8", "field 'head_dim'", AT_ENOSUP},
        {"attention_bias", "true", "field 'attention_bias'", AT_ENOSUP},
        {"hidden_size", "\"wide\"", "field 'head_dim'", AT_ENOSUP},
        {"num_key_value_heads", "3", "3 groups do not divide 4 heads", AT_EARG},
        {"vocab_size", "0", "vocab_size", AT_EFORMAT},
        {"vocab_size", "21", "tensor", AT_ESHAPE},
        {"model_type", "\"mistral\"", "model_type llama", AT_ENOSUP},
        {"model_type", "null", "no field 'attend'", AT_ENOSUP},
    };
    const char *folder = check_path("bad");
    check_ok(at_make_folder(folder));
    copy("model.safetensors", folder);
    copy("tokenizer.json", folder);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *config, *value = json_loads(bad[i].value, JSON_DECODE_ANY, NULL);
        at_folder *f;
        check_ok(at_json_load(AT_TEST_DATA "/llama/config.json", 1 << 20, &config));
        assert_int_equal(json_object_set_new(config, bad[i].key, value), 0);
        char *path = at_path_join(folder, "config.json");
        check_ok(at_json_save(path, config));
        check_fails(at_folder_load(folder, NULL, &f), bad[i].status, bad[i].message);
        at_free(path);
        json_decref(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_transformers),
        cmocka_unit_test(what_cannot_be_computed_is_refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
