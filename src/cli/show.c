#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "attend.h"
#include "cli/alignment.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/show_glimpses.h"
#include "cli/show_more.h"
#include "cli/show_page.h"
#include "cli/show_photo.h"
#include "draw/matrix.h"
#include "task/glimpses.h"
#include "task/photo.h"
#include "text/utf8.h"

typedef struct options {
    char *model, *target, *svg, *png, *html, *compare, *heads, *layer_name, *head_name, *query;
    int64_t kind, beam, samples, positions, write, max_pixels;
    bool pieces, rollout, term, light, dark, weighted, alike;
    int layer, head; /* of layer_name and head_name */
} options;

static const at_field fields[] = {
    {"model", AT_FIELD_TEXT, offsetof(options, model), NULL, 0, 0, NULL, "model folder"},
    {"target", AT_FIELD_TEXT, offsetof(options, target), NULL, 0, 0, NULL,
     "look while the model is made to say this; otherwise it says its own translation"},
    {"kind", AT_FIELD_CHOICE, offsetof(options, kind), "own", 0, 0, "cross|encoder|decoder|class|own",
     "target words at source words, source words at each other, words at those before, words that decided a "
     "classifier's label; own: what the model has, in this order: cross, decoder, class, encoder"},
    {"layer", AT_FIELD_TEXT, offsetof(options, layer_name), "own", 0, 0, NULL,
     "own, mean or a number; " AT_CLI_PICK_HELP},
    {"head", AT_FIELD_TEXT, offsetof(options, head_name), "own", 0, 0, NULL, "likewise"},
    {"rollout", AT_FIELD_BOOL, offsetof(options, rollout), "false", 0, 0, NULL,
     "self-attention followed through all layers, residuals included (Abnar & Zuidema 2020)"},
    {"heads", AT_FIELD_TEXT, offsetof(options, heads), NULL, 0, 0, NULL,
     "instead: what every head looks at over the lines of this file (pairs if it ends in .tsv), measured"},
    {"positions", AT_FIELD_INT, offsetof(options, positions), "0", 0, 65536, NULL,
     "instead: so many positions of the position encoding (--kind decoder: of the decoder)"},
    {"beam", AT_FIELD_INT, offsetof(options, beam), "0", 0, 64, NULL,
     "for the translation; 0: the model's own"},
    {"write", AT_FIELD_INT, offsetof(options, write), "0", 0, 65536, NULL,
     "a decoder alone: so many likeliest pieces that it first adds to the text"},
    {"pieces", AT_FIELD_BOOL, offsetof(options, pieces), "false", 0, 0, NULL, "pieces instead of words"},
    {"svg", AT_FIELD_TEXT, offsetof(options, svg), NULL, 0, 0, NULL, "write the picture to this file"},
    {"png", AT_FIELD_TEXT, offsetof(options, png), NULL, 0, 0, NULL, "the same as PNG"},
    {"html", AT_FIELD_TEXT, offsetof(options, html), NULL, 0, 0, NULL,
     "write a page to this file, in which all layers, heads and kinds (or the layer and head asked for) can "
     "be looked at; it needs no network"},
    {"compare", AT_FIELD_TEXT, offsetof(options, compare), NULL, 0, 0, NULL,
     "a second model folder, beside the first in the page"},
    {"term", AT_FIELD_BOOL, offsetof(options, term), "false", 0, 0, NULL,
     "draw in the terminal even when a file is written"},
    {"query", AT_FIELD_TEXT, offsetof(options, query), NULL, 0, 0, NULL,
     "of a picture: what this patch looks at, as x,y from the left and the top; otherwise what the model "
     "looks at"},
    {"alike", AT_FIELD_BOOL, offsetof(options, alike), "false", 0, 0, NULL,
     "with query: the patches most like that one, instead of what it looks at"},
    {"weighted", AT_FIELD_BOOL, offsetof(options, weighted), "false", 0, 0, NULL,
     "of a picture: each patch as bright as its weight, instead of colours over the photo"},
    {"max_pixels", AT_FIELD_INT, offsetof(options, max_pixels), "100000000", 1, 1e12, NULL,
     "of a picture: larger files are refused"},
    {"samples", AT_FIELD_INT, offsetof(options, samples), "1", 1, 4096, NULL,
     "of glimpses: the mean over so many paths, drawn as in training; 1: the path thought best"},
    {"dark", AT_FIELD_BOOL, offsetof(options, dark), "false", 0, 0, NULL, "a PNG with a dark ground"},
    {"light", AT_FIELD_BOOL, offsetof(options, light), "false", 0, 0, NULL,
     "for a terminal with a light background"},
    {0}};

static const at_cli_spec spec = {
    .name = "show",
    .usage = "--model FOLDER [options] TEXT\n       attend show --model FOLDER [options] PICTURE\n"
             "       attend show --model FOLDER --heads FILE\n"
             "       attend show --model FOLDER --positions COUNT",
    .summary =
        "Draws which word looked at which: of a translator while it translates TEXT, of a model that writes\n"
        "on while it is made to say TEXT, of an encoder while it reads it, and of a classifier which words\n"
        "decided the label; or where in a picture a model of pictures looked, or its path of glimpses "
        "(there\n"
        "PICTURE may be FILE:NUMBER, of an IDX file). Or measures what heads do over a text; or draws the\n"
        "position encoding.",
    .fields = fields,
    .examples =
        "  attend show --model models/tatoeba-en-zh \"Tom chases Jerry.\"\n"
        "  attend show --model models/tatoeba-en-zh --layer 2 --head 0 --svg tom.svg \"Tom chases Jerry.\"\n"
        "  attend show --model models/tatoeba-en-zh --html tom.html \"Tom chases Jerry.\"\n"
        "  attend show --model models/tatoeba-en-zh --kind encoder --rollout \"Tom chases Jerry.\"\n"
        "  attend show --model cats-dogs --png where.png photo.jpg\n"
        "  attend show --model cats-dogs --html where.html --query 3,2 photo.jpg\n"
        "  attend show --model models/tatoeba-en-zh --heads test.tsv\n"
        "  attend show --model models/tatoeba-en-zh --positions 64 --svg positions.svg\n"
        "  attend show --model digits --svg path.svg data/mnist/t10k-images-idx3-ubyte.gz:17\n"
        "  attend show --model shakespeare --write 40 --layer 2 --head 1 \"ROMEO:\"\n"
        "  attend show --model news --html why.html \"NBA总决赛第七场今日打响\"\n"
        "  attend show --model models/tatoeba-en-zh --target \"汤姆追杰瑞。\" \"Tom chases Jerry.\"\n"};

static int terminal_width(void)
{
    struct winsize size;
    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    const char *columns = getenv("COLUMNS");
    int width = columns ? atoi(columns) : 0;
    return width >= 20 && width <= 1000 ? width : 80;
}

/* https://no-color.org, and what terminals say of themselves. */
static at_color terminal_color(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM"), *depth = getenv("COLORTERM");
    if ((no && *no) || !isatty(STDOUT_FILENO) || !term || strcmp(term, "dumb") == 0)
        return AT_COLOR_NONE;
    return depth && (strcmp(depth, "truecolor") == 0 || strcmp(depth, "24bit") == 0) ? AT_COLOR_TRUE
                                                                                     : AT_COLOR_256;
}

static void name_part(at_buf *title, const char *what, int which)
{
    if (which < 0)
        at_buf_printf(title, ", mean of all %ss", what);
    else
        at_buf_printf(title, ", %s %d", what, which);
}

static at_status print_json(const at_view *view)
{
    json_t *rows = json_array(), *columns = json_array(), *weights = json_array();
    for (size_t i = 0; i < view->columns; i++)
        json_array_append_new(columns, json_string(view->column_words[i]));
    for (size_t i = 0; i < view->rows; i++) {
        json_array_append_new(rows, json_string(view->row_words[i]));
        json_t *row = json_array();
        for (size_t j = 0; j < view->columns; j++)
            json_array_append_new(row, json_real((double)view->weights[i * view->columns + j]));
        json_array_append_new(weights, row);
    }
    json_t *all = json_pack("{s:s,s:s,s:o,s:o,s:o}", "kind", at_cli_kinds[view->kind], "translation",
                            view->translation, "rows", rows, "columns", columns, "weights", weights);
    if (all && view->label)
        json_object_update_new(
            all, json_pack("{s:s, s:f}", "label", view->label, "probability", view->probability));
    return at_cli_print_json(all, JSON_COMPACT | JSON_REAL_PRECISION(6));
}

/* What the picture is of, as its title says it; and what it must not be taken for. */
static void put_title(const options *o, const at_view *view, at_buf *title)
{
    static const char *const kinds[] = {"cross attention", "encoder self-attention",
                                        "decoder self-attention"};
    if (view->kind == AT_VIEW_CLASS) {
        at_buf_printf(title, "what decided %s (%.4f)", view->label, view->probability);
        return;
    }
    at_buf_text(title, kinds[view->kind]);
    if (o->rollout) {
        at_buf_text(title, ", rollout through all layers (Abnar & Zuidema 2020)");
    } else {
        name_part(title, "layer", view->layer);
        name_part(title, "head", view->head);
    }
}

static at_status draw_files(const options *o, const at_matrix *m)
{
    at_buf out = {0};
    at_status st = AT_OK;
    if (o->svg)
        st = at_cli_save(at_matrix_svg(m, &out), &out, o->svg);
    if (st == AT_OK && o->png)
        st = at_cli_save(at_matrix_png(m, &(at_png_options){.dark = o->dark}, &out), &out, o->png);
    return st;
}

static at_status draw(const options *o, const at_cli_common *common, const at_view *view)
{
    at_buf title = {0}, out = {0};
    put_title(o, view, &title);
    at_matrix m = {.targets = view->row_words,
                   .sources = view->column_words,
                   .target_count = view->rows,
                   .source_count = view->columns,
                   .weights = view->weights,
                   .title = title.data,
                   .caption = view->kind == AT_VIEW_CLASS ? AT_CLI_CLASS_CAVEAT : NULL};
    at_status st = at_buf_status(&title);
    if (st == AT_OK)
        st = draw_files(o, &m);
    if (st == AT_OK && common->json) {
        st = print_json(view);
    } else if (st == AT_OK && (!(o->svg || o->png || o->html) || o->term)) {
        at_terminal_options how = {terminal_width(), terminal_color(), AT_NUMBERS_AUTO, o->light};
        if (view->kind != AT_VIEW_ENCODER && view->kind != AT_VIEW_CLASS)
            at_buf_printf(&out, "%s\n\n", view->translation);
        st = at_matrix_terminal(&m, &how, &out);
        if (st == AT_OK)
            st = at_cli_print(&out);
    }
    at_buf_free(&title);
    at_buf_free(&out);
    return st;
}

static at_status expect_utf8(const char *what, const char *text)
{
    size_t length = strlen(text), valid = at_utf8_valid(text, length);
    return valid == length ? AT_OK : at_fail(AT_EFORMAT, "%s: invalid UTF-8 at byte %zu", what, valid + 1);
}

static at_status show_page(const options *o, const at_open_options *open, at_translator *translator,
                           const char *sentence)
{
    const char *names[] = {o->model, o->compare};
    at_translator *translators[] = {translator, NULL};
    at_cli_page page = {.path = o->html,
                        .models = names,
                        .translators = translators,
                        .count = o->compare ? 2 : 1,
                        .sentence = sentence,
                        .target = o->target,
                        .kind = (at_view_kind)o->kind,
                        .look = AT_BUNDLE_DEFAULTS};
    page.look.pieces = o->pieces;
    page.look.beam = (int)o->beam;
    page.look.write = (int)o->write;
    page.look.layer = o->layer < 0 ? -1 : o->layer;
    page.look.head = o->head < 0 ? -1 : o->head;
    at_status st = o->compare ? at_viewer_open(o->compare, open, &translators[1]) : AT_OK;
    if (st == AT_OK)
        st = at_cli_show_page(&page);
    at_translator_close(translators[1]);
    return st;
}

/* The rollout of one kind, as if it were a layer. */
static at_status show_rollout(const options *o, const at_cli_common *common, at_translator *translator,
                              const char *sentence)
{
    at_bundle_options how = AT_BUNDLE_DEFAULTS;
    how.pieces = o->pieces;
    how.beam = (int)o->beam;
    how.write = (int)o->write;
    at_bundle *bundle = NULL;
    at_status st = at_bundle_new(translator, sentence, o->target, &how, &bundle);
    if (st == AT_OK && o->kind == AT_VIEW_OWN && bundle->own == AT_VIEW_CROSS) {
        at_bundle_free(bundle);
        st = at_fail(AT_EARG, "rollout: a translator has two, give --kind encoder or --kind decoder");
    }
    if (st != AT_OK)
        return st;
    const at_bundle_part *part = NULL;
    for (size_t i = 0; i < bundle->count; i++) {
        bool asked = o->kind == AT_VIEW_OWN || bundle->parts[i].kind == (at_view_kind)o->kind;
        if (!part && asked && bundle->parts[i].rollout)
            part = &bundle->parts[i];
    }
    if (part) {
        at_view view = {.kind = part->kind,
                        .translation = bundle->translation,
                        .row_words = part->row_words,
                        .column_words = part->column_words,
                        .rows = part->rows,
                        .columns = part->columns,
                        .weights = part->rollout,
                        .layer = AT_MEAN,
                        .head = AT_MEAN};
        st = draw(o, common, &view);
    } else {
        st = at_fail(AT_ENOSUP,
                     "rollout: this model has no such self-attention, or the text is longer than 1,024 "
                     "pieces");
    }
    at_bundle_free(bundle);
    return st;
}

static at_status show_picture(const options *o, const at_cli_common *common, at_translator *translator,
                              const char *sentence)
{
    at_view_options how = AT_VIEW_DEFAULTS;
    how.kind = (at_view_kind)o->kind;
    how.layer = o->layer;
    how.head = o->head;
    how.pieces = o->pieces;
    how.beam = (int)o->beam;
    how.write = (int)o->write;
    at_view *view = NULL;
    at_status st = at_view_new(translator, sentence, o->target, &how, &view);
    if (st == AT_OK)
        st = draw(o, common, view);
    at_view_free(view);
    return st;
}

/* What needs no sentence. */
static at_status show_model(const options *o, const at_cli_common *common)
{
    at_open_options open = {
        .struct_size = sizeof open, .threads = (int)common->threads, .kernels = common->kernels};
    at_cli_positions positions = {.target = o->kind == AT_VIEW_DECODER,
                                  .count = (size_t)o->positions,
                                  .svg = o->svg,
                                  .term = o->term,
                                  .columns = terminal_width()};
    at_translator *translator = NULL;
    at_status st = at_viewer_open(o->model, &open, &translator);
    if (st == AT_OK)
        st = o->heads ? at_cli_show_heads(&spec, translator, o->heads, (int)o->beam, common)
                      : at_cli_show_positions(translator, &positions, common);
    at_translator_close(translator);
    return st;
}

static at_status show(const options *o, const at_cli_common *common, const char *sentence)
{
    at_open_options open = {
        .struct_size = sizeof open, .threads = (int)common->threads, .kernels = common->kernels};
    at_translator *translator = NULL;
    at_status st = expect_utf8("text", sentence);
    if (st == AT_OK && o->target)
        st = expect_utf8("--target", o->target);
    if (st == AT_OK)
        st = at_viewer_open(o->model, &open, &translator);
    if (st == AT_OK && o->html)
        st = show_page(o, &open, translator, sentence);
    if (st == AT_OK && (!o->html || o->svg || o->png || o->term || common->json))
        st = (o->rollout ? show_rollout : show_picture)(o, common, translator, sentence);
    at_translator_close(translator);
    return st;
}

/* A picture, for a model that reads them. */
static int show_photo(const options *o, const at_cli_common *common, const at_cli_words *words)
{
    if (o->target || o->compare || o->heads || o->positions > 0 || o->pieces || words->count != 1)
        return at_cli_wrong(&spec,
                            "%s reads pictures: want one PICTURE, and of the options layer, head, rollout, "
                            "query, alike, weighted, svg, png, html, max-pixels",
                            o->model);
    if (o->alike && !o->query)
        return at_cli_wrong(&spec, "--alike wants the patch: give --query x,y too");
    at_cli_photo photo = {.model = o->model,
                          .path = words->list[0],
                          .svg = o->svg,
                          .png = o->png,
                          .html = o->html,
                          .query = o->query,
                          .alike = o->alike,
                          .weighted = o->weighted,
                          .rollout = o->rollout,
                          .layer = o->layer,
                          .head = o->head,
                          .max_pixels = o->max_pixels};
    at_status st = at_cli_show_photo(&photo, common);
    return st == AT_OK ? AT_CLI_DONE : at_cli_failed(&spec, st);
}

/* A model that looks at places one by one. */
static int show_gaze(const options *o, const at_cli_common *common, const at_cli_words *words)
{
    if (words->count != 1)
        return at_cli_wrong(&spec, "this model looks at pictures: want one PICTURE; got %d", words->count);
    at_cli_gaze gaze = {.model = o->model,
                        .picture = words->list[0],
                        .svg = o->svg,
                        .png = o->png,
                        .term = o->term,
                        .samples = (size_t)o->samples};
    at_status st = at_cli_show_glimpses(&gaze, common);
    return st == AT_OK ? AT_CLI_DONE : at_cli_failed(&spec, st);
}

int at_cli_show(int argc, char **argv)
{
    options o;
    at_cli_common common;
    at_cli_words words;
    int code = at_cli_parse(&spec, argc, argv, &o, &common, &words);
    if (code != AT_CLI_GO)
        return code;
    bool alone = o.heads || o.positions > 0;
    code = at_cli_pick(&spec, "layer", o.layer_name, &o.layer);
    if (code == AT_CLI_GO)
        code = at_cli_pick(&spec, "head", o.head_name, &o.head);
    if (code != AT_CLI_GO) {
        at_cli_free(&spec, &o, &common);
        return code;
    }
    code = AT_CLI_DONE;
    if (!o.model)
        code = at_cli_wrong(&spec, "--model FOLDER is missing");
    else if (at_gazer_can(o.model))
        code = show_gaze(&o, &common, &words);
    else if (at_photo_model(o.model))
        code = show_photo(&o, &common, &words);
    else if (o.query || o.weighted || o.alike)
        code =
            at_cli_wrong(&spec, "--query, --alike and --weighted are of pictures; %s reads texts", o.model);
    else if (o.compare && !o.html)
        code = at_cli_wrong(&spec, "--compare puts a second model into the page: give --html FILE too");
    else if (o.rollout && (o.kind == AT_VIEW_CROSS || o.kind == AT_VIEW_CLASS || o.layer >= 0 || o.head >= 0))
        code = at_cli_wrong(
            &spec, "--rollout follows self-attention through all layers and heads: give --kind encoder "
                   "or --kind decoder, and no --layer or --head");
    else if (alone && (words.count > 0 || (o.heads && o.positions > 0)))
        code = at_cli_wrong(&spec, "--heads FILE and --positions COUNT stand alone, without a text");
    else if (!alone && words.count != 1)
        code = at_cli_wrong(&spec, "want one TEXT, in quotes; got %d", words.count);
    else {
        at_status st = alone ? show_model(&o, &common) : show(&o, &common, words.list[0]);
        if (st != AT_OK)
            code = at_cli_failed(&spec, st);
    }
    at_cli_free(&spec, &o, &common);
    return code;
}
