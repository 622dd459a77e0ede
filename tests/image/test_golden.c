/* Against Pillow's results (tools/golden_image.py made them): within 1 of 255. */
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "image/augment.h"
#include "tests/check.h"

static json_t *golden;

static at_image made(size_t w, size_t h, size_t channels)
{
    at_image m;
    check_ok(at_image_new(w, h, channels, &m));
    for (size_t y = 0; y < h; y++)
        for (size_t x = 0; x < w; x++)
            for (size_t c = 0; c < channels; c++)
                m.pixels[(y * w + x) * channels + c] =
                    (uint8_t)(x * 37 + y * 91 + c * 53 + (x * y) % 17 * 11 + (x > y ? 90 : 0));
    return m;
}

static at_image soft(size_t w, size_t h)
{
    at_image m;
    check_ok(at_image_new(w, h, 3, &m));
    for (size_t y = 0; y < h; y++)
        for (size_t x = 0; x < w; x++)
            for (size_t c = 0; c < 3; c++)
                m.pixels[(y * w + x) * 3 + c] = (uint8_t)(40 + (x * (3 + c) + y * 2) % 150);
    return m;
}

static void expect(const at_image *got, const json_t *want, int within, const char *what)
{
    assert_int_equal(json_array_size(want), at_image_bytes(got));
    for (size_t i = 0; i < at_image_bytes(got); i++) {
        int value = (int)json_integer_value(json_array_get(want, i));
        if (abs(value - got->pixels[i]) > within)
            fail_msg("%s: value %zu is %d, Pillow's %d", what, i, got->pixels[i], value);
    }
}

static size_t size_of(const json_t *object, const char *key)
{
    return (size_t)json_integer_value(json_object_get(object, key));
}

static void resizes_as_pillow_does(void **state)
{
    (void)state;
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(golden, "resized"), i, one)
    {
        const char *filter = json_string_value(json_object_get(one, "filter"));
        at_resample how = strcmp(filter, "bicubic") == 0 ? AT_RESAMPLE_BICUBIC : AT_RESAMPLE_BILINEAR;
        at_image from = made(23, 17, size_of(one, "channels")), to;
        json_t *edges = json_object_get(one, "box");
        double e[4] = {0, 0, 23, 17};
        for (size_t k = 0; k < json_array_size(edges); k++)
            e[k] = json_number_value(json_array_get(edges, k));
        at_box box = {.left = e[0], .top = e[1], .width = e[2] - e[0], .height = e[3] - e[1]};
        check_ok(at_image_resize(&from, &box, size_of(one, "width"), size_of(one, "height"), how, &to));
        expect(&to, json_object_get(one, "values"), 1, filter);
        at_image_free(&from);
        at_image_free(&to);
    }
    assert_int_equal(i, 20);
}

static void changes_as_pillow_does(void **state)
{
    (void)state;
    const char *name;
    json_t *want;
    size_t seen = 0;
    json_object_foreach(json_object_get(golden, "changes"), name, want)
    {
        at_image m = soft(40, 26);
        seen++;
        if (strcmp(name, "brightness") == 0)
            at_image_brightness(&m, 1.4);
        else if (strcmp(name, "contrast") == 0)
            at_image_contrast(&m, 0.4);
        else if (strcmp(name, "saturation") == 0)
            at_image_saturation(&m, 1.7);
        else if (strcmp(name, "sharpness") == 0)
            check_ok(at_image_sharpness(&m, 1.9));
        else if (strcmp(name, "smooth") == 0)
            check_ok(at_image_sharpness(&m, 0.1));
        else if (strcmp(name, "autocontrast") == 0)
            at_image_autocontrast(&m);
        else if (strcmp(name, "equalize") == 0)
            at_image_equalize(&m);
        else if (strcmp(name, "posterize") == 0)
            at_image_posterize(&m, 3);
        else if (strcmp(name, "solarize") == 0)
            at_image_solarize(&m, 100);
        else
            fail_msg("unknown change '%s'", name);
        expect(&m, want, 1, name);
        at_image_free(&m);
    }
    assert_int_equal(seen, 9);
}

int main(void)
{
    if (at_json_load(AT_TEST_DATA "/image/pillow.json", 1 << 20, &golden) != AT_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(resizes_as_pillow_does),
                                       cmocka_unit_test(changes_as_pillow_does)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(golden);
    return failed;
}
