/* kernel/visible.h - which keys a query sees.
 *
 * Role    The one rule of masks that the reference, every vector level and the tests share.
 * Owns    Nothing.
 * Errors  None.
 *
 *     at_visible keys = at_visible_keys(a, t);
 *     for (size_t s = keys.first; s < keys.end; s++) …
 */
#ifndef AT_KERNEL_VISIBLE_H
#define AT_KERNEL_VISIBLE_H
#include "kernel/kernel.h"

typedef struct at_visible {
    size_t first, end; /* both 0 when no key is visible */
} at_visible;

static inline at_visible at_visible_keys(const at_attend *a, size_t t)
{
    int64_t own = (int64_t)t + a->past, first = 0, end = (int64_t)a->keys;
    if (a->causal && own + a->ahead + 1 < end)
        end = own + a->ahead + 1;
    if (a->window > 0 && own - a->window + 1 > 0)
        first = own - a->window + 1;
    if (end <= first)
        return (at_visible){0, 0};
    return (at_visible){(size_t)first, (size_t)end};
}

/* The bias of query t against keys s0, s0 + 1, …; NULL: none. */
static inline const float *at_bias_at(const at_attend *a, size_t t, size_t s0)
{
    return a->bias ? a->bias + t * a->bias_stride + s0 : NULL;
}
#endif
