/* base/rng.h - random numbers that do not depend on threads, shards or resume.
 *
 * Role    Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as
 *         1, 2, 3"): a function of key and counter, so dropout masks are computed
 *         again instead of stored; and a small sequential generator on top of it
 *         whose whole state is two numbers, for shuffles and initialisation.
 * Owns    Nothing.
 *
 *     at_rng rng = at_rng_make(seed, AT_RNG_SHUFFLE);
 *     uint32_t i = at_rng_below(&rng, n);
 */
#ifndef AT_BASE_RNG_H
#define AT_BASE_RNG_H
#include "base/status.h"

/* out[0..3] = Philox4x32-10(counter, key). */
void at_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

typedef struct at_rng {
    uint64_t key, position; /* number of 32-bit words drawn: save both to resume */
} at_rng;

enum { AT_RNG_INIT = 1, AT_RNG_SHUFFLE, AT_RNG_SAMPLE, AT_RNG_TOKENIZER, AT_RNG_TEST, AT_RNG_AUGMENT };

at_rng at_rng_make(uint64_t seed, uint32_t purpose);
uint32_t at_rng_word(at_rng *rng);
uint32_t at_rng_below(at_rng *rng, uint32_t limit); /* unbiased; limit >= 1 */
float at_rng_uniform(at_rng *rng);                  /* [0, 1) with 24 bits */
float at_rng_normal(at_rng *rng);                   /* mean 0, deviation 1 */
void at_rng_shuffle(at_rng *rng, uint32_t *items, size_t count);
#endif
