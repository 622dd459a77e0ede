#include <string.h>
#include "attend.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/classify_pictures.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/show_glimpses.h"
#include "cli/show_photo.h"
#include "task/glimpses.h"
#include "task/photo.h"

typedef struct options {
    char *model;
    int64_t top, batch, measure, max_pixels;
    bool words, csv, strict, show;
} options;

/* In the order of at_measure. */
#define AT_CLI_MEASURES "own|pooling|class|rollout|left_out"
static const char *const measures[] = {"own", "pooling", "class", "rollout", "left_out"};

static const at_field fields[] = {
    {"model", AT_FIELD_TEXT, offsetof(options, model), NULL, 0, 0, NULL, "model folder"},
    {"top", AT_FIELD_INT, offsetof(options, top), "1", 1, 1 << 20, NULL,
     "so many labels of each line, the most probable first"},
    {"words", AT_FIELD_BOOL, offsetof(options, words), "false", 0, 0, NULL,
     "also how much each word counted for the label"},
    {"measure", AT_FIELD_CHOICE, offsetof(options, measure), "own", 0, 0, AT_CLI_MEASURES,
     "of --words: weights of pooling by attention, the class token's attention in the last layer or through "
     "all, or the label's log probability less that without the word; own: the first that the model has"},
    {"batch", AT_FIELD_INT, offsetof(options, batch), "32", 1, 4096, NULL,
     "lines or pictures read at a time"},
    {"csv", AT_FIELD_BOOL, offsetof(options, csv), "false", 0, 0, NULL,
     "of pictures: a table with a head, commas between"},
    {"strict", AT_FIELD_BOOL, offsetof(options, strict), "false", 0, 0, NULL,
     "a picture that cannot be read ends it; otherwise it is named and counted"},
    {"max_pixels", AT_FIELD_INT, offsetof(options, max_pixels), "100000000", 1, 1e12, NULL,
     "a picture that says it has more is refused"},
    {"show", AT_FIELD_BOOL, offsetof(options, show), "false", 0, 0, NULL,
     "of each PICTURE named: where the model looked too, in the terminal (attend show writes files)"},
    {0}};

static const at_cli_spec spec = {
    .name = "classify",
    .usage = "--model FOLDER [options] [LINE … | PICTURE … | FOLDER …]",
    .summary =
        "Labels its arguments, or the lines of standard input: one line out for each line in, label, tab,\n"
        "probability, and so on for --top K. An empty line stays empty. With a model of pictures: JPEG and "
        "PNG\n"
        "files, folders of them, or - for a list of paths on standard input; path, tab, label, tab, "
        "probability.",
    .fields = fields,
    .examples = "  attend classify --model news \"NBA总决赛第七场今日打响\"\n"
                "  attend classify --model news --top 3 < titles.txt\n"
                "  attend classify --model news --words --measure left_out \"NBA总决赛第七场今日打响\"\n"
                "  attend classify --model news --words --json < titles.txt > labels.jsonl\n"
                "  attend classify --model cats-dogs --top 2 photo.jpg holiday/\n"
                "  attend classify --model cats-dogs --show photo.jpg\n"
                "  attend classify --model digits t10k-images-idx3-ubyte.gz:17\n"
                "  find . -name '*.jpg' | attend classify --model cats-dogs --csv - > labels.csv\n"};

typedef struct printer {
    const options *o;
    bool json;
    size_t first, cut; /* number of the first line of this call; lines that were too long */
    const char *const *labels;
    size_t label_count;
    size_t *order; /* (label_count) numbers of labels, the most probable first */
    at_buf out;
} printer;

static json_t *words_json(const at_classification *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->word_count; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:f}", "word", c->words[i], "weight", (double)c->weights[i]));
    return list;
}

static void print_json(printer *p, const at_classification *c, size_t count)
{
    json_t *o = json_pack("{s:I}", "line", (json_int_t)c->line + (json_int_t)p->first), *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:f}", "label", p->labels[p->order[i]], "probability",
                                              (double)c->probabilities[p->order[i]]));
    json_object_set_new(o, "labels", list);
    if (c->word_count) {
        json_object_set_new(o, "measure", json_string(measures[c->measure]));
        json_object_set_new(o, "words", words_json(c));
    }
    at_cli_put_json(&p->out, o, JSON_COMPACT | JSON_REAL_PRECISION(7));
}

static bool print(void *context, const at_classification *c)
{
    printer *p = context;
    size_t count =
        c->probabilities ? at_cli_rank(c->probabilities, p->label_count, (size_t)p->o->top, p->order) : 0;
    p->cut += c->cut;
    if (p->json) {
        print_json(p, c, count);
        return at_buf_status(&p->out) == AT_OK;
    }
    for (size_t i = 0; i < count; i++)
        at_buf_printf(&p->out, "%s%s\t%.4f", i ? "\t" : "", p->labels[p->order[i]],
                      (double)c->probabilities[p->order[i]]);
    for (size_t i = 0; i < c->word_count; i++)
        at_buf_printf(&p->out, c->measure == AT_MEASURE_LEFT_OUT ? "%s%s:%+.3f" : "%s%s:%.3f", i ? " " : "\t",
                      c->words[i], (double)c->weights[i]);
    at_buf_char(&p->out, '\n');
    return at_buf_status(&p->out) == AT_OK;
}

static at_status classify_all(at_classifier *classifier, at_cli_lines *in, printer *p)
{
    at_classify_options how = AT_CLASSIFY_DEFAULTS;
    how.batch = (int)p->o->batch;
    how.words = p->o->words;
    how.measure = (at_measure)p->o->measure;
    at_status st;
    while ((st = at_cli_lines_next(in, 16 * (size_t)p->o->batch)) == AT_OK && in->count > 0) {
        st = at_classify(classifier, (const char *const *)in->list, in->count, &how, print, p);
        if (st == AT_ECANCEL) /* print stops only when memory is out */
            st = at_buf_status(&p->out);
        if (st == AT_OK)
            st = at_cli_print(&p->out);
        at_buf_clear(&p->out);
        if (st != AT_OK)
            break;
        p->first += in->count;
    }
    return st;
}

static at_status run_pictures(const options *o, const at_cli_common *common, const at_cli_words *words,
                              at_classifier *classifier)
{
    at_classify_request request = {.model = o->model,
                                   .spec = &spec,
                                   .words = words,
                                   .top = (size_t)o->top,
                                   .batch = (int)o->batch,
                                   .max_pixels = (size_t)o->max_pixels,
                                   .json = common->json,
                                   .csv = o->csv,
                                   .strict = o->strict,
                                   .quiet = common->quiet};
    at_status st = at_cli_classify_pictures(classifier, &request);
    at_classifier_close(classifier);
    return st;
}

static at_status run(const options *o, const at_cli_common *common, const at_cli_words *words)
{
    at_open_options open = {
        .struct_size = sizeof open, .threads = (int)common->threads, .kernels = common->kernels};
    at_classifier *classifier = NULL;
    printer p = {.o = o, .json = common->json};
    at_status st = at_classifier_open(o->model, &open, &classifier);
    if (st == AT_OK && at_classifier_sees(classifier))
        return run_pictures(o, common, words, classifier);
    if (st == AT_OK) {
        p.labels = at_classifier_labels(classifier, &p.label_count);
        p.order = at_alloc_array(p.label_count + 1, sizeof *p.order);
        st = p.order ? AT_OK : AT_ENOMEM;
    }
    at_cli_lines in;
    at_cli_lines_open(&in, words->list, words->count);
    if (st == AT_OK)
        st = classify_all(classifier, &in, &p);
    at_cli_lines_close(&in);
    if (st == AT_OK && p.cut && !common->quiet)
        at_cli_note(&spec, "%zu lines are longer than the model reaches: only their beginning was read",
                    p.cut);
    at_free(p.order);
    at_buf_free(&p.out);
    at_classifier_close(classifier);
    return st;
}

/* Each picture as attend show shows it: its labels, and the patches or the places looked at. */
static at_status show_each(const options *o, const at_cli_common *common, const at_cli_words *words)
{
    bool gazes = at_gazer_can(o->model);
    at_status st = AT_OK;
    for (int i = 0; st == AT_OK && i < words->count; i++) {
        at_cli_gaze gaze = {.model = o->model, .picture = words->list[i]};
        at_cli_photo photo = {.model = o->model,
                              .path = words->list[i],
                              .layer = AT_OWN,
                              .head = AT_OWN,
                              .max_pixels = o->max_pixels};
        st = gazes ? at_cli_show_glimpses(&gaze, common) : at_cli_show_photo(&photo, common);
    }
    return st;
}

static int check_show(const options *o, const at_cli_words *words)
{
    if (!o->show || !at_file_exists(o->model))
        return AT_CLI_GO;
    if (!at_gazer_can(o->model) && !at_photo_model(o->model))
        return at_cli_wrong(&spec, "--show is of pictures; %s reads texts: give --words, or use attend show",
                            o->model);
    if (o->csv || o->words)
        return at_cli_wrong(&spec, "--show draws in the terminal: leave --csv and --words out");
    return words->count ? AT_CLI_GO : at_cli_wrong(&spec, "--show wants the names of pictures");
}

int at_cli_classify(int argc, char **argv)
{
    options o;
    at_cli_common common;
    at_cli_words words;
    int code = at_cli_parse(&spec, argc, argv, &o, &common, &words);
    if (code != AT_CLI_GO)
        return code;
    code = o.model ? check_show(&o, &words) : at_cli_wrong(&spec, "--model FOLDER is missing");
    if (code == AT_CLI_GO) {
        at_status st = o.show ? show_each(&o, &common, &words) : run(&o, &common, &words);
        code = st == AT_OK ? AT_CLI_DONE : at_cli_failed(&spec, st);
    }
    at_cli_free(&spec, &o, &common);
    return code;
}
