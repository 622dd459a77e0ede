/* decode/beam.h - from logits to sentences: greedy and beam search over a state.
 *
 * Role    Keeps the `beam` best partial hypotheses of each source; a hypothesis is a
 *         slot of the state, so the search forks slots and copies no keys. Greedy is
 *         a beam of one. All sources of a batch advance together; those that are done
 *         leave the batch.
 * Owns    Results live in the caller's arena.
 * Shapes  B sources; n_best hypotheses each, best first.
 * Errors  AT_EARG (beam or n_best out of limits), AT_ENOMEM, what the model says.
 *
 *     at_beam_options options = AT_BEAM_DEFAULTS;
 *     options.beam = 5;
 *     at_hypotheses *found = at_arena_array(arena, B, sizeof *found);
 *     at_status st = at_beam_search(model, tape, &batch, &options, arena, found);
 *     found[0].list[0].ids …
 *
 * A hypothesis ends with </s>. Its score is log p(ids) / length^penalty, </s> counted
 * (Wu et al. 2016, arXiv:1609.08144, has a variant; this is fairseq's and Marian's).
 */
#ifndef AT_DECODE_BEAM_H
#define AT_DECODE_BEAM_H
#include "base/arena.h"
#include "model/state.h"

typedef struct at_beam_options {
    int64_t beam;       /* 1 … 64 */
    int64_t n_best;     /* 1 … beam */
    double penalty;     /* exponent of the length, 0 … 5 */
    int64_t min_length; /* pieces before </s> is allowed */
    int64_t max_length; /* pieces, </s> counted; 0: max_ratio * source + max_extra */
    double max_ratio;
    int64_t max_extra;
} at_beam_options;

#define AT_BEAM_DEFAULTS                                                          \
    {                                                                             \
        .beam = 5, .n_best = 1, .penalty = 1.0, .max_ratio = 3.0, .max_extra = 20 \
    }

extern const at_field at_beam_fields[]; /* of at_beam_options: the recipe's "decode" section */

typedef struct at_hypothesis {
    const int32_t *ids; /* without <s>; with </s> when it was reached */
    size_t length;
    float log_probability, score;
} at_hypothesis;

typedef struct at_hypotheses {
    at_hypothesis *list;
    size_t count; /* n_best, fewer when fewer were found */
} at_hypotheses;

at_status at_beam_search(const at_model *model, at_tape *tape, const at_batch *sources,
                         const at_beam_options *options, at_arena *arena, at_hypotheses *found);
#endif
