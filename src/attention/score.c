#include "attention/score.h"
#include <math.h>
#include <string.h>
#include "attention/internal.h"

/* The additive score's gradient of v is summed in at most this many parts, joined in order. */
enum { PARTS = 32 };

const at_score_row at_score_table[AT_SCORES] = {
    [AT_SCORE_SCALED_DOT] = {"scaled-dot", "q . k / sqrt(K)", "Vaswani et al. 2017", true, true},
    [AT_SCORE_DOT] = {"dot", "q . k", "Luong et al. 2015", true, true},
    [AT_SCORE_GENERAL] = {"general", "q . W k", "Luong et al. 2015", false, true},
    [AT_SCORE_ADDITIVE] = {"additive", "v . tanh(W_q q + W_k k)", "Bahdanau et al. 2015", false, true},
    [AT_SCORE_CONCAT] = {"concat", "v . tanh(W [q; k])", "Luong et al. 2015", false, true},
    [AT_SCORE_COSINE] = {"cosine", "q . k / (|q| |k|)", "Graves et al. 2014", true, true},
    [AT_SCORE_COSINE_LEARNED] = {"cosine-learned", "g sqrt(K) q . k / (|q| |k|)", "Henry et al. 2020", true,
                                 true},
    [AT_SCORE_LOCATION] = {"location", "(W q)[place of k]", "Luong et al. 2015", false, false},
};

typedef struct score_run {
    const at_kernels *k;
    at_exec *exec;
    const at_pairs *pairs;
    size_t width; /* of one head: K, A, or places */
    const float *q, *keys, *v;
    float *scores;
    float factor;
    const float *d_scores;
    float *d_q, *d_k, *d_v;
    size_t items, part; /* additive, backward: sequences x groups, and how many of them a part has */
} score_run;

static void dot_task(void *context, size_t begin, size_t end, int worker)
{
    const score_run *r = context;
    const at_pairs *p = r->pairs;
    float *scratch = at_exec_scratch(r->exec, worker);
    size_t stride = p->groups * r->width, q_stride = p->heads * r->width;
    for (size_t i = begin; i < end; i++) {
        size_t h = i % p->heads, g = h / (p->heads / p->groups);
        at_pair_block block = at_pairs_block(p, i / p->heads, h);
        at_block_product product = {.a = r->q + block.first_query * q_stride + h * r->width,
                                    .a_row = q_stride,
                                    .a_col = 1,
                                    .b = r->keys + block.first_key * stride + g * r->width,
                                    .b_row = stride,
                                    .transposed = true,
                                    .c = r->scores + block.at,
                                    .c_row = block.keys,
                                    .m = block.queries,
                                    .n = block.keys,
                                    .k = r->width};
        at_block_multiply(r->k, &product, scratch);
        if (r->factor != 1)
            r->k->scale(product.c, product.c, r->factor, block.queries * block.keys);
    }
}

/* d_q (T,K) += d (T,S) · k; d_k (S,K) += d^T · q. Heads of a group add to the same keys. */
static void dot_backward_task(void *context, size_t begin, size_t end, int worker)
{
    const score_run *r = context;
    const at_pairs *p = r->pairs;
    float *scaled = at_exec_scratch(r->exec, worker);
    size_t stride = p->groups * r->width, q_stride = p->heads * r->width, each = p->heads / p->groups;
    for (size_t i = begin; i < end; i++) {
        size_t g = i % p->groups;
        for (size_t h = g * each; h < (g + 1) * each; h++) {
            at_pair_block block = at_pairs_block(p, i / p->groups, h);
            size_t q = block.first_query * q_stride + h * r->width;
            size_t k = block.first_key * stride + g * r->width;
            r->k->scale(scaled, r->d_scores + block.at, r->factor, block.queries * block.keys);
            at_block_product d_q = {.a = scaled,
                                    .a_row = block.keys,
                                    .a_col = 1,
                                    .b = r->keys + k,
                                    .b_row = stride,
                                    .c = r->d_q ? r->d_q + q : NULL,
                                    .c_row = q_stride,
                                    .m = block.queries,
                                    .n = r->width,
                                    .k = block.keys,
                                    .accumulate = true};
            if (r->d_q)
                at_block_multiply(r->k, &d_q, NULL);
            at_block_product d_k = {.a = scaled,
                                    .a_row = 1,
                                    .a_col = block.keys,
                                    .b = r->q + q,
                                    .b_row = q_stride,
                                    .c = r->d_k ? r->d_k + k : NULL,
                                    .c_row = stride,
                                    .m = block.keys,
                                    .n = r->width,
                                    .k = block.queries,
                                    .accumulate = true};
            if (r->d_k)
                at_block_multiply(r->k, &d_k, NULL);
        }
    }
}

static void dot_backward(at_tape *tape, const at_node *node)
{
    score_run r = *(const score_run *)node->saved;
    r.d_q = at_tape_grad(tape, node->in[0], NULL);
    r.d_k = at_tape_grad(tape, node->in[1], NULL);
    r.d_scores = node->out->grad;
    size_t keys, largest = at_pairs_largest(r.pairs, &keys);
    if (at_exec_reserve(tape->exec, largest) != AT_OK)
        tape->status = AT_ENOMEM;
    if (tape->status == AT_OK)
        at_pairs_run(tape, r.pairs, r.pairs->groups, 2 * r.width, dot_backward_task, &r);
    at_pairs_count(tape, r.pairs, 2 * r.width);
}

/* The kernel's view of one query against its sequence's keys. */
static at_additive additive_of(const score_run *r, const at_pair_block *block, size_t t, size_t h)
{
    const at_pairs *p = r->pairs;
    size_t g = h / (p->heads / p->groups), stride = p->groups * r->width;
    size_t q = (block->first_query + t) * p->heads * r->width + h * r->width;
    size_t k = block->first_key * stride + g * r->width;
    at_additive a = {.q = r->q + q,
                     .k = r->keys + k,
                     .v = r->v + h * r->width,
                     .keys = block->keys,
                     .width = r->width,
                     .k_stride = stride};
    if (r->d_scores) {
        a.d_scores = r->d_scores + block->at + t * block->keys;
        a.d_q = r->d_q + q;
        a.d_k = r->d_k + k;
    }
    return a;
}

static void additive_task(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const score_run *r = context;
    for (size_t i = begin; i < end; i++) {
        size_t h = i % r->pairs->heads;
        at_pair_block block = at_pairs_block(r->pairs, i / r->pairs->heads, h);
        for (size_t t = 0; t < block.queries; t++) {
            at_additive a = additive_of(r, &block, t, h);
            r->k->additive(&a, r->scores + block.at + t * block.keys);
        }
    }
}

/* Each part has its own sum of d_v; parts are cut by shape. */
static void additive_backward_task(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const score_run *r = context;
    const at_pairs *p = r->pairs;
    size_t each = p->heads / p->groups;
    for (size_t part = begin; part < end; part++) {
        size_t last = (part + 1) * r->part < r->items ? (part + 1) * r->part : r->items;
        for (size_t i = part * r->part; i < last; i++) {
            for (size_t h = i % p->groups * each; h < (i % p->groups + 1) * each; h++) {
                at_pair_block block = at_pairs_block(p, i / p->groups, h);
                for (size_t t = 0; t < block.queries; t++) {
                    at_additive a = additive_of(r, &block, t, h);
                    a.d_v = r->d_v + (part * p->heads + h) * r->width;
                    r->k->additive_backward(&a);
                }
            }
        }
    }
}

static void additive_backward(at_tape *tape, const at_node *node)
{
    score_run r = *(const score_run *)node->saved;
    float *own[2] = {NULL, NULL}, *d[2];
    for (int i = 0; i < 2; i++) { /* the kernel adds to both; what nobody wants goes to a block of its own */
        d[i] = at_tape_grad(tape, node->in[i], NULL);
        if (!d[i]) {
            size_t n = at_shape_count(node->in[i]->shape) + 1;
            d[i] = own[i] = at_tape_borrow(tape, n);
            if (own[i])
                memset(own[i], 0, n * sizeof(float));
        }
    }
    r.items = r.pairs->queries.count * r.pairs->groups;
    r.part = r.items / PARTS + (r.items % PARTS != 0);
    size_t parts = r.items ? (r.items + r.part - 1) / r.part : 0, all = r.pairs->heads * r.width;
    r.d_v = at_tape_borrow(tape, parts * all + 1);
    if (tape->status == AT_OK) {
        memset(r.d_v, 0, parts * all * sizeof *r.d_v);
        r.d_q = d[0];
        r.d_k = d[1];
        r.d_scores = node->out->grad;
        at_exec_rows(tape->exec, parts, 1, additive_backward_task, &r);
        at_pairs_count(tape, r.pairs, 2 * r.width);
        float *d_v = at_tape_grad(tape, node->in[2], NULL);
        for (size_t i = 0; i < parts && d_v; i++)
            r.k->add(d_v, d_v, r.d_v + i * all, all);
    }
    at_tape_return(tape, r.d_v);
    at_tape_return(tape, own[0]);
    at_tape_return(tape, own[1]);
}

static void location_task(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const score_run *r = context;
    const at_pairs *p = r->pairs;
    for (size_t i = begin; i < end; i++) {
        size_t h = i % p->heads;
        at_pair_block block = at_pairs_block(p, i / p->heads, h);
        for (size_t t = 0; t < block.queries; t++) {
            size_t at = block.at + t * block.keys;
            size_t from = ((block.first_query + t) * p->heads + h) * r->width;
            size_t known = block.keys < r->width ? block.keys : r->width;
            if (r->d_scores) {
                r->k->add(r->d_q + from, r->d_q + from, r->d_scores + at, known);
                continue;
            }
            memcpy(r->scores + at, r->q + from, known * sizeof *r->scores);
            for (size_t s = known; s < block.keys; s++)
                r->scores[at + s] = -INFINITY;
        }
    }
}

static void location_backward(at_tape *tape, const at_node *node)
{
    score_run r = *(const score_run *)node->saved;
    r.d_q = at_tape_grad(tape, node->in[0], NULL);
    r.d_scores = node->out->grad;
    if (r.d_q)
        at_pairs_run(tape, r.pairs, r.pairs->heads, 1, location_task, &r);
}

const at_op at_op_score_dot = {"score_dot", dot_backward};
const at_op at_op_score_additive = {"score_additive", additive_backward};
const at_op at_op_score_location = {"score_location", location_backward};

/* What all of them begin with; width: of one head's queries. */
static score_run *prepare(at_tape *tape, const at_var *q, const at_pairs *pairs, at_var **out)
{
    size_t width = pairs ? at_pairs_width(tape, "queries", q, &pairs->queries, pairs->heads) : 0;
    if (width == 0)
        return NULL;
    *out = at_tape_value(tape, at_shape1((int64_t)at_pairs_total(pairs)));
    score_run *r = *out ? at_tape_saved(tape, 1, sizeof *r) : NULL;
    if (r)
        *r = (score_run){.k = tape->exec->kernels,
                         .exec = tape->exec,
                         .pairs = pairs,
                         .width = width,
                         .q = q->data,
                         .scores = (*out)->data,
                         .factor = 1};
    return r;
}

/* Keys must be as wide a head as queries are. */
static bool match_keys(at_tape *tape, const char *score, score_run *r, const at_var *k)
{
    size_t width = at_pairs_width(tape, "keys", k, &r->pairs->keys, r->pairs->groups);
    if (width == r->width)
        r->keys = k->data;
    else if (width > 0)
        at_tape_fail(tape, AT_ESHAPE,
                     "%s score: queries are %zu wide and keys %zu; it wants equal widths, which the scores "
                     "general, additive and concat do not",
                     score, r->width, width);
    return width == r->width;
}

at_var *at_score_dot(at_tape *tape, at_var *q, at_var *k, const at_pairs *pairs, float factor)
{
    at_var *out;
    score_run *r = prepare(tape, q, pairs, &out);
    if (!r || !match_keys(tape, "dot", r, k))
        return NULL;
    r->factor = factor;
    size_t keys;
    at_pairs_largest(pairs, &keys);
    if (at_exec_reserve(tape->exec, at_block_scratch(r->k, r->width, keys)) != AT_OK) {
        tape->status = AT_ENOMEM;
        return NULL;
    }
    at_pairs_run(tape, pairs, pairs->heads, r->width, dot_task, r);
    at_pairs_count(tape, pairs, r->width);
    return at_tape_record(tape, &at_op_score_dot, out, (at_var *[]){q, k}, 2, r);
}

at_var *at_score_additive(at_tape *tape, at_var *q, at_var *k, at_var *v, const at_pairs *pairs)
{
    at_var *out;
    score_run *r = prepare(tape, q, pairs, &out);
    if (!r || !match_keys(tape, "additive", r, k) ||
        !at_expect_shape(tape, "v of the additive score", v, at_shape1((int64_t)(pairs->heads * r->width))))
        return NULL;
    r->v = v->data;
    at_pairs_run(tape, pairs, pairs->heads, 16 * r->width, additive_task, r);
    at_pairs_count(tape, pairs, r->width);
    return at_tape_record(tape, &at_op_score_additive, out, (at_var *[]){q, k, v}, 3, r);
}

at_var *at_score_location(at_tape *tape, at_var *places, const at_pairs *pairs)
{
    at_var *out;
    score_run *r = prepare(tape, places, pairs, &out);
    if (!r)
        return NULL;
    at_pairs_run(tape, pairs, pairs->heads, 1, location_task, r);
    return at_tape_record(tape, &at_op_score_location, out, &places, 1, r);
}
