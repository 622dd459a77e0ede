#include "kernel/ref/ref.h"

enum { PANEL = 16 }; /* as in the table */

void at_ref_widen(float *out, const at_bf16 *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = at_bf16_to_f32(a[i]);
}

void at_ref_narrow(at_bf16 *out, const float *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = at_f32_to_bf16(a[i]);
}

void at_ref_round_bf16(float *out, const float *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = at_bf16_to_f32(at_f32_to_bf16(a[i]));
}

void at_ref_pack_bf16(at_bf16 *out, const at_bf16 *b, size_t b_row, size_t b_col, size_t k, size_t n,
                      size_t p0, size_t p1)
{
    size_t size = at_bf16_panel(PANEL, k);
    for (size_t p = p0; p < p1; p++)
        for (size_t x = 0; x < size; x++) {
            size_t l = x / (2 * PANEL) * 2 + x % 2, j = p * PANEL + x / 2 % PANEL;
            out[p * size + x] = l < k && j < n ? b[l * b_row + j * b_col] : 0;
        }
}

/* The reference is the fp32 attention of the widened numbers. */
size_t at_ref_attend_bf16_scratch(size_t queries, size_t keys, size_t d_key, size_t d_value)
{
    return (keys * (d_key + d_value) + 15) / 16 * 16 + at_ref_attend_scratch(queries, keys, d_key, d_value);
}

void at_ref_attend_bf16(const at_attend *a, float *scratch)
{
    float *k = scratch, *v = k + a->keys * a->d_key;
    for (size_t s = 0; s < a->keys; s++) {
        size_t row = a->rows ? (size_t)a->rows[s] : s;
        at_ref_widen(k + s * a->d_key, a->k16 + row * a->k_stride, a->d_key);
        at_ref_widen(v + s * a->d_value, a->v16 + row * a->v_stride, a->d_value);
    }
    at_attend wide = *a;
    wide.k = k;
    wide.v = v;
    wide.k_stride = a->d_key;
    wide.v_stride = a->d_value;
    wide.rows = NULL;
    at_ref_attend(&wide, scratch + (a->keys * (a->d_key + a->d_value) + 15) / 16 * 16);
}
