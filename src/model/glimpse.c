/* Recurrent visual attention, Mnih et al. 2014, arXiv:1406.6247: the glimpse network makes a vector of what
 * is seen and where, a recurrent core takes one a step, the location network says from the core's state where
 * to look next, and the last state names the class. The choice of places has no gradient: it learns by
 * REINFORCE with a baseline (Williams 1992) from whether the class was right, everything else by
 * cross-entropy. Neither location network nor baseline moves the state that they read. */
#include "model/glimpse.h"
#include <math.h>
#include <stdio.h>
#include "model/glimpse_net.h"
#include "model/graph.h"

static const at_field fields[] = {
    {"image_height", AT_FIELD_INT, offsetof(at_gaze_options, height), "28", 1, 16384, NULL,
     "of the pictures in pixels"},
    {"image_width", AT_FIELD_INT, offsetof(at_gaze_options, width_pixels), "28", 1, 16384, NULL, "likewise"},
    {"channels", AT_FIELD_INT, offsetof(at_gaze_options, channels), "1", 1, 3, NULL,
     "of the pictures: 1 grey, 3 colour"},
    {"glimpses", AT_FIELD_INT, offsetof(at_gaze_options, glimpses), "7", 1, AT_MOST_GLIMPSES, NULL,
     "places looked at, one after the other"},
    {"glimpse_size", AT_FIELD_INT, offsetof(at_gaze_options, size), "8", 1, 256, NULL,
     "side of a glimpse in pixels, and of each scale after averaging"},
    {"scales", AT_FIELD_INT, offsetof(at_gaze_options, scales), "1", 1, 8, NULL,
     "squares around each place, one inside the other"},
    {"zoom", AT_FIELD_INT, offsetof(at_gaze_options, zoom), "2", 2, 8, NULL,
     "how much wider each of them is than the one before"},
    {"what", AT_FIELD_INT, offsetof(at_gaze_options, what), "128", 1, 8192, NULL, "width of what is seen"},
    {"where", AT_FIELD_INT, offsetof(at_gaze_options, where), "128", 1, 8192, NULL,
     "width of where it is seen"},
    {"combine", AT_FIELD_CHOICE, offsetof(at_gaze_options, combine), "sum", 0, 0, "sum|product",
     "what and where: projections added (Mnih et al. 2014), or multiplied (Ba et al. 2015)"},
    {"glimpse_width", AT_FIELD_INT, offsetof(at_gaze_options, glimpse_width), "256", 1, 8192, NULL,
     "width of both together"},
    {"cell", AT_FIELD_CHOICE, offsetof(at_gaze_options, cell), "rnn", 0, 0, "rnn|gru|lstm",
     "the core; rnn is ReLU of sums, as in the paper"},
    {"width", AT_FIELD_INT, offsetof(at_gaze_options, width), "256", 1, 8192, NULL, "of the core's state"},
    {"locator", AT_FIELD_INT, offsetof(at_gaze_options, locator), "128", 1, 8192, NULL,
     "hidden width of the location network"},
    {"locations", AT_FIELD_CHOICE, offsetof(at_gaze_options, places), "learned", 0, 0, "learned|random",
     "places are chosen by the location network, or anywhere: what looking well is worth"},
    {"first", AT_FIELD_CHOICE, offsetof(at_gaze_options, first), "centre", 0, 0, "centre|anywhere",
     "where the first glimpse falls"},
    {"copies", AT_FIELD_INT, offsetof(at_gaze_options, copies), "1", 1, 64, NULL,
     "paths drawn for each picture of a training batch, which are compared with each other"},
    {"norm", AT_FIELD_BOOL, offsetof(at_gaze_options, norm), "false", 0, 0, NULL,
     "layer norm before the class is read from a state: those of a ReLU core have no bounds"},
    {"deviation", AT_FIELD_REAL, offsetof(at_gaze_options, deviation), "0.1", 0.001, 2, NULL,
     "of the places drawn in training around those chosen; 2 is the width of the picture"},
    {"reward", AT_FIELD_CHOICE, offsetof(at_gaze_options, reward), "right", 0, 0, "right|probability",
     "of places: 1 where the class is named right, as in the paper, or the probability given to it"},
    {"early_loss", AT_FIELD_REAL, offsetof(at_gaze_options, early_loss), "0", 0, 100, NULL,
     "weight of cross-entropy after each glimpse but the last; 0: the last alone says what was seen"},
    {"dropout", AT_FIELD_REAL, offsetof(at_gaze_options, dropout), "0", 0, 0.95, NULL,
     "of each glimpse's vector and of the last state"},
    {0}};

/* ---------------------------------------------------------------- declaring */

typedef struct declared {
    at_projection *to;
    const char *name;
    int64_t out, in;
    bool bias;
} declared;

static at_status build(at_model *model)
{
    const at_gaze_options *o = model->options;
    at_gaze_net *n = model->net;
    double side = (double)o->size * pow((double)o->zoom, (double)(o->scales - 1));
    if (side > 65536)
        return at_fail(AT_EARG, "model.scales: %lld of zoom %lld are wider than 65536 pixels",
                       (long long)o->scales, (long long)o->zoom);
    if (o->combine == AT_GAZE_PRODUCT && o->what != o->where)
        return at_fail(AT_EARG, "model.combine: a product wants model.what = model.where; got %lld and %lld",
                       (long long)o->what, (long long)o->where);
    if (!model->vocabulary.labels)
        return at_fail(AT_EARG, "model.family glimpse learns labels: data.task must be classify");
    const declared list[] = {
        {&n->what, "glimpse.what", o->what, o->scales * o->channels * o->size * o->size, true},
        {&n->where, "glimpse.where", o->where, 2, true},
        {&n->both, "glimpse.both", o->glimpse_width, o->what, true},
        {&n->hidden, "locator.hidden", o->locator, o->width, true},
        {&n->mean, "locator.mean", 2, o->locator, true},
        {&n->baseline, "baseline", 1, o->width, true},
        {&n->classifier, "classifier", model->vocabulary.labels, o->width, true},
        {&n->both_where, "glimpse.both_where", o->glimpse_width, o->where, false},
    };
    size_t count = sizeof list / sizeof *list - (o->combine == AT_GAZE_PRODUCT);
    at_status st = AT_OK;
    for (size_t i = 0; st == AT_OK && i < count; i++)
        st = at_projection_declare(&model->params, "", list[i].name, at_shape2(list[i].out, list[i].in),
                                   list[i].bias, list[i].to);
    static const at_cell_kind kinds[] = {AT_CELL_RNN, AT_CELL_GRU, AT_CELL_LSTM};
    at_recurrent_spec core = {.cell = {.kind = kinds[o->cell]},
                              .in = (size_t)o->glimpse_width,
                              .width = (size_t)o->width,
                              .layers = 1,
                              .biases = true};
    if (o->cell == AT_GAZE_RNN)
        core.cell.g.kind = AT_GATE_RELU;
    if (st == AT_OK)
        st = at_recurrent_declare(&model->params, "core", &core, &n->core);
    at_norm_spec norm = {.width = (size_t)o->width};
    if (st == AT_OK)
        st = at_norm_declare(&model->params, "locator.", "norm", &norm, &n->locator);
    if (st == AT_OK && o->norm)
        st = at_norm_declare(&model->params, "classifier.", "norm", &norm, &n->state);
    if (st == AT_OK) { /* it begins in the middle, where tanh has a slope */
        at_param *mean = at_params_find(&model->params, "locator.mean.weight");
        mean->init = AT_INIT_NORMAL;
        mean->deviation = 0.01f;
    }
    /* Corners of ReLU all over the picture, so that places can be told apart from the first step on. */
    static const char *const places[] = {"glimpse.where.weight", "glimpse.where.bias"};
    for (int i = 0; st == AT_OK && i < 2; i++) {
        at_param *p = at_params_find(&model->params, places[i]);
        p->init = AT_INIT_UNIFORM;
        p->deviation = 1;
    }
    /* What was seen stays until something better comes: Le et al. 2015, arXiv:1504.00941. */
    if (st == AT_OK && o->cell == AT_GAZE_RNN)
        at_params_find(&model->params, "core.weight_hh_l0")->init = AT_INIT_IDENTITY;
    return st;
}

bool at_model_glimpses(const at_model *model)
{
    return model->family == &at_family_glimpse;
}

size_t at_gaze_steps(const at_model *model)
{
    return (size_t)((const at_gaze_options *)model->options)->glimpses;
}

at_glimpses at_gaze_sensor(const at_model *model)
{
    const at_gaze_options *o = model->options;
    return (at_glimpses){.channels = (size_t)o->channels,
                         .size = (size_t)o->size,
                         .scales = (size_t)o->scales,
                         .zoom = (size_t)o->zoom};
}

/* ---------------------------------------------------------------- running */

at_var *at_gaze_classify(const at_model *model, at_tape *tape, at_var *state)
{
    const at_gaze_net *n = model->net;
    if (((const at_gaze_options *)model->options)->norm && state)
        state = at_norm_run(tape, state, &n->state);
    return at_label_logits(tape, &n->classifier, state);
}

static at_pixels pixels(const at_model *model)
{
    const at_gaze_options *o = model->options;
    return (at_pixels){
        .height = (size_t)o->height, .width = (size_t)o->width_pixels, .channels = (size_t)o->channels};
}

static at_var *encode(const at_model *model, at_tape *tape, const at_batch *batch)
{
    return at_gaze_run(model, tape, batch, &(at_gaze){.copies = 1});
}

/* The state is one row a picture already. */
static at_var *pool(const at_model *model, at_tape *tape, at_var *x, const at_rows *rows,
                    const float **weights)
{
    (void)model, (void)tape, (void)rows;
    if (weights)
        *weights = NULL;
    return x;
}

static at_graph_step *chain_step(const at_model *model, at_graph *graph, int lane, const char *name,
                                 int64_t width)
{
    const at_gaze_options *o = model->options;
    at_graph_step *step = at_graph_add(graph, lane, name);
    snprintf(step->shape, sizeof step->shape, "%lld×%lld", (long long)o->glimpses, (long long)width);
    return step;
}

static void chain(const at_model *model, at_graph *graph)
{
    static const char *const cells[] = {
        [AT_GAZE_RNN] = "ReLU", [AT_GAZE_GRU] = "GRU", [AT_GAZE_LSTM] = "LSTM"};
    const at_gaze_options *o = model->options;
    graph->lanes[0] = "what is seen";
    graph->lanes[1] = "where to look";
    at_graph_step *s = at_graph_add(graph, 0, "picture");
    snprintf(s->shape, sizeof s->shape, "h×w×%lld", (long long)o->channels);
    s = chain_step(model, graph, 0, "glimpses", o->scales * o->channels * o->size * o->size);
    snprintf(s->detail, sizeof s->detail,
             "%lld, one after the other, each of %lld scale%s of %lld×%lld pixels", (long long)o->glimpses,
             (long long)o->scales, o->scales == 1 ? "" : "s", (long long)o->size, (long long)o->size);
    s = chain_step(model, graph, 0, "glimpse network", o->glimpse_width);
    snprintf(s->detail, sizeof s->detail, "what (%lld) and where (%lld), %s", (long long)o->what,
             (long long)o->where, o->combine == AT_GAZE_SUM ? "added" : "multiplied");
    at_graph_count(graph, s, "glimpse.");
    s = chain_step(model, graph, 0, "core", o->width);
    snprintf(s->detail, sizeof s->detail, "%s, a step a glimpse", cells[o->cell]);
    at_graph_count(graph, s, "core.");
    at_graph_labels(graph);
    chain_step(model, graph, 1, "states of the core", o->width);
    s = chain_step(model, graph, 1, "location network", 2);
    snprintf(s->detail, sizeof s->detail, "hidden %lld; where the next glimpse falls, by REINFORCE",
             (long long)o->locator);
    at_graph_count(graph, s, "locator.");
    s = chain_step(model, graph, 1, "baseline", 1);
    snprintf(s->detail, sizeof s->detail, "of each state, in training: the reward it expects");
    at_graph_count(graph, s, "baseline.");
}

const at_family at_family_glimpse = {
    .name = "glimpse",
    .class = "RecurrentVisualAttention",
    .kind = AT_ENCODER_ONLY,
    .fields = fields,
    .options_size = sizeof(at_gaze_options),
    .net_size = sizeof(at_gaze_net),
    .build = build,
    .encode = encode,
    .loss = at_gaze_loss,
    .pool = pool,
    .pixels = pixels,
    .classify = at_gaze_classify,
    .max_length = at_any_length,
    .graph = chain,
};
