#include "kernel/ref/ref.h"

enum { PANEL = 16 }; /* as in the table */

void at_ref_pack(float *out, const float *b, size_t b_row, size_t b_col, size_t k, size_t n, size_t p0,
                 size_t p1)
{
    for (size_t p = p0; p < p1; p++) {
        float *panel = out + p * k * PANEL;
        for (size_t l = 0; l < k; l++)
            for (size_t j = 0; j < PANEL; j++) {
                size_t column = p * PANEL + j;
                panel[l * PANEL + j] = column < n ? b[l * b_row + column * b_col] : 0.0f;
            }
    }
}

/* One row of one panel: sums over l in order, whatever row and panel it is. */
static void gemm_row(const at_gemm *g, size_t i, size_t j0, size_t width)
{
    float sum[PANEL];
    float *c = g->c + i * g->c_row + j0;
    for (size_t j = 0; j < width; j++)
        sum[j] = g->accumulate ? c[j] : 0.0f;
    for (size_t l = 0; l < g->k; l++) {
        float a = g->a[i * g->a_row + l * g->a_col];
        if (g->b16) {
            const at_bf16 *b = g->b16 + j0 / PANEL * g->b_panel + l / 2 * 2 * PANEL + l % 2;
            for (size_t j = 0; j < width; j++)
                sum[j] += a * at_bf16_to_f32(b[2 * j]);
            continue;
        }
        const float *b = g->b + j0 / PANEL * g->b_panel + l * g->b_row;
        for (size_t j = 0; j < width; j++)
            sum[j] += a * b[j];
    }
    if (g->bias)
        for (size_t j = 0; j < width; j++)
            sum[j] += g->bias[j0 + j];
    if (g->before)
        for (size_t j = 0; j < width; j++)
            g->before[i * g->c_row + j0 + j] = sum[j];
    at_ref_activate(c, sum, g->activation, width);
    if (g->residual)
        for (size_t j = 0; j < width; j++)
            c[j] += g->residual[i * g->c_row + j0 + j];
}

void at_ref_gemm(const at_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1)
{
    for (size_t j = n0; j < n1; j += PANEL)
        for (size_t i = m0; i < m1; i++)
            gemm_row(g, i, j, n1 - j < PANEL ? n1 - j : PANEL);
}
