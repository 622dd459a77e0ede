#include "eval/chrf.h"

#include "base/memory.h"
#include "eval/ngram.h"
#include "eval/report.h"

struct at_chrf {
    at_chrf_options options;
    at_points line, scratch;
    at_ngrams spellings, chars, words;
    uint32_t *numbers; /* the words of the line at hand */
    size_t number_count, number_capacity;
};

static at_status check_options(const at_chrf_options *options)
{
    if (options->char_order < 1 || options->char_order > AT_CHRF_MAX_ORDER)
        return at_fail(AT_EARG, "chrF: char_order %d; want 1 to %d", options->char_order, AT_CHRF_MAX_ORDER);
    if (options->word_order < 0 || options->word_order > AT_CHRF_MAX_ORDER)
        return at_fail(AT_EARG, "chrF: word_order %d; want 0 to %d", options->word_order, AT_CHRF_MAX_ORDER);
    if (options->beta < 1 || options->beta > 100)
        return at_fail(AT_EARG, "chrF: beta %d; want 1 to 100", options->beta);
    return AT_OK;
}

static bool is_ascii_punctuation(uint32_t c)
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
}

static at_status push_word(at_chrf *chrf, size_t start, size_t end)
{
    at_status st =
        at_grow(&chrf->numbers, &chrf->number_capacity, chrf->number_count + 1, sizeof *chrf->numbers);
    if (st == AT_OK)
        st = at_ngrams_word(&chrf->spellings, chrf->line.data + start, end - start,
                            &chrf->numbers[chrf->number_count]);
    if (st == AT_OK)
        chrf->number_count++;
    return st;
}

/* One mark is cut from a word, the last character before the first: "(hi)" is "(hi" and ")". */
static at_status push_word_parts(at_chrf *chrf, size_t start, size_t end)
{
    const uint32_t *p = chrf->line.data;
    size_t cut = start;
    if (end - start > 1 && is_ascii_punctuation(p[end - 1]))
        cut = end - 1;
    else if (end - start > 1 && is_ascii_punctuation(p[start]))
        cut = start + 1;
    at_status st = AT_OK;
    if (cut > start)
        st = push_word(chrf, start, cut);
    if (st == AT_OK)
        st = push_word(chrf, cut, end);
    return st;
}

static at_status read_words(at_chrf *chrf)
{
    const at_points *line = &chrf->line;
    at_status st = AT_OK;
    chrf->number_count = 0;
    for (size_t i = 0; st == AT_OK && i < line->length;) {
        size_t start = i;
        while (i < line->length && !at_point_is_space(line->data[i]))
            i++;
        if (i > start)
            st = push_word_parts(chrf, start, i);
        else
            i++;
    }
    return st;
}

static void remove_spaces(at_points *line)
{
    size_t kept = 0;
    for (size_t i = 0; i < line->length; i++)
        if (!at_point_is_space(line->data[i]))
            line->data[kept++] = line->data[i];
    line->length = kept;
}

static at_status count_text(at_chrf *chrf, at_ngram_side side, const char *text)
{
    const at_chrf_options *options = &chrf->options;
    at_points_decode(&chrf->line, text);
    if (options->lowercase)
        at_points_lower(&chrf->line, &chrf->scratch);
    at_status st = at_points_status(&chrf->line);
    if (st == AT_OK && options->word_order > 0) {
        st = read_words(chrf);
        if (st == AT_OK)
            st = at_ngrams_add(&chrf->words, side, chrf->numbers, chrf->number_count, options->word_order);
    }
    if (st != AT_OK)
        return st;
    if (!options->whitespace)
        remove_spaces(&chrf->line);
    return at_ngrams_add(&chrf->chars, side, chrf->line.data, chrf->line.length, options->char_order);
}

/* Adds the counts of hypothesis and reference at hand from `first` on. */
static void collect(const at_ngrams *grams, int first, int orders, at_chrf_stats *stats)
{
    for (size_t i = 1; i < grams->count; i++) {
        const at_ngram *gram = &grams->nodes[i];
        int at = first + (int)gram->order - 1;
        stats->hyp[at] += gram->hyp;
        stats->ref[at] += gram->ref;
        stats->match[at] += gram->hyp < gram->ref ? gram->hyp : gram->ref;
    }
    /* An order that the reference is too short for says nothing about the hypothesis. */
    for (int at = first; at < first + orders; at++)
        if (stats->ref[at] == 0)
            stats->hyp[at] = 0;
}

static at_status best_of_refs(at_chrf *chrf, const char *const *refs, size_t ref_count, at_chrf_stats *best)
{
    const at_chrf_options *options = &chrf->options;
    double best_score = -1.0;
    for (size_t r = 0; r < ref_count; r++) {
        if (!refs[r])
            continue;
        at_status st = count_text(chrf, AT_NGRAM_REF, refs[r]);
        if (st != AT_OK)
            return st;
        at_chrf_stats stats = {0};
        collect(&chrf->chars, 0, options->char_order, &stats);
        collect(&chrf->words, options->char_order, options->word_order, &stats);
        at_ngrams_next_ref(&chrf->chars);
        at_ngrams_next_ref(&chrf->words);
        double score = at_chrf_compute(options, &stats);
        if (score > best_score) {
            best_score = score;
            *best = stats;
        }
    }
    return AT_OK;
}

at_chrf_options at_chrf_defaults(void)
{
    return (at_chrf_options){.char_order = 6, .word_order = 0, .beta = 2};
}

at_status at_chrf_new(const at_chrf_options *options, at_chrf **chrf)
{
    at_status st = check_options(options);
    if (st != AT_OK)
        return st;
    *chrf = at_alloc_zero(1, sizeof **chrf);
    if (!*chrf)
        return AT_ENOMEM;
    (*chrf)->options = *options;
    return AT_OK;
}

void at_chrf_free(at_chrf *chrf)
{
    if (!chrf)
        return;
    at_points_free(&chrf->line);
    at_points_free(&chrf->scratch);
    at_ngrams_free(&chrf->spellings);
    at_ngrams_free(&chrf->chars);
    at_ngrams_free(&chrf->words);
    at_free(chrf->numbers);
    at_free(chrf);
}

at_status at_chrf_add(at_chrf *chrf, const char *hyp, const char *const *refs, size_t ref_count,
                      at_chrf_stats *stats)
{
    at_chrf_stats line = {0};
    uint64_t present = 0;
    for (size_t r = 0; r < ref_count; r++)
        present += refs[r] != NULL;
    if (present == 0)
        return at_fail(AT_EARG, "chrF: line %llu has no reference; give at least one",
                       (unsigned long long)stats->lines + 1);
    at_ngrams_clear(&chrf->spellings);
    at_ngrams_clear(&chrf->chars);
    at_ngrams_clear(&chrf->words);
    at_status st = count_text(chrf, AT_NGRAM_HYP, hyp);
    if (st == AT_OK)
        st = best_of_refs(chrf, refs, ref_count, &line);
    if (st != AT_OK)
        return st;
    line.lines = 1;
    line.min_refs = line.max_refs = present;
    at_chrf_merge(stats, &line);
    return AT_OK;
}

void at_chrf_merge(at_chrf_stats *into, const at_chrf_stats *from)
{
    if (from->lines == 0)
        return;
    if (into->lines == 0 || from->min_refs < into->min_refs)
        into->min_refs = from->min_refs;
    if (into->lines == 0 || from->max_refs > into->max_refs)
        into->max_refs = from->max_refs;
    for (int n = 0; n < 2 * AT_CHRF_MAX_ORDER; n++) {
        into->hyp[n] += from->hyp[n];
        into->ref[n] += from->ref[n];
        into->match[n] += from->match[n];
    }
    into->lines += from->lines;
}

/* Mean precision and recall over the orders that both sides have, then F_beta. */
double at_chrf_compute(const at_chrf_options *options, const at_chrf_stats *stats)
{
    double factor = (double)(options->beta * options->beta), precision = 0.0, recall = 0.0;
    int orders = 0;
    for (int n = 0; n < options->char_order + options->word_order; n++) {
        if (stats->hyp[n] == 0 || stats->ref[n] == 0)
            continue;
        precision += (double)stats->match[n] / (double)stats->hyp[n];
        recall += (double)stats->match[n] / (double)stats->ref[n];
        orders++;
    }
    if (orders == 0 || precision + recall == 0.0)
        return 0.0;
    precision /= orders;
    recall /= orders;
    return 100.0 * ((1.0 + factor) * precision * recall / (factor * precision + recall));
}

/* A scorer and what it counts into. */
typedef struct corpus {
    at_chrf *chrf;
    at_chrf_stats *stats;
} corpus;

static at_status add_line(void *context, const char *hyp, const char *const *refs, size_t ref_count)
{
    const corpus *c = context;
    return at_chrf_add(c->chrf, hyp, refs, ref_count, c->stats);
}

at_status at_chrf_corpus(const at_chrf_options *options, const at_eval_lines *lines, at_chrf_stats *stats)
{
    corpus c = {.stats = stats};
    at_status st = at_chrf_new(options, &c.chrf);
    if (st == AT_OK)
        st = at_eval_each(lines, add_line, &c);
    at_chrf_free(c.chrf);
    return st;
}

at_status at_chrf_sentence(const at_chrf_options *options, const char *hyp, const char *const *refs,
                           size_t ref_count, double *score)
{
    at_chrf *chrf = NULL;
    at_chrf_stats stats = {0};
    at_status st = at_chrf_new(options, &chrf);
    if (st == AT_OK)
        st = at_chrf_add(chrf, hyp, refs, ref_count, &stats);
    if (st == AT_OK)
        *score = at_chrf_compute(options, &stats);
    at_chrf_free(chrf);
    return st;
}

void at_chrf_name(const at_chrf_options *options, at_buf *out)
{
    at_buf_printf(out, "chrF%d", options->beta);
    for (int i = 0; i < options->word_order; i++)
        at_buf_char(out, '+');
}

void at_chrf_signature(const at_chrf_options *options, const at_chrf_stats *stats, at_buf *out)
{
    at_eval_print_refs(stats->min_refs, stats->max_refs, out);
    at_buf_printf(out, "case:%s|eff:yes|nc:%d|nw:%d|space:%s|version:" AT_EVAL_VERSION,
                  options->lowercase ? "lc" : "mixed", options->char_order, options->word_order,
                  options->whitespace ? "yes" : "no");
}

void at_chrf_print(const at_chrf_options *options, const at_chrf_stats *stats, at_buf *out)
{
    at_chrf_name(options, out);
    at_buf_char(out, '|');
    at_chrf_signature(options, stats, out);
    at_buf_printf(out, " = %.2f", at_chrf_compute(options, stats));
}

json_t *at_chrf_json(const at_chrf_options *options, const at_chrf_stats *stats)
{
    at_buf name = {0}, signature = {0};
    json_t *object = NULL;
    at_chrf_name(options, &name);
    at_chrf_signature(options, stats, &signature);
    if (at_buf_status(&name) == AT_OK && at_buf_status(&signature) == AT_OK)
        object = at_eval_report_json(
            &(at_eval_report){name.data, at_chrf_compute(options, stats), signature.data, NULL});
    at_buf_free(&name);
    at_buf_free(&signature);
    return object;
}
