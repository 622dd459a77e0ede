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

static void jpeg_reads_back(void **state)
{
    (void)state;
    at_image want = pictures_new(61, 37, 3), got;
    at_buf file = {0};
    for (int progressive = 0; progressive < 2; progressive++) {
        at_buf_clear(&file);
        pictures_jpeg how = {.in = JCS_RGB, .stored = JCS_YCbCr, .progressive = progressive == 1};
        pictures_put_jpeg(want.pixels, want.width, want.height, &how, &file);
        check_ok(at_image_read_memory(file.data, file.length, "x.jpg", NULL, &got));
        assert_true(distance(&got, &want) < 2.0);
        at_image_free(&got);
    }
    at_buf_free(&file);
    at_image_free(&want);
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
    at_image_free(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(jpeg_reads_back), cmocka_unit_test(png_reads_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
