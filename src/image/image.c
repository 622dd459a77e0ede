#include "image/image.h"
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "image/internal.h"

at_status at_image_new(size_t width, size_t height, size_t channels, at_image *image)
{
    size_t pixels, bytes;
    *image = (at_image){0};
    AT_ASSERT(channels == 1 || channels == 3 || channels == 2 || channels == 4);
    if (!at_mul_ok(width, height, &pixels) || !at_mul_ok(pixels, channels, &bytes))
        return at_fail(AT_ENOMEM, "picture of %zu x %zu: too large", width, height);
    uint8_t *block = at_alloc(bytes ? bytes : 1);
    if (!block)
        return AT_ENOMEM;
    *image = (at_image){.width = width, .height = height, .channels = channels, .pixels = block};
    return AT_OK;
}

at_status at_image_copy(const at_image *from, at_image *to)
{
    at_status st = at_image_new(from->width, from->height, from->channels, to);
    if (st == AT_OK)
        memcpy(to->pixels, from->pixels, at_image_bytes(from));
    return st;
}

void at_image_free(at_image *image)
{
    at_free(image->pixels);
    *image = (at_image){0};
}

at_status at_image_check_size(const at_image_file *source, uint64_t width, uint64_t height)
{
    if (!width || !height)
        return at_fail(AT_EFORMAT, "%s: a picture of %llu x %llu has no pixels", source->name,
                       (unsigned long long)width, (unsigned long long)height);
    if (height > source->options.max_pixels / width)
        return at_fail(
            AT_EFORMAT, "%s: claims %llu x %llu pixels; at most %zu are read here (--max-pixels allows more)",
            source->name, (unsigned long long)width, (unsigned long long)height, source->options.max_pixels);
    return AT_OK;
}

/* --- What a file is ------------------------------------------------------------------------- */

static const struct magic {
    size_t at;
    const char *bytes;
    size_t length;
    const char *what;
} magics[] = {
    {0, "\xFF\xD8\xFF", 3, "a JPEG picture"},
    {0, "\x89PNG\r\n\x1A\n", 8, "a PNG picture"},
    {0, "GIF8", 4, "a GIF picture"},
    {0, "BM", 2, "a BMP picture"},
    {8, "WEBP", 4, "a WebP picture"},
    {0, "II*\0", 4, "a TIFF picture"},
    {0, "MM\0*", 4, "a TIFF picture"},
    {4, "ftypavif", 8, "an AVIF picture"},
    {4, "ftyphei", 7, "a HEIF picture"},
    {4, "ftypmif1", 8, "a HEIF picture"},
    {0, "\xFF\x0A", 2, "a JPEG XL picture"},
    {4, "JXL ", 4, "a JPEG XL picture"},
    {4, "jP  ", 4, "a JPEG 2000 picture"},
    {4, "ftyp", 4, "a film"},
    {0, "%PDF", 4, "a PDF"},
    {0, "\x1F\x8B", 2, "gzip"},
    {0, "PK\3\4", 4, "a ZIP archive"},
    {0, "\0\0\x08", 3, "IDX data"},
};

/* A sample of it is printable, in UTF-8 or any charset without control characters. */
static bool is_text(const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length && i < 512; i++)
        if (bytes[i] < 0x20 && !(bytes[i] >= '\t' && bytes[i] <= '\r'))
            return false;
    return true;
}

const char *at_image_what(const void *bytes, size_t length)
{
    const unsigned char *b = bytes;
    if (!length)
        return "an empty file";
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        const struct magic *m = &magics[i];
        if (length >= m->at + m->length && memcmp(b + m->at, m->bytes, m->length) == 0)
            return m->what;
    }
    if (!is_text(b, length))
        return "data of an unknown kind";
    while (length && (*b <= ' ')) {
        b++;
        length--;
    }
    return length && *b == '<' ? "text with markup (SVG, HTML or XML)" : "text";
}

static at_image_kind kind_of(const unsigned char *bytes, size_t length)
{
    const char *what = at_image_what(bytes, length);
    return what == magics[0].what ? AT_IMAGE_JPEG : what == magics[1].what ? AT_IMAGE_PNG : AT_IMAGE_OTHER;
}

/* --- Reading -------------------------------------------------------------------------------- */

static at_status decode(const at_image_file *source, at_image_info *info, at_image *image)
{
    *info = (at_image_info){.kind = kind_of(source->bytes, source->length), .orientation = 1};
    if (info->kind == AT_IMAGE_JPEG)
        return at_jpeg_decode(source, info, image);
    if (info->kind == AT_IMAGE_PNG)
        return at_png_decode(source, info, image);
    return at_fail(AT_EFORMAT, "%s: not a JPEG or PNG picture, but %s", source->name,
                   at_image_what(source->bytes, source->length));
}

static at_image_file source_of(const void *bytes, size_t length, const char *name,
                               const at_image_options *options)
{
    at_image_file source = {.bytes = bytes, .length = length, .name = name};
    if (options)
        source.options = *options;
    if (!source.options.max_pixels)
        source.options.max_pixels = AT_IMAGE_MAX_PIXELS;
    return source;
}

at_status at_image_read_memory(const void *bytes, size_t length, const char *name,
                               const at_image_options *options, at_image *image)
{
    at_image_file source = source_of(bytes, length, name, options);
    at_image_info info;
    *image = (at_image){0};
    AT_ASSERT(source.options.channels == 0 || source.options.channels == 1 || source.options.channels == 3);
    at_status st = decode(&source, &info, image);
    if (st == AT_OK && source.options.channels)
        st = at_image_to_channels(image, source.options.channels);
    if (st == AT_OK)
        st = at_image_orient(image, info.orientation);
    if (st != AT_OK)
        at_image_free(image);
    return st;
}

/* No picture within max_pixels needs more: 16-bit RGBA, not compressed, and what else a file carries. */
static at_status read_bytes(const char *path, size_t max_pixels, char **bytes, size_t *length)
{
    size_t most = max_pixels ? max_pixels : AT_IMAGE_MAX_PIXELS;
    if (!at_mul_ok(most, 8, &most) || !at_add_ok(most, (size_t)16 << 20, &most))
        most = SIZE_MAX - 4096;
    return at_file_read(path, most, bytes, length);
}

at_status at_image_read(const char *path, const at_image_options *options, at_image *image)
{
    char *bytes;
    size_t length;
    *image = (at_image){0};
    at_status st = read_bytes(path, options ? options->max_pixels : 0, &bytes, &length);
    if (st == AT_OK)
        st = at_image_read_memory(bytes, length, path, options, image);
    at_free(bytes);
    return st;
}

at_status at_image_probe_memory(const void *bytes, size_t length, const char *name, at_image_info *info)
{
    at_image_options any_size = {.max_pixels = SIZE_MAX};
    at_image_file source = source_of(bytes, length, name, &any_size);
    at_status st = decode(&source, info, NULL);
    if (st == AT_OK && info->orientation >= 5) {
        size_t width = info->width;
        info->width = info->height;
        info->height = width;
    }
    return st;
}

at_status at_image_probe(const char *path, at_image_info *info)
{
    at_mapping mapping;
    *info = (at_image_info){0};
    at_status st = at_map(path, &mapping);
    if (st == AT_OK)
        st = at_image_probe_memory(mapping.data, mapping.size, path, info);
    at_unmap(&mapping);
    return st;
}

/* --- What is done to every picture ----------------------------------------------------------- */

at_status at_image_to_channels(at_image *image, size_t channels)
{
    at_image to;
    if (image->channels == channels)
        return AT_OK;
    AT_ASSERT((image->channels == 1 && channels == 3) || (image->channels == 3 && channels == 1));
    at_status st = at_image_new(image->width, image->height, channels, &to);
    if (st != AT_OK)
        return st;
    const uint8_t *p = image->pixels;
    for (size_t i = 0, n = image->width * image->height; i < n; i++) {
        if (channels == 3) {
            memset(to.pixels + 3 * i, p[i], 3);
            continue;
        }
        /* 0.299 R + 0.587 G + 0.114 B in 16 bits, rounded. */
        unsigned luma = 19595u * p[3 * i] + 38470u * p[3 * i + 1] + 7471u * p[3 * i + 2];
        to.pixels[i] = (uint8_t)((luma + 0x8000u) >> 16);
    }
    at_image_free(image);
    *image = to;
    return AT_OK;
}

at_status at_image_orient(at_image *image, int orientation)
{
    if (orientation <= 1 || orientation > 8)
        return AT_OK;
    bool swap = orientation >= 5;
    /* Of the picture as stored, before the axes are swapped. */
    bool mirror = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool flip = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    size_t w = image->width, h = image->height, c = image->channels;
    at_image to;
    at_status st = at_image_new(swap ? h : w, swap ? w : h, c, &to);
    if (st != AT_OK)
        return st;
    for (size_t y = 0; y < to.height; y++) {
        for (size_t x = 0; x < to.width; x++) {
            size_t sx = swap ? y : x, sy = swap ? x : y;
            sx = mirror ? w - 1 - sx : sx;
            sy = flip ? h - 1 - sy : sy;
            memcpy(to.pixels + (y * to.width + x) * c, image->pixels + (sy * w + sx) * c, c);
        }
    }
    at_image_free(image);
    *image = to;
    return AT_OK;
}
