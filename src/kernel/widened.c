/* Attention in bf16 by way of a table's own attention in fp32. */
#include <string.h>
#include "kernel/internal.h"

/* Floats of `rows` rows of both widths, to whole cache lines. */
static size_t wide_floats(size_t rows, size_t d_key, size_t d_value)
{
    return (rows * (d_key + d_value) + 15) / 16 * 16;
}

static void widen_rows(const at_kernels *table, float *to, const at_bf16 *from, size_t stride, size_t rows,
                       size_t d)
{
    for (size_t r = 0; r < rows; r++)
        table->widen(to + r * d, from + r * stride, d);
}

static void narrow_rows(const at_kernels *table, at_bf16 *to, size_t stride, const float *from, size_t rows,
                        size_t d)
{
    for (size_t r = 0; r < rows; r++)
        table->narrow(to + r * stride, from + r * d, d);
}

size_t at_attend_wide_ends_scratch(size_t queries, size_t d_key, size_t d_value)
{
    return wide_floats(queries, d_key, d_value);
}

at_attend at_attend_wide_ends(const at_kernels *table, const at_attend *a, float *scratch)
{
    at_attend wide = *a;
    if (!a->q16)
        return wide;
    widen_rows(table, scratch, a->q16, a->q_stride, a->queries, a->d_key);
    wide.q = scratch;
    wide.o = scratch + a->queries * a->d_key;
    wide.q_stride = a->d_key;
    wide.o_stride = a->d_value;
    return wide;
}

void at_attend_narrow_out(const at_kernels *table, const at_attend *a, const at_attend *wide)
{
    if (a->q16)
        narrow_rows(table, a->o16, a->o_stride, wide->o, a->queries, a->d_value);
}

size_t at_attend_widened_scratch(const at_kernels *table, size_t queries, size_t keys, size_t d_key,
                                 size_t d_value)
{
    return wide_floats(keys, d_key, d_value) + wide_floats(queries, d_key, d_value) +
           table->attend_scratch(queries, keys, d_key, d_value);
}

void at_attend_widened(const at_kernels *table, const at_attend *a, float *scratch)
{
    float *k = scratch, *v = k + a->keys * a->d_key;
    for (size_t s = 0; s < a->keys; s++) {
        size_t row = a->rows ? (size_t)a->rows[s] : s;
        table->widen(k + s * a->d_key, a->k16 + row * a->k_stride, a->d_key);
        table->widen(v + s * a->d_value, a->v16 + row * a->v_stride, a->d_value);
    }
    scratch += wide_floats(a->keys, a->d_key, a->d_value);
    at_attend wide = at_attend_wide_ends(table, a, scratch);
    wide.k = k;
    wide.v = v;
    wide.k_stride = a->d_key;
    wide.v_stride = a->d_value;
    wide.rows = NULL;
    table->attend(&wide, scratch + wide_floats(a->queries, a->d_key, a->d_value));
    at_attend_narrow_out(table, a, &wide);
}

size_t at_attend_widened_backward_scratch(const at_kernels *table, size_t queries, size_t keys, size_t d_key,
                                          size_t d_value)
{
    return 2 * wide_floats(keys, d_key, d_value) + 2 * wide_floats(queries, d_key, d_value) +
           table->attend_scratch(queries, keys, d_key, d_value);
}

void at_attend_widened_backward(const at_kernels *table, const at_attend *a, float *scratch)
{
    size_t keys = wide_floats(a->keys, a->d_key, a->d_value),
           queries = wide_floats(a->queries, a->d_key, a->d_value);
    float *k = scratch, *v = k + a->keys * a->d_key, *d_k = scratch + keys, *d_v = d_k + a->keys * a->d_key;
    scratch += 2 * keys;
    float *d_q = scratch + queries, *d_o = d_q + a->queries * a->d_key;
    at_attend wide = at_attend_wide_ends(table, a, scratch);
    widen_rows(table, wide.o, a->o16, a->o_stride, a->queries, a->d_value);
    widen_rows(table, d_o, a->d_o16, a->o_stride, a->queries, a->d_value);
    widen_rows(table, k, a->k16, a->k_stride, a->keys, a->d_key);
    widen_rows(table, v, a->v16, a->v_stride, a->keys, a->d_value);
    memset(d_q, 0, a->queries * a->d_key * sizeof *d_q);
    memset(d_k, 0, keys * sizeof *d_k);
    wide.k = k;
    wide.v = v;
    wide.k_stride = a->d_key;
    wide.v_stride = a->d_value;
    wide.d_o = d_o;
    wide.d_q = d_q;
    wide.d_k = a->d_k ? a->d_k : d_k;
    wide.d_v = a->d_v ? a->d_v : d_v;
    table->attend_backward(&wide, scratch + 2 * queries);
    narrow_rows(table, a->d_q16, a->q_stride, d_q, a->queries, a->d_key);
    if (a->d_k16)
        narrow_rows(table, a->d_k16, a->k_stride, wide.d_k, a->keys, a->d_key);
    if (a->d_v16)
        narrow_rows(table, a->d_v16, a->v_stride, wide.d_v, a->keys, a->d_value);
}
