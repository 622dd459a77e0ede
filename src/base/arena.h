/* base/arena.h - memory that goes back all at once.
 *
 * Role    The tape, batches and decoding scratch live here: allocation is a bump,
 *         release is a mark. After a reset one block of the size needed so far is kept.
 * Owns    Its blocks. Pointers are 64-byte aligned, valid until the mark before
 *         them is released. Not thread-safe: one arena, one thread.
 * Errors  NULL and AT_ENOMEM.
 *
 *     at_mark mark = at_arena_mark(arena);
 *     float *row = at_arena_alloc(arena, n * sizeof *row);
 *     at_arena_release(arena, mark);
 */
#ifndef AT_BASE_ARENA_H
#define AT_BASE_ARENA_H
#include "base/status.h"

typedef struct at_arena at_arena;
typedef struct at_mark {
    size_t block, used;
} at_mark;

at_arena *at_arena_new(void);
void at_arena_free(at_arena *arena);
void *at_arena_alloc(at_arena *arena, size_t size);               /* uninitialised */
void *at_arena_array(at_arena *arena, size_t count, size_t size); /* checked product */
void *at_arena_zero(at_arena *arena, size_t count, size_t size);
at_mark at_arena_mark(const at_arena *arena);
void at_arena_release(at_arena *arena, at_mark mark);
void at_arena_reset(at_arena *arena);
size_t at_arena_peak(const at_arena *arena); /* most bytes in use so far */
#endif
