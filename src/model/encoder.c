/* An encoder alone, as BERT (Devlin et al. 2019, arXiv:1810.04805): every sequence is <s> … </s>, rows see
 * each other both ways. What a batch holds says what is learned: labels, to classify; a second sequence for
 * each, to find it among the others of the batch; neither, to fill in hidden pieces. Names of parameters are
 * those of Hugging Face's BERT. */
#include <math.h>
#include <stdio.h>
#include "attention/score.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernel/dropout.h"
#include "layer/pool.h"
#include "layer/recurrent.h"
#include "model/internal.h"
#include "model/stack.h"

enum { MOST_SINUSOIDS = 1 << 26 }; /* numbers in the table, 256 MB */
enum { LEARNED, SINUSOIDAL, NO_POSITIONS };
enum { GELU, RELU };
enum { CLASS, MEAN, MAX, ATTENTION };
enum { TRANSFORMER, GRU, LSTM };

typedef struct options {
    int64_t layers, width, ffn, heads, max_length;
    int64_t body, positions, norm, activation, pooling;
    double dropout, attention_dropout, activation_dropout, word_dropout;
    double mask_rate, mask_loss, temperature;
    at_linformer_options linformer;
} options;

static const at_field fields[] = {
    {"body", AT_FIELD_CHOICE, offsetof(options, body), "transformer", 0, 0, "transformer|gru|lstm",
     "blocks of attention, or recurrent layers in both directions, half of d_model each"},
    {"layers", AT_FIELD_INT, offsetof(options, layers), "3", 1, 64, NULL, "layers of the encoder"},
    {"d_model", AT_FIELD_INT, offsetof(options, width), "128", 2, 8192, NULL, "width of every row"},
    {"ffn", AT_FIELD_INT, offsetof(options, ffn), "512", 1, 65536, NULL,
     "hidden width of the feed-forward layers"},
    {"heads", AT_FIELD_INT, offsetof(options, heads), "4", 1, 256, NULL,
     "attention heads; must divide d_model"},
    {"max_length", AT_FIELD_INT, offsetof(options, max_length), "512", 3, 65536, NULL,
     "most pieces of a sequence, its begin and end included"},
    {"positions", AT_FIELD_CHOICE, offsetof(options, positions), "learned", 0, 0, "learned|sinusoidal|none",
     "how a row knows its place"},
    {"norm", AT_FIELD_CHOICE, offsetof(options, norm), "post", 0, 0, "post|pre",
     "layer norm after each residual sum, or before each sub-layer"},
    {"activation", AT_FIELD_CHOICE, offsetof(options, activation), "gelu", 0, 0, "gelu|relu",
     "activation of the feed-forward layers"},
    {"pooling", AT_FIELD_CHOICE, offsetof(options, pooling), "class", 0, 0, "class|mean|max|attention",
     "what stands for a sequence: its first row, the mean or maximum of its rows, or a learned mean"},
    {"dropout", AT_FIELD_REAL, offsetof(options, dropout), "0.1", 0, 0.95, NULL,
     "of embeddings, sub-layers and what is classified"},
    {"attention_dropout", AT_FIELD_REAL, offsetof(options, attention_dropout), "0", 0, 0.95, NULL,
     "of attention weights"},
    {"activation_dropout", AT_FIELD_REAL, offsetof(options, activation_dropout), "0", 0, 0.95, NULL,
     "inside the feed-forward layers"},
    {"word_dropout", AT_FIELD_REAL, offsetof(options, word_dropout), "0", 0, 0.95, NULL,
     "chance of each piece to be left blank while training"},
    {"mask_rate", AT_FIELD_REAL, offsetof(options, mask_rate), "0.15", 0.01, 0.9, NULL,
     "part of the pieces that masked training hides"},
    {"mask_loss", AT_FIELD_REAL, offsetof(options, mask_loss), "0", 0, 100, NULL,
     "weight of the loss of hidden pieces beside another loss; 0: nothing is hidden then"},
    {"temperature", AT_FIELD_REAL, offsetof(options, temperature), "0.05", 0.001, 10, NULL,
     "what cosines are divided by before the softmax of contrastive training"},
    AT_LINFORMER_FIELDS(options, linformer),
    {0}};

typedef struct net {
    at_stack stack;         /* body transformer */
    at_recurrent recurrent; /* the others */
    at_embedding embedding;
    at_norm_weights embedding_norm;
    at_pool_weights attention;
    at_projection pooler, classifier, transform;
    at_norm_weights transform_norm;
    const at_param *output; /* the table of pieces again */
    float *sinusoids;
} net;

static const at_projection_names projections = {"self.query", "self.key", "self.value", "output.dense"};
static const at_stack_names names = {.layers = "bert.encoder.layer.",
                                     .self = "attention.",
                                     .self_norm = "attention.output.LayerNorm",
                                     .fc1 = "intermediate.dense",
                                     .fc2 = "output.dense",
                                     .ffn_norm = "output.LayerNorm",
                                     .last = "bert.encoder.LayerNorm",
                                     .projections = &projections};

/* ---------------------------------------------------------------- declaring */

static at_status declare_embedding(at_model *model, net *n)
{
    const options *o = model->options;
    at_param *table, *learned;
    at_param_spec spec = {"bert.embeddings.word_embeddings.weight",
                          at_shape2(model->vocabulary.source, o->width),
                          AT_DECAYED,
                          AT_INIT_NORMAL,
                          1.0f / sqrtf((float)o->width),
                          NULL,
                          true};
    at_status st = at_params_add(&model->params, &spec, &table);
    if (st != AT_OK)
        return st;
    table->compact = true;
    n->output = n->embedding.table = table;
    n->embedding.scale = sqrtf((float)o->width);
    if (o->positions == LEARNED) {
        at_param_spec places = {"bert.embeddings.position_embeddings.weight",
                                at_shape2(o->max_length, o->width),
                                AT_PLAIN,
                                AT_INIT_NORMAL,
                                0.02f,
                                NULL,
                                true};
        st = at_params_add(&model->params, &places, &learned);
        n->embedding.learned = st == AT_OK ? learned : NULL;
    }
    if (st == AT_OK && o->positions == SINUSOIDAL) {
        n->sinusoids = at_alloc_array((size_t)(o->max_length * o->width), sizeof *n->sinusoids);
        if (!n->sinusoids)
            return AT_ENOMEM;
        at_sinusoids(n->sinusoids, (size_t)o->max_length, (size_t)o->width);
        n->embedding.fixed = n->sinusoids;
    }
    at_norm_spec norm = {.width = (size_t)o->width};
    return st == AT_OK
               ? at_norm_declare(&model->params, "bert.embeddings.", "LayerNorm", &norm, &n->embedding_norm)
               : st;
}

static at_status declare_heads(at_model *model, net *n)
{
    const options *o = model->options;
    at_params *params = &model->params;
    at_shape square = at_shape2(o->width, o->width);
    at_status st = AT_OK;
    if (o->pooling == CLASS)
        st = at_projection_declare(params, "bert.pooler.", "dense", square, true, &n->pooler);
    if (o->pooling == ATTENTION)
        st = at_pool_declare(params, "bert.pooler.", (size_t)o->width, (size_t)o->width, &n->attention);
    if (st == AT_OK && model->vocabulary.labels)
        st = at_projection_declare(params, "", "classifier", at_shape2(model->vocabulary.labels, o->width),
                                   true, &n->classifier);
    if (st != AT_OK || o->mask_loss <= 0)
        return st;
    st = at_projection_declare(params, "cls.predictions.transform.", "dense", square, true, &n->transform);
    at_norm_spec norm = {.width = (size_t)o->width};
    return st == AT_OK
               ? at_norm_declare(params, "cls.predictions.transform.", "LayerNorm", &norm, &n->transform_norm)
               : st;
}

static at_status declare_body(at_model *model, net *n)
{
    const options *o = model->options;
    if (o->body != TRANSFORMER) {
        at_recurrent_spec spec = {.cell = {.kind = o->body == GRU ? AT_CELL_GRU : AT_CELL_LSTM},
                                  .in = (size_t)o->width,
                                  .width = (size_t)o->width / 2,
                                  .layers = (size_t)o->layers,
                                  .bidirectional = true,
                                  .biases = true,
                                  .dropout = (float)o->dropout};
        return at_recurrent_declare(&model->params, "encoder.rnn", &spec, &n->recurrent);
    }
    at_stack_spec spec = {.names = &names,
                          .layers = (size_t)o->layers,
                          .width = (size_t)o->width,
                          .ffn = (size_t)o->ffn,
                          .heads = (size_t)o->heads,
                          .norm = (at_norm_place)o->norm,
                          .activation = o->activation == GELU ? AT_GELU : AT_RELU,
                          .linformer = at_linformer_chosen(&o->linformer, (size_t)o->max_length),
                          .dropout = (float)o->dropout,
                          .attention_dropout = (float)o->attention_dropout,
                          .activation_dropout = (float)o->activation_dropout};
    return at_stack_declare(&model->params, &spec, &n->stack);
}

static at_status build(at_model *model)
{
    const options *o = model->options;
    net *n = model->net;
    if (o->body == TRANSFORMER && o->width % o->heads != 0)
        return at_fail(AT_EARG, "model.heads: %lld heads do not divide d_model %lld", (long long)o->heads,
                       (long long)o->width);
    if (o->positions == SINUSOIDAL && o->width % 2 != 0)
        return at_fail(AT_EARG, "model.d_model: sinusoidal positions want an even width; got %lld",
                       (long long)o->width);
    if (o->positions == SINUSOIDAL && o->max_length * o->width > MOST_SINUSOIDS)
        return at_fail(AT_EARG, "model.max_length: %lld positions times model.d_model %lld exceed %d numbers",
                       (long long)o->max_length, (long long)o->width, MOST_SINUSOIDS);
    if (o->body != TRANSFORMER && (o->width % 2 != 0 || o->layers > AT_RECURRENT_LAYERS))
        return at_fail(
            AT_EARG,
            "model.body: recurrent layers want an even d_model, %d of them at most; got %lld and %lld",
            AT_RECURRENT_LAYERS, (long long)o->width, (long long)o->layers);
    if (o->body != TRANSFORMER && o->linformer.k)
        return at_fail(AT_EARG, "model.linformer_k: recurrent layers have no attention to shorten");
    at_status st = declare_embedding(model, n);
    if (st == AT_OK)
        st = declare_body(model, n);
    return st == AT_OK ? declare_heads(model, n) : st;
}

static void release(at_model *model)
{
    net *n = model->net;
    at_stack_free(&n->stack);
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

/* ---------------------------------------------------------------- rows */

/* layers 0: all, and the norm at the end. */
static at_var *run(const at_model *model, at_tape *tape, const at_rows *rows, const int32_t *ids,
                   size_t layers)
{
    const options *o = model->options;
    const net *n = model->net;
    if (!at_rows_fit(tape, "text", rows, max_length(model)))
        return NULL;
    at_stack_pass pass = {.tape = tape, .rows = rows, .layers = layers};
    at_var *x = at_embed(tape, &n->embedding, ids, rows, NULL);
    x = x ? at_norm_run(tape, x, &n->embedding_norm) : NULL;
    x = x ? at_dropout_add(tape, NULL, x, (float)o->dropout, rows) : NULL;
    if (o->body == TRANSFORMER || !x)
        return at_stack_run(&n->stack, &pass, x);
    return at_recurrent_rows(tape, &n->recurrent, x, rows, NULL, NULL);
}

static at_var *encode(const at_model *model, at_tape *tape, const at_batch *batch)
{
    return run(model, tape, &batch->source, batch->source_ids, 0);
}

static at_var *layer(const at_model *model, at_tape *tape, const at_batch *batch, size_t number)
{
    const net *n = model->net;
    const options *o = model->options;
    size_t layers = (size_t)o->layers;
    if (o->body != TRANSFORMER && number > 0 && number < layers) {
        at_tape_fail(tape, AT_ENOSUP, "layer %zu: of recurrent layers only the last, %zu, can be had", number,
                     layers);
        return NULL;
    }
    if (number > layers) {
        at_tape_fail(tape, AT_EARG, "layer %zu: this model has layers 1 to %zu, and 0 for the pieces alone",
                     number, layers);
        return NULL;
    }
    if (number > 0)
        return run(model, tape, &batch->source, batch->source_ids, number == layers ? 0 : number);
    at_embedding pieces = {.table = n->embedding.table, .scale = n->embedding.scale};
    return at_embed(tape, &pieces, batch->source_ids, &batch->source, NULL);
}

static at_var *pool(const at_model *model, at_tape *tape, at_var *x, const at_rows *rows,
                    const float **weights)
{
    const options *o = model->options;
    const net *n = model->net;
    if (weights)
        *weights = NULL;
    if (!x)
        return NULL;
    if (o->pooling == ATTENTION)
        return at_pool_attention(tape, &n->attention, x, rows, weights);
    if (o->pooling != CLASS)
        return at_pool_rows(tape, x, rows, o->pooling == MAX ? AT_POOL_MAX : AT_POOL_MEAN);
    at_var *first = at_pick_rows(tape, x, rows->offsets, rows->count);
    return first ? at_linear(tape, first, n->pooler.weight, n->pooler.bias, AT_TANH) : NULL;
}

static at_var *classify(const at_model *model, at_tape *tape, at_var *pooled)
{
    return at_label_logits(tape, &((const net *)model->net)->classifier, pooled);
}

/* ---------------------------------------------------------------- hidden pieces */

/* What masked training hides: 15 % of the pieces; of these 80 % become blank, 10 % another piece, 10 % stay
 * (Devlin et al. 2019, section 3.1). A function of (seed, step, example, place); a sequence with none drawn
 * hides one of its own all the same. <pad> is the blank: rows are never padded, so it is free. */
typedef struct hiding {
    const at_model *model;
    const at_rows *rows;
    const int32_t *ids;
    uint32_t key[2];
    bool masks, blanks;  /* hide pieces to be found; leave pieces blank by word_dropout */
    int32_t *shown;      /* (N) the pieces that the model sees */
    int32_t *at, *truth; /* (count) rows of hidden pieces and what they were */
    size_t count;
} hiding;

static void hide(hiding *h, int32_t row, const uint32_t word[4])
{
    const at_vocabulary *v = &h->model->vocabulary;
    h->at[h->count] = row;
    h->truth[h->count++] = h->ids[row];
    if (word[1] < at_drop_limit(0.8f))
        h->shown[row] = v->pad;
    else if (word[1] < at_drop_limit(0.9f))
        h->shown[row] = (int32_t)(((uint64_t)word[2] * (uint64_t)v->source) >> 32);
}

static void hide_in(hiding *h, size_t b)
{
    const options *o = h->model->options;
    int32_t first = h->rows->offsets[b] + 1, end = h->rows->offsets[b + 1] - 1; /* not <s> and </s> */
    uint32_t example = h->rows->examples ? h->rows->examples[b] : (uint32_t)b, word[4];
    size_t before = h->count;
    for (int32_t i = first; i < end; i++) {
        at_philox((uint32_t[]){(uint32_t)(i - first), example, 0, 0}, h->key, word);
        if (h->masks && word[0] < at_drop_limit((float)o->mask_rate))
            hide(h, i, word);
        else if (h->blanks && word[3] < at_drop_limit((float)o->word_dropout))
            h->shown[i] = h->model->vocabulary.pad;
    }
    if (!h->masks || h->count > before || first >= end)
        return;
    at_philox((uint32_t[]){UINT32_MAX, example, 0, 0}, h->key, word);
    hide(h, first + (int32_t)(((uint64_t)word[0] * (uint32_t)(end - first)) >> 32), word);
}

static bool hide_all(hiding *h, at_tape *tape)
{
    size_t n = at_rows_total(h->rows);
    const options *o = h->model->options;
    h->blanks = tape->mode == AT_TAPE_TRAIN && o->word_dropout > 0;
    at_tape_dropout_key(tape, h->key);
    h->shown = at_tape_saved(tape, 3 * n + 1, sizeof *h->shown);
    if (!h->shown)
        return false;
    h->at = h->shown + n;
    h->truth = h->at + n;
    for (size_t i = 0; i < n; i++)
        h->shown[i] = h->ids[i];
    for (size_t b = 0; b < h->rows->count; b++)
        hide_in(h, b);
    return true;
}

/* Rows of hidden pieces against what they were. */
static at_var *hidden_loss(const hiding *h, at_tape *tape, at_var *x, const at_loss_options *how, double *sum)
{
    const net *n = h->model->net;
    at_var *rows = at_pick_rows(tape, x, h->at, h->count);
    rows = rows ? at_linear(tape, rows, n->transform.weight, n->transform.bias, AT_GELU) : NULL;
    rows = rows ? at_norm_run(tape, rows, &n->transform_norm) : NULL;
    return rows ? at_cross_entropy(tape, rows, n->output, h->truth, how, sum) : NULL;
}

/* ---------------------------------------------------------------- losses */

static at_var *masked_loss(const at_model *model, at_tape *tape, const at_batch *batch,
                           const at_loss_options *how, at_loss_report *report)
{
    hiding h = {.model = model, .rows = &batch->source, .ids = batch->source_ids, .masks = true};
    if (((const options *)model->options)->mask_loss <= 0) {
        at_tape_fail(tape, AT_ENOSUP, "this model does not fill in hidden pieces: model.mask_loss is 0");
        return NULL;
    }
    if (!hide_all(&h, tape))
        return NULL;
    at_var *x = run(model, tape, h.rows, h.shown, 0);
    report->tokens += h.count;
    return x ? hidden_loss(&h, tape, x, how, &report->loss) : NULL;
}

/* Rows of sequences, pieces blanked or hidden as training wants it; *extra: the loss of hidden ones, or
 * NULL. */
static at_var *pooled_rows(const at_model *model, at_tape *tape, const at_rows *rows, const int32_t *ids,
                           const at_loss_options *how, at_var **extra)
{
    const options *o = model->options;
    bool training = tape->mode == AT_TAPE_TRAIN;
    hiding h = {.model = model, .rows = rows, .ids = ids, .masks = training && o->mask_loss > 0};
    *extra = NULL;
    if (training && !hide_all(&h, tape))
        return NULL;
    at_var *x = run(model, tape, rows, training ? h.shown : ids, 0);
    if (x && h.count) {
        double unused;
        float each = how->twins > 0 ? 0.5f : 1.0f;
        at_loss_options weighted = {.scale = each * how->scale * (float)o->mask_loss};
        *extra = hidden_loss(&h, tape, x, &weighted, &unused);
    }
    return pool(model, tape, x, rows, NULL);
}

static at_var *plus(at_tape *tape, at_var *a, at_var *b)
{
    return a && b ? at_add(tape, a, b) : a;
}

static at_var *label_loss(const at_model *model, at_tape *tape, const at_batch *batch,
                          const at_loss_options *how, at_loss_report *report)
{
    const options *o = model->options;
    at_var *extra, *x = pooled_rows(model, tape, &batch->source, batch->source_ids, how, &extra);
    /* One row a sequence: the example alone says which elements drop. */
    int32_t *ones = at_tape_saved(tape, batch->source.count + 1, sizeof *ones);
    if (!x || !ones)
        return NULL;
    for (size_t b = 0; b <= batch->source.count; b++)
        ones[b] = (int32_t)b;
    at_rows each = {batch->source.count, ones, batch->source.examples};
    x = at_dropout_add(tape, NULL, x, (float)o->dropout, &each);
    at_var *logits = x ? classify(model, tape, x) : NULL;
    return plus(tape, at_logit_cross_entropy(tape, logits, batch->labels, how, report), extra);
}

static at_var *unit(at_tape *tape, at_var *x)
{
    return x ? at_unit_rows(tape, x, 1, NULL) : NULL;
}

/* Each sequence finds its partner among the partners of the batch, and the other way round: InfoNCE with the
 * others of the batch as negatives. van den Oord et al. 2018, arXiv:1807.03748; both ways as in Radford et
 * al. 2021, arXiv:2103.00020. */
static at_var *pair_loss(const at_model *model, at_tape *tape, const at_batch *batch,
                         const at_loss_options *how, at_loss_report *report)
{
    const options *o = model->options;
    at_var *hidden[2], *z[2], *loss[2];
    z[0] = unit(tape, pooled_rows(model, tape, &batch->source, batch->source_ids, how, &hidden[0]));
    z[1] = unit(tape, pooled_rows(model, tape, &batch->target, batch->target_out, how, &hidden[1]));
    int32_t *own = at_tape_saved(tape, batch->source.count + 1, sizeof *own);
    if (!z[0] || !z[1] || !own)
        return NULL;
    for (size_t b = 0; b < batch->source.count; b++)
        own[b] = (int32_t)b;
    at_loss_options half = {.smoothing = how->smoothing, .scale = how->scale / 2};
    at_loss_report both = {0};
    for (int i = 0; i < 2; i++) {
        at_var *cosines = at_matmul(tape, z[i], z[1 - i], true);
        loss[i] = cosines
                      ? at_logit_cross_entropy(tape, at_scale(tape, cosines, 1.0f / (float)o->temperature),
                                               own, &half, &both)
                      : NULL;
    }
    report->loss += both.loss / 2;
    report->tokens += batch->source.count;
    report->judged += both.judged;
    report->right += both.right;
    return loss[0] && loss[1] ? plus(tape, plus(tape, at_add(tape, loss[0], loss[1]), hidden[0]), hidden[1])
                              : NULL;
}

static at_var *loss(const at_model *model, at_tape *tape, const at_batch *batch, const at_loss_options *how,
                    at_loss_report *report)
{
    if (batch->labels)
        return label_loss(model, tape, batch, how, report);
    return (batch->target.count ? pair_loss : masked_loss)(model, tape, batch, how, report);
}

static void chain_pooling(const at_model *model, at_graph *graph)
{
    static const char *const ways[] = {[CLASS] = "first row, linear, tanh",
                                       [MEAN] = "mean of the rows",
                                       [MAX] = "maximum of the rows",
                                       [ATTENTION] = "weighted mean of the rows"};
    const options *o = model->options;
    at_graph_step *pooled = at_graph_add(graph, 0, ways[o->pooling]);
    snprintf(pooled->shape, sizeof pooled->shape, "%lld", (long long)o->width);
    at_graph_count(graph, pooled, "bert.pooler.");
    at_graph_labels(graph);
    if (o->mask_loss > 0) {
        at_graph_step *hidden = at_graph_add(graph, 0, "hidden pieces, in training");
        snprintf(hidden->shape, sizeof hidden->shape, "%lld", (long long)model->vocabulary.source);
        snprintf(hidden->detail, sizeof hidden->detail,
                 "from their rows: linear, GELU, LayerNorm, the embedding's matrix again; softmax");
        at_graph_count(graph, hidden, "cls.");
    }
}

static void chain(const at_model *model, at_graph *graph)
{
    static const char *const positions[] = {
        [LEARNED] = "learned positions", [SINUSOIDAL] = "sinusoids", [NO_POSITIONS] = "no positions"};
    const options *o = model->options;
    const net *n = model->net;
    at_graph_step *pieces = at_graph_add(graph, 0, "pieces");
    snprintf(pieces->shape, sizeof pieces->shape, "n");
    at_graph_step *words = at_graph_add(graph, 0, "embedding");
    snprintf(words->shape, sizeof words->shape, "n×%lld", (long long)o->width);
    snprintf(words->detail, sizeof words->detail, "%lld vectors; %s; LayerNorm",
             (long long)model->vocabulary.source, positions[o->positions]);
    at_graph_count(graph, words, "bert.embeddings.");
    if (o->body == TRANSFORMER) {
        at_stack_graph(&n->stack, graph, 0, "n");
    } else {
        at_graph_step *layers = at_graph_add(graph, 0, o->body == GRU ? "GRU" : "LSTM");
        snprintf(layers->shape, sizeof layers->shape, "n×%lld", (long long)o->width);
        snprintf(layers->detail, sizeof layers->detail, "%lld layers, %lld wide in each direction",
                 (long long)o->layers, (long long)o->width / 2);
        at_graph_count(graph, layers, "encoder.rnn.");
    }
    chain_pooling(model, graph);
}

const at_family at_family_encoder = {
    .name = "encoder",
    .class = "BertForSequenceClassification",
    .kind = AT_ENCODER_ONLY,
    .fields = fields,
    .options_size = sizeof(options),
    .net_size = sizeof(net),
    .build = build,
    .release = release,
    .encode = encode,
    .loss = loss,
    .pool = pool,
    .classify = classify,
    .layer = layer,
    .output = output,
    .max_length = max_length,
    .graph = chain,
};
