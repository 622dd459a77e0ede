/* The attention picture in the terminal and as SVG: golden text, display widths,
 * words that try to break out, well-formed XML. */
#include <stdio.h>
#include <string.h>

#include "draw/matrix.h"
#include "draw/words.h"
#include "tests/check.h"
#include "tests/draw/xml.h"

static const char *const zh[] = {"汤姆", "追", "杰瑞", "。"};
static const char *const en[] = {"Tom", "chases", "Jerry", "."};
static const float four[] = {.91f, .05f, .03f, .01f, .10f, .80f, .07f, .03f,
                             .02f, .06f, .90f, .02f, .05f, .05f, .10f, .80f};
static const at_matrix tom = {.targets = zh,
                              .target_count = 4,
                              .sources = en,
                              .source_count = 4,
                              .weights = four,
                              .title = "layer 4, mean of 4 heads"};

static const char *const odd[] = {"na\xcc\x83o",
                                  "Donaudampfschifffahrtsgesellschaft",
                                  "汉字",
                                  "\x1b[2J",
                                  "a<b&\"c'>",
                                  "bad\xff",
                                  "",
                                  "\xe2\x80\xaertl",
                                  "x",
                                  "한국어",
                                  "é",
                                  "tab\there"};
enum { ODD = sizeof odd / sizeof odd[0], MANY = 30 };

/* MANY words each way, cycling through `odd`, weights on the diagonal. */
static at_matrix many(void)
{
    static const char *words[MANY];
    static float weights[MANY * MANY];
    for (int i = 0; i < MANY; i++) {
        words[i] = odd[i % ODD];
        for (int k = 0; k < MANY; k++)
            weights[i * MANY + k] = i == k ? 0.71f : 0.01f;
    }
    return (at_matrix){
        .targets = words, .target_count = MANY, .sources = words, .source_count = MANY, .weights = weights};
}

/* Removes colour sequences in place. */
static void strip_colors(char *text)
{
    char *to = text;
    for (const char *p = text; *p;) {
        if (*p != '\033') {
            *to++ = *p++;
            continue;
        }
        p += strcspn(p, "m");
        p += *p == 'm';
    }
    *to = '\0';
}

static void tom_and_jerry_in_plain_text(void **state)
{
    (void)state;
    at_buf out = {0};
    check_ok(at_matrix_terminal(&tom, &(at_terminal_options){.width = 80}, &out));
    assert_string_equal(out.data,
                        "layer 4, mean of 4 heads\n"
                        "\n"
                        "      Tom  chases Jerry  .   \n"
                        "汤姆 │█.91 ░░░.05   .03  .01 \n"
                        "  追 │░.10 ███.80 ░░.07  .03 \n"
                        "杰瑞 │ .02 ░░░.06 ██.90  .02 \n"
                        "  。 │░.05 ░░░.05 ░░.10 █.80 \n"
                        "\n"
                        "░ .05  ▒ .25  ▓ .50  █ .75 up\n"
                        "Weights show where the model looked; they are no explanation of why it chose a\n"
                        "word (Jain and Wallace 2019).\n");
    at_buf_free(&out);
}

static void colors_change_nothing_but_color(void **state)
{
    (void)state;
    at_buf out = {0};
    check_ok(at_matrix_terminal(&tom, &(at_terminal_options){.width = 80, .color = AT_COLOR_TRUE}, &out));
    assert_non_null(strstr(out.data, "\033[48;2;"));
    strip_colors(out.data);
    assert_non_null(strstr(out.data, "      Tom chases Jerry  .  \n汤姆 │.91  .05    .03  .01 \n"));
    at_buf_clear(&out);
    check_ok(at_matrix_terminal(&tom, &(at_terminal_options){.width = 80, .color = AT_COLOR_256}, &out));
    assert_non_null(strstr(out.data, "\033[48;5;"));
    at_buf_free(&out);
}

/* Every line fits; within a block all lines of cells and heads are equally wide. */
static void check_alignment(const at_matrix *m, const at_terminal_options *options)
{
    at_buf out = {0};
    int block = -1, rows = 0;
    check_ok(at_matrix_terminal(m, options, &out));
    strip_colors(out.data);
    for (char *line = out.data, *next; *line; line = next) {
        next = line + strcspn(line, "\n");
        assert_int_equal(*next, '\n');
        *next++ = '\0';
        int width = at_draw_width(line);
        assert_true(width <= options->width);
        assert_null(strchr(line, '\033'));
        if (strstr(line, " │")) {
            rows++;
            if (block >= 0)
                assert_int_equal(width, block);
            block = width;
        } else {
            block = -1;
        }
    }
    assert_true(rows >= (int)m->target_count && rows % (int)m->target_count == 0);
    at_buf_free(&out);
}

static void lines_fit_and_columns_align_at_every_width(void **state)
{
    (void)state;
    at_matrix big = many();
    for (int width = 12; width <= 150; width++) {
        for (int mode = 0; mode < 9; mode++) {
            at_terminal_options options = {.width = width, .color = mode % 3, .numbers = mode / 3};
            options.light = width % 2;
            check_alignment(&big, &options);
            check_alignment(&tom, &options);
        }
    }
}

static void thirty_source_words_fit_in_one_block_of_eighty_columns(void **state)
{
    (void)state;
    at_matrix big = many();
    const char *const short_words[] = {"wort"};
    big.targets = short_words;
    big.target_count = 1;
    at_buf out = {0};
    check_ok(at_matrix_terminal(&big, &(at_terminal_options){.width = 80}, &out));
    const char *row = strstr(out.data, "wort │");
    assert_non_null(row);
    assert_null(strstr(row + 1, "wort │"));
    at_buf_free(&out);
}

static void svg_is_well_formed_and_stands_alone(void **state)
{
    (void)state;
    at_matrix big = many();
    at_buf out = {0};
    big.title = "a < b & \"c\" \x01 ]]> -- é 汉";
    big.caption = "caption </svg> with <tags> & a very long line that must be broken because it does not fit "
                  "into the picture at all, 汉字汉字汉字";
    check_ok(at_matrix_svg(&big, &out));
    check_xml(out.data);
    assert_null(strstr(out.data, "\x1b"));
    assert_non_null(strstr(out.data, "a&lt;b&amp;&quot;c&#39;&gt;"));
    assert_null(strstr(out.data, "href"));
    assert_null(strstr(out.data, "url(h"));
    const char *address = strstr(out.data, "http");
    assert_non_null(address); /* the name space is the only one */
    assert_null(strstr(address + 1, "http"));
    at_buf_free(&out);
}

static void svg_shows_weights_sums_and_both_themes(void **state)
{
    (void)state;
    at_buf out = {0};
    check_ok(at_matrix_svg(&tom, &out));
    check_xml(out.data);
    assert_non_null(strstr(out.data, "<title>杰瑞 ← Jerry: 0.9000</title>"));
    assert_non_null(strstr(out.data, ">.91</text>"));
    assert_non_null(strstr(out.data, ">1.00</text>"));
    assert_non_null(strstr(out.data, "prefers-color-scheme:dark"));
    assert_non_null(strstr(out.data, "are no"));
    at_buf_free(&out);
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    at_buf out = {0};
    float bad[16];
    at_matrix m = tom;
    memcpy(bad, four, sizeof bad);
    m.weights = bad;
    bad[5] = 0.0f / 0.0f;
    check_fails(at_matrix_svg(&m, &out), AT_ENUMBER, "target 1, source 1");
    bad[5] = 1.5f;
    check_fails(at_matrix_terminal(&m, &(at_terminal_options){0}, &out), AT_EARG, "want 0 to 1");
    m.source_count = 0;
    check_fails(at_matrix_svg(&m, &out), AT_EARG, "at least one of each");
    assert_int_equal(out.length, 0);
    at_buf_free(&out);
}

static void words_are_measured_cut_and_broken(void **state)
{
    (void)state;
    at_buf out = {0};
    assert_int_equal(at_draw_width("汤姆a"), 5);
    assert_int_equal(at_draw_width("na\xcc\x83o"), 3);
    assert_int_equal(at_draw_cut("汤姆追杰瑞", 6, &out), 5);
    assert_string_equal(out.data, "汤姆…");
    at_buf_clear(&out);
    assert_int_equal(at_draw_cut("na\xcc\x83o", 3, &out), 3);
    assert_string_equal(out.data, "na\xcc\x83o");
    at_buf_clear(&out);
    at_draw_lines(" one two  three 汉字汉字", 7, &out);
    assert_string_equal(out.data, "one two\nthree\n汉字汉\n字\n");
    at_buf_clear(&out);
    at_draw_escape("a\x1b\n\xff&", &out);
    assert_string_equal(out.data, "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd&amp;");
    at_buf_free(&out);
}

static at_status draw_both(void *context)
{
    (void)context;
    at_buf out = {0}, svg = {0};
    at_status st = at_matrix_terminal(&tom, &(at_terminal_options){.width = 20}, &out);
    if (st == AT_OK)
        st = at_matrix_svg(&tom, &svg);
    at_buf_free(&out);
    at_buf_free(&svg);
    return st;
}

static void every_failing_allocation_is_an_error_without_leak(void **state)
{
    (void)state;
    check_every_allocation(draw_both, NULL, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tom_and_jerry_in_plain_text),
        cmocka_unit_test(colors_change_nothing_but_color),
        cmocka_unit_test(lines_fit_and_columns_align_at_every_width),
        cmocka_unit_test(thirty_source_words_fit_in_one_block_of_eighty_columns),
        cmocka_unit_test(svg_is_well_formed_and_stands_alone),
        cmocka_unit_test(svg_shows_weights_sums_and_both_themes),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(words_are_measured_cut_and_broken),
        cmocka_unit_test(every_failing_allocation_is_an_error_without_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
