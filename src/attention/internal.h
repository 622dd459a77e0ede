/* attention/internal.h - what attend.c hands to trace.c. */
#ifndef AT_ATTENTION_INTERNAL_H
#define AT_ATTENTION_INTERNAL_H
#include "attention/trace.h"

bool at_trace_wants(at_trace *trace, at_attention_kind kind, int layer, int head);
at_stage at_trace_stage(const at_trace *trace);
/* A new map of the trace, weights uninitialised; NULL: no memory. */
at_trace_map *at_trace_add(at_trace *trace, const at_trace_map *like);

extern const at_op at_op_attention;
#endif
