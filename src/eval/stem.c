#include "eval/stem.h"

#include <string.h>

typedef struct stemmer {
    uint32_t *word;
    size_t length;
    bool *consonant; /* scratch of mark() */
} stemmer;

/* What must hold of the part before a suffix. */
typedef enum condition { ALWAYS, MEASURE_ABOVE_0, MEASURE_ABOVE_1 } condition;

typedef struct rule {
    const char *suffix, *to;
} rule;

/* A letter is a consonant unless it is a, e, i, o, u, or a y behind a consonant. */
static void mark(const stemmer *s, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        uint32_t c = s->word[i];
        bool vowel = c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u';
        s->consonant[i] = !vowel && (c != 'y' || i == 0 || !s->consonant[i - 1]);
    }
}

/* m of the first `length` letters seen as [C](VC)^m[V]. */
static size_t measure(const stemmer *s, size_t length)
{
    size_t m = 0;
    mark(s, length);
    for (size_t i = 1; i < length; i++)
        m += !s->consonant[i - 1] && s->consonant[i];
    return m;
}

static bool has_vowel(const stemmer *s, size_t length)
{
    mark(s, length);
    for (size_t i = 0; i < length; i++)
        if (!s->consonant[i])
            return true;
    return false;
}

/* *d of the paper */
static bool ends_double_consonant(const stemmer *s)
{
    size_t n = s->length;
    mark(s, n);
    return n >= 2 && s->word[n - 1] == s->word[n - 2] && s->consonant[n - 1];
}

/* *o of the paper; NLTK counts vowel and consonant alone too. */
static bool ends_cvc(const stemmer *s, size_t n)
{
    mark(s, n);
    if (n == 2)
        return !s->consonant[0] && s->consonant[1];
    if (n < 3 || !s->consonant[n - 3] || s->consonant[n - 2] || !s->consonant[n - 1])
        return false;
    uint32_t c = s->word[n - 1];
    return c != 'w' && c != 'x' && c != 'y';
}

static bool ends(const stemmer *s, const char *suffix)
{
    size_t n = strlen(suffix);
    if (n > s->length)
        return false;
    for (size_t i = 0; i < n; i++)
        if (s->word[s->length - n + i] != (uint32_t)(unsigned char)suffix[i])
            return false;
    return true;
}

/* Puts `to` in place of the last `cut` letters; it is never longer than what goes. */
static void replace(stemmer *s, size_t cut, const char *to)
{
    s->length -= cut;
    for (; *to; to++)
        s->word[s->length++] = (uint32_t)(unsigned char)*to;
}

static bool holds(const stemmer *s, condition c, size_t length)
{
    return c == ALWAYS || measure(s, length) > (c == MEASURE_ABOVE_1);
}

/* The first rule whose suffix is there decides, whether its condition holds or not. */
static void apply(stemmer *s, const rule *rules, size_t count, condition c)
{
    for (size_t i = 0; i < count; i++) {
        size_t cut = strlen(rules[i].suffix);
        if (!ends(s, rules[i].suffix))
            continue;
        if (holds(s, c, s->length - cut))
            replace(s, cut, rules[i].to);
        return;
    }
}

#define APPLY(s, rules, c) apply(s, rules, sizeof(rules) / sizeof(rules)[0], c)

/* Plurals. */
static void step_1a(stemmer *s)
{
    static const rule rules[] = {{"sses", "ss"}, {"ies", "i"}, {"ss", "ss"}, {"s", ""}};
    if (s->length == 4 && ends(s, "ies"))
        replace(s, 1, "");
    else
        APPLY(s, rules, ALWAYS);
}

/* What a stem gets back when -ed or -ing is gone. */
static void repair(stemmer *s)
{
    if (ends(s, "at") || ends(s, "bl") || ends(s, "iz")) {
        s->word[s->length++] = 'e';
    } else if (ends_double_consonant(s)) {
        uint32_t last = s->word[s->length - 1];
        if (last != 'l' && last != 's' && last != 'z')
            s->length--;
    } else if (measure(s, s->length) == 1 && ends_cvc(s, s->length)) {
        s->word[s->length++] = 'e';
    }
}

static void step_1b(stemmer *s)
{
    if (ends(s, "ied")) {
        replace(s, 3, s->length == 4 ? "ie" : "i");
        return;
    }
    if (ends(s, "eed")) {
        if (measure(s, s->length - 3) > 0)
            s->length--;
        return;
    }
    size_t cut = ends(s, "ed") ? 2 : ends(s, "ing") ? 3 : 0;
    if (!cut || !has_vowel(s, s->length - cut))
        return;
    s->length -= cut;
    repair(s);
}

/* Porter's condition is a vowel before the y; NLTK's, a consonant that does not stand alone. */
static void step_1c(stemmer *s)
{
    if (!ends(s, "y") || s->length < 3)
        return;
    mark(s, s->length - 1);
    if (s->consonant[s->length - 2])
        s->word[s->length - 1] = 'i';
}

static void step_2(stemmer *s)
{
    static const rule rules[] = {
        {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"},
        {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"}, {"eli", "e"},     {"ousli", "ous"},
        {"ization", "ize"}, {"ation", "ate"},   {"ator", "ate"},  {"alism", "al"},  {"iveness", "ive"},
        {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},  {"iviti", "ive"}, {"biliti", "ble"},
        {"fulli", "ful"}};
    while (ends(s, "alli") && measure(s, s->length - 4) > 0)
        s->length -= 2;
    if (!ends(s, "logi"))
        APPLY(s, rules, MEASURE_ABOVE_0);
    else if (measure(s, s->length - 3) > 0) /* the l counts with the stem: theo(l)ogi */
        s->length--;
}

static void step_3(stemmer *s)
{
    static const rule rules[] = {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"},
                                 {"ical", "ic"},  {"ful", ""},   {"ness", ""}};
    APPLY(s, rules, MEASURE_ABOVE_0);
}

static void step_4(stemmer *s)
{
    static const rule rules[] = {{"al", ""},   {"ance", ""}, {"ence", ""}, {"er", ""},    {"ic", ""},
                                 {"able", ""}, {"ible", ""}, {"ant", ""},  {"ement", ""}, {"ment", ""},
                                 {"ent", ""},  {"ou", ""},   {"ism", ""},  {"ate", ""},   {"iti", ""},
                                 {"ous", ""},  {"ive", ""},  {"ize", ""}};
    if (ends(s, "ion")) {
        uint32_t last = s->length > 3 ? s->word[s->length - 4] : 0;
        if ((last == 's' || last == 't') && measure(s, s->length - 3) > 1)
            s->length -= 3;
        return;
    }
    APPLY(s, rules, MEASURE_ABOVE_1);
}

static void step_5(stemmer *s)
{
    if (ends(s, "e")) {
        size_t m = measure(s, s->length - 1);
        if (m > 1 || (m == 1 && !ends_cvc(s, s->length - 1)))
            s->length--;
    }
    if (ends(s, "ll") && measure(s, s->length - 1) > 1)
        s->length--;
}

static bool is_word(const stemmer *s, const char *word)
{
    return s->length == strlen(word) && ends(s, word);
}

/* NLTK's list of words that the rules get wrong. */
static bool irregular(stemmer *s)
{
    static const rule words[] = {
        {"sky", "sky"},        {"skies", "sky"},       {"dying", "die"},        {"lying", "lie"},
        {"tying", "tie"},      {"news", "news"},       {"innings", "inning"},   {"inning", "inning"},
        {"outings", "outing"}, {"outing", "outing"},   {"cannings", "canning"}, {"canning", "canning"},
        {"howe", "howe"},      {"proceed", "proceed"}, {"exceed", "exceed"},    {"succeed", "succeed"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (is_word(s, words[i].suffix)) {
            replace(s, s->length, words[i].to);
            return true;
        }
    }
    return false;
}

size_t at_stem_english(uint32_t *word, size_t length, bool *flags)
{
    stemmer s = {word, length, flags};
    if (irregular(&s) || length <= 2)
        return s.length;
    step_1a(&s);
    step_1b(&s);
    step_1c(&s);
    step_2(&s);
    step_3(&s);
    step_4(&s);
    step_5(&s);
    return s.length;
}
