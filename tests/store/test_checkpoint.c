/* A training killed at any moment finds its last whole checkpoint again, bit for bit. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/memory.h"
#include "base/rng.h"
#include "store/checkpoint.h"
#include "tests/store/small.h"

enum { MOMENTS = 1000 };

static at_tokenizer *tokenizer;

static int open_tokenizer(void **state)
{
    (void)state;
    tokenizer = small_tokenizer();
    return 0;
}

static int close_tokenizer(void **state)
{
    (void)state;
    at_tokenizer_free(tokenizer);
    return 0;
}

/* The training at step n: every number of it is a function of n. */
typedef struct training {
    at_model *model;
    float m[MOMENTS], v[MOMENTS];
    at_block blocks[2];
} training;

static void training_at(training *t, int64_t step)
{
    if (!t->model)
        t->model = small_model(SMALL, 1);
    at_rng rng = at_rng_make((uint64_t)step, AT_RNG_TEST);
    for (size_t i = 0; i < t->model->params.total; i++)
        t->model->params.block[i] = at_rng_normal(&rng);
    for (size_t i = 0; i < MOMENTS; i++) {
        t->m[i] = at_rng_normal(&rng);
        t->v[i] = at_rng_normal(&rng);
    }
    t->blocks[0] = (at_block){"adam.m", t->m, MOMENTS};
    t->blocks[1] = (at_block){"adam.v", t->v, MOMENTS};
}

static at_status save(training *t, const char *folder, int64_t step, int64_t keep)
{
    training_at(t, step);
    json_t *state = json_pack("{s:I, s:f}", "step", (json_int_t)step, "best", 1.0 / 3 + (double)step);
    at_checkpoint c = {.content = {.model = t->model, .tokenizer = tokenizer},
                       .blocks = t->blocks,
                       .block_count = 2,
                       .state = state,
                       .step = step};
    at_status st = at_checkpoint_save(folder, &c, keep);
    json_decref(state);
    return st;
}

/* What `path` holds must be the training at exactly the step of its state. Gives that step. */
static int64_t check_whole(const char *path)
{
    static training want, got;
    json_t *state;
    training_at(&got, 0);
    check_ok(at_checkpoint_read(path, got.model, got.blocks, 2, &state));
    int64_t step = json_integer_value(json_object_get(state, "step"));
    double best = 1.0 / 3 + (double)step, read = json_real_value(json_object_get(state, "best"));
    check_same_bits(&read, &best, sizeof best);
    json_decref(state);
    training_at(&want, step);
    for (size_t i = 0; i < want.model->params.count; i++) {
        const at_param *p = want.model->params.list[i];
        check_same_bits(got.model->params.block + p->offset, p->data,
                        at_shape_count(p->shape) * sizeof(float));
    }
    check_same_bits(got.m, want.m, sizeof want.m);
    check_same_bits(got.v, want.v, sizeof want.v);
    at_model_free(want.model);
    at_model_free(got.model);
    want.model = got.model = NULL;
    return step;
}

static int remarks;

static void count_line(void *context, const char *text)
{
    (void)context;
    assert_non_null(strstr(text, "damaged"));
    remarks++;
}

static int64_t found_step(const char *folder)
{
    const at_log log = {count_line, NULL};
    char *path;
    remarks = 0;
    check_ok(at_checkpoint_find(folder, &log, &path));
    int64_t step = path ? check_whole(path) : -1;
    at_free(path);
    return step;
}

static bool has_step(const char *folder, int64_t step)
{
    char path[600];
    snprintf(path, sizeof path, "%s/step-%" PRId64, folder, step);
    return at_file_exists(path);
}

static void the_newest_comes_back_and_the_oldest_goes(void **state)
{
    (void)state;
    training t = {0};
    char folder[512];
    snprintf(folder, sizeof folder, "%s", check_path("keep/checkpoints"));
    assert_int_equal(found_step(folder), -1); /* not there: nothing found, no error */
    for (int64_t step = 90; step <= 120; step += 10) {
        check_ok(save(&t, folder, step, 3));
        assert_int_equal(found_step(folder), step);
        assert_int_equal(remarks, 0);
    }
    assert_false(has_step(folder, 90));
    assert_true(has_step(folder, 100) && has_step(folder, 110) && has_step(folder, 120));
    check_ok(save(&t, folder, 105, 3)); /* after a rollback */
    assert_int_equal(found_step(folder), 105);
    assert_true(has_step(folder, 100) && !has_step(folder, 110) && !has_step(folder, 120));
    check_ok(save(&t, folder, 105, 0)); /* again */
    assert_int_equal(found_step(folder), 105);
    at_model_free(t.model);
}

/* Every file of a checkpoint in turn: gone, cut short, one bit changed. */
static void damage_is_passed_over(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json",
                                        "optimizer.safetensors", "state.json"};
    training t = {0};
    char folder[512], path[600];
    snprintf(folder, sizeof folder, "%s", check_path("damage"));
    check_ok(save(&t, folder, 1, 0));
    for (size_t i = 0; i < 15; i++) {
        check_ok(save(&t, folder, 2, 0));
        snprintf(path, sizeof path, "%s/step-2/%s", folder, files[i % 5]);
        char *bytes;
        size_t length;
        check_ok(at_file_read(path, 1 << 20, &bytes, &length));
        bytes[length / 2] ^= 4;
        if (i / 5 == 0)
            unlink(path);
        else
            check_ok(at_file_write(path, bytes, i / 5 == 1 ? length / 2 : length));
        at_free(bytes);
        assert_int_equal(found_step(folder), 1);
        assert_int_equal(remarks, 1);
    }
    check_ok(save(&t, folder, 2, 0));
    char *found;
    snprintf(path, sizeof path, "%s/latest", folder);
    check_ok(at_file_write(path, "nonsense", 8));
    assert_int_equal(found_step(folder), 2);
    unlink(path);
    assert_int_equal(found_step(folder), 2);
    for (int k = 1; k <= 2; k++) {
        snprintf(path, sizeof path, "%s/step-%d/state.json", folder, k);
        check_ok(at_file_write(path, "{}", 2));
    }
    check_fails(at_checkpoint_find(folder, NULL, &found), AT_EFORMAT, "every checkpoint is damaged");
    at_model_free(t.model);
}

static void blocks_must_be_those_that_were_saved(void **state)
{
    (void)state;
    training t = {0};
    char folder[512], path[600];
    snprintf(folder, sizeof folder, "%s", check_path("blocks"));
    check_ok(save(&t, folder, 5, 1));
    snprintf(path, sizeof path, "%s/step-5", folder);
    at_block blocks[2] = {{"adam.m", t.m, MOMENTS}, {"adam.w", t.v, MOMENTS}};
    check_fails(at_checkpoint_read(path, t.model, blocks, 2, NULL), AT_ESHAPE,
                "block 'adam.w': file has none");
    blocks[1] = (at_block){"adam.v", t.v, MOMENTS - 1};
    check_fails(at_checkpoint_read(path, t.model, blocks, 2, NULL), AT_ESHAPE, "file has (1000), want (999)");
    check_fails(at_checkpoint_read(path, t.model, blocks, 1, NULL), AT_ESHAPE, "2 blocks, want 1");
    at_model_free(t.model);
}

/* The disk fills up at any byte of any file. */
static void a_full_disk_leaves_the_last_one(void **state)
{
    (void)state;
    training t = {0};
    char folder[512];
    snprintf(folder, sizeof folder, "%s", check_path("full"));
    check_ok(save(&t, folder, 1, 2));
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t most = 0; most < 20000; most = most * 2 + 5) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            struct rlimit limit = {most, RLIM_INFINITY};
            setrlimit(RLIMIT_FSIZE, &limit);
            at_status st = save(&t, folder, 2, 2);
            _exit(st == AT_OK ? 0 : st == AT_EIO ? 1 : 2);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        assert_int_equal(found_step(folder), WEXITSTATUS(status) ? 1 : 2);
        assert_int_equal(remarks, 0);
        if (!WEXITSTATUS(status))
            check_ok(save(&t, folder, 1, 2));
    }
    at_model_free(t.model);
}

/* kill -9 after a random while, many times over the same folder. */
static void a_kill_leaves_a_whole_one(void **state)
{
    (void)state;
    training t = {0};
    char folder[512];
    snprintf(folder, sizeof folder, "%s", check_path("kill"));
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    int64_t step = 1;
    check_ok(save(&t, folder, step, 2));
    uint32_t longest = 20000; /* microseconds; more when a busy machine saves nothing in that time */
    for (int round = 0; round < 30; round++) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            for (int64_t n = step + 1;; n++) {
                if (save(&t, folder, n, 2) != AT_OK)
                    _exit(1);
            }
        }
        usleep(200 + at_rng_below(&rng, longest));
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        int64_t now = found_step(folder);
        assert_true(now >= step);
        assert_int_equal(remarks, 0); /* what is visible under its name is whole */
        longest = now > step ? 20000 : longest < 300000 ? longest * 2 : longest;
        step = now;
    }
    print_message("%" PRId64 " steps saved through 30 kills\n", step);
    assert_true(step > 1);
    at_model_free(t.model);
}

typedef struct attempt {
    training *training;
    char folder[512];
} attempt;

static at_status save_once(void *context)
{
    attempt *a = context;
    training *t = a->training;
    json_t *state = json_pack("{s:i}", "step", 3);
    if (!state)
        return AT_ENOMEM;
    at_checkpoint c = {.content = {.model = t->model, .tokenizer = tokenizer},
                       .blocks = t->blocks,
                       .block_count = 2,
                       .state = state,
                       .step = 3};
    at_status st = at_checkpoint_save(a->folder, &c, 2);
    json_decref(state);
    return st;
}

static at_status find_once(void *context)
{
    attempt *a = context;
    char *path;
    json_t *state = NULL;
    at_status st = at_checkpoint_find(a->folder, NULL, &path);
    if (st == AT_OK)
        st = at_checkpoint_read(path, a->training->model, a->training->blocks, 2, &state);
    json_decref(state);
    at_free(path);
    return st;
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    training t = {0};
    attempt a = {.training = &t};
    snprintf(a.folder, sizeof a.folder, "%s", check_path("memory"));
    training_at(&t, 3);
    check_every_allocation(save_once, &a, 20000);
    check_every_allocation(find_once, &a, 20000);
    at_model_free(t.model);
}

int main(void)
{
    small_use_memory();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_comes_back_and_the_oldest_goes),
        cmocka_unit_test(damage_is_passed_over),
        cmocka_unit_test(blocks_must_be_those_that_were_saved),
        cmocka_unit_test(a_full_disk_leaves_the_last_one),
        cmocka_unit_test(a_kill_leaves_a_whole_one),
        cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
