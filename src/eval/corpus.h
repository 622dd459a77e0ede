/* eval/corpus.h - lines of a system beside their references, one at a time.
 *
 * Role    The loop that BLEU, chrF and ROUGE share: each line with its own references.
 * Owns    Nothing.
 * Errors  AT_ENOMEM, or the first that `add` gives.
 *
 *     static at_status add(void *context, const char *hyp, const char *const *refs, size_t ref_count);
 *     st = at_eval_each(&(at_eval_lines){hyps, refs, n, 1}, add, &counts);
 */
#ifndef AT_EVAL_CORPUS_H
#define AT_EVAL_CORPUS_H
#include "base/status.h"

/* Parallel lines of a system and its references. */
typedef struct at_eval_lines {
    const char *const *hyps;
    const char *const *const *refs; /* refs[r][i] of line i */
    size_t line_count, ref_count;
} at_eval_lines;

typedef at_status at_eval_add(void *context, const char *hyp, const char *const *refs, size_t ref_count);

at_status at_eval_each(const at_eval_lines *lines, at_eval_add *add, void *context);
#endif
