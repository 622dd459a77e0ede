/* Pictures moved about on a canvas, pieces of others among them. */
#include "image/prepare.h"
#include <string.h>
#include "tests/check.h"

enum { COUNT = 5, SIDE = 6, SIZE = 15, PIECE = 3 };

/* All of picture i is i + 1. */
static uint8_t pictures[COUNT * SIDE * SIDE];

static at_canvas canvas_of(size_t size)
{
    for (size_t i = 0; i < sizeof pictures; i++)
        pictures[i] = (uint8_t)(i / (SIDE * SIDE) + 1);
    return (at_canvas){
        .pictures = pictures, .count = COUNT, .height = SIDE, .width = SIDE, .channels = 1, .size = size};
}

/* Where the picture begins, and that it is whole there and nothing else is set. */
static void find(const uint8_t *out, size_t number, size_t *x, size_t *y)
{
    size_t at = 0, sum = 0;
    while (at < SIZE * SIZE && !out[at])
        at++;
    *x = at % SIZE;
    *y = at / SIZE;
    for (size_t i = 0; i < SIZE * SIZE; i++)
        sum += out[i];
    assert_int_equal(sum, SIDE * SIDE * (number + 1));
    for (size_t i = 0; i < SIDE * SIDE; i++)
        assert_int_equal(out[(*y + i / SIDE) * SIZE + *x + i % SIDE], number + 1);
}

/* In 400 epochs it comes to every column and row where there is room, and whole. */
static void anywhere_on_the_canvas(void **state)
{
    (void)state;
    at_canvas c = canvas_of(SIZE);
    uint8_t out[SIZE * SIZE];
    bool columns[SIZE] = {false}, rows[SIZE] = {false};
    check_ok(at_canvas_check(&c));
    assert_int_equal(at_canvas_width(&c), SIZE);
    for (uint32_t epoch = 0; epoch < 400; epoch++) {
        size_t x, y;
        at_canvas_draw(&c, 2, (uint32_t[]){7, epoch}, out);
        find(out, 2, &x, &y);
        columns[x] = rows[y] = true;
    }
    for (size_t i = 0; i < SIZE; i++) {
        assert_int_equal(columns[i], i <= SIZE - SIDE);
        assert_int_equal(rows[i], i <= SIZE - SIDE);
    }
}

static void a_function_of_key_and_number(void **state)
{
    (void)state;
    at_canvas c = canvas_of(SIZE);
    c.clutter = 2;
    c.piece = PIECE;
    uint8_t a[SIZE * SIZE], b[SIZE * SIZE];
    at_canvas_draw(&c, 3, (uint32_t[]){1, 2}, a);
    at_canvas_draw(&c, 3, (uint32_t[]){1, 2}, b);
    check_same_bits(a, b, sizeof a);
    at_canvas_draw(&c, 3, (uint32_t[]){1, 3}, b);
    assert_memory_not_equal(a, b, sizeof a);
    at_canvas_draw(&c, 3, (uint32_t[]){2, 2}, b);
    assert_memory_not_equal(a, b, sizeof a);
}

/* What clutter adds is whole pieces of other pictures: with one other, a known sum. */
static void pieces_are_of_others(void **state)
{
    (void)state;
    at_canvas c = canvas_of(SIZE);
    c.count = 2;
    c.clutter = 4;
    c.piece = PIECE;
    uint8_t out[SIZE * SIZE];
    for (uint32_t epoch = 0; epoch < 50; epoch++) {
        for (size_t number = 0; number < 2; number++) {
            size_t sum = 0;
            at_canvas_draw(&c, number, (uint32_t[]){1, epoch}, out);
            for (size_t i = 0; i < sizeof out; i++)
                sum += out[i];
            assert_int_equal(sum, SIDE * SIDE * (number + 1) + 4 * PIECE * PIECE * (2 - number));
        }
    }
}

static void sums_are_held_at_white(void **state)
{
    (void)state;
    at_canvas c = canvas_of(SIDE);
    memset(pictures, 200, sizeof pictures);
    c.clutter = 9;
    c.piece = SIDE;
    uint8_t out[SIDE * SIDE];
    at_canvas_draw(&c, 0, (uint32_t[]){1, 1}, out);
    for (size_t i = 0; i < sizeof out; i++)
        assert_int_equal(out[i], 255);
}

/* Without a canvas: moved by up to two pixels, what leaves the picture is lost. */
static void small_moves(void **state)
{
    (void)state;
    at_canvas c = canvas_of(0);
    c.shift = 2;
    uint8_t out[SIDE * SIDE];
    bool seen[5] = {false};
    for (size_t i = 0; i < SIDE * SIDE; i++)
        pictures[i] = (uint8_t)(i + 1);
    for (uint32_t epoch = 0; epoch < 100; epoch++) {
        at_canvas_draw(&c, 0, (uint32_t[]){1, epoch}, out);
        int middle = out[3 * SIDE + 3] - 1, dx = 3 - middle % SIDE, dy = 3 - middle / SIDE;
        assert_in_range(dx + 2, 0, 4);
        assert_in_range(dy + 2, 0, 4);
        seen[dx + 2] = true;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                bool inside = y - dy >= 0 && y - dy < SIDE && x - dx >= 0 && x - dx < SIDE;
                assert_int_equal(out[y * SIDE + x], inside ? (y - dy) * SIDE + x - dx + 1 : 0);
            }
    }
    for (int i = 0; i < 5; i++)
        assert_true(seen[i]);
    c.shift = 0;
    at_canvas_draw(&c, 4, (uint32_t[]){1, 1}, out);
    check_same_bits(out, pictures + 4 * sizeof out, sizeof out);
}

/* By 90 degrees a column becomes a row; growth keeps what is even and the middle. */
static void turned_and_grown(void **state)
{
    (void)state;
    at_canvas c = canvas_of(0);
    uint8_t out[SIDE * SIDE];
    int least = 255, most = 0;
    memset(pictures, 0, sizeof pictures);
    for (size_t i = 0; i < SIDE; i++) /* a bar from the top to the bottom, two pixels wide */
        pictures[i * SIDE + 2] = pictures[i * SIDE + 3] = 100;
    c.turn = 20;
    for (uint32_t epoch = 0; epoch < 200; epoch++) {
        at_canvas_draw(&c, 0, (uint32_t[]){1, epoch}, out);
        assert_in_range(out[2 * SIDE + 2], 80, 100); /* near the middle hardly anything moves */
        least = out[2] < least ? out[2] : least;
        most = out[1] > most ? out[1] : most;
    }
    assert_true(least < 60 && most > 40); /* at the end of the bar it does, to one side and the other */
    c.turn = 0;
    c.grow = 0.5;
    for (uint32_t epoch = 0; epoch < 50; epoch++) { /* wider or narrower: on both sides alike */
        at_canvas_draw(&c, 0, (uint32_t[]){1, epoch}, out);
        for (size_t y = 1; y < SIDE - 1; y++)
            for (size_t x = 0; x < SIDE; x++)
                assert_in_range(out[y * SIDE + x] - out[y * SIDE + SIDE - 1 - x] + 1, 0, 2);
    }
    c.turn = c.grow = 1e-9; /* next to nothing */
    at_canvas_draw(&c, 0, (uint32_t[]){1, 1}, out);
    check_same_bits(out, pictures, sizeof out);
}

/* The way of training's pictures: new each epoch there, one and the same without augmentation; of a model of
 * another size than the canvas. */
static void placed_while_they_are_prepared(void **state)
{
    (void)state;
    at_canvas c = canvas_of(SIZE);
    at_picture_set set = {.count = COUNT, .idx = {COUNT, SIDE, SIDE, pictures}};
    at_prepare how = AT_PREPARE_DEFAULTS;
    how.width = how.height = SIZE;
    how.channels = 1;
    how.mean[0] = 0;
    how.deviation[0] = 1;
    how.placing = (at_placing){.canvas = true, .clutter = 2, .piece = PIECE};
    at_augment_options augment;
    check_ok(at_fields_default(at_augment_fields, &augment));
    float first[SIZE * SIZE], other[SIZE * SIZE];
    uint8_t drawn[SIZE * SIZE];
    check_ok(at_prepare_check(&set, &how));
    at_augment_key key = {.seed = 9, .epoch = 4, .example = 2};
    check_ok(at_prepare_picture(&set, 2, &how, &augment, key, NULL, first));
    c.clutter = 2;
    c.piece = PIECE;
    at_canvas_draw(&c, 2, (uint32_t[]){9, 5}, drawn);
    for (size_t i = 0; i < SIZE * SIZE; i++)
        check_near(&first[i], (float[]){(float)drawn[i] / 255}, 1, 1e-6);
    key.epoch = 5;
    check_ok(at_prepare_picture(&set, 2, &how, &augment, key, NULL, other));
    assert_memory_not_equal(first, other, sizeof first);
    check_ok(at_prepare_picture(&set, 2, &how, NULL, key, NULL, first));
    key = (at_augment_key){.seed = 1, .epoch = 1, .example = 2};
    check_ok(at_prepare_picture(&set, 2, &how, NULL, key, NULL, other));
    check_same_bits(first, other, sizeof first);
    how.placing.shift = 1;
    check_fails(at_prepare_check(&set, &how), AT_EARG, "pictures.shift");
    how.placing.shift = 0;
    how.height = SIZE + 1;
    check_fails(at_prepare_check(&set, &how), AT_EARG, "are no square");
    set.idx.bytes = NULL;
    check_fails(at_prepare_check(&set, &how), AT_EARG, "for IDX files only");
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    at_canvas c = canvas_of(SIDE - 1);
    check_fails(at_canvas_check(&c), AT_EARG, "pictures.canvas: 5 pixels are too few for pictures of 6 x 6");
    c = canvas_of(SIZE);
    c.clutter = 1;
    c.piece = SIDE + 1;
    check_fails(at_canvas_check(&c), AT_EARG, "pictures.clutter");
    c.piece = PIECE;
    check_ok(at_canvas_check(&c));
    c.shift = 1;
    check_fails(at_canvas_check(&c), AT_EARG, "pictures.shift");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anywhere_on_the_canvas),
        cmocka_unit_test(a_function_of_key_and_number),
        cmocka_unit_test(pieces_are_of_others),
        cmocka_unit_test(sums_are_held_at_white),
        cmocka_unit_test(small_moves),
        cmocka_unit_test(turned_and_grown),
        cmocka_unit_test(placed_while_they_are_prepared),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
