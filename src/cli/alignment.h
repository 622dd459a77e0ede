/* cli/alignment.h - alignments as text: Moses pairs, soft weights, JSON; whose they shall be. */
#ifndef AT_CLI_ALIGNMENT_H
#define AT_CLI_ALIGNMENT_H
#include <jansson.h>
#include "attend.h"
#include "base/buf.h"
#include "cli/options.h"

enum { AT_ALIGN_NONE, AT_ALIGN_MOSES, AT_ALIGN_SOFT, AT_ALIGN_JSON };

/* What a flag --layer or --head says: "own", "mean" (or -1) or a number; AT_CLI_GO, or the code of wrong
 * usage. */
int at_cli_pick(const at_cli_spec *spec, const char *flag, const char *text, int *value);
#define AT_CLI_PICK_HELP "own: what the model's config.json names for alignments, else mean"

/* The words and weights of a translation. */
at_alignment at_alignment_of(const at_translation *translation);
/* "0-0 1-1 2-2": for each target word the source word with the largest weight (the end of sentence left
 * out). */
at_status at_alignment_moses(const at_alignment *alignment, at_buf *out);
/* Rows of the target words, separated by spaces; within a row the weights of the source words, then of the
 * end of sentence, separated by commas. Marian's "soft" form. */
void at_alignment_soft(const at_alignment *alignment, at_buf *out);
/* Puts "source", "target" and "weights" into an object. */
void at_alignment_put(const at_alignment *alignment, json_t *object);
/* {"line", "source", "target", "links": [[source, target], …], "weights"}; NULL: no memory. */
json_t *at_alignment_json(const at_alignment *alignment);
/* {"line", "rank", "text", "score", "log_probability", "source", "target", "weights"}; NULL: no memory. */
json_t *at_translation_json(const at_translation *translation, bool align);
#endif
