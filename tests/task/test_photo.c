/* Where a model of pictures looked: a small ViT with random weights, of each pooling; the command on it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "task/photo.h"
#include "tests/check.h"

enum { DOWN = 2, ACROSS = 3, PATCHES = DOWN * ACROSS, SIDE = 8 };

static char photo[512];

/* 60 x 40: left red, right blue, a bright spot. */
static void make_photo(void)
{
    at_image m;
    check_ok(at_image_new(60, 40, 3, &m));
    for (size_t y = 0; y < 40; y++)
        for (size_t x = 0; x < 60; x++) {
            bool spot = (x - 42) * (x - 42) + (y - 12) * (y - 12) < 60;
            memcpy(m.pixels + (y * 60 + x) * 3,
                   spot     ? (uint8_t[]){250, 240, 90}
                   : x < 30 ? (uint8_t[]){180, 50, 40}
                            : (uint8_t[]){40, 60, 170},
                   3);
        }
    snprintf(photo, sizeof photo, "%s", check_path("photo.png"));
    check_ok(at_image_write_png(&m, photo));
    at_image_free(&m);
}

/* options: further ones, in JSON. */
static const char *folder(const char *name, const char *more)
{
    char text[600];
    snprintf(text, sizeof text,
             "{\"image_height\": %d, \"image_width\": %d, \"patch_height\": %d, \"patch_width\": %d, "
             "\"layers\": 3, "
             "\"d_model\": 16, \"ffn\": 16, \"heads\": 2%s}",
             DOWN * SIDE, ACROSS * SIDE, SIDE, SIDE, more);
    json_t *options = json_loads(text, 0, NULL),
           *labels = json_pack("{s:s,s:s,s:s}", "0", "cat", "1", "dog", "2", "owl");
    assert_non_null(options);
    at_vocabulary vocabulary = {.pad = -1, .bos = -1, .eos = -1, .unk = -1, .labels = 3};
    at_model *model;
    check_ok(at_model_new("vit", options, &vocabulary, &model));
    check_ok(at_params_allocate(&model->params));
    at_params_init(&model->params, 5);
    at_folder_content content = {.model = model, .labels = labels};
    const char *path = check_path(name);
    check_ok(at_folder_save(path, &content));
    at_model_free(model);
    json_decref(options);
    json_decref(labels);
    return path;
}

static double sum_of(const float *row, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)row[i];
    return sum;
}

static void open_and_look(const char *path, int layer, int head, at_photo_reader **reader,
                          at_photo_look *look)
{
    at_open_options one = AT_OPEN_DEFAULTS;
    one.threads = 1;
    check_ok(at_photo_reader_open(path, &one, 0, reader));
    check_ok(at_photo_look_new(*reader, photo, layer, head, look));
}

static void every_map_of_a_class_token(void **state)
{
    (void)state;
    at_photo_reader *reader;
    at_photo_look look;
    float row[PATCHES], mean[PATCHES], expected[PATCHES] = {0};
    open_and_look(folder("class", ""), AT_MEAN, AT_MEAN, &reader, &look);
    assert_true(look.class_token);
    assert_int_equal(look.down, DOWN);
    assert_int_equal(look.across, ACROSS);
    assert_int_equal(look.tokens, PATCHES + 1);
    assert_int_equal(look.layers, 3);
    assert_int_equal(look.heads, 2);
    assert_true(fabs(sum_of(look.probabilities, 3) - 1) < 1e-5);
    assert_string_equal(look.names[2], "owl");
    for (size_t i = 0; i < 6 * look.tokens; i++)
        assert_true(fabs(sum_of(look.weights + i * look.tokens, look.tokens) - 1) < 1e-4);
    for (size_t i = 0; i < look.tokens; i++) {
        assert_true(fabs(sum_of(look.rollout + i * look.tokens, look.tokens) - 1) < 1e-4);
        assert_true(fabs((double)look.alike[i * look.tokens + i] - 1) < 1e-5);
    }
    /* The class token's row of layer 1, head 1 as it lies in the maps; the mean is that of the heads. */
    check_ok(at_photo_row(&look, 1, 1, AT_PHOTO_MODEL, row));
    check_same_bits(row, look.weights + 3 * 49 + 1, sizeof row);
    for (int h = 0; h < 2; h++) {
        check_ok(at_photo_row(&look, 1, h, 4, row));
        check_same_bits(row, look.weights + (2 + h) * 49 + 5 * 7 + 1, sizeof row);
        for (size_t i = 0; i < PATCHES; i++)
            expected[i] += row[i] / 2;
    }
    check_ok(at_photo_row(&look, 1, AT_MEAN, 4, mean));
    check_near(mean, expected, PATCHES, 1e-6);
    check_ok(at_photo_row(&look, AT_PHOTO_ROLLOUT, AT_MEAN, AT_PHOTO_MODEL, row));
    check_near(row, look.rollout + 1, PATCHES, 1e-6);
    check_ok(at_photo_alike(&look, 2, row));
    assert_true(row[2] > 0.999f);
    check_fails(at_photo_row(&look, 1, 1, PATCHES, row), AT_EARG, "patch 6: there are 6");
    check_fails(at_photo_row(&look, 3, 0, 0, row), AT_EARG, "not looked at");
    at_photo_look_free(&look);
    /* One of them alone is the same. */
    check_ok(at_photo_look_new(reader, photo, 1, 1, &look));
    assert_int_equal(look.layers * look.heads, 1);
    assert_null(look.rollout);
    check_ok(at_photo_row(&look, 1, 1, AT_PHOTO_MODEL, row));
    check_fails(at_photo_row(&look, AT_PHOTO_ROLLOUT, AT_MEAN, 0, row), AT_ENOSUP, "rollout wants all");
    at_photo_look_free(&look);
    check_fails(at_photo_look_new(reader, photo, 7, AT_MEAN, &look), AT_EARG, "layers 0 to 2, heads 0 to 1");
    check_fails(at_photo_look_new(reader, check_path("absent.png"), -1, -1, &look), AT_EIO, "absent.png");
    assert_null(look.weights);
    at_photo_reader_close(reader);
}

/* Without a class token pooling says how much each patch counts: its sum of rows is what the model saw. */
static void sequence_pooling(void **state)
{
    (void)state;
    at_photo_reader *reader;
    at_photo_look look;
    float row[PATCHES], expected[PATCHES] = {0};
    open_and_look(folder("sequence", ", \"pooling\": \"sequence\""), AT_MEAN, AT_MEAN, &reader, &look);
    assert_false(look.class_token);
    assert_int_equal(look.tokens, PATCHES);
    assert_true(fabs(sum_of(look.pooling, PATCHES) - 1) < 1e-5);
    for (size_t t = 0; t < PATCHES; t++)
        for (size_t i = 0; i < PATCHES; i++)
            expected[i] += look.pooling[t] * look.rollout[t * PATCHES + i];
    check_ok(at_photo_row(&look, AT_PHOTO_ROLLOUT, AT_MEAN, AT_PHOTO_MODEL, row));
    check_near(row, expected, PATCHES, 1e-6);
    assert_true(fabs(sum_of(row, PATCHES) - 1) < 1e-4);
    at_photo_look_free(&look);
    at_photo_reader_close(reader);
}

/* Weights of learned sums, shared out to the patches they are made of. */
static void learned_sums(void **state)
{
    (void)state;
    at_photo_reader *reader;
    at_photo_look look;
    open_and_look(folder("linformer", ", \"linformer_k\": 3"), AT_MEAN, AT_MEAN, &reader, &look);
    for (size_t i = 0; i < 6 * look.tokens; i++)
        assert_true(fabs(sum_of(look.weights + i * look.tokens, look.tokens) - 1) < 1e-4);
    at_photo_look_free(&look);
    at_photo_reader_close(reader);
}

static void what_reads_pictures(void **state)
{
    (void)state;
    assert_true(at_photo_model(check_path("class")));
    assert_false(at_photo_model(check_folder()));
    assert_false(at_photo_model(check_path("absent")));
}

/* What the program answers; its output in `out`. */
static int attend(const char *words, char *out, size_t size)
{
    char line[4096];
    snprintf(line, sizeof line, "cd %s && %s %s 2>&1", check_folder(), AT_TEST_PROGRAM, words);
    FILE *stream = popen(line, "r");
    assert_non_null(stream);
    size_t got = fread(out, 1, size - 1, stream);
    out[got] = '\0';
    int code = pclose(stream);
    return code < 0 ? code : code >> 8;
}

static void the_command(void **state)
{
    (void)state;
    char out[8192];
    at_image painted;
    assert_int_equal(attend("show --model class photo.png", out, sizeof out), 0);
    assert_non_null(strstr(out, "class token, rollout through all layers"));
    assert_non_null(strstr(out, "owl"));
    assert_int_equal(
        attend("show --model class --json --layer 1 --head 0 --query 2,1 photo.png", out, sizeof out), 0);
    json_t *answer = json_loads(out, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(answer, "map")), "patch 2,1, layer 1, head 0");
    assert_int_equal(json_array_size(json_object_get(answer, "weights")), DOWN);
    json_decref(answer);
    assert_int_equal(
        attend("show --model sequence --png o.png --svg o.svg --html o.html --weighted photo.png", out,
               sizeof out),
        0);
    assert_string_equal(out, "");
    check_ok(at_image_read(check_path("o.png"), NULL, &painted));
    assert_int_equal(painted.width, 672);
    assert_int_equal(painted.height, 448);
    at_image_free(&painted);
    assert_true(at_file_exists(check_path("o.svg")) && at_file_exists(check_path("o.html")));
    assert_int_equal(attend("show --model class --query 1,0 --alike photo.png", out, sizeof out), 0);
    assert_non_null(strstr(out, "patches like 1,0"));
    assert_int_equal(attend("show --model class --alike photo.png", out, sizeof out), 2);
    assert_int_equal(attend("classify --model class --show photo.png photo.png", out, sizeof out), 0);
    const char *second = strstr(out, "rollout");
    assert_true(second && strstr(second + 1, "rollout"));
    assert_int_equal(attend("classify --model class --show", out, sizeof out), 2);
    assert_int_equal(attend("show --model class --query 3,0 photo.png", out, sizeof out), 1);
    assert_non_null(strstr(out, "3 x 2 patches, 0,0 to 2,1"));
    assert_int_equal(attend("show --model class --query no photo.png", out, sizeof out), 1);
    assert_int_equal(attend("show --model class --max-pixels 100 photo.png", out, sizeof out), 1);
    assert_non_null(strstr(out, "at most 100"));
    assert_int_equal(attend("show --model class class/config.json", out, sizeof out), 1);
    assert_non_null(strstr(out, "but text"));
    assert_int_equal(attend("show --model class --target x photo.png", out, sizeof out), 2);
    assert_int_equal(attend("show --model class photo.png photo.png", out, sizeof out), 2);
}

int main(void)
{
    if (!at_image_png_library())
        return 0;
    make_photo();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_map_of_a_class_token),
        cmocka_unit_test(sequence_pooling),
        cmocka_unit_test(learned_sums),
        cmocka_unit_test(what_reads_pictures),
        cmocka_unit_test(the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
