/* attention/glimpse.h - hard attention: what an eye sees that looks at one place of a picture.
 *
 * Role    The retina of Mnih et al. 2014, arXiv:1406.6247, section 3.1: around a place some square patches,
 *         each `zoom` times as wide as the one before, all averaged down to size x size. What lies outside
 *         the picture is zero.
 * Owns    Nothing: the glimpses live on the tape, pictures and places are the caller's.
 * Shapes  P pictures of C channels, H rows, W columns; N glimpses, `copies` of each picture (N = P copies):
 *         places (N,2) of x, y in -1 … 1, left to right and top to bottom -> (N, scales size size C),
 *         scale by scale, each laid out as the pictures are.
 * Errors  AT_ENOMEM sticks to the tape.
 *
 *     at_glimpses g = {.pictures = pixels, .count = 32, .height = 60, .width = 60, .channels = 1,
 *                      .copies = 1, .size = 12, .scales = 3, .zoom = 2};
 *     at_var *seen = at_glimpse(tape, &g, places);        // (32, 432), a constant
 */
#ifndef AT_ATTENTION_GLIMPSE_H
#define AT_ATTENTION_GLIMPSE_H
#include "autograd/tape.h"

typedef struct at_glimpses {
    const float *pictures; /* (count, height, width, channels) */
    size_t count, height, width, channels;
    size_t copies;             /* glimpse i is of picture i / copies */
    size_t size, scales, zoom; /* zoom >= 1 */
} at_glimpses;

/* A square of the picture's pixels; it may reach outside. */
typedef struct at_glimpse_frame {
    int64_t left, top, side;
} at_glimpse_frame;

/* Numbers of one glimpse: scales size^2 C. */
size_t at_glimpse_width(const at_glimpses *glimpses);

/* What scale number `scale` (from 0) covers: the pixels nearest to a square around the place. */
at_glimpse_frame at_glimpse_covers(const at_glimpses *glimpses, size_t scale, const float place[2]);

/* A constant of the tape: a place is chosen, and no gradient tells how another would have been, nor do
 * pictures learn. A place that is no number counts as -1. */
at_var *at_glimpse(at_tape *tape, const at_glimpses *glimpses, const float *places);
#endif
