/* Shapes and their texts, views, overflow, and the narrow floats bit by bit. */
#include "tensor/tensor.h"
#include <math.h>
#include <string.h>
#include "tensor/rows.h"
#include "tests/check.h"

static void shapes_count_and_print(void **state)
{
    (void)state;
    assert_int_equal(at_shape_count(at_shape1(5)), 5);
    assert_int_equal(at_shape_count(at_shape4(2, 3, 4, 5)), 120);
    assert_int_equal(at_shape_count(at_shape2(7, 0)), 0);
    assert_string_equal(at_shape_text(at_shape3(2, 0, 128)).s, "(2,0,128)");
    at_shape longest = at_shape4(INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN);
    assert_int_equal(strlen(at_shape_text(longest).s), 4 * 20 + 5);
    assert_true(at_shape_same(at_shape2(2, 3), at_shape2(2, 3)));
    assert_false(at_shape_same(at_shape2(2, 3), at_shape3(2, 3, 1)));
    check_ok(at_shape_expect("fc1.weight", at_shape2(2, 3), at_shape2(2, 3)));
    check_fails(at_shape_expect("fc1.weight", at_shape2(2, 3), at_shape1(6)), AT_ESHAPE,
                "fc1.weight: want (6), got (2,3)");
}

static void sizes_that_overflow_are_seen(void **state)
{
    (void)state;
    size_t bytes = 77;
    assert_false(at_shape_bytes(at_shape2(INT64_MAX, 3), AT_U8, &bytes));
    assert_false(at_shape_bytes(at_shape1(INT64_MAX), AT_F64, &bytes));
    assert_false(at_shape_bytes(at_shape2(4, -1), AT_F32, &bytes));
    assert_int_equal(bytes, 77);
    assert_true(at_shape_bytes(at_shape3(INT64_MAX, 0, 9), AT_F32, &bytes));
    assert_int_equal(bytes, 0);
    assert_true(at_shape_bytes(at_shape2(3, 5), AT_BF16, &bytes));
    assert_int_equal(bytes, 30);
}

static void types_have_names_and_sizes(void **state)
{
    (void)state;
    static const struct {
        at_type type;
        const char *name;
        size_t size;
    } all[] = {{AT_F32, "F32", 4}, {AT_BF16, "BF16", 2}, {AT_F16, "F16", 2},
               {AT_I8, "I8", 1},   {AT_U8, "U8", 1},     {AT_I32, "I32", 4},
               {AT_I64, "I64", 8}, {AT_F64, "F64", 8},   {AT_BOOL, "BOOL", 1}};
    assert_int_equal(sizeof all / sizeof *all, AT_TYPES);
    for (size_t i = 0; i < AT_TYPES; i++) {
        at_type found;
        assert_true(at_type_find(all[i].name, &found));
        assert_int_equal(found, all[i].type);
        assert_string_equal(at_type_name(all[i].type), all[i].name);
        assert_int_equal(at_type_size(all[i].type), all[i].size);
    }
    at_type found;
    assert_false(at_type_find("f32", &found));
}

static void slices_are_views(void **state)
{
    (void)state;
    float data[24];
    at_tensor t = at_tensor_of(AT_F32, at_shape3(2, 3, 4), data);
    assert_int_equal(t.stride[0], 12);
    assert_int_equal(t.stride[1], 4);
    assert_int_equal(t.stride[2], 1);
    assert_true(at_tensor_contiguous(&t));
    at_tensor rows = at_tensor_slice(&t, 0, 1, 1), middle = at_tensor_slice(&t, 1, 1, 2),
              none = at_tensor_slice(&t, 2, 4, 0);
    assert_ptr_equal(rows.data, data + 12);
    assert_true(at_tensor_contiguous(&rows));
    assert_ptr_equal(middle.data, data + 4);
    assert_false(at_tensor_contiguous(&middle));
    at_tensor one = at_tensor_slice(&middle, 0, 1, 1);
    assert_ptr_equal(one.data, data + 16);
    assert_true(at_tensor_contiguous(&one));
    assert_int_equal(at_shape_count(none.shape), 0);
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void bf16_rounds_to_nearest_even(void **state)
{
    (void)state;
    static const struct {
        uint32_t wide;
        uint16_t narrow;
    } known[] = {{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81},
                 {0x80000000, 0x8000}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x7f7fffff, 0x7f80},
                 {0x00000001, 0x0000}, {0x00018000, 0x0002}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_int_equal(at_f32_to_bf16(float_of(known[i].wide)), known[i].narrow);
    for (uint32_t narrow = 0; narrow <= 0xffff; narrow++) { /* there and back: the same, NaN stays NaN */
        float x = at_bf16_to_f32((uint16_t)narrow);
        if (isnan(x))
            assert_true(isnan(at_bf16_to_f32(at_f32_to_bf16(x))));
        else
            assert_int_equal(at_f32_to_bf16(x), narrow);
    }
    assert_true(isnan(at_bf16_to_f32(at_f32_to_bf16(float_of(0x7f800001)))));
}

/* The value of a half by its definition. */
static double half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double size = exponent == 0    ? ldexp(fraction, -24)
                  : exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                                   : ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -size : size;
}

static void f16_is_ieee_half(void **state)
{
    (void)state;
    for (uint32_t i = 0; i <= 0xffff; i++) {
        uint16_t narrow = (uint16_t)i;
        double want = half_value(narrow);
        float x = at_f16_to_f32(narrow);
        if (isnan(want)) {
            assert_true(isnan(x) && isnan(at_f16_to_f32(at_f32_to_f16(x))));
            continue;
        }
        assert_true((double)x == want && (signbit(x) != 0) == (narrow >= 0x8000));
        assert_int_equal(at_f32_to_f16(x), narrow);
        if ((narrow & 0x7fff) >= 0x7bff)
            continue; /* the greatest finite one has no next to meet in the middle */
        double next = half_value((uint16_t)(narrow + 1)), middle = (want + next) / 2;
        float at = (float)middle;
        assert_int_equal(at_f32_to_f16(at),
                         narrow & 1 ? narrow + 1 : narrow); /* a tie goes to the even one */
        assert_int_equal(at_f32_to_f16(float_of(bits_of(at) - 1)), narrow);
        assert_int_equal(at_f32_to_f16(float_of(bits_of(at) + 1)), narrow + 1);
    }
    assert_int_equal(at_f32_to_f16(65519.996f), 0x7bff);
    assert_int_equal(at_f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(at_f32_to_f16(-1e30f), 0xfc00);
    assert_int_equal(at_f32_to_f16(1e-30f), 0);
}

static void rows_count(void **state)
{
    (void)state;
    static const int32_t offsets[] = {0, 3, 3, 5};
    assert_int_equal(at_rows_total(&(at_rows){3, offsets, NULL}), 5);
    assert_int_equal(at_rows_total(&(at_rows){0, NULL, NULL}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_count_and_print),
        cmocka_unit_test(sizes_that_overflow_are_seen),
        cmocka_unit_test(types_have_names_and_sizes),
        cmocka_unit_test(slices_are_views),
        cmocka_unit_test(bf16_rounds_to_nearest_even),
        cmocka_unit_test(f16_is_ieee_half),
        cmocka_unit_test(rows_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
