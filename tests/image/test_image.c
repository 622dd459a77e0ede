#include <stdlib.h>
#include "tests/image/pictures.h"

/* The mean distance of two pictures of one shape, in steps of 255. */
static double distance(const at_image *a, const at_image *b)
{
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    assert_int_equal(a->channels, b->channels);
    double sum = 0;
    for (size_t i = 0; i < at_image_bytes(a); i++)
        sum += abs(a->pixels[i] - b->pixels[i]);
    return sum / (double)at_image_bytes(a);
}

static at_image read_back(const at_buf *file, const at_image_options *options)
{
    at_image got;
    check_ok(at_image_read_memory(file->data, file->length, "x.jpg", options, &got));
    return got;
}

static void expect_near(const at_buf *file, const at_image_options *options, const at_image *want,
                        double within)
{
    at_image got = read_back(file, options);
    double off = distance(&got, want);
    if (!(off <= within))
        fail_msg("off by %g of 255 on the average, more than %g", off, within);
    at_image_free(&got);
}

static at_buf jpeg_of(const at_image *m, pictures_jpeg how)
{
    at_buf file = {0};
    pictures_put_jpeg(m->pixels, m->width, m->height, &how, &file);
    return file;
}

/* --- JPEG ---------------------------------------------------------------------------------------- */

static void jpeg_reads_back(void **state)
{
    (void)state;
    at_image want = pictures_new(61, 37, 3), grey = pictures_new(61, 37, 1);
    for (int progressive = 0; progressive < 2; progressive++) {
        at_buf file = jpeg_of(&want, (pictures_jpeg){.in = JCS_RGB,
                                                     .stored = progressive ? JCS_RGB : JCS_YCbCr,
                                                     .progressive = progressive == 1,
                                                     .adobe = progressive == 1});
        expect_near(&file, NULL, &want, 2.0);
        at_buf_free(&file);
        file = jpeg_of(&grey, (pictures_jpeg){.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE});
        expect_near(&file, NULL, &grey, 2.0); /* stays grey */
        at_buf_free(&file);
    }
    at_image_free(&want);
    at_image_free(&grey);
}

/* The channels asked for, from files of the other kind. */
static void channels_are_as_asked_for(void **state)
{
    (void)state;
    at_image colour = pictures_new(40, 30, 3), grey = pictures_new(40, 30, 1), want;
    check_ok(at_image_copy(&colour, &want));
    check_ok(at_image_to_channels(&want, 1));
    at_image_options one = {.channels = 1}, three = {.channels = 3};
    for (int rgb = 0; rgb < 2; rgb++) { /* RGB as stored goes through our luma, YCbCr through the file's */
        at_buf file = jpeg_of(&colour, (pictures_jpeg){.in = JCS_RGB, .stored = rgb ? JCS_RGB : JCS_YCbCr});
        expect_near(&file, &one, &want, 2.0);
        at_buf_free(&file);
    }
    at_buf file = jpeg_of(&grey, (pictures_jpeg){.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE});
    check_ok(at_image_to_channels(&grey, 3));
    expect_near(&file, &three, &grey, 2.0);
    at_buf_free(&file);
    at_image_free(&colour);
    at_image_free(&grey);
    at_image_free(&want);
}

/* Ink as Adobe stores it (255 - ink) and as the standard has it; both as CMYK and as YCCK. */
static void ink_becomes_light(void **state)
{
    (void)state;
    at_image want = pictures_new(48, 32, 3);
    uint8_t *ink = malloc(48 * 32 * 4);
    for (int kind = 0; kind < 4; kind++) {
        bool adobe = kind & 1, ycck = kind & 2;
        if (ycck && !adobe)
            continue; /* without the marker nothing says YCCK */
        for (size_t i = 0; i < 48 * 32; i++) {
            uint8_t *p = ink + 4 * i;
            unsigned most = 0;
            for (size_t c = 0; c < 3; c++)
                most = want.pixels[3 * i + c] > most ? want.pixels[3 * i + c] : most;
            /* light = (255 - colour)(255 - black) / 255: black takes what no channel has. */
            for (size_t c = 0; c < 3; c++)
                p[c] = (uint8_t)(255 - 255 * want.pixels[3 * i + c] / most);
            p[3] = (uint8_t)(255 - most);
            for (size_t c = 0; c < 4 && adobe; c++)
                p[c] = (uint8_t)(255 - p[c]);
        }
        at_image as_ink = {.width = 48, .height = 32, .channels = 4, .pixels = ink};
        at_buf file =
            jpeg_of(&as_ink,
                    (pictures_jpeg){
                        .in = JCS_CMYK, .stored = ycck ? JCS_YCCK : JCS_CMYK, .adobe = adobe, .quality = 98});
        expect_near(&file, NULL, &want, 3.0);
        at_image_info info;
        check_ok(at_image_probe_memory(file.data, file.length, "x", &info));
        assert_int_equal(info.channels, 3);
        at_buf_free(&file);
    }
    free(ink);
    at_image_free(&want);
}

/* What a picture looks like before a camera turned it, worked out from the names of EXIF's table: for each
 * number, where the stored picture's first row and first column are seen. */
static at_image as_stored(const at_image *upright, int orientation)
{
    static const struct {
        char row, column; /* top, bottom, left, right */
    } table[] = {{'t', 'l'}, {'t', 'r'}, {'b', 'r'}, {'b', 'l'},
                 {'l', 't'}, {'r', 't'}, {'r', 'b'}, {'l', 'b'}};
    char row = table[orientation - 1].row, column = table[orientation - 1].column;
    bool swap = row == 'l' || row == 'r';
    at_image m;
    check_ok(at_image_new(swap ? upright->height : upright->width, swap ? upright->width : upright->height, 3,
                          &m));
    for (size_t r = 0; r < m.height; r++) {
        for (size_t c = 0; c < m.width; c++) {
            size_t down = swap ? c : r, right = swap ? r : c;
            if (row == 'b' || column == 'b')
                down = upright->height - 1 - down;
            if (row == 'r' || column == 'r')
                right = upright->width - 1 - right;
            memcpy(m.pixels + (r * m.width + c) * 3, upright->pixels + (down * upright->width + right) * 3,
                   3);
        }
    }
    return m;
}

static void pictures_stand_upright(void **state)
{
    (void)state;
    at_image want = pictures_new(40, 24, 3);
    for (int orientation = 1; orientation <= 8; orientation++) {
        at_image stored = as_stored(&want, orientation);
        at_buf file = jpeg_of(&stored, (pictures_jpeg){.in = JCS_RGB,
                                                       .stored = JCS_YCbCr,
                                                       .orientation = orientation,
                                                       .big_endian = orientation & 1});
        expect_near(&file, NULL, &want, 2.0);
        at_image_info info;
        check_ok(at_image_probe_memory(file.data, file.length, "x", &info));
        assert_int_equal(info.kind, AT_IMAGE_JPEG);
        assert_int_equal(info.orientation, orientation);
        assert_int_equal(info.width, 40);
        assert_int_equal(info.height, 24);
        at_buf_clear(&file);
        pictures_put_png(
            stored.pixels, stored.width * 3, stored.width, stored.height,
            &(pictures_png){.color_type = PNG_COLOR_TYPE_RGB, .depth = 8, .orientation = orientation}, &file);
        expect_near(&file, NULL, &want, 0.0);
        at_buf_free(&file);
        at_image_free(&stored);
    }
    at_image_free(&want);
}

static void odd_exif_leaves_a_picture_as_it_is(void **state)
{
    (void)state;
    at_image want = pictures_new(16, 8, 3);
    for (int orientation = 9; orientation < 256; orientation += 41) {
        at_buf file =
            jpeg_of(&want, (pictures_jpeg){.in = JCS_RGB, .stored = JCS_YCbCr, .orientation = orientation});
        expect_near(&file, NULL, &want, 2.0);
        at_buf_free(&file);
    }
    /* Its directory said to lie anywhere, its entries any number. */
    at_buf file = jpeg_of(&want, (pictures_jpeg){.in = JCS_RGB, .stored = JCS_YCbCr, .orientation = 6});
    char *exif = memmem(file.data, file.length, "Exif", 4);
    assert_non_null(exif);
    for (size_t at = 6; at < 24; at++) {
        char kept = exif[at];
        exif[at] = (char)0xFF;
        at_image got = read_back(&file, NULL);
        at_image_free(&got);
        exif[at] = kept;
    }
    at_buf_free(&file);
    at_image_free(&want);
}

static void large_pictures_come_smaller(void **state)
{
    (void)state;
    static const struct {
        size_t at_least, width, height;
    } cases[] = {{0, 400, 300},   {301, 400, 300}, {300, 400, 300}, {151, 400, 300}, {150, 200, 150},
                 {100, 200, 150}, {75, 100, 75},   {38, 50, 38},    {1, 50, 38}};
    at_image whole = pictures_new(400, 300, 3);
    at_buf file = jpeg_of(&whole, (pictures_jpeg){.in = JCS_RGB, .stored = JCS_YCbCr});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        at_image_options options = {.at_least = cases[i].at_least};
        at_image got = read_back(&file, &options), want = pictures_new(cases[i].width, cases[i].height, 3);
        assert_true(distance(&got, &want) < 4.0);
        at_image_free(&got);
        at_image_free(&want);
    }
    at_buf_free(&file);
    at_image_free(&whole);
}

/* --- PNG ----------------------------------------------------------------------------------------- */

static at_buf png_of(const uint8_t *rows, size_t stride, size_t w, size_t h, pictures_png how)
{
    at_buf file = {0};
    pictures_put_png(rows, stride, w, h, &how, &file);
    return file;
}

static void expect_pixels(const at_buf *file, size_t channels, const uint8_t *want, size_t w, size_t h)
{
    at_image m = {.width = w, .height = h, .channels = channels, .pixels = (uint8_t *)(uintptr_t)want};
    expect_near(file, NULL, &m, 0.0);
}

static void png_reads_back(void **state)
{
    (void)state;
    at_image want = pictures_new(33, 20, 3), got;
    const char *path = check_path("picture.of-any-name");
    check_ok(at_image_write_png(&want, path));
    check_ok(at_image_read(path, NULL, &got));
    assert_true(distance(&got, &want) == 0);
    at_image_free(&got);
    at_buf file = png_of(want.pixels, 99, 33, 20,
                         (pictures_png){.color_type = PNG_COLOR_TYPE_RGB, .depth = 8, .interlace = 1});
    expect_near(&file, NULL, &want, 0.0);
    at_buf_free(&file);
    at_image_free(&want);
    want = pictures_new(7, 5, 1);
    check_ok(at_image_write_png(&want, path));
    check_ok(at_image_read(path, NULL, &got));
    assert_true(distance(&got, &want) == 0);
    at_image_free(&got);
    at_image_free(&want);
}

static void palettes_and_few_bits(void **state)
{
    (void)state;
    static const png_color palette[] = {{10, 20, 30}, {200, 100, 50}, {0, 0, 0}, {255, 255, 255}};
    static const uint8_t two_bits[] = {0x1B, 0xE4}; /* 0 1 2 3, 3 2 1 0 */
    static const uint8_t colours[] = {10,  20,  30,  200, 100, 50, 0,   0,   0,  255, 255, 255,
                                      255, 255, 255, 0,   0,   0,  200, 100, 50, 10,  20,  30};
    at_buf file =
        png_of(two_bits, 1, 4, 2,
               (pictures_png){
                   .color_type = PNG_COLOR_TYPE_PALETTE, .depth = 2, .palette = palette, .palette_count = 4});
    expect_pixels(&file, 3, colours, 4, 2);
    at_buf_free(&file);

    /* Of the palette, 0 is clear and 1 half so: 10 -> 255, 200 -> (200 * 128 + 255 * 127) / 255. */
    static const uint8_t alphas[] = {0, 128};
    static const uint8_t on_white[] = {255, 255, 255, 227, 177, 152, 0, 0, 0, 255, 255, 255};
    file = png_of(two_bits, 1, 4, 1,
                  (pictures_png){.color_type = PNG_COLOR_TYPE_PALETTE,
                                 .depth = 2,
                                 .palette = palette,
                                 .palette_count = 4,
                                 .alphas = alphas,
                                 .alpha_count = 2});
    expect_pixels(&file, 3, on_white, 4, 1);
    at_buf_free(&file);

    static const uint8_t bits[] = {0xA0}, grey[] = {255, 0, 255, 0};
    file = png_of(bits, 1, 4, 1, (pictures_png){.color_type = PNG_COLOR_TYPE_GRAY, .depth = 1});
    expect_pixels(&file, 1, grey, 4, 1);
    at_buf_free(&file);
}

static void sixteen_bits_are_rounded(void **state)
{
    (void)state;
    /* 0x0080 is 0.498 of a step of 257, 0x0081 is 0.502. */
    static const uint8_t rows[] = {0, 0x80, 0, 0x81, 0xFF, 0xFF, 0x7F, 0xFF}, want[] = {0, 1, 255, 127};
    at_buf file = png_of(rows, 8, 4, 1, (pictures_png){.color_type = PNG_COLOR_TYPE_GRAY, .depth = 16});
    at_image got = read_back(&file, NULL);
    assert_int_equal(got.channels, 1);
    for (size_t i = 0; i < 4; i++)
        assert_true(abs(got.pixels[i] - want[i]) <= 1);
    assert_int_equal(got.pixels[0], 0);
    assert_int_equal(got.pixels[2], 255);
    at_image_free(&got);
    at_buf_free(&file);
}

static void clear_pixels_lie_on_white(void **state)
{
    (void)state;
    static const uint8_t rgba[] = {10, 20, 30, 255, 10, 20, 30, 0, 100, 0, 255, 51};
    static const uint8_t rgb[] = {10, 20, 30, 255, 255, 255, 224, 204, 255};
    static const uint8_t ga[] = {10, 255, 10, 0, 100, 51}, g[] = {10, 255, 224};
    at_buf file = png_of(rgba, 12, 3, 1, (pictures_png){.color_type = PNG_COLOR_TYPE_RGB_ALPHA, .depth = 8});
    expect_pixels(&file, 3, rgb, 3, 1);
    at_buf_free(&file);
    file = png_of(ga, 6, 3, 1, (pictures_png){.color_type = PNG_COLOR_TYPE_GRAY_ALPHA, .depth = 8});
    expect_pixels(&file, 1, g, 3, 1);
    at_buf_free(&file);
    /* One colour that is clear. */
    png_color_16 clear = {.red = 10, .green = 20, .blue = 30};
    static const uint8_t two[] = {10, 20, 30, 10, 20, 31}, shown[] = {255, 255, 255, 10, 20, 31};
    file = png_of(two, 6, 2, 1,
                  (pictures_png){.color_type = PNG_COLOR_TYPE_RGB, .depth = 8, .transparent = &clear});
    expect_pixels(&file, 3, shown, 2, 1);
    at_buf_free(&file);
}

/* --- Files that are not as they should be -------------------------------------------------------- */

static void expect_refused(const void *bytes, size_t length, const at_image_options *options, const char *why)
{
    at_image got = {.width = 1};
    check_fails(at_image_read_memory(bytes, length, "bad.jpg", options, &got), AT_EFORMAT, why);
    check_fails(at_fail_within(AT_EFORMAT, "seen"), AT_EFORMAT, "bad.jpg");
    assert_null(got.pixels);
    assert_int_equal(got.width, 0);
}

static void a_cut_file_is_an_error_wherever_it_is_cut(void **state)
{
    (void)state;
    at_image m = pictures_new(80, 60, 3);
    for (int kind = 0; kind < 3; kind++) {
        at_buf file = {0};
        if (kind < 2)
            file = jpeg_of(&m, (pictures_jpeg){.in = JCS_RGB, .stored = JCS_YCbCr, .progressive = kind == 1});
        else
            check_ok(at_image_encode_png(&m, &file));
        for (size_t length = 12; length < file.length; length += length < 700 ? 1 : 37)
            expect_refused(file.data, length, NULL, NULL);
        expect_refused(file.data, file.length - 2, NULL, kind < 2 ? "Premature end" : "ends too early");
        at_image got = read_back(&file, NULL);
        at_image_free(&got);
        at_buf_free(&file);
    }
    at_image_free(&m);
}

static void damage_is_an_error(void **state)
{
    (void)state;
    at_image m = pictures_new(80, 60, 3);
    at_buf file = {0};
    check_ok(at_image_encode_png(&m, &file));
    for (size_t at = 33; at < file.length; at += 11) { /* every byte behind the head is under some CRC */
        file.data[at] = (char)(file.data[at] ^ 1);
        expect_refused(file.data, file.length, NULL, NULL);
        file.data[at] = (char)(file.data[at] ^ 1);
    }
    at_buf_free(&file);
    file = jpeg_of(&m, (pictures_jpeg){.in = JCS_RGB, .stored = JCS_YCbCr});
    file.length -= 100; /* lost from the middle: the end comes too early */
    memmove(file.data + file.length / 2, file.data + file.length / 2 + 100, file.length - file.length / 2);
    expect_refused(file.data, file.length, NULL, "broken or cut JPEG: Corrupt JPEG data: premature end");
    at_buf_free(&file);
    at_image_free(&m);
}

static void a_file_is_what_it_holds(void **state)
{
    (void)state;
    expect_refused("", 0, NULL, "an empty file");
    expect_refused("not a picture at all\n", 21, NULL, "but text");
    expect_refused("<svg xmlns='…'/>", 16, NULL, "text with markup");
    expect_refused("GIF89a\1\0\1\0", 10, NULL, "a GIF picture");
    expect_refused("RIFF\x10\0\0\0WEBPVP8 ", 16, NULL, "a WebP picture");
    expect_refused("\0\0\0\x18"
                   "ftypheic\0\0\0\0",
                   16, NULL, "a HEIF picture");
    expect_refused("\x01\x02\x03\x00", 4, NULL, "data of an unknown kind");
    expect_refused("\xFF\xD8\xFF", 3, NULL, "broken JPEG");
    at_image got;
    check_fails(at_image_read(check_path("absent.jpg"), NULL, &got), AT_EIO, "absent.jpg");
    check_fails(at_image_read(check_folder(), NULL, &got), AT_EIO, NULL);
    at_image_info info;
    check_fails(at_image_probe(check_path("absent.jpg"), &info), AT_EIO, "absent.jpg");
}

static void put_number(char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(value >> (24 - 8 * i));
}

static void sizes_are_claims(void **state)
{
    (void)state;
    at_image m = pictures_new(8, 8, 3);
    at_buf file = {0};
    check_ok(at_image_encode_png(&m, &file));
    put_number(file.data + 16, 100000);
    put_number(file.data + 20, 100000);
    put_number(file.data + 29, at_crc32(0, file.data + 12, 17));
    check_fail_allocation(-1);
    expect_refused(file.data, file.length, NULL, "claims 100000 x 100000 pixels; at most 100000000");
    check_allocations_restore();
    at_image_info info;
    check_ok(at_image_probe_memory(file.data, file.length, "x", &info)); /* a look costs nothing */
    assert_int_equal(info.width, 100000);
    at_buf_free(&file);
    file = jpeg_of(&m, (pictures_jpeg){.in = JCS_RGB, .stored = JCS_YCbCr});
    at_image_options few = {.max_pixels = 63};
    expect_refused(file.data, file.length, &few, "claims 8 x 8 pixels; at most 63");
    few.max_pixels = 64;
    at_image got = read_back(&file, &few);
    at_image_free(&got);
    at_buf_free(&file);
    at_image_free(&m);
}

static at_status read_both(void *context)
{
    at_buf *files = context;
    at_status st = AT_OK;
    for (int i = 0; st == AT_OK && i < 2; i++) {
        at_image got, out = {0};
        at_buf written = {0};
        st = at_image_read_memory(files[i].data, files[i].length, "x", &(at_image_options){.channels = 1},
                                  &got);
        if (st == AT_OK)
            st = at_image_copy(&got, &out);
        if (st == AT_OK)
            st = at_image_encode_png(&out, &written);
        at_buf_free(&written);
        at_image_free(&got);
        at_image_free(&out);
    }
    return st;
}

static void memory_that_fails_is_said(void **state)
{
    (void)state;
    at_image m = pictures_new(20, 10, 3), stored = as_stored(&m, 6);
    at_buf files[2] = {jpeg_of(&stored, (pictures_jpeg){.in = JCS_RGB, .stored = JCS_RGB, .orientation = 6}),
                       {0}};
    check_ok(at_image_encode_png(&m, &files[1]));
    check_every_allocation(read_both, files, 100);
    at_buf_free(&files[0]);
    at_buf_free(&files[1]);
    at_image_free(&stored);
    at_image_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg_reads_back),
        cmocka_unit_test(channels_are_as_asked_for),
        cmocka_unit_test(ink_becomes_light),
        cmocka_unit_test(pictures_stand_upright),
        cmocka_unit_test(odd_exif_leaves_a_picture_as_it_is),
        cmocka_unit_test(large_pictures_come_smaller),
        cmocka_unit_test(png_reads_back),
        cmocka_unit_test(palettes_and_few_bits),
        cmocka_unit_test(sixteen_bits_are_rounded),
        cmocka_unit_test(clear_pixels_lie_on_white),
        cmocka_unit_test(a_cut_file_is_an_error_wherever_it_is_cut),
        cmocka_unit_test(damage_is_an_error),
        cmocka_unit_test(a_file_is_what_it_holds),
        cmocka_unit_test(sizes_are_claims),
        cmocka_unit_test(memory_that_fails_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
