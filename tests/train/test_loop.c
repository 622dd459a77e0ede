#include "train/loop.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/memory.h"
#include "tests/check.h"
#include "tests/training.h"

static char *copy_of_params(const check_training *t, size_t *bytes)
{
    *bytes = t->model->params.total * sizeof(float);
    char *copy = at_alloc(*bytes);
    memcpy(copy, t->model->params.block, *bytes);
    return copy;
}

static bool is_there(const check_training *t, const char *name)
{
    char *path = at_path_join(t->out, name);
    bool there = at_file_exists(path);
    at_free(path);
    return there;
}

static void learns_a_tiny_set_by_heart(void **state)
{
    (void)state;
    check_training t;
    at_train_result result;
    check_training_make(&t, &(check_training_spec){.threads = 2, .out = "heart"});
    at_loader_free(t.valid_loader); /* judged by what it has seen */
    at_loader_options options = at_loader_options_from(&t.data, 1, 1);
    check_ok(at_loader_new(&t.train, &options, &t.valid_loader));
    t.options.schedule = AT_SCHEDULE_COSINE;
    t.options.warmup = 50;
    t.options.max_steps = 600;
    t.options.valid_every = 300;
    check_ok(check_training_run(&t, false, &result));
    assert_int_equal(result.end, AT_END_STEPS);
    assert_int_equal(result.steps, 600);
    assert_true(result.best_loss < 0.1);
    assert_true(is_there(&t, "model.safetensors") && is_there(&t, "config.json") &&
                is_there(&t, "tokenizer.json"));
    check_training_free(&t);
}

/* Sums of gradients are the same; only the order of adding differs. */
static void two_batches_are_as_one(void **state)
{
    (void)state;
    check_training big, small;
    at_train_result result;
    check_training_make(&big,
                        &(check_training_spec){
                            .threads = 1, .out = "big", .batch_pairs = 16, .dropout = 0.2, .in_order = true});
    check_training_make(
        &small, &(check_training_spec){
                    .threads = 1, .out = "small", .batch_pairs = 8, .dropout = 0.2, .in_order = true});
    big.options.max_steps = small.options.max_steps = 6; /* more than an epoch of four */
    small.options.accumulate = 2;
    /* A key's bias has no gradient but rounding, which Adam would blow up to whole steps. */
    big.options.eps = small.options.eps = 1e-3;
    check_ok(check_training_run(&big, false, &result));
    check_ok(check_training_run(&small, false, &result));
    check_near(small.model->params.block, big.model->params.block, big.model->params.total, 1e-4);
    check_training_free(&big);
    check_training_free(&small);
}

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    char *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        check_training t;
        at_train_result result;
        size_t bytes;
        char name[16];
        snprintf(name, sizeof name, "threads%d", threads);
        check_training_make(&t, &(check_training_spec){.threads = threads, .out = name, .dropout = 0.1});
        t.options.max_steps = 12;
        check_ok(check_training_run(&t, false, &result));
        char *params = copy_of_params(&t, &bytes);
        if (first)
            check_same_bits(params, first, bytes);
        else
            first = copy_of_params(&t, &bytes);
        at_free(params);
        check_training_free(&t);
    }
    at_free(first);
}

static void log_says_what_the_design_says(void **state)
{
    (void)state;
    check_training t;
    at_train_result result;
    check_training_make(&t, &(check_training_spec){.threads = 1, .out = "log"});
    t.options.max_steps = 8; /* an epoch is eight batches */
    t.options.valid_every = 8;
    t.options.report_every = 4;
    check_ok(check_training_run(&t, false, &result));
    char *path = at_path_join(t.out, "log.jsonl"), *text;
    size_t length;
    check_ok(at_file_read(path, 1 << 20, &text, &length));
    static const char *const report[] = {"step",      "epoch",         "loss",    "lr",
                                         "grad_norm", "target_tokens", "seconds", "tokens_per_s"};
    int lines = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        for (size_t i = 0; lines < 2 && i < sizeof report / sizeof report[0]; i++)
            assert_true(json_is_number(json_object_get(object, report[i])));
        assert_int_equal(json_integer_value(json_object_get(object, "epoch")), 1);
        if (lines == 2)
            assert_true(json_is_real(json_object_get(object, "valid_loss")));
        json_decref(object);
    }
    assert_int_equal(lines, 3);
    at_free(text);
    at_free(path);
    check_training_free(&t);
}

/* ---------------------------------------------------------------- stopping early, choosing */

typedef struct script {
    const double *bleu;
    int at;
    at_validation last;
    double mean; /* score of the average */
} script;

static at_status scripted_score(void *context, const at_model *model, at_train_scores *scores)
{
    (void)model;
    script *s = context;
    scores->bleu = s->bleu[s->at++];
    return AT_OK;
}

static void note_validation(void *context, const at_validation *v)
{
    ((script *)context)->last = *v;
}

static void stops_when_it_gets_no_better(void **state)
{
    (void)state;
    static const double bleu[] = {10, 12, 11, 13, 12, 13, 9, 50};
    script s = {.bleu = bleu};
    check_training t;
    at_train_result result;
    check_training_make(&t, &(check_training_spec){.threads = 1, .out = "patience"});
    t.options.valid_every = 2;
    t.options.patience = 3;
    t.options.score_every = 1;
    check_ok(at_fields_set(at_train_fields, &t.options, "best_by", "bleu"));
    t.hooks = (at_train_hooks){.context = &s, .score = scripted_score, .validated = note_validation};
    check_ok(check_training_run(&t, false, &result));
    assert_int_equal(result.end, AT_END_PATIENCE);
    assert_int_equal(result.steps, 14);
    assert_int_equal(result.best_step, 8);
    assert_true(result.best_scores.bleu == 13);
    assert_true(s.last.stall == 3 && s.last.patience == 3);
    check_training_free(&t);
}

static void mean_becomes_the_model_only_if_better(void **state)
{
    (void)state;
    static const double worse[] = {1, 2, 3, 2.5}, better[] = {1, 2, 3, 3.5};
    for (int i = 0; i < 2; i++) {
        script s = {.bleu = i ? better : worse};
        check_training t;
        at_train_result result;
        check_training_make(&t, &(check_training_spec){.threads = 1, .out = i ? "mean1" : "mean0"});
        t.options.max_steps = 9;
        t.options.valid_every = 3;
        t.options.score_every = 1;
        t.options.average_last = 3;
        check_ok(at_fields_set(at_train_fields, &t.options, "best_by", "bleu"));
        t.hooks = (at_train_hooks){.context = &s, .score = scripted_score, .validated = note_validation};
        check_ok(check_training_run(&t, false, &result));
        assert_int_equal(s.last.averaged, 3);
        assert_int_equal(result.averaged, i ? 3 : 0);
        assert_true(result.best_scores.bleu == (i ? 3.5 : 3));
        char *kept = at_path_join(t.out, "checkpoints/step-3"),
             *first = at_path_join(t.out, "checkpoints/step-0");
        assert_true(at_is_folder(kept) && !at_is_folder(first));
        at_free(kept);
        at_free(first);
        check_training_free(&t);
    }
}

static void epochs_and_minutes_end_it_too(void **state)
{
    (void)state;
    check_training t;
    at_train_result result;
    check_training_make(&t, &(check_training_spec){.threads = 1, .out = "epochs"});
    t.options.max_epochs = 2;
    t.options.accumulate = 3; /* eight batches an epoch: its last update takes two */
    check_ok(check_training_run(&t, false, &result));
    assert_int_equal(result.end, AT_END_EPOCHS);
    assert_int_equal(result.steps, 6);
    assert_int_equal(result.epochs, 2);
    check_training_free(&t);
    check_training_make(&t, &(check_training_spec){.threads = 1, .out = "minutes"});
    t.options.max_minutes = 1e-7;
    check_ok(check_training_run(&t, false, &result));
    assert_int_equal(result.end, AT_END_MINUTES);
    assert_int_equal(result.steps, 1);
    check_training_free(&t);
}

/* ---------------------------------------------------------------- numbers that are not finite */

typedef struct poison {
    check_training *t;
    int64_t from, to; /* updates before which the first bias is NaN */
    float good;
    bool poisoned;
} poison;

/* The hook comes after each update: what it does shows in the next one. */
static void poison_step(void *context, const at_train_progress *p)
{
    poison *s = context;
    at_params *params = &s->t->model->params;
    float *first = params->block + at_params_find(params, "model.encoder.layers.0.fc1.bias")->offset;
    if (p->step + 1 >= s->from && p->step + 1 < s->to) {
        if (!s->poisoned)
            s->good = *first;
        s->poisoned = true;
        *first = NAN;
    } else if (s->poisoned) {
        s->poisoned = false;
        *first = s->good;
    }
}

static at_status poisoned_training(int64_t from, int64_t to, const char *out, at_train_result *result)
{
    check_training t;
    check_training_make(&t, &(check_training_spec){.threads = 1, .out = out});
    poison s = {.t = &t, .from = from, .to = to};
    t.options.max_steps = 12;
    t.options.checkpoint_every = 4;
    t.options.valid_every = 100;
    t.hooks = (at_train_hooks){.context = &s, .step = poison_step};
    at_status st = check_training_run(&t, false, result);
    if (st == AT_OK)
        for (size_t i = 0; i < t.model->params.total; i++)
            assert_true(isfinite(t.model->params.block[i]));
    check_training_free(&t);
    return st;
}

static void a_bad_update_is_left_out(void **state)
{
    (void)state;
    at_train_result result;
    check_ok(poisoned_training(6, 8, "skip", &result));
    assert_int_equal(result.skipped, 2);
    assert_int_equal(result.steps, 12);
}

typedef struct once {
    check_training *t;
    bool done;
    double lr_before, lr_after;
} once;

static void poison_once(void *context, const at_train_progress *p)
{
    once *s = context;
    if (p->step == 6 && !s->done) {
        s->lr_before = p->lr;
        s->t->model->params.block[0] = NAN;
        s->done = true;
    } else if (p->step == 6) {
        s->lr_after = p->lr;
    }
}

static void three_bad_updates_roll_back(void **state)
{
    (void)state;
    check_training t;
    at_train_result result;
    check_training_make(&t, &(check_training_spec){.threads = 1, .out = "roll"});
    once s = {.t = &t};
    t.options.max_steps = 12;
    t.options.checkpoint_every = 4;
    t.options.valid_every = 100;
    t.hooks = (at_train_hooks){.context = &s, .step = poison_once};
    check_ok(check_training_run(&t, false, &result));
    assert_int_equal(result.skipped, 3);
    assert_true(s.lr_after == s.lr_before / 2);
    for (size_t i = 0; i < t.model->params.total; i++)
        assert_true(isfinite(t.model->params.block[i]));
    char *log = check_training_log(&t);
    assert_null(strstr(strstr(log, "\"step\":9") + 1, "\"step\":9")); /* cut back, not written twice */
    at_free(log);
    check_training_free(&t);
}

static void in_the_end_the_bad_tensor_is_named(void **state)
{
    (void)state;
    at_train_result result;
    check_fails(poisoned_training(6, 1000, "named", &result), AT_ENUMBER, "model.encoder.layers.0.fc1.bias");
}

static void refuses_what_cannot_be(void **state)
{
    (void)state;
    check_training t;
    at_train_result result;
    check_training_make(&t, &(check_training_spec){.threads = 1, .out = "refuse"});
    check_fails(check_training_run(&t, false, &result), AT_EARG, "never end");
    t.options.max_steps = 2;
    check_ok(check_training_run(&t, false, &result));
    check_fails(check_training_run(&t, false, &result), AT_EARG, "resume");
    t.options.seed = 5;
    check_fails(check_training_run(&t, true, &result), AT_EARG, "seed");
    t.options.seed = 1;
    t.mark[0]++;
    check_fails(check_training_run(&t, true, &result), AT_EARG, "other data");
    check_training_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_a_tiny_set_by_heart),
        cmocka_unit_test(two_batches_are_as_one),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(log_says_what_the_design_says),
        cmocka_unit_test(stops_when_it_gets_no_better),
        cmocka_unit_test(mean_becomes_the_model_only_if_better),
        cmocka_unit_test(epochs_and_minutes_end_it_too),
        cmocka_unit_test(a_bad_update_is_left_out),
        cmocka_unit_test(three_bad_updates_roll_back),
        cmocka_unit_test(in_the_end_the_bad_tensor_is_named),
        cmocka_unit_test(refuses_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
