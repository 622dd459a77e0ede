/* model/state.h - what a running model remembers: slots, each with its own length and source.
 *
 * Role    A slot is one hypothesis. Its cache is a list of row numbers into pools that
 *         all slots share, so a fork copies numbers, not keys; keys and values of a
 *         source are shared by all slots that look at it.
 * Owns    Pools of rows with reference counts. One state, one thread.
 * Shapes  Each pool has `blocks` arrays of (heads, capacity, width), a head's rows behind each other; which
 *         is which is the family's business. Rows come and go whole: heads*width numbers.
 * Errors  AT_ENOMEM; slots that do not exist are our bugs.
 *
 *     at_state *state;
 *     at_status st = at_state_new(model, &state);
 *     int source[B];
 *     st = at_state_encode(model, tape, state, &batch, source);     // B sources
 *     int slot; st = at_state_open(state, source[0], &slot);
 *     at_var *logits = at_state_step(model, tape, state, &slot, &rows, ids); // rows->count slots
 *     int copy; st = at_state_fork(state, slot, &copy);
 *     at_state_close(state, slot);
 *     at_state_drop_source(state, source[0]);  // rows go when the last slot closes
 *     st = at_state_open(state, AT_NO_SOURCE, &slot);               // a decoder alone
 */
#ifndef AT_MODEL_STATE_H
#define AT_MODEL_STATE_H
#include "model/model.h"

enum { AT_NO_SOURCE = -1 };

at_status at_state_new(const at_model *model, at_state **state);
/* The same with the slots' rows in bf16: half the memory and its traffic. For a decoder alone, whose stack
 * reads them only in attention. */
at_status at_state_new_bf16(const at_model *model, at_state **state);
void at_state_free(at_state *state);

/* Encodes the batch's sources; ids of the B new sources go to `sources`. Only batch->source… is read.
 * The tape is begun (AT_TAPE_RUN) and reset by this call. */
at_status at_state_encode(const at_model *model, at_tape *tape, at_state *state, const at_batch *batch,
                          int *sources);
void at_state_drop_source(at_state *state, int source);

/* An empty slot; source AT_NO_SOURCE for a family without encoder. */
at_status at_state_open(at_state *state, int source, int *slot);
at_status at_state_fork(at_state *state, int slot, int *copy);
void at_state_close(at_state *state, int slot);
/* Back to an earlier length; for a family that keeps the newest row alone, to 0 only. */
void at_state_truncate(at_state *state, int slot, size_t length);
size_t at_state_length(const at_state *state, int slot);
/* Forgets the first `count` rows: what comes after no longer looks at them. Rows that are there and new ones
 * keep their positions, so a family whose positions are absolute (state_rolls) must not be asked. */
void at_state_drop_oldest(at_state *state, int slot, size_t count);
size_t at_state_source_length(const at_state *state, int slot); /* 0 without a source */
size_t at_state_bytes(const at_state *state);
size_t at_state_slots(const at_state *state); /* open ones */
size_t at_state_rows(const at_state *state);  /* in use, of slots and of sources */

/* New rows for the named slots, any number each (rows->count of them; rows->offsets say how many) -> logits
 * of every new row (N,V) on the tape, valid until it is reset. The caller begins the tape (AT_TAPE_RUN).
 * NULL: see the tape; the slots are as before. */
at_var *at_state_step(const at_model *model, at_tape *tape, at_state *state, const int *slots,
                      const at_rows *rows, const int32_t *ids);

/* The same, logits of each slot's last new row only (rows->count,V): no sequence may be empty. */
at_var *at_state_next(const at_model *model, at_tape *tape, at_state *state, const int *slots,
                      const at_rows *rows, const int32_t *ids);

/* For families: */
typedef struct at_cache {
    const float *const *block;     /* blocks of the pool */
    const at_bf16 *const *block16; /* or these */
    size_t capacity;
    const int32_t *rows; /* row numbers of this slot or source */
    size_t length;
} at_cache;

at_cache at_state_self(const at_state *state, int slot);
at_cache at_state_cross(const at_state *state, int slot);
/* A step's new rows reserved for every slot: at which position each slot's begin, on the tape. NULL:
 * AT_ENOSUP past `most` rows (0: any), or AT_ENOMEM, sticks. */
const int32_t *at_state_advance(at_tape *tape, at_state *state, const int *slots, const at_rows *rows,
                                size_t most);
/* Reserves `count` rows at the end of the slot's list; their numbers are the last of
 * at_state_self(...).rows. */
at_status at_state_extend(at_state *state, int slot, size_t count);
float *at_state_self_row(at_state *state, size_t block, int32_t row); /* of a family with one head */
/* What a new row is, rounded where the state is in bf16. */
void at_state_put_row(at_state *state, size_t block, int32_t row, const float *data, const at_kernels *k);
/* Takes (rows, heads*width) of each block for source `source`, numbered in order; called block by block. */
void at_state_put_source(at_state *state, int source, size_t block, const float *data, size_t rows);
/* What a family keeps of a source beside rows: state_begin(model) numbers. */
void at_state_put_begin(at_state *state, int source, const float *data);
const float *at_state_begin(const at_state *state, int slot);
#endif
