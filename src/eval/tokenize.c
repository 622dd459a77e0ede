#include "eval/tokenize.h"

#include <string.h>
#include <utf8proc.h>

typedef bool point_test(uint32_t point);

/* One substitution of two neighbours: a space between them, and one more before
 * the first or behind the second. Pairs do not overlap, as in regular expressions. */
typedef struct pair_rule {
    point_test *first, *second;
    bool space_before;
} pair_rule;

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_not_digit(uint32_t c)
{
    return !is_digit(c);
}

static bool is_point_or_comma(uint32_t c)
{
    return c == '.' || c == ',';
}

static bool is_dash(uint32_t c)
{
    return c == '-';
}

/* ASCII punctuation except ' , - . which have rules of their own or stay in words. */
static bool is_western_mark(uint32_t c)
{
    return (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') || c == '/' || (c >= ':' && c <= '@') ||
           (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

/* The first row is wide because sacreBLEU writes "\u20000" to "\u2a6d6" for an
 * extension plane, which Python reads as U+2000 '0' to U+2A6D '6': punctuation,
 * arrows and mathematics count as Chinese, characters beyond U+FFFF do not. */
static bool is_chinese(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x2001, 0x2A6D}, {0x2E80, 0x2EFF}, {0x2F00, 0x2FDF}, {0x2FF0, 0x303F},
        {0x3100, 0x312F}, {0x31A0, 0x31BF}, {0x31C0, 0x31EF}, {0x3200, 0x33FF},
        {0x3400, 0x4DB5}, {0x4E00, 0x9FBB}, {0xF900, 0xFA2D}, {0xFA30, 0xFA6A},
        {0xFA70, 0xFAD9}, {0xFE10, 0xFE1F}, {0xFE30, 0xFE4F}, {0xFF00, 0xFFEF},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

static bool is_punctuation(uint32_t c)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

static bool is_symbol(uint32_t c)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_SM && category <= UTF8PROC_CATEGORY_SO;
}

static bool is_not_number(uint32_t c)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category < UTF8PROC_CATEGORY_ND || category > UTF8PROC_CATEGORY_NO;
}

static bool is_any(uint32_t c)
{
    (void)c;
    return true;
}

static void begin(const at_points *line, at_points *out)
{
    at_points_clear(out);
    out->failed = line->failed;
}

static void space_around(at_points *line, at_points *out, point_test *test)
{
    begin(line, out);
    for (size_t i = 0; i < line->length; i++) {
        bool alone = test(line->data[i]);
        if (alone)
            at_points_push(out, ' ');
        at_points_push(out, line->data[i]);
        if (alone)
            at_points_push(out, ' ');
    }
    at_points_swap(line, out);
}

static void split_pairs(at_points *line, at_points *out, const pair_rule *rule)
{
    begin(line, out);
    for (size_t i = 0; i < line->length; i++) {
        uint32_t c = line->data[i];
        if (i + 1 == line->length || !rule->first(c) || !rule->second(line->data[i + 1])) {
            at_points_push(out, c);
            continue;
        }
        if (rule->space_before)
            at_points_push(out, ' ');
        at_points_push(out, c);
        at_points_push(out, ' ');
        at_points_push(out, line->data[++i]);
        if (!rule->space_before)
            at_points_push(out, ' ');
    }
    at_points_swap(line, out);
}

static bool starts_with(const at_points *line, size_t at, const char *text, size_t length)
{
    if (line->length - at < length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (line->data[at + i] != (unsigned char)text[i])
            return false;
    return true;
}

static void replace(at_points *line, at_points *out, const char *from, const char *to)
{
    size_t length = strlen(from);
    begin(line, out);
    for (size_t i = 0; i < line->length;) {
        if (!starts_with(line, i, from, length)) {
            at_points_push(out, line->data[i++]);
            continue;
        }
        for (const char *p = to; *p; p++)
            at_points_push(out, (unsigned char)*p);
        i += length;
    }
    at_points_swap(line, out);
}

static void split_western(at_points *line, at_points *scratch)
{
    static const pair_rule rules[] = {
        {is_not_digit, is_point_or_comma, false},
        {is_point_or_comma, is_not_digit, true},
        {is_digit, is_dash, false},
    };
    space_around(line, scratch, is_western_mark);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        split_pairs(line, scratch, &rules[i]);
}

static void tokenize_13a(at_points *line, at_points *scratch)
{
    /* One after the other, so "&amp;lt;" ends as "<": the order is part of the definition. */
    static const char *const texts[][2] = {
        {"<skipped>", ""}, {"-\n", ""},   {"\n", " "},   {"&quot;", "\""},
        {"&amp;", "&"},    {"&lt;", "<"}, {"&gt;", ">"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        replace(line, scratch, texts[i][0], texts[i][1]);
    /* A space on either side, so that the pair rules see the ends of the line. */
    begin(line, scratch);
    at_points_push(scratch, ' ');
    for (size_t i = 0; i < line->length; i++)
        at_points_push(scratch, line->data[i]);
    at_points_push(scratch, ' ');
    at_points_swap(line, scratch);
    split_western(line, scratch);
}

static void tokenize_zh(at_points *line, at_points *scratch)
{
    at_points_strip(line, true);
    space_around(line, scratch, is_chinese);
    split_western(line, scratch);
}

static void tokenize_intl(at_points *line, at_points *scratch)
{
    static const pair_rule rules[] = {
        {is_not_number, is_punctuation, false},
        {is_punctuation, is_not_number, true},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        split_pairs(line, scratch, &rules[i]);
    space_around(line, scratch, is_symbol);
}

static const char *const names[] = {"13a", "zh", "char", "intl", "none"};

void at_eval_tokenize(at_eval_tokenizer tokenizer, at_points *line, at_points *scratch)
{
    at_points_strip(line, false);
    switch (tokenizer) {
    case AT_TOKENIZE_13A:
        tokenize_13a(line, scratch);
        break;
    case AT_TOKENIZE_ZH:
        tokenize_zh(line, scratch);
        break;
    case AT_TOKENIZE_CHAR:
        space_around(line, scratch, is_any);
        break;
    case AT_TOKENIZE_INTL:
        tokenize_intl(line, scratch);
        break;
    case AT_TOKENIZE_NONE:
        break;
    }
}

const char *at_eval_tokenizer_name(at_eval_tokenizer tokenizer)
{
    return names[tokenizer];
}

at_status at_eval_tokenizer_parse(const char *name, at_eval_tokenizer *tokenizer)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            *tokenizer = (at_eval_tokenizer)i;
            return AT_OK;
        }
    }
    return at_fail(AT_EARG, "tokenize: unknown '%s'; use 13a, zh, char, intl or none", name);
}
