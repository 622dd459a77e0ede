/* Pictures to labels: decoded on all threads, made ready as in training, a softmax over the classes. */
#include <stdio.h>
#include <string.h>
#include "base/memory.h"
#include "base/pool.h"
#include "layer/layer.h"
#include "task/classifier.h"

enum { MESSAGE = 400 };

at_status at_classifier_prepare(const at_folder *folder, at_prepare *prepare)
{
    const at_family *family = folder->model->family;
    if (!family->pixels)
        return at_fail(AT_ENOSUP, "a %s labels lines of text, not pictures", family->name);
    at_pixels size = family->pixels(folder->model);
    return at_picture_section_read(folder->data, &size, prepare);
}

/* A batch being made ready. */
typedef struct seeing {
    at_classifier *classifier;
    const at_picture_set *set;
    const uint32_t *index;
    at_prepare prepare;
    size_t first, each; /* place of the batch's first picture; floats of one */
    float *pixels;      /* (batch, each) */
    at_status *status;  /* (batch) */
    char *messages;     /* (batch, MESSAGE) */
    int32_t *offsets;   /* (batch+1) 0, 1, … */
    at_classification_sink *sink;
    void *context;
} seeing;

static void see(void *context, size_t i, int worker)
{
    (void)worker;
    const seeing *s = context;
    size_t number = s->index ? s->index[s->first + i] : s->first + i;
    at_augment_key key = {.example = number}; /* where a digit lies on its canvas */
    s->status[i] = at_prepare_picture(s->set, number, &s->prepare, NULL, key, NULL, s->pixels + i * s->each);
    if (s->status[i] != AT_OK)
        snprintf(s->messages + i * MESSAGE, MESSAGE, "%s", at_error_message());
}

/* Good pictures move together; how many. */
static at_status gather(const seeing *s, size_t count, size_t *good)
{
    *good = 0;
    for (size_t i = 0; i < count; i++) {
        if (s->status[i] == AT_ENOMEM)
            return at_fail(AT_ENOMEM, "%s", s->messages + i * MESSAGE);
        if (s->status[i] != AT_OK)
            continue;
        if (*good != i)
            memcpy(s->pixels + *good * s->each, s->pixels + i * s->each, s->each * sizeof *s->pixels);
        ++*good;
    }
    return AT_OK;
}

static at_status run(const seeing *s, size_t count, at_var **probabilities)
{
    at_reader *r = s->classifier->reader;
    const at_prepare *p = &s->prepare;
    at_batch batch = {.source = {count, s->offsets, NULL},
                      .pixels = {p->height, p->width, p->channels, s->pixels}};
    *probabilities = NULL;
    at_tape_begin(r->tape, AT_TAPE_RUN, 0, 0);
    if (!count)
        return AT_OK;
    at_var *x = at_model_classify(r->folder->model, r->tape, &batch, NULL);
    *probabilities = x ? at_softmax(r->tape, x) : NULL;
    return at_tape_status(r->tape);
}

static at_status give(const seeing *s, size_t i, const float *probabilities)
{
    const at_classes *classes = &s->classifier->reader->classes;
    at_classification c = {.line = s->first + i, .label = "", .number = -1};
    if (probabilities) {
        at_status st = at_classification_name(&c, classes, probabilities);
        if (st != AT_OK)
            return st;
    } else {
        c.error = s->messages + i * MESSAGE;
    }
    return s->sink(s->context, &c) ? AT_OK : at_fail(AT_ECANCEL, "stopped by the caller");
}

static at_status classify_batch(seeing *s, size_t count)
{
    at_var *probabilities;
    size_t good, classes = s->classifier->reader->classes.count;
    at_pool_run(s->classifier->reader->exec->pool, count, see, s);
    at_status st = gather(s, count, &good);
    if (st == AT_OK)
        st = run(s, good, &probabilities);
    for (size_t i = 0, b = 0; st == AT_OK && i < count; i++) {
        bool read = s->status[i] == AT_OK;
        AT_ASSERT(!read || probabilities);
        st = give(s, i, read && probabilities ? probabilities->data + b * classes : NULL);
        b += read;
    }
    at_tape_reset(s->classifier->reader->tape);
    return st;
}

static at_status make_room(seeing *s, size_t batch)
{
    s->pixels = at_alloc_array(batch * s->each + 1, sizeof *s->pixels);
    s->status = at_alloc_zero(batch, sizeof *s->status);
    s->messages = at_alloc_zero(batch * MESSAGE, 1);
    s->offsets = at_alloc_array(batch + 1, sizeof *s->offsets);
    for (size_t b = 0; s->offsets && b <= batch; b++)
        s->offsets[b] = (int32_t)b;
    return s->pixels && s->status && s->messages && s->offsets ? AT_OK : AT_ENOMEM;
}

at_status at_classify_set(at_classifier *classifier, const at_picture_set *set, const uint32_t *index,
                          size_t count, const at_classify_options *options, at_classification_sink *sink,
                          void *context)
{
    at_classify_options o = AT_CLASSIFY_DEFAULTS;
    if (options)
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    if (o.batch < 1 || o.batch > 4096)
        return at_fail(AT_EARG, "batch: %d is not within 1 to 4096", o.batch);
    if (!at_classifier_sees(classifier))
        return at_fail(AT_ENOSUP, "this model labels lines of text, not pictures");
    seeing s = {.classifier = classifier,
                .set = set,
                .index = index,
                .prepare = classifier->prepare,
                .each = classifier->prepare.height * classifier->prepare.width * classifier->prepare.channels,
                .sink = sink,
                .context = context};
    if (o.max_pixels)
        s.prepare.max_pixels = o.max_pixels;
    size_t batch = (size_t)o.batch < count ? (size_t)o.batch : count;
    at_status st = make_room(&s, batch + 1);
    pthread_mutex_lock(&classifier->reader->lock);
    for (; st == AT_OK && s.first < count; s.first += batch)
        st = classify_batch(&s, count - s.first < batch ? count - s.first : batch);
    pthread_mutex_unlock(&classifier->reader->lock);
    at_free(s.pixels);
    at_free(s.status);
    at_free(s.messages);
    at_free(s.offsets);
    return st;
}

bool at_classifier_sees(const at_classifier *classifier)
{
    return classifier->reader->folder->model->family->pixels != NULL;
}

at_status at_classify_pictures(at_classifier *classifier, const char *const *paths, size_t count,
                               const at_classify_options *options, at_classification_sink *sink,
                               void *context)
{
    at_picture_set set = {.count = count, .path = (char **)(uintptr_t)paths};
    return at_classify_set(classifier, &set, NULL, count, options, sink, context);
}
