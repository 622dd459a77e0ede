#include "base/file.h"
#include "base/json.h"
#include "text/internal.h"

/* jansson gives NULL for a member that found no memory, and refuses to put it in: `ok` remembers. */
static void put(json_t *object, const char *key, json_t *value, bool *ok)
{
    if (json_object_set_new(object, key, value) != 0)
        *ok = false;
}

static void append(json_t *array, json_t *value, bool *ok)
{
    if (json_array_append_new(array, value) != 0)
        *ok = false;
}

static json_t *piece_text(const at_tokenizer *t, int32_t id, bool *ok)
{
    size_t length;
    const char *bytes = at_tokenizer_piece(t, id, &length);
    if (t->kind == AT_KIND_WORD || t->pieces.flags[id] & AT_PIECE_ADDED)
        return json_stringn(bytes, length);
    at_buf symbols = {0};
    at_symbols_of_bytes(bytes, length, &symbols);
    *ok &= at_buf_status(&symbols) == AT_OK;
    json_t *text = json_stringn(symbols.data ? symbols.data : "", symbols.length);
    at_buf_free(&symbols);
    return text;
}

static json_t *added_tokens(const at_tokenizer *t, bool *ok)
{
    json_t *list = json_array();
    for (size_t id = 0; id < t->pieces.count; id++) {
        if (!(t->pieces.flags[id] & AT_PIECE_ADDED))
            continue;
        bool normalized = false;
        for (size_t i = 0; i < t->added_count; i++)
            normalized |= t->added[i].id == (int32_t)id && t->added[i].normalized;
        bool special = t->pieces.flags[id] & AT_PIECE_SPECIAL;
        json_t *content = piece_text(t, (int32_t)id, ok);
        append(list,
               json_pack("{s:i,s:o,s:b,s:b,s:b,s:b,s:b}", "id", (int)id, "content", content, "single_word", 0,
                         "lstrip", 0, "rstrip", 0, "normalized", normalized, "special", special),
               ok);
    }
    return list;
}

static json_t *normalizer(const at_tokenizer *t, bool *ok)
{
    if (t->normals == 0)
        return json_null();
    json_t *list = json_array();
    for (int i = 0; i < t->normals; i++)
        append(list, json_pack("{s:s}", "type", at_normal_names[t->normal[i]]), ok);
    return json_pack("{s:s,s:o}", "type", "Sequence", "normalizers", list);
}

static json_t *pre_tokenizer(const at_tokenizer *t, bool *ok)
{
    if (t->kind == AT_KIND_WORD)
        return json_pack("{s:s}", "type", "WhitespaceSplit");
    json_t *list = json_array();
    for (int i = 0; i < t->splits && !t->use_regex; i++)
        append(list,
               json_pack("{s:s,s:{s:s},s:s,s:b}", "type", "Split", "pattern", "Regex", t->split[i].pattern,
                         "behavior", "Isolated", "invert", 0),
               ok);
    append(list,
           json_pack("{s:s,s:b,s:b,s:b}", "type", "ByteLevel", "add_prefix_space", t->prefix_space,
                     "trim_offsets", 1, "use_regex", t->use_regex),
           ok);
    return json_pack("{s:s,s:o}", "type", "Sequence", "pretokenizers", list);
}

static json_t *sequence(const char *id, int type)
{
    return json_pack("{s:{s:s,s:i}}", "Sequence", "id", id, "type_id", type);
}

static void put_template(const at_tokenizer *t, json_t *list, json_t *known, const char *id, int type,
                         bool *ok)
{
    for (int i = 0; i < t->befores + t->afters; i++) {
        if (i == t->befores)
            append(list, sequence(id, type), ok);
        int32_t token = i < t->befores ? t->before[i] : t->after[i - t->befores];
        json_t *name = piece_text(t, token, ok);
        const char *text = name ? json_string_value(name) : "";
        append(list, json_pack("{s:{s:O?,s:i}}", "SpecialToken", "id", name, "type_id", type), ok);
        put(known, text, json_pack("{s:s,s:[i],s:[s]}", "id", text, "ids", token, "tokens", text), ok);
        json_decref(name);
    }
    if (t->afters == 0)
        append(list, sequence(id, type), ok);
}

static json_t *post_processor(const at_tokenizer *t, bool *ok)
{
    if (t->befores + t->afters == 0)
        return json_null();
    json_t *single = json_array(), *pair = json_array(), *known = json_object();
    put_template(t, single, known, "A", 0, ok);
    put_template(t, pair, known, "A", 0, ok);
    put_template(t, pair, known, "B", 1, ok);
    return json_pack("{s:s,s:o,s:o,s:o}", "type", "TemplateProcessing", "single", single, "pair", pair,
                     "special_tokens", known);
}

static json_t *vocabulary(const at_tokenizer *t, bool *ok)
{
    json_t *vocab = json_object();
    for (size_t id = 0; id < t->pieces.count; id++) {
        if (!(t->pieces.flags[id] & AT_PIECE_USED))
            continue;
        json_t *text = piece_text(t, (int32_t)id, ok);
        put(vocab, text ? json_string_value(text) : "", json_integer((json_int_t)id), ok);
        json_decref(text);
    }
    return vocab;
}

/* "a b" and not ["a", "b"]: half the memory to read, and every version of Hugging Face reads it. */
static json_t *merge_list(const at_tokenizer *t, bool *ok)
{
    json_t *list = json_array();
    at_buf text = {0};
    for (size_t i = 0; i < t->merges.count; i++) {
        uint64_t pair = t->merges.order[i];
        size_t length;
        at_buf_clear(&text);
        const char *bytes = at_tokenizer_piece(t, (int32_t)(pair >> 32), &length);
        at_symbols_of_bytes(bytes, length, &text);
        at_buf_char(&text, ' ');
        bytes = at_tokenizer_piece(t, (int32_t)(pair & UINT32_MAX), &length);
        at_symbols_of_bytes(bytes, length, &text);
        *ok &= at_buf_status(&text) == AT_OK;
        append(list, json_stringn(text.data, text.length), ok);
    }
    at_buf_free(&text);
    return list;
}

static json_t *model(const at_tokenizer *t, bool *ok)
{
    json_t *unk = t->model_unk < 0 ? json_null() : piece_text(t, t->model_unk, ok);
    if (t->kind == AT_KIND_WORD)
        return json_pack("{s:s,s:o,s:o}", "type", "WordLevel", "vocab", vocabulary(t, ok), "unk_token", unk);
    return json_pack("{s:s,s:n,s:o,s:n,s:n,s:b,s:b,s:b,s:o,s:o}", "type", "BPE", "dropout", "unk_token", unk,
                     "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", t->fuse_unk,
                     "byte_fallback", 0, "ignore_merges", t->ignore_merges, "vocab", vocabulary(t, ok),
                     "merges", merge_list(t, ok));
}

static int write_part(const char *part, size_t size, void *text)
{
    at_buf_bytes(text, part, size);
    return 0;
}

/* A line a section, without other white space: the file is read at every start of the program. */
static at_status write_sections(const json_t *root, const char *path)
{
    at_buf text = {0};
    const char *key;
    json_t *section;
    bool ok = true;
    json_object_foreach((json_t *)(uintptr_t)root, key, section)
    {
        at_buf_printf(&text, "%s\"%s\":", text.length ? ",\n" : "{\n", key);
        ok &= json_dump_callback(section, write_part, &text, JSON_COMPACT | JSON_ENCODE_ANY) == 0;
    }
    at_buf_text(&text, "\n}\n");
    ok &= at_buf_status(&text) == AT_OK;
    at_status st = ok ? at_file_write(path, text.data, text.length) : AT_ENOMEM;
    at_buf_free(&text);
    return ok ? st : at_fail(AT_ENOMEM, "%s: out of memory while writing", path);
}

at_status at_tokenizer_save(const at_tokenizer *t, const char *path)
{
    bool ok = true;
    json_t *root = json_object();
    put(root, "version", json_string("1.0"), &ok);
    put(root, "truncation", json_null(), &ok);
    put(root, "padding", json_null(), &ok);
    put(root, "added_tokens", added_tokens(t, &ok), &ok);
    put(root, "normalizer", normalizer(t, &ok), &ok);
    put(root, "pre_tokenizer", pre_tokenizer(t, &ok), &ok);
    put(root, "post_processor", post_processor(t, &ok), &ok);
    put(root, "decoder",
        t->kind == AT_KIND_WORD ? json_null()
                                : json_pack("{s:s,s:b,s:b,s:b}", "type", "ByteLevel", "add_prefix_space",
                                            t->prefix_space, "trim_offsets", 1, "use_regex", t->use_regex),
        &ok);
    put(root, "model", model(t, &ok), &ok);
    at_status st =
        ok ? write_sections(root, path) : at_fail(AT_ENOMEM, "%s: out of memory while writing", path);
    json_decref(root);
    return st;
}
