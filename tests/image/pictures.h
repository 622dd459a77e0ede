/* tests/image/pictures.h - JPEG and PNG files of any kind, made by the tests themselves. */
#ifndef AT_TESTS_IMAGE_PICTURES_H
#define AT_TESTS_IMAGE_PICTURES_H
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <png.h>
#include "base/buf.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include "tests/check.h"

/* Smooth, so that JPEG keeps it within a few steps, and different in each direction and channel. */
static inline uint8_t pictures_value(size_t x, size_t y, size_t c, size_t w, size_t h)
{
    size_t across = 200 * x / w, down = 200 * y / h;
    return (uint8_t)(c == 0 ? 20 + across : c == 1 ? 20 + down : 230 - (across + down) / 2);
}

static inline at_image pictures_new(size_t w, size_t h, size_t channels)
{
    at_image m;
    check_ok(at_image_new(w, h, channels, &m));
    for (size_t y = 0; y < h; y++)
        for (size_t x = 0; x < w; x++)
            for (size_t c = 0; c < channels; c++)
                m.pixels[(y * w + x) * channels + c] = pictures_value(x, y, c, w, h);
    return m;
}

typedef struct pictures_jpeg {
    J_COLOR_SPACE in, stored; /* components of the bytes, and how the file has them */
    int quality;
    bool progressive, adobe; /* adobe: the marker is written (CMYK: inverted by its rule) */
    int orientation;         /* 0: no EXIF */
    bool big_endian;         /* of the EXIF block */
} pictures_jpeg;

/* EXIF with one entry, the orientation, byte by byte. */
static inline size_t pictures_exif(int orientation, bool big, uint8_t out[32])
{
    static const uint8_t little[] = {'E', 'x', 'i', 'f', 0,    0, 'I', 'I', 42, 0, 8, 0,
                                     0,   0,   1,   0,   0x12, 1, 3,   0,   1,  0, 0, 0};
    static const uint8_t large[] = {'E', 'x', 'i', 'f', 0, 0,    'M', 'M', 0, 42, 0, 0,
                                    0,   8,   0,   1,   1, 0x12, 0,   3,   0, 0,  0, 1};
    memcpy(out, big ? large : little, 24);
    memset(out + 24, 0, 8);
    out[big ? 25 : 24] = (uint8_t)orientation;
    return 32;
}

/* bytes (H, W, components of `in`). */
static inline void pictures_put_jpeg(const uint8_t *bytes, size_t w, size_t h, const pictures_jpeg *how,
                                     at_buf *out)
{
    struct jpeg_compress_struct j;
    struct jpeg_error_mgr errors;
    unsigned char *block = NULL;
    unsigned long length = 0;
    j.err = jpeg_std_error(&errors);
    jpeg_create_compress(&j);
    jpeg_mem_dest(&j, &block, &length);
    j.image_width = (JDIMENSION)w;
    j.image_height = (JDIMENSION)h;
    j.in_color_space = how->in;
    j.input_components = how->in == JCS_GRAYSCALE ? 1 : how->in == JCS_CMYK ? 4 : 3;
    jpeg_set_defaults(&j);
    jpeg_set_colorspace(&j, how->stored);
    jpeg_set_quality(&j, how->quality ? how->quality : 95, TRUE);
    for (int c = 0; c < j.num_components; c++)
        j.comp_info[c].h_samp_factor = j.comp_info[c].v_samp_factor = 1;
    if (how->progressive)
        jpeg_simple_progression(&j);
    j.write_Adobe_marker = how->adobe;
    jpeg_start_compress(&j, TRUE);
    if (how->orientation) {
        uint8_t exif[32];
        size_t n = pictures_exif(how->orientation, how->big_endian, exif);
        jpeg_write_marker(&j, JPEG_APP0 + 1, exif, (unsigned)n);
    }
    size_t stride = w * (size_t)j.input_components;
    for (size_t y = 0; y < h; y++) {
        JSAMPROW row = (uint8_t *)(uintptr_t)bytes + y * stride;
        jpeg_write_scanlines(&j, &row, 1);
    }
    jpeg_finish_compress(&j);
    jpeg_destroy_compress(&j);
    at_buf_bytes(out, block, length);
    free(block);
}

typedef struct pictures_png {
    int color_type, depth, interlace;
    const png_color *palette;
    int palette_count;
    const uint8_t *alphas; /* tRNS of a palette */
    int alpha_count;
    const png_color_16 *transparent; /* tRNS of grey and RGB */
    int orientation;                 /* 0: no eXIf */
} pictures_png;

static inline void pictures_png_bytes(png_structp png, png_bytep bytes, size_t length)
{
    at_buf_bytes(png_get_io_ptr(png), bytes, length);
}

static inline void pictures_png_flush(png_structp png)
{
    (void)png;
}

/* rows: as PNG stores them, `stride` bytes each. */
static inline void pictures_put_png(const uint8_t *rows, size_t stride, size_t w, size_t h,
                                    const pictures_png *how, at_buf *out)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_bytep *list = malloc(h * sizeof *list);
    uint8_t exif[32];
    for (size_t y = 0; y < h; y++)
        list[y] = (uint8_t *)(uintptr_t)rows + y * stride;
    png_set_write_fn(png, out, pictures_png_bytes, pictures_png_flush);
    png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, how->depth, how->color_type, how->interlace,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (how->palette)
        png_set_PLTE(png, info, how->palette, how->palette_count);
    if (how->alphas || how->transparent)
        png_set_tRNS(png, info, how->alphas, how->alpha_count, how->transparent);
    if (how->orientation) {
        size_t n = pictures_exif(how->orientation, true, exif);
        png_set_eXIf_1(png, info, (png_uint_32)n - 6, exif + 6);
    }
    png_write_info(png, info);
    png_write_image(png, list);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    free(list);
}
#endif
