/* layer/multi_head.h - attention with projections: Vaswani et al. 2017, section 3.2.2.
 *
 * Role    MultiHead(Q,K,V) = Concat(head_1 … head_H) W_o, head_i = attention(Q W_q, K W_k, V W_v).
 *         Queries, keys and values may come from one, two or three sources, of
 *         different widths; keys may serve as values (no W_v).
 *         Scaled dot with softmax runs fused; every other score or normaliser by pairs
 *         (layer/scorer.h), the projections being its queries and keys. With Linformer both attend to k
 *         learned sums over a sequence's keys and values (attention/linformer.h).
 * Owns    Nothing: the parameters are the model's.
 * Shapes  q (Nq,·), k (Nk,·), v (Nk,·) -> (Nq,D) with D the rows of W_o.
 * Errors  Linformer with a causal mask, a window, or numbers added to single scores: AT_ENOSUP sticks and
 *         says why.
 *
 *     at_var *c = at_multi_head(tape, &layer->self, x, x, x, &spec);
 */
#ifndef AT_LAYER_MULTI_HEAD_H
#define AT_LAYER_MULTI_HEAD_H
#include "attention/linformer.h"
#include "layer/layer.h"
#include "layer/rotary.h"
#include "layer/scorer.h"

typedef struct at_projection {
    at_param *weight, *bias; /* bias NULL: none */
} at_projection;

/* Wang et al. 2020, arXiv:2006.04768: keys (P,k) is E, values (P,k) is F; (G,P,k) with one for each group. */
typedef struct at_linformer_spec {
    size_t slots;      /* k; 0: every query looks at every key */
    size_t places;     /* P, the longest sequence */
    bool share_heads;  /* one matrix for all heads */
    bool share_values; /* E is F */
    bool
        share_layers; /* at_linformer_declare once, by the caller, who gives the same weights to all layers */
} at_linformer_spec;

typedef struct at_linformer_weights {
    at_param *keys, *values; /* NULL: none; the same when shared */
} at_linformer_weights;

typedef struct at_multi_head_weights {
    at_projection query, key, value, out; /* value.weight NULL: keys are the values */
    const at_rotary *rotary;              /* turns queries and keys; NULL: they stay as they are */
    at_scorer scorer;
    at_linformer_weights linformer;
    at_param *temperature; /* (H) a factor of each head's scores; NULL: none */
} at_multi_head_weights;

typedef struct at_projection_names {
    const char *query, *key, *value, *out;
} at_projection_names;

typedef struct at_multi_head_spec {
    size_t query_width, key_width, value_width; /* of the three sources */
    size_t heads, groups, head_width, out_width;
    bool shared_values, biases;
    const at_projection_names *names; /* NULL: q_proj, k_proj, v_proj, out_proj */
    at_score score;                   /* its parameters are prefix + "score." + … */
    at_normaliser normalise;
    size_t places; /* location: longest sequence of keys */
    at_linformer_spec linformer;
} at_multi_head_spec;

/* Declares prefix + name of the projection + .weight, .bias. */
at_status at_projection_declare(at_params *params, const char *prefix, const char *name, at_shape shape,
                                bool bias, at_projection *projection);
/* The same for all projections of the heads. */
at_status at_multi_head_declare(at_params *params, const char *prefix, const at_multi_head_spec *spec,
                                at_multi_head_weights *weights);

/* prefix + "linformer.keys", and "linformer.values" unless they are shared; first numbers N(0, 1/k). */
at_status at_linformer_declare(at_params *params, const char *prefix, const at_linformer_spec *spec,
                               size_t groups, at_linformer_weights *weights);

at_var *at_project(at_tape *tape, const at_projection *projection, at_var *x);
/* Added to `base`, unless it is NULL. */
at_var *at_project_onto(at_tape *tape, at_var *base, const at_projection *projection, at_var *x);

/* v is not read when keys are the values. base: what the result is added to, or NULL. */
at_var *at_multi_head(at_tape *tape, const at_multi_head_weights *weights, at_var *q, at_var *k, at_var *v,
                      const at_attend_spec *spec, at_var *base);

/* Between the projections: q (Nq, H*K), k, v -> (Nq, H*W), fused where the score allows it. By pairs neither
 * bias, soft-cap, keys ahead nor a scale of one's own are known (AT_ENOSUP). */
at_var *at_heads_attend(at_tape *tape, const at_multi_head_weights *weights, at_var *q, at_var *k, at_var *v,
                        const at_attend_spec *spec);
/* The same with the keys and values of a state, of these widths: running only. */
at_var *at_heads_attend_cached(at_tape *tape, const at_multi_head_weights *weights, at_var *q,
                               const at_cached_keys *caches, size_t key_width, size_t value_width,
                               const at_attend_spec *spec);
#endif
