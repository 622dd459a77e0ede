/* store/checkpoint.h - a training kept so that a kill at any moment loses little.
 *
 * Role    FOLDER/step-N/ is a model folder plus optimizer.safetensors (named blocks of floats: moments,
 *         running averages) and state.json (the caller's state, checksums of all other files; written
 *         last). FOLDER/latest holds one line, step-N; renamed last. FOLDER is OUT/checkpoints.
 * Owns    Nothing; `state` and path returned are the caller's (json_decref, at_free).
 * Errors  Saving: AT_EIO, AT_ENOMEM; what was there stays good. Loading: a damaged checkpoint is passed
 *         over with a log line and the one before it taken.
 *
 *     at_block blocks[] = {{"adam.m", m, n}, {"adam.v", v, n}};
 *     at_checkpoint c = {.content = {.model = model, .tokenizer = tokenizer}, .blocks = blocks,
 *                        .block_count = 2, .state = state, .step = step};
 *     at_status st = at_checkpoint_save("OUT/checkpoints", &c, 3);
 *
 *     char *path;
 *     st = at_checkpoint_find("OUT/checkpoints", log, &path);       // path NULL: there is none
 *     if (st == AT_OK && path)
 *         st = at_checkpoint_read(path, model, blocks, 2, &state);  // into masters and blocks
 */
#ifndef AT_STORE_CHECKPOINT_H
#define AT_STORE_CHECKPOINT_H
#include "base/log.h"
#include "store/folder.h"

typedef struct at_block {
    const char *name;
    float *data;
    size_t count; /* floats */
} at_block;

typedef struct at_checkpoint {
    at_folder_content content; /* model, tokenizer, sections: as at_folder_save takes them */
    const at_block *blocks;
    size_t block_count;
    const json_t *state; /* an object of the caller's; stored as state.json's "state" */
    int64_t step;        /* >= 0 */
} at_checkpoint;

/* Writes step-N beside, renames it, renames `latest`, then removes all but the `keep` newest (0: all stay).
 * One of the same step is replaced; those of later steps, left from before a rollback, are removed. */
at_status at_checkpoint_save(const char *folder, const at_checkpoint *checkpoint, int64_t keep);

/* The newest whole checkpoint: first the one `latest` names, then by falling step; checksums are verified.
 * *path NULL with AT_OK: the folder is not there or holds no checkpoint at all. All damaged: AT_EFORMAT. */
at_status at_checkpoint_find(const char *folder, const at_log *log, char **path);

/* state.json's "state", for callers that need it before they can build the model; a new reference. */
at_status at_checkpoint_state(const char *path, json_t **state);

/* Fills the model's masters (at_params_allocate first), every block (same names and counts as were saved) and
 * *state (a new reference; may be NULL). Checksums are not read again. */
at_status at_checkpoint_read(const char *path, at_model *model, const at_block *blocks, size_t block_count,
                             json_t **state);
#endif
