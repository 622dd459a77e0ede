/* A LlamaForCausalLM as transformers saves it (tools/golden_decoder.py) opens here and computes the same,
 * also after we have saved it; what our family cannot compute is refused. */
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "tests/store/causal.h"

static causal peer;

static int begin(void **state)
{
    (void)state;
    causal_open(&peer, AT_TEST_DATA "/llama");
    return 0;
}

static int end(void **state)
{
    (void)state;
    causal_close(&peer);
    return 0;
}

static void logits_are_those_of_transformers(void **state)
{
    (void)state;
    at_folder *folder, *ours;
    check_ok(at_folder_load(AT_TEST_DATA "/llama", peer.exec, &folder));
    assert_string_equal(folder->model->family->name, "decoder");
    assert_int_equal(folder->model->vocabulary.pad, -1);
    causal_check(&peer, folder);
    at_folder_content content = {.model = folder->model, .tokenizer = folder->tokenizer, .type = AT_F32};
    check_ok(at_folder_save(check_path("ours"), &content));
    check_ok(at_folder_load(check_path("ours"), peer.exec, &ours));
    assert_string_equal(json_string_value(json_object_get(ours->config, "model_type")), "llama");
    assert_string_equal(json_string_value(json_array_get(json_object_get(ours->config, "architectures"), 0)),
                        "LlamaForCausalLM");
    causal_check(&peer, ours);
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
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        causal_refuses(AT_TEST_DATA "/llama", bad[i].key, bad[i].value, bad[i].status, bad[i].message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_transformers),
        cmocka_unit_test(what_cannot_be_computed_is_refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
