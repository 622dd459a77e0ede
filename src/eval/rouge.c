#include "eval/rouge.h"

#include "base/memory.h"
#include "eval/ngram.h"
#include "eval/report.h"
#include "eval/stem.h"

/* The words of one text as numbers of their spelling. */
typedef struct words {
    uint32_t *number;
    size_t count, capacity;
} words;

struct at_rouge {
    at_rouge_options options;
    at_points line, scratch;
    at_ngrams spellings, grams;
    words hyp, ref;
    uint32_t *row; /* of the table of common subsequences */
    size_t row_capacity;
    bool *flags; /* the stemmer's */
    size_t flag_capacity;
};

at_rouge_options at_rouge_defaults(void)
{
    return (at_rouge_options){.own_words = true};
}

at_status at_rouge_new(const at_rouge_options *options, at_rouge **rouge)
{
    *rouge = at_alloc_zero(1, sizeof **rouge);
    if (!*rouge)
        return AT_ENOMEM;
    (*rouge)->options = *options;
    return AT_OK;
}

void at_rouge_free(at_rouge *rouge)
{
    if (!rouge)
        return;
    at_points_free(&rouge->line);
    at_points_free(&rouge->scratch);
    at_ngrams_free(&rouge->spellings);
    at_ngrams_free(&rouge->grams);
    at_free(rouge->hyp.number);
    at_free(rouge->ref.number);
    at_free(rouge->row);
    at_free(rouge->flags);
    at_free(rouge);
}

/* --- Words ------------------------------------------------------------------------------------------- */

static at_status push_word(at_rouge *rouge, size_t start, size_t end, words *to)
{
    size_t length = end - start;
    at_status st = at_grow(&to->number, &to->capacity, to->count + 1, sizeof *to->number);
    if (st == AT_OK && rouge->options.own_words && rouge->options.stem && length > 3) {
        st = at_grow(&rouge->flags, &rouge->flag_capacity, length, sizeof *rouge->flags);
        if (st == AT_OK)
            length = at_stem_english(rouge->line.data + start, length, rouge->flags);
    }
    if (st == AT_OK)
        st = at_ngrams_word(&rouge->spellings, rouge->line.data + start, length, &to->number[to->count]);
    to->count += st == AT_OK;
    return st;
}

static bool in_word(const at_rouge *rouge, uint32_t c)
{
    if (!rouge->options.own_words)
        return !at_point_is_space(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static at_status read_words(at_rouge *rouge, const char *text, words *to)
{
    const at_rouge_options *o = &rouge->options;
    at_points *line = &rouge->line;
    to->count = 0;
    at_points_decode(line, text);
    if (o->own_words || o->lowercase)
        at_points_lower(line, &rouge->scratch);
    if (!o->own_words)
        at_eval_tokenize(o->tokenize, line, &rouge->scratch);
    at_status st = at_points_status(line);
    for (size_t i = 0; st == AT_OK && i < line->length; i++) {
        size_t start = i;
        while (i < line->length && in_word(rouge, line->data[i]))
            i++;
        if (i > start)
            st = push_word(rouge, start, i, to);
    }
    return st;
}

/* --- Scores of one line -------------------------------------------------------------------------------- */

static at_rouge_score score_of(uint64_t matches, uint64_t hyp, uint64_t ref)
{
    at_rouge_score s = {0};
    if (hyp)
        s.precision = (double)matches / (double)hyp;
    if (ref)
        s.recall = (double)matches / (double)ref;
    if (s.precision + s.recall > 0)
        s.f = 2 * s.precision * s.recall / (s.precision + s.recall);
    return s;
}

static at_status score_ngrams(at_rouge *rouge, at_rouge_score *scores)
{
    at_ngrams *grams = &rouge->grams;
    at_ngrams_clear(grams);
    at_status st = at_ngrams_add(grams, AT_NGRAM_HYP, rouge->hyp.number, rouge->hyp.count, 2);
    if (st == AT_OK)
        st = at_ngrams_add(grams, AT_NGRAM_REF, rouge->ref.number, rouge->ref.count, 2);
    if (st != AT_OK)
        return st;
    uint64_t hyp[2] = {0}, ref[2] = {0}, match[2] = {0};
    for (size_t i = 1; i < grams->count; i++) {
        const at_ngram *g = &grams->nodes[i];
        hyp[g->order - 1] += g->hyp;
        ref[g->order - 1] += g->ref;
        match[g->order - 1] += g->hyp < g->ref ? g->hyp : g->ref;
    }
    for (int n = 0; n < 2; n++)
        scores[AT_ROUGE_1 + n] = score_of(match[n], hyp[n], ref[n]);
    return AT_OK;
}

/* Length of the longest common subsequence; one row of the table is kept. */
static at_status score_subsequence(at_rouge *rouge, at_rouge_score *score)
{
    const words *hyp = &rouge->hyp, *ref = &rouge->ref;
    at_status st = at_grow(&rouge->row, &rouge->row_capacity, hyp->count + 1, sizeof *rouge->row);
    if (st != AT_OK)
        return st;
    uint32_t *row = rouge->row; /* row[j]: of the words of the reference so far and the first j */
    for (size_t j = 0; j <= hyp->count; j++)
        row[j] = 0;
    for (size_t i = 0; i < ref->count; i++) {
        uint32_t diagonal = 0;
        for (size_t j = 1; j <= hyp->count; j++) {
            uint32_t above = row[j];
            if (ref->number[i] == hyp->number[j - 1])
                row[j] = diagonal + 1;
            else if (row[j - 1] > above)
                row[j] = row[j - 1];
            diagonal = above;
        }
    }
    *score = score_of(row[hyp->count], hyp->count, ref->count);
    return AT_OK;
}

static void keep_best(at_rouge_score *best, const at_rouge_score *scores, bool first)
{
    for (int k = 0; k < AT_ROUGE_KINDS; k++)
        if (first || scores[k].f > best[k].f)
            best[k] = scores[k];
}

at_status at_rouge_add(at_rouge *rouge, const char *hyp, const char *const *refs, size_t ref_count,
                       at_rouge_stats *stats)
{
    at_rouge_score best[AT_ROUGE_KINDS], scores[AT_ROUGE_KINDS];
    uint64_t present = 0;
    at_ngrams_clear(&rouge->spellings);
    at_status st = read_words(rouge, hyp, &rouge->hyp);
    for (size_t r = 0; st == AT_OK && r < ref_count; r++) {
        if (!refs[r])
            continue;
        st = read_words(rouge, refs[r], &rouge->ref);
        if (st == AT_OK)
            st = score_ngrams(rouge, scores);
        if (st == AT_OK)
            st = score_subsequence(rouge, &scores[AT_ROUGE_L]);
        if (st == AT_OK)
            keep_best(best, scores, present++ == 0);
    }
    if (st != AT_OK)
        return st;
    if (present == 0)
        return at_fail(AT_EARG, "ROUGE: line %llu has no reference; give at least one",
                       (unsigned long long)stats->lines + 1);
    for (int k = 0; k < AT_ROUGE_KINDS; k++) {
        stats->sum[k].precision += best[k].precision;
        stats->sum[k].recall += best[k].recall;
        stats->sum[k].f += best[k].f;
    }
    if (stats->lines == 0 || present < stats->min_refs)
        stats->min_refs = present;
    if (stats->lines == 0 || present > stats->max_refs)
        stats->max_refs = present;
    stats->lines++;
    return AT_OK;
}

/* --- Scores of a corpus -------------------------------------------------------------------------------- */

at_rouge_score at_rouge_compute(const at_rouge_stats *stats, at_rouge_kind kind)
{
    if (stats->lines == 0)
        return (at_rouge_score){0};
    double n = (double)stats->lines;
    const at_rouge_score *s = &stats->sum[kind];
    return (at_rouge_score){100 * (s->precision / n), 100 * (s->recall / n), 100 * (s->f / n)};
}

/* A scorer and what it counts into. */
typedef struct corpus {
    at_rouge *rouge;
    at_rouge_stats *stats;
} corpus;

static at_status add_line(void *context, const char *hyp, const char *const *refs, size_t ref_count)
{
    const corpus *c = context;
    return at_rouge_add(c->rouge, hyp, refs, ref_count, c->stats);
}

at_status at_rouge_corpus(const at_rouge_options *options, const at_eval_lines *lines, at_rouge_stats *stats)
{
    corpus c = {.stats = stats};
    at_status st = at_rouge_new(options, &c.rouge);
    if (st == AT_OK)
        st = at_eval_each(lines, add_line, &c);
    at_rouge_free(c.rouge);
    return st;
}

const char *at_rouge_name(at_rouge_kind kind)
{
    static const char *const names[AT_ROUGE_KINDS] = {"ROUGE-1", "ROUGE-2", "ROUGE-L"};
    return names[kind];
}

void at_rouge_signature(const at_rouge_options *o, const at_rouge_stats *stats, at_buf *out)
{
    at_eval_print_refs(stats->min_refs, stats->max_refs, out);
    if (o->own_words)
        at_buf_printf(out, "tok:rouge|stem:%s", o->stem ? "yes" : "no");
    else
        at_buf_printf(out, "case:%s|tok:%s", o->lowercase ? "lc" : "mixed",
                      at_eval_tokenizer_name(o->tokenize));
    at_buf_text(out, "|version:" AT_EVAL_VERSION);
}

void at_rouge_verbose(const at_rouge_stats *stats, at_rouge_kind kind, at_buf *out)
{
    at_rouge_score s = at_rouge_compute(stats, kind);
    at_buf_printf(out, "(P = %.2f R = %.2f)", s.precision, s.recall);
}

void at_rouge_print(const at_rouge_options *options, const at_rouge_stats *stats, at_rouge_kind kind,
                    at_buf *out)
{
    at_buf_printf(out, "%s|", at_rouge_name(kind));
    at_rouge_signature(options, stats, out);
    at_buf_printf(out, " = %.2f ", at_rouge_compute(stats, kind).f);
    at_rouge_verbose(stats, kind, out);
}

json_t *at_rouge_json(const at_rouge_options *options, const at_rouge_stats *stats, at_rouge_kind kind)
{
    at_buf signature = {0}, verbose = {0};
    at_rouge_score s = at_rouge_compute(stats, kind);
    json_t *object = NULL;
    at_rouge_signature(options, stats, &signature);
    at_rouge_verbose(stats, kind, &verbose);
    if (at_buf_status(&signature) == AT_OK && at_buf_status(&verbose) == AT_OK)
        object =
            at_eval_report_json(&(at_eval_report){at_rouge_name(kind), s.f, signature.data, verbose.data});
    if (object && (json_object_set_new(object, "precision", json_real(s.precision)) != 0 ||
                   json_object_set_new(object, "recall", json_real(s.recall)) != 0)) {
        json_decref(object);
        object = NULL;
    }
    at_buf_free(&signature);
    at_buf_free(&verbose);
    return object;
}
