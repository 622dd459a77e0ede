#include "base/pool.h"
#include <stdatomic.h>
#include <unistd.h>
#include "base/clock.h"
#include "tests/check.h"

typedef struct tally {
    atomic_int *hits;
    atomic_int wrong_worker;
    int threads;
} tally;

static void hit(void *context, size_t index, int worker)
{
    tally *t = context;
    atomic_fetch_add(&t->hits[index], 1);
    if (worker < 0 || worker >= t->threads)
        atomic_fetch_add(&t->wrong_worker, 1);
}

static void each_index_runs_exactly_once(void **state)
{
    (void)state;
    enum { MOST = 3000 };
    static atomic_int hits[MOST];
    static const int threads[] = {1, 2, 3, 8, 16};
    static const size_t counts[] = {0, 1, 2, 7, 64, MOST};
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
        at_pool *pool;
        check_ok(at_pool_new(threads[t], &pool));
        assert_int_equal(at_pool_threads(pool), threads[t]);
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            tally count = {.hits = hits, .threads = threads[t]};
            for (size_t i = 0; i < MOST; i++)
                atomic_store(&hits[i], 0);
            at_pool_run(pool, counts[c], hit, &count);
            for (size_t i = 0; i < MOST; i++)
                assert_int_equal(atomic_load(&hits[i]), i < counts[c]);
            assert_int_equal(atomic_load(&count.wrong_worker), 0);
        }
        at_pool_free(pool);
    }
}

static void add_index(void *context, size_t index, int worker AT_UNUSED)
{
    atomic_fetch_add((atomic_llong *)context, (long long)index + 1);
}

/* Back to back, and after pauses long enough for the workers to fall asleep. */
static void many_short_runs_lose_nothing(void **state)
{
    (void)state;
    at_pool *pool;
    check_ok(at_pool_new(4, &pool));
    atomic_llong sum = 0;
    long long want = 0;
    for (int run = 0; run < 20000; run++) {
        size_t count = 2 + (size_t)run % 5;
        at_pool_run(pool, count, add_index, &sum);
        want += (long long)(count * (count + 1) / 2);
        assert_int_equal(atomic_load(&sum), want);
        if (run % 200 == 0)
            usleep(300);
    }
    at_pool_free(pool);
}

static void sleep_some(void *context AT_UNUSED, size_t index AT_UNUSED, int worker AT_UNUSED)
{
    usleep(20000);
}

static void long_tasks_run_side_by_side(void **state)
{
    (void)state;
    at_pool *pool;
    check_ok(at_pool_new(8, &pool));
    double start = at_clock();
    at_pool_run(pool, 8, sleep_some, NULL);
    assert_true(at_clock() - start < 0.14); /* one after the other takes 0.16 s */
    at_pool_free(pool);
}

static void thread_counts_have_limits(void **state)
{
    (void)state;
    at_pool *pool;
    check_fails(at_pool_new(-1, &pool), AT_EARG, "threads: -1");
    assert_null(pool);
    check_fails(at_pool_new(257, &pool), AT_EARG, "256");
    check_ok(at_pool_new(0, &pool));
    assert_int_equal(at_pool_threads(pool), at_cores());
    at_pool_free(pool);
    at_pool_free(NULL);
}

static at_status make_pool(void *context AT_UNUSED)
{
    at_pool *pool;
    at_status st = at_pool_new(3, &pool);
    at_pool_free(pool);
    return st;
}

static void short_memory_is_reported(void **state)
{
    (void)state;
    check_every_allocation(make_pool, NULL, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_index_runs_exactly_once), cmocka_unit_test(many_short_runs_lose_nothing),
        cmocka_unit_test(long_tasks_run_side_by_side),  cmocka_unit_test(thread_counts_have_limits),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
