#include "kernel/internal.h"
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

void at_ref_pack_narrow(at_bf16 *out, const float *b, size_t b_row, size_t k, size_t n, size_t p0, size_t p1)
{
    size_t size = at_bf16_panel(PANEL, k);
    for (size_t p = p0; p < p1; p++)
        for (size_t x = 0; x < size; x++) {
            size_t l = x / (2 * PANEL) * 2 + x % 2, j = p * PANEL + x / 2 % PANEL;
            out[p * size + x] = l < k && j < n ? at_f32_to_bf16(b[l * b_row + j]) : 0;
        }
}

size_t at_ref_attend_bf16_scratch(size_t queries, size_t keys, size_t d_key, size_t d_value)
{
    return at_attend_widened_scratch(&at_kernels_ref, queries, keys, d_key, d_value);
}

void at_ref_attend_bf16(const at_attend *a, float *scratch)
{
    at_attend_widened(&at_kernels_ref, a, scratch);
}

size_t at_ref_attend_bf16_backward_scratch(size_t queries, size_t keys, size_t d_key, size_t d_value)
{
    return at_attend_widened_backward_scratch(&at_kernels_ref, queries, keys, d_key, d_value);
}

void at_ref_attend_bf16_backward(const at_attend *a, float *scratch)
{
    at_attend_widened_backward(&at_kernels_ref, a, scratch);
}
