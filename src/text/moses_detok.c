#include <string.h>
#include "base/memory.h"
#include "text/chars.h"
#include "text/moses.h"
#include "text/utf8.h"

typedef struct token {
    const uint32_t *c;
    size_t n;
} token;

/* How often each kind of quotation mark has been seen: odd ones open, even ones close. */
enum { QUOTE_KINDS = 8 };

typedef struct joiner {
    const char *language;
    at_chars *out;
    bool space; /* before the next token, if that does not forbid it */
    token quote[QUOTE_KINDS];
    unsigned seen[QUOTE_KINDS];
    size_t quotes;
} joiner;

static bool is_any(uint32_t c, const char *ascii)
{
    return c > 0 && c < 128 && strchr(ascii, (int)c);
}

static bool is_opening(uint32_t c)
{
    return at_char_is_currency(c) || is_any(c, "([{") || c == 0xBF || c == 0xA1;
}

static bool is_closing(uint32_t c)
{
    return is_any(c, ",.?!:;\\%}])");
}

static bool is_curly_quote(uint32_t c)
{
    return c == 0x201C || c == 0x201D || c == 0x201E;
}

static bool is_quote(uint32_t c)
{
    return is_any(c, "'\"`") || c == 0x201C || c == 0x201E;
}

static bool all(token t, bool (*kind)(uint32_t c))
{
    size_t i = 0;
    while (i < t.n && kind(t.c[i]))
        i++;
    return i == t.n;
}

static bool is_cjk(uint32_t c)
{
    return (c >= 0x1100 && c <= 0x11FF) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xA840 && c <= 0xA87F) ||
           (c >= 0xAC00 && c <= 0xD7AF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE4F) ||
           (c >= 0xFF65 && c <= 0xFFDC) || (c >= 0x17000 && c <= 0x18AFF) || (c >= 0x1B000 && c <= 0x1B0FF) ||
           (c >= 0x20000 && c < 0x2FFFF);
}

static void put_token(joiner *j, token t, bool space)
{
    if (space && j->out->count > 0)
        at_chars_put(j->out, ' ');
    for (size_t i = 0; i < t.n; i++)
        at_chars_put(j->out, t.c[i]);
}

/* The counter of this quotation mark; the curly ones count as the straight one. NULL: too many kinds. */
static unsigned *seen_of(joiner *j, token t)
{
    static const uint32_t straight = '"';
    if (all(t, is_curly_quote))
        t = (token){&straight, 1};
    size_t i = 0;
    while (i < j->quotes && (j->quote[i].n != t.n || memcmp(j->quote[i].c, t.c, t.n * sizeof *t.c) != 0))
        i++;
    if (i == QUOTE_KINDS)
        return NULL;
    if (i == j->quotes)
        j->quote[j->quotes++] = t;
    return &j->seen[i];
}

static void join_quote(joiner *j, token t, token before)
{
    unsigned *seen = seen_of(j, t);
    bool opens = !seen || *seen % 2 == 0;
    if (opens && strcmp(j->language, "en") == 0 && t.n == 1 && t.c[0] == '\'' && before.n > 0 &&
        before.c[before.n - 1] == 's') { /* the Joneses' house */
        put_token(j, t, false);
        j->space = true;
        return;
    }
    put_token(j, t, opens && j->space);
    j->space = !opens;
    if (seen)
        ++*seen;
}

static void join(joiner *j, token t, token before)
{
    bool english = strcmp(j->language, "en") == 0;
    if (is_cjk(t.c[0])) {
        put_token(j, t, j->space && !(before.n > 0 && is_cjk(before.c[before.n - 1])));
        j->space = true;
    } else if (all(t, is_opening)) {
        put_token(j, t, j->space);
        j->space = false;
    } else if (all(t, is_closing)) {
        put_token(j, t, false);
        j->space = true;
    } else if (english && before.n > 0 && t.n > 1 && t.c[0] == '\'' && at_char_is_alpha(t.c[1])) {
        put_token(j, t, false);
        j->space = true;
    } else if (all(t, is_quote)) {
        join_quote(j, t, before);
    } else {
        put_token(j, t, j->space);
        j->space = true;
    }
}

static void unescape(const char *line, at_chars *out)
{
    static const char *const names[][2] = {{"&amp;", "&"}, {"&#124;", "|"}, {"&bar;", "|"},   {"&lt;", "<"},
                                           {"&gt;", ">"},  {"&apos;", "'"}, {"&quot;", "\""}, {"&#91;", "["},
                                           {"&bra;", "["}, {"&#93;", "]"},  {"&ket;", "]"},   {" @-@ ", "-"}};
    at_chars plain = {0};
    for (size_t i = 0, length = strlen(line); i < length;) {
        size_t which = 0;
        while (which < sizeof names / sizeof *names &&
               strncmp(line + i, names[which][0], strlen(names[which][0])) != 0)
            which++;
        if (which < sizeof names / sizeof *names) {
            at_chars_ascii(out, names[which][1]);
            i += strlen(names[which][0]);
            continue;
        }
        size_t step = 1;
        while (i + step < length && ((unsigned char)line[i + step] & 0xC0) == 0x80)
            step++;
        at_chars_read(&plain, line + i, step);
        for (size_t p = 0; p < plain.count; p++)
            at_chars_put(out, plain.c[p]);
        i += step;
    }
    out->failed |= plain.failed;
    at_chars_free(&plain);
}

at_status at_moses_detokenize(const char *language, const char *line, at_buf *out)
{
    at_chars in = {0}, text = {0};
    joiner j = {.language = language, .out = &text};
    token before = {0};
    unescape(line, &in);
    for (size_t begin = 0, end; begin < in.count && !in.failed; begin = end) {
        for (end = begin; end < in.count && !(in.c[end] < AT_CHAR_BYTE && at_utf8_is_space(in.c[end])); end++)
            continue;
        if (end == begin) {
            end++;
            continue;
        }
        token t = {in.c + begin, end - begin};
        join(&j, t, before);
        before = t;
    }
    at_chars_write(&text, out);
    at_status st = in.failed ? at_chars_status(&in) : at_chars_status(&text);
    at_chars_free(&in);
    at_chars_free(&text);
    return st == AT_OK ? at_buf_status(out) : st;
}
