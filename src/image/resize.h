/* image/resize.h - another size for a picture, or for a part of it.
 *
 * Role    Two passes, across and down, each output pixel a weighted mean of those below it; the weights of a
 *         row are worked out once. Where the picture shrinks, the filter widens with it: nothing is skipped.
 * Owns    Nothing; the result is the caller's.
 * Shapes  from (H, W, C), box within it -> to (height, width, C).
 * Errors  AT_EARG for a box outside the picture or a size of 0; AT_ENOMEM. Any thread, each its own pictures.
 *
 *     at_image small = {0};
 *     at_status st = at_image_resize(&image, NULL, 224, 224, AT_RESAMPLE_BICUBIC, &small);
 *     at_box part = {.left = 10, .top = 0, .width = 100, .height = 50};    // rectangles as well
 */
#ifndef AT_IMAGE_RESIZE_H
#define AT_IMAGE_RESIZE_H
#include "image/image.h"

typedef enum at_resample {
    AT_RESAMPLE_BICUBIC,  /* Keys 1981 with a = -0.5, as Pillow's; results within 1 of 255 of Pillow's */
    AT_RESAMPLE_BILINEAR, /* triangle, as Pillow's */
    AT_RESAMPLE_AREA,     /* each pixel counts as much as it is covered */
} at_resample;
#define AT_RESAMPLE_CHOICES "bicubic|bilinear|area"

typedef struct at_box {
    double left, top, width, height; /* in pixels, fractions too */
} at_box;

/* box NULL: all of it. `to` may be a picture only if it is not `from`. */
at_status at_image_resize(const at_image *from, const at_box *box, size_t width, size_t height,
                          at_resample resample, at_image *to);
/* A part as it is. AT_EARG when it is not within the picture. */
at_status at_image_crop(const at_image *from, size_t left, size_t top, size_t width, size_t height,
                        at_image *to);
/* The largest part in the middle that has the shape width : height, times `part` (0 … 1]. */
at_box at_image_middle(const at_image *image, size_t width, size_t height, double part);
/* In place, so that the shorter side is `side`; a picture whose side is not longer stays as it is. */
at_status at_image_shrink(at_image *image, size_t side, at_resample resample);
#endif
