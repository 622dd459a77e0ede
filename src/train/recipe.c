#include "train/recipe.h"
#include <stdio.h>
#include <string.h>

enum { MAX_BYTES = 1 << 20, MAX_SECTIONS = 16, MAX_KEY = 96 };

static at_status unknown_section(const char *name, const char *const *names)
{
    size_t count = 0;
    while (names[count])
        count++;
    const char *near = at_nearest(name, names, count);
    return near ? at_fail(AT_EARG, "unknown section '%s'; did you mean '%s'?", name, near)
                : at_fail(AT_EARG, "unknown section '%s'", name);
}

static at_status check_sections(const json_t *root, const char *const *names)
{
    if (!json_is_object(root))
        return at_fail(AT_EFORMAT, "want an object with the recipe's sections");
    void *object = (void *)(uintptr_t)root;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *name = json_object_iter_key(it);
        bool known = !strcmp(name, "description");
        for (size_t i = 0; names[i] && !known; i++)
            known = !strcmp(names[i], name);
        if (!known)
            return unknown_section(name, names);
    }
    return AT_OK;
}

at_status at_recipe_load(const char *path, const char *const *names, json_t **root)
{
    at_status st = at_json_load(path, MAX_BYTES, root);
    if (st != AT_OK)
        return st;
    st = check_sections(*root, names);
    if (st != AT_OK) {
        json_decref(*root);
        *root = NULL;
        return at_fail_within(st, "%s", path);
    }
    return AT_OK;
}

/* "tokenizer.preprocess" is the object "preprocess" inside "tokenizer". */
static json_t *section_of(const json_t *root, const char *name)
{
    const char *dot = strchr(name, '.');
    if (!dot)
        return json_object_get(root, name);
    char outer[MAX_KEY];
    snprintf(outer, sizeof outer, "%.*s", (int)(dot - name), name);
    return json_object_get(json_object_get(root, outer), dot + 1);
}

at_status at_recipe_apply(const at_recipe *recipe, const json_t *root)
{
    for (size_t i = 0; i < recipe->count; i++) {
        const at_section *s = &recipe->sections[i];
        const json_t *section = section_of(root, s->name);
        if (!section || json_is_null(section))
            continue;
        at_status st = at_fields_read(s->fields, s->target, section, s->also);
        if (st != AT_OK)
            return at_fail_within(st, "section '%s'", s->name);
    }
    return AT_OK;
}

at_status at_recipe_read(const at_recipe *recipe, const char *path)
{
    const char *names[MAX_SECTIONS + 1] = {NULL};
    AT_ASSERT(recipe->count <= MAX_SECTIONS);
    for (size_t i = 0, n = 0; i < recipe->count; i++)
        if (!strchr(recipe->sections[i].name, '.'))
            names[n++] = recipe->sections[i].name;
    json_t *root;
    at_status st = at_recipe_load(path, names, &root);
    if (st != AT_OK)
        return st;
    st = at_recipe_apply(recipe, root);
    json_decref(root);
    return st == AT_OK ? AT_OK : at_fail_within(st, "%s", path);
}

static const at_section *find_section(const at_recipe *recipe, const char *name, size_t length)
{
    for (size_t i = 0; i < recipe->count; i++)
        if (strlen(recipe->sections[i].name) == length && !strncmp(recipe->sections[i].name, name, length))
            return &recipe->sections[i];
    return NULL;
}

static at_status set_in(const at_section *section, const char *key, const char *value)
{
    at_status st = at_fields_set(section->fields, section->target, key, value);
    return st == AT_OK || st == AT_ENOMEM ? st : at_fail_within(st, "section '%s'", section->name);
}

at_status at_recipe_set(const at_recipe *recipe, const char *assignment)
{
    const char *equals = strchr(assignment, '='), *dot = equals;
    char key[MAX_KEY];
    while (dot && dot > assignment &&
           *dot != '.') /* the last one before the value: sections may have one too */
        dot--;
    if (!dot || *dot != '.' || (size_t)(equals - dot) > sizeof key)
        return at_fail(AT_EARG, "'%.80s' is not section.key=value, such as train.lr=0.002", assignment);
    const at_section *section = find_section(recipe, assignment, (size_t)(dot - assignment));
    if (!section) {
        const char *names[MAX_SECTIONS + 1] = {NULL};
        for (size_t i = 0; i < recipe->count && i < MAX_SECTIONS; i++)
            names[i] = recipe->sections[i].name;
        char name[MAX_KEY];
        snprintf(name, sizeof name, "%.*s", (int)(dot - assignment < MAX_KEY ? dot - assignment : MAX_KEY),
                 assignment);
        return unknown_section(name, names);
    }
    snprintf(key, sizeof key, "%.*s", (int)(equals - dot - 1), dot + 1);
    return set_in(section, key, equals + 1);
}

at_status at_recipe_flag(const at_recipe *recipe, const char *key, const char *value, bool *known)
{
    const char *dot = strrchr(key, '.');
    const at_section *found = NULL;
    char owners[256] = "";
    int owner_count = 0;
    for (size_t i = 0; i < recipe->count; i++) {
        const at_section *s = &recipe->sections[i];
        if (dot ? find_section(recipe, key, (size_t)(dot - key)) != s : !at_fields_find(s->fields, key))
            continue;
        size_t used = strlen(owners);
        snprintf(owners + used, sizeof owners - used, "%s--%s.%s", owner_count++ ? " or " : "", s->name, key);
        found = s;
    }
    *known = found != NULL;
    if (!found)
        return AT_OK;
    if (owner_count > 1)
        return at_fail(AT_EARG, "--%s stands in several sections of a recipe: write %s", key, owners);
    return value ? set_in(found, dot ? dot + 1 : key, value) : AT_OK;
}

json_t *at_recipe_write(const at_recipe *recipe, const char *description)
{
    json_t *root = json_object();
    bool ok = root != NULL;
    if (ok && description)
        ok = json_object_set_new(root, "description", json_string(description)) == 0;
    for (size_t i = 0; ok && i < recipe->count; i++) {
        const at_section *s = &recipe->sections[i];
        const char *dot = strchr(s->name, '.');
        json_t *outer = root;
        if (dot) { /* written before: the outer section comes first */
            const at_section *around = find_section(recipe, s->name, (size_t)(dot - s->name));
            AT_ASSERT(around && around < s);
            outer = json_object_get(root, around->name);
        }
        ok = json_object_set_new(outer, dot ? dot + 1 : s->name, at_fields_write(s->fields, s->target)) == 0;
    }
    if (!ok) {
        json_decref(root);
        at_fail(AT_ENOMEM, "out of memory while writing a recipe");
        return NULL;
    }
    return root;
}
