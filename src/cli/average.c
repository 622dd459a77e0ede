#include <string.h>
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "store/average.h"
#include "store/folder.h"

typedef struct options {
    char *out;
} options;

static const at_field fields[] = {
    {"out", AT_FIELD_TEXT, offsetof(options, out), NULL, 0, 0, NULL, "folder of the new model"}, {0}};

static const at_cli_spec spec = {
    .name = "average",
    .usage = "--out FOLDER MODEL…",
    .summary =
        "The mean of the weights of several models or checkpoints of one training; tokenizer and settings\n"
        "are the first one's.",
    .fields = fields,
    .examples = "  attend average --out mean out/checkpoints/step-8000 out/checkpoints/step-7500\n"};

static at_status say_origin(const char *const *paths, size_t count, at_buf *origin)
{
    at_buf_text(origin, "the mean of the weights of:");
    for (size_t i = 0; i < count; i++)
        at_buf_printf(origin, "\n  - %s", paths[i]);
    return at_buf_status(origin);
}

static at_status average(const char *out, const char *const *paths, size_t count)
{
    at_folder *first;
    at_status st = at_folder_load(paths[0], NULL, &first);
    if (st != AT_OK)
        return st;
    at_buf origin = {0};
    const at_params *params = &first->model->params;
    float *mean = at_alloc_zero(params->total ? params->total : 1, sizeof *mean);
    st = mean ? at_average_folders(paths, count, params, mean) : AT_ENOMEM;
    if (st == AT_OK)
        st = say_origin(paths, count, &origin);
    if (st == AT_OK) {
        at_folder_content content = at_folder_contents(first);
        content.numbers = mean;
        content.origin = origin.data;
        st = at_folder_save(out, &content);
    }
    at_free(mean);
    at_buf_free(&origin);
    at_folder_free(first);
    return st;
}

int at_cli_average(int argc, char **argv)
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
    } else if (words.count == 0) {
        code = at_cli_wrong(&spec, "name at least one model folder");
    } else {
        at_status st = average(o.out, (const char *const *)words.list, (size_t)words.count);
        if (st != AT_OK)
            code = at_cli_failed(&spec, st);
        else if (!common.quiet)
            at_cli_note(&spec, "%s: the mean of %d models", o.out, words.count);
    }
    at_cli_free(&spec, &o, &common);
    return code;
}
