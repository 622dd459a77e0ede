#include "image/resize.h"
#include <math.h>
#include <string.h>
#include "base/memory.h"

/* Three channels and one lane to spare: a pixel is one vector, whatever the machine. */
typedef float lanes __attribute__((vector_size(16)));

/* Which inputs each output is made of, and how much each counts; their sum is 1. */
typedef struct taps {
    size_t count, most; /* outputs; inputs of one output at most */
    size_t *first, *used;
    float *weight; /* (count, most) */
} taps;

static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static void taps_free(taps *t)
{
    at_free(t->first);
    at_free(t->used);
    at_free(t->weight);
    *t = (taps){0};
}

static at_status taps_alloc(taps *t, size_t count, size_t most)
{
    size_t weights;
    *t = (taps){.count = count, .most = most};
    t->first = at_alloc_array(count, sizeof *t->first);
    t->used = at_alloc_array(count, sizeof *t->used);
    if (!at_mul_ok(count, most, &weights))
        weights = SIZE_MAX;
    t->weight = at_alloc_array(weights, sizeof *t->weight);
    if (t->first && t->used && t->weight)
        return AT_OK;
    taps_free(t);
    return AT_ENOMEM;
}

/* How much input pixel `at` counts for the output whose share of the input is [begin, begin + scale). */
static double weight_of(at_resample resample, double at, double begin, double scale)
{
    double wide = scale > 1.0 ? scale : 1.0;
    if (resample == AT_RESAMPLE_AREA)
        return fmax(0.0, fmin(at + 1.0, begin + scale) - fmax(at, begin));
    double x = (at + 0.5 - (begin + 0.5 * scale)) / wide;
    return resample == AT_RESAMPLE_BICUBIC ? bicubic(x) : triangle(x);
}

/* The part [from, from + length) of `size` inputs becomes `count` outputs. */
static at_status taps_make(taps *t, at_resample resample, size_t size, double from, double length,
                           size_t count)
{
    double scale = length / (double)count, wide = scale > 1.0 ? scale : 1.0;
    double reach = resample == AT_RESAMPLE_AREA      ? 0.5 * scale
                   : resample == AT_RESAMPLE_BICUBIC ? 2 * wide
                                                     : wide;
    at_status st = taps_alloc(t, count, (size_t)ceil(2.0 * reach) + 2);
    for (size_t i = 0; st == AT_OK && i < count; i++) {
        double begin = from + (double)i * scale, middle = begin + 0.5 * scale;
        double low = floor(fmax(middle - reach, 0.0)), high = ceil(fmin(middle + reach, (double)size));
        size_t first = (size_t)low < size ? (size_t)low : size - 1;
        size_t used = high > low + 1.0 ? (size_t)(high - low) : 1;
        used = used < size - first ? used : size - first;
        AT_ASSERT(used <= t->most);
        float *w = t->weight + i * t->most;
        double sum = 0.0;
        for (size_t k = 0; k < used; k++)
            sum += weight_of(resample, (double)(first + k), begin, scale);
        for (size_t k = 0; k < used; k++)
            w[k] = sum > 0.0 ? (float)(weight_of(resample, (double)(first + k), begin, scale) / sum)
                             : 1.0f / (float)used;
        t->first[i] = first;
        t->used[i] = used;
    }
    return st;
}

static void spread(const uint8_t *row, size_t width, size_t channels, lanes *to)
{
    if (channels == 3)
        for (size_t x = 0; x < width; x++)
            to[x] = (lanes){row[3 * x], row[3 * x + 1], row[3 * x + 2], 0.0f};
    else
        for (size_t x = 0; x < width; x++)
            to[x] = (lanes){row[x], 0.0f, 0.0f, 0.0f};
}

static uint8_t whole(float v)
{
    return (uint8_t)(v < 0.0f ? 0.0f : v > 255.0f ? 255.0f : v);
}

/* Between the passes values are bytes, as Pillow's are: what shoots over is cut off at once. */
static void across(const taps *t, const lanes *row, size_t channels, float *out)
{
    for (size_t i = 0; i < t->count; i++) {
        const lanes *in = row + t->first[i];
        const float *w = t->weight + i * t->most;
        lanes sum = {0};
        for (size_t k = 0; k < t->used[i]; k++)
            sum += in[k] * w[k];
        for (size_t c = 0; c < channels; c++)
            out[i * channels + c] = (float)whole(sum[c] + 0.5f);
    }
}

static void down(const float *rows, const float *w, size_t used, size_t width, float *sum, uint8_t *out)
{
    for (size_t i = 0; i < width; i++)
        sum[i] = 0.5f; /* rounds */
    for (size_t k = 0; k < used; k++) {
        const float *row = rows + k * width;
        float weight = w[k];
        size_t i = 0;
        for (; i + 4 <= width; i += 4) {
            lanes a, b;
            memcpy(&a, sum + i, sizeof a);
            memcpy(&b, row + i, sizeof b);
            a += b * weight;
            memcpy(sum + i, &a, sizeof a);
        }
        for (; i < width; i++)
            sum[i] += row[i] * weight;
    }
    for (size_t i = 0; i < width; i++)
        out[i] = whole(sum[i]);
}

/* Rows that some output needs, brought to the new width, then down. */
static at_status two_passes(const at_image *from, const taps *x, const taps *y, at_image *to)
{
    size_t top = SIZE_MAX, bottom = 0, width = to->width * to->channels;
    for (size_t i = 0; i < y->count; i++) {
        top = y->first[i] < top ? y->first[i] : top;
        bottom = y->first[i] + y->used[i] > bottom ? y->first[i] + y->used[i] : bottom;
    }
    size_t floats;
    lanes *row = at_alloc_aligned(from->width, sizeof *row);
    float *rows = at_mul_ok(bottom - top + 1, width, &floats) ? at_alloc_array(floats, sizeof *rows) : NULL;
    at_status st = row && rows ? AT_OK : AT_ENOMEM;
    if (st == AT_OK) {
        for (size_t i = top; i < bottom; i++) {
            spread(from->pixels + i * from->width * from->channels, from->width, from->channels, row);
            across(x, row, to->channels, rows + (i - top) * width);
        }
        float *sum = rows + (bottom - top) * width;
        for (size_t i = 0; i < y->count; i++)
            down(rows + (y->first[i] - top) * width, y->weight + i * y->most, y->used[i], width, sum,
                 to->pixels + i * width);
    }
    at_free_aligned(row);
    at_free(rows);
    return st;
}

at_status at_image_resize(const at_image *from, const at_box *box, size_t width, size_t height,
                          at_resample resample, at_image *to)
{
    at_box all = {.width = (double)from->width, .height = (double)from->height};
    const at_box *b = box ? box : &all;
    const double slack = 1e-6;
    *to = (at_image){0};
    if (!width || !height || !(b->width > 0.0) || !(b->height > 0.0) || !(b->left >= 0.0) ||
        !(b->top >= 0.0) || !(b->left + b->width <= all.width + slack) ||
        !(b->top + b->height <= all.height + slack))
        return at_fail(AT_EARG, "part %g, %g, %g x %g of a picture of %zu x %zu to %zu x %zu: not possible",
                       b->left, b->top, b->width, b->height, from->width, from->height, width, height);
    bool whole = b->left == 0.0 && b->top == 0.0 && b->width == all.width && b->height == all.height;
    if (whole && width == from->width && height == from->height)
        return at_image_copy(from, to);
    taps x = {0}, y = {0};
    at_status st = taps_make(&x, resample, from->width, b->left, b->width, width);
    if (st == AT_OK)
        st = taps_make(&y, resample, from->height, b->top, b->height, height);
    if (st == AT_OK)
        st = at_image_new(width, height, from->channels, to);
    if (st == AT_OK)
        st = two_passes(from, &x, &y, to);
    if (st != AT_OK)
        at_image_free(to);
    taps_free(&x);
    taps_free(&y);
    return st;
}

at_status at_image_crop(const at_image *from, size_t left, size_t top, size_t width, size_t height,
                        at_image *to)
{
    *to = (at_image){0};
    if (!width || !height || left > from->width || width > from->width - left || top > from->height ||
        height > from->height - top)
        return at_fail(AT_EARG, "part %zu, %zu, %zu x %zu of a picture of %zu x %zu: not within it", left,
                       top, width, height, from->width, from->height);
    at_status st = at_image_new(width, height, from->channels, to);
    size_t stride = from->width * from->channels, bytes = width * from->channels;
    for (size_t y = 0; st == AT_OK && y < height; y++)
        memcpy(to->pixels + y * bytes, from->pixels + (top + y) * stride + left * from->channels, bytes);
    return st;
}

at_box at_image_middle(const at_image *image, size_t width, size_t height, double part)
{
    double w = (double)image->width, h = (double)image->height, shape = (double)width / (double)height;
    double bw = fmin(w, h * shape) * part, bh = fmin(h, w / shape) * part;
    return (at_box){.left = (w - bw) / 2, .top = (h - bh) / 2, .width = bw, .height = bh};
}

at_status at_image_shrink(at_image *image, size_t side, at_resample resample)
{
    size_t shorter = image->width < image->height ? image->width : image->height;
    if (shorter <= side)
        return AT_OK;
    double by = (double)side / (double)shorter;
    size_t width = (size_t)lround((double)image->width * by),
           height = (size_t)lround((double)image->height * by);
    at_image small;
    at_status st = at_image_resize(image, NULL, width, height, resample, &small);
    if (st != AT_OK)
        return st;
    at_image_free(image);
    *image = small;
    return AT_OK;
}
