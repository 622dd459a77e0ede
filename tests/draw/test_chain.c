/* The chain of a model's shapes: lines, and an SVG with boxes and arrows. */
#include "draw/chain.h"
#include <string.h>
#include "base/memory.h"
#include "tests/draw/xml.h"

static const at_chain_step picture[] = {{.name = "picture", .shape = "224 × 224 × 3"},
                                        {.name = "patches", .detail = "of 32 × 32", .shape = "49 × 3072"},
                                        {.name = "linear", .shape = "49 × 128", .parameters = 393344},
                                        {.name = "encoder block",
                                         .detail = "8 heads of 16",
                                         .shape = "49 × 128",
                                         .repeats = 12,
                                         .parameters = 198272}};
static const at_chain one = {.title = "a <b> & c", .steps = picture, .count = 4};

static void lines_say_shapes_and_parameters(void **state)
{
    (void)state;
    at_buf out = {0};
    check_ok(at_chain_text(&one, 0, &out));
    assert_string_equal(out.data, "224 × 224 × 3 → 49 × 3072 → 49 × 128\n"
                                  "\n"
                                  "  picture             224 × 224 × 3\n"
                                  "  patches             49 × 3072\n"
                                  "    of 32 × 32\n"
                                  "  linear              49 × 128       393,344\n"
                                  "  encoder block × 12  49 × 128       12 × 198,272\n"
                                  "    8 heads of 16\n"
                                  "\n"
                                  "2,772,608 parameters\n");
    at_buf_free(&out);
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        n++;
    return n;
}

static void a_second_chain_looks_at_the_first(void **state)
{
    (void)state;
    const at_chain_step steps[] = {{.name = "pieces", .shape = "n"},
                                   {.lane = 1, .name = "block", .shape = "m", .repeats = 2, .reads = true}};
    const at_chain two = {.lanes = {"encoder", "decoder"}, .steps = steps, .count = 2};
    at_buf text = {0}, svg = {0};
    check_ok(at_chain_text(&two, 0, &text));
    assert_non_null(strstr(text.data, "looks at the last rows of: encoder"));
    assert_non_null(strstr(text.data, "decoder: m\n"));
    check_ok(at_chain_svg(&two, &svg));
    check_xml(svg.data);
    assert_int_equal(count(svg.data, "marker-end"), 1);
    at_buf_free(&text);
    at_buf_free(&svg);
}

static void the_picture_has_a_box_a_step(void **state)
{
    (void)state;
    at_buf svg = {0};
    check_ok(at_chain_svg(&one, &svg));
    check_xml(svg.data);
    assert_int_equal(count(svg.data, "<rect class=\"k\""), 4 + 2); /* the blocks lie in a pile */
    assert_int_equal(count(svg.data, "marker-end"), 3);
    assert_non_null(strstr(svg.data, "a &lt;b&gt; &amp; c"));
    assert_non_null(strstr(svg.data, "12 × 198,272 parameters"));
    assert_non_null(strstr(svg.data, "prefers-color-scheme:dark"));
    at_buf_free(&svg);
}

static at_status draw(void *context)
{
    at_buf svg = {0};
    at_status st = at_chain_svg(context, &svg);
    at_buf_free(&svg);
    return st;
}

static void errors(void **state)
{
    (void)state;
    at_buf out = {0};
    check_fails(at_chain_text(&(at_chain){0}, 0, &out), AT_EARG, "without steps");
    check_fails(at_chain_svg(&(at_chain){0}, &out), AT_EARG, "without steps");
    check_every_allocation(draw, (void *)(uintptr_t)&one, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_say_shapes_and_parameters),
        cmocka_unit_test(a_second_chain_looks_at_the_first),
        cmocka_unit_test(the_picture_has_a_box_a_step),
        cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
