#include "cli/eval_encoder.h"
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/output.h"
#include "cli/textfile.h"
#include "cli/vectors.h"
#include "data/dataset.h"
#include "draw/curves.h"
#include "draw/matrix.h"
#include "eval/bleu.h"
#include "eval/labels.h"
#include "model/model.h"
#include "task/classifier.h"

enum { CONFIG_BYTES = 16 << 20, NEAR = 5 };

static json_t *load_config(const char *model)
{
    char *path = at_path_join(model, "config.json");
    json_t *config = NULL;
    if (path && at_json_load(path, CONFIG_BYTES, &config) != AT_OK)
        config = NULL;
    at_free(path);
    return config;
}

bool at_eval_reads(const char *model)
{
    json_t *config = load_config(model);
    const json_t *section = json_object_get(json_object_get(config, "attend"), "model");
    const char *name = json_string_value(json_object_get(section, "family"));
    const at_family *family = name ? at_family_find(name) : NULL;
    json_decref(config);
    return family && family->kind == AT_ENCODER_ONLY;
}

static at_status put(json_t *scores, at_buf *out, const char *name, double score, size_t count)
{
    at_buf_printf(out, "%s|lines:%zu|version:%s = %.4f\n", name, count, AT_EVAL_VERSION, score);
    json_t *o = json_pack("{s:s, s:f, s:I, s:s}", "name", name, "score", score, "lines", (json_int_t)count,
                          "version", AT_EVAL_VERSION);
    return o && json_array_append_new(scores, o) == 0 ? at_buf_status(out) : AT_ENOMEM;
}

/* ---------------------------------------------------------------- labels */

typedef struct labelling {
    const char *const *names;
    at_classes classes; /* borrows the names */
    at_textfile texts;
    int32_t *gold;
    size_t capacity;
    at_labels labels;
    uint64_t among; /* the truth was among the five most probable */
    size_t broken;
    at_status status;
} labelling;

static at_status add_text(void *context, const char *place, at_text text, at_text label)
{
    labelling *l = context;
    char known[200];
    while (label.length && strchr(" \t\r", label.data[label.length - 1]))
        label.length--;
    while (label.length && label.data[0] == ' ')
        label.data++, label.length--;
    int32_t number = at_classes_find(&l->classes, label.data, label.length);
    if (number < 0) {
        at_classes_list(&l->classes, known, sizeof known);
        return at_fail(AT_EFORMAT, "%s: unknown label '%.*s'; the model knows %s", place,
                       (int)(label.length < 60 ? label.length : 60), label.data, known);
    }
    at_status st = at_grow(&l->gold, &l->capacity, l->texts.count + 1, sizeof *l->gold);
    if (st == AT_OK)
        l->gold[l->texts.count] = number;
    return st == AT_OK ? at_textfile_add(&l->texts, text.data, text.length) : st;
}

static bool count_one(void *context, const at_classification *c)
{
    labelling *l = context;
    if (c->number >= 0) /* a text with nothing in it is left out, as in training */
        l->status = at_labels_add(&l->labels, (size_t)l->gold[c->line], (size_t)c->number, c->probability);
    return l->status == AT_OK;
}

static at_status read_labelled(const at_eval_request *r, labelling *l)
{
    at_data_options data = {.task = AT_TASK_CLASSIFY};
    char *path = NULL, *none = NULL;
    at_status st = at_dataset_find(r->data, r->split, &data, &path, &none);
    if (st == AT_OK)
        st = at_dataset_visit(path, NULL, AT_TASK_CLASSIFY, add_text, l);
    if (st == AT_OK && !l->texts.count)
        st = at_fail(AT_EFORMAT, "%s: no lines to classify", path);
    at_free(path);
    return st;
}

static bool is_among(const float *p, size_t count, size_t gold)
{
    size_t before = 0;
    for (size_t i = 0; i < count; i++)
        before += p[i] > p[gold];
    return before < NEAR;
}

static bool count_picture(void *context, const at_classification *c)
{
    labelling *l = context;
    l->broken += c->number < 0;
    if (c->number < 0)
        return true;
    l->among += is_among(c->probabilities, l->labels.classes, (size_t)l->gold[c->line]);
    return count_one(context, c);
}

/* Pictures of a split: a folder a class, a list, or IDX. */
static at_status eval_pictures(at_eval_request *r, at_classifier *classifier, const at_classify_options *how,
                               labelling *l)
{
    at_picture_split split;
    at_status st = at_picture_split_find(r->data, r->split, &l->classes, &split);
    if (st != AT_OK)
        return st;
    l->gold = at_alloc_array(split.count + 1, sizeof *l->gold);
    for (size_t i = 0; l->gold && i < split.count; i++)
        l->gold[i] = split.set->label[split.index[i]];
    double start = at_clock();
    st = l->gold ? at_classify_set(classifier, split.set, split.index, split.count, how, count_picture, l)
                 : AT_ENOMEM;
    r->seconds = at_clock() - start;
    r->count = split.count;
    at_picture_split_free(&split);
    if (st == AT_OK && !l->labels.count)
        st = at_fail(AT_EFORMAT, "%s: none of the pictures of %s could be read", r->data, r->split);
    return st;
}

static at_status eval_texts(at_eval_request *r, at_classifier *classifier, const at_classify_options *how,
                            labelling *l)
{
    at_status st = read_labelled(r, l);
    double start = at_clock();
    if (st == AT_OK)
        st = at_classify(classifier, (const char *const *)l->texts.lines, l->texts.count, how, count_one, l);
    r->seconds = at_clock() - start;
    r->count = l->texts.count;
    return st;
}

/* Shares of each true label's examples that were taken for each label, as a picture. */
static at_status draw_confusion(const at_labels *labels, const char *const *names, const char *path)
{
    size_t n = labels->classes;
    float *shares = at_alloc_zero(n * n + 1, sizeof *shares);
    at_buf svg = {0};
    at_status st = shares ? AT_OK : AT_ENOMEM;
    for (size_t i = 0; shares && i < n; i++) {
        uint64_t support = at_labels_of(labels, i).support;
        for (size_t j = 0; support && j < n; j++)
            shares[i * n + j] = (float)labels->confusion[i * n + j] / (float)support;
    }
    at_matrix matrix = {.targets = names,
                        .target_count = n,
                        .sources = names,
                        .source_count = n,
                        .weights = shares,
                        .title = "True label down, given label across",
                        .caption =
                            "Each row: which part of the examples of a label was taken for each label."};
    if (st == AT_OK)
        st = at_cli_save(at_matrix_svg(&matrix, &svg), &svg, path);
    at_free(shares);
    return st;
}

/* Accuracy over confidence, bin by bin: Guo et al. 2017. */
static at_status draw_reliability(const at_labels *labels, const char *path)
{
    double x[AT_LABELS_BINS], right[AT_LABELS_BINS];
    size_t count = 0;
    for (size_t i = 0; i < AT_LABELS_BINS; i++) {
        if (!labels->bins[i].count)
            continue;
        x[count] = labels->bins[i].confidence / (double)labels->bins[i].count;
        right[count++] = (double)labels->bins[i].right / (double)labels->bins[i].count;
    }
    at_series series[] = {{"accuracy", x, right, count, AT_AXIS_LEFT},
                          {"as said: calibrated", x, x, count, AT_AXIS_LEFT}};
    char caption[160];
    snprintf(caption, sizeof caption, "Expected calibration error %.4f over %d bins (Guo et al. 2017)",
             at_labels_calibration_error(labels), AT_LABELS_BINS);
    at_curves curves = {
        .title = "Reliability", .x_label = "confidence", .caption = caption, .series = series, .count = 2};
    at_buf svg = {0};
    return at_cli_save(at_curves_svg(&curves, &svg), &svg, path);
}

static json_t *class_json(const labelling *l, size_t i)
{
    at_labels_class c = at_labels_of(&l->labels, i);
    json_t *row = json_array();
    for (size_t j = 0; j < l->labels.classes; j++)
        json_array_append_new(row, json_integer((json_int_t)l->labels.confusion[i * l->labels.classes + j]));
    return json_pack("{s:s, s:f, s:f, s:f, s:I, s:o}", "label", l->names[i], "precision", c.precision,
                     "recall", c.recall, "f1", c.f1, "support", (json_int_t)c.support, "taken_for", row);
}

/* A row a label: its figures, then how often it was taken for each label in the order of the rows. */
static at_status put_classes(const labelling *l, json_t *scores, at_buf *out)
{
    json_t *list = json_array();
    at_buf_text(out, "label\tprecision\trecall\tF1\tsupport\ttaken for each label, in this order\n");
    for (size_t i = 0; i < l->labels.classes; i++) {
        at_labels_class c = at_labels_of(&l->labels, i);
        at_buf_printf(out, "%s\t%.4f\t%.4f\t%.4f\t%llu\t", l->names[i], c.precision, c.recall, c.f1,
                      (unsigned long long)c.support);
        for (size_t j = 0; j < l->labels.classes; j++)
            at_buf_printf(out, "%s%llu", j ? " " : "",
                          (unsigned long long)l->labels.confusion[i * l->labels.classes + j]);
        at_buf_char(out, '\n');
        json_array_append_new(list, class_json(l, i));
    }
    json_t *o = json_pack("{s:s, s:o}", "name", "labels", "labels", list);
    return o && json_array_append_new(scores, o) == 0 ? at_buf_status(out) : AT_ENOMEM;
}

static at_status put_labels(const labelling *l, const at_metrics *m, bool pictures, json_t *scores,
                            at_buf *out)
{
    size_t count = (size_t)l->labels.count;
    at_status st = AT_OK;
    if (!m || m->accuracy)
        st = put(scores, out, "accuracy", at_labels_accuracy(&l->labels), count);
    if (st == AT_OK && !m && pictures && l->labels.classes > NEAR)
        st = put(scores, out, "top-5", (double)l->among / (double)count, count);
    if (st == AT_OK && !m && l->broken)
        st = put(scores, out, "left-out", (double)l->broken, count + l->broken);
    if (st == AT_OK && (!m || m->macro_f1))
        st = put(scores, out, "macro-F1", at_labels_macro_f1(&l->labels), count);
    if (st == AT_OK && (!m || m->calibration))
        st = put(scores, out, "calibration-error", at_labels_calibration_error(&l->labels), count);
    return st == AT_OK && (!m || m->labels) ? put_classes(l, scores, out) : st;
}

static at_status eval_labels(at_eval_request *r, json_t *scores, at_buf *out)
{
    at_classifier *classifier;
    labelling l = {.status = AT_OK};
    at_classify_options how = AT_CLASSIFY_DEFAULTS;
    how.batch = r->batch;
    at_status st = at_classifier_open(r->model, &r->open, &classifier);
    if (st != AT_OK)
        return st;
    bool pictures = at_classifier_sees(classifier);
    l.names = at_classifier_labels(classifier, &l.classes.count);
    l.classes.names = (char **)(uintptr_t)l.names;
    st = at_labels_new(l.classes.count, &l.labels);
    if (st == AT_OK)
        st = (pictures ? eval_pictures : eval_texts)(r, classifier, &how, &l);
    if (st == AT_ECANCEL)
        st = l.status;
    if (st == AT_OK)
        st = put_labels(&l, r->metrics, pictures, scores, out);
    if (st == AT_OK && r->confusion)
        st = draw_confusion(&l.labels, l.names, r->confusion);
    if (st == AT_OK && r->reliability)
        st = draw_reliability(&l.labels, r->reliability);
    at_labels_free(&l.labels);
    at_textfile_free(&l.texts);
    at_free(l.gold);
    at_classifier_close(classifier);
    return st;
}

/* ---------------------------------------------------------------- partners */

/* Part of the vectors of a whose partner in b is the nearest, or among the nearest five. */
static void find_partners(const at_vectors *a, const at_vectors *b, double *first, double *among)
{
    size_t hits = 0, near_hits = 0, near[NEAR];
    for (size_t i = 0; i < a->count; i++) {
        size_t count = at_vectors_nearest(a, i, b, SIZE_MAX, NEAR, near);
        for (size_t k = 0; k < count; k++) {
            hits += near[k] == i && k == 0;
            near_hits += near[k] == i;
        }
    }
    *first = (double)hits / (double)a->count;
    *among = (double)near_hits / (double)a->count;
}

static at_status put_partners(const at_vectors *a, const at_vectors *b, json_t *scores, at_buf *out)
{
    double first[2], among[2];
    find_partners(a, b, &first[0], &among[0]);
    find_partners(b, a, &first[1], &among[1]);
    at_status st = put(scores, out, "retrieval@1, source to target", first[0], a->count);
    if (st == AT_OK)
        st = put(scores, out, "retrieval@5, source to target", among[0], a->count);
    if (st == AT_OK)
        st = put(scores, out, "retrieval@1, target to source", first[1], a->count);
    return st == AT_OK ? put(scores, out, "retrieval@5, target to source", among[1], a->count) : st;
}

static at_status read_pairs(const at_eval_request *r, at_textfile *sources, at_textfile *targets)
{
    json_t *config = load_config(r->model);
    const json_t *section = json_object_get(json_object_get(config, "attend"), "data");
    const char *source = r->source ? r->source : json_string_value(json_object_get(section, "source"));
    const char *target = r->target ? r->target : json_string_value(json_object_get(section, "target"));
    at_data_options data = {.task = AT_TASK_CONTRAST,
                            .source = (char *)(uintptr_t)(source ? source : "source"),
                            .target = (char *)(uintptr_t)(target ? target : "target")};
    char *source_path = NULL, *target_path = NULL;
    at_status st = at_dataset_find(r->data, r->split, &data, &source_path, &target_path);
    if (st == AT_OK)
        st = at_textfile_read_pairs(sources, targets, source_path, target_path);
    if (st == AT_OK && !sources->count)
        st = at_fail(AT_EFORMAT, "%s: no pairs", source_path);
    at_free(source_path);
    at_free(target_path);
    json_decref(config);
    return st;
}

static at_status eval_partners(at_eval_request *r, json_t *scores, at_buf *out)
{
    at_embedder *embedder = NULL;
    at_textfile sources = {0}, targets = {0};
    at_vectors a = {0}, b = {0};
    at_embed_options how = AT_EMBED_DEFAULTS;
    how.batch = r->batch;
    at_status st = at_embedder_open(r->model, &r->open, &embedder);
    if (st == AT_OK)
        st = read_pairs(r, &sources, &targets);
    double start = at_clock();
    if (st == AT_OK)
        st = at_vectors_read(&a, embedder, (const char *const *)sources.lines, sources.count, &how);
    if (st == AT_OK)
        st = at_vectors_read(&b, embedder, (const char *const *)targets.lines, targets.count, &how);
    r->seconds = at_clock() - start;
    r->count = sources.count;
    if (st == AT_OK)
        st = put_partners(&a, &b, scores, out);
    at_vectors_free(&a);
    at_vectors_free(&b);
    at_textfile_free(&sources);
    at_textfile_free(&targets);
    at_embedder_close(embedder);
    return st;
}

/* What was asked for is of a model of this kind, all of it. */
static at_status expect_metrics(const at_metrics *m, bool labels)
{
    if (!m)
        return AT_OK;
    bool others = at_metrics_of_text(m) || m->loss || m->perplexity || m->aer;
    if (labels && (others || m->retrieval))
        return at_fail(AT_EARG, "a classifier has --metric accuracy, macro-f1, calibration, labels");
    if (!labels && (others || at_metrics_of_labels(m)))
        return at_fail(AT_EARG, "an encoder without labels has --metric retrieval");
    return AT_OK;
}

at_status at_eval_encoder(at_eval_request *request, json_t *scores, at_buf *out)
{
    json_t *config = load_config(request->model);
    bool labels = json_object_get(config, "id2label") != NULL;
    json_decref(config);
    at_status st = expect_metrics(request->metrics, labels);
    if (st != AT_OK)
        return st;
    return labels ? eval_labels(request, scores, out) : eval_partners(request, scores, out);
}
