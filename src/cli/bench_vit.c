/* The Transformer of pictures that docs/results.md measures beside PyTorch's: training steps and classifying,
 * pictures in memory. */
#include "base/memory.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "train/optimiser.h"

enum { BATCH = 64, SIDE = 224, CHANNELS = 3, LABELS = 2 };

/* 49 patches and a class token through 12 blocks, as recipes/cats-dogs-linformer.json has them, and with full
 * attention. */
static const struct size {
    const char *name;
    int slots;
} sizes[] = {{"linformer", 64}, {"full", 0}};

typedef struct work {
    at_model *model;
    at_optimiser *optimiser;
    at_tape *tape;
    at_batch batch;
    uint64_t step;
    bool mixed;
} work;

static at_status train_once(void *context)
{
    work *w = context;
    const at_loss_options how = {.scale = 1.0f / BATCH};
    at_optimiser_clear(w->optimiser);
    at_status st = w->mixed ? at_params_shadow(&w->model->params, w->tape->exec) : AT_OK;
    if (st != AT_OK)
        return st;
    at_tape_begin(w->tape, AT_TAPE_TRAIN, 1, w->step++);
    w->tape->grads = w->optimiser->grads;
    w->tape->mixed = w->mixed;
    at_tape_backward(w->tape, at_model_loss(w->model, w->tape, &w->batch, &how, NULL));
    st = at_tape_status(w->tape);
    if (st == AT_OK)
        at_optimiser_step(w->optimiser, 3e-5, 1);
    return st;
}

static at_status classify_once(void *context)
{
    work *w = context;
    at_tape_begin(w->tape, AT_TAPE_RUN, 0, 0);
    w->tape->mixed = false;
    at_model_classify(w->model, w->tape, &w->batch, NULL);
    return at_tape_status(w->tape);
}

static at_status fill(work *w, at_arena *arena, uint64_t seed)
{
    size_t count = (size_t)BATCH * SIDE * SIDE * CHANNELS;
    float *pixels = at_arena_array(arena, count, sizeof *pixels);
    int32_t *offsets = at_arena_array(arena, BATCH + 1, sizeof *offsets),
            *labels = at_arena_array(arena, BATCH, sizeof *labels);
    if (!pixels || !offsets || !labels)
        return AT_ENOMEM;
    at_rng rng = at_rng_make(seed, AT_RNG_TEST);
    for (size_t i = 0; i < count; i++)
        pixels[i] = at_rng_normal(&rng);
    for (int32_t b = 0; b <= BATCH; b++)
        offsets[b] = b;
    for (size_t b = 0; b < BATCH; b++)
        labels[b] = (int32_t)at_rng_below(&rng, LABELS);
    w->batch = (at_batch){.source = {BATCH, offsets, NULL},
                          .pixels = {.height = SIDE, .width = SIDE, .channels = CHANNELS, .data = pixels},
                          .labels = labels};
    return AT_OK;
}

static at_status measure(at_bench *bench, const struct size *size, work *w)
{
    const at_optimiser_options adam = {.kind = AT_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    double train = 0, classify = 0;
    w->mixed = bench->bf16;
    at_status st = at_optimiser_new(bench->exec, &w->model->params, &adam, &w->optimiser);
    if (st == AT_OK)
        st = at_bench_median(bench, train_once, w, &train);
    if (st == AT_OK)
        st = at_bench_pack(bench, w->model);
    if (st == AT_OK)
        st = at_bench_median(bench, classify_once, w, &classify);
    if (st != AT_OK)
        return st;
    return at_bench_row(bench,
                        json_pack("{s:s,s:s,s:f,s:f,s:f,s:f}", "size", size->name, "type",
                                  at_bench_type(bench), "step_ms", 1e3 * train, "train_pictures_per_s",
                                  BATCH / train, "classify_ms", 1e3 * classify, "classify_pictures_per_s",
                                  BATCH / classify),
                        "%-10s %s train %8.0f pictures/s (step %.0f ms), classify %8.0f pictures/s",
                        size->name, at_bench_type(bench), BATCH / train, 1e3 * train, BATCH / classify);
}

static at_status measure_size(at_bench *bench, const struct size *size, work *w, at_arena *arena)
{
    const at_vocabulary vocabulary = {.labels = LABELS};
    json_t *options =
        json_pack("{s:i,s:i,s:i,s:i,s:b,s:i,s:i,s:i,s:i,s:i,s:f}", "image_height", SIDE, "image_width", SIDE,
                  "patch_height", 32, "patch_width", 32, "patch_norm", 1, "layers", 12, "d_model", 128, "ffn",
                  512, "heads", 8, "linformer_k", size->slots, "eps", 1e-5);
    at_status st = options ? at_model_new("vit", options, &vocabulary, &w->model) : AT_ENOMEM;
    json_decref(options);
    if (st == AT_OK)
        st = at_params_allocate(&w->model->params);
    if (st == AT_OK)
        at_params_init(&w->model->params, bench->seed);
    if (st == AT_OK)
        st = fill(w, arena, bench->seed);
    if (st == AT_OK)
        st = measure(bench, size, w);
    at_optimiser_free(w->optimiser);
    at_model_free(w->model);
    return st;
}

at_status at_bench_vit(at_bench *bench)
{
    at_status st = AT_OK;
    for (size_t i = 0; st == AT_OK && i < sizeof sizes / sizeof sizes[0]; i++) {
        if (!at_bench_wants(bench, sizes[i].name))
            continue;
        work w = {0};
        at_arena *arena = at_arena_new();
        st = arena ? at_tape_new(bench->exec, &w.tape) : AT_ENOMEM;
        if (st == AT_OK)
            st = measure_size(bench, &sizes[i], &w, arena);
        at_tape_free(w.tape);
        at_arena_free(arena);
    }
    return st;
}
