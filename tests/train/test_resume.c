/* A training that is stopped or killed, again and again, ends with the bits of one that never was. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "tests/check.h"
#include "tests/training.h"

typedef struct outcome {
    char *log, *model, *best;
    size_t model_bytes, best_bytes;
} outcome;

static void set_options(check_training *t)
{
    t->options.max_steps = 40;
    t->options.checkpoint_every = 5;
    t->options.valid_every = 7; /* not together, and neither a whole number of epochs */
    t->options.average_last = 3;
    t->options.ema = 0.9;
    t->options.accumulate = 2;
}

static void read_file(const check_training *t, const char *name, char **bytes, size_t *length)
{
    char *path = at_path_join(t->out, name);
    check_ok(at_file_read(path, 1 << 24, bytes, length));
    at_free(path);
}

static outcome look_at(const check_training *t)
{
    outcome o = {.log = check_training_log(t)};
    read_file(t, "checkpoints/step-40/model.safetensors", &o.model, &o.model_bytes);
    read_file(t, "model.safetensors", &o.best, &o.best_bytes);
    return o;
}

static void free_outcome(outcome *o)
{
    at_free(o->log);
    at_free(o->model);
    at_free(o->best);
}

static outcome undisturbed(int threads, const char *out)
{
    check_training t;
    at_train_result result;
    check_training_make(&t, &(check_training_spec){.threads = threads, .out = out, .dropout = 0.1});
    set_options(&t);
    check_ok(check_training_run(&t, false, &result));
    outcome o = look_at(&t);
    check_training_free(&t);
    return o;
}

static void expect_same(const outcome *got, const outcome *want)
{
    assert_string_equal(got->log, want->log);
    assert_int_equal(got->model_bytes, want->model_bytes);
    check_same_bits(got->model, want->model, want->model_bytes);
    assert_int_equal(got->best_bytes, want->best_bytes);
    check_same_bits(got->best, want->best, want->best_bytes);
}

typedef struct stopping {
    int left;
} stopping;

static bool stop_after_some(void *context)
{
    return --((stopping *)context)->left == 0;
}

static void stops_at_will_change_nothing(void **state)
{
    (void)state;
    outcome want = undisturbed(1, "whole1");
    static const int runs[] = {3, 4, 1, 8, 1, 1, 9, 100}; /* updates between one stop and the next */
    check_training t;
    at_train_result result = {0};
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        stopping s = {runs[i]};
        check_training_make(
            &t, &(check_training_spec){.threads = 1 + (int)i % 3, .out = "stopped", .dropout = 0.1});
        set_options(&t);
        t.hooks = (at_train_hooks){.context = &s, .stop = stop_after_some};
        check_ok(check_training_run(&t, true, &result));
        if (result.end == AT_END_STEPS)
            break;
        assert_int_equal(result.end, AT_END_STOPPED);
        check_training_free(&t);
    }
    assert_int_equal(result.end, AT_END_STEPS);
    outcome got = look_at(&t);
    expect_same(&got, &want);
    check_training_free(&t);
    free_outcome(&got);
    free_outcome(&want);
}

/* What a child does until somebody kills it: exit code 0 when the training is done. */
static void child(const char *out)
{
    check_training t;
    at_train_result result;
    check_training_make(&t, &(check_training_spec){.threads = 2, .out = out, .dropout = 0.1});
    set_options(&t);
    _exit(check_training_run(&t, true, &result) == AT_OK && result.end == AT_END_STEPS ? 0 : 1);
}

static bool child_finished(const char *out, long nanoseconds)
{
    int status = 0;
    fflush(NULL);
    pid_t id = fork();
    assert_true(id >= 0);
    if (id == 0)
        child(out);
    struct timespec wait = {0, nanoseconds};
    nanosleep(&wait, NULL);
    kill(id, SIGKILL);
    assert_int_equal(waitpid(id, &status, 0), id);
    if (WIFSIGNALED(status))
        return false;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return true;
}

static void kills_at_any_moment_change_nothing(void **state)
{
    (void)state;
    enum { MOST_KILLS = 200 };
    outcome want = undisturbed(2, "whole2");
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    int kills = 0;
    check_folder();
    while (!child_finished("killed", 5000000 + 1000000L * at_rng_below(&rng, 60 + 4 * (uint32_t)kills)))
        assert_true(++kills < MOST_KILLS);
    print_message("killed %d times\n", kills);
    check_training t;
    at_train_result result;
    check_training_make(&t, &(check_training_spec){.threads = 1, .out = "killed", .dropout = 0.1});
    set_options(&t);
    check_ok(check_training_run(&t, true, &result)); /* done already: the end is taken once more */
    assert_int_equal(result.end, AT_END_STEPS);
    outcome got = look_at(&t);
    expect_same(&got, &want);
    check_training_free(&t);
    free_outcome(&got);
    free_outcome(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stops_at_will_change_nothing),
        cmocka_unit_test(kills_at_any_moment_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
