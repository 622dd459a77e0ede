#include "eval/bleu.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "eval/ngram.h"
#include "eval/report.h"

enum { TOKENIZED_LINES_SUSPECT = 100, LINES_FEW = 100 };

struct at_bleu {
    at_bleu_options options;
    at_points line, scratch;
    at_ngrams spellings, grams; /* words by their characters; n-grams by their words */
    uint32_t *words;            /* of the line at hand */
    size_t word_count, word_capacity;
};

/* log 0 is a very low number instead: exp of it is 0 in any mean. */
static double floored_log(double x)
{
    return x == 0.0 ? -9999999999.0 : log(x);
}

static at_status check_options(const at_bleu_options *options)
{
    if (options->max_order < 1 || options->max_order > AT_BLEU_MAX_ORDER)
        return at_fail(AT_EARG, "BLEU: max_order %d; want 1 to %d", options->max_order, AT_BLEU_MAX_ORDER);
    if (!(options->smooth_value >= 0.0) || !isfinite(options->smooth_value))
        return at_fail(AT_EARG, "BLEU: smooth_value %g; want a number from 0 up", options->smooth_value);
    return AT_OK;
}

/* Cuts `text` into numbered words in bleu->words. */
static at_status read_words(at_bleu *bleu, const char *text)
{
    at_points *line = &bleu->line;
    bleu->word_count = 0;
    at_points_decode(line, text);
    if (bleu->options.lowercase)
        at_points_lower(line, &bleu->scratch);
    at_eval_tokenize(bleu->options.tokenize, line, &bleu->scratch);
    at_status st = at_points_status(line);
    for (size_t i = 0; st == AT_OK && i < line->length;) {
        size_t start = i;
        while (i < line->length && !at_point_is_space(line->data[i]))
            i++;
        if (i == start) {
            i++;
            continue;
        }
        st = at_grow(&bleu->words, &bleu->word_capacity, bleu->word_count + 1, sizeof *bleu->words);
        if (st == AT_OK)
            st = at_ngrams_word(&bleu->spellings, line->data + start, i - start,
                                &bleu->words[bleu->word_count]);
        bleu->word_count++;
    }
    return st;
}

/* Counts all references; *ref_len is the length nearest to hyp_len, the shorter of two as near. */
static at_status count_refs(at_bleu *bleu, const char *const *refs, size_t ref_count, size_t hyp_len,
                            size_t *ref_len)
{
    size_t nearest = SIZE_MAX;
    for (size_t r = 0; r < ref_count; r++) {
        if (!refs[r])
            continue;
        at_status st = read_words(bleu, refs[r]);
        if (st == AT_OK)
            st = at_ngrams_add(&bleu->grams, AT_NGRAM_REF, bleu->words, bleu->word_count,
                               bleu->options.max_order);
        if (st != AT_OK)
            return st;
        at_ngrams_next_ref(&bleu->grams);
        size_t n = bleu->word_count, distance = n > hyp_len ? n - hyp_len : hyp_len - n;
        if (distance < nearest || (distance == nearest && n < *ref_len)) {
            nearest = distance;
            *ref_len = n;
        }
    }
    return AT_OK;
}

static uint64_t count_present(const char *const *refs, size_t ref_count)
{
    uint64_t present = 0;
    for (size_t r = 0; r < ref_count; r++)
        present += refs[r] != NULL;
    return present;
}

static bool ends_like_tokenized(const char *text)
{
    size_t length = strlen(text);
    return length >= 2 && memcmp(text + length - 2, " .", 2) == 0;
}

at_bleu_options at_bleu_defaults(void)
{
    return (at_bleu_options){.tokenize = AT_TOKENIZE_13A, .smooth = AT_BLEU_SMOOTH_EXP, .max_order = 4};
}

at_status at_bleu_new(const at_bleu_options *options, at_bleu **bleu)
{
    at_status st = check_options(options);
    if (st != AT_OK)
        return st;
    *bleu = at_alloc_zero(1, sizeof **bleu);
    if (!*bleu)
        return AT_ENOMEM;
    (*bleu)->options = *options;
    return AT_OK;
}

void at_bleu_free(at_bleu *bleu)
{
    if (!bleu)
        return;
    at_points_free(&bleu->line);
    at_points_free(&bleu->scratch);
    at_ngrams_free(&bleu->spellings);
    at_ngrams_free(&bleu->grams);
    at_free(bleu->words);
    at_free(bleu);
}

at_status at_bleu_add(at_bleu *bleu, const char *hyp, const char *const *refs, size_t ref_count,
                      at_bleu_stats *stats)
{
    uint64_t present = count_present(refs, ref_count);
    if (present == 0)
        return at_fail(AT_EARG, "BLEU: line %llu has no reference; give at least one",
                       (unsigned long long)stats->lines + 1);
    at_ngrams_clear(&bleu->spellings);
    at_ngrams_clear(&bleu->grams);
    at_status st = read_words(bleu, hyp);
    if (st != AT_OK)
        return st;
    size_t hyp_len = bleu->word_count, ref_len = 0;
    st = at_ngrams_add(&bleu->grams, AT_NGRAM_HYP, bleu->words, hyp_len, bleu->options.max_order);
    if (st == AT_OK)
        st = count_refs(bleu, refs, ref_count, hyp_len, &ref_len);
    if (st != AT_OK)
        return st;

    at_bleu_stats line = {.hyp_len = hyp_len,
                          .ref_len = ref_len,
                          .lines = 1,
                          .tokenized_lines = ends_like_tokenized(hyp),
                          .min_refs = present,
                          .max_refs = present};
    for (size_t i = 1; i < bleu->grams.count; i++) {
        const at_ngram *gram = &bleu->grams.nodes[i];
        line.total[gram->order - 1] += gram->hyp;
        line.correct[gram->order - 1] += gram->hyp < gram->most ? gram->hyp : gram->most;
    }
    at_bleu_merge(stats, &line);
    return AT_OK;
}

void at_bleu_merge(at_bleu_stats *into, const at_bleu_stats *from)
{
    if (from->lines == 0)
        return;
    if (into->lines == 0 || from->min_refs < into->min_refs)
        into->min_refs = from->min_refs;
    if (into->lines == 0 || from->max_refs > into->max_refs)
        into->max_refs = from->max_refs;
    for (int n = 0; n < AT_BLEU_MAX_ORDER; n++) {
        into->correct[n] += from->correct[n];
        into->total[n] += from->total[n];
    }
    into->hyp_len += from->hyp_len;
    into->ref_len += from->ref_len;
    into->lines += from->lines;
    into->tokenized_lines += from->tokenized_lines;
}

at_bleu_score at_bleu_compute(const at_bleu_options *options, const at_bleu_stats *stats)
{
    at_bleu_score result = {.brevity_penalty = 1.0};
    double hyp_len = (double)stats->hyp_len, ref_len = (double)stats->ref_len;
    double halving = 1.0, sum = 0.0;
    int order = options->max_order, known = 0;
    uint64_t matches = 0;

    result.ratio = ref_len > 0.0 ? hyp_len / ref_len : 0.0;
    if (hyp_len < ref_len)
        result.brevity_penalty = hyp_len > 0.0 ? exp(1.0 - ref_len / hyp_len) : 0.0;
    for (int n = 0; n < options->max_order; n++)
        matches += stats->correct[n];
    if (matches == 0)
        return result;

    for (int n = 0; n < options->max_order; n++) {
        double more = options->smooth == AT_BLEU_SMOOTH_ADD && n > 0 ? options->smooth_value : 0.0;
        double correct = (double)stats->correct[n] + more, total = (double)stats->total[n] + more;
        if (total == 0.0)
            break;
        known = n + 1;
        if (correct > 0.0) {
            result.precisions[n] = 100.0 * correct / total;
        } else if (options->smooth == AT_BLEU_SMOOTH_EXP) {
            halving *= 2.0;
            result.precisions[n] = 100.0 / (halving * total);
        } else if (options->smooth == AT_BLEU_SMOOTH_FLOOR) {
            result.precisions[n] = 100.0 * options->smooth_value / total;
        }
    }
    if (options->effective_order)
        order = known;
    for (int n = 0; n < order; n++)
        sum += floored_log(result.precisions[n]);
    result.score = result.brevity_penalty * exp(sum / order);
    return result;
}

/* A scorer and what it counts into. */
typedef struct corpus {
    at_bleu *bleu;
    at_bleu_stats *stats;
} corpus;

static at_status add_line(void *context, const char *hyp, const char *const *refs, size_t ref_count)
{
    const corpus *c = context;
    return at_bleu_add(c->bleu, hyp, refs, ref_count, c->stats);
}

at_status at_bleu_corpus(const at_bleu_options *options, const at_eval_lines *lines, at_bleu_stats *stats)
{
    corpus c = {.stats = stats};
    at_status st = at_bleu_new(options, &c.bleu);
    if (st == AT_OK)
        st = at_eval_each(lines, add_line, &c);
    at_bleu_free(c.bleu);
    return st;
}

at_status at_bleu_sentence(const at_bleu_options *options, const char *hyp, const char *const *refs,
                           size_t ref_count, at_bleu_score *score)
{
    at_bleu *bleu = NULL;
    at_bleu_stats stats = {0};
    at_status st = at_bleu_new(options, &bleu);
    if (st == AT_OK)
        st = at_bleu_add(bleu, hyp, refs, ref_count, &stats);
    if (st == AT_OK)
        *score = at_bleu_compute(options, &stats);
    at_bleu_free(bleu);
    return st;
}

void at_bleu_signature(const at_bleu_options *options, const at_bleu_stats *stats, at_buf *out)
{
    static const char *const smooths[] = {"exp", "none", "floor", "add-k"};
    at_eval_print_refs(stats->min_refs, stats->max_refs, out);
    at_buf_printf(out, "case:%s|eff:%s|tok:%s|smooth:%s", options->lowercase ? "lc" : "mixed",
                  options->effective_order ? "yes" : "no", at_eval_tokenizer_name(options->tokenize),
                  smooths[options->smooth]);
    if (options->smooth == AT_BLEU_SMOOTH_FLOOR || options->smooth == AT_BLEU_SMOOTH_ADD)
        at_buf_printf(out, "[%.2f]", options->smooth_value);
    at_buf_text(out, "|version:" AT_EVAL_VERSION);
}

void at_bleu_verbose(const at_bleu_options *options, const at_bleu_stats *stats, at_buf *out)
{
    at_bleu_score score = at_bleu_compute(options, stats);
    for (int n = 0; n < options->max_order; n++)
        at_buf_printf(out, "%s%.1f", n ? "/" : "", score.precisions[n]);
    at_buf_printf(out, " (BP = %.3f ratio = %.3f hyp_len = %llu ref_len = %llu)", score.brevity_penalty,
                  score.ratio, (unsigned long long)stats->hyp_len, (unsigned long long)stats->ref_len);
}

void at_bleu_print(const at_bleu_options *options, const at_bleu_stats *stats, at_buf *out)
{
    at_buf_text(out, "BLEU|");
    at_bleu_signature(options, stats, out);
    at_buf_printf(out, " = %.2f ", at_bleu_compute(options, stats).score);
    at_bleu_verbose(options, stats, out);
}

json_t *at_bleu_json(const at_bleu_options *options, const at_bleu_stats *stats)
{
    at_buf signature = {0}, verbose = {0};
    json_t *object = NULL;
    at_bleu_signature(options, stats, &signature);
    at_bleu_verbose(options, stats, &verbose);
    if (at_buf_status(&signature) == AT_OK && at_buf_status(&verbose) == AT_OK)
        object = at_eval_report_json(
            &(at_eval_report){"BLEU", at_bleu_compute(options, stats).score, signature.data, verbose.data});
    at_buf_free(&signature);
    at_buf_free(&verbose);
    return object;
}

void at_bleu_warnings(const at_bleu_options *options, const at_bleu_stats *stats, at_buf *out)
{
    if (options->tokenize != AT_TOKENIZE_NONE && stats->tokenized_lines >= TOKENIZED_LINES_SUSPECT)
        at_buf_printf(out,
                      "%llu lines end in a period with a space before it: the text looks tokenized, which "
                      "may hurt the score; detokenize it, or use --tokenize none on both sides\n",
                      (unsigned long long)stats->tokenized_lines);
    if (stats->lines > 0 && stats->lines < LINES_FEW)
        at_buf_printf(out, "only %llu line%s: BLEU of so few says little; take some hundreds or more\n",
                      (unsigned long long)stats->lines, stats->lines == 1 ? "" : "s");
}
