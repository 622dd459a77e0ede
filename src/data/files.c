/* The files of a split, and the examples in them as they stand there. */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "data/dataset.h"

at_status at_data_file(const char *folder, const char *name, const char *ending, char **path)
{
    static const char *const packed[] = {"", ".gz"};
    bool here = name[0] == '/' || name[0] == '.';
    at_status st = AT_OK;
    *path = NULL;
    for (size_t i = 0; !*path && i < 2 && st == AT_OK; i++) {
        at_buf text = {0};
        at_buf_printf(&text, "%s%s%s.%s%s", here ? "" : folder, here ? "" : "/", name, ending, packed[i]);
        st = at_buf_status(&text);
        if (st == AT_OK && at_file_exists(text.data))
            *path = at_buf_take(&text);
        else
            at_buf_free(&text);
    }
    return st;
}

/* Labelled texts are a TSV; texts alone may be one too. */
static at_status find_one(const char *folder, const char *split, const at_data_options *options, char **path)
{
    bool texts = options->task == AT_TASK_MASK;
    const char *endings[] = {options->source, "txt", "tsv"};
    at_status st = AT_OK;
    *path = NULL;
    for (size_t i = texts ? 0 : 2; st == AT_OK && !*path && i < 3; i++)
        st = endings[i] ? at_data_file(folder, split, endings[i], path) : AT_OK;
    if (st == AT_OK && !*path && texts)
        return at_fail(AT_EIO, "%s: none of %s.%s, %s.txt, %s.tsv is there, nor with .gz", folder, split,
                       options->source, split, split);
    if (st == AT_OK && !*path)
        return at_fail(AT_EIO, "%s: %s.tsv is not there, nor with .gz; its lines are label, tab, text",
                       folder, split);
    return st;
}

at_status at_dataset_find(const char *folder, const char *split, const at_data_options *options,
                          char **source_path, char **target_path)
{
    *target_path = NULL;
    if (options->task == AT_TASK_CLASSIFY || options->task == AT_TASK_MASK)
        return find_one(folder, split, options, source_path);
    at_status st = at_data_file(folder, split, options->source, source_path);
    if (st == AT_OK && *source_path)
        st = at_data_file(folder, split, options->target, target_path);
    if (st == AT_OK && *source_path && *target_path)
        return AT_OK;
    at_free(*source_path);
    *source_path = NULL;
    if (st == AT_OK)
        st = at_data_file(folder, split, "tsv", source_path);
    if (st == AT_OK && !*source_path)
        st = at_fail(
            AT_EIO,
            "%s: neither %s.%s with %s.%s nor %s.tsv is there, nor with .gz; name them in the recipe's "
            "section data",
            folder, split, options->source, split, options->target, split);
    return st;
}

/* ---------------------------------------------------------------- examples */

static at_status visit_lines(const char *path, at_example_visit *visit, void *context)
{
    at_lines *lines;
    at_text line;
    at_status st = at_lines_open(path, &lines);
    if (st != AT_OK)
        return st;
    while ((st = at_lines_next(lines, &line)) == AT_OK && line.data) {
        st = visit(context, path, line, (at_text){"", 0});
        if (st != AT_OK)
            break;
    }
    at_lines_close(lines);
    return st;
}

static bool is_tsv(const char *path)
{
    size_t n = strlen(path);
    return (n > 4 && !strcmp(path + n - 4, ".tsv")) || (n > 7 && !strcmp(path + n - 7, ".tsv.gz"));
}

at_status at_dataset_visit(const char *source_path, const char *target_path, at_data_task task,
                           at_example_visit *visit, void *context)
{
    bool labelled = task == AT_TASK_CLASSIFY, alone = task == AT_TASK_MASK;
    if (alone && !is_tsv(source_path))
        return visit_lines(source_path, visit, context);
    at_pairs *pairs;
    at_text first = {0}, second = {0};
    at_status st = at_pairs_open(source_path, target_path, &pairs);
    if (st != AT_OK)
        return st;
    while ((st = at_pairs_next(pairs, &first, &second)) == AT_OK && first.data) {
        char place[512];
        snprintf(place, sizeof place, "%.480s:%zu", source_path, at_pairs_number(pairs));
        if (labelled || alone)
            st = visit(context, place, second, labelled ? first : (at_text){"", 0});
        else
            st = visit(context, place, first, second);
        if (st != AT_OK)
            break;
    }
    at_pairs_close(pairs);
    return st;
}
