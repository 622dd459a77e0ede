#include "base/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/internal.h"
#include "base/memory.h"

/* jansson allows 2048 levels, each a stack frame or two; files of ours have ten. */
static at_status check_depth(const char *text, size_t length, const char *name)
{
    int depth = 0, line = 1;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        line += c == '\n';
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            if (++depth > AT_JSON_DEPTH)
                return at_fail(AT_EFORMAT, "%s:%d: nested deeper than %d levels", name, line, AT_JSON_DEPTH);
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return AT_OK;
}

static int write_part(const char *part, size_t size, void *writer)
{
    at_writer_bytes(writer, part, size);
    return ((at_writer *)writer)->status == AT_OK ? 0 : -1;
}

static const char *kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a real number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

/* The value of `key`, NULL when absent or null; `object` not being one is an error. */
static at_status look_up(const json_t *object, const char *key, const json_t **value)
{
    if (!json_is_object(object))
        return at_fail(AT_EFORMAT, "field '%s': want an object around it, not %s", key,
                       object ? kind_of(object) : "nothing");
    *value = json_object_get(object, key);
    if (json_is_null(*value))
        *value = NULL;
    return AT_OK;
}

static at_status missing(const char *key)
{
    return at_fail(AT_EFORMAT, "field '%s': missing", key);
}

static at_status wrong_kind(const char *key, const char *wanted, const json_t *value)
{
    return at_fail(AT_EFORMAT, "field '%s': want %s, not %s", key, wanted, kind_of(value));
}

at_status at_json_load(const char *path, size_t max_bytes, json_t **root)
{
    char *text;
    size_t length;
    *root = NULL;
    at_status st = at_file_read(path, max_bytes, &text, &length);
    if (st != AT_OK)
        return st;
    st = at_json_parse(text, length, path, root);
    at_free(text);
    return st;
}

at_status at_json_parse(const char *text, size_t length, const char *name, json_t **root)
{
    *root = NULL;
    at_status st = check_depth(text, length, name);
    if (st != AT_OK)
        return st;
    json_error_t error;
    at_memory_forget_refusal();
    *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (*root)
        return AT_OK;
    if (at_memory_refused() || json_error_code(&error) == json_error_out_of_memory)
        return at_fail(AT_ENOMEM, "%s: out of memory while reading JSON", name);
    return at_fail(AT_EFORMAT, "%s:%d: %s", name, error.line < 1 ? 1 : error.line, error.text);
}

enum { SHORT_DIGITS = 15, ALL_DIGITS = 17 };

/* Whether every real number comes back from its first 15 digits, as numbers that people wrote do. */
static bool is_short(const json_t *value)
{
    if (json_is_real(value)) {
        char text[40];
        snprintf(text, sizeof text, "%.*g", SHORT_DIGITS, json_real_value(value));
        return strtod(text, NULL) == json_real_value(value);
    }
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        if (!is_short(member))
            return false;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!is_short(json_array_get(value, i)))
            return false;
    }
    return true;
}

at_status at_json_save(const char *path, const json_t *root)
{
    at_writer writer;
    at_status st = at_writer_open(&writer, path);
    if (st != AT_OK)
        return st;
    size_t digits = is_short(root) ? SHORT_DIGITS : ALL_DIGITS; /* 0.1, not 0.10000000000000001 */
    size_t flags = JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits);
    if (json_dump_callback(root, write_part, &writer, flags) != 0 && writer.status == AT_OK) {
        at_writer_abandon(&writer);
        return at_fail(AT_ENOMEM, "%s: out of memory while writing JSON", path);
    }
    at_writer_bytes(&writer, "\n", 1);
    return at_writer_commit(&writer);
}

at_status at_json_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *value)
{
    const json_t *found;
    at_status st = look_up(object, key, &found);
    if (st == AT_OK && !found)
        st = missing(key);
    return st == AT_OK ? at_json_int_or(object, key, min, max, value) : st;
}

at_status at_json_int_or(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *value)
{
    const json_t *found;
    at_status st = look_up(object, key, &found);
    if (st != AT_OK || !found)
        return st;
    if (!json_is_integer(found))
        return wrong_kind(key, "an integer", found);
    int64_t n = json_integer_value(found);
    if (n < min || n > max)
        return at_fail(AT_EFORMAT, "field '%s': %lld is not within %lld to %lld", key, (long long)n,
                       (long long)min, (long long)max);
    *value = n;
    return AT_OK;
}

at_status at_json_real(const json_t *object, const char *key, double min, double max, double *value)
{
    const json_t *found;
    at_status st = look_up(object, key, &found);
    if (st == AT_OK && !found)
        st = missing(key);
    return st == AT_OK ? at_json_real_or(object, key, min, max, value) : st;
}

at_status at_json_real_or(const json_t *object, const char *key, double min, double max, double *value)
{
    const json_t *found;
    at_status st = look_up(object, key, &found);
    if (st != AT_OK || !found)
        return st;
    if (!json_is_number(found))
        return wrong_kind(key, "a number", found);
    double x = json_number_value(found);
    if (!(x >= min && x <= max))
        return at_fail(AT_EFORMAT, "field '%s': %g is not within %g to %g", key, x, min, max);
    *value = x;
    return AT_OK;
}

at_status at_json_bool_or(const json_t *object, const char *key, bool *value)
{
    const json_t *found;
    at_status st = look_up(object, key, &found);
    if (st != AT_OK || !found)
        return st;
    if (!json_is_boolean(found))
        return wrong_kind(key, "true or false", found);
    *value = json_is_true(found);
    return AT_OK;
}

at_status at_json_text(const json_t *object, const char *key, const char **value)
{
    const json_t *found;
    at_status st = look_up(object, key, &found);
    if (st == AT_OK && !found)
        st = missing(key);
    return st == AT_OK ? at_json_text_or(object, key, value) : st;
}

at_status at_json_text_or(const json_t *object, const char *key, const char **value)
{
    const json_t *found;
    at_status st = look_up(object, key, &found);
    if (st != AT_OK || !found)
        return st;
    if (!json_is_string(found))
        return wrong_kind(key, "a string", found);
    *value = json_string_value(found);
    return AT_OK;
}

at_status at_json_object(const json_t *object, const char *key, json_t **value)
{
    const json_t *found;
    at_status st = look_up(object, key, &found);
    if (st != AT_OK)
        return st;
    if (!found)
        return missing(key);
    if (!json_is_object(found))
        return wrong_kind(key, "an object", found);
    *value = json_object_get(object, key);
    return AT_OK;
}
