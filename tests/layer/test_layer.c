/* The parameter table, positions by their formula, products from packed panels, messages. */
#include <math.h>
#include <string.h>
#include "layer/multi_head.h"
#include "tests/gradient.h"

/* PE(pos,2i) = sin(pos / 10000^(2i/4)), PE(pos,2i+1) = cos(the same), to 9 digits from a table of sines. */
static void positions_have_golden_values(void **state)
{
    (void)state;
    static const float golden[4 * 4] = {
        0.0f,         1.0f,          0.0f,           1.0f,          /* sin 0, cos 0, sin 0, cos 0 */
        0.841470985f, 0.540302306f,  0.00999983333f, 0.999950000f,  /* of 1 and 0.01 */
        0.909297427f, -0.416146837f, 0.0199986667f,  0.999800007f,  /* of 2 and 0.02 */
        0.141120008f, -0.989992497f, 0.0299955002f,  0.999550034f}; /* of 3 and 0.03 */
    float got[4 * 4];
    at_sinusoids(got, 4, 4);
    check_near(got, golden, 16, 1e-8 * 6);
}

/* Rotating stays right after thousands of steps. */
static void far_positions_follow_the_formula(void **state)
{
    (void)state;
    enum { FAR = 20000, WIDTH = 10 };
    float *got = malloc((size_t)FAR * WIDTH * sizeof *got);
    assert_non_null(got);
    at_sinusoids(got, FAR, WIDTH);
    for (size_t p = 0; p < FAR; p += p < 30 ? 1 : 997)
        for (size_t i = 0; i < WIDTH / 2; i++) {
            double angle = (double)p / pow(10000, 2.0 * (double)i / WIDTH);
            assert_true(fabs((double)got[p * WIDTH + 2 * i] - sin(angle)) < 1e-7);
            assert_true(fabs((double)got[p * WIDTH + 2 * i + 1] - cos(angle)) < 1e-7);
        }
    free(got);
}

static at_param *add(at_params *params, const char *name, at_shape shape, at_role role, at_init init)
{
    at_param *p;
    check_ok(at_params_add(params, &(at_param_spec){name, shape, role, init, 0.5f, NULL, false}, &p));
    return p;
}

static void decayed_parameters_come_first(void **state)
{
    (void)state;
    at_params params = {0};
    const at_param *bias = add(&params, "bias", at_shape1(3), AT_PLAIN, AT_INIT_ONE);
    at_param *w = add(&params, "w", at_shape2(3, 7), AT_DECAYED, AT_INIT_XAVIER), *tied, *again;
    const at_param *u = add(&params, "u", at_shape2(40, 50), AT_DECAYED, AT_INIT_NORMAL);
    check_ok(at_params_add(
        &params, &(at_param_spec){"tied", at_shape2(3, 7), AT_DECAYED, AT_INIT_ZERO, 0, w, false}, &tied));
    at_param_spec chain = {"again", at_shape2(3, 7), AT_DECAYED, AT_INIT_ZERO, 0, tied, false};
    check_ok(at_params_add(&params, &chain, &again));
    check_ok(at_params_allocate(&params));
    assert_ptr_equal(again->tied_to, w); /* tied to a tied one is tied to its owner */
    assert_ptr_equal(again->data, w->data);
    assert_int_equal(w->offset, 0);
    assert_int_equal(u->offset, 32); /* 21 rounded up to a cache line */
    assert_int_equal(params.decayed, 32 + 2000);
    assert_int_equal(bias->offset, params.decayed);
    assert_int_equal(params.total, params.decayed + 16);
    assert_ptr_equal(tied->data, w->data);
    assert_int_equal(tied->offset, w->offset);
    assert_ptr_equal(at_params_find(&params, "u"), u);
    assert_null(at_params_find(&params, "v"));
    at_params_init(&params, 5);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < 2000; i++) {
        sum += (double)u->data[i];
        squares += (double)u->data[i] * (double)u->data[i];
    }
    assert_true(fabs(sum / 2000) < 0.05 && fabs(sqrt(squares / 2000) - 0.5) < 0.05);
    for (size_t i = 0; i < 21; i++)
        assert_true(fabsf(w->data[i]) <= sqrtf(6.0f / 10) && w->data[i] != 0);
    assert_true(bias->data[0] == 1 && bias->data[2] == 1);
    at_params_free(&params);
}

/* A parameter's first numbers depend on seed and name, not on who else is in the table. */
static void initial_numbers_depend_on_the_name(void **state)
{
    (void)state;
    at_params a = {0}, b = {0};
    const at_param *first = add(&a, "w", at_shape2(4, 4), AT_DECAYED, AT_INIT_XAVIER);
    add(&b, "other", at_shape2(5, 9), AT_DECAYED, AT_INIT_NORMAL);
    const at_param *same = add(&b, "w", at_shape2(4, 4), AT_DECAYED, AT_INIT_XAVIER),
                   *unlike = add(&b, "v", at_shape2(4, 4), AT_DECAYED, AT_INIT_XAVIER);
    check_ok(at_params_allocate(&a));
    check_ok(at_params_allocate(&b));
    at_params_init(&a, 3);
    at_params_init(&b, 3);
    check_same_bits(first->data, same->data, 16 * sizeof(float));
    assert_memory_not_equal(first->data, unlike->data, 16 * sizeof(float));
    float kept[16];
    memcpy(kept, first->data, sizeof kept);
    at_params_init(&a, 4);
    assert_memory_not_equal(first->data, kept, sizeof kept);
    at_params_free(&a);
    at_params_free(&b);
}

/* Packed panels are the same product, bit for bit, and so is each row alone. */
static void packed_products_give_the_same_bits(void **state)
{
    (void)state;
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    for (size_t set = 0; set < count; set++) {
        enum { ROWS = 9, IN = 37, OUT = 53 };
        at_params params = {0};
        at_param *w = add(&params, "w", at_shape2(OUT, IN), AT_DECAYED, AT_INIT_XAVIER);
        const at_param *bias = add(&params, "b", at_shape1(OUT), AT_PLAIN, AT_INIT_NORMAL);
        check_ok(at_params_allocate(&params));
        at_params_init(&params, 1);
        at_exec *exec;
        at_tape *tape;
        check_ok(at_exec_new(sets[set]->name, 2, &exec));
        check_ok(at_tape_new(exec, &tape));
        float x[ROWS * IN], plain[ROWS * OUT];
        gradient_random(x, ROWS * IN, 1, 1);
        at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
        at_var *all = at_leaf(tape, at_shape2(ROWS, IN), x, NULL);
        const at_var *y = at_linear(tape, all, w, bias, AT_GELU);
        assert_non_null(y);
        memcpy(plain, y->data, sizeof plain);
        check_ok(at_param_pack(w, exec));
        y = at_linear(tape, all, w, bias, AT_GELU);
        check_same_bits(y->data, plain, sizeof plain);
        for (size_t i = 0; i < ROWS; i++) {
            y = at_linear(tape, at_leaf(tape, at_shape2(1, IN), x + i * IN, NULL), w, bias, AT_GELU);
            check_same_bits(y->data, plain + i * OUT, OUT * sizeof(float));
        }
        at_tape_free(tape);
        at_exec_free(exec);
        at_params_free(&params);
    }
}

static void widths_that_do_not_fit_are_named(void **state)
{
    (void)state;
    at_exec *exec;
    at_tape *tape;
    at_params params = {0};
    const at_param *w = add(&params, "fc1.weight", at_shape2(3, 4), AT_DECAYED, AT_INIT_ZERO),
                   *gain = add(&params, "norm.weight", at_shape1(4), AT_PLAIN, AT_INIT_ONE);
    check_ok(at_params_allocate(&params));
    check_ok(at_exec_new(NULL, 1, &exec));
    check_ok(at_tape_new(exec, &tape));
    float x[10] = {0};
    at_var *v = at_leaf(tape, at_shape2(2, 5), x, NULL);
    assert_null(at_linear(tape, v, w, NULL, AT_LINEAR));
    check_fails(at_tape_status(tape), AT_ESHAPE, "fc1.weight: want (2,4), got (2,5)");
    at_tape_reset(tape);
    v = at_leaf(tape, at_shape2(2, 5), x, NULL);
    assert_null(at_layer_norm(tape, v, gain, gain, 1e-5f));
    check_fails(at_tape_status(tape), AT_ESHAPE, "norm.weight: want (2,4), got (2,5)");
    at_tape_reset(tape);
    v = at_leaf(tape, at_shape1(4), x, NULL);
    assert_null(at_linear(tape, v, w, NULL, AT_LINEAR));
    check_fails(at_tape_status(tape), AT_ESHAPE, "fc1.weight: want rank 2, got (4)");
    at_tape_free(tape);
    at_exec_free(exec);
    at_params_free(&params);
}

static at_status declare_and_pack(void *context)
{
    at_params params = {0};
    at_multi_head_weights weights;
    static const at_multi_head_spec spec = {.query_width = 4,
                                            .key_width = 4,
                                            .value_width = 4,
                                            .heads = 2,
                                            .groups = 2,
                                            .head_width = 2,
                                            .out_width = 4,
                                            .biases = true};
    at_status st = at_multi_head_declare(&params, "self.", &spec, &weights);
    if (st == AT_OK)
        st = at_params_allocate(&params);
    if (st == AT_OK)
        st = at_param_pack(weights.query.weight, context);
    at_params_free(&params);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    at_exec *exec;
    check_ok(at_exec_new(NULL, 1, &exec));
    check_every_allocation(declare_and_pack, exec, 100);
    at_exec_free(exec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_have_golden_values),
        cmocka_unit_test(far_positions_follow_the_formula),
        cmocka_unit_test(decayed_parameters_come_first),
        cmocka_unit_test(initial_numbers_depend_on_the_name),
        cmocka_unit_test(packed_products_give_the_same_bits),
        cmocka_unit_test(widths_that_do_not_fit_are_named),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
