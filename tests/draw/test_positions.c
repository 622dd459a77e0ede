/* The picture of a position encoding: well-formed, within its width, nothing that is not finite. */
#include "draw/positions.h"
#include <math.h>
#include "draw/words.h"
#include "tests/draw/xml.h"

enum { COUNT = 70, WIDTH = 96 };

static float values[COUNT * WIDTH];
static double dot[COUNT], least[COUNT], most[COUNT];

static at_position_picture picture(size_t count, size_t width)
{
    for (size_t i = 0; i < count * width; i++)
        values[i] = (float)sin((double)(i / width) / (1 + (double)(i % width)));
    for (size_t d = 0; d < count; d++) {
        dot[d] = 10 * cos((double)d);
        least[d] = dot[d] - 1;
        most[d] = dot[d] + 1;
    }
    return (at_position_picture){values, count, width, dot, least, most, "PE of <a> & \"b\""};
}

static void terminals_are_not_overrun(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{COUNT, WIDTH}, {1, 1}, {3, 200 < WIDTH ? 200 : WIDTH}, {COUNT, 2}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        at_position_picture p = picture(sizes[i][0], sizes[i][1]);
        at_buf out = {0};
        check_ok(at_positions_terminal(&p, 80, &out));
        for (char *line = strtok(out.data, "\n"); line; line = strtok(NULL, "\n"))
            assert_true(at_draw_width(line) <= 80);
        at_buf_free(&out);
    }
}

static void the_terminal_says_the_products(void **state)
{
    (void)state;
    at_position_picture p = picture(COUNT, WIDTH);
    at_buf out = {0};
    check_ok(at_positions_terminal(&p, 100, &out));
    assert_non_null(strstr(out.data, "PE(p)·PE(q) by distance"));
    assert_non_null(strstr(out.data, "       0    10.000     9.000    11.000 "));
    assert_non_null(strstr(out.data, "       3    -9.900   -10.900    -8.900 -"));
    at_buf_free(&out);
}

static void documents_are_well_formed(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{COUNT, WIDTH}, {1, 1}, {2, 7}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        at_position_picture p = picture(sizes[i][0], sizes[i][1]);
        at_buf out = {0};
        check_ok(at_positions_svg(&p, &out));
        check_xml(out.data);
        assert_non_null(strstr(out.data, "PE of &lt;a&gt;"));
        assert_null(strstr(out.data, "nan"));
        assert_null(strstr(out.data, "inf"));
        at_buf_free(&out);
    }
}

static void limits_are_told(void **state)
{
    (void)state;
    at_position_picture p = picture(2, 2);
    at_buf out = {0};
    p.count = 0;
    check_fails(at_positions_svg(&p, &out), AT_EARG, "nothing to draw");
    p.count = 2;
    values[3] = NAN;
    check_fails(at_positions_svg(&p, &out), AT_ENUMBER, "number 1 of position 1");
    check_fails(at_positions_terminal(&p, 80, &out), AT_ENUMBER, "not finite");
    at_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terminals_are_not_overrun),
        cmocka_unit_test(the_terminal_says_the_products),
        cmocka_unit_test(documents_are_well_formed),
        cmocka_unit_test(limits_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
