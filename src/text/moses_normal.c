#include <string.h>
#include "base/memory.h"
#include "text/moses.h"
#include "text/utf8.h"

/* The rules in the order of normalize-punctuation.perl; most replace one string by another. Two
 * buffers take turns: `now` is read, `next` is written. */
typedef struct stage {
    at_buf now, next;
} stage;

static void turn(stage *s)
{
    at_buf swap = s->now;
    s->now = s->next;
    s->next = swap;
    s->next.length = 0; /* a failure stays */
}

static void replace(stage *s, const char *from, const char *to)
{
    size_t length = strlen(from), done = 0;
    if (s->now.length < length || !memmem(s->now.data, s->now.length, from, length))
        return;
    const char *found;
    while ((found = memmem(s->now.data + done, s->now.length - done, from, length))) {
        size_t at = (size_t)(found - s->now.data);
        at_buf_bytes(&s->next, s->now.data + done, at - done);
        at_buf_text(&s->next, to);
        done = at + length;
    }
    at_buf_bytes(&s->next, s->now.data + done, s->now.length - done);
    turn(s);
}

static void replace_all(stage *s, const char *const (*rule)[2], size_t count)
{
    for (size_t i = 0; i < count; i++)
        replace(s, rule[i][0], rule[i][1]);
}

static void squeeze_spaces(stage *s)
{
    for (size_t i = 0; i < s->now.length; i++)
        if (s->now.data[i] != ' ' || i == 0 || s->now.data[i - 1] != ' ')
            at_buf_char(&s->next, s->now.data[i]);
    turn(s);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* `middle` between two characters of a kind becomes `to`. A character is used once only: of "1 2 3"
 * with middles between, the second stays. */
static void replace_between(stage *s, bool (*kind)(char), const char *middle, const char *to)
{
    size_t length = strlen(middle), i = 0;
    const char *text = s->now.data;
    if (s->now.length == 0 || !memmem(text, s->now.length, middle, length))
        return;
    while (i < s->now.length) {
        size_t behind = i + 1 + length;
        at_buf_char(&s->next, text[i]);
        if (behind < s->now.length && kind(text[i]) && memcmp(text + i + 1, middle, length) == 0 &&
            kind(text[behind])) {
            at_buf_text(&s->next, to);
            at_buf_char(&s->next, text[behind]);
            i = behind;
        }
        i++;
    }
    turn(s);
}

/* ") ." -> ")." for . ! : ? ; , */
static void close_brackets(stage *s)
{
    for (size_t i = 0; i < s->now.length; i++) {
        const char *p = s->now.data + i;
        at_buf_char(&s->next, p[0]);
        if (p[0] == ')' && i + 2 < s->now.length && p[1] == ' ' && strchr(".!:?;,", p[2]))
            i++;
    }
    turn(s);
}

/* "5 %" -> "5%" */
static void close_percent(stage *s)
{
    for (size_t i = 0; i < s->now.length; i++) {
        const char *p = s->now.data + i;
        at_buf_char(&s->next, p[0]);
        if (is_digit(p[0]) && i + 2 < s->now.length && p[1] == ' ' && p[2] == '%')
            i++;
    }
    turn(s);
}

/* English: a quotation mark goes behind the commas and full stops that follow it. */
static void quotes_behind(stage *s)
{
    for (size_t i = 0; i < s->now.length; i++) {
        size_t end = i + 1;
        while (s->now.data[i] == '"' && end < s->now.length &&
               (s->now.data[end] == ',' || s->now.data[end] == '.'))
            end++;
        if (end > i + 1) {
            at_buf_bytes(&s->next, s->now.data + i + 1, end - i - 1);
            i = end - 1;
            at_buf_char(&s->next, '"');
        } else {
            at_buf_char(&s->next, s->now.data[i]);
        }
    }
    turn(s);
}

/* German: full stops go behind the quotation mark that follows them, but not at the end of the line
 * and not before '<'. The character behind the mark is used up with it. */
static void stops_behind(stage *s)
{
    const char *text = s->now.data;
    size_t n = s->now.length;
    for (size_t i = 0; i < n;) {
        size_t dots = i, end;
        while (dots < n && text[dots] == '.')
            dots++;
        for (end = dots + 1; end < n && text[end] == ' '; end++)
            continue;
        bool quoted = dots > i && dots < n && text[dots] == '"';
        bool spaces = end > dots + 1;
        if (!quoted || (!spaces && (end >= n || text[end] == '<'))) {
            size_t stop = dots > i ? dots : i + 1;
            at_buf_bytes(&s->next, text + i, stop - i);
            i = stop;
            continue;
        }
        if (end < n && text[end] != '<') {
            uint32_t c;
            size_t length = at_utf8_decode(text + end, n - end, &c);
            end += length ? length : 1;
        }
        at_buf_char(&s->next, '"');
        at_buf_bytes(&s->next, text + i, dots - i);
        at_buf_bytes(&s->next, text + dots + 1, end - dots - 1);
        i = end;
    }
    turn(s);
}

static const char *const brackets[][2] = {{"\r", ""}, {"(", " ("}, {")", ") "}};
static const char *const spaces[][2] = {{"( ", "("}, {" )", ")"}};
static const char *const marks[][2] = {
    {" :", ":"}, {" ;", ";"}, {"`", "'"}, {"''", " \" "}, {"„", "\""},
    {"“", "\""}, {"”", "\""}, {"–", "-"}, {"—", " - "},
};
static const char *const quotes[][2] = {
    {"‘", "'"},          {"‚", "'"},        {"’", "\""},
    {"''", "\""},        {"…", "..."},      {"\u00A0«\u00A0", " \""},
    {"«\u00A0", "\""},   {"«", "\""},       {"\u00A0»\u00A0", "\" "},
    {"\u00A0»", "\""},   {"»", "\""},       {"\u00A0%", "%"},
    {"nº\u00A0", "nº "}, {"\u00A0:", ":"},  {"\u00A0ºC", " ºC"},
    {"\u00A0cm", " cm"}, {"\u00A0?", "?"},  {"\u00A0!", "!"},
    {"\u00A0;", ";"},    {",\u00A0", ", "},
};

static void run_rules(stage *s, bool german)
{
    replace_all(s, brackets, sizeof brackets / sizeof *brackets);
    squeeze_spaces(s);
    close_brackets(s);
    replace_all(s, spaces, sizeof spaces / sizeof *spaces);
    close_percent(s);
    replace_all(s, marks, sizeof marks / sizeof *marks);
    squeeze_spaces(s);
    replace(s, "´", "'");
    replace_between(s, is_letter, "‘", "'");
    replace_between(s, is_letter, "’", "'");
    replace_all(s, quotes, sizeof quotes / sizeof *quotes);
    squeeze_spaces(s);
    if (german) {
        replace(s, ",\"", "\",");
        stops_behind(s);
    } else {
        quotes_behind(s);
    }
    replace_between(s, is_digit, "\u00A0", german ? "," : ".");
}

at_status at_moses_normalize(const char *language, const char *line, at_buf *out)
{
    stage s = {0};
    at_buf_text(&s.now, line);
    run_rules(&s, strcmp(language, "de") == 0);
    size_t begin = 0, end = s.now.length;
    while (begin < end && s.now.data[begin] == ' ')
        begin++;
    while (end > begin && s.now.data[end - 1] == ' ')
        end--;
    if (end > begin)
        at_buf_bytes(out, s.now.data + begin, end - begin);
    bool failed = s.now.failed || s.next.failed;
    at_buf_free(&s.now);
    at_buf_free(&s.next);
    return failed ? at_fail(AT_ENOMEM, "out of memory: a line of text") : at_buf_status(out);
}
