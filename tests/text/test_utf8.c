#include <string.h>
#include "tests/check.h"
#include "text/utf8.h"

static void strict_decoding(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n, step;
        uint32_t c;
    } rows[] = {
        {"A", 1, 1, 'A'},
        {"", 0, 0, 0},
        {"\0", 1, 1, 0},
        {"\xC3\xA9", 2, 2, 0xE9},
        {"\xC3", 1, 0, 0},
        {"\xE6\xB1\xA4", 3, 3, 0x6C64},
        {"\xE6\xB1", 2, 0, 0},
        {"\xF0\x9F\x98\x80", 4, 4, 0x1F600},
        {"\xC0\x80", 2, 0, 0},
        {"\xC1\xBF", 2, 0, 0},
        {"\xE0\x9F\xBF", 3, 0, 0},
        {"\xE0\xA0\x80", 3, 3, 0x800},
        {"\xED\x9F\xBF", 3, 3, 0xD7FF},
        {"\xED\xA0\x80", 3, 0, 0},
        {"\xEE\x80\x80", 3, 3, 0xE000},
        {"\xF0\x8F\xBF\xBF", 4, 0, 0},
        {"\xF4\x8F\xBF\xBF", 4, 4, 0x10FFFF},
        {"\xF4\x90\x80\x80", 4, 0, 0},
        {"\xF5\x80\x80\x80", 4, 0, 0},
        {"\x80", 1, 0, 0},
        {"\xFF", 1, 0, 0},
        {"\xE6\x41\xA4", 3, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t c = 0;
        char back[4];
        assert_int_equal(at_utf8_decode(rows[i].bytes, rows[i].n, &c), rows[i].step);
        if (rows[i].step == 0)
            continue;
        assert_int_equal(c, rows[i].c);
        assert_int_equal(at_utf8_encode(c, back), rows[i].step);
        assert_memory_equal(back, rows[i].bytes, rows[i].step);
    }
}

static void every_character_comes_back(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        uint32_t back = 0;
        char bytes[4];
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        size_t n = at_utf8_encode(c, bytes);
        if (at_utf8_decode(bytes, n, &back) != n || back != c)
            fail_msg("U+%04X came back as U+%04X", (unsigned)c, (unsigned)back);
    }
}

static void valid_beginnings(void **state)
{
    (void)state;
    assert_int_equal(at_utf8_valid("0123456789abcdef", 16), 16);
    assert_int_equal(at_utf8_valid("0123456789abcde\xFF", 16), 15);
    assert_int_equal(at_utf8_valid("01234567\xC3", 9), 8);
    assert_int_equal(at_utf8_valid("", 0), 0);
}

static void unfinished_ends(void **state)
{
    (void)state;
    assert_int_equal(at_utf8_complete("ab", 2), 2);
    assert_int_equal(at_utf8_complete("a\xE6", 2), 1);
    assert_int_equal(at_utf8_complete("a\xE6\xB1", 3), 1);
    assert_int_equal(at_utf8_complete("a\xE6\xB1\xA4", 4), 4);
    assert_int_equal(at_utf8_complete("\xF0\x9F\x98", 3), 0);
    assert_int_equal(at_utf8_complete("\x80\x80\x80\x80", 4), 4); /* never a character: show it */
}

static void lower_case(void **state)
{
    (void)state;
    at_buf out = {0};
    const char *text = "ÄÖÜ ẞ ΣΑΣ İI \xFF Ж";
    at_utf8_lower(text, strlen(text), &out);
    assert_string_equal(out.data, "äöü ß σασ i\xCC\x87i \xFF ж");
    at_buf_free(&out);
}

static void kinds_of_characters(void **state)
{
    (void)state;
    assert_true(at_utf8_is_space(0x3000) && at_utf8_is_space('\t') && !at_utf8_is_space(0x200B));
    assert_true(at_utf8_is_unspaced(0x6C64) && at_utf8_is_unspaced(0x3002) && !at_utf8_is_unspaced(0xAC00));
    assert_true(at_utf8_is_punctuation('.') && at_utf8_is_punctuation(0x3002) &&
                !at_utf8_is_punctuation('a'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strict_decoding),  cmocka_unit_test(every_character_comes_back),
        cmocka_unit_test(valid_beginnings), cmocka_unit_test(unfinished_ends),
        cmocka_unit_test(lower_case),       cmocka_unit_test(kinds_of_characters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
