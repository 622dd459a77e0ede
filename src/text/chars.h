/* text/chars.h - a line as an array of code points; private to the Moses files.
 *
 * Role    Rules about neighbours are easy on code points. Bytes of no character are kept as
 *         AT_CHAR_BYTE + byte, a run of k dots that stays together as AT_CHAR_DOTS + k.
 * Owns    Its memory; at_chars_free. Zero-initialise.
 * Errors  Sticky: `failed`, asked for by at_chars_status.
 *
 *     at_chars line = {0};
 *     at_chars_read(&line, text, strlen(text));
 *     at_chars_write(&line, &out);
 */
#ifndef AT_TEXT_CHARS_H
#define AT_TEXT_CHARS_H
#include "base/buf.h"

enum { AT_CHAR_BYTE = 0x110000, AT_CHAR_DOTS = 0x120000 };

typedef struct at_chars {
    uint32_t *c;
    size_t count, capacity;
    bool failed;
} at_chars;

void at_chars_read(at_chars *chars, const char *text, size_t length); /* replaces what is there */
void at_chars_put(at_chars *chars, uint32_t c);
void at_chars_ascii(at_chars *chars, const char *text);
void at_chars_write(const at_chars *chars, at_buf *out);
at_status at_chars_status(const at_chars *chars);
void at_chars_free(at_chars *chars);
/* As Perl's classes: Alphabetic, Nd, all of N, Lowercase. */
bool at_char_is_alpha(uint32_t c);
bool at_char_is_digit(uint32_t c);
bool at_char_is_number(uint32_t c);
bool at_char_is_lower(uint32_t c);
bool at_char_is_currency(uint32_t c);
#endif
