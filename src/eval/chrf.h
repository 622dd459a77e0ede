/* eval/chrf.h - chrF and chrF++: F-score of character (and word) n-grams.
 *
 * Role    Popović 2015 (chrF) and 2017 (chrF++), equal to sacreBLEU. Needs no word
 *         boundaries, so it suits Chinese and rich inflection.
 * Owns    An at_chrf holds scratch memory of one thread; stats are plain values that
 *         add up over lines. Lines are borrowed, UTF-8, without the newline.
 * Shapes  As in eval/bleu.h. Of several references the best one of each line counts.
 * Errors  AT_EARG for options out of limits or a line without reference, AT_ENOMEM.
 *
 *     at_chrf_options options = at_chrf_defaults();
 *     options.word_order = 2;                              // chrF++
 *     at_chrf_stats stats = {0};
 *     at_status st = at_chrf_corpus(&options, &lines, &stats);
 *     double score = at_chrf_compute(&options, &stats);    // 0 … 100
 */
#ifndef AT_EVAL_CHRF_H
#define AT_EVAL_CHRF_H
#include <jansson.h>

#include "base/buf.h"
#include "eval/bleu.h"

enum { AT_CHRF_MAX_ORDER = 8 };

typedef struct at_chrf_options {
    int char_order; /* 1 … AT_CHRF_MAX_ORDER; 6 */
    int word_order; /* 0 … AT_CHRF_MAX_ORDER; 0 is chrF, 2 is chrF++ */
    int beta;       /* recall weighs beta times as much as precision; 1 … 100; 2 */
    bool lowercase;
    bool whitespace; /* count spaces as characters too */
} at_chrf_options;

typedef struct at_chrf_stats {
    /* Characters first, then words, char_order + word_order of them in use. */
    uint64_t hyp[2 * AT_CHRF_MAX_ORDER], ref[2 * AT_CHRF_MAX_ORDER], match[2 * AT_CHRF_MAX_ORDER];
    uint64_t lines, min_refs, max_refs;
} at_chrf_stats;

typedef struct at_chrf at_chrf;

at_chrf_options at_chrf_defaults(void);
at_status at_chrf_new(const at_chrf_options *options, at_chrf **chrf);
void at_chrf_free(at_chrf *chrf);

/* Counts one line; stats unchanged on error. */
at_status at_chrf_add(at_chrf *chrf, const char *hyp, const char *const *refs, size_t ref_count,
                      at_chrf_stats *stats);
void at_chrf_merge(at_chrf_stats *into, const at_chrf_stats *from);
double at_chrf_compute(const at_chrf_options *options, const at_chrf_stats *stats);

at_status at_chrf_corpus(const at_chrf_options *options, const at_eval_lines *lines, at_chrf_stats *stats);
at_status at_chrf_sentence(const at_chrf_options *options, const char *hyp, const char *const *refs,
                           size_t ref_count, double *score);

/* "chrF2", "chrF2++" */
void at_chrf_name(const at_chrf_options *options, at_buf *out);
/* "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:attend-0.1" */
void at_chrf_signature(const at_chrf_options *options, const at_chrf_stats *stats, at_buf *out);
/* "chrF2|SIGNATURE = 65.43", no newline. */
void at_chrf_print(const at_chrf_options *options, const at_chrf_stats *stats, at_buf *out);
/* New object with the keys of sacreBLEU's JSON output; NULL: no memory. */
json_t *at_chrf_json(const at_chrf_options *options, const at_chrf_stats *stats);
#endif
