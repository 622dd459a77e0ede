/* Lines to labels: read, encoded, pooled, a softmax over the classes. */
#include <math.h>
#include <string.h>
#include "base/memory.h"
#include "layer/layer.h"
#include "task/classifier.h"
#include "task/reason.h"
#include "text/words.h"

at_status at_classifier_open(const char *folder, const at_open_options *options, at_classifier **classifier)
{
    *classifier = NULL;
    at_classifier *c = at_alloc_zero(1, sizeof *c);
    at_status st = c ? at_reader_open(folder, options, &c->reader) : AT_ENOMEM;
    if (st == AT_OK && (!c->reader->classes.count || !c->reader->folder->model->family->classify))
        st = at_fail(AT_ENOSUP, "%s: this model has learned no labels (no id2label in its config.json)",
                     folder);
    if (st == AT_OK && c->reader->folder->model->family->pixels)
        st = at_classifier_prepare(c->reader->folder, &c->prepare);
    if (st == AT_OK)
        *classifier = c;
    else
        at_classifier_close(c);
    return st;
}

void at_classifier_close(at_classifier *classifier)
{
    if (!classifier)
        return;
    at_reader_close(classifier->reader);
    at_free(classifier);
}

const char *const *at_classifier_labels(const at_classifier *classifier, size_t *count)
{
    *count = classifier->reader->classes.count;
    return (const char *const *)classifier->reader->classes.names;
}

/* What a call works with: memory of one batch and of one line. */
typedef struct working {
    at_classifier *classifier;
    const at_classify_options *options;
    at_read read;
    float *probabilities; /* (B,labels) */
    size_t capacity;      /* of probabilities */
    at_measure measure;   /* of how much words counted */
    at_classification_sink *sink;
    void *context;
} working;

static at_status run(working *w)
{
    at_reader *r = w->classifier->reader;
    at_batch batch = at_read_batch(&w->read);
    at_tape_begin(r->tape, AT_TAPE_RUN, 0, 0);
    if (!batch.source.count)
        return AT_OK;
    at_var *x = at_model_classify(r->folder->model, r->tape, &batch, NULL);
    x = x ? at_softmax(r->tape, x) : NULL;
    at_status st = at_tape_status(r->tape);
    size_t size = batch.source.count * r->classes.count;
    if (st == AT_OK)
        st = at_grow(&w->probabilities, &w->capacity, size, sizeof *w->probabilities);
    if (st == AT_OK && x)
        memcpy(w->probabilities, x->data, size * sizeof *w->probabilities);
    at_tape_reset(r->tape);
    return st;
}

at_status at_classification_name(at_classification *c, const at_classes *classes, const float *probabilities)
{
    c->probabilities = probabilities;
    c->number = 0;
    for (size_t i = 1; i < classes->count; i++)
        if (probabilities[i] > probabilities[c->number])
            c->number = (int)i;
    c->label = classes->names[c->number];
    c->probability = (double)probabilities[c->number];
    return isfinite(c->probability)
               ? AT_OK
               : at_fail(AT_ENUMBER,
                         "the model's probabilities are no finite numbers: it is damaged, or its training "
                         "failed; `attend info --check FOLDER` looks for the tensor");
}

/* How much each word of a line counted; <s> and </s> stand at its ends. */
static at_status weigh_words(const working *w, size_t b, size_t label, at_words *words, float **weights)
{
    const at_reader *r = w->classifier->reader;
    size_t first = (size_t)w->read.offsets[b], end = (size_t)w->read.offsets[b + 1];
    at_reason_line line = {r->folder->model, r->tape, w->read.ids.id + first, end - first, words};
    at_status st = at_words_find(r->folder->tokenizer, line.ids, line.count, words);
    if (st != AT_OK)
        return st;
    *weights = at_alloc_zero(words->count, sizeof **weights);
    return *weights ? at_reason_measure(&line, w->measure, label, *weights) : AT_ENOMEM;
}

static at_status give(working *w, size_t line, size_t b, bool empty)
{
    const at_classes *classes = &w->classifier->reader->classes;
    at_classification c = {.line = line, .label = "", .number = -1};
    at_words words = {0};
    float *weights = NULL;
    at_status st = AT_OK;
    if (!empty) {
        AT_ASSERT(w->probabilities); /* this line was read, so there was a batch */
        st = at_classification_name(&c, classes, w->probabilities + b * classes->count);
        c.cut = w->read.cut[b];
    }
    if (st == AT_OK && !empty && w->options->words) {
        st = weigh_words(w, b, (size_t)c.number, &words, &weights);
        c.measure = w->measure;
    }
    c.words = words.text;
    c.weights = weights;
    c.word_count = words.count;
    if (st == AT_OK && !w->sink(w->context, &c))
        st = at_fail(AT_ECANCEL, "stopped by the caller");
    at_words_free(&words);
    at_free(weights);
    return st;
}

static at_status classify_some(working *w, const char *const *lines, size_t first, size_t count)
{
    at_status st = at_read_lines(w->classifier->reader, lines + first, count, &w->read);
    if (st == AT_OK)
        st = run(w);
    for (size_t i = 0, b = 0; st == AT_OK && i < count; i++) {
        bool there = b < w->read.count && w->read.line[b] == i;
        st = give(w, first + i, b, !there);
        b += there;
    }
    return st;
}

at_status at_classify(at_classifier *classifier, const char *const *lines, size_t count,
                      const at_classify_options *options, at_classification_sink *sink, void *context)
{
    at_classify_options o = AT_CLASSIFY_DEFAULTS;
    if (options)
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    if (o.batch < 1 || o.batch > 4096)
        return at_fail(AT_EARG, "batch: %d is not within 1 to 4096", o.batch);
    if (o.measure < AT_MEASURE_OWN || o.measure >= AT_MEASURES)
        return at_fail(AT_EARG, "measure: unknown %d", (int)o.measure);
    if (at_classifier_sees(classifier))
        return at_fail(AT_ENOSUP, "this model labels pictures, not lines of text");
    const at_model *model = classifier->reader->folder->model;
    working w = {.classifier = classifier,
                 .options = &o,
                 .measure = o.measure == AT_MEASURE_OWN ? at_reason_own(model) : o.measure,
                 .sink = sink,
                 .context = context};
    at_status st = AT_OK;
    pthread_mutex_lock(&classifier->reader->lock);
    for (size_t i = 0, step; st == AT_OK && i < count; i += step) {
        step = count - i < (size_t)o.batch ? count - i : (size_t)o.batch;
        st = classify_some(&w, lines, i, step);
    }
    pthread_mutex_unlock(&classifier->reader->lock);
    at_read_free(&w.read);
    at_free(w.probabilities);
    return st;
}
