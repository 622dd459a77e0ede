#include "text/words.h"
#include <string.h>
#include "base/memory.h"
#include "text/utf8.h"

/* What a byte of the decoded text is part of. */
enum kind {
    SPACE,
    LETTER,   /* and whatever is none of the others */
    OPENING,  /* punctuation at the beginning of a whitespace word */
    CLOSING,  /* … at its end */
    UNSPACED, /* a character of a script without spaces */
    SPECIAL,  /* a special token */
    INSIDE,   /* not the first byte of its character */
};

/* Punctuation stands apart only at the edges of text[begin, end): "don't" and "well-known" are one word. */
static void mark_edges(const char *text, uint8_t *kind, size_t begin, size_t end)
{
    size_t first = end, last = begin;
    for (size_t i = begin; i < end; i++) {
        uint32_t c = 0;
        size_t length = at_utf8_decode(text + i, end - i, &c);
        if (kind[i] != LETTER || (length > 0 && at_utf8_is_punctuation(c)))
            continue;
        first = first == end ? i : first;
        last = i + (length ? length : 1);
    }
    for (size_t i = begin; i < end; i++)
        if (kind[i] == LETTER && (i < first || i >= last))
            kind[i] = first < end && i < first ? OPENING : CLOSING;
}

/* What makes a word. */
enum unit { WORD, SPACED, PIECE };

/* Kinds of text[begin, end), which lies between special tokens. */
static void mark_kinds(const char *text, uint8_t *kind, size_t begin, size_t end, enum unit unit)
{
    size_t edge = begin;
    for (size_t i = begin, step; i < end; i += step) {
        uint32_t c = 0;
        step = at_utf8_decode(text + i, end - i, &c);
        bool space = step && at_utf8_is_space(c), unspaced = step && unit != SPACED && at_utf8_is_unspaced(c);
        step += step == 0;
        kind[i] = space ? SPACE : unspaced ? UNSPACED : LETTER;
        memset(kind + i + 1, INSIDE, step - 1);
        if ((!space && !unspaced) || unit == SPACED)
            continue;
        mark_edges(text, kind, edge, i);
        edge = i + step;
    }
    if (unit != SPACED)
        mark_edges(text, kind, edge, end);
}

static size_t skip_space(const uint8_t *kind, size_t i, size_t end)
{
    while (i < end && (kind[i] == SPACE || (kind[i] == INSIDE && i > 0)))
        i++;
    return i;
}

/* Whether a word begins with the piece at `begin`, when its word so far starts at `word`. */
static bool begins_word(const uint8_t *kind, size_t word, size_t begin, size_t end)
{
    if (begin == word || begin == end)
        return false;
    if (kind[begin] == INSIDE)
        return false;
    if (skip_space(kind, word, begin) == begin) /* spaces alone belong to what follows them */
        return false;
    size_t back = begin - 1;
    while (back > word && kind[back] == INSIDE)
        back--;
    if (kind[begin] == SPACE || kind[back] == SPACE)
        return true;
    if (kind[begin] == UNSPACED || kind[begin] == SPECIAL || kind[back] == SPECIAL || kind[back] == UNSPACED)
        return true;
    return (kind[begin] == CLOSING) != (kind[back] == CLOSING) ||
           (kind[back] == OPENING && kind[begin] == LETTER);
}

/* Spans, the text as a whole, and the kind of each of its bytes. */
static at_status lay_out(const at_tokenizer *t, const int32_t *ids, enum unit unit, at_words *words,
                         at_buf *text, uint8_t **kinds)
{
    at_status st = AT_OK;
    size_t count = words->pieces;
    for (size_t i = 0; i < count && st == AT_OK; i++) {
        words->span[i].begin = text->length;
        st = at_tokenizer_decode(t, ids + i, 1, false, text);
        words->span[i].end = text->length;
    }
    if (st != AT_OK)
        return st;
    uint8_t *kind = *kinds = at_alloc_zero(text->length + 1, 1);
    if (!kind)
        return AT_ENOMEM;
    size_t plain = 0;
    for (size_t i = 0; i < count; i++) {
        size_t begin = words->span[i].begin, end = words->span[i].end;
        if (!at_tokenizer_is_special(t, ids[i]))
            continue;
        mark_kinds(text->data, kind, plain, begin, unit);
        memset(kind + begin, SPECIAL, end - begin);
        for (size_t b = begin; b + 1 < end && text->data[b] == ' '; b++) /* the decoder's, between words */
            kind[b] = SPACE;
        plain = end;
    }
    mark_kinds(text->data, kind, plain, text->length, unit);
    return AT_OK;
}

/* Valid UTF-8 of text[begin, end), whatever stands there; spaces as `space`. */
static void put_valid(const char *text, size_t begin, size_t end, uint32_t space, at_buf *out)
{
    for (size_t p = begin, step; p < end; p += step) {
        uint32_t c = 0;
        step = at_utf8_decode(text + p, end - p, &c);
        at_utf8_put(out, step && c ? (c == ' ' ? space : c) : 0xFFFD);
        step += step == 0;
    }
    at_buf_char(out, '\0');
}

/* Fills words->word and moves each word's text, trimmed and made valid, to `texts`, a NUL behind each. */
static void cut(const int32_t *ids, const at_tokenizer *t, at_words *words, const at_buf *text,
                const uint8_t *kind, at_buf *texts)
{
    size_t start = 0; /* of the word in hand, as a piece */
    for (size_t i = 0; i <= words->pieces; i++) {
        bool last = i == words->pieces;
        if (i == 0 && !last)
            continue;
        size_t begin = words->span[start].begin, end = last ? text->length : words->span[i].begin;
        bool fresh = last || begins_word(kind, begin, end, text->length) ||
                     at_tokenizer_is_special(t, ids[i]) || at_tokenizer_is_special(t, ids[i - 1]);
        if (!fresh)
            continue;
        size_t from = skip_space(kind, begin, end);
        if (from == end && words->count > 0 && !at_tokenizer_is_special(t, ids[start])) {
            for (size_t p = start; p < i; p++) /* nothing but spaces: part of the word before */
                words->word[p] = (int32_t)words->count - 1;
            start = i;
            continue;
        }
        for (size_t p = start; p < i; p++)
            words->word[p] = (int32_t)words->count;
        while (end > from && (kind[end - 1] == SPACE))
            end--;
        put_valid(text->data, from, end, ' ', texts);
        words->count++;
        start = i;
    }
}

static at_status find(const at_tokenizer *tokenizer, const int32_t *ids, size_t count, enum unit unit,
                      at_words *words)
{
    *words = (at_words){.pieces = count};
    if (count == 0)
        return AT_OK;
    at_buf text = {0}, texts = {0};
    uint8_t *kind = NULL;
    words->word = at_alloc_zero(count, sizeof *words->word);
    words->span = at_alloc_zero(count, sizeof *words->span);
    words->text = at_alloc_zero(count, sizeof *words->text);
    at_status st = words->word && words->span && words->text ? AT_OK : AT_ENOMEM;
    if (st == AT_OK)
        st = lay_out(tokenizer, ids, unit, words, &text, &kind);
    if (st == AT_OK && unit != PIECE)
        cut(ids, tokenizer, words, &text, kind, &texts);
    for (size_t i = 0; i < count && st == AT_OK && unit == PIECE; i++) {
        words->word[i] = (int32_t)words->count++;
        put_valid(text.data, words->span[i].begin, words->span[i].end, 0x2581, &texts);
    }
    if (st == AT_OK)
        st = at_buf_status(&texts);
    if (st == AT_OK) {
        words->memory = at_buf_take(&texts);
        const char *word = words->memory;
        for (size_t i = 0; i < words->count; i++, word += strlen(word) + 1)
            words->text[i] = word;
    }
    at_buf_free(&text);
    at_buf_free(&texts);
    at_free(kind);
    if (st != AT_OK)
        at_words_free(words);
    return st;
}

at_status at_words_find(const at_tokenizer *tokenizer, const int32_t *ids, size_t count, at_words *words)
{
    return find(tokenizer, ids, count, WORD, words);
}

at_status at_words_spaced(const at_tokenizer *tokenizer, const int32_t *ids, size_t count, at_words *words)
{
    return find(tokenizer, ids, count, SPACED, words);
}

at_status at_words_pieces(const at_tokenizer *tokenizer, const int32_t *ids, size_t count, at_words *words)
{
    return find(tokenizer, ids, count, PIECE, words);
}

void at_words_free(at_words *words)
{
    at_free(words->word);
    at_free(words->span);
    at_free(words->text);
    at_free(words->memory);
    *words = (at_words){0};
}
