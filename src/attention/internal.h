/* attention/internal.h - shared by the files of this folder. */
#ifndef AT_ATTENTION_INTERNAL_H
#define AT_ATTENTION_INTERNAL_H
#include "attention/pairs.h"
#include "attention/trace.h"

/* What the spec says of head h of sequence b; widths, strides and pointers are the caller's. */
at_attend at_attend_head(const at_attend_spec *spec, size_t b, size_t h);

bool at_trace_wants(at_trace *trace, at_attention_kind kind, int layer, int head);
at_stage at_trace_stage(const at_trace *trace);
/* A new map of the trace, weights uninitialised; NULL: no memory. */
at_trace_map *at_trace_add(at_trace *trace, const at_trace_map *like);
/* Map i, to be written anew, and memory for its numbers (NULL: none). */
void at_trace_share_out(at_trace *trace);
at_trace_map *at_trace_map_at(at_trace *trace, size_t index);
float *at_trace_room(at_trace *trace, size_t count);
/* like->queries more rows of a map that so far has `start`; a new one when start is 0. Where to write them;
 * NULL: no memory. */
float *at_trace_append(at_trace *trace, const at_trace_map *like, size_t start);

/* Where head h of sequence b stands: its pairs (T,S), its rows of queries and of keys. */
typedef struct at_pair_block {
    size_t at, first_query, first_key, queries, keys;
} at_pair_block;
at_pair_block at_pairs_block(const at_pairs *pairs, size_t b, size_t h);
/* What is it that has not one number a pair? NULL scores: already failed. */
bool at_pairs_expect(at_tape *tape, const char *what, const at_var *scores, const at_pairs *pairs);
/* (rows, heads * w) with whole w: w; 0 and AT_ESHAPE otherwise. */
size_t at_pairs_width(at_tape *tape, const char *what, const at_var *x, const at_rows *rows, size_t heads);
/* For the profile: multiply-adds a pair. */
void at_pairs_count(at_tape *tape, const at_pairs *pairs, size_t products);
/* task over sequences x parts, item b * parts + part; `work` multiplications a pair decide how it is cut. */
void at_pairs_run(at_tape *tape, const at_pairs *pairs, size_t parts, size_t work, at_range_task *task,
                  void *context);
/* Longest sequence of queries times keys, and of keys. */
size_t at_pairs_largest(const at_pairs *pairs, size_t *keys);

/* One serial product of a block: c (m,n) [+]= a (m,k) · b; b is (k,n), or (n,k) when transposed. */
typedef struct at_block_product {
    const float *a;
    size_t a_row, a_col;
    const float *b;
    size_t b_row;
    bool transposed;
    float *c;
    size_t c_row, m, n, k;
    bool accumulate;
} at_block_product;
/* scratch: at_block_scratch(…, k, n) floats when transposed. */
void at_block_multiply(const at_kernels *kernels, const at_block_product *p, float *scratch);
size_t at_block_scratch(const at_kernels *kernels, size_t k, size_t n);

extern const at_op at_op_attention, at_op_guide, at_op_guide_pairs, at_op_pairs_mask, at_op_pairs_normalise,
    at_op_pairs_focus, at_op_pairs_drop, at_op_pairs_sum, at_op_score_dot, at_op_score_additive,
    at_op_score_location, at_op_unit_rows;
#endif
