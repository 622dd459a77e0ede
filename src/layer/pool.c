#include "layer/pool.h"
#include <stdio.h>
#include <string.h>
#include "layer/internal.h"

/* ---------------------------------------------------------------- mean, max, weighted */

typedef struct pooled {
    const at_kernels *k;
    const float *x;
    float *out;
    const int32_t *offsets; /* (B+1) */
    size_t count, d;
    int32_t *largest;    /* (B,D) the row that gave each column of a maximum */
    float *weights;      /* (N) of a weighted mean */
    const float *scores; /* (N) */
    const float *d_out;
    float *d_x, *d_scores, *d_weights; /* d_weights (N): scratch */
} pooled;

/* Everything that all three kinds share; the offsets are copied, because the batch's may be gone at
 * backward. */
static pooled *begin(at_tape *tape, at_var *x, const at_rows *rows, at_var **out)
{
    if (!at_expect_rank(tape, "pool", x, 2))
        return NULL;
    int64_t d = x->shape.dim[1];
    AT_ASSERT(at_rows_total(rows) == (size_t)x->shape.dim[0]);
    *out = at_tape_value(tape, at_shape2((int64_t)rows->count, d));
    pooled *s = at_tape_saved(tape, 1, sizeof *s);
    int32_t *offsets = at_tape_saved(tape, rows->count + 1, sizeof *offsets);
    if (tape->status != AT_OK)
        return NULL;
    offsets[0] = 0;
    for (size_t b = 0; b < rows->count; b++)
        offsets[b + 1] = rows->offsets[b + 1];
    *s = (pooled){.k = tape->exec->kernels,
                  .x = x->data,
                  .out = (*out)->data,
                  .offsets = offsets,
                  .count = rows->count,
                  .d = (size_t)d};
    return s;
}

static size_t grain(const pooled *s)
{
    size_t rows = s->count ? (size_t)s->offsets[s->count] / s->count : 0;
    return 1 + AT_LAYER_GRAIN / (s->d * (rows + 1) + 1);
}

static float share(const pooled *s, size_t b)
{
    return 1.0f / (float)(s->offsets[b + 1] - s->offsets[b]);
}

static void mean_forward(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const pooled *s = context;
    for (size_t b = first; b < end; b++) {
        float *out = s->out + b * s->d;
        memset(out, 0, s->d * sizeof *out);
        for (int32_t i = s->offsets[b]; i < s->offsets[b + 1]; i++)
            s->k->add(out, out, s->x + (size_t)i * s->d, s->d);
        if (s->offsets[b + 1] > s->offsets[b])
            s->k->scale(out, out, share(s, b), s->d);
    }
}

static void mean_back(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const pooled *s = context;
    for (size_t b = first; b < end; b++)
        for (int32_t i = s->offsets[b]; i < s->offsets[b + 1]; i++)
            s->k->axpy(s->d_x + (size_t)i * s->d, share(s, b), s->d_out + b * s->d, s->d);
}

static void max_forward(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const pooled *s = context;
    for (size_t b = first; b < end; b++) {
        for (size_t j = 0; j < s->d; j++) {
            int32_t best = s->offsets[b];
            for (int32_t i = best + 1; i < s->offsets[b + 1]; i++)
                if (s->x[(size_t)i * s->d + j] > s->x[(size_t)best * s->d + j])
                    best = i;
            s->largest[b * s->d + j] = best;
            s->out[b * s->d + j] = best < s->offsets[b + 1] ? s->x[(size_t)best * s->d + j] : 0;
        }
    }
}

static void max_back(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const pooled *s = context;
    for (size_t b = first; b < end; b++)
        for (size_t j = 0; j < s->d && s->offsets[b] < s->offsets[b + 1]; j++)
            s->d_x[(size_t)s->largest[b * s->d + j] * s->d + j] += s->d_out[b * s->d + j];
}

static void weighted_forward(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const pooled *s = context;
    for (size_t b = first; b < end; b++) {
        size_t from = (size_t)s->offsets[b], rows = (size_t)s->offsets[b + 1] - from;
        float *out = s->out + b * s->d;
        memset(out, 0, s->d * sizeof *out);
        s->k->softmax(s->weights + from, s->scores + from, rows);
        for (size_t i = from; i < from + rows; i++)
            s->k->axpy(out, s->weights[i], s->x + i * s->d, s->d);
    }
}

static void weighted_back(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const pooled *s = context;
    for (size_t b = first; b < end; b++) {
        const float *d_out = s->d_out + b * s->d;
        size_t from = (size_t)s->offsets[b], rows = (size_t)s->offsets[b + 1] - from;
        for (size_t i = from; i < from + rows; i++) {
            if (s->d_x)
                s->k->axpy(s->d_x + i * s->d, s->weights[i], d_out, s->d);
            s->d_weights[i] = s->k->dot(s->x + i * s->d, d_out, s->d);
        }
        if (s->d_scores)
            s->k->softmax_backward(s->d_scores + from, s->weights + from, s->d_weights + from, rows);
    }
}

static void pool_backward(at_tape *tape, const at_node *node, void (*work)(void *, size_t, size_t, int))
{
    pooled s = *(const pooled *)node->saved;
    s.d_out = node->out->grad;
    s.d_x = at_tape_grad(tape, node->in[0], NULL);
    if (s.d_x)
        at_exec_rows(tape->exec, s.count, grain(&s), work, &s);
}

static void mean_backward(at_tape *tape, const at_node *node)
{
    pool_backward(tape, node, mean_back);
}

static void max_backward(at_tape *tape, const at_node *node)
{
    pool_backward(tape, node, max_back);
}

static void weighted_backward(at_tape *tape, const at_node *node)
{
    pooled s = *(const pooled *)node->saved;
    s.d_out = node->out->grad;
    s.d_x = at_tape_grad(tape, node->in[0], NULL);
    s.d_scores = at_tape_grad(tape, node->in[1], NULL);
    s.d_weights = at_tape_borrow(tape, (size_t)s.offsets[s.count] + 1);
    if (tape->status != AT_OK)
        return;
    at_exec_rows(tape->exec, s.count, grain(&s), weighted_back, &s);
    at_tape_return(tape, s.d_weights);
}

const at_op at_op_pool_mean = {"pool_mean", mean_backward};
const at_op at_op_pool_max = {"pool_max", max_backward};
const at_op at_op_pool_weighted = {"pool_weighted", weighted_backward};

at_var *at_pool_rows(at_tape *tape, at_var *x, const at_rows *rows, at_pooling pooling)
{
    at_var *out = NULL;
    pooled *s = x ? begin(tape, x, rows, &out) : NULL;
    bool max = pooling == AT_POOL_MAX;
    if (s && max)
        s->largest = at_tape_saved(tape, s->count * s->d, sizeof *s->largest);
    if (!s || tape->status != AT_OK)
        return NULL;
    at_exec_rows(tape->exec, s->count, grain(s), max ? max_forward : mean_forward, s);
    return at_tape_record(tape, max ? &at_op_pool_max : &at_op_pool_mean, out, &x, 1, s);
}

at_var *at_pool_weighted(at_tape *tape, at_var *x, at_var *scores, const at_rows *rows, const float **weights)
{
    at_var *out = NULL;
    if (!x || !scores || !at_expect_shape(tape, "pool", scores, at_shape2(x->shape.dim[0], 1)))
        return NULL;
    pooled *s = begin(tape, x, rows, &out);
    if (!s)
        return NULL;
    s->scores = scores->data;
    s->weights = at_tape_saved(tape, (size_t)x->shape.dim[0], sizeof *s->weights);
    if (!s->weights)
        return NULL;
    if (weights)
        *weights = s->weights;
    at_exec_rows(tape->exec, s->count, grain(s), weighted_forward, s);
    return at_tape_record(tape, &at_op_pool_weighted, out, (at_var *[]){x, scores}, 2, s);
}

at_status at_pool_declare(at_params *params, const char *prefix, size_t width, size_t hidden,
                          at_pool_weights *weights)
{
    char name[160];
    at_status st = at_projection_declare(params, prefix, "dense", at_shape2((int64_t)hidden, (int64_t)width),
                                         true, &weights->dense);
    snprintf(name, sizeof name, "%scontext", prefix);
    at_param_spec spec = {name, at_shape2(1, (int64_t)hidden), AT_DECAYED, AT_INIT_XAVIER, 0, NULL, false};
    return st == AT_OK ? at_params_add(params, &spec, &weights->context) : st;
}

at_var *at_pool_attention(at_tape *tape, const at_pool_weights *w, at_var *x, const at_rows *rows,
                          const float **weights)
{
    at_var *hidden = x ? at_linear(tape, x, w->dense.weight, w->dense.bias, AT_TANH) : NULL;
    at_var *scores = hidden ? at_linear(tape, hidden, w->context, NULL, AT_LINEAR) : NULL;
    return at_pool_weighted(tape, x, scores, rows, weights);
}

/* ---------------------------------------------------------------- picked rows */

typedef struct picked {
    const at_kernels *k;
    int32_t *index;
    size_t count, d;
    const float *d_out;
    float *d_x;
} picked;

/* Columns are cut among threads, so rows picked twice never race. */
static void pick_columns(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const picked *s = context;
    for (size_t i = 0; i < s->count; i++) {
        float *d = s->d_x + (size_t)s->index[i] * s->d + first;
        s->k->add(d, d, s->d_out + i * s->d + first, end - first);
    }
}

static void pick_backward(at_tape *tape, const at_node *node)
{
    picked s = *(const picked *)node->saved;
    s.d_out = node->out->grad;
    s.d_x = at_tape_grad(tape, node->in[0], NULL);
    if (s.d_x)
        at_exec_rows(tape->exec, s.d, AT_COLUMN_GRAIN, pick_columns, &s);
}

const at_op at_op_pick = {"pick", pick_backward};

at_var *at_pick_rows(at_tape *tape, at_var *x, const int32_t *index, size_t count)
{
    if (!x || !at_expect_rank(tape, "pick", x, 2))
        return NULL;
    size_t d = (size_t)x->shape.dim[1];
    at_var *out = at_tape_value(tape, at_shape2((int64_t)count, (int64_t)d));
    picked *s = at_tape_saved(tape, 1, sizeof *s);
    int32_t *kept = at_tape_saved(tape, count + 1, sizeof *kept);
    if (tape->status != AT_OK)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        AT_ASSERT(index[i] >= 0 && index[i] < x->shape.dim[0]);
        kept[i] = index[i];
        memcpy(out->data + i * d, x->data + (size_t)index[i] * d, d * sizeof *out->data);
    }
    *s = (picked){.k = tape->exec->kernels, .index = kept, .count = count, .d = d};
    return at_tape_record(tape, &at_op_pick, out, &x, 1, s);
}
