#include "eval/aer.h"
#include "eval/bleu.h"

static int compare(const at_link *a, const at_link *b)
{
    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    return a->target < b->target ? -1 : a->target > b->target;
}

void at_aer_add(at_aer_counts *counts, const at_links *proposed, const at_links *gold)
{
    counts->lines++;
    counts->proposed += proposed->count;
    for (size_t j = 0; j < gold->count; j++)
        counts->sure += !gold->list[j].possible;
    for (size_t i = 0, j = 0; i < proposed->count && j < gold->count;) {
        int order = compare(&proposed->list[i], &gold->list[j]);
        if (order == 0) {
            counts->possible++;
            counts->proposed_sure += !gold->list[j].possible;
        }
        i += order <= 0;
        j += order >= 0;
    }
}

at_aer_score at_aer_compute(const at_aer_counts *c)
{
    double both = (double)c->proposed + (double)c->sure;
    return (at_aer_score){
        .aer = both > 0 ? 1 - ((double)c->proposed_sure + (double)c->possible) / both : 0,
        .precision = c->proposed > 0 ? (double)c->possible / (double)c->proposed : 1,
        .recall = c->sure > 0 ? (double)c->proposed_sure / (double)c->sure : 1,
    };
}

void at_aer_signature(const at_aer_counts *counts, at_buf *out)
{
    at_buf_printf(out, "lines:%zu|links:%zu|sure:%zu|version:%s", counts->lines, counts->proposed,
                  counts->sure, AT_EVAL_VERSION);
}

json_t *at_aer_json(const at_aer_counts *counts)
{
    at_aer_score score = at_aer_compute(counts);
    at_buf signature = {0};
    at_aer_signature(counts, &signature);
    json_t *object = at_buf_status(&signature) == AT_OK
                         ? json_pack("{s:s,s:f,s:s,s:f,s:f,s:I,s:I,s:I}", "name", "AER", "score", score.aer,
                                     "signature", signature.data, "precision", score.precision, "recall",
                                     score.recall, "lines", (json_int_t)counts->lines, "links",
                                     (json_int_t)counts->proposed, "sure", (json_int_t)counts->sure)
                         : NULL;
    at_buf_free(&signature);
    return object;
}
