/* cli/bench.h - what the benches share: options, how long to measure, rows of results.
 *
 * Role    A bench does the same work again and again for some seconds; its row names the case and says
 *         the median. The work is that of the peers' scripts which docs/results.md names, so that ratios
 *         mean something.
 * Owns    `rows` and `exec`, by bench.c.
 *
 *     double seconds;
 *     st = at_bench_median(bench, run_once, &context, &seconds);
 *     st = at_bench_row(bench, json_pack("{s:s,s:f}", "case", name, "gflops", rate), "%-16s %7.1f", …);
 */
#ifndef AT_CLI_BENCH_H
#define AT_CLI_BENCH_H
#include <jansson.h>
#include <string.h>
#include "draw/curves.h"
#include "kernel/exec.h"
#include "layer/params.h"
#include "model/model.h"

typedef struct at_bench {
    at_exec *exec;
    double seconds;   /* how long each case is measured at least */
    const char *only; /* the case or size that is wanted; NULL: all */
    const char *svg;  /* file for a picture, where the bench has one; NULL: none */
    uint64_t seed;
    bool bf16; /* matrices (train: what linear layers multiply), or queries, keys and values */
    bool json;
    json_t *rows;
} at_bench;

typedef at_status at_bench_work(void *context);

/* One run that is not counted, then runs for bench->seconds (at least three if that is a second or more):
 * the median run's seconds. */
at_status at_bench_median(const at_bench *bench, at_bench_work *work, void *context, double *seconds);
/* Keeps the row (takes the reference) and, unless JSON is wanted, prints the line at once. */
at_status at_bench_row(at_bench *bench, json_t *row, const char *format, ...) AT_PRINTF(3, 4);
bool at_bench_wants(const at_bench *bench, const char *name);

/* A line of the picture over the rows' "length": the number that each row has under `key`. */
typedef struct at_bench_line {
    const char *key, *name;
    at_axis axis;
} at_bench_line;
enum { AT_BENCH_LINES = 8, AT_BENCH_POINTS = 16 };
/* Rows without a length have no point. Both scales are logarithmic. */
at_status at_bench_draw(const at_bench *bench, const char *title, const char *caption,
                        const at_bench_line *lines, size_t count);

/* A network with random weights. */
typedef struct at_bench_size {
    const char *name;
    int layers, width, ffn, heads, pieces; /* layers of the encoder, and as many of the decoder */
    const char *family, *options;          /* instead of these: a family, its section as JSON */
    int prompt;                            /* pieces to read before writing; 0: few */
} at_bench_size;

static inline const char *at_bench_type(const at_bench *bench)
{
    return bench->bf16 ? "bf16" : "fp32";
}

static inline bool at_bench_is_decoder(const at_bench_size *size)
{
    return size->family && strcmp(size->family, "decoder") == 0;
}

extern const at_bench_size at_bench_sizes[]; /* ends with a row without name */
at_status at_bench_model(const at_bench *bench, const at_bench_size *size, double dropout, at_model **model);
/* Packs it for running, its matrices as the bench wants them. */
at_status at_bench_pack(const at_bench *bench, at_model *model);

at_status at_bench_attention(at_bench *bench);
at_status at_bench_lengths(at_bench *bench);
at_status at_bench_linformer(at_bench *bench);
at_status at_bench_vit(at_bench *bench);
at_status at_bench_translate(at_bench *bench);
at_status at_bench_train(at_bench *bench);
at_status at_bench_generate(at_bench *bench);
#endif
