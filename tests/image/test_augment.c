#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/memory.h"
#include "image/augment.h"
#include "tests/check.h"

static const float zeros[3] = {0, 0, 0}, ones[3] = {1, 1, 1};

static at_image ramp(size_t w, size_t h, size_t channels)
{
    at_image m;
    check_ok(at_image_new(w, h, channels, &m));
    for (size_t i = 0; i < at_image_bytes(&m); i++)
        m.pixels[i] = (uint8_t)(i * 7 % 251);
    return m;
}

static at_augment_options everything(void)
{
    at_augment_options o;
    check_ok(at_fields_default(at_augment_fields, &o));
    o.brightness = o.contrast = o.saturation = 0.4;
    o.hue = 0.1;
    o.rand_augment = 2;
    o.erase = 0.5;
    return o;
}

static at_augment_options nothing(void)
{
    at_augment_options o;
    check_ok(at_fields_default(at_augment_fields, &o));
    o.crop_least = 1;
    o.flip = 0;
    return o;
}

/* The key decides all: the same key the same floats, another epoch or example others. */
static void a_key_makes_a_picture(void **state)
{
    (void)state;
    enum { N = 24 * 24 * 3 };
    at_image m = ramp(40, 30, 3);
    at_augment_options o = everything();
    float first[N], again[N];
    size_t same = 0;
    for (uint64_t example = 0; example < 20; example++) {
        at_augment_key key = {.seed = 3, .epoch = 5, .example = example};
        check_ok(at_augment(&m, &o, key, 24, 24, AT_RESAMPLE_BICUBIC, zeros, ones, first));
        check_ok(at_augment(&m, &o, key, 24, 24, AT_RESAMPLE_BICUBIC, zeros, ones, again));
        check_same_bits(first, again, sizeof first);
        key.epoch++;
        check_ok(at_augment(&m, &o, key, 24, 24, AT_RESAMPLE_BICUBIC, zeros, ones, again));
        same += memcmp(first, again, sizeof first) == 0;
        key = (at_augment_key){.seed = 3, .epoch = 5, .example = example + 1};
        check_ok(at_augment(&m, &o, key, 24, 24, AT_RESAMPLE_BICUBIC, zeros, ones, again));
        same += memcmp(first, again, sizeof first) == 0;
    }
    assert_int_equal(same, 0);
    at_image_free(&m);
}

static void without_options_the_middle_stays(void **state)
{
    (void)state;
    at_image m = ramp(10, 6, 3);
    at_augment_options o = nothing();
    float got[6 * 6 * 3], mean[3] = {0.5f, 0.25f, 0}, deviation[3] = {0.5f, 0.25f, 2};
    check_ok(at_augment(&m, &o, (at_augment_key){0}, 6, 6, AT_RESAMPLE_BICUBIC, mean, deviation, got));
    for (size_t y = 0; y < 6; y++)
        for (size_t x = 0; x < 6; x++)
            for (size_t c = 0; c < 3; c++) {
                float v = (float)m.pixels[(y * 10 + x + 2) * 3 + c] / 255.0f;
                check_near(&got[(y * 6 + x) * 3 + c], (float[]){(v - mean[c]) / deviation[c]}, 1, 1e-6);
            }
    at_image_free(&m);
}

/* Parts lie within the picture, have the area and shape asked for, and are found everywhere. */
static void crops_are_within_their_limits(void **state)
{
    (void)state;
    at_image m = ramp(300, 200, 1);
    at_augment_options o = nothing();
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    double least = 1, most = 0, left = 300, right = 0;
    o.crop_least = 0.1;
    o.crop_most = 0.5;
    o.crop_ratio = 4.0 / 3;
    for (int i = 0; i < 2000; i++) {
        at_box b = at_random_crop(&m, &o, 1.0, &rng);
        assert_true(b.left >= 0 && b.top >= 0 && b.left + b.width <= 300 && b.top + b.height <= 200);
        double area = b.width * b.height / 60000, ratio = b.width / b.height;
        assert_true(area > 0.095 && area < 0.51);
        assert_true(ratio > 0.72 && ratio < 1.39);
        least = fmin(least, area);
        most = fmax(most, area);
        left = fmin(left, b.left);
        right = fmax(right, b.left + b.width);
    }
    assert_true(least < 0.12 && most > 0.48 && left < 5 && right > 295);
    o.crop_least = o.crop_most = 1; /* the largest part of the shape asked for */
    at_box b = at_random_crop(&m, &o, 0.5, &rng);
    assert_true(b.width == 100 && b.height == 200 && b.left == 100 && b.top == 0);
    at_image_free(&m);
}

static void one_half_is_mirrored(void **state)
{
    (void)state;
    at_image m = ramp(5, 2, 3), there;
    at_augment_options o = nothing();
    size_t flipped = 0;
    float got[30];
    o.flip = 0.5;
    for (uint64_t i = 0; i < 1000; i++) {
        at_augment_key key = {.example = i};
        check_ok(at_augment(&m, &o, key, 5, 2, AT_RESAMPLE_BICUBIC, zeros, ones, got));
        flipped += got[0] != (float)m.pixels[0] / 255.0f;
    }
    assert_true(flipped > 420 && flipped < 580); /* 5 deviations of a fair coin */
    check_ok(at_image_copy(&m, &there));
    at_image_flip(&there);
    assert_memory_equal(there.pixels, m.pixels + 12, 3);
    assert_memory_equal(there.pixels + 6, m.pixels + 6, 3); /* the middle of five */
    at_image_flip(&there);
    assert_memory_equal(there.pixels, m.pixels, 30);
    at_image_free(&there);
    at_image_free(&m);
}

static void a_shift_by_whole_pixels_is_exact(void **state)
{
    (void)state;
    at_image m = ramp(8, 8, 3), there;
    check_ok(at_image_copy(&m, &there));
    check_ok(at_image_affine(&there, (const double[]){1, 0, 2, 0, 1, -1}));
    for (size_t y = 0; y < 8; y++)
        for (size_t x = 0; x < 8; x++)
            for (size_t c = 0; c < 3; c++) {
                bool inside = x + 2 < 8 && y >= 1;
                uint8_t want = inside ? m.pixels[((y - 1) * 8 + x + 2) * 3 + c] : 128;
                assert_int_equal(there.pixels[(y * 8 + x) * 3 + c], want);
            }
    at_image_free(&there);
    /* A quarter turn four times is where it was. */
    check_ok(at_image_copy(&m, &there));
    for (int i = 0; i < 4; i++)
        check_ok(at_image_affine(&there, (const double[]){0, -1, 0, 1, 0, 0}));
    assert_memory_equal(there.pixels, m.pixels, at_image_bytes(&m));
    at_image_free(&there);
    at_image_free(&m);
}

static void colours_turn_round_the_circle(void **state)
{
    (void)state;
    uint8_t pixels[] = {255, 0, 0, 10, 200, 30, 90, 90, 90};
    at_image m = {.width = 3, .height = 1, .channels = 3, .pixels = pixels};
    at_image_hue(&m, 1.0 / 3);
    assert_memory_equal(pixels, ((uint8_t[]){0, 255, 0, 30, 10, 200, 90, 90, 90}), 9);
    at_image_hue(&m, -1.0 / 3);
    assert_memory_equal(pixels, ((uint8_t[]){255, 0, 0, 10, 200, 30, 90, 90, 90}), 9);
    at_image_hue(&m, 1.0 / 6);
    assert_memory_equal(pixels, ((uint8_t[]){255, 255, 0}), 3);
}

/* No operation leaves the picture's memory or shape; at level 0 nothing changes but for those without one. */
static void every_operation_at_every_level(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {{1, 1, 3}, {2, 5, 1}, {33, 17, 3}};
    for (size_t s = 0; s < 3; s++)
        for (int op = 0; op < AT_AUGMENT_OPS; op++)
            for (int level = 0; level <= 4; level++)
                for (int minus = 0; minus < 2; minus++) {
                    at_image m = ramp(sizes[s][0], sizes[s][1], sizes[s][2]), was;
                    check_ok(at_image_copy(&m, &was));
                    check_ok(at_augment_apply(&m, (at_augment_op)op, level / 4.0, minus));
                    assert_int_equal(at_image_bytes(&m), at_image_bytes(&was));
                    bool spreads = op == AT_OP_AUTOCONTRAST || op == AT_OP_EQUALIZE;
                    if ((level == 0 && !spreads) || op == AT_OP_IDENTITY)
                        assert_memory_equal(m.pixels, was.pixels, at_image_bytes(&m));
                    if (s == 2 && level == 4 && op != AT_OP_IDENTITY && !spreads)
                        assert_true(memcmp(m.pixels, was.pixels, at_image_bytes(&m)) != 0);
                    at_image_free(&m);
                    at_image_free(&was);
                }
}

static void a_part_is_erased(void **state)
{
    (void)state;
    enum { W = 40, H = 30, C = 3, N = W * H * C };
    at_augment_options o = nothing();
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    float pixels[N];
    size_t erased = 0;
    o.erase = 0.5;
    for (int i = 0; i < 400; i++) {
        size_t changed = 0;
        for (size_t k = 0; k < N; k++)
            pixels[k] = 100.0f;
        at_random_erase(pixels, H, W, C, &o, &rng);
        for (size_t k = 0; k < N; k++)
            changed += pixels[k] != 100.0f;
        double part = (double)changed / N;
        assert_true(changed == 0 || (part > 0.015 && part < 0.35));
        erased += changed > 0;
    }
    assert_true(erased > 150 && erased < 250); /* 5 deviations */
}

/* Over a pair nothing is lost; shares say what a picture holds; a label keeps the larger one. */
static void batches_are_mixed(void **state)
{
    (void)state;
    enum { B = 5, SIDE = 6, CLASSES = 3, N = SIDE * SIDE };
    static const int32_t labels[B] = {0, 1, 2, 1, 2};
    float pixels[B * N], shares[B * CLASSES];
    size_t mixups = 0, cuts = 0;
    at_augment_options o = nothing();
    o.mixup = 0.8;
    o.cutmix = 1.0;
    for (uint64_t n = 0; n < 400; n++) {
        at_mix_batch batch = {.pixels = pixels,
                              .count = B,
                              .height = SIDE,
                              .width = SIDE,
                              .channels = 1,
                              .labels = labels,
                              .classes = CLASSES,
                              .shares = shares};
        for (size_t i = 0; i < B * N; i++)
            pixels[i] = (float)(i / N); /* a picture is its number */
        assert_true(at_mix(&batch, &o, (at_augment_key){.seed = 1, .epoch = 2, .example = n}));
        float own = shares[0 * CLASSES + 0], mean = 0;
        assert_true(own >= 0.5f && own <= 1.0f);
        check_near(&shares[0 * CLASSES + 2], (float[]){1 - own}, 1, 1e-6);
        check_near(&shares[1 * CLASSES + 1], (float[]){1}, 1, 1e-6); /* its partner is of its class */
        check_near(&shares[2 * CLASSES + 2], (float[]){1}, 1, 1e-6); /* its own partner */
        bool whole = true;
        for (size_t k = 0; k < N; k++) {
            mean += pixels[k] / N;
            whole = whole && (pixels[k] == 0.0f || pixels[k] == 4.0f);
            check_near(&pixels[k], (float[]){4 - pixels[4 * N + k]}, 1, 1e-5);
            assert_true(pixels[2 * N + k] == 2.0f);
        }
        check_near(&mean, (float[]){4 * (1 - own)}, 1, 1e-4);
        cuts += whole;
        mixups += !whole;
    }
    assert_true(cuts > 140 && mixups > 140);
    o.mixup = o.cutmix = 0;
    at_mix_batch batch = {.pixels = pixels,
                          .count = 1,
                          .height = SIDE,
                          .width = SIDE,
                          .channels = 1,
                          .labels = labels,
                          .classes = CLASSES,
                          .shares = shares};
    assert_false(at_mix(&batch, &o, (at_augment_key){0}));
    assert_true(shares[0] == 1 && shares[1] == 0 && shares[2] == 0);
}

/* lambda of Beta(1, 1) is even on [0, 1]; of its larger half the mean is 3/4, and of Beta(0.2, 0.2) it is
 * 1/2 + E|l - 1/2| = 0.9016 (from E|l - 1/2| = 2^(-2a) / (a B(a, a))). */
static void shares_are_of_the_beta_distribution(void **state)
{
    (void)state;
    static const double alphas[] = {1.0, 0.2, 4.0};
    float pixels[2] = {0, 1}, shares[4];
    static const int32_t labels[] = {0, 1};
    for (size_t a = 0; a < 3; a++) {
        double sum = 0, b = exp(2 * lgamma(alphas[a]) - lgamma(2 * alphas[a]));
        at_augment_options o = nothing();
        o.mixup = alphas[a];
        for (uint64_t n = 0; n < 4000; n++) {
            at_mix_batch batch = {.pixels = pixels,
                                  .count = 2,
                                  .height = 1,
                                  .width = 1,
                                  .channels = 1,
                                  .labels = labels,
                                  .classes = 2,
                                  .shares = shares};
            assert_true(at_mix(&batch, &o, (at_augment_key){.seed = 9, .example = n}));
            sum += (double)shares[0];
        }
        double want = 0.5 + pow(2, -2 * alphas[a]) / (alphas[a] * b);
        assert_true(fabs(sum / 4000 - want) < 0.012); /* 5 deviations: 0.144 / sqrt(4000) each */
    }
}

static void area_is_a_mean_of_what_is_covered(void **state)
{
    (void)state;
    uint8_t pixels[] = {0, 30, 60, 90, 120, 150};
    at_image m = {.width = 6, .height = 1, .channels = 1, .pixels = pixels}, got;
    check_ok(at_image_resize(&m, NULL, 3, 1, AT_RESAMPLE_AREA, &got));
    assert_memory_equal(got.pixels, ((uint8_t[]){15, 75, 135}), 3);
    at_image_free(&got);
    check_ok(at_image_resize(&m, NULL, 4, 1, AT_RESAMPLE_AREA, &got)); /* (0 + 30/2) / 1.5 */
    assert_memory_equal(got.pixels, ((uint8_t[]){10, 50, 100, 140}), 4);
    at_image_free(&got);
    check_ok(
        at_image_resize(&m, &(at_box){.left = 1.5, .width = 1, .height = 1}, 1, 2, AT_RESAMPLE_AREA, &got));
    assert_memory_equal(got.pixels, ((uint8_t[]){45, 45}), 2);
    at_image_free(&got);
}

static void resizing_what_cannot_be(void **state)
{
    (void)state;
    at_image m = ramp(6, 4, 3), got;
    static const at_box bad[] = {{-1, 0, 3, 3}, {0, 0, 0, 3},  {4, 0, 3, 3},
                                 {0, 2, 3, 3},  {0, 0, 3, -1}, {NAN, 0, 1, 1}};
    for (size_t i = 0; i < 6; i++)
        check_fails(at_image_resize(&m, &bad[i], 2, 2, AT_RESAMPLE_BICUBIC, &got), AT_EARG, "not possible");
    check_fails(at_image_resize(&m, NULL, 0, 2, AT_RESAMPLE_BICUBIC, &got), AT_EARG, NULL);
    check_fails(at_image_crop(&m, 4, 0, 3, 4, &got), AT_EARG, "not within it");
    check_ok(at_image_crop(&m, 4, 1, 2, 3, &got));
    assert_memory_equal(got.pixels, m.pixels + (6 + 4) * 3, 6);
    at_image_free(&got);
    check_ok(at_image_resize(&m, NULL, 1, 1, AT_RESAMPLE_BICUBIC, &got));
    at_image_free(&got);
    check_ok(at_image_shrink(&m, 2, AT_RESAMPLE_AREA));
    assert_int_equal(m.width, 3);
    assert_int_equal(m.height, 2);
    at_image_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_makes_a_picture),
        cmocka_unit_test(without_options_the_middle_stays),
        cmocka_unit_test(crops_are_within_their_limits),
        cmocka_unit_test(one_half_is_mirrored),
        cmocka_unit_test(a_shift_by_whole_pixels_is_exact),
        cmocka_unit_test(colours_turn_round_the_circle),
        cmocka_unit_test(every_operation_at_every_level),
        cmocka_unit_test(a_part_is_erased),
        cmocka_unit_test(batches_are_mixed),
        cmocka_unit_test(shares_are_of_the_beta_distribution),
        cmocka_unit_test(area_is_a_mean_of_what_is_covered),
        cmocka_unit_test(resizing_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
