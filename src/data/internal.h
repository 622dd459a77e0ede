/* data/internal.h - what the loaders of this folder share. */
#ifndef AT_DATA_INTERNAL_H
#define AT_DATA_INTERNAL_H
#include "base/rng.h"

/* Of its own for each epoch, without drawing through those before it. */
static inline at_rng at_epoch_rng(uint64_t seed, uint64_t epoch)
{
    return at_rng_make(seed ^ (epoch + 1) * 0x9e3779b97f4a7c15u, AT_RNG_SHUFFLE);
}
#endif
