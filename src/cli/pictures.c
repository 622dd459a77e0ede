#include "cli/pictures.h"
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* The colon before the number; NULL: there is none. */
static const char *find_number(const char *word)
{
    const char *colon = strrchr(word, ':');
    bool number = colon && colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1);
    return number && !at_file_exists(word) ? colon : NULL;
}

char *at_cli_pictures_file(const char *word)
{
    const char *colon = find_number(word);
    return at_strndup(word, colon ? (size_t)(colon - word) : strlen(word));
}

static at_status open_one(const char *word, const char *colon, at_picture_set *set, at_cli_pictures *these)
{
    char *path = at_cli_pictures_file(word);
    at_status st = path ? at_picture_set_idx(path, NULL, NULL, set) : AT_ENOMEM;
    unsigned long long number = strtoull(colon + 1, NULL, 10);
    if (st == AT_OK && number >= set->count)
        st = at_fail(AT_EARG, "%s: it has pictures 0 to %zu", word, set->count - 1);
    *these = (at_cli_pictures){(size_t)number, 1};
    at_free(path);
    return st;
}

at_status at_cli_open_pictures(const char *word, at_picture_set *set, at_cli_pictures *these)
{
    const char *colon = find_number(word);
    if (colon)
        return open_one(word, colon, set, these);
    bool idx = ends_with(word, "idx3-ubyte") || ends_with(word, "idx3-ubyte.gz");
    at_status st = idx ? at_picture_set_idx(word, NULL, NULL, set) : at_picture_set_add(word, set);
    *these = (at_cli_pictures){0, set->count};
    return st;
}
