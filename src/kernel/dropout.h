/* kernel/dropout.h - what "kept with probability 1 - rate" means in whole numbers.
 *
 * Role    The one rule that the reference, every vector level and the tests share, so
 *         that a mask has the same bits everywhere.
 * Owns    Nothing.
 * Errors  None; rate must be in [0, 1).
 *
 *     uint32_t limit = at_drop_limit(rate);
 *     float kept = word >= limit ? x * at_drop_scale(rate) : 0;
 */
#ifndef AT_KERNEL_DROPOUT_H
#define AT_KERNEL_DROPOUT_H
#include <stdint.h>

/* The least word that is kept: rate * 2^32, rounded up. rate is a float, so the product is exact. */
static inline uint32_t at_drop_limit(float rate)
{
    double limit = (double)rate * 4294967296.0;
    uint32_t whole = (uint32_t)limit;
    return whole < limit ? whole + 1 : whole;
}

static inline float at_drop_scale(float rate)
{
    return 1.0f / (1.0f - rate);
}
#endif
