/* cli/scores.h - the metrics that eval was asked for, computed and printed.
 *
 * Role    Lines in sacreBLEU's form, or JSON objects with its keys; loss and perplexity in the same form.
 * Owns    Nothing.
 * Errors  AT_EARG for an unknown metric or tokenizer, naming the known ones.
 *
 *     at_metrics metrics;
 *     at_status st = at_metrics_parse("bleu,chrf", &metrics);
 *     at_scoring s = {.metrics = metrics, .bleu = at_bleu_defaults(), .chrf = at_chrf_defaults()};
 *     st = at_scores_text(&s, &lines, &out, warnings);
 */
#ifndef AT_CLI_SCORES_H
#define AT_CLI_SCORES_H
#include "eval/chrf.h"
#include "eval/rouge.h"
#include "task/score.h"

typedef struct at_metrics {
    bool bleu, chrf, chrf_words, exact, rouge[AT_ROUGE_KINDS], loss, perplexity, aer;
    bool accuracy, macro_f1, calibration, labels, retrieval; /* of models that read */
} at_metrics;

typedef struct at_scoring {
    at_metrics metrics;
    at_bleu_options bleu;
    at_chrf_options chrf;
    at_rouge_options rouge;
    const char *protocol; /* goes into signatures: "wu-moses-de"; NULL: none */
} at_scoring;

/* Names with commas between: bleu, chrf, chrf++, exact (lines that are the same, in %), rouge (all three),
 * rouge-1, rouge-2, rouge-l, loss, perplexity, aer; of models that read accuracy, macro-f1, calibration,
 * labels (a row a label), retrieval. */
at_status at_metrics_parse(const char *names, at_metrics *metrics);
static inline bool at_metrics_of_rouge(const at_metrics *metrics)
{
    return metrics->rouge[AT_ROUGE_1] || metrics->rouge[AT_ROUGE_2] || metrics->rouge[AT_ROUGE_L];
}
static inline bool at_metrics_of_text(const at_metrics *metrics)
{
    return metrics->bleu || metrics->chrf || metrics->chrf_words || metrics->exact ||
           at_metrics_of_rouge(metrics);
}
static inline bool at_metrics_of_labels(const at_metrics *metrics)
{
    return metrics->accuracy || metrics->macro_f1 || metrics->calibration || metrics->labels;
}

/* Scores of `lines` are added to the JSON array, and as lines to `out`; what a reader should know to
 * `warnings`. */
at_status at_scores_text(const at_scoring *scoring, const at_eval_lines *lines, json_t *array, at_buf *out,
                         at_buf *warnings);
at_status at_scores_model(const at_scoring *scoring, const at_pair_score *score, json_t *array, at_buf *out);
#endif
