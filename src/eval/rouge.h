/* eval/rouge.h - ROUGE-1, ROUGE-2 and ROUGE-L, equal to rouge-score's to the last printed digit.
 *
 * Role    Lin 2004, "ROUGE: a package for automatic evaluation of summaries". Overlap of words, of pairs of
 *         words, and the longest common subsequence; precision, recall and F of each line, then their means.
 * Owns    An at_rouge holds scratch memory of one thread; stats are plain values that add up over lines.
 *         Lines are borrowed, UTF-8, without the newline.
 * Shapes  As in eval/bleu.h. Of several references, the one of the highest F counts, for each of the three.
 * Errors  AT_EARG for a line without reference, AT_ENOMEM.
 *
 *     at_rouge_options options = at_rouge_defaults();      // words as rouge-score cuts them
 *     options.stem = true;                                 // its use_stemmer
 *     at_rouge_stats stats = {0};
 *     at_status st = at_rouge_corpus(&options, &lines, &stats);
 *     double f = at_rouge_compute(&stats, AT_ROUGE_L).f;   // 0 … 100
 */
#ifndef AT_EVAL_ROUGE_H
#define AT_EVAL_ROUGE_H
#include <jansson.h>

#include "base/buf.h"
#include "eval/bleu.h"

typedef enum at_rouge_kind { AT_ROUGE_1, AT_ROUGE_2, AT_ROUGE_L, AT_ROUGE_KINDS } at_rouge_kind;

typedef struct at_rouge_options {
    /* Words are runs of a-z and 0-9 of the lower-cased line, as in rouge-score, to which text in other
     * scripts is empty. Otherwise they are cut by one of BLEU's tokenizers. */
    bool own_words;
    at_eval_tokenizer tokenize; /* without own_words */
    bool lowercase;             /* without own_words */
    bool stem;                  /* with own_words: Porter's stems of words of more than 3 characters */
} at_rouge_options;

typedef struct at_rouge_score {
    double precision, recall, f;
} at_rouge_score;

typedef struct at_rouge_stats {
    at_rouge_score sum[AT_ROUGE_KINDS]; /* over lines; each 0 … 1 a line */
    uint64_t lines, min_refs, max_refs;
} at_rouge_stats;

typedef struct at_rouge at_rouge;

at_rouge_options at_rouge_defaults(void);
at_status at_rouge_new(const at_rouge_options *options, at_rouge **rouge);
void at_rouge_free(at_rouge *rouge);

/* Counts one line; stats unchanged on error. */
at_status at_rouge_add(at_rouge *rouge, const char *hyp, const char *const *refs, size_t ref_count,
                       at_rouge_stats *stats);
/* Means over the lines, in percent. */
at_rouge_score at_rouge_compute(const at_rouge_stats *stats, at_rouge_kind kind);

at_status at_rouge_corpus(const at_rouge_options *options, const at_eval_lines *lines, at_rouge_stats *stats);

const char *at_rouge_name(at_rouge_kind kind); /* "ROUGE-1", "ROUGE-2", "ROUGE-L" */
/* "nrefs:1|tok:rouge|stem:no|version:attend-0.1" */
void at_rouge_signature(const at_rouge_options *options, const at_rouge_stats *stats, at_buf *out);
/* "(P = 51.20 R = 40.02)" */
void at_rouge_verbose(const at_rouge_stats *stats, at_rouge_kind kind, at_buf *out);
/* "ROUGE-L|SIGNATURE = 45.43 (P = … R = …)", no newline. */
void at_rouge_print(const at_rouge_options *options, const at_rouge_stats *stats, at_rouge_kind kind,
                    at_buf *out);
/* New object with name, score, signature, verbose_score, precision and recall; NULL: no memory. */
json_t *at_rouge_json(const at_rouge_options *options, const at_rouge_stats *stats, at_rouge_kind kind);
#endif
