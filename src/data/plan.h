/* data/plan.h - which examples go into which batch of an epoch.
 *
 * Role    Groups examples of like length, bounded by tokens and by number; each once an epoch, in an order
 *         that is a function of (seed, epoch) alone. What loaders of pairs and of documents share.
 * Owns    Its lists; at_plan_free. Zero-initialise.
 * Shapes  Batch b of the epoch holds examples at_plan_batch(plan, b, &count)[0 … count-1].
 * Errors  AT_EARG when an example alone exceeds batch_tokens; AT_ENOMEM.
 *
 *     at_plan_lengths lengths = {set, set->count, source_length, target_length};
 *     at_status st = at_plan_make(&plan, &lengths, &options, epoch);
 */
#ifndef AT_DATA_PLAN_H
#define AT_DATA_PLAN_H
#include "data/loader.h"

typedef struct at_plan_lengths {
    const void *of;
    size_t count;                                 /* examples */
    size_t (*source)(const void *of, uint32_t i); /* rows of one; NULL: there is no such side */
    size_t (*target)(const void *of, uint32_t i);
} at_plan_lengths;

typedef struct at_plan {
    uint32_t *order;   /* (examples) those of group g: order[starts[g]] … order[starts[g+1]-1] */
    uint32_t *batches; /* (count) in which order the groups come */
    size_t *starts;    /* (count+1) */
    size_t count, capacity;
} at_plan;

at_status at_plan_make(at_plan *plan, const at_plan_lengths *lengths, const at_loader_options *options,
                       uint64_t epoch);
const uint32_t *at_plan_batch(const at_plan *plan, size_t batch, size_t *count);
void at_plan_free(at_plan *plan);
#endif
