/* kernel/exec.h - which kernels, on which threads: what every operation runs on.
 *
 * Role    Chooses the kernel table for this CPU once, owns the thread pool, and runs
 *         the products and loops that several folders need, cut by shape.
 * Owns    The pool and one scratch block a worker. One caller thread at a time: a
 *         server has one at_exec a worker thread, the kernels being shared.
 * Errors  AT_EARG for an unknown kernel set (the message lists those this CPU can
 *         run), AT_ENOMEM.
 *
 *     at_exec *exec;
 *     at_status st = at_exec_new(NULL, 0, &exec);     // best kernels, all cores
 *     at_exec_gemm(exec, &g);
 */
#ifndef AT_KERNEL_EXEC_H
#define AT_KERNEL_EXEC_H
#include "base/pool.h"
#include "kernel/kernel.h"
#include "kernel/profile.h"

typedef struct at_exec {
    const at_kernels *kernels;
    at_pool *pool;
    int threads;
    struct at_scratch *scratch; /* private: one growing block a worker */
    at_profile *profile;        /* the caller's; NULL: no time is taken */
} at_exec;

/* name: "ref", "avx2", "avx512", "neon", or NULL: the environment's ATTEND_KERNELS, else the best. threads 0:
 * all. */
at_status at_exec_new(const char *name, int threads, at_exec **exec);
void at_exec_free(at_exec *exec);

/* Every set that this build has and this CPU can run, best first; the count. */
size_t at_kernels_usable(const at_kernels *const **list);
const char *at_cpu_name(void); /* "x86-64 avx512f avx512_bf16 …", for info */

/* Row ranges: task(context, first, end, worker) for slices of `grain` rows. Inline when one slice. */
typedef void at_range_task(void *context, size_t first, size_t end, int worker);
void at_exec_rows(at_exec *exec, size_t rows, size_t grain, at_range_task *task, void *context);

/* A worker's scratch of at least n floats (64-byte aligned), valid until that worker asks again. NULL never:
 * sizes are reserved beforehand with at_exec_reserve, which is what can fail. */
at_status at_exec_reserve(at_exec *exec, size_t floats);
float *at_exec_scratch(at_exec *exec, int worker);

/* The whole product on all threads. Small ones run inline. */
void at_exec_gemm(at_exec *exec, const at_gemm *g);
size_t at_packed_size(const at_exec *exec, size_t k, size_t n); /* floats */
void at_exec_pack(at_exec *exec, float *out, const float *b, size_t b_row, size_t b_col, size_t k, size_t n);
/* The same of numbers in bf16; sizes count at_bf16. */
size_t at_packed_bf16_size(const at_exec *exec, size_t k, size_t n);
void at_exec_pack_bf16(at_exec *exec, at_bf16 *out, const at_bf16 *b, size_t b_row, size_t b_col, size_t k,
                       size_t n);
/* The same of a matrix in fp32, rounded to bf16: element (l,j) at b[l*b_row + j]. */
void at_exec_pack_narrow(at_exec *exec, at_bf16 *out, const float *b, size_t b_row, size_t k, size_t n);
/* n numbers on all threads: out = a to the nearest, ties to even. round: there and back. */
void at_exec_narrow(at_exec *exec, at_bf16 *out, const float *a, size_t n);
void at_exec_round_bf16(at_exec *exec, float *out, const float *a, size_t n);
/* Points g->b at packed panels (k, n must be set) or at a plain row-major matrix. */
void at_gemm_packed(const at_exec *exec, at_gemm *g, const float *panels);
void at_gemm_packed_bf16(const at_exec *exec, at_gemm *g, const at_bf16 *panels);
void at_gemm_plain(const at_exec *exec, at_gemm *g, const float *b, size_t b_row);

/* The most that these threads reach: floating-point operations a second from registers, bytes a second read
 * from memory. Takes a third of a second and 128 MB. */
at_status at_exec_peaks(at_exec *exec, double *flops, double *bytes);

/* For the profile: work of the operation under way, and its end. Free when no profile is wanted. */
static inline void at_exec_count(at_exec *exec, double flops, double bytes)
{
    if (exec->profile) {
        exec->profile->flops += flops;
        exec->profile->bytes += bytes;
    }
}

static inline void at_exec_took(at_exec *exec, const char *name, bool backward)
{
    if (exec->profile)
        at_profile_take(exec->profile, name, backward);
}
#endif
