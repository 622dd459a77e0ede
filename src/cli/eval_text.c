/* How likely a model of one text holds a text: loss, perplexity, bits. */
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "cli/eval_text.h"
#include "cli/output.h"
#include "cli/textfile.h"
#include "task/generator.h"

enum { MOST_BYTES = 1 << 30 };

static void add(at_text_score *sum, const at_text_score *score)
{
    sum->log_probability += score->log_probability;
    sum->pieces += score->pieces;
    sum->bytes += score->bytes;
    sum->characters += score->characters;
}

static at_status score_whole(at_generator *g, const char *path, at_text_score *sum, size_t *texts)
{
    char *text = NULL;
    size_t length;
    at_status st = at_file_read(path, MOST_BYTES, &text, &length);
    if (st == AT_OK) {
        st = at_generator_score(g, text, length, sum);
        if (st != AT_OK)
            at_fail_within(st, "%s", path);
    }
    *texts = 1;
    at_free(text);
    return st;
}

/* Models of documents: each line is one. */
static at_status score_lines(at_generator *g, const char *path, at_text_score *sum, size_t *texts)
{
    at_textfile file = {0};
    at_status st = at_textfile_read(&file, path);
    for (size_t i = 0; i < file.count && st == AT_OK; i++) {
        at_text_score score;
        if (!*file.lines[i])
            continue;
        st = at_generator_score(g, file.lines[i], strlen(file.lines[i]), &score);
        if (st == AT_OK)
            add(sum, &score);
        else
            at_fail_within(st, "%s:%zu", path, i + 1);
        ++*texts;
    }
    if (st == AT_OK && !*texts)
        st = at_fail(AT_EFORMAT, "%s: no line with text", path);
    at_textfile_free(&file);
    return st;
}

static at_status print(const at_text_score *s, size_t texts, bool json)
{
    double loss = -s->log_probability / (double)s->pieces, bits = -s->log_probability / log(2);
    double a_byte = bits / (double)s->bytes, a_character = bits / (double)s->characters;
    if (json)
        return at_cli_print_json(json_pack("{s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I}", "loss", loss,
                                           "perplexity", exp(loss), "bits_per_byte", a_byte,
                                           "bits_per_character", a_character, "pieces", (json_int_t)s->pieces,
                                           "bytes", (json_int_t)s->bytes, "characters",
                                           (json_int_t)s->characters, "texts", (json_int_t)texts),
                                 JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    at_buf out = {0};
    at_buf_printf(&out,
                  "loss = %.4f\nperplexity = %.3f\nbits per byte = %.4f\nbits per character = %.4f\n"
                  "(%zu pieces, %zu bytes, %zu characters, %zu texts)\n",
                  loss, exp(loss), a_byte, a_character, s->pieces, s->bytes, s->characters, texts);
    at_status st = at_buf_status(&out);
    if (st == AT_OK)
        st = at_cli_print(&out);
    at_buf_free(&out);
    return st;
}

at_status at_cli_eval_text(const char *model, const char *text, const at_cli_common *common)
{
    at_generator *g;
    at_open_options open = {
        .struct_size = sizeof open, .threads = (int)common->threads, .kernels = common->kernels};
    at_text_score sum = {0};
    size_t texts = 0;
    at_status st = at_generator_open(model, &open, &g);
    if (st != AT_OK)
        return st;
    const json_t *data = at_generator_folder(g)->data;
    const char *layout = json_string_value(json_object_get(data, "layout"));
    const char *document = json_string_value(json_object_get(data, "document"));
    bool lines = layout && !strcmp(layout, "documents") && document && !strcmp(document, "line");
    st = lines ? score_lines(g, text, &sum, &texts) : score_whole(g, text, &sum, &texts);
    if (st == AT_OK)
        st = print(&sum, texts, common->json);
    at_generator_close(g);
    return st;
}
