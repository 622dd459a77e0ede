/* draw/words.h - how wide words are, and how they are made safe to draw.
 *
 * Role    Words come from anybody's text: they may hold escape sequences, direction
 *         marks, half characters. What is drawn holds none of these: each becomes
 *         U+FFFD. Widths are of what is drawn.
 * Owns    Nothing. Errors stick to the buffer.
 *
 *     int columns = at_draw_width("汤姆");       // 4
 *     at_draw_cut("Donaudampfschiff", 8, &out);  // "Donauda…"
 *     at_draw_escape("a < b", &out);             // "a &lt; b"
 */
#ifndef AT_DRAW_WORDS_H
#define AT_DRAW_WORDS_H
#include "base/buf.h"

/* Columns of a terminal: 2 for wide characters, 0 for combining marks. */
int at_draw_width(const char *text);
/* Appends the first character of `text` with the marks on it; returns its bytes in
 * `text`, 0 at the end. Here and below `out` NULL only measures. */
size_t at_draw_next(const char *text, at_buf *out, int *width);
/* Appends all of `text` if it fits in `most` columns, else its beginning and "…";
 * returns the columns it takes. */
int at_draw_cut(const char *text, int most, at_buf *out);
/* Appends `text` broken into lines of at most `most` columns, at spaces where there
 * are any. */
void at_draw_lines(const char *text, int most, at_buf *out);

/* A paragraph of small text in an SVG: its left end, first baseline, leading. */
typedef struct at_draw_box {
    double x, y, leading;
    int most; /* columns */
} at_draw_box;
/* Returns the baseline after the last line. */
double at_draw_paragraph(const char *text, const at_draw_box *box, at_buf *out);

/* Appends `text` for XML content or attribute values; of at_draw_cut_escape, what fits. */
void at_draw_escape(const char *text, at_buf *out);
void at_draw_cut_escape(const char *text, int most, at_buf *out);
/* Appends `text` as a JSON string, quotes included, that may stand in a script of a page: no '<'. */
void at_draw_json(const char *text, at_buf *out);
/* Width in a proportional sans serif, in ems: an estimate to reserve room by. */
double at_draw_ems(const char *text);
#endif
