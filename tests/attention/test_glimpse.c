/* The retina, by hand: what it cuts, at edges and outside, how scales are averaged; its bits. */
#include "attention/glimpse.h"
#include <math.h>
#include <string.h>
#include "tests/gradient.h"

typedef struct stage {
    at_exec *exec;
    at_tape *tape;
} stage;

static void open_stage(stage *s, const char *kernels, int threads)
{
    check_ok(at_exec_new(kernels, threads, &s->exec));
    check_ok(at_tape_new(s->exec, &s->tape));
    at_tape_begin(s->tape, AT_TAPE_RUN, 0, 0);
}

static void close_stage(stage *s)
{
    at_tape_free(s->tape);
    at_exec_free(s->exec);
}

/* Pixel (y,x) is 10 y + x. */
static void number_pixels(float *out, size_t height, size_t width)
{
    for (size_t i = 0; i < height * width; i++)
        out[i] = (float)(10 * (i / width) + i % width);
}

static void look(const at_glimpses *g, const float *place, const float *want)
{
    stage s;
    open_stage(&s, NULL, 1);
    at_var *seen = at_glimpse(s.tape, g, place);
    assert_non_null(seen);
    assert_false(seen->needs_grad);
    check_near(seen->data, want, at_glimpse_width(g), 1e-6);
    close_stage(&s);
}

static void the_middle_and_the_edges(void **state)
{
    (void)state;
    float picture[6 * 8];
    number_pixels(picture, 6, 8);
    at_glimpses g = {picture, 1, 6, 8, 1, 1, 2, 1, 2};
    look(&g, (float[]){0, 0}, (float[]){23, 24, 33, 34});
    look(&g, (float[]){-1, -1}, (float[]){0, 0, 0, 0});     /* around the corner: one pixel of it inside */
    look(&g, (float[]){-0.75f, -1}, (float[]){0, 0, 0, 1}); /* x 1 of 8: pixels 0 and 1 */
    look(&g, (float[]){1, 1}, (float[]){57, 0, 0, 0});
    look(&g, (float[]){0.25f, -1.0f / 3}, (float[]){14, 15, 24, 25}); /* x 5 of 8, y 2 of 6 */
}

static void places_outside_are_held_within(void **state)
{
    (void)state;
    float picture[6 * 8];
    number_pixels(picture, 6, 8);
    at_glimpses g = {picture, 1, 6, 8, 1, 1, 2, 1, 2};
    look(&g, (float[]){7, INFINITY}, (float[]){57, 0, 0, 0});
    look(&g, (float[]){NAN, -INFINITY}, (float[]){0, 0, 0, 0});
}

/* 2 x 2 boxes of a 4 x 4 square, then 4 x 4 boxes of 8 x 8, which reaches outside the 6 rows by one above and
 * below. */
static void scales_are_means(void **state)
{
    (void)state;
    float picture[6 * 8];
    number_pixels(picture, 6, 8);
    at_glimpses g = {picture, 1, 6, 8, 1, 1, 2, 3, 2};
    float want[12] = {23, 24, 33, 34, 17.5f, 19.5f, 37.5f, 39.5f};
    for (int box = 0; box < 4; box++) {
        float sum = 0;
        for (int y = 4 * (box / 2) - 1; y < 4 * (box / 2) + 3; y++)
            for (int x = 4 * (box % 2); x < 4 * (box % 2) + 4; x++)
                sum += y >= 0 && y < 6 ? picture[y * 8 + x] : 0;
        want[8 + box] = sum / 16;
    }
    look(&g, (float[]){0, 0}, want);
    at_glimpse_frame f = at_glimpse_covers(&g, 2, (float[]){0, 0});
    assert_int_equal(f.left, 0);
    assert_int_equal(f.top, -1);
    assert_int_equal(f.side, 8);
}

static void colours_stay_apart(void **state)
{
    (void)state;
    float grey[6 * 6], colour[6 * 6 * 3];
    number_pixels(grey, 6, 6);
    for (size_t i = 0; i < 36 * 3; i++)
        colour[i] = grey[i / 3] * (float)(i % 3 + 1);
    stage s;
    open_stage(&s, NULL, 1);
    float place[] = {0.4f, -0.5f};
    at_var *one = at_glimpse(s.tape, &(at_glimpses){grey, 1, 6, 6, 1, 1, 3, 2, 2}, place);
    at_var *three = at_glimpse(s.tape, &(at_glimpses){colour, 1, 6, 6, 3, 1, 3, 2, 2}, place);
    assert_int_equal(three->shape.dim[1], 54);
    for (size_t i = 0; i < 54; i++)
        check_near(&three->data[i], (float[]){one->data[i / 3] * (float)(i % 3 + 1)}, 1, 1e-5);
    close_stage(&s);
}

/* Copies look at the same picture; bits depend on no thread. */
static void copies_and_threads(void **state)
{
    (void)state;
    enum { PICTURES = 40, COPIES = 3, SIDE = 19, N = PICTURES * COPIES };
    static float pictures[PICTURES * SIDE * SIDE], places[2 * N], first[N * 75];
    gradient_random(pictures, sizeof pictures / sizeof *pictures, 1, 1);
    gradient_random(places, 2 * N, 2, 0.6f);
    for (size_t i = 0; i < 2 * N; i++)
        places[i] = i % 6 < 2 ? places[i] : places[i - i % 6 + i % 2]; /* all copies at one place */
    at_glimpses g = {pictures, PICTURES, SIDE, SIDE, 1, COPIES, 5, 3, 2};
    for (int threads = 1; threads <= 8; threads *= 2) {
        stage s;
        open_stage(&s, NULL, threads);
        at_var *seen = at_glimpse(s.tape, &g, places);
        if (threads == 1)
            memcpy(first, seen->data, sizeof first);
        check_same_bits(seen->data, first, sizeof first);
        close_stage(&s);
    }
    for (size_t i = 0; i < N; i++)
        check_same_bits(first + i * 75, first + i / COPIES * COPIES * 75, 75 * sizeof *first);
    stage plain;
    open_stage(&plain, "ref", 1);
    check_near(at_glimpse(plain.tape, &g, places)->data, first, N * 75, 1e-6);
    close_stage(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_middle_and_the_edges), cmocka_unit_test(places_outside_are_held_within),
        cmocka_unit_test(scales_are_means),         cmocka_unit_test(colours_stay_apart),
        cmocka_unit_test(copies_and_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
