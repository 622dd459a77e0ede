#include "cli/bench.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/profile.h"

typedef struct options {
    double seconds;
    char *size, *svg;
    int64_t type;
    bool profile;
} options;

static const at_field fields[] = {
    {"seconds", AT_FIELD_REAL, offsetof(options, seconds), "2", 0.01, 3600, NULL,
     "how long each case is measured"},
    {"size", AT_FIELD_TEXT, offsetof(options, size), NULL, 0, 0, NULL,
     "only this case (attention, lengths, linformer) or size (translate: tiny, base, gru; "
     "train: char too; generate: char, llama)"},
    {"type", AT_FIELD_CHOICE, offsetof(options, type), "fp32", 0, 0, "fp32|bf16",
     "of matrices (translate, generate, vit), of what linear layers multiply (train, vit), or of "
     "queries, keys and values (attention)"},
    {"svg", AT_FIELD_TEXT, offsetof(options, svg), NULL, 0, 0, NULL,
     "draw what was measured into this file (lengths, linformer)"},
    {"profile", AT_FIELD_BOOL, offsetof(options, profile), NULL, 0, 0, NULL,
     "at the end: time, GFLOP/s and GB/s by operation, on stderr"},
    {0}};

static const at_cli_spec spec = {
    .name = "bench",
    .usage = "attention|lengths|linformer|vit|translate|train|generate [options]",
    .summary =
        "Times the work on this machine with random weights and numbers; each figure is a median.\n"
        "attention: the fused mechanism alone; lengths: its time and memory from 64 to 16,384 rows;\n"
        "linformer: a block of width 512 with k 256, and with full attention, 257 to 16,385 rows; and\n"
        "  12 of them over a picture of 2,048 x 2,048 (cases 2048px, 2048px-full);\n"
        "vit: steps of training and classifying of 64 pictures of 224 x 224, 12 blocks of width 128, with\n"
        "  Linformer k 64 and with full attention (sizes linformer, full);\n"
        "translate: 30 pieces to 30 pieces;\n"
        "train: whole steps of a small Transformer, 4,096 target tokens each (size char: 768);\n"
        "generate: 16 pieces and as many as the context holds behind them, greedily; a Llama of 110 M\n"
        "numbers (size llama) reads 512 pieces, then writes 128.",
    .fields = fields,
    .examples = "  attend bench attention --threads 2\n"
                "  attend bench lengths --svg lengths.svg\n"
                "  attend bench linformer --size 4097\n"
                "  attend bench translate --size tiny --json\n"
                "  attend bench train --seconds 60\n"
                "  attend bench train --size char --threads 1\n"
                "  attend bench generate --size llama --type bf16\n"};

const at_bench_size at_bench_sizes[] = {
    {"tiny", .layers = 4, .width = 128, .ffn = 256, .heads = 4, .pieces = 10000},
    {"base", .layers = 6, .width = 512, .ffn = 2048, .heads = 8, .pieces = 32000},
    /* Bahdanau's network at the ladder's sizes; bench/peers/gru_torch.py is the same in PyTorch. */
    {"gru", .pieces = 10000, .family = "recurrent",
     .options = "{\"embedding\": 256, \"encoder_hidden\": 512, \"decoder_hidden\": 512}"},
    {"gru-small", .pieces = 10000, .family = "recurrent",
     .options = "{\"embedding\": 256, \"encoder_hidden\": 256, \"decoder_hidden\": 256}"},
    /* nanoGPT's for a CPU; the same in PyTorch: 12 windows of 64 a step, 65 characters. */
    {"char", .pieces = 69, .family = "decoder",
     .options = "{\"layers\": 4, \"d_model\": 128, \"ffn\": 512, \"heads\": 4, \"max_length\": 64, "
                "\"biases\": false}"},
    {"llama", .pieces = 32000, .family = "decoder", .prompt = 512,
     .options = "{\"layers\": 12, \"d_model\": 768, \"ffn\": 2048, \"heads\": 12, \"max_length\": 2048, "
                "\"positions\": \"rotary\", \"norm\": \"rms\", \"activation\": \"swiglu\", "
                "\"biases\": false, \"tied\": false}"},
    {0}};

static const struct bench {
    const char *name;
    at_status (*run)(at_bench *bench);
} benches[] = {{"attention", at_bench_attention}, {"lengths", at_bench_lengths},
               {"linformer", at_bench_linformer}, {"vit", at_bench_vit},
               {"translate", at_bench_translate}, {"train", at_bench_train},
               {"generate", at_bench_generate}};

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

at_status at_bench_median(const at_bench *bench, at_bench_work *work, void *context, double *seconds)
{
    double *times = NULL;
    size_t count = 0, capacity = 0;
    at_exec_took(bench->exec, "make ready", false); /* random weights and such */
    at_status st = work(context);
    double end = at_clock() + bench->seconds;
    size_t least = bench->seconds < 1 ? 1 : 3; /* a short one only shows that it runs */
    while (st == AT_OK && (count < least || at_clock() < end)) {
        st = at_grow(&times, &capacity, count + 1, sizeof *times);
        double start = at_clock();
        if (st == AT_OK)
            st = work(context);
        if (st == AT_OK)
            times[count++] = at_clock() - start;
    }
    if (st == AT_OK) {
        qsort(times, count, sizeof *times, rising);
        *seconds = count % 2 ? times[count / 2] : (times[count / 2 - 1] + times[count / 2]) / 2;
    }
    at_free(times);
    return st;
}

at_status at_bench_row(at_bench *bench, json_t *row, const char *format, ...)
{
    if (!row || json_array_append_new(bench->rows, row) != 0)
        return at_fail(AT_ENOMEM, "no memory for a result");
    if (bench->json)
        return AT_OK;
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    at_buf line = {0};
    at_buf_printf(&line, "%s\n", text);
    at_status st = at_cli_print(&line);
    at_buf_free(&line);
    return st;
}

bool at_bench_wants(const at_bench *bench, const char *name)
{
    return !bench->only || strcmp(bench->only, name) == 0;
}

at_status at_bench_draw(const at_bench *bench, const char *title, const char *caption,
                        const at_bench_line *lines, size_t count)
{
    AT_ASSERT(count <= AT_BENCH_LINES);
    double x[AT_BENCH_POINTS], y[AT_BENCH_LINES][AT_BENCH_POINTS];
    at_series series[AT_BENCH_LINES];
    size_t points = 0;
    for (size_t i = 0; i < json_array_size(bench->rows) && points < AT_BENCH_POINTS; i++) {
        const json_t *row = json_array_get(bench->rows, i);
        if (!json_object_get(row, "length"))
            continue;
        x[points] = json_real_value(json_object_get(row, "length"));
        for (size_t k = 0; k < count; k++)
            y[k][points] = json_real_value(json_object_get(row, lines[k].key));
        points++;
    }
    for (size_t k = 0; k < count; k++)
        series[k] = (at_series){lines[k].name, x, y[k], points, lines[k].axis};
    at_curves curves = {.title = title,
                        .x_label = "rows of the sequence",
                        .caption = caption,
                        .x_log = 2,
                        .y_log = 10,
                        .series = series,
                        .count = count};
    at_buf out = {0};
    return points ? at_cli_save(at_curves_svg(&curves, &out), &out, bench->svg) : AT_OK;
}

at_status at_bench_model(const at_bench *bench, const at_bench_size *size, double dropout, at_model **model)
{
    at_vocabulary vocabulary = {size->pieces, size->pieces, 0, 1, 2, 3, 0};
    json_t *section = size->options ? json_loads(size->options, 0, NULL)
                                    : json_pack("{s:i,s:i,s:i,s:i,s:i}", "encoder_layers", size->layers,
                                                "decoder_layers", size->layers, "d_model", size->width, "ffn",
                                                size->ffn, "heads", size->heads);
    bool ready = section && json_object_set_new(section, "dropout", json_real(dropout)) == 0;
    at_status st =
        ready ? at_model_new(size->family ? size->family : "transformer", section, &vocabulary, model)
              : at_fail(AT_ENOMEM, "no memory for a model's options");
    json_decref(section);
    if (st == AT_OK) {
        st = at_params_allocate(&(*model)->params);
        if (st == AT_OK)
            at_params_init(&(*model)->params, bench->seed);
        else
            at_model_free(*model);
    }
    if (st != AT_OK)
        *model = NULL;
    return st;
}

at_status at_bench_pack(const at_bench *bench, at_model *model)
{
    at_status st = bench->bf16 ? at_params_compact(&model->params, bench->exec) : AT_OK;
    return st == AT_OK ? at_model_pack(model, bench->exec) : st;
}

static at_status print_head(const at_bench *bench)
{
    at_buf line = {0};
    at_buf_printf(&line, "attend %s, %s, kernels %s, %d threads\n", at_version(), at_cpu_name(),
                  bench->exec->kernels->name, bench->exec->threads);
    at_status st = bench->json ? AT_OK : at_cli_print(&line);
    at_buf_free(&line);
    return st;
}

static at_status print_end(at_bench *bench, const char *name)
{
    double megabytes = (double)at_peak_rss() / 1e6;
    if (bench->json)
        return at_cli_print_json(json_pack("{s:s,s:s,s:s,s:i,s:f,s:O}", "bench", name, "version",
                                           at_version(), "kernels", bench->exec->kernels->name, "threads",
                                           bench->exec->threads, "peak_mb", megabytes, "rows", bench->rows),
                                 JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    at_buf line = {0};
    at_buf_printf(&line, "peak memory %.0f MB\n", megabytes);
    at_status st = at_cli_print(&line);
    at_buf_free(&line);
    return st;
}

static at_status run(const struct bench *which, const options *o, const at_cli_common *common)
{
    at_bench bench = {.seconds = o->seconds,
                      .only = o->size,
                      .svg = o->svg,
                      .bf16 = o->type == 1,
                      .seed = (uint64_t)common->seed,
                      .json = common->json,
                      .rows = json_array()};
    at_status st = bench.rows ? at_exec_new(common->kernels, (int)common->threads, &bench.exec)
                              : at_fail(AT_ENOMEM, "no memory for results");
    if (st == AT_OK)
        st = print_head(&bench);
    at_profile profile;
    if (st == AT_OK && o->profile) {
        at_profile_start(&profile);
        bench.exec->profile = &profile;
    }
    if (st == AT_OK)
        st = which->run(&bench);
    if (st == AT_OK && json_array_size(bench.rows) == 0)
        st = at_fail(AT_EARG, "--size: bench %s has no case '%s'; without the flag it runs and names all",
                     which->name, o->size);
    if (st == AT_OK)
        st = print_end(&bench, which->name);
    if (st == AT_OK && o->profile)
        st = at_cli_profile(bench.exec);
    at_exec_free(bench.exec);
    json_decref(bench.rows);
    return st;
}

int at_cli_bench(int argc, char **argv)
{
    options o;
    at_cli_common common;
    at_cli_words words;
    int code = at_cli_parse(&spec, argc, argv, &o, &common, &words);
    if (code != AT_CLI_GO)
        return code;
    const struct bench *which = NULL;
    for (size_t i = 0; words.count == 1 && i < sizeof benches / sizeof benches[0]; i++)
        which = strcmp(words.list[0], benches[i].name) == 0 ? &benches[i] : which;
    if (!which) {
        code = at_cli_wrong(&spec,
                            "want one of: attention, lengths, linformer, vit, translate, train, generate");
    } else if (o.svg && which->run != at_bench_lengths && which->run != at_bench_linformer) {
        code = at_cli_wrong(&spec, "--svg: only 'bench lengths' and 'bench linformer' have a picture");
    } else {
        at_status st = run(which, &o, &common);
        code = st == AT_OK ? AT_CLI_DONE : at_cli_failed(&spec, st);
    }
    at_cli_free(&spec, &o, &common);
    return code;
}
