/* ViT: gradients of every option, logits equal to PyTorch's, what patches must be, tiny sets by heart. */
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "model/model.h"
#include "store/folder.h"
#include "tests/gradient.h"

enum { CLASSES = 3, COUNT = 4, MOST = 16 * 16 * 3 };

typedef struct seen {
    at_exec *exec;
    at_tape *tape;
    at_model *model;
    float *grads, pixels[COUNT * MOST], shares[COUNT * CLASSES];
    at_batch batch;
} seen;

static const int32_t offsets[] = {0, 1, 2, 3, 4}, labels[] = {2, 0, 1, 1};
static const uint32_t examples[] = {7, 3, 11, 5};

static at_status try_options(const char *options, at_model **model)
{
    const at_vocabulary v = {.pad = -1, .bos = -1, .eos = -1, .unk = -1, .labels = CLASSES};
    json_t *section = json_loads(options, 0, NULL);
    assert_non_null(section);
    at_status st = at_model_new("vit", section, &v, model);
    json_decref(section);
    return st;
}

static void open_seen(seen *s, const char *options)
{
    memset(s, 0, sizeof *s);
    check_ok(at_exec_new(NULL, 1, &s->exec));
    check_ok(at_tape_new(s->exec, &s->tape));
    check_ok(try_options(options, &s->model));
    check_ok(at_params_allocate(&s->model->params));
    at_params_init(&s->model->params, 4);
    s->grads = calloc(s->model->params.total, sizeof *s->grads);
    assert_non_null(s->grads);
    at_pixels size = s->model->family->pixels(s->model);
    assert_true(size.height * size.width * size.channels <= MOST);
    gradient_random(s->pixels, COUNT * MOST, 8, 1);
    size.data = s->pixels;
    s->batch = (at_batch){.source = {COUNT, offsets, examples}, .pixels = size, .labels = labels};
}

static void close_seen(seen *s)
{
    free(s->grads);
    at_model_free(s->model);
    at_tape_free(s->tape);
    at_exec_free(s->exec);
}

static at_var *loss(at_tape *tape, at_var *const *x, const void *context)
{
    (void)x;
    const seen *s = context;
    const at_loss_options options = {.smoothing = 0.1f, .scale = 0.37f};
    return at_model_loss(s->model, tape, &s->batch, &options, NULL);
}

#define SMALL                                                                                           \
    "\"image_height\": 4, \"image_width\": 6, \"patch_height\": 2, \"patch_width\": 3, \"layers\": 2, " \
    "\"d_model\": 8, \"ffn\": 5, \"heads\": 2"

static void check(const char *options, bool training, bool mixed)
{
    seen s;
    open_seen(&s, options);
    at_params *params = &s.model->params;
    for (size_t i = 0; i < params->count; i++) { /* biases and gains begin as 0 and 1: stir them */
        const at_param *p = params->list[i];
        if (p->role == AT_PLAIN)
            gradient_random(params->block + p->offset, at_shape_count(p->shape), (uint32_t)i, 0.5f);
    }
    for (size_t i = 0; i < COUNT * CLASSES; i++)
        s.shares[i] = (int32_t)(i % CLASSES) == labels[i / CLASSES] ? 0.75f : 0.125f;
    s.batch.shares = mixed ? s.shares : NULL;
    gradient_check(&(gradient_case){.name = options,
                                    .build = loss,
                                    .context = &s,
                                    .params = params,
                                    .training = training,
                                    .tolerance = 5e-3});
    close_seen(&s);
}

static void gradients_of_every_option(void **state)
{
    (void)state;
    check("{" SMALL "}", false, false);
    check("{" SMALL ", \"pooling\": \"mean\", \"positions\": \"sinusoidal\", \"patch_norm\": true, "
          "\"channels\": 1, \"linformer_k\": 3}",
          false, true);
    check("{" SMALL ", \"pooling\": \"sequence\", \"positions\": \"none\", \"activation\": \"relu\", "
          "\"layer_scale\": 0.5, \"shifted\": true, \"locality\": true}",
          false, false);
    check("{" SMALL ", \"dropout\": 0.1, \"attention_dropout\": 0.1, \"activation_dropout\": 0.1, "
          "\"embedding_dropout\": 0.2, \"patch_dropout\": 0.4, \"path_dropout\": 0.4, \"locality\": true}",
          true, true);
    check("{" SMALL ", \"image_height\": 8, \"image_width\": 7, \"stem\": 2, \"stem_width\": 3, "
          "\"stem_norm\": true, \"pooling\": \"sequence\"}",
          false, false);
}

/* Shares that are all of the labels give the loss of the labels. */
static void whole_shares_are_labels(void **state)
{
    (void)state;
    seen s;
    open_seen(&s, "{" SMALL "}");
    const at_loss_options how = {.smoothing = 0.1f, .scale = 1};
    at_loss_report plain, shared;
    at_tape_begin(s.tape, AT_TAPE_RUN, 0, 0);
    at_model_loss(s.model, s.tape, &s.batch, &how, &plain);
    for (size_t i = 0; i < COUNT; i++)
        s.shares[i * CLASSES + (size_t)labels[i]] = 1;
    s.batch.shares = s.shares;
    at_model_loss(s.model, s.tape, &s.batch, &how, &shared);
    assert_true(fabs(plain.loss - shared.loss) < 1e-4);
    assert_int_equal(plain.right, shared.right);
    assert_int_equal(plain.judged, COUNT);
    close_seen(&s);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"image_height\": 8, \"patch_height\": 16}", /* smaller than a patch */
        "{\"image_width\": 225}",
        "{\"heads\": 3}",
        "{\"channels\": 2}",
        "{\"stem\": 2, \"stem_kernel\": 4}",
        "{\"stem\": 2, \"shifted\": true}",
        "{\"locality\": true, \"linformer_k\": 4}",
        "{\"positions\": \"sinusoidal\", \"d_model\": 6, \"heads\": 1}",
    };
    at_model *model;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(try_options(bad[i], &model), AT_EARG);
    seen s;
    open_seen(&s, "{" SMALL "}");
    s.batch.pixels.width = 5;
    at_tape_begin(s.tape, AT_TAPE_RUN, 0, 0);
    assert_null(s.model->family->encode(s.model, s.tape, &s.batch));
    assert_int_equal(at_tape_status(s.tape), AT_ESHAPE);
    assert_non_null(strstr(at_error_message(), "4 x 5 with 3 channels: this model takes 4 x 6 with 3"));
    close_seen(&s);
}

/* Plain steps down the gradient until every prediction is right. */
static void learn_by_heart(const char *options)
{
    seen s;
    at_loss_report report = {0};
    open_seen(&s, options);
    float *block = s.model->params.block;
    for (uint64_t step = 1; step <= 150; step++) {
        const at_loss_options how = {.scale = 1.0f / COUNT};
        memset(s.grads, 0, s.model->params.total * sizeof *s.grads);
        at_tape_begin(s.tape, AT_TAPE_TRAIN, 1, step);
        s.tape->grads = s.grads;
        check_ok(at_tape_backward(s.tape, at_model_loss(s.model, s.tape, &s.batch, &how, &report)));
        for (size_t i = 0; i < s.model->params.total; i++)
            block[i] -= 0.1f * s.grads[i];
    }
    assert_true(report.loss / COUNT < 0.2 && report.right == COUNT);
    close_seen(&s);
}

static void small_sets_are_learned_by_heart(void **state)
{
    (void)state;
    learn_by_heart("{" SMALL "}");
    learn_by_heart(
        "{\"image_height\": 16, \"image_width\": 16, \"stem\": 2, \"stem_width\": 4, \"layers\": 1, "
        "\"d_model\": 8, \"ffn\": 8, \"heads\": 2, \"pooling\": \"sequence\"}");
}

/* tools/golden_vit.py: a folder as Hugging Face writes it, a picture and PyTorch's logits. */
static void logits_equal_pytorchs(void **state)
{
    (void)state;
    at_folder *folder;
    at_exec *exec;
    at_tape *tape;
    at_safetensors golden;
    check_ok(at_exec_new(NULL, 2, &exec));
    check_ok(at_tape_new(exec, &tape));
    check_ok(at_folder_load(AT_TEST_DATA "/vit", exec, &folder));
    check_ok(at_safetensors_open(AT_TEST_DATA "/vit-golden.safetensors", &golden));
    const at_stored *pixels = at_safetensors_find(&golden, "pixels"),
                    *logits = at_safetensors_find(&golden, "logits");
    assert_non_null(pixels);
    assert_non_null(logits);
    const at_model *model = folder->model;
    at_pixels size = model->family->pixels(model);
    size.data = at_stored_view(pixels);
    at_batch batch = {.source = {2, offsets, NULL}, .pixels = size};
    at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
    at_var *x = model->family->encode(model, tape, &batch);
    x = model->family->classify(model, tape, model->family->pool(model, tape, x, &batch.source, NULL));
    check_ok(at_tape_status(tape));
    check_near(x->data, at_stored_view(logits), at_shape_count(logits->shape), 1e-4);
    at_safetensors_close(&golden);
    at_folder_free(folder);
    at_tape_free(tape);
    at_exec_free(exec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_every_option),    cmocka_unit_test(whole_shares_are_labels),
        cmocka_unit_test(what_does_not_fit_is_refused), cmocka_unit_test(small_sets_are_learned_by_heart),
        cmocka_unit_test(logits_equal_pytorchs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
