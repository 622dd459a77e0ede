/* What the network knows of order, that it can learn, and what its options refuse. */
#include "model/model.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "tests/toy.h"

enum { LENGTH = 7, WIDTH = 12, TARGET = 5 };

/* memory (LENGTH,WIDTH) and logits (TARGET,V) of one pair. */
static void look(toy *t, const at_batch *batch, float *memory, float *logits)
{
    at_tape_begin(t->tape, AT_TAPE_CHECK, 0, 0);
    at_var *m = at_model_logits(t->model, t->tape, NULL); /* NULL in, NULL out */
    assert_null(m);
    m = t->model->family->encode(t->model, t->tape, batch);
    const at_var *y =
        at_model_logits(t->model, t->tape, t->model->family->decode(t->model, t->tape, batch, m));
    check_ok(at_tape_status(t->tape));
    memcpy(memory, m->data, LENGTH * WIDTH * sizeof *memory);
    memcpy(logits, y->data, TARGET * TOY_VOCABULARY * sizeof *logits);
}

static float distance(const float *a, const float *b, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(a[i] - b[i]));
    return most;
}

/* Runs one pair as it is and with its source permuted: the greatest differences of memory rows (of the same
 * piece) and of logits. */
static void permute_source(const char *options, float *memory_apart, float *logits_apart)
{
    static const int order[LENGTH] = {3, 6, 0, 5, 1, 4, 2};
    toy t;
    toy_batch b;
    toy_open(&t, &(toy_spec){.options = options, .seed = 4});
    toy_fill(&b, &t, 1, (const int[]){LENGTH}, (const int[]){TARGET}, 1);
    float memory[2][LENGTH * WIDTH], logits[2][TARGET * TOY_VOCABULARY];
    int32_t kept[LENGTH];
    memcpy(kept, b.source, sizeof kept);
    look(&t, &b.batch, memory[0], logits[0]);
    for (int i = 0; i < LENGTH; i++)
        b.source[i] = kept[order[i]];
    look(&t, &b.batch, memory[1], logits[1]);
    *memory_apart = 0;
    for (int i = 0; i < LENGTH; i++)
        *memory_apart =
            fmaxf(*memory_apart, distance(memory[1] + i * WIDTH, memory[0] + order[i] * WIDTH, WIDTH));
    *logits_apart = distance(logits[0], logits[1], TARGET * TOY_VOCABULARY);
    toy_close(&t);
}

static void without_positions_order_means_nothing(void **state)
{
    (void)state;
    float memory, logits;
    permute_source("{\"positions\": \"none\"}", &memory, &logits);
    assert_true(memory < 1e-5f && logits < 1e-5f);
    permute_source("{\"positions\": \"none\", \"norm\": \"pre\", \"shared_values\": true}", &memory, &logits);
    assert_true(memory < 1e-5f && logits < 1e-5f);
    static const char *const ordered[] = {"{\"positions\": \"sinusoidal\"}", "{\"positions\": \"learned\"}"};
    for (int i = 0; i < 2; i++) {
        permute_source(ordered[i], &memory, &logits);
        assert_true(memory > 1e-3f && logits > 1e-4f);
    }
}

/* A target row knows of the rows before it only. */
static void the_decoder_does_not_look_ahead(void **state)
{
    (void)state;
    toy t;
    toy_batch b;
    toy_open(&t, &(toy_spec){.seed = 4});
    toy_fill(&b, &t, 1, (const int[]){LENGTH}, (const int[]){TARGET}, 1);
    float memory[LENGTH * WIDTH], a[TARGET * TOY_VOCABULARY], c[TARGET * TOY_VOCABULARY];
    look(&t, &b.batch, memory, a);
    b.in[3] = b.in[3] == 5 ? 6 : 5;
    look(&t, &b.batch, memory, c);
    check_same_bits(c, a, 3 * TOY_VOCABULARY * sizeof *a);
    assert_memory_not_equal(c + (size_t)3 * TOY_VOCABULARY, a + (size_t)3 * TOY_VOCABULARY,
                            TOY_VOCABULARY * sizeof *a);
    toy_close(&t);
}

/* Adam on eight random pairs until it knows them by heart. */
static double overfit(const char *options, int steps)
{
    toy t;
    toy_batch b;
    toy_open(&t, &(toy_spec){.options = options, .seed = 6});
    toy_fill(&b, &t, 8, (const int[]){4, 6, 3, 5, 7, 2, 6, 4}, (const int[]){5, 4, 6, 3, 5, 6, 2, 7}, 9);
    at_params *p = &t.model->params;
    float *m = calloc(p->total, sizeof *m), *v = calloc(p->total, sizeof *v);
    assert_true(m && v);
    double loss = 0;
    for (int step = 1; step <= steps; step++) {
        loss = toy_loss(&t, &b.batch, 0, (uint64_t)step);
        at_adam adam = {0.005f, 0.9f, 0.98f, 1e-9f, 0, 1, 1, 1};
        adam.correct1 = (float)(1 / (1 - pow(0.9, step)));
        adam.correct2 = (float)(1 / (1 - pow(0.98, step)));
        t.exec->kernels->adam(p->block, m, v, t.grads, p->total, &adam);
    }
    free(m);
    free(v);
    toy_close(&t);
    return loss;
}

static void a_tiny_set_is_learned_by_heart(void **state)
{
    (void)state;
    assert_true(overfit("{\"d_model\": 24, \"ffn\": 48}", 200) < 0.05);
    assert_true(overfit("{\"d_model\": 24, \"ffn\": 48, \"norm\": \"pre\", \"activation\": \"gelu\", "
                        "\"positions\": \"learned\", \"shared_values\": true, \"tied\": \"none\"}",
                        200) < 0.05);
}

/* Every score and normaliser trains a whole model, in both kinds of attention. */
static void every_score_learns_by_heart(void **state)
{
    (void)state;
    static const char *const scores[] = {"dot",    "general",        "additive", "concat",
                                         "cosine", "cosine-learned", "location"};
    char options[160];
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) {
        snprintf(options, sizeof options, "{\"d_model\": 24, \"ffn\": 48, \"score\": \"%s\"}", scores[i]);
        double loss = overfit(options, 200);
        if (!(loss < 0.1))
            print_error("%s: loss %.4f\n", scores[i], loss);
        assert_true(loss < 0.1);
    }
    assert_true(overfit("{\"d_model\": 24, \"ffn\": 48, \"normalise\": \"sparsemax\"}", 200) < 0.1);
    assert_true(overfit("{\"d_model\": 24, \"ffn\": 48, \"normalise\": \"none\", \"score\": \"cosine\", "
                        "\"norm\": \"pre\"}",
                        200) < 0.1);
}

static void options_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *options, *message;
    } bad[] = {
        {"{\"d_model\": 10, \"heads\": 4}", "model.heads: 4 heads do not divide d_model 10"},
        {"{\"d_model\": 8192, \"max_length\": 65536}",
         "model.max_length: 65536 positions times model.d_model 8192 exceed 67108864 numbers"},
        {"{\"d_model\": 9, \"heads\": 3}", "model.d_model: sinusoidal positions want an even width; got 9"},
        {"{\"d_model\": 0}", "d_model"},
        {"{\"norm\": \"middle\"}", "norm"},
        {"{\"dropout\": 1.5}", "dropout"},
        {"{\"score\": \"bilinear\"}",
         "scaled-dot|dot|general|additive|concat|cosine|cosine-learned|location"},
        {"{\"normalise\": \"max\"}", "softmax|sparsemax|none"},
        {"{\"d_modle\": 16}", "d_model"},
        {"{\"heads\": \"four\"}", "heads"},
    };
    const at_vocabulary joint = {9, 9, 0, 1, 2, 3, 0}, apart = {9, 8, 0, 1, 2, 3, 0};
    at_model *model;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *options = json_loads(bad[i].options, 0, NULL);
        check_fails(at_model_new("transformer", options, &joint, &model), AT_EARG, bad[i].message);
        assert_non_null(strstr(at_error_message(), "model"));
        json_decref(options);
    }
    check_fails(at_model_new("transformer", NULL, &apart, &model), AT_EARG, "got 9 and 8 pieces");
    check_fails(at_model_new("perceptron", NULL, &joint, &model), AT_EARG,
                "unknown 'perceptron'; known: transformer");
}

/* Every family has the hooks that its kind names, and no others (model/model.h). */
static void families_have_the_hooks_of_their_kind(void **state)
{
    (void)state;
    for (size_t i = 0; at_families[i]; i++) {
        const at_family *f = at_families[i];
        bool encodes = f->kind != AT_DECODER_ONLY, decodes = f->kind != AT_ENCODER_ONLY;
        assert_ptr_equal(at_family_find(f->name), f);
        assert_true(f->fields && f->build && f->max_length && f->class);
        assert_int_equal(f->encode != NULL, encodes);
        assert_int_equal(f->decode != NULL, decodes);
        assert_int_equal(f->state_step != NULL, decodes);
        assert_int_equal(f->state_shape != NULL, decodes);
        assert_int_equal(f->state_source != NULL, encodes && decodes);
        assert_true(decodes ? f->output != NULL : f->loss != NULL);
    }
}

/* Options written and read again give the same table of parameters. */
static void options_come_back(void **state)
{
    (void)state;
    toy t;
    toy_open(&t,
             &(toy_spec){.options = "{\"norm\": \"pre\", \"tied\": \"target\", \"positions\": \"learned\"}"});
    json_t *options = at_model_options(t.model);
    assert_string_equal(json_string_value(json_object_get(options, "family")), "transformer");
    at_model *again;
    check_ok(at_model_new("transformer", options, &t.model->vocabulary, &again));
    assert_int_equal(again->params.count, t.model->params.count);
    assert_int_equal(again->params.total, t.model->params.total);
    for (size_t i = 0; i < again->params.count; i++) {
        assert_string_equal(again->params.list[i]->name, t.model->params.list[i]->name);
        assert_int_equal(again->params.list[i]->offset, t.model->params.list[i]->offset);
    }
    at_model_free(again);
    json_decref(options);
    toy_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_positions_order_means_nothing),
        cmocka_unit_test(the_decoder_does_not_look_ahead),
        cmocka_unit_test(a_tiny_set_is_learned_by_heart),
        cmocka_unit_test(every_score_learns_by_heart),
        cmocka_unit_test(options_that_cannot_be_are_refused),
        cmocka_unit_test(families_have_the_hooks_of_their_kind),
        cmocka_unit_test(options_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
