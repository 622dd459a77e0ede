#include "base/arena.h"
#include <string.h>
#include "base/rng.h"
#include "tests/check.h"

static void blocks_are_aligned_and_apart(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static unsigned char *blocks[COUNT];
    static size_t sizes[COUNT];
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    at_arena *arena = at_arena_new();
    assert_non_null(arena);
    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = at_rng_below(&rng, i % 100 ? 3000 : 3000000);
        blocks[i] = at_arena_alloc(arena, sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 64, 0);
        memset(blocks[i], (int)(i & 255), sizes[i]);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < sizes[i]; j += 61)
            assert_int_equal(blocks[i][j], i & 255);
    at_arena_free(arena);
}

static void memory_goes_back_to_the_mark(void **state)
{
    (void)state;
    at_arena *arena = at_arena_new();
    at_arena_alloc(arena, 100);
    at_mark mark = at_arena_mark(arena);
    void *first = at_arena_alloc(arena, 1000);
    at_arena_alloc(arena, (size_t)3 << 20); /* a block of its own */
    at_arena_release(arena, mark);
    assert_ptr_equal(at_arena_alloc(arena, 1000), first);
    at_arena_free(arena);
}

static void a_reset_joins_the_blocks_once(void **state)
{
    (void)state;
    check_fail_allocation(-1);
    at_arena *arena = at_arena_new();
    long blocks = 0;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 40; i++)
            assert_non_null(at_arena_alloc(arena, 300000));
        if (round == 1)
            blocks = check_live_blocks();
        assert_true(round == 0 ||
                    check_live_blocks() == blocks); /* one block of the right size from now on */
        assert_int_equal(at_arena_peak(arena), 40 * 300032);
        at_arena_reset(arena);
    }
    at_arena_free(arena);
    assert_int_equal(check_live_blocks(), 0);
    check_allocations_restore();
}

/* Small requests before a large one: the waiting small block must not be lost. */
static void mixed_sizes_after_a_reset_fit(void **state)
{
    (void)state;
    at_arena *arena = at_arena_new();
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < 30; i++) {
            size_t size = ((i + (size_t)round) % 3 + 1) * 700000;
            char *block = at_arena_zero(arena, size, 1);
            assert_non_null(block);
            assert_int_equal(block[0] | block[size - 1], 0);
            block[0] = block[size - 1] = 1;
        }
        at_arena_reset(arena);
    }
    at_arena_free(arena);
}

static void peak_is_the_most_in_use(void **state)
{
    (void)state;
    at_arena *arena = at_arena_new();
    assert_int_equal(at_arena_peak(arena), 0);
    at_arena_alloc(arena, 640);
    at_mark mark = at_arena_mark(arena);
    at_arena_alloc(arena, (size_t)2 << 20);
    at_arena_release(arena, mark);
    at_arena_alloc(arena, 64);
    assert_int_equal(at_arena_peak(arena), 640 + (2 << 20));
    at_arena_free(arena);
}

static void sizes_past_the_largest_are_refused(void **state)
{
    (void)state;
    at_arena *arena = at_arena_new();
    assert_null(at_arena_array(arena, SIZE_MAX / 4, 8));
    assert_null(at_arena_zero(arena, SIZE_MAX, SIZE_MAX));
    assert_null(at_arena_alloc(arena, SIZE_MAX));
    assert_null(at_arena_alloc(arena, SIZE_MAX - 128));
    assert_non_null(at_arena_alloc(arena, 0));
    at_arena_free(arena);
    at_arena_free(NULL);
}

static at_status fill(void *context AT_UNUSED)
{
    at_arena *arena = at_arena_new();
    if (!arena)
        return AT_ENOMEM;
    at_status st = AT_OK;
    for (int i = 0; i < 6 && st == AT_OK; i++)
        st = at_arena_alloc(arena, 1 << 20) ? AT_OK : AT_ENOMEM;
    at_arena_free(arena);
    return st;
}

static void short_memory_is_reported(void **state)
{
    (void)state;
    check_every_allocation(fill, NULL, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_apart),  cmocka_unit_test(memory_goes_back_to_the_mark),
        cmocka_unit_test(a_reset_joins_the_blocks_once), cmocka_unit_test(mixed_sizes_after_a_reset_fit),
        cmocka_unit_test(peak_is_the_most_in_use),       cmocka_unit_test(sizes_past_the_largest_are_refused),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
