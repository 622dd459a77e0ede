/* The format's rules one by one, each broken by hand; then random damage. */
#include <stdio.h>
#include <string.h>
#include "base/buf.h"
#include "base/memory.h"
#include "base/rng.h"
#include "store/safetensors.h"
#include "tests/check.h"

/* A file of this header and so many bytes of data, all 0x3f. */
static at_buf file_of(const char *header, size_t data)
{
    at_buf file = {0};
    uint64_t n = strlen(header);
    for (int i = 0; i < 8; i++)
        at_buf_char(&file, (char)(unsigned char)(n >> (8 * i)));
    at_buf_text(&file, header);
    for (size_t i = 0; i < data; i++)
        at_buf_char(&file, 0x3f);
    return file;
}

static const struct broken {
    const char *header;
    size_t data;
    at_status status;
    const char *message;
} broken[] = {
    {"{}", 1, AT_EFORMAT, "1 bytes after the last tensor"},
    {" {}", 0, AT_EFORMAT, "does not begin with '{'"},
    {"[]", 0, AT_EFORMAT, "does not begin with '{'"},
    {"{", 0, AT_EFORMAT, "does not begin with '{'"},
    {"{\"a\":", 0, AT_EFORMAT, NULL},
    {"{}x", 0, AT_EFORMAT, NULL},
    {"{\"a\":1}", 0, AT_EFORMAT, "want an object"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, AT_EFORMAT, "field 'dtype': missing"},
    {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, AT_EFORMAT,
     "unknown dtype 'F33'"},
    {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, AT_EFORMAT, "field 'dtype'"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, AT_EFORMAT, "want an array as shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, AT_EFORMAT,
     "want an array as shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, AT_EFORMAT, "integers >= 0"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, AT_EFORMAT, "integers >= 0"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, AT_ENOSUP,
     "9 dimensions"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0, AT_EFORMAT,
     "too large"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0, AT_EFORMAT,
     "does not fill"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,0]}}", 0, AT_EFORMAT,
     NULL},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, AT_EFORMAT, "data_offsets wants two integers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, AT_EFORMAT, "two integers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4.0]}}", 4, AT_EFORMAT, "two integers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, AT_EFORMAT, "out of order"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, AT_EFORMAT, "out of order"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, AT_EFORMAT, "truncated"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, AT_EFORMAT,
     "does not fill the 4 bytes"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4, AT_EFORMAT,
     "unknown field 'x'"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, AT_EFORMAT, "hole"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8, AT_EFORMAT,
     "4 bytes after the last"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
     4, AT_EFORMAT, "overlaps"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     8, AT_EFORMAT, "overlaps"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
     12, AT_EFORMAT, "hole"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
     4, AT_EFORMAT, "duplicate"},
    {"{\"__metadata__\":{\"a\":1}}", 0, AT_EFORMAT, "'a' is not a string"},
    {"{\"__metadata__\":[]}", 0, AT_EFORMAT, "object of strings"},
    {"{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, AT_EFORMAT, NULL},
    {"{\"a\xff\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, AT_EFORMAT, NULL},
};

static void every_broken_rule_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        at_buf bytes = file_of(broken[i].header, broken[i].data);
        at_safetensors file;
        check_fails(at_safetensors_parse("x.safetensors", bytes.data, bytes.length, &file), broken[i].status,
                    broken[i].message);
        assert_non_null(strstr(at_error_message(), "x.safetensors"));
        at_buf_free(&bytes);
    }
}

static void lengths_are_checked_before_anything_else(void **state)
{
    (void)state;
    at_safetensors file;
    const unsigned char none[1] = {0};
    check_fails(at_safetensors_parse("f", none, 0, &file), AT_EFORMAT, "too short");
    unsigned char bytes[16] = {0};
    check_fails(at_safetensors_parse("f", bytes, 7, &file), AT_EFORMAT, "too short");
    check_fails(at_safetensors_parse("f", bytes, 8, &file), AT_EFORMAT, "does not begin");
    bytes[0] = 9;
    check_fails(at_safetensors_parse("f", bytes, 16, &file), AT_EFORMAT, "truncated");
    memset(bytes, 0xff, 8);
    check_fails(at_safetensors_parse("f", bytes, 16, &file), AT_EFORMAT, "at most 100000000");
    const unsigned char just_over[16] = {0x01, 0xe1, 0xf5, 0x05, 0, 0, 0, 0, '{'}; /* 100000001 */
    check_fails(at_safetensors_parse("f", just_over, 16, &file), AT_EFORMAT, "at most 100000000");
}

static void pickles_are_refused_with_the_remedy(void **state)
{
    (void)state;
    at_safetensors file;
    check_fails(at_safetensors_parse("m.bin", "PK\3\4\0\0\0\0\0\0archive", 17, &file), AT_ENOSUP,
                "save_file");
    check_fails(at_safetensors_parse("m.pt", "\x80\2}q\1(X\1\0\0\0", 11, &file), AT_ENOSUP, "pickle");
}

static void good_files_open(void **state)
{
    (void)state;
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"},"
                         "\"e\":{\"dtype\":\"F8_E4M3\",\"shape\":[2],\"data_offsets\":[17,19]},"
                         "\"b\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[1,17]},"
                         "\"s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},"
                         "\"z\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[19,19]}}   ";
    at_buf bytes = file_of(header, 19);
    at_safetensors file;
    check_ok(at_safetensors_parse("f", bytes.data, bytes.length, &file));
    assert_int_equal(file.count, 4);
    assert_string_equal(at_safetensors_metadata(&file, "format"), "pt");
    assert_null(at_safetensors_metadata(&file, "other"));
    assert_null(at_safetensors_find(&file, "__metadata__"));
    float out[4];
    const at_stored *b = at_safetensors_find(&file, "b");
    assert_non_null(b);
    check_ok(at_stored_floats(&file, b, out)); /* not aligned in the file */
    const float want[4] = {0x1.7e7e7ep-1f, 0x1.7e7e7ep-1f, 0x1.7e7e7ep-1f, 0x1.7e7e7ep-1f}; /* 0x3f3f3f3f */
    check_same_bits(out, want, sizeof want);
    const at_stored *s = at_safetensors_find(&file, "s");
    assert_int_equal(s->shape.rank, 0);
    check_ok(at_stored_floats(&file, s, out));
    assert_true(out[0] >= 63 && out[0] <= 63);
    check_ok(at_stored_floats(&file, at_safetensors_find(&file, "z"), out));
    check_fails(at_stored_floats(&file, at_safetensors_find(&file, "e"), out), AT_ENOSUP, "F8_E4M3");
    at_safetensors_close(&file);
    at_buf_free(&bytes);
}

static void what_is_saved_comes_back(void **state)
{
    (void)state;
    float a[6] = {1, -2, 3.25f, 0, 1e-3f, 65504}, b[3] = {0.1f, 0.2f, 0.3f};
    const at_save_tensor list[] = {{"b/name \"x\" \xe6\xb1\xa4", at_shape1(3), AT_F32, b},
                                   {"half", at_shape2(2, 3), AT_F16, a},
                                   {"brain", at_shape3(1, 2, 3), AT_BF16, a},
                                   {"a", at_shape2(3, 2), AT_F32, a},
                                   {"empty", at_shape2(0, 2), AT_F32, NULL}};
    json_t *metadata = json_pack("{s:s}", "made", "by a test");
    const char *path = check_path("t.safetensors");
    check_ok(at_safetensors_save(path, list, 5, metadata));
    json_decref(metadata);
    at_safetensors file;
    check_ok(at_safetensors_open(path, &file));
    assert_int_equal(file.count, 5);
    assert_string_equal(at_safetensors_metadata(&file, "made"), "by a test");
    assert_int_equal((file.mapping.size - 12 * 2 - 12 - 24) % 64, 0);
    check_same_bits(at_stored_view(at_safetensors_find(&file, "a")), a, sizeof a);
    check_same_bits(at_stored_view(at_safetensors_find(&file, list[0].name)), b, sizeof b);
    float out[6];
    assert_null(at_stored_view(at_safetensors_find(&file, "half")));
    check_ok(at_stored_floats(&file, at_safetensors_find(&file, "half"), out));
    check_near(out, a, 6, 0x1p-11);
    check_ok(at_stored_floats(&file, at_safetensors_find(&file, "brain"), out));
    check_near(out, a, 6, 0x1p-8);
    assert_true(at_shape_same(at_safetensors_find(&file, "brain")->shape, at_shape3(1, 2, 3)));
    at_safetensors_close(&file);
    check_fails(at_safetensors_open(check_path("none"), &file), AT_EIO, "none");
}

/* Every cut and every changed byte either opens, and then all of it can be read, or is refused. */
static void damage_never_reads_outside(void **state)
{
    (void)state;
    float a[6] = {1, 2, 3, 4, 5, 6};
    const at_save_tensor list[] = {{"a", at_shape2(2, 3), AT_F32, a}, {"b", at_shape1(6), AT_BF16, a}};
    const char *path = check_path("d.safetensors");
    check_ok(at_safetensors_save(path, list, 2, NULL));
    char *bytes;
    size_t length;
    check_ok(at_file_read(path, 1 << 20, &bytes, &length));
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t round = 0; round < 20000; round++) {
        size_t size = round < length ? round : length;
        unsigned char *copy = at_alloc(size + 1); /* of its own, so that the sanitizer sees its end */
        assert_non_null(copy);
        memcpy(copy, bytes, size);
        for (size_t k = round < length ? 0 : 1 + at_rng_below(&rng, 4); k > 0; k--)
            copy[at_rng_below(&rng, (uint32_t)length)] = (unsigned char)at_rng_word(&rng);
        at_safetensors file;
        at_status st = at_safetensors_parse("d", copy, size, &file);
        assert_true(round >= length || st != AT_OK);
        for (size_t i = 0; st == AT_OK && i < file.count; i++) {
            float out[64];
            if (at_shape_count(file.list[i].shape) <= 64)
                (void)at_stored_floats(&file, &file.list[i], out);
        }
        if (st == AT_OK)
            at_safetensors_close(&file);
        at_free(copy);
    }
    at_free(bytes);
}

static at_status open_once(void *path)
{
    at_safetensors file;
    at_status st = at_safetensors_open(path, &file);
    if (st == AT_OK)
        at_safetensors_close(&file);
    return st;
}

static at_status save_once(void *path)
{
    float a[6] = {0};
    const at_save_tensor list[] = {{"a", at_shape2(2, 3), AT_F32, a}, {"b", at_shape1(6), AT_BF16, a}};
    return at_safetensors_save(path, list, 2, NULL);
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", check_path("m.safetensors"));
    check_every_allocation(save_once, path, 2000);
    check_every_allocation(open_once, path, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_broken_rule_is_named),
        cmocka_unit_test(lengths_are_checked_before_anything_else),
        cmocka_unit_test(pickles_are_refused_with_the_remedy),
        cmocka_unit_test(good_files_open),
        cmocka_unit_test(what_is_saved_comes_back),
        cmocka_unit_test(damage_never_reads_outside),
        cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
