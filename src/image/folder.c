#include "image/folder.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/buf.h"
#include "base/file.h"
#include "base/memory.h"

enum { MOST_DEPTH = 64, MOST_LIST = 1 << 30, MOST_CLASSES = 1 << 20 };

/* A folder on the way down, so that a link back up is seen. */
typedef struct level {
    const struct level *above;
    dev_t device;
    ino_t number;
    int depth;
} level;

typedef struct names {
    char **list;
    size_t count, capacity;
} names;

static void free_texts(char **list, size_t count)
{
    for (size_t i = 0; list && i < count; i++)
        at_free(list[i]);
    at_free(list);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, without those that begin with a dot. */
static at_status list_folder(const char *folder, names *out)
{
    *out = (names){0};
    DIR *stream = opendir(folder);
    if (!stream)
        return at_fail(errno == ENOMEM ? AT_ENOMEM : AT_EIO, "%s: cannot open: %s", folder, strerror(errno));
    at_status st = AT_OK;
    errno = 0;
    for (struct dirent *entry; st == AT_OK && (entry = readdir(stream));) {
        if (entry->d_name[0] == '.')
            continue;
        st = at_grow(&out->list, &out->capacity, out->count + 1, sizeof *out->list);
        if (st == AT_OK && !(out->list[out->count] = at_strdup(entry->d_name)))
            st = AT_ENOMEM;
        out->count += st == AT_OK;
        errno = 0;
    }
    if (st == AT_OK && errno)
        st = at_fail(AT_EIO, "%s: cannot read: %s", folder, strerror(errno));
    closedir(stream);
    if (st != AT_OK) {
        free_texts(out->list, out->count);
        *out = (names){0};
    } else if (out->count) {
        qsort(out->list, out->count, sizeof *out->list, by_bytes);
    }
    return st;
}

/* The set takes `path`, also when it fails. label < 0: none. */
static at_status add_path(at_picture_set *set, char *path, int32_t label)
{
    at_status st =
        path ? at_grow(&set->path, &set->path_capacity, set->count + 1, sizeof *set->path) : AT_ENOMEM;
    if (st == AT_OK && label >= 0)
        st = at_grow(&set->label, &set->label_capacity, set->count + 1, sizeof *set->label);
    if (st != AT_OK) {
        at_free(path);
        return st;
    }
    if (label >= 0)
        set->label[set->count] = label;
    set->path[set->count++] = path;
    return AT_OK;
}

static at_status add_class(at_picture_set *set, const char *name, size_t length)
{
    if (set->class_count == MOST_CLASSES)
        return at_fail(AT_EFORMAT, "more than %d classes", MOST_CLASSES);
    at_status st =
        at_grow(&set->class_names, &set->class_capacity, set->class_count + 1, sizeof *set->class_names);
    if (st == AT_OK && !(set->class_names[set->class_count] = at_strndup(name, length)))
        st = AT_ENOMEM;
    set->class_count += st == AT_OK;
    return st;
}

static at_status expect_classes(at_picture_set *set, const at_class_names *expected)
{
    at_status st = AT_OK;
    for (size_t i = 0; st == AT_OK && i < expected->count; i++)
        st = add_class(set, expected->name[i], strlen(expected->name[i]));
    return st;
}

static int32_t find_class(const at_picture_set *set, const char *name, size_t length)
{
    for (size_t i = 0; i < set->class_count; i++)
        if (strlen(set->class_names[i]) == length && memcmp(set->class_names[i], name, length) == 0)
            return (int32_t)i;
    return -1;
}

/* "cat, dog, …" of a model, for messages. */
static at_status unknown_class(const at_picture_set *set, const char *place, const char *name, size_t length)
{
    at_buf known = {0};
    for (size_t i = 0; i < set->class_count && known.length < 160; i++)
        at_buf_printf(&known, "%s%s", i ? ", " : "", set->class_names[i]);
    at_status st = at_fail(AT_EFORMAT, "%s: class '%.*s' is none of the model's %zu: %s", place, (int)length,
                           name, set->class_count, known.data ? known.data : "");
    at_buf_free(&known);
    return st;
}

/* --- Folders ---------------------------------------------------------------------------------- */

static bool is_above(const level *folder, const struct stat *info)
{
    for (; folder; folder = folder->above)
        if (folder->device == info->st_dev && folder->number == info->st_ino)
            return true;
    return false;
}

/* One name of a folder: a file is added, a folder gone into. Takes `path`. Links that lead nowhere and what
 * is no plain file are passed over: they are not pictures. */
static at_status add_below(at_picture_set *set, char *path, int32_t label, const level *above)
{
    struct stat info;
    if (!path)
        return AT_ENOMEM;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode))
        return add_path(set, path, label);
    at_status st = AT_OK;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode) && !is_above(above, &info)) {
        level here = {.above = above,
                      .device = info.st_dev,
                      .number = info.st_ino,
                      .depth = above ? above->depth + 1 : 0};
        names found = {0};
        st = here.depth > MOST_DEPTH ? at_fail(AT_EFORMAT, "%s: folders more than %d deep", path, MOST_DEPTH)
                                     : list_folder(path, &found);
        for (size_t i = 0; st == AT_OK && i < found.count; i++)
            st = add_below(set, at_path_join(path, found.list[i]), label, &here);
        free_texts(found.list, found.count);
    }
    at_free(path);
    return st;
}

static at_status add_class_folder(at_picture_set *set, const char *folder, const char *name, bool expected)
{
    char *path = at_path_join(folder, name);
    size_t before = set->count;
    if (!path)
        return AT_ENOMEM;
    if (!at_is_folder(path)) { /* a README beside the classes, say */
        at_free(path);
        return AT_OK;
    }
    int32_t label = expected ? find_class(set, name, strlen(name)) : (int32_t)set->class_count;
    at_status st = AT_OK;
    if (label < 0)
        st = unknown_class(set, path, name, strlen(name));
    else if (!expected)
        st = add_class(set, name, strlen(name));
    if (st != AT_OK) {
        at_free(path);
        return st;
    }
    st = add_below(set, path, label, NULL);
    if (st == AT_OK && set->count == before)
        st = at_fail(AT_EFORMAT, "%s/%s: a class without a file", folder, name);
    return st;
}

/* What both kinds of labelled sets must have. */
static at_status check_classes(const at_picture_set *set, const char *path, bool expected, const char *remedy)
{
    if (!set->count)
        return at_fail(AT_EFORMAT, "%s: no pictures; %s", path, remedy);
    if (!expected && set->class_count < 2)
        return at_fail(AT_EFORMAT, "%s: one class alone ('%s'), which teaches nothing; %s", path,
                       set->class_names[0], remedy);
    return AT_OK;
}

at_status at_picture_set_folder(const char *folder, const at_class_names *expected, at_picture_set *set)
{
    names found = {0};
    *set = (at_picture_set){0};
    at_status st = expected ? expect_classes(set, expected) : AT_OK;
    if (st == AT_OK)
        st = list_folder(folder, &found);
    for (size_t i = 0; st == AT_OK && i < found.count; i++)
        st = add_class_folder(set, folder, found.list[i], expected != NULL);
    free_texts(found.list, found.count);
    if (st == AT_OK)
        st = check_classes(set, folder, expected != NULL,
                           "want a sub-folder for each class, its pictures in it");
    if (st != AT_OK)
        at_picture_set_free(set);
    return st;
}

at_status at_picture_set_add(const char *path, at_picture_set *set)
{
    size_t before = set->count;
    if (!at_file_exists(path))
        return at_fail(AT_EIO, "%s: no such file or folder", path);
    at_status st =
        at_is_folder(path) ? add_below(set, at_strdup(path), -1, NULL) : add_path(set, at_strdup(path), -1);
    if (st == AT_OK && set->count == before)
        st = at_fail(AT_EFORMAT, "%s: a folder without a file", path);
    return st;
}

at_status at_picture_set_all(const char *path, at_picture_set *set)
{
    *set = (at_picture_set){0};
    at_status st = at_picture_set_add(path, set);
    if (st != AT_OK)
        at_picture_set_free(set);
    return st;
}

/* --- Lists ------------------------------------------------------------------------------------ */

/* `folder` is "dir/" of the list or "". */
static char *path_of(const char *folder, const char *name, size_t length)
{
    at_buf path = {0};
    if (name[0] != '/')
        at_buf_text(&path, folder);
    at_buf_bytes(&path, name, length);
    char *taken = at_buf_take(&path);
    at_buf_free(&path);
    return taken;
}

static at_status add_line(at_picture_set *set, const char *place, const char *folder, const char *line,
                          size_t length, bool expected)
{
    const char *tab = memchr(line, '\t', length);
    if (!tab || tab == line || tab + 1 == line + length)
        return at_fail(AT_EFORMAT, "%s: want label, tab, path of a picture", place);
    size_t label_length = (size_t)(tab - line), path_length = length - label_length - 1;
    if (memchr(line, '\0', length))
        return at_fail(AT_EFORMAT, "%s: a zero byte; is it a text file?", place);
    int32_t label = find_class(set, line, label_length);
    if (label < 0 && expected)
        return unknown_class(set, place, line, label_length);
    at_status st = AT_OK;
    if (label < 0) {
        label = (int32_t)set->class_count;
        st = add_class(set, line, label_length);
    }
    return st == AT_OK ? add_path(set, path_of(folder, tab + 1, path_length), label) : st;
}

static at_status add_lines(at_picture_set *set, const char *path, const char *text, size_t length,
                           bool expected)
{
    const char *slash = strrchr(path, '/'), *end = text + length;
    char *folder = slash ? at_strndup(path, (size_t)(slash - path) + 1) : at_strdup("");
    at_buf place = {0};
    at_status st = folder ? AT_OK : AT_ENOMEM;
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        text += 3;
    for (size_t number = 1; st == AT_OK && text < end; number++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t line = (size_t)((stop ? stop : end) - text);
        size_t shown = line && text[line - 1] == '\r' ? line - 1 : line;
        at_buf_clear(&place);
        at_buf_printf(&place, "%s:%zu", path, number);
        if (shown)
            st = at_buf_status(&place) == AT_OK ? add_line(set, place.data, folder, text, shown, expected)
                                                : AT_ENOMEM;
        text += line + (stop != NULL);
    }
    at_buf_free(&place);
    at_free(folder);
    return st;
}

/* Met in the order of lines; numbered in the order of names. */
static at_status sort_classes(at_picture_set *set)
{
    char **old = at_alloc_array(set->class_count, sizeof *old);
    int32_t *moved = at_alloc_array(set->class_count, sizeof *moved);
    at_status st = old && moved ? AT_OK : AT_ENOMEM;
    if (st == AT_OK && set->class_count) {
        memcpy(old, set->class_names, set->class_count * sizeof *old);
        qsort(set->class_names, set->class_count, sizeof *set->class_names, by_bytes);
        for (size_t i = 0; i < set->class_count; i++) {
            char **at = bsearch(&old[i], set->class_names, set->class_count, sizeof *old, by_bytes);
            moved[i] = (int32_t)(at - set->class_names);
        }
        for (size_t i = 0; i < set->count; i++)
            set->label[i] = moved[set->label[i]];
    }
    at_free(old);
    at_free(moved);
    return st;
}

at_status at_picture_set_list(const char *path, const at_class_names *expected, at_picture_set *set)
{
    char *text;
    size_t length;
    *set = (at_picture_set){0};
    at_status st = at_file_read(path, MOST_LIST, &text, &length);
    if (st == AT_OK && expected)
        st = expect_classes(set, expected);
    if (st == AT_OK)
        st = add_lines(set, path, text, length, expected != NULL);
    at_free(text);
    if (st == AT_OK)
        st = check_classes(set, path, expected != NULL, "want lines of label, tab, path");
    if (st == AT_OK && !expected)
        st = sort_classes(set);
    if (st != AT_OK)
        at_picture_set_free(set);
    return st;
}

/* --- IDX -------------------------------------------------------------------------------------- */

static at_status take_labels(at_picture_set *set, const char *path, const at_idx *labels,
                             const at_class_names *expected)
{
    size_t classes = 0;
    char name[8];
    if (labels->count != set->count)
        return at_fail(AT_EFORMAT, "%s: %zu labels for %zu pictures", path, labels->count, set->count);
    for (size_t i = 0; i < labels->count; i++)
        classes = labels->bytes[i] >= classes ? labels->bytes[i] + (size_t)1 : classes;
    if (expected && classes > expected->count)
        return at_fail(AT_EFORMAT, "%s: label %zu; the model has %zu classes", path, classes - 1,
                       expected->count);
    at_status st = expected ? expect_classes(set, expected) : AT_OK;
    for (size_t i = 0; st == AT_OK && !expected && i < classes; i++)
        st = add_class(set, name, (size_t)snprintf(name, sizeof name, "%zu", i));
    if (st == AT_OK && !(set->label = at_alloc_array(set->count, sizeof *set->label)))
        st = AT_ENOMEM;
    for (size_t i = 0; st == AT_OK && i < set->count; i++)
        set->label[i] = labels->bytes[i];
    return st == AT_OK ? check_classes(set, path, expected != NULL, "want two labels at least") : st;
}

at_status at_picture_set_idx(const char *images, const char *labels, const at_class_names *expected,
                             at_picture_set *set)
{
    at_idx marks = {0};
    *set = (at_picture_set){0};
    at_status st = at_idx_read(images, AT_IDX_IMAGES, 0, &set->idx);
    if (st == AT_OK)
        set->count = set->idx.count;
    if (st == AT_OK && labels)
        st = at_idx_read(labels, AT_IDX_LABELS, 0, &marks);
    if (st == AT_OK && labels)
        st = take_labels(set, labels, &marks, expected);
    at_idx_free(&marks);
    if (st != AT_OK)
        at_picture_set_free(set);
    return st;
}

void at_picture_set_free(at_picture_set *set)
{
    if (set->path)
        free_texts(set->path, set->count);
    free_texts(set->class_names, set->class_count);
    at_free(set->label);
    at_idx_free(&set->idx);
    *set = (at_picture_set){0};
}
