#include "base/memory.h"
#include "task/internal.h"

/* The public view with what it points to. */
typedef struct view {
    at_view public;
    at_looked looked;
    at_pair pair;
} view;

static at_status look(at_translator *t, const char *source, const char *target, const at_view_options *o,
                      view *v)
{
    static const at_attention_kind kinds[] = {AT_CROSS, AT_ENCODER_SELF, AT_DECODER_SELF};
    at_look l = {kinds[o->kind], o->layer, o->head, o->pieces ? AT_UNIT_PIECE : AT_UNIT_WORD};
    at_status st = at_pair_make(t, source, target, o->beam, &v->pair);
    return st == AT_OK ? at_look_at(t, &l, &v->pair, 1, &v->looked) : st;
}

at_status at_view_new(at_translator *translator, const char *source, const char *target,
                      const at_view_options *options, at_view **out)
{
    at_view_options o = AT_VIEW_DEFAULTS;
    if (options)
        o = *options;
    *out = NULL;
    if (o.kind < AT_VIEW_CROSS || o.kind > AT_VIEW_DECODER)
        return at_fail(AT_EARG, "view: unknown kind %d", (int)o.kind);
    view *v = at_alloc_zero(1, sizeof *v);
    if (!v)
        return AT_ENOMEM;
    pthread_mutex_lock(&translator->lock);
    at_status st = look(translator, source, target, &o, v);
    pthread_mutex_unlock(&translator->lock);
    if (st != AT_OK) {
        at_view_free(&v->public);
        return st;
    }
    const at_looked *l = &v->looked;
    v->public = (at_view){.translation = v->pair.translation,
                          .row_words = l->row_words.text,
                          .column_words = l->column_words.text,
                          .rows = l->row_words.count,
                          .columns = l->column_words.count,
                          .weights = l->weights,
                          .layer = l->layer,
                          .head = l->head};
    *out = &v->public;
    return AT_OK;
}

void at_view_free(at_view *public)
{
    if (!public)
        return;
    view *v = (view *)public; /* its first member */
    at_looked_free(&v->looked);
    at_pair_free(&v->pair);
    at_free(v);
}
