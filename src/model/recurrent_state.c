/* The decoder while running: what a source leaves in the state, and steps from there. */
#include "model/recurrent.h"
#include <string.h>

/* Puts rows `width` wide into a pool of rows `all` wide. */
static const float *widen(at_tape *tape, const at_var *x, size_t all)
{
    size_t rows = (size_t)x->shape.dim[0], width = (size_t)x->shape.dim[1];
    if (width == all)
        return x->data;
    float *out = at_tape_saved(tape, rows * all, sizeof *out);
    if (out)
        memset(out, 0, rows * all * sizeof *out);
    for (size_t i = 0; out && i < rows; i++)
        memcpy(out + i * all, x->data + i * width, width * sizeof *out);
    return out;
}

void at_rnn_state_source(const at_model *model, at_tape *tape, at_state *state, at_var *memory,
                         const at_rows *rows, const int *sources)
{
    const at_rnn_memory *m = (const at_rnn_memory *)memory;
    const at_rnn_sizes *s = &((const at_rnn_net *)model->net)->sizes;
    size_t cross = s->keys > s->values ? s->keys : s->values;
    size_t context = m->context ? (size_t)m->context->shape.dim[1] : 0;
    const float *blocks[2] = {NULL, NULL};
    at_var *keys =
        m->keys ? at_scorer_keys(tape, &((const at_rnn_net *)model->net)->scorer, m->keys, 1) : NULL;
    if (keys) {
        blocks[0] = widen(tape, keys, cross);
        blocks[1] = widen(tape, m->values, cross);
    }
    float *begin = at_tape_saved(tape, s->row + context, sizeof *begin);
    for (size_t b = 0; b < rows->count && tape->status == AT_OK; b++) {
        size_t first = (size_t)rows->offsets[b];
        for (size_t i = 0; i < 2 && keys; i++)
            at_state_put_source(state, sources[b], i, blocks[i] + first * cross, at_rnn_length(rows, b));
        memset(begin, 0, (s->row + context) * sizeof *begin);
        memcpy(begin, m->start->data + b * s->start, s->start * sizeof *begin);
        if (context)
            memcpy(begin + s->row, m->context->data + b * context, context * sizeof *begin);
        at_state_put_begin(state, sources[b], begin);
    }
}

/* Which slots bring a source's keys and values along: in a beam neighbours look at one source, and its first
 * one does for all, unless somebody asks for their places. */
static size_t choose_bringers(at_rnn_pass *p, int32_t *slots, int32_t *queries)
{
    bool share = p->plan.steps == 1 && !p->tape->trace && p->o->align != AT_LOCAL_MONOTONIC;
    size_t count = 0;
    const int32_t *before = NULL;
    for (size_t j = 0; j < p->plan.sequences; j++) {
        int slot = p->slots[p->plan.order[j]];
        at_cache cache = at_state_cross(p->state, slot);
        if (!share || count == 0 || cache.rows != before) {
            slots[count] = slot;
            queries[count++] = (int32_t)j;
        }
        before = cache.rows;
    }
    queries[count] = (int32_t)p->plan.sequences;
    p->shared = share ? queries : NULL;
    return count;
}

/* Keys or values of these slots' sources, laid together. */
static at_var *laid_together(const at_rnn_pass *p, const int32_t *slots, size_t block, size_t width)
{
    const at_rnn_sizes *s = &p->net->sizes;
    size_t cross = s->keys > s->values ? s->keys : s->values, total = at_rows_total(&p->memory_rows);
    at_var *out = at_tape_value(p->tape, at_shape2((int64_t)total, (int64_t)width));
    float *to = out ? out->data : NULL;
    for (size_t j = 0; to && j < p->memory_rows.count; j++) {
        at_cache cache = at_state_cross(p->state, slots[j]);
        for (size_t i = 0; i < cache.length; i++, to += width)
            memcpy(to, cache.block[block] + (size_t)cache.rows[i] * cross, width * sizeof *to);
    }
    return out;
}

static bool recall_memory(at_rnn_pass *p)
{
    if (p->o->attention == AT_RNN_NONE)
        return true;
    size_t n = p->plan.sequences;
    int32_t *slots = at_tape_saved(p->tape, n, sizeof *slots);
    int32_t *queries = at_tape_saved(p->tape, n + 1, sizeof *queries);
    int32_t *offsets = at_tape_saved(p->tape, n + 1, sizeof *offsets);
    if (!slots || !queries || !offsets)
        return false;
    size_t count = choose_bringers(p, slots, queries);
    offsets[0] = 0;
    for (size_t j = 0; j < count; j++)
        offsets[j + 1] = offsets[j] + (int32_t)at_state_source_length(p->state, slots[j]);
    p->memory_rows = (at_rows){count, offsets, NULL};
    p->keys = laid_together(p, slots, 0, p->net->sizes.keys);
    p->values = laid_together(p, slots, 1, p->net->sizes.values);
    p->ready = true;
    return p->values != NULL;
}

/* What each slot's last row left, or its source's beginning: first states, fed row, C. */
static bool recall_states(at_rnn_pass *p)
{
    const at_rnn_sizes *s = &p->net->sizes;
    size_t n = p->plan.sequences, context = p->o->attention == AT_RNN_NONE ? s->context : 0;
    p->start = at_tape_value(p->tape, at_shape2((int64_t)n, (int64_t)s->start));
    p->fed_row = s->fed ? at_tape_value(p->tape, at_shape2((int64_t)n, (int64_t)s->fed)) : NULL;
    p->context = context ? at_tape_value(p->tape, at_shape2((int64_t)n, (int64_t)context)) : NULL;
    if (p->tape->status != AT_OK)
        return false;
    for (size_t j = 0; j < n; j++) {
        int slot = p->slots[p->plan.order[j]];
        const float *begin = at_state_begin(p->state, slot), *row = begin;
        at_cache cache = at_state_self(p->state, slot);
        if (p->starts[j] > 0)
            row = cache.block[0] + (size_t)cache.rows[p->starts[j] - 1] * s->row;
        memcpy(p->start->data + j * s->start, row, s->start * sizeof *row);
        if (s->fed)
            memcpy(p->fed_row->data + j * s->fed, row + s->start, s->fed * sizeof *row);
        if (context)
            memcpy(p->context->data + j * context, begin + s->row, context * sizeof *row);
    }
    return true;
}

at_var *at_rnn_state_step(const at_model *model, at_tape *tape, at_state *state, const int *slots,
                          const at_rows *rows, const int32_t *ids)
{
    at_rnn_pass *p = at_tape_saved(tape, 1, sizeof *p);
    const int32_t *starts = at_state_advance(tape, state, slots, rows, 0);
    int32_t *sorted = at_tape_saved(tape, rows->count, sizeof *sorted);
    if (!p || !starts || !sorted)
        return NULL;
    *p = (at_rnn_pass){.model = model,
                       .o = model->options,
                       .net = model->net,
                       .tape = tape,
                       .rows = rows,
                       .ids = ids,
                       .state = state,
                       .slots = slots};
    if (!at_rnn_plan_make(tape, rows, &p->plan))
        return NULL;
    for (size_t j = 0; j < rows->count; j++)
        sorted[j] = starts[p->plan.order[j]];
    p->starts = sorted;
    bool found = recall_states(p) && recall_memory(p) && at_rnn_look_begin(p, p->plan.rows);
    return found ? at_rnn_steps(p) : NULL;
}
