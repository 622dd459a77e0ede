#include <string.h>
#include "kernel/simd/simd.h"

static void widen(float *out, const at_bf16 *a, size_t n)
{
    for (size_t i = 0; i < n; i += AT_VEC)
        vec_store_n(out + i, vec_widen_n(a + i, vec_lanes(n - i)), vec_lanes(n - i));
}

static void narrow(at_bf16 *out, const float *a, size_t n)
{
    for (size_t i = 0; i < n; i += AT_VEC)
        vec_narrow_n(out + i, vec_load_n(a + i, vec_lanes(n - i)), vec_lanes(n - i));
}

static void round_bf16(float *out, const float *a, size_t n)
{
    for (size_t i = 0; i < n; i += AT_VEC) {
        size_t lanes = vec_lanes(n - i);
        vec_store_n(out + i, vec_round_bf16(vec_load_n(a + i, lanes)), lanes);
    }
}

/* One panel: columns in the inner loop where they lie side by side, else runs of each column (a transposed
 * matrix), so that both sides stay in the first cache. */
static void pack_panel(at_bf16 *out, const at_bf16 *b, size_t b_row, size_t b_col, size_t k, size_t width,
                       size_t panel)
{
    enum { RUN = 32 };
    if (width < panel || k % 2)
        memset(out, 0, at_bf16_panel(panel, k) * sizeof *out);
    for (size_t l = 0; l < k; l += RUN) {
        size_t end = k - l < RUN ? k : l + RUN;
        if (b_col == 1) {
            for (size_t i = l; i < end; i++)
                for (size_t j = 0; j < width; j++)
                    out[i / 2 * 2 * panel + 2 * j + i % 2] = b[i * b_row + j];
            continue;
        }
        for (size_t j = 0; j < width; j++)
            for (size_t i = l; i < end; i++)
                out[i / 2 * 2 * panel + 2 * j + i % 2] = b[i * b_row + j * b_col];
    }
}

static void pack_bf16(at_bf16 *out, const at_bf16 *b, size_t b_row, size_t b_col, size_t k, size_t n,
                      size_t p0, size_t p1)
{
    size_t panel = AT_SIMD_NAME(kernels)()->panel, size = at_bf16_panel(panel, k);
    for (size_t p = p0; p < p1; p++) {
        size_t left = n - p * panel;
        pack_panel(out + p * size, b + p * panel * b_col, b_row, b_col, k, left < panel ? left : panel,
                   panel);
    }
}

void AT_SIMD_NAME(fill_bf16)(at_kernels *table)
{
    table->widen = widen;
    table->narrow = narrow;
    table->round_bf16 = round_bf16;
    table->pack_bf16 = pack_bf16;
}
