/* text/preprocess.h - what is done to lines before the tokenizer, and undone after.
 *
 * Role    The recipe's "tokenizer.preprocess" and config.json's "attend.preprocess": what Hugging
 *         Face's tokenizer.json cannot say: Moses tokens, lower case. Lower case is not undone.
 * Owns    at_preprocess_free. A struct of zeros does nothing.
 * Errors  AT_EARG (unknown key or language), AT_ENOMEM.
 *
 *     {"moses": true, "lowercase": true, "source": "en", "target": "de"}
 *
 *     at_preprocess p;
 *     at_status st = at_preprocess_read(&p, section);          // NULL: does nothing
 *     st = at_preprocess_apply(&p, true, line, &ready);        // a line of the source language
 *     st = at_preprocess_undo(&p, output, &text);              // of the target language
 */
#ifndef AT_TEXT_PREPROCESS_H
#define AT_TEXT_PREPROCESS_H
#include "base/field.h"

typedef struct at_preprocess {
    bool moses, lowercase;
    bool keep;             /* Moses tokens stay in the output: for scores on tokens */
    char *source, *target; /* languages: "en", "de", … */
} at_preprocess;

extern const at_field at_preprocess_fields[];

at_status at_preprocess_read(at_preprocess *preprocess, const json_t *section);
void at_preprocess_free(at_preprocess *preprocess);
bool at_preprocess_any(const at_preprocess *preprocess);
/* Appends the prepared line to `out`. source false: a line of the target language. */
at_status at_preprocess_apply(const at_preprocess *preprocess, bool source, const char *line, at_buf *out);
at_status at_preprocess_undo(const at_preprocess *preprocess, const char *line, at_buf *out);
#endif
