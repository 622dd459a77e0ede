/* Mask, normalise, focus, drop: what happens to scores, row by row of a query and a head. */
#include <math.h>
#include "attention/internal.h"

/* One operation over all pairs; which fields are used is its task's business. */
typedef struct rows_run {
    const at_kernels *k;
    at_exec *exec;
    const at_pairs *pairs;
    const float *a; /* (P) scores or weights that went in */
    float *out;     /* (P) forward: what comes out; backward: gradient of a, added to */
    const float *d_out, *result;
    at_pair_mask mask;
    at_normaliser how;
    const float *share;
    float *d_share;
    int64_t reach;
    float rate;
    uint32_t drop_key[2];
} rows_run;

/* Keys that the mask's ranges leave to query t of sequence b: first … end-1. */
static void visible(const rows_run *r, size_t b, size_t t, size_t *first, size_t *end)
{
    at_pair_block block = at_pairs_block(r->pairs, b, 0);
    const at_pair_mask *m = &r->mask;
    int64_t keys = (int64_t)block.keys, from = 0, to = keys;
    int64_t place = (int64_t)t + (r->pairs->starts ? r->pairs->starts[b] : 0);
    if (m->causal && place + 1 < to)
        to = place + 1;
    if (m->window > 0 && place - m->window + 1 > from)
        from = place - m->window + 1;
    if (m->reach > 0) {
        double centre = place < keys ? (double)place : (double)keys - 1;
        if (m->share)
            centre = fmin(fmax((double)m->share->data[block.first_query + t], 0), 1) * (double)keys;
        int64_t low = (int64_t)ceil(centre - (double)m->reach);
        int64_t high = (int64_t)floor(centre + (double)m->reach) + 1;
        from = low > from ? low : from;
        to = high < to ? high : to;
    }
    *first = from < to ? (size_t)from : 0;
    *end = from < to ? (size_t)to : 0;
}

static void mask_task(void *context, size_t begin, size_t finish, int worker)
{
    (void)worker;
    const rows_run *r = context;
    for (size_t i = begin; i < finish; i++) {
        size_t b = i / r->pairs->heads, first, end;
        at_pair_block block = at_pairs_block(r->pairs, b, i % r->pairs->heads);
        for (size_t t = 0; t < block.queries; t++) {
            size_t at = block.at + t * block.keys;
            visible(r, b, t, &first, &end);
            for (size_t s = 0; s < block.keys; s++) {
                bool seen = s >= first && s < end;
                if (r->d_out)
                    r->out[at + s] += seen && r->result[at + s] > -INFINITY ? r->d_out[at + s] : 0;
                else
                    r->out[at + s] =
                        seen ? r->a[at + s] + (r->mask.added ? r->mask.added[at + s] : 0) : -INFINITY;
            }
        }
    }
}

static void normalise_row(const rows_run *r, size_t at, size_t keys)
{
    switch (r->how) {
    case AT_NORMALISE_SOFTMAX:
        r->k->softmax(r->out + at, r->a + at, keys);
        return;
    case AT_NORMALISE_SPARSEMAX:
        r->k->sparsemax(r->out + at, r->a + at, keys);
        return;
    case AT_NORMALISE_NONE:
    case AT_NORMALISERS:
        break;
    }
    for (size_t s = at; s < at + keys; s++)
        r->out[s] = r->a[s] == -INFINITY ? 0 : r->a[s];
}

static void normalise_row_backward(const rows_run *r, size_t at, size_t keys)
{
    switch (r->how) {
    case AT_NORMALISE_SOFTMAX:
        r->k->softmax_backward(r->out + at, r->result + at, r->d_out + at, keys);
        return;
    case AT_NORMALISE_SPARSEMAX:
        r->k->sparsemax_backward(r->out + at, r->result + at, r->d_out + at, keys);
        return;
    case AT_NORMALISE_NONE:
    case AT_NORMALISERS:
        break;
    }
    for (size_t s = at; s < at + keys; s++)
        r->out[s] += r->a[s] == -INFINITY ? 0 : r->d_out[s];
}

static void normalise_task(void *context, size_t begin, size_t finish, int worker)
{
    (void)worker;
    const rows_run *r = context;
    for (size_t i = begin; i < finish; i++) {
        at_pair_block block = at_pairs_block(r->pairs, i / r->pairs->heads, i % r->pairs->heads);
        for (size_t t = 0; t < block.queries; t++) {
            if (r->d_out)
                normalise_row_backward(r, block.at + t * block.keys, block.keys);
            else
                normalise_row(r, block.at + t * block.keys, block.keys);
        }
    }
}

static void drop_task(void *context, size_t begin, size_t finish, int worker)
{
    (void)worker;
    const rows_run *r = context;
    const uint32_t *examples = r->pairs->queries.examples;
    for (size_t i = begin; i < finish; i++) {
        size_t b = i / r->pairs->heads, h = i % r->pairs->heads;
        at_pair_block block = at_pairs_block(r->pairs, b, h);
        for (size_t t = 0; t < block.queries; t++) {
            size_t at = block.at + t * block.keys;
            uint32_t counter[3] = {(uint32_t)t, (uint32_t)h, examples ? examples[b] : (uint32_t)b};
            const float *from = r->d_out ? r->d_out + at : r->a + at;
            r->k->dropout(r->out + at, r->d_out ? r->out + at : NULL, from, block.keys, r->rate, r->drop_key,
                          counter);
        }
    }
}

/* The bell around a query's centre, for each key. */
static void bell(const rows_run *r, float *out, double centre, size_t keys)
{
    double width = (double)r->reach / 2;
    for (size_t s = 0; s < keys; s++) {
        double apart = (double)s - centre;
        out[s] = (float)(-apart * apart / (2 * width * width));
    }
    r->k->exp(out, out, keys);
}

/* d exp(-(s-c)^2 / 2w^2) / d share = bell * (s-c) / w^2 * S; heads of a query share its centre. */
static void focus_backward_row(const rows_run *r, const at_pair_block *block, size_t t, float *bells)
{
    size_t at = block->at + t * block->keys, query = block->first_query + t;
    double centre = (double)r->share[query] * (double)block->keys, sum = 0;
    bell(r, bells, centre, block->keys);
    for (size_t s = 0; s < block->keys; s++) {
        if (r->out)
            r->out[at + s] += r->d_out[at + s] * bells[s];
        sum += (double)r->d_out[at + s] * (double)r->a[at + s] * (double)bells[s] * ((double)s - centre);
    }
    double width = (double)r->reach / 2;
    if (r->d_share)
        r->d_share[query] += (float)(sum * (double)block->keys / (width * width));
}

static void focus_task(void *context, size_t begin, size_t finish, int worker)
{
    const rows_run *r = context;
    float *bells = at_exec_scratch(r->exec, worker);
    for (size_t b = begin; b < finish; b++) {
        for (size_t h = 0; h < r->pairs->heads; h++) {
            at_pair_block block = at_pairs_block(r->pairs, b, h);
            for (size_t t = 0; t < block.queries; t++) {
                size_t at = block.at + t * block.keys;
                if (r->d_out) {
                    focus_backward_row(r, &block, t, bells);
                    continue;
                }
                double share = (double)r->share[block.first_query + t];
                bell(r, bells, share * (double)block.keys, block.keys);
                r->k->mul(r->out + at, r->a + at, bells, block.keys);
            }
        }
    }
}

/* The same run again, its output now being the gradient of its input. */
static void back(at_tape *tape, const at_node *node, at_range_task *task)
{
    rows_run r = *(const rows_run *)node->saved;
    r.out = at_tape_grad(tape, node->in[0], NULL);
    r.result = node->out->data;
    r.d_out = node->out->grad;
    if (r.out)
        at_pairs_run(tape, r.pairs, r.pairs->heads, 8, task, &r);
}

static void mask_backward(at_tape *tape, const at_node *node)
{
    back(tape, node, mask_task);
}

static void normalise_backward(at_tape *tape, const at_node *node)
{
    back(tape, node, normalise_task);
}

static void drop_backward(at_tape *tape, const at_node *node)
{
    back(tape, node, drop_task);
}

static void focus_backward(at_tape *tape, const at_node *node)
{
    rows_run r = *(const rows_run *)node->saved;
    size_t keys;
    at_pairs_largest(r.pairs, &keys);
    r.out = at_tape_grad(tape, node->in[0], NULL);
    r.d_share = at_tape_grad(tape, node->in[1], NULL);
    r.d_out = node->out->grad;
    if (at_exec_reserve(tape->exec, keys) != AT_OK)
        tape->status = AT_ENOMEM;
    if (tape->status == AT_OK)
        at_pairs_run(tape, r.pairs, 1, 32, focus_task, &r);
}

const at_op at_op_pairs_mask = {"pairs_mask", mask_backward};
const at_op at_op_pairs_normalise = {"pairs_normalise", normalise_backward};
const at_op at_op_pairs_drop = {"pairs_drop", drop_backward};
const at_op at_op_pairs_focus = {"pairs_focus", focus_backward};

/* What all of them begin with. */
static rows_run *prepare(at_tape *tape, const char *what, const at_var *a, const at_pairs *pairs,
                         at_var **out)
{
    if (!at_pairs_expect(tape, what, a, pairs))
        return NULL;
    *out = at_tape_value(tape, a->shape);
    rows_run *r = *out ? at_tape_saved(tape, 1, sizeof *r) : NULL;
    if (r)
        *r = (rows_run){
            .k = tape->exec->kernels, .exec = tape->exec, .pairs = pairs, .a = a->data, .out = (*out)->data};
    return r;
}

at_var *at_pairs_mask(at_tape *tape, at_var *scores, const at_pairs *pairs, const at_pair_mask *mask)
{
    AT_ASSERT(mask->window >= 0 && mask->reach >= 0);
    if (!mask->causal && mask->window == 0 && mask->reach == 0 && !mask->added)
        return scores;
    if (!pairs)
        return NULL;
    if (mask->share && !at_expect_shape(tape, "centres of local attention", mask->share,
                                        at_shape2((int64_t)at_rows_total(&pairs->queries), 1)))
        return NULL;
    at_var *out;
    rows_run *r = prepare(tape, "scores to mask", scores, pairs, &out);
    if (!r)
        return NULL;
    r->mask = *mask;
    at_pairs_run(tape, pairs, pairs->heads, 2, mask_task, r);
    return at_tape_record(tape, &at_op_pairs_mask, out, &scores, 1, r);
}

at_var *at_pairs_normalise(at_tape *tape, at_var *scores, const at_pairs *pairs, at_normaliser how)
{
    at_var *out;
    rows_run *r = prepare(tape, "scores", scores, pairs, &out);
    if (!r)
        return NULL;
    r->how = how;
    at_pairs_run(tape, pairs, pairs->heads, 8, normalise_task, r);
    return at_tape_record(tape, &at_op_pairs_normalise, out, &scores, 1, r);
}

at_var *at_pairs_drop(at_tape *tape, at_var *weights, const at_pairs *pairs, float rate)
{
    if (tape->mode != AT_TAPE_TRAIN || rate <= 0)
        return weights;
    at_var *out;
    rows_run *r = prepare(tape, "weights", weights, pairs, &out);
    if (!r)
        return NULL;
    r->rate = rate;
    at_tape_dropout_key(tape, r->drop_key);
    at_pairs_run(tape, pairs, pairs->heads, 8, drop_task, r);
    return at_tape_record(tape, &at_op_pairs_drop, out, &weights, 1, r);
}

at_var *at_pairs_focus(at_tape *tape, at_var *weights, at_var *share, const at_pairs *pairs, int64_t reach)
{
    AT_ASSERT(reach > 0);
    if (!pairs || !at_expect_shape(tape, "centres of local attention", share,
                                   at_shape2((int64_t)at_rows_total(&pairs->queries), 1)))
        return NULL;
    at_var *out;
    rows_run *r = prepare(tape, "weights", weights, pairs, &out);
    if (!r)
        return NULL;
    size_t keys;
    at_pairs_largest(pairs, &keys);
    if (at_exec_reserve(tape->exec, keys) != AT_OK) {
        tape->status = AT_ENOMEM;
        return NULL;
    }
    r->share = share->data;
    r->reach = reach;
    at_pairs_run(tape, pairs, 1, 32, focus_task, r);
    return at_tape_record(tape, &at_op_pairs_focus, out, (at_var *[]){weights, share}, 2, r);
}
