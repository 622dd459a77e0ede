/* attention/trace.h - the weights of any attention, exactly, on request.
 *
 * Role    A trace hangs on the tape while a model runs; each attention that it asks
 *         for computes its weights again from the kept log-sum-exp and files them.
 *         The fused kernel runs as always: looking changes nothing.
 * Owns    The maps, until at_trace_clear or _free.
 * Shapes  A map is (queries, keys), rows sum to 1; weights before dropout; or scores of
 *         an earlier stage, when asked for.
 * Errors  AT_ENOMEM through the tape.
 *
 *     at_trace *trace = at_trace_new();
 *     at_trace_want(trace, AT_CROSS, -1, -1);         // every layer, every head
 *     tape->trace = trace;
 *     … run the model …
 *     const at_trace_map *m = at_trace_find(trace, AT_CROSS, 3, 0, 0);
 *     st = at_trace_mean(trace, AT_CROSS, -1, -1, 0, weights, queries, keys);
 */
#ifndef AT_ATTENTION_TRACE_H
#define AT_ATTENTION_TRACE_H
#include "attention/attend.h"

typedef struct at_trace at_trace;
typedef struct at_trace_map {
    at_attention_kind kind;
    int layer, head;
    size_t sequence, queries, keys;
    float *weights; /* (queries, keys) */
} at_trace_map;

at_trace *at_trace_new(void);
void at_trace_free(at_trace *trace);
void at_trace_clear(at_trace *trace); /* forgets maps, keeps the wish */
void at_trace_want(at_trace *trace, at_attention_kind kind, int layer, int head); /* -1: all */
/* Of the attention that has run with this trace, wanted or not: 0 when there was none of that kind. */
int at_trace_layers(const at_trace *trace, at_attention_kind kind);
int at_trace_heads(const at_trace *trace, at_attention_kind kind);
/* Whether some of the maps are a Linformer's: its weights are of learned sums, and here each sum's is shared
 * out to the places that it is made of (attention/linformer.h). */
bool at_trace_shared_out(const at_trace *trace);
/* What maps hold from now on; at first AT_STAGE_WEIGHTS. */
void at_trace_want_stage(at_trace *trace, at_stage stage);
size_t at_trace_count(const at_trace *trace);
const at_trace_map *at_trace_at(const at_trace *trace, size_t index);
const at_trace_map *at_trace_find(const at_trace *trace, at_attention_kind kind, int layer, int head,
                                  size_t sequence);
/* Mean over the maps that match (-1: all), into out (queries, keys). AT_EARG when none does: the message says
 * which layers and heads there are; AT_ENOSUP when no attention of that kind has run. */
at_status at_trace_mean(const at_trace *trace, at_attention_kind kind, int layer, int head, size_t sequence,
                        float *out, size_t queries, size_t keys);
/* AT_ENOSUP when the model that has run has no attention of that kind (-1: of any): the message says what
 * there is instead, or what to train; else AT_OK. */
at_status at_trace_expect(const at_trace *trace, int kind);
const char *at_attention_kind_name(at_attention_kind kind);
#endif
