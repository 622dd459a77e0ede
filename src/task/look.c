/* Attention while a source is made to say a target: one pass over the whole pair with a trace on the tape.
 * The causal mask makes each row what it was when the words came one by one, so beams need not carry weights
 * along. */
#include <string.h>
#include "base/memory.h"
#include "task/internal.h"

static at_status run_traced(at_translator *t, const at_look *look, at_trace *trace)
{
    size_t n = look->target.count;
    int32_t source_offsets[] = {0, (int32_t)look->source.count}, target_offsets[] = {0, (int32_t)n};
    int32_t *in = at_alloc_array(n, sizeof *in);
    if (!in)
        return AT_ENOMEM;
    const at_model *model = t->folder->model;
    in[0] = model->vocabulary.bos;
    memcpy(in + 1, look->target.id, (n - 1) * sizeof *in);
    at_batch batch = {.source = {1, source_offsets, NULL},
                      .target = {1, target_offsets, NULL},
                      .source_ids = look->source.id,
                      .target_in = in,
                      .target_out = look->target.id};
    at_tape_begin(t->tape, AT_TAPE_RUN, 0, 0);
    t->tape->trace = trace;
    at_var *memory = model->family->encode(model, t->tape, &batch);
    if (look->kind != AT_ENCODER_SELF)
        model->family->decode(model, t->tape, &batch, memory);
    t->tape->trace = NULL;
    at_status st = at_tape_status(t->tape);
    at_tape_reset(t->tape);
    at_free(in);
    return st;
}

/* Sums columns of a word's pieces, takes the mean over rows of a word's pieces: rows go on summing to 1. */
static void join_pieces(const float *pieces, const at_words *rows, const at_words *columns, float *words)
{
    memset(words, 0, rows->count * columns->count * sizeof *words);
    for (size_t i = 0; i < rows->pieces; i++) {
        size_t mates = 0;
        for (size_t j = 0; j < rows->pieces; j++)
            mates += rows->word[j] == rows->word[i];
        float *to = words + (size_t)rows->word[i] * columns->count;
        for (size_t j = 0; j < columns->pieces; j++)
            to[columns->word[j]] += pieces[i * columns->pieces + j] / (float)mates;
    }
}

static at_status name_words(const at_translator *t, const at_ids *ids, bool pieces, at_words *words)
{
    return pieces ? at_words_pieces(t->folder->tokenizer, ids->id, ids->count, words)
                  : at_words_find(t->folder->tokenizer, ids->id, ids->count, words);
}

static at_status join(at_translator *t, const at_look *look, const at_trace *trace, at_looked *out)
{
    bool cross = look->kind == AT_CROSS;
    const at_ids *rows = look->kind == AT_ENCODER_SELF ? &look->source : &look->target;
    const at_ids *columns = cross || look->kind == AT_ENCODER_SELF ? &look->source : &look->target;
    at_status st = name_words(t, rows, look->pieces, &out->row_words);
    if (st == AT_OK)
        st = name_words(t, columns, look->pieces, &out->column_words);
    if (st != AT_OK)
        return st;
    float *pieces = at_alloc_array(rows->count * columns->count, sizeof *pieces);
    out->weights = at_alloc_array(out->row_words.count * out->column_words.count, sizeof *out->weights);
    st = pieces && out->weights ? at_trace_mean(trace, look->kind, look->layer, look->head, 0, pieces,
                                                rows->count, columns->count)
                                : AT_ENOMEM;
    if (st == AT_OK)
        join_pieces(pieces, &out->row_words, &out->column_words, out->weights);
    at_free(pieces);
    return st;
}

at_status at_look_at(at_translator *t, const at_look *look, at_looked *out)
{
    *out = (at_looked){0};
    at_trace *trace = at_trace_new();
    if (!trace)
        return AT_ENOMEM;
    at_trace_want(trace, look->kind, -1, -1);
    at_status st = run_traced(t, look, trace);
    if (st == AT_OK)
        st = join(t, look, trace, out);
    at_trace_free(trace);
    if (st != AT_OK)
        at_looked_free(out);
    return st;
}

void at_looked_free(at_looked *looked)
{
    at_words_free(&looked->row_words);
    at_words_free(&looked->column_words);
    at_free(looked->weights);
    *looked = (at_looked){0};
}
