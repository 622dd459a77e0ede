/* Attention with keys and values in bf16 by way of a table's own attention in fp32. */
#include "kernel/internal.h"

/* Floats of a head's keys and values, to whole cache lines. */
static size_t wide_floats(size_t keys, size_t d_key, size_t d_value)
{
    return (keys * (d_key + d_value) + 15) / 16 * 16;
}

size_t at_attend_widened_scratch(const at_kernels *table, size_t queries, size_t keys, size_t d_key,
                                 size_t d_value)
{
    return wide_floats(keys, d_key, d_value) + table->attend_scratch(queries, keys, d_key, d_value);
}

void at_attend_widened(const at_kernels *table, const at_attend *a, float *scratch)
{
    float *k = scratch, *v = k + a->keys * a->d_key;
    for (size_t s = 0; s < a->keys; s++) {
        size_t row = a->rows ? (size_t)a->rows[s] : s;
        table->widen(k + s * a->d_key, a->k16 + row * a->k_stride, a->d_key);
        table->widen(v + s * a->d_value, a->v16 + row * a->v_stride, a->d_value);
    }
    at_attend wide = *a;
    wide.k = k;
    wide.v = v;
    wide.k_stride = a->d_key;
    wide.v_stride = a->d_value;
    wide.rows = NULL;
    table->attend(&wide, scratch + wide_floats(a->keys, a->d_key, a->d_value));
}
