#include "base/memory.h"
#include "store/safetensors.h"
#include "tests/fuzz/fuzz.h"

/* What opens must lie within the bytes, whole, and be readable. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    at_safetensors file;
    if (at_safetensors_parse("input", data, size, &file) != AT_OK)
        return 0;
    size_t total = 0;
    for (size_t i = 0; i < file.count; i++) {
        const at_stored *t = &file.list[i];
        total += t->bytes;
        if (t->data < data || t->bytes > size || at_safetensors_find(&file, t->name) != t)
            abort();
        float *out = at_alloc_array(at_shape_count(t->shape) + 1, sizeof *out);
        if (!out)
            continue;
        const float *view = at_stored_view(t);
        if (at_stored_floats(&file, t, out) == AT_OK && view && t->bytes && out[0] < view[0])
            abort();
        at_free(out);
    }
    if (total > size)
        abort();
    at_safetensors_close(&file);
    return 0;
}
