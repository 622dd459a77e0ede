#include "tensor/tensor.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[AT_TYPES] = {
    [AT_F32] = {"F32", 4}, [AT_BF16] = {"BF16", 2}, [AT_F16] = {"F16", 2},
    [AT_I8] = {"I8", 1},   [AT_U8] = {"U8", 1},     [AT_I32] = {"I32", 4},
    [AT_I64] = {"I64", 8}, [AT_F64] = {"F64", 8},   [AT_BOOL] = {"BOOL", 1},
};

size_t at_type_size(at_type type)
{
    return types[type].size;
}

const char *at_type_name(at_type type)
{
    return types[type].name;
}

bool at_type_find(const char *name, at_type *type)
{
    for (int i = 0; i < AT_TYPES; i++) {
        if (strcmp(types[i].name, name) == 0) {
            *type = (at_type)i;
            return true;
        }
    }
    return false;
}

at_shape at_shape1(int64_t a)
{
    return (at_shape){1, {a}};
}

at_shape at_shape2(int64_t a, int64_t b)
{
    return (at_shape){2, {a, b}};
}

at_shape at_shape3(int64_t a, int64_t b, int64_t c)
{
    return (at_shape){3, {a, b, c}};
}

at_shape at_shape4(int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (at_shape){4, {a, b, c, d}};
}

/* False when a dimension is negative or the product overflows. */
static bool count_elements(at_shape shape, size_t *count)
{
    size_t n = 1;
    for (int i = 0; i < shape.rank; i++) {
        if (shape.dim[i] < 0)
            return false;
        size_t d = (size_t)shape.dim[i];
        if (d != 0 && n > SIZE_MAX / d)
            return false;
        n *= d;
    }
    *count = n;
    return true;
}

size_t at_shape_count(at_shape shape)
{
    size_t n = 0;
    AT_ASSERT(count_elements(shape, &n));
    return n;
}

bool at_shape_bytes(at_shape shape, at_type type, size_t *bytes)
{
    size_t n;
    if (!count_elements(shape, &n) || n > SIZE_MAX / types[type].size)
        return false;
    *bytes = n * types[type].size;
    return true;
}

bool at_shape_same(at_shape a, at_shape b)
{
    if (a.rank != b.rank)
        return false;
    for (int i = 0; i < a.rank; i++) {
        if (a.dim[i] != b.dim[i])
            return false;
    }
    return true;
}

at_shape_string at_shape_text(at_shape shape)
{
    at_shape_string out;
    size_t used = 0;
    out.s[used++] = '(';
    for (int i = 0; i < shape.rank; i++) {
        int n = snprintf(out.s + used, sizeof out.s - used, "%s%lld", i ? "," : "", (long long)shape.dim[i]);
        used += (size_t)n;
    }
    out.s[used++] = ')';
    out.s[used] = '\0';
    return out;
}

at_status at_shape_expect(const char *what, at_shape got, at_shape want)
{
    if (at_shape_same(got, want))
        return AT_OK;
    return at_fail(AT_ESHAPE, "%s: want %s, got %s", what, at_shape_text(want).s, at_shape_text(got).s);
}

at_tensor at_tensor_of(at_type type, at_shape shape, void *data)
{
    at_tensor t = {type, shape, {0}, data};
    int64_t stride = 1;
    for (int i = shape.rank - 1; i >= 0; i--) {
        t.stride[i] = stride;
        stride *= shape.dim[i];
    }
    return t;
}

bool at_tensor_contiguous(const at_tensor *tensor)
{
    at_tensor plain = at_tensor_of(tensor->type, tensor->shape, tensor->data);
    for (int i = 0; i < tensor->shape.rank; i++) {
        if (tensor->shape.dim[i] > 1 && tensor->stride[i] != plain.stride[i])
            return false;
    }
    return true;
}

at_tensor at_tensor_slice(const at_tensor *tensor, int axis, int64_t start, int64_t count)
{
    AT_ASSERT(axis >= 0 && axis < tensor->shape.rank);
    AT_ASSERT(start >= 0 && count >= 0 && start + count <= tensor->shape.dim[axis]);
    at_tensor t = *tensor;
    t.shape.dim[axis] = count;
    t.data = (char *)tensor->data + start * tensor->stride[axis] * (int64_t)types[tensor->type].size;
    return t;
}

float at_bf16_to_f32(at_bf16 bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

at_bf16 at_f32_to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((bits >> 16) | 0x40u); /* a quiet NaN keeps its sign */
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float at_f16_to_f32(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16, exponent = (bits >> 10) & 31u, mantissa = bits & 0x3ffu;
    uint32_t wide;
    if (exponent == 31u) {
        wide = sign | 0x7f800000u | (mantissa << 13);
    } else if (exponent != 0) {
        wide = sign | ((exponent + 112u) << 23) | (mantissa << 13);
    } else { /* zero or denormal: mantissa * 2^-24 */
        float small = (float)mantissa * 0x1p-24f;
        return sign ? -small : small;
    }
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

uint16_t at_f32_to_f16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
    uint32_t size = bits & 0x7fffffffu;
    if (size > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (size >= 0x477ff000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (size < 0x38800000u) { /* denormal: the addition rounds to nearest even */
        float magic;
        memcpy(&magic, &size, sizeof magic);
        magic += 0.5f;
        memcpy(&bits, &magic, sizeof bits);
        return (uint16_t)(sign | (uint16_t)(bits - 0x3f000000u));
    }
    size += 0xc8000fffu + ((size >> 13) & 1u);
    return (uint16_t)(sign | (uint16_t)(size >> 13));
}
