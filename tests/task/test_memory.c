/* Memory refused anywhere while opening, translating, looking or scoring: AT_ENOMEM, nothing left behind. */
#include "tests/task/small.h"
#include "task/score.h"
#include "task/translator.h"

static const char *path;
static const char *const lines[] = {"the cat", "",
                                    "the dog sees the cat, and the cat sees the dog. And so on and on"};
enum { LINES = sizeof lines / sizeof lines[0], MOST = 20000 };

static bool ignore(void *context, const at_translation *t)
{
    (void)context;
    (void)t;
    return true;
}

static long rounds; /* of the last opening: one more than it allocates */

static at_status open_and_close(void *context)
{
    rounds++;
    at_open_options open = AT_OPEN_DEFAULTS;
    open.threads = 1;
    at_translator *t;
    (void)context;
    at_status st = at_translator_open(path, &open, &t);
    at_translator_close(t);
    return st;
}

static void opening(void **state)
{
    (void)state;
    path = small_folder("model", NULL);
    check_every_allocation(open_and_close, NULL, MOST);
    rounds = 0;
    path = small_folder("moses",
                        "{\"moses\": true, \"lowercase\": true, \"source\": \"en\", \"target\": \"de\"}");
    check_every_allocation(open_and_close, NULL, MOST);
}

typedef at_status work(at_translator *t);

static at_status translate(at_translator *t)
{
    at_translate_options how = AT_TRANSLATE_DEFAULTS;
    how.beam = 2;
    how.n_best = 2;
    how.align = true;
    return at_translate(t, lines, LINES, &how, ignore, NULL);
}

static at_status look(at_translator *t)
{
    at_view *view;
    at_status st = at_view_new(t, lines[0], NULL, NULL, &view);
    at_view_free(view);
    return st;
}

static at_status score(at_translator *t)
{
    at_pair_score sum;
    return at_score_pairs(t, &(at_score_request){lines, lines, LINES, 2}, &sum);
}

/* Opened anew each time, so that no block of a handle outlives the allocator that counts it; what fails while
 * opening has been seen. */
static void fail_at_every_allocation(work *one)
{
    at_open_options open = AT_OPEN_DEFAULTS;
    open.threads = 1;
    bool failed = true;
    for (long n = rounds - 1; failed && n < MOST; n++) {
        at_translator *t;
        check_fail_allocation(n);
        at_status st = at_translator_open(path, &open, &t);
        if (st == AT_OK)
            st = one(t);
        at_translator_close(t);
        failed = check_allocations_restore();
        assert_int_equal(st, failed ? AT_ENOMEM : AT_OK);
        assert_int_equal(check_live_blocks(), 0);
    }
    assert_false(failed);
}

static void working(void **state)
{
    (void)state;
    assert_true(rounds > 1); /* opening comes first */
    fail_at_every_allocation(translate);
    fail_at_every_allocation(look);
    fail_at_every_allocation(score);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening),
        cmocka_unit_test(working),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
