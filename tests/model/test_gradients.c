/* Loss and whole models against finite differences. */
#include <math.h>
#include <stdio.h>
#include "model/model.h"
#include "tests/gradient.h"
#include "tests/toy.h"

typedef struct loss_case {
    const toy *t;
    const toy_batch *batch;
    at_loss_options options;
} loss_case;

static at_var *loss(at_tape *tape, at_var *const *x, const void *context)
{
    (void)x;
    const loss_case *c = context;
    return at_model_loss(c->t->model, tape, &c->batch->batch, &c->options, NULL);
}

/* An empty source, an empty target, ragged lengths. */
static const int sources[] = {3, 0, 5, 1}, targets[] = {2, 1, 0, 4};

static void check_loss(const char *family, const char *options, const at_loss_options *how, bool training)
{
    toy t;
    toy_batch b;
    toy_open(&t, &(toy_spec){.family = family, .options = options, .seed = 3});
    toy_fill(&b, &t, 4, family ? NULL : sources, targets, 5);
    at_params *params = &t.model->params;
    for (size_t i = 0; i < params->count; i++) { /* biases and gains begin as 0 and 1: stir them */
        const at_param *p = params->list[i];
        if (p->role == AT_PLAIN && p->shape.rank == 1)
            gradient_random(params->block + p->offset, at_shape_count(p->shape), (uint32_t)i, 0.5f);
    }
    loss_case c = {&t, &b, *how};
    gradient_check(&(gradient_case){.name = options,
                                    .build = loss,
                                    .context = &c,
                                    .params = params,
                                    .training = training,
                                    .tolerance = 5e-3});
    toy_close(&t);
}

static void check_model(const char *options, float smoothing, bool training)
{
    const at_loss_options how = {.smoothing = smoothing, .scale = 0.37f};
    check_loss(NULL, options, &how, training);
}

#define SMALL "\"encoder_layers\": 1, \"decoder_layers\": 1, \"d_model\": 4, \"ffn\": 5, \"heads\": 2"

static void post_norm_tied(void **state)
{
    (void)state;
    check_model("{" SMALL "}", 0, false);
    check_model("{" SMALL ", \"tied\": \"target\", \"positions\": \"none\"}", 0.1f, false);
}

static void pre_norm_untied(void **state)
{
    (void)state;
    check_model("{" SMALL ", \"norm\": \"pre\", \"activation\": \"gelu\", \"positions\": \"learned\", "
                "\"tied\": \"none\", \"max_length\": 6}",
                0.1f, false);
}

static void keys_as_values(void **state)
{
    (void)state;
    check_model("{" SMALL ", \"shared_values\": true}", 0.2f, false);
}

static void dropout_everywhere(void **state)
{
    (void)state;
    check_model("{" SMALL ", \"activation\": \"gelu\", \"dropout\": 0.2, \"attention_dropout\": 0.3, "
                "\"activation_dropout\": 0.25}",
                0.1f, true);
}

/* Each example twice, under masks of its own. */
static void twins(void **state)
{
    (void)state;
    const at_loss_options smoothed = {.smoothing = 0.1f, .scale = 0.37f, .twins = 4},
                          plain = {.scale = 1, .twins = 0.7f};
    check_loss(NULL, "{" SMALL ", \"dropout\": 0.3, \"attention_dropout\": 0.2}", &smoothed, true);
    check_loss(NULL, "{" SMALL ", \"norm\": \"pre\", \"dropout\": 0.3}", &plain, true);
    check_loss("decoder", "{\"layers\": 1, \"d_model\": 4, \"ffn\": 5, \"heads\": 2, \"dropout\": 0.3}",
               &smoothed, true);
}

/* Without dropout both passes say the same: the loss is the single one, whatever binds them. With it, passes
 * that are not bound cost the mean of both, and binding them adds what is not negative. More targets than a
 * chunk holds. */
static void twins_that_agree_are_one(void **state)
{
    (void)state;
    int lengths[16];
    for (int i = 0; i < 16; i++)
        lengths[i] = 20 + i;
    for (int dropout = 0; dropout < 2; dropout++) {
        toy t;
        toy_batch b;
        toy_open(&t, &(toy_spec){.options = dropout ? "{\"dropout\": 0.3}" : NULL, .seed = 3});
        toy_fill(&b, &t, 16, (const int[16]){1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1}, lengths, 3);
        double sums[3];
        size_t n = t.model->params.total;
        float *grads = calloc(3 * n, sizeof *grads);
        assert_non_null(grads);
        for (int i = 0; i < 3; i++) {
            const float weights[] = {0, 1e-6f, 5};
            at_loss_options how = {.smoothing = 0.1f, .scale = 0.01f, .twins = weights[i]};
            at_loss_report report;
            at_tape_begin(t.tape, AT_TAPE_TRAIN, 9, 1);
            t.tape->grads = grads + (size_t)i * n;
            at_var *sum = at_model_loss(t.model, t.tape, &b.batch, &how, &report);
            check_ok(at_tape_backward(t.tape, sum));
            assert_int_equal(report.tokens, at_rows_total(&b.batch.target));
            sums[i] = report.loss;
        }
        if (dropout) {
            assert_true(fabs(sums[0] - sums[1]) > 1e-3 && sums[2] > sums[1] + 1);
        } else {
            assert_true(fabs(sums[0] - sums[1]) < 1e-3 && fabs(sums[0] - sums[2]) < 1e-3);
            check_near(grads + n, grads, n, 1e-5);
            check_near(grads + 2 * n, grads, n, 1e-5);
        }
        free(grads);
        toy_close(&t);
    }
}

/* In self and in cross attention, with dropped weights. */
static void every_score(void **state)
{
    (void)state;
    static const char *const scores[] = {"dot",    "general",        "additive", "concat",
                                         "cosine", "cosine-learned", "location"};
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) {
        char options[256];
        snprintf(options, sizeof options, "{" SMALL ", \"attention_dropout\": 0.3, \"score\": \"%s\"}",
                 scores[i]);
        check_model(options, 0, true);
    }
}

/* In the encoder: every way of sharing, k above and below the longest source, keys as values, a score. */
static void linformer(void **state)
{
    (void)state;
    static const char *const ways[] = {
        "\"linformer_k\": 2",
        "\"linformer_k\": 9, \"linformer_share_values\": true, \"linformer_share_layers\": true",
        "\"linformer_k\": 3, \"linformer_share_heads\": false, \"shared_values\": true",
        ("\"linformer_k\": 3, \"linformer_share_heads\": false, \"linformer_share_layers\": true, "
         "\"score\": \"location\", \"encoder_layers\": 2"),
        "\"linformer_k\": 4, \"linformer_share_values\": true, \"shared_values\": true"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char options[320];
        snprintf(options, sizeof options, "{" SMALL ", \"max_length\": 6, \"attention_dropout\": 0.3, %s}",
                 ways[i]);
        check_model(options, 0, true);
    }
}

/* More rows than one chunk of logits: loss and gradients are the sums of those of each pair alone. */
static void chunks_of_logits_add_up(void **state)
{
    (void)state;
    int lengths[16];
    for (int i = 0; i < 16; i++)
        lengths[i] = 20 + i;
    toy t;
    toy_batch all, one;
    toy_open(&t, &(toy_spec){.seed = 1});
    toy_fill(&all, &t, 16, (const int[16]){1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1}, lengths, 3);
    size_t n = t.model->params.total, rows = at_rows_total(&all.batch.target);
    assert_true(rows > 2 * 192);
    float *sum = calloc(n, sizeof *sum);
    assert_non_null(sum);
    double loss = 0;
    for (size_t i = 0; i < 16; i++) {
        toy_single(&one, &all, i);
        double share = (double)at_rows_total(&one.batch.target) / (double)rows;
        loss += share * toy_loss(&t, &one.batch, 0.1f, 1);
        for (size_t j = 0; j < n; j++)
            sum[j] += (float)share * t.grads[j];
    }
    assert_true(fabs(toy_loss(&t, &all.batch, 0.1f, 1) - loss) < 1e-5);
    check_near(t.grads, sum, n, 1e-5);
    free(sum);
    toy_close(&t);
}

/* A loss that is only looked at gives no gradient and keeps no memory. */
static void a_loss_without_backward_keeps_nothing(void **state)
{
    (void)state;
    toy t;
    toy_batch b;
    toy_open(&t, &(toy_spec){.seed = 1});
    toy_fill(&b, &t, 4, sources, targets, 5);
    toy_loss(&t, &b.batch, 0, 1);
    size_t peak = 0;
    at_loss_options options = {.scale = 1};
    at_loss_report first = {0}, report;
    for (int i = 0; i < 20; i++) {
        at_tape_begin(t.tape, i % 2 ? AT_TAPE_RUN : AT_TAPE_TRAIN, 1, 1);
        t.tape->grads = i % 3 ? t.grads : NULL;
        assert_non_null(at_model_loss(t.model, t.tape, &b.batch, &options, &report));
        peak = i == 0 ? at_tape_peak(t.tape) : peak;
        first = i == 0 ? report : first;
        assert_true(at_tape_peak(t.tape) == peak && report.loss == first.loss);
    }
    toy_close(&t);
}

static at_var *loss_of_logits(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    static const int32_t truth[] = {2, 0, 2};
    const at_loss_options options = {.smoothing = 0.1f, .scale = 0.7f};
    at_loss_report report = {0};
    return at_logit_cross_entropy(tape, x[0], truth, &options, &report);
}

static void logits_that_are_there(void **state)
{
    (void)state;
    gradient_check(&(gradient_case){
        .name = "logits", .build = loss_of_logits, .leaves = {at_shape2(3, 5)}, .spread = 2});
}

static void no_operation_escapes(void **state)
{
    (void)state;
    gradient_check_all(at_model_ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(post_norm_tied),
        cmocka_unit_test(pre_norm_untied),
        cmocka_unit_test(keys_as_values),
        cmocka_unit_test(dropout_everywhere),
        cmocka_unit_test(twins),
        cmocka_unit_test(twins_that_agree_are_one),
        cmocka_unit_test(every_score),
        cmocka_unit_test(linformer),
        cmocka_unit_test(chunks_of_logits_add_up),
        cmocka_unit_test(a_loss_without_backward_keeps_nothing),
        cmocka_unit_test(logits_that_are_there),
        cmocka_unit_test(no_operation_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
