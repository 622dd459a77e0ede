#include <string.h>
#include "attention/rollout.h"
#include "base/memory.h"
#include "task/internal.h"

enum { KINDS = 3 };
static const at_attention_kind kinds[KINDS] = {AT_CROSS, AT_ENCODER_SELF, AT_DECODER_SELF}; /* by view kind */

/* The public bundle with what it points to. */
typedef struct bundle {
    at_bundle public;
    at_pair pair;
    at_words rows[KINDS], columns[KINDS];
    float *weights[KINDS], *rollout[KINDS];
    at_words words; /* of reasons */
    at_reasons reasons;
} bundle;

/* How many of `there` a choice takes: all of them, or the one that it names. */
static int taken(int choice, int there)
{
    return choice < 0 ? there : choice < there ? 1 : 0;
}

/* Every map of one kind that the trace holds, joined to words, in order of layers and heads. */
static at_status fill(bundle *b, size_t k, const at_trace *trace, const at_bundle_options *o,
                      at_bundle_part *part)
{
    const at_words *rows = &b->rows[k], *columns = &b->columns[k];
    size_t map = rows->count * columns->count;
    *part = (at_bundle_part){.kind = (at_view_kind)k,
                             .first_layer = o->layer < 0 ? 0 : o->layer,
                             .first_head = o->head < 0 ? 0 : o->head,
                             .layers = taken(o->layer, at_trace_layers(trace, kinds[k])),
                             .heads = taken(o->head, at_trace_heads(trace, kinds[k])),
                             .row_words = rows->text,
                             .column_words = columns->text,
                             .rows = rows->count,
                             .columns = columns->count};
    size_t maps = (size_t)part->layers * (size_t)part->heads;
    if (maps == 0)
        return AT_OK;
    if (map > SIZE_MAX / sizeof(float) / maps)
        return at_fail(AT_ENOMEM, "too many weights for one bundle; ask for one layer and head");
    b->weights[k] = at_alloc_zero(maps * map, sizeof *b->weights[k]);
    if (!b->weights[k])
        return AT_ENOMEM;
    for (size_t i = 0; i < maps; i++) {
        int layer = part->first_layer + (int)i / part->heads, head = part->first_head + (int)i % part->heads;
        const at_trace_map *m = at_trace_find(trace, kinds[k], layer, head, 0);
        if (m) /* layers may differ in heads; what is not there stays zero */
            at_join_pieces(m->weights, rows, columns, b->weights[k] + i * map);
    }
    part->weights = b->weights[k];
    b->public.count++;
    return AT_OK;
}

static at_status roll_out(bundle *b, size_t k, const at_trace *trace, at_bundle_part *part)
{
    const at_words *rows = &b->rows[k], *columns = &b->columns[k];
    size_t n = rows->pieces;
    float *pieces = at_alloc_array(n * n, sizeof *pieces);
    b->rollout[k] = at_alloc_array(rows->count * columns->count, sizeof *b->rollout[k]);
    at_status st = pieces && b->rollout[k] ? at_trace_rollout(trace, kinds[k], 0, pieces, n) : AT_ENOMEM;
    if (st == AT_OK) {
        at_join_pieces(pieces, rows, columns, b->rollout[k]);
        part->rollout = b->rollout[k];
    }
    at_free(pieces);
    return st;
}

/* The words that decided a classifier's label, as one map more. */
static at_status look_class(at_translator *t, at_unit unit, bundle *b)
{
    at_status st = at_view_reasons(t, &b->pair, unit, &b->words, &b->reasons);
    if (st != AT_OK)
        return st;
    b->public.label = t->classes.names[b->reasons.label];
    b->public.probability = b->reasons.probability;
    b->public.parts[b->public.count++] = (at_bundle_part){.kind = AT_VIEW_CLASS,
                                                          .layers = 1,
                                                          .heads = 1,
                                                          .row_words = b->reasons.names,
                                                          .column_words = b->words.text,
                                                          .rows = b->reasons.rows,
                                                          .columns = b->words.count,
                                                          .weights = b->reasons.weights};
    return AT_OK;
}

/* Nothing found: says what there is. */
static at_status nothing(const at_trace *trace, const at_bundle_options *o)
{
    for (size_t k = 0; k < KINDS; k++) {
        int layers = at_trace_layers(trace, kinds[k]), heads = at_trace_heads(trace, kinds[k]);
        if (layers > 0)
            return at_fail(AT_EARG,
                           "no attention of layer %d, head %d (-1: all): %s attention has layers 0 to "
                           "%d, heads 0 to %d",
                           o->layer, o->head, at_attention_kind_name(kinds[k]), layers - 1, heads - 1);
    }
    return at_trace_expect(trace, -1);
}

static at_status look(at_translator *t, const at_bundle_options *o, bundle *b)
{
    at_trace *trace = at_trace_new();
    if (!trace)
        return AT_ENOMEM;
    for (size_t k = 0; k < KINDS; k++)
        at_trace_want(trace, kinds[k], o->layer, o->head);
    at_status st = at_trace_pairs(t, &b->pair, 1, true, trace);
    at_unit unit = o->pieces ? AT_UNIT_PIECE : AT_UNIT_WORD;
    for (size_t k = 0; k < KINDS && st == AT_OK; k++) {
        if (at_trace_layers(trace, kinds[k]) == 0)
            continue;
        st = at_look_words(t, &b->pair, kinds[k], unit, &b->rows[k], &b->columns[k]);
        at_bundle_part *part = &b->public.parts[b->public.count];
        if (st == AT_OK)
            st = fill(b, k, trace, o, part);
        bool whole = o->layer < 0 && o->head < 0 && b->rows[k].pieces <= AT_ROLLOUT_MOST;
        if (st == AT_OK && kinds[k] != AT_CROSS && part->weights && whole)
            st = roll_out(b, k, trace, part);
    }
    bool whole = o->layer < 0 && o->head < 0;
    if (st == AT_OK && whole && t->classes.count && t->folder->model->family->kind == AT_ENCODER_ONLY)
        st = look_class(t, unit, b);
    if (st == AT_OK && b->public.count == 0)
        st = nothing(trace, o);
    at_trace_free(trace);
    return st;
}

at_status at_bundle_new(at_translator *translator, const char *source, const char *target,
                        const at_bundle_options *options, at_bundle **out)
{
    at_bundle_options o = AT_BUNDLE_DEFAULTS;
    if (options)
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    *out = NULL;
    at_pair_spec spec = {.source = source, .target = target, .beam = o.beam, .write = o.write};
    bundle *b = at_alloc_zero(1, sizeof *b);
    if (!b)
        return AT_ENOMEM;
    pthread_mutex_lock(&translator->lock);
    at_status st = at_pair_make(translator, &spec, &b->pair);
    if (st == AT_OK)
        st = look(translator, &o, b);
    pthread_mutex_unlock(&translator->lock);
    b->public.translation = b->pair.translation;
    b->public.own = at_view_own(translator);
    if (st == AT_OK)
        *out = &b->public;
    else
        at_bundle_free(&b->public);
    return st;
}

void at_bundle_free(at_bundle *public)
{
    if (!public)
        return;
    bundle *b = (bundle *)public; /* its first member */
    at_pair_free(&b->pair);
    at_reasons_free(&b->reasons);
    at_words_free(&b->words);
    for (size_t k = 0; k < KINDS; k++) {
        at_words_free(&b->rows[k]);
        at_words_free(&b->columns[k]);
        at_free(b->weights[k]);
        at_free(b->rollout[k]);
    }
    at_free(b);
}
