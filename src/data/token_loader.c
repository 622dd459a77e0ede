/* Windows of a stream, and documents, as batches. */
#include <string.h>
#include "base/memory.h"
#include "data/internal.h"
#include "data/plan.h"
#include "data/tokens.h"

/* Arrays of a batch of `count` sequences with `rows` rows together, empty. */
static at_status new_batch(at_arena *arena, size_t count, size_t rows, at_batch *batch, int32_t **in,
                           int32_t **out)
{
    int32_t *offsets = at_arena_array(arena, count + 1, sizeof *offsets);
    uint32_t *examples = at_arena_array(arena, count, sizeof *examples);
    *in = at_arena_array(arena, rows, sizeof **in);
    *out = at_arena_array(arena, rows, sizeof **out);
    if (!offsets || !examples || !*in || !*out)
        return AT_ENOMEM;
    offsets[0] = 0;
    *batch = (at_batch){.target = {count, offsets, examples}, .target_in = *in, .target_out = *out};
    return AT_OK;
}

/* ---------------------------------------------------------------- a stream */

typedef struct stream_loader {
    at_loader base;
    const at_tokens *tokens;
    at_stream_options options;
    size_t first; /* where the first window of this epoch begins */
    size_t count; /* windows */
    uint32_t *order;
} stream_loader;

static at_status plan_stream(at_loader *loader, uint64_t epoch, size_t *batches)
{
    stream_loader *l = (stream_loader *)loader;
    const at_stream_options *o = &l->options;
    size_t last = l->tokens->count - 1; /* predictions there are */
    at_rng rng = at_epoch_rng(o->seed, epoch);
    l->first = 0;
    l->count = (last + o->window - 1) / o->window;
    if (o->shuffle && last >= 2 * o->window) { /* whole windows only: a rest of another length teaches less */
        l->first = at_rng_below(&rng, (uint32_t)o->window);
        l->count = (last - l->first) / o->window;
    }
    if (l->count >= UINT32_MAX)
        return at_fail(AT_EARG, "data.max_length: more than %u windows of %zu pieces; raise it",
                       UINT32_MAX - 1, o->window);
    if (!l->order) /* the first epoch may have fewer windows than another, by one */
        l->order = at_alloc_array(l->count + 2, sizeof *l->order);
    if (!l->order)
        return AT_ENOMEM;
    for (uint32_t i = 0; i < l->count; i++)
        l->order[i] = i;
    if (o->shuffle)
        at_rng_shuffle(&rng, l->order, l->count);
    *batches = (l->count + o->windows - 1) / o->windows;
    return AT_OK;
}

static at_status fill_stream(at_loader *loader, size_t number, at_arena *arena, at_batch *batch)
{
    const stream_loader *l = (const stream_loader *)loader;
    size_t window = l->options.window, last = l->tokens->count - 1, begin = number * l->options.windows;
    size_t count = l->count - begin < l->options.windows ? l->count - begin : l->options.windows, rows = 0;
    int32_t *in, *out;
    at_status st = new_batch(arena, count, count * window, batch, &in, &out);
    if (st != AT_OK)
        return st;
    int32_t *offsets = (int32_t *)(uintptr_t)batch->target.offsets;
    uint32_t *examples = (uint32_t *)(uintptr_t)batch->target.examples;
    for (size_t b = 0; b < count; b++) {
        size_t at = l->first + (size_t)l->order[begin + b] * window;
        size_t length = last - at < window ? last - at : window;
        at_tokens_read(l->tokens, at, length, in + rows);
        at_tokens_read(l->tokens, at + 1, length, out + rows);
        rows += length;
        offsets[b + 1] = (int32_t)rows;
        examples[b] = l->order[begin + b];
    }
    return AT_OK;
}

static void release_stream(at_loader *loader)
{
    at_free(((stream_loader *)loader)->order);
}

at_status at_stream_loader_new(const at_tokens *tokens, const at_stream_options *options, at_loader **loader)
{
    static const at_loader_kind kind = {plan_stream, fill_stream, release_stream};
    *loader = NULL;
    AT_ASSERT(options->window > 0 && options->windows > 0 && options->window <= INT32_MAX / options->windows);
    stream_loader *l = at_alloc_zero(1, sizeof *l);
    if (!l)
        return AT_ENOMEM;
    l->base.kind = &kind;
    l->tokens = tokens;
    l->options = *options;
    return at_loader_begin(&l->base, loader);
}

/* ---------------------------------------------------------------- documents */

typedef struct document_loader {
    at_loader base;
    const at_tokens *tokens;
    at_document_options options;
    at_plan plan;
    size_t *starts; /* (count+1) of the documents that are used: in the file */
    size_t *ends;   /* (count) behind </s> */
    size_t count, starts_capacity, ends_capacity;
} document_loader;

static size_t document_rows(const void *of, uint32_t i)
{
    const document_loader *l = of;
    size_t rows = l->ends[i] - l->starts[i];
    return rows > l->options.most ? l->options.most : rows;
}

static at_status plan_documents(at_loader *loader, uint64_t epoch, size_t *batches)
{
    document_loader *l = (document_loader *)loader;
    at_plan_lengths lengths = {l, l->count, NULL, document_rows};
    at_status st = at_plan_make(&l->plan, &lengths, &l->options.batches, epoch);
    *batches = l->plan.count;
    return st;
}

static at_status fill_documents(at_loader *loader, size_t number, at_arena *arena, at_batch *batch)
{
    const document_loader *l = (const document_loader *)loader;
    size_t count, rows = 0;
    const uint32_t *list = at_plan_batch(&l->plan, number, &count);
    for (size_t b = 0; b < count; b++)
        rows += document_rows(l, list[b]);
    int32_t *in, *out;
    at_status st = new_batch(arena, count, rows, batch, &in, &out);
    if (st != AT_OK)
        return st;
    int32_t *offsets = (int32_t *)(uintptr_t)batch->target.offsets;
    uint32_t *examples = (uint32_t *)(uintptr_t)batch->target.examples;
    rows = 0;
    for (size_t b = 0; b < count; b++) {
        size_t length = document_rows(l, list[b]);
        at_tokens_read(l->tokens, l->starts[list[b]], length, out + rows);
        out[rows + length - 1] = l->tokens->eos; /* also where it was cut */
        in[rows] = l->options.batches.bos;
        memcpy(in + rows + 1, out + rows, (length - 1) * sizeof *in);
        rows += length;
        offsets[b + 1] = (int32_t)rows;
        examples[b] = list[b];
    }
    return AT_OK;
}

static void release_documents(at_loader *loader)
{
    document_loader *l = (document_loader *)loader;
    at_plan_free(&l->plan);
    at_free(l->starts);
    at_free(l->ends);
}

static at_status add_document(document_loader *l, size_t start, size_t end, size_t *left_out)
{
    if (end - start > l->options.most)
        ++*left_out;
    if (end - start > l->options.most && !l->options.cut)
        return AT_OK;
    at_status st = at_grow(&l->starts, &l->starts_capacity, l->count + 1, sizeof *l->starts);
    if (st == AT_OK)
        st = at_grow(&l->ends, &l->ends_capacity, l->count + 1, sizeof *l->ends);
    if (st != AT_OK)
        return st;
    l->starts[l->count] = start;
    l->ends[l->count++] = end;
    return l->count < UINT32_MAX ? AT_OK : at_fail(AT_EARG, "more than %u documents", UINT32_MAX - 1);
}

static at_status find_documents(document_loader *l, size_t *left_out)
{
    enum { AT_ONCE = 4096 };
    int32_t ids[AT_ONCE];
    size_t start = 0;
    at_status st = AT_OK;
    for (size_t at = 0; st == AT_OK && at < l->tokens->count; at += AT_ONCE) {
        size_t n = l->tokens->count - at < AT_ONCE ? l->tokens->count - at : AT_ONCE;
        at_tokens_read(l->tokens, at, n, ids);
        for (size_t i = 0; st == AT_OK && i < n; i++) {
            if (ids[i] != l->tokens->eos)
                continue;
            st = add_document(l, start, at + i + 1, left_out);
            start = at + i + 1;
        }
    }
    return st;
}

at_status at_document_loader_new(const at_tokens *tokens, const at_document_options *options,
                                 at_loader **loader, size_t *left_out)
{
    static const at_loader_kind kind = {plan_documents, fill_documents, release_documents};
    *loader = NULL;
    *left_out = 0;
    document_loader *l = at_alloc_zero(1, sizeof *l);
    if (!l)
        return AT_ENOMEM;
    l->base.kind = &kind;
    l->tokens = tokens;
    l->options = *options;
    at_status st = find_documents(l, left_out);
    if (st == AT_OK && !l->count)
        st = at_fail(AT_EFORMAT, "no document of at most %zu pieces (data.max_length)", options->most);
    if (st != AT_OK) {
        at_loader_free(&l->base);
        return st;
    }
    return at_loader_begin(&l->base, loader);
}
