/* config.json: flat keys as Hugging Face's class has them, and ours under "attend", from which we build. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/memory.h"
#include "layer/layer.h"
#include "store/internal.h"

enum { MAX_VOCABULARY = 1 << 24 };

static const char encoder_positions[] = "model.encoder.embed_positions.weight";
static const char decoder_positions[] = "model.decoder.embed_positions.weight";
static const char logits_bias[] = "final_logits_bias";

/* Flat keys of MarianConfig that say what options of ours say. */
static const struct same_key {
    const char *theirs, *ours;
} marian_keys[] = {
    {"d_model", "d_model"},
    {"encoder_layers", "encoder_layers"},
    {"decoder_layers", "decoder_layers"},
    {"num_hidden_layers", "encoder_layers"},
    {"encoder_attention_heads", "heads"},
    {"decoder_attention_heads", "heads"},
    {"encoder_ffn_dim", "ffn"},
    {"decoder_ffn_dim", "ffn"},
    {"activation_function", "activation"},
    {"max_position_embeddings", "max_length"},
    {"dropout", "dropout"},
    {"attention_dropout", "attention_dropout"},
    {"activation_dropout", "activation_dropout"},
};

static bool option_is(const json_t *options, const char *key, const char *value)
{
    const char *text = json_string_value(json_object_get(options, key));
    return text && strcmp(text, value) == 0;
}

/* Marian normalises after each sum, adds sinusoids, projects values apart: only such a model opens there. */
static bool is_marian(const json_t *options)
{
    return option_is(options, "family", "transformer") && option_is(options, "norm", "post") &&
           option_is(options, "positions", "sinusoidal") && option_is(options, "score", "scaled-dot") &&
           option_is(options, "normalise", "softmax") &&
           !json_is_true(json_object_get(options, "shared_values"));
}

static void put(json_t *object, const char *key, json_t *value, bool *ok)
{
    if (json_object_set_new(object, key, value) != 0)
        *ok = false;
}

static json_t *id_or_null(int32_t id)
{
    return id < 0 ? json_null() : json_integer(id);
}

static void put_vocabulary(json_t *config, const at_vocabulary *v, bool alone, bool *ok)
{
    put(config, "vocab_size", json_integer(v->source), ok);
    put(config, "pad_token_id", id_or_null(v->pad), ok);
    put(config, "bos_token_id", id_or_null(v->bos), ok);
    put(config, "eos_token_id", id_or_null(v->eos), ok);
    put(config, "unk_token_id", id_or_null(v->unk), ok);
    if (alone)
        return;
    put(config, "decoder_vocab_size", json_integer(v->target), ok);
    put(config, "decoder_start_token_id", json_integer(v->bos), ok);
    put(config, "forced_eos_token_id", json_integer(v->eos), ok);
}

/* What Hugging Face's generate() starts from. */
static void put_generation(json_t *config, const json_t *options, const json_t *decode, bool *ok)
{
    const json_t *beam = json_object_get(decode, "beam");
    put(config, "num_beams", json_integer(json_is_integer(beam) ? json_integer_value(beam) : 1), ok);
    const json_t *most = json_object_get(options, "max_length"); /* a recurrent model has none */
    if (most)
        put(config, "max_length", json_deep_copy(most), ok);
}

static void put_marian(json_t *config, const json_t *options, bool *ok)
{
    for (size_t i = 0; i < sizeof marian_keys / sizeof marian_keys[0]; i++) {
        const json_t *value = json_object_get(options, marian_keys[i].ours);
        if (value)
            put(config, marian_keys[i].theirs, json_deep_copy(value), ok);
    }
    put(config, "tie_word_embeddings", json_boolean(!option_is(options, "tied", "none")), ok);
    if (option_is(options, "family", "recurrent"))
        return;
    put(config, "scale_embedding", json_true(), ok);
    put(config, "static_position_embeddings", json_boolean(option_is(options, "positions", "sinusoidal")),
        ok);
    put(config, "share_encoder_decoder_embeddings", json_boolean(option_is(options, "tied", "all")), ok);
}

/* Names of labels as Hugging Face has them, both ways round. */
static void put_labels(json_t *config, const json_t *labels, bool *ok)
{
    json_t *numbers = json_object();
    void *object = (void *)(uintptr_t)labels;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
        put(numbers, json_string_value(json_object_iter_value(it)),
            json_integer(strtoll(json_object_iter_key(it), NULL, 10)), ok);
    put(config, "id2label", json_deep_copy(labels), ok);
    put(config, "label2id", numbers, ok);
}

static json_t *attend_section(const at_folder_content *content, json_t *options, bool *ok)
{
    json_t *attend = json_object();
    put(attend, "version", json_integer(AT_CONFIG_VERSION), ok);
    put(attend, "model", json_incref(options), ok);
    if (content->preprocess)
        put(attend, "preprocess", json_deep_copy(content->preprocess), ok);
    if (content->decode)
        put(attend, "decode", json_deep_copy(content->decode), ok);
    if (content->align)
        put(attend, "align", json_deep_copy(content->align), ok);
    if (content->data)
        put(attend, "data", json_deep_copy(content->data), ok);
    return attend;
}

static const char *stored_type(at_type type)
{
    return type == AT_BF16 ? "bfloat16" : type == AT_F16 ? "float16" : "float32";
}

json_t *at_config_write(const at_folder_content *content)
{
    const at_model *model = content->model;
    json_t *options = at_model_options(model), *config = json_object();
    bool ok = options && config;
    if (ok) {
        bool marian = is_marian(options), llama = at_config_is_llama(options);
        bool alone = model->family->kind == AT_DECODER_ONLY, vit = at_config_is_vit(options);
        bool theirs = marian || llama || vit, pictures = model->family->pixels != NULL;
        /* A name that Hugging Face does not know, so that it refuses what it would compute otherwise. */
        put(config, "architectures", json_pack("[s]", theirs ? model->family->class : "AttendModel"), &ok);
        put(config, "model_type",
            json_string(marian  ? "marian"
                        : llama ? "llama"
                        : vit   ? "vit"
                                : "attend"),
            &ok);
        put(config, "dtype", json_string(stored_type(content->type)), &ok);
        if (!pictures)
            put_vocabulary(config, &model->vocabulary, alone, &ok);
        if (pictures) {
            at_config_put_vit(config, options, &ok);
        } else if (alone) {
            at_config_put_causal(config, options, &ok);
        } else {
            put_marian(config, options, &ok);
            put(config, "is_encoder_decoder", json_boolean(model->family->kind == AT_ENCODER_DECODER), &ok);
            if (model->family->kind == AT_ENCODER_DECODER)
                put_generation(config, options, content->decode, &ok);
        }
        if (content->labels)
            put_labels(config, content->labels, &ok);
        put(config, "attend", attend_section(content, options, &ok), &ok);
    }
    json_decref(options);
    if (!ok) {
        json_decref(config);
        config = NULL;
    }
    return config;
}

static at_status read_id(const json_t *config, const char *key, int64_t limit, int32_t *id)
{
    int64_t value = -1; /* null: the tokenizer has none */
    at_status st = AT_OK;
    if (!json_is_null(json_object_get(config, key)))
        st = at_json_int(config, key, 0, limit - 1, &value);
    *id = (int32_t)value;
    return st;
}

static at_status read_labels(const json_t *config, at_vocabulary *v)
{
    const json_t *labels = json_object_get(config, "id2label");
    if (labels && (!json_is_object(labels) || json_object_size(labels) > MAX_VOCABULARY))
        return at_fail(AT_EFORMAT, "field 'id2label': want an object {\"0\": name, …}");
    v->labels = (int64_t)json_object_size(labels);
    return AT_OK;
}

static at_status read_vocabulary(const json_t *config, bool pictures, at_vocabulary *v)
{
    *v = (at_vocabulary){0};
    v->pad = v->bos = v->eos = v->unk = -1;
    if (pictures)
        return read_labels(config, v);
    at_status st = at_json_int(config, "vocab_size", 1, MAX_VOCABULARY, &v->source);
    v->target = v->source;
    if (st == AT_OK)
        st = at_json_int_or(config, "decoder_vocab_size", 1, MAX_VOCABULARY, &v->target);
    int64_t limit = v->source < v->target ? v->source : v->target;
    if (st == AT_OK)
        st = read_id(config, "pad_token_id", limit, &v->pad);
    if (st == AT_OK)
        st = read_id(config, "bos_token_id", limit, &v->bos);
    if (st == AT_OK)
        st = read_id(config, "eos_token_id", limit, &v->eos);
    if (st == AT_OK)
        st = read_id(config, "unk_token_id", limit, &v->unk);
    return st == AT_OK ? read_labels(config, v) : st;
}

static bool same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) >= json_number_value(b) && json_number_value(a) <= json_number_value(b);
    return json_equal(a, b) == 1;
}

/* A flat key edited by hand would otherwise be silently without effect. */
static at_status check_flat_keys(const json_t *config, const at_model *model)
{
    json_t *options = at_model_options(model);
    if (!options)
        return at_fail(AT_ENOMEM, "out of memory");
    bool alone = model->family->kind == AT_DECODER_ONLY;
    bool pictures = model->family->pixels != NULL;
    at_status st = pictures ? at_config_check_vit(config, options)
                   : alone  ? at_config_check_causal(config, options)
                            : AT_OK;
    for (size_t i = 0; st == AT_OK && !alone && !pictures && i < sizeof marian_keys / sizeof marian_keys[0];
         i++) {
        const json_t *theirs = json_object_get(config, marian_keys[i].theirs);
        const json_t *ours = json_object_get(options, marian_keys[i].ours);
        if (theirs && ours && !same_value(theirs, ours))
            st = at_fail(AT_EFORMAT, "field '%s' differs from 'attend.model.%s'; make them the same",
                         marian_keys[i].theirs, marian_keys[i].ours);
    }
    json_decref(options);
    return st;
}

/* -1 for what the file leaves out or has as null or a list. */
static int32_t id_or_none(const json_t *config, const char *key, int64_t limit)
{
    const json_t *id = json_object_get(config, key);
    json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
    return value >= 0 && value < limit ? (int32_t)value : -1;
}

static at_status read_vit(const json_t *config, at_model **model)
{
    at_vocabulary v;
    json_t *section = NULL;
    at_status st = read_vocabulary(config, true, &v);
    if (st == AT_OK)
        st = at_config_from_vit(config, &section);
    if (st == AT_OK)
        st = at_model_new("vit", section, &v, model);
    json_decref(section);
    return st;
}

/* A folder of Hugging Face's own, of a class that computes what a family of ours does. */
static at_status read_theirs(const json_t *config, at_model **model)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    bool llama = type && strcmp(type, "llama") == 0;
    at_vocabulary v = {0};
    json_t *section = NULL;
    if (type && strcmp(type, "vit") == 0)
        return read_vit(config, model);
    if (!llama && !at_gpt2_is(config))
        return at_fail(AT_ENOSUP,
                       "no field 'attend': only models written by attend, and Hugging Face's of model_type "
                       "llama, gpt2 and vit, can be opened");
    at_status st = at_json_int(config, "vocab_size", 1, MAX_VOCABULARY, &v.source);
    v.target = v.source;
    v.pad = id_or_none(config, "pad_token_id", v.source);
    v.bos = id_or_none(config, "bos_token_id", v.source);
    v.eos = id_or_none(config, "eos_token_id", v.source);
    v.unk = id_or_none(config, "unk_token_id", v.source);
    if (st == AT_OK)
        st = llama ? at_config_from_llama(config, &section) : at_config_from_gpt2(config, &section);
    if (st == AT_OK)
        st = at_model_new("decoder", section, &v, model);
    json_decref(section);
    return st;
}

at_status at_config_read(const json_t *config, at_model **model)
{
    *model = NULL;
    json_t *attend, *section;
    const char *family;
    int64_t version;
    at_vocabulary vocabulary;
    if (!json_object_get(config, "attend"))
        return read_theirs(config, model);
    at_status st = at_json_object(config, "attend", &attend);
    if (st == AT_OK)
        st = at_json_int(attend, "version", 1, AT_CONFIG_VERSION, &version);
    if (st == AT_OK)
        st = at_json_object(attend, "model", &section);
    if (st == AT_OK)
        st = at_json_text(section, "family", &family);
    if (st != AT_OK)
        return at_fail_within(st, "attend");
    const at_family *known = at_family_find(family);
    st = read_vocabulary(config, known && known->pixels, &vocabulary);
    if (st == AT_OK)
        st = at_model_new(family, section, &vocabulary, model);
    if (st != AT_OK)
        return st;
    st = check_flat_keys(config, *model);
    if (st != AT_OK) {
        at_model_free(*model);
        *model = NULL;
    }
    return st;
}

at_status at_extras_make(const at_model *model, at_extras *extras)
{
    *extras = (at_extras){0};
    json_t *options = at_model_options(model);
    if (!options)
        return at_fail(AT_ENOMEM, "out of memory");
    bool marian = is_marian(options);
    json_decref(options);
    if (!marian)
        return AT_OK;
    size_t positions = at_model_reach(model);
    size_t width = (size_t)at_model_output(model)->shape.dim[1],
           vocabulary = (size_t)model->vocabulary.target;
    float *table = at_alloc_zero(positions * width + vocabulary, sizeof *table);
    if (!table)
        return AT_ENOMEM;
    at_sinusoids(table, positions, width);
    at_shape shape = at_shape2((int64_t)positions, (int64_t)width);
    extras->numbers = table;
    extras->list[0] = (at_save_tensor){encoder_positions, shape, AT_F32, table};
    extras->list[1] = (at_save_tensor){decoder_positions, shape, AT_F32, table};
    extras->list[2] =
        (at_save_tensor){logits_bias, at_shape2(1, (int64_t)vocabulary), AT_F32, table + positions * width};
    extras->count = 3;
    return AT_OK;
}

/* Two rows are enough: the second tells every order of columns apart. */
static at_status check_positions(const at_model *model, const at_safetensors *file, const at_stored *t)
{
    enum { ROWS = 2 };
    int64_t width = at_model_output(model)->shape.dim[1];
    size_t count = ROWS * (size_t)width;
    if (t->shape.rank != 2 || t->shape.dim[1] != width || t->shape.dim[0] < ROWS)
        return at_fail(AT_ESHAPE, "%s: tensor '%s': file has %s, config.json wants (positions,%lld)",
                       file->path, t->name, at_shape_text(t->shape).s, (long long)width);
    float *want = at_alloc_array(2 * count, sizeof *want);
    if (!want)
        return AT_ENOMEM;
    at_stored head = *t;
    head.bytes = t->bytes / (size_t)t->shape.dim[0] * ROWS;
    head.shape.dim[0] = ROWS;
    at_sinusoids(want, ROWS, (size_t)width);
    at_status st = at_stored_floats(file, &head, want + count);
    float tolerance = t->type == AT_F32 ? 1e-4f : 0x1p-7f; /* BF16 keeps eight bits */
    bool same = st == AT_OK;
    for (size_t i = 0; same && i < count; i++)
        same = fabsf(want[count + i] - want[i]) < tolerance;
    at_free(want);
    if (st == AT_OK && !same)
        st = at_fail(
            AT_ENOSUP,
            "%s: tensor '%s' is not the table of interleaved sines and cosines that this model computes",
            file->path, t->name);
    return st;
}

static at_status check_bias(const at_safetensors *file, const at_stored *t)
{
    for (size_t i = 0; i < t->bytes; i++) {
        if (t->data[i] != 0)
            return at_fail(AT_ENOSUP, "%s: tensor '%s' is not zero, and this model has no bias of its logits",
                           file->path, t->name);
    }
    return AT_OK;
}

at_status at_extras_check(const at_model *model, const at_safetensors *file, const at_stored *tensor,
                          bool *known)
{
    bool positions =
        strcmp(tensor->name, encoder_positions) == 0 || strcmp(tensor->name, decoder_positions) == 0;
    bool bias = strcmp(tensor->name, logits_bias) == 0;
    *known = strcmp(model->family->class, "MarianMTModel") == 0 && (positions || bias);
    if (!*known)
        return AT_OK;
    return bias ? check_bias(file, tensor) : check_positions(model, file, tensor);
}
