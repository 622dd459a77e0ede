#include "data/tokens.h"
#include <string.h>
#include "base/memory.h"
#include "text/utf8.h"

static const char magic[8] = "ATTOKENS";
enum { VERSION = 1 };

/* Behind the ids, since only then is it known. */
typedef struct trailer {
    char magic[8];
    uint32_t version, width;
    uint64_t count, documents, bytes, characters;
    int32_t eos;
    uint32_t mark;
} trailer;

typedef struct writing {
    const at_tokens_spec *spec;
    at_writer to;
    at_ids ids;
    trailer t;
    bool ended; /* a document has, and nothing came since */
} writing;

static void put_ids(writing *w, const int32_t *ids, size_t count)
{
    enum { AT_ONCE = 4096 };
    uint16_t two[AT_ONCE];
    for (size_t at = 0, n; at < count; at += n) {
        n = count - at < AT_ONCE ? count - at : AT_ONCE;
        for (size_t i = 0; i < n; i++)
            two[i] = (uint16_t)ids[at + i];
        const void *bytes = w->t.width == 2 ? (const void *)two : (const void *)(ids + at);
        w->t.mark = at_crc32(w->t.mark, bytes, n * w->t.width);
        at_writer_bytes(&w->to, bytes, n * w->t.width);
    }
    w->t.count += count;
}

static at_status put_chunk(void *context, const char *text, size_t length, bool end)
{
    writing *w = context;
    w->ids.count = 0;
    at_status st = AT_OK;
    if (length && w->ended && !w->spec->documents)
        st = at_ids_push(&w->ids, w->t.eos);
    if (length && st == AT_OK)
        st = at_tokenizer_encode(w->spec->tokenizer, text, length, NULL, &w->ids);
    if (end && st == AT_OK && w->spec->documents)
        st = at_ids_push(&w->ids, w->t.eos);
    if (st != AT_OK)
        return st;
    put_ids(w, w->ids.id, w->ids.count);
    w->t.bytes += length;
    for (size_t i = 0; i < length; i++)
        w->t.characters += ((unsigned char)text[i] & 0xC0) != 0x80;
    w->ended = end || (w->ended && !length);
    w->t.documents += end;
    return AT_OK;
}

at_status at_tokens_write(const at_tokens_spec *spec, const char *path)
{
    writing w = {.spec = spec};
    w.t.eos = at_tokenizer_eos(spec->tokenizer);
    if (w.t.eos < 0)
        return at_fail(AT_ENOSUP, "the tokenizer has no </s>, which ends every document");
    memcpy(w.t.magic, magic, sizeof magic);
    w.t.version = VERSION;
    w.t.width = at_tokenizer_size(spec->tokenizer) <= 1 << 16 ? 2 : 4;
    at_status st = at_writer_open(&w.to, path);
    if (st != AT_OK)
        return st;
    st = at_texts_each(&spec->texts, put_chunk, &w);
    at_ids_free(&w.ids);
    if (st == AT_OK && w.t.count < 2)
        st = at_fail(AT_EFORMAT, "%s: %llu pieces of text; a model learns from two at least",
                     spec->texts.split, (unsigned long long)w.t.count);
    if (st != AT_OK) {
        at_writer_abandon(&w.to);
        return st;
    }
    at_writer_bytes(&w.to, &w.t, sizeof w.t);
    return at_writer_commit(&w.to);
}

at_status at_tokens_open(const char *path, at_tokens *tokens)
{
    *tokens = (at_tokens){0};
    trailer t = {0};
    at_status st = at_map(path, &tokens->map);
    if (st != AT_OK)
        return st;
    size_t size = tokens->map.size;
    if (size >= sizeof t)
        memcpy(&t, tokens->map.data + size - sizeof t, sizeof t);
    bool ours =
        !memcmp(t.magic, magic, sizeof magic) && t.version == VERSION && (t.width == 2 || t.width == 4);
    if (!ours || t.count > size / t.width || t.count * t.width + sizeof t != size || t.count < 2) {
        at_tokens_close(tokens);
        return at_fail(AT_EFORMAT, "%s: no file of ids, or one cut off; remove it and begin again", path);
    }
    tokens->width = t.width;
    tokens->count = (size_t)t.count;
    tokens->documents = (size_t)t.documents;
    tokens->bytes = (size_t)t.bytes;
    tokens->characters = (size_t)t.characters;
    tokens->eos = t.eos;
    tokens->mark = t.mark;
    return AT_OK;
}

void at_tokens_close(at_tokens *tokens)
{
    at_unmap(&tokens->map);
    *tokens = (at_tokens){0};
}

void at_tokens_read(const at_tokens *tokens, size_t first, size_t count, int32_t *out)
{
    AT_ASSERT(first + count <= tokens->count);
    const unsigned char *from = tokens->map.data + first * tokens->width;
    if (tokens->width == 4) {
        memcpy(out, from, count * sizeof *out);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t id;
        memcpy(&id, from + 2 * i, sizeof id);
        out[i] = id;
    }
}
