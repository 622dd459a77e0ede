/* Translation with random weights: every sentence has 30 pieces and is made to become exactly 30, so that the
 * work is the same for every engine. */
#include <stdio.h>
#include "base/memory.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "decode/beam.h"

enum { PIECES = 30, MOST = 32 };

typedef struct work {
    const at_model *model;
    at_tape *tape;
    at_arena *arena;
    at_batch batch;
    at_beam_options options;
    int32_t offsets[MOST + 1], ids[MOST * PIECES];
    at_hypotheses found[MOST];
} work;

static at_status run_once(void *context)
{
    work *w = context;
    at_arena_reset(w->arena);
    at_status st = at_beam_search(w->model, w->tape, &w->batch, &w->options, w->arena, w->found);
    for (size_t b = 0; st == AT_OK && b < w->batch.source.count; b++)
        AT_ASSERT(w->found[b].count == 1 && w->found[b].list[0].length == PIECES);
    return st;
}

static at_status measure(at_bench *bench, const at_bench_size *size, work *w, size_t lines, int beam)
{
    at_rng rng = at_rng_make(bench->seed, AT_RNG_TEST);
    for (size_t b = 0; b <= lines; b++)
        w->offsets[b] = (int32_t)(b * PIECES);
    for (size_t i = 0; i < lines * PIECES; i++) /* special pieces are 0 to 3 */
        w->ids[i] = 4 + (int32_t)at_rng_below(&rng, (uint32_t)size->pieces - 4);
    w->batch = (at_batch){.source = {lines, w->offsets, NULL}, .source_ids = w->ids};
    w->options = (at_beam_options)AT_BEAM_DEFAULTS;
    w->options.beam = beam;
    w->options.min_length = w->options.max_length = PIECES;
    double seconds = 0;
    at_status st = at_bench_median(bench, run_once, w, &seconds);
    if (st != AT_OK)
        return st;
    double rate = (double)(lines * PIECES) / seconds;
    return at_bench_row(bench,
                        json_pack("{s:s,s:i,s:i,s:f,s:f}", "size", size->name, "batch", (int)lines, "beam",
                                  beam, "tokens_per_s", rate, "ms", 1e3 * seconds),
                        "%-5s %s  batch %3d beam %d: %9.0f tokens/s  (%.1f ms)", size->name,
                        bench->bf16 ? "bf16" : "fp32", (int)lines, beam, rate, 1e3 * seconds);
}

static at_status measure_size(at_bench *bench, const at_bench_size *size, work *w)
{
    at_model *model;
    at_status st = at_bench_model(bench, size, 0, &model);
    if (st != AT_OK)
        return st;
    st = at_bench_pack(bench, model);
    w->model = model;
    for (size_t lines = 1; st == AT_OK && lines <= MOST; lines += MOST - 1) {
        for (int beam = 1; st == AT_OK && beam <= 5; beam += 4)
            st = measure(bench, size, w, lines, beam);
    }
    at_model_free(model);
    return st;
}

at_status at_bench_translate(at_bench *bench)
{
    work *w = at_alloc_zero(1, sizeof *w);
    if (!w)
        return AT_ENOMEM;
    w->arena = at_arena_new();
    at_status st = w->arena ? at_tape_new(bench->exec, &w->tape) : AT_ENOMEM;
    for (const at_bench_size *size = at_bench_sizes; st == AT_OK && size->name; size++) {
        if (!at_bench_is_decoder(size) && at_bench_wants(bench, size->name))
            st = measure_size(bench, size, w);
    }
    at_tape_free(w->tape);
    at_arena_free(w->arena);
    at_free(w);
    return st;
}
