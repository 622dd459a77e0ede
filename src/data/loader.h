/* data/loader.h - examples as batches, whatever they are.
 *
 * Role    One interface for the training loop: the next batch, and where it stands. What a batch is made of
 *         is the kind's: pairs of a corpus (here), a stream or documents (data/tokens.h). Each example comes
 *         once an epoch; the order is a function of (seed, epoch) alone, so a cursor {epoch, batch} restores
 *         it.
 * Owns    The plan of one epoch. Examples are borrowed (pairs are segmented anew at each epoch when they have
 *         dropout).
 * Shapes  See data/batch.h; examples[b] is the pair's number.
 * Errors  AT_EARG when a pair alone exceeds batch_tokens; AT_ENOMEM.
 *
 *     at_loader_options o = {.batch_tokens = 4096, .shuffle = true, .bucket = true, .seed = 1};
 *     at_status st = at_loader_new(&set, &o, &loader);
 *     at_loader_seek(loader, cursor);                       // to resume; else it begins at {0, 0}
 *     while ((st = at_loader_next(loader, arena, &batch)) == AT_OK && at_batch_count(&batch)) …
 *     at_loader_free(loader);
 */
#ifndef AT_DATA_LOADER_H
#define AT_DATA_LOADER_H
#include "base/arena.h"
#include "data/batch.h"
#include "data/dataset.h"

typedef struct at_loader at_loader;

typedef struct at_loader_options {
    size_t batch_tokens; /* most rows of a batch; 0: no bound */
    size_t batch_pairs;  /* most pairs of a batch; 0: no bound */
    bool target_only;    /* batch_tokens bounds target rows, not the larger side */
    bool shuffle;        /* false: in order of length (bucket) or of the file */
    bool bucket;         /* group pairs of like length */
    int32_t bos;         /* first of target_in */
    uint64_t seed;
} at_loader_options;

typedef struct at_cursor {
    uint64_t epoch, batch; /* the next batch to come */
} at_cursor;

/* A kind of loader: its own struct begins with an at_loader. */
typedef struct at_loader_kind {
    /* Orders the examples of an epoch; how many batches they make. */
    at_status (*plan)(at_loader *loader, uint64_t epoch, size_t *batches);
    /* Batch `number` of the planned epoch, its arrays in the arena. */
    at_status (*fill)(at_loader *loader, size_t number, at_arena *arena, at_batch *batch);
    void (*release)(at_loader *loader); /* what it owns beside itself */
} at_loader_kind;

struct at_loader {
    const at_loader_kind *kind;
    at_cursor cursor;
    uint64_t planned; /* epoch of the plan at hand */
    size_t batches;   /* of it */
    bool has_plan;
};

/* For kinds: a loader from at_alloc_zero, filled in, stands at {0, 0}; freed when it cannot. */
at_status at_loader_begin(at_loader *loader, at_loader **out);

at_loader_options at_loader_options_from(const at_data_options *options, int32_t bos, uint64_t seed);

/* Of pairs. */
at_status at_loader_new(at_dataset *set, const at_loader_options *options, at_loader **loader);
void at_loader_free(at_loader *loader);

/* The next batch, its arrays in the arena. At the end of an epoch: a batch of no sequence, and the cursor
 * moves to {epoch + 1, 0}. */
at_status at_loader_next(at_loader *loader, at_arena *arena, at_batch *batch);
at_cursor at_loader_cursor(const at_loader *loader);
/* AT_EARG for a batch that the epoch does not have. */
at_status at_loader_seek(at_loader *loader, at_cursor cursor);
size_t at_loader_batches(const at_loader *loader); /* of the epoch that the last batch was of */
#endif
