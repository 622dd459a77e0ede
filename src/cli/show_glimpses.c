#include "cli/show_glimpses.h"
#include <stdlib.h>
#include <string.h>
#include "base/memory.h"
#include "cli/output.h"
#include "cli/pictures.h"
#include "draw/glimpses.h"
#include "task/glimpses.h"

static at_status print_json(const at_gazer *g, const at_gazed *gazed)
{
    json_t *path = json_array(), *probabilities = json_object();
    for (size_t i = 0; i < gazed->glimpses; i++)
        json_array_append_new(path,
                              json_pack("[f,f]", (double)gazed->path[2 * i], (double)gazed->path[2 * i + 1]));
    for (size_t i = 0; i < g->classes.count; i++)
        json_object_set_new(probabilities, g->classes.names[i], json_real((double)gazed->probabilities[i]));
    json_t *all =
        json_pack("{s:s,s:f,s:o,s:o}", "label", g->classes.names[gazed->best], "probability",
                  (double)gazed->probabilities[gazed->best], "path", path, "probabilities", probabilities);
    return at_cli_print_json(all, JSON_COMPACT | JSON_REAL_PRECISION(6));
}

static at_status write_png(const at_glimpse_picture *p, const char *path)
{
    at_image drawn = {0};
    at_status st = at_glimpses_image(p, &drawn);
    if (st == AT_OK)
        st = at_image_write_png(&drawn, path);
    at_image_free(&drawn);
    return st;
}

static at_status draw(const at_cli_gaze *gaze, const at_cli_common *common, const at_gazer *g,
                      const at_gazed *gazed)
{
    at_buf title = {0}, out = {0};
    at_buf_printf(&title, "%s (%.3f)", g->classes.names[gazed->best],
                  (double)gazed->probabilities[gazed->best]);
    at_glimpse_picture p = {.image = gazed->seen,
                            .sensor = at_gaze_sensor(g->folder->model),
                            .places = gazed->path,
                            .count = gazed->glimpses,
                            .title = title.data};
    at_status st = at_buf_status(&title);
    if (st == AT_OK && gaze->svg)
        st = at_cli_save(at_glimpses_svg(&p, &out), &out, gaze->svg);
    if (st == AT_OK && gaze->png)
        st = write_png(&p, gaze->png);
    if (st == AT_OK && common->json) {
        st = print_json(g, gazed);
    } else if (st == AT_OK && (!(gaze->svg || gaze->png) || gaze->term)) {
        st = at_glimpses_terminal(&p, &out);
        if (st == AT_OK)
            st = at_cli_print(&out);
    }
    at_buf_free(&title);
    at_buf_free(&out);
    return st;
}

at_status at_cli_show_glimpses(const at_cli_gaze *gaze, const at_cli_common *common)
{
    at_open_options open = {
        .struct_size = sizeof open, .threads = (int)common->threads, .kernels = common->kernels};
    at_picture_set set = {0};
    at_gazer *g = NULL;
    at_gazed gazed;
    at_cli_pictures these;
    at_status st = at_cli_open_pictures(gaze->picture, &set, &these);
    if (st == AT_OK)
        st = at_gazer_open(gaze->model, &open, &g);
    if (st == AT_OK)
        st = at_gazer_look(g, &set, these.first, gaze->samples, &gazed);
    if (st == AT_OK)
        st = draw(gaze, common, g, &gazed);
    at_gazer_close(g);
    at_picture_set_free(&set);
    return st;
}
