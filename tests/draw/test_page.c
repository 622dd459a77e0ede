/* The page as a file: words that try to break out, no address, sizes, the weights that it keeps. What it does
 * in a browser is test_browser.c's. */
#include "draw/internal.h"
#include "tests/draw/pages.h"

static const pages_spec sentence = {.rows = 30, .columns = 30, .layers = 4, .heads = 4, .models = 1};

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
        count++;
    return count;
}

static void words_cannot_break_out_of_the_page(void **state)
{
    (void)state;
    pages p;
    at_buf out = {0};
    pages_make(&p, &sentence);
    p.page.caption = "</script><script>alert(1)</script>\x01\xc3 \"\\";
    p.model[0].name = "<!--<script>";
    check_ok(at_page_html(&p.page, &out));
    assert_int_equal(strlen(out.data), out.length);
    assert_int_equal(count_of(out.data, "<script"), 2); /* the numbers and ours */
    assert_int_equal(count_of(out.data, "</script"), 2);
    assert_null(strstr(out.data, "<!--"));
    assert_null(strstr(out.data, "\x1b"));
    assert_null(strstr(out.data, "\x01"));
    assert_null(strstr(out.data, "\xff"));
    assert_non_null(strstr(out.data, "<title>Attention: &lt;made&gt; &amp; &quot;up&quot;</title>"));
    assert_non_null(strstr(out.data, "\"\\u003cb>&\\\"opinion\\\"\\u003c/script>\""));
    assert_non_null(strstr(out.data, "\"\xef\xbf\xbd[31m\""));
    assert_non_null(strstr(out.data, "\xef\xbf\xbd \\\"\\\\\""));
    pages_free(&p);
    at_buf_free(&out);
}

static void the_page_has_no_address_in_it(void **state)
{
    (void)state;
    static const char *const addresses[] = {"http:", "https:", "//www",   "ftp:",   "url(",
                                            "src=",  "href",   "@import", "import("};
    pages p;
    at_buf out = {0};
    pages_make(&p, &sentence);
    check_ok(at_page_html(&p.page, &out));
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        if (strstr(out.data, addresses[i]))
            fail_msg("the page holds \"%s\"", addresses[i]);
    assert_non_null(strstr(out.data, "default-src 'none'"));
    assert_non_null(strstr(out.data, "prefers-color-scheme: dark"));
    assert_non_null(strstr(out.data, "Jain"));
    assert_true(out.length < 1000000);
    pages_free(&p);
    at_buf_free(&out);
}

static unsigned digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return (unsigned)(strchr(digits, c) - digits);
}

/* The 16-bit numbers behind base64; returns how many. */
static size_t decode(const char *text, uint16_t *numbers)
{
    unsigned char bytes[4096];
    size_t n = 0;
    for (; text[0] && text[1]; text += 4) {
        unsigned bits = digit(text[0]) << 18 | digit(text[1]) << 12 |
                        (text[2] != '=' ? digit(text[2]) << 6 : 0u) | (text[3] != '=' ? digit(text[3]) : 0u);
        bytes[n++] = (unsigned char)(bits >> 16);
        if (text[2] != '=')
            bytes[n++] = (unsigned char)(bits >> 8);
        if (text[3] != '=')
            bytes[n++] = (unsigned char)bits;
    }
    for (size_t i = 0; i < n / 2; i++)
        numbers[i] = (uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8);
    return n / 2;
}

static void weights_are_packed_by_rows(void **state)
{
    (void)state;
    const float w[] = {0.5f, 0.0f, 0.25f, 0.25f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 1.0f, 0.000001f, 0.0f};
    const uint16_t want[] = {3, 0, 1, 0, 2, 3, 1, 32768, 16384, 16384, 65535};
    uint16_t got[64];
    at_buf out = {0};
    at_draw_pack(w, 3, 4, 4, &out);
    check_ok(at_buf_status(&out));
    assert_int_equal(decode(out.data, got), 11);
    check_same_bits(got, want, sizeof want);
    at_buf_free(&out);
}

/* Of 97 weights the 1 … 97 largest: the same as by sorting, columns ascending. */
static void the_largest_of_a_row_are_kept(void **state)
{
    (void)state;
    enum { COLUMNS = 97 };
    float w[COLUMNS];
    uint16_t got[2 * COLUMNS + 1];
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t i = 0; i < COLUMNS; i++)
        w[i] = (float)(1 + at_rng_below(&rng, 40)) / 50.0f; /* many equals */
    for (size_t most = 1; most <= COLUMNS; most++) {
        at_buf out = {0};
        at_draw_pack(w, 1, COLUMNS, most, &out);
        assert_int_equal(decode(out.data, got), 2 * most + 1);
        assert_int_equal(got[0], most);
        uint16_t least = 65535;
        for (size_t i = 0; i < most; i++) {
            assert_true(i == 0 || got[1 + i] > got[i]);
            assert_int_equal(got[1 + most + i], lrintf(w[got[1 + i]] * 65535));
            least = got[1 + most + i] < least ? got[1 + most + i] : least;
        }
        size_t larger = 0;
        for (size_t i = 0; i < COLUMNS; i++)
            larger += lrintf(w[i] * 65535) > least;
        assert_true(larger < most);
        at_buf_free(&out);
    }
}

static void many_words_stay_within_the_limit(void **state)
{
    (void)state;
    pages p;
    at_buf out = {0};
    pages_make(&p, &(pages_spec){.rows = 600, .columns = 600, .layers = 2, .heads = 1, .models = 2});
    p.page.entries = 100000;
    check_ok(at_page_html(&p.page, &out));
    assert_true(out.length < 100000 * 6 + 400000);
    pages_free(&p);
    at_buf_free(&out);
}

static void entropy_is_in_bits(void **state)
{
    (void)state;
    const char *const words[] = {"a", "b", "c", "d"};
    const float w[] = {0.25f, 0.25f, 0.25f, 0.25f, 0.0f, 1.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    const at_page_map map = {.weights = w};
    const at_page_sheet sheet = {AT_PAGE_CROSS, words, words, 3, 4, &map, 1};
    const at_page_model model = {"m", "s", NULL, &sheet, 1};
    at_buf out = {0};
    check_ok(at_page_html(&(at_page){.models = &model, .model_count = 1, .pick = "0.0"}, &out));
    assert_non_null(
        strstr(out.data, "\"layer\":0,\"head\":0,\"entropy\":1.000,")); /* the empty row does not count */
    assert_non_null(strstr(out.data, "\"pick\":\"0.0\""));
    assert_null(strstr(out.data, "\"target\""));
    at_buf_free(&out);
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    pages p;
    at_buf out = {0};
    pages_make(&p, &sentence);
    at_page page = p.page;
    page.model_count = 3;
    check_fails(at_page_html(&page, &out), AT_EARG, "want 1 to 2");
    p.weights[1][3][7] = 1.5f;
    check_fails(at_page_html(&p.page, &out), AT_EARG, "want 0 to 1");
    p.weights[1][3][7] = NAN;
    check_fails(at_page_html(&p.page, &out), AT_ENUMBER, "no finite number");
    p.sheet[0].column_count = 65536;
    check_fails(at_page_html(&p.page, &out), AT_EARG, "at most 65535");
    p.sheet[0].column_count = 0;
    check_fails(at_page_html(&p.page, &out), AT_EARG, "at least one");
    p.sheet[0].map_count = 0;
    check_fails(at_page_html(&p.page, &out), AT_EARG, "without any layer");
    p.model[0].sheet_count = 0;
    check_fails(at_page_html(&p.page, &out), AT_EARG, "no attention");
    assert_int_equal(out.length, 0);
    pages_free(&p);
}

static at_status draw(void *page)
{
    at_buf out = {0};
    at_status st = at_page_html(page, &out);
    at_buf_free(&out);
    return st;
}

static void every_failing_allocation_is_an_error_without_leak(void **state)
{
    (void)state;
    pages p;
    pages_make(&p, &(pages_spec){.rows = 4, .columns = 4, .layers = 1, .heads = 1, .models = 1});
    check_every_allocation(draw, &p.page, 2000);
    pages_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_cannot_break_out_of_the_page),
        cmocka_unit_test(the_page_has_no_address_in_it),
        cmocka_unit_test(weights_are_packed_by_rows),
        cmocka_unit_test(the_largest_of_a_row_are_kept),
        cmocka_unit_test(many_words_stay_within_the_limit),
        cmocka_unit_test(entropy_is_in_bits),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(every_failing_allocation_is_an_error_without_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
