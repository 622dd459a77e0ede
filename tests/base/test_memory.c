#include "base/memory.h"
#include <string.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "tests/check.h"

static void products_and_sums_overflow_visibly(void **state)
{
    (void)state;
    size_t result = 42;
    assert_false(at_mul_ok(SIZE_MAX / 2 + 1, 2, &result));
    assert_false(at_mul_ok(SIZE_MAX, SIZE_MAX, &result));
    assert_false(at_add_ok(SIZE_MAX, 1, &result));
    assert_int_equal(result, 42);
    assert_true(at_mul_ok(SIZE_MAX, 0, &result) && result == 0);
    assert_true(at_mul_ok(SIZE_MAX / 2, 2, &result) && result == SIZE_MAX - 1);
    assert_true(at_add_ok(SIZE_MAX - 1, 1, &result) && result == SIZE_MAX);
}

static void sizes_past_the_largest_are_refused(void **state)
{
    (void)state;
    assert_null(at_alloc_array(SIZE_MAX / 2, 3));
    assert_non_null(strstr(at_error_message(), "out of memory"));
    assert_null(at_alloc_zero(SIZE_MAX, 2));
    assert_null(at_alloc_aligned(SIZE_MAX - 8, 1));
    assert_null(at_realloc_array(NULL, SIZE_MAX, 8));
    void *block = NULL;
    size_t capacity = 0;
    check_fails(at_grow(&block, &capacity, SIZE_MAX / 2, 4), AT_ENOMEM, "out of memory");
    assert_null(block);
    assert_int_equal(capacity, 0);
}

static void blocks_grow_and_keep_their_content(void **state)
{
    (void)state;
    int *items = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < 1000; i++) {
        check_ok(at_grow(&items, &capacity, i + 1, sizeof *items));
        items[i] = (int)i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    at_free(items);
    at_free(NULL);
    at_free_aligned(NULL);
}

static void aligned_blocks_are_aligned(void **state)
{
    (void)state;
    for (size_t n = 0; n < 300; n += 7) {
        char *block = at_alloc_aligned(n, 1);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        memset(block, 1, n);
        at_free_aligned(block);
    }
}

static void a_text_fails_once_and_says_so_at_the_end(void **state)
{
    (void)state;
    check_fail_allocation(1);
    at_buf text = {0};
    for (int i = 0; i < 100; i++)
        at_buf_printf(&text, "%d ", i);
    assert_true(text.failed);
    assert_int_equal(at_buf_status(&text), AT_ENOMEM);
    assert_null(at_buf_take(&text));
    assert_int_equal(check_live_blocks(), 0);
    assert_true(check_allocations_restore());
}

static void a_text_is_taken_whole(void **state)
{
    (void)state;
    at_buf text = {0};
    char *empty = at_buf_take(&text);
    assert_string_equal(empty, "");
    at_free(empty);
    at_buf_text(&text, "a");
    at_buf_bytes(&text, "\0b", 2);
    at_buf_printf(&text, "%s%d", "c", 12);
    assert_int_equal(text.length, 6);
    assert_memory_equal(text.data, "a\0bc12", 7);
    at_buf_clear(&text);
    assert_string_equal(text.data, "");
    at_buf_free(&text);
}

static void messages_nest(void **state)
{
    (void)state;
    check_fails(at_fail(AT_EFORMAT, "field '%s': missing", "d_model"), AT_EFORMAT,
                "field 'd_model': missing");
    at_fail_within(AT_EFORMAT, "%s", "config.json");
    assert_string_equal(at_error_message(), "config.json: field 'd_model': missing");
    at_fail(AT_EIO, "again: %s", at_error_message());
    assert_string_equal(at_error_message(), "again: config.json: field 'd_model': missing");
    char longest[3000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    at_fail(AT_EIO, "%s", longest);
    at_fail_within(AT_EIO, "%s", longest);
    assert_true(strlen(at_error_message()) < 1024);
    assert_string_equal(at_status_text(AT_ESHAPE), "shapes do not fit");
}

static void keep_line(void *context, const char *text)
{
    at_buf_text(context, text);
}

static void remarks_go_to_the_callback(void **state)
{
    (void)state;
    at_buf seen = {0};
    at_log log = {keep_line, &seen};
    at_log_line(&log, "%d pairs", 3);
    at_log_line(NULL, "nobody");
    at_log_line(&(at_log){0}, "nobody");
    assert_string_equal(seen.data, "3 pairs");
    at_buf_free(&seen);
}

static void spans_read_as_a_clock(void **state)
{
    (void)state;
    char text[16];
    at_clock_span(245, text);
    assert_string_equal(text, "4:05");
    at_clock_span(3723, text);
    assert_string_equal(text, "1:02:03");
    at_clock_span(-1, text);
    assert_string_equal(text, "--:--");
    double before = at_clock();
    assert_true(at_clock() >= before);
    assert_true(at_peak_rss() > 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_and_sums_overflow_visibly),
        cmocka_unit_test(sizes_past_the_largest_are_refused),
        cmocka_unit_test(blocks_grow_and_keep_their_content),
        cmocka_unit_test(aligned_blocks_are_aligned),
        cmocka_unit_test(a_text_fails_once_and_says_so_at_the_end),
        cmocka_unit_test(a_text_is_taken_whole),
        cmocka_unit_test(messages_nest),
        cmocka_unit_test(remarks_go_to_the_callback),
        cmocka_unit_test(spans_read_as_a_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
