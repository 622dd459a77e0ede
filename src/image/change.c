/* The single changes of augment.h that look at bytes only. */
#include <math.h>
#include <string.h>
#include "base/memory.h"
#include "image/augment.h"

static uint8_t byte_of(double v)
{
    double up = v + 0.5;
    return (uint8_t)(up <= 0.0 ? 0.0 : up >= 255.0 ? 255.0 : up);
}

static double luma(const uint8_t *p)
{
    return 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
}

static void look_up(at_image *image, const uint8_t table[256])
{
    for (size_t i = 0, n = at_image_bytes(image); i < n; i++)
        image->pixels[i] = table[image->pixels[i]];
}

void at_image_flip(at_image *image)
{
    size_t w = image->width, c = image->channels;
    for (size_t y = 0; y < image->height; y++) {
        uint8_t *row = image->pixels + y * w * c, kept[3];
        for (size_t x = 0; x < w / 2; x++) {
            uint8_t *a = row + x * c, *b = row + (w - 1 - x) * c;
            memcpy(kept, a, c);
            memcpy(a, b, c);
            memcpy(b, kept, c);
        }
    }
}

/* --- Light and colour -------------------------------------------------------------------------- */

/* factor of each value's distance from `from` is kept. */
static void pull(at_image *image, double from, double factor)
{
    uint8_t table[256];
    for (int v = 0; v < 256; v++)
        table[v] = byte_of(from + factor * (v - from));
    look_up(image, table);
}

void at_image_brightness(at_image *image, double factor)
{
    pull(image, 0.0, factor);
}

void at_image_contrast(at_image *image, double factor)
{
    double sum = 0.0;
    size_t pixels = image->width * image->height;
    for (size_t i = 0; i < pixels; i++)
        sum += image->channels == 3 ? luma(image->pixels + 3 * i) : image->pixels[i];
    pull(image, pixels ? floor(sum / (double)pixels + 0.5) : 0.0, factor);
}

void at_image_saturation(at_image *image, double factor)
{
    if (image->channels != 3)
        return;
    for (size_t i = 0, n = image->width * image->height; i < n; i++) {
        uint8_t *p = image->pixels + 3 * i;
        double grey = luma(p);
        for (size_t c = 0; c < 3; c++)
            p[c] = byte_of(grey + factor * (p[c] - grey));
    }
}

at_status at_image_sharpness(at_image *image, double factor)
{
    size_t w = image->width, h = image->height, c = image->channels, stride = w * c;
    at_image from;
    if (w < 3 || h < 3)
        return AT_OK;
    at_status st = at_image_copy(image, &from);
    if (st != AT_OK)
        return st;
    for (size_t y = 1; y + 1 < h; y++) {
        for (size_t x = c; x < stride - c; x++) {
            const uint8_t *p = from.pixels + y * stride + x, *above = p - stride, *below = p + stride;
            int ring = above[-(ptrdiff_t)c] + above[0] + above[c] + p[-(ptrdiff_t)c] + p[c] +
                       below[-(ptrdiff_t)c] + below[0] + below[c];
            double smooth = (ring + 5 * p[0]) / 13.0;
            image->pixels[y * stride + x] = byte_of(smooth + factor * (p[0] - smooth));
        }
    }
    at_image_free(&from);
    return AT_OK;
}

/* Around the circle of colours, each pixel's largest and smallest channel as before. */
static void turn_hue(uint8_t *p, double turn)
{
    double r = p[0], g = p[1], b = p[2], most = fmax(r, fmax(g, b)), span = most - fmin(r, fmin(g, b));
    if (span <= 0.0)
        return;
    double hue = most == r ? (g - b) / span : most == g ? 2.0 + (b - r) / span : 4.0 + (r - g) / span;
    hue = hue / 6.0 + turn;
    hue = 6.0 * (hue - floor(hue)); /* [0, 6) */
    for (int c = 0; c < 3; c++) {
        /* How far round the circle the channel's own colour lies: 0 at 3, 1 within 1 of it. */
        double away = fabs(hue - 2.0 * c);
        away = away > 3.0 ? 6.0 - away : away;
        double share = away <= 1.0 ? 1.0 : away >= 2.0 ? 0.0 : 2.0 - away;
        p[c] = byte_of(most - span * (1.0 - share));
    }
}

void at_image_hue(at_image *image, double turn)
{
    if (image->channels != 3 || turn == 0.0)
        return;
    for (size_t i = 0, n = image->width * image->height; i < n; i++)
        turn_hue(image->pixels + 3 * i, turn);
}

/* --- Values of one channel ---------------------------------------------------------------------- */

static void histogram(const at_image *image, size_t channel, size_t counts[256])
{
    memset(counts, 0, 256 * sizeof *counts);
    for (size_t i = channel, n = at_image_bytes(image); i < n; i += image->channels)
        counts[image->pixels[i]]++;
}

static void look_up_channel(at_image *image, size_t channel, const uint8_t table[256])
{
    for (size_t i = channel, n = at_image_bytes(image); i < n; i += image->channels)
        image->pixels[i] = table[image->pixels[i]];
}

void at_image_autocontrast(at_image *image)
{
    size_t counts[256];
    uint8_t table[256];
    for (size_t c = 0; c < image->channels; c++) {
        int low = 0, high = 255;
        histogram(image, c, counts);
        while (low < 255 && !counts[low])
            low++;
        while (high > 0 && !counts[high])
            high--;
        if (high <= low)
            continue;
        for (int v = 0; v < 256; v++)
            table[v] = byte_of(255.0 * (v - low) / (high - low));
        look_up_channel(image, c, table);
    }
}

/* As Pillow's ImageOps.equalize does it. */
void at_image_equalize(at_image *image)
{
    size_t counts[256];
    uint8_t table[256];
    for (size_t c = 0; c < image->channels; c++) {
        size_t sum = 0, last = 0, kinds = 0;
        histogram(image, c, counts);
        for (int v = 0; v < 256; v++) {
            sum += counts[v];
            kinds += counts[v] > 0;
            last = counts[v] ? counts[v] : last;
        }
        size_t step = (sum - last) / 255, n = step / 2;
        if (kinds < 2 || !step)
            continue;
        for (int v = 0; v < 256; v++) {
            table[v] = (uint8_t)(n / step > 255 ? 255 : n / step);
            n += counts[v];
        }
        look_up_channel(image, c, table);
    }
}

void at_image_posterize(at_image *image, int bits)
{
    uint8_t table[256];
    for (int v = 0; v < 256; v++)
        table[v] = (uint8_t)(v & (0xFF00 >> bits));
    look_up(image, table);
}

void at_image_solarize(at_image *image, int threshold)
{
    uint8_t table[256];
    for (int v = 0; v < 256; v++)
        table[v] = (uint8_t)(v >= threshold ? 255 - v : v);
    look_up(image, table);
}

/* --- Where pixels lie --------------------------------------------------------------------------- */

/* One channel's value between four pixels; those outside are grey. */
static double between(const at_image *image, double x, double y, size_t channel)
{
    double fx = x - floor(x), fy = y - floor(y), sum = 0.0;
    long left = (long)floor(x), top = (long)floor(y);
    for (int i = 0; i < 4; i++) {
        long px = left + (i & 1), py = top + (i >> 1);
        bool inside = px >= 0 && py >= 0 && px < (long)image->width && py < (long)image->height;
        double value = 128.0, weight = (i & 1 ? fx : 1.0 - fx) * (i >> 1 ? fy : 1.0 - fy);
        if (inside)
            value = image->pixels[((size_t)py * image->width + (size_t)px) * image->channels + channel];
        sum += weight * value;
    }
    return sum;
}

at_status at_image_affine(at_image *image, const double m[6])
{
    size_t w = image->width, h = image->height, c = image->channels;
    double cx = 0.5 * ((double)w - 1.0), cy = 0.5 * ((double)h - 1.0);
    at_image from;
    at_status st = at_image_copy(image, &from);
    if (st != AT_OK)
        return st;
    for (size_t y = 0; y < h; y++) {
        for (size_t x = 0; x < w; x++) {
            double dx = (double)x - cx, dy = (double)y - cy;
            double sx = m[0] * dx + m[1] * dy + m[2] + cx, sy = m[3] * dx + m[4] * dy + m[5] + cy;
            uint8_t *out = image->pixels + (y * w + x) * c;
            if (!(sx > -1.0 && sy > -1.0 && sx < (double)w && sy < (double)h)) {
                memset(out, 128, c);
                continue;
            }
            for (size_t i = 0; i < c; i++)
                out[i] = byte_of(between(&from, sx, sy, i));
        }
    }
    at_image_free(&from);
    return AT_OK;
}

at_status at_augment_apply(at_image *image, at_augment_op op, double level, bool minus)
{
    static const double largest_turn = 30.0 * 3.14159265358979323846 / 180.0, largest_shear = 0.3,
                        largest_shift = 0.45;
    double sign = minus ? -1.0 : 1.0, factor = 1.0 + sign * 0.9 * level, turn = sign * level * largest_turn;
    double shear = sign * level * largest_shear, shift = sign * level * largest_shift;
    double m[6] = {1, 0, 0, 0, 1, 0};
    switch (op) {
    case AT_OP_ROTATE:
        m[0] = m[4] = cos(turn);
        m[1] = -sin(turn);
        m[3] = sin(turn);
        return at_image_affine(image, m);
    case AT_OP_SHEAR_X:
        m[1] = shear;
        return at_image_affine(image, m);
    case AT_OP_SHEAR_Y:
        m[3] = shear;
        return at_image_affine(image, m);
    case AT_OP_TRANSLATE_X:
        m[2] = round(shift * (double)image->width);
        return at_image_affine(image, m);
    case AT_OP_TRANSLATE_Y:
        m[5] = round(shift * (double)image->height);
        return at_image_affine(image, m);
    case AT_OP_AUTOCONTRAST:
        at_image_autocontrast(image);
        break;
    case AT_OP_EQUALIZE:
        at_image_equalize(image);
        break;
    case AT_OP_POSTERIZE:
        at_image_posterize(image, 8 - (int)lround(4.0 * level));
        break;
    case AT_OP_SOLARIZE:
        at_image_solarize(image, 256 - (int)lround(256.0 * level));
        break;
    case AT_OP_COLOUR:
        at_image_saturation(image, factor);
        break;
    case AT_OP_CONTRAST:
        at_image_contrast(image, factor);
        break;
    case AT_OP_BRIGHTNESS:
        at_image_brightness(image, factor);
        break;
    case AT_OP_SHARPNESS:
        return at_image_sharpness(image, factor);
    case AT_OP_IDENTITY:
    case AT_AUGMENT_OPS:
        break;
    }
    return AT_OK;
}
