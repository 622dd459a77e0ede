/* Words back to the line that they came from: its characters and theirs are matched in order, without
 * case. */
#include <string.h>
#include "base/memory.h"
#include "text/utf8.h"
#include "text/words.h"

/* Cells of the table of matches: a line of 8,000 characters against itself rewritten. Longer middles are left
 * unmatched. */
enum { MOST_CELLS = 1 << 26 };

typedef struct sign { /* one character that is no space */
    uint32_t code;    /* in lower case */
    int32_t owner;    /* word of the model's text; of the line: -1 */
    size_t begin, end;
} sign;

typedef struct signs {
    sign *list;
    size_t count, capacity;
} signs;

/* Of one character; where lower case is several characters, the first of them. */
static uint32_t lower(uint32_t code)
{
    char bytes[8];
    at_buf from = {0}, to = {0};
    uint32_t result = code;
    if (code < 0x80)
        return code >= 'A' && code <= 'Z' ? code + 32 : code;
    at_utf8_put(&from, code);
    if (from.data && from.length < sizeof bytes) {
        at_utf8_lower(from.data, from.length, &to);
        if (to.data)
            at_utf8_decode(to.data, to.length, &result);
    }
    at_buf_free(&from);
    at_buf_free(&to);
    return result;
}

static at_status add_signs(const char *text, int32_t owner, signs *s)
{
    size_t length = strlen(text);
    for (size_t i = 0, step; i < length; i += step) {
        uint32_t code = 0;
        step = at_utf8_decode(text + i, length - i, &code);
        if (step == 0) {
            step = 1;
            code = 0xfffd;
        }
        if (at_utf8_is_space(code))
            continue;
        at_status st = at_grow(&s->list, &s->capacity, s->count + 1, sizeof *s->list);
        if (st != AT_OK)
            return st;
        s->list[s->count++] = (sign){lower(code), owner, i, i + step};
    }
    return AT_OK;
}

static void note(const sign *of_word, const sign *of_line, at_word_span *spans)
{
    at_word_span *span = &spans[of_word->owner];
    if (span->begin == span->end)
        *span = (at_word_span){of_line->begin, of_line->end};
    else
        span->end = of_line->end; /* matches come in order */
}

/* The longest common subsequence of a and b, its pairs noted in order. Wagner & Fischer 1974. */
static at_status match_middle(const sign *a, size_t n, const sign *b, size_t m, at_word_span *spans)
{
    if (n == 0 || m == 0 || n + 1 > MOST_CELLS / (m + 1))
        return AT_OK;
    size_t width = m + 1;
    uint16_t *longest = at_alloc_zero((n + 1) * width, sizeof *longest); /* of a[i…], b[j…] */
    if (!longest)
        return AT_ENOMEM;
    for (size_t i = n; i-- > 0;) {
        for (size_t j = m; j-- > 0;) {
            uint16_t down = longest[(i + 1) * width + j], right = longest[i * width + j + 1];
            longest[i * width + j] = a[i].code == b[j].code ? (uint16_t)(longest[(i + 1) * width + j + 1] + 1)
                                     : down > right         ? down
                                                            : right;
        }
    }
    for (size_t i = 0, j = 0; i < n && j < m;) {
        if (a[i].code == b[j].code)
            note(&a[i++], &b[j++], spans);
        else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1])
            i++;
        else
            j++;
    }
    at_free(longest);
    return AT_OK;
}

static at_status match(const signs *a, const signs *b, at_word_span *spans)
{
    size_t least = a->count < b->count ? a->count : b->count, head = 0, tail = 0;
    while (head < least && a->list[head].code == b->list[head].code)
        head++;
    while (tail < least - head && a->list[a->count - 1 - tail].code == b->list[b->count - 1 - tail].code)
        tail++;
    for (size_t i = 0; i < head; i++)
        note(&a->list[i], &b->list[i], spans);
    at_status st =
        match_middle(a->list + head, a->count - head - tail, b->list + head, b->count - head - tail, spans);
    for (size_t i = tail; i > 0 && st == AT_OK; i--)
        note(&a->list[a->count - i], &b->list[b->count - i], spans);
    return st;
}

static size_t skip(const char *text, size_t i, size_t end, bool spaces)
{
    while (i < end) {
        uint32_t code = 0;
        size_t step = at_utf8_decode(text + i, end - i, &code);
        if ((step && at_utf8_is_space(code)) != spaces)
            break;
        i += step ? step : 1;
    }
    return i;
}

/* Words [first, end) matched nothing: unknown ones, and signs written otherwise. They share what lies between
 * their neighbours, a whitespace word each, the last the rest. */
static void share_gap(const char *raw, size_t from, size_t to, const bool *open, size_t first, size_t end,
                      at_word_span *spans)
{
    size_t last = end;
    while (last > first && !open[last - 1])
        last--;
    for (size_t w = first; w < last; w++) {
        if (!open[w])
            continue;
        from = skip(raw, from, to, true);
        size_t stop = skip(raw, from, to, false);
        if (w + 1 == last) {
            stop = to;
            while (stop > from && skip(raw, stop - 1, stop, true) == stop)
                stop--;
        }
        spans[w] = (at_word_span){from, stop};
        from = stop;
    }
}

/* open[w]: the word stands for something in the line: any but special tokens, and <unk>. */
static at_status mark_open(const at_tokenizer *t, const int32_t *ids, const at_words *words, bool *open,
                           signs *of_words)
{
    at_status st = AT_OK;
    for (size_t i = 0; i < words->pieces && st == AT_OK; i++) {
        size_t w = (size_t)words->word[i];
        if (i > 0 && words->word[i - 1] == words->word[i])
            continue;
        bool special = at_tokenizer_is_special(t, ids[i]), unknown = ids[i] == at_tokenizer_unk(t);
        open[w] = unknown || !special;
        if (!unknown && !special)
            st = add_signs(words->text[w], (int32_t)w, of_words);
    }
    return st;
}

at_status at_words_origin(const at_tokenizer *tokenizer, const int32_t *ids, const at_words *words,
                          const char *raw, at_word_span *spans)
{
    signs of_words = {0}, of_line = {0};
    bool *open = at_alloc_zero(words->count + 1, sizeof *open);
    memset(spans, 0, words->count * sizeof *spans);
    at_status st = open ? mark_open(tokenizer, ids, words, open, &of_words) : AT_ENOMEM;
    if (st == AT_OK)
        st = add_signs(raw, -1, &of_line);
    if (st == AT_OK)
        st = match(&of_words, &of_line, spans);
    size_t from = 0;
    for (size_t w = 0, end; w < words->count && st == AT_OK; w = end) {
        for (end = w; end < words->count && spans[end].begin == spans[end].end;)
            end++;
        size_t to = end < words->count ? spans[end].begin : strlen(raw);
        if (end > w)
            share_gap(raw, from, to, open, w, end, spans);
        if (end < words->count)
            from = spans[end++].end;
    }
    at_free(open);
    at_free(of_words.list);
    at_free(of_line.list);
    return st;
}

/* --- Words of the line itself -------------------------------------------------------------------- */

/* Whitespace words of the line; then texts of the special tokens before and behind. */
typedef struct outline {
    size_t before, inside, behind; /* words */
    size_t *begin;                 /* [inside] */
    size_t capacity;
    at_buf texts;
} outline;

static at_status find_inside(const char *raw, outline *o)
{
    size_t length = strlen(raw);
    for (size_t i = skip(raw, 0, length, true), end; i < length; i = skip(raw, end, length, true)) {
        at_status st = at_grow(&o->begin, &o->capacity, o->inside + 1, sizeof *o->begin);
        if (st != AT_OK)
            return st;
        end = skip(raw, i, length, false);
        o->begin[o->inside++] = i;
        at_buf_bytes(&o->texts, raw + i, end - i);
        at_buf_char(&o->texts, '\0');
    }
    return AT_OK;
}

/* The line's word for each word of `fine`, special tokens around it before and behind. */
static void renumber(const outline *o, const at_words *fine, const at_word_span *spans, at_words *words)
{
    for (size_t i = 0; i < words->pieces; i++) {
        size_t w = (size_t)fine->word[i], word = o->before;
        if (w < o->before) {
            word = w;
        } else if (w >= fine->count - o->behind) {
            word = o->before + o->inside + (w - (fine->count - o->behind));
        } else {
            while (word + 1 < o->before + o->inside && o->begin[word + 1 - o->before] <= spans[w].begin)
                word++;
            /* What could not be placed goes with what came before it. */
            if (i > 0 && (size_t)words->word[i - 1] > word)
                word = (size_t)words->word[i - 1];
        }
        words->word[i] = (int32_t)word;
    }
}

static bool outside(const at_tokenizer *t, int32_t id)
{
    return at_tokenizer_is_special(t, id) && id != at_tokenizer_unk(t);
}

/* Special tokens at both ends are words of their own. */
static void count_outside(const at_tokenizer *t, const int32_t *ids, size_t count, outline *o)
{
    while (o->before < count && outside(t, ids[o->before]))
        o->before++;
    while (o->behind < count - o->before && outside(t, ids[count - 1 - o->behind]))
        o->behind++;
}

static at_status name_all(const at_words *fine, outline *o, const char *raw, at_words *words)
{
    for (size_t w = 0; w < o->before; w++)
        at_buf_bytes(&o->texts, fine->text[w], strlen(fine->text[w]) + 1);
    at_status st = find_inside(raw, o);
    for (size_t w = fine->count - o->behind; w < fine->count && st == AT_OK; w++)
        at_buf_bytes(&o->texts, fine->text[w], strlen(fine->text[w]) + 1);
    if (st == AT_OK)
        st = at_buf_status(&o->texts);
    words->count = o->before + o->inside + o->behind;
    words->text = at_alloc_zero(words->count + 1, sizeof *words->text);
    if (st != AT_OK || !words->text)
        return st == AT_OK ? AT_ENOMEM : st;
    words->memory = at_buf_take(&o->texts);
    const char *text = words->memory;
    for (size_t w = 0; w < words->count; w++, text += strlen(text) + 1)
        words->text[w] = text;
    return AT_OK;
}

at_status at_words_raw(const at_tokenizer *tokenizer, const int32_t *ids, size_t count, const char *raw,
                       at_words *words)
{
    *words = (at_words){.pieces = count};
    outline o = {0};
    at_words fine = {0};
    at_word_span *spans = NULL;
    count_outside(tokenizer, ids, count, &o);
    at_status st = at_words_find(tokenizer, ids, count, &fine);
    if (st == AT_OK) {
        spans = at_alloc_zero(fine.count + 1, sizeof *spans);
        words->word = at_alloc_zero(count + 1, sizeof *words->word);
        words->span = at_alloc_zero(count + 1, sizeof *words->span);
        st = spans && words->word && words->span ? AT_OK : AT_ENOMEM;
    }
    if (st == AT_OK)
        st = at_words_origin(tokenizer, ids, &fine, raw, spans);
    if (st == AT_OK)
        st = name_all(&fine, &o, raw, words);
    if (st == AT_OK) {
        memcpy(words->span, fine.span, count * sizeof *words->span);
        renumber(&o, &fine, spans, words);
    }
    at_words_free(&fine);
    at_free(spans);
    at_free(o.begin);
    at_buf_free(&o.texts);
    if (st != AT_OK)
        at_words_free(words);
    return st;
}
