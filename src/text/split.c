#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>
#include "base/memory.h"
#include "text/internal.h"

/* White_Space of Unicode, inside a bracket. PCRE2's own \s has U+180E too, which left it in 2013. */
#define SPACES \
    "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"

/* Scripts written without spaces, Chinese and Japanese: ideographs, kana and the iteration marks. */
#define IDEOGRAPHS                                                                                   \
    "\\x{3005}\\x{3007}\\x{3041}-\\x{30FF}\\x{3400}-\\x{4DBF}\\x{4E00}-\\x{9FFF}\\x{F900}-\\x{FAFF}" \
    "\\x{20000}-\\x{323AF}"

const char at_split_gpt2[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* English contractions; a run of ideographs; letters with their marks; one digit, so that numbers
 * are copied and not remembered; everything else; white space. One space goes with what follows. */
const char at_split_default[] = "'(?:[sdmt]|ll|ve|re)(?!\\p{L})"
                                "|[" IDEOGRAPHS "]+"
                                "| ?[^\\P{L}" IDEOGRAPHS "][^\\s\\p{N}\\p{P}\\p{S}\\p{C}" IDEOGRAPHS "]*"
                                "| ?\\p{N}"
                                "| ?[^\\s\\p{L}\\p{N}]+"
                                "|\\s+(?!\\S)|\\s+";

/* Backtracking steps and KiB for one match: far more than a sane pattern needs, a second at most. */
enum { MATCH_LIMIT = 10000000, HEAP_LIMIT = 65536, MAX_PATTERN = 1 << 16 };

static void *regex_alloc(PCRE2_SIZE size, void *context AT_UNUSED)
{
    return at_alloc(size);
}

static void regex_free(void *block, void *context AT_UNUSED)
{
    at_free(block);
}

static bool starts_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* Hugging Face matches with Oniguruma; where the two languages differ and real patterns show it,
 * the pattern is rewritten: \s and \S, and scripts, which PCRE2 from 10.40 widens to extensions. */
static at_status to_pcre2(const char *pattern, at_buf *out)
{
    bool bracket = false;
    for (const char *p = pattern; *p; p++) {
        if (p[0] == '\\' && p[1] == 's') {
            at_buf_text(out, bracket ? SPACES : "[" SPACES "]");
            p++;
        } else if (p[0] == '\\' && p[1] == 'S' && !bracket) {
            at_buf_text(out, "[^" SPACES "]");
            p++;
        } else if (p[0] == '\\' && (p[1] == 'h' || p[1] == 'H')) {
            return at_fail(AT_ENOSUP, "pattern uses \\%c, which means different things to different engines",
                           p[1]);
        } else if (bracket && starts_with(p, "&&")) {
            return at_fail(AT_ENOSUP, "pattern uses && in brackets, which PCRE2 does not know");
#if PCRE2_MAJOR > 10 || PCRE2_MINOR >= 40
        } else if (starts_with(p, "\\p{Han}") || starts_with(p, "\\p{Hiragana}") ||
                   starts_with(p, "\\p{Katakana}")) {
            at_buf_text(out, "\\p{sc:");
            p += 2;
#endif
        } else if (p[0] == '\\' && p[1]) {
            at_buf_bytes(out, p, 2);
            p++;
        } else {
            bracket = p[0] == '[' ? true : p[0] == ']' ? false : bracket;
            at_buf_char(out, p[0]);
        }
    }
    return at_buf_status(out);
}

static at_status compile(at_split *split, const at_buf *pattern)
{
    pcre2_general_context *memory = pcre2_general_context_create(regex_alloc, regex_free, NULL);
    pcre2_compile_context *options = memory ? pcre2_compile_context_create(memory) : NULL;
    pcre2_match_context *limit = options ? pcre2_match_context_create(memory) : NULL;
    at_status st = limit ? AT_OK : AT_ENOMEM;
    split->limit = limit;
    if (st == AT_OK) {
        int error;
        PCRE2_SIZE where;
        pcre2_set_match_limit(limit, MATCH_LIMIT);
        pcre2_set_heap_limit(limit, HEAP_LIMIT);
        split->code = pcre2_compile((PCRE2_SPTR)pattern->data, pattern->length,
                                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &error, &where, options);
        if (!split->code && error == PCRE2_ERROR_HEAP_FAILED) {
            st = at_fail(AT_ENOMEM, "out of memory while compiling a pattern");
        } else if (!split->code) {
            char reason[160] = "";
            pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, sizeof reason);
            st = at_fail(AT_EFORMAT, "pattern '%.200s': %s", split->pattern, reason);
        }
    }
    pcre2_compile_context_free(options);
    pcre2_general_context_free(memory);
    return st;
}

at_status at_split_open(at_split *split, const char *pattern)
{
    *split = (at_split){0};
    if (strlen(pattern) > MAX_PATTERN)
        return at_fail(AT_EFORMAT, "pattern of %zu bytes; at most %d", strlen(pattern), MAX_PATTERN);
    at_buf translated = {0};
    at_status st = to_pcre2(pattern, &translated);
    split->pattern = at_strdup(pattern);
    if (st == AT_OK)
        st = split->pattern ? compile(split, &translated) : AT_ENOMEM;
    at_buf_free(&translated);
    if (st != AT_OK)
        at_split_free(split);
    else
        pcre2_jit_compile(split->code, PCRE2_JIT_COMPLETE); /* without it matching is only slower */
    return st;
}

static at_status match_failed(int code)
{
    if (code == PCRE2_ERROR_NOMEMORY)
        return at_fail(AT_ENOMEM, "out of memory while splitting text");
    char reason[160] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
    return at_fail(AT_EFORMAT, "splitting text by the tokenizer's pattern: %s", reason);
}

at_status at_split_run(const at_split *split, const char *text, size_t length, at_span_function *piece,
                       void *context)
{
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(split->code, NULL);
    if (!match)
        return at_fail(AT_ENOMEM, "out of memory while splitting text");
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(match);
    at_status st = AT_OK;
    size_t done = 0, from = 0;
    while (st == AT_OK && from < length) {
        int code =
            pcre2_match(split->code, (PCRE2_SPTR)text, length, from, PCRE2_NO_UTF_CHECK, match, split->limit);
        if (code == PCRE2_ERROR_NOMATCH)
            break;
        if (code < 0) {
            st = match_failed(code);
        } else if (span[1] <= span[0]) {
            /* An empty match separates nothing; go on behind the next character. */
            for (from = span[0] + 1; from < length && ((unsigned char)text[from] & 0xC0) == 0x80; from++)
                continue;
        } else {
            if (span[0] > done)
                st = piece(context, text + done, span[0] - done);
            if (st == AT_OK)
                st = piece(context, text + span[0], span[1] - span[0]);
            done = from = span[1];
        }
    }
    if (st == AT_OK && done < length)
        st = piece(context, text + done, length - done);
    pcre2_match_data_free(match);
    return st;
}

void at_split_free(at_split *split)
{
    pcre2_code_free(split->code);
    pcre2_match_context_free(split->limit);
    at_free(split->pattern);
    *split = (at_split){0};
}
