/* Recurrent visual attention, Mnih et al. 2014, arXiv:1406.6247: the glimpse network makes a vector of what
 * is seen and where, a recurrent core takes one a step, the location network says from the core's state where
 * to look next, and the last state names the class. The choice of places has no gradient: it learns by
 * REINFORCE with a baseline (Williams 1992) from whether the class was right, everything else by
 * cross-entropy. Neither location network nor baseline moves the state that they read. */
#include "model/glimpse.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/rng.h"
#include "layer/multi_head.h"
#include "layer/recurrent.h"
#include "layer/repeated.h"
#include "model/graph.h"
#include "model/internal.h"
#include "model/stack.h"

enum { MOST_GLIMPSES = 64 };
enum { SUM, PRODUCT };
enum { RNN, GRU, LSTM };
enum { LEARNED, RANDOM };
enum { CENTRE, ANYWHERE };
enum { RIGHT, PROBABILITY };

typedef struct options {
    int64_t height, width_pixels, channels, glimpses, size, scales, zoom;
    int64_t what, where, combine, glimpse_width;
    int64_t cell, width, locator, places, first, copies, reward;
    double deviation, early_loss, dropout;
    bool norm;
} options;

static const at_field fields[] = {
    {"image_height", AT_FIELD_INT, offsetof(options, height), "28", 1, 16384, NULL,
     "of the pictures in pixels"},
    {"image_width", AT_FIELD_INT, offsetof(options, width_pixels), "28", 1, 16384, NULL, "likewise"},
    {"channels", AT_FIELD_INT, offsetof(options, channels), "1", 1, 3, NULL,
     "of the pictures: 1 grey, 3 colour"},
    {"glimpses", AT_FIELD_INT, offsetof(options, glimpses), "7", 1, MOST_GLIMPSES, NULL,
     "places looked at, one after the other"},
    {"glimpse_size", AT_FIELD_INT, offsetof(options, size), "8", 1, 256, NULL,
     "side of a glimpse in pixels, and of each scale after averaging"},
    {"scales", AT_FIELD_INT, offsetof(options, scales), "1", 1, 8, NULL,
     "squares around each place, one inside the other"},
    {"zoom", AT_FIELD_INT, offsetof(options, zoom), "2", 2, 8, NULL,
     "how much wider each of them is than the one before"},
    {"what", AT_FIELD_INT, offsetof(options, what), "128", 1, 8192, NULL, "width of what is seen"},
    {"where", AT_FIELD_INT, offsetof(options, where), "128", 1, 8192, NULL, "width of where it is seen"},
    {"combine", AT_FIELD_CHOICE, offsetof(options, combine), "sum", 0, 0, "sum|product",
     "what and where: projections added (Mnih et al. 2014), or multiplied (Ba et al. 2015)"},
    {"glimpse_width", AT_FIELD_INT, offsetof(options, glimpse_width), "256", 1, 8192, NULL,
     "width of both together"},
    {"cell", AT_FIELD_CHOICE, offsetof(options, cell), "rnn", 0, 0, "rnn|gru|lstm",
     "the core; rnn is ReLU of sums, as in the paper"},
    {"width", AT_FIELD_INT, offsetof(options, width), "256", 1, 8192, NULL, "of the core's state"},
    {"locator", AT_FIELD_INT, offsetof(options, locator), "128", 1, 8192, NULL,
     "hidden width of the location network"},
    {"locations", AT_FIELD_CHOICE, offsetof(options, places), "learned", 0, 0, "learned|random",
     "places are chosen by the location network, or anywhere: what looking well is worth"},
    {"first", AT_FIELD_CHOICE, offsetof(options, first), "centre", 0, 0, "centre|anywhere",
     "where the first glimpse falls"},
    {"copies", AT_FIELD_INT, offsetof(options, copies), "1", 1, 64, NULL,
     "paths drawn for each picture of a training batch, which are compared with each other"},
    {"norm", AT_FIELD_BOOL, offsetof(options, norm), "false", 0, 0, NULL,
     "layer norm before the class is read from a state: those of a ReLU core have no bounds"},
    {"deviation", AT_FIELD_REAL, offsetof(options, deviation), "0.1", 0.001, 2, NULL,
     "of the places drawn in training around those chosen; 2 is the width of the picture"},
    {"reward", AT_FIELD_CHOICE, offsetof(options, reward), "right", 0, 0, "right|probability",
     "of places: 1 where the class is named right, as in the paper, or the probability given to it"},
    {"early_loss", AT_FIELD_REAL, offsetof(options, early_loss), "0", 0, 100, NULL,
     "weight of cross-entropy after each glimpse but the last; 0: the last alone says what was seen"},
    {"dropout", AT_FIELD_REAL, offsetof(options, dropout), "0", 0, 0.95, NULL,
     "of each glimpse's vector and of the last state"},
    {0}};

typedef struct net {
    at_projection what, where, both, both_where; /* both_where: combine sum */
    at_recurrent core;
    at_norm_weights state;   /* before the classifier; or NULLs */
    at_norm_weights locator; /* location network: the state grows from step to step, what it says must not */
    at_projection hidden, mean;
    at_projection baseline, classifier;
} net;

/* ---------------------------------------------------------------- declaring */

typedef struct declared {
    at_projection *to;
    const char *name;
    int64_t out, in;
    bool bias;
} declared;

static at_status build(at_model *model)
{
    const options *o = model->options;
    net *n = model->net;
    double side = (double)o->size * pow((double)o->zoom, (double)(o->scales - 1));
    if (side > 65536)
        return at_fail(AT_EARG, "model.scales: %lld of zoom %lld are wider than 65536 pixels",
                       (long long)o->scales, (long long)o->zoom);
    if (o->combine == PRODUCT && o->what != o->where)
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
    size_t count = sizeof list / sizeof *list - (o->combine == PRODUCT);
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
    if (o->cell == RNN)
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
    if (st == AT_OK && o->cell == RNN)
        at_params_find(&model->params, "core.weight_hh_l0")->init = AT_INIT_IDENTITY;
    return st;
}

bool at_model_glimpses(const at_model *model)
{
    return model->family == &at_family_glimpse;
}

size_t at_gaze_steps(const at_model *model)
{
    return (size_t)((const options *)model->options)->glimpses;
}

at_glimpses at_gaze_sensor(const at_model *model)
{
    const options *o = model->options;
    return (at_glimpses){.channels = (size_t)o->channels,
                         .size = (size_t)o->size,
                         .scales = (size_t)o->scales,
                         .zoom = (size_t)o->zoom};
}

/* ---------------------------------------------------------------- a look */

/* One look at some pictures: what is on the way from the first glimpse to the last. */
typedef struct look {
    const options *o;
    const net *n;
    at_tape *tape;
    const at_gaze *gaze;
    const at_rows *pictures;
    at_rows rows; /* one a path, for dropout */
    size_t count, steps;
    at_glimpses sensor;
    at_repeated *what, *where, *both, *both_where, *hidden, *mean;
    at_recurrent_loop *core;
    at_cell_state state;
    float *places;                /* (N,2) of the step at hand */
    float *drawn, *states;        /* (T-1,N,2) before they are held within the picture, (T-1,N,D); or NULL */
    at_var *means[MOST_GLIMPSES]; /* (N,2) a step but the first */
    at_var *after[MOST_GLIMPSES]; /* (N,D) the state after each step */
} look;

static at_rows rows_of_paths(at_tape *tape, const at_rows *pictures, size_t copies)
{
    size_t count = pictures->count * copies;
    int32_t *offsets = at_tape_saved(tape, count + 1, sizeof *offsets);
    uint32_t *examples = at_tape_saved(tape, count + 1, sizeof *examples);
    for (size_t i = 0; offsets && examples && i <= count; i++) {
        size_t b = i / copies;
        offsets[i] = (int32_t)i;
        examples[i] = i == count           ? 0
                      : pictures->examples ? pictures->examples[b] * (uint32_t)copies + (uint32_t)(i % copies)
                                           : (uint32_t)i;
    }
    return (at_rows){count, offsets, examples};
}

static bool open_loops(look *l)
{
    size_t all = l->count * l->steps, moves = l->count * (l->steps - 1);
    const net *n = l->n;
    l->what = at_repeated_new(l->tape, n->what.weight, n->what.bias, all);
    l->where = at_repeated_new(l->tape, n->where.weight, n->where.bias, all);
    l->both = at_repeated_new(l->tape, n->both.weight, n->both.bias, all);
    if (n->both_where.weight)
        l->both_where = at_repeated_new(l->tape, n->both_where.weight, NULL, all);
    l->core = at_recurrent_open(l->tape, &n->core, all);
    l->hidden = at_repeated_new(l->tape, n->hidden.weight, n->hidden.bias, moves);
    l->mean = at_repeated_new(l->tape, n->mean.weight, n->mean.bias, moves);
    return l->tape->status == AT_OK;
}

static bool open_look(look *l, const at_model *model, at_tape *tape, const at_batch *batch,
                      const at_gaze *gaze, bool keeps)
{
    const options *o = model->options;
    const at_pixels *p = &batch->pixels;
    size_t copies = gaze->copies ? gaze->copies : 1;
    *l = (look){.o = o, .n = model->net, .tape = tape, .gaze = gaze, .steps = (size_t)o->glimpses};
    if (!p->data || p->channels != (size_t)o->channels) {
        at_tape_fail(tape, AT_ESHAPE, "glimpses: want pictures of %lld channels; got %zu",
                     (long long)o->channels, p->data ? p->channels : 0);
        return false;
    }
    l->pictures = &batch->source;
    l->count = batch->source.count * copies;
    l->rows = rows_of_paths(tape, &batch->source, copies);
    l->sensor = at_gaze_sensor(model);
    l->sensor.pictures = p->data;
    l->sensor.count = batch->source.count;
    l->sensor.height = p->height;
    l->sensor.width = p->width;
    l->sensor.copies = copies;
    l->places = at_tape_saved(tape, 2 * l->count + 1, sizeof *l->places);
    if (keeps) {
        size_t moves = l->count * (l->steps - 1);
        l->drawn = at_tape_saved(tape, 2 * moves + 1, sizeof *l->drawn);
        l->states = at_tape_saved(tape, moves * (size_t)o->width + 1, sizeof *l->states);
    }
    return l->rows.examples && open_loops(l);
}

/* Four words for path i at a step. */
static void draw_words(const look *l, size_t i, size_t step, uint32_t out[4])
{
    at_philox((uint32_t[]){(uint32_t)step, l->rows.examples[i], 0, 0}, l->gaze->key, out);
}

/* Anywhere in -1 … 1. */
static void uniform_places(look *l, size_t step)
{
    for (size_t i = 0; i < l->count; i++) {
        uint32_t word[4];
        draw_words(l, i, step, word);
        l->places[2 * i] = (float)(word[0] >> 8) * 0x1p-23f - 1;
        l->places[2 * i + 1] = (float)(word[1] >> 8) * 0x1p-23f - 1;
    }
}

/* Two normal numbers of two words: Box and Muller 1958. */
static void normal_pair(const uint32_t word[4], double out[2])
{
    double u = ((double)word[0] + 1) * 0x1p-32,
           angle = 2 * 3.14159265358979323846 * (double)word[1] * 0x1p-32;
    double length = sqrt(-2 * log(u));
    out[0] = length * cos(angle);
    out[1] = length * sin(angle);
}

static float held(float x)
{
    return x > -1 ? (x < 1 ? x : 1) : -1;
}

/* Around the means, or just there. */
static void chosen_places(look *l, size_t step, const at_var *mean)
{
    for (size_t i = 0; i < l->count; i++) {
        double noise[2] = {0, 0};
        uint32_t word[4];
        if (l->gaze->draw) {
            draw_words(l, i, step, word);
            normal_pair(word, noise);
        }
        for (size_t j = 0; j < 2; j++) {
            float at = mean->data[2 * i + j] + (float)(l->o->deviation * noise[j]);
            if (l->drawn)
                l->drawn[((step - 1) * l->count + i) * 2 + j] = at;
            l->places[2 * i + j] = held(at);
        }
    }
}

/* The location network reads the state as a constant. */
static at_var *next_mean(look *l)
{
    at_var *h = at_leaf(l->tape, l->state.h->shape, l->state.h->data, NULL);
    h = h ? at_norm_run(l->tape, h, &l->n->locator) : NULL;
    at_var *x = h ? at_repeated_step(l->tape, l->hidden, h, NULL) : NULL;
    x = x ? at_repeated_step(l->tape, l->mean, at_activate(l->tape, x, AT_RELU), NULL) : NULL;
    return x ? at_activate(l->tape, x, AT_TANH) : NULL;
}

static bool choose(look *l, size_t step)
{
    size_t n = l->count, d = (size_t)l->o->width;
    if (step > 0 && l->states)
        memcpy(l->states + (step - 1) * n * d, l->state.h->data, n * d * sizeof *l->states);
    at_var *mean = NULL;
    if (step > 0 && l->o->places == LEARNED) {
        mean = next_mean(l);
        if (!mean)
            return false;
        l->means[step] = mean;
    }
    if (l->gaze->places) {
        for (size_t i = 0; i < n; i++)
            memcpy(l->places + 2 * i, l->gaze->places + (i * l->steps + step) * 2, 2 * sizeof *l->places);
    } else if (mean) {
        chosen_places(l, step, mean);
    } else if (l->o->places == RANDOM || l->o->first == ANYWHERE) {
        uniform_places(l, step);
    } else {
        memset(l->places, 0, 2 * n * sizeof *l->places);
    }
    for (size_t i = 0; l->gaze->path && i < n; i++)
        memcpy(l->gaze->path + (i * l->steps + step) * 2, l->places + 2 * i, 2 * sizeof *l->places);
    return true;
}

/* What is seen and where -> one vector a path, (N, glimpse_width). */
static at_var *see(look *l)
{
    at_tape *tape = l->tape;
    float *where = at_tape_saved(tape, 2 * l->count + 1, sizeof *where);
    at_var *x = where ? at_glimpse(tape, &l->sensor, l->places) : NULL;
    if (!x)
        return NULL;
    memcpy(where, l->places, 2 * l->count * sizeof *where);
    at_var *place = at_leaf(tape, at_shape2((int64_t)l->count, 2), where, NULL);
    x = at_activate(tape, at_repeated_step(tape, l->what, x, NULL), AT_RELU);
    place = at_activate(tape, at_repeated_step(tape, l->where, place, NULL), AT_RELU);
    if (!x || !place)
        return NULL;
    if (l->both_where)
        x = at_repeated_step(tape, l->both, x, at_repeated_step(tape, l->both_where, place, NULL));
    else
        x = at_repeated_step(tape, l->both, at_mul(tape, x, place), NULL);
    x = at_activate(tape, x, AT_RELU);
    return x ? at_dropout_add(tape, NULL, x, (float)l->o->dropout, &l->rows) : NULL;
}

static at_var *run_look(look *l)
{
    at_var *x = NULL;
    for (size_t t = 0; t < l->steps; t++) {
        x = choose(l, t) ? see(l) : NULL;
        x = x ? at_recurrent_step(l->tape, l->core, x, &l->state) : NULL;
        if (!x)
            return NULL;
        l->after[t] = x;
    }
    return x;
}

at_var *at_gaze_run(const at_model *model, at_tape *tape, const at_batch *batch, const at_gaze *gaze)
{
    look l;
    return open_look(&l, model, tape, batch, gaze, false) ? run_look(&l) : NULL;
}

/* ---------------------------------------------------------------- losses */

/* sum over rows of weight * (x - target)^2, x (N,K), weights (N), targets (N,K) constants. */
static at_var *weighted_squares(at_tape *tape, at_var *x, const float *targets, const float *weights)
{
    size_t n = (size_t)x->shape.dim[0], k = (size_t)x->shape.dim[1];
    float *minus = at_tape_saved(tape, n * k + 1, sizeof *minus);
    float *each = at_tape_saved(tape, n * k + 1, sizeof *each);
    if (!minus || !each)
        return NULL;
    for (size_t i = 0; i < n * k; i++) {
        minus[i] = -targets[i];
        each[i] = weights[i / k];
    }
    at_var *d = at_add(tape, x, at_leaf(tape, x->shape, minus, NULL));
    return d ? at_sum(tape, at_mul(tape, at_mul(tape, d, d), at_leaf(tape, x->shape, each, NULL))) : NULL;
}

/* What the other paths through a picture gained by the same move is to be expected of it: a baseline that
 * knows how hard the picture is. Kool, van Hoof and Welling 2019, "Buy 4 REINFORCE Samples, Get a Baseline
 * for Free!". */
static void compare_copies(const look *l, float *gain, size_t moves)
{
    size_t copies = l->gaze->copies;
    for (size_t i = 0; copies > 1 && i < moves; i += copies) {
        double sum = 0;
        for (size_t j = 0; j < copies; j++)
            sum += (double)gain[i + j];
        for (size_t j = 0; j < copies; j++)
            gain[i + j] -= (float)((sum - (double)gain[i + j]) / (double)(copies - 1));
    }
}

/* Places that were followed by more reward than was to be expected become more likely, others less:
 * - (R - b) log N(drawn; mean, deviation^2) with R - b as a constant, and (R - b)^2 for the baseline b. */
static at_var *policy_loss(look *l, const float *rewards, float scale)
{
    at_tape *tape = l->tape;
    size_t moves = l->count * (l->steps - 1);
    at_var *states = at_leaf(tape, at_shape2((int64_t)moves, l->o->width), l->states, NULL);
    if (l->o->norm && states) { /* what the class is read from is not the baseline's to move */
        states = at_norm_run(tape, states, &l->n->state);
        states = states ? at_leaf(tape, states->shape, states->data, NULL) : NULL;
    }
    at_var *baseline = states ? at_project(tape, &l->n->baseline, states) : NULL;
    at_var *means = baseline ? at_stack_rows(tape, l->means + 1, l->steps - 1) : NULL;
    float *equal = at_tape_saved(tape, 2 * moves + 1, sizeof *equal);
    if (!means || !equal)
        return NULL;
    float *gain = equal + moves;
    float sharpness = (float)(1 / (2 * l->o->deviation * l->o->deviation));
    for (size_t i = 0; i < moves; i++) {
        equal[i] = scale;
        gain[i] = scale * (rewards[i] - baseline->data[i]) * sharpness;
    }
    compare_copies(l, gain, moves);
    at_var *places = weighted_squares(tape, means, l->drawn, gain);
    at_var *expected = weighted_squares(tape, baseline, rewards, equal);
    return places && expected ? at_add(tape, places, expected) : NULL;
}

static float reward_of(const look *l, const float *logits, size_t classes, size_t label)
{
    size_t best = 0;
    double sum = 0;
    for (size_t j = 1; j < classes; j++)
        best = logits[j] > logits[best] ? j : best;
    if (l->o->reward == RIGHT)
        return best == label ? 1 : 0;
    for (size_t j = 0; j < classes; j++)
        sum += exp((double)logits[j] - (double)logits[label]);
    return (float)(1 / sum);
}

/* Of all moves, step by step: those of a path share what its end is worth. */
static float *rewards_of(const look *l, const at_var *logits, const int32_t *labels)
{
    size_t classes = (size_t)logits->shape.dim[1], moves = l->count * (l->steps - 1);
    float *reward = at_tape_saved(l->tape, moves + 1, sizeof *reward);
    for (size_t i = 0; reward && i < moves; i++)
        reward[i] = i < l->count ? reward_of(l, logits->data + i * classes, classes, (size_t)labels[i])
                                 : reward[i - l->count];
    return reward;
}

static at_var *classify(const at_model *model, at_tape *tape, at_var *state)
{
    const net *n = model->net;
    if (((const options *)model->options)->norm && state)
        state = at_norm_run(tape, state, &n->state);
    return at_label_logits(tape, &n->classifier, state);
}

/* What the states before the last would have said. */
static at_var *early_loss(const at_model *model, look *l, const int32_t *labels, const at_loss_options *how)
{
    size_t before = l->steps - 1, n = before * l->count;
    int32_t *each = at_tape_saved(l->tape, n + 1, sizeof *each);
    at_var *x = each ? at_stack_rows(l->tape, l->after, before) : NULL;
    if (!x)
        return NULL;
    for (size_t i = 0; i < n; i++)
        each[i] = labels[i % l->count];
    at_loss_options weighted = *how;
    weighted.scale *= (float)(l->o->early_loss / (double)before);
    at_loss_report unused = {0};
    return at_logit_cross_entropy(l->tape, classify(model, l->tape, x), each, &weighted, &unused);
}

static at_var *loss(const at_model *model, at_tape *tape, const at_batch *batch, const at_loss_options *how,
                    at_loss_report *report)
{
    const options *o = model->options;
    bool training = tape->mode == AT_TAPE_TRAIN;
    at_gaze gaze = {.draw = training, .copies = training ? (size_t)o->copies : 1};
    if (training)
        at_tape_dropout_key(tape, gaze.key);
    bool learns = training && o->places == LEARNED && o->glimpses > 1;
    look l;
    at_var *x = open_look(&l, model, tape, batch, &gaze, learns) ? run_look(&l) : NULL;
    x = x ? at_dropout_add(tape, NULL, x, (float)o->dropout, &l.rows) : NULL;
    at_var *logits = x ? classify(model, tape, x) : NULL;
    int32_t *labels = at_tape_saved(tape, l.count + 1, sizeof *labels);
    if (!logits || !labels)
        return NULL;
    for (size_t i = 0; i < l.count; i++)
        labels[i] = batch->labels[i / gaze.copies];
    at_loss_options each = *how;
    each.scale /= (float)gaze.copies;
    at_loss_report paths = {0};
    at_var *classes = at_logit_cross_entropy(tape, logits, labels, &each, &paths);
    report->loss += paths.loss / (double)gaze.copies;
    report->tokens += batch->source.count;
    report->judged += paths.judged;
    report->right += paths.right;
    if (training && o->early_loss > 0 && l.steps > 1 && classes && how->scale != 0) {
        at_var *early = early_loss(model, &l, labels, &each);
        classes = early ? at_add(tape, classes, early) : NULL;
    }
    if (!learns || !classes || how->scale == 0)
        return classes;
    float *rewards = rewards_of(&l, logits, labels);
    at_var *policy = rewards ? policy_loss(&l, rewards, each.scale) : NULL;
    return policy ? at_add(tape, classes, policy) : NULL;
}

/* ---------------------------------------------------------------- running */

static at_pixels pixels(const at_model *model)
{
    const options *o = model->options;
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
    const options *o = model->options;
    at_graph_step *step = at_graph_add(graph, lane, name);
    snprintf(step->shape, sizeof step->shape, "%lld×%lld", (long long)o->glimpses, (long long)width);
    return step;
}

static void chain(const at_model *model, at_graph *graph)
{
    static const char *const cells[] = {[RNN] = "ReLU", [GRU] = "GRU", [LSTM] = "LSTM"};
    const options *o = model->options;
    graph->lanes[0] = "what is seen";
    graph->lanes[1] = "where to look";
    at_graph_step *s = at_graph_add(graph, 0, "picture");
    snprintf(s->shape, sizeof s->shape, "h×w×%lld", (long long)o->channels);
    s = chain_step(model, graph, 0, "glimpses", o->scales * o->channels * o->size * o->size);
    snprintf(s->detail, sizeof s->detail,
             "%lld, one after the other, each of %lld scales of %lld×%lld pixels", (long long)o->glimpses,
             (long long)o->scales, (long long)o->size, (long long)o->size);
    s = chain_step(model, graph, 0, "glimpse network", o->glimpse_width);
    snprintf(s->detail, sizeof s->detail, "what (%lld) and where (%lld), %s", (long long)o->what,
             (long long)o->where, o->combine == SUM ? "added" : "multiplied");
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
    .options_size = sizeof(options),
    .net_size = sizeof(net),
    .build = build,
    .encode = encode,
    .loss = loss,
    .pool = pool,
    .pixels = pixels,
    .classify = classify,
    .max_length = at_any_length,
    .graph = chain,
};
