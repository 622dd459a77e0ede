/* cli/eval_encoder.h - eval of models that read: labels of a split, or whether texts find their partners.
 *
 * Role    A classifier: accuracy, macro F1, calibration error, each label's precision and recall, who is
 *         taken for whom. Any other encoder alone: how many texts find their partner first, or among the
 *         first five.
 * Owns    Nothing.
 * Errors  AT_EARG for a metric that the model does not have. Those of task and data; AT_EFORMAT with file
 *         and line for a label that the model does not know.
 *
 *     if (at_eval_reads(model))
 *         st = at_eval_encoder(&request, scores, &lines);
 */
#ifndef AT_CLI_EVAL_ENCODER_H
#define AT_CLI_EVAL_ENCODER_H
#include <jansson.h>
#include "attend.h"
#include "base/buf.h"
#include "cli/scores.h"

typedef struct at_eval_request {
    const char *model, *data, *split;
    const char *source, *target;         /* languages of pairs; NULL: those of the model */
    const at_metrics *metrics;           /* only these; NULL: all that the model has */
    const char *confusion, *reliability; /* files for pictures of both; NULL: none */
    int batch;
    at_open_options open;
    size_t count;   /* out: lines or pairs scored */
    double seconds; /* out: of reading them */
} at_eval_request;

/* Whether the model in this folder is an encoder alone; false too when there is none. */
bool at_eval_reads(const char *model);
/* Adds to the JSON array, and lines to `out`. */
at_status at_eval_encoder(at_eval_request *request, json_t *scores, at_buf *out);
#endif
