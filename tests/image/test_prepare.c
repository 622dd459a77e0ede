#include "base/pool.h"
#include "image/prepare.h"
#include "tests/image/pictures.h"

enum { PICTURES = 12, SIDE = 16, FLOATS = SIDE * SIDE * 3 };

/* PNGs and JPEGs of several sizes, one of them broken. */
static at_picture_set make_set(bool broken)
{
    at_picture_set set = {0};
    char name[64];
    check_ok(at_make_folder(check_path(broken ? "broken" : "whole")));
    for (size_t i = 0; i < PICTURES; i++) {
        at_image m = pictures_new(20 + 7 * i, 60 - 3 * i, 3);
        at_buf file = {0};
        if (i % 2)
            pictures_put_jpeg(m.pixels, m.width, m.height,
                              &(pictures_jpeg){.in = JCS_RGB, .stored = JCS_YCbCr}, &file);
        else
            check_ok(at_image_encode_png(&m, &file));
        snprintf(name, sizeof name, "%s/%02zu", broken ? "broken" : "whole", i);
        check_ok(
            at_file_write(check_path(name), file.data, broken && i == 7 ? file.length / 2 : file.length));
        at_buf_free(&file);
        at_image_free(&m);
    }
    check_ok(at_picture_set_all(check_path(broken ? "broken" : "whole"), &set));
    assert_int_equal(set.count, PICTURES);
    return set;
}

typedef struct work {
    const at_picture_set *set;
    const at_prepare *how;
    const at_augment_options *augment;
    at_image_cache *cache;
    float *out; /* (PICTURES, FLOATS) */
} work;

static void prepare_one(void *context, size_t i, int worker)
{
    const work *w = context;
    (void)worker;
    at_augment_key key = {.seed = 1, .epoch = 2, .example = i};
    at_status st = at_prepare_picture(w->set, i, w->how, w->augment, key, w->cache, w->out + i * FLOATS);
    AT_ASSERT(st == AT_OK);
}

/* Any number of threads, with and without a cache, full or empty: the same bits. */
static void the_same_floats_in_every_way(void **state)
{
    (void)state;
    at_picture_set set = make_set(false);
    at_prepare how = AT_PREPARE_DEFAULTS;
    at_augment_options augment;
    check_ok(at_fields_default(at_augment_fields, &augment));
    augment.rand_augment = 2;
    how.width = how.height = SIDE;
    float *want = malloc(sizeof(float) * PICTURES * FLOATS), *got = malloc(sizeof(float) * PICTURES * FLOATS);
    for (int training = 0; training < 2; training++) {
        work w = {.set = &set, .how = &how, .augment = training ? &augment : NULL, .out = want};
        for (size_t i = 0; i < PICTURES; i++)
            prepare_one(&w, i, 0);
        w.out = got;
        for (int threads = 1; threads <= 8; threads *= 2) {
            at_pool *pool;
            check_ok(at_pool_new(threads, &pool));
            check_ok(at_image_cache_new(set.count, threads == 2 ? 5000 : 1 << 20, &w.cache));
            for (int epoch = 0; epoch < 2; epoch++) {
                memset(got, 0, sizeof(float) * PICTURES * FLOATS);
                at_pool_run(pool, PICTURES, prepare_one, &w);
                check_same_bits(got, want, sizeof(float) * PICTURES * FLOATS);
            }
            at_image_cache_figures f = at_image_cache_look(w.cache);
            assert_true(f.bytes <= f.limit);
            assert_int_equal(f.hits, f.pictures);
            assert_int_equal(f.hits + f.misses, 2 * PICTURES);
            assert_true(threads == 2 ? f.pictures > 0 && f.pictures < PICTURES : f.pictures == PICTURES);
            at_image_cache_free(w.cache);
            at_pool_free(pool);
        }
    }
    free(want);
    free(got);
    at_picture_set_free(&set);
}

static void a_broken_file_is_named(void **state)
{
    (void)state;
    at_picture_set set = make_set(true);
    at_prepare how = AT_PREPARE_DEFAULTS;
    at_image_cache *cache;
    float pixels[FLOATS];
    how.width = how.height = SIDE;
    check_ok(at_image_cache_new(set.count, 1 << 20, &cache));
    for (size_t i = 0; i < PICTURES; i++) {
        at_status st = at_prepare_picture(&set, i, &how, NULL, (at_augment_key){0}, cache, pixels);
        if (i == 7)
            check_fails(st, AT_EFORMAT, "/broken/07: broken or cut JPEG");
        else
            check_ok(st);
    }
    assert_int_equal(at_image_cache_look(cache).pictures, PICTURES - 1);
    at_image_cache_free(cache);
    at_picture_set_free(&set);
}

static void working_size_and_part(void **state)
{
    (void)state;
    at_picture_set set = make_set(false);
    at_prepare how = AT_PREPARE_DEFAULTS;
    at_image m;
    how.width = 16;
    how.height = 8;
    how.spare = 1.5;
    check_ok(at_prepare_load(&set, 0, &how, &m)); /* 20 x 60: smaller than 24, as it is */
    assert_int_equal(m.width, 20);
    assert_int_equal(m.height, 60);
    at_box seen = at_prepare_seen(&how, &m);
    assert_true(seen.width == 20 && seen.height == 10 && seen.top == 25);
    at_image_free(&m);
    check_ok(at_prepare_load(&set, 6, &how, &m)); /* 62 x 42 -> 35.4 x 24 */
    assert_int_equal(m.width, 35);
    assert_int_equal(m.height, 24);
    at_image_free(&m);
    how.fit = AT_FIT_STRETCH;
    how.channels = 1;
    check_ok(at_prepare_load(&set, 6, &how, &m));
    assert_int_equal(m.channels, 1);
    seen = at_prepare_seen(&how, &m);
    assert_true(seen.width == 35 && seen.height == 24);
    at_image_free(&m);
    at_picture_set_free(&set);
}

static void digits_come_as_they_are(void **state)
{
    (void)state;
    uint8_t bytes[2 * 4 * 4];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(8 * i);
    at_picture_set set = {.count = 2, .idx = {.count = 2, .height = 4, .width = 4, .bytes = bytes}};
    at_prepare how = AT_PREPARE_DEFAULTS;
    float pixels[16], rgb[48];
    how.width = how.height = 4;
    how.channels = 1;
    how.mean[0] = 0;
    how.deviation[0] = 1;
    check_ok(at_prepare_picture(&set, 1, &how, NULL, (at_augment_key){0}, NULL, pixels));
    for (size_t i = 0; i < 16; i++)
        assert_true(pixels[i] == (float)bytes[16 + i] / 255.0f);
    how.channels = 3;
    for (int c = 0; c < 3; c++) {
        how.mean[c] = 0;
        how.deviation[c] = 1;
    }
    check_ok(at_prepare_picture(&set, 1, &how, NULL, (at_augment_key){0}, NULL, rgb));
    for (size_t i = 0; i < 48; i++)
        assert_true(rgb[i] == pixels[i / 3]);
}

static void a_cache_takes_a_picture_once(void **state)
{
    (void)state;
    at_image_cache *cache;
    at_image a = pictures_new(4, 4, 3), b = pictures_new(4, 4, 3), large = pictures_new(40, 40, 3);
    check_ok(at_image_cache_new(3, 500, &cache));
    assert_null(at_image_cache_get(cache, 1));
    const at_image *kept = at_image_cache_put(cache, 1, &a);
    assert_non_null(kept);
    assert_null(a.pixels);
    assert_ptr_equal(at_image_cache_put(cache, 1, &b), kept); /* another thread was first */
    assert_null(b.pixels);
    assert_ptr_equal(at_image_cache_get(cache, 1), kept);
    assert_null(at_image_cache_put(cache, 2, &large));
    assert_non_null(large.pixels);
    at_image_free(&large);
    at_image_cache_figures f = at_image_cache_look(cache);
    assert_int_equal(f.pictures, 1);
    assert_int_equal(f.bytes, 48 + sizeof(at_image));
    at_image_cache_free(cache);
    at_image_cache_free(NULL);
}

static at_status prepare_all(void *context)
{
    at_picture_set *set = context;
    at_prepare how = AT_PREPARE_DEFAULTS;
    at_augment_options augment;
    float pixels[FLOATS];
    at_status st = at_fields_default(at_augment_fields, &augment);
    how.width = how.height = SIDE;
    augment.rand_augment = 3;
    for (size_t i = 0; st == AT_OK && i < 3; i++)
        st = at_prepare_picture(set, i, &how, i ? &augment : NULL, (at_augment_key){.example = i}, NULL,
                                pixels);
    return st;
}

static void memory_that_fails_is_said(void **state)
{
    (void)state;
    at_picture_set set = make_set(false);
    check_every_allocation(prepare_all, &set, 200);
    at_picture_set_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_floats_in_every_way), cmocka_unit_test(a_broken_file_is_named),
        cmocka_unit_test(working_size_and_part),        cmocka_unit_test(digits_come_as_they_are),
        cmocka_unit_test(a_cache_takes_a_picture_once), cmocka_unit_test(memory_that_fails_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
