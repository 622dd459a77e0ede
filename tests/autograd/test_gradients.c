/* Every elementary operation against finite differences, at odd shapes and with an input used twice. */
#include "autograd/ops.h"
#include "tests/gradient.h"

static const int32_t offsets[] = {0, 3, 3, 4, 7};
static const uint32_t examples[] = {9, 2, 4, 77};
static const at_rows ragged = {4, offsets, examples};

static at_var *add(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    return at_add(tape, x[0], x[1]);
}

static at_var *add_itself(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    at_var *twice = at_add(tape, x[0], x[0]);
    return at_add(tape, twice, at_add(tape, twice, x[0]));
}

static void sums(void **state)
{
    (void)state;
    gradient_check(
        &(gradient_case){.name = "add", .build = add, .leaves = {at_shape2(3, 5), at_shape2(3, 5)}});
    gradient_check(&(gradient_case){.name = "add to itself", .build = add_itself, .leaves = {at_shape1(7)}});
}

static at_var *multiply(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    return at_mul(tape, x[0], x[1]);
}

static at_var *cube(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    return at_mul(tape, at_mul(tape, x[0], x[0]), x[0]);
}

static void products_by_element(void **state)
{
    (void)state;
    gradient_check(&(gradient_case){
        .name = "mul", .build = multiply, .leaves = {at_shape3(2, 3, 5), at_shape3(2, 3, 5)}});
    gradient_check(&(gradient_case){.name = "mul by itself", .build = cube, .leaves = {at_shape1(17)}});
}

static at_var *scaled(at_tape *tape, at_var *const *x, const void *context)
{
    return at_scale(tape, x[0], *(const float *)context);
}

static void scales(void **state)
{
    (void)state;
    static const float factors[] = {-2.5f, 0};
    for (size_t i = 0; i < 2; i++)
        gradient_check(&(gradient_case){
            .name = "scale", .build = scaled, .context = &factors[i], .leaves = {at_shape2(1, 19)}});
}

static at_var *activated(at_tape *tape, at_var *const *x, const void *context)
{
    return at_activate(tape, x[0], *(const at_activation *)context);
}

static void activations(void **state)
{
    (void)state;
    static const at_activation all[] = {AT_LINEAR, AT_RELU, AT_GELU,   AT_GELU_TANH,
                                        AT_SILU,   AT_TANH, AT_SIGMOID};
    static const char *const names[] = {"linear", "relu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        gradient_check(&(gradient_case){.name = names[i],
                                        .build = activated,
                                        .context = &all[i],
                                        .leaves = {at_shape2(3, 11)},
                                        .spread = 2});
}

static at_var *softmax(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    return at_softmax(tape, x[0]);
}

static at_var *log_softmax(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    return at_log_softmax(tape, x[0]);
}

static void softmaxes(void **state)
{
    (void)state;
    const at_shape shapes[] = {at_shape2(3, 1), at_shape2(2, 7), at_shape3(2, 2, 17), at_shape1(33)};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        gradient_check(&(gradient_case){.name = "softmax", .build = softmax, .leaves = {shapes[i]}});
        gradient_check(&(gradient_case){.name = "log_softmax", .build = log_softmax, .leaves = {shapes[i]}});
    }
}

static at_var *sum(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    return at_sum(tape, at_mul(tape, x[0], x[0]));
}

static void totals(void **state)
{
    (void)state;
    gradient_check(&(gradient_case){.name = "sum", .build = sum, .leaves = {at_shape2(5, 3)}});
}

static at_var *product(at_tape *tape, at_var *const *x, const void *context)
{
    return at_matmul(tape, x[0], x[1], *(const bool *)context);
}

static at_var *product_with_itself(at_tape *tape, at_var *const *x, const void *context)
{
    return at_matmul(tape, x[0], x[0], *(const bool *)context);
}

static void products(void **state)
{
    (void)state;
    static const bool plain = false, transposed = true;
    static const int64_t sizes[][3] = {{1, 1, 1}, {3, 5, 2}, {7, 1, 17}, {2, 33, 9}, {13, 4, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t m = sizes[i][0], k = sizes[i][1], n = sizes[i][2];
        gradient_check(&(gradient_case){.name = "matmul",
                                        .build = product,
                                        .context = &plain,
                                        .leaves = {at_shape2(m, k), at_shape2(k, n)}});
        gradient_check(&(gradient_case){.name = "matmul transposed",
                                        .build = product,
                                        .context = &transposed,
                                        .leaves = {at_shape2(m, k), at_shape2(n, k)}});
    }
    gradient_check(&(gradient_case){.name = "matmul with itself",
                                    .build = product_with_itself,
                                    .context = &plain,
                                    .leaves = {at_shape2(5, 5)}});
    gradient_check(&(gradient_case){.name = "matmul with itself transposed",
                                    .build = product_with_itself,
                                    .context = &transposed,
                                    .leaves = {at_shape2(5, 3)}});
}

static at_var *dropped(at_tape *tape, at_var *const *x, const void *context)
{
    return at_dropout_add(tape, x[1], x[0], *(const float *)context, &ragged);
}

static at_var *dropped_on_itself(at_tape *tape, at_var *const *x, const void *context)
{
    at_var *once = at_dropout_add(tape, x[0], x[0], *(const float *)context, &ragged);
    return at_dropout_add(tape, NULL, once, 0.5f, &ragged);
}

/* Rows with an empty sequence; with and without a base; dropped, and not while checking. */
static void dropouts(void **state)
{
    (void)state;
    static const float rates[] = {0.3f, 0.9f, 0};
    for (size_t i = 0; i < 3; i++) {
        gradient_case c = {.name = "dropout",
                           .build = dropped,
                           .context = &rates[i],
                           .leaves = {at_shape2(7, 5)},
                           .training = true};
        gradient_check(&c);
        c.leaves[1] = c.leaves[0];
        gradient_check(&c);
        c.training = false;
        gradient_check(&c);
    }
    gradient_check(&(gradient_case){.name = "dropout on itself",
                                    .build = dropped_on_itself,
                                    .context = &rates[0],
                                    .leaves = {at_shape2(7, 3)},
                                    .training = true});
}

static const int32_t picked[] = {2, 0, 2, 1, 2};

static at_var *gathered(at_tape *tape, at_var *const *x, const void *context)
{
    return at_gather(tape, x[0], picked, *(const size_t *)context);
}

/* Overlapping slices, and the whole. */
static at_var *sliced(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    at_var *a = at_slice(tape, x[0], 0, 3), *b = at_slice(tape, x[0], 2, 3);
    return at_mul(tape, at_slice(tape, at_add(tape, a, b), 1, 1), at_slice(tape, b, 2, 1));
}

static at_var *stacked(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    at_var *parts[] = {x[0], x[1], x[0], at_slice(tape, x[1], 0, 0), x[1], x[0], x[0], x[0]};
    return at_stack_rows(tape, parts, sizeof parts / sizeof *parts);
}

static at_var *some_columns(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    return at_mul(tape, at_columns(tape, x[0], 0, 3), at_columns(tape, x[0], 2, 3));
}

static at_var *joined(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    at_var *parts[] = {x[0], x[1], x[0], x[0], x[0], x[0], x[0], x[1]};
    return at_beside(tape, parts, sizeof parts / sizeof *parts);
}

static void rows_that_move(void **state)
{
    (void)state;
    static const size_t none = 0, all = 5;
    gradient_check(
        &(gradient_case){.name = "gather", .build = gathered, .context = &all, .leaves = {at_shape2(3, 70)}});
    gradient_check(&(gradient_case){
        .name = "gather nothing", .build = gathered, .context = &none, .leaves = {at_shape2(3, 2)}});
    gradient_check(&(gradient_case){.name = "slice", .build = sliced, .leaves = {at_shape2(5, 3)}});
    gradient_check(
        &(gradient_case){.name = "stack", .build = stacked, .leaves = {at_shape2(2, 3), at_shape2(1, 3)}});
    gradient_check(
        &(gradient_case){.name = "beside", .build = joined, .leaves = {at_shape2(3, 2), at_shape2(3, 1)}});
    gradient_check(&(gradient_case){.name = "columns", .build = some_columns, .leaves = {at_shape2(3, 5)}});
}

static at_var *averaged(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    return at_mean(tape, x[0], &ragged);
}

static at_var *largest(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    return at_maxout(tape, x[0]);
}

/* Its gradient is handed on, and meets another in the same variable. */
static at_var *reshaped(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    at_var *y = at_reshape(tape, x[0], at_shape2(5, 6));
    return at_add(tape, at_mul(tape, y, y), at_reshape(tape, x[0], at_shape2(5, 6)));
}

static void shapes_that_change(void **state)
{
    (void)state;
    gradient_check(&(gradient_case){.name = "reshape", .build = reshaped, .leaves = {at_shape2(10, 3)}});
}

static void several_rows_or_columns_in_one(void **state)
{
    (void)state;
    gradient_check(&(gradient_case){.name = "mean", .build = averaged, .leaves = {at_shape2(7, 5)}});
    gradient_check(&(gradient_case){.name = "maxout", .build = largest, .leaves = {at_shape2(3, 10)}});
}

static void no_operation_escapes(void **state)
{
    (void)state;
    gradient_check_all(at_autograd_ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums),
        cmocka_unit_test(products_by_element),
        cmocka_unit_test(scales),
        cmocka_unit_test(activations),
        cmocka_unit_test(softmaxes),
        cmocka_unit_test(totals),
        cmocka_unit_test(products),
        cmocka_unit_test(dropouts),
        cmocka_unit_test(rows_that_move),
        cmocka_unit_test(shapes_that_change),
        cmocka_unit_test(several_rows_or_columns_in_one),
        cmocka_unit_test(no_operation_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
