#include "draw/words.h"

#include "draw/internal.h"

#include <string.h>
#include <utf8proc.h>

enum { REPLACEMENT = 0xFFFD };

/* Characters that move the cursor, turn the direction or have no meaning. */
static bool is_unsafe(utf8proc_int32_t c)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return true;
    default:
        return c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    }
}

/* The first point of `text` as drawn; returns its bytes, 0 at the end. */
static size_t next_point(const char *text, utf8proc_int32_t *point)
{
    size_t left = strnlen(text, 4);
    *point = REPLACEMENT;
    if (left == 0)
        return 0;
    utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)left, point);
    if (used <= 0) {
        *point = REPLACEMENT; /* utf8proc has put -1 there */
        return 1;
    }
    if (is_unsafe(*point))
        *point = REPLACEMENT;
    return (size_t)used;
}

static void push_point(at_buf *out, utf8proc_int32_t point)
{
    utf8proc_uint8_t bytes[4];
    at_buf_bytes(out, bytes, (size_t)utf8proc_encode_char(point, bytes));
}

static void push_escaped(at_buf *out, utf8proc_int32_t point)
{
    switch (point) {
    case '&':
        at_buf_text(out, "&amp;");
        break;
    case '<':
        at_buf_text(out, "&lt;");
        break;
    case '>':
        at_buf_text(out, "&gt;");
        break;
    case '"':
        at_buf_text(out, "&quot;");
        break;
    case '\'':
        at_buf_text(out, "&#39;");
        break;
    default:
        push_point(out, point);
    }
}

/* Share of an em in the usual sans serifs, rather too wide than too narrow. */
static double point_ems(utf8proc_int32_t point)
{
    int columns = utf8proc_charwidth(point);
    if (columns != 1)
        return columns == 2 ? 1.0 : 0.0;
    if (point < 0x80 && strchr(" .,:;'|!iljtfrI()[]/", point))
        return 0.34;
    if (point < 0x80 && strchr("mwMW@%", point))
        return 0.92;
    if (utf8proc_category(point) == UTF8PROC_CATEGORY_LU)
        return 0.7;
    return 0.58;
}

static void push_range(const char *text, size_t length, bool escape, at_buf *out)
{
    utf8proc_int32_t point;
    for (size_t at = 0; at < length;) {
        at += next_point(text + at, &point);
        if (escape)
            push_escaped(out, point);
        else
            push_point(out, point);
    }
}

/* Bytes of the longest beginning of `text` within `most` columns. */
static size_t fitting(const char *text, int most, int *columns)
{
    size_t at = 0;
    int width;
    *columns = 0;
    for (size_t used; (used = at_draw_next(text + at, NULL, &width)) > 0; at += used) {
        if (*columns + width > most)
            break;
        *columns += width;
    }
    return at;
}

/* Bytes of the next line: cut at a space if there is one; at least one character. */
static size_t line_length(const char *text, int most)
{
    int columns;
    size_t end = fitting(text, most, &columns), space = end;
    if (end == 0)
        return at_draw_next(text, NULL, &columns);
    if (text[end] == '\0' || text[end] == ' ')
        return end;
    while (space > 0 && text[space] != ' ')
        space--;
    return space > 0 ? space : end;
}

/* The part of `text` that is drawn if it must fit; *cut says that "…" follows. */
static size_t cut_length(const char *text, int most, int *columns, bool *cut)
{
    size_t length = fitting(text, most, columns);
    *cut = text[length] != '\0' && most > 0;
    if (*cut) {
        length = fitting(text, most - 1, columns);
        *columns += 1;
    }
    return length;
}

static const char *skip_spaces(const char *text)
{
    return text + strspn(text, " ");
}

int at_draw_width(const char *text)
{
    int columns = 0;
    utf8proc_int32_t point;
    for (size_t used; (used = next_point(text, &point)) > 0; text += used)
        columns += utf8proc_charwidth(point);
    return columns;
}

size_t at_draw_next(const char *text, at_buf *out, int *width)
{
    size_t at = 0;
    utf8proc_int32_t point;
    *width = 0;
    for (size_t used; (used = next_point(text + at, &point)) > 0; at += used) {
        int columns = utf8proc_charwidth(point);
        if (columns > 0 && *width > 0)
            break;
        *width += columns;
        if (out)
            push_point(out, point);
    }
    return at;
}

int at_draw_cut(const char *text, int most, at_buf *out)
{
    int columns;
    bool cut;
    size_t length = cut_length(text, most, &columns, &cut);
    if (out) {
        push_range(text, length, false, out);
        at_buf_text(out, cut ? "…" : "");
    }
    return columns;
}

void at_draw_lines(const char *text, int most, at_buf *out)
{
    for (text = skip_spaces(text); *text; text = skip_spaces(text)) {
        size_t length = line_length(text, most);
        push_range(text, length, false, out);
        at_buf_char(out, '\n');
        text += length;
    }
}

double at_draw_paragraph(const char *text, const at_draw_box *box, at_buf *out)
{
    double y = box->y;
    for (text = skip_spaces(text); *text; text = skip_spaces(text)) {
        size_t length = line_length(text, box->most);
        if (out) {
            at_buf_printf(out, "<text class=\"s\" x=\"%.1f\" y=\"%.1f\">", box->x, y);
            push_range(text, length, true, out);
            at_buf_text(out, "</text>\n");
        }
        text += length;
        y += box->leading;
    }
    return y;
}

void at_draw_escape(const char *text, at_buf *out)
{
    push_range(text, strlen(text), true, out);
}

void at_draw_cut_escape(const char *text, int most, at_buf *out)
{
    int columns;
    bool cut;
    push_range(text, cut_length(text, most, &columns, &cut), true, out);
    at_buf_text(out, cut ? "…" : "");
}

void at_draw_json(const char *text, at_buf *out)
{
    utf8proc_int32_t point;
    at_buf_char(out, '"');
    for (size_t used; (used = next_point(text, &point)) > 0; text += used) {
        if (point == '<') {
            at_buf_text(out, "\\u003c");
            continue;
        }
        if (point == '"' || point == '\\')
            at_buf_char(out, '\\');
        push_point(out, point);
    }
    at_buf_char(out, '"');
}

double at_draw_estimate(void *pen, const char *word, double size)
{
    (void)pen;
    return at_draw_ems(word) * size;
}

double at_draw_ems(const char *text)
{
    double ems = 0.0;
    utf8proc_int32_t point;
    for (size_t used; (used = next_point(text, &point)) > 0; text += used)
        ems += point_ems(point);
    return ems;
}
