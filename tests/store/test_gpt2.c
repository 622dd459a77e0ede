/* A GPT2LMHeadModel as transformers stores it (tools/golden_decoder.py: products turned, queries, keys and
 * values in one) opens here and computes the same, also with the older names, and after we have saved it.
 * */
#include <string.h>
#include "tests/store/causal.h"

enum { MOST_TENSORS = 64 };
static const char peer_folder[] = AT_TEST_DATA "/gpt2";

static void logits_are_those_of_transformers(void **state)
{
    (void)state;
    causal peer;
    at_folder *folder, *ours;
    causal_open(&peer, peer_folder);
    check_ok(at_folder_load(peer_folder, peer.exec, &folder));
    assert_string_equal(folder->model->family->name, "decoder");
    causal_check(&peer, folder);
    at_folder_content content = {.model = folder->model, .tokenizer = folder->tokenizer, .type = AT_F32};
    check_ok(at_folder_save(check_path("ours"), &content));
    check_ok(at_folder_load(check_path("ours"), peer.exec, &ours));
    causal_check(&peer, ours); /* apart and (out, in) now */
    assert_non_null(at_safetensors_find(&ours->weights, "transformer.h.1.attn.k_proj.weight"));
    at_folder_free(ours);
    at_folder_free(folder);
    causal_close(&peer);
}

/* Saves the tensors of the peer's file under `folder`, perhaps renamed or with one more. */
static void save_changed(const char *folder, size_t skip, const char *more, float number)
{
    at_safetensors file;
    at_save_tensor list[MOST_TENSORS];
    char *from = at_path_join(peer_folder, "model.safetensors"),
         *to = at_path_join(folder, "model.safetensors");
    check_ok(at_make_folder(folder));
    causal_copy(peer_folder, "tokenizer.json", folder);
    causal_copy(peer_folder, "config.json", folder);
    check_ok(at_safetensors_open(from, &file));
    size_t count = file.count;
    assert_true(count + 1 < MOST_TENSORS);
    for (size_t i = 0; i < count; i++) {
        const at_stored *t = &file.list[i];
        bool prefixed = strncmp(t->name, "transformer.", 12) == 0;
        list[i] = (at_save_tensor){t->name + (prefixed ? skip : 0), t->shape, AT_F32, at_stored_view(t)};
        assert_non_null(list[i].data);
    }
    if (more)
        list[count++] = (at_save_tensor){more, at_shape2(1, 1), AT_F32, &number};
    check_ok(at_safetensors_save(to, list, count, NULL));
    at_safetensors_close(&file);
    at_free(from);
    at_free(to);
}

static void older_names_open_too(void **state)
{
    (void)state;
    causal peer;
    at_folder *folder;
    causal_open(&peer, peer_folder);
    save_changed(check_path("older"), 12, "h.0.attn.bias", 1); /* its causal mask, which is no weight */
    check_ok(at_folder_load(check_path("older"), peer.exec, &folder));
    causal_check(&peer, folder);
    at_folder_free(folder);
    causal_close(&peer);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *message;
        at_status status;
    } bad[] = {
        {"activation_function", "\"tanh\"", "field 'activation_function'", AT_ENOSUP},
        {"activation_function", "7", "field 'activation_function'", AT_ENOSUP},
        {"scale_attn_by_inverse_layer_idx", "true", "scale_attn_by_inverse_layer_idx", AT_ENOSUP},
        {"scale_attn_weights", "false", "scale_attn_weights", AT_ENOSUP},
        {"n_inner", "32", "tensor 'transformer.h.0.mlp.c_fc.weight': file has (16,24)", AT_ESHAPE},
        {"n_inner", "null", "wants (16,64)", AT_ESHAPE},
        {"n_layer", "3", "'transformer.h.2.", AT_ESHAPE},
        {"n_layer", "1", "has no place", AT_ESHAPE},
        {"n_head", "5", "5 heads do not divide d_model 16", AT_EARG},
        {"vocab_size", "21", "'transformer.wte.weight'", AT_ESHAPE},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        causal_refuses(peer_folder, bad[i].key, bad[i].value, bad[i].status, bad[i].message);
    at_folder *f;
    save_changed(check_path("more"), 0, "transformer.h.0.attn.rotary", 1);
    check_fails(at_folder_load(check_path("more"), NULL, &f), AT_ESHAPE, "'transformer.h.0.attn.rotary'");
    save_changed(check_path("untied"), 0, "lm_head.weight", 1);
    check_fails(at_folder_load(check_path("untied"), NULL, &f), AT_ESHAPE, "'lm_head.weight'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_transformers),
        cmocka_unit_test(older_names_open_too),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
