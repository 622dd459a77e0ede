/* Lines, or their words, to vectors. */
#include <math.h>
#include <string.h>
#include "base/memory.h"
#include "layer/pool.h"
#include "task/reader.h"
#include "text/words.h"

struct at_embedder {
    at_reader *reader;
};

at_status at_embedder_open(const char *folder, const at_open_options *options, at_embedder **embedder)
{
    *embedder = NULL;
    at_embedder *e = at_alloc_zero(1, sizeof *e);
    at_status st = e ? at_reader_open(folder, options, &e->reader) : AT_ENOMEM;
    if (st == AT_OK)
        *embedder = e;
    else
        at_embedder_close(e);
    return st;
}

void at_embedder_close(at_embedder *embedder)
{
    if (!embedder)
        return;
    at_reader_close(embedder->reader);
    at_free(embedder);
}

typedef struct working {
    at_embedder *embedder;
    const at_embed_options *options;
    at_read read;
    at_var *rows; /* a line's or a piece's each */
    float *vector;
    size_t capacity;
    at_vector_sink *sink;
    void *context;
} working;

static at_status run(working *w)
{
    at_reader *r = w->embedder->reader;
    const at_model *model = r->folder->model;
    const at_family *f = model->family;
    const at_embed_options *o = w->options;
    at_batch batch = at_read_batch(&w->read);
    at_tape_begin(r->tape, AT_TAPE_RUN, 0, 0);
    if (!batch.source.count)
        return AT_OK;
    if (o->layer >= 0 && !f->layer)
        return at_fail(AT_ENOSUP, "layer: a %s gives its last layer only", f->name);
    at_var *x = o->layer >= 0 ? f->layer(model, r->tape, &batch, (size_t)o->layer)
                              : f->encode(model, r->tape, &batch);
    if (x && !o->words)
        x = f->pool && o->layer < 0 ? f->pool(model, r->tape, x, &batch.source, NULL)
                                    : at_pool_rows(r->tape, x, &batch.source, AT_POOL_MEAN);
    w->rows = x;
    return at_tape_status(r->tape);
}

/* The mean of rows first … end-1, of length 1 if asked. */
static at_status give(working *w, at_vector v, size_t first, size_t end)
{
    size_t d = (size_t)w->rows->shape.dim[1];
    at_status st = at_grow(&w->vector, &w->capacity, d, sizeof *w->vector);
    if (st != AT_OK)
        return st;
    double length = 0;
    for (size_t j = 0; j < d; j++) {
        double sum = 0;
        for (size_t i = first; i < end; i++)
            sum += (double)w->rows->data[i * d + j];
        w->vector[j] = (float)(sum / (double)(end - first));
        length += (double)w->vector[j] * (double)w->vector[j];
    }
    if (!isfinite(length))
        return at_fail(AT_ENUMBER,
                       "the model's vectors are no finite numbers: it is damaged, or its training "
                       "failed; `attend info --check FOLDER` looks for the tensor");
    for (size_t j = 0; j < d && !w->options->raw && length > 0; j++)
        w->vector[j] = (float)((double)w->vector[j] / sqrt(length));
    v.values = w->vector;
    v.width = d;
    return w->sink(w->context, &v) ? AT_OK : at_fail(AT_ECANCEL, "stopped by the caller");
}

/* <s> and </s> are no words of the line. */
static at_status give_words(working *w, size_t line, size_t b)
{
    const at_tokenizer *tokenizer = w->embedder->reader->folder->tokenizer;
    size_t first = (size_t)w->read.offsets[b], count = (size_t)w->read.offsets[b + 1] - first;
    const int32_t *ids = w->read.ids.id + first;
    at_words words = {0};
    at_status st = at_words_find(tokenizer, ids, count, &words);
    size_t number = 0;
    for (size_t i = 0, end; st == AT_OK && i < count; i = end) {
        for (end = i + 1; end < count && words.word[end] == words.word[i];)
            end++;
        if (at_tokenizer_is_special(tokenizer, ids[i]))
            continue;
        at_vector v = {
            .line = line, .word = words.text[words.word[i]], .number = number++, .cut = w->read.cut[b]};
        st = give(w, v, first + i, first + end);
    }
    at_words_free(&words);
    return st;
}

static at_status embed_some(working *w, const char *const *lines, size_t first, size_t count)
{
    at_status st = at_read_lines(w->embedder->reader, lines + first, count, &w->read);
    if (st == AT_OK)
        st = run(w);
    for (size_t i = 0, b = 0; st == AT_OK && i < count; i++) {
        bool there = b < w->read.count && w->read.line[b] == i;
        if (there && w->options->words)
            st = give_words(w, first + i, b);
        else if (there)
            st = give(w, (at_vector){.line = first + i, .cut = w->read.cut[b]}, b, b + 1);
        else if (!w->options->words && !w->sink(w->context, &(at_vector){.line = first + i}))
            st = at_fail(AT_ECANCEL, "stopped by the caller");
        b += there;
    }
    at_tape_reset(w->embedder->reader->tape);
    return st;
}

at_status at_embed_lines(at_embedder *embedder, const char *const *lines, size_t count,
                         const at_embed_options *options, at_vector_sink *sink, void *context)
{
    at_embed_options o = AT_EMBED_DEFAULTS;
    if (options)
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    if (o.batch < 1 || o.batch > 4096)
        return at_fail(AT_EARG, "batch: %d is not within 1 to 4096", o.batch);
    working w = {.embedder = embedder, .options = &o, .sink = sink, .context = context};
    at_status st = AT_OK;
    pthread_mutex_lock(&embedder->reader->lock);
    for (size_t i = 0, step; st == AT_OK && i < count; i += step) {
        step = count - i < (size_t)o.batch ? count - i : (size_t)o.batch;
        st = embed_some(&w, lines, i, step);
    }
    pthread_mutex_unlock(&embedder->reader->lock);
    at_read_free(&w.read);
    at_free(w.vector);
    return st;
}
