/* Writing on with random weights, greedily and without an end: a prompt of 16 pieces, then as many as the
 * context holds, so that the work is the same for every engine. */
#include <stdlib.h>
#include <string.h>
#include "base/memory.h"
#include "cli/bench.h"
#include "task/generator.h"
#include "text/train.h"

enum { PROMPT = 16, SPECIALS = 4 };

typedef struct work {
    at_generator *generator;
    at_generate_options options;
    const char **prompts;
    size_t count, said;
} work;

static bool count_token(void *context, const at_token *token)
{
    (void)token;
    ((work *)context)->said++;
    return true;
}

static at_status run_once(void *context)
{
    work *w = context;
    w->said = 0;
    return at_generate(w->generator, w->prompts, w->count, &w->options, count_token, w);
}

static at_status measure(at_bench *bench, const at_bench_size *size, work *w, int batch)
{
    static const char prompt[PROMPT + 1] = "ROMEO: WHAT SAY ";
    double seconds = 0;
    w->count = (size_t)batch;
    w->options.batch = batch;
    for (int b = 0; b < batch; b++)
        w->prompts[b] = prompt;
    at_status st = at_bench_median(bench, run_once, w, &seconds);
    if (st != AT_OK)
        return st;
    double rate = (double)w->said / seconds;
    return at_bench_row(bench,
                        json_pack("{s:s,s:i,s:i,s:f,s:f}", "size", size->name, "batch", batch, "tokens",
                                  (int)w->said, "tokens_per_s", rate, "ms", 1e3 * seconds),
                        "%-6s %s  batch %3d: %9.0f tokens/s  (%.2f ms for %zu)", size->name,
                        bench->bf16 ? "bf16" : "fp32", batch, rate, 1e3 * seconds, w->said);
}

/* Bytes of weights that one row passes by: all matrices that are packed. */
static double packed_bytes(const at_model *model)
{
    double bytes = 0;
    for (size_t i = 0; i < model->params.count; i++) {
        const at_param *p = model->params.list[i];
        double count = (double)at_shape_count(p->shape);
        bytes += p->packed16 ? count * sizeof *p->packed16 : p->packed ? count * sizeof *p->packed : 0;
    }
    return bytes;
}

/* A long prompt, and what is written behind it: the time of both less that of the prompt and one piece. */
static at_status measure_long(at_bench *bench, const at_bench_size *size, const at_model *model, work *w)
{
    enum { WRITTEN = 128 };
    double read = 0, both = 0, bytes = packed_bytes(model);
    char *prompt = at_alloc_zero((size_t)size->prompt + 1, 1);
    if (!prompt)
        return AT_ENOMEM;
    for (int i = 0; i < size->prompt; i++)
        prompt[i] = (char)(' ' + i * 7 % 90);
    w->prompts[0] = prompt;
    w->count = 1;
    w->options.batch = 1;
    w->options.max_tokens = 1;
    at_status st = at_bench_median(bench, run_once, w, &read);
    w->options.max_tokens = 1 + WRITTEN;
    if (st == AT_OK)
        st = at_bench_median(bench, run_once, w, &both);
    at_free(prompt);
    if (st != AT_OK)
        return st;
    double reading = size->prompt / read, writing = WRITTEN / (both - read);
    return at_bench_row(
        bench,
        json_pack("{s:s,s:s,s:f,s:f,s:f}", "size", size->name, "type", bench->bf16 ? "bf16" : "fp32",
                  "prompt_per_s", reading, "tokens_per_s", writing, "weights_gb_per_s",
                  1e-9 * bytes * writing),
        "%-6s %s  prompt %d: %7.1f tokens/s   %d after it: %6.1f tokens/s, weights at %.1f GB/s", size->name,
        bench->bf16 ? "bf16" : "fp32", size->prompt, reading, WRITTEN, writing, 1e-9 * bytes * writing);
}

static at_status measure_size(at_bench *bench, const at_bench_size *size, at_folder *folder)
{
    static const int batches[] = {1, 8, 32};
    enum { MOST = 32 };
    const char *prompts[MOST];
    work w = {.options = AT_GENERATE_DEFAULTS, .prompts = prompts};
    at_status st = at_bench_pack(bench, folder->model);
    if (st == AT_OK)
        st = at_generator_borrow(folder, bench->exec, &w.generator);
    w.options.temperature = 0;
    w.options.ignore_end = true;
    w.options.bf16_cache = bench->bf16;
    w.options.window = AT_WINDOW_REFUSE;
    w.options.max_tokens = st == AT_OK ? (int)at_generator_context(w.generator) - PROMPT : 0;
    if (st == AT_OK && size->prompt)
        st = measure_long(bench, size, folder->model, &w);
    for (size_t i = 0; st == AT_OK && !size->prompt && i < sizeof batches / sizeof *batches; i++)
        st = measure(bench, size, &w, batches[i]);
    at_generator_release(w.generator);
    return st;
}

/* Of as many characters as the size has pieces. */
static at_status make_tokenizer(int pieces, at_tokenizer **tokenizer)
{
    at_learner *learner;
    char text[128];
    size_t count = 0;
    at_tokenizer_options options = {.type = AT_TYPE_BYTE, .bytes = AT_BYTES_SEEN};
    for (char c = ' '; (int)count < pieces - SPECIALS && c < 127; c++)
        text[count++] = c;
    at_status st = at_learner_new(&options, &learner);
    if (st != AT_OK)
        return st;
    st = at_learner_line(learner, text, count);
    if (st == AT_OK)
        st = at_learner_finish(learner, tokenizer);
    at_learner_free(learner);
    return st;
}

at_status at_bench_generate(at_bench *bench)
{
    at_status st = AT_OK;
    for (const at_bench_size *size = at_bench_sizes; st == AT_OK && size->name; size++) {
        if (!at_bench_is_decoder(size) || !at_bench_wants(bench, size->name))
            continue;
        at_folder folder = {0};
        st = at_bench_model(bench, size, 0, &folder.model);
        if (st == AT_OK)
            st = make_tokenizer(size->pieces, &folder.tokenizer);
        if (st == AT_OK)
            st = measure_size(bench, size, &folder);
        at_tokenizer_free(folder.tokenizer);
        at_model_free(folder.model);
    }
    return st;
}
