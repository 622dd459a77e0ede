/* attention/pairs.h - every query with every key of its sequence: a number a pair, and what is done with it.
 *
 * Role    The steps of attention one by one, for scores that the fused kernel does not know: raw scores
 *         (attention/score.h), mask, normalise, weighted sum of the values. Where the fused kernel fits
 *         (attention/attend.h) it is faster and keeps no pairs.
 * Owns    Nothing: results live on the tape, arrays of the caller's rows until backward is through.
 * Shapes  H heads, G groups of heads that share keys, W value width, P pairs of all sequences and heads:
 *         pair (b,h,t,s) is number offsets[b] + (h*T + t)*S + s, T queries and S keys of sequence b.
 *         Scores and weights (P); values (Nk, G*W) -> (Nq, H*W).
 * Errors  Sizes that do not fit: NULL, AT_ESHAPE sticks and names both. NULL in, NULL out.
 *
 *     const at_pairs *p = at_pairs_new(tape, &(at_pairs){.heads = 1, .groups = 1, .queries = q_rows,
 *                                                        .keys = k_rows});
 *     at_var *s = at_score_dot(tape, q, k, p, 1);                               // (P)
 *     s = at_pairs_mask(tape, s, p, &(at_pair_mask){.causal = true});
 *     at_var *a = at_pairs_normalise(tape, s, p, AT_NORMALISE_SOFTMAX);         // rows sum to 1
 *     at_pairs_trace(tape, a, p, AT_CROSS, 0);
 *     at_var *c = at_pairs_sum(tape, a, v, p);                                  // (Nq,W)
 */
#ifndef AT_ATTENTION_PAIRS_H
#define AT_ATTENTION_PAIRS_H
#include "attention/attend.h"

typedef struct at_pairs {
    size_t heads, groups;
    at_rows queries, keys; /* same count; a sequence without queries or keys has no pairs */
    const int32_t
        *starts; /* (B) place of each sequence's first query, when they come step by step; NULL: 0 */
    const size_t *offsets; /* (B+1) filled by at_pairs_new */
    const int32_t *names;  /* (B) the number of each sequence in a trace; NULL: b */
} at_pairs;

/* A copy on the tape, with offsets. */
const at_pairs *at_pairs_new(at_tape *tape, const at_pairs *like);
size_t at_pairs_total(const at_pairs *pairs);

/* Which pairs count. All that is given must hold. */
typedef struct at_pair_mask {
    bool causal;         /* the query at place t sees keys 0 … t */
    int64_t window;      /* and only the last `window` of them; 0: all */
    int64_t reach;       /* local attention: keys c-reach … c+reach around a centre c; 0: all */
    const at_var *share; /* (Nq,1) c = share * S, Luong's local-p; NULL: c = min(t, S-1), local-m */
    const float *added;  /* (P) 0 or -INFINITY; NULL: none */
} at_pair_mask;

/* -INFINITY where the mask hides a pair. Luong et al. 2015, arXiv:1508.04025, section 3.2 for `reach`. */
at_var *at_pairs_mask(at_tape *tape, at_var *scores, const at_pairs *pairs, const at_pair_mask *mask);

typedef enum at_normaliser {
    AT_NORMALISE_SOFTMAX,
    AT_NORMALISE_SPARSEMAX, /* Martins and Astudillo 2016, arXiv:1602.02068 */
    AT_NORMALISE_NONE,      /* scores are the weights; hidden pairs weigh 0 */
    AT_NORMALISERS
} at_normaliser;
#define AT_NORMALISER_CHOICES "softmax|sparsemax|none"

/* Over the keys of each query and head; a query that sees no key gets zeros. */
at_var *at_pairs_normalise(at_tape *tape, at_var *scores, const at_pairs *pairs, at_normaliser how);

/* weights * exp(-(s - c)^2 / (2 (reach/2)^2)), c = share * S with share (Nq,1): Luong et al. 2015, eq. 10. */
at_var *at_pairs_focus(at_tape *tape, at_var *weights, at_var *share, const at_pairs *pairs, int64_t reach);

/* Dropout of weights while training, drawn as the fused kernel draws it. */
at_var *at_pairs_drop(at_tape *tape, at_var *weights, const at_pairs *pairs, float rate);

/* out[t] = sum over s of weights[t,s] v[s], head by head. */
at_var *at_pairs_sum(at_tape *tape, at_var *weights, at_var *v, const at_pairs *pairs);

/* Files the weights as they are when the tape's trace asks for them. Queries that come step by step (starts)
 * are rows of one map: start 0 begins it. */
void at_pairs_trace(at_tape *tape, const at_var *weights, const at_pairs *pairs, at_attention_kind kind,
                    int layer);

/* Cached keys or values of a running model, laid together: (sum of lengths, width), and as sequences. */
at_var *at_pairs_gather(at_tape *tape, const at_cached_keys *caches, size_t count, size_t heads, size_t width,
                        bool values);
bool at_pairs_lengths(at_tape *tape, const at_cached_keys *caches, size_t count, at_rows *rows);

extern const at_op *const at_pair_ops[]; /* of pairs.h and score.h */
#endif
