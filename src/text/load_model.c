#include <string.h>
#include "base/memory.h"
#include "text/internal.h"

/* ---- added tokens ---- */

static at_status read_added_token(at_tokenizer *t, const json_t *object)
{
    static const char *const off[] = {"single_word", "lstrip", "rstrip", NULL};
    int64_t id = 0;
    const char *content;
    bool special = false, normalized = false;
    at_status st = at_json_int(object, "id", 0, AT_MAX_PIECES - 1, &id);
    if (st == AT_OK)
        st = at_json_text(object, "content", &content);
    if (st == AT_OK)
        st = at_load_off(object, off);
    if (st == AT_OK)
        st = at_json_bool_or(object, "special", &special);
    if (st == AT_OK)
        st = at_json_bool_or(object, "normalized", &normalized);
    if (st != AT_OK)
        return st;
    if (content[0] == '\0')
        return at_fail(AT_EFORMAT, "field 'content': empty");
    uint8_t flags = AT_PIECE_ADDED | (special ? AT_PIECE_SPECIAL : 0);
    if ((size_t)id < t->pieces.count && t->pieces.flags[id] & AT_PIECE_ADDED)
        return at_fail(AT_EFORMAT, "field 'id': %d is given twice", (int)id);
    st = at_pieces_set(&t->pieces, (int32_t)id, content, strlen(content), flags);
    if (st != AT_OK)
        return st;
    at_added *added = &t->added[t->added_count++];
    *added = (at_added){.id = (int32_t)id, .special = special, .normalized = normalized && t->normals > 0};
    if (!added->normalized) {
        at_buf_text(&added->text, content);
        return at_buf_status(&added->text);
    }
    at_buf now = {0};
    at_buf_text(&now, content);
    for (int i = 0; i < t->normals && st == AT_OK; i++) {
        at_buf next = {0};
        st = at_normal_run(t->normal[i], now.data, now.length, &next);
        at_buf_free(&now);
        now = next;
    }
    added->text = now;
    if (st == AT_OK && now.length == 0)
        return at_fail(AT_EFORMAT, "field 'content': nothing is left of it after the normalizer");
    return st;
}

/* Longest first, so that the first that fits is the one to take. */
static void sort_added(at_tokenizer *t)
{
    for (size_t i = 1; i < t->added_count; i++) {
        at_added moved = t->added[i];
        size_t j = i;
        for (; j > 0 && t->added[j - 1].text.length < moved.text.length; j--)
            t->added[j] = t->added[j - 1];
        t->added[j] = moved;
    }
}

static at_status read_added(at_tokenizer *t, const json_t *root)
{
    enum { MOST = 4096 };
    const json_t *list = json_object_get(root, "added_tokens");
    if (!list || json_is_null(list))
        return AT_OK;
    if (!json_is_array(list) || json_array_size(list) > MOST)
        return at_fail(AT_EFORMAT, "field 'added_tokens': want an array of at most %d", MOST);
    t->added = at_alloc_zero(json_array_size(list), sizeof *t->added);
    if (!t->added)
        return AT_ENOMEM;
    for (size_t i = 0; i < json_array_size(list); i++) {
        at_status st = read_added_token(t, json_array_get(list, i));
        if (st != AT_OK)
            return at_fail_within(st, "added_tokens[%zu]", i);
    }
    sort_added(t);
    return AT_OK;
}

/* ---- model ---- */

/* How many ids there are: the largest of vocabulary and added tokens, and one. */
static at_status count_ids(const json_t *root, const json_t *vocab, size_t *count)
{
    json_int_t most = -1;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)vocab, key, value)
    {
        json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0 || id >= AT_MAX_PIECES)
            return at_fail(AT_EFORMAT, "model.vocab: field '%.64s': want an id from 0 to %d", key,
                           AT_MAX_PIECES - 1);
        most = id > most ? id : most;
    }
    size_t i;
    json_array_foreach(json_object_get(root, "added_tokens"), i, value)
    {
        json_int_t id = json_integer_value(json_object_get(value, "id"));
        most = id > most && id < AT_MAX_PIECES ? id : most;
    }
    if (most < 0)
        return at_fail(AT_EFORMAT, "model.vocab: empty");
    *count = (size_t)most + 1;
    return AT_OK;
}

/* Added tokens are in already; in the vocabulary they must be the same. */
static at_status read_piece(at_tokenizer *t, const char *key, int32_t id, at_buf *scratch)
{
    size_t length = strlen(key);
    const at_piece *old = &t->pieces.piece[id];
    if (t->pieces.flags[id] & AT_PIECE_ADDED) {
        if (old->length == length && memcmp(t->pieces.bytes.data + old->start, key, length) == 0)
            return AT_OK;
        return at_fail(AT_EFORMAT, "model.vocab: '%.64s' has the id %d of an added token", key, id);
    }
    if (t->pieces.flags[id] & AT_PIECE_USED)
        return at_fail(AT_EFORMAT, "model.vocab: '%.64s' has an id that another piece has: %d", key, id);
    if (t->kind == AT_KIND_WORD)
        return at_pieces_set(&t->pieces, id, key, length, 0);
    at_buf_clear(scratch);
    if (!at_bytes_of_symbols(key, length, scratch))
        return at_fail(AT_EFORMAT, "model.vocab: '%.64s' has a character that stands for no byte", key);
    if (at_buf_status(scratch) != AT_OK)
        return at_buf_status(scratch);
    return at_pieces_set(&t->pieces, id, scratch->data, scratch->length, 0);
}

static at_status read_vocab(at_tokenizer *t, const json_t *root, const json_t *vocab)
{
    size_t count = 0;
    at_status st = count_ids(root, vocab, &count);
    if (st == AT_OK)
        st = at_pieces_open(&t->pieces, count);
    if (st == AT_OK)
        st = read_added(t, root);
    at_buf scratch = {0};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)vocab, key, value)
    {
        if (st == AT_OK)
            st = read_piece(t, key, (int32_t)json_integer_value(value), &scratch);
    }
    at_buf_free(&scratch);
    return st;
}

/* One merge is "a b" or ["a", "b"], in symbols; gives the bytes of both, one behind the other. */
static at_status merge_bytes(const json_t *merge, at_buf *bytes, size_t *left)
{
    const char *a = json_string_value(merge), *b = NULL;
    size_t a_length = 0;
    if (a) {
        const char *space = strchr(a, ' ');
        a_length = space ? (size_t)(space - a) : 0;
        b = space ? space + 1 : NULL;
    } else if (json_is_array(merge) && json_array_size(merge) == 2) {
        a = json_string_value(json_array_get(merge, 0));
        b = json_string_value(json_array_get(merge, 1));
        a_length = a ? strlen(a) : 0;
    }
    at_buf_clear(bytes);
    bool good = a && b && at_bytes_of_symbols(a, a_length, bytes);
    *left = bytes->length;
    good = good && at_bytes_of_symbols(b, strlen(b), bytes);
    if (at_buf_status(bytes) != AT_OK)
        return at_buf_status(bytes);
    if (!good || *left == 0 || *left == bytes->length)
        return at_fail(AT_EFORMAT, "want two pieces, \"a b\" or [\"a\", \"b\"]");
    return AT_OK;
}

static at_status read_merge(at_tokenizer *t, const json_t *merge, at_buf *bytes)
{
    size_t left;
    at_status st = merge_bytes(merge, bytes, &left);
    if (st != AT_OK)
        return st;
    int32_t a = at_pieces_find(&t->pieces, bytes->data, left);
    int32_t b = at_pieces_find(&t->pieces, bytes->data + left, bytes->length - left);
    int32_t both = at_pieces_find(&t->pieces, bytes->data, bytes->length);
    if (a < 0 || b < 0 || both < 0)
        return at_fail(AT_EFORMAT, "%s is not in the vocabulary",
                       a < 0   ? "its first piece"
                       : b < 0 ? "its second piece"
                               : "what it makes");
    at_merges_add(&t->merges, (uint32_t)a, (uint32_t)b, (uint32_t)both);
    return AT_OK;
}

static at_status read_merges(at_tokenizer *t, const json_t *model)
{
    enum { MOST = 1 << 21 };
    const json_t *list = json_object_get(model, "merges");
    if (!json_is_array(list) || json_array_size(list) > MOST)
        return at_fail(AT_EFORMAT, "field 'merges': want an array of at most %d", MOST);
    at_status st = at_merges_open(&t->merges, json_array_size(list));
    at_buf bytes = {0};
    for (size_t i = 0; i < json_array_size(list) && st == AT_OK; i++) {
        st = read_merge(t, json_array_get(list, i), &bytes);
        if (st != AT_OK)
            at_fail_within(st, "merges[%zu]", i);
    }
    at_buf_free(&bytes);
    return st;
}

static at_status read_bpe_options(at_tokenizer *t, const json_t *model)
{
    static const char *const off[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix",
                                      "byte_fallback", NULL};
    at_status st = at_load_off(model, off);
    if (st == AT_OK)
        st = at_json_bool_or(model, "fuse_unk", &t->fuse_unk);
    return st == AT_OK ? at_json_bool_or(model, "ignore_merges", &t->ignore_merges) : st;
}

/* Old files have no "type": those with merges are BPE. */
static at_status read_kind(at_tokenizer *t, const json_t *model)
{
    const char *type = json_object_get(model, "merges") ? "BPE" : "none";
    at_status st = at_json_text_or(model, "type", &type);
    if (st != AT_OK)
        return at_fail_within(st, "model");
    if (strcmp(type, "WordLevel") == 0)
        t->kind = AT_KIND_WORD;
    else if (strcmp(type, "BPE") != 0)
        return at_load_missing("model", type);
    return AT_OK;
}

at_status at_load_model(at_tokenizer *t, const json_t *root)
{
    json_t *model, *vocab;
    at_status st = at_json_object(root, "model", &model);
    if (st == AT_OK)
        st = read_kind(t, model);
    if (st != AT_OK)
        return st;
    st = at_json_object(model, "vocab", &vocab);
    if (st != AT_OK)
        return at_fail_within(st, "model");
    st = read_vocab(t, root, vocab);
    if (st != AT_OK)
        return st;
    if (t->kind == AT_KIND_BPE)
        st = read_bpe_options(t, model);
    if (st == AT_OK && t->kind == AT_KIND_BPE)
        st = read_merges(t, model);
    const char *unk = NULL;
    if (st == AT_OK)
        st = at_json_text_or(model, "unk_token", &unk);
    if (st == AT_OK && unk) {
        t->model_unk = at_pieces_find(&t->pieces, unk, strlen(unk));
        if (t->model_unk < 0)
            st = at_fail(AT_EFORMAT, "field 'unk_token': '%.64s' is not in the vocabulary", unk);
    }
    return st == AT_OK ? AT_OK : at_fail_within(st, "model");
}
