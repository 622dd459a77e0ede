#include <string.h>
#include <utf8proc.h>
#include "base/memory.h"
#include "text/internal.h"
#include "text/utf8.h"

const char *const at_normal_names[] = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", NULL};

static const int options_of[] = {
    [AT_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
    [AT_NFD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
    [AT_NFKC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
    [AT_NFKD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
};

static bool is_ascii(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

static at_status unicode_form(int options, const char *text, size_t length, at_buf *out)
{
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t count =
        utf8proc_decompose(bytes, (utf8proc_ssize_t)length, NULL, 0, (utf8proc_option_t)options);
    if (count < 0)
        return at_fail(AT_EFORMAT, "normalizing text: %s", utf8proc_errmsg(count));
    /* One more: reencoding works in place and ends with a NUL. */
    utf8proc_int32_t *points = at_alloc_array((size_t)count + 1, sizeof *points);
    if (!points)
        return AT_ENOMEM;
    count = utf8proc_decompose(bytes, (utf8proc_ssize_t)length, points, count, (utf8proc_option_t)options);
    if (count >= 0)
        count = utf8proc_reencode(points, count, (utf8proc_option_t)options);
    if (count > 0)
        at_buf_bytes(out, points, (size_t)count);
    at_free(points);
    if (count < 0)
        return at_fail(AT_EFORMAT, "normalizing text: %s", utf8proc_errmsg(count));
    return at_buf_status(out);
}

at_status at_normal_run(at_normal step, const char *text, size_t length, at_buf *out)
{
    if (step == AT_LOWERCASE)
        at_utf8_lower(text, length, out);
    else if (is_ascii(text, length))
        at_buf_bytes(out, text, length);
    else
        return unicode_form(options_of[step], text, length, out);
    return at_buf_status(out);
}
