#include "text/chars.h"
#include <utf8proc.h>
#include "base/memory.h"
#include "text/utf8.h"

void at_chars_put(at_chars *chars, uint32_t c)
{
    if (chars->failed)
        return;
    if (chars->count == chars->capacity &&
        at_grow(&chars->c, &chars->capacity, chars->count + 1, sizeof *chars->c) != AT_OK) {
        chars->failed = true;
        return;
    }
    chars->c[chars->count++] = c;
}

void at_chars_read(at_chars *chars, const char *text, size_t length)
{
    chars->count = 0;
    for (size_t i = 0, step; i < length; i += step) {
        uint32_t c = 0;
        step = at_utf8_decode(text + i, length - i, &c);
        at_chars_put(chars, step ? c : AT_CHAR_BYTE + (uint32_t)(unsigned char)text[i]);
        step += step == 0;
    }
}

void at_chars_ascii(at_chars *chars, const char *text)
{
    for (; *text; text++)
        at_chars_put(chars, (unsigned char)*text);
}

void at_chars_write(const at_chars *chars, at_buf *out)
{
    for (size_t i = 0; i < chars->count; i++) {
        uint32_t c = chars->c[i];
        if (c >= AT_CHAR_DOTS) {
            for (c -= AT_CHAR_DOTS; c > 0; c--)
                at_buf_char(out, '.');
        } else if (c >= AT_CHAR_BYTE) {
            at_buf_char(out, (char)(c - AT_CHAR_BYTE));
        } else {
            at_utf8_put(out, c);
        }
    }
}

at_status at_chars_status(const at_chars *chars)
{
    return chars->failed ? at_fail(AT_ENOMEM, "out of memory: a line of text") : AT_OK;
}

void at_chars_free(at_chars *chars)
{
    at_free(chars->c);
    *chars = (at_chars){0};
}

static utf8proc_category_t category(uint32_t c)
{
    return c < AT_CHAR_BYTE ? utf8proc_category((utf8proc_int32_t)c) : UTF8PROC_CATEGORY_CN;
}

/* Marks are Alphabetic where they carry a vowel, as in Indic scripts, and not where they are accents. */
static bool is_accent(uint32_t c)
{
    return (c >= 0x300 && c <= 0x36F && c != 0x345) || (c >= 0x1AB0 && c <= 0x1AFF) ||
           (c >= 0x1DC0 && c <= 0x1DFF) || (c >= 0x20D0 && c <= 0x20FF) || (c >= 0xFE00 && c <= 0xFE0F) ||
           (c >= 0xFE20 && c <= 0xFE2F);
}

bool at_char_is_alpha(uint32_t c)
{
    utf8proc_category_t kind = category(c);
    if (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO)
        return true;
    if (kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_MC)
        return !is_accent(c);
    return kind == UTF8PROC_CATEGORY_NL || (c >= 0x24B6 && c <= 0x24E9);
}

bool at_char_is_digit(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_ND;
}

bool at_char_is_number(uint32_t c)
{
    utf8proc_category_t kind = category(c);
    return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL || kind == UTF8PROC_CATEGORY_NO;
}

bool at_char_is_lower(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_LL || c == 0xAA || c == 0xBA;
}

bool at_char_is_currency(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_SC;
}
