/* cli/alignment.h - alignments as text: Moses pairs, soft weights, JSON. */
#ifndef AT_CLI_ALIGNMENT_H
#define AT_CLI_ALIGNMENT_H
#include <jansson.h>
#include "attend.h"
#include "base/buf.h"

enum { AT_ALIGN_NONE, AT_ALIGN_MOSES, AT_ALIGN_SOFT, AT_ALIGN_JSON };

/* "0-0 1-1 2-2": for each target word the source word with the largest weight (the end of sentence left
 * out). */
void at_alignment_moses(const at_translation *translation, at_buf *out);
/* Rows of the target words, separated by spaces; within a row the weights of the source words, then of the
 * end of sentence, separated by commas. Marian's "soft" form. */
void at_alignment_soft(const at_translation *translation, at_buf *out);
/* {"line", "rank", "text", "score", "log_probability", "source", "target", "weights"}; NULL: no memory. */
json_t *at_translation_json(const at_translation *translation, bool align);
#endif
