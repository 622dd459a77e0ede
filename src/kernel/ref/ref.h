/* kernel/ref/ref.h - the specification: every entry of the table in plain C.
 *
 * Role    What each kernel computes, written to be read. A vector level starts as a
 *         copy of these and overrides entries; tests hold each level against them.
 * Owns    Nothing. Contracts stand with the entries in kernel/kernel.h.
 * Errors  None: kernels cannot fail.
 */
#ifndef AT_KERNEL_REF_REF_H
#define AT_KERNEL_REF_REF_H
#include "kernel/kernel.h"

void at_ref_pack(float *out, const float *b, size_t b_row, size_t b_col, size_t k, size_t n, size_t p0,
                 size_t p1);
void at_ref_pack_narrow(at_bf16 *out, const float *b, size_t b_row, size_t k, size_t n, size_t p0, size_t p1);
void at_ref_pack_bf16(at_bf16 *out, const at_bf16 *b, size_t b_row, size_t b_col, size_t k, size_t n,
                      size_t p0, size_t p1);
void at_ref_widen(float *out, const at_bf16 *a, size_t n);
void at_ref_narrow(at_bf16 *out, const float *a, size_t n);
void at_ref_round_bf16(float *out, const float *a, size_t n);
void at_ref_gemm(const at_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1);

void at_ref_attend(const at_attend *a, float *scratch);
void at_ref_attend_bf16(const at_attend *a, float *scratch);
size_t at_ref_attend_bf16_scratch(size_t queries, size_t keys, size_t d_key, size_t d_value);
void at_ref_attend_bf16_backward(const at_attend *a, float *scratch);
size_t at_ref_attend_bf16_backward_scratch(size_t queries, size_t keys, size_t d_key, size_t d_value);
void at_ref_attend_backward(const at_attend *a, float *scratch);
void at_ref_attend_weights(const at_attend *a, size_t t0, size_t t1, at_stage stage, float *out);
size_t at_ref_attend_scratch(size_t queries, size_t keys, size_t d_key, size_t d_value);

void at_ref_add(float *out, const float *a, const float *b, size_t n);
void at_ref_mul(float *out, const float *a, const float *b, size_t n);
void at_ref_mul_add(float *out, const float *a, const float *b, size_t n);
void at_ref_scale(float *out, const float *a, float s, size_t n);
void at_ref_axpy(float *out, float s, const float *a, size_t n);
void at_ref_exp(float *out, const float *a, size_t n);
void at_ref_activate(float *out, const float *a, at_activation f, size_t n);
void at_ref_activate_backward(float *d_in, const float *d_out, const float *before, const float *after,
                              at_activation f, size_t n);
void at_ref_dropout(float *out, const float *base, const float *a, size_t n, float rate,
                    const uint32_t key[2], const uint32_t counter[3]);
void at_ref_larger(float *best, float *which, const float *x, float tap, size_t n);
void at_ref_add_where(float *d, const float *d_out, const float *which, float tap, size_t n);

float at_ref_max(const float *a, size_t n);
float at_ref_dot(const float *a, const float *b, size_t n);
double at_ref_sum_squares(const float *a, size_t n);
float at_ref_sum_exp(const float *a, float max, size_t n);
void at_ref_softmax(float *out, const float *a, size_t n);
void at_ref_log_softmax(float *out, const float *a, size_t n);
void at_ref_log_softmax_backward(float *d_in, const float *out, const float *d_out, size_t n);
void at_ref_softmax_backward(float *d_in, const float *w, const float *d_w, size_t n);

void at_ref_sparsemax(float *out, const float *a, size_t n);
void at_ref_sparsemax_backward(float *d_in, const float *w, const float *d_w, size_t n);
void at_ref_additive(const at_additive *a, float *scores);
void at_ref_additive_backward(const at_additive *a);

void at_ref_layer_norm(float *out, float *mean, float *rstd, const float *x, const float *gamma,
                       const float *beta, size_t rows, size_t d, float eps);
void at_ref_layer_norm_backward(float *d_x, float *d_gamma, float *d_beta, const float *d_out, const float *x,
                                const float *mean, const float *rstd, const float *gamma, size_t rows,
                                size_t d);
void at_ref_rms_norm(float *out, float *rstd, const float *x, const float *gamma, size_t rows, size_t d,
                     float eps);
void at_ref_rms_norm_backward(float *d_x, float *d_gamma, const float *d_out, const float *x,
                              const float *rstd, const float *gamma, size_t rows, size_t d);
void at_ref_turn(const at_turn *r);
void at_ref_column_sum(float *d_bias, const float *d_out, size_t stride, size_t rows, size_t n);

float at_ref_cross_entropy(float *logits, size_t n, size_t target, float smoothing, float scale);
void at_ref_cell(const at_cell_step *s, size_t first, size_t end);
void at_ref_cell_reset(const at_cell_step *s, size_t first, size_t end);
void at_ref_cell_backward(const at_cell_step *s, size_t first, size_t end);
void at_ref_cell_reset_backward(const at_cell_step *s, size_t first, size_t end);

void at_ref_adam(float *p, float *m, float *v, const float *g, size_t n, const at_adam *a);
double at_ref_peak(float *sink);
#endif
