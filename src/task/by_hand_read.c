/* The file of a computation by hand: numbers with names, every mistake told by its field. */
#include <float.h>
#include <math.h>
#include <string.h>
#include "base/memory.h"
#include "task/by_hand.h"

enum { MOST_BYTES = 1 << 22, MOST_ROWS = 1000, MOST_WIDTH = 4096 };

const at_field at_by_hand_fields[] = {
    {"score", AT_FIELD_CHOICE, offsetof(at_by_hand_options, score), "scaled-dot", 0, 0, AT_SCORE_CHOICES,
     "how well a query matches a key"},
    {"normalise", AT_FIELD_CHOICE, offsetof(at_by_hand_options, normalise), "softmax", 0, 0,
     AT_NORMALISER_CHOICES, "how scores become weights"},
    {"local", AT_FIELD_CHOICE, offsetof(at_by_hand_options, local), "none", 0, 0, AT_LOCAL_CHOICES,
     "look only around a centre: the query's own place, or one predicted from it"},
    {"reach", AT_FIELD_INT, offsetof(at_by_hand_options, reach), "2", 0, 1000, NULL,
     "keys on each side of the centre"},
    {"scale", AT_FIELD_BOOL, offsetof(at_by_hand_options, scale), "true", 0, 0, NULL,
     "divide the scaled dot by the root of the keys' width"},
    {0}};

static at_status copy_text(const char *text, char **copy)
{
    size_t n = strlen(text) + 1;
    *copy = at_alloc_array(n, 1);
    if (!*copy)
        return AT_ENOMEM;
    memcpy(*copy, text, n);
    return AT_OK;
}

static at_status read_number(const char *field, const char *name, size_t index, const json_t *value,
                             float *number)
{
    if (!json_is_number(value))
        return at_fail(AT_EFORMAT, "field '%s', '%s': entry %zu is not a number", field, name, index + 1);
    double x = json_number_value(value);
    if (!(fabs(x) <= (double)FLT_MAX))
        return at_fail(AT_EFORMAT, "field '%s', '%s': entry %zu is too large", field, name, index + 1);
    *number = (float)x;
    return AT_OK;
}

/* One more row; the first says how wide all are. */
static at_status read_row(const char *field, const char *name, const json_t *vector, at_named_rows *rows)
{
    size_t width = json_array_size(vector);
    if (!json_is_array(vector) || width == 0)
        return at_fail(AT_EFORMAT, "field '%s', '%s': want a list of numbers, as in [1, 0.5]", field, name);
    if (rows->count == 0)
        rows->width = width;
    if (width != rows->width || width > MOST_WIDTH)
        return at_fail(AT_EFORMAT,
                       "field '%s', '%s': %zu numbers, but '%s' has %zu; all rows must be as wide", field,
                       name, width, rows->count ? rows->names[0] : "at most", rows->width);
    float *row = rows->numbers + rows->count * rows->width;
    for (size_t i = 0; i < width; i++) {
        at_status st = read_number(field, name, i, json_array_get(vector, i), &row[i]);
        if (st != AT_OK)
            return st;
    }
    at_status st = copy_text(name, &rows->names[rows->count]);
    rows->count += st == AT_OK;
    return st;
}

/* The widest row that the field has, so that memory is asked for once. */
static size_t widest(const json_t *field)
{
    size_t most = 1;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)field, name, value)
    {
        most = json_array_size(value) > most ? json_array_size(value) : most;
    }
    for (size_t i = 0; i < json_array_size(field); i++) {
        size_t width = json_array_size(json_object_get(json_array_get(field, i), "vector"));
        most = width > most ? width : most;
    }
    return most;
}

static at_status make_room(const char *field, const json_t *value, at_named_rows *rows)
{
    size_t count = json_is_object(value) ? json_object_size(value) : json_array_size(value);
    if (!json_is_object(value) && !json_is_array(value))
        return at_fail(AT_EFORMAT, "field '%s': want {\"name\": [numbers], …}", field);
    if (count == 0 || count > MOST_ROWS || widest(value) > MOST_WIDTH)
        return at_fail(AT_EFORMAT, "field '%s': %zu rows of %zu numbers; want 1 to %d rows of at most %d",
                       field, count, widest(value), MOST_ROWS, MOST_WIDTH);
    rows->names = at_alloc_zero(count, sizeof *rows->names);
    rows->numbers = at_alloc_array(count * widest(value), sizeof *rows->numbers);
    return rows->names && rows->numbers ? AT_OK : AT_ENOMEM;
}

static at_status read_rows(const json_t *root, const char *field, at_named_rows *rows)
{
    const json_t *value = json_object_get(root, field);
    if (!value)
        return at_fail(AT_EFORMAT, "field '%s' is missing; want {\"name\": [numbers], …}", field);
    at_status st = make_room(field, value, rows);
    const char *name;
    json_t *vector;
    json_object_foreach((json_t *)(uintptr_t)value, name, vector)
    {
        if (st == AT_OK)
            st = read_row(field, name, vector, rows);
    }
    for (size_t i = 0; i < json_array_size(value) && st == AT_OK; i++) {
        const json_t *row = json_array_get(value, i);
        name = json_string_value(json_object_get(row, "name"));
        if (!name)
            return at_fail(AT_EFORMAT, "field '%s', row %zu: want {\"name\": text, \"vector\": [numbers]}",
                           field, i + 1);
        st = read_row(field, name, json_object_get(row, "vector"), rows);
    }
    return st;
}

/* In an object the keys' names decide which value is whose; in a list the order does. */
static at_status read_values(const json_t *root, at_by_hand *in)
{
    const json_t *value = json_object_get(root, "values");
    if (!value)
        value = json_object_get(root, "keys");
    at_status st = make_room("values", value, &in->values);
    if (st != AT_OK)
        return st;
    size_t count = json_is_object(value) ? json_object_size(value) : json_array_size(value);
    if (count != in->keys.count)
        return at_fail(AT_EFORMAT, "field 'values': %zu rows for %zu keys; each key wants one", count,
                       in->keys.count);
    for (size_t i = 0; i < count && st == AT_OK; i++) {
        const char *key = in->keys.names[i];
        const json_t *vector = json_is_object(value) ? json_object_get(value, key)
                                                     : json_object_get(json_array_get(value, i), "vector");
        if (!vector)
            return at_fail(AT_EFORMAT, "field 'values': no row for key '%s'", key);
        st = read_row("values", key, vector, &in->values);
    }
    return st;
}

static at_status read_columns(const json_t *root, at_by_hand *in)
{
    const json_t *names = json_object_get(root, "columns");
    size_t width = in->values.width;
    in->columns = at_alloc_zero(width, sizeof *in->columns);
    if (!in->columns)
        return AT_ENOMEM;
    if (names && json_array_size(names) != width)
        return at_fail(AT_EFORMAT, "field 'columns': want a list of %zu names, one a column of the values",
                       width);
    for (size_t i = 0; i < width; i++) {
        char number[24];
        snprintf(number, sizeof number, "%zu", i + 1);
        const char *name = names ? json_string_value(json_array_get(names, i)) : number;
        if (!name)
            return at_fail(AT_EFORMAT, "field 'columns': entry %zu is not text", i + 1);
        at_status st = copy_text(name, &in->columns[i]);
        if (st != AT_OK)
            return st;
    }
    return AT_OK;
}

static at_status wrong_mask(const at_by_hand *in)
{
    return at_fail(AT_EARG, "mask: want 'none', 'causal', or %zu rows of %zu times 0 (hidden) or 1 (seen)",
                   in->queries.count, in->keys.count);
}

at_status at_by_hand_mask(at_by_hand *in, const char *text)
{
    size_t queries = in->queries.count, keys = in->keys.count;
    in->causal = strcmp(text, "causal") == 0;
    at_free(in->mask);
    in->mask = NULL;
    if (in->causal || strcmp(text, "none") == 0)
        return AT_OK;
    in->mask = at_alloc_array(queries * keys, 1);
    if (!in->mask)
        return AT_ENOMEM;
    for (size_t t = 0; t < queries; t++, text++) {
        for (size_t s = 0; s < keys; s++, text++) {
            if (*text != '0' && *text != '1')
                return wrong_mask(in);
            in->mask[t * keys + s] = *text == '1';
        }
        if (*text != (t + 1 < queries ? '/' : '\0'))
            return wrong_mask(in);
    }
    return AT_OK;
}

static at_status read_mask(const json_t *root, at_by_hand *in)
{
    const json_t *mask = json_object_get(root, "mask");
    if (!mask)
        return AT_OK;
    if (json_is_string(mask))
        return at_by_hand_mask(in, json_string_value(mask));
    size_t queries = in->queries.count, keys = in->keys.count;
    if (!json_is_array(mask) || json_array_size(mask) != queries)
        return wrong_mask(in);
    in->mask = at_alloc_array(queries * keys, 1);
    if (!in->mask)
        return AT_ENOMEM;
    for (size_t t = 0; t < queries; t++) {
        const json_t *row = json_array_get(mask, t);
        for (size_t s = 0; s < keys; s++) {
            const json_t *bit = json_array_get(row, s);
            if (json_array_size(row) != keys || !json_is_integer(bit) || json_integer_value(bit) < 0 ||
                json_integer_value(bit) > 1)
                return wrong_mask(in);
            in->mask[t * keys + s] = json_integer_value(bit) == 1;
        }
    }
    return AT_OK;
}

static const char *const others[] = {"queries", "keys",    "values", "columns",
                                     "mask",    "weights", "title",  NULL};

static at_status know_fields(const json_t *root)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        size_t i = 0;
        while (others[i] && strcmp(others[i], key) != 0)
            i++;
        if (!others[i] && !at_fields_find(at_by_hand_fields, key))
            return at_fail(
                AT_EFORMAT,
                "unknown field '%s'; there are queries, keys, values, columns, mask, weights, title, "
                "score, normalise, scale, local, reach",
                key);
    }
    return AT_OK;
}

static at_status read_all(const json_t *root, at_by_hand *in)
{
    const char *title = NULL;
    if (!json_is_object(root))
        return at_fail(AT_EFORMAT, "want an object with 'queries' and 'keys'");
    at_status st = know_fields(root);
    if (st == AT_OK)
        st = at_fields_read(at_by_hand_fields, &in->options, root, others);
    if (st == AT_OK)
        st = at_json_text_or(root, "title", &title);
    if (st == AT_OK && title)
        st = copy_text(title, &in->title);
    if (st == AT_OK)
        st = read_rows(root, "queries", &in->queries);
    if (st == AT_OK)
        st = read_rows(root, "keys", &in->keys);
    if (st == AT_OK)
        st = read_values(root, in);
    if (st == AT_OK)
        st = read_columns(root, in);
    if (st == AT_OK)
        st = read_mask(root, in);
    in->weights = json_incref(json_object_get(root, "weights"));
    if (st == AT_OK && in->weights && !json_is_object(in->weights))
        st = at_fail(AT_EFORMAT, "field 'weights': want {\"name\": numbers, …}");
    return st;
}

at_status at_by_hand_load(const char *path, at_by_hand *in)
{
    *in = (at_by_hand){0};
    json_t *root;
    at_status st = at_json_load(path, MOST_BYTES, &root);
    if (st != AT_OK)
        return st;
    st = at_fields_default(at_by_hand_fields, &in->options);
    if (st == AT_OK)
        st = read_all(root, in);
    json_decref(root);
    if (st == AT_OK)
        return AT_OK;
    at_by_hand_free(in);
    return st == AT_ENOMEM ? st : at_fail_within(st, "%s", path);
}

static void free_rows(at_named_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        at_free(rows->names[i]);
    at_free(rows->names);
    at_free(rows->numbers);
}

void at_by_hand_free(at_by_hand *in)
{
    for (size_t i = 0; in->columns && i < in->values.width; i++)
        at_free(in->columns[i]);
    free_rows(&in->queries);
    free_rows(&in->keys);
    free_rows(&in->values);
    at_free(in->columns);
    at_free(in->title);
    at_free(in->mask);
    json_decref(in->weights);
    *in = (at_by_hand){0};
}
