/* text/utf8.h - characters of strict UTF-8.
 *
 * Role    Validation, decoding, kinds of characters, lower case.
 *         Strict: no overlong forms, no surrogates, nothing past U+10FFFF.
 * Owns    Nothing. Texts are pointer and length; a NUL is a character like others.
 * Errors  None; at_buf's are sticky in the buffer.
 *
 *     uint32_t c;
 *     for (size_t i = 0, step; i < n; i += step) {
 *         step = at_utf8_decode(text + i, n - i, &c);
 *         if (step == 0) ...                       // text[i] starts no valid character
 *     }
 */
#ifndef AT_TEXT_UTF8_H
#define AT_TEXT_UTF8_H
#include "base/buf.h"

/* Bytes of the character at `text`, 1 to 4; 0 if none starts here (or n is 0). */
size_t at_utf8_decode(const char *text, size_t n, uint32_t *c);
/* Bytes written. `c` must be a Unicode scalar value. */
size_t at_utf8_encode(uint32_t c, char out[4]);
void at_utf8_put(at_buf *out, uint32_t c);

size_t at_utf8_valid(const char *text, size_t n);    /* length of the valid beginning; n: all of it */
size_t at_utf8_complete(const char *text, size_t n); /* n less an unfinished character at the end */

bool at_utf8_is_space(uint32_t c);       /* Unicode's White_Space */
bool at_utf8_is_punctuation(uint32_t c); /* categories P and S */
/* Scripts that put no spaces between words: Han, kana, Thai, Lao, Khmer, Burmese, with
 * the punctuation and full-width forms that come with them. */
bool at_utf8_is_unspaced(uint32_t c);

/* Unicode's full mapping without context. Bytes of no character are kept. */
void at_utf8_lower(const char *text, size_t n, at_buf *out);
#endif
