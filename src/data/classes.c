#include "data/classes.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/memory.h"

void at_classes_free(at_classes *classes)
{
    for (size_t i = 0; i < classes->count; i++)
        at_free(classes->names[i]);
    at_free(classes->names);
    *classes = (at_classes){0};
}

int32_t at_classes_find(const at_classes *classes, const char *name, size_t length)
{
    for (size_t i = 0; i < classes->count; i++)
        if (strlen(classes->names[i]) == length && memcmp(classes->names[i], name, length) == 0)
            return (int32_t)i;
    return -1;
}

at_status at_classes_add(at_classes *classes, const char *name, size_t length, int32_t *number)
{
    *number = at_classes_find(classes, name, length);
    if (*number >= 0)
        return AT_OK;
    if (classes->count == AT_MOST_CLASSES)
        return at_fail(AT_EARG, "more than %d different labels", AT_MOST_CLASSES);
    at_status st = at_grow(&classes->names, &classes->capacity, classes->count + 1, sizeof *classes->names);
    char *copy = st == AT_OK ? at_strndup(name, length) : NULL;
    if (!copy)
        return AT_ENOMEM;
    *number = (int32_t)classes->count;
    classes->names[classes->count++] = copy;
    return AT_OK;
}

/* Insertion keeps it simple: classes are few. */
at_status at_classes_sort(at_classes *classes, int32_t *moved)
{
    int32_t *order = at_alloc_array(classes->count + 1, sizeof *order);
    if (!order)
        return AT_ENOMEM;
    for (size_t i = 0; i < classes->count; i++) {
        char *name = classes->names[i];
        size_t at = i;
        for (; at > 0 && strcmp(classes->names[at - 1], name) > 0; at--) {
            classes->names[at] = classes->names[at - 1];
            order[at] = order[at - 1];
        }
        classes->names[at] = name;
        order[at] = (int32_t)i;
    }
    for (size_t i = 0; i < classes->count; i++)
        moved[order[i]] = (int32_t)i;
    at_free(order);
    return AT_OK;
}

at_status at_classes_copy(const at_classes *from, at_classes *to)
{
    at_status st = AT_OK;
    int32_t number;
    for (size_t i = 0; st == AT_OK && i < from->count; i++)
        st = at_classes_add(to, from->names[i], strlen(from->names[i]), &number);
    return st;
}

json_t *at_classes_write(const at_classes *classes)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < classes->count; i++) {
        char key[24];
        snprintf(key, sizeof key, "%zu", i);
        if (json_object_set_new(object, key, json_string(classes->names[i])) != 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

at_status at_classes_read(const json_t *id2label, at_classes *classes)
{
    if (!json_is_object(id2label) || json_object_size(id2label) == 0 ||
        json_object_size(id2label) > AT_MOST_CLASSES)
        return at_fail(AT_EFORMAT, "field 'id2label': want an object {\"0\": name, …}");
    at_status st = AT_OK;
    for (size_t i = 0; st == AT_OK && i < json_object_size(id2label); i++) {
        char key[24];
        snprintf(key, sizeof key, "%zu", i);
        const char *name = json_string_value(json_object_get(id2label, key));
        int32_t number = -1;
        if (!name)
            st = at_fail(AT_EFORMAT, "field 'id2label': no name for \"%s\"", key);
        if (st == AT_OK)
            st = at_classes_add(classes, name, strlen(name), &number);
        if (st == AT_OK && (size_t)number != i)
            st = at_fail(AT_EFORMAT, "field 'id2label': \"%.40s\" is the name of %" PRId32 " and %zu", name,
                         number, i);
    }
    if (st != AT_OK)
        at_classes_free(classes);
    return st;
}

void at_classes_list(const at_classes *classes, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < classes->count; i++) {
        size_t length = strlen(classes->names[i]);
        if (used + length + 8 > size) {
            snprintf(text + used, size - used, ", …");
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", classes->names[i]);
    }
}
