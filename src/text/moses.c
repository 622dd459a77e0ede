#include "text/moses.h"
#include <string.h>
#include "base/memory.h"
#include "text/chars.h"
#include "text/utf8.h"

/* Words before a full stop that does not end a sentence. Beside them: single letters (German: small
 * ones and numbers to 99 and Roman ones to xx, too), and words with a full stop inside. */
static const char *const english[] = {
    "Adj",  "Adm", "Adv", "Asst", "Bart", "Bldg",   "Brig", "Bros", "Capt", "Cmdr", "Col", "Comdr", "Con",
    "Corp", "Cpl", "DR",  "Dr",   "Drs",  "Ens",    "Gen",  "Gov",  "Hon",  "Hosp", "Hr",  "Insp",  "Lt",
    "MM",   "MR",  "MRS", "MS",   "Maj",  "Messrs", "Mlle", "Mme",  "Mr",   "Mrs",  "Ms",  "Msgr",  "Op",
    "Ord",  "Pfc", "Ph",  "Prof", "Pvt",  "Rep",    "Reps", "Res",  "Rev",  "Rs",   "Rt",  "Sen",   "Sens",
    "Sfc",  "Sgt", "Sr",  "St",   "Supt", "Surg",   "v",    "vs",   "rev",  "Nos",  "Nr",  "Jan",   "Feb",
    "Mar",  "Apr", "Jun", "Jul",  "Aug",  "Sep",    "Oct",  "Nov",  "Dec",  NULL};
static const char *const german[] = {
    "Adj",  "Adm",    "Adv",  "Art",   "Asst", "Bart",  "Bldg", "Brig", "BSE", "Bros", "Buchst", "Ca",
    "Capt", "Chr",    "Cmdr", "Co",    "Col",  "Comdr", "Con",  "Corp", "Cpl", "DR",   "Dkr",    "Dr",
    "Ens",  "Gen",    "Gov",  "Hon",   "Hosp", "Insp",  "Lt",   "Ltd",  "MM",  "MR",   "MRS",    "MS",
    "Maj",  "Messrs", "Mio",  "Mlle",  "Mme",  "Mr",    "Mrd",  "Mrs",  "Ms",  "Msgr", "MwSt",   "No",
    "Nos",  "Nr",     "Op",   "Ord",   "Pfc",  "Ph",    "Prof", "Pvt",  "Rep", "Reps", "Res",    "Rev",
    "Rt",   "SA",     "Sen",  "Sens",  "Sfc",  "Sgt",   "Sr",   "St",   "Std", "Supt", "Surg",   "Zt",
    "bzgl", "bzw",    "ca",   "dergl", "dgl",  "etc",   "evtl", "ff",   "ggf", "jun",  "pp",     "sen",
    "sog",  "sogen",  "spp",  "usf",   "usw",  "v",     "vgl",  "vs",   "zzt", NULL};
static const char *const roman[] = {"i",    "ii",  "iii",  "iv",    "v",   "vi",   "vii",
                                    "viii", "ix",  "x",    "xi",    "xii", "xiii", "xiv",
                                    "xv",   "xvi", "xvii", "xviii", "xix", "xx",   NULL};
/* Only before a number: "No. 5". */
static const char *const english_before_number[] = {"No", "Art", "pp", NULL};

static bool is_space(uint32_t c)
{
    return c < AT_CHAR_BYTE && at_utf8_is_space(c);
}

static bool is_alnum(uint32_t c)
{
    return at_char_is_alpha(c) || at_char_is_digit(c);
}

/* One space for every run of white space, none around; other control characters vanish. */
static void clean_spaces(const at_chars *in, at_chars *out)
{
    bool pending = false;
    out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        uint32_t c = in->c[i];
        if (is_space(c)) {
            pending = out->count > 0;
            continue;
        }
        if (c < 0x20)
            continue;
        if (pending)
            at_chars_put(out, ' ');
        pending = false;
        at_chars_put(out, c);
    }
}

static void put_apart(at_chars *out, uint32_t c)
{
    at_chars_put(out, ' ');
    at_chars_put(out, c);
    at_chars_put(out, ' ');
}

/* Everything but letters, numbers and . ' ` , - stands apart; dots in a row become one symbol. */
static void separate_symbols(const at_chars *in, at_chars *out)
{
    out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        uint32_t c = in->c[i];
        size_t dots = 0;
        while (i + dots < in->count && in->c[i + dots] == '.')
            dots++;
        if (dots > 1) {
            put_apart(out, AT_CHAR_DOTS + (uint32_t)dots);
            i += dots - 1;
        } else if (is_alnum(c) || c == ' ' || (c < 128 && c && strchr(".'`,-", (int)c))) {
            at_chars_put(out, c);
        } else {
            put_apart(out, c);
        }
    }
}

/* Commas stand apart unless between digits. Each rule goes over the line once and uses a character
 * once, as the script's substitutions do. */
static void separate_commas(at_chars *in, at_chars *out)
{
    out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        at_chars_put(out, in->c[i]);
        if (i + 1 < in->count && !at_char_is_number(in->c[i]) && in->c[i + 1] == ',') {
            put_apart(out, ',');
            i++;
        }
    }
    in->count = 0;
    for (size_t i = 0; i < out->count; i++) {
        bool behind = i + 1 < out->count && !at_char_is_number(out->c[i + 1]);
        bool last = i + 1 == out->count && i > 0 && at_char_is_number(out->c[i - 1]);
        if (out->c[i] == ',' && (behind || last)) {
            put_apart(in, ',');
            if (behind)
                at_chars_put(in, out->c[++i]);
        } else {
            at_chars_put(in, out->c[i]);
        }
    }
}

typedef struct apostrophe_rule {
    bool (*left)(uint32_t c), (*right)(uint32_t c);
    bool space_behind;
} apostrophe_rule;

static bool is_no_alpha(uint32_t c)
{
    return !at_char_is_alpha(c);
}

static bool is_no_alpha_or_number(uint32_t c)
{
    return !at_char_is_alpha(c) && !at_char_is_number(c);
}

static bool is_small_s(uint32_t c)
{
    return c == 's';
}

static void apply_apostrophe(const apostrophe_rule *rule, const at_chars *in, at_chars *out)
{
    out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        at_chars_put(out, in->c[i]);
        if (i + 2 >= in->count || in->c[i + 1] != '\'' || !rule->left(in->c[i]) || !rule->right(in->c[i + 2]))
            continue;
        at_chars_ascii(out, rule->space_behind ? " ' " : " '");
        at_chars_put(out, in->c[i + 2]);
        i += 2;
    }
}

/* English: "dog's" is "dog 's", "dogs' tails" is "dogs ' tails". Leaves its result in *in. */
static void separate_english_apostrophes(at_chars *in, at_chars *out)
{
    static const apostrophe_rule rules[] = {
        {is_no_alpha, is_no_alpha, true},       {is_no_alpha_or_number, at_char_is_alpha, true},
        {at_char_is_alpha, is_no_alpha, true},  {at_char_is_alpha, at_char_is_alpha, false},
        {at_char_is_number, is_small_s, false},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        apply_apostrophe(&rules[i], in, out);
        at_chars swap = *in;
        *in = *out;
        *out = swap;
    }
}

static void separate_apostrophes(at_chars *in, at_chars *out)
{
    out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        if (in->c[i] == '\'')
            put_apart(out, '\'');
        else
            at_chars_put(out, in->c[i]);
    }
    at_chars swap = *in;
    *in = *out;
    *out = swap;
}

static bool is_word(const uint32_t *c, size_t n, const char *const *words)
{
    for (; *words; words++) {
        size_t i = 0;
        while (i < n && (*words)[i] && (uint32_t)(unsigned char)(*words)[i] == c[i])
            i++;
        if (i == n && !(*words)[i])
            return true;
    }
    return false;
}

static bool is_upper_ascii(uint32_t c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_roman(const uint32_t *c, size_t n)
{
    uint32_t lower[8];
    if (n > 8)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (is_upper_ascii(c[i]) != is_upper_ascii(c[0]))
            return false;
        lower[i] = is_upper_ascii(c[i]) ? c[i] + 32 : c[i];
    }
    return is_word(lower, n, roman);
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_abbreviation(const char *language, const uint32_t *c, size_t n)
{
    bool is_german = strcmp(language, "de") == 0;
    if (n == 1 && (is_upper_ascii(c[0]) || (is_german && c[0] >= 'a' && c[0] <= 'z')))
        return true;
    if (!is_german)
        return is_word(c, n, english);
    bool number = n <= 2 && is_digit(c[0]) && is_digit(c[n - 1]) && c[0] != '0';
    return number || is_word(c, n, german) || is_roman(c, n);
}

/* Whether the full stop behind the word c[0, n) stays with it; `next` is the next word's first
 * character, 0 at the end of the line. */
static bool keeps_stop(const char *language, const uint32_t *c, size_t n, uint32_t next)
{
    bool stop = false, alpha = false;
    for (size_t i = 0; i < n; i++) {
        stop |= c[i] == '.';
        alpha |= at_char_is_alpha(c[i]);
    }
    if ((stop && alpha) || is_abbreviation(language, c, n) || (next && at_char_is_lower(next)))
        return true;
    return strcmp(language, "de") != 0 && is_digit(next) && is_word(c, n, english_before_number);
}

static void separate_stops(const char *language, const at_chars *in, at_chars *out)
{
    out->count = 0;
    for (size_t begin = 0, end; begin < in->count; begin = end) {
        if (is_space(in->c[begin])) {
            end = begin + 1;
            continue;
        }
        for (end = begin; end < in->count && !is_space(in->c[end]); end++)
            continue;
        size_t next = end;
        while (next < in->count && is_space(in->c[next]))
            next++;
        size_t n = end - begin;
        if (out->count > 0)
            at_chars_put(out, ' ');
        for (size_t i = begin; i < end; i++) {
            if (i + 1 == end && n > 1 && in->c[i] == '.' &&
                !keeps_stop(language, in->c + begin, n - 1, next < in->count ? in->c[next] : 0))
                at_chars_put(out, ' ');
            at_chars_put(out, in->c[i]);
        }
    }
}

/* A full stop and an apostrophe at the end of the line stand apart. */
static void separate_end(at_chars *line)
{
    size_t n = line->count;
    if (n < 2 || line->c[n - 1] != '\'' || line->c[n - 2] != '.')
        return;
    line->count = n - 2;
    at_chars_ascii(line, n > 2 && line->c[n - 3] != ' ' ? " . '" : ". '");
}

static void escape(const at_chars *in, at_chars *out)
{
    static const char *const names[][2] = {{"&", "&amp;"},  {"|", "&#124;"},  {"<", "&lt;"},  {">", "&gt;"},
                                           {"'", "&apos;"}, {"\"", "&quot;"}, {"[", "&#91;"}, {"]", "&#93;"}};
    out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        size_t which = 0;
        while (which < sizeof names / sizeof *names && in->c[i] != (unsigned char)names[which][0][0])
            which++;
        if (which < sizeof names / sizeof *names)
            at_chars_ascii(out, names[which][1]);
        else
            at_chars_put(out, in->c[i]);
    }
}

at_status at_moses_tokenize_with(const char *language, const char *line, const at_moses_options *options,
                                 at_buf *out)
{
    at_buf normal = {0};
    at_chars now = {0}, next = {0};
    at_status st = AT_OK;
    if (!options->no_normalize) {
        st = at_moses_normalize(language, line, &normal);
        line = normal.data ? normal.data : "";
    }
    at_chars_read(&now, line, strlen(line));
    clean_spaces(&now, &next);
    separate_symbols(&next, &now);
    separate_commas(&now, &next);
    if (strcmp(language, "en") == 0)
        separate_english_apostrophes(&now, &next);
    else
        separate_apostrophes(&now, &next);
    separate_stops(language, &now, &next);
    separate_end(&next);
    if (!options->no_escape) {
        escape(&next, &now);
        at_chars_write(&now, out);
    } else {
        at_chars_write(&next, out);
    }
    if (st == AT_OK)
        st = at_chars_status(&now);
    if (st == AT_OK)
        st = at_chars_status(&next);
    at_chars_free(&now);
    at_chars_free(&next);
    at_buf_free(&normal);
    return st == AT_OK ? at_buf_status(out) : st;
}

at_status at_moses_tokenize(const char *language, const char *line, at_buf *out)
{
    return at_moses_tokenize_with(language, line, &(at_moses_options){0}, out);
}
