/* A folder whose numbers are BF16 runs from them as they lie, and gives the bits of the same numbers
 * widened. */
#include <math.h>
#include "base/file.h"
#include "base/memory.h"
#include "store/folder.h"
#include "tests/store/small.h"

static const char *const variants[] = {
    SMALL,
    "{'d_model': 6, 'heads': 3, 'ffn': 7, 'tied': 'none', 'shared_values': true, 'positions': 'learned'}",
    "{'d_model': 8, 'heads': 2, 'ffn': 8, 'tied': 'target', 'score': 'additive'}",
};
enum { VARIANTS = sizeof variants / sizeof *variants, ROWS = 9, PIECES = 12 };

static at_exec *exec;
static at_tape *tape;

static void save(const char *name, const char *options, at_type type)
{
    at_model *model = small_model(options, 3);
    at_tokenizer *tokenizer = small_tokenizer();
    at_folder_content content = {.model = model, .tokenizer = tokenizer, .type = type};
    check_ok(at_folder_save(check_path(name), &content));
    at_tokenizer_free(tokenizer);
    at_model_free(model);
}

static at_folder *open_as(const char *name, at_weights weights)
{
    at_folder *folder;
    check_ok(at_folder_load_as(check_path(name), exec, weights, &folder));
    return folder;
}

/* Logits of two pairs, and their loss. */
static double run(const at_folder *folder, float *logits)
{
    static const int32_t ids[ROWS] = {4, 5, 6, 2, 7, 8, 9, 10, 2}, offsets[] = {0, 4, ROWS};
    at_batch batch = {.source = {2, offsets, NULL},
                      .target = {2, offsets, NULL},
                      .source_ids = ids,
                      .target_in = ids,
                      .target_out = ids};
    const at_model *m = folder->model;
    at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
    const at_var *all =
        at_model_logits(m, tape, m->family->decode(m, tape, &batch, m->family->encode(m, tape, &batch)));
    check_ok(at_tape_status(tape));
    memcpy(logits, all->data, ROWS * PIECES * sizeof *logits);
    at_loss_report report = {0};
    at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
    at_model_loss(m, tape, &batch, &(at_loss_options){0}, &report);
    check_ok(at_tape_status(tape));
    return report.loss;
}

static bool lies_in(const void *at, const at_mapping *mapping)
{
    const unsigned char *p = at, *start = (const unsigned char *)mapping->data;
    return p >= start && p < start + mapping->size;
}

static void matrices_stay_in_the_file_and_give_the_bits_of_the_widened_ones(void **state)
{
    (void)state;
    for (size_t v = 0; v < VARIANTS; v++) {
        save("half", variants[v], AT_BF16);
        at_folder *kept = open_as("half", AT_WEIGHTS_STORED), *wide = open_as("half", AT_WEIGHTS_FP32),
                  *again = open_as("half", AT_WEIGHTS_BF16);
        size_t compact = 0;
        for (size_t i = 0; i < kept->model->params.count; i++) {
            const at_param *p = kept->model->params.list[i], *q = wide->model->params.list[i];
            assert_non_null(q->data);
            assert_null(q->data16);
            compact += p->compact;
            if (!p->compact && !p->tied_to) {
                assert_non_null(p->data);
                check_same_bits(p->data, q->data, at_shape_count(p->shape) * sizeof *p->data);
            } else if (!p->tied_to) {
                assert_null(p->data);
                assert_true(lies_in(p->data16, &kept->weights.mapping));
                assert_true(p->gathered || p->packed16);
                assert_null(p->packed);
            }
        }
        assert_true(compact >= 10);
        float a[ROWS * PIECES], b[ROWS * PIECES], c[ROWS * PIECES];
        double loss = run(kept, a), wide_loss = run(wide, b);
        assert_true(run(again, c) == loss);
        check_same_bits(a, c, sizeof a);
        if (exec->kernels->dots) { /* products of narrow matrices round the other factor too, by 1 in 512 */
            assert_true(fabs(wide_loss - loss) < 0.02 * loss);
            check_near(a, b, ROWS * PIECES, 0.1);
        } else {
            assert_true(wide_loss == loss);
            check_same_bits(a, b, sizeof a);
        }
        check_ok(at_folder_check_finite(kept));
        at_folder_free(kept);
        at_folder_free(wide);
        at_folder_free(again);
    }
}

static void matrices_of_a_file_in_fp32_are_rounded_on_request(void **state)
{
    (void)state;
    for (size_t v = 0; v < VARIANTS; v++) {
        save("whole", variants[v], AT_F32);
        at_folder *half = open_as("whole", AT_WEIGHTS_BF16), *whole = open_as("whole", AT_WEIGHTS_STORED);
        for (size_t i = 0; i < half->model->params.count; i++) {
            const at_param *p = half->model->params.list[i], *q = whole->model->params.list[i];
            size_t count = at_shape_count(p->shape);
            assert_true(p->compact ? !p->data : !p->data16);
            for (size_t k = 0; k < count && p->compact; k++)
                assert_int_equal(p->data16[k], at_f32_to_bf16(q->data[k]));
        }
        float a[ROWS * PIECES], b[ROWS * PIECES];
        double near = run(half, a), loss = run(whole, b);
        assert_true(near != loss && near < loss * 1.02 && near > loss * 0.98);
        check_near(a, b, ROWS * PIECES, 0.1); /* rounded by 1 in 512 in each of some ten products */
        at_folder_free(half);
        at_folder_free(whole);
    }
}

static at_status attempt(void *context)
{
    (void)context;
    at_folder *folder;
    at_status st = at_folder_load_as(check_path("whole"), exec, AT_WEIGHTS_BF16, &folder);
    if (st == AT_OK)
        at_folder_free(folder);
    return st;
}

static void no_memory_is_an_error_and_leaves_nothing(void **state)
{
    (void)state;
    save("whole", SMALL, AT_F32);
    check_every_allocation(attempt, NULL, 5000);
}

int main(void)
{
    small_use_memory();
    check_ok(at_exec_new(NULL, 2, &exec));
    check_ok(at_tape_new(exec, &tape));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrices_stay_in_the_file_and_give_the_bits_of_the_widened_ones),
        cmocka_unit_test(matrices_of_a_file_in_fp32_are_rounded_on_request),
        cmocka_unit_test(no_memory_is_an_error_and_leaves_nothing),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    at_tape_free(tape);
    at_exec_free(exec);
    return failed;
}
