/* Attention while sources are made to say targets: one pass over all pairs with a trace on the tape. The
 * causal mask makes each row what it was when the words came one by one, so beams need not carry weights
 * along. */
#include <string.h>
#include "base/memory.h"
#include "task/internal.h"

/* The rows of all pairs, one after the other. */
typedef struct all_rows {
    int32_t *source_offsets, *target_offsets; /* (count+1) */
    int32_t *source, *in, *out;
} all_rows;

static at_status lay_out(const at_pair *pairs, size_t count, int32_t bos, all_rows *r)
{
    r->source_offsets = at_alloc_zero(count + 1, sizeof *r->source_offsets);
    r->target_offsets = at_alloc_zero(count + 1, sizeof *r->target_offsets);
    if (!r->source_offsets || !r->target_offsets)
        return AT_ENOMEM;
    for (size_t b = 0; b < count; b++) {
        r->source_offsets[b + 1] = r->source_offsets[b] + (int32_t)pairs[b].source.count;
        r->target_offsets[b + 1] = r->target_offsets[b] + (int32_t)pairs[b].target.count;
    }
    r->source = at_alloc_array((size_t)r->source_offsets[count] + 1, sizeof *r->source);
    r->in = at_alloc_array((size_t)r->target_offsets[count] + 1, sizeof *r->in);
    r->out = at_alloc_array((size_t)r->target_offsets[count] + 1, sizeof *r->out);
    if (!r->source || !r->in || !r->out)
        return AT_ENOMEM;
    for (size_t b = 0; b < count; b++) {
        const at_ids *source = &pairs[b].source, *target = &pairs[b].target;
        int32_t *in = r->in + r->target_offsets[b];
        if (source->count > 0)
            memcpy(r->source + r->source_offsets[b], source->id, source->count * sizeof *r->source);
        if (target->count == 0)
            continue;
        memcpy(r->out + r->target_offsets[b], target->id, target->count * sizeof *r->out);
        in[0] = pairs[b].begins ? pairs[b].begin : bos;
        memcpy(in + 1, target->id, (target->count - 1) * sizeof *in);
    }
    return AT_OK;
}

at_status at_trace_pairs(at_translator *t, const at_pair *pairs, size_t count, bool decode, at_trace *trace)
{
    const at_model *model = t->folder->model;
    all_rows r = {0};
    at_status st = lay_out(pairs, count, model->vocabulary.bos, &r);
    if (st == AT_OK) {
        const at_family *family = model->family;
        at_batch batch = {.source = {family->encode ? count : 0, r.source_offsets, NULL},
                          .target = {family->decode ? count : 0, r.target_offsets, NULL},
                          .source_ids = r.source,
                          .target_in = r.in,
                          .target_out = r.out};
        at_tape_begin(t->tape, AT_TAPE_RUN, 0, 0);
        t->tape->trace = trace;
        at_var *memory = family->encode ? family->encode(model, t->tape, &batch) : NULL;
        if (decode && family->decode)
            family->decode(model, t->tape, &batch, memory);
        t->tape->trace = NULL;
        st = at_tape_status(t->tape);
        at_tape_reset(t->tape);
    }
    at_free(r.source_offsets);
    at_free(r.target_offsets);
    at_free(r.source);
    at_free(r.in);
    at_free(r.out);
    return st;
}

/* Columns of a word's pieces are summed, rows of a word's pieces averaged, as in Clark et al. 2019,
 * arXiv:1906.04341, section 4: rows go on summing to 1. */
void at_join_pieces(const float *pieces, const at_words *rows, const at_words *columns, float *words)
{
    memset(words, 0, rows->count * columns->count * sizeof *words);
    for (size_t i = 0, mates; i < rows->pieces; i += mates) {
        for (mates = 1; i + mates < rows->pieces && rows->word[i + mates] == rows->word[i];)
            mates++;
        float *to = words + (size_t)rows->word[i] * columns->count;
        for (size_t k = i; k < i + mates; k++) {
            for (size_t j = 0; j < columns->pieces; j++)
                to[columns->word[j]] += pieces[k * columns->pieces + j] / (float)mates;
        }
    }
}

at_status at_unit_check(at_unit unit)
{
    if (unit == AT_UNIT_WORD || unit == AT_UNIT_SPACED || unit == AT_UNIT_PIECE)
        return AT_OK;
    return at_fail(AT_EARG, "unit: unknown %d", (int)unit);
}

/* raw: the text as it came, or NULL. */
static at_status name(const at_translator *t, const at_ids *ids, const char *raw, at_unit unit,
                      at_words *words)
{
    const at_tokenizer *tokenizer = t->folder->tokenizer;
    if (unit == AT_UNIT_WORD)
        return at_words_find(tokenizer, ids->id, ids->count, words);
    if (unit == AT_UNIT_PIECE)
        return at_words_pieces(tokenizer, ids->id, ids->count, words);
    return raw ? at_words_raw(tokenizer, ids->id, ids->count, raw, words)
               : at_words_spaced(tokenizer, ids->id, ids->count, words);
}

/* What the decoder had read: <s>, or what it began with, and all that was said but the last piece. The
 * words are found with that piece too, so that the last is written out in full. */
at_status at_look_read(const at_translator *t, const at_pair *pair, at_unit unit, at_words *words)
{
    const at_ids *said = &pair->target;
    at_ids all = {0};
    at_status st = at_ids_push(&all, pair->begins ? pair->begin : t->folder->model->vocabulary.bos);
    if (st == AT_OK)
        st = at_ids_append(&all, said->id, said->count);
    if (st == AT_OK)
        st = name(t, &all, pair->raw_target, unit, words);
    if (st == AT_OK) {
        words->pieces = said->count;
        words->count = (size_t)words->word[said->count - 1] + 1;
    }
    at_ids_free(&all);
    return st;
}

at_status at_look_words(const at_translator *t, const at_pair *pair, at_attention_kind kind, at_unit unit,
                        at_words *rows, at_words *columns)
{
    at_status st = kind == AT_ENCODER_SELF ? name(t, &pair->source, pair->raw_source, unit, rows)
                                           : name(t, &pair->target, pair->raw_target, unit, rows);
    if (st == AT_OK)
        st = kind == AT_DECODER_SELF ? at_look_read(t, pair, unit, columns)
                                     : name(t, &pair->source, pair->raw_source, unit, columns);
    return st;
}

/* The model's own layer and head for alignments, where both are left to it; its mean when it names none. */
static void choose(const at_translator *t, const at_look *look, int *layer, int *head)
{
    bool own = look->kind == AT_CROSS && look->layer == AT_OWN && look->head == AT_OWN;
    *layer = own ? t->align_layer : look->layer;
    *head = own ? t->align_head : look->head;
    *layer = *layer == AT_OWN ? AT_MEAN : *layer;
    *head = *head == AT_OWN ? AT_MEAN : *head;
}

static at_status join(at_translator *t, const at_look *look, const at_pair *pair, const at_trace *trace,
                      size_t sequence, at_looked *out)
{
    int layer, head;
    choose(t, look, &layer, &head);
    out->layer = layer;
    out->head = head;
    at_status st = at_look_words(t, pair, look->kind, look->unit, &out->row_words, &out->column_words);
    if (st != AT_OK)
        return st;
    size_t rows = out->row_words.pieces, columns = out->column_words.pieces;
    float *pieces = at_alloc_array(rows * columns, sizeof *pieces);
    out->weights = at_alloc_array(out->row_words.count * out->column_words.count, sizeof *out->weights);
    st = pieces && out->weights ? AT_OK : AT_ENOMEM;
    if (st == AT_OK)
        st = at_trace_mean(trace, look->kind, layer, head, sequence, pieces, rows, columns);
    if (st == AT_OK)
        at_join_pieces(pieces, &out->row_words, &out->column_words, out->weights);
    at_free(pieces);
    return st;
}

at_status at_look_possible(at_translator *t, at_attention_kind kind)
{
    int32_t any = 0; /* what is read and said does not matter */
    at_pair pair = {.source = {.id = &any, .count = 1}, .target = {.id = &any, .count = 1}};
    at_trace *trace = at_trace_new();
    at_status st = trace ? at_trace_pairs(t, &pair, 1, true, trace) : AT_ENOMEM;
    if (st == AT_OK)
        st = at_trace_expect(trace, (int)kind);
    at_trace_free(trace);
    return st;
}

at_status at_look_at(at_translator *t, const at_look *look, const at_pair *pairs, size_t count,
                     at_looked *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (at_looked){0};
    at_trace *trace = at_trace_new();
    if (!trace)
        return AT_ENOMEM;
    int layer, head;
    choose(t, look, &layer, &head);
    at_trace_want(trace, look->kind, layer, head);
    at_status st = at_trace_pairs(t, pairs, count, look->kind != AT_ENCODER_SELF, trace);
    if (st == AT_OK && look->kind == AT_ENCODER_SELF && at_trace_layers(trace, look->kind) == 0)
        st = at_look_possible(t, look->kind);
    for (size_t i = 0; i < count && st == AT_OK; i++)
        st = join(t, look, &pairs[i], trace, i, &out[i]);
    at_trace_free(trace);
    for (size_t i = 0; i < count && st != AT_OK; i++)
        at_looked_free(&out[i]);
    return st;
}

void at_looked_free(at_looked *looked)
{
    at_words_free(&looked->row_words);
    at_words_free(&looked->column_words);
    at_free(looked->weights);
    *looked = (at_looked){0};
}
