#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "attend.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/show_page.h"
#include "draw/matrix.h"
#include "text/utf8.h"

typedef struct options {
    char *model, *target, *svg, *png, *html, *compare;
    int64_t kind, layer, head, beam;
    bool pieces, rollout, term, light, dark;
} options;

static const at_field fields[] = {
    {"model", AT_FIELD_TEXT, offsetof(options, model), NULL, 0, 0, NULL, "model folder"},
    {"target", AT_FIELD_TEXT, offsetof(options, target), NULL, 0, 0, NULL,
     "look while the model is made to say this; otherwise it says its own translation"},
    {"kind", AT_FIELD_CHOICE, offsetof(options, kind), "cross", 0, 0, "cross|encoder|decoder",
     "target words at source words, source words at each other, target words at those before"},
    {"layer", AT_FIELD_INT, offsetof(options, layer), "-1", -1, 63, NULL, "-1: mean over all layers"},
    {"head", AT_FIELD_INT, offsetof(options, head), "-1", -1, 255, NULL, "-1: mean over all heads"},
    {"rollout", AT_FIELD_BOOL, offsetof(options, rollout), "false", 0, 0, NULL,
     "self-attention followed through all layers, residuals included (Abnar & Zuidema 2020)"},
    {"beam", AT_FIELD_INT, offsetof(options, beam), "0", 0, 64, NULL,
     "for the translation; 0: the model's own"},
    {"pieces", AT_FIELD_BOOL, offsetof(options, pieces), "false", 0, 0, NULL, "pieces instead of words"},
    {"svg", AT_FIELD_TEXT, offsetof(options, svg), NULL, 0, 0, NULL, "write the picture to this file"},
    {"png", AT_FIELD_TEXT, offsetof(options, png), NULL, 0, 0, NULL, "the same as PNG"},
    {"html", AT_FIELD_TEXT, offsetof(options, html), NULL, 0, 0, NULL,
     "write a page to this file, in which all layers, heads and kinds (or the layer and head asked for) can "
     "be "
     "looked at; it needs no network"},
    {"compare", AT_FIELD_TEXT, offsetof(options, compare), NULL, 0, 0, NULL,
     "a second model folder, beside the first in the page"},
    {"term", AT_FIELD_BOOL, offsetof(options, term), "false", 0, 0, NULL,
     "draw in the terminal even when a file is written"},
    {"dark", AT_FIELD_BOOL, offsetof(options, dark), "false", 0, 0, NULL, "a PNG with a dark ground"},
    {"light", AT_FIELD_BOOL, offsetof(options, light), "false", 0, 0, NULL,
     "for a terminal with a light background"},
    {0}};

static const at_cli_spec spec = {
    .name = "show",
    .usage = "--model FOLDER [options] SENTENCE",
    .summary = "Translates a sentence and draws which word looked at which.",
    .fields = fields,
    .examples =
        "  attend show --model models/tatoeba-en-zh \"Tom chases Jerry.\"\n"
        "  attend show --model models/tatoeba-en-zh --layer 2 --head 0 --svg tom.svg \"Tom chases Jerry.\"\n"
        "  attend show --model models/tatoeba-en-zh --html tom.html \"Tom chases Jerry.\"\n"
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

static void name_part(at_buf *title, const char *what, int64_t which)
{
    if (which < 0)
        at_buf_printf(title, ", mean of all %ss", what);
    else
        at_buf_printf(title, ", %s %lld", what, (long long)which);
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
    json_t *all = json_pack("{s:s,s:o,s:o,s:o}", "translation", view->translation, "rows", rows, "columns",
                            columns, "weights", weights);
    return at_cli_print_json(all, JSON_COMPACT | JSON_REAL_PRECISION(6));
}

static at_status draw(const options *o, const at_cli_common *common, const at_view *view)
{
    static const char *const kinds[] = {"cross attention", "encoder self-attention",
                                        "decoder self-attention"};
    at_buf title = {0}, out = {0};
    at_buf_text(&title, kinds[o->kind]);
    if (o->rollout) {
        at_buf_text(&title, ", rollout through all layers (Abnar & Zuidema 2020)");
    } else {
        name_part(&title, "layer", o->layer);
        name_part(&title, "head", o->head);
    }
    at_matrix m = {view->row_words, view->column_words, view->rows, view->columns,
                   view->weights,   title.data,         NULL};
    at_status st = at_buf_status(&title);
    if (st == AT_OK && o->svg) {
        st = at_matrix_svg(&m, &out);
        if (st == AT_OK)
            st = at_file_write(o->svg, out.data, out.length);
        at_buf_clear(&out);
    }
    if (st == AT_OK && o->png) {
        st = at_matrix_png(&m, &(at_png_options){.dark = o->dark}, &out);
        if (st == AT_OK)
            st = at_file_write(o->png, out.data, out.length);
        at_buf_clear(&out);
    }
    if (st == AT_OK && common->json) {
        st = print_json(view);
    } else if (st == AT_OK && (!(o->svg || o->png || o->html) || o->term)) {
        at_terminal_options how = {terminal_width(), terminal_color(), AT_NUMBERS_AUTO, o->light};
        if (o->kind != AT_VIEW_ENCODER)
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
    page.look.layer = (int)o->layer;
    page.look.head = (int)o->head;
    at_status st = o->compare ? at_translator_open(o->compare, open, &translators[1]) : AT_OK;
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
    at_bundle *bundle = NULL;
    at_status st = at_bundle_new(translator, sentence, o->target, &how, &bundle);
    if (st != AT_OK)
        return st;
    const at_bundle_part *part = NULL;
    for (size_t i = 0; i < bundle->count; i++)
        if (bundle->parts[i].kind == (at_view_kind)o->kind && bundle->parts[i].rollout)
            part = &bundle->parts[i];
    if (part) {
        at_view view = {bundle->translation, part->row_words, part->column_words,
                        part->rows,          part->columns,   part->rollout};
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
    at_view_options how = {sizeof how, (at_view_kind)o->kind, (int)o->layer, (int)o->head,
                           o->pieces,  (int)o->beam};
    at_view *view = NULL;
    at_status st = at_view_new(translator, sentence, o->target, &how, &view);
    if (st == AT_OK)
        st = draw(o, common, view);
    at_view_free(view);
    return st;
}

static at_status show(const options *o, const at_cli_common *common, const char *sentence)
{
    at_open_options open = {sizeof open, (int)common->threads, common->kernels};
    at_translator *translator = NULL;
    at_status st = expect_utf8("sentence", sentence);
    if (st == AT_OK && o->target)
        st = expect_utf8("--target", o->target);
    if (st == AT_OK)
        st = at_translator_open(o->model, &open, &translator);
    if (st == AT_OK && o->html)
        st = show_page(o, &open, translator, sentence);
    if (st == AT_OK && (!o->html || o->svg || o->png || o->term || common->json))
        st = (o->rollout ? show_rollout : show_picture)(o, common, translator, sentence);
    at_translator_close(translator);
    return st;
}

int at_cli_show(int argc, char **argv)
{
    options o;
    at_cli_common common;
    at_cli_words words;
    int code = at_cli_parse(&spec, argc, argv, &o, &common, &words);
    if (code != AT_CLI_GO)
        return code;
    code = AT_CLI_DONE;
    if (!o.model)
        code = at_cli_wrong(&spec, "--model FOLDER is missing");
    else if (o.compare && !o.html)
        code = at_cli_wrong(&spec, "--compare puts a second model into the page: give --html FILE too");
    else if (o.rollout && (o.kind == AT_VIEW_CROSS || o.layer >= 0 || o.head >= 0))
        code = at_cli_wrong(
            &spec, "--rollout follows self-attention through all layers and heads: give --kind encoder "
                   "or --kind decoder, and no --layer or --head");
    else if (words.count != 1)
        code = at_cli_wrong(&spec, "want one SENTENCE, in quotes; got %d", words.count);
    else {
        at_status st = show(&o, &common, words.list[0]);
        if (st != AT_OK)
            code = at_cli_failed(&spec, st);
    }
    at_cli_free(&spec, &o, &common);
    return code;
}
