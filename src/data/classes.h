/* data/classes.h - the names of a classifier's labels, in the order of their numbers.
 *
 * Role    Collects names as they come, sorts them, finds them again; as Hugging Face's id2label and back.
 * Owns    Its names; at_classes_free. Zero-initialise.
 * Errors  AT_EFORMAT for an id2label that is none; AT_ENOMEM.
 *
 *     at_classes classes = {0};
 *     at_status st = at_classes_add(&classes, "sports", 6, &number);    // numbers in order of appearance
 *     at_classes_sort(&classes, moved);                                 // number n is now moved[n]
 *     int32_t number = at_classes_find(&classes, "sports", 6);          // -1: none
 *     at_classes_free(&classes);
 */
#ifndef AT_DATA_CLASSES_H
#define AT_DATA_CLASSES_H
#include "base/json.h"

enum { AT_MOST_CLASSES = 1 << 20 };

typedef struct at_classes {
    char **names;
    size_t count, capacity;
} at_classes;

void at_classes_free(at_classes *classes);
int32_t at_classes_find(const at_classes *classes, const char *name, size_t length);
at_status at_classes_add(at_classes *classes, const char *name, size_t length, int32_t *number);
/* By their bytes. moved (count). */
at_status at_classes_sort(at_classes *classes, int32_t *moved);
at_status at_classes_copy(const at_classes *from, at_classes *to);

/* {"0": "education", …}; NULL: no memory. */
json_t *at_classes_write(const at_classes *classes);
at_status at_classes_read(const json_t *id2label, at_classes *classes);
/* Names with commas between, cut when there are many. */
void at_classes_list(const at_classes *classes, char *text, size_t size);
#endif
