#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/aer.h"
#include "cli/cli.h"
#include "cli/eval_text.h"
#include "cli/eval_encoder.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/scores.h"
#include "cli/textfile.h"
#include "data/dataset.h"
#include "text/preprocess.h"

enum { PLAIN, WU };
enum { AUTO }; /* of --tokenize; the others follow in the order of at_eval_tokenizer */
enum { MAX_REFS = 16 };

typedef struct options {
    char *hyp, *model, *data, *split, *source, *target, *metric, *out, *text, *alignment, *gold;
    char *confusion, *reliability;
    int64_t tokenize, protocol, beam, batch, max_length;
    double penalty;
    bool lowercase, stem;
    const char *refs[MAX_REFS]; /* words of argv */
    size_t ref_count;
} options;

static const at_field fields[] = {
    {"hyp", AT_FIELD_TEXT, offsetof(options, hyp), NULL, 0, 0, NULL,
     "translations to score, one a line; - is standard input"},
    {"model", AT_FIELD_TEXT, offsetof(options, model), NULL, 0, 0, NULL,
     "or a model folder that shall translate first"},
    {"data", AT_FIELD_TEXT, offsetof(options, data), NULL, 0, 0, NULL, "folder of the split, for --model"},
    {"split", AT_FIELD_TEXT, offsetof(options, split), "test", 0, 0, NULL,
     "DATA/SPLIT.SOURCE and DATA/SPLIT.TARGET, or DATA/SPLIT.tsv; .gz too"},
    {"source", AT_FIELD_TEXT, offsetof(options, source), NULL, 0, 0, NULL,
     "source language; otherwise what the model's config.json says"},
    {"target", AT_FIELD_TEXT, offsetof(options, target), NULL, 0, 0, NULL, "target language; likewise"},
    {"metric", AT_FIELD_TEXT, offsetof(options, metric), NULL, 0, 0, NULL,
     "any of bleu,chrf,chrf++,exact,rouge,rouge-1,rouge-2,rouge-l (bleu); with --model also loss,perplexity; "
     "of a classifier accuracy,macro-f1,calibration,labels, of another encoder retrieval (all); or aer, with "
     "--alignment and --gold"},
    {"tokenize", AT_FIELD_CHOICE, offsetof(options, tokenize), "auto", 0, 0, "auto|13a|zh|char|intl|none",
     "how BLEU and ROUGE cut lines into words; auto: zh for target zh, else 13a and ROUGE's own"},
    {"lowercase", AT_FIELD_BOOL, offsetof(options, lowercase), "false", 0, 0, NULL, "score without case"},
    {"stem", AT_FIELD_BOOL, offsetof(options, stem), "false", 0, 0, NULL,
     "ROUGE compares English words by their stems (rouge-score's use_stemmer)"},
    {"protocol", AT_FIELD_CHOICE, offsetof(options, protocol), "plain", 0, 0, "plain|wu",
     "wu: lower-cased Moses tokens on both sides, no other tokenizing (Wu et al. 2021)"},
    {"beam", AT_FIELD_INT, offsetof(options, beam), "0", 0, 64, NULL,
     "hypotheses kept; 1 is greedy, 0 what the model's config.json says"},
    {"penalty", AT_FIELD_REAL, offsetof(options, penalty), "-1", -1, 5, NULL,
     "score = log probability / length^penalty; -1: the model's own"},
    {"max_length", AT_FIELD_INT, offsetof(options, max_length), "0", 0, 65536, NULL,
     "most pieces of a translation; 0: by the length of the source"},
    {"batch", AT_FIELD_INT, offsetof(options, batch), "32", 1, 4096, NULL, "lines translated at a time"},
    {"alignment", AT_FIELD_TEXT, offsetof(options, alignment), NULL, 0, 0, NULL,
     "links to score by --metric aer, a line a pair: 0-0 1-2"},
    {"gold", AT_FIELD_TEXT, offsetof(options, gold), NULL, 0, 0, NULL,
     "the right links: 0-0 for sure ones, 0p1 or 0?1 for possible ones"},
    {"confusion", AT_FIELD_TEXT, offsetof(options, confusion), NULL, 0, 0, NULL,
     "of a classifier: SVG file of which label was taken for which"},
    {"reliability", AT_FIELD_TEXT, offsetof(options, reliability), NULL, 0, 0, NULL,
     "of a classifier: SVG file of how often it was right over how sure it was"},
    {"text", AT_FIELD_TEXT, offsetof(options, text), NULL, 0, 0, NULL,
     "with the --model of a text: file whose loss, perplexity and bits a byte are measured"},
    {"out", AT_FIELD_TEXT, offsetof(options, out), NULL, 0, 0, NULL, "write the translations to this file"},
    {0}};

static at_status take_reference(void *target, const char *key, const char *value, bool *taken)
{
    options *o = target;
    *taken = strcmp(key, "ref") == 0;
    if (!*taken || !value)
        return AT_OK;
    if (o->ref_count == MAX_REFS)
        return at_fail(AT_EARG, "--ref: at most %d references", MAX_REFS);
    o->refs[o->ref_count++] = value;
    return AT_OK;
}

static const at_cli_spec spec = {
    .name = "eval",
    .usage =
        "--hyp FILE --ref FILE [--ref FILE …] [options]\n       attend eval --model FOLDER --data FOLDER "
        "--split NAME [options]\n       attend eval --model FOLDER --text FILE"
        "\n       attend eval --metric aer --alignment FILE --gold FILE",
    .summary =
        "Scores translations as sacreBLEU does and summaries as rouge-score: a file against its references,\n"
        "or a model on a split of parallel text. One line a metric, with the signature of how it was "
        "counted.\n"
        "A classifier is scored by accuracy, macro F1, calibration and a table of its labels, an encoder of\n"
        "pairs by how many texts find their partner.",
    .fields = fields,
    .other = take_reference,
    .other_help =
        "  --ref FILE             what --hyp should say; several are several references of each line\n",
    .no_words = true,
    .examples =
        "  attend eval --hyp out.txt --ref ref.txt --metric bleu,chrf\n"
        "  attend eval --hyp summaries.txt --ref ref.txt --metric rouge --stem\n"
        "  attend eval --hyp - --ref ref.zh --tokenize zh --json < out.zh\n"
        "  attend eval --model model --data data/multi30k --split test_2016_flickr --beam 5 --protocol wu\n"
        "  attend eval --model news --data data/thucnews-titles --split dev\n"
        "  attend eval --model model --data data/multi30k --split val --metric loss,perplexity\n"
        "  attend eval --model shakespeare --metric perplexity --text valid.txt\n"
        "  attend eval --metric aer --alignment model.align --gold gold.align\n"};

/* What is scored, from either source. */
typedef struct job {
    const options *o;
    at_scoring scoring;
    at_textfile hyps, refs[MAX_REFS];
    size_t ref_count;
    json_t *scores;
    at_buf lines, warnings;
    double seconds; /* of translating; 0: nothing was */
    size_t pieces, left_out;
    size_t read;    /* lines that an encoder read */
    double reading; /* seconds of it */
} job;

static at_status expect_lines(const char *name, const at_textfile *file, const char *other,
                              const at_textfile *with)
{
    if (file->count == with->count)
        return AT_OK;
    return at_fail(AT_EFORMAT, "%s has %zu lines, %s %zu: they must be translations of the same lines", name,
                   file->count, other, with->count);
}

/* Lower-cased Moses tokens in place of the lines. */
static at_status to_tokens(const char *language, at_textfile *file)
{
    at_preprocess how = {
        .moses = true, .lowercase = true, .keep = true, .target = (char *)(uintptr_t)language};
    at_buf line = {0};
    at_status st = AT_OK;
    for (size_t i = 0; st == AT_OK && i < file->count; i++) {
        at_buf_clear(&line);
        st = at_preprocess_apply(&how, false, file->lines[i], &line);
        char *tokens = st == AT_OK ? at_strndup(line.data ? line.data : "", line.length) : NULL;
        if (st == AT_OK && !tokens)
            st = AT_ENOMEM;
        if (st == AT_OK) {
            at_free(file->lines[i]);
            file->lines[i] = tokens;
        }
    }
    at_buf_free(&line);
    return st;
}

static at_eval_tokenizer choose_tokenizer(const job *j, const char *language)
{
    if (j->scoring.protocol)
        return AT_TOKENIZE_NONE;
    if (j->o->tokenize != AUTO)
        return (at_eval_tokenizer)(j->o->tokenize - 1);
    return language && strncmp(language, "zh", 2) == 0 ? AT_TOKENIZE_ZH : AT_TOKENIZE_13A;
}

/* language: of the target, NULL when it is not known. */
static at_status score_text(job *j, const char *language)
{
    at_rouge_options *rouge = &j->scoring.rouge;
    j->scoring.bleu.tokenize = rouge->tokenize = choose_tokenizer(j, language);
    rouge->own_words = !j->scoring.protocol && j->o->tokenize == AUTO && rouge->tokenize == AT_TOKENIZE_13A;
    if (rouge->stem && !rouge->own_words && at_metrics_of_rouge(&j->scoring.metrics))
        return at_fail(AT_EARG, "--stem goes with ROUGE's own words: leave out --tokenize and --target zh");
    const char *const *refs[MAX_REFS];
    for (size_t r = 0; r < j->ref_count; r++)
        refs[r] = (const char *const *)j->refs[r].lines;
    at_eval_lines lines = {(const char *const *)j->hyps.lines, refs, j->hyps.count, j->ref_count};
    return at_scores_text(&j->scoring, &lines, j->scores, &j->lines, &j->warnings);
}

/* --- A file against its references ------------------------------------------------------------- */

static at_status eval_files(job *j)
{
    const options *o = j->o;
    at_status st = at_textfile_read(&j->hyps, o->hyp);
    if (st == AT_OK && j->hyps.count == 0)
        st = at_fail(AT_EFORMAT, "%s: no lines to score", o->hyp);
    for (size_t r = 0; st == AT_OK && r < o->ref_count; r++) {
        j->ref_count++;
        st = at_textfile_read(&j->refs[r], o->refs[r]);
        if (st == AT_OK)
            st = expect_lines(o->hyp, &j->hyps, o->refs[r], &j->refs[r]);
        if (st == AT_OK && j->scoring.protocol)
            st = to_tokens(o->target ? o->target : "en", &j->refs[r]);
    }
    if (st == AT_OK && j->scoring.protocol)
        st = to_tokens(o->target ? o->target : "en", &j->hyps);
    return st == AT_OK ? score_text(j, o->target) : st;
}

/* --- A model on a split ------------------------------------------------------------------------- */

static const char *section_text(const json_t *section, const char *key)
{
    return json_string_value(json_object_get(section, key));
}

static at_status read_split(const options *o, const at_folder *folder, at_textfile *source,
                            at_textfile *target)
{
    at_data_options data = {0};
    const char *from = o->source ? o->source : section_text(folder->data, "source");
    const char *to = o->target ? o->target : section_text(folder->data, "target");
    if (!from || !to)
        return at_fail(AT_EARG, "%s: its config.json does not name its languages; give --source and --target",
                       o->model);
    data.source = (char *)(uintptr_t)from;
    data.target = (char *)(uintptr_t)to;
    char *source_path = NULL, *target_path = NULL;
    at_status st = at_dataset_find(o->data, o->split, &data, &source_path, &target_path);
    if (st == AT_OK)
        st = at_textfile_read_pairs(source, target, source_path, target_path);
    if (st == AT_OK && source->count == 0)
        st = at_fail(AT_EFORMAT, "%s: no lines to translate", source_path);
    at_free(source_path);
    at_free(target_path);
    return st;
}

static bool collect(void *context, const at_translation *t)
{
    job *j = context;
    j->pieces += t->pieces;
    return at_textfile_add(&j->hyps, t->text, strlen(t->text)) == AT_OK;
}

static at_status translate(job *j, at_translator *translator, const at_textfile *source)
{
    at_translate_options how = AT_TRANSLATE_DEFAULTS;
    how.beam = (int)j->o->beam;
    how.batch = (int)j->o->batch;
    how.penalty = j->o->penalty;
    how.max_length = (int)j->o->max_length;
    double start = at_clock();
    at_status st =
        at_translate(translator, (const char *const *)source->lines, source->count, &how, collect, j);
    j->seconds = at_clock() - start;
    return st == AT_ECANCEL ? at_fail(AT_ENOMEM, "no memory for the translations") : st;
}

static at_status write_lines(const char *path, const at_textfile *file)
{
    at_writer writer;
    at_status st = at_writer_open(&writer, path);
    if (st != AT_OK)
        return st;
    for (size_t i = 0; i < file->count; i++) {
        at_writer_bytes(&writer, file->lines[i], strlen(file->lines[i]));
        at_writer_bytes(&writer, "\n", 1);
    }
    return at_writer_commit(&writer);
}

static at_status translate_and_score(job *j, at_translator *translator, const at_textfile *source)
{
    const char *language =
        j->o->target ? j->o->target : section_text(at_translator_folder(translator)->data, "target");
    bool wu = j->scoring.protocol != NULL, tokens = at_translator_keep_tokens(translator, wu);
    at_status st = translate(j, translator, source);
    if (st == AT_OK && j->o->out)
        st = write_lines(j->o->out, &j->hyps);
    if (st == AT_OK && wu && !tokens)
        st = to_tokens(language, &j->hyps);
    if (st == AT_OK && wu)
        st = to_tokens(language, &j->refs[0]);
    return st == AT_OK ? score_text(j, language) : st;
}

static at_status score_pairs(job *j, at_translator *translator, const at_textfile *source)
{
    at_score_request request = {(const char *const *)source->lines, (const char *const *)j->refs[0].lines,
                                source->count, (size_t)j->o->batch};
    at_pair_score score;
    at_status st = at_score_pairs(translator, &request, &score);
    j->left_out = score.left_out;
    return st == AT_OK ? at_scores_model(&j->scoring, &score, j->scores, &j->lines) : st;
}

static at_status eval_encoder(job *j, const at_cli_common *common)
{
    const options *o = j->o;
    at_eval_request r = {
        .model = o->model,
        .data = o->data,
        .split = o->split,
        .source = o->source,
        .target = o->target,
        .metrics = o->metric ? &j->scoring.metrics : NULL,
        .confusion = o->confusion,
        .reliability = o->reliability,
        .batch = (int)o->batch,
        .open = {.struct_size = sizeof r.open, .threads = (int)common->threads, .kernels = common->kernels}};
    at_status st = at_eval_encoder(&r, j->scores, &j->lines);
    j->read = r.count;
    j->reading = r.seconds;
    return st;
}

static at_status eval_model(job *j, const at_cli_common *common)
{
    if (at_eval_reads(j->o->model))
        return eval_encoder(j, common);
    at_open_options open = {
        .struct_size = sizeof open, .threads = (int)common->threads, .kernels = common->kernels};
    at_translator *translator = NULL;
    at_textfile source = {0};
    const at_metrics *m = &j->scoring.metrics;
    if (at_metrics_of_labels(m) || m->retrieval)
        return at_fail(AT_EARG,
                       "accuracy, macro-f1, calibration, labels and retrieval are of encoders alone");
    at_status st = at_translator_open(j->o->model, &open, &translator);
    j->ref_count = 1;
    if (st == AT_OK)
        st = read_split(j->o, at_translator_folder(translator), &source, &j->refs[0]);
    if (st == AT_OK && (m->loss || m->perplexity))
        st = score_pairs(j, translator, &source);
    if (st == AT_OK && (at_metrics_of_text(m) || j->o->out))
        st = translate_and_score(j, translator, &source);
    at_textfile_free(&source);
    at_translator_close(translator);
    return st;
}

/* --- Printing ------------------------------------------------------------------------------------ */

static at_status print_json(job *j)
{
    json_t *all = json_pack("{s:I,s:O}", "lines", (json_int_t)(j->read ? j->read : j->refs[0].count),
                            "scores", j->scores);
    if (all && j->seconds > 0)
        json_object_update_new(all, json_pack("{s:I,s:f,s:f}", "pieces", (json_int_t)j->pieces, "seconds",
                                              j->seconds, "tokens_per_s", (double)j->pieces / j->seconds));
    return at_cli_print_json(all, JSON_INDENT(1) | JSON_REAL_PRECISION(7));
}

static at_status print_all(job *j, const at_cli_common *common)
{
    for (char *line = j->warnings.data; line && *line && !common->quiet;) {
        size_t length = strcspn(line, "\n");
        at_cli_note(&spec, "%.*s", (int)length, line);
        line += length + (line[length] == '\n');
    }
    if (j->left_out > 0 && !common->quiet)
        at_cli_note(&spec, "%zu pairs are empty or longer than the model reaches: not in the loss",
                    j->left_out);
    if (common->json)
        return print_json(j);
    at_status st = at_cli_print(&j->lines);
    if (j->reading > 0 && !common->quiet)
        at_cli_note(&spec, "%zu lines in %.2f s: %.0f lines/s", j->read, j->reading,
                    (double)j->read / j->reading);
    if (j->seconds > 0 && !common->quiet)
        at_cli_note(&spec, "%zu lines, %zu pieces in %.2f s: %.0f tokens/s", j->hyps.count, j->pieces,
                    j->seconds, (double)j->pieces / j->seconds);
    return st;
}

/* --- The command --------------------------------------------------------------------------------- */

static int check(const options *o, const at_metrics *metrics)
{
    if (metrics->aer && (!o->metric || strcmp(o->metric, "aer") != 0 || o->hyp || o->model))
        return at_cli_wrong(&spec, "aer scores --alignment against --gold, and nothing beside");
    if (metrics->aer != (o->alignment && o->gold) || metrics->aer != (o->alignment || o->gold))
        return at_cli_wrong(&spec, "--metric aer, --alignment FILE and --gold FILE go together");
    if (metrics->aer)
        return AT_CLI_GO;
    if (o->text && (!o->model || o->hyp || o->data))
        return at_cli_wrong(&spec, "--text FILE goes with --model FOLDER, and nothing beside");
    if (o->text)
        return AT_CLI_GO;
    if (!o->hyp == !o->model)
        return at_cli_wrong(&spec,
                            "want either --hyp FILE with --ref FILE, or --model FOLDER with --data FOLDER");
    if (o->model && o->ref_count > 0)
        return at_cli_wrong(&spec, "--ref goes with --hyp; a model is scored against its split");
    if (o->model && !o->data)
        return at_cli_wrong(&spec, "--data FOLDER is missing");
    if (o->hyp && o->ref_count == 0)
        return at_cli_wrong(&spec, "--ref FILE is missing");
    if (o->hyp &&
        (metrics->loss || metrics->perplexity || at_metrics_of_labels(metrics) || metrics->retrieval))
        return at_cli_wrong(&spec, "loss, perplexity and what encoders are measured by are a model's: give "
                                   "--model");
    if (o->hyp && o->out)
        return at_cli_wrong(&spec, "--out goes with --model");
    size_t inputs = o->hyp && strcmp(o->hyp, "-") == 0;
    for (size_t r = 0; r < o->ref_count; r++)
        inputs += strcmp(o->refs[r], "-") == 0;
    if (inputs > 1)
        return at_cli_wrong(&spec, "only one file can be standard input");
    return AT_CLI_GO;
}

static at_status run(const options *o, const at_metrics *metrics, const at_cli_common *common)
{
    bool wu = o->protocol == WU;
    job j = {.o = o,
             .scores = json_array(),
             .scoring = {*metrics, at_bleu_defaults(), at_chrf_defaults(), at_rouge_defaults(),
                         wu ? "wu-moses-lowercase" : NULL}};
    j.scoring.bleu.lowercase = j.scoring.chrf.lowercase = j.scoring.rouge.lowercase = o->lowercase || wu;
    j.scoring.rouge.stem = o->stem;
    if (wu)
        j.scoring.bleu.smooth = AT_BLEU_SMOOTH_NONE; /* multi-bleu.perl's */
    at_status st = j.scores ? AT_OK : at_fail(AT_ENOMEM, "no memory for the scores");
    if (st == AT_OK)
        st = o->model ? eval_model(&j, common) : eval_files(&j);
    if (st == AT_OK)
        st = print_all(&j, common);
    at_textfile_free(&j.hyps);
    for (size_t r = 0; r < j.ref_count; r++)
        at_textfile_free(&j.refs[r]);
    json_decref(j.scores);
    at_buf_free(&j.lines);
    at_buf_free(&j.warnings);
    return st;
}

int at_cli_eval(int argc, char **argv)
{
    options o = {0};
    at_cli_common common;
    int code = at_cli_parse(&spec, argc, argv, &o, &common, NULL);
    if (code != AT_CLI_GO)
        return code;
    at_metrics metrics;
    if (at_metrics_parse(o.metric ? o.metric : "bleu", &metrics) != AT_OK)
        code = at_cli_wrong(&spec, "%s", at_error_message());
    else
        code = check(&o, &metrics);
    if (code == AT_CLI_GO) {
        at_status st = metrics.aer ? at_cli_eval_aer(o.alignment, o.gold, &common)
                       : o.text    ? at_cli_eval_text(o.model, o.text, &common)
                                   : run(&o, &metrics, &common);
        code = st == AT_OK ? AT_CLI_DONE : at_cli_failed(&spec, st);
    }
    at_cli_free(&spec, &o, &common);
    return code;
}
