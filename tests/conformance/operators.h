/* tests/conformance/operators.h - ONNX's operators that the library has, by name.
 *
 * Role    Each lays a case's inputs out as rows, calls the library and lays the result out as ONNX wants it.
 * Owns    Nothing: arrays are the case's.
 * Errors  AT_ENOSUP for what the library does not do, AT_EFORMAT or AT_ESHAPE for inputs that do not fit.
 *
 *     const onnx_operator *op = operator_find("Softmax");
 *     at_status st = op->run(&c);
 */
#ifndef AT_TESTS_CONFORMANCE_OPERATORS_H
#define AT_TESTS_CONFORMANCE_OPERATORS_H
#include "tests/conformance/case.h"

typedef struct onnx_operator {
    const char *name;
    at_status (*run)(onnx_case *c);
    const char *attributes; /* those it knows, each between two bars */
} onnx_operator;

const onnx_operator *operator_find(const char *name); /* NULL: none */
/* Does op know the attribute? */
bool operator_knows(const onnx_operator *op, const char *attribute);

at_status run_attention(onnx_case *c);
at_status run_layer_norm(onnx_case *c);
at_status run_rms_norm(onnx_case *c);
at_status run_rotary(onnx_case *c);
at_status run_gelu(onnx_case *c);
at_status run_softmax(onnx_case *c);
at_status run_log_softmax(onnx_case *c);
at_status run_cross_entropy(onnx_case *c);
at_status run_rnn(onnx_case *c);
at_status run_gru(onnx_case *c);
at_status run_lstm(onnx_case *c);

/* An axis, counted from the end when negative, of an array of this rank. */
at_status axis_of(int64_t axis, int rank, int *result);
/* (outer, n, inner) seen as rows of n: out (outer * inner, n); and back. */
void axis_to_rows(float *rows, const float *from, size_t outer, size_t n, size_t inner);
void rows_to_axis(float *to, const float *rows, size_t outer, size_t n, size_t inner);
/* Heads before positions, (B,H,S,D), seen as rows (B*S, H*D); and back. */
void heads_to_rows(float *rows, const float *from, const size_t bhsd[4]);
void rows_to_heads(float *to, const float *rows, const size_t bhsd[4]);
/* Product of dimensions [first,end). */
size_t dimensions(at_shape shape, int first, int end);
#endif
