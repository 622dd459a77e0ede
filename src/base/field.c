#include "base/field.h"
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif
#include "base/memory.h"

enum { MAX_WORD = 64 };

static void *member(const at_field *field, void *target)
{
    return (char *)target + field->offset;
}

static const void *member_const(const at_field *field, const void *source)
{
    return (const char *)source + field->offset;
}

static bool alike(char a, char b)
{
    return a == b || ((a == '-' || a == '_') && (b == '-' || b == '_'));
}

static bool same_key(const char *a, const char *b)
{
    while (*a && alike(*a, *b))
        a++, b++;
    return !*a && !*b;
}

/* Levenshtein distance, '-' and '_' alike; words longer than MAX_WORD are far from all. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t rows = strlen(a), columns = strlen(b);
    if (rows > MAX_WORD || columns > MAX_WORD)
        return SIZE_MAX;
    size_t cost[MAX_WORD + 1]; /* the last row of the table, overwritten from left to right */
    for (size_t j = 0; j <= columns; j++)
        cost[j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t diagonal = cost[0];
        cost[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t best = diagonal + !alike(a[i - 1], b[j - 1]);
            if (cost[j] + 1 < best)
                best = cost[j] + 1;
            if (cost[j - 1] + 1 < best)
                best = cost[j - 1] + 1;
            diagonal = cost[j];
            cost[j] = best;
        }
    }
    return cost[columns];
}

const char *at_nearest(const char *word, const char *const *known, size_t count)
{
    const char *best = NULL;
    size_t best_distance = (strlen(word) + 2) / 3 + 1; /* about one letter in three may be wrong */
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(word, known[i]);
        if (distance < best_distance) {
            best_distance = distance;
            best = known[i];
        }
    }
    return best;
}

static at_status unknown_key(const at_field *fields, const char *key)
{
    enum { MOST = 256 };
    const char *known[MOST];
    size_t count = 0;
    for (const at_field *f = fields; f->key && count < MOST; f++)
        known[count++] = f->key;
    const char *near = at_nearest(key, known, count);
    if (near)
        return at_fail(AT_EARG, "unknown option '%s'; did you mean '%s'?", key, near);
    return at_fail(AT_EARG, "unknown option '%s'", key);
}

/* The i-th of "a|b|c" as start and length; false past the last. */
static bool choice_at(const char *choices, int64_t index, const char **start, size_t *length)
{
    const char *p = choices;
    for (; index > 0; index--) {
        p = strchr(p, '|');
        if (!p)
            return false;
        p++;
    }
    *start = p;
    *length = strcspn(p, "|");
    return index == 0;
}

/* strtod in the C locale: a host program may have set one with decimal commas. */
static double parse_real(const char *text, char **end)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0)
        return strtod(text, end);
    locale_t before = uselocale(plain);
    double value = strtod(text, end);
    uselocale(before);
    freelocale(plain);
    return value;
}

static bool within(const at_field *field, double value)
{
    return (field->min == 0 && field->max == 0) || (value >= field->min && value <= field->max);
}

static at_status out_of_limits(const at_field *field, const char *value)
{
    return at_fail(AT_EARG, "option '%s': %s is not within %g to %g", field->key, value, field->min,
                   field->max);
}

static at_status set_int(const at_field *field, void *target, const char *value)
{
    char *end;
    errno = 0;
    long long n = strtoll(value, &end, 10);
    if (end == value || *end)
        return at_fail(AT_EARG, "option '%s': '%s' is not an integer", field->key, value);
    if (errno == ERANGE || !within(field, (double)n))
        return out_of_limits(field, value);
    *(int64_t *)member(field, target) = n;
    return AT_OK;
}

static at_status set_real(const at_field *field, void *target, const char *value)
{
    char *end;
    double x = parse_real(value, &end);
    if (end == value || *end || !isfinite(x))
        return at_fail(AT_EARG, "option '%s': '%s' is not a finite number", field->key, value);
    if (!within(field, x))
        return out_of_limits(field, value);
    *(double *)member(field, target) = x;
    return AT_OK;
}

static at_status set_bool(const at_field *field, void *target, const char *value)
{
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        if (!strcmp(value, yes[i]) || !strcmp(value, no[i])) {
            *(bool *)member(field, target) = !strcmp(value, yes[i]);
            return AT_OK;
        }
    return at_fail(AT_EARG, "option '%s': '%s' is neither true nor false", field->key, value);
}

static at_status set_text(const at_field *field, void *target, const char *value)
{
    char *copy = value ? at_strdup(value) : NULL;
    if (value && !copy)
        return AT_ENOMEM;
    char **text = member(field, target);
    at_free(*text);
    *text = copy;
    return AT_OK;
}

static at_status set_choice(const at_field *field, void *target, const char *value)
{
    const char *start;
    size_t length;
    for (int64_t i = 0; choice_at(field->choices, i, &start, &length); i++)
        if (strlen(value) == length && !strncmp(value, start, length)) {
            *(int64_t *)member(field, target) = i;
            return AT_OK;
        }
    return at_fail(AT_EARG, "option '%s': '%s' is none of %s", field->key, value, field->choices);
}

static at_status set_field(const at_field *field, void *target, const char *value)
{
    switch (field->type) {
    case AT_FIELD_INT:
        return set_int(field, target, value);
    case AT_FIELD_REAL:
        return set_real(field, target, value);
    case AT_FIELD_BOOL:
        return set_bool(field, target, value);
    case AT_FIELD_CHOICE:
        return set_choice(field, target, value);
    case AT_FIELD_TEXT:
        break;
    }
    return set_text(field, target, value);
}

at_status at_fields_default(const at_field *fields, void *target)
{
    for (const at_field *f = fields; f->key; f++) /* first, so that a failure leaves nothing wild to free */
        if (f->type == AT_FIELD_TEXT)
            *(char **)member(f, target) = NULL;
    for (const at_field *f = fields; f->key; f++) {
        at_status st = AT_OK;
        if (f->initial)
            st = set_field(f, target, f->initial);
        else if (f->type == AT_FIELD_REAL)
            *(double *)member(f, target) = 0;
        else if (f->type == AT_FIELD_BOOL)
            *(bool *)member(f, target) = false;
        else if (f->type != AT_FIELD_TEXT)
            *(int64_t *)member(f, target) = 0;
        AT_ASSERT(st == AT_OK || st == AT_ENOMEM); /* a default outside its own limits is our bug */
        if (st != AT_OK)
            return st;
    }
    return AT_OK;
}

at_status at_fields_set(const at_field *fields, void *target, const char *key, const char *value)
{
    const at_field *field = at_fields_find(fields, key);
    return field ? set_field(field, target, value) : unknown_key(fields, key);
}

static at_status wrong_kind(const at_field *field, const char *wanted)
{
    return at_fail(AT_EARG, "option '%s': want %s", field->key, wanted);
}

static at_status read_number(const at_field *field, void *target, const json_t *value)
{
    char text[64];
    if (field->type == AT_FIELD_INT && !json_is_integer(value))
        return wrong_kind(field, "an integer");
    if (!json_is_number(value))
        return wrong_kind(field, "a number");
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    else
        snprintf(text, sizeof text, "%g", json_real_value(value));
    if (!within(field, json_number_value(value)))
        return out_of_limits(field, text);
    if (field->type == AT_FIELD_INT)
        *(int64_t *)member(field, target) = json_integer_value(value);
    else
        *(double *)member(field, target) = json_number_value(value);
    return AT_OK;
}

static at_status read_field(const at_field *field, void *target, const json_t *value)
{
    if (json_is_null(value)) /* as Hugging Face writes "not set" */
        return field->type == AT_FIELD_TEXT ? set_text(field, target, NULL) : AT_OK;
    switch (field->type) {
    case AT_FIELD_INT:
    case AT_FIELD_REAL:
        return read_number(field, target, value);
    case AT_FIELD_BOOL:
        if (!json_is_boolean(value))
            return wrong_kind(field, "true or false");
        *(bool *)member(field, target) = json_is_true(value);
        return AT_OK;
    case AT_FIELD_TEXT:
    case AT_FIELD_CHOICE:
        break;
    }
    if (!json_is_string(value))
        return wrong_kind(field, "a string");
    return set_field(field, target, json_string_value(value));
}

at_status at_fields_read(const at_field *fields, void *target, const json_t *object, const char *const *also)
{
    if (!json_is_object(object))
        return at_fail(AT_EARG, "want an object of options");
    for (void *it = json_object_iter((json_t *)(uintptr_t)object); it;
         it = json_object_iter_next((json_t *)(uintptr_t)object, it)) {
        const char *key = json_object_iter_key(it);
        const at_field *field = at_fields_find(fields, key);
        bool elsewhere = false;
        for (const char *const *k = also; !field && k && *k; k++)
            elsewhere = elsewhere || !strcmp(*k, key);
        if (elsewhere)
            continue;
        at_status st =
            field ? read_field(field, target, json_object_iter_value(it)) : unknown_key(fields, key);
        if (st != AT_OK)
            return st;
    }
    return AT_OK;
}

static json_t *write_field(const at_field *field, const void *source)
{
    const void *value = member_const(field, source);
    switch (field->type) {
    case AT_FIELD_INT:
        return json_integer(*(const int64_t *)value);
    case AT_FIELD_REAL:
        return json_real(*(const double *)value);
    case AT_FIELD_BOOL:
        return json_boolean(*(const bool *)value);
    case AT_FIELD_TEXT:
        return *(char *const *)value ? json_string(*(char *const *)value) : json_null();
    case AT_FIELD_CHOICE:
        break;
    }
    const char *start;
    size_t length;
    if (!choice_at(field->choices, *(const int64_t *)value, &start, &length))
        return NULL;
    return json_stringn(start, length);
}

json_t *at_fields_write(const at_field *fields, const void *source)
{
    json_t *object = json_object();
    for (const at_field *f = fields; object && f->key; f++)
        if (json_object_set_new(object, f->key, write_field(f, source)) != 0) {
            json_decref(object);
            object = NULL;
        }
    if (!object)
        at_fail(AT_ENOMEM, "out of memory while writing options");
    return object;
}

void at_fields_free(const at_field *fields, void *target)
{
    for (const at_field *f = fields; f->key; f++)
        if (f->type == AT_FIELD_TEXT) {
            char **text = member(f, target);
            at_free(*text);
            *text = NULL;
        }
}

static void help_limits(const at_field *field, at_buf *out)
{
    bool number = field->type == AT_FIELD_INT || field->type == AT_FIELD_REAL;
    bool limits = number && (field->min != 0 || field->max != 0);
    if (!limits && !field->initial)
        return;
    at_buf_text(out, " (");
    if (limits)
        at_buf_printf(out, "%.10g to %.10g", field->min, field->max);
    if (field->initial)
        at_buf_printf(out, "%s%s", limits ? "; " : "", field->initial);
    at_buf_char(out, ')');
}

void at_fields_help(const at_field *fields, const char *prefix, at_buf *out)
{
    enum { COLUMN = 34 };
    static const char *const kinds[] = {[AT_FIELD_INT] = "N",
                                        [AT_FIELD_REAL] = "X",
                                        [AT_FIELD_BOOL] = "true|false",
                                        [AT_FIELD_TEXT] = "TEXT"};
    for (const at_field *f = fields; f->key; f++) {
        size_t start = out->length;
        at_buf_printf(out, "  --%s", prefix ? prefix : "");
        for (const char *c = f->key; *c; c++)
            at_buf_char(out, (char)(*c == '_' ? '-' : *c));
        at_buf_printf(out, " %s", f->type == AT_FIELD_CHOICE ? f->choices : kinds[f->type]);
        if (out->length - start >= COLUMN - 1) {
            at_buf_char(out, '\n');
            start = out->length;
        }
        while (!out->failed && out->length - start < COLUMN)
            at_buf_char(out, ' ');
        at_buf_text(out, f->help ? f->help : "");
        help_limits(f, out);
        at_buf_char(out, '\n');
    }
}

const at_field *at_fields_find(const at_field *fields, const char *key)
{
    for (const at_field *f = fields; f->key; f++)
        if (same_key(f->key, key))
            return f;
    return NULL;
}
