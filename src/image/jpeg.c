#include "image/internal.h"

#ifdef AT_HAVE_JPEG
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>
#include "base/memory.h"

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

/* A progressive file of a few bytes a scan could keep a decoder busy for hours. */
enum { MOST_SCANS = 500 };

/* Everything the work needs after a longjmp lives here, in the caller's frame, and nothing in registers. */
typedef struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf out;
    char message[JMSG_LENGTH_MAX]; /* of the fatal error, or of the first sign of missing data */
    bool damaged;
    at_status status;
    const at_image_file *source;
    at_image_info *info;
    at_image *image;
    uint8_t *row; /* CMYK only */
} reader;

static void on_error(j_common_ptr common)
{
    reader *r = common->client_data;
    common->err->format_message(common, r->message);
    longjmp(r->out, 1);
}

/* The library goes on with grey where data are missing; we do not. Other oddities it is right to bear. */
static void on_message(j_common_ptr common, int level)
{
    reader *r = common->client_data;
    int code = common->err->msg_code;
    if (level >= 0)
        return;
    common->err->num_warnings++;
    bool damage = code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE ||
                  code == JWRN_ARITH_BAD_CODE || code == JWRN_MUST_RESYNC;
    if (damage && !r->damaged) {
        common->err->format_message(common, r->message);
        r->damaged = true;
    }
}

static void on_progress(j_common_ptr common)
{
    reader *r = common->client_data;
    if (r->jpeg.input_scan_number <= MOST_SCANS)
        return;
    snprintf(r->message, sizeof r->message, "more than %d scans", MOST_SCANS);
    longjmp(r->out, 1);
}

static void put_nothing(j_common_ptr common)
{
    (void)common;
}

/* Of how the pixels lie in the file's head, before or among the tables. */
static int orientation_of(const struct jpeg_decompress_struct *jpeg)
{
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 && memcmp(m->data, "Exif\0\0", 6) == 0)
            return at_exif_orientation(m->data + 6, m->data_length - 6);
    return 1;
}

/* How far the picture may shrink while it is decoded. */
static unsigned reduction(const struct jpeg_decompress_struct *jpeg, size_t at_least)
{
    size_t side = jpeg->image_width < jpeg->image_height ? jpeg->image_width : jpeg->image_height;
    for (unsigned by = 8; by > 1 && at_least; by /= 2)
        if ((side + by - 1) / by >= at_least)
            return by;
    return 1;
}

/* Adobe's programs store ink as 255 - ink; so does everybody else by now, but only they say so. */
static void ink_to_rgb(const uint8_t *row, size_t width, bool inverted, uint8_t *rgb)
{
    for (size_t x = 0; x < width; x++) {
        for (size_t c = 0; c < 3; c++) {
            unsigned light = row[4 * x + c], white = row[4 * x + 3];
            if (!inverted) {
                light = 255 - light;
                white = 255 - white;
            }
            rgb[3 * x + c] = (uint8_t)((light * white + 127) / 255);
        }
    }
}

static void choose_colors(reader *r)
{
    struct jpeg_decompress_struct *j = &r->jpeg;
    bool grey = r->source->options.channels == 1;
    if (j->jpeg_color_space == JCS_GRAYSCALE || (grey && j->jpeg_color_space == JCS_YCbCr))
        j->out_color_space = JCS_GRAYSCALE;
    else if (j->jpeg_color_space == JCS_CMYK || j->jpeg_color_space == JCS_YCCK)
        j->out_color_space = JCS_CMYK;
    else
        j->out_color_space = JCS_RGB;
}

static at_status read_rows(reader *r)
{
    struct jpeg_decompress_struct *j = &r->jpeg;
    bool ink = j->out_color_space == JCS_CMYK;
    size_t channels = j->out_color_space == JCS_GRAYSCALE ? 1 : 3;
    at_status st = at_image_new(j->output_width, j->output_height, channels, r->image);
    if (st == AT_OK && ink && !(r->row = at_alloc_array(j->output_width, 4)))
        st = AT_ENOMEM;
    while (st == AT_OK && j->output_scanline < j->output_height) {
        uint8_t *to = r->image->pixels + (size_t)j->output_scanline * j->output_width * channels;
        JSAMPROW row = ink ? r->row : to;
        if (jpeg_read_scanlines(j, &row, 1) == 1 && ink)
            ink_to_rgb(row, j->output_width, j->saw_Adobe_marker, to);
    }
    return st;
}

static at_status work(reader *r)
{
    struct jpeg_decompress_struct *j = &r->jpeg;
    jpeg_create_decompress(j);
    j->progress = &r->progress;
    jpeg_mem_src(j, (unsigned char *)(uintptr_t)r->source->bytes, (unsigned long)r->source->length);
    jpeg_save_markers(j, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(j, TRUE);
    r->info->width = j->image_width;
    r->info->height = j->image_height;
    r->info->orientation = orientation_of(j);
    choose_colors(r);
    r->info->channels = j->jpeg_color_space == JCS_GRAYSCALE ? 1 : 3;
    at_status st = at_image_check_size(r->source, j->image_width, j->image_height);
    if (st != AT_OK || !r->image)
        return st;
    j->scale_num = 1;
    j->scale_denom = reduction(j, r->source->options.at_least);
    jpeg_start_decompress(j);
    st = read_rows(r);
    if (st == AT_OK)
        jpeg_finish_decompress(j); /* reads on to the end, which must be there */
    return st;
}

at_status at_jpeg_decode(const at_image_file *source, at_image_info *info, at_image *image)
{
    reader r = {.source = source, .info = info, .image = image};
    if (source->length > (unsigned long)-1)
        return at_fail(AT_EFORMAT, "%s: broken JPEG: too long", source->name);
    r.jpeg.err = jpeg_std_error(&r.errors);
    r.jpeg.client_data = &r;
    r.errors.error_exit = on_error;
    r.errors.emit_message = on_message;
    r.errors.output_message = put_nothing;
    r.progress.progress_monitor = on_progress;
    if (setjmp(r.out) == 0)
        r.status = work(&r);
    else if (r.errors.msg_code == JERR_OUT_OF_MEMORY)
        r.status = at_fail(AT_ENOMEM, "%s: %s", source->name, r.message);
    else
        r.status = at_fail(AT_EFORMAT, "%s: broken JPEG: %s", source->name, r.message);
    if (r.status == AT_OK && r.damaged)
        r.status = at_fail(AT_EFORMAT, "%s: broken or cut JPEG: %s", source->name, r.message);
    jpeg_destroy_decompress(&r.jpeg);
    at_free(r.row);
    if (r.status != AT_OK && image)
        at_image_free(image);
    return r.status;
}

const char *at_image_jpeg_library(void)
{
#ifdef LIBJPEG_TURBO_VERSION
    return "libjpeg-turbo " TEXT(LIBJPEG_TURBO_VERSION);
#else
    return "libjpeg " TEXT(JPEG_LIB_VERSION);
#endif
}

#else

at_status at_jpeg_decode(const at_image_file *source, at_image_info *info, at_image *image)
{
    (void)info;
    (void)image;
    return at_fail(AT_ENOSUP,
                   "%s: JPEG pictures need libjpeg, which this build was made without: install "
                   "libjpeg62-turbo-dev (libjpeg-dev) and build again",
                   source->name);
}

const char *at_image_jpeg_library(void)
{
    return NULL;
}
#endif
