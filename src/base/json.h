/* base/json.h - reading and writing JSON through jansson, with limits.
 *
 * Role    Files of ours and of Hugging Face: size and depth bounded, duplicate keys
 *         refused, errors that name file, line and field.
 * Owns    Nothing; json_t references follow jansson's rules (json_decref).
 * Errors  AT_EFORMAT with "FILE:LINE: …" or "FILE: field 'a.b': want integer >= 1".
 *
 *     json_t *root;
 *     at_status st = at_json_load("config.json", 1 << 20, &root);
 *     int64_t layers;
 *     if (st == AT_OK)
 *         st = at_json_int(root, "encoder_layers", 1, 1024, &layers);
 */
#ifndef AT_BASE_JSON_H
#define AT_BASE_JSON_H
#include "base/status.h"
#include <jansson.h>

enum { AT_JSON_DEPTH = 64 };

at_status at_json_load(const char *path, size_t max_bytes, json_t **root);
at_status at_json_parse(const char *text, size_t length, const char *name, json_t **root);
/* Atomic write, indented, keys in insertion order, newline at the end. */
at_status at_json_save(const char *path, const json_t *root);

/* Required fields; `_or` variants leave *value as it is when the key is absent or
 * null. Messages name the key only: callers add the file with at_fail_within. */
at_status at_json_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *value);
at_status at_json_int_or(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *value);
at_status at_json_real(const json_t *object, const char *key, double min, double max, double *value);
at_status at_json_real_or(const json_t *object, const char *key, double min, double max, double *value);
at_status at_json_bool_or(const json_t *object, const char *key, bool *value);
at_status at_json_text(const json_t *object, const char *key, const char **value); /* borrowed */
at_status at_json_text_or(const json_t *object, const char *key, const char **value);
at_status at_json_object(const json_t *object, const char *key, json_t **value); /* borrowed */
#endif
