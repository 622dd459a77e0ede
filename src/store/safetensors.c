#include "store/safetensors.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/memory.h"

enum { LENGTH_BYTES = 8, DATA_ALIGNMENT = 64, CHUNK = 4096 };

/* Types of the format that we do not compute with: their sizes must still fit. */
static const struct foreign_type {
    const char *name;
    size_t size;
} foreign_types[] = {{"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I16", 2}, {"U16", 2}, {"U32", 4}, {"U64", 8}};

static bool little_endian(void)
{
    const uint16_t one = 1;
    return *(const unsigned char *)&one == 1;
}

static uint64_t load_length(const unsigned char *bytes)
{
    uint64_t n = 0;
    for (int i = 0; i < LENGTH_BYTES; i++)
        n |= (uint64_t)bytes[i] << (8 * i);
    return n;
}

/* A pickle is a zip archive (torch.save since 1.6) or a bare pickle stream, protocol 2 to 5. Read as a length
 * both are possible ones, but then '{' follows. */
static bool is_pickle(const unsigned char *bytes, size_t size)
{
    if (size < 4 || (size > LENGTH_BYTES && bytes[LENGTH_BYTES] == '{'))
        return false;
    return memcmp(bytes, "PK\3\4", 4) == 0 || (bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5);
}

static at_status refuse_pickle(const char *path)
{
    return at_fail(AT_ENOSUP,
                   "%s: a PyTorch pickle; opening one can run any code in it. Convert it where you trust it: "
                   "safetensors.torch.save_file(torch.load(FILE, weights_only=True), \"model.safetensors\")",
                   path);
}

static at_status find_header(const char *path, const unsigned char *bytes, size_t size, size_t *length)
{
    if (is_pickle(bytes, size))
        return refuse_pickle(path);
    if (size < LENGTH_BYTES)
        return at_fail(AT_EFORMAT, "%s: %zu bytes, too short for a safetensors file; copy it again", path,
                       size);
    uint64_t n = load_length(bytes);
    if (n > AT_SAFETENSORS_MAX_HEADER)
        return at_fail(AT_EFORMAT, "%s: header of %" PRIu64 " bytes, at most %d allowed; no safetensors file",
                       path, n, AT_SAFETENSORS_MAX_HEADER);
    if (n > size - LENGTH_BYTES)
        return at_fail(AT_EFORMAT,
                       "%s: header of %" PRIu64 " bytes in a file of %zu: truncated; copy it again", path, n,
                       size);
    if (n < 2 || bytes[LENGTH_BYTES] != '{')
        return at_fail(AT_EFORMAT, "%s: header does not begin with '{'; no safetensors file", path);
    *length = (size_t)n;
    return AT_OK;
}

static bool read_type(const char *name, at_type *type, size_t *size)
{
    if (at_type_find(name, type)) {
        *size = at_type_size(*type);
        return true;
    }
    for (size_t i = 0; i < sizeof foreign_types / sizeof foreign_types[0]; i++) {
        if (strcmp(name, foreign_types[i].name) == 0) {
            *type = AT_TYPES;
            *size = foreign_types[i].size;
            return true;
        }
    }
    return false;
}

static at_status read_shape(const json_t *array, at_shape *shape, size_t *count)
{
    if (!json_is_array(array))
        return at_fail(AT_EFORMAT, "want an array as shape");
    if (json_array_size(array) > AT_MAX_RANK)
        return at_fail(AT_ENOSUP, "%zu dimensions; at most %d here", json_array_size(array), AT_MAX_RANK);
    *shape = (at_shape){.rank = (int)json_array_size(array)};
    *count = 1;
    for (int i = 0; i < shape->rank; i++) {
        const json_t *dim = json_array_get(array, (size_t)i);
        shape->dim[i] = json_integer_value(dim);
        if (!json_is_integer(dim) || shape->dim[i] < 0)
            return at_fail(AT_EFORMAT, "shape wants integers >= 0");
        if (!at_mul_ok(*count, (size_t)shape->dim[i], count))
            return at_fail(AT_EFORMAT, "shape too large");
    }
    return AT_OK;
}

static at_status read_span(const json_t *array, size_t data_size, size_t *begin, size_t *end)
{
    const json_t *first = json_array_get(array, 0), *last = json_array_get(array, 1);
    if (json_array_size(array) != 2 || !json_is_integer(first) || !json_is_integer(last))
        return at_fail(AT_EFORMAT, "data_offsets wants two integers");
    json_int_t a = json_integer_value(first), b = json_integer_value(last);
    if (a < 0 || b < a)
        return at_fail(AT_EFORMAT, "data_offsets [%lld, %lld] out of order", (long long)a, (long long)b);
    if ((uint64_t)b > data_size)
        return at_fail(AT_EFORMAT,
                       "data_offsets [%lld, %lld] past the %zu bytes of data: truncated; copy the file again",
                       (long long)a, (long long)b, data_size);
    *begin = (size_t)a;
    *end = (size_t)b;
    return AT_OK;
}

/* One entry of the header; `data` is where offset 0 lies. */
static at_status read_entry(const json_t *entry, const unsigned char *data, size_t data_size,
                            at_stored *tensor)
{
    if (!json_is_object(entry))
        return at_fail(AT_EFORMAT, "want an object");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)entry, key, value)
    {
        if (strcmp(key, "dtype") != 0 && strcmp(key, "shape") != 0 && strcmp(key, "data_offsets") != 0)
            return at_fail(AT_EFORMAT, "unknown field '%.40s'", key);
    }
    at_status st = at_json_text(entry, "dtype", &tensor->type_name);
    if (st != AT_OK)
        return st;
    size_t size, count = 0, bytes, begin = 0, end = 0;
    if (!read_type(tensor->type_name, &tensor->type, &size))
        return at_fail(AT_EFORMAT, "unknown dtype '%.20s'", tensor->type_name);
    st = read_shape(json_object_get(entry, "shape"), &tensor->shape, &count);
    if (st == AT_OK)
        st = read_span(json_object_get(entry, "data_offsets"), data_size, &begin, &end);
    if (st != AT_OK)
        return st;
    if (!at_mul_ok(count, size, &bytes) || bytes != end - begin)
        return at_fail(AT_EFORMAT, "%s %s does not fill the %zu bytes of its data_offsets",
                       at_shape_text(tensor->shape).s, tensor->type_name, end - begin);
    tensor->data = data + begin;
    tensor->bytes = bytes;
    return AT_OK;
}

static at_status check_metadata(const json_t *metadata)
{
    if (!json_is_object(metadata))
        return at_fail(AT_EFORMAT, "want an object of strings");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value)
    {
        if (!json_is_string(value))
            return at_fail(AT_EFORMAT, "'%.40s' is not a string", key);
    }
    return AT_OK;
}

static int by_place(const void *a, const void *b)
{
    const at_stored *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const at_stored *)a)->name, ((const at_stored *)b)->name);
}

/* In order of place, each begins where the one before ends, and the last ends with the file. */
static at_status check_no_holes(at_safetensors *file, const unsigned char *data, size_t data_size)
{
    const unsigned char *at = data;
    qsort(file->list, file->count, sizeof *file->list, by_place);
    for (size_t i = 0; i < file->count; i++) {
        const at_stored *t = &file->list[i];
        if (t->data != at)
            return at_fail(AT_EFORMAT, "%s: tensor '%.80s': its data %s", file->path, t->name,
                           t->data < at ? "overlaps another's" : "leaves a hole before it");
        at += t->bytes;
    }
    size_t used = (size_t)(at - data);
    if (used != data_size)
        return at_fail(AT_EFORMAT, "%s: %zu bytes after the last tensor", file->path, data_size - used);
    qsort(file->list, file->count, sizeof *file->list, by_name);
    return AT_OK;
}

static at_status read_entries(at_safetensors *file, const unsigned char *data, size_t data_size)
{
    size_t entries = json_object_size(file->header);
    file->list = at_alloc_zero(entries ? entries : 1, sizeof *file->list);
    if (!file->list)
        return AT_ENOMEM;
    const char *key;
    json_t *value;
    json_object_foreach(file->header, key, value)
    {
        at_status st;
        if (strcmp(key, "__metadata__") == 0) {
            st = check_metadata(value);
        } else {
            at_stored *tensor = &file->list[file->count++];
            tensor->name = key;
            st = read_entry(value, data, data_size, tensor);
        }
        if (st != AT_OK)
            return at_fail_within(st, "%s: header: '%.80s'", file->path, key);
    }
    return check_no_holes(file, data, data_size);
}

at_status at_safetensors_parse(const char *name, const void *bytes, size_t size, at_safetensors *file)
{
    *file = (at_safetensors){0};
    const unsigned char *start = bytes;
    if (!little_endian())
        return at_fail(AT_ENOSUP, "%s: numbers are little-endian, this machine is not", name);
    size_t length = 0;
    at_status st = find_header(name, start, size, &length);
    if (st != AT_OK)
        return st;
    file->path = at_strdup(name);
    if (!file->path)
        return AT_ENOMEM;
    st = at_json_parse((const char *)start + LENGTH_BYTES, length, name, &file->header);
    if (st == AT_OK)
        st = read_entries(file, start + LENGTH_BYTES + length, size - LENGTH_BYTES - length);
    if (st != AT_OK)
        at_safetensors_close(file);
    return st;
}

at_status at_safetensors_open(const char *path, at_safetensors *file)
{
    *file = (at_safetensors){0};
    at_mapping mapping;
    at_status st = at_map(path, &mapping);
    if (st != AT_OK)
        return st;
    st = at_safetensors_parse(path, mapping.data, mapping.size, file);
    if (st == AT_OK)
        file->mapping = mapping;
    else
        at_unmap(&mapping);
    return st;
}

void at_safetensors_close(at_safetensors *file)
{
    at_free(file->list);
    json_decref(file->header);
    at_free(file->path);
    if (file->mapping.base)
        at_unmap(&file->mapping);
    *file = (at_safetensors){0};
}

const at_stored *at_safetensors_find(const at_safetensors *file, const char *name)
{
    at_stored key = {.name = name};
    return file->count ? bsearch(&key, file->list, file->count, sizeof *file->list, by_name) : NULL;
}

const char *at_safetensors_metadata(const at_safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

const float *at_stored_view(const at_stored *tensor)
{
    bool aligned = (uintptr_t)tensor->data % _Alignof(float) == 0;
    return tensor->type == AT_F32 && aligned ? (const float *)(const void *)tensor->data : NULL;
}

const at_bf16 *at_stored_view_bf16(const at_stored *tensor)
{
    bool aligned = (uintptr_t)tensor->data % _Alignof(at_bf16) == 0;
    return tensor->type == AT_BF16 && aligned ? (const at_bf16 *)(const void *)tensor->data : NULL;
}

/* memcpy for each: nothing promises that a tensor begins at a multiple of its element. */
static float widen(const unsigned char *at, at_type type)
{
    switch (type) {
    case AT_BF16:
    case AT_F16: {
        uint16_t bits;
        memcpy(&bits, at, sizeof bits);
        return type == AT_BF16 ? at_bf16_to_f32(bits) : at_f16_to_f32(bits);
    }
    case AT_F64: {
        double x;
        memcpy(&x, at, sizeof x);
        return (float)x;
    }
    case AT_I32: {
        int32_t x;
        memcpy(&x, at, sizeof x);
        return (float)x;
    }
    default:
        return (float)*at;
    }
}

at_status at_stored_floats(const at_safetensors *file, const at_stored *tensor, float *out)
{
    size_t count = at_shape_count(tensor->shape);
    switch (tensor->type) {
    case AT_F32:
        if (count)
            memcpy(out, tensor->data, tensor->bytes);
        return AT_OK;
    case AT_BF16:
    case AT_F16:
    case AT_F64:
    case AT_I32:
    case AT_U8: {
        size_t size = at_type_size(tensor->type);
        for (size_t i = 0; i < count; i++)
            out[i] = widen(tensor->data + i * size, tensor->type);
        return AT_OK;
    }
    default:
        return at_fail(
            AT_ENOSUP,
            "%s: tensor '%.80s': numbers of type %s cannot be read as floats; store F32, BF16 or F16",
            file->path, tensor->name, tensor->type_name);
    }
}

static json_t *describe(const at_save_tensor *tensor, size_t begin, size_t end)
{
    json_t *shape = json_array();
    for (int i = 0; i < tensor->shape.rank; i++) {
        if (json_array_append_new(shape, json_integer(tensor->shape.dim[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", at_type_name(tensor->type), "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)end);
}

/* The header's text, padded with spaces so that data begin on a cache line of the mapping; jansson's
 * memory: NULL when there is none. */
static at_status build_header(const char *path, const at_save_tensor *list, size_t count,
                              const json_t *metadata, at_buf *text)
{
    json_t *header = json_object();
    bool ok = header != NULL;
    if (ok && metadata)
        ok = json_object_set(header, "__metadata__", (json_t *)(uintptr_t)metadata) == 0;
    size_t at = 0, bytes, end;
    for (size_t i = 0; ok && i < count; i++) {
        AT_ASSERT(!json_object_get(header, list[i].name));
        if (!at_shape_bytes(list[i].shape, list[i].type, &bytes) || !at_add_ok(at, bytes, &end)) {
            json_decref(header);
            return at_fail(AT_EARG, "%s: tensor '%s' %s is too large", path, list[i].name,
                           at_shape_text(list[i].shape).s);
        }
        ok = json_object_set_new(header, list[i].name, describe(&list[i], at, end)) == 0;
        at = end;
    }
    char *dump = ok ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    if (!dump)
        return at_fail(AT_ENOMEM, "%s: out of memory for the header", path);
    at_buf_text(text, dump);
    at_free(dump); /* jansson's hooks are at_alloc and at_free */
    while (text->length && (LENGTH_BYTES + text->length) % DATA_ALIGNMENT != 0 && !text->failed)
        at_buf_char(text, ' ');
    return at_buf_status(text);
}

static void write_numbers(at_writer *writer, const at_save_tensor *tensor)
{
    size_t count = at_shape_count(tensor->shape);
    if (tensor->type == AT_F32) {
        at_writer_bytes(writer, tensor->data, count * sizeof(float));
        return;
    }
    uint16_t half[CHUNK];
    for (size_t i = 0; i < count; i += CHUNK) {
        size_t n = count - i < CHUNK ? count - i : CHUNK;
        for (size_t k = 0; k < n; k++) {
            float x = tensor->data[i + k];
            half[k] = tensor->type == AT_BF16 ? at_f32_to_bf16(x) : at_f32_to_f16(x);
        }
        at_writer_bytes(writer, half, n * sizeof half[0]);
    }
}

at_status at_safetensors_save(const char *path, const at_save_tensor *list, size_t count,
                              const json_t *metadata)
{
    if (!little_endian())
        return at_fail(AT_ENOSUP, "%s: numbers are little-endian, this machine is not", path);
    at_buf header = {0};
    at_writer writer;
    at_status st = build_header(path, list, count, metadata, &header);
    if (st == AT_OK)
        st = at_writer_open(&writer, path);
    if (st != AT_OK) {
        at_buf_free(&header);
        return st;
    }
    unsigned char length[LENGTH_BYTES];
    for (int i = 0; i < LENGTH_BYTES; i++)
        length[i] = (unsigned char)((uint64_t)header.length >> (8 * i));
    at_writer_bytes(&writer, length, sizeof length);
    at_writer_bytes(&writer, header.data, header.length);
    for (size_t i = 0; i < count; i++)
        write_numbers(&writer, &list[i]);
    at_buf_free(&header);
    return at_writer_commit(&writer);
}
