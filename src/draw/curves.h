/* draw/curves.h - lines over a common x as one SVG: how a training went, what a length costs.
 *
 * Role    Series on up to three scales: left axis, right axis, and a small panel below
 *         (learning rate); x and both main axes may be logarithmic. NaN leaves a gap, and so
 *         does what a logarithm cannot show.
 * Owns    Nothing; the request is borrowed while the call lasts.
 * Errors  AT_EARG without any series, AT_ENOMEM. A series without finite points is
 *         named in the legend and not drawn.
 *
 *     at_series series[] = {{"loss", steps, loss, n, AT_AXIS_LEFT},
 *                           {"valid loss", vsteps, vloss, v, AT_AXIS_LEFT},
 *                           {"BLEU", vsteps, bleu, v, AT_AXIS_RIGHT},
 *                           {"lr", steps, lr, n, AT_AXIS_BELOW}};
 *     at_curves c = {.title = "multi30k-en-de", .x_label = "step", .series = series, .count = 4};
 *     at_status st = at_curves_svg(&c, &out);
 */
#ifndef AT_DRAW_CURVES_H
#define AT_DRAW_CURVES_H
#include "base/buf.h"

typedef enum at_axis { AT_AXIS_LEFT, AT_AXIS_RIGHT, AT_AXIS_BELOW } at_axis;
enum { AT_AXIS_COUNT = 3 };

typedef struct at_series {
    const char *name;
    const double *x, *y; /* x ascending */
    size_t count;
    at_axis axis;
} at_series;

typedef struct at_curves {
    const char *title, *x_label; /* NULL: none */
    const char *caption;         /* NULL: none */
    int x_log, y_log;            /* base of a logarithmic scale (2, 10), y: left and right; 0: linear */
    const at_series *series;
    size_t count;
} at_curves;

at_status at_curves_svg(const at_curves *curves, at_buf *out);
#endif
