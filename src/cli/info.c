#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>
#include <zlib.h>
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/output.h"
#include "draw/chain.h"
#include "image/image.h"
#include "kernel/exec.h"
#include "model/graph.h"
#include "store/folder.h"

typedef struct options {
    char *model, *svg;
    bool check, graph;
} options;

static const at_field fields[] = {
    {"model", AT_FIELD_TEXT, offsetof(options, model), NULL, 0, 0, NULL, "model folder; the same as a word"},
    {"check", AT_FIELD_BOOL, offsetof(options, check), "false", 0, 0, NULL,
     "read every number of the model and refuse NaN and infinity"},
    {"graph", AT_FIELD_BOOL, offsetof(options, graph), "false", 0, 0, NULL,
     "the chain of what the model does, with shapes and parameters"},
    {"svg", AT_FIELD_TEXT, offsetof(options, svg), NULL, 0, 0, NULL, "graph: draw the chain into this file"},
    {0}};

static const at_cli_spec spec = {
    .name = "info",
    .usage = "[options] [FOLDER]",
    .summary = "This machine as attend sees it, and this build; or what a model folder holds.",
    .fields = fields,
    .examples = "  attend info\n"
                "  attend info models/tatoeba-en-zh\n"
                "  attend info models/tatoeba-en-zh --graph --svg chain.svg\n"
                "  attend info --kernels ref --json\n"};

static const char *jansson_version(void)
{
#if JANSSON_VERSION_HEX >= 0x020d00
    return jansson_version_str();
#else
    return JANSSON_VERSION;
#endif
}

static const char *compiler(void)
{
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#else
    return "unknown";
#endif
}

static json_t *usable_kernels(void)
{
    const at_kernels *const *list;
    size_t count = at_kernels_usable(&list);
    json_t *names = json_array();
    for (size_t i = 0; names && i < count; i++)
        json_array_append_new(names, json_string(list[i]->name));
    return names;
}

static json_t *libraries(void)
{
    char pcre2[64] = ""; /* pcre2api(3): 24 code units are enough */
    pcre2_config(PCRE2_CONFIG_VERSION, pcre2);
    const char *jpeg = at_image_jpeg_library(), *png = at_image_png_library();
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "jansson", jansson_version(), "pcre2", pcre2, "utf8proc",
                     utf8proc_version(), "zlib", zlibVersion(), "jpeg", jpeg ? jpeg : "none", "png",
                     png ? png : "none");
}

static at_status describe_machine(const at_cli_common *common, json_t **object)
{
    at_exec *exec;
    at_status st = at_exec_new(common->kernels, (int)common->threads, &exec);
    if (st != AT_OK)
        return st;
    *object = json_pack("{s:s,s:s,s:i,s:i,s:s,s:o,s:o,s:s}", "version", at_version(), "cpu", at_cpu_name(),
                        "cores", at_cores(), "threads", exec->threads, "kernels", exec->kernels->name,
                        "usable_kernels", usable_kernels(), "libraries", libraries(), "compiler", compiler());
    at_exec_free(exec);
    return *object ? AT_OK : AT_ENOMEM;
}

/* "float32", or "mixed" when tensors differ. */
static const char *stored_type(const at_folder *folder)
{
    const char *name = folder->weights.count ? folder->weights.list[0].type_name : "none";
    for (size_t i = 1; i < folder->weights.count; i++)
        name = strcmp(folder->weights.list[i].type_name, name) == 0 ? name : "mixed";
    return name;
}

static json_t *or_null(const json_t *value)
{
    return value ? json_incref((json_t *)(uintptr_t)value) : json_null();
}

static at_status describe_model(const char *path, bool check, json_t **object)
{
    at_folder *folder;
    at_status st = at_folder_load(path, NULL, &folder);
    if (st == AT_OK && check)
        st = at_folder_check_finite(folder);
    if (st == AT_OK) {
        const at_model *m = folder->model;
        *object = json_pack(
            "{s:s,s:s,s:s,s:I,s:I,s:I,s:s,s:o,s:o,s:o,s:o}", "folder", path, "family", m->family->name,
            "class", m->family->class, "parameters", (json_int_t)at_params_numbers(&m->params), "pieces",
            (json_int_t)m->vocabulary.source, "bytes", (json_int_t)folder->weights.mapping.size, "type",
            stored_type(folder), "data", or_null(folder->data), "model", at_model_options(m), "decode",
            or_null(folder->decode), "preprocess", or_null(folder->preprocess));
        st = *object ? AT_OK : AT_ENOMEM;
    }
    at_folder_free(folder);
    return st;
}

/* ---------------------------------------------------------------- the chain */

static json_t *graph_json(const at_graph *graph)
{
    json_t *steps = json_array();
    for (size_t i = 0; i < graph->count && steps; i++) {
        const at_graph_step *s = &graph->steps[i];
        const char *lane = graph->lanes[s->lane];
        json_t *step = json_pack("{s:s?,s:s,s:s,s:s,s:I,s:I,s:b}", "chain", lane, "name", s->name, "detail",
                                 s->detail, "shape", s->shape, "repeats", (json_int_t)s->repeats,
                                 "parameters", (json_int_t)s->parameters, "looks_at_encoder", s->reads);
        if (json_array_append_new(steps, step) != 0) {
            json_decref(steps);
            steps = NULL;
        }
    }
    return steps;
}

static at_status draw_graph(const at_graph *graph, const char *title, const char *svg, at_buf *text)
{
    at_chain_step steps[AT_GRAPH_STEPS];
    for (size_t i = 0; i < graph->count; i++) {
        const at_graph_step *s = &graph->steps[i];
        steps[i] = (at_chain_step){.lane = s->lane,
                                   .name = s->name,
                                   .detail = s->detail,
                                   .shape = s->shape,
                                   .repeats = s->repeats,
                                   .parameters = s->parameters,
                                   .reads = s->reads};
    }
    at_chain chain = {
        .title = title, .lanes = {graph->lanes[0], graph->lanes[1]}, .steps = steps, .count = graph->count};
    at_buf picture = {0};
    at_status st = at_chain_text(&chain, 0, text);
    if (st == AT_OK && svg)
        st = at_cli_save(at_chain_svg(&chain, &picture), &picture, svg);
    return st;
}

static at_status print_graph(const char *path, const options *o, bool json)
{
    at_folder *folder;
    at_graph graph;
    at_buf text = {0};
    at_status st = at_folder_load(path, NULL, &folder);
    if (st == AT_OK)
        st = at_graph_make(folder->model, &graph);
    if (st == AT_OK)
        st = draw_graph(&graph, path, o->svg, &text);
    if (st == AT_OK)
        st = json ? at_cli_print_json(graph_json(&graph), JSON_INDENT(1)) : at_cli_print(&text);
    at_buf_free(&text);
    at_folder_free(folder);
    return st;
}

/* On its line, whatever it holds. */
static void put_text(at_buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            at_buf_text(out, "\\n");
        else
            at_buf_char(out, (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
    }
}

static void put_value(at_buf *out, const json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_object(value)) {
        const char *before = "";
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            at_buf_printf(out, "%s%s ", before, key);
            put_value(out, item);
            before = ", ";
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, item)
        {
            at_buf_text(out, i ? " " : "");
            put_value(out, item);
        }
    } else if (json_is_string(value)) {
        put_text(out, json_string_value(value));
    } else if (json_is_integer(value)) {
        at_buf_printf(out, "%lld", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        at_buf_printf(out, "%g", json_real_value(value));
    } else {
        at_buf_text(out, json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
    }
}

static at_status print_lines(const json_t *object)
{
    at_buf out = {0};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        char shown[32];
        snprintf(shown, sizeof shown, "%s", key);
        for (char *c = shown; *c; c++)
            *c = (char)(*c == '_' ? ' ' : *c);
        at_buf_printf(&out, "%-16s", shown);
        put_value(&out, value);
        at_buf_char(&out, '\n');
    }
    at_status st = at_cli_print(&out);
    at_buf_free(&out);
    return st;
}

static at_status describe(const options *o, const char *model, const at_cli_common *common)
{
    json_t *object = NULL;
    if (o->graph)
        return print_graph(model, o, common->json);
    at_status st = model ? describe_model(model, o->check, &object) : describe_machine(common, &object);
    if (st == AT_OK && common->json)
        st = at_cli_print_json(json_incref(object), JSON_INDENT(1));
    else if (st == AT_OK)
        st = print_lines(object);
    json_decref(object);
    return st;
}

int at_cli_info(int argc, char **argv)
{
    options o;
    at_cli_common common;
    at_cli_words words;
    int code = at_cli_parse(&spec, argc, argv, &o, &common, &words);
    if (code != AT_CLI_GO)
        return code;
    const char *model = o.model ? o.model : words.count == 1 ? words.list[0] : NULL;
    code = AT_CLI_DONE;
    if (words.count > (o.model ? 0 : 1)) {
        code = at_cli_wrong(&spec, "want one FOLDER at most");
    } else if (o.graph && !model) {
        code = at_cli_wrong(&spec, "--graph wants the FOLDER of a model");
    } else if (o.svg && !o.graph) {
        code = at_cli_wrong(&spec, "--svg draws the chain: give --graph too");
    } else {
        at_status st = describe(&o, model, &common);
        if (st != AT_OK)
            code = at_cli_failed(&spec, st);
    }
    at_cli_free(&spec, &o, &common);
    return code;
}
