/* task/reason.h - which words decided the class. Private to task/.
 *
 * Role    Four measures of how much each word of a line counted for its label. Three say where the model
 *         looked: the weights of pooling by attention (Yang et al. 2016), the class token's attention in the
 *         last layer, and the same followed through all layers (Abnar and Zuidema 2020). One says what the
 *         word did, for every kind of model: the label's log probability with the line as it is less that of
 *         the line without the word (Li et al. 2016, arXiv:1612.08220).
 * Owns    Nothing; at_reasons its memory, until at_reasons_free.
 * Shapes  out (words): shares that sum to 1; AT_MEASURE_LEFT_OUT: natural logarithms, positive where the word
 *         spoke for the label. <s> and </s> cannot be left out: 0.
 * Errors  AT_ENOSUP for a measure that the model does not have; AT_EARG for rollouts of more than 1,024
 *         pieces. The tape is reset.
 *
 *     at_reason_line line = {.model = model, .tape = tape, .ids = ids, .count = n, .words = &words};
 *     at_status st = at_reason_measure(&line, at_reason_own(model), label, out);
 */
#ifndef AT_TASK_REASON_H
#define AT_TASK_REASON_H
#include "attend.h"
#include "model/model.h"
#include "text/words.h"

typedef struct at_reason_line {
    const at_model *model; /* a classifier */
    at_tape *tape;
    const int32_t *ids; /* (count) <s> … </s> */
    size_t count;
    const at_words *words;
} at_reason_line;

bool at_reason_has(const at_model *model, at_measure measure);
/* The weights of pooling if the model has them, else the class token's, else words left out. */
at_measure at_reason_own(const at_model *model);
const char *at_reason_name(at_measure measure);
at_status at_reason_measure(const at_reason_line *line, at_measure measure, size_t label, float *out);

/* All measures of a model as rows of shares, for a picture. Words left out have two rows, for the label and
 * against it, which together sum to 1. */
typedef struct at_reasons {
    const char *names[AT_MEASURES + 1];
    size_t rows, label;
    double probability; /* the label's */
    float *weights;     /* (rows, words) */
} at_reasons;

at_status at_reasons_find(const at_reason_line *line, at_reasons *reasons);
void at_reasons_free(at_reasons *reasons);
#endif
