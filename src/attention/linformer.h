/* attention/linformer.h - keys and values of a sequence, however long, as k rows of each.
 *
 * Role    Linformer: softmax(Q (E^T K)^T / sqrt(d)) F^T V. Each of the k rows is a learned sum over all
 *         places of a sequence, so attention behind it (attention/attend.h) costs n k instead of n n.
 *         Wang et al. 2020, arXiv:2006.04768, section 4.
 * Owns    Nothing: E and F are the caller's (layer/multi_head.h), results live on the tape.
 * Shapes  x (N, G*W) rows of keys or of values; e (P,k), or (G,P,k) with a projection for each group of
 *         heads: P the longest sequence, k any, above P too -> (B*k, G*W). A sequence of n rows meets the
 *         first n rows of e.
 * Errors  A sequence longer than P: NULL, AT_ENOSUP sticks and names both. NULL in, NULL out.
 *
 *     at_var *keys = at_linformer(tape, k, e, groups, &rows, false);
 *     at_var *values = at_linformer(tape, v, f, groups, &rows, false);
 *     at_attend_spec spec = {.heads = 8, .groups = 8, .queries = rows};
 *     if (at_linformer_rows(tape, &rows, 256, &spec.keys))
 *         c = at_attention(tape, q, keys, values, &spec);
 */
#ifndef AT_ATTENTION_LINFORMER_H
#define AT_ATTENTION_LINFORMER_H
#include "attention/attend.h"

/* Row j of sequence b: the sum over its rows i of e[i,j] x[i]. rounded: as attend.h's. */
at_var *at_linformer(at_tape *tape, at_var *x, at_var *e, size_t groups, const at_rows *rows, bool rounded);

/* The rows that at_linformer makes: k of each sequence, which sees all of them. False: see the tape. */
bool at_linformer_rows(at_tape *tape, const at_rows *rows, size_t k, at_rows *projected);

/* x without the rows that a mask of keys hides (numbers[i] -INFINITY for row i of a sequence), zeros instead:
 * what is summed over places cannot be masked afterwards. bias: one row of numbers for all queries and heads,
 * each 0 or -INFINITY (AT_ENOSUP otherwise). */
at_var *at_linformer_hide(at_tape *tape, at_var *x, const at_score_bias *bias, const at_rows *rows);

/* What a trace files: weights meet k projected rows, and what reaches the output of row s of the values is
 * sum_j weights[t,j] f[s,j], of either sign. The maps filed since there were `before` of them become
 * (queries, n): the size of that, over the sum of its row. A reading of the weights, not the weights; of
 * other stages than AT_STAGE_WEIGHTS there is none (AT_ENOSUP). */
void at_linformer_trace(at_tape *tape, size_t before, const at_var *f, size_t heads, const at_rows *rows);

extern const at_op *const at_linformer_ops[];
#endif
