/* draw/internal.h - what the pictures of this folder share among themselves. */
#ifndef AT_DRAW_INTERNAL_H
#define AT_DRAW_INTERNAL_H
#include "base/buf.h"

/* The files of page/, put into the program by cmake/embed.cmake. */
extern const char at_draw_page_css[];
extern const char at_draw_page_js[];

/* Appends base64 of a map's weights in 1/65535, little-endian 16-bit numbers: how many each row keeps, then
 * all columns, then all weights. Keeps at most `most` of a row, the largest ones; zeros are left out. */
void at_draw_pack(const float *weights, size_t rows, size_t columns, size_t most, at_buf *out);
#endif
