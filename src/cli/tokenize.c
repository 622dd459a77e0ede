#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "text/train.h"
#include "text/utf8.h"

typedef struct options {
    at_tokenizer_options learn; /* its rows stand in at_tokenizer_fields */
    char *model, *tokenizer, *out;
    bool ids, pieces, decode, train, close, special;
} options;

static const at_field fields[] = {
    {"model", AT_FIELD_TEXT, offsetof(options, model), NULL, 0, 0, NULL, "model folder"},
    {"tokenizer", AT_FIELD_TEXT, offsetof(options, tokenizer), NULL, 0, 0, NULL, "a tokenizer.json instead"},
    {"pieces", AT_FIELD_BOOL, offsetof(options, pieces), "false", 0, 0, NULL,
     "print pieces: the default; a space in them is shown as \u2581"},
    {"ids", AT_FIELD_BOOL, offsetof(options, ids), "false", 0, 0, NULL, "print ids"},
    {"decode", AT_FIELD_BOOL, offsetof(options, decode), "false", 0, 0, NULL,
     "lines of ids to lines of text"},
    {"close", AT_FIELD_BOOL, offsetof(options, close), "false", 0, 0, NULL,
     "with what the template adds, such as </s> at the end"},
    {"special", AT_FIELD_BOOL, offsetof(options, special), "false", 0, 0, NULL,
     "\"</s>\" in the text is the special token; decoding prints special tokens"},
    {"train", AT_FIELD_BOOL, offsetof(options, train), "false", 0, 0, NULL,
     "learn a tokenizer from the files named"},
    {"out", AT_FIELD_TEXT, offsetof(options, out), NULL, 0, 0, NULL, "file to write what was learnt"},
    {0}};

static at_status set_learning(void *target, const char *key, const char *value, bool *taken)
{
    const at_field *field = at_fields_find(at_tokenizer_fields, key);
    *taken = field != NULL;
    if (!field || !value)
        return AT_OK;
    return at_fields_set(at_tokenizer_fields, &((options *)target)->learn, key, value);
}

static const at_cli_spec spec = {
    .name = "tokenize",
    .usage = "--model FOLDER [options] [LINE …]   or: --train FILE … --vocab-size N --out FILE",
    .summary =
        "Cuts its arguments, or the lines of standard input, into the pieces that a model sees: one line\n"
        "out for each line in. With --train it learns a tokenizer, which Hugging Face opens too.",
    .fields = fields,
    .other = set_learning,
    .other_help = "  --vocab-size N, --min-frequency N, --type bpe|char|word|byte,\n"
                  "  --normalizer none|nfc|nfkc, --lowercase true|false, --bytes all|seen:\n"
                  "                                  what --train learns\n",
    .examples = "  attend tokenize --model models/tatoeba-en-zh --ids < input.en\n"
                "  attend tokenize --model models/tatoeba-en-zh --ids \"Tom chases Jerry.\" |\n"
                "      attend tokenize --model models/tatoeba-en-zh --decode\n"
                "  attend tokenize --train train.en train.de --vocab-size 10000 --out tokenizer.json\n"};

typedef struct job {
    const options *o;
    const at_tokenizer *t;
    bool json;
    at_ids ids;
    at_buf out;
} job;

static void put_piece(at_buf *out, const char *piece, size_t length)
{
    for (size_t i = 0, step; i < length; i += step) {
        uint32_t c = 0;
        step = at_utf8_decode(piece + i, length - i, &c);
        if (step == 0 || c < 0x20 || c == 0x7F)
            at_buf_printf(out, "<0x%02X>", (unsigned)(unsigned char)piece[i]);
        else
            at_utf8_put(out, c == ' ' ? 0x2581 : c);
        step += step == 0;
    }
}

static void print_plain(job *j)
{
    for (size_t i = 0; i < j->ids.count; i++) {
        size_t length;
        if (i > 0)
            at_buf_char(&j->out, ' ');
        if (j->o->ids) {
            at_buf_printf(&j->out, "%d", j->ids.id[i]);
            continue;
        }
        const char *piece = at_tokenizer_piece(j->t, j->ids.id[i], &length);
        put_piece(&j->out, piece, length);
    }
    at_buf_char(&j->out, '\n');
}

static int append_json(const char *part, size_t size, void *out)
{
    at_buf_bytes(out, part, size);
    return 0;
}

static at_status print_json(job *j)
{
    json_t *pieces = json_array(), *ids = json_array();
    at_buf piece = {0};
    for (size_t i = 0; i < j->ids.count; i++) {
        size_t length;
        const char *bytes = at_tokenizer_piece(j->t, j->ids.id[i], &length);
        at_buf_clear(&piece);
        put_piece(&piece, bytes, length);
        json_array_append_new(pieces, json_stringn(piece.data ? piece.data : "", piece.length));
        json_array_append_new(ids, json_integer(j->ids.id[i]));
    }
    at_buf_free(&piece);
    bool whole = json_array_size(pieces) == j->ids.count && json_array_size(ids) == j->ids.count;
    json_t *line = json_pack("{s:o,s:o}", "pieces", pieces, "ids", ids);
    if (!line || !whole || json_dump_callback(line, append_json, &j->out, JSON_COMPACT) != 0)
        j->out.failed = true;
    json_decref(line);
    at_buf_char(&j->out, '\n');
    return at_buf_status(&j->out);
}

static at_status encode_line(job *j, const char *line)
{
    at_ids_clear(&j->ids);
    at_status st = at_tokenizer_encode(
        j->t, line, strlen(line), &(at_encoding){.close = j->o->close, .special = j->o->special}, &j->ids);
    if (st == AT_OK && j->json)
        return print_json(j);
    if (st == AT_OK)
        print_plain(j);
    return st;
}

static at_status decode_line(job *j, const char *line)
{
    at_ids_clear(&j->ids);
    at_status st = AT_OK;
    for (const char *p = line + strspn(line, " \t"); *p && st == AT_OK; p += strspn(p, " \t")) {
        char *end;
        errno = 0;
        long id = strtol(p, &end, 10);
        if (end == p || (*end && *end != ' ' && *end != '\t') || errno || id < 0 || id > INT32_MAX)
            return at_fail(AT_EFORMAT,
                           "'%.*s' is not a token id; --decode wants lines of ids with spaces between",
                           (int)strcspn(p, " \t") > 40 ? 40 : (int)strcspn(p, " \t"), p);
        st = at_ids_push(&j->ids, (int32_t)id);
        p = end;
    }
    if (st == AT_OK)
        st = at_tokenizer_decode(j->t, j->ids.id, j->ids.count, !j->o->special, &j->out);
    at_buf_char(&j->out, '\n');
    return st;
}

static at_status flush(job *j)
{
    at_status st = at_buf_status(&j->out);
    if (st == AT_OK &&
        (fwrite(j->out.data, 1, j->out.length, stdout) != j->out.length || fflush(stdout) != 0))
        st = at_fail(AT_EIO, "standard output: cannot write; is the disk full or the pipe closed?");
    at_buf_clear(&j->out);
    return st;
}

static at_status convert_all(job *j, at_cli_lines *in)
{
    at_status st;
    size_t number = 0;
    while ((st = at_cli_lines_next(in, 1024)) == AT_OK && in->count > 0) {
        for (size_t i = 0; i < in->count && st == AT_OK; i++) {
            number++;
            st = j->o->decode ? decode_line(j, in->list[i]) : encode_line(j, in->list[i]);
            if (st != AT_OK)
                at_fail_within(st, "line %zu", number);
        }
        at_status flushed = st == AT_OK ? flush(j) : st;
        if (flushed != AT_OK)
            return flushed;
    }
    return st;
}

static int convert(const options *o, const at_cli_common *common, const at_cli_words *words)
{
    char *path = o->tokenizer ? at_strdup(o->tokenizer) : at_path_join(o->model, "tokenizer.json");
    at_tokenizer *t = NULL;
    at_status st = path ? at_tokenizer_load(path, &t) : AT_ENOMEM;
    at_free(path);
    if (st == AT_OK) {
        job j = {.o = o, .t = t, .json = common->json};
        at_cli_lines in;
        at_cli_lines_open(&in, words->list, words->count);
        st = convert_all(&j, &in);
        at_cli_lines_close(&in);
        at_ids_free(&j.ids);
        at_buf_free(&j.out);
    }
    at_tokenizer_free(t);
    return st == AT_OK ? AT_CLI_DONE : at_cli_failed(&spec, st);
}

static int learn(const options *o, const at_cli_common *common, const at_cli_words *words)
{
    at_learner *learner;
    at_tokenizer *t = NULL;
    double start = at_clock();
    at_status st = at_learner_new(&o->learn, &learner);
    if (st == AT_EARG)
        return at_cli_wrong(&spec, "%s", at_error_message());
    for (int i = 0; i < words->count && st == AT_OK; i++)
        st = at_learner_file(learner, words->list[i]);
    if (st == AT_OK)
        st = at_learner_finish(learner, &t);
    if (st == AT_OK)
        st = at_tokenizer_save(t, o->out);
    if (st == AT_OK && !common->quiet)
        at_cli_note(&spec, "%s: %d pieces, learnt in %.1f s", o->out, at_tokenizer_size(t),
                    at_clock() - start);
    at_tokenizer_free(t);
    at_learner_free(learner);
    return st == AT_OK ? AT_CLI_DONE : at_cli_failed(&spec, st);
}

static int check_usage(const options *o, const at_cli_words *words)
{
    if (o->train && words->count == 0)
        return at_cli_wrong(&spec, "--train wants the files to learn from");
    if (o->train && !o->out)
        return at_cli_wrong(&spec, "--train wants --out FILE to write to");
    if (o->train && (o->model || o->tokenizer || o->ids || o->pieces || o->decode))
        return at_cli_wrong(&spec, "--train goes with --out, --vocab-size and how to learn only");
    if (!o->train && o->out)
        return at_cli_wrong(&spec, "--out goes with --train only");
    if (!o->train && !o->model == !o->tokenizer)
        return at_cli_wrong(&spec, "give one of --model FOLDER and --tokenizer FILE");
    if (o->ids + o->pieces + o->decode > 1)
        return at_cli_wrong(&spec, "give one of --ids, --pieces and --decode");
    return AT_CLI_GO;
}

int at_cli_tokenize(int argc, char **argv)
{
    options o = {0};
    at_cli_common common;
    at_cli_words words;
    at_status st = at_fields_default(at_tokenizer_fields, &o.learn);
    if (st != AT_OK)
        return at_cli_failed(&spec, st);
    int code = at_cli_parse(&spec, argc, argv, &o, &common, &words);
    if (code != AT_CLI_GO)
        return code;
    code = check_usage(&o, &words);
    if (code == AT_CLI_GO)
        code = o.train ? learn(&o, &common, &words) : convert(&o, &common, &words);
    at_cli_free(&spec, &o, &common);
    return code;
}
