#include "model/state.h"
#include <string.h>
#include "autograd/ops.h"
#include "base/memory.h"
#include "model/internal.h"

/* Rows that many lists may name. A row number means the same row in every block. */
typedef struct pool {
    void **block; /* (blocks) of (heads, capacity, width) */
    at_state_shape shape;
    size_t capacity, size;   /* bytes of a number: 4, or 2 in bf16 */
    int32_t *references;     /* (capacity) lists that name the row */
    int32_t *free_rows;      /* (capacity) stack */
    size_t free_count, used; /* rows [used, capacity) were never given out */
} pool;

typedef struct list { /* row numbers, in the order of positions */
    int32_t *rows;
    size_t length, capacity;
} list;

typedef struct source {
    list rows;
    size_t slots; /* that look at it */
    bool held;    /* by whoever encoded it */
    float *begin; /* (begin_width) what a family keeps of it beside rows; NULL: nothing */
} source;

typedef struct slot {
    list rows;
    size_t dropped; /* rows that were before the first */
    int source;     /* or AT_NO_SOURCE */
    bool open;
} slot;

struct at_state {
    pool self, cross;
    size_t begin_width;
    bool newest; /* slots keep their last row only: the others' numbers are GONE */
    slot *slots;
    size_t slot_count, slot_capacity;
    source *sources;
    size_t source_count, source_capacity;
};

enum { FIRST_ROWS = 256, GONE = -1 };

static at_status pool_open(pool *p, const at_state_shape *shape, bool narrow)
{
    p->size = narrow ? sizeof(at_bf16) : sizeof(float);
    p->shape = *shape;
    p->block = at_alloc_zero(shape->blocks ? shape->blocks : 1, sizeof *p->block);
    return p->block ? AT_OK : AT_ENOMEM;
}

static void pool_close(pool *p)
{
    for (size_t i = 0; p->block && i < p->shape.blocks; i++)
        at_free_aligned(p->block[i]);
    at_free(p->block);
    at_free(p->references);
    at_free(p->free_rows);
}

/* New blocks of so many numbers, all or none. */
static void **larger_blocks(const pool *p, size_t numbers)
{
    void **block = at_alloc_zero(p->shape.blocks, sizeof *block);
    for (size_t i = 0; block && i < p->shape.blocks; i++) {
        block[i] = at_alloc_aligned(numbers, p->size);
        if (block[i])
            continue;
        while (i-- > 0)
            at_free_aligned(block[i]);
        at_free(block);
        return NULL;
    }
    return block;
}

/* Doubles every block. On failure the pool is as before. */
static at_status pool_grow(pool *p)
{
    size_t capacity = p->capacity ? 2 * p->capacity : FIRST_ROWS, size, width = p->shape.width;
    if (!at_mul_ok(capacity, p->shape.heads * width, &size))
        return at_fail(AT_ENOMEM, "state: %zu rows of %zu numbers do not fit in memory", capacity,
                       p->shape.heads * width);
    int32_t *references = at_realloc_array(p->references, capacity, sizeof *references);
    if (!references)
        return AT_ENOMEM;
    p->references = references;
    int32_t *free_rows = at_realloc_array(p->free_rows, capacity, sizeof *free_rows);
    if (!free_rows)
        return AT_ENOMEM;
    p->free_rows = free_rows;
    void **block = larger_blocks(p, size);
    if (!block)
        return AT_ENOMEM;
    size_t row = width * p->size;
    for (size_t i = 0; i < p->shape.blocks; i++) {
        for (size_t h = 0; p->used > 0 && h < p->shape.heads; h++)
            memcpy((char *)block[i] + h * capacity * row, (char *)p->block[i] + h * p->capacity * row,
                   p->used * row);
        at_free_aligned(p->block[i]);
    }
    at_free(p->block);
    p->block = block;
    p->capacity = capacity;
    return AT_OK;
}

static at_status pool_take(pool *p, int32_t *row)
{
    if (p->free_count == 0 && p->used == p->capacity) {
        at_status st = pool_grow(p);
        if (st != AT_OK)
            return st;
    }
    *row = p->free_count ? p->free_rows[--p->free_count] : (int32_t)p->used++;
    p->references[*row] = 1;
    return AT_OK;
}

static void pool_drop(pool *p, int32_t row)
{
    AT_ASSERT(p->references[row] > 0);
    if (--p->references[row] == 0)
        p->free_rows[p->free_count++] = row;
}

static void list_cut(list *l, pool *p, size_t length)
{
    while (l->length > length) {
        int32_t row = l->rows[--l->length];
        if (row != GONE)
            pool_drop(p, row);
    }
}

static at_status list_extend(list *l, pool *p, size_t count)
{
    size_t before = l->length;
    if (at_grow(&l->rows, &l->capacity, l->length + count, sizeof *l->rows) != AT_OK)
        return AT_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (pool_take(p, &l->rows[l->length]) != AT_OK) {
            list_cut(l, p, before);
            return AT_ENOMEM;
        }
        l->length++;
    }
    return AT_OK;
}

static at_status new_state(const at_model *model, bool narrow, at_state **state)
{
    at_state *s = at_alloc_zero(1, sizeof *s);
    if (!s)
        return AT_ENOMEM;
    AT_ASSERT(model->family->state_step);
    at_state_shape self, cross;
    model->family->state_shape(model, &self, &cross);
    if (pool_open(&s->self, &self, narrow) != AT_OK || pool_open(&s->cross, &cross, false) != AT_OK) {
        at_state_free(s);
        return AT_ENOMEM;
    }
    s->begin_width = model->family->state_begin ? model->family->state_begin(model) : 0;
    s->newest = model->family->state_newest;
    *state = s;
    return AT_OK;
}

at_status at_state_new(const at_model *model, at_state **state)
{
    return new_state(model, false, state);
}

at_status at_state_new_bf16(const at_model *model, at_state **state)
{
    AT_ASSERT(model->family->kind == AT_DECODER_ONLY);
    return new_state(model, true, state);
}

void at_state_free(at_state *state)
{
    if (!state)
        return;
    for (size_t i = 0; i < state->slot_count; i++)
        at_free(state->slots[i].rows.rows);
    for (size_t i = 0; i < state->source_count; i++) {
        at_free(state->sources[i].rows.rows);
        at_free(state->sources[i].begin);
    }
    at_free(state->slots);
    at_free(state->sources);
    pool_close(&state->self);
    pool_close(&state->cross);
    at_free(state);
}

/* A source nobody holds or looks at gives its rows back. */
static void release_source(at_state *s, int index)
{
    source *from = &s->sources[index];
    if (!from->held && from->slots == 0)
        list_cut(&from->rows, &s->cross, 0);
}

static at_status new_source(at_state *s, size_t rows, int *index)
{
    size_t i = 0;
    while (i < s->source_count && (s->sources[i].held || s->sources[i].slots > 0))
        i++;
    if (i == s->source_count) {
        if (at_grow(&s->sources, &s->source_capacity, i + 1, sizeof *s->sources) != AT_OK)
            return AT_ENOMEM;
        s->sources[s->source_count++] = (source){0};
    }
    source *from = &s->sources[i];
    if (s->begin_width > 0 && !from->begin) {
        from->begin = at_alloc_array(s->begin_width, sizeof *from->begin);
        if (!from->begin)
            return AT_ENOMEM;
    }
    at_status st = list_extend(&from->rows, &s->cross, rows);
    if (st != AT_OK)
        return st;
    from->held = true;
    from->slots = 0;
    *index = (int)i;
    return AT_OK;
}

at_status at_state_encode(const at_model *model, at_tape *tape, at_state *state, const at_batch *batch,
                          int *sources)
{
    const at_rows *rows = &batch->source;
    size_t made = 0;
    at_status st = AT_OK;
    for (; made < rows->count && st == AT_OK; made++)
        st = new_source(state, (size_t)(rows->offsets[made + 1] - rows->offsets[made]), &sources[made]);
    if (st != AT_OK)
        made--;
    if (st == AT_OK) {
        at_exec_took(tape->exec, "text", false);
        at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
        at_var *memory = model->family->encode(model, tape, batch);
        if (memory)
            model->family->state_source(model, tape, state, memory, rows, sources);
        st = at_tape_status(tape);
        at_tape_reset(tape);
    }
    for (size_t i = 0; i < made && st != AT_OK; i++)
        at_state_drop_source(state, sources[i]);
    return st;
}

void at_state_drop_source(at_state *state, int index)
{
    AT_ASSERT(index >= 0 && (size_t)index < state->source_count && state->sources[index].held);
    state->sources[index].held = false;
    release_source(state, index);
}

at_status at_state_open(at_state *state, int from, int *index)
{
    AT_ASSERT(from == AT_NO_SOURCE || (from >= 0 && (size_t)from < state->source_count));
    AT_ASSERT(from == AT_NO_SOURCE || state->sources[from].held || state->sources[from].slots > 0);
    size_t i = 0;
    while (i < state->slot_count && state->slots[i].open)
        i++;
    if (i == state->slot_count) {
        if (at_grow(&state->slots, &state->slot_capacity, i + 1, sizeof *state->slots) != AT_OK)
            return AT_ENOMEM;
        state->slots[state->slot_count++] = (slot){0};
    }
    state->slots[i].source = from;
    state->slots[i].dropped = 0;
    state->slots[i].open = true;
    if (from != AT_NO_SOURCE)
        state->sources[from].slots++;
    *index = (int)i;
    return AT_OK;
}

static slot *slot_at(const at_state *state, int index)
{
    AT_ASSERT(index >= 0 && (size_t)index < state->slot_count && state->slots[index].open);
    return &state->slots[index];
}

at_status at_state_fork(at_state *state, int index, int *copy)
{
    at_status st = at_state_open(state, slot_at(state, index)->source, copy);
    if (st != AT_OK)
        return st;
    const list *from = &slot_at(state, index)->rows;
    list *to = &slot_at(state, *copy)->rows;
    if (at_grow(&to->rows, &to->capacity, from->length, sizeof *to->rows) != AT_OK) {
        at_state_close(state, *copy);
        return AT_ENOMEM;
    }
    for (size_t i = 0; i < from->length; i++) {
        to->rows[i] = from->rows[i];
        if (from->rows[i] != GONE)
            state->self.references[from->rows[i]]++;
    }
    to->length = from->length;
    slot_at(state, *copy)->dropped = slot_at(state, index)->dropped;
    return AT_OK;
}

void at_state_close(at_state *state, int index)
{
    slot *s = slot_at(state, index);
    list_cut(&s->rows, &state->self, 0);
    s->open = false;
    if (s->source == AT_NO_SOURCE)
        return;
    state->sources[s->source].slots--;
    release_source(state, s->source);
}

void at_state_truncate(at_state *state, int index, size_t length)
{
    slot *s = slot_at(state, index);
    list *l = &s->rows;
    list_cut(l, &state->self, length);
    AT_ASSERT(l->length == 0 || l->rows[l->length - 1] != GONE);
    if (l->length == 0)
        s->dropped = 0;
}

void at_state_drop_oldest(at_state *state, int index, size_t count)
{
    slot *s = slot_at(state, index);
    list *l = &s->rows;
    AT_ASSERT(count <= l->length && !state->newest);
    for (size_t i = 0; i < count; i++)
        pool_drop(&state->self, l->rows[i]);
    if (count > 0 && count < l->length)
        memmove(l->rows, l->rows + count, (l->length - count) * sizeof *l->rows);
    l->length -= count;
    s->dropped += count;
}

size_t at_state_length(const at_state *state, int index)
{
    return slot_at(state, index)->rows.length;
}

size_t at_state_source_length(const at_state *state, int index)
{
    int from = slot_at(state, index)->source;
    return from == AT_NO_SOURCE ? 0 : state->sources[from].rows.length;
}

size_t at_state_bytes(const at_state *state)
{
    const pool *p[] = {&state->self, &state->cross};
    size_t bytes = 0;
    for (int i = 0; i < 2; i++)
        bytes += p[i]->shape.blocks * p[i]->shape.heads * p[i]->capacity * p[i]->shape.width * p[i]->size;
    return bytes;
}

size_t at_state_slots(const at_state *state)
{
    size_t open = 0;
    for (size_t i = 0; i < state->slot_count; i++)
        open += state->slots[i].open;
    return open;
}

size_t at_state_rows(const at_state *state)
{
    return state->self.used - state->self.free_count + state->cross.used - state->cross.free_count;
}

/* Rows that no step will read again give their place back. */
static void forget_older(at_state *state, int index)
{
    list *l = &slot_at(state, index)->rows;
    for (size_t i = l->length; i-- > 1 && l->rows[i - 1] != GONE;) {
        pool_drop(&state->self, l->rows[i - 1]);
        l->rows[i - 1] = GONE;
    }
}

/* The last row of each sequence, none of which is empty. */
static at_var *last_rows(at_tape *tape, at_var *x, const at_rows *rows)
{
    int32_t *last = at_tape_saved(tape, rows->count, sizeof *last);
    for (size_t b = 0; last && b < rows->count; b++)
        last[b] = rows->offsets[b + 1] - 1;
    return x && last ? at_gather(tape, x, last, rows->count) : NULL;
}

static at_var *run_step(const at_model *model, at_tape *tape, at_state *state, const int *slots,
                        const at_rows *rows, const int32_t *ids, bool newest)
{
    size_t *before = at_tape_saved(tape, rows->count, sizeof *before);
    for (size_t b = 0; before && b < rows->count; b++)
        before[b] = at_state_length(state, slots[b]);
    at_var *out = before ? model->family->state_step(model, tape, state, slots, rows, ids) : NULL;
    if (newest && out && at_rows_total(rows) > rows->count)
        out = last_rows(tape, out, rows);
    at_var *logits = at_model_logits(model, tape, out);
    for (size_t b = 0; before && !logits && b < rows->count; b++)
        at_state_truncate(state, slots[b], before[b]); /* rows of a failed step hold nothing */
    for (size_t b = 0; logits && state->newest && b < rows->count; b++)
        forget_older(state, slots[b]);
    return logits;
}

at_var *at_state_step(const at_model *model, at_tape *tape, at_state *state, const int *slots,
                      const at_rows *rows, const int32_t *ids)
{
    return run_step(model, tape, state, slots, rows, ids, false);
}

at_var *at_state_next(const at_model *model, at_tape *tape, at_state *state, const int *slots,
                      const at_rows *rows, const int32_t *ids)
{
    return run_step(model, tape, state, slots, rows, ids, true);
}

static at_cache cache_of(const pool *p, const list *l)
{
    const void *blocks = p->block;
    bool narrow = p->size == sizeof(at_bf16);
    return (at_cache){.block = narrow ? NULL : blocks,
                      .block16 = narrow ? blocks : NULL,
                      .capacity = p->capacity,
                      .rows = l->rows,
                      .length = l->length};
}

at_cache at_state_self(const at_state *state, int index)
{
    return cache_of(&state->self, &slot_at(state, index)->rows);
}

at_cache at_state_cross(const at_state *state, int index)
{
    int from = slot_at(state, index)->source;
    AT_ASSERT(from != AT_NO_SOURCE);
    return cache_of(&state->cross, &state->sources[from].rows);
}

const int32_t *at_state_advance(at_tape *tape, at_state *state, const int *slots, const at_rows *rows,
                                size_t most)
{
    int32_t *starts = at_tape_saved(tape, rows->count, sizeof *starts);
    for (size_t b = 0; b < rows->count && tape->status == AT_OK; b++) {
        size_t count = (size_t)(rows->offsets[b + 1] - rows->offsets[b]);
        size_t length = at_state_length(state, slots[b]);
        starts[b] = (int32_t)(slot_at(state, slots[b])->dropped + length);
        if (at_length_fits(tape, "target", length + count, most) &&
            at_state_extend(state, slots[b], count) != AT_OK)
            tape->status = AT_ENOMEM;
    }
    return tape->status == AT_OK ? starts : NULL;
}

at_status at_state_extend(at_state *state, int index, size_t count)
{
    return list_extend(&slot_at(state, index)->rows, &state->self, count);
}

float *at_state_self_row(at_state *state, size_t block, int32_t row)
{
    AT_ASSERT(state->self.size == sizeof(float) && state->self.shape.heads == 1);
    return (float *)state->self.block[block] + (size_t)row * state->self.shape.width;
}

/* k may be NULL for a pool in fp32. */
static void pool_put(const pool *p, size_t block, int32_t row, const float *data, const at_kernels *k)
{
    size_t width = p->shape.width;
    AT_ASSERT(k || p->size == sizeof(float));
    for (size_t h = 0; h < p->shape.heads; h++, data += width) {
        size_t at = (h * p->capacity + (size_t)row) * width;
        if (k && p->size == sizeof(at_bf16))
            k->narrow((at_bf16 *)p->block[block] + at, data, width);
        else
            memcpy((float *)p->block[block] + at, data, width * sizeof *data);
    }
}

void at_state_put_row(at_state *state, size_t block, int32_t row, const float *data, const at_kernels *k)
{
    pool_put(&state->self, block, row, data, k);
}

void at_state_put_source(at_state *state, int index, size_t block, const float *data, size_t rows)
{
    const source *to = &state->sources[index];
    const at_state_shape *shape = &state->cross.shape;
    AT_ASSERT(block < shape->blocks && rows == to->rows.length);
    for (size_t i = 0; i < rows; i++)
        pool_put(&state->cross, block, to->rows.rows[i], data + i * shape->heads * shape->width, NULL);
}

void at_state_put_begin(at_state *state, int index, const float *data)
{
    memcpy(state->sources[index].begin, data, state->begin_width * sizeof *data);
}

const float *at_state_begin(const at_state *state, int index)
{
    return state->sources[slot_at(state, index)->source].begin;
}
