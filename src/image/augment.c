#include "image/augment.h"
#include <math.h>

#define ROW(key, type, initial, low, high, help)                                      \
    {                                                                                 \
#key, type, offsetof(at_augment_options, key), initial, low, high, NULL, help \
    }
#define REAL(key, initial, low, high, help) ROW(key, AT_FIELD_REAL, initial, low, high, help)

const at_field at_augment_fields[] = {
    REAL(crop_least, "0.35", 0.01, 1, "smallest part of a picture's area that a random crop keeps"),
    REAL(crop_most, "1", 0.01, 1, "largest part; both 1: the middle, not at random"),
    REAL(crop_ratio, "1.3333", 1, 10,
         "crops are up to this many times as wide or as high as the model's shape"),
    REAL(flip, "0.5", 0, 1, "probability of a picture being mirrored, left to right"),
    REAL(brightness, "0", 0, 1, "brightness is changed by a factor of 1 - x to 1 + x"),
    REAL(contrast, "0", 0, 1, "contrast likewise"),
    REAL(saturation, "0", 0, 1, "saturation likewise"),
    REAL(hue, "0", 0, 0.5, "colours turn by up to this part of the circle"),
    ROW(rand_augment, AT_FIELD_INT, "0", 0, 16, "operations of RandAugment a picture; 0: none"),
    REAL(magnitude, "9", 0, 10, "how strong those are"),
    REAL(erase, "0", 0, 1, "probability of a part being replaced by noise"),
    REAL(erase_least, "0.02", 0.001, 1, "smallest part of the area"),
    REAL(erase_most, "0.33", 0.001, 1, "largest part of the area"),
    REAL(erase_ratio, "3.3", 1, 100,
         "that part is up to this many times as wide as high, or as high as wide"),
    REAL(mixup, "0", 0, 100, "alpha of mixup's Beta distribution; 0: no mixup"),
    REAL(cutmix, "0", 0, 100, "alpha of cutmix's; both above 0: each batch is mixed in one of the two ways"),
    REAL(mix, "1", 0, 1, "probability of a batch being mixed"),
    {0}};

at_rng at_augment_rng(at_augment_key key)
{
    return at_rng_make(key.seed ^ (key.epoch + 1) * 0x9e3779b97f4a7c15u ^
                           (key.example + 1) * 0xd1b54a32d192ed03u,
                       AT_RNG_AUGMENT);
}

static double between(at_rng *rng, double low, double high)
{
    return low + (high - low) * (double)at_rng_uniform(rng);
}

/* Evenly on a scale of logarithms, between 1/ratio and ratio. */
static double random_ratio(at_rng *rng, double ratio)
{
    return exp(between(rng, -log(ratio), log(ratio)));
}

at_box at_random_crop(const at_image *image, const at_augment_options *options, double shape, at_rng *rng)
{
    const at_augment_options *o = options;
    double w = (double)image->width, h = (double)image->height;
    bool fixed = o->crop_least >= 1.0 && o->crop_most >= 1.0;
    for (int attempt = 0; attempt < 10 && !fixed; attempt++) {
        double area = w * h * between(rng, fmin(o->crop_least, o->crop_most), o->crop_most);
        double ratio = shape * random_ratio(rng, o->crop_ratio);
        double cw = fmax(round(sqrt(area * ratio)), 1.0), ch = fmax(round(sqrt(area / ratio)), 1.0);
        if (cw > w || ch > h)
            continue;
        double left = at_rng_below(rng, (uint32_t)(w - cw) + 1),
               top = at_rng_below(rng, (uint32_t)(h - ch) + 1);
        return (at_box){.left = left, .top = top, .width = cw, .height = ch};
    }
    double bw = fmin(w, h * shape), bh = fmin(h, w / shape);
    return (at_box){.left = (w - bw) / 2, .top = (h - bh) / 2, .width = bw, .height = bh};
}

static at_status rand_augment(at_image *image, const at_augment_options *o, at_rng *rng)
{
    at_status st = AT_OK;
    for (int64_t i = 0; st == AT_OK && i < o->rand_augment; i++) {
        at_augment_op op = (at_augment_op)at_rng_below(rng, AT_AUGMENT_OPS);
        bool minus = at_rng_below(rng, 2) == 1;
        st = at_augment_apply(image, op, o->magnitude / 10.0, minus);
    }
    return st;
}

static double random_factor(at_rng *rng, double by)
{
    return between(rng, 1.0 - by, 1.0 + by);
}

/* The four changes in random order, each drawn whether it is wanted or not, so that one option leaves the
 * others' numbers alone. */
static void jitter(at_image *image, const at_augment_options *o, at_rng *rng)
{
    uint32_t order[4] = {0, 1, 2, 3};
    if (o->brightness <= 0.0 && o->contrast <= 0.0 && o->saturation <= 0.0 && o->hue <= 0.0)
        return;
    at_rng_shuffle(rng, order, 4);
    double brightness = random_factor(rng, o->brightness), contrast = random_factor(rng, o->contrast);
    double saturation = random_factor(rng, o->saturation), hue = between(rng, -o->hue, o->hue);
    for (int i = 0; i < 4; i++) {
        if (order[i] == 0 && o->brightness > 0.0)
            at_image_brightness(image, brightness);
        else if (order[i] == 1 && o->contrast > 0.0)
            at_image_contrast(image, contrast);
        else if (order[i] == 2 && o->saturation > 0.0)
            at_image_saturation(image, saturation);
        else if (order[i] == 3 && o->hue > 0.0)
            at_image_hue(image, hue);
    }
}

void at_image_floats(const at_image *image, const float *mean, const float *deviation, float *pixels)
{
    float table[3][256];
    size_t c = image->channels, bytes = at_image_bytes(image);
    for (size_t k = 0; k < c; k++)
        for (int v = 0; v < 256; v++)
            table[k][v] = ((float)v / 255.0f - mean[k]) / deviation[k];
    for (size_t i = 0; i < bytes; i += c)
        for (size_t k = 0; k < c; k++)
            pixels[i + k] = table[k][image->pixels[i + k]];
}

void at_random_erase(float *pixels, size_t height, size_t width, size_t channels,
                     const at_augment_options *options, at_rng *rng)
{
    const at_augment_options *o = options;
    if (o->erase <= 0.0 || (double)at_rng_uniform(rng) >= o->erase)
        return;
    for (int attempt = 0; attempt < 10; attempt++) {
        double area =
            (double)(height * width) * between(rng, fmin(o->erase_least, o->erase_most), o->erase_most);
        double ratio = random_ratio(rng, o->erase_ratio);
        size_t w = (size_t)lround(sqrt(area * ratio)), h = (size_t)lround(sqrt(area / ratio));
        if (!w || !h || w > width || h > height)
            continue;
        size_t left = at_rng_below(rng, (uint32_t)(width - w + 1));
        size_t top = at_rng_below(rng, (uint32_t)(height - h + 1));
        for (size_t y = top; y < top + h; y++)
            for (size_t i = 0; i < w * channels; i++)
                pixels[(y * width + left) * channels + i] = at_rng_normal(rng);
        return;
    }
}

at_status at_augment(const at_image *image, const at_augment_options *options, at_augment_key key,
                     size_t width, size_t height, at_resample resample, const float *mean,
                     const float *deviation, float *pixels)
{
    at_rng rng = at_augment_rng(key);
    at_image part;
    at_box box = at_random_crop(image, options, (double)width / (double)height, &rng);
    at_status st = at_image_resize(image, &box, width, height, resample, &part);
    if (st != AT_OK)
        return st;
    if ((double)at_rng_uniform(&rng) < options->flip)
        at_image_flip(&part);
    st = rand_augment(&part, options, &rng);
    if (st == AT_OK) {
        jitter(&part, options, &rng);
        at_image_floats(&part, mean, deviation, pixels);
        at_random_erase(pixels, height, width, part.channels, options, &rng);
    }
    at_image_free(&part);
    return st;
}
