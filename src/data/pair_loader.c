/* Pairs of a parallel corpus, or texts with labels or without, as batches. */
#include <string.h>
#include "base/memory.h"
#include "data/links.h"
#include "data/plan.h"

typedef struct pair_loader {
    at_loader base;
    at_dataset *set;
    at_loader_options options;
    at_plan plan;
} pair_loader;

static size_t source_length(const void *of, uint32_t i)
{
    return at_dataset_length(&((const at_dataset *)of)->source, i);
}

static size_t target_length(const void *of, uint32_t i)
{
    return at_dataset_length(&((const at_dataset *)of)->target, i);
}

static at_status plan(at_loader *loader, uint64_t epoch, size_t *batches)
{
    pair_loader *l = (pair_loader *)loader;
    at_status st = at_dataset_segment(l->set, l->options.seed, epoch);
    at_plan_lengths lengths = {l->set, l->set->count, source_length, target_length};
    if (st == AT_OK)
        st = at_plan_make(&l->plan, &lengths, &l->options, epoch);
    *batches = l->plan.count;
    return st;
}

/* Arrays of a batch while they are filled. */
typedef struct filling {
    int32_t *source_offsets, *target_offsets, *source, *in, *out;
    int32_t *labels;
    uint32_t *examples;
} filling;

static at_status reserve(const at_dataset *set, const uint32_t *list, size_t count, at_arena *arena,
                         filling *f)
{
    size_t source = 0, target = 0;
    for (size_t b = 0; b < count; b++) {
        source += at_dataset_length(&set->source, list[b]);
        target += at_dataset_length(&set->target, list[b]);
    }
    AT_ASSERT(source <= INT32_MAX && target <= INT32_MAX);
    *f = (filling){.source_offsets = at_arena_array(arena, count + 1, sizeof(int32_t)),
                   .target_offsets = at_arena_array(arena, count + 1, sizeof(int32_t)),
                   .source = at_arena_array(arena, source, sizeof(int32_t)),
                   .in = at_arena_array(arena, target + 1, sizeof(int32_t)),
                   .out = at_arena_array(arena, target + 1, sizeof(int32_t)),
                   .labels = set->labels ? at_arena_array(arena, count, sizeof(int32_t)) : NULL,
                   .examples = at_arena_array(arena, count, sizeof(uint32_t))};
    bool ok = f->source_offsets && f->target_offsets && f->source && f->in && f->out && f->examples;
    return ok && (!set->labels || f->labels) ? AT_OK : AT_ENOMEM;
}

static at_status fill(at_loader *loader, size_t number, at_arena *arena, at_batch *batch)
{
    const pair_loader *l = (const pair_loader *)loader;
    const at_dataset *p = l->set;
    size_t count;
    const uint32_t *list = at_plan_batch(&l->plan, number, &count);
    filling f;
    if (reserve(p, list, count, arena, &f) != AT_OK)
        return AT_ENOMEM;
    size_t s = 0, t = 0;
    f.source_offsets[0] = f.target_offsets[0] = 0;
    for (size_t b = 0; b < count; b++) {
        uint32_t i = list[b];
        size_t slen = at_dataset_length(&p->source, i), tlen = at_dataset_length(&p->target, i);
        memcpy(f.source + s, p->source.ids.id + p->source.offsets[i], slen * sizeof(int32_t));
        if (tlen) { /* a target holds at least its </s>; labelled texts have none */
            const int32_t *target = p->target.ids.id + p->target.offsets[i];
            memcpy(f.out + t, target, tlen * sizeof(int32_t));
            f.in[t] = l->options.bos;
            memcpy(f.in + t + 1, target, (tlen - 1) * sizeof(int32_t));
        }
        if (f.labels)
            f.labels[b] = p->labels[i];
        s += slen;
        t += tlen;
        f.source_offsets[b + 1] = (int32_t)s;
        f.target_offsets[b + 1] = (int32_t)t;
        f.examples[b] = i;
    }
    *batch = (at_batch){.source = {count, f.source_offsets, f.examples},
                        .target = {t ? count : 0, f.target_offsets, f.examples},
                        .source_ids = f.source,
                        .target_in = f.in,
                        .target_out = f.out,
                        .labels = f.labels};
    return p->links ? at_dataset_links_batch(p, list, count, arena, batch) : AT_OK;
}

static void release(at_loader *loader)
{
    at_plan_free(&((pair_loader *)loader)->plan);
}

at_status at_loader_new(at_dataset *set, const at_loader_options *options, at_loader **loader)
{
    static const at_loader_kind kind = {plan, fill, release};
    *loader = NULL;
    if (set->dropout > 0 && options->batch_tokens && options->batch_tokens < set->max_length)
        return at_fail(AT_EARG,
                       "data.batch_tokens: %zu is less than data.max_length %zu, which BPE dropout may reach",
                       options->batch_tokens, set->max_length);
    pair_loader *l = at_alloc_zero(1, sizeof *l);
    if (!l)
        return AT_ENOMEM;
    l->base.kind = &kind;
    l->set = set;
    l->options = *options;
    return at_loader_begin(&l->base, loader);
}
