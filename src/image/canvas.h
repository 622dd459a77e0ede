/* image/canvas.h - small pictures on a larger empty one, moved about, among pieces of others.
 *
 * Role    Makes translated and cluttered MNIST (Mnih et al. 2014, arXiv:1406.6247, section 4) and small moves
 *         of the digits in training, while they are read: nothing is stored. A picture is put anywhere on a
 *         canvas of zeros; then square pieces, each cut anywhere from any other picture, are added anywhere,
 *         sums held at 255.
 * Owns    Nothing.
 * Shapes  pictures (N, height, width, channels) bytes; out (size, size, channels), or as one picture is.
 * Threads Any: a function of the key and the picture's number alone, so an epoch's key makes it new each time
 *         and a fixed one makes it a test set.
 *
 *     at_canvas canvas = {.pictures = bytes, .count = 60000, .height = 28, .width = 28, .channels = 1,
 *                         .size = 60, .clutter = 4, .piece = 8};
 *     at_canvas_draw(&canvas, 17, (uint32_t[]){seed, epoch}, out);       // 60 x 60 bytes
 */
#ifndef AT_IMAGE_CANVAS_H
#define AT_IMAGE_CANVAS_H
#include "base/status.h"

typedef struct at_canvas {
    const uint8_t *pictures;
    size_t count, height, width, channels;
    size_t
        size; /* side of the canvas, at least that of the pictures; 0: as a picture, which stays in place */
    size_t shift; /* with size 0: moved by up to so many pixels each way, what leaves the picture is lost */
    double turn, grow; /* turned by up to so many degrees, larger or smaller by up to this part, each way */
    size_t clutter, piece; /* so many pieces, so many pixels wide and high: at most as the pictures are */
} at_canvas;

size_t at_canvas_height(const at_canvas *canvas);
size_t at_canvas_width(const at_canvas *canvas);
/* AT_EARG for a canvas or pieces that do not fit the pictures, naming the recipe's fields. */
at_status at_canvas_check(const at_canvas *canvas);
/* Picture `number`, drawn. */
void at_canvas_draw(const at_canvas *canvas, size_t number, const uint32_t key[2], uint8_t *out);
#endif
