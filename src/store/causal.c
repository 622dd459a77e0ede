/* config.json of a decoder alone: the keys of LlamaConfig or GPT2Config, and models of theirs opened here. */
#include <math.h>
#include <string.h>
#include "store/internal.h"

typedef struct same_key {
    const char *theirs, *ours;
} same_key;

static const same_key llama_keys[] = {
    {"hidden_size", "d_model"},
    {"num_hidden_layers", "layers"},
    {"intermediate_size", "ffn"},
    {"num_attention_heads", "heads"},
    {"max_position_embeddings", "max_length"},
    {"rms_norm_eps", "norm_eps"},
    {"attention_bias", "biases"},
    {"mlp_bias", "biases"},
    {"tie_word_embeddings", "tied"},
    {"initializer_range", "init"},
    {"attention_dropout", "attention_dropout"},
    {NULL, NULL},
};

static const same_key gpt2_keys[] = {
    {"n_embd", "d_model"},
    {"n_layer", "layers"},
    {"n_inner", "ffn"},
    {"n_head", "heads"},
    {"n_positions", "max_length"},
    {"layer_norm_epsilon", "norm_eps"},
    {"tie_word_embeddings", "tied"},
    {"initializer_range", "init"},
    {"resid_pdrop", "dropout"},
    {"embd_pdrop", "dropout"},
    {"attn_pdrop", "attention_dropout"},
    {NULL, NULL},
};

static bool option_is(const json_t *options, const char *key, const char *value)
{
    const char *text = json_string_value(json_object_get(options, key));
    return text && strcmp(text, value) == 0;
}

static const same_key *keys_of(const json_t *options)
{
    return option_is(options, "norm", "rms") ? llama_keys : gpt2_keys;
}

bool at_config_is_llama(const json_t *options)
{
    return option_is(options, "family", "decoder") && option_is(options, "norm", "rms") &&
           option_is(options, "positions", "rotary") && option_is(options, "activation", "swiglu");
}

static void put(json_t *object, const char *key, json_t *value, bool *ok)
{
    if (json_object_set_new(object, key, value) != 0)
        *ok = false;
}

void at_config_put_causal(json_t *config, const json_t *options, bool *ok)
{
    for (const same_key *k = keys_of(options); k->theirs; k++)
        put(config, k->theirs, json_deep_copy(json_object_get(options, k->ours)), ok);
    if (keys_of(options) != llama_keys)
        return;
    const json_t *groups = json_object_get(options, "groups"), *heads = json_object_get(options, "heads");
    json_int_t width = json_integer_value(json_object_get(options, "d_model"));
    put(config, "num_key_value_heads", json_deep_copy(json_integer_value(groups) ? groups : heads), ok);
    put(config, "head_dim", json_integer(width / json_integer_value(heads)), ok);
    put(config, "hidden_act", json_string("silu"), ok);
    json_t *base = json_object_get(options, "rotary_base");
    put(config, "rope_theta", json_deep_copy(base), ok); /* where transformers before 5 looks */
    put(config, "rope_parameters",
        json_pack("{s:s, s:o}", "rope_type", "default", "rope_theta", json_deep_copy(base)), ok);
}

static bool same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return !(json_number_value(a) < json_number_value(b)) &&
               !(json_number_value(a) > json_number_value(b));
    return json_equal(a, b) == 1;
}

at_status at_config_check_causal(const json_t *config, const json_t *options)
{
    for (const same_key *k = keys_of(options); k->theirs; k++) {
        const json_t *theirs = json_object_get(config, k->theirs), *ours = json_object_get(options, k->ours);
        if (theirs && ours && !same_value(theirs, ours))
            return at_fail(AT_EFORMAT, "field '%s' differs from 'attend.model.%s'; make them the same",
                           k->theirs, k->ours);
    }
    return AT_OK;
}

/* ---------------------------------------------------------------- a Llama of Hugging Face's */

static at_status refuse(const char *key, const char *want)
{
    return at_fail(AT_ENOSUP, "field '%s': a Llama is opened here with %s only", key, want);
}

/* What LlamaConfig can say and our family cannot. */
static at_status check_llama(const json_t *config, const json_t *rope)
{
    const json_t *act = json_object_get(config, "hidden_act"), *head = json_object_get(config, "head_dim");
    const char *type = json_string_value(json_object_get(rope, "rope_type"));
    if (act && strcmp(json_string_value(act) ? json_string_value(act) : "", "silu") != 0)
        return refuse("hidden_act", "silu");
    if (rope && type && strcmp(type, "default") != 0)
        return refuse("rope_parameters", "rope_type default");
    json_int_t width = json_integer_value(json_object_get(config, "hidden_size")),
               heads = json_integer_value(json_object_get(config, "num_attention_heads"));
    if (json_is_integer(head) && json_integer_value(head) * heads != width)
        return refuse("head_dim", "hidden_size / num_attention_heads");
    if ((bool)json_is_true(json_object_get(config, "attention_bias")) !=
        json_is_true(json_object_get(config, "mlp_bias")))
        return refuse("attention_bias", "the value of mlp_bias");
    return AT_OK;
}

/* Their keys that have values, as options of ours. */
static void take_keys(const json_t *config, const same_key *keys, json_t *section, bool *ok)
{
    for (const same_key *k = keys; *ok && k->theirs; k++) {
        const json_t *value = json_object_get(config, k->theirs);
        if (value && !json_is_null(value))
            put(section, k->ours, json_deep_copy(value), ok);
    }
}

static at_status give_section(json_t *section, bool ok, json_t **out)
{
    *out = ok ? section : NULL;
    if (ok)
        return AT_OK;
    json_decref(section);
    return at_fail(AT_ENOMEM, "out of memory while reading config.json");
}

at_status at_config_from_llama(const json_t *config, json_t **section)
{
    const json_t *rope = json_object_get(config, "rope_parameters");
    const json_t *base = json_object_get(rope, "rope_theta");
    if (!json_is_object(rope))
        rope = json_object_get(config, "rope_scaling");
    if (!base)
        base = json_object_get(config, "rope_theta");
    at_status st = check_llama(config, rope);
    if (st != AT_OK)
        return st;
    json_t *s = json_pack("{s:s, s:s, s:s, s:s}", "family", "decoder", "positions", "rotary", "norm", "rms",
                          "activation", "swiglu");
    bool ok = s != NULL;
    take_keys(config, llama_keys, s, &ok);
    const json_t *groups = json_object_get(config, "num_key_value_heads");
    if (ok && json_is_integer(groups))
        put(s, "groups", json_deep_copy(groups), &ok);
    if (ok && json_is_number(base))
        put(s, "rotary_base", json_real(json_number_value(base)), &ok);
    if (ok && !json_object_get(config, "tie_word_embeddings"))
        put(s, "tied", json_false(), &ok);
    if (ok && !json_object_get(s, "biases"))
        put(s, "biases", json_false(), &ok);
    return give_section(s, ok, section);
}

/* ---------------------------------------------------------------- a GPT-2 of Hugging Face's */

/* NULL: none of ours. "gelu_new" is the one with tanh. */
static const char *gpt2_activation(const json_t *config)
{
    static const char *const theirs[] = {"gelu_new", "gelu_pytorch_tanh", "gelu", "relu"};
    static const char *const ours[] = {"gelu_tanh", "gelu_tanh", "gelu", "relu"};
    const json_t *value = json_object_get(config, "activation_function");
    const char *name = value ? json_string_value(value) : theirs[0];
    for (size_t i = 0; name && i < sizeof theirs / sizeof theirs[0]; i++)
        if (strcmp(name, theirs[i]) == 0)
            return ours[i];
    return NULL;
}

at_status at_config_from_gpt2(const json_t *config, json_t **section)
{
    static const char refused[] = "field '%s': a GPT-2 is opened here with %s only";
    const char *activation = gpt2_activation(config);
    if (!activation)
        return at_fail(AT_ENOSUP, refused, "activation_function", "gelu_new, gelu or relu");
    if (json_is_true(json_object_get(config, "scale_attn_by_inverse_layer_idx")))
        return at_fail(AT_ENOSUP, refused, "scale_attn_by_inverse_layer_idx", "false");
    if (json_is_false(json_object_get(config, "scale_attn_weights")))
        return at_fail(AT_ENOSUP, refused, "scale_attn_weights", "true");
    json_t *s = json_pack("{s:s, s:s, s:s, s:s, s:b}", "family", "decoder", "positions", "learned", "norm",
                          "layer", "activation", activation, "biases", 1);
    bool ok = s != NULL;
    take_keys(config, gpt2_keys, s, &ok);
    if (ok && !json_object_get(s, "ffn"))
        put(s, "ffn", json_integer(4 * json_integer_value(json_object_get(config, "n_embd"))), &ok);
    return give_section(s, ok, section);
}
