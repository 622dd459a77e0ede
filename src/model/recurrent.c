/* The recurrent encoder-decoder: options, parameters, the family's row. What runs is in recurrent_*.c. */
#include "model/recurrent.h"
#include <math.h>
#include <stdio.h>
#include "model/graph.h"

enum { GRU, LSTM };

static const at_field fields[] = {
    {"cell", AT_FIELD_CHOICE, offsetof(at_rnn_options, cell), "gru", 0, 0, "gru|lstm", "the recurrent cell"},
    {"encoder_layers", AT_FIELD_INT, offsetof(at_rnn_options, encoder_layers), "1", 1, AT_RECURRENT_LAYERS,
     NULL, "layers of the encoder"},
    {"decoder_layers", AT_FIELD_INT, offsetof(at_rnn_options, decoder_layers), "1", 1, AT_RECURRENT_LAYERS,
     NULL, "layers of the decoder"},
    {"embedding", AT_FIELD_INT, offsetof(at_rnn_options, embedding), "256", 1, 8192, NULL,
     "width of a word's vector"},
    {"encoder_hidden", AT_FIELD_INT, offsetof(at_rnn_options, encoder_hidden), "256", 1, 8192, NULL,
     "width of the encoder's state, of each direction"},
    {"decoder_hidden", AT_FIELD_INT, offsetof(at_rnn_options, decoder_hidden), "256", 1, 8192, NULL,
     "width of the decoder's state"},
    {"bidirectional", AT_FIELD_BOOL, offsetof(at_rnn_options, bidirectional), "true", 0, 0, NULL,
     "the encoder reads in both directions"},
    {"reverse", AT_FIELD_BOOL, offsetof(at_rnn_options, reverse), "false", 0, 0, NULL,
     "the encoder reads each source from its end, as in Sutskever et al. 2014"},
    {"context", AT_FIELD_CHOICE, offsetof(at_rnn_options, context), "last", 0, 0, "last|map|pool",
     "what C is: the last state, tanh of a map of it, or tanh of a map of the mean of all states"},
    {"use", AT_FIELD_CHOICE, offsetof(at_rnn_options, use), "readout", 0, 0, "initial|every|readout",
     "where C goes (with bahdanau: C_i): the first state only, every step too, and the read-out too"},
    {"attention", AT_FIELD_CHOICE, offsetof(at_rnn_options, attention), "bahdanau", 0, 0,
     "none|bahdanau|luong", "a C_i for each word, from the state before it or from its own"},
    {"score", AT_FIELD_CHOICE, offsetof(at_rnn_options, score), "additive", 0, 0, AT_SCORE_CHOICES,
     "how well a state matches a source word"},
    {"normalise", AT_FIELD_CHOICE, offsetof(at_rnn_options, normalise), "softmax", 0, 0,
     AT_NORMALISER_CHOICES, "what makes weights of scores"},
    {"align", AT_FIELD_CHOICE, offsetof(at_rnn_options, align), "global", 0, 0, "global|local-m|local-p",
     "look at the whole source, around the word's own place, or around a predicted one"},
    {"window", AT_FIELD_INT, offsetof(at_rnn_options, window), "10", 0, 65536, NULL,
     "local attention: source words on each side of the centre"},
    {"keys", AT_FIELD_CHOICE, offsetof(at_rnn_options, keys), "states", 0, 0, "states|inputs",
     "what scores are of: the encoder's states or its words' vectors; values are its states"},
    {"attention_width", AT_FIELD_INT, offsetof(at_rnn_options, attention_width), "0", 0, 8192, NULL,
     "hidden width of the additive and concat scores; 0: decoder_hidden"},
    {"places", AT_FIELD_INT, offsetof(at_rnn_options, places), "64", 1, 65536, NULL,
     "location score: source words it can reach"},
    {"input_feeding", AT_FIELD_BOOL, offsetof(at_rnn_options, input_feeding), "true", 0, 0, NULL,
     "luong: a step also sees the output row of the one before"},
    {"readout", AT_FIELD_CHOICE, offsetof(at_rnn_options, readout), "maxout", 0, 0, "maxout|tanh|linear",
     "what the read-out makes of state, word and context"},
    {"readout_width", AT_FIELD_INT, offsetof(at_rnn_options, readout_width), "0", 0, 8192, NULL,
     "width of the read-out, of luong's output row; 0: embedding"},
    {"tied", AT_FIELD_CHOICE, offsetof(at_rnn_options, tied), "none", 0, 0, "none|target|all",
     "which of source embedding, target embedding and output share one matrix"},
    {"dropout", AT_FIELD_REAL, offsetof(at_rnn_options, dropout), "0.2", 0, 0.95, NULL,
     "of word vectors, between layers, of output rows"},
    {"attention_dropout", AT_FIELD_REAL, offsetof(at_rnn_options, attention_dropout), "0", 0, 0.95, NULL,
     "of attention weights"},
    {"sampling", AT_FIELD_REAL, offsetof(at_rnn_options, sampling), "0", 0, 1, NULL,
     "scheduled sampling: share of words that are the model's own in the end; 0: teacher forcing"},
    {"sampling_decay", AT_FIELD_CHOICE, offsetof(at_rnn_options, sampling_decay), "linear", 0, 0,
     "linear|exponential|sigmoid", "how the given words grow fewer"},
    {"sampling_steps", AT_FIELD_INT, offsetof(at_rnn_options, sampling_steps), "5000", 1, 1e9, NULL,
     "linear: updates until the end; exponential: until 1/e are given; sigmoid: until half are given"},
    {"sampling_draw", AT_FIELD_BOOL, offsetof(at_rnn_options, sampling_draw), "false", 0, 0, NULL,
     "the model's own word is drawn by its probability; false: its best"},
    {0}};

static at_status declare_matrix(at_params *params, const char *name, size_t out, size_t in, at_param **w)
{
    at_param_spec spec = {name, at_shape2((int64_t)out, (int64_t)in), AT_DECAYED, AT_INIT_XAVIER, 0, NULL,
                          false};
    return at_params_add(params, &spec, w);
}

static at_status declare_projection(at_params *params, const char *name, size_t out, size_t in,
                                    at_projection *p)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    at_status st = declare_matrix(params, full, out, in, &p->weight);
    if (st != AT_OK)
        return st;
    snprintf(full, sizeof full, "%s.bias", name);
    at_param_spec bias = {full, at_shape1((int64_t)out), AT_PLAIN, AT_INIT_ZERO, 0, NULL, false};
    return at_params_add(params, &bias, &p->bias);
}

/* ---------------------------------------------------------------- what fits together */

/* The encoder's last states begin the decoder as they are. */
static bool hands_over(const at_rnn_options *o)
{
    return o->attention == AT_RNN_NONE && o->use == AT_RNN_INITIAL && o->context == AT_RNN_LAST;
}

static bool reads_out(const at_rnn_options *o)
{
    return o->attention != AT_RNN_LUONG && o->use == AT_RNN_READOUT;
}

static void measure(const at_rnn_options *o, at_rnn_sizes *s)
{
    size_t hidden = (size_t)o->decoder_hidden, embedding = (size_t)o->embedding;
    *s = (at_rnn_sizes){.embedding = embedding,
                        .hidden = hidden,
                        .memory = (size_t)o->encoder_hidden * (o->bidirectional ? 2 : 1),
                        .layers = (size_t)o->decoder_layers,
                        .gates = at_cell_gates(o->cell == LSTM ? AT_CELL_LSTM : AT_CELL_GRU) * hidden,
                        .parts = o->cell == LSTM ? 2 : 1};
    size_t readout = o->readout_width ? (size_t)o->readout_width : embedding;
    s->start = s->layers * s->parts * hidden;
    s->out = reads_out(o) || o->attention == AT_RNN_LUONG ? readout : hidden;
    if (o->attention != AT_RNN_NONE)
        s->context = s->memory;
    else if (o->use != AT_RNN_INITIAL)
        s->context = o->context == AT_RNN_LAST ? s->memory : hidden;
    s->fed = o->attention == AT_RNN_LUONG && o->input_feeding ? s->out : 0;
    s->row = s->start + s->fed;
}

static at_status check(const at_model *model, const at_rnn_sizes *s)
{
    const at_rnn_options *o = model->options;
    const at_vocabulary *v = &model->vocabulary;
    if (hands_over(o) && (o->encoder_layers != o->decoder_layers || s->memory != s->hidden))
        return at_fail(AT_EARG,
                       "model.use: 'initial' with model.context 'last' hands the encoder's states over: it "
                       "wants as many layers on both sides (got %lld and %lld) and model.decoder_hidden %zu, "
                       "the width of an encoder's state (got %zu); or choose model.context 'map'",
                       (long long)o->encoder_layers, (long long)o->decoder_layers, s->memory, s->hidden);
    if (o->attention == AT_RNN_BAHDANAU && o->use == AT_RNN_INITIAL)
        return at_fail(AT_EARG, "model.use: with model.attention 'bahdanau' C_i enters every step: want "
                                "'every' or 'readout'");
    if (o->attention != AT_RNN_NONE && o->align != AT_LOCAL_NONE && o->window < 1)
        return at_fail(AT_EARG, "model.window: local attention looks at so many words on each side of its "
                                "centre; want 1 or more, got 0");
    if (o->tied == AT_RNN_TIED_ALL && v->source != v->target)
        return at_fail(AT_EARG,
                       "model.tied: 'all' wants one vocabulary for both languages; got %lld and %lld pieces",
                       (long long)v->source, (long long)v->target);
    if (o->tied != AT_RNN_TIED_NONE && s->out != s->embedding)
        return at_fail(AT_EARG,
                       "model.tied: the output shares the embedding's matrix, so its rows must be "
                       "model.embedding %zu wide; they are %zu (%s)",
                       s->embedding, s->out,
                       s->out == s->hidden ? "model.decoder_hidden" : "model.readout_width");
    return AT_OK;
}

/* ---------------------------------------------------------------- parameters */

static at_status declare_table(at_model *model, const char *name, int64_t pieces, size_t width, bool gathered,
                               at_param **table)
{
    at_param_spec spec = {name,           at_shape2(pieces, (int64_t)width), AT_DECAYED,
                          AT_INIT_NORMAL, 1.0f / sqrtf((float)width),        NULL,
                          gathered};
    return at_params_add(&model->params, &spec, table);
}

static at_status declare_embeddings(at_model *model, at_rnn_net *n)
{
    const at_rnn_options *o = model->options;
    const at_vocabulary *v = &model->vocabulary;
    bool one = o->tied == AT_RNN_TIED_ALL;
    at_param *source, *target;
    at_status st = declare_table(model, one ? "shared.weight" : "encoder.embed_tokens.weight", v->source,
                                 n->sizes.embedding, true, &source);
    target = source;
    if (st == AT_OK && !one)
        st =
            declare_table(model, "decoder.embed_tokens.weight", v->target, n->sizes.embedding, true, &target);
    n->output = st == AT_OK ? target : NULL;
    if (st == AT_OK && o->tied == AT_RNN_TIED_NONE)
        st = declare_table(model, "lm_head.weight", v->target, n->sizes.out, false, &n->output);
    if (st != AT_OK)
        return st;
    n->source = (at_embedding){.table = source, .scale = 1};
    n->target = (at_embedding){.table = target, .scale = 1};
    return AT_OK;
}

static at_status declare_layers(at_model *model, at_rnn_net *n)
{
    const at_rnn_options *o = model->options;
    at_recurrent_spec spec = {.cell = {.kind = o->cell == LSTM ? AT_CELL_LSTM : AT_CELL_GRU},
                              .in = n->sizes.embedding,
                              .width = (size_t)o->encoder_hidden,
                              .layers = (size_t)o->encoder_layers,
                              .bidirectional = o->bidirectional,
                              .biases = true,
                              .dropout = (float)o->dropout};
    at_status st = at_recurrent_declare(&model->params, "encoder.rnn", &spec, &n->encoder);
    if (st != AT_OK)
        return st;
    spec.width = n->sizes.hidden;
    spec.layers = n->sizes.layers;
    spec.bidirectional = false;
    return at_recurrent_declare(&model->params, "decoder.rnn", &spec, &n->decoder);
}

/* How C is made, and what it does. */
static at_status declare_context(at_model *model, at_rnn_net *n)
{
    const at_rnn_options *o = model->options;
    const at_rnn_sizes *s = &n->sizes;
    at_params *params = &model->params;
    at_status st = AT_OK;
    size_t made = s->memory; /* width of what the first states are made of */
    if (o->context != AT_RNN_LAST && (o->use != AT_RNN_INITIAL || o->attention != AT_RNN_NONE)) {
        st = declare_projection(params, "context", s->hidden, s->memory, &n->context);
        made = s->hidden;
    }
    if (st == AT_OK && !hands_over(o))
        st = declare_projection(params, "start", s->start, made, &n->start);
    size_t fed = o->attention == AT_RNN_LUONG ? s->fed : s->context;
    if (st == AT_OK && fed > 0)
        st = declare_matrix(params, "decoder.fed.weight", s->gates, fed, &n->fed);
    return st;
}

static at_status declare_output(at_model *model, at_rnn_net *n)
{
    const at_rnn_options *o = model->options;
    const at_rnn_sizes *s = &n->sizes;
    at_params *params = &model->params;
    bool luong = o->attention == AT_RNN_LUONG;
    if (!luong && !reads_out(o))
        return AT_OK;
    size_t out = s->out * (!luong && o->readout == AT_RNN_MAXOUT ? 2 : 1);
    at_status st = declare_projection(params, "readout.state", out, s->hidden, &n->by_state);
    if (st == AT_OK)
        st = declare_matrix(params, "readout.context.weight", out, s->context, &n->by_context);
    if (st == AT_OK && !luong)
        st = declare_matrix(params, "readout.word.weight", out, s->embedding, &n->by_word);
    return st;
}

static at_status declare_attention(at_model *model, at_rnn_net *n)
{
    const at_rnn_options *o = model->options;
    at_rnn_sizes *s = &n->sizes;
    if (o->attention == AT_RNN_NONE)
        return AT_OK;
    at_scorer_spec spec = {.score = (at_score)o->score,
                           .normalise = (at_normaliser)o->normalise,
                           .local = (at_local)o->align,
                           .reach = o->window,
                           .query_width = s->hidden,
                           .key_width = o->keys == AT_RNN_STATES ? s->memory : s->embedding,
                           .hidden = (size_t)o->attention_width,
                           .places = (size_t)o->places};
    at_status st = at_scorer_declare(&model->params, "attention.", &spec, &n->scorer);
    if (st != AT_OK)
        return at_fail_within(st, "model.score");
    s->keys = at_scorer_key_width(&n->scorer);
    s->values = s->memory;
    return AT_OK;
}

static at_status build(at_model *model)
{
    at_rnn_net *n = model->net;
    measure(model->options, &n->sizes);
    at_status st = check(model, &n->sizes);
    if (st == AT_OK)
        st = declare_embeddings(model, n);
    if (st == AT_OK)
        st = declare_layers(model, n);
    if (st == AT_OK)
        st = declare_context(model, n);
    if (st == AT_OK)
        st = declare_attention(model, n);
    return st == AT_OK ? declare_output(model, n) : st;
}

/* ---------------------------------------------------------------- the family's row */

static void state_shape(const at_model *model, at_state_shape *self, at_state_shape *cross)
{
    const at_rnn_sizes *s = &((const at_rnn_net *)model->net)->sizes;
    *self = (at_state_shape){1, 1, s->row};
    *cross = (at_state_shape){s->values ? 2 : 0, 1, s->keys > s->values ? s->keys : s->values};
}

static size_t state_begin(const at_model *model)
{
    const at_rnn_net *n = model->net;
    const at_rnn_options *o = model->options;
    return n->sizes.row + (o->attention == AT_RNN_NONE ? n->sizes.context : 0);
}

static const at_param *output(const at_model *model)
{
    return ((const at_rnn_net *)model->net)->output;
}

static void chain_encoder(const at_model *model, at_graph *graph)
{
    const at_rnn_options *o = model->options;
    const at_rnn_sizes *s = &((const at_rnn_net *)model->net)->sizes;
    at_graph_step *pieces = at_graph_add(graph, 0, "source pieces");
    snprintf(pieces->shape, sizeof pieces->shape, "n");
    at_graph_step *words = at_graph_add(graph, 0, "embedding");
    snprintf(words->shape, sizeof words->shape, "n×%zu", s->embedding);
    snprintf(words->detail, sizeof words->detail, "%lld vectors%s", (long long)model->vocabulary.source,
             o->reverse ? "; read from the end" : "");
    at_graph_count(graph, words, "shared.");
    at_graph_count(graph, words, "encoder.embed_");
    at_graph_step *layers = at_graph_add(graph, 0, o->cell == LSTM ? "LSTM" : "GRU");
    snprintf(layers->shape, sizeof layers->shape, "n×%zu", s->memory);
    snprintf(layers->detail, sizeof layers->detail, "layers: %lld%s", (long long)o->encoder_layers,
             o->bidirectional ? ", in both directions" : "");
    at_graph_count(graph, layers, "encoder.rnn.");
}

static void chain(const at_model *model, at_graph *graph)
{
    static const char *const looks[] = {[AT_RNN_NONE] = "one C for all words",
                                        [AT_RNN_BAHDANAU] = "a C_i for each word, by the state before it",
                                        [AT_RNN_LUONG] = "a C_i for each word, by its own state"};
    const at_rnn_options *o = model->options;
    const at_rnn_sizes *s = &((const at_rnn_net *)model->net)->sizes;
    graph->lanes[0] = "encoder";
    graph->lanes[1] = "decoder";
    chain_encoder(model, graph);
    at_graph_step *pieces = at_graph_add(graph, 1, "target pieces");
    snprintf(pieces->shape, sizeof pieces->shape, "m");
    at_graph_step *words = at_graph_add(graph, 1, "embedding");
    snprintf(words->shape, sizeof words->shape, "m×%zu", s->embedding);
    at_graph_count(graph, words, "decoder.embed_");
    at_graph_step *layers = at_graph_add(graph, 1, o->cell == LSTM ? "LSTM" : "GRU");
    snprintf(layers->shape, sizeof layers->shape, "m×%zu", s->hidden);
    snprintf(layers->detail, sizeof layers->detail, "layers: %zu; %s%s%s", s->layers, looks[o->attention],
             o->attention == AT_RNN_NONE ? "" : ", score ",
             o->attention == AT_RNN_NONE ? "" : at_score_table[o->score].name);
    layers->reads = true;
    static const char *const parts[] = {"decoder.rnn.", "decoder.fed.", "start.", "context.", "attention."};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        at_graph_count(graph, layers, parts[i]);
    if (s->out != s->hidden || reads_out(o) || o->attention == AT_RNN_LUONG) {
        at_graph_step *row = at_graph_add(graph, 1, "read-out");
        snprintf(row->shape, sizeof row->shape, "m×%zu", s->out);
        snprintf(row->detail, sizeof row->detail, "of state, context%s",
                 o->attention == AT_RNN_LUONG ? "; tanh" : ", word");
        at_graph_count(graph, row, "readout.");
    }
    at_graph_step *logits = at_graph_add(graph, 1, "output");
    snprintf(logits->shape, sizeof logits->shape, "m×%lld", (long long)model->vocabulary.target);
    snprintf(logits->detail, sizeof logits->detail, "%s; softmax",
             o->tied == AT_RNN_TIED_NONE ? "a matrix of its own" : "the embedding's matrix again");
    at_graph_count(graph, logits, "lm_head.");
}

const at_family at_family_recurrent = {
    .name = "recurrent",
    .class = "AttendModel",
    .kind = AT_ENCODER_DECODER,
    .fields = fields,
    .options_size = sizeof(at_rnn_options),
    .net_size = sizeof(at_rnn_net),
    .build = build,
    .encode = at_rnn_encode,
    .decode = at_rnn_decode,
    .state_shape = state_shape,
    .state_begin = state_begin,
    .state_newest = true,
    .state_source = at_rnn_state_source,
    .state_step = at_rnn_state_step,
    .output = output,
    .max_length = at_any_length,
    .graph = chain,
};
