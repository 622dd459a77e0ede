/* image/cache.h - pictures kept between epochs, within a limit of bytes.
 *
 * Role    Holds decoded pictures by their number in the set. An epoch asks for each once, so what came first
 *         is kept and nothing is thrown out: with room for a third, a third of each epoch is served, where
 *         keeping the newest would serve none.
 * Owns    Its pictures, until at_image_cache_free; those handed out are borrowed until then.
 * Errors  AT_ENOMEM. Any number of threads may call get and put at once.
 *
 *     at_image_cache *cache;
 *     at_status st = at_image_cache_new(set.count, (size_t)1 << 30, &cache);
 *     const at_image *kept = at_image_cache_get(cache, i);
 *     if (!kept)
 *         kept = at_image_cache_put(cache, i, &image);    // takes it; NULL: no room, it stays the caller's
 */
#ifndef AT_IMAGE_CACHE_H
#define AT_IMAGE_CACHE_H
#include "image/image.h"

typedef struct at_image_cache at_image_cache;

typedef struct at_image_cache_figures {
    size_t bytes, limit, pictures, hits, misses;
} at_image_cache_figures;

at_status at_image_cache_new(size_t count, size_t limit, at_image_cache **cache);
void at_image_cache_free(at_image_cache *cache);
/* NULL: not there. */
const at_image *at_image_cache_get(at_image_cache *cache, size_t index);
/* Moves *image in and returns where it lies; also when another thread was first, whose copy is returned and
 * *image freed. NULL: the limit is reached; *image is as it was. */
const at_image *at_image_cache_put(at_image_cache *cache, size_t index, at_image *image);
at_image_cache_figures at_image_cache_look(const at_image_cache *cache);
#endif
