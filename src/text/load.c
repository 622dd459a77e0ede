#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "text/internal.h"

at_status at_load_missing(const char *what, const char *type)
{
    return at_fail(AT_ENOSUP, "%s '%.64s' is not one that attend has", what, type);
}

/* The object under `key`, NULL if absent or null, and its "type". */
static at_status component(const json_t *object, const char *key, const json_t **part, const char **type)
{
    const json_t *found = json_object_get(object, key);
    *part = NULL;
    if (!found || json_is_null(found))
        return AT_OK;
    at_status st = at_json_text(found, "type", type);
    if (st != AT_OK)
        return at_fail_within(st, "%s", key);
    *part = found;
    return AT_OK;
}

/* A Sequence's members under `key`, or the one component itself; `i` counts from 0. */
static const json_t *member(const json_t *part, const char *type, const char *key, size_t i)
{
    if (strcmp(type, "Sequence") != 0)
        return i == 0 ? part : NULL;
    return json_array_get(json_object_get(part, key), i);
}

at_status at_load_off(const json_t *object, const char *const *keys)
{
    for (; *keys; keys++) {
        const json_t *value = json_object_get(object, *keys);
        bool off = !value || json_is_null(value) || json_is_false(value) ||
                   (json_is_string(value) && json_string_length(value) == 0) ||
                   (json_is_number(value) && json_number_value(value) == 0);
        if (!off)
            return at_fail(AT_ENOSUP, "field '%s': only null or off is supported", *keys);
    }
    return AT_OK;
}

/* ---- normalizer ---- */

static at_status read_normalizer(at_tokenizer *t, const json_t *root)
{
    const json_t *part, *step;
    const char *type, *name;
    at_status st = component(root, "normalizer", &part, &type);
    if (st != AT_OK || !part)
        return st;
    for (size_t i = 0; (step = member(part, type, "normalizers", i)); i++) {
        st = at_json_text(step, "type", &name);
        if (st != AT_OK)
            return at_fail_within(st, "normalizer");
        int which = 0;
        while (at_normal_names[which] && strcmp(at_normal_names[which], name) != 0)
            which++;
        if (!at_normal_names[which])
            return at_load_missing("normalizer", name);
        if (t->normals == AT_MAX_NORMALS)
            return at_fail(AT_ENOSUP, "normalizer: more than %d steps", AT_MAX_NORMALS);
        t->normal[t->normals++] = (at_normal)which;
    }
    return AT_OK;
}

/* ---- pre-tokenizer ---- */

static at_status add_split(at_tokenizer *t, const char *pattern)
{
    if (t->splits == AT_MAX_SPLITS)
        return at_fail(AT_ENOSUP, "pre_tokenizer: more than %d splits", AT_MAX_SPLITS);
    at_status st = at_split_open(&t->split[t->splits], pattern);
    if (st != AT_OK)
        return at_fail_within(st, "pre_tokenizer");
    t->splits++;
    return AT_OK;
}

static at_status read_split(at_tokenizer *t, const json_t *part)
{
    static const char *const off[] = {"invert", NULL};
    json_t *pattern;
    const char *regex, *behavior;
    at_status st = at_json_object(part, "pattern", &pattern);
    if (st == AT_OK)
        st = at_json_text(pattern, "Regex", &regex);
    if (st == AT_OK)
        st = at_json_text(part, "behavior", &behavior);
    if (st == AT_OK)
        st = at_load_off(part, off);
    if (st != AT_OK)
        return at_fail_within(st, "pre_tokenizer Split");
    if (strcmp(behavior, "Isolated") != 0)
        return at_load_missing("pre_tokenizer Split with behavior", behavior);
    return add_split(t, regex);
}

static at_status read_byte_level(at_tokenizer *t, const json_t *part)
{
    bool regex = true, space = true;
    at_status st = at_json_bool_or(part, "use_regex", &regex);
    if (st == AT_OK)
        st = at_json_bool_or(part, "add_prefix_space", &space);
    if (st != AT_OK)
        return at_fail_within(st, "pre_tokenizer ByteLevel");
    if (t->splits > 0 && (space || regex))
        return at_fail(AT_ENOSUP,
                       "pre_tokenizer: ByteLevel behind a Split needs use_regex and add_prefix_space false");
    t->prefix_space = space;
    t->use_regex = regex;
    return regex ? add_split(t, at_split_gpt2) : AT_OK;
}

static at_status read_pre_tokenizer(at_tokenizer *t, const json_t *root)
{
    const json_t *part, *step;
    const char *type, *name;
    at_status st = component(root, "pre_tokenizer", &part, &type);
    if (st != AT_OK)
        return st;
    bool bytes = false, spaces = false;
    for (size_t i = 0; part && (step = member(part, type, "pretokenizers", i)); i++) {
        st = at_json_text(step, "type", &name);
        if (st != AT_OK)
            return at_fail_within(st, "pre_tokenizer");
        if (bytes || spaces)
            return at_fail(AT_ENOSUP, "pre_tokenizer: nothing may follow ByteLevel or WhitespaceSplit");
        bytes = strcmp(name, "ByteLevel") == 0;
        spaces = strcmp(name, "WhitespaceSplit") == 0;
        if (bytes)
            st = read_byte_level(t, step);
        else if (!spaces)
            st = strcmp(name, "Split") == 0 ? read_split(t, step) : at_load_missing("pre_tokenizer", name);
        if (st != AT_OK)
            return st;
    }
    if (t->kind == AT_KIND_BPE && !bytes)
        return at_fail(AT_ENOSUP, "pre_tokenizer: BPE is supported with ByteLevel only");
    if (t->kind == AT_KIND_WORD && (!spaces || t->splits > 0))
        return at_fail(AT_ENOSUP, "pre_tokenizer: WordLevel is supported with WhitespaceSplit alone only");
    return AT_OK;
}

/* ---- post-processor and decoder ---- */

static at_status template_token(at_tokenizer *t, const json_t *post, const json_t *token, bool behind)
{
    const char *name;
    at_status st = at_json_text(token, "id", &name);
    if (st != AT_OK)
        return st;
    const json_t *known = json_object_get(json_object_get(post, "special_tokens"), name);
    const json_t *ids = json_object_get(known, "ids");
    if (!json_is_array(ids))
        return at_fail(AT_EFORMAT, "special_tokens has no ids for '%.64s'", name);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        json_int_t id = json_integer_value(json_array_get(ids, i));
        int *count = behind ? &t->afters : &t->befores;
        if (!json_is_integer(json_array_get(ids, i)) || id < 0 || id >= (json_int_t)t->pieces.count)
            return at_fail(AT_EFORMAT, "special_tokens '%.64s' has an id outside the vocabulary", name);
        if (*count == AT_MAX_TEMPLATE)
            return at_fail(AT_ENOSUP, "more than %d tokens on one side of the text", AT_MAX_TEMPLATE);
        (behind ? t->after : t->before)[(*count)++] = (int32_t)id;
    }
    return AT_OK;
}

static at_status read_template(at_tokenizer *t, const json_t *post)
{
    const json_t *single = json_object_get(post, "single"), *item;
    bool behind = false;
    size_t i;
    if (!json_is_array(single))
        return at_fail(AT_EFORMAT, "field 'single': want an array");
    json_array_foreach(single, i, item)
    {
        const json_t *token = json_object_get(item, "SpecialToken");
        if (!token && (!json_object_get(item, "Sequence") || behind))
            return at_fail(AT_EFORMAT, "field 'single': want special tokens around one Sequence");
        behind = behind || !token;
        at_status st = token ? template_token(t, post, token, behind) : AT_OK;
        if (st != AT_OK)
            return at_fail_within(st, "field 'single'");
    }
    return behind ? AT_OK : at_fail(AT_EFORMAT, "field 'single': the Sequence is missing");
}

static at_status read_post_processor(at_tokenizer *t, const json_t *root)
{
    const json_t *part, *step;
    const char *type, *name;
    at_status st = component(root, "post_processor", &part, &type);
    for (size_t i = 0; st == AT_OK && part && (step = member(part, type, "processors", i)); i++) {
        st = at_json_text(step, "type", &name);
        if (st == AT_OK && strcmp(name, "TemplateProcessing") == 0 && t->befores + t->afters == 0)
            st = read_template(t, step);
        else if (st == AT_OK && strcmp(name, "ByteLevel") != 0) /* ByteLevel only moves offsets */
            st = at_load_missing("processor", name);
        if (st != AT_OK)
            return at_fail_within(st, "post_processor");
    }
    return st;
}

static at_status read_decoder(const at_tokenizer *t, const json_t *root)
{
    const json_t *part;
    const char *type;
    at_status st = component(root, "decoder", &part, &type);
    if (st != AT_OK || !part)
        return st;
    if (t->kind == AT_KIND_WORD || strcmp(type, "ByteLevel") != 0)
        return at_load_missing("decoder", type);
    return AT_OK;
}

static at_status read_all(at_tokenizer *t, const json_t *root)
{
    if (!json_is_object(root))
        return at_fail(AT_EFORMAT, "want an object, as Hugging Face tokenizers writes it");
    at_status st = read_normalizer(t, root);
    if (st == AT_OK)
        st = at_load_model(t, root);
    if (st == AT_OK)
        st = read_pre_tokenizer(t, root);
    if (st == AT_OK)
        st = read_post_processor(t, root);
    if (st == AT_OK)
        st = read_decoder(t, root);
    if (st == AT_OK)
        at_tokenizer_index(t);
    return st;
}

at_status at_tokenizer_parse(const char *json, size_t length, const char *name, at_tokenizer **tokenizer)
{
    *tokenizer = NULL;
    json_t *root;
    at_status st = at_json_parse(json, length, name, &root);
    if (st != AT_OK)
        return st;
    at_tokenizer *t = at_alloc_zero(1, sizeof *t);
    if (t) {
        t->model_unk = -1;
        st = read_all(t, root);
    } else {
        st = AT_ENOMEM;
    }
    json_decref(root);
    if (st != AT_OK) {
        at_tokenizer_free(t);
        return at_fail_within(st, "%s", name);
    }
    *tokenizer = t;
    return AT_OK;
}

at_status at_tokenizer_load(const char *path, at_tokenizer **tokenizer)
{
    char *json;
    size_t length;
    *tokenizer = NULL;
    at_status st = at_file_read(path, AT_MAX_TOKENIZER_FILE, &json, &length);
    if (st != AT_OK)
        return st;
    st = at_tokenizer_parse(json, length, path, tokenizer);
    at_free(json);
    return st;
}
