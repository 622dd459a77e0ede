#include "base/memory.h"
#include "task/internal.h"

/* One batch on its way: pairs that can be looked at, and which line each is. */
typedef struct batch {
    at_segments *sides; /* (most, 2): source and target of each line */
    at_pair *pairs;
    size_t *place; /* of a line's pair among `pairs`; SIZE_MAX: left out */
    at_looked *looked;
    size_t most, count, pair_count;
} batch;

static at_status new_batch(size_t most, batch *b)
{
    *b = (batch){.most = most};
    b->sides = at_alloc_zero(2 * most, sizeof *b->sides);
    b->pairs = at_alloc_zero(most, sizeof *b->pairs);
    b->place = at_alloc_array(most, sizeof *b->place);
    b->looked = at_alloc_zero(most, sizeof *b->looked);
    return b->sides && b->pairs && b->place && b->looked ? AT_OK : AT_ENOMEM;
}

static void clear(batch *b)
{
    for (size_t i = 0; i < b->count && b->sides; i++) {
        at_segments_free(&b->sides[2 * i]);
        at_segments_free(&b->sides[2 * i + 1]);
    }
    for (size_t i = 0; i < b->pair_count; i++)
        at_looked_free(&b->looked[i]);
    b->count = b->pair_count = 0;
}

static void free_batch(batch *b)
{
    clear(b);
    at_free(b->sides);
    at_free(b->pairs);
    at_free(b->place);
    at_free(b->looked);
}

static at_status add(at_translator *t, const char *source, const char *target, batch *b)
{
    size_t i = b->count++;
    at_segments *from = &b->sides[2 * i], *to = from + 1;
    b->place[i] = SIZE_MAX;
    at_status st = at_segments_add(t, true, i, source, from);
    if (st == AT_OK)
        st = at_segments_add(t, false, i, target, to);
    if (st != AT_OK || from->count != 1 || to->count != 1)
        return st;
    at_ids said = to->list[0].ids;
    said.count--; /* without </s> */
    b->place[i] = b->pair_count;
    b->pairs[b->pair_count++] =
        (at_pair){.source = from->list[0].ids, .target = said, .raw_source = source, .raw_target = target};
    return AT_OK;
}

static at_status hand_out(const batch *b, size_t first, at_alignment_sink *sink, void *context)
{
    for (size_t i = 0; i < b->count; i++) {
        at_alignment a = {.line = first + i,
                          .too_long = b->sides[2 * i].count > 1 || b->sides[2 * i + 1].count > 1};
        if (b->place[i] != SIZE_MAX) {
            const at_looked *l = &b->looked[b->place[i]];
            a.source_words = l->column_words.text;
            a.target_words = l->row_words.text;
            a.source_count = l->column_words.count;
            a.target_count = l->row_words.count;
            a.weights = l->weights;
        }
        if (!sink(context, &a))
            return at_fail(AT_ECANCEL, "stopped by the caller");
    }
    return AT_OK;
}

static at_status make(at_translator *t, const char *const *sources, const char *const *targets, size_t count,
                      const at_align_options *o, batch *b)
{
    at_look look = {.kind = AT_CROSS, .layer = o->layer, .head = o->head, .unit = o->unit};
    at_status st = AT_OK;
    for (size_t i = 0; i < count && st == AT_OK; i++)
        st = add(t, sources[i], targets[i], b);
    return st == AT_OK && b->pair_count > 0 ? at_look_at(t, &look, b->pairs, b->pair_count, b->looked) : st;
}

at_status at_align(at_translator *translator, const char *const *sources, const char *const *targets,
                   size_t count, const at_align_options *options, at_alignment_sink *sink, void *context)
{
    at_align_options o = AT_ALIGN_DEFAULTS;
    if (options)
        o = *options;
    at_status st = at_expect_translates(translator);
    if (st == AT_OK)
        st = at_unit_check(o.unit);
    if (st != AT_OK)
        return st;
    if (o.batch < 1 || o.batch > 4096)
        return at_fail(AT_EARG, "batch: want 1 to 4096 pairs, got %d", o.batch);
    pthread_mutex_lock(&translator->lock);
    st = at_look_possible(translator, AT_CROSS);
    pthread_mutex_unlock(&translator->lock);
    if (st != AT_OK)
        return st;
    batch b;
    st = new_batch((size_t)o.batch, &b);
    for (size_t i = 0; i < count && st == AT_OK; i += b.most) {
        size_t n = count - i < b.most ? count - i : b.most;
        pthread_mutex_lock(&translator->lock);
        st = make(translator, sources + i, targets + i, n, &o, &b);
        pthread_mutex_unlock(&translator->lock);
        if (st == AT_OK)
            st = hand_out(&b, i, sink, context);
        clear(&b);
    }
    free_batch(&b);
    return st;
}

void at_alignment_links(const at_alignment *alignment, size_t *link)
{
    for (size_t i = 0; i < alignment->target_count; i++) {
        const float *row = alignment->weights + i * alignment->source_count;
        link[i] = SIZE_MAX;
        for (size_t j = 0; j + 1 < alignment->source_count; j++) {
            if (row[j] > 0 && (link[i] == SIZE_MAX || row[j] > row[link[i]]))
                link[i] = j;
        }
    }
}
