#include "base/file.h"
#include "image/internal.h"

#ifdef AT_HAVE_PNG
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include "base/memory.h"

/* Everything the work needs after a longjmp lives here, in the caller's frame, and nothing in registers. */
typedef struct reader {
    png_structp png;
    png_infop info_of;
    jmp_buf out;
    char message[160];
    bool memory; /* what failed was an allocation */
    size_t used; /* bytes read so far */
    at_status status;
    const at_image_file *source;
    at_image_info *info;
    at_image *image;
    png_bytep *rows;
} reader;

static void on_error(png_structp png, png_const_charp text)
{
    reader *r = png_get_error_ptr(png);
    snprintf(r->message, sizeof r->message, "%s", text);
    longjmp(r->out, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static png_voidp get_memory(png_structp png, png_alloc_size_t size)
{
    reader *r = png_get_mem_ptr(png);
    void *block = at_alloc(size);
    r->memory |= !block;
    return block;
}

static void give_memory(png_structp png, png_voidp block)
{
    (void)png;
    at_free(block);
}

static void on_read(png_structp png, png_bytep to, size_t length)
{
    reader *r = png_get_io_ptr(png);
    if (length > r->source->length - r->used)
        png_error(png, "the file ends too early");
    memcpy(to, r->source->bytes + r->used, length);
    r->used += length;
}

static void read_orientation(reader *r)
{
#ifdef PNG_eXIf_SUPPORTED
    png_bytep exif;
    png_uint_32 length;
    if (png_get_eXIf_1(r->png, r->info_of, &length, &exif))
        r->info->orientation = at_exif_orientation(exif, length);
#endif
}

/* Any kind of pixel to 8 bits of grey or RGB, with alpha where the file has it. */
static size_t choose_pixels(reader *r)
{
    png_set_expand(r->png);   /* palettes, 1, 2, 4 bits, a transparent colour */
    png_set_scale_16(r->png); /* rounded, not cut */
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info_of);
    return png_get_channels(r->png, r->info_of);
}

/* What shows through is white. In place: a pixel never grows. */
static void lay_on_white(at_image *image)
{
    size_t from = image->channels, to = from - 1;
    const uint8_t *in = image->pixels;
    uint8_t *out = image->pixels;
    for (size_t i = 0, n = image->width * image->height; i < n; i++, in += from, out += to) {
        unsigned alpha = in[to];
        for (size_t c = 0; c < to; c++)
            out[c] = (uint8_t)((in[c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
    image->channels = to;
}

static at_status read_rows(reader *r, size_t width, size_t height)
{
    size_t channels = choose_pixels(r);
    AT_ASSERT(png_get_rowbytes(r->png, r->info_of) == width * channels);
    at_status st = at_image_new(width, height, channels, r->image);
    if (st == AT_OK && !(r->rows = at_alloc_array(height, sizeof *r->rows)))
        st = AT_ENOMEM;
    if (st != AT_OK)
        return st;
    for (size_t y = 0; y < height; y++)
        r->rows[y] = r->image->pixels + y * width * channels;
    png_read_image(r->png, r->rows);
    png_read_end(r->png, r->info_of);
    read_orientation(r); /* may stand behind the pixels */
    if (channels == 2 || channels == 4)
        lay_on_white(r->image);
    return AT_OK;
}

static at_status work(reader *r)
{
    png_set_read_fn(r->png, r, on_read);
    png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours is in pixels */
    png_set_chunk_malloc_max(r->png, 16 << 20);
    png_set_crc_action(r->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_read_info(r->png, r->info_of);
    size_t width = png_get_image_width(r->png, r->info_of), height = png_get_image_height(r->png, r->info_of);
    r->info->width = width;
    r->info->height = height;
    r->info->channels = png_get_color_type(r->png, r->info_of) & PNG_COLOR_MASK_COLOR ? 3 : 1;
    read_orientation(r);
    at_status st = at_image_check_size(r->source, width, height);
    return st == AT_OK && r->image ? read_rows(r, width, height) : st;
}

at_status at_png_decode(const at_image_file *source, at_image_info *info, at_image *image)
{
    reader r = {.source = source, .info = info, .image = image};
    r.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning, &r, get_memory,
                                     give_memory);
    r.info_of = r.png ? png_create_info_struct(r.png) : NULL;
    if (!r.info_of)
        r.status = at_fail(AT_ENOMEM, "%s: no memory to read a PNG", source->name);
    else if (setjmp(r.out) == 0)
        r.status = work(&r);
    else if (r.memory)
        r.status = at_fail(AT_ENOMEM, "%s: no memory to read the PNG", source->name);
    else
        r.status = at_fail(AT_EFORMAT, "%s: broken or cut PNG: %s", source->name, r.message);
    png_destroy_read_struct(&r.png, &r.info_of, NULL);
    at_free(r.rows);
    if (r.status != AT_OK && image)
        at_image_free(image);
    return r.status;
}

/* --- Writing ---------------------------------------------------------------------------------- */

typedef struct writer {
    png_structp png;
    png_infop info;
    jmp_buf out;
    char message[160];
    const at_image *image;
    at_buf *to;
} writer;

static void on_write_error(png_structp png, png_const_charp text)
{
    writer *w = png_get_error_ptr(png);
    snprintf(w->message, sizeof w->message, "%s", text);
    longjmp(w->out, 1);
}

static void on_write(png_structp png, png_bytep bytes, size_t length)
{
    writer *w = png_get_io_ptr(png);
    at_buf_bytes(w->to, bytes, length);
}

static void on_flush(png_structp png)
{
    (void)png;
}

static void put_picture(writer *w)
{
    const at_image *m = w->image;
    png_set_write_fn(w->png, w, on_write, on_flush);
    png_set_user_limits(w->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(w->png, w->info, (png_uint_32)m->width, (png_uint_32)m->height, 8,
                 m->channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(w->png, w->info);
    for (size_t y = 0; y < m->height; y++)
        png_write_row(w->png, m->pixels + y * m->width * m->channels);
    png_write_end(w->png, w->info);
}

at_status at_image_encode_png(const at_image *image, at_buf *out)
{
    writer w = {.image = image, .to = out};
    size_t begin = out->length;
    bool done = false;
    if (!image->width || !image->height || image->width > PNG_UINT_31_MAX || image->height > PNG_UINT_31_MAX)
        return at_fail(AT_EARG, "PNG of %zu x %zu pixels: no such picture", image->width, image->height);
    w.png =
        png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &w, on_write_error, on_warning, NULL, NULL, NULL);
    w.info = w.png ? png_create_info_struct(w.png) : NULL;
    if (w.info && setjmp(w.out) == 0) {
        put_picture(&w);
        w.message[0] = '\0';
        w.image = NULL; /* all of it is written */
    }
    done = w.info && !w.image;
    png_destroy_write_struct(&w.png, &w.info);
    if (done && at_buf_status(out) == AT_OK)
        return AT_OK;
    out->length = begin;
    if (done || !w.message[0])
        return at_fail(AT_ENOMEM, "no memory to write a PNG of %zu x %zu pixels", image->width,
                       image->height);
    return at_fail(AT_EIO, "PNG of %zu x %zu pixels: %s", image->width, image->height, w.message);
}

const char *at_image_png_library(void)
{
    return PNG_LIBPNG_VER_STRING;
}

#else

at_status at_png_decode(const at_image_file *source, at_image_info *info, at_image *image)
{
    (void)info;
    (void)image;
    return at_fail(AT_ENOSUP,
                   "%s: PNG pictures need libpng, which this build was made without: install libpng-dev and "
                   "build again",
                   source->name);
}

at_status at_image_encode_png(const at_image *image, at_buf *out)
{
    (void)image;
    (void)out;
    return at_fail(AT_ENOSUP, "writing PNG pictures needs libpng, which this build was made without: install "
                              "libpng-dev and build again");
}

const char *at_image_png_library(void)
{
    return NULL;
}
#endif

at_status at_image_write_png(const at_image *image, const char *path)
{
    at_buf bytes = {0};
    at_status st = at_image_encode_png(image, &bytes);
    if (st == AT_OK)
        st = at_file_write(path, bytes.data, bytes.length);
    else
        at_fail_within(st, "%s", path);
    at_buf_free(&bytes);
    return st;
}
