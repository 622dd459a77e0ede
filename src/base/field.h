/* base/field.h - one row an option: key, flag, limits, default, help.
 *
 * Role    The same table reads a recipe's JSON section, `--set train.lr=0.002`,
 *         command-line flags, prints --help, and writes a struct back as JSON.
 * Owns    Strings that it sets in a struct are copies, freed by at_fields_free.
 * Errors  AT_EARG naming the key, the value, the limits; an unknown key names the
 *         nearest known one.
 *
 *     static const at_field fields[] = {
 *         {"lr", AT_FIELD_REAL, offsetof(at_train_options, lr), "0.005", 0, 10, NULL, "peak learning rate"},
 *         {"schedule", AT_FIELD_CHOICE, offsetof(at_train_options, schedule), "inverse-sqrt", 0, 0,
 *          "inverse-sqrt|cosine|constant", "how the learning rate moves"},
 *         {0}};
 *     at_fields_default(fields, &options);
 *     st = at_fields_set(fields, &options, "lr", "0.002");
 */
#ifndef AT_BASE_FIELD_H
#define AT_BASE_FIELD_H
#include "base/buf.h"
#include "base/json.h"

typedef enum at_field_type {
    AT_FIELD_INT,    /* int64_t */
    AT_FIELD_REAL,   /* double */
    AT_FIELD_BOOL,   /* bool */
    AT_FIELD_TEXT,   /* char *, owned; NULL when unset */
    AT_FIELD_CHOICE, /* int64_t: position in `choices` */
} at_field_type;

typedef struct at_field {
    const char *key; /* JSON key, lower_case; the flag is --lower-case */
    at_field_type type;
    size_t offset;       /* of the member in the struct */
    const char *initial; /* the default as text; NULL: 0, false, unset */
    double min, max;     /* INT and REAL, both included; 0 and 0: no limits */
    const char *choices; /* CHOICE: "a|b|c" */
    const char *help;    /* one line, unit included */
} at_field;              /* a table ends with a row whose key is NULL */

at_status at_fields_default(const at_field *fields, void *target);
at_status at_fields_set(const at_field *fields, void *target, const char *key, const char *value);
/* Every key of `object` must be a row, except those in `also` (NULL-terminated, may be NULL). */
at_status at_fields_read(const at_field *fields, void *target, const json_t *object, const char *const *also);
json_t *at_fields_write(const at_field *fields, const void *source); /* new object; NULL: no memory */
void at_fields_free(const at_field *fields, void *target);
void at_fields_help(const at_field *fields, const char *prefix, at_buf *out); /* aligned lines */
const at_field *at_fields_find(const at_field *fields, const char *key);      /* '-' and '_' alike */
/* The known word nearest to `word` by edit distance, or NULL if none is near. */
const char *at_nearest(const char *word, const char *const *known, size_t count);
#endif
