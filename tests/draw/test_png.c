/* The attention picture as PNG, and pictures of thousands of words. */
#include <string.h>
#include "draw/matrix.h"
#include "tests/draw/pages.h"
#include "tests/draw/xml.h"

/* Width and height from the file's head; checks signature, first and last chunk. */
static void read_head(const at_buf *png, uint32_t *width, uint32_t *height)
{
    static const unsigned char signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n',
                                              0,    0,   0,   13,  'I',  'H',  'D',  'R'};
    static const unsigned char end[] = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};
    const unsigned char *p = (const unsigned char *)png->data;
    assert_true(png->length > 60);
    assert_memory_equal(p, signature, sizeof signature);
    assert_memory_equal(p + png->length - sizeof end, end, sizeof end);
    *width = (uint32_t)p[16] << 24 | (uint32_t)p[17] << 16 | (uint32_t)p[18] << 8 | p[19];
    *height = (uint32_t)p[20] << 24 | (uint32_t)p[21] << 16 | (uint32_t)p[22] << 8 | p[23];
}

/* The cross attention of a made-up page. */
static at_matrix matrix_of(const pages *p)
{
    const at_page_sheet *s = &p->sheet[0];
    return (at_matrix){.targets = s->rows,
                       .target_count = s->row_count,
                       .sources = s->columns,
                       .source_count = s->column_count,
                       .weights = s->maps[0].weights,
                       .title = "layer 0, head 0"};
}

static void the_picture_has_the_size_of_its_words(void **state)
{
    (void)state;
    if (!at_png_possible())
        skip();
    pages p;
    pages_make(&p, &(pages_spec){.rows = 30, .columns = 30, .layers = 1, .heads = 1, .models = 1});
    at_matrix m = matrix_of(&p);
    at_buf once = {0}, twice = {0}, dark = {0};
    uint32_t w, h, w2, h2;
    check_ok(at_matrix_png(&m, &(at_png_options){.scale = 1}, &once));
    check_ok(at_matrix_png(&m, &(at_png_options){0}, &twice));
    check_ok(at_matrix_png(&m, &(at_png_options){.dark = true}, &dark));
    read_head(&once, &w, &h);
    read_head(&twice, &w2, &h2);
    assert_true(w > 30 * 22 && w < 1400 && h > 30 * 22 && h < 1400);
    assert_true(w2 + 1 >= 2 * w && w2 <= 2 * w && h2 + 2 >= 2 * h && h2 <= 2 * h);
    read_head(&dark, &w, &h);
    assert_true(w == w2 && h == h2);
    assert_true(dark.length != twice.length || memcmp(dark.data, twice.data, dark.length) != 0);
    at_buf_clear(&once);
    m.target_count = 1;
    m.caption = "";
    m.title = NULL;
    check_ok(at_matrix_png(&m, &(at_png_options){.scale = 1}, &once));
    read_head(&once, &w, &h2);
    assert_true(h2 < 320);
    check_fails(at_matrix_png(&m, &(at_png_options){.scale = 100}, &once), AT_EARG, "PNG of");
    at_buf_free(&once);
    at_buf_free(&twice);
    at_buf_free(&dark);
    pages_free(&p);
}

static void without_the_libraries_it_says_what_is_missing(void **state)
{
    (void)state;
    if (at_png_possible())
        skip();
    pages p;
    pages_make(&p, &(pages_spec){.rows = 3, .columns = 3, .layers = 1, .heads = 1, .models = 1});
    at_matrix m = matrix_of(&p);
    at_buf out = {0};
    check_fails(at_matrix_png(&m, &(at_png_options){0}, &out), AT_ENOSUP, "libpango1.0-dev");
    assert_int_equal(out.length, 0);
    pages_free(&p);
}

static void bad_weights_are_refused(void **state)
{
    (void)state;
    if (!at_png_possible())
        skip();
    pages p;
    pages_make(&p, &(pages_spec){.rows = 3, .columns = 3, .layers = 1, .heads = 1, .models = 1});
    at_matrix m = matrix_of(&p);
    at_buf out = {0};
    p.weights[0][0][4] = NAN;
    check_fails(at_matrix_png(&m, &(at_png_options){0}, &out), AT_ENUMBER, "no finite number");
    assert_int_equal(out.length, 0);
    pages_free(&p);
}

/* 4,000 words looking at 4,000: 125 groups of 32, whose rows still sum to 1. */
static void thousands_of_words_are_drawn_in_groups(void **state)
{
    (void)state;
    enum { WORDS = 4000 };
    const char **words = at_alloc_array(WORDS, sizeof *words);
    float *weights = at_alloc_zero((size_t)WORDS * WORDS, sizeof *weights);
    assert_true(words && weights);
    for (size_t i = 0; i < WORDS; i++) {
        words[i] = i % 32 == 0 ? "first" : i % 32 == 31 ? "last" : "middle";
        weights[i * WORDS + i] = 0.75f;
        weights[i * WORDS + (i + 40) % WORDS] = 0.25f;
    }
    at_matrix m = {
        .targets = words, .target_count = WORDS, .sources = words, .source_count = WORDS, .weights = weights};
    at_buf out = {0};
    check_ok(at_matrix_svg(&m, &out));
    check_xml(out.data);
    assert_true(out.length < 1000000);
    assert_non_null(strstr(out.data, "<title>first … last ← first … last: 0.7500</title>"));
    assert_non_null(strstr(out.data, "the mean of up to 32 words"));
    assert_null(strstr(out.data, "middle …"));
    assert_null(strstr(out.data, ">0.99</text>"));
    assert_non_null(strstr(out.data, ">1.00</text>"));
    at_buf_clear(&out);
    check_ok(at_matrix_terminal(&m, &(at_terminal_options){.width = 80}, &out));
    assert_true(out.length < 1000000);
    m.source_count = 3; /* only one way is too long: 300 rows in groups of 3 */
    m.target_count = 300;
    for (size_t i = 0; i < 900; i++)
        weights[i] = 1.0f / 3.0f;
    at_buf_clear(&out);
    check_ok(at_matrix_svg(&m, &out));
    size_t rows = 0;
    for (const char *p = out.data; (p = strstr(p, ">1.00</text>")); p++)
        rows++;
    assert_int_equal(rows, 100);
    assert_non_null(strstr(out.data, ": 0.3333</title>"));
    at_buf_free(&out);
    at_free(words);
    at_free(weights);
}

static at_status draw_pooled(void *context)
{
    at_buf out = {0};
    at_status st = at_matrix_svg(context, &out);
    at_buf_free(&out);
    return st;
}

static void every_failing_allocation_is_an_error_without_leak(void **state)
{
    (void)state;
    const char *words[130];
    float weights[2 * 130];
    for (size_t i = 0; i < 130; i++)
        words[i] = "w";
    for (size_t i = 0; i < 260; i++)
        weights[i] = 1.0f / 130;
    at_matrix m = {
        .targets = words, .target_count = 2, .sources = words, .source_count = 130, .weights = weights};
    check_every_allocation(draw_pooled, &m, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_picture_has_the_size_of_its_words),
        cmocka_unit_test(without_the_libraries_it_says_what_is_missing),
        cmocka_unit_test(bad_weights_are_refused),
        cmocka_unit_test(thousands_of_words_are_drawn_in_groups),
        cmocka_unit_test(every_failing_allocation_is_an_error_without_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
