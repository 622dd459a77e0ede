/* draw/internal.h - what the pictures of this folder share among themselves. */
#ifndef AT_DRAW_INTERNAL_H
#define AT_DRAW_INTERNAL_H
#include "draw/matrix.h"

/* The files of page/, put into the program by cmake/embed.cmake. */
extern const char at_draw_page_css[];
extern const char at_draw_page_js[];
extern const char at_draw_photo_css[];
extern const char at_draw_photo_js[];

/* A page up to the beginning of its body. also: more for the Content-Security-Policy, or NULL. */
void at_draw_page_head(const char *title, const char *also, const char *style, at_buf *out);

/* Appends the photo as a data URI, its longer side at most `side`. */
struct at_image;
at_status at_draw_photo(const struct at_image *photo, size_t side, at_buf *out);

/* Appends base64 of a map's weights in 1/65535, little-endian 16-bit numbers: how many each row keeps, then
 * all columns, then all weights. Keeps at most `most` of a row, the largest ones; zeros are left out. */
void at_draw_pack(const float *weights, size_t rows, size_t columns, size_t most, at_buf *out);

void at_draw_base64(const unsigned char *bytes, size_t count, at_buf *out);

/* A matrix as it is drawn: checked, at most AT_POOL_MOST rows and columns. at_pooled_free in any case. */
enum { AT_POOL_MOST = 128 };

typedef struct at_pooled {
    at_matrix matrix;
    const char **targets, **sources; /* NULL where it is the caller's matrix */
    float *weights;
    at_buf target_text, source_text, caption;
} at_pooled;

at_status at_matrix_pool(const at_matrix *matrix, at_pooled *out);
void at_pooled_free(at_pooled *pooled);

/* For at_lay_out: estimated from the characters. The pen is not used. */
double at_draw_estimate(void *pen, const char *word, double size);
#endif
