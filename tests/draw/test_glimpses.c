/* Where a model looked, drawn: a list, an SVG that is whole, frames where they belong. */
#include "draw/glimpses.h"
#include <math.h>
#include <string.h>
#include "tests/check.h"
#include "tests/draw/xml.h"

enum { WIDTH = 14, HEIGHT = 10 };
static const float places[] = {0, 0, -1, 1, 0.5f, -0.5f};

static at_glimpse_picture picture_of(at_image *image, size_t channels)
{
    check_ok(at_image_new(WIDTH, HEIGHT, channels, image));
    for (size_t i = 0; i < at_image_bytes(image); i++)
        image->pixels[i] = (uint8_t)(i * 7);
    return (at_glimpse_picture){.image = image,
                                .sensor = {.size = 4, .scales = 2, .zoom = 2},
                                .places = places,
                                .count = 3,
                                .title = "a <4>, \"sure\" & so"};
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        count++;
    return count;
}

static void the_list(void **state)
{
    (void)state;
    at_image image = {0};
    at_buf out = {0};
    at_glimpse_picture p = picture_of(&image, 1);
    check_ok(at_glimpses_terminal(&p, &out));
    assert_string_equal(out.data, "a <4>, \"sure\" & so\n"
                                  "glimpse      x      y   pixels, from the left and from the top\n"
                                  "      1   0.00   0.00   5-8, 3-6; 3-10, 1-8\n"
                                  "      2  -1.00   1.00   -2-1, 8-11; -4-3, 6-13\n"
                                  "      3   0.50  -0.50   9-12, 1-4; 7-14, -1-6\n");
    at_buf_free(&out);
    at_image_free(&image);
}

static void the_svg(void **state)
{
    (void)state;
    if (!at_image_png_library())
        skip();
    for (size_t channels = 1; channels <= 3; channels += 2) {
        at_image image = {0};
        at_buf out = {0};
        at_glimpse_picture p = picture_of(&image, channels);
        check_ok(at_glimpses_svg(&p, &out));
        check_xml(out.data);
        assert_non_null(strstr(out.data, "a &lt;4&gt;, &quot;sure&quot; &amp; so"));
        assert_int_equal(count_of(out.data, "<image "), 1 + 3 * 2);
        assert_int_equal(count_of(out.data, "class=\"frame\""), 3);
        assert_int_equal(count_of(out.data, "class=\"wide\""), 3);
        assert_int_equal(count_of(out.data, "http"), 1); /* the name space: nothing is loaded */
        at_buf_free(&out);
        at_image_free(&image);
    }
}

static bool is_ink(const at_image *image, int64_t x, int64_t y)
{
    const uint8_t *p = image->pixels + ((size_t)y * image->width + (size_t)x) * 3;
    return p[0] == 0xe0 && p[1] == 0x7a && p[2] == 0x1f;
}

static void the_pixels(void **state)
{
    (void)state;
    at_image image = {0}, out = {0};
    at_glimpse_picture p = picture_of(&image, 1);
    check_ok(at_glimpses_image(&p, &out));
    assert_int_equal(out.width, 420);
    assert_int_equal(out.height, 300);
    assert_int_equal(out.channels, 3);
    assert_true(is_ink(&out, 5 * 30, 3 * 30) && is_ink(&out, 9 * 30 - 1, 7 * 30 - 1)); /* glimpse 1 */
    assert_false(is_ink(&out, 7 * 30, 3 * 30 + 5));
    assert_int_equal(out.pixels[3 * (420 * 299 + 419)], image.pixels[WIDTH * HEIGHT - 1]);
    at_image_free(&out);
    at_image_free(&image);
}

static void nothing_to_draw(void **state)
{
    (void)state;
    at_image image = {0}, none = {0}, made = {0};
    at_buf out = {0};
    at_glimpse_picture p = picture_of(&image, 1);
    p.count = 0;
    check_fails(at_glimpses_terminal(&p, &out), AT_EARG, "nothing to draw");
    check_fails(at_glimpses_image(&p, &made), AT_EARG, "nothing to draw");
    p = (at_glimpse_picture){.image = &none, .count = 1};
    check_fails(at_glimpses_svg(&p, &out), AT_EARG, "no picture");
    at_image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_list), cmocka_unit_test(the_svg),
                                       cmocka_unit_test(the_pixels), cmocka_unit_test(nothing_to_draw)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
