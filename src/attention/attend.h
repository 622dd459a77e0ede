/* attention/attend.h - the mechanism: similarity of query and key, softmax, weighted sum of values.
 *
 * Role    attention(Q,K,V) = softmax(cap(scale Q K^T) + bias + mask) V for many heads and many
 *         sequences at once, fused: no (queries x keys) matrix is kept, forward or
 *         backward; only the log-sum-exp of each query's scores is, from which any
 *         weight can be computed again exactly (attention/trace.h).
 *         Vaswani et al. 2017, eq. 1; tiles as in Dao et al. 2022, arXiv:2205.14135.
 * Owns    Nothing: results live on the tape.
 * Shapes  H heads, G groups of heads that share keys (G divides H), K key width,
 *         W value width: q (Nq, H*K), k (Nk, G*K), v (Nk, G*W) -> (Nq, H*W).
 *         Sequence b's queries look at sequence b's keys only: rows, no padding.
 * Errors  Widths that do not fit: NULL, AT_ESHAPE sticks and names the shapes.
 *
 *     at_attend_spec self = {.heads = 4, .groups = 4, .causal = true, .queries = rows, .keys = rows};
 *     at_var *c = at_attention(tape, q, k, v, &self);
 */
#ifndef AT_ATTENTION_ATTEND_H
#define AT_ATTENTION_ATTEND_H
#include "autograd/ops.h"

typedef enum at_attention_kind { AT_ENCODER_SELF, AT_DECODER_SELF, AT_CROSS } at_attention_kind;

/* Numbers added to the scores: a mask (0 and -INFINITY), distances (Press et al. 2022, ALiBi,
 * arXiv:2108.12409), whatever the caller likes. Constants: no gradient goes there. Number (b,h,t,s) is
 * numbers[(sequences ? sequences[b] : 0) + h * head_stride + t * query_stride + s]. */
typedef struct at_score_bias {
    const float *numbers;    /* NULL: none; lives until backward is through, `sequences` too */
    size_t count;            /* of all of them: what reaches past it is AT_ESHAPE */
    const size_t *sequences; /* (B) where each sequence's begin; NULL: all share the first */
    size_t head_stride;      /* 0: the same for all heads */
    size_t query_stride;     /* 0: the same for all queries */
} at_score_bias;

typedef struct at_attend_spec {
    size_t heads, groups;
    bool causal;         /* query t sees keys 0 … t (+ what came before, when cached) … */
    int64_t ahead;       /* … and `ahead` more: a window to both sides */
    int64_t window;      /* and of keys up to its own only the last `window`; 0: all */
    const int32_t *past; /* (B) which key is the first query's own; NULL: 0, and when causal and cached, keys
                             * - queries */
    float scale;         /* of the scores; 0: 1 / sqrt(K) */
    float softcap;       /* scores become softcap * tanh(score / softcap), before the bias; 0: not */
    at_score_bias bias;
    float dropout;         /* of the weights, while training */
    bool rounded;          /* what is multiplied may be rounded to bf16, as for products with weights in bf16:
                             * where the CPU has dot products of it, and no weights are traced */
    at_rows queries, keys; /* same count */
    at_attention_kind kind; /* what a trace calls this attention */
    int layer;
} at_attend_spec;

at_var *at_attention(at_tape *tape, at_var *q, at_var *k, at_var *v, const at_attend_spec *spec);

/* Keys and values that a running model has cached, one a sequence. */
typedef struct at_cached_keys {
    const float *k, *v;
    const at_bf16 *k16, *v16; /* or these: in all caches of a call, or in none */
    size_t capacity;          /* (G, capacity, K) and (G, capacity, W): a head's rows are one stream out of
                               * memory; 0: rows of width G*K and G*W */
    const int32_t *rows;      /* (length) row numbers; NULL: 0, 1, … */
    size_t length;
} at_cached_keys;

/* The same with cached keys: caches[b] for sequence b of spec->queries, whose rows are the newest when
 * causal. Not recorded: for running only. value_width: G*W. */
at_var *at_attention_cached(at_tape *tape, at_var *q, const at_cached_keys *caches, size_t key_width,
                            size_t value_width, const at_attend_spec *spec);

/* The same attention, everything that goes in and out in bf16, sums in fp32: (Nq, H*K), (Nk, G*K), (Nk, G*W)
 * -> o (Nq, H*W), each row-major; lse (Nq, H) is what the backward needs, or NULL. On no tape: no dropout, no
 * trace. AT_ENOMEM. */
typedef struct at_attention_bf16 {
    size_t key_width, value_width; /* K, W */
    const at_bf16 *q, *k, *v;
    at_bf16 *o;
    float *lse;
    /* Backward: d_o in, the others written. */
    const at_bf16 *d_o;
    at_bf16 *d_q, *d_k, *d_v;
} at_attention_bf16;
at_status at_attend_bf16(at_exec *exec, const at_attend_spec *spec, const at_attention_bf16 *a);
at_status at_attend_bf16_backward(at_exec *exec, const at_attend_spec *spec, const at_attention_bf16 *a);

/* A bias of a mask: 0 where it is not 0 (look), -INFINITY where it is 0 (do not). */
void at_bias_of_mask(float *bias, const unsigned char *mask, size_t count);

extern const at_op *const at_attention_ops[];
#endif
