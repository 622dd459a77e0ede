#include <string.h>
#include <zlib.h>
#include "base/file.h"
#include "base/memory.h"
#include "tests/check.h"
#include "text/corpus.h"

static const char *put(const char *name, const char *bytes, size_t length)
{
    const char *path = check_path(name);
    check_ok(at_file_write(path, bytes, length));
    return path;
}

static void expect_lines(const char *path, const char *const *want, size_t count)
{
    at_lines *lines;
    at_text line;
    check_ok(at_lines_open(path, &lines));
    for (size_t i = 0; i < count; i++) {
        check_ok(at_lines_next(lines, &line));
        assert_non_null(line.data);
        assert_string_equal(line.data, want[i]);
        assert_int_equal(line.length, strlen(want[i]));
        assert_int_equal(at_lines_number(lines), i + 1);
    }
    for (int i = 0; i < 2; i++) { /* the end stays the end */
        check_ok(at_lines_next(lines, &line));
        assert_null(line.data);
    }
    at_lines_close(lines);
}

static void line_ends(void **state)
{
    (void)state;
    static const char *const want[] = {"one", "two", "", "four"};
    expect_lines(put("a", "one\ntwo\n\nfour\n", 14), want, 4);
    expect_lines(put("b", "one\r\ntwo\r\n\r\nfour", 16), want, 4);
    expect_lines(put("c", "\xEF\xBB\xBFone\ntwo\n\nfour", 17 - 1), want, 4);
    expect_lines(put("d", "", 0), want, 0);
    expect_lines(put("e", "\n", 1), (const char *const[]){""}, 1);
    expect_lines(put("f", "\xEF\xBB\xBF", 3), (const char *const[]){""}, 1);
    expect_lines(put("g", "a\rb\n", 4), (const char *const[]){"a\rb"}, 1);
}

static void gzip_reads_like_plain(void **state)
{
    (void)state;
    const char *path = check_path("x.gz");
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    static char long_line[200000];
    memset(long_line, 'x', sizeof long_line - 1);
    gzprintf(file, "汤姆\r\n");
    gzwrite(file, long_line, sizeof long_line - 1);
    gzprintf(file, "\nlast");
    gzclose(file);
    expect_lines(path, (const char *const[]){"汤姆", long_line, "last"}, 3);

    char *bytes;
    size_t n;
    check_ok(at_file_read(path, 1 << 20, &bytes, &n));
    path = put("cut.gz", bytes, n - 12);
    at_lines *lines;
    at_text line;
    check_ok(at_lines_open(path, &lines));
    at_status st;
    do {
        st = at_lines_next(lines, &line);
    } while (st == AT_OK && line.data);
    check_fails(st, AT_EIO, "cut short");
    at_lines_close(lines);

    bytes[n - 6] ^= 0x55; /* in the checksum */
    check_ok(at_lines_open(put("bad.gz", bytes, n), &lines));
    do {
        st = at_lines_next(lines, &line);
    } while (st == AT_OK && line.data);
    check_fails(st, AT_EIO, "bad.gz");
    at_lines_close(lines);
    at_free(bytes);
}

static void bad_utf8_is_named(void **state)
{
    (void)state;
    at_lines *lines;
    at_text line;
    const char *path = put("bad", "good\nb\xE4se\nlast\n", 15);
    check_ok(at_lines_open(path, &lines));
    check_ok(at_lines_next(lines, &line));
    check_fails(at_lines_next(lines, &line), AT_EFORMAT, "bad:2: invalid UTF-8 at byte 2 (0xE4)");
    assert_non_null(strstr(at_error_message(), "iconv"));
    at_lines_close(lines);
    check_ok(at_lines_open(path, &lines));
    at_lines_any_bytes(lines);
    check_ok(at_lines_next(lines, &line));
    check_ok(at_lines_next(lines, &line));
    assert_string_equal(line.data, "b\xE4se");
    at_lines_close(lines);
    check_fails(at_lines_open(check_path("absent"), &lines), AT_EIO, "absent");
    check_ok(at_lines_open(check_folder(), &lines));
    check_fails(at_lines_next(lines, &line), AT_EIO, "directory");
    at_lines_close(lines);
}

static void pairs_of_two_files(void **state)
{
    (void)state;
    at_pairs *pairs;
    at_text a, b;
    put("s", "one\n \nthree\n", 12);
    put("t", "eins\nzwei\n\n", 11);
    check_ok(at_pairs_open(check_path("s"), check_path("t"), &pairs));
    check_ok(at_pairs_next(pairs, &a, &b));
    assert_string_equal(a.data, "one");
    assert_string_equal(b.data, "eins");
    check_ok(at_pairs_next(pairs, &a, &b));
    check_ok(at_pairs_next(pairs, &a, &b));
    assert_int_equal(at_pairs_number(pairs), 3);
    assert_int_equal(at_pairs_empty(pairs), 2);
    assert_int_equal(at_pairs_first_empty(pairs), 2);
    check_ok(at_pairs_next(pairs, &a, &b));
    assert_null(a.data);
    at_pairs_close(pairs);
}

static void unequal_files_are_counted(void **state)
{
    (void)state;
    at_pairs *pairs;
    at_text a, b;
    put("s", "1\n2\n3\n4\n", 8);
    put("t", "1\n2\n", 4);
    for (int swap = 0; swap < 2; swap++) {
        check_ok(at_pairs_open(check_path(swap ? "t" : "s"), check_path(swap ? "s" : "t"), &pairs));
        check_ok(at_pairs_next(pairs, &a, &b));
        check_ok(at_pairs_next(pairs, &a, &b));
        check_fails(at_pairs_next(pairs, &a, &b), AT_EFORMAT, swap ? "has 2 lines" : "has 4 lines");
        assert_non_null(strstr(at_error_message(), swap ? "has 4" : "has 2"));
        assert_null(a.data);
        at_pairs_close(pairs);
    }
}

static void pairs_of_a_table(void **state)
{
    (void)state;
    at_pairs *pairs;
    at_text a, b;
    check_ok(at_pairs_open(put("tsv", "a b\tc\nd\te\tattribution\nnone\n", 27), NULL, &pairs));
    check_ok(at_pairs_next(pairs, &a, &b));
    assert_string_equal(a.data, "a b");
    assert_string_equal(b.data, "c");
    check_ok(at_pairs_next(pairs, &a, &b));
    assert_string_equal(a.data, "d");
    assert_string_equal(b.data, "e");
    check_fails(at_pairs_next(pairs, &a, &b), AT_EFORMAT, "tsv:3: want source and target");
    at_pairs_close(pairs);
}

static at_status read_all(void *context)
{
    at_pairs *pairs;
    at_text a, b;
    at_status st = at_pairs_open(context, NULL, &pairs);
    if (st != AT_OK)
        return st;
    do {
        st = at_pairs_next(pairs, &a, &b);
    } while (st == AT_OK && a.data);
    at_pairs_close(pairs);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    char path[1024];
    strcpy(path, put("tsv", "a b\tc\nd\te\n", 10));
    check_every_allocation(read_all, path, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(line_ends),
                                       cmocka_unit_test(gzip_reads_like_plain),
                                       cmocka_unit_test(bad_utf8_is_named),
                                       cmocka_unit_test(pairs_of_two_files),
                                       cmocka_unit_test(unequal_files_are_counted),
                                       cmocka_unit_test(pairs_of_a_table),
                                       cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
