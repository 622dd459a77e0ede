/* image/augment.h - pictures changed at random while training, always the same for (seed, epoch, example).
 *
 * Role    Random resized crop, flip, RandAugment, colour jitter, then numbers, then random erasing: in this
 *         order (at_augment). Mixup and cutmix go over a batch afterwards (at_mix).
 * Owns    Nothing.
 * Shapes  A picture (H, W, C) of bytes in; (height, width, C) floats out. A batch (B, H, W, C) of floats.
 * Errors  AT_ENOMEM. Any thread, each its own pictures: what comes out depends on the key alone.
 *
 *     at_augment_options o;
 *     at_fields_default(at_augment_fields, &o);
 *     at_augment_key key = {.seed = 1, .epoch = epoch, .example = i};
 *     at_status st = at_augment(&image, &o, key, 224, 224, AT_RESAMPLE_BICUBIC, mean, deviation, pixels);
 *
 * Papers: Szegedy et al. 2015, "Going Deeper with Convolutions" (crops); Cubuk et al. 2020, "RandAugment",
 * arXiv:1909.13719; Zhong et al. 2020, "Random Erasing Data Augmentation", arXiv:1708.04896; Zhang et al.
 * 2018, "mixup", arXiv:1710.09412; Yun et al. 2019, "CutMix", arXiv:1905.04899.
 */
#ifndef AT_IMAGE_AUGMENT_H
#define AT_IMAGE_AUGMENT_H
#include "base/field.h"
#include "base/rng.h"
#include "image/resize.h"

typedef struct at_augment_options {
    double crop_least, crop_most; /* part of the picture's area; both 1: the middle, not at random */
    double crop_ratio;            /* width : height between 1/ratio and ratio of the result's */
    double flip;                  /* probability */
    double brightness, contrast, saturation; /* factors between 1 - x and 1 + x */
    double hue;                              /* turns by up to this part of the circle, 0 … 0.5 */
    int64_t rand_augment;                    /* operations a picture; 0: none */
    double magnitude;                        /* their strength, 0 … 10 */
    double erase;                            /* probability */
    double erase_least, erase_most,
        erase_ratio;      /* part of the area; width : height between 1/ratio and ratio */
    double mixup, cutmix; /* alpha of the Beta distribution; 0: not done */
    double mix;           /* probability that a batch is mixed at all */
} at_augment_options;

extern const at_field at_augment_fields[]; /* the recipe's section "augment"; by default crops and flips */

typedef struct at_augment_key {
    uint64_t seed, epoch, example;
} at_augment_key;

at_rng at_augment_rng(at_augment_key key);

/* Training's way from a picture to numbers: everything above but mixing. mean, deviation (C) of 0 … 1. */
at_status at_augment(const at_image *image, const at_augment_options *options, at_augment_key key,
                     size_t width, size_t height, at_resample resample, const float *mean,
                     const float *deviation, float *pixels);

/* (H, W, C) bytes -> floats, (value/255 - mean[c]) / deviation[c]. */
void at_image_floats(const at_image *image, const float *mean, const float *deviation, float *pixels);

/* --- The single steps, for tests and for recipes of other kinds ------------------------------- */

at_box at_random_crop(const at_image *image, const at_augment_options *options, double shape, at_rng *rng);
void at_image_flip(at_image *image); /* left to right */
/* factor 1 leaves a picture as it is, 0 makes it black, grey, of one grey, smooth. */
void at_image_brightness(at_image *image, double factor);
void at_image_saturation(at_image *image, double factor);
void at_image_contrast(at_image *image, double factor);
at_status at_image_sharpness(at_image *image, double factor);
void at_image_hue(at_image *image, double turn); /* -0.5 … 0.5 of the circle; grey pictures have none */
void at_image_autocontrast(at_image *image);
void at_image_equalize(at_image *image);
void at_image_posterize(at_image *image, int bits);     /* 1 … 8 bits a channel stay */
void at_image_solarize(at_image *image, int threshold); /* values from it on are inverted; 256: none */
/* Pixel (x, y) shows what was at (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]), bilinear, counted from the
 * picture's middle; grey (128) where nothing was. */
at_status at_image_affine(at_image *image, const double m[6]);

typedef enum at_augment_op {
    AT_OP_IDENTITY,
    AT_OP_ROTATE,
    AT_OP_SHEAR_X,
    AT_OP_SHEAR_Y,
    AT_OP_TRANSLATE_X,
    AT_OP_TRANSLATE_Y,
    AT_OP_AUTOCONTRAST,
    AT_OP_EQUALIZE,
    AT_OP_POSTERIZE,
    AT_OP_SOLARIZE,
    AT_OP_COLOUR,
    AT_OP_CONTRAST,
    AT_OP_BRIGHTNESS,
    AT_OP_SHARPNESS,
    AT_AUGMENT_OPS
} at_augment_op;

/* level 0 … 1 of the operation's range; `minus`: the other direction, where it has two. */
at_status at_augment_apply(at_image *image, at_augment_op op, double level, bool minus);
void at_random_erase(float *pixels, size_t height, size_t width, size_t channels,
                     const at_augment_options *options, at_rng *rng);

/* --- A batch ---------------------------------------------------------------------------------- */

typedef struct at_mix_batch {
    float *pixels; /* (count, height, width, channels) */
    size_t count, height, width, channels;
    const int32_t *labels; /* (count) */
    size_t classes;
    float *shares; /* (count, classes), all of it written */
} at_mix_batch;

/* Mixes picture i with picture count-1-i (a shuffled batch pairs at random), in place: shares say how much of
 * each class is left. key.example: the batch's number. False: this batch stays as it is, each share 1. */
bool at_mix(const at_mix_batch *batch, const at_augment_options *options, at_augment_key key);
#endif
