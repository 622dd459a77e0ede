/* eval/report.h - what the score lines of BLEU and chrF share. Private to eval/.
 *
 * Role    The beginning of a signature and sacreBLEU's JSON object, in its key order.
 * Owns    Nothing. Errors stick to the buffer; NULL for an object without memory.
 */
#ifndef AT_EVAL_REPORT_H
#define AT_EVAL_REPORT_H
#include <jansson.h>

#include "base/buf.h"

typedef struct at_eval_report {
    const char *name; /* "BLEU", "chrF2++" */
    double score;
    const char *signature; /* "key:value|key:value" */
    const char *verbose;   /* NULL: none */
} at_eval_report;

/* "nrefs:1|", or "nrefs:var|" if lines differ in it. */
void at_eval_print_refs(uint64_t min_refs, uint64_t max_refs, at_buf *out);
/* Name, score rounded to two digits, signature, verbose score, then each pair of
 * the signature as a key of its own. */
json_t *at_eval_report_json(const at_eval_report *report);
#endif
