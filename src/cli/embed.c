#include <math.h>
#include <string.h>
#include "attend.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/textfile.h"
#include "cli/vectors.h"

enum { LINES_AT_ONCE = 256 };

typedef struct options {
    char *model, *compare;
    int64_t layer, nearest, top, batch;
    double temperature;
    bool words, raw;
} options;

static const at_field fields[] = {
    {"model", AT_FIELD_TEXT, offsetof(options, model), NULL, 0, 0, NULL, "model folder: any with an encoder"},
    {"words", AT_FIELD_BOOL, offsetof(options, words), "false", 0, 0, NULL,
     "a vector for each word instead of one for the line"},
    {"layer", AT_FIELD_INT, offsetof(options, layer), "-1", -1, 63, NULL,
     "after so many layers; 0: before any attention; -1: the last"},
    {"raw", AT_FIELD_BOOL, offsetof(options, raw), "false", 0, 0, NULL,
     "vectors as they are, not of length 1"},
    {"nearest", AT_FIELD_INT, offsetof(options, nearest), "0", 0, 1 << 20, NULL,
     "instead of vectors, the so many nearest other lines (or words) of the input, with their cosines"},
    {"compare", AT_FIELD_TEXT, offsetof(options, compare), NULL, 0, 0, NULL,
     "rank the lines against this one: cosine, weight, line"},
    {"temperature", AT_FIELD_REAL, offsetof(options, temperature), "0.05", 0.001, 10, NULL,
     "cosines are divided by it before the softmax of --compare"},
    {"top", AT_FIELD_INT, offsetof(options, top), "0", 0, 1 << 20, NULL,
     "only so many lines of --compare; 0: all"},
    {"batch", AT_FIELD_INT, offsetof(options, batch), "32", 1, 4096, NULL, "lines read at a time"},
    {0}};

static const at_cli_spec spec = {
    .name = "embed",
    .usage = "--model FOLDER [--words] [--nearest K | --compare LINE] [options] [LINE …]",
    .summary =
        "Its arguments, or the lines of standard input, as vectors: one line of numbers for each; with\n"
        "--words, word, tab, numbers. Or what is near what.",
    .fields = fields,
    .examples = "  attend embed --model tatoeba \"I like tea.\" --json\n"
                "  attend embed --model tatoeba --compare \"wanted: a nurse for nights\" < candidates.txt\n"
                "  attend embed --model tatoeba --compare \"I have nursed for ten years\" < jobs.txt\n"
                "  attend embed --model news --words --layer 0 --nearest 3 < words.txt\n"};

/* ---------------------------------------------------------------- vectors as they come */

typedef struct printer {
    bool json;
    size_t first, cut;
    at_buf out;
} printer;

static bool print_vector(void *context, const at_vector *v)
{
    printer *p = context;
    p->cut += v->cut && !v->number;
    if (p->json) {
        json_t *o = json_pack("{s:I}", "line", (json_int_t)v->line + (json_int_t)p->first),
               *list = json_array();
        if (v->word)
            json_object_set_new(o, "word", json_string(v->word));
        for (size_t i = 0; i < v->width; i++)
            json_array_append_new(list, json_real((double)v->values[i]));
        json_object_set_new(o, "vector", list);
        at_cli_put_json(&p->out, o, JSON_COMPACT | JSON_REAL_PRECISION(7));
        return at_buf_status(&p->out) == AT_OK;
    }
    if (v->word)
        at_buf_printf(&p->out, "%s\t", v->word);
    for (size_t i = 0; i < v->width; i++)
        at_buf_printf(&p->out, "%s%.7g", i ? " " : "", (double)v->values[i]);
    at_buf_char(&p->out, '\n');
    return at_buf_status(&p->out) == AT_OK;
}

static at_status print_vectors(at_embedder *embedder, const at_embed_options *how, at_cli_lines *in,
                               printer *p)
{
    at_status st;
    while ((st = at_cli_lines_next(in, LINES_AT_ONCE)) == AT_OK && in->count > 0) {
        st = at_embed_lines(embedder, (const char *const *)in->list, in->count, how, print_vector, p);
        if (st == AT_ECANCEL) /* print stops only when memory is out */
            st = at_buf_status(&p->out);
        if (st == AT_OK)
            st = at_cli_print(&p->out);
        at_buf_clear(&p->out);
        if (st != AT_OK)
            break;
        p->first += in->count;
    }
    return st;
}

/* ---------------------------------------------------------------- what is near what */

static at_status read_all(at_cli_lines *in, at_textfile *lines)
{
    at_status st;
    while ((st = at_cli_lines_next(in, LINES_AT_ONCE)) == AT_OK && in->count > 0)
        for (size_t i = 0; st == AT_OK && i < in->count; i++)
            st = at_textfile_add(lines, in->list[i], strlen(in->list[i]));
    return st;
}

/* What a vector stands for. */
static const char *text_of(const at_vectors *v, const at_textfile *lines, size_t i)
{
    return v->word[i] ? v->word[i] : lines->lines[v->line[i]];
}

static void put_near(printer *p, const at_vectors *v, const at_textfile *lines, size_t i, const size_t *near,
                     size_t count)
{
    json_t *list = p->json ? json_array() : NULL;
    if (!p->json)
        at_buf_text(&p->out, text_of(v, lines, i));
    for (size_t k = 0; k < count; k++) {
        double cosine = at_vectors_cosine(v, i, v, near[k]);
        const char *text = text_of(v, lines, near[k]);
        if (p->json)
            json_array_append_new(list, json_pack("{s:s, s:I, s:f}", v->word[i] ? "word" : "text", text,
                                                  "line", (json_int_t)v->line[near[k]], "cosine", cosine));
        else
            at_buf_printf(&p->out, "\t%s\t%.4f", text, cosine);
    }
    if (p->json)
        at_cli_put_json(&p->out,
                        json_pack("{s:I, s:s, s:o}", "line", (json_int_t)v->line[i],
                                  v->word[i] ? "word" : "text", text_of(v, lines, i), "nearest", list),
                        JSON_COMPACT | JSON_REAL_PRECISION(7));
    else
        at_buf_char(&p->out, '\n');
}

static at_status print_nearest(const at_vectors *v, const at_textfile *lines, size_t most, printer *p)
{
    size_t *near = at_alloc_array(most + 1, sizeof *near);
    if (!near)
        return AT_ENOMEM;
    for (size_t i = 0; i < v->count; i++)
        put_near(p, v, lines, i, near, at_vectors_nearest(v, i, v, i, most, near));
    at_free(near);
    return at_cli_print(&p->out);
}

/* Weights are the softmax of cosines over temperature: one step of attention, the query's, over all lines. */
static at_status print_ranking(const options *o, const at_vectors *query, const at_vectors *v,
                               const at_textfile *lines, printer *p)
{
    size_t top = o->top && (size_t)o->top < v->count ? (size_t)o->top : v->count;
    size_t *order = at_alloc_array(v->count + 1, sizeof *order);
    if (!order)
        return AT_ENOMEM;
    size_t count = at_vectors_nearest(query, 0, v, SIZE_MAX, v->count, order);
    double sum = 0, most = count ? at_vectors_cosine(query, 0, v, order[0]) : 0;
    for (size_t i = 0; i < count; i++)
        sum += exp((at_vectors_cosine(query, 0, v, order[i]) - most) / o->temperature);
    for (size_t i = 0; i < top; i++) {
        double cosine = at_vectors_cosine(query, 0, v, order[i]);
        double weight = exp((cosine - most) / o->temperature) / sum;
        const char *text = lines->lines[v->line[order[i]]];
        if (p->json)
            at_cli_put_json(&p->out,
                            json_pack("{s:I, s:f, s:f, s:s}", "line", (json_int_t)v->line[order[i]], "cosine",
                                      cosine, "weight", weight, "text", text),
                            JSON_COMPACT | JSON_REAL_PRECISION(7));
        else
            at_buf_printf(&p->out, "%.4f\t%.4f\t%s\n", cosine, weight, text);
    }
    at_free(order);
    return at_cli_print(&p->out);
}

static at_status compare(const options *o, at_embedder *embedder, const at_embed_options *how,
                         at_cli_lines *in, printer *p)
{
    at_textfile lines = {0};
    at_vectors v = {0}, query = {0};
    at_status st = read_all(in, &lines);
    if (st == AT_OK && o->compare)
        st = at_vectors_read(&query, embedder, (const char *const *)&o->compare, 1, how);
    if (st == AT_OK && o->compare && !query.width)
        st = at_fail(AT_EARG, "--compare: nothing to compare with; give it some words");
    if (st == AT_OK)
        st = at_vectors_read(&v, embedder, (const char *const *)lines.lines, lines.count, how);
    if (st == AT_OK)
        st = o->compare ? print_ranking(o, &query, &v, &lines, p)
                        : print_nearest(&v, &lines, (size_t)o->nearest, p);
    p->cut = v.cut;
    at_vectors_free(&query);
    at_vectors_free(&v);
    at_textfile_free(&lines);
    return st;
}

/* ---------------------------------------------------------------- the command */

static at_status run(const options *o, const at_cli_common *common, const at_cli_words *words)
{
    at_open_options open = {
        .struct_size = sizeof open, .threads = (int)common->threads, .kernels = common->kernels};
    at_embedder *embedder = NULL;
    at_embed_options how = AT_EMBED_DEFAULTS;
    how.batch = (int)o->batch;
    how.words = o->words;
    how.layer = (int)o->layer;
    how.raw = o->raw;
    printer p = {.json = common->json};
    at_status st = at_embedder_open(o->model, &open, &embedder);
    at_cli_lines in;
    at_cli_lines_open(&in, words->list, words->count);
    if (st == AT_OK)
        st = o->nearest || o->compare ? compare(o, embedder, &how, &in, &p)
                                      : print_vectors(embedder, &how, &in, &p);
    at_cli_lines_close(&in);
    if (st == AT_OK && p.cut && !common->quiet)
        at_cli_note(&spec, "%zu lines are longer than the model reaches: only their beginning was read",
                    p.cut);
    at_buf_free(&p.out);
    at_embedder_close(embedder);
    return st;
}

static int check(const options *o)
{
    if (!o->model)
        return at_cli_wrong(&spec, "--model FOLDER is missing");
    if (o->nearest && o->compare)
        return at_cli_wrong(&spec, "--nearest and --compare: give one of them");
    if (o->compare && o->words)
        return at_cli_wrong(&spec, "--compare ranks lines; --words goes with --nearest");
    if (o->raw && (o->nearest || o->compare))
        return at_cli_wrong(&spec, "--raw: cosines are of vectors of length 1");
    return AT_CLI_GO;
}

int at_cli_embed(int argc, char **argv)
{
    options o;
    at_cli_common common;
    at_cli_words words;
    int code = at_cli_parse(&spec, argc, argv, &o, &common, &words);
    if (code != AT_CLI_GO)
        return code;
    code = check(&o);
    if (code == AT_CLI_GO) {
        at_status st = run(&o, &common, &words);
        code = st == AT_OK ? AT_CLI_DONE : at_cli_failed(&spec, st);
    }
    at_cli_free(&spec, &o, &common);
    return code;
}
