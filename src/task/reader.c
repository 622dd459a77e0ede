#include "task/reader.h"
#include <string.h>
#include "base/memory.h"

static at_status open_parts(at_reader *r, const char *folder, const at_open_options *o)
{
    at_status st = at_exec_new(o->kernels, o->threads, &r->exec);
    if (st == AT_OK)
        st = at_folder_load_as(folder, r->exec, o->weights, &r->folder);
    if (st == AT_OK && !r->folder->model->family->encode)
        st = at_fail(AT_ENOSUP, "%s: a %s has no encoder, which reads a text as a whole", folder,
                     r->folder->model->family->name);
    const json_t *labels = st == AT_OK ? json_object_get(r->folder->config, "id2label") : NULL;
    if (labels)
        st = at_classes_read(labels, &r->classes);
    if (st == AT_OK)
        st = at_tape_new(r->exec, &r->tape);
    return st == AT_OK ? at_preprocess_read(&r->preprocess, r->folder->preprocess) : st;
}

at_status at_reader_open(const char *folder, const at_open_options *options, at_reader **reader)
{
    at_open_options o = AT_OPEN_DEFAULTS;
    if (options)
        o = *options;
    *reader = NULL;
    at_reader *r = at_alloc_zero(1, sizeof *r);
    if (!r)
        return AT_ENOMEM;
    if (pthread_mutex_init(&r->lock, NULL) != 0) {
        at_free(r);
        return at_fail(AT_ENOMEM, "no memory for a lock");
    }
    at_status st = open_parts(r, folder, &o);
    if (st == AT_OK)
        *reader = r;
    else
        at_reader_close(r);
    return st;
}

void at_reader_close(at_reader *reader)
{
    if (!reader)
        return;
    at_tape_free(reader->tape);
    at_preprocess_free(&reader->preprocess);
    at_classes_free(&reader->classes);
    at_folder_free(reader->folder);
    at_exec_free(reader->exec);
    pthread_mutex_destroy(&reader->lock);
    at_free(reader);
}

/* Appends the pieces of a line; *length 0: there was nothing in it. */
static at_status append(const at_reader *r, const char *line, at_buf *ready, at_ids *ids, size_t *length)
{
    const at_model *model = r->folder->model;
    size_t before = ids->count;
    *length = 0;
    at_buf_clear(ready);
    at_status st = at_preprocess_apply(&r->preprocess, true, line, ready);
    if (st == AT_OK)
        st = at_buf_status(ready);
    const char *text = ready->data ? ready->data : "";
    size_t size = ready->length;
    while (size > 0 && strchr(" \t\r\n", text[size - 1]))
        size--;
    while (size > 0 && strchr(" \t\r\n", text[0]))
        text++, size--;
    if (st != AT_OK || size == 0)
        return st;
    if (model->family->kind == AT_ENCODER_ONLY)
        st = at_ids_push(ids, model->vocabulary.bos);
    if (st == AT_OK)
        st = at_tokenizer_encode(r->folder->tokenizer, text, size, &(at_encoding){.close = true}, ids);
    *length = st == AT_OK ? ids->count - before : 0;
    return st;
}

static at_status add_line(const at_reader *r, size_t number, const char *line, at_buf *ready, at_read *read)
{
    size_t most = at_model_reach(r->folder->model), length, first = read->ids.count;
    at_status st = append(r, line, ready, &read->ids, &length);
    if (st != AT_OK || length == 0)
        return st;
    bool cut = most && length > most;
    if (cut) {
        read->ids.id[first + most - 1] = r->folder->model->vocabulary.eos;
        read->ids.count = first + most;
    }
    st = at_grow(&read->offsets, &read->offsets_capacity, read->count + 2, sizeof *read->offsets);
    if (st == AT_OK)
        st = at_grow(&read->line, &read->capacity, read->count + 1, sizeof *read->line);
    if (st == AT_OK)
        st = at_grow(&read->cut, &read->cut_capacity, read->count + 1, sizeof *read->cut);
    if (st != AT_OK)
        return st;
    read->offsets[0] = 0;
    read->line[read->count] = number;
    read->cut[read->count] = cut;
    read->offsets[++read->count] = (int32_t)read->ids.count;
    return AT_OK;
}

at_status at_read_lines(const at_reader *reader, const char *const *lines, size_t count, at_read *read)
{
    at_buf ready = {0};
    at_status st = AT_OK;
    at_ids_clear(&read->ids);
    read->count = 0;
    for (size_t i = 0; st == AT_OK && i < count; i++)
        st = add_line(reader, i, lines[i], &ready, read);
    at_buf_free(&ready);
    return st;
}

at_batch at_read_batch(const at_read *read)
{
    return (at_batch){.source = {read->count, read->offsets, NULL}, .source_ids = read->ids.id};
}

void at_read_free(at_read *read)
{
    at_ids_free(&read->ids);
    at_free(read->offsets);
    at_free(read->line);
    at_free(read->cut);
    *read = (at_read){0};
}
