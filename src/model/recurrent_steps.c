/* The decoder step by step, once for training and running: a step takes the sequences that have a row there.
 * What every row needs of itself alone is made for all rows before or after the loop. */
#include "model/recurrent.h"
#include <string.h>

/* ---------------------------------------------------------------- the plan */

/* Sequences by falling length, equal ones in their order. */
static bool sort_sequences(at_tape *tape, const at_rows *rows, at_rnn_plan *plan, int32_t *order)
{
    int32_t *next = at_tape_saved(tape, plan->steps + 2, sizeof *next); /* place of each length's next */
    if (!next)
        return false;
    memset(next, 0, (plan->steps + 2) * sizeof *next);
    for (size_t b = 0; b < rows->count; b++)
        next[at_rnn_length(rows, b)]++;
    int32_t place = 0;
    for (size_t length = plan->steps + 1; length-- > 0;) {
        int32_t count = next[length];
        next[length] = place;
        place += count;
    }
    for (size_t b = 0; b < rows->count; b++)
        order[next[at_rnn_length(rows, b)]++] = (int32_t)b;
    return true;
}

bool at_rnn_plan_make(at_tape *tape, const at_rows *rows, at_rnn_plan *plan)
{
    *plan = (at_rnn_plan){.sequences = rows->count, .rows = at_rows_total(rows)};
    for (size_t b = 0; b < rows->count; b++)
        plan->steps = at_rnn_length(rows, b) > plan->steps ? at_rnn_length(rows, b) : plan->steps;
    size_t n = plan->sequences, total = plan->rows, steps = plan->steps;
    int32_t *order = at_tape_saved(tape, n, sizeof *order), *ones = at_tape_saved(tape, n + 1, sizeof *ones);
    int32_t *counts = at_tape_saved(tape, steps, sizeof *counts),
            *firsts = at_tape_saved(tape, steps, sizeof *firsts);
    int32_t *there = at_tape_saved(tape, total, sizeof *there),
            *back = at_tape_saved(tape, total, sizeof *back),
            *owner = at_tape_saved(tape, total, sizeof *owner);
    uint32_t *examples = at_tape_saved(tape, n, sizeof *examples);
    if (tape->status != AT_OK || !sort_sequences(tape, rows, plan, order))
        return false;
    int32_t at = 0;
    for (size_t t = 0; t < steps; t++) {
        firsts[t] = at;
        for (size_t j = 0; j < n && at_rnn_length(rows, (size_t)order[j]) > t; j++, at++) {
            there[at] = rows->offsets[order[j]] + (int32_t)t;
            back[there[at]] = at;
            owner[at] = (int32_t)j;
        }
        counts[t] = at - firsts[t];
    }
    for (size_t j = 0; j <= n; j++)
        ones[j] = (int32_t)j;
    for (size_t j = 0; j < n; j++)
        examples[j] = rows->examples ? rows->examples[order[j]] : (uint32_t)order[j];
    plan->order = order, plan->counts = counts, plan->firsts = firsts, plan->there = there;
    plan->back = back, plan->owner = owner, plan->examples = examples, plan->ones = ones;
    return true;
}

/* ---------------------------------------------------------------- the loop */

typedef struct loop {
    at_rnn_pass *p;
    at_cell_loop *cells[AT_RECURRENT_LAYERS];
    at_repeated *inputs[AT_RECURRENT_LAYERS]; /* of the layers above the first, and of sampled words */
    at_repeated *fed, *by_state, *by_context;
    at_cell_state states[AT_RECURRENT_LAYERS];
    at_var *fed_row;
    at_var *words, *sums;                       /* of all rows, by time; not when words are sampled */
    at_var **tops, **contexts, **outs, **drawn; /* (steps) */
    int32_t *ids;                               /* (sequences) of this step, when words are sampled */
} loop;

static at_rows step_rows(const at_rnn_plan *plan, size_t count)
{
    return (at_rows){count, plan->ones, plan->examples};
}

static bool keep_lists(loop *l)
{
    at_tape *tape = l->p->tape;
    size_t steps = l->p->plan.steps;
    at_var ***lists[] = {&l->tops, &l->contexts, &l->outs, &l->drawn};
    for (size_t i = 0; i < 4; i++) {
        *lists[i] = at_tape_saved(tape, steps, sizeof(at_var *));
        for (size_t t = 0; *lists[i] && t < steps; t++)
            (*lists[i])[t] = NULL;
    }
    l->ids = at_tape_saved(tape, l->p->plan.sequences, sizeof *l->ids);
    return tape->status == AT_OK;
}

/* What every step adds to the first layer's sums and can be had for all rows at once. */
static void prepare_sums(loop *l)
{
    const at_rnn_pass *p = l->p;
    const at_rnn_net *n = p->net;
    at_tape *tape = p->tape;
    if (!at_rnn_samples(p)) {
        at_var *words = at_rnn_words(p);
        l->words = words ? at_gather(tape, words, p->plan.there, p->plan.rows) : NULL;
        l->sums = at_rnn_sums(p, 0, l->words);
    }
    if (p->context) {
        at_var *fed = at_linear(tape, p->context, n->fed, NULL, AT_LINEAR);
        fed = fed ? at_gather(tape, fed, p->plan.owner, p->plan.rows) : NULL;
        l->sums = l->sums ? at_add(tape, l->sums, fed) : fed;
    }
}

static bool open_loop(loop *l)
{
    at_rnn_pass *p = l->p;
    const at_rnn_net *n = p->net;
    at_tape *tape = p->tape;
    size_t rows = p->plan.rows;
    if (!keep_lists(l))
        return false;
    prepare_sums(l);
    for (size_t i = 0; i < n->sizes.layers; i++) {
        const at_recurrent_input *in = &n->decoder.input[2 * i];
        l->states[i] = at_rnn_first_state(p, i);
        l->cells[i] = at_cell_open(tape, &n->decoder.cell[2 * i], rows);
        if (i > 0 || at_rnn_samples(p))
            l->inputs[i] = at_repeated_new(tape, in->weight, in->bias, rows);
    }
    if (p->o->attention != AT_RNN_NONE && n->fed)
        l->fed = at_repeated_new(tape, n->fed, NULL, rows);
    if (p->o->attention == AT_RNN_LUONG) {
        l->by_state = at_repeated_new(tape, n->by_state.weight, n->by_state.bias, rows);
        l->by_context = at_repeated_new(tape, n->by_context, NULL, rows);
    }
    l->fed_row = p->fed_row;
    if (at_rnn_samples(p))
        p->logits = at_repeated_new(tape, n->output, NULL, rows);
    return tape->status == AT_OK;
}

static at_var *narrow(at_tape *tape, at_var *x, size_t count)
{
    return x ? at_slice(tape, x, 0, count) : NULL;
}

/* The first layer's sums by word and one C, without what attention adds. */
static at_var *step_sums(loop *l, size_t t, const at_rows *rows)
{
    const at_rnn_pass *p = l->p;
    size_t count = rows->count, first = (size_t)p->plan.firsts[t];
    at_var *ready = l->sums ? at_slice(p->tape, l->sums, first, count) : NULL;
    if (!at_rnn_samples(p))
        return ready;
    for (size_t j = 0; j < count; j++)
        l->ids[j] = p->ids[p->plan.there[first + j]];
    if (t > 0)
        at_rnn_sample(p, t, count, l->outs[t - 1], l->ids);
    l->drawn[t] = at_rnn_drop(p, at_embed(p->tape, &p->net->target, l->ids, rows, NULL), rows);
    return at_repeated_step(p->tape, l->inputs[0], l->drawn[t], ready);
}

/* Luong: C_i from the new state, and the row that goes out and perhaps back. */
static void step_luong(loop *l, size_t t, size_t count, at_var *top)
{
    at_tape *tape = l->p->tape;
    at_var *c = at_rnn_look_step(l->p, top, t, count);
    at_var *sum = at_repeated_step(tape, l->by_context, c, at_repeated_step(tape, l->by_state, top, NULL));
    l->outs[t] = at_activate(tape, sum, AT_TANH);
    if (l->p->net->sizes.fed)
        l->fed_row = l->outs[t];
}

static void take_step(loop *l, size_t t)
{
    const at_rnn_pass *p = l->p;
    at_tape *tape = p->tape;
    size_t count = (size_t)p->plan.counts[t], layers = p->net->sizes.layers;
    at_rows rows = step_rows(&p->plan, count);
    for (size_t i = 0; i < layers; i++) {
        l->states[i].h = narrow(tape, l->states[i].h, count);
        l->states[i].c = narrow(tape, l->states[i].c, count);
    }
    l->fed_row = narrow(tape, l->fed_row, count);
    at_var *sums = step_sums(l, t, &rows);
    if (p->o->attention == AT_RNN_BAHDANAU) {
        l->contexts[t] = at_rnn_look_step(p, l->states[layers - 1].h, t, count);
        sums = at_repeated_step(tape, l->fed, l->contexts[t], sums);
    } else if (p->o->attention == AT_RNN_LUONG && l->fed) {
        sums = at_repeated_step(tape, l->fed, l->fed_row, sums);
    }
    for (size_t i = 0; i < layers && tape->status == AT_OK; i++) {
        if (i > 0)
            sums = at_repeated_step(tape, l->inputs[i], at_rnn_drop(p, l->states[i - 1].h, &rows), NULL);
        l->states[i] = at_cell_next(tape, l->cells[i], sums, l->states[i]);
    }
    l->tops[t] = l->states[layers - 1].h;
    if (p->o->attention == AT_RNN_LUONG)
        step_luong(l, t, count, l->tops[t]);
    else if (at_rnn_samples(p) && tape->status == AT_OK)
        l->outs[t] = at_rnn_peek(p, l->tops[t], l->drawn[t], l->contexts[t], count);
}

static void copy_part(float **to, const at_var *from, size_t row)
{
    size_t width = (size_t)from->shape.dim[1];
    memcpy(*to, from->data + row * width, width * sizeof **to);
    *to += width;
}

/* Running: what the step leaves goes to the rows that the state has reserved. */
static void store_step(const loop *l, size_t t)
{
    const at_rnn_pass *p = l->p;
    const at_rnn_sizes *s = &p->net->sizes;
    for (size_t j = 0; j < (size_t)p->plan.counts[t]; j++) {
        at_cache cache = at_state_self(p->state, p->slots[p->plan.order[j]]);
        float *to = at_state_self_row(p->state, 0, cache.rows[(size_t)p->starts[j] + t]);
        for (size_t part = 0; part < s->parts; part++)
            for (size_t i = 0; i < s->layers; i++)
                copy_part(&to, part ? l->states[i].c : l->states[i].h, j);
        if (s->fed)
            copy_part(&to, l->fed_row, j);
    }
}

/* Output rows of all steps, by time. */
static at_var *collect(loop *l)
{
    const at_rnn_pass *p = l->p;
    at_tape *tape = p->tape;
    size_t steps = p->plan.steps;
    if (p->o->attention == AT_RNN_LUONG)
        return at_stack_rows(tape, l->outs, steps);
    at_var *tops = at_stack_rows(tape, l->tops, steps), *context = NULL;
    at_var *words = at_rnn_samples(p) ? at_stack_rows(tape, l->drawn, steps) : l->words;
    if (p->context)
        context = at_gather(tape, p->context, p->plan.owner, p->plan.rows);
    else if (p->o->attention == AT_RNN_BAHDANAU)
        context = at_stack_rows(tape, l->contexts, steps);
    return at_rnn_read_out(p, tops, words, context);
}

at_var *at_rnn_steps(at_rnn_pass *p)
{
    loop *l = at_tape_saved(p->tape, 1, sizeof *l);
    if (!l)
        return NULL;
    *l = (loop){.p = p};
    if (!open_loop(l))
        return NULL;
    for (size_t t = 0; t < p->plan.steps; t++) {
        take_step(l, t);
        if (p->tape->status != AT_OK)
            return NULL;
        if (p->state)
            store_step(l, t);
    }
    at_var *by_time = p->plan.steps ? collect(l) : NULL;
    if (p->plan.steps == 0)
        return at_tape_value(p->tape, at_shape2(0, (int64_t)p->net->sizes.out));
    return by_time ? at_rnn_drop(p, at_gather(p->tape, by_time, p->plan.back, p->plan.rows), p->rows) : NULL;
}
