#include "task/generator.h"
#include <string.h>
#include "base/memory.h"
#include "task/generate.h"

static at_status new_generator(at_folder *folder, at_exec *exec, at_generator **generator)
{
    *generator = NULL;
    const at_model *m = folder->model;
    if (m->family->kind != AT_DECODER_ONLY)
        return at_fail(AT_ENOSUP,
                       "a %s does not write on: use attend translate, or a model of family decoder",
                       m->family->name);
    at_generator *g = at_alloc_zero(1, sizeof *g);
    if (!g)
        return AT_ENOMEM;
    if (pthread_mutex_init(&g->lock, NULL) != 0) {
        at_free(g);
        return at_fail(AT_ENOMEM, "no memory for a lock");
    }
    g->folder = folder;
    g->exec = exec;
    at_status st = at_tape_new(exec, &g->tape);
    if (st == AT_OK)
        st = at_begin_find(folder, &g->begin);
    if (st == AT_OK)
        *generator = g;
    else
        at_generator_release(g);
    return st;
}

void at_generator_release(at_generator *generator)
{
    if (!generator)
        return;
    at_tape_free(generator->tape);
    pthread_mutex_destroy(&generator->lock);
    at_free(generator);
}

at_status at_generator_borrow(at_folder *folder, at_exec *exec, at_generator **generator)
{
    return new_generator(folder, exec, generator);
}

at_status at_generator_open(const char *path, const at_open_options *options, at_generator **generator)
{
    at_open_options o = AT_OPEN_DEFAULTS;
    if (options)
        o = *options;
    *generator = NULL;
    at_exec *exec = NULL;
    at_folder *folder = NULL;
    at_status st = at_exec_new(o.kernels, o.threads, &exec);
    if (st == AT_OK)
        st = at_folder_load_as(path, exec, o.weights, &folder);
    if (st == AT_OK) {
        st = new_generator(folder, exec, generator);
        if (st != AT_OK)
            at_fail_within(st, "%s", path);
    }
    if (st != AT_OK) {
        at_folder_free(folder);
        at_exec_free(exec);
    }
    return st;
}

void at_generator_close(at_generator *generator)
{
    if (!generator)
        return;
    at_folder *folder = generator->folder;
    at_exec *exec = generator->exec;
    at_generator_release(generator);
    at_folder_free(folder);
    at_exec_free(exec);
}

const at_folder *at_generator_folder(const at_generator *generator)
{
    return generator->folder;
}

at_exec *at_generator_exec(at_generator *generator)
{
    return generator->exec;
}

size_t at_generator_context(const at_generator *generator)
{
    return at_model_reach(generator->folder->model);
}

/* ---------------------------------------------------------------- how likely a text is */

enum { ROWS_AT_ONCE = 4096 };

/* Windows [first, …) of the ids, as many as go into one batch; moves *first on. */
static at_status score_some(at_generator *g, const at_ids *ids, size_t *first, double *loss)
{
    size_t last = ids->count - 1, context = at_generator_context(g);
    size_t window = context ? context : last, most = ROWS_AT_ONCE / window + 1, count = 0;
    at_tape_begin(g->tape, AT_TAPE_RUN, 0, 0);
    int32_t *offsets = at_tape_saved(g->tape, most + 1, sizeof *offsets);
    if (!offsets)
        return at_tape_status(g->tape);
    size_t begin = *first;
    offsets[0] = 0;
    while (count < most && *first < last) {
        *first = last - *first < window ? last : *first + window;
        offsets[++count] = (int32_t)(*first - begin);
    }
    at_batch batch = {
        .target = {count, offsets, NULL}, .target_in = ids->id + begin, .target_out = ids->id + begin + 1};
    at_loss_report report = {0};
    at_model_loss(g->folder->model, g->tape, &batch, &(at_loss_options){0}, &report);
    at_status st = at_tape_status(g->tape);
    at_tape_reset(g->tape);
    *loss += report.loss;
    return st;
}

static at_status count_bytes(const at_generator *g, const at_ids *ids, at_text_score *score)
{
    at_buf text = {0};
    at_status st = at_tokenizer_decode(g->folder->tokenizer, ids->id + 1, ids->count - 1, true, &text);
    score->bytes = text.length;
    for (size_t i = 0; i < text.length; i++)
        score->characters += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    at_buf_free(&text);
    return st;
}

at_status at_generator_score(at_generator *g, const char *text, size_t length, at_text_score *score)
{
    *score = (at_text_score){0};
    const char *layout = json_string_value(json_object_get(g->folder->data, "layout"));
    at_ids ids = {0};
    double loss = 0;
    pthread_mutex_lock(&g->lock);
    at_status st = at_begin_encode(g->folder, &g->begin, text, length, &ids);
    if (st == AT_OK && layout && !strcmp(layout, "documents"))
        st = at_ids_push(&ids, at_tokenizer_eos(g->folder->tokenizer));
    if (st == AT_OK && ids.count < 2)
        st = at_fail(AT_EARG, "a text of %zu pieces: two are needed to judge how likely one is", ids.count);
    for (size_t first = 0; st == AT_OK && first + 1 < ids.count;)
        st = score_some(g, &ids, &first, &loss);
    if (st == AT_OK)
        st = count_bytes(g, &ids, score);
    score->log_probability = -loss;
    score->pieces = ids.count ? ids.count - 1 : 0;
    at_ids_free(&ids);
    pthread_mutex_unlock(&g->lock);
    return st;
}
