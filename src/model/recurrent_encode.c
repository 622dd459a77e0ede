/* The encoder, and what is made of its states: C, the decoder's first states, keys. */
#include "model/recurrent.h"

/* Place by place the row of each sequence read from its end. */
static const int32_t *reversed(at_tape *tape, const at_rows *rows)
{
    int32_t *index = at_tape_saved(tape, at_rows_total(rows), sizeof *index);
    for (size_t b = 0; index && b < rows->count; b++)
        for (int32_t i = rows->offsets[b]; i < rows->offsets[b + 1]; i++)
            index[i] = rows->offsets[b + 1] - 1 - (i - rows->offsets[b]);
    return index;
}

static at_var *embed(const at_rnn_options *o, const at_rnn_net *n, at_tape *tape, const at_batch *batch,
                     const int32_t *order)
{
    const at_rows *rows = &batch->source;
    size_t total = at_rows_total(rows);
    const int32_t *ids = batch->source_ids;
    if (order) {
        int32_t *turned = at_tape_saved(tape, total, sizeof *turned);
        for (size_t i = 0; turned && i < total; i++)
            turned[i] = ids[order[i]];
        ids = turned;
    }
    at_var *x = ids || total == 0 ? at_embed(tape, &n->source, ids, rows, NULL) : NULL;
    return x ? at_dropout_add(tape, NULL, x, (float)o->dropout, rows) : NULL;
}

/* Both directions' last states of a layer, side by side. */
static at_var *last_of(at_tape *tape, const at_recurrent *encoder, const at_cell_state *last, size_t layer,
                       bool cells)
{
    size_t directions = encoder->spec.bidirectional ? 2 : 1;
    at_var *both[2];
    for (size_t d = 0; d < directions; d++) {
        const at_cell_state *s = &last[layer * directions + d];
        both[d] = cells ? s->c : s->h;
    }
    return at_beside(tape, both, directions);
}

/* The last states of all layers, h first, as the decoder's first ones. */
static at_var *hand_over(at_tape *tape, const at_rnn_net *n, const at_cell_state *last)
{
    at_var *parts[2 * AT_RECURRENT_LAYERS];
    size_t count = 0;
    for (size_t part = 0; part < n->sizes.parts; part++)
        for (size_t l = 0; l < n->sizes.layers; l++)
            parts[count++] = last_of(tape, &n->encoder, last, l, part == 1);
    return at_beside(tape, parts, count);
}

static void make_context(const at_rnn_options *o, const at_rnn_net *n, at_tape *tape,
                         const at_cell_state *last, const at_rows *rows, at_rnn_memory *m)
{
    if (!n->start.weight) {
        m->start = hand_over(tape, n, last);
        return;
    }
    at_var *c = o->context == AT_RNN_POOL
                    ? at_mean(tape, m->values, rows)
                    : last_of(tape, &n->encoder, last, (size_t)o->encoder_layers - 1, false);
    if (n->context.weight)
        c = at_linear(tape, c, n->context.weight, n->context.bias, AT_TANH);
    m->start = at_linear(tape, c, n->start.weight, n->start.bias, AT_TANH);
    if (o->attention == AT_RNN_NONE && o->use != AT_RNN_INITIAL)
        m->context = c;
}

at_var *at_rnn_encode(const at_model *model, at_tape *tape, const at_batch *batch)
{
    const at_rnn_options *o = model->options;
    const at_rnn_net *n = model->net;
    const at_rows *rows = &batch->source;
    const int32_t *order = o->reverse ? reversed(tape, rows) : NULL;
    at_rnn_memory *m = at_tape_saved(tape, 1, sizeof *m);
    at_cell_state last[2 * AT_RECURRENT_LAYERS];
    at_var *x = m ? embed(o, n, tape, batch, order) : NULL;
    at_var *h = at_recurrent_rows(tape, &n->encoder, x, rows, NULL, last);
    if (!m || !h)
        return NULL;
    *m = (at_rnn_memory){.values = h};
    make_context(o, n, tape, last, rows, m);
    if (order) { /* the rows again in the order of the words */
        m->values = at_gather(tape, h, order, at_rows_total(rows));
        x = at_gather(tape, x, order, at_rows_total(rows));
    }
    if (o->attention != AT_RNN_NONE)
        m->keys = o->keys == AT_RNN_INPUTS ? x : m->values;
    if (tape->status != AT_OK)
        return NULL;
    m->rows = (at_var){.shape = m->values->shape, .data = m->values->data};
    return &m->rows;
}
