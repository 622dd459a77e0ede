/* eval/aer.h - alignment error rate.
 *
 * Role    AER = 1 - (|A and S| + |A and P|) / (|A| + |S|), with A the links proposed, S the sure
 *         ones of the gold alignment, P its sure and possible ones. Och & Ney 2003, "A Systematic
 *         Comparison of Various Statistical Alignment Models", Computational Linguistics 29(1).
 *         Precision = |A and P| / |A|, recall = |A and S| / |S|, both as there.
 * Owns    Nothing: counts add up over lines.
 * Errors  None.
 *
 *     at_aer_counts counts = {0};
 *     for each line: at_aer_add(&counts, &proposed, &gold);   // text/links.h
 *     at_aer_score score = at_aer_compute(&counts);           // score.aer in 0 … 1
 */
#ifndef AT_EVAL_AER_H
#define AT_EVAL_AER_H
#include <jansson.h>
#include "base/buf.h"
#include "text/links.h"

typedef struct at_aer_counts {
    size_t proposed, sure;          /* |A|, |S| */
    size_t proposed_sure, possible; /* |A and S|, |A and P| */
    size_t lines;
} at_aer_counts;

typedef struct at_aer_score {
    double aer, precision, recall; /* precision 1 when nothing was proposed, recall 1 when nothing is sure */
} at_aer_score;

/* In `proposed` a possible link is a link like others. */
void at_aer_add(at_aer_counts *counts, const at_links *proposed, const at_links *gold);
/* Nothing proposed and nothing sure: no error. */
at_aer_score at_aer_compute(const at_aer_counts *counts);
/* "lines:447|links:5892|sure:4038|version:…" */
void at_aer_signature(const at_aer_counts *counts, at_buf *out);
/* Keys as of the other metrics: name, score, signature, precision, recall, …; NULL: no memory. */
json_t *at_aer_json(const at_aer_counts *counts);
#endif
