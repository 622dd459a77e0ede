/* bench/attend.c - how fast the attention kernels are, on one thread.
 *
 * One line a shape: sequences x heads x queries x keys x width, then forward and backward in microseconds and
 * in GFLOP/s of the useful work (4 * queries * keys * width a head forward, 2.5 times that backward, half of
 * both when causal). Rows lie as in a model: all heads of a token side by side. Medians of processor time.
 *
 *     attend [PART OF A NAME]         # ATTEND_KERNELS=avx2 chooses the kernels
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/memory.h"
#include "base/rng.h"
#include "kernel/exec.h"

typedef struct shape {
    const char *name;
    size_t sequences, heads, queries, keys, width;
    bool causal;
    float drop_rate;
} shape;

static const shape shapes[] = {
    {"translate-train", 64, 4, 32, 32, 32, false, 0}, {"  with dropout", 64, 4, 32, 32, 32, false, 0.1f},
    {"  15 by 19", 64, 4, 15, 19, 32, false, 0},      {"  causal 19", 64, 4, 19, 19, 32, true, 0},
    {"char-lm", 12, 4, 64, 64, 32, true, 0},          {"bert-128", 8, 12, 128, 128, 64, false, 0},
    {"gpt2-1k", 1, 12, 1024, 1024, 64, true, 0},      {"decode 20", 32, 4, 1, 20, 32, false, 0},
    {"decode-1x1k", 1, 12, 1, 1024, 64, false, 0},
};
enum { SHAPES = sizeof shapes / sizeof *shapes, ROUNDS = 31 };

static const double SECONDS_A_ROUND = 0.01;

/* All of q, k, v, o, their gradients and lse in one block; all sequences of a shape behind each other. */
typedef struct work {
    const shape *shape;
    const at_kernels *kernels;
    at_attend first; /* head 0 of sequence 0 */
    float *scratch;
} work;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void pass(const work *w, bool backward)
{
    const shape *s = w->shape;
    for (size_t b = 0; b < s->sequences; b++)
        for (size_t h = 0; h < s->heads; h++) {
            at_attend a = w->first;
            size_t q = b * s->queries * a.q_stride + h * s->width,
                   k = b * s->keys * a.k_stride + h * s->width;
            a.q += q, a.o += q, a.d_o += q, a.d_q += q;
            a.k += k, a.v += k, a.d_k += k, a.d_v += k;
            a.lse += b * s->queries * s->heads + h;
            a.drop_counter[0] = (uint32_t)h;
            a.drop_counter[1] = (uint32_t)b;
            if (backward)
                w->kernels->attend_backward(&a, w->scratch);
            else
                w->kernels->attend(&a, w->scratch);
        }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double seconds_a_pass(const work *w, bool backward)
{
    double rounds[ROUNDS], begin = now();
    pass(w, backward);
    double once = now() - begin;
    size_t passes = 1 + (size_t)(SECONDS_A_ROUND / (once + 1e-9));
    for (size_t r = 0; r < ROUNDS; r++) {
        begin = now();
        for (size_t i = 0; i < passes; i++)
            pass(w, backward);
        rounds[r] = (now() - begin) / (double)passes;
    }
    qsort(rounds, ROUNDS, sizeof *rounds, ascending);
    return rounds[ROUNDS / 2];
}

static void measure(const at_kernels *kernels, const shape *s)
{
    size_t row = s->heads * s->width, q = s->sequences * s->queries * row, k = s->sequences * s->keys * row;
    size_t scratch = kernels->attend_scratch(s->queries, s->keys, s->width, s->width);
    size_t total = 4 * q + 4 * k + s->sequences * s->queries * s->heads + scratch;
    float *block = at_alloc_aligned(total, sizeof *block);
    if (!block) {
        fprintf(stderr, "%s: out of memory\n", s->name);
        return;
    }
    at_rng rng = at_rng_make(1, AT_RNG_TEST);
    for (size_t i = 0; i < total; i++)
        block[i] = at_rng_uniform(&rng) - 0.5f;
    float *at = block + scratch;
    work w = {.shape = s, .kernels = kernels, .scratch = block};
    w.first = (at_attend){.q = at,
                          .o = at + q,
                          .d_o = at + 2 * q,
                          .d_q = at + 3 * q,
                          .k = at + 4 * q,
                          .v = at + 4 * q + k,
                          .d_k = at + 4 * q + 2 * k,
                          .d_v = at + 4 * q + 3 * k,
                          .lse = at + 4 * q + 4 * k,
                          .q_stride = row,
                          .k_stride = row,
                          .v_stride = row,
                          .o_stride = row,
                          .lse_stride = s->heads,
                          .queries = s->queries,
                          .keys = s->keys,
                          .d_key = s->width,
                          .d_value = s->width,
                          .scale = 0.125f,
                          .causal = s->causal,
                          .drop_rate = s->drop_rate,
                          .drop_key = {1, 2}};
    double flop = 4e-9 * (double)(s->sequences * row * s->queries * s->keys) * (s->causal ? 0.5 : 1);
    double forward = seconds_a_pass(&w, false), backward = seconds_a_pass(&w, true);
    printf("%-16s %2zux%2zux%4zux%4zux%2zu%s  forward %9.1f us %6.1f GFLOP/s   backward %9.1f us %6.1f "
           "GFLOP/s\n",
           s->name, s->sequences, s->heads, s->queries, s->keys, s->width, s->causal ? " causal" : "       ",
           1e6 * forward, flop / forward, 1e6 * backward, 2.5 * flop / backward);
    at_free_aligned(block);
}

int main(int argc, char **argv)
{
    at_exec *exec;
    if (at_exec_new(NULL, 1, &exec) != AT_OK) {
        fprintf(stderr, "%s\n", at_error_message());
        return 1;
    }
    printf("kernels %s, one thread\n", exec->kernels->name);
    for (size_t i = 0; i < SHAPES; i++)
        if (argc < 2 || strstr(shapes[i].name, argv[1]))
            measure(exec->kernels, &shapes[i]);
    at_exec_free(exec);
    return 0;
}
