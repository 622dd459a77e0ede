/* train/recipe.h - a training as a JSON file with sections.
 *
 * Role    Reads the file into the structs of its sections, changes single keys
 *         (--set train.lr=0.002, --lr 0.002), writes the whole back, defaults included.
 * Owns    Nothing: sections point to the caller's tables and structs; text set in them is
 *         theirs to free (at_fields_free).
 * Errors  AT_EIO, AT_EFORMAT for the file; AT_EARG for unknown sections and keys, naming the
 *         nearest known one, and for values out of their limits.
 *
 *     at_section sections[] = {{"train", at_train_fields, &train}, {"data", data_fields, &data}};
 *     at_recipe recipe = {sections, 2};
 *     at_status st = at_recipe_read(&recipe, "recipes/copy.json");
 *     st = at_recipe_set(&recipe, "train.lr=0.002");
 *     json_t *whole = at_recipe_write(&recipe, "copies 20 symbols");
 */
#ifndef AT_TRAIN_RECIPE_H
#define AT_TRAIN_RECIPE_H
#include "base/field.h"

typedef struct at_section {
    const char *name; /* "train"; "tokenizer.preprocess" is an object in "tokenizer", which comes first */
    const at_field *fields;
    void *target;
    const char *const *also; /* keys of the file that are no fields, such as sections inside; NULL: none */
} at_section;

typedef struct at_recipe {
    const at_section *sections;
    size_t count;
} at_recipe;

/* The file as JSON; sections unknown to `names` (NULL-terminated) and keys beside them other than
 * "description" are errors. A new reference. For callers that must look into it before they know all
 * tables. */
at_status at_recipe_load(const char *path, const char *const *names, json_t **root);
/* Fills the sections from it; those absent stay as they are. */
at_status at_recipe_apply(const at_recipe *recipe, const json_t *root);
/* Both at once. */
at_status at_recipe_read(const at_recipe *recipe, const char *path);

/* "section.key=value" */
at_status at_recipe_set(const at_recipe *recipe, const char *assignment);
/* key: "section.key", or "key" alone when only one section has it (else AT_EARG lists them). *known false,
 * with AT_OK: no section has it. value NULL: only asks. */
at_status at_recipe_flag(const at_recipe *recipe, const char *key, const char *value, bool *known);

/* All sections with all their keys: a new object, `description` first unless NULL. NULL: no memory. */
json_t *at_recipe_write(const at_recipe *recipe, const char *description);
#endif
