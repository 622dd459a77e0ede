/* image/image.h - a picture as bytes, read from JPEG or PNG.
 *
 * Role    Decodes what the first bytes say a file is, whatever its name; turns it upright (EXIF); brings it
 *         to grey or RGB of 8 bits. A large JPEG may come at a reduced scale, in a fraction of the time.
 * Owns    at_image its pixels: at_image_free. Zero-initialise; a reader that fails leaves it empty.
 * Shapes  pixels (H, W, C), C 1 or 3, rows from the top.
 * Errors  All name the file. AT_EIO; AT_EFORMAT: no picture (and what it is instead), broken, cut short, or
 *         more than max_pixels; AT_ENOSUP: a build without libjpeg or libpng; AT_ENOMEM. Nothing is allocated
 *         for a size above max_pixels that a file claims. Any thread may read, each its own pictures.
 *
 *     at_image image = {0};
 *     at_image_options options = {.channels = 3, .at_least = 224};
 *     at_status st = at_image_read("photo.jpg", &options, &image);   // upright; may be reduced
 *     at_image_free(&image);
 *
 * CMYK and YCCK become RGB without a colour profile; what is transparent lies on white; 16 bits are rounded
 * to 8; gamma and colour profiles are left alone, as the common training loaders do.
 */
#ifndef AT_IMAGE_IMAGE_H
#define AT_IMAGE_IMAGE_H
#include "base/buf.h"

enum { AT_IMAGE_MAX_PIXELS = 100 * 1000 * 1000 };

typedef struct at_image {
    size_t width, height;
    size_t channels; /* 1 grey, 3 RGB */
    uint8_t *pixels; /* (H, W, C) */
} at_image;

typedef struct at_image_options {
    size_t channels;   /* 1 or 3; 0: 1 for a grey file, 3 for all others */
    size_t max_pixels; /* a file that says it has more is refused; 0: AT_IMAGE_MAX_PIXELS */
    size_t at_least; /* a JPEG may be read at 1/2, 1/4 or 1/8 as long as its shorter side stays at least this;
                          0: always whole */
} at_image_options;

typedef enum at_image_kind { AT_IMAGE_OTHER, AT_IMAGE_JPEG, AT_IMAGE_PNG } at_image_kind;

typedef struct at_image_info {
    at_image_kind kind;
    size_t width, height; /* upright */
    size_t channels;      /* 1 or 3, as options.channels 0 would yield */
    int orientation;      /* EXIF's 1 … 8; 1: as stored */
} at_image_info;

/* An empty picture of this size, its pixels not set. */
at_status at_image_new(size_t width, size_t height, size_t channels, at_image *image);
at_status at_image_copy(const at_image *from, at_image *to);
void at_image_free(at_image *image);
static inline size_t at_image_bytes(const at_image *image)
{
    return image->width * image->height * image->channels;
}

/* options NULL: whole, as the file has it. */
at_status at_image_read(const char *path, const at_image_options *options, at_image *image);
/* `name` stands in messages. */
at_status at_image_read_memory(const void *bytes, size_t length, const char *name,
                               const at_image_options *options, at_image *image);
/* Size and orientation from the file's head, without decoding. */
at_status at_image_probe(const char *path, at_image_info *info);
at_status at_image_probe_memory(const void *bytes, size_t length, const char *name, at_image_info *info);

/* What the bytes are, for people: "a JPEG picture", "a WebP picture", "text", "an empty file". */
const char *at_image_what(const void *bytes, size_t length);

/* Grey to RGB or back (Rec. 601 luma), in a new block. The same channels: nothing is done. */
at_status at_image_to_channels(at_image *image, size_t channels);
/* Turns and mirrors by EXIF's number, so that what is stored stands upright. */
at_status at_image_orient(at_image *image, int orientation);

/* As PNG behind what `out` holds; the file is written whole or not at all. */
at_status at_image_encode_png(const at_image *image, at_buf *out);
at_status at_image_write_png(const at_image *image, const char *path);

/* Versions of the libraries in this build, or NULL. */
const char *at_image_jpeg_library(void);
const char *at_image_png_library(void);
#endif
