#include "base/buf.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/memory.h"

/* Room for `extra` more bytes and the NUL; false once anything has failed. */
static bool reserve(at_buf *buf, size_t extra)
{
    size_t need;
    if (buf->failed)
        return false;
    if (!at_add_ok(buf->length, extra, &need) || !at_add_ok(need, 1, &need) ||
        at_grow(&buf->data, &buf->capacity, need, 1) != AT_OK)
        buf->failed = true;
    return !buf->failed;
}

void at_buf_free(at_buf *buf)
{
    at_free(buf->data);
    *buf = (at_buf){0};
}

void at_buf_clear(at_buf *buf)
{
    buf->length = 0;
    buf->failed = false;
    if (buf->data)
        buf->data[0] = '\0';
}

void at_buf_bytes(at_buf *buf, const void *bytes, size_t length)
{
    if (!reserve(buf, length))
        return;
    if (length)
        memcpy(buf->data + buf->length, bytes, length);
    buf->length += length;
    buf->data[buf->length] = '\0';
}

void at_buf_text(at_buf *buf, const char *text)
{
    at_buf_bytes(buf, text, strlen(text));
}

void at_buf_char(at_buf *buf, char c)
{
    at_buf_bytes(buf, &c, 1);
}

void at_buf_printf(at_buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    AT_ASSERT(length >= 0);
    if (reserve(buf, (size_t)length)) {
        vsnprintf(buf->data + buf->length, (size_t)length + 1, format, again);
        buf->length += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

at_status at_buf_status(const at_buf *buf)
{
    return buf->failed ? at_fail(AT_ENOMEM, "out of memory: text of over %zu bytes", buf->length) : AT_OK;
}

char *at_buf_take(at_buf *buf)
{
    char *text = NULL;
    if (reserve(buf, 0)) { /* an empty text is a NUL too */
        buf->data[buf->length] = '\0';
        text = buf->data;
        buf->data = NULL;
    }
    at_buf_free(buf);
    return text;
}
