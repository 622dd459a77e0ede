/* attention/score.h - how well each query matches each key: one table of every score.
 *
 * Role    First step of attention by steps (attention/pairs.h): raw scores, before mask and
 *         normalisation. What a score learns stands outside (layer/scorer.h): the operations here take
 *         queries and keys already projected, so what depends on keys alone is made once for all queries.
 * Owns    Nothing: results live on the tape.
 * Shapes  H heads, G groups, K key width, A hidden width: q (Nq, H*K), k (Nk, G*K) -> scores (P).
 * Errors  Widths that do not fit: NULL, AT_ESHAPE sticks and names both shapes. NULL in, NULL out.
 *
 *     at_var *s = at_score_dot(tape, q, k, pairs, 0.125f);                        // scaled dot, K = 64
 *     at_var *s = at_score_additive(tape, q_hidden, k_hidden, v, pairs);          // Bahdanau
 *     at_var *s = at_score_dot(tape, at_unit_rows(tape, q, H, NULL), at_unit_rows(tape, k, G, NULL),
 *                              pairs, 1);                                         // cosine
 */
#ifndef AT_ATTENTION_SCORE_H
#define AT_ATTENTION_SCORE_H
#include "attention/pairs.h"

typedef enum at_score {
    AT_SCORE_SCALED_DOT, /* what the fused kernel computes: the usual one is 0 */
    AT_SCORE_DOT,
    AT_SCORE_GENERAL,
    AT_SCORE_ADDITIVE,
    AT_SCORE_CONCAT,
    AT_SCORE_COSINE,
    AT_SCORE_COSINE_LEARNED,
    AT_SCORE_LOCATION,
    AT_SCORES
} at_score;
#define AT_SCORE_CHOICES "scaled-dot|dot|general|additive|concat|cosine|cosine-learned|location"

typedef struct at_score_row {
    const char *name, *formula, *paper;
    bool equal_widths; /* of queries and keys */
    bool reads_keys;   /* location does not: their number is enough */
} at_score_row;

extern const at_score_row at_score_table[AT_SCORES]; /* at_score is the row */

/* scores = factor * q · k. Luong et al. 2015 (factor 1), Vaswani et al. 2017 (1 / sqrt(K)). */
at_var *at_score_dot(at_tape *tape, at_var *q, at_var *k, const at_pairs *pairs, float factor);

/* scores = v_h · tanh(q + k); q (Nq, H*A), k (Nk, G*A) already projected, v (H*A).
 * Bahdanau et al. 2015, arXiv:1409.0473, appendix A.1.2; Luong's concat is the same of one matrix's parts. */
at_var *at_score_additive(at_tape *tape, at_var *q, at_var *k, at_var *v, const at_pairs *pairs);

/* scores[t,s] = places[t,s]; places (Nq, H*M) made from the query alone, M places a head. Keys behind the
 * M-th are hidden. Luong et al. 2015, eq. 8. */
at_var *at_score_location(at_tape *tape, at_var *places, const at_pairs *pairs);

/* Each head's part of each row over its length, times gain[head] when there is one: x (N, H*K), gain (H) or
 * NULL. A row of zeros stays one. With it dot becomes cosine: Graves et al. 2014, arXiv:1410.5401, eq. 6;
 * with a learned gain Henry et al. 2020, arXiv:2010.04245. */
at_var *at_unit_rows(at_tape *tape, at_var *x, size_t heads, at_var *gain);
#endif
