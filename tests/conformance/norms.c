/* LayerNormalization, RMSNormalization, RotaryEmbedding. */
#include <string.h>
#include "layer/rotary.h"
#include "tests/conformance/operators.h"

/* Rows of an array from an axis on. */
typedef struct norm {
    int axis;
    size_t rows, d;
    float eps;
} norm;

static at_status read_norm(onnx_case *c, norm *n)
{
    const onnx_array *x = &c->in[0];
    int64_t axis = -1;
    double eps = 1e-5;
    at_status st = case_expect(c, 0, "X", 0);
    if (st == AT_OK)
        st = case_expect(c, 1, "scale", 0);
    if (st == AT_OK)
        st = case_int(c, "axis", &axis);
    if (st == AT_OK)
        st = case_real(c, "epsilon", &eps);
    if (st == AT_OK)
        st = axis_of(axis, x->shape.rank, &n->axis);
    if (st != AT_OK)
        return st;
    n->rows = dimensions(x->shape, 0, n->axis);
    n->d = dimensions(x->shape, n->axis, x->shape.rank);
    n->eps = (float)eps;
    return AT_OK;
}

/* An array that may be smaller than x, repeated to (rows, d) of x as ONNX broadcasts: dimensions are counted
 * from the end, those of 1 or missing ones are repeated. NULL: it does not fit, or no memory. */
static float *broadcast(onnx_case *c, const onnx_array *small)
{
    at_shape big = c->in[0].shape;
    int lead = big.rank - small->shape.rank;
    float *out = lead < 0 ? NULL : case_floats(c, c->in[0].count);
    for (int i = 0; out && i < small->shape.rank; i++)
        if (small->shape.dim[i] != 1 && small->shape.dim[i] != big.dim[lead + i])
            out = NULL;
    for (size_t i = 0; out && i < c->in[0].count; i++) {
        size_t left = i, at = 0, stride = 1;
        for (int j = big.rank - 1; j >= 0; j--) {
            size_t place = left % (size_t)big.dim[j];
            left /= (size_t)big.dim[j];
            if (j < lead)
                continue;
            if (small->shape.dim[j - lead] != 1)
                at += place * stride;
            stride *= (size_t)small->shape.dim[j - lead];
        }
        out[i] = small->data[at];
    }
    if (!out)
        at_tape_fail(c->tape, AT_ESHAPE, "scale or bias %s does not fit X %s", at_shape_text(small->shape).s,
                     at_shape_text(big).s);
    return out;
}

static bool rows_are_alike(const float *x, const norm *n)
{
    for (size_t i = 1; i < n->rows; i++)
        if (memcmp(x, x + i * n->d, n->d * sizeof *x) != 0)
            return false;
    return true;
}

/* Mean and deviation keep the dimensions before the axis, the others are 1. */
static void write_statistics(onnx_case *c, const norm *n, size_t output, const float *from)
{
    at_shape shape = c->in[0].shape;
    for (int i = n->axis; i < shape.rank; i++)
        shape.dim[i] = 1;
    float *out = case_wants(c, output) ? case_output(c, output, shape) : NULL;
    if (out)
        memcpy(out, from, n->rows * sizeof *out);
}

/* The gain is the kernel's own where all rows share it, as in every model, and a product afterwards where
 * they do not. */
static at_status run_norm(onnx_case *c, bool centred)
{
    norm n;
    at_status st = read_norm(c, &n);
    if (st != AT_OK)
        return st;
    const at_kernels *k = c->exec->kernels;
    const float *gain = broadcast(c, &c->in[1]), *bias = c->in[2].data ? broadcast(c, &c->in[2]) : NULL;
    float *out = case_output(c, 0, c->in[0].shape), *stats = case_floats(c, 2 * n.rows);
    if (at_tape_status(c->tape) != AT_OK)
        return at_tape_status(c->tape);
    bool shared = rows_are_alike(gain, &n) && (!bias || rows_are_alike(bias, &n));
    if (centred)
        k->layer_norm(out, stats, stats + n.rows, c->in[0].data, shared ? gain : NULL, shared ? bias : NULL,
                      n.rows, n.d, n.eps);
    else
        k->rms_norm(out, stats + n.rows, c->in[0].data, shared ? gain : NULL, n.rows, n.d, n.eps);
    if (!shared)
        k->mul(out, out, gain, c->in[0].count);
    if (!shared && bias)
        k->add(out, out, bias, c->in[0].count);
    if (centred) {
        write_statistics(c, &n, 1, stats);
        write_statistics(c, &n, 2, stats + n.rows);
    }
    return at_tape_status(c->tape);
}

at_status run_layer_norm(onnx_case *c)
{
    return run_norm(c, true);
}

at_status run_rms_norm(onnx_case *c)
{
    return run_norm(c, false);
}

/* (B,H,S,D), or (B,S,H*D) with the heads as an attribute. */
static at_status rotary_sizes(const onnx_case *c, size_t bhsd[4])
{
    const onnx_array *x = &c->in[0];
    int64_t heads = 0;
    at_status st = case_expect(c, 0, "input", 0);
    if (st == AT_OK)
        st = case_int(c, "num_heads", &heads);
    if (st != AT_OK)
        return st;
    bool flat = x->shape.rank == 3;
    if ((!flat && x->shape.rank != 4) || (flat && (heads < 1 || x->shape.dim[2] % heads != 0)))
        return at_fail(AT_ESHAPE, "input: want (B,H,S,D), or (B,S,H*D) and num_heads; got %s, num_heads %lld",
                       at_shape_text(x->shape).s, (long long)heads);
    bhsd[0] = (size_t)x->shape.dim[0];
    bhsd[1] = (size_t)(flat ? heads : x->shape.dim[1]);
    bhsd[2] = (size_t)x->shape.dim[flat ? 1 : 2];
    bhsd[3] = (size_t)(flat ? x->shape.dim[2] / heads : x->shape.dim[3]);
    return AT_OK;
}

static at_status read_rotary(const onnx_case *c, const size_t bhsd[4], at_rotary *rotary)
{
    int64_t interleaved = 0, width = 0;
    at_status st = case_expect(c, 1, "cos_cache", c->in[3].data ? 2 : 3);
    if (st == AT_OK)
        st = case_expect(c, 2, "sin_cache", c->in[1].shape.rank);
    if (st == AT_OK)
        st = case_int(c, "interleaved", &interleaved);
    if (st == AT_OK)
        st = case_int(c, "rotary_embedding_dim", &width);
    if (st != AT_OK)
        return st;
    at_shape table = c->in[1].shape;
    size_t half = (size_t)table.dim[table.rank - 1], rows = bhsd[0] * bhsd[2];
    *rotary = (at_rotary){.cosines = c->in[1].data,
                          .sines = c->in[2].data,
                          .positions = dimensions(table, 0, table.rank - 1),
                          .width = width > 0 ? (size_t)width : bhsd[3],
                          .interleaved = interleaved != 0};
    if (!at_shape_same(table, c->in[2].shape) || 2 * half != rotary->width)
        return at_fail(AT_ESHAPE, "cos_cache, sin_cache: %s, %s for %zu turning elements",
                       at_shape_text(table).s, at_shape_text(c->in[2].shape).s, rotary->width);
    const onnx_array *ids = &c->in[3];
    if (!ids->data && rotary->positions != rows)
        return at_fail(AT_ESHAPE, "cos_cache: want a row for each of %zu positions, got %s", rows,
                       at_shape_text(table).s);
    if (ids->data && (!ids->ints || ids->count != rows))
        return at_fail(AT_ESHAPE, "position_ids: want (%zu,%zu), got %s", bhsd[0], bhsd[2],
                       at_shape_text(ids->shape).s);
    for (size_t i = 0; ids->data && i < rows; i++)
        if (ids->ints[i] < 0 || ids->ints[i] >= (int64_t)rotary->positions)
            return at_fail(AT_EFORMAT, "position_ids: %lld is not among the %zu of the caches",
                           (long long)ids->ints[i], rotary->positions);
    return AT_OK;
}

/* Each row is a sequence of its own, so that it may have any position. */
at_status run_rotary(onnx_case *c)
{
    size_t bhsd[4];
    at_rotary rotary;
    at_status st = rotary_sizes(c, bhsd);
    if (st == AT_OK)
        st = read_rotary(c, bhsd, &rotary);
    if (st != AT_OK)
        return st;
    const onnx_array *x = &c->in[0];
    size_t rows = bhsd[0] * bhsd[2];
    int32_t *offsets = at_tape_saved(c->tape, rows + 1, sizeof *offsets),
            *starts = at_tape_saved(c->tape, rows, sizeof *starts);
    float *in = case_floats(c, x->count), *out = case_output(c, 0, x->shape);
    if (at_tape_status(c->tape) != AT_OK)
        return at_tape_status(c->tape);
    for (size_t i = 0; i < rows; i++) {
        offsets[i] = (int32_t)i;
        starts[i] = c->in[3].data ? (int32_t)c->in[3].ints[i] : (int32_t)i;
    }
    offsets[rows] = (int32_t)rows;
    if (x->shape.rank == 4)
        heads_to_rows(in, x->data, bhsd);
    else
        memcpy(in, x->data, x->count * sizeof *in);
    at_var *leaf = at_leaf(c->tape, at_shape2((int64_t)rows, (int64_t)(bhsd[1] * bhsd[3])), in, NULL);
    const at_var *y = at_rotate(c->tape, &rotary, leaf, bhsd[1], &(at_rows){rows, offsets, NULL}, starts);
    if (y && x->shape.rank == 4)
        rows_to_heads(out, y->data, bhsd);
    else if (y)
        memcpy(out, y->data, x->count * sizeof *out);
    return at_tape_status(c->tape);
}
