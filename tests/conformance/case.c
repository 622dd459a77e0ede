#include "tests/conformance/case.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/memory.h"
#include "store/safetensors.h"
#include "tests/conformance/operators.h"

at_status case_int(const onnx_case *c, const char *name, int64_t *value)
{
    return at_json_int_or(c->attributes, name, -INT32_MAX, INT32_MAX, value);
}

at_status case_real(const onnx_case *c, const char *name, double *value)
{
    return at_json_real_or(c->attributes, name, -1e30, 1e30, value);
}

at_status case_text(const onnx_case *c, const char *name, const char **value)
{
    return at_json_text_or(c->attributes, name, value);
}

bool case_wants(const onnx_case *c, size_t i)
{
    return c->want[i].data != NULL;
}

float *case_floats(onnx_case *c, size_t count)
{
    return at_tape_saved(c->tape, count, sizeof(float));
}

float *case_output(onnx_case *c, size_t i, at_shape shape)
{
    onnx_array *a = &c->got[i];
    *a = (onnx_array){.type = AT_F32, .shape = shape, .count = at_shape_count(shape)};
    a->data = case_floats(c, a->count);
    return a->data;
}

at_status case_expect(const onnx_case *c, size_t i, const char *name, int rank)
{
    const onnx_array *a = &c->in[i];
    if (!a->data)
        return at_fail(AT_EFORMAT, "input %zu (%s) is missing", i, name);
    if (rank > 0 && a->shape.rank != rank)
        return at_fail(AT_ESHAPE, "%s: want rank %d, got %s", name, rank, at_shape_text(a->shape).s);
    return AT_OK;
}

/* Whole numbers as they are, all others as floats. */
static at_status read_array(onnx_case *c, const at_safetensors *file, const at_stored *t, onnx_array *a)
{
    *a = (onnx_array){.type = t->type, .shape = t->shape, .count = at_shape_count(t->shape)};
    a->data = case_floats(c, a->count);
    bool whole = t->type == AT_I64 || t->type == AT_BOOL || t->type == AT_I32;
    a->ints = whole ? at_tape_saved(c->tape, a->count, sizeof *a->ints) : NULL;
    if (c->tape->status != AT_OK)
        return c->tape->status;
    if (!whole)
        return at_stored_floats(file, t, a->data);
    for (size_t i = 0; i < a->count; i++) {
        int32_t narrow;
        if (t->type == AT_I64) {
            memcpy(&a->ints[i], t->data + i * sizeof(int64_t), sizeof(int64_t));
        } else if (t->type == AT_I32) {
            memcpy(&narrow, t->data + i * sizeof narrow, sizeof narrow);
            a->ints[i] = narrow;
        } else {
            a->ints[i] = t->data[i] != 0;
        }
        a->data[i] = (float)a->ints[i];
    }
    return AT_OK;
}

/* The arrays that a list of names in the metadata says are there. */
static at_status read_arrays(onnx_case *c, const at_safetensors *file, const char *list, const char *prefix,
                             onnx_array *arrays, size_t most)
{
    const char *text = at_safetensors_metadata(file, list);
    json_t *names;
    if (!text)
        return at_fail(AT_EFORMAT, "metadata: '%s' is missing", list);
    at_status st = at_json_parse(text, strlen(text), list, &names);
    if (st != AT_OK)
        return st;
    size_t count = json_is_array(names) ? json_array_size(names) : most + 1;
    if (count > most)
        st = at_fail(AT_EFORMAT, "metadata: '%s': want a list of at most %zu names", list, most);
    for (size_t i = 0; st == AT_OK && i < count; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        char key[40];
        snprintf(key, sizeof key, "%s.%zu", prefix, i);
        const at_stored *t = at_safetensors_find(file, key);
        if (name && *name && !t)
            st = at_fail(AT_EFORMAT, "%s (%s) is missing", key, name);
        else if (name && *name)
            st = read_array(c, file, t, &arrays[i]);
    }
    json_decref(names);
    return st;
}

static at_status read_number(const at_safetensors *file, const char *key, double *value)
{
    const char *text = at_safetensors_metadata(file, key);
    char *end = NULL;
    *value = text ? strtod(text, &end) : 0;
    if (!text || end == text || *end || !(*value >= 0))
        return at_fail(AT_EFORMAT, "metadata: '%s': want a number >= 0, got '%s'", key, text ? text : "");
    return AT_OK;
}

static at_status read_case(onnx_case *c, const at_safetensors *file)
{
    const char *op = at_safetensors_metadata(file, "op"),
               *attributes = at_safetensors_metadata(file, "attributes");
    double opset = 0;
    if (!op || !attributes)
        return at_fail(AT_EFORMAT, "metadata: '%s' is missing", op ? "attributes" : "op");
    c->op = at_strdup(op);
    if (!c->op)
        return AT_ENOMEM;
    at_status st = at_json_parse(attributes, strlen(attributes), "attributes", &c->attributes);
    if (st == AT_OK && !json_is_object(c->attributes))
        st = at_fail(AT_EFORMAT, "metadata: 'attributes': want an object");
    if (st == AT_OK)
        st = read_number(file, "rtol", &c->rtol);
    if (st == AT_OK)
        st = read_number(file, "atol", &c->atol);
    if (st == AT_OK)
        st = read_number(file, "opset", &opset);
    c->opset = (int64_t)opset;
    if (st == AT_OK)
        st = read_arrays(c, file, "inputs", "in", c->in, CASE_INPUTS);
    if (st == AT_OK)
        st = read_arrays(c, file, "outputs", "out", c->want, CASE_OUTPUTS);
    return st;
}

at_status case_open(onnx_case *c, const char *path, at_exec *exec)
{
    *c = (onnx_case){.path = path, .exec = exec};
    at_safetensors file;
    at_status st = at_tape_new(exec, &c->tape);
    if (st == AT_OK)
        st = at_safetensors_open(path, &file);
    if (st != AT_OK)
        return st;
    at_tape_begin(c->tape, AT_TAPE_RUN, 0, 0);
    st = read_case(c, &file);
    at_safetensors_close(&file);
    return st;
}

void case_close(onnx_case *c)
{
    at_tape_free(c->tape);
    json_decref(c->attributes);
    at_free(c->op);
}

/* Fp32 as it would come out of an operator of this type. */
static float rounded(float x, at_type type)
{
    if (type == AT_F16)
        return at_f16_to_f32(at_f32_to_f16(x));
    return type == AT_BF16 ? at_bf16_to_f32(at_f32_to_bf16(x)) : x;
}

/* How far two numbers may be apart. What is stored in 16 bits was also computed in them, each step rounded,
 * and may be two units of its last place away from the true result; ours is rounded once. */
static double allowed(const onnx_case *c, const onnx_array *want, size_t i)
{
    double size = fabs((double)want->data[i]), unit = 0;
    if (want->type == AT_BF16)
        unit = 0x1p-7;
    else if (want->type == AT_F16)
        unit = 0x1p-10;
    return c->atol + fmax(c->rtol, 2 * unit) * size;
}

static at_status compare(const onnx_case *c, size_t output)
{
    const onnx_array *want = &c->want[output], *got = &c->got[output];
    if (!got->data)
        return at_fail(AT_ENOSUP, "output %zu: %s does not give it here", output, c->op);
    bool scalars = want->count == 1 && got->count == 1; /* a scalar may be written as (1) */
    if (!scalars && !at_shape_same(want->shape, got->shape))
        return at_fail(AT_ESHAPE, "output %zu: want %s, got %s", output, at_shape_text(want->shape).s,
                       at_shape_text(got->shape).s);
    size_t worst = 0, wrong = 0;
    double largest = -1;
    for (size_t i = 0; i < want->count; i++) {
        float w = want->data[i], g = rounded(got->data[i], want->type);
        bool same = w == g || (isnan(w) && isnan(g));
        double apart = same ? 0 : fabs((double)w - (double)g);
        if (same || apart <= allowed(c, want, i))
            continue;
        wrong++;
        apart = isnan(apart) ? INFINITY : apart;
        if (apart > largest) {
            largest = apart;
            worst = i;
        }
    }
    if (wrong == 0)
        return AT_OK;
    return at_fail(AT_EFORMAT,
                   "output %zu: %zu of %zu numbers differ, most by %.3g: number %zu is %.9g, want %.9g "
                   "(allowed %.3g)",
                   output, wrong, want->count, largest, worst, (double)rounded(got->data[worst], want->type),
                   (double)want->data[worst], allowed(c, want, worst));
}

at_status case_run(onnx_case *c)
{
    const onnx_operator *op = operator_find(c->op);
    if (!op)
        return at_fail(AT_ENOSUP, "operator %s is not known here", c->op);
    const char *name;
    json_t *value;
    json_object_foreach(c->attributes, name, value)
    {
        if (!operator_knows(op, name))
            return at_fail(AT_ENOSUP, "%s: attribute '%s' is not known here", c->op, name);
    }
    at_status st = op->run(c);
    if (st == AT_OK)
        st = at_tape_status(c->tape);
    size_t outputs = 0;
    for (size_t i = 0; st == AT_OK && i < CASE_OUTPUTS; i++) {
        outputs += case_wants(c, i);
        if (case_wants(c, i))
            st = compare(c, i);
    }
    if (st == AT_OK && outputs == 0)
        st = at_fail(AT_EFORMAT, "no output to compare");
    return st;
}
