/* Attention with everything in bf16 but its sums: each head's numbers are widened into scratch, the fp32
 * kernels do the rest, and what comes out is rounded. Scratch is linear in the length. */
#include <math.h>
#include <string.h>
#include "attention/internal.h"

typedef struct narrow_attention {
    at_exec *exec;
    const at_kernels *k;
    at_attend_spec spec;
    at_attention_bf16 a;
    size_t longest_q, longest_k;
} narrow_attention;

/* One head's numbers in scratch, rows side by side. */
typedef struct parts {
    float *q, *o, *d_o, *d_q, *k, *v, *d_k, *d_v, *kernel;
} parts;

static size_t rounded_up(size_t n)
{
    return (n + 15) / 16 * 16;
}

static parts lay_out(const narrow_attention *s, float *scratch)
{
    size_t q = rounded_up(s->longest_q * s->a.key_width), o = rounded_up(s->longest_q * s->a.value_width),
           k = rounded_up(s->longest_k * s->a.key_width), v = rounded_up(s->longest_k * s->a.value_width);
    parts p = {.q = scratch, .o = scratch + q};
    p.d_o = p.o + o;
    p.d_q = p.d_o + o;
    p.k = p.d_q + q;
    p.v = p.k + k;
    p.d_k = p.v + v;
    p.d_v = p.d_k + k;
    p.kernel = p.d_v + v;
    return p;
}

static size_t scratch_floats(const narrow_attention *s)
{
    size_t kw = s->a.key_width, vw = s->a.value_width;
    size_t wide = s->k->attend_scratch(s->longest_q, s->longest_k, kw, vw),
           narrow = s->k->attend_bf16_scratch(s->longest_q, s->longest_k, kw, vw);
    return 2 * (rounded_up(s->longest_q * kw) + rounded_up(s->longest_q * vw) +
                rounded_up(s->longest_k * kw) + rounded_up(s->longest_k * vw)) +
           (wide > narrow ? wide : narrow);
}

/* Columns [column, column+width) of rows of `stride` numbers <-> rows side by side. */
static void widen_rows(const at_kernels *k, float *out, const at_bf16 *from, size_t rows, size_t stride,
                       size_t width)
{
    for (size_t i = 0; i < rows; i++)
        k->widen(out + i * width, from + i * stride, width);
}

static void narrow_rows(const at_kernels *k, at_bf16 *out, const float *from, size_t rows, size_t stride,
                        size_t width)
{
    for (size_t i = 0; i < rows; i++)
        k->narrow(out + i * stride, from + i * width, width);
}

/* Where sequence b's rows begin in q and o, in k and v, and how wide these are. */
typedef struct place {
    size_t q0, k0, keys, q_stride, o_stride, k_stride, v_stride;
} place;

static place place_of(const narrow_attention *s, size_t b)
{
    const at_attend_spec *spec = &s->spec;
    size_t k0 = (size_t)spec->keys.offsets[b];
    return (place){.q0 = (size_t)spec->queries.offsets[b],
                   .k0 = k0,
                   .keys = (size_t)spec->keys.offsets[b + 1] - k0,
                   .q_stride = spec->heads * s->a.key_width,
                   .o_stride = spec->heads * s->a.value_width,
                   .k_stride = spec->groups * s->a.key_width,
                   .v_stride = spec->groups * s->a.value_width};
}

/* The kernel's view of a head whose queries and outputs lie in `p`. */
static at_attend view(const narrow_attention *s, const parts *p, const place *at, size_t b, size_t h)
{
    at_attend a = at_attend_head(&s->spec, b, h);
    a.keys = at->keys;
    a.d_key = a.q_stride = s->a.key_width;
    a.d_value = a.o_stride = s->a.value_width;
    a.q = p->q;
    a.o = p->o;
    if (s->a.lse) {
        a.lse = s->a.lse + at->q0 * s->spec.heads + h;
        a.lse_stride = s->spec.heads;
    }
    widen_rows(s->k, p->q, s->a.q + at->q0 * at->q_stride + h * a.d_key, a.queries, at->q_stride, a.d_key);
    return a;
}

static void forward_task(void *context, size_t first, size_t end, int worker)
{
    const narrow_attention *s = context;
    parts p = lay_out(s, at_exec_scratch(s->exec, worker));
    for (size_t i = first; i < end; i++) {
        size_t b = i / s->spec.heads, h = i % s->spec.heads, group = h / (s->spec.heads / s->spec.groups);
        place at = place_of(s, b);
        at_attend a = view(s, &p, &at, b, h);
        a.k16 = s->a.k + at.k0 * at.k_stride + group * a.d_key;
        a.v16 = s->a.v + at.k0 * at.v_stride + group * a.d_value;
        a.k_stride = at.k_stride;
        a.v_stride = at.v_stride;
        s->k->attend_bf16(&a, p.kernel);
        narrow_rows(s->k, s->a.o + at.q0 * at.o_stride + h * a.d_value, p.o, a.queries, at.o_stride,
                    a.d_value);
    }
}

/* One head of a group: adds to p's d_k and d_v, writes the head's d_q. */
static void backward_head(const narrow_attention *s, const parts *p, const place *at, size_t b, size_t h)
{
    at_attend a = view(s, p, at, b, h);
    size_t column = at->q0 * at->o_stride + h * a.d_value;
    widen_rows(s->k, p->o, s->a.o + column, a.queries, at->o_stride, a.d_value);
    widen_rows(s->k, p->d_o, s->a.d_o + column, a.queries, at->o_stride, a.d_value);
    memset(p->d_q, 0, a.queries * a.d_key * sizeof *p->d_q);
    a.k = p->k;
    a.v = p->v;
    a.k_stride = a.d_key;
    a.v_stride = a.d_value;
    a.d_o = p->d_o;
    a.d_q = p->d_q;
    a.d_k = p->d_k;
    a.d_v = p->d_v;
    s->k->attend_backward(&a, p->kernel);
    narrow_rows(s->k, s->a.d_q + at->q0 * at->q_stride + h * a.d_key, p->d_q, a.queries, at->q_stride,
                a.d_key);
}

/* Heads of a group add to the same keys, so a group is one task; its sums are rounded once. */
static void backward_task(void *context, size_t first, size_t end, int worker)
{
    const narrow_attention *s = context;
    parts p = lay_out(s, at_exec_scratch(s->exec, worker));
    size_t groups = s->spec.groups, each = s->spec.heads / groups, kw = s->a.key_width, vw = s->a.value_width;
    for (size_t i = first; i < end; i++) {
        size_t b = i / groups, group = i % groups;
        place at = place_of(s, b);
        size_t k_at = at.k0 * at.k_stride + group * kw, v_at = at.k0 * at.v_stride + group * vw;
        widen_rows(s->k, p.k, s->a.k + k_at, at.keys, at.k_stride, kw);
        widen_rows(s->k, p.v, s->a.v + v_at, at.keys, at.v_stride, vw);
        memset(p.d_k, 0, at.keys * kw * sizeof *p.d_k);
        memset(p.d_v, 0, at.keys * vw * sizeof *p.d_v);
        for (size_t h = group * each; h < (group + 1) * each; h++)
            backward_head(s, &p, &at, b, h);
        narrow_rows(s->k, s->a.d_k + k_at, p.d_k, at.keys, at.k_stride, kw);
        narrow_rows(s->k, s->a.d_v + v_at, p.d_v, at.keys, at.v_stride, vw);
    }
}

static at_status run(at_exec *exec, const at_attend_spec *spec, const at_attention_bf16 *a,
                     at_range_task *task, size_t parts_each)
{
    AT_ASSERT(spec->heads > 0 && spec->groups > 0 && spec->heads % spec->groups == 0);
    AT_ASSERT(spec->queries.count == spec->keys.count && spec->dropout == 0);
    narrow_attention s = {.exec = exec, .k = exec->kernels, .spec = *spec, .a = *a};
    if (s.spec.scale == 0)
        s.spec.scale = 1.0f / sqrtf((float)a->key_width);
    for (size_t b = 0; b < spec->queries.count; b++) {
        size_t queries = (size_t)(spec->queries.offsets[b + 1] - spec->queries.offsets[b]),
               keys = (size_t)(spec->keys.offsets[b + 1] - spec->keys.offsets[b]);
        s.longest_q = queries > s.longest_q ? queries : s.longest_q;
        s.longest_k = keys > s.longest_k ? keys : s.longest_k;
    }
    at_status st = at_exec_reserve(exec, scratch_floats(&s));
    if (st == AT_OK)
        at_exec_rows(exec, spec->queries.count * parts_each, 1, task, &s);
    return st;
}

at_status at_attend_bf16(at_exec *exec, const at_attend_spec *spec, const at_attention_bf16 *a)
{
    return run(exec, spec, a, forward_task, spec->heads);
}

at_status at_attend_bf16_backward(at_exec *exec, const at_attend_spec *spec, const at_attention_bf16 *a)
{
    AT_ASSERT(a->lse && a->d_o);
    return run(exec, spec, a, backward_task, spec->groups);
}
