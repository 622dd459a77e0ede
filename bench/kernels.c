/* bench/kernels.c - every kernel of this CPU's best set against the reference in plain C, on one thread.
 *
 * One line a case: microseconds of both, how many times as fast, and the rate of the best set as a share of
 * what one thread reaches, in GFLOP/s where the kernel multiplies and in GB/s of what it must read and write
 * where it does not (blocks of a case lie in cache, so that share may pass 100 %). Both sets run in turn,
 * A B A B; medians of processor time, so that other work on the machine disturbs little.
 *
 *     kernels [--json] [--quick] [PART OF A NAME]   # ATTEND_KERNELS=avx2 chooses the set
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/memory.h"
#include "base/rng.h"
#include "kernel/exec.h"

enum { ROWS = 64, WIDTH = 512, NUMBERS = ROWS * WIDTH, BLOCKS = 8, GATES = 4 };

/* Blocks of NUMBERS floats each: x between -1 and 1, y positive below 1, the others free; and room for
 * sums. */
typedef struct work {
    float *x, *y, *out, *more, *kept, *scratch;
    float mean[ROWS], rstd[ROWS], gamma[WIDTH], beta[WIDTH];
} work;

typedef void run(const at_kernels *k, work *w);

typedef struct bench_case {
    const char *name;
    run *run;
    double flops, bytes; /* of one run; flops 0: by bytes */
} bench_case;

static void run_add(const at_kernels *k, work *w)
{
    k->add(w->out, w->x, w->y, NUMBERS);
}

static void run_mul_add(const at_kernels *k, work *w)
{
    k->mul_add(w->out, w->x, w->y, NUMBERS);
}

static void run_axpy(const at_kernels *k, work *w)
{
    k->axpy(w->out, 0.5f, w->x, NUMBERS);
}

static void run_exp(const at_kernels *k, work *w)
{
    k->exp(w->out, w->x, NUMBERS);
}

static void run_gelu(const at_kernels *k, work *w)
{
    k->activate(w->out, w->x, AT_GELU, NUMBERS);
}

static void run_gelu_backward(const at_kernels *k, work *w)
{
    k->activate_backward(w->out, w->y, w->x, NULL, AT_GELU, NUMBERS);
}

static void run_tanh(const at_kernels *k, work *w)
{
    k->activate(w->out, w->x, AT_TANH, NUMBERS);
}

static void run_silu(const at_kernels *k, work *w)
{
    k->activate(w->out, w->x, AT_SILU, NUMBERS);
}

static void run_dropout(const at_kernels *k, work *w)
{
    const uint32_t key[2] = {1, 2}, counter[3] = {3, 4, 5};
    k->dropout(w->out, NULL, w->x, NUMBERS, 0.1f, key, counter);
}

static void run_dot(const at_kernels *k, work *w)
{
    w->out[0] = k->dot(w->x, w->y, NUMBERS);
}

static void run_sum_squares(const at_kernels *k, work *w)
{
    w->out[0] = (float)k->sum_squares(w->x, NUMBERS);
}

static void run_softmax(const at_kernels *k, work *w)
{
    for (size_t i = 0; i < ROWS; i++)
        k->softmax(w->out + i * WIDTH, w->x + i * WIDTH, WIDTH);
}

static void run_softmax_backward(const at_kernels *k, work *w)
{
    for (size_t i = 0; i < ROWS; i++)
        k->softmax_backward(w->out + i * WIDTH, w->y + i * WIDTH, w->x + i * WIDTH, WIDTH);
}

static void run_log_softmax(const at_kernels *k, work *w)
{
    for (size_t i = 0; i < ROWS; i++)
        k->log_softmax(w->out + i * WIDTH, w->x + i * WIDTH, WIDTH);
}

static void run_sparsemax(const at_kernels *k, work *w)
{
    for (size_t i = 0; i < ROWS; i++)
        k->sparsemax(w->out + i * WIDTH, w->x + i * WIDTH, WIDTH);
}

static void run_layer_norm(const at_kernels *k, work *w)
{
    k->layer_norm(w->out, w->mean, w->rstd, w->x, w->gamma, w->beta, ROWS, WIDTH, 1e-5f);
}

static void run_layer_norm_backward(const at_kernels *k, work *w)
{
    k->layer_norm_backward(w->out, w->more, w->more + WIDTH, w->y, w->x, w->mean, w->rstd, w->gamma, ROWS,
                           WIDTH);
}

static void run_rms_norm(const at_kernels *k, work *w)
{
    k->rms_norm(w->out, w->rstd, w->x, w->gamma, ROWS, WIDTH, 1e-5f);
}

static void run_rms_norm_backward(const at_kernels *k, work *w)
{
    k->rms_norm_backward(w->out, w->more, w->y, w->x, w->rstd, w->gamma, ROWS, WIDTH);
}

static void run_turn(const at_kernels *k, work *w)
{
    for (size_t i = 0; i < ROWS; i++) {
        at_turn turn = {.out = w->out + i * WIDTH,
                        .x = w->x + i * WIDTH,
                        .heads = WIDTH / 64,
                        .width = 64,
                        .cosines = w->gamma,
                        .sines = w->beta,
                        .pairs = 32};
        k->turn(&turn);
    }
}

static void run_column_sum(const at_kernels *k, work *w)
{
    k->column_sum(w->more, w->x, WIDTH, ROWS, WIDTH);
}

/* The row is taken afresh each time: its gradient replaces it. */
static void run_cross_entropy(const at_kernels *k, work *w)
{
    memcpy(w->out, w->x, NUMBERS * sizeof *w->out);
    for (size_t i = 0; i < ROWS / 8; i++)
        w->more[0] += k->cross_entropy(w->out + 8 * i * WIDTH, 8 * WIDTH, 7, 0.1f, 1e-3f);
}

static void run_additive(const at_kernels *k, work *w)
{
    at_additive a = {.q = w->gamma, .k = w->x, .v = w->beta, .keys = ROWS, .width = WIDTH, .k_stride = WIDTH};
    k->additive(&a, w->out);
}

static void run_additive_backward(const at_kernels *k, work *w)
{
    at_additive a = {.q = w->gamma,
                     .k = w->x,
                     .v = w->beta,
                     .keys = ROWS,
                     .width = WIDTH,
                     .k_stride = WIDTH,
                     .d_scores = w->y,
                     .d_q = w->more,
                     .d_k = w->out,
                     .d_v = w->more + WIDTH};
    k->additive_backward(&a);
}

/* Sums of the hidden state go in where gates come out, so they are brought afresh too. */
static void run_cell(const at_kernels *k, work *w, at_cell_kind kind)
{
    at_cell cell = {.kind = kind,
                    .width = WIDTH / GATES,
                    .f = {.kind = AT_GATE_SIGMOID},
                    .g = {.kind = AT_GATE_TANH},
                    .h = {.kind = AT_GATE_TANH}};
    memcpy(w->kept, w->x, NUMBERS * sizeof *w->kept);
    at_cell_step step = {.cell = &cell,
                         .x = w->y,
                         .kept = w->kept,
                         .h = w->more,
                         .c = w->more + NUMBERS / 2,
                         .c_new = w->out,
                         .out = w->out + NUMBERS / 2};
    k->cell(&step, 0, ROWS);
}

static void run_gru(const at_kernels *k, work *w)
{
    run_cell(k, w, AT_CELL_GRU);
}

static void run_lstm(const at_kernels *k, work *w)
{
    run_cell(k, w, AT_CELL_LSTM);
}

static void run_adam(const at_kernels *k, work *w)
{
    at_adam adam = {1e-4f, 0.9f, 0.98f, 1e-9f, 0, 1.1f, 1.2f, 1};
    k->adam(w->out, w->more, w->kept, w->x, NUMBERS, &adam);
}

/* 64 rows by 512, times 512 by 64; packing is part of it. */
static void run_gemm(const at_kernels *k, work *w)
{
    size_t panels = (64 + k->panel - 1) / k->panel;
    k->pack(w->scratch, w->y, 64, 1, WIDTH, 64, 0, panels);
    at_gemm g = {.a = w->x,
                 .a_row = WIDTH,
                 .a_col = 1,
                 .b = w->scratch,
                 .b_row = k->panel,
                 .b_panel = WIDTH * k->panel,
                 .c = w->out,
                 .c_row = 64,
                 .m = ROWS,
                 .n = 64,
                 .k = WIDTH};
    k->gemm(&g, 0, ROWS, 0, 64);
}

static at_attend one_head(work *w)
{
    return (at_attend){.q = w->x,
                       .k = w->y,
                       .v = w->x + NUMBERS / 2,
                       .o = w->out,
                       .lse = w->mean,
                       .q_stride = 64,
                       .k_stride = 64,
                       .v_stride = 64,
                       .o_stride = 64,
                       .lse_stride = 1,
                       .queries = ROWS,
                       .keys = ROWS,
                       .d_key = 64,
                       .d_value = 64,
                       .scale = 0.125f,
                       .d_o = w->y + NUMBERS / 2,
                       .d_q = w->more,
                       .d_k = w->more + NUMBERS / 4,
                       .d_v = w->more + NUMBERS / 2};
}

static void run_attend(const at_kernels *k, work *w)
{
    at_attend a = one_head(w);
    k->attend(&a, w->scratch);
}

static void run_attend_both(const at_kernels *k, work *w)
{
    at_attend a = one_head(w);
    k->attend(&a, w->scratch);
    k->attend_backward(&a, w->scratch);
}

#define FLOATS(n) (4.0 * (n)*NUMBERS)
static const bench_case cases[] = {
    {"add", run_add, 0, FLOATS(3)},
    {"mul_add", run_mul_add, 0, FLOATS(4)},
    {"axpy", run_axpy, 0, FLOATS(3)},
    {"exp", run_exp, 0, FLOATS(2)},
    {"activate, GELU", run_gelu, 0, FLOATS(2)},
    {"activate_backward, GELU", run_gelu_backward, 0, FLOATS(4)},
    {"activate, tanh", run_tanh, 0, FLOATS(2)},
    {"activate, SiLU", run_silu, 0, FLOATS(2)},
    {"dropout", run_dropout, 0, FLOATS(2)},
    {"dot", run_dot, 0, FLOATS(2)},
    {"sum_squares", run_sum_squares, 0, FLOATS(1)},
    {"softmax", run_softmax, 0, FLOATS(2)},
    {"softmax_backward", run_softmax_backward, 0, FLOATS(4)},
    {"log_softmax", run_log_softmax, 0, FLOATS(2)},
    {"sparsemax", run_sparsemax, 0, FLOATS(2)},
    {"layer_norm", run_layer_norm, 0, FLOATS(2)},
    {"layer_norm_backward", run_layer_norm_backward, 0, FLOATS(4)},
    {"rms_norm", run_rms_norm, 0, FLOATS(2)},
    {"rms_norm_backward", run_rms_norm_backward, 0, FLOATS(4)},
    {"turn", run_turn, 0, FLOATS(2)},
    {"column_sum", run_column_sum, 0, FLOATS(1)},
    {"cross_entropy", run_cross_entropy, 0, FLOATS(4)},
    {"additive", run_additive, 0, FLOATS(1)},
    {"additive_backward", run_additive_backward, 0, FLOATS(3)},
    {"cell, GRU", run_gru, 0, FLOATS(3.5)},
    {"cell, LSTM", run_lstm, 0, FLOATS(4.75)},
    {"adam", run_adam, 0, FLOATS(7)},
    {"gemm, 64 x 512 x 64", run_gemm, 2.0 * ROWS *WIDTH * 64, 0},
    {"attend, 64 x 64 x 64", run_attend, 4.0 * ROWS *ROWS * 64, 0},
    {"attend and backward", run_attend_both, 14.0 * ROWS *ROWS * 64, 0},
};
enum { CASES = sizeof cases / sizeof *cases, MOST_ROUNDS = 15 };

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of one run, over as many as fill the slice. */
static double time_one(const bench_case *c, const at_kernels *k, work *w, double slice)
{
    size_t runs = 0;
    double begin = now(), took;
    do {
        c->run(k, w);
        runs++;
        took = now() - begin;
    } while (took < slice);
    return took / (double)runs;
}

static void fill(work *w, float *block)
{
    at_rng rng = at_rng_make(1, AT_RNG_TEST);
    float **blocks[] = {&w->x, &w->y, &w->out, &w->more, &w->kept, &w->scratch};
    for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++)
        *blocks[b] = block + b * NUMBERS;
    for (size_t i = 0; i < BLOCKS * (size_t)NUMBERS; i++)
        block[i] = 0;
    for (size_t i = 0; i < NUMBERS; i++) {
        w->x[i] = 2 * at_rng_uniform(&rng) - 1;
        w->y[i] = at_rng_uniform(&rng) / WIDTH;
    }
    for (size_t i = 0; i < WIDTH; i++) {
        w->gamma[i] = 1;
        w->beta[i] = 0.5f;
    }
    for (size_t i = 0; i < ROWS; i++) {
        w->mean[i] = 0;
        w->rstd[i] = 1;
    }
}

static void measure(const bench_case *c, const at_kernels *best, float *block, const double peaks[2],
                    bool quick, json_t *rows)
{
    double times[2][MOST_ROUNDS];
    size_t rounds = quick ? 3 : MOST_ROUNDS;
    const at_kernels *sets[] = {&at_kernels_ref, best};
    work w;
    for (size_t r = 0; r < rounds; r++) {
        for (size_t s = 0; s < 2; s++) {
            fill(&w, block); /* sums that are added to would grow without end */
            c->run(sets[s], &w);
            times[s][r] = time_one(c, sets[s], &w, quick ? 0.004 : 0.01);
        }
    }
    for (size_t s = 0; s < 2; s++)
        qsort(times[s], rounds, sizeof times[s][0], rising);
    double slow = times[0][rounds / 2], fast = times[1][rounds / 2];
    double rate = (c->flops > 0 ? c->flops : c->bytes) / fast;
    double share = rate / peaks[c->flops > 0 ? 0 : 1];
    if (rows)
        json_array_append_new(rows, json_pack("{s:s,s:f,s:f,s:f,s:s,s:f}", "case", c->name, "ref_us",
                                              1e6 * slow, "us", 1e6 * fast, "rate", rate / 1e9, "unit",
                                              c->flops > 0 ? "GFLOP/s" : "GB/s", "share", share));
    else
        printf("%-24s ref %9.2f us, %s %9.2f us: %5.1f times; %7.1f %-7s %4.0f %%\n", c->name, 1e6 * slow,
               best->name, 1e6 * fast, slow / fast, rate / 1e9, c->flops > 0 ? "GFLOP/s" : "GB/s",
               100 * share);
}

int main(int count, char **arguments)
{
    bool json = false, quick = false;
    const char *part = NULL;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--json") == 0)
            json = true;
        else if (strcmp(arguments[i], "--quick") == 0)
            quick = true;
        else
            part = arguments[i];
    }
    at_exec *exec;
    double peaks[2];
    float *block = at_alloc_aligned(BLOCKS * (size_t)NUMBERS, sizeof *block);
    json_t *rows = json ? json_array() : NULL;
    if (!block || at_exec_new(NULL, 1, &exec) != AT_OK ||
        at_exec_peaks(exec, &peaks[0], &peaks[1]) != AT_OK) {
        fprintf(stderr, "%s\n", at_error_message());
        return 1;
    }
    if (!json)
        printf("%s; one thread reaches %.1f GFLOP/s, %.1f GB/s from memory\n", at_cpu_name(), peaks[0] / 1e9,
               peaks[1] / 1e9);
    for (size_t i = 0; i < CASES; i++)
        if (!part || strstr(cases[i].name, part))
            measure(&cases[i], exec->kernels, block, peaks, quick, rows);
    if (json) {
        json_t *all = json_pack("{s:s,s:s,s:f,s:f,s:o}", "cpu", at_cpu_name(), "kernels", exec->kernels->name,
                                "peak_gflops", peaks[0] / 1e9, "peak_gbytes", peaks[1] / 1e9, "rows", rows);
        json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        printf("\n");
        json_decref(all);
    }
    at_exec_free(exec);
    at_free_aligned(block);
    return 0;
}
