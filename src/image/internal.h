/* image/internal.h - what image's own files share and nobody else sees. */
#ifndef AT_IMAGE_INTERNAL_H
#define AT_IMAGE_INTERNAL_H
#include "image/image.h"

/* A file's bytes on their way through a decoder. */
typedef struct at_image_file {
    const unsigned char *bytes;
    size_t length;
    const char *name;
    at_image_options options; /* max_pixels and channels settled: no zero means "default" for the first */
} at_image_file;

/* `image` is as stored, not yet turned: info->orientation says how it lies. image NULL: only info, whose size
 * is as stored too. After an error `image` is empty. */
at_status at_jpeg_decode(const at_image_file *source, at_image_info *info, at_image *image);
at_status at_png_decode(const at_image_file *source, at_image_info *info, at_image *image);

/* What the file says about its size; AT_EFORMAT with both numbers when it is too much. */
at_status at_image_check_size(const at_image_file *source, uint64_t width, uint64_t height);

/* EXIF's orientation of a TIFF block as it stands behind "Exif\0\0"; 1 when there is none or it is odd. */
int at_exif_orientation(const unsigned char *bytes, size_t length);
#endif
