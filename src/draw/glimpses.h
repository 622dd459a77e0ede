/* draw/glimpses.h - where a model looked on a picture, one place after the other.
 *
 * Role    One request, three pictures: an SVG with the frames of every scale, numbered, the way between them
 *         and what was seen at each; the same frames as pixels, for a PNG; a list for the terminal.
 * Owns    Nothing; the request is borrowed while the call lasts. The image is the caller's: at_image_free.
 * Shapes  image (H, W, C) as the model had it; places (count, 2) as attention/glimpse.h has them.
 * Errors  AT_EARG for a request without a glimpse or without a picture; AT_ENOSUP for an SVG in a build
 *         without libpng; AT_ENOMEM.
 *
 *     at_glimpse_picture p = {.image = &digit, .sensor = at_gaze_sensor(model), .places = path, .count = 7,
 *                             .title = "looks like 4 (0.98)"};
 *     at_status st = at_glimpses_svg(&p, &svg);
 *     st = at_glimpses_image(&p, &drawn);
 *     st = at_glimpses_terminal(&p, &text);
 */
#ifndef AT_DRAW_GLIMPSES_H
#define AT_DRAW_GLIMPSES_H
#include "attention/glimpse.h"
#include "image/image.h"

typedef struct at_glimpse_picture {
    const at_image *image;
    at_glimpses sensor; /* sizes alone are read */
    const float *places;
    size_t count;
    const char *title; /* NULL: none */
} at_glimpse_picture;

at_status at_glimpses_svg(const at_glimpse_picture *picture, at_buf *out);
at_status at_glimpses_image(const at_glimpse_picture *picture, at_image *out);
at_status at_glimpses_terminal(const at_glimpse_picture *picture, at_buf *out);
#endif
