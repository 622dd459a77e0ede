/* What a training shows while it runs: scores of its validation set, and its curves. */
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "cli/output.h"
#include "cli/training.h"
#include "draw/curves.h"
#include "eval/bleu.h"
#include "eval/chrf.h"
#include "task/translator.h"
#include "text/corpus.h"

enum { LINES_AT_ONCE = 64 };

/* ---------------------------------------------------------------- scores */

typedef struct collecting {
    at_textfile lines;
    at_status status;
} collecting;

static bool collect(void *context, const at_translation *translation)
{
    collecting *c = context;
    c->status = at_textfile_add(&c->lines, translation->text, strlen(translation->text));
    return c->status == AT_OK;
}

static at_status translate(at_training *t, const at_model *model, size_t count, collecting *c)
{
    at_model *packed = (at_model *)(uintptr_t)model; /* only its panels are added, and taken away again */
    at_folder folder = {.model = packed,
                        .tokenizer = t->tokenizer,
                        .preprocess = t->preprocess_section,
                        .decode = t->decode_section,
                        .data = t->data_section};
    at_translator *translator = NULL;
    at_translate_options options = AT_TRANSLATE_DEFAULTS;
    options.beam = (int)t->train.score_beam;
    options.batch = LINES_AT_ONCE;
    at_status st = at_model_pack(packed, t->exec);
    if (st == AT_OK)
        st = at_translator_borrow(&folder, t->exec, &translator);
    if (st == AT_OK) {
        at_translator_keep_tokens(translator, t->preprocess.moses);
        st = at_translate(translator, (const char *const *)t->sources.lines, count, &options, collect, c);
        if (st == AT_ECANCEL)
            st = c->status;
    }
    at_translator_release(translator);
    at_params_unpack(&packed->params);
    return st;
}

static at_bleu_options bleu_options(const at_training *t)
{
    at_bleu_options options = at_bleu_defaults();
    if (t->preprocess.moses)
        options.tokenize = AT_TOKENIZE_NONE;
    else if (!strncmp(t->data.target, "zh", 2))
        options.tokenize = AT_TOKENIZE_ZH;
    options.lowercase = t->preprocess.lowercase;
    return options;
}

at_status at_training_score(void *context, const at_model *model, at_train_scores *scores)
{
    at_training *t = context;
    size_t count = t->sources.count;
    if (t->train.score_lines > 0 && (uint64_t)t->train.score_lines < count)
        count = (size_t)t->train.score_lines;
    if (!count)
        return AT_OK;
    collecting c = {.status = AT_OK};
    at_status st = translate(t, model, count, &c);
    if (st == AT_OK) {
        const char *const *refs[] = {(const char *const *)t->references.lines};
        at_eval_lines lines = {(const char *const *)c.lines.lines, refs, count, 1};
        at_bleu_options options = bleu_options(t);
        at_chrf_options chrf = at_chrf_defaults();
        at_bleu_stats stats = {0};
        at_chrf_stats characters = {0};
        AT_ASSERT(c.lines.count == count);
        st = at_bleu_corpus(&options, &lines, &stats);
        if (st == AT_OK)
            st = at_chrf_corpus(&chrf, &lines, &characters);
        if (st == AT_OK)
            *scores = (at_train_scores){.bleu = at_bleu_compute(&options, &stats).score,
                                        .chrf = at_chrf_compute(&chrf, &characters)};
    }
    at_textfile_free(&c.lines);
    return st;
}

/* ---------------------------------------------------------------- curves */

enum { LOSS, VALID, BLEU, ACCURACY, LR, SERIES };

typedef struct points {
    double *x, *y;
    size_t count, x_capacity, y_capacity;
} points;

static at_status add_point(points *p, double x, const json_t *y)
{
    if (!json_is_number(y))
        return AT_OK;
    at_status st = at_grow(&p->x, &p->x_capacity, p->count + 1, sizeof *p->x);
    if (st == AT_OK)
        st = at_grow(&p->y, &p->y_capacity, p->count + 1, sizeof *p->y);
    if (st == AT_OK) {
        p->x[p->count] = x;
        p->y[p->count++] = json_number_value(y);
    }
    return st;
}

static at_status add_line(points list[SERIES], const char *text, size_t length)
{
    static const char *const keys[SERIES] = {"loss", "valid_loss", "bleu", "accuracy", "lr"};
    json_t *line = json_loadb(text, length, 0, NULL);
    at_status st = AT_OK;
    double step = json_number_value(json_object_get(line, "step"));
    bool of_mean =
        json_object_get(line, "averaged") != NULL; /* no point of the curve: it looks at many steps */
    for (size_t i = 0; st == AT_OK && line && !of_mean && i < SERIES; i++)
        st = add_point(&list[i], step, json_object_get(line, keys[i]));
    json_decref(line);
    return st;
}

static at_status draw_points(const points list[SERIES], const char *title, const char *path)
{
    static const char *const names[SERIES] = {"training loss", "validation loss", "BLEU", "accuracy",
                                              "learning rate"};
    static const at_axis axes[SERIES] = {AT_AXIS_LEFT, AT_AXIS_LEFT, AT_AXIS_RIGHT, AT_AXIS_RIGHT,
                                         AT_AXIS_BELOW};
    at_series series[SERIES];
    size_t count = 0;
    for (size_t i = 0; i < SERIES; i++)
        if (list[i].count)
            series[count++] = (at_series){names[i], list[i].x, list[i].y, list[i].count, axes[i]};
    if (!count)
        return AT_OK;
    at_curves curves = {.title = title, .x_label = "step", .series = series, .count = count};
    at_buf out = {0};
    return at_cli_save(at_curves_svg(&curves, &out), &out, path);
}

at_status at_training_draw(const char *folder, const char *title)
{
    points list[SERIES] = {{0}};
    at_lines *lines = NULL;
    at_text line;
    char *log = at_path_join(folder, "log.jsonl"), *picture = at_path_join(folder, "curves.svg");
    at_status st = log && picture ? at_lines_open(log, &lines) : AT_ENOMEM;
    while (st == AT_OK && (st = at_lines_next(lines, &line)) == AT_OK && line.data)
        st = add_line(list, line.data, line.length);
    if (st == AT_OK)
        st = draw_points(list, title, picture);
    if (lines)
        at_lines_close(lines);
    for (size_t i = 0; i < SERIES; i++) {
        at_free(list[i].x);
        at_free(list[i].y);
    }
    at_free(picture);
    at_free(log);
    return st;
}
