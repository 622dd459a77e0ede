#include "image/canvas.h"
#include <math.h>
#include <string.h>
#include "base/rng.h"

enum { CANVAS = 0x63616e76 }; /* "canv": these draws meet no others of the same key */
enum { TURN = 1 << 30 };      /* of clutter there is less */

size_t at_canvas_height(const at_canvas *c)
{
    return c->size ? c->size : c->height;
}

size_t at_canvas_width(const at_canvas *c)
{
    return c->size ? c->size : c->width;
}

at_status at_canvas_check(const at_canvas *c)
{
    if (c->size && (c->size < c->height || c->size < c->width))
        return at_fail(AT_EARG, "pictures.canvas: %zu pixels are too few for pictures of %zu x %zu", c->size,
                       c->width, c->height);
    if (c->clutter && (c->piece < 1 || c->piece > c->height || c->piece > c->width || c->count < 2))
        return at_fail(AT_EARG,
                       "pictures.clutter: pieces of %zu pixels cannot be cut from %zu pictures of %zu x %zu",
                       c->piece, c->count, c->width, c->height);
    if (c->size && c->shift)
        return at_fail(AT_EARG, "pictures.shift: on a canvas pictures are moved anywhere; leave it 0");
    return AT_OK;
}

/* 0 … limit-1 of one word. */
static size_t below(uint32_t word, size_t limit)
{
    return (size_t)(((uint64_t)word * limit) >> 32);
}

/* Adds rows x columns pixels at `from` (its rows `from_width` pixels apart) to out at (left, top). */
static void add_pixels(const at_canvas *c, const uint8_t *from, size_t rows, size_t columns, int64_t left,
                       int64_t top, uint8_t *out)
{
    int64_t height = (int64_t)at_canvas_height(c), width = (int64_t)at_canvas_width(c);
    for (int64_t y = 0; y < (int64_t)rows; y++) {
        for (int64_t x = 0; x < (int64_t)columns; x++) {
            if (top + y < 0 || top + y >= height || left + x < 0 || left + x >= width)
                continue;
            for (size_t i = 0; i < c->channels; i++) {
                uint8_t *to = out + (size_t)((top + y) * width + left + x) * c->channels + i;
                unsigned sum = *to + from[((size_t)y * c->width + (size_t)x) * c->channels + i];
                *to = (uint8_t)(sum < 255 ? sum : 255);
            }
        }
    }
}

/* Pixel (x,y) between pixels, 0 outside. */
static double pixel_at(const at_canvas *c, const uint8_t *from, double x, double y, size_t channel)
{
    double left = floor(x), top = floor(y), sum = 0;
    for (int i = 0; i < 4; i++) {
        double column = left + i % 2, row = i < 2 ? top : top + 1;
        double share = (1 - fabs(x - column)) * (1 - fabs(y - row));
        if (column >= 0 && column < (double)c->width && row >= 0 && row < (double)c->height)
            sum += share * from[((size_t)row * c->width + (size_t)column) * c->channels + channel];
    }
    return sum;
}

/* The picture turned and grown about its middle, at (left, top). */
static void add_turned(const at_canvas *c, size_t number, const uint32_t key[2], int64_t left, int64_t top,
                       uint8_t *out)
{
    const uint8_t *from = c->pictures + number * c->height * c->width * c->channels;
    int64_t height = (int64_t)at_canvas_height(c), width = (int64_t)at_canvas_width(c);
    uint32_t word[4];
    at_philox((uint32_t[]){(uint32_t)number, TURN, CANVAS, 0}, key, word);
    double angle = c->turn * (2 * (double)word[0] * 0x1p-32 - 1) * 3.14159265358979323846 / 180;
    double grow = 1 + c->grow * (2 * (double)word[1] * 0x1p-32 - 1);
    double cosine = cos(angle) / grow, sine = sin(angle) / grow;
    double middle_x = ((double)c->width - 1) / 2, middle_y = ((double)c->height - 1) / 2;
    for (int64_t y = top; y < top + (int64_t)c->height; y++) {
        for (int64_t x = left; x < left + (int64_t)c->width; x++) {
            if (y < 0 || y >= height || x < 0 || x >= width)
                continue;
            double dx = (double)(x - left) - middle_x, dy = (double)(y - top) - middle_y;
            for (size_t i = 0; i < c->channels; i++)
                out[(size_t)(y * width + x) * c->channels + i] = (uint8_t)lrint(pixel_at(
                    c, from, middle_x + cosine * dx + sine * dy, middle_y - sine * dx + cosine * dy, i));
        }
    }
}

static void add_piece(const at_canvas *c, size_t number, uint32_t index, const uint32_t key[2], uint8_t *out)
{
    uint32_t a[4], b[4];
    at_philox((uint32_t[]){(uint32_t)number, 2 * index + 1, CANVAS, 0}, key, a);
    at_philox((uint32_t[]){(uint32_t)number, 2 * index + 2, CANVAS, 0}, key, b);
    size_t other = below(a[0], c->count - 1);
    other += other >= number;
    size_t y = below(a[1], c->height - c->piece + 1), x = below(a[2], c->width - c->piece + 1);
    const uint8_t *from = c->pictures + ((other * c->height + y) * c->width + x) * c->channels;
    add_pixels(c, from, c->piece, c->piece, (int64_t)below(b[0], at_canvas_width(c) - c->piece + 1),
               (int64_t)below(b[1], at_canvas_height(c) - c->piece + 1), out);
}

void at_canvas_draw(const at_canvas *c, size_t number, const uint32_t key[2], uint8_t *out)
{
    size_t height = at_canvas_height(c), width = at_canvas_width(c);
    size_t free_x = c->size ? width - c->width : 2 * c->shift,
           free_y = c->size ? height - c->height : 2 * c->shift;
    int64_t shift = c->size ? 0 : (int64_t)c->shift;
    uint32_t word[4];
    at_philox((uint32_t[]){(uint32_t)number, 0, CANVAS, 0}, key, word);
    memset(out, 0, height * width * c->channels);
    int64_t left = (int64_t)below(word[0], free_x + 1) - shift,
            top = (int64_t)below(word[1], free_y + 1) - shift;
    if (c->turn > 0 || c->grow > 0)
        add_turned(c, number, key, left, top, out);
    else
        add_pixels(c, c->pictures + number * c->height * c->width * c->channels, c->height, c->width, left,
                   top, out);
    for (uint32_t i = 0; i < c->clutter; i++)
        add_piece(c, number, i, key, out);
}
