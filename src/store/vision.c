/* config.json of a model of pictures: the keys of ViTConfig, written, compared, and read where a folder of
 * Hugging Face's own has no section of ours. */
#include <string.h>
#include "store/internal.h"

/* NULL: theirs is a number or a pair, ours two options. */
typedef struct same_key {
    const char *theirs, *ours, *second;
} same_key;

static const same_key keys[] = {
    {"hidden_size", "d_model", NULL},
    {"num_hidden_layers", "layers", NULL},
    {"num_attention_heads", "heads", NULL},
    {"intermediate_size", "ffn", NULL},
    {"hidden_act", "activation", NULL},
    {"hidden_dropout_prob", "dropout", NULL},
    {"attention_probs_dropout_prob", "attention_dropout", NULL},
    {"layer_norm_eps", "eps", NULL},
    {"num_channels", "channels", NULL},
    {"image_size", "image_height", "image_width"},
    {"patch_size", "patch_height", "patch_width"},
    {NULL, NULL, NULL},
};

static bool option_is(const json_t *options, const char *key, const char *value)
{
    const char *text = json_string_value(json_object_get(options, key));
    return text && strcmp(text, value) == 0;
}

static bool is_zero(const json_t *options, const char *key)
{
    return !(json_number_value(json_object_get(options, key)) > 0);
}

bool at_config_is_vit(const json_t *options)
{
    static const char *const off[] = {"stem_norm", "patch_norm", "shifted", "locality"};
    bool plain = option_is(options, "family", "vit") && option_is(options, "pooling", "class") &&
                 option_is(options, "positions", "learned") && is_zero(options, "stem") &&
                 is_zero(options, "layer_scale") && is_zero(options, "linformer_k");
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++)
        plain = plain && !json_is_true(json_object_get(options, off[i]));
    return plain;
}

static void put(json_t *object, const char *key, json_t *value, bool *ok)
{
    if (json_object_set_new(object, key, value) != 0)
        *ok = false;
}

/* What theirs says of these options: a new reference. */
static json_t *value_of(const same_key *key, const json_t *options)
{
    const json_t *first = json_object_get(options, key->ours);
    const json_t *second = key->second ? json_object_get(options, key->second) : NULL;
    if (!second || json_equal(first, second))
        return json_deep_copy(first);
    return json_pack("[O,O]", first, second);
}

void at_config_put_vit(json_t *config, const json_t *options, bool *ok)
{
    put(config, "is_encoder_decoder", json_false(), ok);
    if (!option_is(options, "family", "vit"))
        return;
    for (const same_key *k = keys; k->theirs; k++)
        put(config, k->theirs, value_of(k, options), ok);
    put(config, "qkv_bias", json_true(), ok);
}

static bool same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) >= json_number_value(b) && json_number_value(a) <= json_number_value(b);
    return json_equal(a, b) == 1;
}

at_status at_config_check_vit(const json_t *config, const json_t *options)
{
    for (const same_key *k = keys; option_is(options, "family", "vit") && k->theirs; k++) {
        const json_t *theirs = json_object_get(config, k->theirs);
        json_t *ours = value_of(k, options);
        bool same = !theirs || same_value(theirs, ours);
        json_decref(ours);
        if (!same)
            return at_fail(AT_EFORMAT, "field '%s' differs from 'attend.model.%s'; make them the same",
                           k->theirs, k->ours);
    }
    return AT_OK;
}

at_status at_config_from_vit(const json_t *config, json_t **section)
{
    *section = json_pack("{s:s, s:s, s:s}", "family", "vit", "pooling", "class", "positions", "learned");
    bool ok = *section != NULL;
    for (const same_key *k = keys; ok && k->theirs; k++) {
        json_t *value = json_object_get(config, k->theirs);
        json_t *first = json_is_array(value) ? json_array_get(value, 0) : value;
        json_t *second = json_is_array(value) ? json_array_get(value, 1) : value;
        ok = !value || json_object_set(*section, k->ours, first) == 0;
        ok = ok && (!value || !k->second || json_object_set(*section, k->second, second) == 0);
    }
    if (ok)
        return AT_OK;
    json_decref(*section);
    *section = NULL;
    return at_fail(AT_EFORMAT, "a ViT's config.json lacks image_size or patch_size");
}
