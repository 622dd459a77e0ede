#include <stdio.h>
#include <string.h>
#include "attend.h"
#include "base/memory.h"
#include "cli/align_choose.h"
#include "cli/alignment.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/textfile.h"
#include "text/corpus.h"

typedef struct options {
    char *model, *layer, *head, *choose;
    int64_t format, words, batch;
    bool store;
} options;

static const at_field fields[] = {
    {"model", AT_FIELD_TEXT, offsetof(options, model), NULL, 0, 0, NULL, "model folder"},
    {"format", AT_FIELD_CHOICE, offsetof(options, format), "moses", 0, 0, "moses|soft|json",
     "pairs SOURCE-TARGET; rows of weights; both with the words"},
    {"words", AT_FIELD_CHOICE, offsetof(options, words), "text", 0, 0, "text|spaced|pieces",
     "what is aligned: words of text, punctuation apart; what spaces separate; the tokenizer's pieces"},
    {"layer", AT_FIELD_TEXT, offsetof(options, layer), "own", 0, 0, NULL,
     "whose alignment: own, mean or a number; " AT_CLI_PICK_HELP},
    {"head", AT_FIELD_TEXT, offsetof(options, head), "own", 0, 0, NULL, "likewise"},
    {"batch", AT_FIELD_INT, offsetof(options, batch), "32", 1, 4096, NULL, "pairs in one pass"},
    {"choose", AT_FIELD_TEXT, offsetof(options, choose), NULL, 0, 0, NULL,
     "instead: the alignment error rate of every layer and head against the links of this file"},
    {"store", AT_FIELD_BOOL, offsetof(options, store), "false", 0, 0, NULL,
     "with --choose: the best becomes the model's own, in its config.json"},
    {0}};

static const at_cli_spec spec = {
    .name = "align",
    .usage = "--model FOLDER [options] [SOURCES TARGETS | PAIRS.tsv]",
    .summary =
        "Aligns the words of translations that are given: the model is made to say each target, in one\n"
        "pass, and what it looked at is printed, a line a pair. Pairs come from two files, from one TSV,\n"
        "or as TSV from standard input. A pair with an empty side, or longer than the model reaches,\n"
        "gives an empty line.",
    .fields = fields,
    .examples = "  printf 'Tom chases Jerry.\\t汤姆追杰瑞。\\n' | attend align --model models/tatoeba-en-zh\n"
                "  attend align --model model --words spaced train.en train.de > train.align\n"
                "  attend align --model model --words spaced --choose gold.align --store test.en test.de\n"
                "  attend align --model model --layer 3 --head mean --format json test.tsv\n"};

enum { CHUNK = 64 }; /* batches read before they are aligned */

typedef struct job {
    const options *o;
    int format;   /* AT_ALIGN_… */
    size_t first; /* number of the chunk's first pair */
    size_t too_long, first_too_long;
    at_status status;
    at_buf out;
} job;

static bool print(void *context, const at_alignment *given)
{
    job *j = context;
    at_alignment a = *given;
    a.line += j->first;
    if (a.too_long && j->too_long++ == 0)
        j->first_too_long = a.line + 1;
    if (j->format == AT_ALIGN_JSON) {
        at_cli_put_json(&j->out, at_alignment_json(&a), JSON_COMPACT | JSON_REAL_PRECISION(7));
    } else {
        if (j->format == AT_ALIGN_MOSES)
            j->status = at_alignment_moses(&a, &j->out);
        else
            at_alignment_soft(&a, &j->out);
        at_buf_char(&j->out, '\n');
    }
    if (j->status == AT_OK)
        j->status = at_buf_status(&j->out);
    return j->status == AT_OK;
}

/* The next pairs, at most `most`. */
static at_status read_chunk(at_pairs *pairs, size_t most, at_textfile *sources, at_textfile *targets)
{
    at_text source = {0}, target = {0};
    at_status st = AT_OK;
    at_textfile_free(sources);
    at_textfile_free(targets);
    while (st == AT_OK && sources->count < most) {
        st = at_pairs_next(pairs, &source, &target);
        if (st != AT_OK || !source.data)
            break;
        if (memchr(source.data, '\0', source.length) || memchr(target.data, '\0', target.length))
            return at_fail(AT_EFORMAT, "pair %zu: a NUL byte; is this a text?", at_pairs_number(pairs));
        st = at_textfile_add(sources, source.data, source.length);
        if (st == AT_OK)
            st = at_textfile_add(targets, target.data, target.length);
    }
    return st;
}

static at_status align_all(at_translator *translator, at_pairs *pairs, const at_align_options *how, job *j)
{
    at_textfile sources = {0}, targets = {0};
    at_status st;
    while ((st = read_chunk(pairs, (size_t)how->batch * CHUNK, &sources, &targets)) == AT_OK &&
           sources.count > 0) {
        st = at_align(translator, (const char *const *)sources.lines, (const char *const *)targets.lines,
                      sources.count, how, print, j);
        if (st == AT_ECANCEL) /* print stops only when memory is out */
            st = j->status;
        if (st == AT_OK)
            st = at_cli_print(&j->out);
        at_buf_clear(&j->out);
        if (st != AT_OK)
            break;
        j->first += sources.count;
    }
    at_textfile_free(&sources);
    at_textfile_free(&targets);
    return st;
}

static at_status choose(const options *o, const at_cli_common *common, const at_align_options *how,
                        const at_cli_words *words)
{
    at_open_options open = {
        .struct_size = sizeof open, .threads = (int)common->threads, .kernels = common->kernels};
    at_cli_choice choice = {.sources = words->count > 0 ? words->list[0] : "-",
                            .targets = words->count > 1 ? words->list[1] : NULL,
                            .gold = o->choose,
                            .store = o->store ? o->model : NULL,
                            .how = *how};
    at_translator *translator = NULL;
    at_status st = at_translator_open(o->model, &open, &translator);
    if (st == AT_OK)
        st = at_cli_align_choose(&spec, translator, &choice, common);
    at_translator_close(translator);
    return st;
}

static at_status align(const options *o, const at_cli_common *common, const at_align_options *how,
                       const at_cli_words *words)
{
    at_open_options open = {
        .struct_size = sizeof open, .threads = (int)common->threads, .kernels = common->kernels};
    at_translator *translator = NULL;
    at_pairs *pairs = NULL;
    job j = {.o = o, .format = common->json ? AT_ALIGN_JSON : (int)o->format + AT_ALIGN_MOSES};
    at_status st = at_translator_open(o->model, &open, &translator);
    if (st == AT_OK)
        st = at_pairs_open(words->count > 0 ? words->list[0] : "-", words->count > 1 ? words->list[1] : NULL,
                           &pairs);
    if (st == AT_OK)
        st = align_all(translator, pairs, how, &j);
    if (st == AT_OK && j.too_long > 0 && !common->quiet)
        at_cli_note(&spec, "%zu pairs are longer than the model reaches, the first in line %zu: empty lines",
                    j.too_long, j.first_too_long);
    if (pairs)
        at_pairs_close(pairs);
    at_translator_close(translator);
    at_buf_free(&j.out);
    return st;
}

int at_cli_align(int argc, char **argv)
{
    options o;
    at_cli_common common;
    at_cli_words words;
    int code = at_cli_parse(&spec, argc, argv, &o, &common, &words);
    if (code != AT_CLI_GO)
        return code;
    at_align_options how = AT_ALIGN_DEFAULTS;
    how.unit = (at_unit)o.words;
    how.batch = (int)o.batch;
    code = at_cli_pick(&spec, "layer", o.layer, &how.layer);
    if (code == AT_CLI_GO)
        code = at_cli_pick(&spec, "head", o.head, &how.head);
    if (code == AT_CLI_GO && !o.model)
        code = at_cli_wrong(&spec, "--model FOLDER is missing");
    else if (code == AT_CLI_GO && words.count > 2)
        code = at_cli_wrong(&spec, "want two files, one TSV or none; got %d", words.count);
    if (code == AT_CLI_GO && o.store && !o.choose)
        code = at_cli_wrong(&spec, "--store goes with --choose GOLD");
    if (code == AT_CLI_GO) {
        at_status st = o.choose ? choose(&o, &common, &how, &words) : align(&o, &common, &how, &words);
        code = st == AT_OK ? AT_CLI_DONE : at_cli_failed(&spec, st);
    }
    at_cli_free(&spec, &o, &common);
    return code;
}
