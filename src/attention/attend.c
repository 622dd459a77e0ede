#include <math.h>
#include <string.h>
#include "attention/guide.h"
#include "attention/internal.h"
#include "kernel/visible.h"

/* One fused attention: what the tasks read, and what backward keeps. */
typedef struct attention {
    const at_kernels *k;
    at_exec *exec;
    at_attend_spec spec;
    size_t key_width, value_width; /* of one head */
    const float *q, *keys, *values;
    const at_cached_keys *caches; /* instead of keys and values, when running */
    float *o, *lse;
    bool dots; /* products of numbers rounded to bf16 */
    uint32_t drop_key[2];
    float drop_rate;
    const float *d_o;
    float *d_q, *d_k, *d_v;
} attention;

at_attend at_attend_head(const at_attend_spec *spec, size_t b, size_t h)
{
    at_attend a = {
        .queries = (size_t)(spec->queries.offsets[b + 1] - spec->queries.offsets[b]),
        .scale = spec->scale,
        .causal = spec->causal,
        .past = spec->past ? spec->past[b] : 0,
        .window = spec->window,
        .ahead = spec->ahead,
        .softcap = spec->softcap,
    };
    if (spec->bias.numbers) {
        a.bias = spec->bias.numbers + h * spec->bias.head_stride +
                 (spec->bias.sequences ? spec->bias.sequences[b] : 0);
        a.bias_stride = spec->bias.query_stride;
    }
    return a;
}

/* The kernel's view of head h of sequence b. */
static at_attend head_of(const attention *s, size_t b, size_t h)
{
    const at_attend_spec *spec = &s->spec;
    size_t q0 = (size_t)spec->queries.offsets[b], group = h / (spec->heads / spec->groups);
    at_attend a = at_attend_head(spec, b, h);
    a.q_stride = spec->heads * s->key_width;
    a.o_stride = spec->heads * s->value_width;
    a.k_stride = spec->groups * s->key_width;
    a.v_stride = spec->groups * s->value_width;
    a.lse_stride = spec->heads;
    a.d_key = s->key_width;
    a.d_value = s->value_width;
    a.drop_rate = s->drop_rate;
    a.drop_key[0] = s->drop_key[0];
    a.drop_key[1] = s->drop_key[1];
    a.drop_counter[0] = (uint32_t)h;
    a.drop_counter[1] = spec->queries.examples ? spec->queries.examples[b] : (uint32_t)b;
    a.q = s->q + q0 * a.q_stride + h * s->key_width;
    a.o = s->o + q0 * a.o_stride + h * s->value_width;
    a.lse = s->lse + q0 * a.lse_stride + h;
    if (s->caches) {
        const at_cached_keys *cache = &s->caches[b];
        size_t first = group * (cache->capacity ? cache->capacity : 1);
        if (cache->capacity) {
            a.k_stride = s->key_width;
            a.v_stride = s->value_width;
        }
        if (cache->k16) {
            a.k16 = cache->k16 + first * s->key_width;
            a.v16 = cache->v16 + first * s->value_width;
        } else {
            a.k = cache->k + first * s->key_width;
            a.v = cache->v + first * s->value_width;
        }
        a.rows = cache->rows;
        a.keys = cache->length;
        if (!spec->past)
            a.past = spec->causal ? (int64_t)a.keys - (int64_t)a.queries : 0;
    } else {
        size_t k0 = (size_t)spec->keys.offsets[b];
        a.k = s->keys + k0 * a.k_stride + group * s->key_width;
        a.v = s->values + k0 * a.v_stride + group * s->value_width;
        a.keys = (size_t)spec->keys.offsets[b + 1] - k0;
    }
    if (s->d_o) {
        a.d_o = s->d_o + q0 * a.o_stride + h * s->value_width;
        a.d_q = s->d_q + q0 * a.q_stride + h * s->key_width;
        size_t k0 = (size_t)spec->keys.offsets[b];
        a.d_k = s->d_k + k0 * a.k_stride + group * s->key_width;
        a.d_v = s->d_v + k0 * a.v_stride + group * s->value_width;
    }
    return a;
}

static void forward_task(void *context, size_t first, size_t end, int worker)
{
    const attention *s = context;
    float *scratch = at_exec_scratch(s->exec, worker);
    for (size_t i = first; i < end; i++) {
        at_attend a = head_of(s, i / s->spec.heads, i % s->spec.heads);
        if (a.k16 || s->dots)
            s->k->attend_bf16(&a, scratch);
        else
            s->k->attend(&a, scratch);
    }
}

/* Heads of a group add to the same keys, so a group is one task. */
static void backward_task(void *context, size_t first, size_t end, int worker)
{
    const attention *s = context;
    float *scratch = at_exec_scratch(s->exec, worker);
    size_t groups = s->spec.groups, each = s->spec.heads / groups;
    for (size_t i = first; i < end; i++) {
        for (size_t h = i % groups * each; h < (i % groups + 1) * each; h++) {
            at_attend a = head_of(s, i / groups, h);
            (s->dots ? s->k->attend_bf16_backward : s->k->attend_backward)(&a, scratch);
        }
    }
}

/* For the profile: products of the pairs that see each other, and inputs and outputs read or written once. */
static void count_work(const attention *s)
{
    double pairs = 0, floats = 0, width = (double)(s->key_width + s->value_width);
    for (size_t b = 0; b < s->spec.queries.count; b++) {
        at_attend a = head_of(s, b, 0);
        floats += width * (double)(s->spec.heads * a.queries + s->spec.groups * a.keys);
        for (size_t t = 0; t < a.queries; t++) {
            at_visible keys = at_visible_keys(&a, t);
            pairs += (double)(keys.end - keys.first);
        }
    }
    pairs *= (double)s->spec.heads;
    if (s->d_o) /* scores again, and the products for queries, keys, weights and values */
        at_exec_count(s->exec, 2 * pairs * (width + (double)s->key_width + width),
                      2 * sizeof(float) * floats);
    else
        at_exec_count(s->exec, 2 * pairs * width, sizeof(float) * floats);
}

/* Runs `task` on sequences x parts, after reserving scratch for the longest; cut so that a task is not too
 * small. */
static void run(at_tape *tape, attention *s, at_range_task *task, size_t parts)
{
    if (s->exec->profile)
        count_work(s);
    size_t longest_q = 0, longest_k = 0, work = 1;
    for (size_t b = 0; b < s->spec.queries.count; b++) {
        at_attend a = head_of(s, b, 0);
        longest_q = a.queries > longest_q ? a.queries : longest_q;
        longest_k = a.keys > longest_k ? a.keys : longest_k;
        work += a.queries * a.keys * (s->key_width + s->value_width) + 64;
    }
    bool narrow = s->caches && s->spec.queries.count && s->caches[0].k16;
    size_t floats =
        (s->dots && s->d_o   ? s->k->attend_bf16_backward_scratch
         : narrow || s->dots ? s->k->attend_bf16_scratch
                             : s->k->attend_scratch)(longest_q, longest_k, s->key_width, s->value_width);
    if (at_exec_reserve(s->exec, floats) != AT_OK) {
        tape->status = AT_ENOMEM;
        return;
    }
    size_t tasks = s->spec.queries.count * parts;
    size_t grain = tasks * 65536 / (work * s->spec.heads) + 1;
    at_exec_rows(s->exec, tasks, grain, task, s);
}

/* The exact weights that the trace asked for, from the log-sum-exp. */
static void file_weights(at_tape *tape, const attention *s)
{
    const at_attend_spec *spec = &s->spec;
    for (size_t b = 0; b < spec->queries.count; b++) {
        for (size_t h = 0; h < spec->heads; h++) {
            if (!at_trace_wants(tape->trace, spec->kind, spec->layer, (int)h))
                continue;
            at_attend a = head_of(s, b, h);
            AT_ASSERT(!a.k16); /* what is looked at runs without a cache, or with one in fp32 */
            at_trace_map like = {spec->kind, spec->layer, (int)h, b, a.queries, a.keys, NULL};
            at_trace_map *map = at_trace_add(tape->trace, &like);
            if (!map) {
                tape->status = AT_ENOMEM;
                return;
            }
            s->k->attend_weights(&a, 0, a.queries, at_trace_stage(tape->trace), map->weights);
        }
    }
}

static void attention_backward(at_tape *tape, const at_node *node)
{
    attention s = *(const attention *)node->saved;
    float *own[3] = {NULL, NULL, NULL}, *d[3];
    for (int i = 0; i < 3;
         i++) { /* the kernel adds to all three; what nobody wants goes to a block of its own */
        d[i] = at_tape_grad(tape, node->in[i], NULL);
        if (!d[i]) {
            size_t n = at_shape_count(node->in[i]->shape) + 1;
            d[i] = own[i] = at_tape_borrow(tape, n);
            if (own[i])
                memset(own[i], 0, n * sizeof(float));
        }
    }
    if (tape->status == AT_OK) {
        s.d_o = node->out->grad;
        s.d_q = d[0];
        s.d_k = d[1];
        s.d_v = d[2];
        run(tape, &s, backward_task, s.spec.groups);
    }
    for (int i = 0; i < 3; i++)
        at_tape_return(tape, own[i]);
}

const at_op at_op_attention = {"attention", attention_backward};
const at_op *const at_attention_ops[] = {&at_op_attention, &at_op_guide, &at_op_guide_pairs, NULL};

/* Does every sequence find all of its numbers? */
static bool bias_reaches(at_tape *tape, const attention *s)
{
    const at_score_bias *bias = &s->spec.bias;
    for (size_t b = 0; bias->numbers && b < s->spec.queries.count; b++) {
        at_attend last = head_of(s, b, s->spec.heads - 1);
        if (last.queries == 0 || last.keys == 0)
            continue;
        size_t end = (size_t)(last.bias - bias->numbers) + (last.queries - 1) * last.bias_stride + last.keys;
        if (end <= bias->count)
            continue;
        at_tape_fail(tape, AT_ESHAPE,
                     "attention bias: %zu heads of (%zu,%zu) of sequence %zu need %zu numbers, got %zu",
                     s->spec.heads, last.queries, last.keys, b, end, bias->count);
        return false;
    }
    return true;
}

/* What both forms share: checks q, makes the output. NULL when something is wrong. */
static attention *prepare(at_tape *tape, at_var *q, size_t key_width, size_t value_width,
                          const at_attend_spec *spec, at_var **out)
{
    AT_ASSERT(spec->heads > 0 && spec->groups > 0 && spec->heads % spec->groups == 0);
    size_t rows = at_rows_total(&spec->queries), d = key_width / spec->groups;
    if (key_width % spec->groups != 0 || value_width % spec->groups != 0) {
        at_tape_fail(tape, AT_ESHAPE, "attention: keys %zu and values %zu wide do not divide into %zu groups",
                     key_width, value_width, spec->groups);
        return NULL;
    }
    if (!at_expect_shape(tape, "attention queries", q, at_shape2((int64_t)rows, (int64_t)(spec->heads * d))))
        return NULL;
    size_t value = value_width / spec->groups;
    *out = at_tape_value(tape, at_shape2((int64_t)rows, (int64_t)(spec->heads * value)));
    attention *s = at_tape_saved(tape, 1, sizeof *s);
    float *lse = at_tape_saved(tape, rows * spec->heads, sizeof *lse);
    if (tape->status != AT_OK)
        return NULL;
    *s = (attention){.k = tape->exec->kernels,
                     .exec = tape->exec,
                     .spec = *spec,
                     .key_width = d,
                     .value_width = value,
                     .q = q->data,
                     .o = (*out)->data,
                     .lse = lse};
    if (s->spec.scale == 0)
        s->spec.scale = 1.0f / sqrtf((float)d);
    return s;
}

/* Once keys and values are known. */
static bool forward(at_tape *tape, attention *s)
{
    if (!bias_reaches(tape, s))
        return false;
    run(tape, s, forward_task, s->spec.heads);
    if (tape->trace && tape->status == AT_OK)
        file_weights(tape, s);
    return tape->status == AT_OK;
}

/* The loss of the layer that a guide names; false: see the tape. */
static bool take_guide(at_tape *tape, at_var *q, at_var *k, const at_attend_spec *spec)
{
    if (at_guide_wants(tape, spec->kind, spec->layer))
        tape->guide->loss = at_guide_loss(tape, q, k, spec, tape->guide);
    return tape->status == AT_OK;
}

at_var *at_attention(at_tape *tape, at_var *q, at_var *k, at_var *v, const at_attend_spec *spec)
{
    if (!at_expect_rank(tape, "attention keys", k, 2) || !at_expect_rank(tape, "attention values", v, 2))
        return NULL;
    AT_ASSERT(spec->queries.count == spec->keys.count);
    int64_t rows = (int64_t)at_rows_total(&spec->keys);
    if (!at_expect_shape(tape, "attention keys", k, at_shape2(rows, k->shape.dim[1])) ||
        !at_expect_shape(tape, "attention values", v, at_shape2(rows, v->shape.dim[1])))
        return NULL;
    at_var *out;
    attention *s = prepare(tape, q, (size_t)k->shape.dim[1], (size_t)v->shape.dim[1], spec, &out);
    if (!s)
        return NULL;
    s->keys = k->data;
    s->values = v->data;
    /* Weights that are looked at come from fp32 products, and so must the log-sum-exp then. */
    s->dots = spec->rounded && s->k->dots && !tape->trace && !at_guide_wants(tape, spec->kind, spec->layer);
    if (tape->mode == AT_TAPE_TRAIN && spec->dropout > 0) {
        s->drop_rate = spec->dropout;
        at_tape_dropout_key(tape, s->drop_key);
    }
    if (!forward(tape, s) || !take_guide(tape, q, k, &s->spec))
        return NULL;
    return at_tape_record(tape, &at_op_attention, out, (at_var *[]){q, k, v}, 3, s);
}

at_var *at_attention_cached(at_tape *tape, at_var *q, const at_cached_keys *caches, size_t key_width,
                            size_t value_width, const at_attend_spec *spec)
{
    AT_ASSERT(tape->mode == AT_TAPE_RUN);
    at_var *out;
    attention *s = q ? prepare(tape, q, key_width, value_width, spec, &out) : NULL;
    if (!s)
        return NULL;
    s->caches = caches;
    return at_tape_record(tape, &at_op_attention, forward(tape, s) ? out : NULL, &q, 1, s);
}

void at_bias_of_mask(float *bias, const unsigned char *mask, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bias[i] = mask[i] ? 0 : -INFINITY;
}
