#include "image/cache.h"
#include <stdatomic.h>
#include "base/memory.h"

struct at_image_cache {
    size_t count, limit;
    atomic_size_t bytes, pictures, hits, misses;
    _Atomic(at_image *) slots[];
};

at_status at_image_cache_new(size_t count, size_t limit, at_image_cache **out)
{
    size_t bytes;
    *out = NULL;
    if (!at_mul_ok(count, sizeof(_Atomic(at_image *)), &bytes) || !at_add_ok(bytes, sizeof **out, &bytes))
        return at_fail(AT_ENOMEM, "cache of %zu pictures: too many", count);
    at_image_cache *cache = at_alloc(bytes);
    if (!cache)
        return AT_ENOMEM;
    cache->count = count;
    cache->limit = limit;
    atomic_init(&cache->bytes, 0);
    atomic_init(&cache->pictures, 0);
    atomic_init(&cache->hits, 0);
    atomic_init(&cache->misses, 0);
    for (size_t i = 0; i < count; i++)
        atomic_init(&cache->slots[i], NULL);
    *out = cache;
    return AT_OK;
}

static void free_picture(at_image *image)
{
    if (image)
        at_image_free(image);
    at_free(image);
}

void at_image_cache_free(at_image_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < cache->count; i++)
        free_picture(atomic_load_explicit(&cache->slots[i], memory_order_acquire));
    at_free(cache);
}

const at_image *at_image_cache_get(at_image_cache *cache, size_t index)
{
    AT_ASSERT(index < cache->count);
    const at_image *kept = atomic_load_explicit(&cache->slots[index], memory_order_acquire);
    atomic_fetch_add_explicit(kept ? &cache->hits : &cache->misses, 1, memory_order_relaxed);
    return kept;
}

/* True when the bytes were still to be had. */
static bool reserve(at_image_cache *cache, size_t bytes)
{
    size_t used = atomic_load_explicit(&cache->bytes, memory_order_relaxed);
    do {
        if (used > cache->limit || bytes > cache->limit - used)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&cache->bytes, &used, used + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

const at_image *at_image_cache_put(at_image_cache *cache, size_t index, at_image *image)
{
    AT_ASSERT(index < cache->count);
    size_t bytes = at_image_bytes(image) + sizeof *image;
    if (!reserve(cache, bytes))
        return NULL;
    at_image *moved = at_alloc(sizeof *moved);
    if (!moved) { /* room for one picture less */
        atomic_fetch_sub_explicit(&cache->bytes, bytes, memory_order_relaxed);
        return NULL;
    }
    *moved = *image;
    *image = (at_image){0};
    at_image *first = NULL;
    if (atomic_compare_exchange_strong_explicit(&cache->slots[index], &first, moved, memory_order_acq_rel,
                                                memory_order_acquire)) {
        atomic_fetch_add_explicit(&cache->pictures, 1, memory_order_relaxed);
        return moved;
    }
    free_picture(moved);
    atomic_fetch_sub_explicit(&cache->bytes, bytes, memory_order_relaxed);
    return first;
}

at_image_cache_figures at_image_cache_look(const at_image_cache *cache)
{
    return (at_image_cache_figures){.bytes = atomic_load(&cache->bytes),
                                    .limit = cache->limit,
                                    .pictures = atomic_load(&cache->pictures),
                                    .hits = atomic_load(&cache->hits),
                                    .misses = atomic_load(&cache->misses)};
}
