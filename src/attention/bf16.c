/* Attention with everything in bf16 but its sums: the kernels read and write a head where it lies. Scratch is
 * linear in the length. */
#include <math.h>
#include <string.h>
#include "attention/internal.h"

typedef struct narrow_attention {
    at_exec *exec;
    const at_kernels *k;
    at_attend_spec spec;
    at_attention_bf16 a;
    size_t longest_q, longest_k;
    size_t sums; /* floats of a group's gradients of keys and values, before the kernel's scratch */
} narrow_attention;

/* The kernel's view of head h of sequence b. */
static at_attend view(const narrow_attention *s, size_t b, size_t h)
{
    const at_attend_spec *spec = &s->spec;
    size_t q0 = (size_t)spec->queries.offsets[b], k0 = (size_t)spec->keys.offsets[b],
           group = h / (spec->heads / spec->groups);
    at_attend a = at_attend_head(spec, b, h);
    a.keys = (size_t)spec->keys.offsets[b + 1] - k0;
    a.d_key = s->a.key_width;
    a.d_value = s->a.value_width;
    a.q_stride = spec->heads * a.d_key;
    a.o_stride = spec->heads * a.d_value;
    a.k_stride = spec->groups * a.d_key;
    a.v_stride = spec->groups * a.d_value;
    size_t q_at = q0 * a.q_stride + h * a.d_key, o_at = q0 * a.o_stride + h * a.d_value,
           k_at = k0 * a.k_stride + group * a.d_key, v_at = k0 * a.v_stride + group * a.d_value;
    a.q16 = s->a.q + q_at;
    a.k16 = s->a.k + k_at;
    a.v16 = s->a.v + v_at;
    a.o16 = s->a.o + o_at;
    if (s->a.lse) {
        a.lse = s->a.lse + q0 * spec->heads + h;
        a.lse_stride = spec->heads;
    }
    if (s->a.d_o) {
        a.d_o16 = s->a.d_o + o_at;
        a.d_q16 = s->a.d_q + q_at;
        a.d_k16 = s->a.d_k + k_at;
        a.d_v16 = s->a.d_v + v_at;
    }
    return a;
}

static void forward_task(void *context, size_t first, size_t end, int worker)
{
    const narrow_attention *s = context;
    for (size_t i = first; i < end; i++) {
        at_attend a = view(s, i / s->spec.heads, i % s->spec.heads);
        s->k->attend_bf16(&a, at_exec_scratch(s->exec, worker));
    }
}

/* Heads of a group add to the same keys, so a group is one task; its sums are rounded once, by the last. */
static void backward_task(void *context, size_t first, size_t end, int worker)
{
    const narrow_attention *s = context;
    float *sums = at_exec_scratch(s->exec, worker);
    size_t groups = s->spec.groups, each = s->spec.heads / groups;
    for (size_t i = first; i < end; i++) {
        memset(sums, 0, s->sums * sizeof *sums);
        for (size_t member = 0; member < each; member++) {
            at_attend a = view(s, i / groups, i % groups * each + member);
            if (each > 1) {
                a.d_k = sums;
                a.d_v = sums + a.keys * a.d_key;
            }
            if (member + 1 < each)
                a.d_k16 = a.d_v16 = NULL;
            s->k->attend_bf16_backward(&a, sums + s->sums);
        }
    }
}

static at_status run(at_exec *exec, const at_attend_spec *spec, const at_attention_bf16 *a, bool backward)
{
    AT_ASSERT(spec->heads > 0 && spec->groups > 0 && spec->heads % spec->groups == 0);
    AT_ASSERT(spec->queries.count == spec->keys.count && spec->dropout == 0);
    narrow_attention s = {.exec = exec, .k = exec->kernels, .spec = *spec, .a = *a};
    if (s.spec.scale == 0)
        s.spec.scale = 1.0f / sqrtf((float)a->key_width);
    if (!backward)
        s.a.d_o = NULL;
    for (size_t b = 0; b < spec->queries.count; b++) {
        size_t queries = (size_t)(spec->queries.offsets[b + 1] - spec->queries.offsets[b]),
               keys = (size_t)(spec->keys.offsets[b + 1] - spec->keys.offsets[b]);
        s.longest_q = queries > s.longest_q ? queries : s.longest_q;
        s.longest_k = keys > s.longest_k ? keys : s.longest_k;
    }
    if (backward && spec->heads > spec->groups)
        s.sums = (s.longest_k * (a->key_width + a->value_width) + 15) / 16 * 16;
    size_t kernel = (backward ? s.k->attend_bf16_backward_scratch : s.k->attend_bf16_scratch)(
        s.longest_q, s.longest_k, a->key_width, a->value_width);
    at_status st = at_exec_reserve(exec, s.sums + kernel);
    if (st == AT_OK)
        at_exec_rows(exec, spec->queries.count * (backward ? spec->groups : spec->heads), 1,
                     backward ? backward_task : forward_task, &s);
    return st;
}

at_status at_attend_bf16(at_exec *exec, const at_attend_spec *spec, const at_attention_bf16 *a)
{
    return run(exec, spec, a, false);
}

at_status at_attend_bf16_backward(at_exec *exec, const at_attend_spec *spec, const at_attention_bf16 *a)
{
    AT_ASSERT(a->lse && a->d_o);
    return run(exec, spec, a, true);
}
