/* data/batch.h - what a model sees of data.
 *
 * Role    Some sequences as rows with offsets; no padding anywhere.
 * Owns    Nothing: arrays live in the arena of the loader that made the batch.
 * Shapes  source: B sequences, sum of lengths rows. target likewise: target_in is
 *         <s> y1 … yn, target_out is y1 … yn </s>, row by row the same offsets. A decoder
 *         alone has no source (count 0): target_out is target_in one place on; an encoder
 *         alone has sequences <s> x1 … </s> as source, and either labels, or as target_out
 *         sequences of the same kind that belong to them, or neither. Pictures: source counts
 *         them, one row each (offsets 0 … B), source_ids NULL; labels as for texts.
 */
#ifndef AT_DATA_BATCH_H
#define AT_DATA_BATCH_H
#include "tensor/rows.h"

/* Pictures of one size, ready for a model: normalised, cut, turned as training wants them. */
typedef struct at_pixels {
    size_t height, width, channels;
    const float *data; /* (B, height, width, channels); NULL: the batch holds no pictures */
} at_pixels;

typedef struct at_batch {
    at_rows source, target;    /* both count B; examples: number of the pair in the corpus */
    const int32_t *source_ids; /* (source.offsets[B]) each ends with </s> */
    const int32_t *target_in;  /* (target.offsets[B]) */
    const int32_t *target_out;
    at_pixels pixels;
    const int32_t *labels; /* (source.count) the class of each; NULL: none are known */
    /* (source.count, classes) how much of each class is wanted, rows of sum 1, where two examples were mixed
     * (mixup, cutmix); labels then hold the larger share. NULL: all of the label. */
    const float *shares;
    /* Alignments that come with the data, or NULL: target row i, a piece of target_out, is linked to the
     * pieces link_keys[link_starts[i]] … link_keys[link_starts[i+1]-1] of its own source. */
    const int32_t *link_starts, *link_keys;
} at_batch;

/* Sequences in it; 0 ends an epoch. */
static inline size_t at_batch_count(const at_batch *batch)
{
    return batch->source.count ? batch->source.count : batch->target.count;
}
#endif
