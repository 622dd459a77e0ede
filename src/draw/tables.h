/* draw/tables.h - tables of numbers with named rows and columns: lines for a terminal, one SVG.
 *
 * Role    The steps of a computation below each other; shares (0 … 1) are shaded in the picture.
 * Owns    Nothing; everything is borrowed while the call lasts.
 * Errors  AT_EARG for an empty table, AT_ENOMEM.
 *
 *     at_table t = {.title = "3. weights", .rows = queries, .row_count = 1, .columns = keys,
 *                   .column_count = 3, .numbers = w, .shares = 3};
 *     at_status st = at_tables_text(&t, 1, 3, &out);
 *     st = at_tables_svg("Tom chases Jerry", &t, 1, 3, &svg);
 */
#ifndef AT_DRAW_TABLES_H
#define AT_DRAW_TABLES_H
#include "base/buf.h"

typedef struct at_table {
    const char *title;
    const char *const *rows, *const *columns; /* names, UTF-8 */
    size_t row_count, column_count;
    const float *numbers; /* (rows, columns); -INFINITY is a hidden pair */
    size_t shares;        /* so many columns from the first are shares of a whole */
} at_table;

/* digits behind the point: 0 … 9. */
at_status at_tables_text(const at_table *tables, size_t count, int digits, at_buf *out);
/* A whole SVG document: light and dark by the viewer's preference, no outside files. title NULL: none. */
at_status at_tables_svg(const char *title, const at_table *tables, size_t count, int digits, at_buf *out);
#endif
