/* A Transformer over pictures. Dosovitskiy et al. 2021, arXiv:2010.11929: patches, a class token in front, an
 * encoder. For few pictures: a convolutional stem and sequence pooling (Hassani et al. 2021, 2104.05704),
 * shifted patch tokens and locality self-attention (Lee et al. 2021, arXiv:2112.13492). Parameters are named
 * as those of Hugging Face's ViTForImageClassification. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/memory.h"
#include "layer/pool.h"
#include "layer/tokens.h"
#include "layer/window.h"
#include "model/graph.h"
#include "model/internal.h"
#include "model/stack.h"

enum { MOST_TOKENS = 1 << 16, MOST_STEM = 4, SHIFTS = 4 };
enum { PICTURES_AT_ONCE = 4 }; /* a thread */
enum { CLASS, MEAN, SEQUENCE };
enum { LEARNED, SINUSOIDAL, NO_POSITIONS };
enum { GELU, RELU };

typedef struct options {
    int64_t height, width, channels, patch_height, patch_width;
    int64_t layers, d_model, ffn, heads;
    int64_t pooling, positions, activation;
    int64_t stem, stem_kernel, stem_width, stem_step;
    bool stem_norm, patch_norm, shifted, locality;
    double dropout, attention_dropout, activation_dropout, embedding_dropout, patch_dropout, path_dropout;
    double layer_scale, eps;
    at_linformer_options linformer;
} options;

static const at_field fields[] = {
    {"image_height", AT_FIELD_INT, offsetof(options, height), "224", 1, 16384, NULL, "lines of a picture"},
    {"image_width", AT_FIELD_INT, offsetof(options, width), "224", 1, 16384, NULL, "columns of a picture"},
    {"channels", AT_FIELD_INT, offsetof(options, channels), "3", 1, 3, NULL,
     "of a picture: 3 colour, 1 grey"},
    {"patch_height", AT_FIELD_INT, offsetof(options, patch_height), "16", 1, 1024, NULL,
     "lines of a patch; must divide image_height"},
    {"patch_width", AT_FIELD_INT, offsetof(options, patch_width), "16", 1, 1024, NULL,
     "columns of a patch; must divide image_width"},
    {"layers", AT_FIELD_INT, offsetof(options, layers), "6", 1, 64, NULL, "layers of the encoder"},
    {"d_model", AT_FIELD_INT, offsetof(options, d_model), "128", 4, 8192, NULL, "width of every row"},
    {"ffn", AT_FIELD_INT, offsetof(options, ffn), "512", 1, 65536, NULL,
     "hidden width of the feed-forward layers"},
    {"heads", AT_FIELD_INT, offsetof(options, heads), "4", 1, 256, NULL,
     "attention heads; must divide d_model"},
    {"pooling", AT_FIELD_CHOICE, offsetof(options, pooling), "class", 0, 0, "class|mean|sequence",
     "what stands for a picture: its class token, the mean of all tokens, or their learned mean without a "
     "class token (CCT)"},
    {"positions", AT_FIELD_CHOICE, offsetof(options, positions), "learned", 0, 0, "learned|sinusoidal|none",
     "how a row knows its place; sinusoidal: sines of line and column"},
    {"activation", AT_FIELD_CHOICE, offsetof(options, activation), "gelu", 0, 0, "gelu|relu",
     "activation of the feed-forward layers"},
    {"stem", AT_FIELD_INT, offsetof(options, stem), "0", 0, MOST_STEM, NULL,
     "convolutions instead of patches, each followed by the largest of 3x3 every second pixel (CCT)"},
    {"stem_kernel", AT_FIELD_INT, offsetof(options, stem_kernel), "3", 1, 15, NULL,
     "side of their windows in pixels, odd"},
    {"stem_width", AT_FIELD_INT, offsetof(options, stem_width), "32", 1, 4096, NULL,
     "channels of the first, doubled by each; the last has d_model"},
    {"stem_step", AT_FIELD_INT, offsetof(options, stem_step), "1", 1, 8, NULL,
     "pixels between windows of the first"},
    {"stem_norm", AT_FIELD_BOOL, offsetof(options, stem_norm), "false", 0, 0, NULL,
     "layer norm over channels in the stem"},
    {"patch_norm", AT_FIELD_BOOL, offsetof(options, patch_norm), "false", 0, 0, NULL,
     "layer norm before and after patches are projected"},
    {"shifted", AT_FIELD_BOOL, offsetof(options, shifted), "false", 0, 0, NULL,
     "a patch holds four pictures shifted by half of it too"},
    {"locality", AT_FIELD_BOOL, offsetof(options, locality), "false", 0, 0, NULL,
     "attention learns its temperature and leaves out a row's own key"},
    {"dropout", AT_FIELD_REAL, offsetof(options, dropout), "0", 0, 0.95, NULL, "of sub-layers"},
    {"attention_dropout", AT_FIELD_REAL, offsetof(options, attention_dropout), "0", 0, 0.95, NULL,
     "of attention weights"},
    {"activation_dropout", AT_FIELD_REAL, offsetof(options, activation_dropout), "0", 0, 0.95, NULL,
     "inside the feed-forward layers"},
    {"embedding_dropout", AT_FIELD_REAL, offsetof(options, embedding_dropout), "0", 0, 0.95, NULL,
     "of rows before the first layer"},
    {"patch_dropout", AT_FIELD_REAL, offsetof(options, patch_dropout), "0", 0, 0.95, NULL,
     "part of the patches that is left out while training"},
    {"path_dropout", AT_FIELD_REAL, offsetof(options, path_dropout), "0", 0, 0.95, NULL,
     "chance of the last layer's sub-layers to be left out of a picture, less in those before: stochastic "
     "depth"},
    {"layer_scale", AT_FIELD_REAL, offsetof(options, layer_scale), "0", 0, 1, NULL,
     "first value of learned factors of each sub-layer's columns; 0: none"},
    {"eps", AT_FIELD_REAL, offsetof(options, eps), "1e-6", 1e-12, 1e-2, NULL, "of layer norms"},
    AT_LINFORMER_FIELDS(options, linformer),
    {0}};

typedef struct stem_layer {
    at_projection weights;
    at_norm_weights norm;
} stem_layer;

typedef struct net {
    at_stack stack;
    at_projection patches, pooling, classifier;
    at_norm_weights patch_norm[2];
    stem_layer stem[MOST_STEM];
    const at_param *class, *positions;
    float *sinusoids; /* (tokens, D), the class token's first */
    float *own;       /* (tokens, tokens) -INFINITY where a row meets itself */
    size_t tokens;    /* of a picture, class token included */
    size_t down, across;
} net;

static const at_projection_names projections = {"attention.query", "attention.key", "attention.value",
                                                "output.dense"};
static const at_stack_names names = {.layers = "vit.encoder.layer.",
                                     .self = "attention.",
                                     .self_norm = "layernorm_before",
                                     .fc1 = "intermediate.dense",
                                     .fc2 = "output.dense",
                                     .ffn_norm = "layernorm_after",
                                     .last = "vit.layernorm",
                                     .projections = &projections};

/* ---------------------------------------------------------------- sizes */

/* The grid of rows that patches or the stem make of a picture. */
static at_status find_grid(const options *o, net *n)
{
    if (o->channels == 2)
        return at_fail(AT_EARG, "model.channels: 1 grey or 3 colour; got 2");
    if (o->stem > 0 && o->stem_kernel % 2 == 0)
        return at_fail(AT_EARG, "model.stem_kernel: %lld is not odd", (long long)o->stem_kernel);
    if (o->stem > 0 && o->shifted)
        return at_fail(AT_EARG, "model.shifted: wants patches, not a stem");
    at_grid grid = {1, (size_t)o->height, (size_t)o->width};
    for (int64_t i = 0; i < o->stem; i++) {
        at_windowing w = at_windowing_same(&grid, (size_t)o->stem_kernel, i ? 1 : (size_t)o->stem_step);
        grid = at_grid_after(&grid, &w);
        w = at_windowing_same(&grid, 3, 2);
        grid = at_grid_after(&grid, &w);
    }
    if (o->stem == 0) {
        const struct {
            const char *name;
            int64_t picture, patch;
        } sides[] = {{"height", o->height, o->patch_height}, {"width", o->width, o->patch_width}};
        for (int i = 0; i < 2; i++)
            if (sides[i].picture % sides[i].patch != 0)
                return at_fail(AT_EARG, "model.patch_%s: %lld does not divide model.image_%s %lld",
                               sides[i].name, (long long)sides[i].patch, sides[i].name,
                               (long long)sides[i].picture);
        grid.height /= (size_t)o->patch_height;
        grid.width /= (size_t)o->patch_width;
    }
    n->down = grid.height;
    n->across = grid.width;
    n->tokens = grid.height * grid.width + (o->pooling != SEQUENCE);
    if (n->tokens > MOST_TOKENS)
        return at_fail(AT_EARG, "model.patch_height: %zu patches a picture; %d are the most", n->tokens,
                       MOST_TOKENS);
    return AT_OK;
}

static at_status check(const options *o)
{
    if (o->d_model % o->heads != 0)
        return at_fail(AT_EARG, "model.heads: %lld heads do not divide d_model %lld", (long long)o->heads,
                       (long long)o->d_model);
    if (o->locality && o->linformer.k)
        return at_fail(AT_EARG, "model.locality: a row's own key cannot be left out of Linformer's sums");
    if (o->positions == SINUSOIDAL && (o->d_model % 4 != 0 || o->d_model < 8))
        return at_fail(
            AT_EARG, "model.d_model: sinusoidal positions want a width divisible by 4, 8 at least; got %lld",
            (long long)o->d_model);
    return AT_OK;
}

/* ---------------------------------------------------------------- declaring */

static at_status add(at_model *model, const char *name, at_shape shape, const at_param **param)
{
    at_param_spec spec = {name, shape, AT_PLAIN, AT_INIT_NORMAL, 0.02f, NULL, true};
    at_param *p = NULL;
    at_status st = at_params_add(&model->params, &spec, &p);
    *param = p;
    return st;
}

static at_status declare_stem(at_model *model, net *n)
{
    const options *o = model->options;
    int64_t in = o->channels, square = o->stem_kernel * o->stem_kernel;
    at_status st = AT_OK;
    for (int64_t i = 0; st == AT_OK && i < o->stem; i++) {
        char name[64];
        int64_t out = i + 1 == o->stem ? o->d_model : o->stem_width << i;
        snprintf(name, sizeof name, "vit.embeddings.stem.%lld.", (long long)i);
        st = at_projection_declare(&model->params, name, "convolution", at_shape2(out, square * in), true,
                                   &n->stem[i].weights);
        if (st == AT_OK && o->stem_norm) {
            at_norm_spec norm = {.width = (size_t)out, .eps = (float)o->eps};
            st = at_norm_declare(&model->params, name, "layernorm", &norm, &n->stem[i].norm);
        }
        if (st != AT_OK)
            return st;
        n->stem[i].weights.weight->init = AT_INIT_NORMAL; /* He et al. 2015: what ReLU halves */
        n->stem[i].weights.weight->deviation = sqrtf(2.0f / (float)(square * in));
        in = out;
    }
    return st;
}

static at_status declare_patches(at_model *model, net *n)
{
    const options *o = model->options;
    static const char prefix[] = "vit.embeddings.patch_embeddings.";
    int64_t planes = o->channels * (o->shifted ? 1 + SHIFTS : 1);
    size_t numbers = (size_t)(planes * o->patch_height * o->patch_width);
    bool first = o->patch_norm || o->shifted;
    at_status st = at_projection_declare(&model->params, prefix, "projection",
                                         at_shape4(o->d_model, planes, o->patch_height, o->patch_width), true,
                                         &n->patches);
    at_norm_spec before = {.width = numbers, .eps = (float)o->eps},
                 after = {.width = (size_t)o->d_model, .eps = (float)o->eps};
    if (st == AT_OK && first)
        st = at_norm_declare(&model->params, prefix, "layernorm_before", &before, &n->patch_norm[0]);
    if (st == AT_OK && o->patch_norm)
        st = at_norm_declare(&model->params, prefix, "layernorm_after", &after, &n->patch_norm[1]);
    return st;
}

static at_status declare_places(at_model *model, net *n)
{
    const options *o = model->options;
    bool class = o->pooling != SEQUENCE;
    at_status st = AT_OK;
    size_t d = (size_t)o->d_model;
    if (class)
        st = add(model, "vit.embeddings.cls_token", at_shape3(1, 1, o->d_model), &n->class);
    if (st == AT_OK && o->positions == LEARNED)
        st = add(model, "vit.embeddings.position_embeddings", at_shape3(1, (int64_t)n->tokens, o->d_model),
                 &n->positions);
    if (st == AT_OK && o->positions == SINUSOIDAL) {
        n->sinusoids = at_alloc_zero(n->tokens * d, sizeof *n->sinusoids);
        if (!n->sinusoids)
            return AT_ENOMEM;
        at_sinusoids_2d(n->sinusoids + (class ? d : 0), n->down, n->across, d);
    }
    if (st == AT_OK && o->locality) {
        n->own = at_alloc_zero(n->tokens * n->tokens, sizeof *n->own);
        for (size_t i = 0; n->own && i < n->tokens; i++)
            n->own[i * n->tokens + i] = -INFINITY;
        st = n->own ? AT_OK : AT_ENOMEM;
    }
    return st;
}

static at_status declare_stack(at_model *model, net *n)
{
    const options *o = model->options;
    at_stack_spec spec = {.names = &names,
                          .layers = (size_t)o->layers,
                          .width = (size_t)o->d_model,
                          .ffn = (size_t)o->ffn,
                          .heads = (size_t)o->heads,
                          .norm = AT_PRE_NORM,
                          .eps = (float)o->eps,
                          .activation = o->activation == GELU ? AT_GELU : AT_RELU,
                          .dropout = (float)o->dropout,
                          .attention_dropout = (float)o->attention_dropout,
                          .activation_dropout = (float)o->activation_dropout,
                          .path_dropout = (float)o->path_dropout,
                          .layer_scale = (float)o->layer_scale,
                          .temperatures = o->locality,
                          .linformer = at_linformer_chosen(&o->linformer, n->tokens)};
    return at_stack_declare(&model->params, &spec, &n->stack);
}

static at_status build(at_model *model)
{
    const options *o = model->options;
    net *n = model->net;
    at_status st = check(o);
    if (st == AT_OK)
        st = find_grid(o, n);
    if (st == AT_OK)
        st = o->stem > 0 ? declare_stem(model, n) : declare_patches(model, n);
    if (st == AT_OK)
        st = declare_places(model, n);
    if (st == AT_OK)
        st = declare_stack(model, n);
    if (st == AT_OK && o->pooling == SEQUENCE)
        st = at_projection_declare(&model->params, "vit.pooler.", "dense", at_shape2(1, o->d_model), true,
                                   &n->pooling);
    if (st == AT_OK && model->vocabulary.labels)
        st = at_projection_declare(&model->params, "", "classifier",
                                   at_shape2(model->vocabulary.labels, o->d_model), true, &n->classifier);
    return st;
}

static void release(at_model *model)
{
    net *n = model->net;
    at_stack_free(&n->stack);
    at_free(n->sinusoids);
    at_free(n->own);
}

/* ---------------------------------------------------------------- rows */

static at_pixels pixels(const at_model *model)
{
    const options *o = model->options;
    return (at_pixels){
        .height = (size_t)o->height, .width = (size_t)o->width, .channels = (size_t)o->channels};
}

static at_patch_grid patch_grid(const at_model *model)
{
    const net *n = model->net;
    return (at_patch_grid){n->down, n->across, ((const options *)model->options)->pooling != SEQUENCE};
}

static bool picture_fits(const options *o, at_tape *tape, const at_batch *batch)
{
    const at_pixels *p = &batch->pixels;
    if (p->data && p->height == (size_t)o->height && p->width == (size_t)o->width &&
        p->channels == (size_t)o->channels)
        return true;
    at_tape_fail(tape, AT_ESHAPE,
                 "pictures of %zu x %zu with %zu channels: this model takes %lld x %lld with %lld", p->height,
                 p->width, p->channels, (long long)o->height, (long long)o->width, (long long)o->channels);
    return false;
}

static at_var *run_stem(const at_model *model, at_tape *tape, at_grid grid, at_var *x)
{
    const options *o = model->options;
    const net *n = model->net;
    for (int64_t i = 0; x && i < o->stem; i++) {
        const stem_layer *s = &n->stem[i];
        at_windowing w = at_windowing_same(&grid, (size_t)o->stem_kernel, i ? 1 : (size_t)o->stem_step);
        x = at_convolve(tape, x, &grid, &w, s->weights.weight, s->weights.bias);
        grid = at_grid_after(&grid, &w);
        w = at_windowing_same(&grid, 3, 2);
        x = at_max_windows(tape, x, &grid, &w);
        grid = at_grid_after(&grid, &w);
        x = x && o->stem_norm ? at_norm_run(tape, x, &s->norm) : x;
        x = x ? at_activate(tape, x, AT_RELU)
              : NULL; /* behind the maximum: the same numbers, fewer of them */
    }
    return x;
}

/* The picture and four shifted by half a patch, one beside the other. */
static at_var *shifted_patches(at_tape *tape, const at_grid *grid, const at_windowing *window, at_var *x)
{
    at_var *parts[1 + SHIFTS] = {at_unfold(tape, x, grid, window)};
    for (int i = 0; i < SHIFTS; i++) {
        at_windowing w = *window;
        w.top += (i & 1 ? 1 : -1) * (int64_t)(window->height / 2);
        w.left += (i & 2 ? 1 : -1) * (int64_t)(window->width / 2);
        parts[1 + i] = at_unfold(tape, x, grid, &w);
    }
    return tape->status == AT_OK ? at_beside(tape, parts, 1 + SHIFTS) : NULL;
}

static at_var *run_patches(const at_model *model, at_tape *tape, at_grid grid, at_var *x)
{
    const options *o = model->options;
    const net *n = model->net;
    at_windowing w = at_windowing_patches(&grid, (size_t)o->patch_height, (size_t)o->patch_width);
    x = o->shifted ? shifted_patches(tape, &grid, &w, x) : at_unfold(tape, x, &grid, &w);
    if (o->patch_norm || o->shifted)
        x = x ? at_norm_run(tape, x, &n->patch_norm[0]) : NULL;
    x = at_project(tape, &n->patches, x);
    return x && o->patch_norm ? at_norm_run(tape, x, &n->patch_norm[1]) : x;
}

/* Without gradients nothing of them is kept: a few pictures at a time, which stay in the cache from the
 * pixels to the projection. */
static at_var *run_patches_by_few(const at_model *model, at_tape *tape, at_grid grid, const at_var *x)
{
    const net *n = model->net;
    size_t few = PICTURES_AT_ONCE * (size_t)tape->exec->threads, all = grid.count;
    size_t pixels = grid.height * grid.width;
    size_t channels = (size_t)x->shape.dim[1], width = (size_t)n->patches.weight->shape.dim[0];
    size_t each = n->down * n->across * width;
    at_var *out = at_tape_value(tape, at_shape2((int64_t)(all * n->down * n->across), (int64_t)width));
    for (size_t first = 0; out && first < all; first += few) {
        at_mark mark = at_arena_mark(tape->arena);
        grid.count = all - first < few ? all - first : few;
        at_var *some = at_leaf(tape, at_shape2((int64_t)(grid.count * pixels), (int64_t)channels),
                               x->data + first * pixels * channels, NULL);
        some = run_patches(model, tape, grid, some);
        if (some)
            memcpy(out->data + first * each, some->data, grid.count * each * sizeof *out->data);
        at_arena_release(tape->arena, mark);
        if (!some)
            return NULL;
    }
    return out;
}

/* Tokens with their places, before any layer. *rows: whose they are. */
static at_var *embed(const at_model *model, at_tape *tape, const at_batch *batch, at_rows *rows)
{
    const options *o = model->options;
    const net *n = model->net;
    size_t count = batch->source.count, each;
    if (!picture_fits(o, tape, batch) || count == 0)
        return NULL;
    at_grid grid = {count, batch->pixels.height, batch->pixels.width};
    at_var *x = at_leaf(tape, at_shape2((int64_t)at_grid_rows(&grid), o->channels),
                        (float *)(uintptr_t)batch->pixels.data, NULL);
    if (o->stem > 0)
        x = run_stem(model, tape, grid, x);
    else if (tape->mode == AT_TAPE_RUN)
        x = run_patches_by_few(model, tape, grid, x);
    else
        x = run_patches(model, tape, grid, x);
    at_token_spec tokens = {count, n->class, n->positions, n->sinusoids};
    x = at_tokens(tape, x, &tokens);
    *rows = at_rows_even(tape, count, n->tokens, batch->source.examples);
    x = x ? at_dropout_add(tape, NULL, x, (float)o->embedding_dropout, rows) : NULL;
    x = x ? at_drop_rows(tape, x, (float)o->patch_dropout, n->class != NULL, rows, &each) : NULL;
    if (x && each != n->tokens)
        *rows = at_rows_even(tape, count, each, batch->source.examples);
    return x;
}

/* layers 0: all, and the norm at the end. */
static at_var *run(const at_model *model, at_tape *tape, const at_batch *batch, size_t layers)
{
    const net *n = model->net;
    at_rows rows;
    at_var *x = embed(model, tape, batch, &rows);
    at_stack_pass pass = {.tape = tape, .rows = &rows, .layers = layers};
    if (n->own)
        pass.bias =
            (at_score_bias){.numbers = n->own, .count = n->tokens * n->tokens, .query_stride = n->tokens};
    return x ? at_stack_run(&n->stack, &pass, x) : NULL;
}

static at_var *encode(const at_model *model, at_tape *tape, const at_batch *batch)
{
    return run(model, tape, batch, 0);
}

static at_var *layer(const at_model *model, at_tape *tape, const at_batch *batch, size_t number)
{
    size_t layers = (size_t)((const options *)model->options)->layers;
    at_rows rows;
    if (number == 0)
        return embed(model, tape, batch, &rows);
    if (number <= layers)
        return run(model, tape, batch, number == layers ? 0 : number);
    at_tape_fail(tape, AT_EARG, "layer %zu: this model has layers 1 to %zu, and 0 for the patches alone",
                 number, layers);
    return NULL;
}

/* rows only count the pictures: how many tokens each has, x says. */
static at_var *pool(const at_model *model, at_tape *tape, at_var *x, const at_rows *rows,
                    const float **weights)
{
    const options *o = model->options;
    const net *n = model->net;
    if (weights)
        *weights = NULL;
    if (!x || rows->count == 0)
        return NULL;
    size_t each = (size_t)x->shape.dim[0] / rows->count;
    at_rows own = at_rows_even(tape, rows->count, each, rows->examples);
    if (tape->status != AT_OK)
        return NULL;
    if (o->pooling == SEQUENCE)
        return at_pool_weighted(tape, x, at_project(tape, &n->pooling, x), &own, weights);
    if (o->pooling == MEAN)
        return at_pool_rows(tape, x, &own, AT_POOL_MEAN);
    return at_pick_rows(tape, x, own.offsets, own.count);
}

static at_var *classify(const at_model *model, at_tape *tape, at_var *pooled)
{
    return at_label_logits(tape, &((const net *)model->net)->classifier, pooled);
}

static at_var *loss(const at_model *model, at_tape *tape, const at_batch *batch, const at_loss_options *how,
                    at_loss_report *report)
{
    at_var *x = pool(model, tape, encode(model, tape, batch), &batch->source, NULL);
    at_var *logits = x ? classify(model, tape, x) : NULL;
    return at_label_loss(tape, logits, batch, how, report);
}

/* The places of all tokens, the class token's first. */
static size_t positions(const at_model *model, bool decoder, size_t count, float *out)
{
    const options *o = model->options;
    const net *n = model->net;
    const float *from = n->positions ? n->positions->data : n->sinusoids;
    if (decoder || !from)
        return 0;
    for (size_t i = 0; out && i < count * (size_t)o->d_model; i++)
        out[i] = i < n->tokens * (size_t)o->d_model ? from[i] : 0;
    return (size_t)o->d_model;
}

/* ---------------------------------------------------------------- its chain */

static void chain_stem(const at_model *model, at_graph *graph)
{
    const options *o = model->options;
    at_grid grid = {1, (size_t)o->height, (size_t)o->width};
    for (int64_t i = 0; i < o->stem; i++) {
        char prefix[64];
        at_graph_step *s = at_graph_add(graph, 0, "convolution, largest of each 3×3, ReLU");
        at_windowing w = at_windowing_same(&grid, (size_t)o->stem_kernel, i ? 1 : (size_t)o->stem_step);
        grid = at_grid_after(&grid, &w);
        w = at_windowing_same(&grid, 3, 2);
        grid = at_grid_after(&grid, &w);
        snprintf(s->shape, sizeof s->shape, "%zu×%zu×%lld", grid.height, grid.width,
                 (long long)(i + 1 == o->stem ? o->d_model : o->stem_width << i));
        snprintf(s->detail, sizeof s->detail, "%lld×%lld pixels%s", (long long)o->stem_kernel,
                 (long long)o->stem_kernel, o->stem_norm ? "; LayerNorm" : "");
        snprintf(prefix, sizeof prefix, "vit.embeddings.stem.%lld.", (long long)i);
        at_graph_count(graph, s, prefix);
    }
}

static void chain_patches(const at_model *model, at_graph *graph)
{
    const options *o = model->options;
    const net *n = model->net;
    int64_t planes = o->channels * (o->shifted ? 1 + SHIFTS : 1);
    at_graph_step *patches = at_graph_add(graph, 0, "patches");
    snprintf(patches->shape, sizeof patches->shape, "%zu×%lld", n->down * n->across,
             (long long)planes * o->patch_height * o->patch_width);
    snprintf(patches->detail, sizeof patches->detail, "%lld×%lld pixels each%s", (long long)o->patch_height,
             (long long)o->patch_width, o->shifted ? ", and of four shifted pictures" : "");
    at_graph_step *rows = at_graph_add(graph, 0, "linear");
    snprintf(rows->shape, sizeof rows->shape, "%zu×%lld", n->down * n->across, (long long)o->d_model);
    if (o->patch_norm || o->shifted)
        snprintf(rows->detail, sizeof rows->detail, "LayerNorm before%s", o->patch_norm ? " and after" : "");
    at_graph_count(graph, rows, "vit.embeddings.patch_embeddings.");
}

static void chain(const at_model *model, at_graph *graph)
{
    static const char *const ways[] = {
        [CLASS] = "class token", [MEAN] = "mean of all tokens", [SEQUENCE] = "weighted mean of the rows"};
    static const char *const places[] = {
        [LEARNED] = "learned positions", [SINUSOIDAL] = "sinusoids of line and column", [NO_POSITIONS] = ""};
    const options *o = model->options;
    const net *n = model->net;
    char rows[32];
    at_graph_step *picture = at_graph_add(graph, 0, "picture");
    snprintf(picture->shape, sizeof picture->shape, "%lld×%lld×%lld", (long long)o->height,
             (long long)o->width, (long long)o->channels);
    if (o->stem > 0)
        chain_stem(model, graph);
    else
        chain_patches(model, graph);
    at_graph_step *tokens = at_graph_add(graph, 0, n->class ? "class token in front" : "rows");
    snprintf(tokens->shape, sizeof tokens->shape, "%zu×%lld", n->tokens, (long long)o->d_model);
    snprintf(tokens->detail, sizeof tokens->detail, "%s", places[o->positions]);
    at_graph_count(graph, tokens, "vit.embeddings.cls_token");
    at_graph_count(graph, tokens, "vit.embeddings.position_embeddings");
    snprintf(rows, sizeof rows, "%zu", n->tokens);
    at_stack_graph(&n->stack, graph, 0, rows);
    at_graph_step *pooled = at_graph_add(graph, 0, ways[o->pooling]);
    snprintf(pooled->shape, sizeof pooled->shape, "%lld", (long long)o->d_model);
    at_graph_count(graph, pooled, "vit.pooler.");
    at_graph_labels(graph);
}

const at_family at_family_vit = {
    .name = "vit",
    .class = "ViTForImageClassification",
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
    .max_length = at_any_length,
    .positions = positions,
    .graph = chain,
    .pixels = pixels,
    .patches = patch_grid,
};
