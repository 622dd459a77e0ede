#include <string.h>
#include "base/memory.h"
#include "task/internal.h"

/* The public view with what it points to. */
typedef struct view {
    at_view public;
    at_looked looked;
    at_pair pair;
    at_words words; /* of reasons */
    at_reasons reasons;
} view;

at_view_kind at_view_own(const at_translator *t)
{
    switch (t->folder->model->family->kind) {
    case AT_ENCODER_DECODER:
        return AT_VIEW_CROSS;
    case AT_DECODER_ONLY:
        return AT_VIEW_DECODER;
    case AT_ENCODER_ONLY:
        break;
    }
    return t->classes.count ? AT_VIEW_CLASS : AT_VIEW_ENCODER;
}

at_status at_view_reasons(at_translator *t, const at_pair *pair, at_unit unit, at_words *words,
                          at_reasons *reasons)
{
    const at_model *model = t->folder->model;
    at_words rows = {0};
    if (!t->classes.count || !model->family->classify)
        return at_fail(AT_ENOSUP, "this model has learned no labels, so no word decided one");
    at_status st = at_look_words(t, pair, AT_ENCODER_SELF, unit, &rows, words);
    at_words_free(&rows);
    at_reason_line line = {model, t->tape, pair->source.id, pair->source.count, words};
    return st == AT_OK ? at_reasons_find(&line, reasons) : st;
}

static at_status look_class(at_translator *t, const at_view_options *o, at_unit unit, view *v)
{
    if (o->layer != AT_OWN || o->head != AT_OWN)
        return at_fail(AT_EARG, "what decided a class has no layers and heads: look at the encoder's");
    at_status st = at_view_reasons(t, &v->pair, unit, &v->words, &v->reasons);
    if (st != AT_OK)
        return st;
    v->public.label = t->classes.names[v->reasons.label];
    v->public.probability = v->reasons.probability;
    v->public.row_words = v->reasons.names;
    v->public.column_words = v->words.text;
    v->public.rows = v->reasons.rows;
    v->public.columns = v->words.count;
    v->public.weights = v->reasons.weights;
    v->public.layer = v->public.head = AT_MEAN;
    return AT_OK;
}

static at_status look_kind(at_translator *t, at_view_kind kind, const at_view_options *o, at_unit unit,
                           view *v)
{
    static const at_attention_kind kinds[] = {AT_CROSS, AT_ENCODER_SELF, AT_DECODER_SELF};
    at_look look = {kinds[kind], o->layer, o->head, unit};
    const at_looked *l = &v->looked;
    at_status st = at_look_at(t, &look, &v->pair, 1, &v->looked);
    v->public.row_words = l->row_words.text;
    v->public.column_words = l->column_words.text;
    v->public.rows = l->row_words.count;
    v->public.columns = l->column_words.count;
    v->public.weights = l->weights;
    v->public.layer = l->layer;
    v->public.head = l->head;
    return st;
}

static at_status look(at_translator *t, const at_pair_spec *spec, const at_view_options *o, view *v)
{
    at_unit unit = o->pieces ? AT_UNIT_PIECE : AT_UNIT_WORD;
    at_view_kind kind = o->kind == AT_VIEW_OWN ? at_view_own(t) : o->kind;
    at_status st = at_pair_make(t, spec, &v->pair);
    v->public.kind = kind;
    v->public.translation = v->pair.translation;
    if (st != AT_OK)
        return st;
    return kind == AT_VIEW_CLASS ? look_class(t, o, unit, v) : look_kind(t, kind, o, unit, v);
}

at_status at_view_new(at_translator *translator, const char *source, const char *target,
                      const at_view_options *options, at_view **out)
{
    at_view_options o = AT_VIEW_DEFAULTS;
    if (options)
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    *out = NULL;
    if (o.kind < AT_VIEW_CROSS || o.kind > AT_VIEW_OWN)
        return at_fail(AT_EARG, "view: unknown kind %d", (int)o.kind);
    view *v = at_alloc_zero(1, sizeof *v);
    if (!v)
        return AT_ENOMEM;
    at_pair_spec spec = {.source = source, .target = target, .beam = o.beam, .write = o.write};
    pthread_mutex_lock(&translator->lock);
    at_status st = look(translator, &spec, &o, v);
    pthread_mutex_unlock(&translator->lock);
    if (st == AT_OK)
        *out = &v->public;
    else
        at_view_free(&v->public);
    return st;
}

void at_view_free(at_view *public)
{
    if (!public)
        return;
    view *v = (view *)public; /* its first member */
    at_looked_free(&v->looked);
    at_reasons_free(&v->reasons);
    at_words_free(&v->words);
    at_pair_free(&v->pair);
    at_free(v);
}
