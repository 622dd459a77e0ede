/* base/buf.h - a growing string of bytes.
 *
 * Role    Text under construction: output lines, SVG, JSON headers.
 * Owns    Its bytes; at_buf_free, or take them with at_buf_take. Always
 *         NUL-terminated, the NUL not counted in `length`. Zero-initialise.
 * Errors  Sticky: once memory fails, later calls do nothing and at_buf_status
 *         says AT_ENOMEM; check once at the end.
 *
 *     at_buf out = {0};
 *     at_buf_printf(&out, "%d words", n);
 *     if (at_buf_status(&out) != AT_OK) ...
 */
#ifndef AT_BASE_BUF_H
#define AT_BASE_BUF_H
#include "base/status.h"

typedef struct at_buf {
    char *data;
    size_t length, capacity;
    bool failed;
} at_buf;

void at_buf_free(at_buf *buf);
void at_buf_clear(at_buf *buf); /* keeps the memory and forgets the failure */
void at_buf_bytes(at_buf *buf, const void *bytes, size_t length);
void at_buf_text(at_buf *buf, const char *text);
void at_buf_char(at_buf *buf, char c);
void at_buf_printf(at_buf *buf, const char *format, ...) AT_PRINTF(2, 3);
at_status at_buf_status(const at_buf *buf);
char *at_buf_take(at_buf *buf); /* caller frees with at_free; NULL if failed */
#endif
