/* tests/kernel/levels.h - what the kernels' tests share.
 *
 * Role    Every kernel set this CPU can run, the sizes at which vector loops go wrong,
 *         and numbers to run them on.
 * Owns    Nothing.
 *
 *     for (size_t l = 0; l < level_count(); l++)
 *         try_it(level(l));
 */
#ifndef AT_TESTS_KERNEL_LEVELS_H
#define AT_TESTS_KERNEL_LEVELS_H
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/rng.h"
#include "kernel/exec.h"
#include "tests/check.h"

/* Nothing, one, odd, a vector of 4, 8 or 16 floats and one less and more, some unrolled vectors, a long
 * row. */
static const size_t edge_sizes[] = {0,  1,  2,  3,  4,  5,  7,  8,  9,   15,  16,  17,  31,  32,
                                    33, 47, 48, 63, 64, 65, 80, 96, 127, 128, 129, 255, 257, 1003};
enum { EDGE_SIZES = sizeof edge_sizes / sizeof *edge_sizes, LONGEST = 1003 };

static inline size_t level_count(void)
{
    const at_kernels *const *list;
    return at_kernels_usable(&list);
}

static inline const at_kernels *level(size_t i)
{
    const at_kernels *const *list;
    at_kernels_usable(&list);
    return list[i];
}

static inline void fill(at_rng *rng, float *x, size_t n, float spread)
{
    for (size_t i = 0; i < n; i++)
        x[i] = spread * at_rng_normal(rng);
}

/* A guarded block with n normal numbers. */
static inline float *random_block(at_rng *rng, size_t n, float spread)
{
    float *x = check_guarded(n);
    fill(rng, x, n, spread);
    return x;
}

static inline float *copy_block(const float *from, size_t n)
{
    float *x = check_guarded(n);
    if (n > 0)
        memcpy(x, from, n * sizeof *x);
    return x;
}
#endif
