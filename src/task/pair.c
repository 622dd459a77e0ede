/* A source and a target in pieces: the target given, or the model's own translation. */
#include "base/memory.h"
#include "task/internal.h"

/* The pieces of one text, which must not be too long to be looked at in one go. */
static at_status one_segment(const at_translator *t, bool is_source, const char *text, at_ids *ids)
{
    const char *what = is_source ? "source" : "target";
    at_segments segments = {0};
    at_status st = at_segments_add(t, is_source, 0, text, &segments);
    if (st == AT_OK && segments.count == 0)
        st = at_fail(AT_EARG, "%s: empty, nothing to look at", what);
    else if (st == AT_OK && segments.count > 1)
        st = at_fail(AT_EARG, "%s: longer than the model reaches; show it sentence by sentence", what);
    if (st == AT_OK)
        st = at_ids_append(ids, segments.list[0].ids.id, segments.list[0].ids.count);
    at_segments_free(&segments);
    return st;
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

/* The target's ids without </s>, which is no word of the translation; and their text. */
static at_status find_target(at_translator *t, const char *given, int beam, at_pair *pair)
{
    at_ids *target = &pair->target;
    at_status st = given ? one_segment(t, false, given, target) : search(t, &pair->source, beam, target);
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
        pair->translation = at_buf_take(&text);
        st = pair->translation ? AT_OK : AT_ENOMEM;
    }
    at_buf_free(&text);
    return st;
}

at_status at_pair_try(at_translator *t, const char *source, const char *target, int beam, at_pair *pair,
                      bool *fits)
{
    const char *const texts[] = {source, target};
    *pair = (at_pair){0};
    *fits = true;
    at_status st = AT_OK;
    for (int side = 0; side < 2 && st == AT_OK && texts[side]; side++) {
        at_segments segments = {0};
        st = at_segments_add(t, side == 0, 0, texts[side], &segments);
        *fits = *fits && segments.count == 1;
        at_segments_free(&segments);
    }
    return st == AT_OK && *fits ? at_pair_make(t, source, target, beam, pair) : st;
}

at_status at_pair_make(at_translator *t, const char *source, const char *target, int beam, at_pair *pair)
{
    const at_family_kind kind = t->folder->model->family->kind;
    *pair = (at_pair){0};
    if (target && kind != AT_ENCODER_DECODER)
        return at_fail(AT_ENOSUP, "this model has no target to say: it reads one text");
    at_status st = AT_OK;
    if (kind == AT_DECODER_ONLY) { /* the text is what it is made to say */
        st = find_target(t, source, beam, pair);
    } else {
        st = one_segment(t, true, source, &pair->source);
        if (st == AT_OK && kind == AT_ENCODER_DECODER)
            st = find_target(t, target, beam, pair);
    }
    if (st == AT_OK && !pair->translation) {
        pair->translation = at_strdup("");
        st = pair->translation ? AT_OK : AT_ENOMEM;
    }
    if (st == AT_OK && kind == AT_DECODER_ONLY && t->folder->model->vocabulary.bos < 0)
        st = at_fail(AT_ENOSUP, "this model's tokenizer has no <s>, which its first word looks at");
    if (st != AT_OK)
        at_pair_free(pair);
    return st;
}

void at_pair_free(at_pair *pair)
{
    at_ids_free(&pair->source);
    at_ids_free(&pair->target);
    at_free(pair->translation);
    *pair = (at_pair){0};
}
