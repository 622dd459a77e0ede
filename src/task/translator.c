#include "task/translator.h"
#include "base/memory.h"
#include "task/internal.h"

/* {"layer": 2, "head": 0}; either may be left out, which is the mean. */
static at_status read_align(at_translator *t)
{
    const json_t *section = t->folder->align;
    int64_t layer = AT_MEAN, head = AT_MEAN;
    at_status st = AT_OK;
    if (json_object_get(section, "layer"))
        st = at_json_int(section, "layer", 0, 65535, &layer);
    if (st == AT_OK && json_object_get(section, "head"))
        st = at_json_int(section, "head", 0, 65535, &head);
    t->align_layer = (int)layer;
    t->align_head = (int)head;
    return st == AT_OK ? st : at_fail_within(st, "config.json: attend.align");
}

static at_status read_sections(at_translator *t)
{
    static const char *const also[] = {NULL};
    at_status st = at_fields_default(at_beam_fields, &t->decode);
    if (st == AT_OK && t->folder->decode)
        st = at_fields_read(at_beam_fields, &t->decode, t->folder->decode, also);
    if (st != AT_OK)
        return at_fail_within(st, "config.json: attend.decode");
    st = read_align(t);
    if (st != AT_OK)
        return st;
    return at_preprocess_read(&t->preprocess, t->folder->preprocess);
}

static at_status new_translator(at_translator **translator)
{
    at_translator *t = at_alloc_zero(1, sizeof *t);
    if (!t)
        return AT_ENOMEM;
    if (pthread_mutex_init(&t->lock, NULL) != 0) {
        at_free(t);
        return at_fail(AT_ENOMEM, "no memory for a lock");
    }
    *translator = t;
    return AT_OK;
}

at_status at_expect_translates(const at_translator *t)
{
    const at_family *family = t->folder->model->family;
    return family->kind == AT_ENCODER_DECODER
               ? AT_OK
               : at_fail(AT_ENOSUP, "the family %s does not translate; it can %s", family->name,
                         family->kind == AT_ENCODER_ONLY ? "classify or embed" : "generate");
}

/* What all ways of opening end with. */
static at_status finish(at_translator *t, at_translator **translator)
{
    const json_t *labels = json_object_get(t->folder->config, "id2label");
    if (!t->folder->tokenizer)
        return at_fail(AT_ENOSUP, "this model reads no text");
    at_status st = at_tape_new(t->exec, &t->tape);
    if (st == AT_OK)
        st = read_sections(t);
    if (st == AT_OK && labels)
        st = at_classes_read(labels, &t->classes);
    if (st == AT_OK && t->folder->model->family->kind == AT_DECODER_ONLY)
        st = at_begin_find(t->folder, &t->begin);
    *translator = t;
    return st;
}

static void release(at_translator *t)
{
    at_tape_free(t->tape);
    at_preprocess_free(&t->preprocess);
    at_classes_free(&t->classes);
    pthread_mutex_destroy(&t->lock);
    at_free(t);
}

at_status at_viewer_open(const char *folder, const at_open_options *options, at_translator **translator)
{
    at_open_options o = AT_OPEN_DEFAULTS;
    if (options)
        o = *options;
    *translator = NULL;
    at_translator *t;
    at_status st = new_translator(&t);
    if (st != AT_OK)
        return st;
    st = at_exec_new(o.kernels, o.threads, &t->exec);
    if (st == AT_OK)
        st = at_folder_load_as(folder, t->exec, o.weights, &t->folder);
    if (st == AT_OK)
        st = finish(t, translator);
    if (st != AT_OK) {
        at_translator_close(t);
        *translator = NULL;
    }
    return st;
}

at_status at_translator_open(const char *folder, const at_open_options *options, at_translator **translator)
{
    at_status st = at_viewer_open(folder, options, translator);
    if (st == AT_OK)
        st = at_expect_translates(*translator);
    if (st != AT_OK) {
        at_translator_close(*translator);
        *translator = NULL;
    }
    return st;
}

void at_translator_close(at_translator *translator)
{
    if (!translator)
        return;
    at_folder *folder = translator->folder;
    at_exec *exec = translator->exec;
    release(translator);
    at_folder_free(folder);
    at_exec_free(exec);
}

at_status at_translator_borrow(at_folder *folder, at_exec *exec, at_translator **translator)
{
    at_translator *t;
    *translator = NULL;
    at_status st = new_translator(&t);
    if (st != AT_OK)
        return st;
    t->folder = folder;
    t->exec = exec;
    st = at_expect_translates(t);
    if (st == AT_OK)
        st = finish(t, translator);
    if (st != AT_OK) {
        release(t);
        *translator = NULL;
    }
    return st;
}

void at_translator_release(at_translator *translator)
{
    if (translator)
        release(translator);
}

const at_folder *at_translator_folder(const at_translator *translator)
{
    return translator->folder;
}

at_exec *at_translator_exec(at_translator *translator)
{
    return translator->exec;
}

bool at_translator_keep_tokens(at_translator *translator, bool keep)
{
    translator->preprocess.keep = keep;
    return translator->preprocess.moses;
}
