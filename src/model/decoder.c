/* A decoder alone: GPT-2 (Radford et al. 2019) and Llama (Touvron et al. 2023, arXiv:2302.13971) as options
 * of one family. Names of parameters are GPT-2's with LayerNorm and Llama's with RMSNorm. */
#include <stdio.h>
#include "base/memory.h"
#include "model/internal.h"
#include "model/stack.h"

/* Numbers in the tables of turns, 256 MB: config.json alone may not ask for more. */
enum { MOST_TURNS = 1 << 26, MOST_PAIRS = 4096 };
enum { LEARNED, ROTARY, NO_POSITIONS };
enum { LAYER_NORM, RMS_NORM };
enum { GELU, GELU_TANH, RELU, SWIGLU };

typedef struct options {
    int64_t layers, width, ffn, heads, groups, max_length;
    int64_t positions, norm, activation;
    bool biases, tied;
    double rotary_base, norm_eps, deviation;
    double dropout, attention_dropout;
} options;

static const at_field fields[] = {
    {"layers", AT_FIELD_INT, offsetof(options, layers), "4", 1, 256, NULL, "blocks, one above the other"},
    {"d_model", AT_FIELD_INT, offsetof(options, width), "128", 2, 16384, NULL, "width of every row"},
    {"ffn", AT_FIELD_INT, offsetof(options, ffn), "512", 1, 1 << 18, NULL,
     "hidden width of the feed-forward layers"},
    {"heads", AT_FIELD_INT, offsetof(options, heads), "4", 1, 256, NULL,
     "attention heads; must divide d_model"},
    {"groups", AT_FIELD_INT, offsetof(options, groups), "0", 0, 256, NULL,
     "groups of heads that share keys and values; must divide heads; 0: one a head"},
    {"max_length", AT_FIELD_INT, offsetof(options, max_length), "256", 2, 1 << 20, NULL,
     "the context: most pieces that are looked at"},
    {"positions", AT_FIELD_CHOICE, offsetof(options, positions), "learned", 0, 0, "learned|rotary|none",
     "how a row knows its place"},
    {"norm", AT_FIELD_CHOICE, offsetof(options, norm), "layer", 0, 0, "layer|rms",
     "LayerNorm or RMSNorm, before each sub-layer"},
    {"activation", AT_FIELD_CHOICE, offsetof(options, activation), "gelu", 0, 0, "gelu|gelu_tanh|relu|swiglu",
     "activation of the feed-forward layers"},
    {"biases", AT_FIELD_BOOL, offsetof(options, biases), "true", 0, 0, NULL, "in products and LayerNorm"},
    {"tied", AT_FIELD_BOOL, offsetof(options, tied), "true", 0, 0, NULL,
     "embedding and output share one matrix"},
    {"rotary_base", AT_FIELD_REAL, offsetof(options, rotary_base), "10000", 2, 1e9, NULL,
     "of rotary positions: the slowest pair turns once in about this many pieces"},
    {"norm_eps", AT_FIELD_REAL, offsetof(options, norm_eps), "1e-5", 1e-12, 1e-2, NULL,
     "added to the variance in norms"},
    {"init", AT_FIELD_REAL, offsetof(options, deviation), "0.02", 1e-6, 1, NULL,
     "standard deviation of the first weights"},
    {"dropout", AT_FIELD_REAL, offsetof(options, dropout), "0", 0, 0.95, NULL,
     "of embeddings and sub-layers"},
    {"attention_dropout", AT_FIELD_REAL, offsetof(options, attention_dropout), "0", 0, 0.95, NULL,
     "of attention weights"},
    {0}};

typedef struct net {
    at_stack stack;
    at_embedding embedding;
    at_param *output;
    at_rotary rotary;
    float *turns;        /* cosines, then sines: (max_length, head width / 2) each */
    double *frequencies; /* (head width / 2) */
} net;

static const at_projection_names gpt_projections = {"q_proj", "k_proj", "v_proj", "c_proj"},
                                 llama_projections = {"q_proj", "k_proj", "v_proj", "o_proj"};

/* What the two classes call their parameters. */
static const struct naming {
    at_stack_names stack;
    const char *embedding, *positions;
} namings[] = {
    [LAYER_NORM] = {{.layers = "transformer.h.",
                     .self = "attn.",
                     .self_norm = "ln_1",
                     .fc1 = "mlp.c_fc",
                     .up = "mlp.c_up",
                     .fc2 = "mlp.c_proj",
                     .ffn_norm = "ln_2",
                     .last = "transformer.ln_f",
                     .projections = &gpt_projections},
                    "transformer.wte.weight",
                    "transformer.wpe.weight"},
    [RMS_NORM] = {{.layers = "model.layers.",
                   .self = "self_attn.",
                   .self_norm = "input_layernorm",
                   .fc1 = "mlp.gate_proj",
                   .up = "mlp.up_proj",
                   .fc2 = "mlp.down_proj",
                   .ffn_norm = "post_attention_layernorm",
                   .last = "model.norm",
                   .projections = &llama_projections},
                  "model.embed_tokens.weight",
                  "model.embed_positions.weight"},
};

static at_status check(const options *o)
{
    if (o->width % o->heads != 0)
        return at_fail(AT_EARG, "model.heads: %lld heads do not divide d_model %lld", (long long)o->heads,
                       (long long)o->width);
    if (o->groups && o->heads % o->groups != 0)
        return at_fail(AT_EARG, "model.groups: %lld groups do not divide %lld heads", (long long)o->groups,
                       (long long)o->heads);
    int64_t pairs = o->width / o->heads / 2;
    if (o->positions != ROTARY)
        return AT_OK;
    if (o->width / o->heads % 2 != 0 || pairs > MOST_PAIRS)
        return at_fail(AT_EARG, "model.positions: rotary wants heads of an even width up to %d; got %lld",
                       2 * MOST_PAIRS, (long long)(o->width / o->heads));
    if (o->max_length * 2 * pairs > MOST_TURNS)
        return at_fail(AT_EARG, "model.max_length: %lld positions times head width %lld exceed %d numbers",
                       (long long)o->max_length, (long long)(2 * pairs), MOST_TURNS);
    return AT_OK;
}

static at_status make_turns(const options *o, net *n)
{
    size_t width = (size_t)(o->width / o->heads), pairs = width / 2, count = (size_t)o->max_length * pairs;
    n->frequencies = at_alloc_array(pairs, sizeof *n->frequencies);
    n->turns = at_alloc_array(2 * count, sizeof *n->turns);
    if (!n->turns || !n->frequencies)
        return AT_ENOMEM;
    at_rotary_frequencies(n->frequencies, width, o->rotary_base);
    at_rotary_tables(n->turns, n->turns + count, (size_t)o->max_length, pairs, n->frequencies);
    n->rotary = (at_rotary){.cosines = n->turns,
                            .sines = n->turns + count,
                            .positions = (size_t)o->max_length,
                            .width = width,
                            .frequencies = n->frequencies};
    return AT_OK;
}

static at_status declare_embedding(at_model *model, const struct naming *names, net *n)
{
    const options *o = model->options;
    at_param_spec spec = {names->embedding,
                          at_shape2(model->vocabulary.target, o->width),
                          AT_DECAYED,
                          AT_INIT_NORMAL,
                          (float)o->deviation,
                          NULL,
                          true};
    at_param *table, *positions = NULL;
    at_status st = at_params_add(&model->params, &spec, &table);
    if (st == AT_OK)
        table->compact = true;
    if (st == AT_OK && o->positions == LEARNED) {
        spec.name = names->positions;
        spec.shape = at_shape2(o->max_length, o->width);
        st = at_params_add(&model->params, &spec, &positions);
    }
    if (st != AT_OK)
        return st;
    n->embedding = (at_embedding){.table = table, .scale = 1, .learned = positions};
    n->output = table;
    return AT_OK;
}

static at_status declare_output(at_model *model, net *n)
{
    const options *o = model->options;
    at_param_spec spec = {"lm_head.weight",
                          at_shape2(model->vocabulary.target, o->width),
                          AT_DECAYED,
                          AT_INIT_NORMAL,
                          (float)o->deviation,
                          NULL,
                          false};
    if (o->tied)
        return AT_OK;
    at_status st = at_params_add(&model->params, &spec, &n->output);
    if (st == AT_OK)
        n->output->compact = true;
    return st;
}

static at_status build(at_model *model)
{
    static const at_activation activations[] = {AT_GELU, AT_GELU_TANH, AT_RELU, AT_SILU};
    const options *o = model->options;
    net *n = model->net;
    const struct naming *names = &namings[o->norm];
    at_status st = check(o);
    if (st == AT_OK && o->positions == ROTARY)
        st = make_turns(o, n);
    if (st == AT_OK)
        st = declare_embedding(model, names, n);
    at_stack_spec spec = {.names = &names->stack,
                          .layers = (size_t)o->layers,
                          .width = (size_t)o->width,
                          .ffn = (size_t)o->ffn,
                          .heads = (size_t)o->heads,
                          .groups = (size_t)o->groups,
                          .causal = true,
                          .plain = !o->biases,
                          .rms = o->norm == RMS_NORM,
                          .gated = o->activation == SWIGLU,
                          .norm = AT_PRE_NORM,
                          .eps = (float)o->norm_eps,
                          .activation = activations[o->activation],
                          .rotary = o->positions == ROTARY ? &n->rotary : NULL,
                          .deviation = (float)o->deviation,
                          .dropout = (float)o->dropout,
                          .attention_dropout = (float)o->attention_dropout};
    if (st == AT_OK)
        st = at_stack_declare(&model->params, &spec, &n->stack);
    return st == AT_OK ? declare_output(model, n) : st;
}

static void release(at_model *model)
{
    net *n = model->net;
    at_stack_free(&n->stack);
    at_free(n->turns);
    at_free(n->frequencies);
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

/* Rows through embedding and blocks; the pass says where keys are. */
static at_var *run(const at_model *model, const at_stack_pass *pass, const int32_t *ids)
{
    const options *o = model->options;
    const net *n = model->net;
    at_var *x = at_embed(pass->tape, &n->embedding, ids, pass->rows, pass->starts);
    if (x)
        x = at_dropout_add(pass->tape, NULL, x, (float)o->dropout, pass->rows);
    return at_stack_run(&n->stack, pass, x);
}

static at_var *decode(const at_model *model, at_tape *tape, const at_batch *batch, at_var *memory)
{
    (void)memory;
    at_stack_pass pass = {.tape = tape, .rows = &batch->target};
    if (!at_rows_fit(tape, "text", &batch->target, max_length(model)))
        return NULL;
    return run(model, &pass, batch->target_in);
}

static void state_shape(const at_model *model, at_state_shape *self, at_state_shape *cross)
{
    *self = at_stack_state_shape(&((const net *)model->net)->stack);
    *cross = (at_state_shape){0};
}

static at_var *state_step(const at_model *model, at_tape *tape, at_state *state, const int *slots,
                          const at_rows *rows, const int32_t *ids)
{
    const int32_t *starts = at_state_advance(tape, state, slots, rows, max_length(model));
    at_stack_pass pass = {.tape = tape, .rows = rows, .state = state, .slots = slots, .starts = starts};
    return starts ? run(model, &pass, ids) : NULL;
}

static void chain(const at_model *model, at_graph *graph)
{
    static const char *const positions[] = {
        [LEARNED] = "learned positions", [ROTARY] = "rotary positions", [NO_POSITIONS] = "no positions"};
    const options *o = model->options;
    const struct naming *names = &namings[o->norm];
    at_graph_step *pieces = at_graph_add(graph, 0, "pieces");
    snprintf(pieces->shape, sizeof pieces->shape, "n");
    at_graph_step *words = at_graph_add(graph, 0, "embedding");
    snprintf(words->shape, sizeof words->shape, "n×%lld", (long long)o->width);
    snprintf(words->detail, sizeof words->detail, "%lld vectors; %s", (long long)model->vocabulary.target,
             positions[o->positions]);
    at_graph_count(graph, words, names->embedding);
    at_graph_count(graph, words, names->positions);
    at_stack_graph(&((const net *)model->net)->stack, graph, 0, "n");
    at_graph_step *logits = at_graph_add(graph, 0, "output");
    snprintf(logits->shape, sizeof logits->shape, "n×%lld", (long long)model->vocabulary.target);
    snprintf(logits->detail, sizeof logits->detail, "%s; softmax",
             o->tied ? "the embedding's matrix again" : "a matrix of its own");
    at_graph_count(graph, logits, "lm_head.");
}

static bool state_rolls(const at_model *model)
{
    return ((const options *)model->options)->positions != LEARNED;
}

const at_family at_family_decoder = {
    .name = "decoder",
    .class = "LlamaForCausalLM",
    .kind = AT_DECODER_ONLY,
    .fields = fields,
    .options_size = sizeof(options),
    .net_size = sizeof(net),
    .build = build,
    .release = release,
    .decode = decode,
    .state_shape = state_shape,
    .state_step = state_step,
    .state_rolls = state_rolls,
    .output = output,
    .max_length = max_length,
    .graph = chain,
};
