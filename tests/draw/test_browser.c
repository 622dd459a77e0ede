/* The page in a real browser: clicking heads and kinds, hovering over words, holding them, two models, day
 * and night, sizes. Skipped, and said so, where there is no Chromium. */
#include "base/file.h"
#include "tests/browser.h"
#include "tests/draw/pages.h"

static browser *b;

static int open_browser(void **state)
{
    (void)state;
    b = browser_open();
    return 0;
}

static int close_browser(void **state)
{
    (void)state;
    browser_close(b);
    return 0;
}

/* Bytes of the page written for that shape. */
static size_t write_page(const pages_spec *spec, const char *name)
{
    pages p;
    at_buf out = {0};
    pages_make(&p, spec);
    check_ok(at_page_html(&p.page, &out));
    check_ok(at_file_write(check_path(name), out.data, out.length));
    size_t length = out.length;
    pages_free(&p);
    at_buf_free(&out);
    return length;
}

static const char *ask(const char *expression)
{
    return browser_ask(b, expression);
}

/* The middle of what a selector finds. */
static void point(const char *selector, double *x, double *y)
{
    char text[400];
    snprintf(text, sizeof text, "document.querySelector(`%s`).scrollIntoView({block: 'nearest'})", selector);
    ask(text);
    snprintf(text, sizeof text,
             "(r => r.left + r.width / 2)(document.querySelector(`%s`).getBoundingClientRect())", selector);
    *x = browser_number(b, text);
    snprintf(text, sizeof text,
             "(r => r.top + r.height / 2)(document.querySelector(`%s`).getBoundingClientRect())", selector);
    *y = browser_number(b, text);
}

static void click(const char *selector)
{
    double x, y;
    point(selector, &x, &y);
    browser_click(b, x, y);
}

/* Over word `i` of the left (side 0.2) or right (0.8) column of a panel. */
static void word_place(const char *panel, double side, int i, double *x, double *y)
{
    char text[400];
    snprintf(text, sizeof text,
             "document.querySelector('#%s .lines canvas').scrollIntoView({block: 'center'})", panel);
    ask(text);
    snprintf(text, sizeof text,
             "(r => r.left + r.width * %.2f)(document.querySelector('#%s .lines canvas')"
             ".getBoundingClientRect())",
             side, panel);
    *x = browser_number(b, text);
    snprintf(text, sizeof text, "document.querySelector('#%s .lines canvas').getBoundingClientRect().top",
             panel);
    *y = browser_number(b, text) + 6 + 22 * i + 11;
}

static void hover_word(const char *panel, double side, int i)
{
    double x, y;
    word_place(panel, side, i, &x, &y);
    browser_move(b, x, y);
}

static const pages_spec sentence = {.rows = 30, .columns = 30, .layers = 4, .heads = 4, .models = 1};

static void a_person_picks_a_head_and_hovers_over_a_word(void **state)
{
    (void)state;
    if (!b)
        skip();
    size_t bytes = write_page(&sentence, "a.html");
    browser_show(b, check_path("a.html"), 1280, 1000, false);
    print_message("30 words, 4 layers, 4 heads: %zu bytes, drawn in %s ms\n", bytes,
                  ask("document.documentElement.dataset.drawn"));
    assert_true(bytes < 1000000);
    assert_string_equal(ask("document.title"), "Attention: <made> & \"up\"");
    assert_string_equal(
        ask("document.querySelector('#a').dataset.kind + ' ' + document.querySelector('#a').dataset.pick"),
        "cross all");
    browser_shot(b, "cross.png");
    click("#a [data-pick=\"1.1\"]"); /* looks at the word before */
    assert_string_equal(ask("document.querySelector('#a .status').textContent.split(' \u00b7')[0]"),
                        "layer 1, head 1");
    hover_word("a", 0.2, 7);
    assert_string_equal(ask("document.querySelector('#a').dataset.word"), "row.7");
    assert_string_equal(ask("document.querySelector('#a .answer p').textContent"), "它的 looks at:");
    assert_string_equal(ask("document.querySelector('#a .answer li bdi').textContent"), "but");
    assert_true(browser_number(b, "document.querySelector('#a .answer .weight').textContent") > 0.5);
    browser_shot(b, "hover.png");
    hover_word("a", 0.8, 6); /* who looks at "but"? */
    assert_string_equal(ask("document.querySelector('#a .answer p').textContent"), "but is looked at by:");
    assert_string_equal(ask("document.querySelector('#a .answer li bdi').textContent"), "它的");
    browser_shot(b, "column.png");
}

static void kinds_switch_and_a_click_holds_a_word(void **state)
{
    (void)state;
    if (!b)
        skip();
    click("[data-kind=decoder]");
    assert_string_equal(ask("document.querySelector('#a').dataset.kind"), "decoder");
    double x, y;
    word_place("a", 0.2, 3, &x, &y);
    browser_click(b, x, y);
    browser_move(b, 5, 5);
    assert_string_equal(ask("document.querySelector('#a').dataset.word"), "row.3");
    assert_non_null(strstr(ask("location.hash"), "kind=decoder&a=1.1&word=row.3"));
    ask("document.querySelector('#a .lines canvas').focus()");
    browser_key(b, "ArrowDown");
    assert_string_equal(ask("document.querySelector('#a').dataset.word"), "row.4");
    browser_key(b, "Escape");
    assert_string_equal(ask("document.querySelector('#a').dataset.word"), "");
    click("[data-kind=encoder]");
    click("#a [data-pick=m0]");
    assert_non_null(strstr(ask("document.querySelector('#a .status').textContent"), "Abnar"));
    browser_shot(b, "encoder.png");
}

static void the_copied_weights_are_those_of_the_model(void **state)
{
    (void)state;
    if (!b)
        skip();
    pages p;
    pages_make(&p, &sentence);
    browser_show(b, check_path("a.html"), 1280, 1000, false);
    print_message("again: drawn in %s ms\n", ask("document.documentElement.dataset.drawn"));
    click("#a [data-pick=\"2.3\"]");
    ask("navigator.clipboard.writeText = t => { window.copied = JSON.parse(t); return Promise.resolve(); }");
    click("#a .copy");
    assert_string_equal(ask("copied.map + ' ' + copied.kind + ' ' + copied.rows.length"),
                        "layer 2, head 3 cross 30");
    for (size_t r = 0; r < 30; r += 7) {
        for (size_t c = 0; c < 30; c += 3) {
            char text[60];
            snprintf(text, sizeof text, "copied.weights[%zu][%zu]", r, c);
            assert_true(fabs(browser_number(b, text) - (double)p.weights[0][11][r * 30 + c]) < 2e-5);
        }
    }
    pages_free(&p);
}

static void nothing_comes_from_outside(void **state)
{
    (void)state;
    if (!b)
        skip();
    assert_string_equal(ask("performance.getEntriesByType('resource').length"), "0");
    assert_string_equal(ask("document.querySelectorAll('b, img, link, iframe').length"),
                        "0"); /* words are no markup */
}

static void two_models_stand_side_by_side(void **state)
{
    (void)state;
    if (!b)
        skip();
    pages_spec two = sentence;
    two.models = 2;
    write_page(&two, "two.html");
    browser_show(b, check_path("two.html"), 1280, 1000, true);
    click("#b [data-pick=\"0.0\"]");
    hover_word("a", 0.2, 5);
    assert_string_equal(ask("document.querySelector('#b').dataset.word"), "row.5");
    assert_string_equal(ask("document.querySelector('#a').dataset.pick"), "all");
    assert_true(browser_number(b, "document.querySelector('#b').getBoundingClientRect().left") > 500);
    browser_shot(b, "two-dark.png");
    browser_show(b, check_path("two.html"), 390, 844, false); /* a telephone: one below the other */
    assert_true(browser_number(b, "document.documentElement.scrollWidth") <= 390);
    browser_shot(b, "telephone.png");
}

/* Longest of ten hovers and of a scroll, in milliseconds, each with all its drawing. */
static double slowest_hover(void)
{
    return browser_number(
        b, "Math.max(...[3, 40, 11, 29, 5, 17, 33, 2, 38, 20].map(i => {"
           "  const c = document.querySelector(i % 2 ? '#a .lines canvas' : '#a .matrix canvas');"
           "  const r = c.getBoundingClientRect(), from = performance.now();"
           "  c.dispatchEvent(new MouseEvent('mousemove', {clientX: r.left + (i % 2 ? 30 : r.width / 2),"
           "    clientY: r.top + r.height * i / 41}));"
           "  c.getContext('2d').getImageData(0, 0, 1, 1);"
           "  return performance.now() - from;"
           "}))");
}

static void a_thousand_words_answer_a_hover_at_once(void **state)
{
    (void)state;
    if (!b)
        skip();
    size_t bytes = write_page(
        &(pages_spec){.rows = 1000, .columns = 1000, .layers = 2, .heads = 2, .models = 1}, "thousand.html");
    browser_show(b, check_path("thousand.html"), 1280, 1000, false);
    double hover = slowest_hover();
    print_message("1,000 words: %zu bytes, drawn in %s ms, slowest of ten hovers %.1f ms\n", bytes,
                  ask("document.documentElement.dataset.drawn"), hover);
    assert_true(strlen(ask("document.querySelector('#a').dataset.word")) > 0);
    browser_shot(b, "thousand.png");
    click("#a [data-pick=\"0.1\"]");
    hover_word("a", 0.2, 8);
    assert_string_equal(ask("document.querySelector('#a .answer li bdi').textContent"), "its");
    browser_shot(b, "thousand-hover.png");
    assert_true(hover < 1000); /* ten times what is wanted: tests run on machines that do other things too */
}

static void four_thousand_words_stay_usable(void **state)
{
    (void)state;
    if (!b)
        skip();
    const pages_spec spec = {
        .rows = 4000, .columns = 4000, .layers = 1, .heads = 2, .models = 1, .cross_only = true};
    size_t bytes = write_page(&spec, "thousands.html");
    browser_show(b, check_path("thousands.html"), 1280, 1000, false);
    double hover = slowest_hover();
    print_message("4,000 words, 2 heads: %zu bytes, drawn in %s ms, slowest of ten hovers %.1f ms\n", bytes,
                  ask("document.documentElement.dataset.drawn"), hover);
    assert_true(bytes < 20000000);
    click("#a [data-pick=\"0.1\"]"); /* looks at the word before, far down too */
    ask("document.querySelector('#a .lines .scroll').scrollTop = 3900 * 22");
    hover_word("a", 0.2, 5);
    assert_string_equal(ask("document.querySelector('#a').dataset.word"), "row.3905");
    assert_true(browser_number(b, "document.querySelector('#a .answer .weight').textContent") > 0.02);
    ask("(z => { z.value = 100; z.dispatchEvent(new Event('input')); })(document.querySelector('#a "
        "[type=range]'))");
    browser_shot(b, "thousands.png");
    assert_true(browser_number(b, "document.querySelector('#a .matrix .scroll').scrollWidth") > 100000);
    assert_true(hover < 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_person_picks_a_head_and_hovers_over_a_word),
        cmocka_unit_test(kinds_switch_and_a_click_holds_a_word),
        cmocka_unit_test(the_copied_weights_are_those_of_the_model),
        cmocka_unit_test(nothing_comes_from_outside),
        cmocka_unit_test(two_models_stand_side_by_side),
        cmocka_unit_test(a_thousand_words_answer_a_hover_at_once),
        cmocka_unit_test(four_thousand_words_stay_usable),
    };
    return cmocka_run_group_tests(tests, open_browser, close_browser);
}
