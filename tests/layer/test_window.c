/* Windows and tokens of pictures: by hand, against finite differences, the same bits on any threads. */
#include <math.h>
#include <string.h>
#include "layer/tokens.h"
#include "layer/window.h"
#include "tests/gradient.h"

static at_param *declare(at_params *params, const char *name, at_shape shape)
{
    at_param *p;
    at_param_spec spec = {name, shape, AT_DECAYED, AT_INIT_NORMAL, 0.5f, NULL, false};
    check_ok(at_params_add(params, &spec, &p));
    return p;
}

static void fill(at_params *params)
{
    check_ok(at_params_allocate(params));
    at_params_init(params, 5);
}

/* ---------------------------------------------------------------- by hand */

static at_exec *exec;
static at_tape *tape;

static int open_tape(void **state)
{
    (void)state;
    check_ok(at_exec_new(NULL, 2, &exec));
    check_ok(at_tape_new(exec, &tape));
    at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
    return 0;
}

static int close_tape(void **state)
{
    (void)state;
    at_tape_free(tape);
    at_exec_free(exec);
    return 0;
}

/* One picture of 2 lines, 4 columns, 2 channels: pixel n holds n and 10 n. */
static float pixels[16] = {0, 0, 1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60, 7, 70};
static const at_grid wide = {1, 2, 4};

static at_var *picture(void)
{
    return at_leaf(tape, at_shape2(8, 2), pixels, NULL);
}

static void patches_hold_channel_by_channel(void **state)
{
    (void)state;
    at_windowing w = at_windowing_patches(&wide, 2, 2);
    at_var *x = at_unfold(tape, picture(), &wide, &w);
    assert_int_equal(w.down * w.across, 2);
    check_near(x->data, ((float[]){0, 1, 4, 5, 0, 10, 40, 50, 2, 3, 6, 7, 20, 30, 60, 70}), 16, 0);
    w = at_windowing_patches(&wide, 1, 3); /* the rest of a line that is no whole patch is left out */
    assert_int_equal(w.down * w.across, 2);
}

static void windows_are_zero_outside(void **state)
{
    (void)state;
    at_windowing w = at_windowing_same(&wide, 3, 2);
    at_var *x = at_unfold(tape, picture(), &wide, &w);
    at_grid after = at_grid_after(&wide, &w);
    assert_int_equal(at_grid_rows(&after), 2);
    check_near(x->data, ((float[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 10, 0, 0, 4, 40, 5, 50}), 18, 0);
    check_near(x->data + 18, ((float[]){0, 0, 0, 0, 0, 0, 1, 10, 2, 20, 3, 30, 5, 50, 6, 60, 7, 70}), 18, 0);
}

static void the_largest_of_windows(void **state)
{
    (void)state;
    at_windowing w = at_windowing_same(&wide, 3, 2);
    at_var *x = at_max_windows(tape, picture(), &wide, &w);
    check_near(x->data, ((float[]){5, 50, 7, 70}), 4, 0);
}

static void a_convolution_by_hand(void **state)
{
    (void)state;
    at_params params = {0};
    at_param *w = declare(&params, "w", at_shape2(1, 18)), *b = declare(&params, "b", at_shape1(1));
    fill(&params);
    memset(params.block, 0, params.total * sizeof(float));
    params.block[w->offset + 8] = 2; /* the pixel itself, channel 0 */
    params.block[w->offset + 7] = 1; /* left of it, channel 1 */
    params.block[b->offset] = 100;
    at_windowing three = at_windowing_same(&wide, 3, 1);
    at_var *y = at_convolve(tape, picture(), &wide, &three, w, b);
    check_near(y->data, ((float[]){100, 102, 114, 126, 108, 150, 162, 174}), 8, 0);
    assert_null(at_convolve(tape, at_leaf(tape, at_shape2(8, 1), pixels, NULL), &wide, &three, w, b));
    assert_int_equal(at_tape_status(tape), AT_ESHAPE);
    at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
    assert_null(at_unfold(tape, at_leaf(tape, at_shape2(4, 2), pixels, NULL), &wide, &three));
    assert_int_equal(at_tape_status(tape), AT_ESHAPE);
    at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
    at_params_free(&params);
}

/* D 8: two frequencies, 1 and 1/10000. */
static void positions_of_two_dimensions(void **state)
{
    (void)state;
    float out[2 * 2 * 8];
    at_sinusoids_2d(out, 2, 2, 8);
    double s = sin(1.0), c = cos(1.0), small = sin(1e-4);
    check_near(out, ((float[]){0, 0, 1, 1, 0, 0, 1, 1}), 8, 1e-7);
    check_near(out + 8, ((float[]){(float)s, (float)small, (float)c, 1, 0, 0, 1, 1}), 8, 1e-6);
    check_near(out + 16, ((float[]){0, 0, 1, 1, (float)s, (float)small, (float)c, 1}), 8, 1e-6);
}

/* ---------------------------------------------------------------- gradients */

typedef struct window_case {
    at_grid grid;
    at_windowing window;
    const at_param *w, *b;
} window_case;

static at_var *unfolded(at_tape *t, at_var *const *x, const void *context)
{
    const window_case *c = context;
    return at_unfold(t, x[0], &c->grid, &c->window);
}

static at_var *convolved(at_tape *t, at_var *const *x, const void *context)
{
    const window_case *c = context;
    return at_convolve(t, x[0], &c->grid, &c->window, c->w, c->b);
}

static at_var *largest(at_tape *t, at_var *const *x, const void *context)
{
    const window_case *c = context;
    return at_max_windows(t, x[0], &c->grid, &c->window);
}

static void gradients_of_windows(void **state)
{
    (void)state;
    at_grid grid = {2, 5, 4};
    for (size_t i = 0; i < 4; i++) {
        at_params params = {0};
        size_t size = i % 2 ? 3 : 5, step = 1 + i / 2, channels = 3;
        window_case c = {grid, at_windowing_same(&grid, size, step), NULL, NULL};
        c.w = declare(&params, "w", at_shape2(4, (int64_t)(size * size * channels)));
        c.b = i % 2 ? declare(&params, "b", at_shape1(4)) : NULL;
        fill(&params);
        gradient_case g = {.context = &c, .leaves = {at_shape2(40, 3)}};
        g.name = "windows", g.build = unfolded;
        gradient_check(&g);
        g.name = "largest", g.build = largest;
        gradient_check(&g);
        g.name = "convolution", g.build = convolved, g.params = &params;
        gradient_check(&g);
        c.window = at_windowing_patches(&grid, 2, 2);
        g.name = "patches", g.build = unfolded, g.params = NULL;
        gradient_check(&g);
        at_params_free(&params);
    }
}

static const int32_t offsets[] = {0, 4, 8, 12};
static const uint32_t examples[] = {9, 4, 7};
static const at_rows rows = {3, offsets, examples};

typedef struct token_case {
    at_token_spec spec;
    const at_param *gain;
    float rate;
} token_case;

static at_var *with_tokens(at_tape *t, at_var *const *x, const void *context)
{
    return at_tokens(t, x[0], &((const token_case *)context)->spec);
}

static at_var *with_factors(at_tape *t, at_var *const *x, const void *context)
{
    return at_scale_columns(t, x[0], ((const token_case *)context)->gain);
}

static at_var *without_branches(at_tape *t, at_var *const *x, const void *context)
{
    return at_drop_paths(t, x[0], x[1], ((const token_case *)context)->rate, &rows);
}

static at_var *without_rows(at_tape *t, at_var *const *x, const void *context)
{
    size_t each;
    return at_drop_rows(t, x[0], ((const token_case *)context)->rate, 1, &rows, &each);
}

static void gradients_of_tokens(void **state)
{
    (void)state;
    static const float fixed[30] = {0.5f, -1};
    at_params params = {0};
    at_param *class = declare(&params, "class", at_shape3(1, 1, 6)),
             *five = declare(&params, "five", at_shape3(1, 5, 6)),
             *four = declare(&params, "four", at_shape2(4, 6)),
             *each = declare(&params, "each", at_shape1(6)), *heads = declare(&params, "heads", at_shape1(2));
    fill(&params);
    const token_case cases[] = {
        {.spec = {.count = 3, .class = class, .learned = five}, .gain = each, .rate = 0.5f},
        {.spec = {.count = 3, .learned = four}, .gain = heads, .rate = 0.3f},
        {.spec = {.count = 3, .class = class, .fixed = fixed}, .gain = heads}};
    for (size_t i = 0; i < 3; i++) {
        gradient_case g = {.context = &cases[i], .leaves = {at_shape2(12, 6)}, .params = &params};
        g.name = "tokens", g.build = with_tokens;
        gradient_check(&g);
        g.name = "factors", g.build = with_factors;
        gradient_check(&g);
        g.training = true, g.params = NULL;
        g.name = "patches left out", g.build = without_rows;
        gradient_check(&g);
        g.name = "branches left out", g.build = without_branches, g.leaves[1] = at_shape2(12, 6);
        gradient_check(&g);
    }
    at_params_free(&params);
}

static void no_operation_escapes(void **state)
{
    (void)state;
    gradient_check_all(at_picture_ops);
}

/* What is left out follows the example, in every company; a branch is there whole or not at all. */
static void what_is_left_out_follows_the_example(void **state)
{
    (void)state;
    float zeros[72] = {0}, ones[72], kept = 1 / (1 - 0.5f);
    for (size_t i = 0; i < 72; i++)
        ones[i] = 1 + (float)i;
    size_t gone = 0;
    for (uint64_t step = 0; step < 40; step++) {
        at_tape_begin(tape, AT_TAPE_TRAIN, 3, step);
        at_var *base = at_leaf(tape, at_shape2(12, 6), zeros, NULL);
        at_var *x = at_leaf(tape, at_shape2(12, 6), ones, NULL);
        at_var *y = at_drop_paths(tape, base, x, 0.5f, &rows);
        float factor[3];
        for (size_t b = 0; b < 3; b++) {
            factor[b] = y->data[24 * b] / ones[24 * b];
            gone += factor[b] < 0.1f;
            assert_true(factor[b] < 0.1f || fabsf(factor[b] - kept) < 1e-6f);
            for (size_t i = 24 * b; i < 24 * b + 24; i++)
                assert_true(fabsf(y->data[i] - factor[b] * ones[i]) < 1e-4f);
        }
        size_t each;
        at_var *few = at_drop_rows(tape, x, 0.4f, 1, &rows, &each);
        assert_int_equal(each, 3); /* the first, and two of the other three */
        assert_int_equal(few->shape.dim[0], 9);
        float whole[54];
        memcpy(whole, few->data, sizeof whole);
        at_tape_begin(tape, AT_TAPE_TRAIN, 3, step);
        at_rows alone = {1, offsets, examples + 1};
        at_var *second = at_leaf(tape, at_shape2(4, 6), ones + 24, NULL);
        y = at_drop_paths(tape, at_leaf(tape, at_shape2(4, 6), zeros, NULL), second, 0.5f, &alone);
        assert_true(fabsf(y->data[0] - factor[1] * ones[24]) < 1e-4f);
        few = at_drop_rows(tape, second, 0.4f, 1, &alone, &each);
        check_near(few->data, whole + 18, 18, 0);
        assert_true(few->data[0] <= ones[24] && few->data[0] >= ones[24]); /* the first stays the first */
    }
    assert_true(gone > 30 && gone < 90);
    at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
}

/* Forward and all gradients of a stem, at several numbers of threads. */
static void threads_change_no_bit(void **state)
{
    (void)state;
    at_grid grid = {3, 9, 11};
    at_params params = {0};
    at_param *w = declare(&params, "w", at_shape2(17, 27)), *b = declare(&params, "b", at_shape1(17));
    fill(&params);
    static float x[3 * 9 * 11 * 3], first[17 * 27 + 64], grads[17 * 27 + 64], d_x[2][3 * 9 * 11 * 3];
    gradient_random(x, sizeof x / sizeof *x, 3, 1);
    for (int threads = 1; threads <= 8; threads += threads == 1 ? 1 : 2) {
        at_exec *e;
        at_tape *t;
        check_ok(at_exec_new(NULL, threads, &e));
        check_ok(at_tape_new(e, &t));
        at_tape_begin(t, AT_TAPE_CHECK, 0, 0);
        memset(grads, 0, sizeof grads);
        memset(d_x[1], 0, sizeof d_x[1]);
        t->grads = grads;
        at_windowing three = at_windowing_same(&grid, 3, 1), half = at_windowing_same(&grid, 3, 2);
        at_var *y = at_convolve(t, at_leaf(t, at_shape2(297, 3), x, d_x[1]), &grid, &three, w, b);
        y = at_max_windows(t, y, &grid, &half);
        check_ok(at_tape_backward(t, at_sum(t, at_mul(t, y, y))));
        if (threads == 1) {
            memcpy(first, grads, sizeof grads);
            memcpy(d_x[0], d_x[1], sizeof d_x[0]);
        }
        check_same_bits(first, grads, sizeof grads);
        check_same_bits(d_x[0], d_x[1], sizeof d_x[0]);
        at_tape_free(t);
        at_exec_free(e);
    }
    at_params_free(&params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patches_hold_channel_by_channel),
        cmocka_unit_test(windows_are_zero_outside),
        cmocka_unit_test(the_largest_of_windows),
        cmocka_unit_test(a_convolution_by_hand),
        cmocka_unit_test(positions_of_two_dimensions),
        cmocka_unit_test(gradients_of_windows),
        cmocka_unit_test(gradients_of_tokens),
        cmocka_unit_test(no_operation_escapes),
        cmocka_unit_test(what_is_left_out_follows_the_example),
        cmocka_unit_test(threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, open_tape, close_tape);
}
