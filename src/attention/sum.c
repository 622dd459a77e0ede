/* The weighted sum of values, and its way back. */
#include <string.h>
#include "attention/internal.h"

typedef struct sum_run {
    const at_kernels *k;
    at_exec *exec;
    const at_pairs *pairs;
    size_t width; /* of a head's values */
    const float *weights, *values;
    float *out;
    const float *d_out;
    float *d_weights, *d_values;
} sum_run;

static void forward_task(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const sum_run *r = context;
    const at_pairs *p = r->pairs;
    size_t out_stride = p->heads * r->width, stride = p->groups * r->width;
    for (size_t i = begin; i < end; i++) {
        size_t h = i % p->heads, g = h / (p->heads / p->groups);
        at_pair_block block = at_pairs_block(p, i / p->heads, h);
        float *out = r->out + block.first_query * out_stride + h * r->width;
        for (size_t t = 0; t < block.queries && block.keys == 0; t++)
            memset(out + t * out_stride, 0, r->width * sizeof *out);
        if (block.keys == 0)
            continue;
        at_block_product product = {.a = r->weights + block.at,
                                    .a_row = block.keys,
                                    .a_col = 1,
                                    .b = r->values + block.first_key * stride + g * r->width,
                                    .b_row = stride,
                                    .c = out,
                                    .c_row = out_stride,
                                    .m = block.queries,
                                    .n = r->width,
                                    .k = block.keys};
        at_block_multiply(r->k, &product, NULL);
    }
}

/* d_weights (T,S) += d_out (T,W) · values^T; d_values (S,W) += weights^T · d_out. Heads of a group add to the
 * same values, so a group is one task. */
static void backward_task(void *context, size_t begin, size_t end, int worker)
{
    const sum_run *r = context;
    const at_pairs *p = r->pairs;
    float *scratch = at_exec_scratch(r->exec, worker);
    size_t out_stride = p->heads * r->width, stride = p->groups * r->width, each = p->heads / p->groups;
    for (size_t i = begin; i < end; i++) {
        size_t g = i % p->groups;
        for (size_t h = g * each; h < (g + 1) * each; h++) {
            at_pair_block block = at_pairs_block(p, i / p->groups, h);
            size_t values = block.first_key * stride + g * r->width;
            const float *d_out = r->d_out + block.first_query * out_stride + h * r->width;
            at_block_product weights = {.a = d_out,
                                        .a_row = out_stride,
                                        .a_col = 1,
                                        .b = r->values + values,
                                        .b_row = stride,
                                        .transposed = true,
                                        .c = r->d_weights ? r->d_weights + block.at : NULL,
                                        .c_row = block.keys,
                                        .m = block.queries,
                                        .n = block.keys,
                                        .k = r->width,
                                        .accumulate = true};
            if (r->d_weights)
                at_block_multiply(r->k, &weights, scratch);
            at_block_product d_values = {.a = r->weights + block.at,
                                         .a_row = 1,
                                         .a_col = block.keys,
                                         .b = d_out,
                                         .b_row = out_stride,
                                         .c = r->d_values ? r->d_values + values : NULL,
                                         .c_row = stride,
                                         .m = block.keys,
                                         .n = r->width,
                                         .k = block.queries,
                                         .accumulate = true};
            if (r->d_values)
                at_block_multiply(r->k, &d_values, scratch);
        }
    }
}

static void sum_backward(at_tape *tape, const at_node *node)
{
    sum_run r = *(const sum_run *)node->saved;
    r.d_weights = at_tape_grad(tape, node->in[0], NULL);
    r.d_values = at_tape_grad(tape, node->in[1], NULL);
    r.d_out = node->out->grad;
    size_t keys;
    at_pairs_largest(r.pairs, &keys);
    if (at_exec_reserve(tape->exec, at_block_scratch(r.k, r.width, keys)) != AT_OK)
        tape->status = AT_ENOMEM;
    if (tape->status == AT_OK)
        at_pairs_run(tape, r.pairs, r.pairs->groups, 2 * r.width, backward_task, &r);
    at_pairs_count(tape, r.pairs, 2 * r.width);
}

const at_op at_op_pairs_sum = {"pairs_sum", sum_backward};

at_var *at_pairs_sum(at_tape *tape, at_var *weights, at_var *v, const at_pairs *pairs)
{
    if (!at_pairs_expect(tape, "weights of values", weights, pairs))
        return NULL;
    size_t width = at_pairs_width(tape, "values", v, &pairs->keys, pairs->groups);
    if (width == 0)
        return NULL;
    at_var *out = at_tape_value(
        tape, at_shape2((int64_t)at_rows_total(&pairs->queries), (int64_t)(pairs->heads * width)));
    sum_run *r = out ? at_tape_saved(tape, 1, sizeof *r) : NULL;
    if (!r)
        return NULL;
    *r = (sum_run){.k = tape->exec->kernels,
                   .exec = tape->exec,
                   .pairs = pairs,
                   .width = width,
                   .weights = weights->data,
                   .values = v->data,
                   .out = out->data};
    at_pairs_run(tape, pairs, pairs->heads, width, forward_task, r);
    at_pairs_count(tape, pairs, width);
    return at_tape_record(tape, &at_op_pairs_sum, out, (at_var *[]){weights, v}, 2, r);
}
