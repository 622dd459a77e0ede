#include "text/utf8.h"
#include <string.h>
#include <utf8proc.h>

size_t at_utf8_decode(const char *text, size_t n, uint32_t *c)
{
    const unsigned char *s = (const unsigned char *)text;
    if (n == 0)
        return 0;
    if (s[0] < 0x80) {
        *c = s[0];
        return 1;
    }
    size_t length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || n < length)
        return 0;
    /* The second byte's range rules out overlong forms, surrogates and what is past U+10FFFF. */
    unsigned low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    unsigned high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < low || s[1] > high)
        return 0;
    uint32_t value = s[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (s[i] & 0x3Fu);
    }
    *c = value;
    return length;
}

size_t at_utf8_encode(uint32_t c, char out[4])
{
    size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (length == 1) {
        out[0] = (char)c;
        return 1;
    }
    for (size_t i = length; --i > 0; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)((0xF00u >> length) | c);
    return length;
}

void at_utf8_put(at_buf *out, uint32_t c)
{
    char bytes[4];
    at_buf_bytes(out, bytes, at_utf8_encode(c, bytes));
}

size_t at_utf8_valid(const char *text, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint64_t eight;
        uint32_t c;
        if (n - i >= sizeof eight) {
            memcpy(&eight, text + i, sizeof eight);
            if (!(eight & UINT64_C(0x8080808080808080))) {
                i += sizeof eight;
                continue;
            }
        }
        size_t length = at_utf8_decode(text + i, n - i, &c);
        if (length == 0)
            return i;
        i += length;
    }
    return n;
}

size_t at_utf8_complete(const char *text, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char byte = (unsigned char)text[n - back];
        if (byte < 0x80)
            return n;
        if (byte >= 0xC0) {
            size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
            return length > back ? n - back : n;
        }
    }
    return n;
}

bool at_utf8_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

bool at_utf8_is_punctuation(uint32_t c)
{
    int category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_SO;
}

bool at_utf8_is_unspaced(uint32_t c)
{
    static const uint32_t range[][2] = {
        {0x0E00, 0x0EFF}, {0x1000, 0x109F}, {0x1780, 0x17FF},   {0x19E0, 0x19FF},   {0x2E80, 0x2FDF},
        {0x3001, 0x30FF}, {0x31C0, 0x31FF}, {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
        {0xFE30, 0xFE4F}, {0xFF00, 0xFFEF}, {0x1B000, 0x1B16F}, {0x20000, 0x323AF},
    };
    for (size_t i = 0; i < sizeof range / sizeof *range && range[i][0] <= c; i++)
        if (c <= range[i][1])
            return true;
    return false;
}

void at_utf8_lower(const char *text, size_t n, at_buf *out)
{
    for (size_t i = 0, step; i < n; i += step) {
        uint32_t c = 0;
        step = at_utf8_decode(text + i, n - i, &c);
        if (step == 0) {
            at_buf_char(out, text[i]);
            step = 1;
        } else if (c == 0x130) { /* the one character whose lower case is two: i and a dot above */
            at_buf_text(out, "i\xCC\x87");
        } else {
            at_utf8_put(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
        }
    }
}
