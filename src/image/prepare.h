/* image/prepare.h - from a set and a number to the floats a model takes.
 *
 * Role    One function for training, validation and classifying: finds the picture in the cache or decodes it
 *         (at reduced scale where that is enough), brings it to its working size, and makes numbers of it,
 *         with augmentation or from its middle. The same floats with and without a cache, from any thread.
 * Owns    Nothing.
 * Shapes  pixels (height, width, channels).
 * Errors  Those of image.h, which name file and reason: the caller decides whether a broken file is skipped
 *         and counted or ends the work. Any number of threads at once on one set and cache.
 *
 *     at_prepare how = AT_PREPARE_DEFAULTS;
 *     how.width = how.height = 224;
 *     at_augment_key key = {.seed = seed, .epoch = epoch, .example = i};
 *     at_status st = at_prepare_picture(&set, i, &how, &augment, key, cache, pixels);   // training
 *     st = at_prepare_picture(&set, i, &how, NULL, key, NULL, pixels);                  // validation
 */
#ifndef AT_IMAGE_PREPARE_H
#define AT_IMAGE_PREPARE_H
#include "image/augment.h"
#include "image/cache.h"
#include "image/canvas.h"
#include "image/folder.h"

typedef enum at_fit {
    AT_FIT_CROP,    /* the middle part of the result's shape, `middle` of it; the rest is cut off */
    AT_FIT_STRETCH, /* all of the picture, its shape lost: Hugging Face's ViT */
} at_fit;
#define AT_FIT_CHOICES "crop|stretch"

/* Of IDX, each picture anew: where it lies, what else is there (image/canvas.h). */
typedef struct at_placing {
    bool canvas;           /* anywhere on an empty picture of the model's size, not brought to that size */
    size_t clutter, piece; /* with pieces of other pictures; without augmentation always the same ones */
    size_t shift;          /* while training, instead of augmentation: moved, turned, grown */
    double turn, grow;
} at_placing;

typedef struct at_prepare {
    size_t width, height, channels; /* what the model takes */
    float mean[3], deviation[3];    /* of values 0 … 1 */
    at_resample resample;
    at_fit fit;        /* without augmentation */
    double middle;     /* (0 … 1] of the largest middle part */
    double spare;      /* pictures are kept at this many times the model's size, so that crops of a part stay
                          sharp; 1 is the smallest */
    size_t max_pixels; /* of a file; 0: AT_IMAGE_MAX_PIXELS */
    at_placing placing;
} at_prepare;

#define AT_PREPARE_DEFAULTS                                                     \
    {                                                                           \
        .width = 224, .height = 224, .channels = 3, .mean = {0.5f, 0.5f, 0.5f}, \
        .deviation = {0.5f, 0.5f, 0.5f}, .middle = 1.0, .spare = 1.25           \
    }

/* AT_EARG for placing that does not suit the set. */
at_status at_prepare_check(const at_picture_set *set, const at_prepare *how);
/* augment NULL: none, and the key is not looked at. cache NULL: none. */
at_status at_prepare_picture(const at_picture_set *set, size_t index, const at_prepare *how,
                             const at_augment_options *augment, at_augment_key key, at_image_cache *cache,
                             float *pixels);
/* The picture at its working size, upright, before anything random; the caller frees it. */
at_status at_prepare_load(const at_picture_set *set, size_t index, const at_prepare *how, at_image *image);
/* Which part of a picture a model sees without augmentation, in its pixels; for what is drawn on it. */
at_box at_prepare_seen(const at_prepare *how, const at_image *image);
/* A picture at hand, without augmentation. */
at_status at_prepare_image(const at_image *image, const at_prepare *how, float *pixels);
#endif
