/* Texts written together: each a slot of one state, a rng, and what it has not shown yet. */
#include "task/generate.h"
#include <string.h>
#include "base/memory.h"
#include "decode/sample.h"
#include "model/state.h"

enum { MOST_SAMPLES = 4096, MOST_STOP = 4096 };

typedef struct voice {
    size_t prompt;
    int sample, slot;
    at_ids ids;      /* prompt, then what was said */
    size_t fed;      /* of them are in the slot, or were before it rolled */
    size_t asked;    /* ids of the prompt */
    size_t left_out; /* of them before the context */
    at_buf held;     /* bytes said and not shown */
    at_buf shown;    /* what the sink gets */
    at_rng rng;
    at_ends ends;
} voice;

typedef struct writing {
    at_generator *g;
    const at_generate_options *o;
    at_sample_options sample;
    at_token_sink *sink;
    void *context;
    size_t reach; /* of the model; 0: any */
    bool rolls;   /* past it the oldest rows are dropped */
    at_state *state;
    at_sampler *sampler;
    voice *voices;
    size_t count;
    /* One step of those that are alive: */
    voice **live;
    int *slots;
    int32_t *offsets;
    at_ids rows;
} writing;

/* ---------------------------------------------------------------- text */

/* Longest end of `text` that begins the stop string, but is not all of it. */
static size_t begun(const char *text, size_t length, const char *stop)
{
    size_t n = strlen(stop) - 1;
    for (n = n < length ? n : length; n > 0; n--) {
        if (memcmp(text + length - n, stop, n) == 0)
            return n;
    }
    return 0;
}

static const char *find(const char *text, size_t length, const char *what)
{
    size_t n = strlen(what);
    for (size_t i = 0; i + n <= length; i++) {
        if (memcmp(text + i, what, n) == 0)
            return text + i;
    }
    return NULL;
}

/* Where the first stop string begins in what is held; its length if none does. */
static size_t first_stop(const writing *w, const voice *v)
{
    size_t first = v->held.length;
    for (size_t i = 0; i < w->o->stop_count && v->held.length; i++) {
        const char *at = find(v->held.data, v->held.length, w->o->stop[i]);
        if (at && (size_t)(at - v->held.data) < first)
            first = (size_t)(at - v->held.data);
    }
    return first;
}

/* Moves the first `count` held bytes to what is shown, bytes of no character and NUL as U+FFFD. */
static void show(voice *v, size_t count)
{
    for (size_t i = 0, step; i < count; i += step) {
        uint32_t c;
        step = at_utf8_decode(v->held.data + i, count - i, &c);
        at_utf8_put(&v->shown, step && c ? c : 0xFFFD);
        step += step == 0;
    }
    if (count && count < v->held.length)
        memmove(v->held.data, v->held.data + count, v->held.length - count);
    v->held.length -= count;
}

/* What may be shown now: nothing that may begin a stop string, no half character; at the end all but that. */
static void release_text(const writing *w, voice *v)
{
    size_t stop = first_stop(w, v), keep = 0;
    if (stop < v->held.length) {
        v->ends = AT_ENDS_STOP;
        v->held.length = stop;
    }
    for (size_t i = 0; v->ends == AT_ENDS_NOT && i < w->o->stop_count && v->held.length; i++) {
        size_t n = begun(v->held.data, v->held.length, w->o->stop[i]);
        keep = n > keep ? n : keep;
    }
    if (v->held.length)
        show(v, at_utf8_complete(v->held.data, v->held.length - keep));
}

/* ---------------------------------------------------------------- one piece */

static at_status say(writing *w, voice *v, at_sampled next)
{
    const at_tokenizer *t = w->g->folder->tokenizer;
    at_buf piece = {0};
    at_buf_clear(&v->shown);
    if (next.id == at_tokenizer_eos(t))
        v->ends = AT_ENDS_SAID;
    at_status st = at_tokenizer_decode(t, &next.id, 1, true, &piece);
    if (st == AT_OK)
        st = at_ids_push(&v->ids, next.id);
    at_buf_bytes(&v->held, piece.data ? piece.data : "", piece.length);
    size_t said = v->ids.count - v->asked;
    if (v->ends == AT_ENDS_NOT && said >= (size_t)w->o->max_tokens)
        v->ends = AT_ENDS_LENGTH;
    bool full = w->reach && w->o->window == AT_WINDOW_REFUSE && v->ids.count > w->reach;
    if (v->ends == AT_ENDS_NOT && full)
        v->ends = AT_ENDS_CONTEXT;
    release_text(w, v);
    at_buf_char(&v->shown, '\0');
    if (st == AT_OK)
        st = at_buf_status(&v->held);
    if (st == AT_OK)
        st = at_buf_status(&v->shown);
    at_token token = {.prompt = v->prompt,
                      .sample = v->sample,
                      .id = next.id,
                      .piece = piece.data ? piece.data : "",
                      .piece_length = piece.length,
                      .log_probability = next.log_probability,
                      .text = v->shown.data,
                      .text_length = v->shown.length ? v->shown.length - 1 : 0,
                      .ends = v->ends,
                      .prompt_count = v->asked,
                      .left_out = v->left_out};
    if (st == AT_OK && !w->sink(w->context, &token))
        st = at_fail(AT_ECANCEL, "stopped by the caller");
    at_buf_free(&piece);
    return st;
}

/* ---------------------------------------------------------------- steps */

/* The ids that the voice feeds next: what is new, once the oldest rows have made room for it; or the newer
 * half again when the context is full. */
static at_status add_rows(writing *w, voice *v)
{
    size_t from = v->fed, more = v->ids.count - from, length = at_state_length(w->state, v->slot);
    if (w->reach && length + more > w->reach && w->rolls) {
        at_state_drop_oldest(w->state, v->slot, length + more - w->reach);
    } else if (w->reach && length + more > w->reach) {
        at_state_truncate(w->state, v->slot, 0);
        from = v->ids.count - (w->reach + 1) / 2;
    }
    v->fed = v->ids.count;
    return at_ids_append(&w->rows, v->ids.id + from, v->ids.count - from);
}

/* One more piece for every voice that is alive. */
static at_status step(writing *w, size_t alive)
{
    at_status st = AT_OK;
    w->rows.count = 0;
    w->offsets[0] = 0;
    for (size_t i = 0; i < alive && st == AT_OK; i++) {
        st = add_rows(w, w->live[i]);
        w->slots[i] = w->live[i]->slot;
        w->offsets[i + 1] = (int32_t)w->rows.count;
    }
    if (st != AT_OK)
        return st;
    const at_model *model = w->g->folder->model;
    at_rows rows = {alive, w->offsets, NULL};
    at_tape_begin(w->g->tape, AT_TAPE_RUN, 0, 0);
    const at_var *logits = at_state_next(model, w->g->tape, w->state, w->slots, &rows, w->rows.id);
    st = at_tape_status(w->g->tape);
    for (size_t i = 0; i < alive && st == AT_OK; i++) {
        voice *v = w->live[i];
        const float *row = logits->data + i * (size_t)model->vocabulary.target;
        at_sampled next = at_sample(w->sampler, &w->sample, row, v->ids.id, v->ids.count, &v->rng);
        st = next.id < 0 ? at_fail(AT_ENUMBER, "the model's numbers are not finite: it can say nothing")
                         : say(w, v, next);
    }
    return st;
}

/* All of a prompt but its last id, some at a time. */
static at_status read_prompt(writing *w, voice *v)
{
    at_status st = AT_OK;
    while (st == AT_OK && v->fed + 1 < v->ids.count) {
        size_t left = v->ids.count - 1 - v->fed,
               count = left < (size_t)w->o->chunk ? left : (size_t)w->o->chunk;
        int32_t offsets[] = {0, (int32_t)count};
        at_rows rows = {1, offsets, NULL};
        at_tape_begin(w->g->tape, AT_TAPE_RUN, 0, 0);
        at_state_next(w->g->folder->model, w->g->tape, w->state, &v->slot, &rows, v->ids.id + v->fed);
        st = at_tape_status(w->g->tape);
        v->fed += count;
    }
    return st;
}

/* The voices of one batch, from their prompts to their ends. */
static at_status write_together(writing *w, voice *first, size_t count)
{
    at_status st = AT_OK;
    size_t opened = 0;
    for (; opened < count && st == AT_OK; opened++) {
        voice *v = &first[opened];
        if (opened && v->prompt == v[-1].prompt) { /* another text for the prompt that has just been read */
            st = at_state_fork(w->state, v[-1].slot, &v->slot);
            v->fed = v[-1].fed;
        } else {
            st = at_state_open(w->state, AT_NO_SOURCE, &v->slot);
            if (st == AT_OK)
                st = read_prompt(w, v);
        }
    }
    while (st == AT_OK) {
        size_t alive = 0;
        for (size_t i = 0; i < count; i++) {
            if (first[i].ends == AT_ENDS_NOT)
                w->live[alive++] = &first[i];
        }
        if (!alive)
            break;
        st = step(w, alive);
    }
    at_tape_reset(w->g->tape);
    return st;
}

/* ---------------------------------------------------------------- the whole */

static at_status check(const at_generate_options *o)
{
    if (o->max_tokens < 1)
        return at_fail(AT_EARG, "option 'max_tokens': %d is not 1 or more", o->max_tokens);
    if (o->samples < 1 || o->samples > MOST_SAMPLES)
        return at_fail(AT_EARG, "option 'samples': %d is not within 1 to %d", o->samples, MOST_SAMPLES);
    if (o->batch < 1 || o->batch > MOST_SAMPLES)
        return at_fail(AT_EARG, "option 'batch': %d is not within 1 to %d", o->batch, MOST_SAMPLES);
    if (o->window < AT_WINDOW_ROLL || o->window > AT_WINDOW_AGAIN)
        return at_fail(AT_EARG, "option 'window': unknown %d", (int)o->window);
    if (o->chunk < 1)
        return at_fail(AT_EARG, "option 'chunk': %d is not 1 or more", o->chunk);
    for (size_t i = 0; i < o->stop_count; i++) {
        size_t length = strlen(o->stop[i]);
        if (length < 1 || length > MOST_STOP)
            return at_fail(AT_EARG, "option 'stop': a text of %zu bytes; 1 to %d", length, MOST_STOP);
    }
    return AT_OK;
}

/* Which part of the prompt the model reads. */
static at_status place_prompt(const writing *w, voice *v)
{
    v->asked = v->ids.count;
    if (!w->reach || v->asked <= w->reach)
        return AT_OK;
    if (w->o->window == AT_WINDOW_REFUSE)
        return at_fail(
            AT_EARG,
            "prompt %zu: %zu pieces, and the model's context is %zu; shorten it, or let the window "
            "roll",
            v->prompt + 1, v->asked, w->reach);
    v->left_out = v->fed = v->asked - w->reach;
    return AT_OK;
}

static at_status make_voices(writing *w, const char *const *prompts, size_t count)
{
    size_t each = (size_t)w->o->samples;
    w->voices = at_alloc_zero(count * each + 1, sizeof *w->voices);
    if (!w->voices)
        return AT_ENOMEM;
    w->count = count * each;
    at_status st = AT_OK;
    for (size_t i = 0; i < w->count && st == AT_OK; i++) {
        voice *v = &w->voices[i];
        v->prompt = i / each;
        v->sample = (int)(i % each);
        v->rng = at_rng_make(w->o->seed ^ (v->prompt + 1) * 0x9e3779b97f4a7c15u ^
                                 ((uint64_t)v->sample + 1) * 0xd1b54a32d192ed03u,
                             AT_RNG_SAMPLE);
        const char *text = prompts[v->prompt];
        st = at_begin_encode(w->g->folder, &w->g->begin, text, strlen(text), &v->ids);
        if (st != AT_OK)
            return at_fail_within(st, "prompt %zu", v->prompt + 1);
        st = place_prompt(w, v);
    }
    return st;
}

static at_status open_writing(writing *w, const char *const *prompts, size_t count)
{
    const at_model *model = w->g->folder->model;
    const at_tokenizer *t = w->g->folder->tokenizer;
    at_status st = make_voices(w, prompts, count);
    if (st == AT_OK)
        st = w->o->bf16_cache ? at_state_new_bf16(model, &w->state) : at_state_new(model, &w->state);
    if (st == AT_OK)
        st = at_sampler_new((size_t)model->vocabulary.target, &w->sampler);
    if (st != AT_OK)
        return st;
    size_t batch = (size_t)w->o->batch;
    w->live = at_alloc_array(batch, sizeof *w->live);
    w->slots = at_alloc_array(batch, sizeof *w->slots);
    w->offsets = at_alloc_array(batch + 1, sizeof *w->offsets);
    at_sampler_ban(w->sampler, at_tokenizer_pad(t));
    at_sampler_ban(w->sampler, at_tokenizer_unk(t));
    if (at_tokenizer_bos(t) != at_tokenizer_eos(t))
        at_sampler_ban(w->sampler, at_tokenizer_bos(t));
    if (w->o->ignore_end)
        at_sampler_ban(w->sampler, at_tokenizer_eos(t));
    for (int32_t id = at_tokenizer_size(t); id < (int32_t)model->vocabulary.target; id++)
        at_sampler_ban(w->sampler, id); /* a table padded to a round number */
    return w->live && w->slots && w->offsets ? AT_OK : AT_ENOMEM;
}

static void close_writing(writing *w)
{
    for (size_t i = 0; i < w->count; i++) {
        at_ids_free(&w->voices[i].ids);
        at_buf_free(&w->voices[i].held);
        at_buf_free(&w->voices[i].shown);
    }
    at_free(w->voices);
    at_free(w->live);
    at_free(w->slots);
    at_free(w->offsets);
    at_ids_free(&w->rows);
    at_sampler_free(w->sampler);
    at_state_free(w->state);
}

/* A batch's slots and texts are given back before the next one begins. */
static void close_voices(writing *w, voice *first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        at_state_close(w->state, first[i].slot);
        at_ids_free(&first[i].ids);
    }
}

at_status at_generate(at_generator *g, const char *const *prompts, size_t count,
                      const at_generate_options *options, at_token_sink *sink, void *context)
{
    const at_generate_options usual = AT_GENERATE_DEFAULTS;
    const at_generate_options *o = options ? options : &usual;
    writing w = {.g = g,
                 .o = o,
                 .sample = {o->temperature, o->top_k, o->top_p, o->min_p, o->typical, o->repetition},
                 .sink = sink,
                 .context = context,
                 .reach = at_generator_context(g)};
    const at_model *model = g->folder->model;
    const at_family *family = model->family;
    w.rolls = o->window == AT_WINDOW_ROLL && family->state_rolls && family->state_rolls(model);
    at_status st = check(o);
    if (st == AT_OK)
        st = at_sample_check(&w.sample);
    if (st != AT_OK)
        return st;
    pthread_mutex_lock(&g->lock);
    st = open_writing(&w, prompts, count);
    for (size_t first = 0; st == AT_OK && first < w.count;) {
        size_t some = w.count - first < (size_t)o->batch ? w.count - first : (size_t)o->batch;
        st = write_together(&w, &w.voices[first], some);
        if (st == AT_OK)
            close_voices(&w, &w.voices[first], some);
        first += some;
    }
    close_writing(&w);
    pthread_mutex_unlock(&g->lock);
    return st;
}
