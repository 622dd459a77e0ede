/* bench/gemm.c - how near the products come to what this CPU can do.
 *
 * First the peak: multiply-adds on registers alone, on all threads. Then the products that a Transformer
 * is made of, each with B packed, with B as a plain matrix and with B packed in bf16, in GFLOP/s and as a
 * share of the peak of all threads; and, where the build has found oneDNN, its dnnl_sgemm in turn with ours.
 * oneDNN's threads are OpenMP's: set OMP_NUM_THREADS to the same number.
 *
 *     gemm [THREADS] [--json] [--quick] [--peaks]  # default 1 thread; --peaks: no products
 *     gemm 64x512x1536 4096x128x512t               # only these, m x k x n; t: A lies transposed
 *     ATTEND_KERNELS=avx2 gemm                     # chooses the kernels
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <string.h>
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernel/exec.h"
#ifdef AT_HAVE_DNNL
#include <dnnl.h>
#endif

enum { PACKED, PLAIN, NARROW, ONEDNN, WAYS, ROUNDS = 3 };

typedef struct shape {
    const char *what;
    size_t m, n, k;
    bool transposed;
} shape;

/* One way to a product; what it needs. */
typedef struct product {
    at_exec *exec;
    at_gemm ways[3]; /* PACKED, PLAIN, NARROW */
    const shape *s;
    const float *a, *b;
    float *c;
} product;

static void run(const product *p, int way)
{
    if (way != ONEDNN) {
        at_exec_gemm(p->exec, &p->ways[way]);
        return;
    }
#ifdef AT_HAVE_DNNL
    dnnl_dim_t m = (dnnl_dim_t)p->s->m, n = (dnnl_dim_t)p->s->n, k = (dnnl_dim_t)p->s->k;
    bool t = p->s->transposed;
    if (dnnl_sgemm(t ? 'T' : 'N', 'N', m, n, k, 1, p->a, t ? m : k, p->b, n, 0, p->c, n) != dnnl_success)
        exit(1);
#endif
}

/* Processor time where one thread does all, which other work on the machine disturbs little. */
static double now(const product *p)
{
    if (p->exec->threads > 1)
        return at_clock();
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of a run: the fastest of the batches in this slice, each long beside the clock's own time. */
static double fastest(const product *p, int way, double slice)
{
    static const double A_BATCH = 1e-4;
    double begin = now(p), best = 1e9, start;
    run(p, way);
    int runs = 1 + (int)(A_BATCH / (now(p) - begin + 1e-7)), batches = 0;
    do {
        start = now(p);
        for (int i = 0; i < runs; i++)
            run(p, way);
        double took = (now(p) - start) / runs;
        best = took < best ? took : best;
    } while (start - begin < slice || ++batches < 2);
    return best;
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

/* oneDNN is compared with where it takes as many threads as we do: OMP_NUM_THREADS says so. */
static bool has(const at_exec *exec, int way)
{
#ifdef AT_HAVE_DNNL
    const char *threads = getenv("OMP_NUM_THREADS");
    return way != ONEDNN || (threads && atoi(threads) == exec->threads);
#else
    (void)exec;
    return way != ONEDNN;
#endif
}

static void report(const at_exec *exec, const shape *s, const double rates[WAYS], double peak_rate,
                   json_t *rows)
{
    if (rows) {
        json_t *row =
            json_pack("{s:s,s:i,s:i,s:i,s:f,s:f,s:f,s:f}", "case", s->what, "m", (int)s->m, "k", (int)s->k,
                      "n", (int)s->n, "packed", rates[PACKED], "plain", rates[PLAIN], "bf16", rates[NARROW],
                      "share", peak_rate > 0 ? rates[PACKED] / peak_rate : 0);
        if (has(exec, ONEDNN))
            json_object_set_new(row, "onednn", json_real(rates[ONEDNN]));
        json_array_append_new(rows, row);
        return;
    }
    printf("%-26s %6zu x %5zu x %5zu", s->what, s->m, s->k, s->n);
    static const char *const names[] = {"packed", "plain", "bf16", "oneDNN"};
    for (int way = 0; has(exec, way) && way < WAYS; way++) {
        printf("   %s %6.1f GFLOP/s", names[way], rates[way]);
        if (peak_rate > 0)
            printf(" %3.0f %%", 100 * rates[way] / peak_rate);
    }
    printf("\n");
}

static void measure(at_exec *exec, const shape *s, double peak_rate, double slice, json_t *rows)
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
    at_bf16 *narrow = at_alloc_aligned(at_packed_bf16_size(exec, s->k, s->n), sizeof *narrow);
    if (!narrow)
        exit(1);
    product p = {.exec = exec, .ways = {g, g, g}, .s = s, .a = a, .b = b, .c = c};
    at_exec_pack(exec, packed, b, s->n, 1, s->k, s->n);
    at_gemm_packed(exec, &p.ways[PACKED], packed);
    at_gemm_plain(exec, &p.ways[PLAIN], b, s->n);
    at_exec_pack_narrow(exec, narrow, b, s->n, s->k, s->n);
    at_gemm_packed_bf16(exec, &p.ways[NARROW], narrow);
    double best[WAYS] = {1e9, 1e9, 1e9, 1e9}, flop = 2e-9 * (double)s->m * (double)s->n * (double)s->k;
    for (int round = 0; round < ROUNDS; round++) {
        for (int way = 0; way < WAYS; way++) {
            double took = has(exec, way) ? fastest(&p, way, slice) : 1e9;
            best[way] = took < best[way] ? took : best[way];
        }
    }
    double rates[WAYS];
    for (int way = 0; way < WAYS; way++)
        rates[way] = flop / best[way];
    report(exec, s, rates, peak_rate, rows);
    at_free_aligned(a);
    at_free_aligned(b);
    at_free_aligned(c);
    at_free_aligned(packed);
    at_free_aligned(narrow);
}

/* m x k x n as an argument says them. */
static bool read_shape(const char *text, shape *s)
{
    int length = 0;
    *s = (shape){.what = text};
    if (sscanf(text, "%zux%zux%zu%n", &s->m, &s->k, &s->n, &length) != 3)
        return false;
    s->transposed = text[length] == 't';
    return s->m > 0 && s->k > 0 && s->n > 0 && text[length + s->transposed] == '\0';
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
    int threads = 1;
    bool json = false, quick = false, all = true;
    shape named[16];
    size_t asked = 0;
    for (int i = 1; i < count; i++) {
        if (asked < sizeof named / sizeof *named && read_shape(arguments[i], &named[asked])) {
            asked++;
            continue;
        }
        json = json || strcmp(arguments[i], "--json") == 0;
        quick = quick || strcmp(arguments[i], "--quick") == 0;
        all = all && strcmp(arguments[i], "--peaks") != 0;
        threads = atoi(arguments[i]) > 0 ? atoi(arguments[i]) : threads;
    }
    at_exec *exec;
    double rate, memory;
    if (at_exec_new(NULL, threads, &exec) != AT_OK || at_exec_peaks(exec, &rate, &memory) != AT_OK) {
        fprintf(stderr, "%s\n", at_error_message());
        return 1;
    }
    rate /= 1e9;
    json_t *rows = json ? json_array() : NULL;
    if (!json)
        printf("%s; kernels %s; %d threads; peak %.1f GFLOP/s, memory %.1f GB/s\n", at_cpu_name(),
               exec->kernels->name, exec->threads, rate, memory / 1e9);
    size_t shape_count = asked > 0 ? asked : all ? sizeof shapes / sizeof *shapes : 0;
    for (size_t i = 0; i < shape_count; i++)
        measure(exec, asked > 0 ? &named[i] : &shapes[i], rate, quick ? 0.005 : 0.1, rows);
    if (json) {
        json_t *answer =
            json_pack("{s:s,s:i,s:f,s:f,s:o}", "kernels", exec->kernels->name, "threads", exec->threads,
                      "peak_gflops", rate, "peak_gbytes", memory / 1e9, "rows", rows);
#ifdef AT_HAVE_DNNL
        const dnnl_version_t *v = dnnl_version();
        json_object_set_new(answer, "onednn", json_sprintf("%d.%d.%d", v->major, v->minor, v->patch));
#endif
        json_dumpf(answer, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        printf("\n");
        json_decref(answer);
    }
    at_exec_free(exec);
    return 0;
}
