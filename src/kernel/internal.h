/* kernel/internal.h - what the files of this folder share and nobody else sees. */
#ifndef AT_KERNEL_INTERNAL_H
#define AT_KERNEL_INTERNAL_H
#include "kernel/kernel.h"

/* What this CPU and its operating system can run (kernel/cpu.c). */
bool at_cpu_runs_avx2(void);
bool at_cpu_runs_avx512(void);
bool at_cpu_runs_avx512bf16(void);

/* The levels' tables (kernel/simd/table.c, once a level); which exist, the build says by AT_HAVE_AVX2 and so
 * on. */
const at_kernels *at_avx2_kernels(void);
const at_kernels *at_avx512_kernels(void);
const at_kernels *at_avx512bf16_kernels(void); /* kernel/simd/gemm_dots.c */
const at_kernels *at_neon_kernels(void);

/* A table's attend_bf16 and attend_bf16_backward by its own widen, narrow and fp32 attention, in as much
 * scratch (kernel/widened.c). */
void at_attend_widened(const at_kernels *table, const at_attend *a, float *scratch);
size_t at_attend_widened_scratch(const at_kernels *table, size_t queries, size_t keys, size_t d_key,
                                 size_t d_value);
void at_attend_widened_backward(const at_kernels *table, const at_attend *a, float *scratch);
size_t at_attend_widened_backward_scratch(const at_kernels *table, size_t queries, size_t keys, size_t d_key,
                                          size_t d_value);
/* `a` with queries and outputs in fp32: as they are, or, being in bf16, widened into scratch, of which
 * at_attend_wide_ends_scratch floats are used; and what came out rounded to where it belongs. */
at_attend at_attend_wide_ends(const at_kernels *table, const at_attend *a, float *scratch);
size_t at_attend_wide_ends_scratch(size_t queries, size_t d_key, size_t d_value);
void at_attend_narrow_out(const at_kernels *table, const at_attend *a, const at_attend *wide);
#endif
