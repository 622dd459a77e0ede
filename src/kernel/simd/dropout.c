#include "kernel/dropout.h"
#include "kernel/simd/philox.h"

typedef struct drop {
    at_uvec limit;
    at_vec scale;
} drop;

AT_INLINE void drop_step(float *out, const float *base, const float *a, at_uvec words, const drop *d,
                         size_t lanes)
{
    at_vec kept = vec_mul(vec_load_n(a, lanes), d->scale);
    kept = vec_select(uvec_less(words, d->limit), vec_zero(), kept);
    vec_store_n(out, base ? vec_add(vec_load_n(base, lanes), kept) : kept, lanes);
}

/* A vector of counters gives four vectors of elements. */
AT_INLINE void drop_row(float *out, const float *base, const float *a, size_t n, const drop *d,
                        const uint32_t key[2], const uint32_t counter[3])
{
    at_uvec block[4] = {uvec_count(), uvec_set(counter[0]), uvec_set(counter[1]), uvec_set(counter[2])};
    at_uvec words[4], in_order[4];
    for (size_t i = 0; i < n; i += 4 * AT_VEC) {
        uvec_philox(block, key, words);
        uvec_weave4(words, in_order);
        block[0] = uvec_add(block[0], uvec_set(AT_VEC));
        bool whole = i + 4 * AT_VEC <= n;
#pragma GCC unroll 4
        for (size_t v = 0; v < 4; v++) {
            size_t at = i + v * AT_VEC;
            if (whole)
                drop_step(out + at, base ? base + at : NULL, a + at, in_order[v], d, AT_VEC);
            else if (at < n)
                drop_step(out + at, base ? base + at : NULL, a + at, in_order[v], d, vec_lanes(n - at));
        }
    }
}

static void dropout(float *out, const float *base, const float *a, size_t n, float rate,
                    const uint32_t key[2], const uint32_t counter[3])
{
    const drop d = {uvec_set(at_drop_limit(rate)), vec_set(at_drop_scale(rate))};
    if (base)
        drop_row(out, base, a, n, &d, key, counter);
    else
        drop_row(out, NULL, a, n, &d, key, counter);
}

void AT_SIMD_NAME(fill_dropout)(at_kernels *table)
{
    table->dropout = dropout;
}
