#include "task/score.h"
#include <string.h>
#include "base/memory.h"
#include "task/internal.h"

/* The pairs of one batch, rows one after the other. */
typedef struct rows {
    at_ids source, target_in, target_out;
    int32_t *source_offsets, *target_offsets; /* (batch+1) */
    size_t count;
} rows;

static at_status encode(const at_translator *t, bool source, const char *text, at_ids *ids)
{
    at_buf ready = {0};
    at_status st = at_preprocess_apply(&t->preprocess, source, text, &ready);
    if (st == AT_OK)
        st = at_buf_status(&ready);
    while (st == AT_OK && ready.length > 0 && strchr(" \t\r\n", ready.data[ready.length - 1]))
        ready.length--;
    if (st == AT_OK && ready.length > 0)
        st = at_tokenizer_encode(t->folder->tokenizer, ready.data, ready.length,
                                 &(at_encoding){.close = true}, ids);
    at_buf_free(&ready);
    return st;
}

static bool fits(const at_translator *t, const at_ids *ids)
{
    size_t most = at_model_reach(t->folder->model);
    return ids->count > 0 && (most == 0 || ids->count <= most);
}

static at_status append(const at_translator *t, rows *r, const at_ids *source, const at_ids *target)
{
    at_status st = at_ids_append(&r->source, source->id, source->count);
    if (st == AT_OK)
        st = at_ids_push(&r->target_in, t->folder->model->vocabulary.bos);
    if (st == AT_OK)
        st = at_ids_append(&r->target_in, target->id, target->count - 1);
    if (st == AT_OK)
        st = at_ids_append(&r->target_out, target->id, target->count);
    r->count++;
    r->source_offsets[r->count] = (int32_t)r->source.count;
    r->target_offsets[r->count] = (int32_t)r->target_out.count;
    return st;
}

static at_status add_pair(at_translator *t, rows *r, const char *source, const char *target,
                          at_pair_score *score)
{
    at_ids from = {0}, to = {0};
    at_status st = encode(t, true, source, &from);
    if (st == AT_OK)
        st = encode(t, false, target, &to);
    if (st == AT_OK && fits(t, &from) && fits(t, &to))
        st = append(t, r, &from, &to);
    else if (st == AT_OK)
        score->left_out++;
    at_ids_free(&from);
    at_ids_free(&to);
    return st;
}

static at_status run_batch(at_translator *t, rows *r, at_pair_score *score)
{
    at_loss_report report = {0};
    const at_loss_options plain = {.scale = 0}; /* no scale: nothing is kept for a backward */
    at_batch batch = {.source = {r->count, r->source_offsets, NULL},
                      .target = {r->count, r->target_offsets, NULL},
                      .source_ids = r->source.id,
                      .target_in = r->target_in.id,
                      .target_out = r->target_out.id};
    at_tape_begin(t->tape, AT_TAPE_RUN, 0, 0);
    at_model_loss(t->folder->model, t->tape, &batch, &plain, &report);
    at_status st = at_tape_status(t->tape);
    at_tape_reset(t->tape);
    score->loss += report.loss;
    score->pieces += report.tokens;
    at_ids_clear(&r->source);
    at_ids_clear(&r->target_in);
    at_ids_clear(&r->target_out);
    r->count = 0;
    return st;
}

static at_status run(at_translator *t, const at_score_request *request, rows *r, at_pair_score *score)
{
    r->source_offsets = at_alloc_zero(request->batch + 1, sizeof *r->source_offsets);
    r->target_offsets = at_alloc_zero(request->batch + 1, sizeof *r->target_offsets);
    at_status st = r->source_offsets && r->target_offsets ? AT_OK : AT_ENOMEM;
    for (size_t i = 0; st == AT_OK && i < request->count; i++) {
        st = add_pair(t, r, request->sources[i], request->targets[i], score);
        if (st == AT_OK && r->count > 0 && (r->count == request->batch || i + 1 == request->count))
            st = run_batch(t, r, score);
    }
    return st;
}

at_status at_score_pairs(at_translator *translator, const at_score_request *request, at_pair_score *score)
{
    rows r = {0};
    *score = (at_pair_score){0};
    AT_ASSERT(request->batch > 0);
    pthread_mutex_lock(&translator->lock);
    at_status st = run(translator, request, &r, score);
    pthread_mutex_unlock(&translator->lock);
    at_ids_free(&r.source);
    at_ids_free(&r.target_in);
    at_ids_free(&r.target_out);
    at_free(r.source_offsets);
    at_free(r.target_offsets);
    return st;
}
