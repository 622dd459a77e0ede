#include "base/rng.h"
#include <math.h>

enum { ROUNDS = 10 };
static const uint32_t PHILOX_M0 = 0xD2511F53u, PHILOX_M1 = 0xCD9E8D57u; /* Salmon et al. 2011, table 2 */
static const uint32_t WEYL_0 = 0x9E3779B9u, WEYL_1 = 0xBB67AE85u;

/* SplitMix64's finaliser: seeds that differ in one bit give unrelated keys. */
static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

void at_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t p0 = (uint64_t)PHILOX_M0 * c0, p1 = (uint64_t)PHILOX_M1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

at_rng at_rng_make(uint64_t seed, uint32_t purpose)
{
    return (at_rng){mix(mix(seed) + purpose), 0};
}

uint32_t at_rng_word(at_rng *rng)
{
    uint64_t block = rng->position / 4;
    uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), 0, 0};
    uint32_t key[2] = {(uint32_t)rng->key, (uint32_t)(rng->key >> 32)};
    uint32_t words[4];
    at_philox(counter, key, words);
    return words[rng->position++ % 4];
}

/* Lemire 2019, "Fast random integer generation in an interval": multiply, and
 * draw again in the few cases that would make some results likelier. */
uint32_t at_rng_below(at_rng *rng, uint32_t limit)
{
    AT_ASSERT(limit >= 1);
    uint32_t reject = (0u - limit) % limit;
    for (;;) {
        uint64_t product = (uint64_t)at_rng_word(rng) * limit;
        if ((uint32_t)product >= reject)
            return (uint32_t)(product >> 32);
    }
}

float at_rng_uniform(at_rng *rng)
{
    return (float)(at_rng_word(rng) >> 8) * 0x1p-24f;
}

float at_rng_normal(at_rng *rng)
{
    double u = ((double)at_rng_word(rng) + 1) * 0x1p-32; /* (0, 1]: its logarithm exists */
    double v = (double)at_rng_word(rng) * 0x1p-32;
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

void at_rng_shuffle(at_rng *rng, uint32_t *items, size_t count)
{
    AT_ASSERT(count <= UINT32_MAX);
    for (size_t i = count; i > 1; i--) {
        uint32_t j = at_rng_below(rng, (uint32_t)i);
        uint32_t item = items[i - 1];
        items[i - 1] = items[j];
        items[j] = item;
    }
}
