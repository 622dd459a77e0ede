#include "task/glimpses.h"
#include <math.h>
#include <string.h>
#include "autograd/ops.h"
#include "base/file.h"
#include "base/memory.h"

enum { CONFIG_BYTES = 16 << 20 };

bool at_gazer_can(const char *folder)
{
    char *path = at_path_join(folder, "config.json");
    json_t *config = NULL;
    if (path && at_json_load(path, CONFIG_BYTES, &config) != AT_OK)
        config = NULL;
    at_free(path);
    const json_t *model = json_object_get(json_object_get(config, "attend"), "model");
    const char *name = json_string_value(json_object_get(model, "family"));
    bool can = name && strcmp(name, "glimpse") == 0;
    json_decref(config);
    return can;
}

static at_status open_parts(at_gazer *g, const char *folder, const at_open_options *o)
{
    at_status st = at_exec_new(o->kernels, o->threads, &g->exec);
    if (st == AT_OK)
        st = at_folder_load(folder, g->exec, &g->folder);
    if (st == AT_OK && !at_model_glimpses(g->folder->model))
        st = at_fail(AT_ENOSUP, "%s: a %s does not look at places one by one", folder,
                     g->folder->model->family->name);
    if (st == AT_OK)
        st = at_classes_read(json_object_get(g->folder->config, "id2label"), &g->classes);
    if (st == AT_OK)
        st = at_tape_new(g->exec, &g->tape);
    if (st != AT_OK)
        return st;
    const at_model *model = g->folder->model;
    at_pixels size = model->family->pixels(model);
    st = at_picture_section_read(g->folder->data, &size, &g->prepare);
    if (st != AT_OK)
        return at_fail_within(st, "%s/config.json", folder);
    g->pixels = at_alloc_array(size.height * size.width * size.channels, sizeof *g->pixels);
    g->path = at_alloc_zero(2 * at_gaze_steps(model), sizeof *g->path);
    g->probabilities = at_alloc_zero(g->classes.count, sizeof *g->probabilities);
    if (!g->pixels || !g->path || !g->probabilities)
        return AT_ENOMEM;
    return at_image_new(size.width, size.height, size.channels, &g->seen);
}

at_status at_gazer_open(const char *folder, const at_open_options *options, at_gazer **gazer)
{
    at_open_options o = AT_OPEN_DEFAULTS;
    if (options)
        o = *options;
    *gazer = NULL;
    at_gazer *g = at_alloc_zero(1, sizeof *g);
    at_status st = g ? open_parts(g, folder, &o) : AT_ENOMEM;
    if (st == AT_OK)
        *gazer = g;
    else
        at_gazer_close(g);
    return st;
}

void at_gazer_close(at_gazer *g)
{
    if (!g)
        return;
    at_image_free(&g->seen);
    at_free(g->pixels);
    at_free(g->path);
    at_free(g->probabilities);
    at_tape_free(g->tape);
    at_classes_free(&g->classes);
    at_folder_free(g->folder);
    at_exec_free(g->exec);
    at_free(g);
}

/* The model's numbers as bytes again, for drawing. */
static void draw_back(at_gazer *g)
{
    for (size_t i = 0; i < at_image_bytes(&g->seen); i++) {
        size_t c = i % g->seen.channels;
        float value = g->pixels[i] * g->prepare.deviation[c] + g->prepare.mean[c];
        value = value > 0 ? (value < 1 ? value : 1) : 0;
        g->seen.pixels[i] = (uint8_t)lrintf(255 * value);
    }
}

/* Adds share * probabilities of each path. */
static at_status add_paths(at_gazer *g, const at_gaze *gaze)
{
    const at_model *model = g->folder->model;
    const int32_t offsets[] = {0, 1};
    at_batch batch = {.source = {1, offsets, NULL},
                      .pixels = {g->prepare.height, g->prepare.width, g->prepare.channels, g->pixels}};
    at_tape_begin(g->tape, AT_TAPE_RUN, 0, 0);
    at_var *x = at_gaze_run(model, g->tape, &batch, gaze);
    x = x ? model->family->classify(model, g->tape, x) : NULL;
    x = x ? at_softmax(g->tape, x) : NULL;
    size_t copies = gaze->copies ? gaze->copies : 1;
    memset(g->probabilities, 0, g->classes.count * sizeof *g->probabilities);
    for (size_t i = 0; x && i < copies * g->classes.count; i++)
        g->probabilities[i % g->classes.count] += x->data[i] / (float)copies;
    at_status st = at_tape_status(g->tape);
    at_tape_reset(g->tape);
    return st;
}

at_status at_gazer_look(at_gazer *g, const at_picture_set *set, size_t index, size_t samples, at_gazed *out)
{
    at_augment_key key = {.example = index};
    /* Only what comes small is put on a canvas: a photo is what the model sees. */
    at_status st = set->idx.bytes ? at_prepare_check(set, &g->prepare) : AT_OK;
    if (st == AT_OK)
        st = at_prepare_picture(set, index, &g->prepare, NULL, key, NULL, g->pixels);
    if (st == AT_OK)
        st = add_paths(g, &(at_gaze){.path = g->path});
    if (st == AT_OK && samples > 1)
        st = add_paths(g, &(at_gaze){.draw = true, .copies = samples, .key = {1, (uint32_t)index}});
    if (st != AT_OK)
        return st;
    draw_back(g);
    *out = (at_gazed){.seen = &g->seen,
                      .path = g->path,
                      .probabilities = g->probabilities,
                      .glimpses = at_gaze_steps(g->folder->model)};
    for (size_t i = 1; i < g->classes.count; i++)
        out->best = g->probabilities[i] > g->probabilities[out->best] ? i : out->best;
    return isfinite(g->probabilities[out->best])
               ? AT_OK
               : at_fail(AT_ENUMBER, "the model's probabilities are no finite numbers: it is damaged, or its "
                                     "training failed");
}
