#include "cli/textfile.h"
#include <string.h>
#include "base/memory.h"
#include "text/corpus.h"

at_status at_textfile_add(at_textfile *file, const char *text, size_t length)
{
    at_status st = at_grow(&file->lines, &file->capacity, file->count + 1, sizeof *file->lines);
    if (st != AT_OK)
        return st;
    char *copy = at_strndup(text, length);
    if (!copy)
        return AT_ENOMEM;
    file->lines[file->count++] = copy;
    return AT_OK;
}

at_status at_textfile_read(at_textfile *file, const char *path)
{
    at_lines *lines;
    at_text line;
    at_status st = at_lines_open(path, &lines);
    if (st != AT_OK)
        return st;
    at_lines_any_bytes(lines);
    while ((st = at_lines_next(lines, &line)) == AT_OK && line.data) {
        if (memchr(line.data, '\0', line.length))
            st = at_fail(AT_EFORMAT, "%s:%zu: a NUL byte; is this a text?", path, at_lines_number(lines));
        else
            st = at_textfile_add(file, line.data, line.length);
        if (st != AT_OK)
            break;
    }
    at_lines_close(lines);
    return st;
}

at_status at_textfile_read_pairs(at_textfile *source, at_textfile *target, const char *source_path,
                                 const char *target_path)
{
    at_pairs *pairs;
    at_text from, to;
    at_status st = at_pairs_open(source_path, target_path, &pairs);
    if (st != AT_OK)
        return st;
    while ((st = at_pairs_next(pairs, &from, &to)) == AT_OK && from.data) {
        st = at_textfile_add(source, from.data, from.length);
        if (st == AT_OK)
            st = at_textfile_add(target, to.data, to.length);
        if (st != AT_OK)
            break;
    }
    at_pairs_close(pairs);
    return st;
}

void at_textfile_free(at_textfile *file)
{
    for (size_t i = 0; i < file->count; i++)
        at_free(file->lines[i]);
    at_free(file->lines);
    *file = (at_textfile){0};
}
