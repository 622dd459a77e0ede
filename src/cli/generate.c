#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attend.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/prompt.h"
#include "cli/textfile.h"
#include "decode/sample.h"

enum { MOST_STOPS = 64, PROMPTS_AT_ONCE = 256 };

typedef struct options {
    at_sample_options sample; /* its rows stand in at_sample_fields */
    char *model;
    int64_t max_tokens, samples, window, batch, chunk, weights, cache;
    bool lines, interactive, echo, logprobs, ignore_end;
    char *stops[MOST_STOPS];
    size_t stop_count;
} options;

static const at_field fields[] = {
    {"model", AT_FIELD_TEXT, offsetof(options, model), NULL, 0, 0, NULL, "model folder"},
    {"max_tokens", AT_FIELD_INT, offsetof(options, max_tokens), "200", 1, 1 << 30, NULL,
     "most pieces of a text"},
    {"samples", AT_FIELD_INT, offsetof(options, samples), "1", 1, 4096, NULL, "texts for each prompt"},
    {"lines", AT_FIELD_BOOL, offsetof(options, lines), "false", 0, 0, NULL,
     "each line of standard input is a prompt, instead of all of it together"},
    {"interactive", AT_FIELD_BOOL, offsetof(options, interactive), "false", 0, 0, NULL,
     "ask for prompts, one after the other"},
    {"echo", AT_FIELD_BOOL, offsetof(options, echo), "false", 0, 0, NULL, "print the prompt before its text"},
    {"logprobs", AT_FIELD_BOOL, offsetof(options, logprobs), "false", 0, 0, NULL,
     "print each piece and its log probability, one a line; with --json in the object"},
    {"window", AT_FIELD_CHOICE, offsetof(options, window), "roll", 0, 0, "roll|refuse|again",
     "past the context: forget the oldest piece for each new one (with learned positions as again), refuse, "
     "or "
     "read the newer half again and go on"},
    {"ignore_end", AT_FIELD_BOOL, offsetof(options, ignore_end), "false", 0, 0, NULL,
     "the model never ends a text itself"},
    {"batch", AT_FIELD_INT, offsetof(options, batch), "32", 1, 4096, NULL, "texts written at a time"},
    {"chunk", AT_FIELD_INT, offsetof(options, chunk), "512", 1, 1 << 20, NULL,
     "pieces of a prompt read at a time"},
    {"weights", AT_FIELD_CHOICE, offsetof(options, weights), "stored", 0, 0, "stored|fp32|bf16",
     "how matrices are kept in memory; bf16 is half of fp32 and faster where few rows are read at a time"},
    {"cache", AT_FIELD_CHOICE, offsetof(options, cache), "fp32", 0, 0, "fp32|bf16",
     "how keys and values of what was read are kept; bf16 is half, and faster behind a long prompt"},
    {0}};

/* \n, \t and \\ in a stop string are what they are in C. */
static char *unescape(const char *text)
{
    char *out = at_strdup(text), *to = out;
    for (const char *p = text; out && *p; p++) {
        if (p[0] == '\\' && p[1] && strchr("nt\\", p[1]))
            *to++ = *++p == 'n' ? '\n' : *p == 't' ? '\t' : '\\';
        else
            *to++ = *p;
    }
    if (out)
        *to = '\0';
    return out;
}

static at_status take_other(void *target, const char *key, const char *value, bool *taken)
{
    options *o = target;
    bool stop = !strcmp(key, "stop"), sampling = at_fields_find(at_sample_fields, key) != NULL;
    *taken = stop || sampling;
    if (!*taken || !value)
        return AT_OK;
    if (sampling)
        return at_fields_set(at_sample_fields, &o->sample, key, value);
    if (o->stop_count == MOST_STOPS)
        return at_fail(AT_EARG, "--stop: at most %d", MOST_STOPS);
    o->stops[o->stop_count] = unescape(value);
    return o->stops[o->stop_count++] ? AT_OK : AT_ENOMEM;
}

static const at_cli_spec spec = {
    .name = "generate",
    .usage = "--model FOLDER [options] [PROMPT …]",
    .summary = "Writes on from a prompt: its arguments, each a prompt, or standard input. The text is "
               "printed as it\n"
               "comes, whole characters only; several texts one after the other, each under its number.",
    .fields = fields,
    .other = take_other,
    .other_help =
        "  --temperature X                 logits are divided by it; 0: always the likeliest (1)\n"
        "  --top-k N, --top-p X, --min-p X, --typical X\n"
        "                                  draw from the likelier ones only (0, 1, 0, 1: from all)\n"
        "  --repetition X                  penalty for what was said before (1: none)\n"
        "  --stop TEXT                     end before this text, \\n for a line end; may come several "
        "times\n",
    .examples = "  attend generate --model shakespeare \"ROMEO:\" --max-tokens 400 --temperature 0.8\n"
                "  attend generate --model shakespeare --samples 3 --top-k 10 --stop '\\n\\n' \"JULIET:\"\n"
                "  attend generate --model shakespeare --temperature 0 --json < prompt.txt\n"
                "  attend generate --model shakespeare --interactive\n"};

/* ---------------------------------------------------------------- printing */

/* One text while it is written; with one text alone it goes out as it comes. */
typedef struct text {
    at_buf out;
    json_t *tokens;
} text;

typedef struct printer {
    const options *o;
    bool json, streams;
    const char *const *prompts;
    size_t first; /* number of the first prompt of this call */
    text *texts;  /* (prompts * samples) */
    at_status status;
} printer;

static const char *end_name(at_ends ends)
{
    static const char *const names[] = {"", "said", "stop", "length", "context"};
    return names[ends];
}

/* A piece may be half a character; JSON takes none. */
static json_t *piece_text(const at_token *t)
{
    json_t *piece = json_stringn(t->piece, t->piece_length);
    if (piece)
        return piece;
    piece = json_array();
    for (size_t i = 0; piece && i < t->piece_length; i++)
        json_array_append_new(piece, json_integer((unsigned char)t->piece[i]));
    return piece;
}

static void note_token(const printer *p, text *x, const at_token *t)
{
    if (p->json) {
        if (!x->tokens)
            x->tokens = json_array();
        json_array_append_new(x->tokens, json_pack("{s:i, s:o, s:f}", "id", (int)t->id, "piece",
                                                   piece_text(t), "logprob", t->log_probability));
        return;
    }
    for (size_t i = 0; i < t->piece_length; i++) {
        unsigned char c = (unsigned char)t->piece[i];
        at_buf_printf(&x->out, c < 0x20 || c >= 0x7F || c == '\\' ? "\\x%02x" : "%c", c);
    }
    at_buf_printf(&x->out, "\t%.6f\n", t->log_probability);
}

static void finish_json(const printer *p, text *x, const at_token *t)
{
    at_buf_char(&x->out, '\0');
    json_t *o = json_pack("{s:I, s:i, s:s, s:s, s:s}", "prompt", (json_int_t)p->first + (json_int_t)t->prompt,
                          "sample", t->sample, "begin", p->prompts[t->prompt], "text", x->out.data, "ends",
                          end_name(t->ends));
    if (o && x->tokens)
        json_object_set_new(o, "tokens", x->tokens);
    if (o && t->left_out)
        json_object_set_new(o, "left_out", json_integer((json_int_t)t->left_out));
    x->tokens = NULL;
    at_buf_clear(&x->out);
    at_cli_put_json(&x->out, o, JSON_COMPACT | JSON_REAL_PRECISION(9));
}

static void say_left_out(const printer *p, const at_token *t)
{
    if (t->left_out && t->ends != AT_ENDS_NOT && t->sample == 0)
        at_cli_note(&spec, "prompt %zu has %zu pieces; the model read its last %zu", p->first + t->prompt + 1,
                    t->prompt_count, t->prompt_count - t->left_out);
}

static bool print_token(void *context, const at_token *t)
{
    printer *p = context;
    text *x = &p->texts[t->prompt * (size_t)p->o->samples + (size_t)t->sample];
    if (p->o->logprobs)
        note_token(p, x, t);
    if (p->json || !p->o->logprobs)
        at_buf_bytes(&x->out, t->text, t->text_length);
    say_left_out(p, t);
    if (t->ends != AT_ENDS_NOT && p->json)
        finish_json(p, x, t);
    else if (t->ends != AT_ENDS_NOT && !p->o->logprobs)
        at_buf_char(&x->out, '\n');
    p->status = at_buf_status(&x->out);
    if (p->status == AT_OK && p->streams && x->out.length && !p->json) {
        p->status = at_cli_print(&x->out);
        at_buf_clear(&x->out);
    }
    return p->status == AT_OK;
}

static at_status print_texts(const printer *p, size_t count)
{
    at_status st = AT_OK;
    size_t each = (size_t)p->o->samples;
    for (size_t i = 0; i < count * each && st == AT_OK; i++) {
        at_buf head = {0};
        if (!p->json && !p->streams)
            at_buf_printf(&head, "%s== prompt %zu, text %zu ==\n", p->first + i ? "\n" : "",
                          p->first + i / each + 1, i % each + 1);
        if (!p->json && !p->streams && p->o->echo)
            at_buf_text(&head, p->prompts[i / each]);
        st = at_cli_print(&head);
        at_buf_free(&head);
        if (st == AT_OK)
            st = at_cli_print(&p->texts[i].out);
    }
    return st;
}

/* ---------------------------------------------------------------- prompts */

static at_generate_options generate_options(const options *o, const at_cli_common *common)
{
    at_generate_options how = AT_GENERATE_DEFAULTS;
    how.max_tokens = (int)o->max_tokens;
    how.samples = (int)o->samples;
    how.temperature = o->sample.temperature;
    how.top_k = (int)o->sample.top_k;
    how.top_p = o->sample.top_p;
    how.min_p = o->sample.min_p;
    how.typical = o->sample.typical;
    how.repetition = o->sample.repetition;
    how.stop = (const char *const *)o->stops;
    how.stop_count = o->stop_count;
    how.seed = (uint64_t)common->seed;
    how.window = (at_window)o->window; /* the choices stand in its order */
    how.ignore_end = o->ignore_end;
    how.batch = (int)o->batch;
    how.chunk = (int)o->chunk;
    how.bf16_cache = o->cache == 1;
    return how;
}

typedef struct job {
    const options *o;
    at_generator *generator;
    at_generate_options how;
    bool json;
    size_t done; /* prompts */
} job;

/* Writes on from these prompts and prints what came. */
static at_status write_texts(job *j, const char *const *prompts, size_t count, bool alone)
{
    size_t total = count * (size_t)j->o->samples;
    printer p = {.o = j->o,
                 .json = j->json,
                 .streams = alone && total == 1,
                 .prompts = prompts,
                 .first = j->done,
                 .texts = at_alloc_zero(total + 1, sizeof *p.texts)};
    at_status st = p.texts ? AT_OK : AT_ENOMEM;
    if (st == AT_OK && p.streams && !p.json && j->o->echo && !j->o->logprobs)
        at_buf_text(&p.texts[0].out, prompts[0]);
    if (st == AT_OK)
        st = at_generate(j->generator, prompts, count, &j->how, print_token, &p);
    if (st == AT_ECANCEL)
        st = p.status;
    if (st == AT_OK)
        st = print_texts(&p, count);
    for (size_t i = 0; p.texts && i < total; i++) {
        at_buf_free(&p.texts[i].out);
        json_decref(p.texts[i].tokens);
    }
    at_free(p.texts);
    j->done += count;
    return st;
}

/* All of standard input is one prompt, its last line end taken away. */
static at_status read_input(at_buf *all)
{
    char bytes[4096];
    size_t count;
    while ((count = fread(bytes, 1, sizeof bytes, stdin)) > 0)
        at_buf_bytes(all, bytes, count);
    if (ferror(stdin))
        return at_fail(AT_EIO, "standard input: cannot read");
    if (all->length && all->data[all->length - 1] == '\n')
        all->length--;
    if (all->length && memchr(all->data, '\0', all->length))
        return at_fail(AT_EFORMAT, "standard input: a NUL byte; a prompt is text");
    at_buf_char(all, '\0');
    return at_buf_status(all);
}

static at_status write_from_lines(job *j)
{
    at_cli_lines in;
    at_status st;
    at_cli_lines_open(&in, NULL, 0);
    while ((st = at_cli_lines_next(&in, PROMPTS_AT_ONCE)) == AT_OK && in.count > 0) {
        st = write_texts(j, (const char *const *)in.list, in.count, false);
        if (st != AT_OK)
            break;
    }
    at_cli_lines_close(&in);
    return st;
}

static at_status write_interactively(job *j)
{
    at_cli_prompt prompt = {0};
    const char *line;
    at_status st;
    while ((st = at_cli_prompt_line(&prompt, "> ", &line)) == AT_OK && line) {
        st = write_texts(j, &line, 1, true);
        j->how.seed++;
        if (st == AT_EARG || st == AT_EFORMAT) /* this prompt is refused, the next one may do */
            at_cli_failed(&spec, st);
        else if (st != AT_OK)
            break;
    }
    at_cli_prompt_close(&prompt);
    return st;
}

static at_status write_all(job *j, const at_cli_words *words)
{
    if (j->o->interactive)
        return write_interactively(j);
    if (words->count)
        return write_texts(j, (const char *const *)words->list, (size_t)words->count, true);
    if (j->o->lines)
        return write_from_lines(j);
    at_buf all = {0};
    at_status st = read_input(&all);
    const char *prompt = all.data;
    if (st == AT_OK)
        st = write_texts(j, &prompt, 1, true);
    at_buf_free(&all);
    return st;
}

static int run(const options *o, const at_cli_common *common, const at_cli_words *words)
{
    if (!o->model)
        return at_cli_wrong(&spec, "--model FOLDER is missing");
    if ((o->lines || o->interactive) && words->count)
        return at_cli_wrong(&spec, "--%s takes its prompts from standard input, not as words",
                            o->lines ? "lines" : "interactive");
    job j = {.o = o, .how = generate_options(o, common), .json = common->json};
    at_open_options open = {.struct_size = sizeof open,
                            .threads = (int)common->threads,
                            .kernels = common->kernels,
                            .weights = (at_weights)o->weights};
    at_status st = at_generator_open(o->model, &open, &j.generator);
    if (st == AT_OK)
        st = write_all(&j, words);
    at_generator_close(j.generator);
    return st == AT_OK ? AT_CLI_DONE : at_cli_failed(&spec, st);
}

int at_cli_generate(int argc, char **argv)
{
    options o = {.sample = AT_SAMPLE_DEFAULTS};
    at_cli_common common;
    at_cli_words words;
    int code = at_cli_parse(&spec, argc, argv, &o, &common, &words);
    if (code == AT_CLI_GO) {
        code = run(&o, &common, &words);
        at_cli_free(&spec, &o, &common);
    }
    for (size_t i = 0; i < o.stop_count; i++)
        at_free(o.stops[i]);
    return code;
}
