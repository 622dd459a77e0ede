/* store/safetensors.h - tensors in a file, by name, without running anything.
 *
 * Role    The format of huggingface/safetensors: 8 bytes length, a JSON header, raw numbers little-endian.
 *         Reading maps the file; writing is atomic.
 * Owns    at_safetensors owns header and mapping until at_safetensors_close; at_stored points into both.
 * Errors  AT_EFORMAT for whatever the specification forbids: header over 100 MB or past the end, not
 *         beginning with '{', duplicate keys, unknown type, holes, overlaps, bytes left over, a span that is
 *         not shape x type. AT_ENOSUP for more than eight dimensions. Sizes are checked before allocating.
 *
 *     at_safetensors file;
 *     at_status st = at_safetensors_open("model.safetensors", &file);
 *     const at_stored *w = at_safetensors_find(&file, "fc1.weight");
 *     st = at_stored_floats(&file, w, out);
 *     at_safetensors_close(&file);
 */
#ifndef AT_STORE_SAFETENSORS_H
#define AT_STORE_SAFETENSORS_H
#include "base/file.h"
#include "base/json.h"
#include "tensor/tensor.h"

enum { AT_SAFETENSORS_MAX_HEADER = 100000000 };

typedef struct at_stored {
    const char *name;
    const char *type_name; /* "BF16" */
    at_type type;          /* AT_TYPES: known to the format, not to us (F8_E4M3, U16, …) */
    at_shape shape;
    const unsigned char *data; /* at least as aligned as the file lays it; use at_stored_view or _floats */
    size_t bytes;
} at_stored;

typedef struct at_safetensors {
    char *path;
    at_mapping mapping;
    json_t *header;
    at_stored *list; /* sorted by name */
    size_t count;
} at_safetensors;

at_status at_safetensors_open(const char *path, at_safetensors *file);
/* The same over bytes in memory, which must outlive it; `name` is for messages. */
at_status at_safetensors_parse(const char *name, const void *bytes, size_t size, at_safetensors *file);
void at_safetensors_close(at_safetensors *file);
const at_stored *at_safetensors_find(const at_safetensors *file, const char *name); /* NULL: not there */
const char *at_safetensors_metadata(const at_safetensors *file, const char *key);   /* NULL: not there */

/* The numbers as they lie in the file, when they are F32 and aligned; else NULL: use at_stored_floats. */
const float *at_stored_view(const at_stored *tensor);
const at_bf16 *at_stored_view_bf16(const at_stored *tensor); /* likewise, when they are BF16 */
/* Copies, widening BF16, F16, narrowing F64, converting I32 and U8; AT_ENOSUP for other types. */
at_status at_stored_floats(const at_safetensors *file, const at_stored *tensor, float *out);

typedef struct at_save_tensor {
    const char *name;
    at_shape shape;
    at_type type; /* AT_F32, AT_BF16 or AT_F16: how it is stored */
    const float *data;
} at_save_tensor;

/* metadata: an object of strings, or NULL. */
at_status at_safetensors_save(const char *path, const at_save_tensor *list, size_t count,
                              const json_t *metadata);
#endif
