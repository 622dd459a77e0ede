#include "data/loader.h"
#include <string.h>
#include "base/memory.h"
#include "base/rng.h"

struct at_loader {
    at_dataset *set;
    at_loader_options options;
    at_cursor cursor;
    uint64_t planned; /* epoch of the plan below */
    bool has_plan;
    uint32_t *order;   /* (pairs) the pairs of batch b: order[starts[b]] … order[starts[b+1]-1] */
    uint32_t *batches; /* (batches) in which order they come */
    size_t *starts;    /* (batches+1) */
    size_t count;      /* batches */
};

at_loader_options at_loader_options_from(const at_data_options *o, int32_t bos, uint64_t seed)
{
    return (at_loader_options){.batch_tokens = (size_t)o->batch_tokens,
                               .batch_pairs = (size_t)o->batch_pairs,
                               .target_only = o->batch_count == AT_COUNT_TARGET,
                               .shuffle = o->shuffle,
                               .bucket = o->bucket,
                               .bos = bos,
                               .seed = seed};
}

/* Of its own for each epoch, without drawing through those before it. */
static at_rng epoch_rng(const at_loader *loader, uint64_t epoch)
{
    return at_rng_make(loader->options.seed ^ (epoch + 1) * 0x9e3779b97f4a7c15u, AT_RNG_SHUFFLE);
}

static size_t longer_side(const at_dataset *set, uint32_t i)
{
    size_t s = at_dataset_length(&set->source, i), t = at_dataset_length(&set->target, i);
    return s > t ? s : t;
}

/* Stable counting sort by the length of one side, so that the shuffle decides among equals. */
static at_status sort_by(at_loader *loader, size_t (*length)(const at_dataset *set, uint32_t i))
{
    const at_dataset *set = loader->set;
    size_t most = 0;
    for (uint32_t i = 0; i < set->count; i++)
        most = length(set, i) > most ? length(set, i) : most;
    size_t *places = at_alloc_zero(most + 2, sizeof *places);
    uint32_t *sorted = at_alloc_array(set->count, sizeof *sorted);
    if (!places || !sorted) {
        at_free(places);
        at_free(sorted);
        return AT_ENOMEM;
    }
    for (uint32_t i = 0; i < set->count; i++)
        places[length(set, i) + 1]++;
    for (size_t i = 0; i <= most; i++)
        places[i + 1] += places[i];
    for (size_t k = 0; k < set->count; k++)
        sorted[places[length(set, loader->order[k])]++] = loader->order[k];
    memcpy(loader->order, sorted, set->count * sizeof *sorted);
    at_free(places);
    at_free(sorted);
    return AT_OK;
}

static size_t source_side(const at_dataset *set, uint32_t i)
{
    return at_dataset_length(&set->source, i);
}

/* Cuts `order` into batches within the bounds. */
static at_status cut(at_loader *loader)
{
    const at_loader_options *o = &loader->options;
    size_t source = 0, target = 0, first = 0;
    loader->count = 0;
    loader->starts[0] = 0;
    for (size_t k = 0; k < loader->set->count; k++) {
        size_t s = o->target_only ? 0 : at_dataset_length(&loader->set->source, loader->order[k]);
        size_t t = at_dataset_length(&loader->set->target, loader->order[k]);
        if (o->batch_tokens && (s > o->batch_tokens || t > o->batch_tokens))
            return at_fail(
                AT_EARG,
                "data.batch_tokens: %zu is less than the %zu pieces of one pair; raise it or lower "
                "data.max_length",
                o->batch_tokens, s > t ? s : t);
        bool full = (o->batch_tokens && (source + s > o->batch_tokens || target + t > o->batch_tokens)) ||
                    (o->batch_pairs && k - first >= o->batch_pairs);
        if (full) {
            loader->starts[++loader->count] = first = k;
            source = target = 0;
        }
        source += s;
        target += t;
    }
    if (loader->set->count)
        loader->starts[++loader->count] = loader->set->count;
    return AT_OK;
}

static at_status plan(at_loader *loader, uint64_t epoch)
{
    if (loader->has_plan && loader->planned == epoch)
        return AT_OK;
    const at_loader_options *o = &loader->options;
    loader->has_plan = false;
    at_status st = at_dataset_segment(loader->set, o->seed, epoch);
    at_rng rng = epoch_rng(loader, epoch);
    for (uint32_t i = 0; i < loader->set->count; i++)
        loader->order[i] = i;
    if (o->shuffle)
        at_rng_shuffle(&rng, loader->order, loader->set->count);
    if (st == AT_OK && o->bucket) /* by the longer side; among equals by the source */
        st = sort_by(loader, source_side);
    if (st == AT_OK && o->bucket)
        st = sort_by(loader, longer_side);
    if (st == AT_OK)
        st = cut(loader);
    if (st != AT_OK)
        return st;
    for (uint32_t b = 0; b < loader->count; b++)
        loader->batches[b] = b;
    if (o->shuffle)
        at_rng_shuffle(&rng, loader->batches, loader->count);
    loader->planned = epoch;
    loader->has_plan = true;
    return AT_OK;
}

at_status at_loader_new(at_dataset *set, const at_loader_options *options, at_loader **loader)
{
    *loader = NULL;
    if (set->dropout > 0 && options->batch_tokens && options->batch_tokens < set->max_length)
        return at_fail(AT_EARG,
                       "data.batch_tokens: %zu is less than data.max_length %zu, which BPE dropout may reach",
                       options->batch_tokens, set->max_length);
    at_loader *l = at_alloc_zero(1, sizeof *l);
    if (!l)
        return AT_ENOMEM;
    l->set = set;
    l->options = *options;
    l->order = at_alloc_array(set->count + 1, sizeof *l->order);
    l->batches = at_alloc_array(set->count + 1, sizeof *l->batches);
    l->starts = at_alloc_array(set->count + 1, sizeof *l->starts);
    at_status st = l->order && l->batches && l->starts ? plan(l, 0) : AT_ENOMEM;
    if (st == AT_OK)
        *loader = l;
    else
        at_loader_free(l);
    return st;
}

void at_loader_free(at_loader *loader)
{
    if (!loader)
        return;
    at_free(loader->order);
    at_free(loader->batches);
    at_free(loader->starts);
    at_free(loader);
}

/* Arrays of a batch while they are filled. */
typedef struct filling {
    int32_t *source_offsets, *target_offsets, *source, *in, *out;
    uint32_t *examples;
} filling;

static at_status fill(const at_loader *loader, const uint32_t *list, size_t count, at_arena *arena,
                      at_batch *batch)
{
    const at_dataset *p = loader->set;
    size_t source = 0, target = 0;
    for (size_t b = 0; b < count; b++) {
        source += at_dataset_length(&p->source, list[b]);
        target += at_dataset_length(&p->target, list[b]);
    }
    AT_ASSERT(source <= INT32_MAX && target <= INT32_MAX);
    filling f = {.source_offsets = at_arena_array(arena, count + 1, sizeof(int32_t)),
                 .target_offsets = at_arena_array(arena, count + 1, sizeof(int32_t)),
                 .source = at_arena_array(arena, source, sizeof(int32_t)),
                 .in = at_arena_array(arena, target, sizeof(int32_t)),
                 .out = at_arena_array(arena, target, sizeof(int32_t)),
                 .examples = at_arena_array(arena, count, sizeof(uint32_t))};
    if (!f.source_offsets || !f.target_offsets || !f.source || !f.in || !f.out || !f.examples)
        return AT_ENOMEM;
    size_t s = 0, t = 0;
    f.source_offsets[0] = f.target_offsets[0] = 0;
    for (size_t b = 0; b < count; b++) {
        uint32_t i = list[b];
        size_t slen = at_dataset_length(&p->source, i), tlen = at_dataset_length(&p->target, i);
        memcpy(f.source + s, p->source.ids.id + p->source.offsets[i], slen * sizeof(int32_t));
        memcpy(f.out + t, p->target.ids.id + p->target.offsets[i], tlen * sizeof(int32_t));
        f.in[t] = loader->options.bos; /* a target holds at least its </s> */
        memcpy(f.in + t + 1, p->target.ids.id + p->target.offsets[i], (tlen - 1) * sizeof(int32_t));
        s += slen;
        t += tlen;
        f.source_offsets[b + 1] = (int32_t)s;
        f.target_offsets[b + 1] = (int32_t)t;
        f.examples[b] = i;
    }
    *batch = (at_batch){
        {count, f.source_offsets, f.examples}, {count, f.target_offsets, f.examples}, f.source, f.in, f.out};
    return AT_OK;
}

at_status at_loader_next(at_loader *loader, at_arena *arena, at_batch *batch)
{
    *batch = (at_batch){0};
    at_status st = plan(loader, loader->cursor.epoch);
    if (st != AT_OK)
        return st;
    if (loader->cursor.batch >= loader->count) {
        loader->cursor = (at_cursor){loader->cursor.epoch + 1, 0};
        return AT_OK;
    }
    uint32_t b = loader->batches[loader->cursor.batch];
    size_t first = loader->starts[b];
    st = fill(loader, loader->order + first, loader->starts[b + 1] - first, arena, batch);
    if (st == AT_OK)
        loader->cursor.batch++;
    return st;
}

at_cursor at_loader_cursor(const at_loader *loader)
{
    return loader->cursor;
}

at_status at_loader_seek(at_loader *loader, at_cursor cursor)
{
    at_status st = plan(loader, cursor.epoch);
    if (st != AT_OK)
        return st;
    if (cursor.batch > loader->count)
        return at_fail(AT_EARG,
                       "batch %llu of epoch %llu: it has %zu; resume with the data it was begun with",
                       (unsigned long long)cursor.batch, (unsigned long long)cursor.epoch, loader->count);
    loader->cursor = cursor;
    return AT_OK;
}

size_t at_loader_batches(const at_loader *loader)
{
    return loader->has_plan ? loader->count : 0;
}
