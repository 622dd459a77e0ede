/* draw/positions.h - the picture of a position encoding: its numbers as a heat map, and how alike two
 * positions are by their distance.
 *
 * Role    One request, two pictures: lines for a terminal, a self-contained SVG, light and dark.
 * Owns    Nothing; the request is borrowed while the call lasts.
 * Shapes  values (count, width), of any size: colours span the largest magnitude; dot, least, most (count).
 * Errors  AT_EARG for an empty request, AT_ENUMBER for NaN, AT_ENOMEM.
 *
 *     at_position_picture p = {.values = v, .count = 64, .width = 128, .dot = d, .least = l, .most = m,
 *                              .title = "position encoding of the encoder"};
 *     at_status st = at_positions_svg(&p, &svg);
 *     st = at_positions_terminal(&p, 80, &out);
 */
#ifndef AT_DRAW_POSITIONS_H
#define AT_DRAW_POSITIONS_H
#include "base/buf.h"

typedef struct at_position_picture {
    const float *values;
    size_t count, width;
    const double *dot, *least, *most; /* PE(p)·PE(q) over all pairs at each distance */
    const char *title;                /* NULL: none */
} at_position_picture;

/* No line wider than `columns`; where there are more numbers than room, some are left out evenly. */
at_status at_positions_terminal(const at_position_picture *picture, int columns, at_buf *out);
at_status at_positions_svg(const at_position_picture *picture, at_buf *out);
#endif
