/* A photo under the weights of its patches: dots worked out by hand, SVG that is XML, the page in a browser.
 * AT_TEST_SHOTS=FOLDER keeps the browser's pictures. */
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "draw/overlay.h"
#include "tests/browser.h"
#include "tests/check.h"
#include "tests/draw/xml.h"

enum { DOWN = 6, ACROSS = 8, PATCHES = DOWN * ACROSS, TOKENS = PATCHES + 1 };

/* A sky, a house with a lit window, a street. */
static at_image street(void)
{
    at_image m;
    check_ok(at_image_new(320, 240, 3, &m));
    for (size_t y = 0; y < 240; y++) {
        for (size_t x = 0; x < 320; x++) {
            uint8_t *p = m.pixels + (y * 320 + x) * 3;
            bool house =
                x > 60 && x < 220 && y > 70 && y<190, window = x> 120 && x < 160 && y > 100 && y < 140;
            const uint8_t sky[] = {150, (uint8_t)(190 + y / 8), 235}, wall[] = {170, 90, 70},
                          light[] = {255, 230, 140}, road[] = {90, 92, 98};
            memcpy(p, window ? light : house ? wall : y >= 190 ? road : sky, 3);
        }
    }
    return m;
}

static void bright_as_its_weight(void **state)
{
    (void)state;
    uint8_t dots[] = {100, 150, 200, 100, 150, 200};
    at_image photo = {.width = 2, .height = 1, .channels = 3, .pixels = dots}, got;
    at_overlay o = {.photo = &photo,
                    .down = 1,
                    .across = 2,
                    .weights = (float[]){0.25f, 0.5f},
                    .query = AT_OVERLAY_CLASS,
                    .weighted = true};
    check_ok(at_overlay_paint(&o, 2, &got));
    assert_memory_equal(got.pixels, ((uint8_t[]){50, 75, 100, 100, 150, 200}), 6);
    at_image_free(&got);
    o.weighted = false; /* 0.5 of yellow-red's middle under 0.53 of cover; the largest: yellow under 0.68 */
    check_ok(at_overlay_paint(&o, 2, &got));
    static const double half[] = {196, 54, 86}, full[] = {252, 232, 120};
    for (size_t c = 0; c < 3; c++) {
        assert_true(fabs(got.pixels[c] - (0.47 * dots[c] + 0.53 * half[c])) <= 1);
        assert_true(fabs(got.pixels[3 + c] - (0.32 * dots[3 + c] + 0.68 * full[c])) <= 1);
    }
    at_image_free(&got);
    o.weights = (float[]){0, 0}; /* nothing looked at: no division */
    o.weighted = true;
    check_ok(at_overlay_paint(&o, 2, &got));
    assert_memory_equal(got.pixels, ((uint8_t[6]){0}), 6);
    at_image_free(&got);
}

static void a_patch_that_asks_is_outlined(void **state)
{
    (void)state;
    at_image photo = street(), got;
    float weights[PATCHES] = {0};
    weights[19] = 1;
    at_overlay o = {
        .photo = &photo, .down = DOWN, .across = ACROSS, .weights = weights, .query = 19, .weighted = true};
    check_ok(at_overlay_paint(&o, 0, &got));
    assert_int_equal(got.width, 672);
    assert_int_equal(got.height, 504);
    /* Patch 19 is column 3, row 2: dots 252 … 335, 168 … 251. */
    const uint8_t *edge = got.pixels + (168 * 672 + 260) * 3, *white = got.pixels + (169 * 672 + 260) * 3;
    const uint8_t *outside = got.pixels + (167 * 672 + 260) * 3;
    assert_int_equal(edge[0], 0);
    assert_int_equal(white[0], 255);
    assert_int_equal(outside[0], 0);
    at_image_free(&got);
    at_image_free(&photo);
}

static void grey_photos_too(void **state)
{
    (void)state;
    uint8_t dots[] = {7, 200, 100, 50};
    at_image photo = {.width = 2, .height = 2, .channels = 1, .pixels = dots}, got;
    at_overlay o = {.photo = &photo,
                    .down = 1,
                    .across = 1,
                    .weights = (float[]){3},
                    .query = AT_OVERLAY_CLASS,
                    .weighted = true};
    check_ok(at_overlay_paint(&o, 2, &got));
    assert_int_equal(got.channels, 3);
    assert_memory_equal(got.pixels, ((uint8_t[]){7, 7, 7, 200, 200, 200}), 6);
    at_image_free(&got);
}

static void svg_is_whole(void **state)
{
    (void)state;
    at_image photo = street();
    at_buf out = {0};
    float weights[PATCHES];
    for (size_t i = 0; i < PATCHES; i++)
        weights[i] = (float)(i % 7) / 100;
    at_overlay o = {.photo = &photo,
                    .down = DOWN,
                    .across = ACROSS,
                    .weights = weights,
                    .query = 3,
                    .title = "<cat> & \"dog\""};
    check_ok(at_overlay_svg(&o, &out));
    check_xml(out.data);
    assert_non_null(strstr(out.data, "href=\"data:image/png;base64,iVBORw0KGgo"));
    assert_null(strstr(out.data, "http://localhost"));
    assert_non_null(strstr(out.data, "&lt;cat&gt; &amp;"));
    assert_non_null(strstr(out.data, "<title>6, 0: 0.0600</title>"));
    assert_non_null(strstr(out.data, "no explanation of why"));
    at_buf_free(&out);
    at_image_free(&photo);
}

static void what_cannot_be_drawn_is_said(void **state)
{
    (void)state;
    at_image photo = street(), got;
    at_buf out = {0};
    float weights[PATCHES] = {0};
    at_overlay good = {
        .photo = &photo, .down = DOWN, .across = ACROSS, .weights = weights, .query = AT_OVERLAY_CLASS};
    at_overlay o = good;
    o.query = PATCHES;
    check_fails(at_overlay_paint(&o, 0, &got), AT_EARG, "patch 48; there are 48");
    o = good;
    o.across = 0;
    check_fails(at_overlay_svg(&o, &out), AT_EARG, "no patches");
    o.across = 10000;
    check_fails(at_overlay_svg(&o, &out), AT_EARG, "at most 16384");
    o = good;
    weights[5] = NAN;
    check_fails(at_overlay_svg(&o, &out), AT_ENUMBER, "weight 5");
    weights[5] = -1;
    check_fails(at_overlay_paint(&o, 0, &got), AT_EARG, "weight 5 is -1");
    at_overlay_page page = {.photo = &photo, .down = DOWN, .across = ACROSS, .query = AT_OVERLAY_CLASS};
    check_fails(at_overlay_html(&page, &out), AT_EARG, "no layer");
    assert_int_equal(out.length, 0);
    assert_null(got.pixels);
    at_image_free(&photo);
}

/* Two layers of three heads; head h of layer l looks at patch 8 l + h, and patch p at itself in every map. */
static float *make_maps(at_overlay_map maps[7])
{
    static const char rollout[] = "rollout";
    float *all = at_alloc_zero(8 * TOKENS * TOKENS, sizeof *all);
    assert_non_null(all);
    for (size_t m = 0; m < 7; m++) {
        float *w = all + m * TOKENS * TOKENS;
        for (size_t t = 0; t < TOKENS; t++) {
            size_t most = t == 0 ? 1 + (m / 3) * 8 + m % 3 : t;
            for (size_t k = 0; k < TOKENS; k++)
                w[t * TOKENS + k] = 0.5f / TOKENS;
            w[t * TOKENS + most] += 0.5f;
        }
        maps[m] = (at_overlay_map){.layer = (int)(m / 3), .head = (int)(m % 3), .weights = w};
    }
    maps[6] = (at_overlay_map){.label = rollout, .weights = maps[6].weights};
    return all;
}

static void a_page_to_play_with(void **state)
{
    (void)state;
    at_image photo = street();
    at_overlay_map maps[7];
    float *all = make_maps(maps), *alike = all + 7 * TOKENS * TOKENS;
    for (size_t i = 0; i < TOKENS; i++)
        for (size_t j = 0; j < TOKENS; j++)
            alike[i * TOKENS + j] = i == j ? 1.0f : (i % 8 == j % 8 ? 0.75f : 0.125f);
    at_overlay_answer answers[] = {{"house", 0.875}, {"</script><b>tree", 0.125}};
    at_overlay_page page = {.photo = &photo,
                            .down = DOWN,
                            .across = ACROSS,
                            .class_token = true,
                            .maps = maps,
                            .map_count = 7,
                            .likeness = alike,
                            .answers = answers,
                            .answer_count = 2,
                            .query = AT_OVERLAY_CLASS,
                            .title = "street.jpg"};
    at_buf out = {0};
    check_ok(at_overlay_html(&page, &out));
    check_ok(at_file_write(check_path("photo.html"), out.data, out.length));
    at_buf_free(&out);
    at_free(all);
    at_image_free(&photo);
    browser *b = browser_open();
    if (!b)
        skip();
    browser_show(b, check_path("photo.html"), 1200, 900, false);
    assert_string_equal(browser_ask(b, "document.querySelectorAll('.head').length"), "6");
    assert_string_equal(browser_ask(b, "document.querySelectorAll('.answers bdi')[1].textContent"),
                        "</script><b>tree");
    assert_non_null(
        strstr(browser_ask(b, "told.textContent"), "The class token in layer 0, head 0: most on patch 0, 0"));
    browser_shot(b, "photo-class");
    browser_ask(b, "document.querySelectorAll('.head')[4].click()");
    assert_non_null(strstr(browser_ask(b, "told.textContent"), "layer 1, head 1: most on patch 1, 1"));
    double x = browser_number(b, "(r => r.left + r.width * 0.44)(photo.getBoundingClientRect())");
    double y = browser_number(b, "(r => r.top + r.height * 0.45)(photo.getBoundingClientRect())");
    browser_move(b, x, y);
    assert_non_null(
        strstr(browser_ask(b, "told.textContent"), "Patch 3, 2 in layer 1, head 1: most on patch 3, 2"));
    browser_click(b, x, y);
    browser_move(b, 2, 2);
    assert_non_null(strstr(browser_ask(b, "told.textContent"), "Patch 3, 2 in"));
    browser_ask(b, "document.querySelector('[data-view=likeness]').click()");
    assert_non_null(strstr(browser_ask(b, "told.textContent"), "the regions most like it"));
    browser_shot(b, "photo-alike");
    browser_ask(b, "document.querySelector('[data-view=brightness]').click()");
    browser_key(b, "Escape");
    browser_shot(b, "photo-brightness");
    browser_show(b, check_path("photo.html"), 420, 900, true);
    assert_true(browser_number(b, "document.documentElement.scrollWidth") <= 420);
    browser_shot(b, "photo-small-dark");
    browser_close(b);
}

static void pictures_for_people(void **state)
{
    (void)state;
    const char *folder = getenv("AT_TEST_SHOTS");
    at_image photo = street(), got;
    float weights[PATCHES];
    for (size_t i = 0; i < PATCHES; i++) {
        double dx = (double)(i % ACROSS) - 3, dy = (double)(i / ACROSS) - 2.4;
        weights[i] = (float)(0.002 + 0.09 * exp(-(dx * dx + dy * dy) / 1.8));
    }
    at_overlay o = {.photo = &photo,
                    .down = DOWN,
                    .across = ACROSS,
                    .weights = weights,
                    .query = AT_OVERLAY_CLASS,
                    .title = "street.jpg: the class token, rollout through all layers"};
    for (int weighted = 0; weighted < 2; weighted++) {
        o.weighted = weighted == 1;
        o.query = weighted ? 19 : AT_OVERLAY_CLASS;
        check_ok(at_overlay_paint(&o, 0, &got));
        at_buf svg = {0};
        check_ok(at_overlay_svg(&o, &svg));
        if (folder) {
            char path[600];
            snprintf(path, sizeof path, "%s/overlay-%d.png", folder, weighted);
            check_ok(at_image_write_png(&got, path));
            snprintf(path, sizeof path, "%s/overlay-%d.svg", folder, weighted);
            check_ok(at_file_write(path, svg.data, svg.length));
        }
        at_buf_free(&svg);
        at_image_free(&got);
    }
    at_image_free(&photo);
}

int main(void)
{
    if (!at_image_png_library())
        return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bright_as_its_weight),
        cmocka_unit_test(a_patch_that_asks_is_outlined),
        cmocka_unit_test(grey_photos_too),
        cmocka_unit_test(svg_is_whole),
        cmocka_unit_test(what_cannot_be_drawn_is_said),
        cmocka_unit_test(a_page_to_play_with),
        cmocka_unit_test(pictures_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
