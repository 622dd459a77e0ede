/* layer/scorer.h - a score with what it learns, mask, normaliser and local attention: weights of every pair.
 *
 * Role    One choice for recurrent and for multi-head attention. What depends on keys alone (W k, k / |k|) is
 *         made once by at_scorer_begin and serves all steps of a loop; so are packed weights of queries.
 * Owns    Nothing: parameters are the model's, results the tape's.
 * Shapes  H heads, G groups; q (Nq, H*Kq), keys (Nk, G*Kk) -> weights (P), see attention/pairs.h.
 *         Parameters, named prefix + : general "weight" (Kq,Kk); additive "query.weight" (A,Kq),
 *         "key.weight" (A,Kk), "v" (H*A); concat "weight" (A,Kq+Kk), "v" (H*A); cosine-learned "gain" (H);
 *         location "weight" (M,Kq); local-p "centre.hidden.weight" (C,H*Kq), "centre.out.weight" (1,C).
 *         Heads share the matrices.
 * Errors  AT_EARG from declare: widths that the score cannot join, a reach of 0. Then as attention/pairs.h.
 *
 *     at_scorer scorer;
 *     st = at_scorer_declare(params, "attention.", &(at_scorer_spec){.score = AT_SCORE_ADDITIVE, .heads = 1,
 *                            .query_width = 512, .key_width = 1024, .hidden = 512}, &scorer);
 *     at_scorer_run *run = at_scorer_begin(tape, &scorer, keys, 1, target_rows);
 *     for (size_t t = 0; t < steps; t++) {
 *         const at_pairs *p = at_pairs_new(tape, &(at_pairs){.heads = 1, .groups = 1, .queries = step_rows,
 *                                                             .keys = source_rows, .starts = places});
 *         at_var *a = at_scorer_weights(tape, run, s, p, NULL);
 *         context = at_pairs_sum(tape, a, values, p);
 *     }
 */
#ifndef AT_LAYER_SCORER_H
#define AT_LAYER_SCORER_H
#include "attention/guide.h"
#include "attention/score.h"
#include "layer/repeated.h"

typedef enum at_local {
    AT_LOCAL_NONE,
    AT_LOCAL_MONOTONIC,  /* around the query's own place (at_pairs.starts + t) */
    AT_LOCAL_PREDICTIVE, /* around S * sigmoid(v_p · tanh(W_p q)), under a bell */
    AT_LOCALS
} at_local; /* Luong et al. 2015, arXiv:1508.04025, section 3.2 */
#define AT_LOCAL_CHOICES "none|local-m|local-p"

typedef struct at_scorer_spec {
    at_score score;
    at_normaliser normalise;
    at_local local;
    int64_t reach;                 /* local: keys on each side of the centre, at least 1 */
    size_t query_width, key_width; /* of one head */
    size_t heads;                  /* 0: 1 */
    size_t hidden;                 /* A of additive and concat, C of local-p; 0: query_width */
    size_t places;                 /* M of location: keys behind the M-th are never seen */
    bool projected;                /* additive: queries and keys are projections already, hidden wide */
} at_scorer_spec;

typedef struct at_scorer {
    at_scorer_spec spec;
    at_param *weight, *query, *key, *v, *gain, *centre_hidden, *centre_out; /* NULL: this score has none */
} at_scorer;

at_status at_scorer_declare(at_params *params, const char *prefix, const at_scorer_spec *spec,
                            at_scorer *scorer);

typedef struct at_scorer_run at_scorer_run;

/* keys of `groups` groups; rows: the most queries that all calls of at_scorer_weights have together.
 * NULL: see the tape. */
at_scorer_run *at_scorer_begin(at_tape *tape, const at_scorer *scorer, at_var *keys, size_t groups,
                               size_t rows);
/* The same with keys that at_scorer_keys has made, as a running model keeps them for a source. */
at_scorer_run *at_scorer_resume(at_tape *tape, const at_scorer *scorer, at_var *keys, size_t groups,
                                size_t rows);
at_var *at_scorer_keys(at_tape *tape, const at_scorer *scorer, at_var *keys, size_t groups);
size_t at_scorer_key_width(const at_scorer *scorer); /* of those, a head's */

/* Score, mask (NULL: none; local attention adds its own), normalise, bell of local-p. pairs: heads and groups
 * as declared and begun. */
at_var *at_scorer_weights(at_tape *tape, at_scorer_run *run, at_var *q, const at_pairs *pairs,
                          const at_pair_mask *mask);
/* Teaches the weights made last, where the tape's guide names this attention (attention/guide.h). Local-p is
 * refused: its bell lies over the normalised weights. False: see the tape. */
bool at_scorer_guide(at_tape *tape, const at_scorer_run *run, const at_pairs *pairs, at_attention_kind kind,
                     int layer);
/* Its steps alone: local-p's centre as a share of the keys (Nq,1), NULL otherwise; and raw scores. */
at_var *at_scorer_share(at_tape *tape, at_scorer_run *run, at_var *q);
at_var *at_scorer_scores(at_tape *tape, at_scorer_run *run, at_var *q, const at_pairs *pairs);
#endif
