/* Whole training steps with random ids: forward, backward, clipped norm, Adam. Lengths are drawn as those of
 * Multi30k (English and German captions: 14 pieces, deviation 5, 2 between the sides), pairs sorted by length
 * and cut at 4,096 tokens of the larger side. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "train/optimiser.h"

enum { TOKENS = 4096, BATCHES = 24, MEAN = 14, LONGEST = 60 };
enum { WINDOWS = 12, WINDOW = 64 }; /* of a decoder alone */

typedef struct pair {
    int32_t source, target; /* lengths, </s> included */
} pair;

typedef struct work {
    at_model *model;
    at_optimiser *optimiser;
    at_tape *tape;
    at_batch batches[BATCHES];
    size_t batch_count;
    uint64_t step;
    float smoothing;
    bool mixed;
    size_t tokens; /* target tokens of all steps so far */
    double seconds;
} work;

static int32_t draw_length(at_rng *rng, float mean, float deviation)
{
    float x = mean + deviation * at_rng_normal(rng);
    return (int32_t)lrintf(x < 3 ? 3 : x > LONGEST ? LONGEST : x);
}

static int shorter_first(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    return x->target != y->target ? (x->target > y->target) - (x->target < y->target)
                                  : (x->source > y->source) - (x->source < y->source);
}

static int32_t *draw_ids(at_arena *arena, at_rng *rng, size_t count, int pieces)
{
    int32_t *ids = at_arena_array(arena, count, sizeof *ids);
    for (size_t i = 0; ids && i < count; i++)
        ids[i] = 4 + (int32_t)at_rng_below(rng, (uint32_t)pieces - 4);
    return ids;
}

/* As many of the sorted pairs as fit; *taken of them. */
static at_status make_batch(at_arena *arena, at_rng *rng, int pieces, const pair *pairs, size_t most,
                            size_t *taken, at_batch *batch)
{
    size_t count = 0;
    int32_t *source = at_arena_array(arena, most + 1, sizeof *source),
            *target = at_arena_array(arena, most + 1, sizeof *target);
    if (!source || !target)
        return AT_ENOMEM;
    source[0] = target[0] = 0;
    while (count < most && target[count] + pairs[count].target <= TOKENS &&
           source[count] + pairs[count].source <= TOKENS) {
        source[count + 1] = source[count] + pairs[count].source;
        target[count + 1] = target[count] + pairs[count].target;
        count++;
    }
    *batch = (at_batch){.source = {count, source, NULL},
                        .target = {count, target, NULL},
                        .source_ids = draw_ids(arena, rng, (size_t)source[count], pieces),
                        .target_in = draw_ids(arena, rng, (size_t)target[count], pieces),
                        .target_out = draw_ids(arena, rng, (size_t)target[count], pieces)};
    *taken = count;
    return batch->source_ids && batch->target_in && batch->target_out ? AT_OK : AT_ENOMEM;
}

/* Full batches of sorted pairs, shuffled: one of few pairs left over would be another kind of work. */
static at_status make_batches(work *w, at_arena *arena, uint64_t seed, int pieces)
{
    at_rng rng = at_rng_make(seed, AT_RNG_TEST);
    size_t total = (size_t)BATCHES * TOKENS / MEAN, next = 0, taken = 0;
    pair *pairs = at_arena_array(arena, total, sizeof *pairs);
    if (!pairs)
        return AT_ENOMEM;
    for (size_t i = 0; i < total; i++) {
        pairs[i].target = draw_length(&rng, MEAN, 5);
        pairs[i].source = draw_length(&rng, (float)pairs[i].target, 2);
    }
    qsort(pairs, total, sizeof *pairs, shorter_first);
    at_status st = AT_OK;
    while (st == AT_OK && w->batch_count < BATCHES && next < total) {
        st = make_batch(arena, &rng, pieces, pairs + next, total - next, &taken, &w->batches[w->batch_count]);
        next += taken;
        w->batch_count += next < total;
    }
    for (size_t i = w->batch_count; i > 1; i--) {
        size_t j = at_rng_below(&rng, (uint32_t)i);
        at_batch swapped = w->batches[i - 1];
        w->batches[i - 1] = w->batches[j];
        w->batches[j] = swapped;
    }
    return st;
}

/* Windows of random ids. */
static at_status make_windows(work *w, at_arena *arena, uint64_t seed, int pieces)
{
    at_rng rng = at_rng_make(seed, AT_RNG_TEST);
    int32_t *offsets = at_arena_array(arena, WINDOWS + 1, sizeof *offsets);
    for (int32_t b = 0; offsets && b <= WINDOWS; b++)
        offsets[b] = b * WINDOW;
    for (w->batch_count = 0; offsets && w->batch_count < BATCHES; w->batch_count++) {
        at_batch *batch = &w->batches[w->batch_count];
        *batch = (at_batch){.target = {WINDOWS, offsets, NULL},
                            .target_in = draw_ids(arena, &rng, (size_t)WINDOWS * WINDOW, pieces),
                            .target_out = draw_ids(arena, &rng, (size_t)WINDOWS * WINDOW, pieces)};
        if (!batch->target_in || !batch->target_out)
            return AT_ENOMEM;
    }
    return offsets ? AT_OK : AT_ENOMEM;
}

static at_status run_once(void *context)
{
    work *w = context;
    const at_batch *batch = &w->batches[w->step % w->batch_count];
    double start = at_clock();
    float tokens = (float)at_rows_total(&batch->target);
    at_loss_options how = {.smoothing = w->smoothing, .scale = 1.0f / tokens};
    at_optimiser_clear(w->optimiser);
    at_status st = w->mixed ? at_params_shadow(&w->model->params, w->tape->exec) : AT_OK;
    if (st != AT_OK)
        return st;
    at_tape_begin(w->tape, AT_TAPE_TRAIN, 1, w->step++);
    w->tape->grads = w->optimiser->grads;
    w->tape->mixed = w->mixed;
    at_tape_backward(w->tape, at_model_loss(w->model, w->tape, batch, &how, NULL));
    st = at_tape_status(w->tape);
    if (st != AT_OK)
        return st;
    double norm = at_optimiser_norm(w->optimiser, 1.0);
    at_optimiser_step(w->optimiser, 1e-4, at_clip_scale(norm, 1.0));
    at_exec_took(w->tape->exec, "optimiser", false);
    w->seconds += at_clock() - start;
    w->tokens += at_rows_total(&batch->target);
    return AT_OK;
}

static at_status measure(at_bench *bench, const at_bench_size *size, work *w)
{
    double median = 0;
    at_status st = AT_OK;
    at_exec_took(bench->exec, "make ready", false);
    if (bench->seconds >= 1) /* memory is asked for in the first steps */
        st = run_once(w);
    if (st == AT_OK)
        st = run_once(w);
    w->tokens = 0;
    w->seconds = 0;
    if (st == AT_OK)
        st = at_bench_median(bench, run_once, w, &median);
    if (st != AT_OK)
        return st;
    double rate = (double)w->tokens / w->seconds, megabytes = (double)at_peak_rss() / 1e6;
    return at_bench_row(bench,
                        json_pack("{s:s,s:s,s:f,s:f,s:f}", "size", size->name, "type", at_bench_type(bench),
                                  "target_tokens_per_s", rate, "step_ms", 1e3 * median, "peak_mb", megabytes),
                        "%-5s %s  %9.0f target tokens/s  (median step %.0f ms)", size->name,
                        at_bench_type(bench), rate, 1e3 * median);
}

static at_status measure_size(at_bench *bench, const at_bench_size *size, work *w, at_arena *arena)
{
    at_optimiser_options adam = {AT_ADAM, 0.9, 0.98, 1e-9, 0, 0};
    bool alone = at_bench_is_decoder(size);
    at_status st = at_bench_model(bench, size, alone ? 0 : 0.3, &w->model);
    w->smoothing = alone ? 0 : 0.1f;
    w->mixed = bench->bf16;
    if (st == AT_OK)
        st = at_optimiser_new(bench->exec, &w->model->params, &adam, &w->optimiser);
    if (st == AT_OK)
        st = alone ? make_windows(w, arena, bench->seed, size->pieces)
                   : make_batches(w, arena, bench->seed, size->pieces);
    if (st == AT_OK)
        st = measure(bench, size, w);
    at_optimiser_free(w->optimiser);
    at_model_free(w->model);
    return st;
}

at_status at_bench_train(at_bench *bench)
{
    at_status st = AT_OK;
    for (const at_bench_size *size = at_bench_sizes; st == AT_OK && size->name; size++) {
        if (bench->only ? !at_bench_wants(bench, size->name) : size != at_bench_sizes)
            continue; /* base takes minutes: only when asked for */
        work w = {0};
        at_arena *arena = at_arena_new();
        st = arena ? at_tape_new(bench->exec, &w.tape) : AT_ENOMEM;
        if (st == AT_OK)
            st = measure_size(bench, size, &w, arena);
        at_tape_free(w.tape);
        at_arena_free(arena);
    }
    return st;
}
