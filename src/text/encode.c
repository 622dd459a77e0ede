#include <string.h>
#include "text/internal.h"
#include "text/utf8.h"

/* What the chain needs as it goes:
 *
 *   text -added tokens-> valid stretches -normalize-> -added tokens-> -split…-> words -model-> ids
 */
typedef struct chain {
    const at_tokenizer *t;
    const at_encoding *encoding;
    at_ids *ids;
    int split;              /* the next one to apply */
    at_span_function *word; /* gets the words instead of the model, if not NULL */
    void *context;          /* of `word` */
} chain;

static at_status encode_word(chain *c, const char *word, size_t length)
{
    if (c->word)
        return c->word(c->context, word, length);
    if (c->t->kind == AT_KIND_BPE)
        return at_bpe_word(c->t, word, length, c->encoding, c->ids);
    int32_t id = at_pieces_find(&c->t->pieces, word, length);
    if (id < 0)
        id = c->t->model_unk;
    return id < 0 ? AT_OK : at_ids_push(c->ids, id);
}

static at_status apply_splits(void *context, const char *text, size_t length)
{
    chain next = *(chain *)context;
    if (next.split == next.t->splits)
        return encode_word(&next, text, length);
    const at_split *split = &next.t->split[next.split++];
    return at_split_run(split, text, length, apply_splits, &next);
}

static at_status split_whitespace(chain *c, const char *text, size_t length)
{
    at_status st = AT_OK;
    size_t begin = 0, step;
    for (size_t i = 0; i < length && st == AT_OK; i += step) {
        uint32_t point = 0;
        step = at_utf8_decode(text + i, length - i, &point);
        step += step == 0;
        if (!at_utf8_is_space(point))
            continue;
        if (i > begin)
            st = encode_word(c, text + begin, i - begin);
        begin = i + step;
    }
    if (st == AT_OK && length > begin)
        st = encode_word(c, text + begin, length - begin);
    return st;
}

static at_status encode_plain(chain *c, const char *text, size_t length)
{
    if (length == 0)
        return AT_OK;
    if (c->t->kind == AT_KIND_WORD)
        return split_whitespace(c, text, length);
    if (!c->t->prefix_space || text[0] == ' ')
        return apply_splits(c, text, length);
    at_buf spaced = {0};
    at_buf_char(&spaced, ' ');
    at_buf_bytes(&spaced, text, length);
    at_status st = at_buf_status(&spaced);
    if (st == AT_OK)
        st = apply_splits(c, spaced.data, spaced.length);
    at_buf_free(&spaced);
    return st;
}

/* The added token at `text`, or NULL; the longest of those that fit. */
static const at_added *added_at(const chain *c, bool normalized, const char *text, size_t length)
{
    if (!c->t->starts[normalized][(unsigned char)text[0]])
        return NULL;
    for (size_t i = 0; i < c->t->added_count; i++) {
        const at_added *added = &c->t->added[i];
        if (added->normalized != normalized || (added->special && !c->encoding->special))
            continue;
        if (added->text.length <= length && memcmp(added->text.data, text, added->text.length) == 0)
            return added;
    }
    return NULL;
}

typedef at_status stretch_function(chain *c, const char *text, size_t length);

static at_status between_added(chain *c, bool normalized, const char *text, size_t length,
                               stretch_function *rest)
{
    at_status st = AT_OK;
    size_t begin = 0;
    for (size_t i = 0; i < length && st == AT_OK;) {
        const at_added *added = added_at(c, normalized, text + i, length - i);
        if (!added) {
            i++;
            continue;
        }
        st = rest(c, text + begin, i - begin);
        if (st == AT_OK)
            st = at_ids_push(c->ids, added->id);
        begin = i += added->text.length;
    }
    return st == AT_OK ? rest(c, text + begin, length - begin) : st;
}

static at_status encode_normalized(chain *c, const char *text, size_t length)
{
    return between_added(c, true, text, length, encode_plain);
}

static at_status encode_valid(chain *c, const char *text, size_t length)
{
    if (c->t->normals == 0)
        return encode_normalized(c, text, length);
    at_buf now = {0}, next = {0};
    at_status st = at_normal_run(c->t->normal[0], text, length, &now);
    for (int i = 1; i < c->t->normals && st == AT_OK; i++) {
        at_buf_clear(&next);
        st = at_normal_run(c->t->normal[i], now.data, now.length, &next);
        at_buf swap = now;
        now = next;
        next = swap;
    }
    if (st == AT_OK && now.length > 0)
        st = encode_normalized(c, now.data, now.length);
    at_buf_free(&now);
    at_buf_free(&next);
    return st;
}

/* Bytes that are no UTF-8 are words of their own: nothing normalizes or splits them. */
static at_status encode_stretch(chain *c, const char *text, size_t length)
{
    at_status st = AT_OK;
    size_t valid;
    while (length > 0 && st == AT_OK) {
        uint32_t point;
        valid = at_utf8_valid(text, length);
        if (valid > 0)
            st = encode_valid(c, text, valid);
        size_t bad = 0;
        while (valid + bad < length && at_utf8_decode(text + valid + bad, length - valid - bad, &point) == 0)
            bad++;
        if (bad > 0 && st == AT_OK)
            st = encode_word(c, text + valid, bad);
        text += valid + bad;
        length -= valid + bad;
    }
    return st;
}

at_status at_tokenizer_encode(const at_tokenizer *tokenizer, const char *text, size_t length,
                              const at_encoding *encoding, at_ids *ids)
{
    static const at_encoding plain = {0};
    chain c = {.t = tokenizer, .encoding = encoding ? encoding : &plain, .ids = ids};
    if (length > INT32_MAX)
        return at_fail(AT_EARG, "text of %zu bytes; encode at most %d at once", length, INT32_MAX);
    AT_ASSERT(c.encoding->dropout <= 0 || c.encoding->rng);
    size_t before = ids->count;
    at_status st = AT_OK;
    if (c.encoding->close)
        st = at_ids_append(ids, tokenizer->before, (size_t)tokenizer->befores);
    if (st == AT_OK && length > 0)
        st = between_added(&c, false, text, length, encode_stretch);
    if (st == AT_OK && c.encoding->close)
        st = at_ids_append(ids, tokenizer->after, (size_t)tokenizer->afters);
    if (st != AT_OK)
        ids->count = before;
    return st;
}

at_status at_words_of_text(const at_tokenizer *tokenizer, const char *text, size_t length,
                           at_span_function *word, void *context)
{
    static const at_encoding plain = {0};
    chain c = {.t = tokenizer, .encoding = &plain, .word = word, .context = context};
    return encode_valid(&c, text, length);
}
