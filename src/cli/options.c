#include "cli/options.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/memory.h"
#include "cli/output.h"

static const at_field common_fields[] = {
    {"threads", AT_FIELD_INT, offsetof(at_cli_common, threads), "0", 0, 256, NULL, "threads; 0: one a core"},
    {"seed", AT_FIELD_INT, offsetof(at_cli_common, seed), "1", 0, 4294967295.0, NULL,
     "where random numbers start"},
    {"kernels", AT_FIELD_TEXT, offsetof(at_cli_common, kernels), NULL, 0, 0, NULL,
     "ref, or a set that `attend info` lists; else the best"},
    {"json", AT_FIELD_BOOL, offsetof(at_cli_common, json), NULL, 0, 0, NULL, "results as JSON"},
    {"quiet", AT_FIELD_BOOL, offsetof(at_cli_common, quiet), NULL, 0, 0, NULL, "no remarks on stderr"},
    {0}};

static const at_field no_fields[] = {{0}};

/* A file's bytes may reach a message: what would move a terminal's cursor is shown as '?'. */
static void print_clean(const char *text)
{
    for (; *text; text++)
        fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, stderr);
}

static void print_message(const char *name, const char *format, va_list args) AT_PRINTF(2, 0);

static void print_message(const char *name, const char *format, va_list args)
{
    char text[2048];
    vsnprintf(text, sizeof text, format, args);
    fprintf(stderr, "attend %s: ", name);
    print_clean(text);
    fputc('\n', stderr);
}

void at_cli_note(const at_cli_spec *spec, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_message(spec->name, format, args);
    va_end(args);
}

int at_cli_wrong(const at_cli_spec *spec, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_message(spec->name, format, args);
    va_end(args);
    fprintf(stderr, "usage: attend %s %s\n       attend %s --help says more\n", spec->name, spec->usage,
            spec->name);
    return AT_CLI_WRONG;
}

int at_cli_failed(const at_cli_spec *spec, at_status status)
{
    const char *message = at_error_message();
    at_cli_note(spec, "%s", *message ? message : at_status_text(status));
    return AT_CLI_FAILED;
}

static int print_help(const at_cli_spec *spec)
{
    at_buf out = {0};
    at_buf_printf(&out, "usage: attend %s %s\n\n%s\n", spec->name, spec->usage, spec->summary);
    if (spec->fields || spec->other_help)
        at_buf_text(&out, "\noptions\n");
    if (spec->fields)
        at_fields_help(spec->fields, NULL, &out);
    if (spec->other_help)
        at_buf_text(&out, spec->other_help);
    at_buf_text(&out, "\nfor every command\n");
    at_fields_help(common_fields, NULL, &out);
    if (spec->examples)
        at_buf_printf(&out, "\nexamples\n%s", spec->examples);
    int code = at_buf_status(&out) == AT_OK ? AT_CLI_DONE : at_cli_failed(spec, AT_ENOMEM);
    if (code == AT_CLI_DONE && at_cli_print(&out) != AT_OK)
        code = at_cli_failed(spec, AT_EIO);
    at_buf_free(&out);
    return code;
}

/* What a flag is and where its value goes. */
typedef struct flag {
    char key[96];
    const char *value;     /* after '=', or NULL */
    const at_field *field; /* NULL: spec->other's */
    void *target;
} flag;

static bool find_flag(const at_cli_spec *spec, const char *key, void *target, at_cli_common *common, flag *f)
{
    f->field = at_fields_find(spec->fields ? spec->fields : no_fields, key);
    f->target = target;
    if (!f->field) {
        f->field = at_fields_find(common_fields, key);
        f->target = common;
    }
    return f->field != NULL;
}

static int unknown_flag(const at_cli_spec *spec, const char *key)
{
    enum { MOST = 128 };
    const char *known[MOST];
    size_t count = 0;
    for (const at_field *f = spec->fields; f && f->key && count < MOST; f++)
        known[count++] = f->key;
    for (const at_field *f = common_fields; f->key && count < MOST; f++)
        known[count++] = f->key;
    const char *near = at_nearest(key, known, count);
    if (!near)
        return at_cli_wrong(spec, "unknown flag --%s", key);
    char shown[64];
    snprintf(shown, sizeof shown, "%s", near);
    for (char *c = shown; *c; c++)
        *c = (char)(*c == '_' ? '-' : *c);
    return at_cli_wrong(spec, "unknown flag --%s; did you mean --%s?", key, shown);
}

static int set_flag(const at_cli_spec *spec, const flag *f, const char *value)
{
    const at_field one[] = {*f->field, {0}};
    at_status st = at_fields_set(one, f->target, f->field->key, value);
    if (st == AT_ENOMEM)
        return at_cli_failed(spec, st);
    return st == AT_OK ? AT_CLI_GO : at_cli_wrong(spec, "%s", at_error_message());
}

static int set_other(const at_cli_spec *spec, void *target, const flag *f, char **next, int *used)
{
    bool taken = false;
    const char *value = f->value;
    at_status st = spec->other ? spec->other(target, f->key, value, &taken) : AT_OK;
    if (st == AT_OK && taken && !value) {
        if (!*next)
            return at_cli_wrong(spec, "--%s wants a value", f->key);
        value = *next;
        *used = 1;
        st = spec->other(target, f->key, value, &taken);
    }
    if (st == AT_ENOMEM)
        return at_cli_failed(spec, st);
    if (st != AT_OK)
        return at_cli_wrong(spec, "%s", at_error_message());
    return taken ? AT_CLI_GO : unknown_flag(spec, f->key);
}

/* One flag, and the next word if it is the flag's value (*used). */
static int parse_flag(const at_cli_spec *spec, char **next, void *target, at_cli_common *common, int *used)
{
    const char *word = next[-1] + 2;
    flag f = {.value = strchr(word, '=')};
    size_t length = f.value ? (size_t)(f.value - word) : strlen(word);
    if (length >= sizeof f.key)
        return at_cli_wrong(spec, "unknown flag %.60s…", next[-1]);
    memcpy(f.key, word, length);
    f.value = f.value ? f.value + 1 : NULL;
    if (!find_flag(spec, f.key, target, common, &f)) {
        bool negated = !strncmp(f.key, "no-", 3) && !f.value &&
                       find_flag(spec, f.key + 3, target, common, &f) && f.field->type == AT_FIELD_BOOL;
        return negated ? set_flag(spec, &f, "false") : set_other(spec, target, &f, next, used);
    }
    if (f.target == common && !strcmp(f.field->key, "seed"))
        common->seed_given = true;
    if (f.value)
        return set_flag(spec, &f, f.value);
    if (f.field->type == AT_FIELD_BOOL)
        return set_flag(spec, &f, "true");
    if (!*next)
        return at_cli_wrong(spec, "--%s wants a value", f.key);
    *used = 1;
    return set_flag(spec, &f, *next);
}

static int parse_words(const at_cli_spec *spec, int argc, char **argv, void *target, at_cli_common *common,
                       at_cli_words *words)
{
    bool flags = true;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (flags && !strcmp(word, "--")) {
            flags = false;
        } else if (flags && (!strcmp(word, "--help") || !strcmp(word, "-h"))) {
            return print_help(spec);
        } else if (flags && !strncmp(word, "--", 2)) {
            int used = 0, code = parse_flag(spec, argv + i + 1, target, common, &used);
            if (code != AT_CLI_GO)
                return code;
            i += used;
        } else if (flags && word[0] == '-' && word[1]) {
            return at_cli_wrong(spec,
                                "unknown flag %s; flags begin with two dashes, and text that begins with "
                                "one comes after --",
                                word);
        } else if (spec->no_words) {
            return at_cli_wrong(spec, "unexpected word '%s'", word);
        } else {
            words->list[words->count++] = argv[i];
        }
    }
    return AT_CLI_GO;
}

int at_cli_parse(const at_cli_spec *spec, int argc, char **argv, void *target, at_cli_common *common,
                 at_cli_words *words)
{
    at_cli_words found = {argv + 1, 0};
    *common = (at_cli_common){0};
    at_status st = at_fields_default(common_fields, common);
    if (st == AT_OK && spec->fields)
        st = at_fields_default(spec->fields, target);
    int code = st == AT_OK ? parse_words(spec, argc, argv, target, common, &found) : at_cli_failed(spec, st);
    if (code != AT_CLI_GO)
        at_cli_free(spec, target, common);
    if (words)
        *words = found;
    return code;
}

void at_cli_free(const at_cli_spec *spec, void *target, at_cli_common *common)
{
    if (spec->fields)
        at_fields_free(spec->fields, target);
    at_fields_free(common_fields, common);
}
