/* eval/bleu.h - corpus and sentence BLEU, equal to sacreBLEU to the last digit.
 *
 * Role    Papineni et al. 2002, with the tokenizers and smoothings of Post 2018
 *         ("A call for clarity in reporting BLEU scores"). Counts of a line add up
 *         to counts of a corpus; only the sum becomes a score.
 * Owns    An at_bleu holds scratch memory of one thread; stats and scores are plain
 *         values. Lines are borrowed, UTF-8, without the newline.
 * Shapes  hyps[line]; refs[r][line], r < ref_count; a NULL reference is left out.
 * Errors  AT_EARG for options out of limits or a line without reference, AT_ENOMEM.
 *
 *     at_bleu_options options = at_bleu_defaults();
 *     options.tokenize = AT_TOKENIZE_ZH;
 *     at_bleu_stats stats = {0};
 *     at_status st = at_bleu_corpus(&options, &(at_eval_lines){hyps, refs, n, 1}, &stats);
 *     at_bleu_score score = at_bleu_compute(&options, &stats);
 *     at_bleu_print(&options, &stats, &out);   // BLEU|nrefs:1|… = 41.02 72.1/48.2/…
 *
 * multi-bleu.perl on tokenized text is AT_TOKENIZE_NONE with AT_BLEU_SMOOTH_NONE; its
 * printed digits agree, since smoothing matters only where an order has no match.
 */
#ifndef AT_EVAL_BLEU_H
#define AT_EVAL_BLEU_H
#include <jansson.h>

#include "base/buf.h"
#include "eval/corpus.h"
#include "eval/tokenize.h"

enum { AT_BLEU_MAX_ORDER = 8 };

/* Stands in signatures where sacreBLEU puts its own version; changes when a score would. */
#define AT_EVAL_VERSION "attend-0.1"

/* What orders without any match count as (Chen and Cherry 2014). */
typedef enum at_bleu_smooth {
    AT_BLEU_SMOOTH_EXP,   /* half, a quarter, … of one match: the default */
    AT_BLEU_SMOOTH_NONE,  /* nothing: the score is 0 */
    AT_BLEU_SMOOTH_FLOOR, /* smooth_value matches, usually 0.1 */
    AT_BLEU_SMOOTH_ADD,   /* smooth_value more matches and n-grams from order 2 on, usually 1 */
} at_bleu_smooth;

typedef struct at_bleu_options {
    at_eval_tokenizer tokenize;
    at_bleu_smooth smooth;
    double smooth_value;
    int max_order; /* 1 … AT_BLEU_MAX_ORDER; 4 */
    bool lowercase;
    bool effective_order; /* only orders that the hypothesis has; for single sentences */
} at_bleu_options;

typedef struct at_bleu_stats {
    uint64_t correct[AT_BLEU_MAX_ORDER], total[AT_BLEU_MAX_ORDER];
    uint64_t hyp_len, ref_len;
    uint64_t lines, tokenized_lines; /* those that end in " ." */
    uint64_t min_refs, max_refs;     /* references of a line */
} at_bleu_stats;

typedef struct at_bleu_score {
    double score;                         /* 0 … 100 */
    double precisions[AT_BLEU_MAX_ORDER]; /* percent */
    double brevity_penalty, ratio;        /* ratio of lengths, hypothesis to reference */
} at_bleu_score;

typedef struct at_bleu at_bleu;

at_bleu_options at_bleu_defaults(void);
at_status at_bleu_new(const at_bleu_options *options, at_bleu **bleu);
void at_bleu_free(at_bleu *bleu);

/* Counts one line; stats unchanged on error. */
at_status at_bleu_add(at_bleu *bleu, const char *hyp, const char *const *refs, size_t ref_count,
                      at_bleu_stats *stats);
void at_bleu_merge(at_bleu_stats *into, const at_bleu_stats *from);
at_bleu_score at_bleu_compute(const at_bleu_options *options, const at_bleu_stats *stats);

at_status at_bleu_corpus(const at_bleu_options *options, const at_eval_lines *lines, at_bleu_stats *stats);
/* One sentence; set effective_order, or short sentences score too low. */
at_status at_bleu_sentence(const at_bleu_options *options, const char *hyp, const char *const *refs,
                           size_t ref_count, at_bleu_score *score);

/* "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:attend-0.1" */
void at_bleu_signature(const at_bleu_options *options, const at_bleu_stats *stats, at_buf *out);
/* "72.1/48.2/34.0/24.3 (BP = 1.000 ratio = 1.003 hyp_len = 12103 ref_len = 12068)" */
void at_bleu_verbose(const at_bleu_options *options, const at_bleu_stats *stats, at_buf *out);
/* "BLEU|SIGNATURE = 41.02 VERBOSE", no newline. */
void at_bleu_print(const at_bleu_options *options, const at_bleu_stats *stats, at_buf *out);
/* New object with the keys of sacreBLEU's JSON output; NULL: no memory. */
json_t *at_bleu_json(const at_bleu_options *options, const at_bleu_stats *stats);
/* What a reader of the score should know: text that looks tokenized, very few
 * lines. One sentence a line; empty if all is well. */
void at_bleu_warnings(const at_bleu_options *options, const at_bleu_stats *stats, at_buf *out);
#endif
