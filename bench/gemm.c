/* bench/gemm.c - how near the products come to what this CPU can do.
 *
 * First the peak: multiply-adds on registers alone, on all threads. Then the products that a Transformer
 * is made of, each with B packed and with B as a plain matrix, in GFLOP/s and as a share of the peak of all
 * threads.
 *
 *     gemm [THREADS]                  # default 1; ATTEND_KERNELS=avx2 chooses the kernels
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernel/exec.h"

static const double SECONDS_A_SHAPE = 0.25;

typedef struct shape {
    const char *what;
    size_t m, n, k;
    bool transposed;
} shape;

/* GFLOP/s in the best of the runs. */
static double speed(at_exec *exec, const at_gemm *g)
{
    double best = 1e9, end = at_clock() + SECONDS_A_SHAPE;
    int runs = 0;
    do {
        double start = at_clock();
        at_exec_gemm(exec, g);
        double took = at_clock() - start;
        best = took < best ? took : best;
    } while (at_clock() < end || ++runs < 2);
    return 2.0 * (double)g->m * (double)g->n * (double)g->k / best / 1e9;
}

static float *filled(size_t n)
{
    float *x = at_alloc_aligned(n, sizeof *x);
    if (!x)
        exit(1);
    at_rng rng = at_rng_make(1, AT_RNG_TEST);
    for (size_t i = 0; i < n; i++)
        x[i] = at_rng_uniform(&rng) - 0.5f;
    return x;
}

static void measure(at_exec *exec, const shape *s, double peak_rate)
{
    float *a = filled(s->m * s->k), *b = filled(s->k * s->n), *c = filled(s->m * s->n);
    float *packed = filled(at_packed_size(exec, s->k, s->n));
    at_gemm g = {.a = a,
                 .a_row = s->transposed ? 1 : s->k,
                 .a_col = s->transposed ? s->m : 1,
                 .c = c,
                 .c_row = s->n,
                 .m = s->m,
                 .n = s->n,
                 .k = s->k};
    at_exec_pack(exec, packed, b, s->n, 1, s->k, s->n);
    at_gemm_packed(exec, &g, packed);
    double with_packed = speed(exec, &g);
    at_gemm_plain(exec, &g, b, s->n);
    double with_plain = speed(exec, &g);
    printf("%-26s %6zu x %5zu x %5zu   packed %6.1f GFLOP/s", s->what, s->m, s->k, s->n, with_packed);
    if (peak_rate > 0)
        printf(" %3.0f %%", 100 * with_packed / peak_rate);
    printf("   plain %6.1f GFLOP/s", with_plain);
    if (peak_rate > 0)
        printf(" %3.0f %%", 100 * with_plain / peak_rate);
    printf("\n");
    at_free_aligned(a);
    at_free_aligned(b);
    at_free_aligned(c);
    at_free_aligned(packed);
}

int main(int count, char **arguments)
{
    static const shape shapes[] = {{"one row", 1, 128, 128, false},
                                   {"one row, logits", 1, 10000, 128, false},
                                   {"5 rows", 5, 128, 128, false},
                                   {"5 rows, logits", 5, 10000, 128, false},
                                   {"8 rows", 8, 256, 128, false},
                                   {"8 rows, logits", 8, 10000, 128, false},
                                   {"32 rows", 32, 128, 128, false},
                                   {"32 rows, wide", 32, 512, 512, false},
                                   {"160 rows", 160, 256, 128, false},
                                   {"160 rows, logits", 160, 10000, 128, false},
                                   {"projection", 4096, 128, 128, false},
                                   {"feed-forward in", 4096, 256, 128, false},
                                   {"feed-forward out", 4096, 128, 256, false},
                                   {"base projection", 4096, 512, 512, false},
                                   {"logits", 4096, 10000, 128, false},
                                   {"logits back", 4096, 128, 10000, false},
                                   {"weight gradient", 128, 128, 4096, true},
                                   {"weight gradient, 256", 128, 256, 4096, true},
                                   {"logits weight gradient", 10000, 128, 4096, true},
                                   {"logits weight, 256 rows", 10000, 128, 256, true},
                                   {"10000 rows", 10000, 128, 256, false}};
    at_exec *exec;
    if (at_exec_new(NULL, count > 1 ? atoi(arguments[1]) : 1, &exec) != AT_OK) {
        fprintf(stderr, "%s\n", at_error_message());
        return 1;
    }
    double rate, memory;
    if (at_exec_peaks(exec, &rate, &memory) != AT_OK) {
        fprintf(stderr, "%s\n", at_error_message());
        return 1;
    }
    rate /= 1e9;
    printf("%s; kernels %s; %d threads; peak %.1f GFLOP/s, memory %.1f GB/s\n", at_cpu_name(),
           exec->kernels->name, exec->threads, rate, memory / 1e9);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        measure(exec, &shapes[i], rate);
    at_exec_free(exec);
    return 0;
}
