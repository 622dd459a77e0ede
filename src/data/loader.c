#include "data/loader.h"
#include "base/memory.h"

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

static at_status plan(at_loader *loader, uint64_t epoch)
{
    if (loader->has_plan && loader->planned == epoch)
        return AT_OK;
    loader->has_plan = false;
    at_status st = loader->kind->plan(loader, epoch, &loader->batches);
    if (st != AT_OK)
        return st;
    loader->planned = epoch;
    loader->has_plan = true;
    return AT_OK;
}

at_status at_loader_begin(at_loader *loader, at_loader **out)
{
    at_status st = plan(loader, 0);
    if (st == AT_OK)
        *out = loader;
    else
        at_loader_free(loader);
    return st;
}

void at_loader_free(at_loader *loader)
{
    if (!loader)
        return;
    loader->kind->release(loader);
    at_free(loader);
}

at_status at_loader_next(at_loader *loader, at_arena *arena, at_batch *batch)
{
    *batch = (at_batch){0};
    at_status st = plan(loader, loader->cursor.epoch);
    if (st != AT_OK)
        return st;
    if (loader->cursor.batch >= loader->batches) {
        loader->cursor = (at_cursor){loader->cursor.epoch + 1, 0};
        return AT_OK;
    }
    st = loader->kind->fill(loader, (size_t)loader->cursor.batch, arena, batch);
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
    if (cursor.batch > loader->batches)
        return at_fail(AT_EARG,
                       "batch %llu of epoch %llu: it has %zu; resume with the data it was begun with",
                       (unsigned long long)cursor.batch, (unsigned long long)cursor.epoch, loader->batches);
    loader->cursor = cursor;
    return AT_OK;
}

size_t at_loader_batches(const at_loader *loader)
{
    return loader->has_plan ? loader->batches : 0;
}
