/* eval/points.h - a line of text as Unicode code points.
 *
 * Role    Metrics compare characters as sacreBLEU (Python) sees them: code points,
 *         Python's idea of white space, Python's str.lower(). The tokenizers
 *         rewrite a line in this form.
 * Owns    Its array; at_points_free. Zero-initialise. Reused from line to line.
 * Errors  Sticky like at_buf: after a failed allocation nothing more is added and
 *         at_points_status says AT_ENOMEM. Bytes that are no UTF-8 become U+FFFD
 *         one by one, since a model may emit half a character.
 *
 *     at_points line = {0};
 *     at_points_decode(&line, "Ein Hund läuft.");
 *     at_points_lower(&line, &scratch);
 *     at_points_strip(&line, false);
 */
#ifndef AT_EVAL_POINTS_H
#define AT_EVAL_POINTS_H
#include "base/status.h"

typedef struct at_points {
    uint32_t *data;
    size_t length, capacity;
    bool failed;
} at_points;

void at_points_free(at_points *points);
void at_points_clear(at_points *points);
void at_points_push(at_points *points, uint32_t point);
void at_points_swap(at_points *a, at_points *b);
at_status at_points_status(const at_points *points);

/* Replaces what is there by the code points of `text` (UTF-8, NUL-terminated). */
void at_points_decode(at_points *points, const char *text);
/* Full lower-casing: U+0130 becomes two points, a sigma that ends a word is final. */
void at_points_lower(at_points *points, at_points *scratch);
/* Removes white space at the end, and at the start too if `both`. */
void at_points_strip(at_points *points, bool both);

/* The 29 characters that Python's str.split() splits at. */
bool at_point_is_space(uint32_t point);
#endif
