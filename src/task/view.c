#include <string.h>
#include "base/memory.h"
#include "task/internal.h"

/* The public view with what it points to. */
typedef struct view {
    at_view public;
    at_looked looked;
    char *translation;
} view;

/* The pieces of one text, which must not be too long to be looked at in one go. */
static at_status one_segment(const at_translator *t, bool is_source, const char *text, at_segments *segments)
{
    const char *what = is_source ? "source" : "target";
    at_status st = at_segments_add(t, is_source, 0, text, segments);
    if (st != AT_OK || segments->count == 1)
        return st;
    if (segments->count == 0)
        return at_fail(AT_EARG, "%s: empty, nothing to look at", what);
    return at_fail(AT_EARG, "%s: longer than the model reaches; show it sentence by sentence", what);
}

/* The model's own translation, as it was searched: its text cut into pieces again might give other pieces. */
static at_status search(at_translator *t, const at_ids *source, int beam, at_ids *target)
{
    at_arena *arena = at_arena_new();
    if (!arena)
        return AT_ENOMEM;
    int32_t offsets[] = {0, (int32_t)source->count};
    at_batch batch = {.source = {1, offsets, NULL}, .source_ids = source->id};
    at_beam_options options = t->decode;
    options.n_best = 1;
    if (beam > 0)
        options.beam = beam;
    at_hypotheses found = {0};
    at_status st = at_beam_search(t->folder->model, t->tape, &batch, &options, arena, &found);
    if (st == AT_OK)
        st = at_expect_finite(&found);
    if (st == AT_OK && found.count > 0)
        st = at_ids_append(target, found.list[0].ids, found.list[0].length);
    at_arena_free(arena);
    return st;
}

/* The ids to look at, without </s>, which is no word of the translation; and their text. */
static at_status find_target(at_translator *t, const at_ids *source, const char *given, int beam, view *v,
                             at_ids *target)
{
    at_status st;
    if (given) {
        at_segments to = {0};
        st = one_segment(t, false, given, &to);
        if (st == AT_OK)
            st = at_ids_append(target, to.list[0].ids.id, to.list[0].ids.count);
        at_segments_free(&to);
    } else {
        st = search(t, source, beam, target);
    }
    if (st == AT_OK && target->count > 0 && target->id[target->count - 1] == t->folder->model->vocabulary.eos)
        target->count--;
    if (st == AT_OK && target->count == 0)
        st = at_fail(AT_EARG, "the model says nothing to this source; name a target to look at");
    at_buf text = {0};
    if (st == AT_OK && given)
        at_buf_text(&text, given);
    else if (st == AT_OK)
        st = at_spell(t, target->id, target->count, &text);
    if (st == AT_OK)
        st = at_buf_status(&text);
    if (st == AT_OK) {
        v->translation = at_buf_take(&text);
        st = v->translation ? AT_OK : AT_ENOMEM;
    }
    at_buf_free(&text);
    return st;
}

static at_status look(at_translator *t, const char *source, const char *target, const at_view_options *o,
                      view *v)
{
    static const at_attention_kind kinds[] = {AT_CROSS, AT_ENCODER_SELF, AT_DECODER_SELF};
    at_segments from = {0};
    at_ids to = {0};
    at_status st = one_segment(t, true, source, &from);
    if (st == AT_OK)
        st = find_target(t, &from.list[0].ids, target, o->beam, v, &to);
    if (st == AT_OK) {
        at_look l = {.kind = kinds[o->kind],
                     .layer = o->layer,
                     .head = o->head,
                     .pieces = o->pieces,
                     .source = from.list[0].ids,
                     .target = to};
        st = at_look_at(t, &l, &v->looked);
    }
    at_segments_free(&from);
    at_ids_free(&to);
    return st;
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
    v->public = (at_view){v->translation,     l->row_words.text,     l->column_words.text,
                          l->row_words.count, l->column_words.count, l->weights};
    *out = &v->public;
    return AT_OK;
}

void at_view_free(at_view *public)
{
    if (!public)
        return;
    view *v = (view *)public; /* its first member */
    at_looked_free(&v->looked);
    at_free(v->translation);
    at_free(v);
}
