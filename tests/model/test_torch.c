/* Loss, logits, gradients equal PyTorch (tests/data/gradients-*.safetensors by tools/golden_gradients.py). */
#include <math.h>
#include <string.h>
#include "store/safetensors.h"
#include "tests/toy.h"

enum { VOCABULARY = 23 };

static const at_stored *stored(const at_safetensors *file, const char *name)
{
    const at_stored *tensor = at_safetensors_find(file, name);
    if (!tensor)
        fail_msg("%s is not in the golden file", name);
    return tensor;
}

static size_t integers(const at_safetensors *file, const char *name, int32_t *out)
{
    const at_stored *tensor = stored(file, name);
    assert_true(tensor->type == AT_I32 && at_shape_count(tensor->shape) <= TOY_ROWS);
    memcpy(out, tensor->data, tensor->bytes);
    return at_shape_count(tensor->shape);
}

static float *floats(const at_safetensors *file, const char *name, at_shape want)
{
    const at_stored *tensor = stored(file, name);
    check_ok(at_shape_expect(name, tensor->shape, want));
    float *out = malloc(tensor->bytes);
    assert_non_null(out);
    check_ok(at_stored_floats(file, tensor, out));
    return out;
}

static void read_batch(const at_safetensors *file, toy_batch *b)
{
    int32_t lengths[TOY_ROWS];
    memset(b, 0, sizeof *b);
    integers(file, "batch.source", b->source);
    integers(file, "batch.target_in", b->in);
    integers(file, "batch.target_out", b->out);
    size_t count = integers(file, "batch.source_lengths", lengths);
    for (size_t i = 0; i < count; i++)
        b->source_offsets[i + 1] = b->source_offsets[i] + lengths[i];
    assert_int_equal(integers(file, "batch.target_lengths", lengths), count);
    for (size_t i = 0; i < count; i++)
        b->target_offsets[i + 1] = b->target_offsets[i] + lengths[i];
    b->batch = (at_batch){.source = {count, b->source_offsets, NULL},
                          .target = {count, b->target_offsets, NULL},
                          .source_ids = b->source,
                          .target_in = b->in,
                          .target_out = b->out};
}

/* Apart by at most 1e-4 of the largest element; what is 0 by symmetry is rounding on both sides. */
static void check_relative(const char *name, const float *got, const float *want, size_t n)
{
    double largest = 1e-6, apart = 0;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs((double)want[i]));
        apart = fmax(apart, fabs((double)got[i] - (double)want[i]));
    }
    if (!(apart <= 1e-4 * largest + 1e-7))
        fail_msg("%s: %.3g apart, largest %.3g", name, apart, largest);
}

static void load_parameters(toy *t, const at_safetensors *file)
{
    for (size_t i = 0; i < t->model->params.count; i++) {
        const at_param *p = t->model->params.list[i];
        float *numbers = floats(file, p->name, p->shape);
        memcpy(t->model->params.block + p->offset, numbers, at_shape_count(p->shape) * sizeof *numbers);
        free(numbers);
    }
}

static void compare(const char *kernels, const at_safetensors *file)
{
    toy t;
    toy_batch b;
    toy_open(&t, &(toy_spec){.kernels = kernels,
                             .threads = 2,
                             .vocabulary = VOCABULARY,
                             .options = at_safetensors_metadata(file, "options")});
    load_parameters(&t, file);
    read_batch(file, &b);
    float smoothing = strtof(at_safetensors_metadata(file, "smoothing"), NULL);
    float *want = floats(file, "loss", at_shape1(1));
    double loss = toy_loss(&t, &b.batch, smoothing, 1);
    assert_true(fabs(loss - (double)want[0]) < 1e-5 * (double)want[0]);
    free(want);
    for (size_t i = 0; i < t.model->params.count; i++) {
        const at_param *p = t.model->params.list[i];
        char name[256];
        snprintf(name, sizeof name, "gradient.%s", p->name);
        want = floats(file, name, p->shape);
        check_relative(name, t.grads + p->offset, want, at_shape_count(p->shape));
        free(want);
    }
    at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
    at_var *memory = t.model->family->encode(t.model, t.tape, &b.batch);
    const at_var *logits =
        at_model_logits(t.model, t.tape, t.model->family->decode(t.model, t.tape, &b.batch, memory));
    check_ok(at_tape_status(t.tape));
    want = floats(file, "logits", logits->shape);
    check_relative("logits", logits->data, want, at_shape_count(logits->shape));
    free(want);
    toy_close(&t);
}

static void compare_file(const char *path)
{
    at_safetensors file;
    check_ok(at_safetensors_open(path, &file));
    print_message("peer: %s\n", at_safetensors_metadata(&file, "peer"));
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    for (size_t i = 0; i < count; i++)
        compare(sets[i]->name, &file);
    at_safetensors_close(&file);
}

static void as_in_the_paper(void **state)
{
    (void)state;
    compare_file(AT_TEST_DATA "/gradients-post.safetensors");
}

/* Pre-norm, GELU, learned positions, three matrices, keys as values. */
static void with_every_option_the_other_way(void **state)
{
    (void)state;
    compare_file(AT_TEST_DATA "/gradients-pre.safetensors");
}

/* Matrices for each head, fewer slots than rows; one for all layers, heads, keys and values, with more. */
static void linformer_in_the_encoder(void **state)
{
    (void)state;
    compare_file(AT_TEST_DATA "/gradients-linformer.safetensors");
    compare_file(AT_TEST_DATA "/gradients-linformer-shared.safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_in_the_paper),
        cmocka_unit_test(with_every_option_the_other_way),
        cmocka_unit_test(linformer_in_the_encoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
