#include "model/stack.h"
#include <math.h>
#include <stdio.h>
#include "base/memory.h"
#include "layer/tokens.h"
#include "model/internal.h"

at_status at_norm_declare(at_params *params, const char *prefix, const char *name, const at_norm_spec *spec,
                          at_norm_weights *norm)
{
    char full[256];
    at_shape shape = at_shape1((int64_t)spec->width);
    *norm = (at_norm_weights){.rms = spec->rms, .eps = spec->eps > 0 ? spec->eps : 1e-5f};
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    at_param_spec gain = {full, shape, AT_PLAIN, AT_INIT_ONE, 0, NULL, false};
    at_status st = at_params_add(params, &gain, &norm->gain);
    if (st != AT_OK || spec->plain || spec->rms)
        return st;
    snprintf(full, sizeof full, "%s%s.bias", prefix, name);
    at_param_spec bias = {full, shape, AT_PLAIN, AT_INIT_ZERO, 0, NULL, false};
    return at_params_add(params, &bias, &norm->bias);
}

at_var *at_norm_run(at_tape *tape, at_var *x, const at_norm_weights *norm)
{
    return norm->rms ? at_rms_norm(tape, x, norm->gain, norm->eps)
                     : at_layer_norm(tape, x, norm->gain, norm->bias, norm->eps);
}

/* ---------------------------------------------------------------- declaring */

at_status at_linformer_refuse(void)
{
    return at_fail(AT_EARG,
                   "model.linformer_k: each key of a Linformer is a sum over all places, later ones too, "
                   "so causal attention cannot have it: leave it out, or take a family with an encoder "
                   "(encoder, transformer)");
}

at_linformer_spec at_linformer_chosen(const at_linformer_options *options, size_t places)
{
    return (at_linformer_spec){.slots = (size_t)options->k,
                               .places = places,
                               .share_heads = options->share_heads,
                               .share_values = options->share_values,
                               .share_layers = options->share_layers};
}

static size_t groups_of(const at_stack_spec *spec)
{
    return spec->groups ? spec->groups : spec->heads;
}

static at_norm_spec norm_spec(const at_stack_spec *spec)
{
    return (at_norm_spec){spec->width, spec->plain, spec->rms, spec->eps};
}

/* First weights by a normal distribution, those of `out` smaller. */
static void spread(const at_stack_spec *spec, const at_projection *p, bool out)
{
    if (!(spec->deviation > 0) || !p->weight)
        return;
    p->weight->init = AT_INIT_NORMAL;
    p->weight->deviation = out ? spec->deviation / sqrtf(2.0f * (float)spec->layers) : spec->deviation;
}

static at_status declare_attention(at_params *params, const at_stack_spec *spec, const char *prefix,
                                   const char *name, bool cross, at_multi_head_weights *weights)
{
    size_t d = spec->width;
    at_multi_head_spec each = {.query_width = d,
                               .key_width = d,
                               .value_width = d,
                               .heads = spec->heads,
                               .groups = groups_of(spec),
                               .head_width = d / spec->heads,
                               .out_width = d,
                               .shared_values = spec->shared_values,
                               .biases = !spec->plain,
                               .names = spec->names->projections,
                               .score = spec->score,
                               .normalise = spec->normalise,
                               .places = spec->places,
                               .linformer = cross ? (at_linformer_spec){0} : spec->linformer};
    char full[160];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    at_status st = at_multi_head_declare(params, full, &each, weights);
    if (st != AT_OK)
        return st;
    spread(spec, &weights->query, false);
    spread(spec, &weights->key, false);
    spread(spec, &weights->value, false);
    spread(spec, &weights->out, true);
    return AT_OK;
}

static at_status declare_feed_forward(at_params *params, const at_stack_spec *spec, const char *prefix,
                                      at_stack_block *b)
{
    const at_stack_names *names = spec->names;
    at_shape in = at_shape2((int64_t)spec->ffn, (int64_t)spec->width);
    at_shape out = at_shape2((int64_t)spec->width, (int64_t)spec->ffn);
    at_status st = at_projection_declare(params, prefix, names->fc1, in, !spec->plain, &b->fc1);
    if (st == AT_OK && spec->gated)
        st = at_projection_declare(params, prefix, names->up, in, !spec->plain, &b->up);
    if (st == AT_OK)
        st = at_projection_declare(params, prefix, names->fc2, out, !spec->plain, &b->fc2);
    if (st != AT_OK)
        return st;
    spread(spec, &b->fc1, false);
    spread(spec, &b->up, false);
    spread(spec, &b->fc2, true);
    return AT_OK;
}

static at_status declare_factors(at_params *params, const char *prefix, const char *name, size_t count,
                                 float value, at_param **factors)
{
    char full[160];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    at_param_spec spec = {full, at_shape1((int64_t)count), AT_PLAIN, AT_INIT_VALUE, value, NULL, false};
    return at_params_add(params, &spec, factors);
}

static at_status declare_block(at_params *params, const at_stack_spec *spec, const char *prefix,
                               at_stack_block *b)
{
    const at_stack_names *names = spec->names;
    at_norm_spec norm = norm_spec(spec);
    at_status st = declare_attention(params, spec, prefix, names->self, false, &b->self);
    if (st == AT_OK)
        st = at_norm_declare(params, prefix, names->self_norm, &norm, &b->self_norm);
    if (st == AT_OK && spec->cross) {
        st = declare_attention(params, spec, prefix, names->cross, true, &b->cross);
        if (st == AT_OK)
            st = at_norm_declare(params, prefix, names->cross_norm, &norm, &b->cross_norm);
    }
    if (st == AT_OK)
        st = declare_feed_forward(params, spec, prefix, b);
    if (st == AT_OK)
        st = at_norm_declare(params, prefix, names->ffn_norm, &norm, &b->ffn_norm);
    b->self.rotary = spec->rotary;
    if (st == AT_OK && spec->layer_scale > 0)
        st = declare_factors(params, prefix, "layer_scale1.lambda1", spec->width, spec->layer_scale,
                             &b->self_scale);
    if (st == AT_OK && spec->layer_scale > 0)
        st = declare_factors(params, prefix, "layer_scale2.lambda1", spec->width, spec->layer_scale,
                             &b->ffn_scale);
    if (st == AT_OK && spec->temperatures)
        st = declare_factors(params, prefix, "temperature", spec->heads, 1, &b->self.temperature);
    return st;
}

at_status at_stack_declare(at_params *params, const at_stack_spec *spec, at_stack *stack)
{
    AT_ASSERT(!(spec->rotary && spec->shared_values)); /* values do not turn */
    if (spec->linformer.slots && spec->causal)
        return at_linformer_refuse();
    stack->spec = *spec;
    stack->blocks = at_alloc_zero(spec->layers, sizeof *stack->blocks);
    if (!stack->blocks)
        return AT_ENOMEM;
    at_linformer_weights shared = {0};
    if (spec->linformer.slots && spec->linformer.share_layers) {
        at_status st =
            at_linformer_declare(params, spec->names->layers, &spec->linformer, groups_of(spec), &shared);
        if (st != AT_OK)
            return st;
    }
    char prefix[96];
    for (size_t i = 0; i < spec->layers; i++) {
        snprintf(prefix, sizeof prefix, "%s%zu.", spec->names->layers, i);
        at_status st = declare_block(params, spec, prefix, &stack->blocks[i]);
        if (st != AT_OK)
            return st;
        if (shared.keys)
            stack->blocks[i].self.linformer = shared;
    }
    if (spec->norm == AT_POST_NORM)
        return AT_OK;
    at_norm_spec norm = norm_spec(spec);
    return at_norm_declare(params, "", spec->names->last, &norm, &stack->last);
}

void at_stack_free(at_stack *stack)
{
    at_free(stack->blocks);
    stack->blocks = NULL;
}

/* ---------------------------------------------------------------- running */

/* The pass with what every block of it needs. */
typedef struct running {
    const at_stack_spec *spec;
    const at_stack_pass *pass;
    at_tape *tape;
    at_cached_keys *caches; /* (rows->count) with a state, filled anew for each attention */
} running;

/* All residual sub-layers read alike: in = enter(x); y = sub-layer(in); x = leave(x, y). */
static at_var *enter(const running *r, at_var *x, const at_norm_weights *norm)
{
    return r->spec->norm == AT_PRE_NORM && x ? at_norm_run(r->tape, x, norm) : x;
}

/* The chance of block i's sub-layers to be left out. */
static float path_rate(const at_stack_spec *spec, size_t i)
{
    return spec->layers > 1 ? spec->path_dropout * (float)i / (float)(spec->layers - 1) : spec->path_dropout;
}

/* What a sub-layer's last product may be added to at once: x, where nothing comes between the two. */
static at_var *base_of(const running *r, at_var *x, const at_param *scale, float path)
{
    bool drops = r->tape->mode == AT_TAPE_TRAIN && (path > 0 || r->spec->dropout > 0);
    return scale || drops ? NULL : x;
}

/* scale NULL: none; path: the chance of y to be left out of a sequence. */
static at_var *leave(const running *r, at_var *x, at_var *y, const at_norm_weights *norm,
                     const at_param *scale, float path)
{
    y = y && scale ? at_scale_columns(r->tape, y, scale) : y;
    if (!x || !y)
        return NULL;
    at_var *sum;
    if (base_of(r, x, scale, path))
        sum = y;
    else if (path > 0 && r->tape->mode == AT_TAPE_TRAIN)
        sum = at_drop_paths(r->tape, x, at_dropout_add(r->tape, NULL, y, r->spec->dropout, r->pass->rows),
                            path, r->pass->rows);
    else
        sum = at_dropout_add(r->tape, x, y, r->spec->dropout, r->pass->rows);
    return r->spec->norm == AT_POST_NORM && sum ? at_norm_run(r->tape, sum, norm) : sum;
}

static at_attend_spec attend_spec(const running *r, at_attention_kind kind, size_t layer)
{
    return (at_attend_spec){.heads = r->spec->heads,
                            .groups = groups_of(r->spec),
                            .causal = kind == AT_DECODER_SELF,
                            .dropout = r->spec->attention_dropout,
                            .queries = *r->pass->rows,
                            .kind = kind,
                            .layer = (int)layer};
}

/* Of a row of keys or values, all heads together. */
static size_t state_width(const at_stack_spec *spec)
{
    return spec->width / spec->heads * groups_of(spec);
}

static size_t blocks_of_layer(const at_stack_spec *spec)
{
    return spec->shared_values ? 1 : 2;
}

static at_cached_keys cached_keys(const running *r, at_cache cache, size_t layer)
{
    size_t each = blocks_of_layer(r->spec), first = layer * each;
    at_cached_keys keys = {.capacity = cache.capacity, .rows = cache.rows, .length = cache.length};
    if (cache.block16) {
        keys.k16 = cache.block16[first];
        keys.v16 = cache.block16[first + each - 1];
    } else {
        keys.k = cache.block[first];
        keys.v = cache.block[first + each - 1];
    }
    return keys;
}

/* Copies the new rows' keys or values to the rows that at_state_extend has reserved. */
static void store_rows(const running *r, size_t into, const at_var *values)
{
    size_t width = (size_t)values->shape.dim[1];
    const at_stack_pass *p = r->pass;
    const float *from = values->data;
    for (size_t b = 0; b < p->rows->count; b++) {
        size_t count = (size_t)(p->rows->offsets[b + 1] - p->rows->offsets[b]);
        at_cache cache = at_state_self(p->state, p->slots[b]);
        for (size_t i = 0; i < count; i++, from += width) {
            int32_t row = cache.rows[cache.length - count + i];
            at_state_put_row(p->state, into, row, from, r->tape->exec->kernels);
        }
    }
}

static at_var *self_cached(const running *r, const at_multi_head_weights *w, size_t layer, at_var *x,
                           const at_attend_spec *spec, at_var *base)
{
    const at_stack_pass *p = r->pass;
    size_t each = blocks_of_layer(r->spec), width = state_width(r->spec);
    at_var *q = at_project(r->tape, &w->query, x), *k = at_project(r->tape, &w->key, x);
    if (w->rotary) {
        q = at_rotate(r->tape, w->rotary, q, spec->heads, p->rows, p->starts);
        k = at_rotate(r->tape, w->rotary, k, spec->groups, p->rows, p->starts);
    }
    at_var *v = each == 1 ? k : at_project(r->tape, &w->value, x);
    if (!q || !k || !v)
        return NULL;
    store_rows(r, layer * each, k);
    if (each == 2)
        store_rows(r, layer * each + 1, v);
    AT_ASSERT(r->caches);
    for (size_t b = 0; b < p->rows->count; b++)
        r->caches[b] = cached_keys(r, at_state_self(p->state, p->slots[b]), layer);
    return at_project_onto(r->tape, base, &w->out,
                           at_heads_attend_cached(r->tape, w, q, r->caches, width, width, spec));
}

static at_var *self_attention(const running *r, const at_stack_block *b, size_t layer, at_var *x,
                              at_var *base)
{
    at_attend_spec spec = attend_spec(r, r->spec->causal ? AT_DECODER_SELF : AT_ENCODER_SELF, layer);
    spec.keys = *r->pass->rows;
    spec.bias = r->pass->bias;
    if (!x)
        return NULL;
    return r->pass->state ? self_cached(r, &b->self, layer, x, &spec, base)
                          : at_multi_head(r->tape, &b->self, x, x, x, &spec, base);
}

static at_var *cross_attention(const running *r, const at_stack_block *b, size_t layer, at_var *x,
                               at_var *base)
{
    const at_stack_pass *p = r->pass;
    at_attend_spec spec = attend_spec(r, AT_CROSS, layer);
    if (!x)
        return NULL;
    if (!p->state) {
        AT_ASSERT(p->memory_rows);
        spec.keys = *p->memory_rows;
        return at_multi_head(r->tape, &b->cross, x, p->memory, p->memory, &spec, base);
    }
    size_t width = state_width(r->spec);
    AT_ASSERT(r->caches);
    for (size_t i = 0; i < p->rows->count; i++)
        r->caches[i] = cached_keys(r, at_state_cross(p->state, p->slots[i]), layer);
    at_var *q = at_project(r->tape, &b->cross.query, x);
    return at_project_onto(r->tape, base, &b->cross.out,
                           at_heads_attend_cached(r->tape, &b->cross, q, r->caches, width, width, &spec));
}

static at_var *feed_forward(const running *r, const at_stack_block *b, at_var *x, at_var *base)
{
    at_var *hidden = at_linear(r->tape, x, b->fc1.weight, b->fc1.bias, r->spec->activation);
    if (r->spec->gated)
        hidden = at_mul(r->tape, hidden, at_project(r->tape, &b->up, x));
    if (hidden)
        hidden = at_dropout_add(r->tape, NULL, hidden, r->spec->activation_dropout, r->pass->rows);
    return at_project_onto(r->tape, base, &b->fc2, hidden);
}

at_var *at_stack_run(const at_stack *stack, const at_stack_pass *pass, at_var *x)
{
    const at_stack_spec *spec = &stack->spec;
    running r = {.spec = spec, .pass = pass, .tape = pass->tape};
    if (pass->state)
        r.caches = at_tape_saved(r.tape, pass->rows->count, sizeof *r.caches);
    if (pass->state && !r.caches)
        return NULL;
    size_t layers = pass->layers ? pass->layers : spec->layers;
    for (size_t i = 0; i < layers && x; i++) {
        const at_stack_block *b = &stack->blocks[i];
        float path = path_rate(spec, i);
        at_var *base = base_of(&r, x, b->self_scale, path);
        at_var *y = self_attention(&r, b, i, enter(&r, x, &b->self_norm), base);
        x = leave(&r, x, y, &b->self_norm, b->self_scale, path);
        if (spec->cross) {
            base = base_of(&r, x, NULL, path);
            y = cross_attention(&r, b, i, enter(&r, x, &b->cross_norm), base);
            x = leave(&r, x, y, &b->cross_norm, NULL, path);
        }
        base = base_of(&r, x, b->ffn_scale, path);
        y = feed_forward(&r, b, enter(&r, x, &b->ffn_norm), base);
        x = leave(&r, x, y, &b->ffn_norm, b->ffn_scale, path);
    }
    return spec->norm == AT_PRE_NORM && !pass->layers && x ? at_norm_run(r.tape, x, &stack->last) : x;
}

/* ---------------------------------------------------------------- state */

at_state_shape at_stack_state_shape(const at_stack *stack)
{
    const at_stack_spec *spec = &stack->spec;
    return (at_state_shape){.blocks = blocks_of_layer(spec) * spec->layers,
                            .heads = groups_of(spec),
                            .width = spec->width / spec->heads};
}

void at_stack_state_source(const at_stack *stack, at_tape *tape, at_state *state, at_var *memory,
                           const at_rows *rows, const int *sources)
{
    size_t each = blocks_of_layer(&stack->spec), width = state_width(&stack->spec);
    for (size_t i = 0; i < each * stack->spec.layers; i++) {
        const at_multi_head_weights *w = &stack->blocks[i / each].cross;
        at_var *x = at_project(tape, i % each ? &w->value : &w->key, memory);
        for (size_t b = 0; b < rows->count && x; b++) {
            size_t first = (size_t)rows->offsets[b], count = (size_t)rows->offsets[b + 1] - first;
            at_state_put_source(state, sources[b], i, x->data + first * width, count);
        }
    }
}
