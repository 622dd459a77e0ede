/* The decoder while training. Where no step needs what the one before gave out, a layer runs over whole
 * sequences at once; otherwise step by step. And what both ways share. */
#include "model/recurrent.h"
#include <string.h>

at_var *at_rnn_drop(const at_rnn_pass *p, at_var *x, const at_rows *rows)
{
    return x ? at_dropout_add(p->tape, NULL, x, (float)p->o->dropout, rows) : NULL;
}

/* A layer's part of the first states. */
at_cell_state at_rnn_first_state(const at_rnn_pass *p, size_t layer)
{
    const at_rnn_sizes *s = &p->net->sizes;
    at_cell_state state = {at_columns(p->tape, p->start, layer * s->hidden, s->hidden), NULL};
    if (s->parts == 2)
        state.c = at_columns(p->tape, p->start, (s->layers + layer) * s->hidden, s->hidden);
    return state;
}

at_var *at_rnn_words(const at_rnn_pass *p)
{
    return at_rnn_drop(p, at_embed(p->tape, &p->net->target, p->ids, p->rows, NULL), p->rows);
}

at_var *at_rnn_sums(const at_rnn_pass *p, size_t layer, at_var *x)
{
    const at_recurrent_input *in = &p->net->decoder.input[2 * layer];
    return at_linear(p->tape, x, in->weight, in->bias, AT_LINEAR);
}

at_var *at_rnn_read_out(const at_rnn_pass *p, at_var *state, at_var *word, at_var *context)
{
    const at_rnn_net *n = p->net;
    if (!n->by_state.weight)
        return state;
    at_var *sum = at_linear(p->tape, state, n->by_state.weight, n->by_state.bias, AT_LINEAR);
    sum = at_add(p->tape, sum, at_linear(p->tape, word, n->by_word, NULL, AT_LINEAR));
    sum = at_add(p->tape, sum, at_linear(p->tape, context, n->by_context, NULL, AT_LINEAR));
    if (p->o->readout == AT_RNN_MAXOUT)
        return at_maxout(p->tape, sum);
    return p->o->readout == AT_RNN_TANH ? at_activate(p->tape, sum, AT_TANH) : sum;
}

/* ---------------------------------------------------------------- whole sequences at once */

/* Which sequence each row is of. */
static const int32_t *owners(at_tape *tape, const at_rows *rows)
{
    int32_t *owner = at_tape_saved(tape, at_rows_total(rows), sizeof *owner);
    for (size_t b = 0; owner && b < rows->count; b++)
        for (int32_t i = rows->offsets[b]; i < rows->offsets[b + 1]; i++)
            owner[i] = (int32_t)b;
    return owner;
}

/* tanh(W s + W' c): Luong et al. 2015, eq. 5. */
static at_var *attended(const at_rnn_pass *p, at_var *state, at_var *context)
{
    at_var *by_state = at_linear(p->tape, state, p->net->by_state.weight, p->net->by_state.bias, AT_LINEAR);
    at_var *by_context = at_linear(p->tape, context, p->net->by_context, NULL, AT_LINEAR);
    return at_activate(p->tape, at_add(p->tape, by_state, by_context), AT_TANH);
}

static at_var *run_whole(at_rnn_pass *p)
{
    const at_rnn_net *n = p->net;
    size_t total = at_rows_total(p->rows);
    at_var *word = at_rnn_words(p), *context = NULL;
    at_var *sums = at_rnn_sums(p, 0, word);
    if (p->context) {
        const int32_t *owner = owners(p->tape, p->rows);
        at_var *fed = at_linear(p->tape, p->context, n->fed, NULL, AT_LINEAR);
        context = owner ? at_gather(p->tape, p->context, owner, total) : NULL;
        sums = context ? at_add(p->tape, sums, at_gather(p->tape, fed, owner, total)) : NULL;
    }
    if (!at_rnn_look_begin(p, total))
        return NULL;
    at_var *h = NULL;
    for (size_t l = 0; l < n->sizes.layers; l++) {
        at_cell_state first = at_rnn_first_state(p, l);
        if (l > 0)
            sums = at_rnn_sums(p, l, at_rnn_drop(p, h, p->rows));
        h = at_recurrence(p->tape, &n->decoder.cell[2 * l], sums, p->rows, false, &first, NULL);
    }
    if (p->o->attention == AT_RNN_LUONG)
        return at_rnn_drop(p, attended(p, h, at_rnn_look(p, h)), p->rows);
    return at_rnn_drop(p, at_rnn_read_out(p, h, word, context), p->rows);
}

/* ---------------------------------------------------------------- training */

/* Rows of whole sequences in another order of the sequences; offsets of the new order into *moved. */
static const int32_t *move_sequences(at_tape *tape, const at_rows *rows, const int32_t *order, at_rows *moved)
{
    int32_t *index = at_tape_saved(tape, at_rows_total(rows), sizeof *index);
    int32_t *offsets = at_tape_saved(tape, rows->count + 1, sizeof *offsets);
    if (!index || !offsets)
        return NULL;
    offsets[0] = 0;
    for (size_t j = 0; j < rows->count; j++) {
        int32_t first = rows->offsets[order[j]], count = rows->offsets[order[j] + 1] - first;
        for (int32_t i = 0; i < count; i++)
            index[offsets[j] + i] = first + i;
        offsets[j + 1] = offsets[j] + count;
    }
    *moved = (at_rows){rows->count, offsets, NULL};
    return index;
}

/* Everything of the source in the plan's order. */
static bool sort_memory(at_rnn_pass *p, const at_rows *source)
{
    size_t n = p->plan.sequences, total = at_rows_total(source);
    bool sorted = true;
    for (size_t j = 0; j < n; j++)
        sorted = sorted && p->plan.order[j] == (int32_t)j;
    if (sorted)
        return true;
    const int32_t *index = move_sequences(p->tape, source, p->plan.order, &p->memory_rows);
    if (!index)
        return false;
    p->start = at_gather(p->tape, p->start, p->plan.order, n);
    if (p->context)
        p->context = at_gather(p->tape, p->context, p->plan.order, n);
    if (p->keys) {
        bool same = p->keys == p->values;
        p->values = at_gather(p->tape, p->values, index, total);
        p->keys = same ? p->values : at_gather(p->tape, p->keys, index, total);
    }
    return p->tape->status == AT_OK;
}

at_var *at_rnn_decode(const at_model *model, at_tape *tape, const at_batch *batch, at_var *memory)
{
    if (!memory)
        return NULL;
    const at_rnn_memory *m = (const at_rnn_memory *)memory; /* its first member */
    at_rnn_pass *p = at_tape_saved(tape, 1, sizeof *p);
    if (!p)
        return NULL;
    *p = (at_rnn_pass){.model = model,
                       .o = model->options,
                       .net = model->net,
                       .tape = tape,
                       .rows = &batch->target,
                       .ids = batch->target_in,
                       .memory_rows = batch->source,
                       .keys = m->keys,
                       .values = m->values,
                       .start = m->start,
                       .context = m->context};
    bool steps = p->o->attention == AT_RNN_BAHDANAU || p->net->sizes.fed || at_rnn_samples(p);
    if (!steps)
        return run_whole(p);
    if (!at_rnn_plan_make(tape, p->rows, &p->plan) || !sort_memory(p, &batch->source))
        return NULL;
    if (p->net->sizes.fed) {
        size_t width = p->net->sizes.fed;
        float *zeros = at_tape_saved(tape, p->plan.sequences * width, sizeof *zeros);
        if (!zeros)
            return NULL;
        memset(zeros, 0, p->plan.sequences * width * sizeof *zeros);
        p->fed_row = at_leaf(tape, at_shape2((int64_t)p->plan.sequences, (int64_t)width), zeros, NULL);
    }
    return at_rnn_look_begin(p, p->plan.rows) ? at_rnn_steps(p) : NULL;
}
