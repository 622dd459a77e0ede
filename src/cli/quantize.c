#include <math.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "store/folder.h"

typedef struct options {
    char *out;
    int64_t type;
} options;

static const at_field fields[] = {
    {"out", AT_FIELD_TEXT, offsetof(options, out), NULL, 0, 0, NULL, "folder of the new model"},
    {"type", AT_FIELD_CHOICE, offsetof(options, type), "bf16", 0, 0, "bf16|fp32",
     "of the stored numbers; bf16 rounds to the nearest"},
    {0}};

static const at_cli_spec spec = {
    .name = "quantize",
    .usage = "--out FOLDER [--type bf16] MODEL",
    .summary = "The same model with numbers of fewer bits: half the size in bf16. It runs from them as they\n"
               "lie, and answers as the model it comes from does with --weights bf16 where only matrices\n"
               "count.",
    .fields = fields,
    .examples = "  attend quantize --out shakespeare-bf16 models/shakespeare\n"};

/* What is finite in fp32 must be so in bf16. */
static at_status check_range(const char *path, const at_params *params)
{
    for (size_t i = 0; i < params->count; i++) {
        const at_param *p = params->list[i];
        size_t count = at_shape_count(p->shape);
        for (size_t k = 0; k < count; k++)
            if (!isfinite(at_bf16_to_f32(at_f32_to_bf16(p->data[k]))))
                return at_fail(AT_ENUMBER, "%s: tensor '%s': number %zu, %g, has no place in bf16", path,
                               p->name, k, (double)p->data[k]);
    }
    return AT_OK;
}

static at_status write_card(const char *path, const char *type, at_buf *card)
{
    char *name = at_path_join(path, "README.md"), *text = NULL;
    size_t length = 0;
    if (name && at_file_exists(name) && at_file_read(name, 1 << 20, &text, &length) == AT_OK)
        at_buf_bytes(card, text, length);
    else
        at_buf_text(card, "# A model of attend\n");
    at_buf_printf(card, "\nNumbers stored in %s by `attend quantize`.\n", type);
    at_free(text);
    at_free(name);
    return at_buf_status(card);
}

static at_status quantize(const options *o, const char *path)
{
    bool bf16 = o->type == 0;
    at_folder *folder;
    at_status st = at_folder_load(path, NULL, &folder);
    if (st != AT_OK)
        return st;
    at_buf card = {0};
    if (bf16)
        st = check_range(path, &folder->model->params);
    if (st == AT_OK)
        st = write_card(path, bf16 ? "bf16" : "fp32", &card);
    if (st == AT_OK) {
        at_folder_content content = at_folder_contents(folder);
        content.type = bf16 ? AT_BF16 : AT_F32;
        content.card = card.data;
        st = at_folder_save(o->out, &content);
    }
    at_buf_free(&card);
    at_folder_free(folder);
    return st;
}

int at_cli_quantize(int argc, char **argv)
{
    options o;
    at_cli_common common;
    at_cli_words words;
    int code = at_cli_parse(&spec, argc, argv, &o, &common, &words);
    if (code != AT_CLI_GO)
        return code;
    code = AT_CLI_DONE;
    if (!o.out) {
        code = at_cli_wrong(&spec, "--out FOLDER is missing");
    } else if (words.count != 1) {
        code = at_cli_wrong(&spec, "name one model folder");
    } else {
        at_status st = quantize(&o, words.list[0]);
        if (st != AT_OK)
            code = at_cli_failed(&spec, st);
        else if (!common.quiet)
            at_cli_note(&spec, "%s: written", o.out);
    }
    at_cli_free(&spec, &o, &common);
    return code;
}
