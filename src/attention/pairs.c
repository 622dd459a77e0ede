#include "attention/pairs.h"
#include <string.h>
#include "attention/internal.h"

enum { LEAST_WORK = 65536, DOT_ROWS = 4 };

const at_pairs *at_pairs_new(at_tape *tape, const at_pairs *like)
{
    AT_ASSERT(like->heads > 0 && like->groups > 0 && like->heads % like->groups == 0);
    AT_ASSERT(like->queries.count == like->keys.count);
    size_t count = like->queries.count;
    at_pairs *pairs = at_tape_saved(tape, 1, sizeof *pairs);
    size_t *offsets = at_tape_saved(tape, count + 1, sizeof *offsets);
    if (!pairs || !offsets)
        return NULL;
    offsets[0] = 0;
    for (size_t b = 0; b < count; b++) {
        size_t queries = (size_t)(like->queries.offsets[b + 1] - like->queries.offsets[b]);
        size_t keys = (size_t)(like->keys.offsets[b + 1] - like->keys.offsets[b]);
        offsets[b + 1] = offsets[b] + queries * keys * like->heads;
    }
    *pairs = *like;
    pairs->offsets = offsets;
    return pairs;
}

size_t at_pairs_total(const at_pairs *pairs)
{
    return pairs->offsets[pairs->queries.count];
}

at_pair_block at_pairs_block(const at_pairs *pairs, size_t b, size_t h)
{
    at_pair_block block = {.first_query = (size_t)pairs->queries.offsets[b],
                           .first_key = (size_t)pairs->keys.offsets[b]};
    block.queries = (size_t)pairs->queries.offsets[b + 1] - block.first_query;
    block.keys = (size_t)pairs->keys.offsets[b + 1] - block.first_key;
    block.at = pairs->offsets[b] + h * block.queries * block.keys;
    return block;
}

bool at_pairs_expect(at_tape *tape, const char *what, const at_var *scores, const at_pairs *pairs)
{
    return scores && pairs && at_expect_shape(tape, what, scores, at_shape1((int64_t)at_pairs_total(pairs)));
}

size_t at_pairs_width(at_tape *tape, const char *what, const at_var *x, const at_rows *rows, size_t heads)
{
    if (!at_expect_rank(tape, what, x, 2) ||
        !at_expect_shape(tape, what, x, at_shape2((int64_t)at_rows_total(rows), x->shape.dim[1])))
        return 0;
    size_t width = (size_t)x->shape.dim[1];
    if (width > 0 && width % heads == 0)
        return width / heads;
    at_tape_fail(tape, AT_ESHAPE, "%s: %zu columns do not divide into %zu heads", what, width, heads);
    return 0;
}

void at_pairs_count(at_tape *tape, const at_pairs *pairs, size_t products)
{
    at_exec_count(tape->exec, 2 * (double)at_pairs_total(pairs) * (double)products, 0);
}

void at_pairs_run(at_tape *tape, const at_pairs *pairs, size_t parts, size_t work, at_range_task *task,
                  void *context)
{
    size_t items = pairs->queries.count * parts, all = at_pairs_total(pairs) * work + items * 64 + 1;
    at_exec_rows(tape->exec, items, 1 + items * LEAST_WORK / all, task, context);
}

size_t at_pairs_largest(const at_pairs *pairs, size_t *keys)
{
    size_t largest = 0;
    *keys = 0;
    for (size_t b = 0; b < pairs->queries.count; b++) {
        at_pair_block block = at_pairs_block(pairs, b, 0);
        if (block.queries == 0)
            continue;
        *keys = block.keys > *keys ? block.keys : *keys;
        largest = block.queries * block.keys > largest ? block.queries * block.keys : largest;
    }
    return largest;
}

size_t at_block_scratch(const at_kernels *kernels, size_t k, size_t n)
{
    return (n + kernels->panel - 1) / kernels->panel * kernels->panel * k;
}

/* A few rows (a step of decoding) are dots: packing the keys would cost as much as the product. */
static void multiply_by_dots(const at_kernels *kernels, const at_block_product *p)
{
    for (size_t i = 0; i < p->m; i++) {
        for (size_t j = 0; j < p->n; j++) {
            float dot = kernels->dot(p->a + i * p->a_row, p->b + j * p->b_row, p->k);
            p->c[i * p->c_row + j] = p->accumulate ? p->c[i * p->c_row + j] + dot : dot;
        }
    }
}

void at_block_multiply(const at_kernels *kernels, const at_block_product *p, float *scratch)
{
    if (p->m == 0 || p->n == 0)
        return;
    if (p->transposed && p->m < DOT_ROWS && p->a_col == 1) {
        multiply_by_dots(kernels, p);
        return;
    }
    at_gemm g = {.a = p->a,
                 .a_row = p->a_row,
                 .a_col = p->a_col,
                 .b = p->b,
                 .b_row = p->b_row,
                 .b_panel = kernels->panel,
                 .c = p->c,
                 .c_row = p->c_row,
                 .m = p->m,
                 .n = p->n,
                 .k = p->k,
                 .accumulate = p->accumulate};
    if (p->transposed) {
        size_t panels = (p->n + kernels->panel - 1) / kernels->panel;
        kernels->pack(scratch, p->b, 1, p->b_row, p->k, p->n, 0, panels);
        g.b = scratch;
        g.b_row = kernels->panel;
        g.b_panel = p->k * kernels->panel;
    }
    kernels->gemm(&g, 0, p->m, 0, p->n);
}

void at_pairs_trace(at_tape *tape, const at_var *weights, const at_pairs *pairs, at_attention_kind kind,
                    int layer)
{
    if (!tape->trace || !at_pairs_expect(tape, "weights to trace", weights, pairs))
        return;
    for (size_t b = 0; b < pairs->queries.count; b++) {
        for (size_t h = 0; h < pairs->heads; h++) {
            at_pair_block block = at_pairs_block(pairs, b, h);
            size_t start = pairs->starts ? (size_t)pairs->starts[b] : 0;
            if (!at_trace_wants(tape->trace, kind, layer, (int)h) || (start > 0 && block.queries == 0))
                continue;
            size_t name = pairs->names ? (size_t)pairs->names[b] : b;
            at_trace_map like = {kind, layer, (int)h, name, block.queries, block.keys, NULL};
            float *rows = at_trace_append(tape->trace, &like, start);
            if (!rows) {
                tape->status = AT_ENOMEM;
                return;
            }
            memcpy(rows, weights->data + block.at, block.queries * block.keys * sizeof *rows);
        }
    }
}

at_var *at_pairs_gather(at_tape *tape, const at_cached_keys *caches, size_t count, size_t heads, size_t width,
                        bool values)
{
    size_t total = 0;
    for (size_t b = 0; b < count; b++)
        total += caches[b].length;
    at_var *out = at_tape_value(tape, at_shape2((int64_t)total, (int64_t)width));
    float *to = out ? out->data : NULL;
    for (size_t b = 0; b < count && out; b++) {
        const at_cached_keys *c = &caches[b];
        const float *from = values ? c->v : c->k;
        size_t parts = c->capacity ? heads : 1, part = width / parts;
        for (size_t i = 0; i < c->length * parts; i++, to += part) {
            size_t row = c->rows ? (size_t)c->rows[i / parts] : i / parts;
            memcpy(to, from + (i % parts * c->capacity + row) * part, part * sizeof *to);
        }
    }
    return out;
}

bool at_pairs_lengths(at_tape *tape, const at_cached_keys *caches, size_t count, at_rows *rows)
{
    int32_t *offsets = at_tape_saved(tape, count + 1, sizeof *offsets);
    if (!offsets)
        return false;
    offsets[0] = 0;
    for (size_t b = 0; b < count; b++)
        offsets[b + 1] = offsets[b] + (int32_t)caches[b].length;
    *rows = (at_rows){count, offsets, NULL};
    return true;
}

const at_op *const at_pair_ops[] = {
    &at_op_pairs_mask, &at_op_pairs_normalise, &at_op_pairs_focus,    &at_op_pairs_drop, &at_op_pairs_sum,
    &at_op_score_dot,  &at_op_score_additive,  &at_op_score_location, &at_op_unit_rows,  NULL};
