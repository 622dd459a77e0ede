/* tensor/tensor.h - type, shape, strides; no arithmetic.
 *
 * Role    The words in which every other folder speaks of arrays.
 * Owns    Nothing: a view points into memory that somebody else owns.
 * Shapes  At most eight dimensions, row-major unless strides say otherwise; strides
 *         count elements. A dimension may be 0 (an empty array is not an error).
 * Errors  at_shape_expect fails with AT_ESHAPE and both shapes in the message.
 *
 *     at_shape s = at_shape2(rows, width);
 *     size_t n = at_shape_count(s);                  // rows * width
 *     printf("%s", at_shape_text(s).s);              // "(32,128)"
 */
#ifndef AT_TENSOR_TENSOR_H
#define AT_TENSOR_TENSOR_H
#include "base/status.h"

enum { AT_MAX_RANK = 8 };

typedef enum at_type {
    AT_F32,
    AT_BF16,
    AT_F16,
    AT_I8,
    AT_U8,
    AT_I32,
    AT_I64,
    AT_F64,
    AT_BOOL,
    AT_TYPES
} at_type;

typedef struct at_shape {
    int rank;
    int64_t dim[AT_MAX_RANK];
} at_shape;

typedef struct at_tensor {
    at_type type;
    at_shape shape;
    int64_t stride[AT_MAX_RANK]; /* elements */
    void *data;
} at_tensor;

typedef struct at_shape_string {
    char s[AT_MAX_RANK * 21 + 8];
} at_shape_string;

size_t at_type_size(at_type type);      /* bytes an element */
const char *at_type_name(at_type type); /* as safetensors writes it: "F32" */
bool at_type_find(const char *name, at_type *type);

at_shape at_shape1(int64_t a);
at_shape at_shape2(int64_t a, int64_t b);
at_shape at_shape3(int64_t a, int64_t b, int64_t c);
at_shape at_shape4(int64_t a, int64_t b, int64_t c, int64_t d);
size_t at_shape_count(at_shape shape);                            /* product; asserts that it fits */
bool at_shape_bytes(at_shape shape, at_type type, size_t *bytes); /* false: overflow or negative */
bool at_shape_same(at_shape a, at_shape b);
at_shape_string at_shape_text(at_shape shape);
at_status at_shape_expect(const char *what, at_shape got, at_shape want);

at_tensor at_tensor_of(at_type type, at_shape shape, void *data); /* contiguous */
bool at_tensor_contiguous(const at_tensor *tensor);
at_tensor at_tensor_slice(const at_tensor *tensor, int axis, int64_t start, int64_t count); /* a view */
/* The upper half of a float: eight bits of exponent, eight of precision. */
typedef uint16_t at_bf16;
float at_bf16_to_f32(at_bf16 bits);
at_bf16 at_f32_to_bf16(float value); /* nearest even; NaN stays NaN */
float at_f16_to_f32(uint16_t bits);
uint16_t at_f32_to_f16(float value);
#endif
