/* A source and a target in pieces: the target given, or the model's own translation. */
#include <string.h>
#include "base/memory.h"
#include "task/generator.h"
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

typedef struct written {
    at_ids *ids;
    at_buf *text;
    at_status status;
} written;

static bool take_piece(void *context, const at_token *token)
{
    written *w = context;
    if (token->ends != AT_ENDS_SAID)
        w->status = at_ids_push(w->ids, token->id);
    at_buf_bytes(w->text, token->text, token->text_length);
    return w->status == AT_OK;
}

/* Adds the pieces that the model finds likeliest, and their text. */
static at_status write_on(at_translator *t, const at_pair_spec *spec, at_ids *ids, at_buf *text)
{
    at_generator *generator = NULL;
    at_generate_options how = AT_GENERATE_DEFAULTS;
    how.max_tokens = spec->write;
    how.temperature = 0;
    written w = {ids, text, AT_OK};
    at_status st = at_generator_borrow(t->folder, t->exec, &generator);
    if (st == AT_OK)
        st = at_generate(generator, &spec->source, 1, &how, take_piece, &w);
    at_generator_release(generator);
    return w.status == AT_OK ? st : w.status;
}

/* What a decoder alone is made to say: the text, and what the model adds to it. The first piece, <s> or the
 * text's own, is only read. */
static at_status find_text(at_translator *t, const at_pair_spec *spec, at_pair *pair)
{
    const at_folder *folder = t->folder;
    size_t reach = at_model_reach(folder->model);
    at_ids all = {0};
    at_buf text = {0};
    at_status st = at_begin_encode(folder, &t->begin, spec->source, strlen(spec->source), &all);
    if (st == AT_OK && reach > 0 && all.count + (size_t)spec->write > reach + 1)
        st = at_fail(AT_EARG, "source: %zu pieces%s are longer than the model reaches, %zu; show less",
                     all.count + (size_t)spec->write, spec->write ? " with those to be written" : "", reach);
    at_buf_text(&text, spec->source);
    if (st == AT_OK && spec->write > 0)
        st = write_on(t, spec, &all, &text);
    if (st == AT_OK && all.count < 2)
        st = at_fail(AT_EARG, "source: empty, nothing to look at");
    if (st == AT_OK)
        st = at_ids_append(&pair->target, all.id + 1, all.count - 1);
    if (st == AT_OK) {
        pair->begins = true;
        pair->begin = all.id[0];
        st = at_buf_status(&text);
    }
    if (st == AT_OK)
        pair->translation = at_buf_take(&text);
    at_ids_free(&all);
    at_buf_free(&text);
    return st;
}

/* What an encoder alone reads: <s> … </s>. */
static at_status find_line(const at_translator *t, const char *source, at_pair *pair)
{
    const at_model *model = t->folder->model;
    size_t reach = at_model_reach(model);
    at_status st = at_ids_push(&pair->source, model->vocabulary.bos);
    if (st == AT_OK)
        st = one_segment(t, true, source, &pair->source);
    if (st == AT_OK && reach > 0 && pair->source.count > reach)
        st = at_fail(AT_EARG, "source: longer than the model reaches; show it sentence by sentence");
    return st;
}

static at_status find_both(at_translator *t, const at_pair_spec *spec, at_pair *pair)
{
    at_status st = one_segment(t, true, spec->source, &pair->source);
    return st == AT_OK ? find_target(t, spec->target, spec->beam, pair) : st;
}

/* Whether a text is of one part that the model reaches. */
static at_status fits_one(at_translator *t, const at_pair_spec *spec, bool source, bool *fits)
{
    const at_model *model = t->folder->model;
    at_segments segments = {0};
    at_status st = at_segments_add(t, source, 0, source ? spec->source : spec->target, &segments);
    size_t more = model->family->kind == AT_ENCODER_DECODER ? 0 : 1, reach = at_model_reach(model);
    *fits = segments.count == 1 && (reach == 0 || segments.list[0].ids.count + more <= reach);
    at_segments_free(&segments);
    return st;
}

at_status at_pair_try(at_translator *t, const at_pair_spec *spec, at_pair *pair, bool *fits)
{
    *pair = (at_pair){0};
    *fits = true;
    at_status st = fits_one(t, spec, true, fits);
    if (st == AT_OK && *fits && spec->target)
        st = fits_one(t, spec, false, fits);
    return st == AT_OK && *fits ? at_pair_make(t, spec, pair) : st;
}

at_status at_pair_make(at_translator *t, const at_pair_spec *spec, at_pair *pair)
{
    const at_family_kind kind = t->folder->model->family->kind;
    *pair = (at_pair){0};
    if (spec->target && kind != AT_ENCODER_DECODER)
        return at_fail(AT_ENOSUP, "this model has no target to say: it reads one text");
    if (spec->write != 0 && (kind != AT_DECODER_ONLY || spec->write < 0))
        return at_fail(spec->write < 0 ? AT_EARG : AT_ENOSUP,
                       "pieces to write: a decoder alone writes on, 0 pieces or more");
    at_status st = kind == AT_DECODER_ONLY   ? find_text(t, spec, pair)
                   : kind == AT_ENCODER_ONLY ? find_line(t, spec->source, pair)
                                             : find_both(t, spec, pair);
    if (st == AT_OK && !pair->translation)
        pair->translation = at_strdup("");
    if (st == AT_OK && !pair->translation)
        st = AT_ENOMEM;
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
