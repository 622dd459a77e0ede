#include "attention/rollout.h"
#include <string.h>
#include "base/memory.h"

/* out = a b, all (n,n). */
static void multiply(const float *a, const float *b, float *out, size_t n)
{
    memset(out, 0, n * n * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++) {
            float w = a[i * n + k];
            for (size_t j = 0; w != 0.0f && j < n; j++) /* half of a decoder is zero */
                out[i * n + j] += w * b[k * n + j];
        }
    }
}

at_status at_trace_rollout(const at_trace *trace, at_attention_kind kind, size_t sequence, float *out,
                           size_t n)
{
    int layers = at_trace_layers(trace, kind);
    if (kind == AT_CROSS || layers == 0)
        return at_fail(AT_ENOSUP, "rollout follows self-attention from layer to layer; %s attention %s",
                       at_attention_kind_name(kind), layers == 0 ? "there is none" : "goes elsewhere");
    if (n > AT_ROLLOUT_MOST)
        return at_fail(AT_EARG, "rollout: %zu places; at most %d", n, AT_ROLLOUT_MOST);
    float *layer = at_alloc_array(2 * n * n, sizeof *layer), *before = layer ? layer + n * n : NULL;
    if (!layer)
        return AT_ENOMEM;
    memset(out, 0, n * n * sizeof *out);
    for (size_t i = 0; i < n; i++)
        out[i * n + i] = 1.0f;
    at_status st = AT_OK;
    for (int l = 0; st == AT_OK && l < layers; l++) {
        st = at_trace_mean(trace, kind, l, -1, sequence, layer, n, n);
        if (st != AT_OK)
            break;
        for (size_t i = 0; i < n * n; i++)
            layer[i] *= 0.5f;
        for (size_t i = 0; i < n; i++)
            layer[i * n + i] += 0.5f;
        memcpy(before, out, n * n * sizeof *out);
        multiply(layer, before, out, n);
    }
    at_free(layer);
    return st;
}
