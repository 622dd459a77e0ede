/* The Transformer of Vaswani et al. 2017: encoder-decoder. Names of parameters are those of Hugging Face's
 * Marian. */
#include <math.h>
#include <stdio.h>
#include "base/memory.h"
#include "layer/multi_head.h"
#include "model/internal.h"
#include "model/state.h"

/* Numbers in the table of sinusoids, 256 MB: config.json alone, without one weight to show for it, may not
 * ask for more. */
enum { MOST_SINUSOIDS = 1 << 26 };
enum { SINUSOIDAL, LEARNED, NO_POSITIONS };
enum { POST_NORM, PRE_NORM };
enum { RELU, GELU };
enum { TIED_ALL, TIED_TARGET, TIED_NONE };

typedef struct options {
    int64_t encoder_layers, decoder_layers, width, ffn, heads, max_length;
    int64_t positions, norm, activation, tied;
    bool shared_values;
    double dropout, attention_dropout, activation_dropout;
} options;

static const at_field fields[] = {
    {"encoder_layers", AT_FIELD_INT, offsetof(options, encoder_layers), "4", 1, 64, NULL,
     "layers of the encoder"},
    {"decoder_layers", AT_FIELD_INT, offsetof(options, decoder_layers), "4", 1, 64, NULL,
     "layers of the decoder"},
    {"d_model", AT_FIELD_INT, offsetof(options, width), "128", 2, 8192, NULL, "width of every row"},
    {"ffn", AT_FIELD_INT, offsetof(options, ffn), "256", 1, 65536, NULL,
     "hidden width of the feed-forward layers"},
    {"heads", AT_FIELD_INT, offsetof(options, heads), "4", 1, 256, NULL,
     "attention heads; must divide d_model"},
    {"max_length", AT_FIELD_INT, offsetof(options, max_length), "512", 2, 65536, NULL,
     "most pieces of a source or a target, end of sentence included"},
    {"positions", AT_FIELD_CHOICE, offsetof(options, positions), "sinusoidal", 0, 0,
     "sinusoidal|learned|none", "how a row knows its place"},
    {"norm", AT_FIELD_CHOICE, offsetof(options, norm), "post", 0, 0, "post|pre",
     "layer norm after each residual sum, or before each sub-layer"},
    {"activation", AT_FIELD_CHOICE, offsetof(options, activation), "relu", 0, 0, "relu|gelu",
     "activation of the feed-forward layers"},
    {"tied", AT_FIELD_CHOICE, offsetof(options, tied), "all", 0, 0, "all|target|none",
     "which of source embedding, target embedding and output share one matrix"},
    {"shared_values", AT_FIELD_BOOL, offsetof(options, shared_values), "false", 0, 0, NULL,
     "keys serve as values: no value projection"},
    {"dropout", AT_FIELD_REAL, offsetof(options, dropout), "0.1", 0, 0.95, NULL,
     "of embeddings and sub-layers"},
    {"attention_dropout", AT_FIELD_REAL, offsetof(options, attention_dropout), "0", 0, 0.95, NULL,
     "of attention weights"},
    {"activation_dropout", AT_FIELD_REAL, offsetof(options, activation_dropout), "0", 0, 0.95, NULL,
     "inside the feed-forward layers"},
    {0}};

typedef struct norm {
    at_param *gain, *bias;
} norm;

typedef struct block { /* a layer of the encoder, or of the decoder when it has `cross` */
    at_multi_head_weights self, cross;
    norm self_norm, cross_norm, final_norm;
    at_projection fc1, fc2;
} block;

typedef struct side {
    block *blocks;
    size_t layers;
    at_embedding embedding;
    norm last; /* pre-norm only */
} side;

typedef struct net {
    side encoder, decoder;
    at_param *output;
    float *sinusoids; /* (max_length, width) */
} net;

static at_status declare_norm(at_params *params, const char *prefix, const char *name, size_t width, norm *n)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    at_param_spec gain = {full, at_shape1((int64_t)width), AT_PLAIN, AT_INIT_ONE, 0, NULL, false};
    at_status st = at_params_add(params, &gain, &n->gain);
    if (st != AT_OK)
        return st;
    snprintf(full, sizeof full, "%s%s.bias", prefix, name);
    at_param_spec bias = {full, at_shape1((int64_t)width), AT_PLAIN, AT_INIT_ZERO, 0, NULL, false};
    return at_params_add(params, &bias, &n->bias);
}

static at_status declare_linear(at_params *params, const char *prefix, const char *name, at_shape shape,
                                at_projection *p)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    at_param_spec weight = {full, shape, AT_DECAYED, AT_INIT_XAVIER, 0, NULL, false};
    at_status st = at_params_add(params, &weight, &p->weight);
    if (st != AT_OK)
        return st;
    snprintf(full, sizeof full, "%s%s.bias", prefix, name);
    at_param_spec bias = {full, at_shape1(shape.dim[0]), AT_PLAIN, AT_INIT_ZERO, 0, NULL, false};
    return at_params_add(params, &bias, &p->bias);
}

static at_status declare_block(at_params *params, const options *o, const char *prefix, bool cross, block *b)
{
    size_t d = (size_t)o->width, heads = (size_t)o->heads;
    at_multi_head_spec spec = {d, d, d, heads, heads, d / heads, d, o->shared_values, true};
    char full[128];
    snprintf(full, sizeof full, "%sself_attn.", prefix);
    at_status st = at_multi_head_declare(params, full, &spec, &b->self);
    if (st == AT_OK)
        st = declare_norm(params, prefix, "self_attn_layer_norm", d, &b->self_norm);
    if (st == AT_OK && cross) {
        snprintf(full, sizeof full, "%sencoder_attn.", prefix);
        st = at_multi_head_declare(params, full, &spec, &b->cross);
        if (st == AT_OK)
            st = declare_norm(params, prefix, "encoder_attn_layer_norm", d, &b->cross_norm);
    }
    if (st == AT_OK)
        st = declare_linear(params, prefix, "fc1", at_shape2(o->ffn, o->width), &b->fc1);
    if (st == AT_OK)
        st = declare_linear(params, prefix, "fc2", at_shape2(o->width, o->ffn), &b->fc2);
    if (st == AT_OK)
        st = declare_norm(params, prefix, "final_layer_norm", d, &b->final_norm);
    return st;
}

static at_status declare_side(at_model *model, const char *name, size_t layers, bool cross, side *s)
{
    const options *o = model->options;
    char prefix[96];
    s->blocks = at_alloc_zero(layers, sizeof *s->blocks);
    if (!s->blocks)
        return AT_ENOMEM;
    s->layers = layers;
    for (size_t i = 0; i < layers; i++) {
        snprintf(prefix, sizeof prefix, "model.%s.layers.%zu.", name, i);
        at_status st = declare_block(&model->params, o, prefix, cross, &s->blocks[i]);
        if (st != AT_OK)
            return st;
    }
    snprintf(prefix, sizeof prefix, "model.%s.", name);
    if (o->norm == PRE_NORM) {
        at_status st = declare_norm(&model->params, prefix, "layer_norm", (size_t)o->width, &s->last);
        if (st != AT_OK)
            return st;
    }
    if (o->positions != LEARNED)
        return AT_OK;
    snprintf(prefix, sizeof prefix, "model.%s.embed_positions.weight", name);
    at_param_spec learned = {
        prefix, at_shape2(o->max_length, o->width), AT_PLAIN, AT_INIT_NORMAL, 0.02f, NULL, true};
    at_param *positions;
    at_status st = at_params_add(&model->params, &learned, &positions);
    if (st == AT_OK)
        s->embedding.learned = positions;
    return st;
}

/* Source embedding, target embedding, output matrix: one, two or three of them. */
static at_status declare_embeddings(at_model *model, net *n)
{
    const options *o = model->options;
    const at_vocabulary *v = &model->vocabulary;
    float deviation = 1.0f / sqrtf((float)o->width);
    bool one = o->tied == TIED_ALL;
    if (one && v->source != v->target)
        return at_fail(AT_EARG,
                       "model.tied: 'all' wants one vocabulary for both languages; got %lld and %lld pieces",
                       (long long)v->source, (long long)v->target);
    at_param *source, *target;
    at_param_spec spec = {one ? "model.shared.weight" : "model.encoder.embed_tokens.weight",
                          at_shape2(v->source, o->width),
                          AT_DECAYED,
                          AT_INIT_NORMAL,
                          deviation,
                          NULL,
                          true};
    at_status st = at_params_add(&model->params, &spec, &source);
    target = source;
    if (st == AT_OK && !one) {
        spec.name = "model.decoder.embed_tokens.weight";
        spec.shape = at_shape2(v->target, o->width);
        st = at_params_add(&model->params, &spec, &target);
    }
    n->output = st == AT_OK ? target : NULL;
    if (st == AT_OK && o->tied == TIED_NONE) {
        spec.name = "lm_head.weight";
        spec.gathered = false;
        st = at_params_add(&model->params, &spec, &n->output);
    }
    if (st != AT_OK)
        return st;
    n->encoder.embedding.table = source;
    n->decoder.embedding.table = target;
    n->encoder.embedding.scale = n->decoder.embedding.scale = sqrtf((float)o->width);
    return AT_OK;
}

static at_status build(at_model *model)
{
    const options *o = model->options;
    net *n = model->net;
    if (o->width % o->heads != 0)
        return at_fail(AT_EARG, "model.heads: %lld heads do not divide d_model %lld", (long long)o->heads,
                       (long long)o->width);
    if (o->positions == SINUSOIDAL && o->width % 2 != 0)
        return at_fail(AT_EARG, "model.d_model: sinusoidal positions want an even width; got %lld",
                       (long long)o->width);
    if (o->positions == SINUSOIDAL && o->max_length * o->width > MOST_SINUSOIDS)
        return at_fail(AT_EARG, "model.max_length: %lld positions times model.d_model %lld exceed %d numbers",
                       (long long)o->max_length, (long long)o->width, MOST_SINUSOIDS);
    at_status st = declare_embeddings(model, n);
    if (st == AT_OK)
        st = declare_side(model, "encoder", (size_t)o->encoder_layers, false, &n->encoder);
    if (st == AT_OK)
        st = declare_side(model, "decoder", (size_t)o->decoder_layers, true, &n->decoder);
    if (st != AT_OK || o->positions != SINUSOIDAL)
        return st;
    n->sinusoids = at_alloc_array((size_t)(o->max_length * o->width), sizeof *n->sinusoids);
    if (!n->sinusoids)
        return AT_ENOMEM;
    at_sinusoids(n->sinusoids, (size_t)o->max_length, (size_t)o->width);
    n->encoder.embedding.fixed = n->decoder.embedding.fixed = n->sinusoids;
    return AT_OK;
}

static void release(at_model *model)
{
    net *n = model->net;
    at_free(n->encoder.blocks);
    at_free(n->decoder.blocks);
    at_free(n->sinusoids);
}

static at_var *normalise(at_tape *tape, at_var *x, const norm *n)
{
    return at_layer_norm(tape, x, n->gain, n->bias, 1e-5f);
}

/* Both kinds of residual sub-layer read alike: x = enter(x); y = sub-layer(x); x = leave(x, y). */
static at_var *enter(at_tape *tape, const options *o, at_var *x, const norm *n)
{
    return o->norm == PRE_NORM && x ? normalise(tape, x, n) : x;
}

static at_var *leave(at_tape *tape, const options *o, at_var *x, at_var *y, const norm *n,
                     const at_rows *rows)
{
    if (!x || !y)
        return NULL;
    at_var *sum = at_dropout_add(tape, x, y, (float)o->dropout, rows);
    return o->norm == POST_NORM && sum ? normalise(tape, sum, n) : sum;
}

static at_var *feed_forward(at_tape *tape, const options *o, const block *b, at_var *x, const at_rows *rows)
{
    at_var *in = enter(tape, o, x, &b->final_norm);
    at_var *hidden =
        at_linear(tape, in, b->fc1.weight, b->fc1.bias, o->activation == GELU ? AT_GELU : AT_RELU);
    if (hidden)
        hidden = at_dropout_add(tape, NULL, hidden, (float)o->activation_dropout, rows);
    return leave(tape, o, x, at_project(tape, &b->fc2, hidden), &b->final_norm, rows);
}

static at_attend_spec attend_spec(const options *o, at_attention_kind kind, size_t layer)
{
    return (at_attend_spec){.heads = (size_t)o->heads,
                            .groups = (size_t)o->heads,
                            .causal = kind == AT_DECODER_SELF,
                            .dropout = (float)o->attention_dropout,
                            .kind = kind,
                            .layer = (int)layer};
}

static bool fits(at_tape *tape, const options *o, const char *what, size_t length)
{
    if (o->positions == NO_POSITIONS || length <= (size_t)o->max_length)
        return true;
    at_tape_fail(tape, AT_ENOSUP, "%s of %zu pieces: this model reaches %lld (model.max_length)", what,
                 length, (long long)o->max_length);
    return false;
}

static bool all_fit(at_tape *tape, const options *o, const char *what, const at_rows *rows)
{
    for (size_t b = 0; b < rows->count; b++) {
        if (!fits(tape, o, what, (size_t)(rows->offsets[b + 1] - rows->offsets[b])))
            return false;
    }
    return true;
}

static at_var *embed(at_tape *tape, const options *o, const side *s, const int32_t *ids, const at_rows *rows,
                     const int32_t *starts)
{
    at_var *x = at_embed(tape, &s->embedding, ids, rows, starts);
    return x ? at_dropout_add(tape, NULL, x, (float)o->dropout, rows) : NULL;
}

static at_var *encode(const at_model *model, at_tape *tape, const at_batch *batch)
{
    const options *o = model->options;
    const side *s = &((const net *)model->net)->encoder;
    const at_rows *rows = &batch->source;
    if (!all_fit(tape, o, "source", rows))
        return NULL;
    at_var *x = embed(tape, o, s, batch->source_ids, rows, NULL);
    for (size_t i = 0; i < s->layers && x; i++) {
        const block *b = &s->blocks[i];
        at_attend_spec spec = attend_spec(o, AT_ENCODER_SELF, i);
        spec.queries = spec.keys = *rows;
        at_var *in = enter(tape, o, x, &b->self_norm);
        x = leave(tape, o, x, in ? at_multi_head(tape, &b->self, in, in, in, &spec) : NULL, &b->self_norm,
                  rows);
        x = feed_forward(tape, o, b, x, rows);
    }
    return o->norm == PRE_NORM && x ? normalise(tape, x, &s->last) : x;
}

/* Where a decoder's layer finds keys and values: in the rows of the batch (training), or in a state
 * (running). */
typedef struct context {
    const at_model *model;
    at_tape *tape;
    const at_rows *rows; /* new target rows */
    at_var *memory;      /* training */
    const at_rows *memory_rows;
    at_state *state; /* running; then also: */
    const int *slots;
    at_cached_keys *caches; /* (rows->count), filled anew for each attention */
} context;

/* Blocks of a layer in a pool: keys, then values, or one block when keys are the values. */
static size_t blocks_of_layer(const options *o)
{
    return o->shared_values ? 1 : 2;
}

static at_cached_keys cached_keys(const options *o, at_cache cache, size_t layer)
{
    size_t each = blocks_of_layer(o), first = layer * each;
    return (at_cached_keys){cache.block[first], cache.block[first + each - 1], cache.rows, cache.length};
}

/* Copies the new rows' keys or values to the rows that at_state_extend has reserved. */
static void store_rows(const context *c, size_t into, const at_var *values)
{
    size_t width = (size_t)values->shape.dim[1];
    const float *from = values->data;
    for (size_t b = 0; b < c->rows->count; b++) {
        size_t count = (size_t)(c->rows->offsets[b + 1] - c->rows->offsets[b]);
        at_cache cache = at_state_self(c->state, c->slots[b]);
        for (size_t i = 0; i < count; i++, from += width) {
            float *to = at_state_self_row(c->state, into, cache.rows[cache.length - count + i]);
            for (size_t j = 0; j < width; j++)
                to[j] = from[j];
        }
    }
}

static at_var *self_attention(const context *c, const block *b, size_t layer, at_var *x)
{
    const options *o = c->model->options;
    at_attend_spec spec = attend_spec(o, AT_DECODER_SELF, layer);
    spec.queries = spec.keys = *c->rows;
    if (!x || !c->state)
        return x ? at_multi_head(c->tape, &b->self, x, x, x, &spec) : NULL;
    size_t width = (size_t)o->width;
    at_var *q = at_project(c->tape, &b->self.query, x), *k = at_project(c->tape, &b->self.key, x);
    at_var *v = o->shared_values ? k : at_project(c->tape, &b->self.value, x);
    if (!q || !k || !v)
        return NULL;
    store_rows(c, layer * blocks_of_layer(o), k);
    if (!o->shared_values)
        store_rows(c, layer * blocks_of_layer(o) + 1, v);
    for (size_t i = 0; i < c->rows->count; i++)
        c->caches[i] = cached_keys(o, at_state_self(c->state, c->slots[i]), layer);
    return at_project(c->tape, &b->self.out, at_attention_cached(c->tape, q, c->caches, width, width, &spec));
}

static at_var *cross_attention(const context *c, const block *b, size_t layer, at_var *x)
{
    const options *o = c->model->options;
    at_attend_spec spec = attend_spec(o, AT_CROSS, layer);
    spec.queries = *c->rows;
    if (!x)
        return NULL;
    if (!c->state) {
        AT_ASSERT(c->memory_rows);
        spec.keys = *c->memory_rows;
        return at_multi_head(c->tape, &b->cross, x, c->memory, c->memory, &spec);
    }
    size_t width = (size_t)o->width;
    for (size_t i = 0; i < c->rows->count; i++)
        c->caches[i] = cached_keys(o, at_state_cross(c->state, c->slots[i]), layer);
    at_var *q = at_project(c->tape, &b->cross.query, x);
    return at_project(c->tape, &b->cross.out,
                      at_attention_cached(c->tape, q, c->caches, width, width, &spec));
}

/* The decoder, once for training and running. */
static at_var *run_decoder(const context *c, at_var *x)
{
    const options *o = c->model->options;
    const side *s = &((const net *)c->model->net)->decoder;
    for (size_t i = 0; i < s->layers && x; i++) {
        const block *b = &s->blocks[i];
        at_var *y = self_attention(c, b, i, enter(c->tape, o, x, &b->self_norm));
        x = leave(c->tape, o, x, y, &b->self_norm, c->rows);
        y = cross_attention(c, b, i, enter(c->tape, o, x, &b->cross_norm));
        x = leave(c->tape, o, x, y, &b->cross_norm, c->rows);
        x = feed_forward(c->tape, o, b, x, c->rows);
    }
    return o->norm == PRE_NORM && x ? normalise(c->tape, x, &s->last) : x;
}

static at_var *decode(const at_model *model, at_tape *tape, const at_batch *batch, at_var *memory)
{
    const options *o = model->options;
    const net *n = model->net;
    if (!memory || !all_fit(tape, o, "target", &batch->target))
        return NULL;
    context c = {.model = model,
                 .tape = tape,
                 .rows = &batch->target,
                 .memory = memory,
                 .memory_rows = &batch->source};
    return run_decoder(&c, embed(tape, o, &n->decoder, batch->target_in, &batch->target, NULL));
}

static void state_shape(const at_model *model, size_t *self_blocks, size_t *self_width, size_t *cross_blocks,
                        size_t *cross_width)
{
    const options *o = model->options;
    *self_blocks = *cross_blocks = blocks_of_layer(o) * (size_t)o->decoder_layers;
    *self_width = *cross_width = (size_t)o->width;
}

static void state_source(const at_model *model, at_tape *tape, at_state *state, at_var *memory,
                         const at_rows *rows, const int *sources)
{
    const options *o = model->options;
    const side *s = &((const net *)model->net)->decoder;
    size_t each = blocks_of_layer(o);
    for (size_t i = 0; i < each * s->layers; i++) {
        const at_multi_head_weights *w = &s->blocks[i / each].cross;
        at_var *x = at_project(tape, i % each ? &w->value : &w->key, memory);
        for (size_t b = 0; b < rows->count && x; b++) {
            size_t first = (size_t)rows->offsets[b], count = (size_t)rows->offsets[b + 1] - first;
            at_state_put_source(state, sources[b], i, x->data + first * (size_t)o->width, count);
        }
    }
}

static at_var *state_step(const at_model *model, at_tape *tape, at_state *state, const int *slots,
                          const at_rows *rows, const int32_t *ids)
{
    const options *o = model->options;
    const net *n = model->net;
    int32_t *starts = at_tape_saved(tape, rows->count, sizeof *starts);
    at_cached_keys *caches = at_tape_saved(tape, rows->count, sizeof *caches);
    for (size_t b = 0; b < rows->count && tape->status == AT_OK; b++) {
        size_t count = (size_t)(rows->offsets[b + 1] - rows->offsets[b]);
        starts[b] = (int32_t)at_state_length(state, slots[b]);
        if (fits(tape, o, "target", (size_t)starts[b] + count) &&
            at_state_extend(state, slots[b], count) != AT_OK)
            tape->status = AT_ENOMEM;
    }
    if (tape->status != AT_OK)
        return NULL;
    context c = {
        .model = model, .tape = tape, .rows = rows, .state = state, .slots = slots, .caches = caches};
    return run_decoder(&c, embed(tape, o, &n->decoder, ids, rows, starts));
}

static const at_param *output(const at_model *model)
{
    return ((const net *)model->net)->output;
}

static size_t max_length(const at_model *model)
{
    const options *o = model->options;
    return o->positions == NO_POSITIONS ? 0 : (size_t)o->max_length;
}

const at_family at_family_transformer = {
    .name = "transformer",
    .class = "MarianMTModel",
    .fields = fields,
    .options_size = sizeof(options),
    .net_size = sizeof(net),
    .build = build,
    .release = release,
    .encode = encode,
    .decode = decode,
    .state_shape = state_shape,
    .state_source = state_source,
    .state_step = state_step,
    .output = output,
    .max_length = max_length,
};
