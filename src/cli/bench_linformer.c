/* Linformer beside full attention: one block by length, and the whole Transformer over a large picture. */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "model/stack.h"

enum { WIDTH = 512, FFN = 2048, HEADS = 8, SLOTS = 256, LAYERS = 12, PATCH = 32, CLASSES = 1000 };

/* Pictures this many patches wide and high, and a class token. */
static const size_t sides[] = {16, 23, 32, 45, 64, 91, 128};
enum { SIDES = sizeof sides / sizeof sides[0], WHOLE_SIDE = 64 };

/* Seconds of a run, forward and backward; bytes that the tape held in it. */
typedef struct cost {
    double seconds, bytes;
} cost;

typedef struct run {
    at_tape *tape;
    at_params *params;
    float *grads;
    const at_stack *stack; /* a block; NULL: */
    const at_model *model;
    at_batch batch;
    const float *x; /* (rows, WIDTH) of a block */
    at_rows rows;
} run;

static at_status once(void *context)
{
    run *r = context;
    const at_loss_options how = {.scale = 1};
    memset(r->grads, 0, r->params->total * sizeof *r->grads);
    at_tape_begin(r->tape, AT_TAPE_TRAIN, 1, 1);
    r->tape->grads = r->grads;
    at_var *loss;
    if (r->stack) {
        at_stack_pass pass = {.tape = r->tape, .rows = &r->rows};
        int64_t n = (int64_t)at_rows_total(&r->rows);
        at_var *x = at_leaf(r->tape, at_shape2(n, WIDTH), (float *)(uintptr_t)r->x, NULL);
        loss = at_sum(r->tape, at_stack_run(r->stack, &pass, x));
    } else {
        loss = at_model_loss(r->model, r->tape, &r->batch, &how, NULL);
    }
    at_tape_backward(r->tape, loss);
    return at_tape_status(r->tape);
}

/* The first run when it already took the time that a case has; else the median of some. */
static at_status measure(const at_bench *bench, run *r, cost *c)
{
    double start = at_clock();
    at_status st = at_params_allocate(r->params);
    if (st != AT_OK)
        return st;
    at_params_init(r->params, bench->seed);
    r->grads = at_alloc_array(r->params->total, sizeof *r->grads);
    st = r->grads ? at_tape_new(bench->exec, &r->tape) : AT_ENOMEM;
    if (st == AT_OK) {
        at_exec_took(bench->exec, "make ready", false);
        start = at_clock();
        st = once(r);
    }
    c->seconds = at_clock() - start;
    if (st == AT_OK && c->seconds < bench->seconds)
        st = at_bench_median(bench, once, r, &c->seconds);
    c->bytes = r->tape ? (double)at_tape_peak(r->tape) : 0;
    at_tape_free(r->tape);
    at_free(r->grads);
    return st;
}

/* ---------------------------------------------------------------- a block */

static const at_stack_names names = {.layers = "layers.",
                                     .self = "self.",
                                     .self_norm = "norm",
                                     .fc1 = "fc1",
                                     .fc2 = "fc2",
                                     .ffn_norm = "ffn_norm",
                                     .last = "last"};

static at_status measure_block(const at_bench *bench, size_t rows, size_t slots, const float *x, cost *c)
{
    int32_t offsets[] = {0, (int32_t)rows};
    at_params params = {0};
    at_stack stack = {0};
    at_stack_spec spec = {.names = &names,
                          .layers = 1,
                          .width = WIDTH,
                          .ffn = FFN,
                          .heads = HEADS,
                          .norm = AT_PRE_NORM,
                          .activation = AT_GELU,
                          .linformer = {.slots = slots, .places = rows, .share_heads = true}};
    run r = {.params = &params, .stack = &stack, .x = x, .rows = {1, offsets, NULL}};
    at_status st = at_stack_declare(&params, &spec, &stack);
    if (st == AT_OK)
        st = measure(bench, &r, c);
    at_stack_free(&stack);
    at_params_free(&params);
    return st;
}

static at_status block_row(at_bench *bench, size_t rows)
{
    char name[16];
    snprintf(name, sizeof name, "%zu", rows);
    if (!at_bench_wants(bench, name))
        return AT_OK;
    cost linformer = {0}, full = {0};
    float *x = at_alloc_array(rows * WIDTH, sizeof *x);
    if (!x)
        return AT_ENOMEM;
    at_rng rng = at_rng_make(bench->seed, AT_RNG_TEST);
    for (size_t i = 0; i < rows * WIDTH; i++)
        x[i] = at_rng_normal(&rng);
    at_status st = measure_block(bench, rows, SLOTS, x, &linformer);
    if (st == AT_OK)
        st = measure_block(bench, rows, 0, x, &full);
    at_free(x);
    if (st != AT_OK)
        return st;
    double n = (double)rows, weights = n * n * HEADS * sizeof(float) / 1e6;
    return at_bench_row(
        bench,
        json_pack("{s:s,s:f,s:f,s:f,s:f,s:f,s:f}", "case", name, "length", n, "linformer_ms",
                  1e3 * linformer.seconds, "full_ms", 1e3 * full.seconds, "linformer_mb",
                  linformer.bytes / 1e6, "full_mb", full.bytes / 1e6, "weights_mb", weights),
        "%6s rows, a block: Linformer %9.1f ms %7.1f MB, full attention %9.1f ms %7.1f MB; all "
        "weights %8.1f MB",
        name, 1e3 * linformer.seconds, linformer.bytes / 1e6, 1e3 * full.seconds, full.bytes / 1e6, weights);
}

/* ---------------------------------------------------------------- the whole */

static at_status measure_whole(const at_bench *bench, size_t slots, const float *pixels, cost *c,
                               size_t *total)
{
    enum { SIDE = WHOLE_SIDE * PATCH };
    static const int32_t offsets[] = {0, 1}, label = 7;
    at_vocabulary vocabulary = {.labels = CLASSES};
    json_t *options =
        json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:I}", "image_height", SIDE, "image_width", SIDE,
                  "patch_height", PATCH, "patch_width", PATCH, "layers", LAYERS, "d_model", WIDTH, "ffn", FFN,
                  "heads", HEADS, "linformer_k", (json_int_t)slots);
    at_model *model = NULL;
    at_status st = options ? at_model_new("vit", options, &vocabulary, &model) : AT_ENOMEM;
    json_decref(options);
    if (st != AT_OK)
        return st;
    run r = {.params = &model->params,
             .model = model,
             .batch = {.source = {1, offsets, NULL}, .pixels = {SIDE, SIDE, 3, pixels}, .labels = &label}};
    st = measure(bench, &r, c);
    *total = at_params_numbers(&model->params);
    at_model_free(model);
    return st;
}

static at_status whole_row(at_bench *bench, const char *name, size_t slots)
{
    enum { SIDE = WHOLE_SIDE * PATCH };
    if (!at_bench_wants(bench, name))
        return AT_OK;
    cost c = {0};
    size_t total = 0;
    float *pixels = at_alloc_array((size_t)SIDE * SIDE * 3, sizeof *pixels);
    if (!pixels)
        return AT_ENOMEM;
    at_rng rng = at_rng_make(bench->seed, AT_RNG_TEST);
    for (size_t i = 0; i < (size_t)SIDE * SIDE * 3; i++)
        pixels[i] = at_rng_normal(&rng);
    at_status st = measure_whole(bench, slots, pixels, &c, &total);
    at_free(pixels);
    if (st != AT_OK)
        return st;
    return at_bench_row(bench,
                        json_pack("{s:s,s:f,s:f,s:I}", "case", name, "both_ms", 1e3 * c.seconds, "held_mb",
                                  c.bytes / 1e6, "parameters", (json_int_t)total),
                        "%s: %d blocks, forward and backward %.1f ms, %.1f MB held, and %.1f MB parameters",
                        name, LAYERS, 1e3 * c.seconds, c.bytes / 1e6, (double)total * sizeof(float) / 1e6);
}

static at_status draw(const at_bench *bench)
{
    static const at_bench_line lines[] = {{"linformer_ms", "Linformer, ms", AT_AXIS_LEFT},
                                          {"full_ms", "full, ms", AT_AXIS_LEFT},
                                          {"full_mb", "held, MB", AT_AXIS_RIGHT},
                                          {"weights_mb", "all weights, MB", AT_AXIS_RIGHT}};
    at_buf caption = {0};
    at_buf_printf(
        &caption,
        "One block of a Transformer, forward and backward: width %d, %d heads, feed-forward %d, one "
        "sequence, fp32, %s kernels, threads: %d. Linformer: k %d, keys and values apart, heads "
        "together. Held: values and gradients of the tape, as many with either; neither keeps all weights.",
        WIDTH, HEADS, FFN, bench->exec->kernels->name, bench->exec->threads, SLOTS);
    at_status st = at_buf_status(&caption);
    if (st == AT_OK)
        st = at_bench_draw(bench, "A block with Linformer, and with full attention", caption.data, lines, 4);
    at_buf_free(&caption);
    return st;
}

at_status at_bench_linformer(at_bench *bench)
{
    at_status st = AT_OK;
    for (size_t i = 0; i < SIDES && st == AT_OK; i++)
        st = block_row(bench, sides[i] * sides[i] + 1);
    if (st == AT_OK && bench->svg)
        st = draw(bench);
    if (st == AT_OK)
        st = whole_row(bench, "2048px", SLOTS);
    return st == AT_OK ? whole_row(bench, "2048px-full", 0) : st;
}
