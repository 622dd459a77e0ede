/* Attention of opsets 23 to 25: any layout becomes rows, any mask a bias, and one call does the rest. */
#include <math.h>
#include <string.h>
#include "attention/trace.h"
#include "tests/conformance/operators.h"

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, LENGTHS }; /* inputs */
enum {
    OUT,
    PRESENT_KEY,
    PRESENT_VALUE,
    STAGE,
    STAGES_OUT = 4
}; /* outputs; values of qk_matmul_output_mode */

typedef struct attention {
    onnx_case *c;
    size_t batch, queries, keys, past, total; /* total = past + keys */
    size_t q_heads, kv_heads, d_key, d_value;
    bool flat; /* (B,S,H*D) instead of (B,H,S,D) */
    int64_t causal, left, right, mode;
    double scale, softcap;
    bool stage; /* the scores or weights are an output too */
    at_rows query_rows,
        key_rows;         /* what is beyond a sequence's length is left out, unless a stage shows it */
    const float *rows[3]; /* Q, K, V; K and V with the past before them */
    at_score_bias bias;
    int32_t *own; /* (B) which key is the first query's own */
} attention;

static at_status read_attributes(attention *a, int64_t heads[2])
{
    const onnx_case *c = a->c;
    a->left = a->right = -1;
    at_status st = case_int(c, "is_causal", &a->causal);
    if (st == AT_OK)
        st = case_int(c, "q_num_heads", &heads[0]);
    if (st == AT_OK)
        st = case_int(c, "kv_num_heads", &heads[1]);
    if (st == AT_OK)
        st = case_int(c, "left_window_size", &a->left);
    if (st == AT_OK)
        st = case_int(c, "right_window_size", &a->right);
    if (st == AT_OK)
        st = case_int(c, "qk_matmul_output_mode", &a->mode);
    if (st == AT_OK)
        st = case_real(c, "scale", &a->scale);
    if (st == AT_OK)
        st = case_real(c, "softcap", &a->softcap);
    if (st == AT_OK && (a->mode < 0 || a->mode >= STAGES_OUT))
        st = at_fail(AT_ENOSUP, "qk_matmul_output_mode %lld: want 0 to 3", (long long)a->mode);
    return st;
}

/* Sizes of one of Q, K, V as (B,H,S,D). */
static at_status sizes_of(const attention *a, size_t input, const char *name, int64_t heads, size_t bhsd[4])
{
    at_shape s = a->c->in[input].shape;
    at_status st = case_expect(a->c, input, name, a->flat ? 3 : 4);
    if (st != AT_OK)
        return st;
    if (a->flat && (heads < 1 || s.dim[2] % heads != 0))
        return at_fail(AT_ESHAPE, "%s: %s does not divide into %lld heads", name, at_shape_text(s).s,
                       (long long)heads);
    bhsd[0] = (size_t)s.dim[0];
    bhsd[1] = (size_t)(a->flat ? heads : s.dim[1]);
    bhsd[2] = (size_t)s.dim[a->flat ? 1 : 2];
    bhsd[3] = (size_t)(a->flat ? s.dim[2] / heads : s.dim[3]);
    return AT_OK;
}

static at_status read_past(attention *a)
{
    const onnx_array *k = &a->c->in[PAST_KEY], *v = &a->c->in[PAST_VALUE];
    a->past = k->data && k->shape.rank == 4 ? (size_t)k->shape.dim[2] : 0;
    a->total = a->past + a->keys;
    if (!k->data != !v->data)
        return at_fail(AT_EFORMAT, "past_key and past_value: want both or none");
    if (!k->data)
        return AT_OK;
    int64_t b = (int64_t)a->batch, h = (int64_t)a->kv_heads, s = (int64_t)a->past;
    at_status st = at_shape_expect("past_key", k->shape, at_shape4(b, h, s, (int64_t)a->d_key));
    return st == AT_OK ? at_shape_expect("past_value", v->shape, at_shape4(b, h, s, (int64_t)a->d_value))
                       : st;
}

static at_status read_sizes(attention *a)
{
    int64_t heads[2] = {0, 0};
    size_t q[4], k[4], v[4];
    a->flat = a->c->in[Q].shape.rank == 3;
    at_status st = read_attributes(a, heads);
    if (st == AT_OK)
        st = sizes_of(a, Q, "Q", heads[0], q);
    if (st == AT_OK)
        st = sizes_of(a, K, "K", heads[1], k);
    if (st == AT_OK)
        st = sizes_of(a, V, "V", heads[1], v);
    if (st != AT_OK)
        return st;
    if (k[0] != q[0] || v[0] != q[0] || v[1] != k[1] || v[2] != k[2] || q[3] != k[3] || k[1] == 0 ||
        q[1] % k[1] != 0)
        return at_fail(AT_ESHAPE, "Q %s, K %s, V %s do not fit each other",
                       at_shape_text(a->c->in[Q].shape).s, at_shape_text(a->c->in[K].shape).s,
                       at_shape_text(a->c->in[V].shape).s);
    a->batch = q[0];
    a->q_heads = q[1];
    a->queries = q[2];
    a->d_key = q[3];
    a->kv_heads = k[1];
    a->keys = k[2];
    a->d_value = v[3];
    a->stage = case_wants(a->c, STAGE);
    return read_past(a);
}

/* An input as rows (B*S, H*D). */
static float *as_rows(const attention *a, size_t input, size_t heads, size_t positions, size_t d)
{
    const onnx_array *x = &a->c->in[input];
    float *rows = case_floats(a->c, x->count);
    if (rows && a->flat)
        memcpy(rows, x->data, x->count * sizeof *rows);
    else if (rows)
        heads_to_rows(rows, x->data, (size_t[4]){a->batch, heads, positions, d});
    return rows;
}

/* Keys or values with the past before them: (B,H,S,D) as an output too, then only the rows that are there. */
static const float *cached_rows(attention *a, size_t input, size_t past_input, size_t output, size_t d)
{
    onnx_case *c = a->c;
    size_t width = a->kv_heads * d, size[4] = {a->batch, a->kv_heads, a->total, d};
    at_shape shape = at_shape4((int64_t)a->batch, (int64_t)a->kv_heads, (int64_t)a->total, (int64_t)d);
    const float *new = as_rows(a, input, a->kv_heads, a->keys, d), *past = c->in[past_input].data;
    float *all = case_floats(c, a->batch * a->total * width);
    float *old = case_floats(c, a->batch * a->past * width);
    float *present = case_output(c, output, shape);
    if (at_tape_status(c->tape) != AT_OK)
        return NULL;
    if (past)
        heads_to_rows(old, past, (size_t[4]){a->batch, a->kv_heads, a->past, d});
    for (size_t b = 0; b < a->batch; b++) {
        float *to = all + b * a->total * width;
        memcpy(to, old + b * a->past * width, a->past * width * sizeof *to);
        memcpy(to + a->past * width, new + b * a->keys *width, a->keys * width * sizeof *to);
    }
    rows_to_heads(present, all, size);
    for (size_t b = 0; b < a->batch; b++) {
        size_t first = (size_t)a->key_rows.offsets[b], count = (size_t)a->key_rows.offsets[b + 1] - first;
        memmove(all + first * width, all + b * a->total * width, count * width * sizeof *all);
    }
    return all;
}

/* How many of a sequence's keys are there. */
static size_t length_of(const attention *a, size_t b)
{
    const onnx_array *lengths = &a->c->in[LENGTHS];
    return lengths->data ? (size_t)lengths->ints[b] : a->total;
}

static at_status read_lengths(attention *a)
{
    const onnx_array *lengths = &a->c->in[LENGTHS];
    int32_t *offsets = at_tape_saved(a->c->tape, 2 * (a->batch + 1), sizeof *offsets);
    int32_t *key_offsets = offsets ? offsets + a->batch + 1 : NULL;
    a->own = at_tape_saved(a->c->tape, a->batch, sizeof *a->own);
    if (!offsets || !a->own)
        return at_tape_status(a->c->tape);
    if (lengths->data && (!lengths->ints || lengths->count != a->batch))
        return at_fail(AT_ESHAPE, "nonpad_kv_seqlen: want (%zu), got %s", a->batch,
                       at_shape_text(lengths->shape).s);
    offsets[0] = key_offsets[0] = 0;
    for (size_t b = 0; b < a->batch; b++) {
        if (lengths->data && (lengths->ints[b] < 0 || lengths->ints[b] > (int64_t)a->total))
            return at_fail(AT_EFORMAT, "nonpad_kv_seqlen: %lld of %zu keys", (long long)lengths->ints[b],
                           a->total);
        offsets[b + 1] = offsets[b] + (int32_t)a->queries;
        key_offsets[b + 1] = key_offsets[b] + (int32_t)(a->stage ? a->total : length_of(a, b));
        a->own[b] = (int32_t)a->past;
        if (lengths->data && !a->c->in[PAST_KEY].data)
            a->own[b] = (int32_t)lengths->ints[b] - (int32_t)a->queries;
    }
    a->query_rows = (at_rows){a->batch, offsets, NULL};
    a->key_rows = (at_rows){a->batch, key_offsets, NULL};
    return AT_OK;
}

/* (batch, heads, queries, keys) of a mask of rank 1 to 4, 1 where it is the same for all. */
static at_status mask_sizes(const attention *a, size_t sizes[4])
{
    const onnx_array *mask = &a->c->in[MASK];
    const size_t want[] = {a->batch, a->q_heads, a->queries, a->total};
    int lead = 4 - mask->shape.rank;
    bool fits = lead >= 0 && lead < 4;
    for (int i = 0; fits && i < 4; i++) {
        sizes[i] = i < lead ? 1 : (size_t)mask->shape.dim[i - lead];
        fits = i < 3 ? sizes[i] == 1 || sizes[i] == want[i] : sizes[i] <= want[i];
    }
    if (fits)
        return AT_OK;
    return at_fail(AT_ESHAPE, "attn_mask: want what broadcasts to (%zu,%zu,%zu,%zu), got %s", want[0],
                   want[1], want[2], want[3], at_shape_text(mask->shape).s);
}

/* The mask's row i as `total` numbers: keys for which it has none are hidden. */
static at_status fill_row(const attention *a, float *row, size_t i, size_t width)
{
    const onnx_array *mask = &a->c->in[MASK];
    memcpy(row, mask->data + i * width, width * sizeof *row);
    if (mask->type == AT_BOOL) {
        unsigned char *looks = at_tape_saved(a->c->tape, width, 1);
        for (size_t s = 0; looks && s < width; s++)
            looks[s] = (unsigned char)mask->ints[i * width + s];
        if (looks)
            at_bias_of_mask(row, looks, width);
    }
    for (size_t s = width; s < a->total; s++)
        row[s] = -INFINITY;
    return at_tape_status(a->c->tape);
}

/* The mask as a bias; with lengths and a stage to show, what is beyond them is hidden there too. */
static at_status read_mask(attention *a)
{
    onnx_case *c = a->c;
    bool hide = a->stage && c->in[LENGTHS].data;
    size_t sizes[4] = {1, 1, 1, 0};
    if (!c->in[MASK].data && !hide)
        return AT_OK;
    at_status st = c->in[MASK].data ? mask_sizes(a, sizes) : AT_OK;
    if (st != AT_OK)
        return st;
    size_t rows = sizes[1] * sizes[2], batch = hide ? a->batch : sizes[0];
    float *numbers = case_floats(c, batch * rows * a->total);
    size_t *sequences = at_tape_saved(c->tape, a->batch, sizeof *sequences);
    if (!numbers || !sequences)
        return at_tape_status(c->tape);
    memset(numbers, 0, batch * rows * a->total * sizeof *numbers);
    for (size_t i = 0; st == AT_OK && i < batch * rows; i++) {
        if (c->in[MASK].data)
            st = fill_row(a, numbers + i * a->total, sizes[0] == 1 ? i % rows : i, sizes[3]);
        for (size_t s = length_of(a, hide ? i / rows : 0); hide && s < a->total; s++)
            numbers[i * a->total + s] = -INFINITY;
    }
    for (size_t b = 0; b < a->batch; b++)
        sequences[b] = batch > 1 ? b * rows * a->total : 0;
    a->bias = (at_score_bias){.numbers = numbers,
                              .count = batch * rows * a->total,
                              .sequences = sequences,
                              .head_stride = sizes[1] > 1 ? sizes[2] * a->total : 0,
                              .query_stride = sizes[2] > 1 ? a->total : 0};
    return st;
}

/* The maps of all sequences and heads as (B,H,T,S). */
static void write_stage(const attention *a, const at_trace *trace)
{
    size_t area = a->queries * a->total;
    float *out = case_output(
        a->c, STAGE,
        at_shape4((int64_t)a->batch, (int64_t)a->q_heads, (int64_t)a->queries, (int64_t)a->total));
    for (size_t i = 0; out && i < a->batch * a->q_heads; i++) {
        const at_trace_map *m = at_trace_find(trace, AT_CROSS, 0, (int)(i % a->q_heads), i / a->q_heads);
        AT_ASSERT(m && m->queries == a->queries && m->keys == a->total);
        memcpy(out + i * area, m->weights, area * sizeof *out);
    }
}

static void attend(const attention *a)
{
    static const at_stage stages[] = {AT_STAGE_PRODUCTS, AT_STAGE_CAPPED, AT_STAGE_SCORES, AT_STAGE_WEIGHTS};
    at_tape *tape = a->c->tape;
    at_attend_spec spec = {.heads = a->q_heads,
                           .groups = a->kv_heads,
                           .causal = a->causal || a->right >= 0,
                           .ahead = a->causal || a->right < 0 ? 0 : a->right,
                           .window = a->left >= 0 ? a->left + 1 : 0,
                           .past = a->own,
                           .scale = (float)a->scale,
                           .softcap = (float)a->softcap,
                           .bias = a->bias,
                           .queries = a->query_rows,
                           .keys = a->key_rows,
                           .kind = AT_CROSS};
    const size_t widths[] = {a->q_heads * a->d_key, a->kv_heads * a->d_key, a->kv_heads * a->d_value};
    at_var *x[3];
    for (int i = 0; i < 3; i++) {
        int64_t rows = (int64_t)at_rows_total(i == 0 ? &spec.queries : &spec.keys);
        x[i] = at_leaf(tape, at_shape2(rows, (int64_t)widths[i]), (float *)(uintptr_t)a->rows[i], NULL);
    }
    at_trace *trace = a->stage ? at_trace_new() : NULL;
    if (trace) {
        at_trace_want(trace, AT_CROSS, -1, -1);
        at_trace_want_stage(trace, stages[a->mode]);
    }
    tape->trace = trace;
    const at_var *y = at_attention(tape, x[0], x[1], x[2], &spec);
    tape->trace = NULL;
    float *out = y ? case_output(a->c, OUT, a->c->want[OUT].shape) : NULL;
    if (out && a->flat)
        memcpy(out, y->data, a->c->got[OUT].count * sizeof *out);
    else if (out)
        rows_to_heads(out, y->data, (size_t[4]){a->batch, a->q_heads, a->queries, a->d_value});
    if (out && trace)
        write_stage(a, trace);
    at_trace_free(trace);
}

at_status run_attention(onnx_case *c)
{
    attention a = {.c = c};
    at_status st = read_sizes(&a);
    if (st == AT_OK)
        st = read_lengths(&a);
    if (st == AT_OK)
        st = read_mask(&a);
    if (st != AT_OK)
        return st;
    int64_t b = (int64_t)a.batch, t = (int64_t)a.queries, h = (int64_t)a.q_heads, w = (int64_t)a.d_value;
    if (case_wants(c, OUT))
        st =
            at_shape_expect("Y", c->want[OUT].shape, a.flat ? at_shape3(b, t, h * w) : at_shape4(b, h, t, w));
    if (st != AT_OK)
        return st;
    a.rows[0] = as_rows(&a, Q, a.q_heads, a.queries, a.d_key);
    a.rows[1] = cached_rows(&a, K, PAST_KEY, PRESENT_KEY, a.d_key);
    a.rows[2] = cached_rows(&a, V, PAST_VALUE, PRESENT_VALUE, a.d_value);
    if (at_tape_status(c->tape) == AT_OK)
        attend(&a);
    return at_tape_status(c->tape);
}
