/* One look at some pictures: glimpse after glimpse, at places that are given, chosen or drawn. */
#include <math.h>
#include <string.h>
#include "base/rng.h"
#include "model/glimpse_net.h"

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

static bool open_loops(at_look *l)
{
    size_t all = l->count * l->steps, moves = l->count * (l->steps - 1);
    const at_gaze_net *n = l->n;
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

bool at_look_open(at_look *l, const at_model *model, at_tape *tape, const at_batch *batch,
                  const at_gaze *gaze, bool keeps)
{
    const at_gaze_options *o = model->options;
    const at_pixels *p = &batch->pixels;
    size_t copies = gaze->copies ? gaze->copies : 1;
    *l = (at_look){.o = o, .n = model->net, .tape = tape, .gaze = gaze, .steps = (size_t)o->glimpses};
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
static void draw_words(const at_look *l, size_t i, size_t step, uint32_t out[4])
{
    at_philox((uint32_t[]){(uint32_t)step, l->rows.examples[i], 0, 0}, l->gaze->key, out);
}

/* Anywhere in -1 … 1. */
static void uniform_places(at_look *l, size_t step)
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
static void chosen_places(at_look *l, size_t step, const at_var *mean)
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
static at_var *next_mean(at_look *l)
{
    at_var *h = at_leaf(l->tape, l->state.h->shape, l->state.h->data, NULL);
    h = h ? at_norm_run(l->tape, h, &l->n->locator) : NULL;
    at_var *x = h ? at_repeated_step(l->tape, l->hidden, h, NULL) : NULL;
    x = x ? at_repeated_step(l->tape, l->mean, at_activate(l->tape, x, AT_RELU), NULL) : NULL;
    return x ? at_activate(l->tape, x, AT_TANH) : NULL;
}

static bool choose(at_look *l, size_t step)
{
    size_t n = l->count, d = (size_t)l->o->width;
    if (step > 0 && l->states)
        memcpy(l->states + (step - 1) * n * d, l->state.h->data, n * d * sizeof *l->states);
    at_var *mean = NULL;
    if (step > 0 && l->o->places == AT_GAZE_LEARNED) {
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
    } else if (l->o->places == AT_GAZE_RANDOM || l->o->first == AT_GAZE_ANYWHERE) {
        uniform_places(l, step);
    } else {
        memset(l->places, 0, 2 * n * sizeof *l->places);
    }
    for (size_t i = 0; l->gaze->path && i < n; i++)
        memcpy(l->gaze->path + (i * l->steps + step) * 2, l->places + 2 * i, 2 * sizeof *l->places);
    return true;
}

/* What is seen and where -> one vector a path, (N, glimpse_width). */
static at_var *see(at_look *l)
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

at_var *at_look_run(at_look *l)
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
    at_look l;
    return at_look_open(&l, model, tape, batch, gaze, false) ? at_look_run(&l) : NULL;
}
