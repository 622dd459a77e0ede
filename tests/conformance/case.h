/* tests/conformance/case.h - one of ONNX's operator cases: inputs, attributes, and what must come out.
 *
 * Role    Reads a case, hands its arrays to the operator (operators.h), compares what comes back. The numbers
 *         are computed by the library's own kernels and operations; what is done here is laying arrays out
 *         as they want them.
 * Owns    A case owns its arrays until case_close.
 * Shapes  Arrays are row-major, any rank to 8; fp16, bf16 and fp64 are widened or narrowed to fp32.
 * Errors  An at_status with a message that names the array or attribute.
 *
 *     onnx_case c;
 *     at_status st = case_open(&c, path, exec);
 *     if (st == AT_OK)
 *         st = case_run(&c);              // AT_OK: every output is as expected
 *     case_close(&c);
 */
#ifndef AT_TESTS_CONFORMANCE_CASE_H
#define AT_TESTS_CONFORMANCE_CASE_H
#include "autograd/ops.h"
#include "base/json.h"

enum { CASE_INPUTS = 8, CASE_OUTPUTS = 4 };

/* One array; data NULL: left out. */
typedef struct onnx_array {
    at_type type; /* as in the file */
    at_shape shape;
    size_t count;
    float *data;
    int64_t *ints; /* the same numbers, when the type is a whole one; else NULL */
} onnx_array;

typedef struct onnx_case {
    const char *path;
    char *op;
    int64_t opset;
    json_t *attributes;
    double rtol, atol;
    onnx_array in[CASE_INPUTS], want[CASE_OUTPUTS], got[CASE_OUTPUTS];
    at_exec *exec;
    at_tape *tape; /* holds all arrays */
} onnx_case;

at_status case_open(onnx_case *c, const char *path, at_exec *exec);
/* Runs the operator and compares. AT_EFORMAT with the largest deviation when an output differs. */
at_status case_run(onnx_case *c);
void case_close(onnx_case *c);

/* For operators. Attributes that are not there leave *value as it is. */
at_status case_int(const onnx_case *c, const char *name, int64_t *value);
at_status case_real(const onnx_case *c, const char *name, double *value);
at_status case_text(const onnx_case *c, const char *name, const char **value);
/* Is output number i asked for? */
bool case_wants(const onnx_case *c, size_t i);
/* The array in which output i goes, uninitialised; NULL: no memory. */
float *case_output(onnx_case *c, size_t i, at_shape shape);
/* Fails unless input i is there, of this rank (0: any). */
at_status case_expect(const onnx_case *c, size_t i, const char *name, int rank);
float *case_floats(onnx_case *c, size_t count); /* until case_close; NULL: no memory, the tape knows */
#endif
