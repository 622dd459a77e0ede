#include "attend.h"
#include "cli/alignment.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/profile.h"
#include "task/translator.h"

typedef struct options {
    char *model, *layer, *head;
    int64_t beam, n_best, max_length, batch, alignment, words, weights;
    double penalty;
    bool replace_unk, scores, profile;
} options;

static const at_field fields[] = {
    {"model", AT_FIELD_TEXT, offsetof(options, model), NULL, 0, 0, NULL, "model folder"},
    {"beam", AT_FIELD_INT, offsetof(options, beam), "0", 0, 64, NULL,
     "hypotheses kept; 1 is greedy, 0 what the model's config.json says"},
    {"n_best", AT_FIELD_INT, offsetof(options, n_best), "1", 1, 64, NULL,
     "translations of each line, best first"},
    {"penalty", AT_FIELD_REAL, offsetof(options, penalty), "-1", -1, 5, NULL,
     "score = log probability / length^penalty; -1: the model's own"},
    {"max_length", AT_FIELD_INT, offsetof(options, max_length), "0", 0, 65536, NULL,
     "most pieces of a translation; 0: by the length of the source"},
    {"batch", AT_FIELD_INT, offsetof(options, batch), "32", 1, 4096, NULL, "lines translated at a time"},
    {"alignment", AT_FIELD_CHOICE, offsetof(options, alignment), "none", 0, 0, "none|moses|soft|json",
     "which source word each target word looked at, behind ' ||| '"},
    {"layer", AT_FIELD_TEXT, offsetof(options, layer), "own", 0, 0, NULL,
     "whose alignment: own, mean or a number; " AT_CLI_PICK_HELP},
    {"head", AT_FIELD_TEXT, offsetof(options, head), "own", 0, 0, NULL, "likewise"},
    {"words", AT_FIELD_CHOICE, offsetof(options, words), "text", 0, 0, "text|spaced|pieces",
     "what is aligned: words of text, punctuation apart; what spaces separate; the tokenizer's pieces"},
    {"replace_unk", AT_FIELD_BOOL, offsetof(options, replace_unk), "false", 0, 0, NULL,
     "copy the source word that it looked at most in place of each <unk>"},
    {"scores", AT_FIELD_BOOL, offsetof(options, scores), "false", 0, 0, NULL,
     "print the score too, behind ' ||| '"},
    {"profile", AT_FIELD_BOOL, offsetof(options, profile), "false", 0, 0, NULL,
     "at the end: time, GFLOP/s and GB/s by operation, on stderr"},
    {"weights", AT_FIELD_CHOICE, offsetof(options, weights), "stored", 0, 0, "stored|fp32|bf16",
     "how matrices are kept in memory; bf16 is half of fp32 and faster where few rows are read at a time"},
    {0}};

static const at_cli_spec spec = {
    .name = "translate",
    .usage = "--model FOLDER [options] [LINE …]",
    .summary = "Translates its arguments, or the lines of standard input: one line out for each line in\n"
               "(with --n-best K, K lines as 'LINE ||| TEXT ||| SCORE').",
    .fields = fields,
    .examples =
        "  attend translate --model models/tatoeba-en-zh \"Tom chases Jerry.\"\n"
        "  attend translate --model models/tatoeba-en-zh --beam 5 --n-best 3 --alignment moses < input.en\n"
        "  attend translate --model models/tatoeba-en-zh --json < input.en > output.jsonl\n"};

typedef struct printer {
    const options *o;
    bool json;
    size_t first; /* number of the first line of this call */
    at_buf out;
} printer;

static void print_json(printer *p, const at_translation *t)
{
    at_translation numbered = *t;
    numbered.line += p->first;
    at_cli_put_json(&p->out, at_translation_json(&numbered, p->o->alignment != AT_ALIGN_NONE),
                    JSON_COMPACT | JSON_REAL_PRECISION(7));
}

static bool print(void *context, const at_translation *t)
{
    printer *p = context;
    if (p->json) {
        print_json(p, t);
        return at_buf_status(&p->out) == AT_OK;
    }
    bool many = p->o->n_best > 1;
    if (many)
        at_buf_printf(&p->out, "%zu ||| ", t->line + p->first);
    at_buf_text(&p->out, t->text);
    if (many || p->o->scores)
        at_buf_printf(&p->out, " ||| %.4f", t->score);
    if (p->o->alignment != AT_ALIGN_NONE)
        at_buf_text(&p->out, " ||| ");
    at_alignment a = at_alignment_of(t);
    at_status st = AT_OK;
    if (p->o->alignment == AT_ALIGN_MOSES)
        st = at_alignment_moses(&a, &p->out);
    else if (p->o->alignment == AT_ALIGN_SOFT)
        at_alignment_soft(&a, &p->out);
    else if (p->o->alignment == AT_ALIGN_JSON)
        print_json(p, t);
    else
        at_buf_char(&p->out, '\n');
    if (p->o->alignment == AT_ALIGN_MOSES || p->o->alignment == AT_ALIGN_SOFT)
        at_buf_char(&p->out, '\n');
    return st == AT_OK && at_buf_status(&p->out) == AT_OK;
}

static at_status translate_all(at_translator *translator, const options *o, bool json, at_cli_lines *in,
                               const int pick[2])
{
    at_translate_options how = AT_TRANSLATE_DEFAULTS;
    how.beam = (int)o->beam;
    how.n_best = (int)o->n_best;
    how.penalty = o->penalty;
    how.max_length = (int)o->max_length;
    how.batch = (int)o->batch;
    how.align = o->alignment != AT_ALIGN_NONE;
    how.layer = pick[0];
    how.head = pick[1];
    how.unit = (at_unit)o->words;
    how.replace_unk = o->replace_unk;
    printer p = {o, json, 0, {0}};
    at_status st;
    while ((st = at_cli_lines_next(in, 64 * (size_t)o->batch)) == AT_OK && in->count > 0) {
        st = at_translate(translator, (const char *const *)in->list, in->count, &how, print, &p);
        if (st == AT_ECANCEL) /* print stops only when memory is out */
            st = at_buf_status(&p.out);
        if (st == AT_OK)
            st = at_cli_print(&p.out);
        at_buf_clear(&p.out);
        if (st != AT_OK)
            break;
        p.first += in->count;
    }
    at_buf_free(&p.out);
    return st;
}

int at_cli_translate(int argc, char **argv)
{
    options o;
    at_cli_common common;
    at_cli_words words;
    int code = at_cli_parse(&spec, argc, argv, &o, &common, &words);
    if (code != AT_CLI_GO)
        return code;
    at_translator *translator = NULL;
    at_open_options open = {.struct_size = sizeof open,
                            .threads = (int)common.threads,
                            .kernels = common.kernels,
                            .weights = (at_weights)o.weights};
    at_profile profile;
    at_status st = AT_OK;
    int pick[2];
    if ((code = at_cli_pick(&spec, "layer", o.layer, &pick[0])) != AT_CLI_GO ||
        (code = at_cli_pick(&spec, "head", o.head, &pick[1])) != AT_CLI_GO) {
        at_cli_free(&spec, &o, &common);
        return code;
    }
    code = AT_CLI_DONE;
    if (!o.model) {
        code = at_cli_wrong(&spec, "--model FOLDER is missing");
    } else if (o.beam > 0 && o.n_best > o.beam) {
        code = at_cli_wrong(&spec, "--n-best %lld is more than --beam %lld keeps", (long long)o.n_best,
                            (long long)o.beam);
    } else {
        st = at_translator_open(o.model, &open, &translator);
        at_cli_lines in;
        at_cli_lines_open(&in, words.list, words.count);
        if (st == AT_OK && o.profile) {
            at_profile_start(&profile);
            at_translator_exec(translator)->profile = &profile;
        }
        if (st == AT_OK)
            st = translate_all(translator, &o, common.json, &in, pick);
        if (st == AT_OK && o.profile) {
            at_exec_took(at_translator_exec(translator), "print", false);
            st = at_cli_profile(at_translator_exec(translator));
        }
        at_cli_lines_close(&in);
        at_translator_close(translator);
        if (st != AT_OK)
            code = at_cli_failed(&spec, st);
    }
    at_cli_free(&spec, &o, &common);
    return code;
}
