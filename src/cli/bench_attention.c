/* Attention alone, through the operations that models use; the shapes of docs/results.md. */
#include <stdio.h>
#include <string.h>
#include "attention/attend.h"
#include "base/memory.h"
#include "base/rng.h"
#include "cli/bench.h"

typedef struct shape {
    const char *name;
    size_t sequences, heads, queries, keys, width; /* B, H, Nq, Nk, D */
    bool causal;
} shape;

static const shape shapes[] = {
    {"translate-train", 64, 4, 32, 32, 32, false}, {"char-lm", 12, 4, 64, 64, 32, true},
    {"bert-128", 8, 12, 128, 128, 64, false},      {"gpt2-1k", 1, 12, 1024, 1024, 64, true},
    {"long-4k", 1, 8, 4096, 4096, 64, false},      {"long-8k-causal", 1, 8, 8192, 8192, 64, true},
    {"decode-1x1k", 1, 12, 1, 1024, 64, false},    {"decode-8x4k", 8, 8, 1, 4096, 128, false},
};

/* Everything one case needs; the blocks are one allocation. */
typedef struct work {
    const shape *shape;
    at_tape *tape;
    float *q, *k, *v, *d_q, *d_k, *d_v;
    int32_t *query_offsets, *key_offsets; /* (B+1) */
    at_cached_keys *caches;               /* (B): what a decoding step looks at */
    at_attend_spec spec;
    at_attention_bf16 narrow; /* with --type bf16 everything in it, on no tape */
    at_exec *exec;
    bool backward;
} work;

static at_var *attend(work *w)
{
    const shape *s = w->shape;
    int64_t width = (int64_t)(s->heads * s->width), queries = (int64_t)(s->sequences * s->queries),
            keys = (int64_t)(s->sequences * s->keys);
    at_var *q = at_leaf(w->tape, at_shape2(queries, width), w->q, w->backward ? w->d_q : NULL);
    if (s->queries == 1)
        return at_attention_cached(w->tape, q, w->caches, (size_t)width, (size_t)width, &w->spec);
    at_var *k = at_leaf(w->tape, at_shape2(keys, width), w->k, w->backward ? w->d_k : NULL);
    at_var *v = at_leaf(w->tape, at_shape2(keys, width), w->v, w->backward ? w->d_v : NULL);
    return at_attention(w->tape, q, k, v, &w->spec);
}

static at_status run_once(void *context)
{
    work *w = context;
    bool decoding = w->shape->queries == 1; /* looks at caches, in bf16 too, as a running model does */
    if (w->narrow.q && !decoding) {
        at_status st = at_attend_bf16(w->exec, &w->spec, &w->narrow);
        return st == AT_OK && w->backward ? at_attend_bf16_backward(w->exec, &w->spec, &w->narrow) : st;
    }
    at_tape_begin(w->tape, w->backward ? AT_TAPE_CHECK : AT_TAPE_RUN, 0, 0);
    at_var *out = attend(w);
    if (w->backward)
        at_tape_backward(w->tape, at_sum(w->tape, out));
    return at_tape_status(w->tape);
}

static at_status measure(at_bench *bench, work *w)
{
    const shape *s = w->shape;
    double flop = 4.0 * (double)(s->sequences * s->heads) * (double)(s->queries * s->keys * s->width) *
                  (s->causal ? 0.5 : 1.0);
    double forward = 0, both = 0;
    w->backward = false;
    at_status st = at_bench_median(bench, run_once, w, &forward);
    if (st != AT_OK)
        return st;
    if (s->queries == 1) /* a step of decoding has no backward */
        return at_bench_row(bench,
                            json_pack("{s:s,s:f,s:f}", "case", s->name, "forward_ms", 1e3 * forward,
                                      "forward_gflops", flop / forward / 1e9),
                            "%-16s forward %9.3f ms %7.1f GFLOP/s", s->name, 1e3 * forward,
                            flop / forward / 1e9);
    w->backward = true;
    st = at_bench_median(bench, run_once, w, &both);
    if (st != AT_OK)
        return st;
    double rate = flop / forward / 1e9, both_rate = 3.5 * flop / both / 1e9;
    return at_bench_row(bench,
                        json_pack("{s:s,s:f,s:f,s:f,s:f}", "case", s->name, "forward_ms", 1e3 * forward,
                                  "forward_gflops", rate, "both_ms", 1e3 * both, "both_gflops", both_rate),
                        "%-16s forward %9.3f ms %7.1f GFLOP/s   forward and backward %9.3f ms %7.1f GFLOP/s",
                        s->name, 1e3 * forward, rate, 1e3 * both, both_rate);
}

static at_status lay_out(work *w, at_arena *arena, uint64_t seed)
{
    const shape *s = w->shape;
    size_t queries = s->sequences * s->queries * s->heads * s->width,
           keys = s->sequences * s->keys * s->heads * s->width;
    float *numbers = at_arena_zero(arena, 2 * queries + 4 * keys, sizeof *numbers);
    w->query_offsets = at_arena_array(arena, s->sequences + 1, sizeof *w->query_offsets);
    w->key_offsets = at_arena_array(arena, s->sequences + 1, sizeof *w->key_offsets);
    w->caches = at_arena_array(arena, s->sequences, sizeof *w->caches);
    if (!numbers || !w->query_offsets || !w->key_offsets || !w->caches)
        return AT_ENOMEM;
    at_rng rng = at_rng_make(seed, AT_RNG_TEST);
    for (size_t i = 0; i < queries + 2 * keys; i++)
        numbers[i] = at_rng_normal(&rng);
    w->q = numbers;
    w->k = w->q + queries;
    w->v = w->k + keys;
    w->d_q = w->v + keys;
    w->d_k = w->d_q + queries;
    w->d_v = w->d_k + keys;
    for (size_t b = 0; b <= s->sequences; b++) {
        w->query_offsets[b] = (int32_t)(b * s->queries);
        w->key_offsets[b] = (int32_t)(b * s->keys);
    }
    for (size_t b = 0; b < s->sequences; b++) {
        size_t start = b * s->keys * s->heads * s->width;
        w->caches[b] =
            (at_cached_keys){.k = w->k + start, .v = w->v + start, .capacity = s->keys, .length = s->keys};
    }
    w->spec = (at_attend_spec){.heads = s->heads,
                               .groups = s->heads,
                               .causal = s->causal,
                               .queries = {s->sequences, w->query_offsets, NULL},
                               .keys = {s->sequences, w->key_offsets, NULL},
                               .kind = AT_ENCODER_SELF};
    return AT_OK;
}

/* The same numbers rounded, and room for what comes of them; d_o is q. */
static at_status lay_out_bf16(work *w, at_arena *arena, at_exec *exec)
{
    const shape *s = w->shape;
    size_t queries = s->sequences * s->queries * s->heads * s->width,
           keys = s->sequences * s->keys * s->heads * s->width;
    at_bf16 *all = at_arena_array(arena, 3 * queries + 4 * keys, sizeof *all);
    float *lse = at_arena_array(arena, s->sequences * s->queries * s->heads, sizeof *lse);
    if (!all || !lse)
        return AT_ENOMEM;
    at_exec_narrow(exec, all, w->q, queries);
    at_exec_narrow(exec, all + queries, w->k, keys);
    at_exec_narrow(exec, all + queries + keys, w->v, keys);
    at_bf16 *out = all + queries + 2 * keys;
    w->exec = exec;
    w->narrow = (at_attention_bf16){.key_width = s->width,
                                    .value_width = s->width,
                                    .q = all,
                                    .k = all + queries,
                                    .v = all + queries + keys,
                                    .o = out,
                                    .lse = lse,
                                    .d_o = all,
                                    .d_q = out + queries,
                                    .d_k = out + 2 * queries,
                                    .d_v = out + 2 * queries + keys};
    for (size_t b = 0; b < s->sequences; b++) {
        size_t start = b * s->keys * s->heads * s->width;
        w->caches[b].k16 = w->narrow.k + start;
        w->caches[b].v16 = w->narrow.v + start;
    }
    return AT_OK;
}

/* Makes what a shape needs, measures it, and gives it back. */
static at_status with_shape(at_bench *bench, const shape *s, at_status (*job)(at_bench *, work *))
{
    work w = {.shape = s};
    at_arena *arena = at_arena_new();
    at_status st = arena ? at_tape_new(bench->exec, &w.tape) : AT_ENOMEM;
    if (st == AT_OK)
        st = lay_out(&w, arena, bench->seed);
    if (st == AT_OK && bench->bf16)
        st = lay_out_bf16(&w, arena, bench->exec);
    if (st == AT_OK)
        st = job(bench, &w);
    at_tape_free(w.tape);
    at_arena_free(arena);
    return st;
}

at_status at_bench_attention(at_bench *bench)
{
    at_status st = AT_OK;
    for (size_t i = 0; st == AT_OK && i < sizeof shapes / sizeof shapes[0]; i++)
        if (at_bench_wants(bench, shapes[i].name))
            st = with_shape(bench, &shapes[i], measure);
    return st;
}

/* ---------------------------------------------------------------- time and memory by length */

enum { LENGTHS = 9, SHORTEST = 64, LENGTH_HEADS = 4, LENGTH_WIDTH = 64 };

/* Forward and backward at one length; memory is what the tape holds beside inputs and their gradients. */
static at_status measure_length(at_bench *bench, work *w)
{
    double forward = 0, both = 0;
    at_status st = at_bench_median(bench, run_once, w, &forward);
    w->backward = true;
    if (st == AT_OK)
        st = at_bench_median(bench, run_once, w, &both);
    if (st != AT_OK)
        return st;
    double held = (double)at_tape_peak(w->tape) / 1e6, n = (double)w->shape->queries;
    double weights = n * n * (double)w->shape->heads * sizeof(float) / 1e6;
    return at_bench_row(
        bench,
        json_pack("{s:s,s:f,s:f,s:f,s:f,s:f}", "case", w->shape->name, "length", n, "forward_ms",
                  1e3 * forward, "both_ms", 1e3 * both, "held_mb", held, "weights_mb", weights),
        "%6s rows: forward %10.3f ms, forward and backward %10.3f ms, %7.1f MB held; all weights %8.1f MB",
        w->shape->name, 1e3 * forward, 1e3 * both, held, weights);
}

static at_status draw_lengths(const at_bench *bench)
{
    static const at_bench_line lines[] = {{"forward_ms", "forward, ms", AT_AXIS_LEFT},
                                          {"both_ms", "and backward, ms", AT_AXIS_LEFT},
                                          {"held_mb", "held, MB", AT_AXIS_RIGHT},
                                          {"weights_mb", "a matrix of weights, MB", AT_AXIS_RIGHT}};
    at_buf caption = {0};
    at_buf_printf(&caption,
                  "Fused attention, %d heads of width %d, one sequence, fp32, %s kernels, threads: %d. Held: "
                  "what stays "
                  "in memory between forward and backward beside inputs and their gradients.",
                  LENGTH_HEADS, LENGTH_WIDTH, bench->exec->kernels->name, bench->exec->threads);
    at_status st = at_buf_status(&caption);
    if (st == AT_OK)
        st = at_bench_draw(bench, "What attention costs by length", caption.data, lines, 4);
    at_buf_free(&caption);
    return st;
}

at_status at_bench_lengths(at_bench *bench)
{
    at_status st = AT_OK;
    for (size_t i = 0; st == AT_OK && i < LENGTHS; i++) {
        char name[16];
        size_t n = (size_t)SHORTEST << i;
        snprintf(name, sizeof name, "%zu", n);
        shape s = {name, 1, LENGTH_HEADS, n, n, LENGTH_WIDTH, false};
        if (at_bench_wants(bench, name))
            st = with_shape(bench, &s, measure_length);
    }
    return st == AT_OK && bench->svg && json_array_size(bench->rows) ? draw_lengths(bench) : st;
}
