#include "cli/show_photo.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "cli/output.h"
#include "draw/overlay.h"
#include "task/photo.h"

enum { MOST_ANSWERS = 5 };

/* What one call works with. */
typedef struct work {
    const at_cli_photo *o;
    at_photo_look look;
    long asker;
    int layer, head;
    at_buf title;
    float *row; /* (down * across) */
} work;

static at_status read_query(work *w)
{
    const char *text = w->o->query;
    const at_photo_look *l = &w->look;
    char end = 0;
    double x, y;
    w->asker = AT_PHOTO_MODEL;
    if (!text)
        return AT_OK;
    if (sscanf(text, "%lf,%lf%c", &x, &y, &end) != 2 || !isfinite(x) || !isfinite(y))
        return at_fail(AT_EARG, "--query %s: want x,y of a patch, counted from the left and the top, from 0",
                       text);
    if (x < 0 || y < 0 || x >= (double)l->across || y >= (double)l->down)
        return at_fail(AT_EARG, "--query %s: the picture has %zu x %zu patches, 0,0 to %zu,%zu", text,
                       l->across, l->down, l->across - 1, l->down - 1);
    w->asker = (long)((size_t)y * l->across + (size_t)x);
    return AT_OK;
}

/* Which map: rollout where nothing else is asked for and there is one. */
static void choose(work *w)
{
    const at_cli_photo *o = w->o;
    bool any = o->layer < 0 && o->head < 0 && o->layer != AT_MEAN && o->head != AT_MEAN;
    w->layer = o->rollout || (any && w->look.rollout) ? AT_PHOTO_ROLLOUT : o->layer < 0 ? AT_MEAN : o->layer;
    w->head = o->head < 0 ? AT_MEAN : o->head;
}

static void name_layers(const work *w, at_buf *t)
{
    if (w->layer == AT_PHOTO_ROLLOUT) {
        at_buf_text(t, "rollout through all layers");
        return;
    }
    if (w->layer < 0)
        at_buf_text(t, "mean of all layers");
    else
        at_buf_printf(t, "layer %d", w->layer);
    if (w->head < 0)
        at_buf_text(t, ", mean of all heads");
    else
        at_buf_printf(t, ", head %d", w->head);
}

static void name_map(work *w)
{
    at_buf *t = &w->title;
    if (w->o->alike) {
        at_buf_printf(t, "patches like %ld,%ld, by the cosine after the last layer, the mean taken off",
                      w->asker % (long)w->look.across, w->asker / (long)w->look.across);
        return;
    }
    if (w->asker >= 0)
        at_buf_printf(t, "patch %ld,%ld, ", w->asker % (long)w->look.across, w->asker / (long)w->look.across);
    else
        at_buf_text(t, w->look.class_token ? "class token, "
                       : w->look.pooling   ? "pooling, "
                                           : "all patches, ");
    name_layers(w, t);
    if (w->look.shared_out)
        at_buf_text(t, ", Linformer's sums shared out to patches");
}

/* ---------------------------------------------------------------- what is said */

/* The likeliest labels first; the caller frees it. */
static at_overlay_answer *answers(const at_photo_look *l, size_t *count)
{
    *count = 0;
    at_overlay_answer *list = at_alloc_array(MOST_ANSWERS, sizeof *list);
    for (size_t i = 0; list && l->probabilities && i < l->classes; i++) {
        size_t at = *count < MOST_ANSWERS ? (*count)++ : MOST_ANSWERS;
        double p = (double)l->probabilities[i];
        while (at > 0 && list[at - 1].probability < p) {
            if (at < MOST_ANSWERS)
                list[at] = list[at - 1];
            at--;
        }
        if (at < MOST_ANSWERS)
            list[at] = (at_overlay_answer){.label = l->names[i], .probability = p};
    }
    return list;
}

static at_status print_json(const work *w)
{
    const at_photo_look *l = &w->look;
    size_t count;
    at_overlay_answer *list = answers(l, &count);
    if (!list)
        return AT_ENOMEM;
    json_t *labels = json_array(), *weights = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            labels, json_pack("{s:s,s:f}", "label", list[i].label, "probability", list[i].probability));
    for (size_t y = 0; y < l->down; y++) {
        json_t *line = json_array();
        for (size_t x = 0; x < l->across; x++)
            json_array_append_new(line, json_real((double)w->row[y * l->across + x]));
        json_array_append_new(weights, line);
    }
    at_free(list);
    json_t *all =
        json_pack("{s:s,s:s,s:I,s:I,s:o,s:o}", "picture", w->o->path, "map", w->title.data, "across",
                  (json_int_t)l->across, "down", (json_int_t)l->down, "labels", labels, "weights", weights);
    return at_cli_print_json(all, JSON_COMPACT | JSON_REAL_PRECISION(6));
}

/* A patch is two columns of shades, so that it looks square. */
static at_status print_terminal(const work *w)
{
    static const char *const shades[] = {"  ", "\xe2\x96\x91\xe2\x96\x91", "\xe2\x96\x92\xe2\x96\x92",
                                         "\xe2\x96\x93\xe2\x96\x93", "\xe2\x96\x88\xe2\x96\x88"};
    const at_photo_look *l = &w->look;
    size_t count, step = (l->across + 59) / 60;
    at_overlay_answer *list = answers(l, &count);
    at_buf out = {0};
    float most = 0.0f;
    for (size_t i = 0; list && i < count; i++)
        at_buf_printf(&out, "%6.2f %%  %s\n", 100.0 * list[i].probability, list[i].label);
    for (size_t i = 0; i < l->down * l->across; i++)
        most = w->row[i] > most ? w->row[i] : most;
    at_buf_printf(&out, "\n%s; \xe2\x96\x88 is %.3g\n\n", w->title.data, (double)most);
    for (size_t y = 0; y < l->down; y += step) {
        for (size_t x = 0; x < l->across; x += step) {
            float part = most > 0.0f ? w->row[y * l->across + x] / most : 0.0f;
            at_buf_text(&out, shades[(size_t)fminf(part * 5.0f, 4.0f)]);
        }
        at_buf_char(&out, '\n');
    }
    at_free(list);
    at_status st = list ? at_buf_status(&out) : AT_ENOMEM;
    if (st == AT_OK)
        st = at_cli_print(&out);
    at_buf_free(&out);
    return st;
}

/* ---------------------------------------------------------------- what is written */

static at_status write_pictures(const work *w)
{
    const at_photo_look *l = &w->look;
    at_overlay overlay = {.photo = &l->seen,
                          .down = l->down,
                          .across = l->across,
                          .weights = w->row,
                          .query = w->asker,
                          .weighted = w->o->weighted,
                          .title = w->title.data};
    at_status st = AT_OK;
    if (w->o->png) {
        at_image painted;
        st = at_overlay_paint(&overlay, 0, &painted);
        if (st == AT_OK)
            st = at_image_write_png(&painted, w->o->png);
        at_image_free(&painted);
    }
    at_buf out = {0};
    if (st == AT_OK && w->o->svg)
        st = at_cli_save(at_overlay_svg(&overlay, &out), &out, w->o->svg);
    return st;
}

static at_status write_page(const work *w)
{
    const at_photo_look *l = &w->look;
    size_t heads = (size_t)l->layers * (size_t)l->heads, first = l->rollout != NULL, count;
    at_overlay_map *maps = at_alloc_zero(heads + first, sizeof *maps);
    at_overlay_answer *list = answers(l, &count);
    const char *slash = strrchr(w->o->path, '/');
    at_buf out = {0};
    at_status st = maps && list ? AT_OK : AT_ENOMEM;
    if (st == AT_OK && first)
        maps[0] = (at_overlay_map){.label = "rollout", .weights = l->rollout};
    for (size_t i = 0; st == AT_OK && i < heads; i++)
        maps[first + i] = (at_overlay_map){.layer = l->first_layer + (int)i / l->heads,
                                           .head = l->first_head + (int)i % l->heads,
                                           .weights = l->weights + i * l->tokens * l->tokens};
    at_overlay_page page = {.photo = &l->seen,
                            .down = l->down,
                            .across = l->across,
                            .class_token = l->class_token,
                            .maps = maps,
                            .map_count = heads + first,
                            .pooling = l->pooling,
                            .likeness = l->alike,
                            .answers = list,
                            .answer_count = count,
                            .query = w->asker,
                            .title = slash ? slash + 1 : w->o->path};
    if (st == AT_OK)
        st = at_cli_save(at_overlay_html(&page, &out), &out, w->o->html);
    at_free(maps);
    at_free(list);
    return st;
}

static at_status show(work *w, const at_cli_common *common)
{
    const at_cli_photo *o = w->o;
    at_status st = read_query(w);
    if (st != AT_OK)
        return st;
    choose(w);
    name_map(w);
    w->row = at_alloc_array(w->look.down * w->look.across, sizeof *w->row);
    st = w->row ? at_buf_status(&w->title) : AT_ENOMEM;
    if (st == AT_OK)
        st = o->alike ? at_photo_alike(&w->look, w->asker, w->row)
                      : at_photo_row(&w->look, w->layer, w->head, w->asker, w->row);
    if (st == AT_OK && (o->png || o->svg))
        st = write_pictures(w);
    if (st == AT_OK && o->html)
        st = write_page(w);
    if (st == AT_OK && common->json)
        st = print_json(w);
    else if (st == AT_OK && !o->png && !o->svg && !o->html)
        st = print_terminal(w);
    return st;
}

at_status at_cli_show_photo(const at_cli_photo *photo, const at_cli_common *common)
{
    at_open_options open = AT_OPEN_DEFAULTS;
    open.threads = (int)common->threads;
    open.kernels = common->kernels;
    at_photo_reader *reader;
    work w = {.o = photo};
    at_status st = at_photo_reader_open(photo->model, &open, (size_t)photo->max_pixels, &reader);
    int layer = photo->layer < 0 ? AT_MEAN : photo->layer, head = photo->head < 0 ? AT_MEAN : photo->head;
    if (st == AT_OK)
        st = at_photo_look_new(reader, photo->path, layer, head, &w.look);
    if (st == AT_OK)
        st = show(&w, common);
    at_photo_look_free(&w.look);
    at_photo_reader_close(reader);
    at_buf_free(&w.title);
    at_free(w.row);
    return st;
}
