/* The Transformer of Vaswani et al. 2017: encoder-decoder. Names of parameters are those of Hugging Face's
 * Marian. */
#include <math.h>
#include <stdio.h>
#include "base/memory.h"
#include "model/internal.h"
#include "model/stack.h"

/* Numbers in the table of sinusoids, 256 MB: config.json alone, without one weight to show for it, may not
 * ask for more. */
enum { MOST_SINUSOIDS = 1 << 26 };
enum { SINUSOIDAL, LEARNED, NO_POSITIONS };
enum { RELU, GELU };
enum { TIED_ALL, TIED_TARGET, TIED_NONE };

typedef struct options {
    int64_t encoder_layers, decoder_layers, width, ffn, heads, max_length;
    int64_t positions, norm, activation, tied, score, normalise;
    bool shared_values;
    double dropout, attention_dropout, activation_dropout;
    at_linformer_options linformer; /* of the encoder */
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
    {"score", AT_FIELD_CHOICE, offsetof(options, score), "scaled-dot", 0, 0, AT_SCORE_CHOICES,
     "how well a query matches a key"},
    {"normalise", AT_FIELD_CHOICE, offsetof(options, normalise), "softmax", 0, 0, AT_NORMALISER_CHOICES,
     "how scores become weights"},
    {"dropout", AT_FIELD_REAL, offsetof(options, dropout), "0.1", 0, 0.95, NULL,
     "of embeddings and sub-layers"},
    {"attention_dropout", AT_FIELD_REAL, offsetof(options, attention_dropout), "0", 0, 0.95, NULL,
     "of attention weights"},
    {"activation_dropout", AT_FIELD_REAL, offsetof(options, activation_dropout), "0", 0, 0.95, NULL,
     "inside the feed-forward layers"},
    AT_LINFORMER_FIELDS(options, linformer),
    {0}};

typedef struct side {
    at_stack stack;
    at_embedding embedding;
} side;

typedef struct net {
    side encoder, decoder;
    at_param *output;
    float *sinusoids; /* (max_length, width) */
} net;

static const at_stack_names encoder_names = {.layers = "model.encoder.layers.",
                                             .self = "self_attn.",
                                             .self_norm = "self_attn_layer_norm",
                                             .fc1 = "fc1",
                                             .fc2 = "fc2",
                                             .ffn_norm = "final_layer_norm",
                                             .last = "model.encoder.layer_norm"};
static const at_stack_names decoder_names = {.layers = "model.decoder.layers.",
                                             .self = "self_attn.",
                                             .self_norm = "self_attn_layer_norm",
                                             .cross = "encoder_attn.",
                                             .cross_norm = "encoder_attn_layer_norm",
                                             .fc1 = "fc1",
                                             .fc2 = "fc2",
                                             .ffn_norm = "final_layer_norm",
                                             .last = "model.decoder.layer_norm"};

static at_status declare_side(at_model *model, bool decoder, side *s)
{
    const options *o = model->options;
    at_stack_spec spec = {.names = decoder ? &decoder_names : &encoder_names,
                          .layers = (size_t)(decoder ? o->decoder_layers : o->encoder_layers),
                          .width = (size_t)o->width,
                          .ffn = (size_t)o->ffn,
                          .heads = (size_t)o->heads,
                          .causal = decoder,
                          .cross = decoder,
                          .shared_values = o->shared_values,
                          .norm = (at_norm_place)o->norm,
                          .activation = o->activation == GELU ? AT_GELU : AT_RELU,
                          .score = (at_score)o->score,
                          .normalise = (at_normaliser)o->normalise,
                          .places = (size_t)o->max_length,
                          .linformer = at_linformer_chosen(&o->linformer, (size_t)o->max_length),
                          .dropout = (float)o->dropout,
                          .attention_dropout = (float)o->attention_dropout,
                          .activation_dropout = (float)o->activation_dropout};
    if (decoder)
        spec.linformer.slots = 0;
    at_status st = at_stack_declare(&model->params, &spec, &s->stack);
    if (st != AT_OK || o->positions != LEARNED)
        return st;
    at_param_spec learned = {decoder ? "model.decoder.embed_positions.weight"
                                     : "model.encoder.embed_positions.weight",
                             at_shape2(o->max_length, o->width),
                             AT_PLAIN,
                             AT_INIT_NORMAL,
                             0.02f,
                             NULL,
                             true};
    at_param *positions;
    st = at_params_add(&model->params, &learned, &positions);
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
    source->compact = target->compact = n->output->compact = true;
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
        st = declare_side(model, false, &n->encoder);
    if (st == AT_OK)
        st = declare_side(model, true, &n->decoder);
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
    at_stack_free(&n->encoder.stack);
    at_stack_free(&n->decoder.stack);
    at_free(n->sinusoids);
}

static const at_param *output(const at_model *model)
{
    return ((const net *)model->net)->output;
}

static size_t max_length(const at_model *model)
{
    const options *o = model->options;
    return o->positions == NO_POSITIONS && !o->linformer.k ? 0 : (size_t)o->max_length;
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
    if (!at_rows_fit(tape, "source", rows, max_length(model)))
        return NULL;
    at_stack_pass pass = {.tape = tape, .rows = rows};
    return at_stack_run(&s->stack, &pass, embed(tape, o, s, batch->source_ids, rows, NULL));
}

static at_var *decode(const at_model *model, at_tape *tape, const at_batch *batch, at_var *memory)
{
    const options *o = model->options;
    const net *n = model->net;
    if (!memory || !at_rows_fit(tape, "target", &batch->target, max_length(model)))
        return NULL;
    at_stack_pass pass = {
        .tape = tape, .rows = &batch->target, .memory = memory, .memory_rows = &batch->source};
    at_var *x = embed(tape, o, &n->decoder, batch->target_in, &batch->target, NULL);
    return at_stack_run(&n->decoder.stack, &pass, x);
}

static void state_shape(const at_model *model, at_state_shape *self, at_state_shape *cross)
{
    *self = *cross = at_stack_state_shape(&((const net *)model->net)->decoder.stack);
}

static void state_source(const at_model *model, at_tape *tape, at_state *state, at_var *memory,
                         const at_rows *rows, const int *sources)
{
    at_stack_state_source(&((const net *)model->net)->decoder.stack, tape, state, memory, rows, sources);
}

static at_var *state_step(const at_model *model, at_tape *tape, at_state *state, const int *slots,
                          const at_rows *rows, const int32_t *ids)
{
    const options *o = model->options;
    const net *n = model->net;
    const int32_t *starts = at_state_advance(tape, state, slots, rows, max_length(model));
    if (!starts)
        return NULL;
    at_stack_pass pass = {.tape = tape, .rows = rows, .state = state, .slots = slots, .starts = starts};
    return at_stack_run(&n->decoder.stack, &pass, embed(tape, o, &n->decoder, ids, rows, starts));
}

static size_t positions(const at_model *model, bool decoder, size_t count, float *out)
{
    const net *n = model->net;
    return at_embedding_positions(decoder ? &n->decoder.embedding : &n->encoder.embedding, count, out);
}

static void chain_side(const at_model *model, at_graph *graph, bool decoder)
{
    static const char *const positions[] = {"sinusoids", "learned positions", "no positions"};
    const options *o = model->options;
    const net *n = model->net;
    int lane = decoder;
    at_graph_step *pieces = at_graph_add(graph, lane, decoder ? "target pieces" : "source pieces");
    snprintf(pieces->shape, sizeof pieces->shape, decoder ? "m" : "n");
    at_graph_step *words = at_graph_add(graph, lane, "embedding");
    snprintf(words->shape, sizeof words->shape, "%s×%lld", decoder ? "m" : "n", (long long)o->width);
    snprintf(words->detail, sizeof words->detail, "%lld vectors%s; %s",
             (long long)(decoder ? model->vocabulary.target : model->vocabulary.source),
             decoder && o->tied == TIED_ALL ? ", the encoder's" : "", positions[o->positions]);
    at_graph_count(graph, words, decoder ? "model.decoder.embed_" : "model.encoder.embed_");
    if (!decoder)
        at_graph_count(graph, words, "model.shared.");
    at_stack_graph(decoder ? &n->decoder.stack : &n->encoder.stack, graph, lane, decoder ? "m" : "n");
}

static void chain(const at_model *model, at_graph *graph)
{
    const options *o = model->options;
    graph->lanes[0] = "encoder";
    graph->lanes[1] = "decoder";
    chain_side(model, graph, false);
    chain_side(model, graph, true);
    at_graph_step *logits = at_graph_add(graph, 1, "output");
    snprintf(logits->shape, sizeof logits->shape, "m×%lld", (long long)model->vocabulary.target);
    snprintf(logits->detail, sizeof logits->detail, "%s; softmax",
             o->tied == TIED_NONE ? "a matrix of its own" : "the embedding's matrix again");
    at_graph_count(graph, logits, "lm_head.");
}

const at_family at_family_transformer = {
    .name = "transformer",
    .class = "MarianMTModel",
    .kind = AT_ENCODER_DECODER,
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
    .positions = positions,
    .graph = chain,
};
