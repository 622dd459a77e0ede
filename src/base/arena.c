#include "base/arena.h"
#include <string.h>
#include "base/memory.h"

enum { ALIGNMENT = 64, FIRST_BLOCK = 1 << 20, LARGEST_GROWTH = 64 << 20 };

typedef struct block {
    char *data;
    size_t size;
    size_t before; /* bytes in use in all blocks before this one */
} block;

struct at_arena {
    block *blocks;
    size_t count, capacity;
    size_t current, used; /* the block being filled, and how far */
    size_t total, peak;
};

/* Puts a block of at least `size` bytes at position `at`; those behind it, unused
 * now and too small for this request, move up and wait for smaller ones. */
static at_status insert_block(at_arena *arena, size_t at, size_t size)
{
    size_t wanted = arena->total / 2; /* grows by halves, so that few blocks serve any size */
    if (wanted > LARGEST_GROWTH)
        wanted = LARGEST_GROWTH;
    if (wanted < FIRST_BLOCK)
        wanted = FIRST_BLOCK;
    size_t most = arena->peak + arena->peak / 8; /* what is too much is never touched, so it is no memory */
    if (arena->count == 0 && wanted < most)
        wanted = most;
    if (wanted < size)
        wanted = size;
    at_status st = at_grow(&arena->blocks, &arena->capacity, arena->count + 1, sizeof *arena->blocks);
    if (st != AT_OK)
        return st;
    char *data = at_alloc_aligned(wanted, 1);
    if (!data)
        return AT_ENOMEM;
    memmove(arena->blocks + at + 1, arena->blocks + at, (arena->count - at) * sizeof *arena->blocks);
    arena->blocks[at] = (block){data, wanted, 0};
    arena->count++;
    arena->total += wanted;
    return AT_OK;
}

/* Makes a block with `size` free bytes the current one. */
static at_status next_block(at_arena *arena, size_t size)
{
    size_t next = arena->count ? arena->current + 1 : 0;
    if (next == arena->count || arena->blocks[next].size < size) {
        at_status st = insert_block(arena, next, size);
        if (st != AT_OK)
            return st;
    }
    arena->blocks[next].before = next ? arena->blocks[arena->current].before + arena->used : 0;
    arena->current = next;
    arena->used = 0;
    return AT_OK;
}

at_arena *at_arena_new(void)
{
    return at_alloc_zero(1, sizeof(at_arena));
}

void at_arena_free(at_arena *arena)
{
    if (!arena)
        return;
    for (size_t i = 0; i < arena->count; i++)
        at_free_aligned(arena->blocks[i].data);
    at_free(arena->blocks);
    at_free(arena);
}

void *at_arena_alloc(at_arena *arena, size_t size)
{
    size_t padded;
    if (!at_add_ok(size ? size : 1, ALIGNMENT - 1, &padded)) {
        at_fail(AT_ENOMEM, "out of memory: %zu bytes wanted", size);
        return NULL;
    }
    padded -= padded % ALIGNMENT;
    if ((!arena->count || padded > arena->blocks[arena->current].size - arena->used) &&
        next_block(arena, padded) != AT_OK)
        return NULL;
    block *b = &arena->blocks[arena->current];
    void *result = b->data + arena->used;
    arena->used += padded;
    if (b->before + arena->used > arena->peak)
        arena->peak = b->before + arena->used;
    return result;
}

void *at_arena_array(at_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!at_mul_ok(count, size, &bytes)) {
        at_fail(AT_ENOMEM, "out of memory: %zu elements of %zu bytes wanted", count, size);
        return NULL;
    }
    return at_arena_alloc(arena, bytes);
}

void *at_arena_zero(at_arena *arena, size_t count, size_t size)
{
    void *result = at_arena_array(arena, count, size);
    if (result)
        memset(result, 0, count * size);
    return result;
}

at_mark at_arena_mark(const at_arena *arena)
{
    return (at_mark){arena->current, arena->used};
}

void at_arena_release(at_arena *arena, at_mark mark)
{
    AT_ASSERT(mark.block < arena->current || (mark.block == arena->current && mark.used <= arena->used));
    arena->current = mark.block;
    arena->used = mark.used;
}

/* One block of the size that was needed takes the place of many: what batches of ever new sizes leave between
 * and behind the blocks would otherwise double the memory. */
void at_arena_reset(at_arena *arena)
{
    for (size_t i = 0; arena->count > 1 && i < arena->count; i++)
        at_free_aligned(arena->blocks[i].data);
    if (arena->count > 1)
        arena->count = arena->total = 0;
    arena->current = 0;
    arena->used = 0;
}

size_t at_arena_peak(const at_arena *arena)
{
    return arena->peak;
}
