/* kernel/kernel.h - the table of serial loops on raw pointers.
 *
 * Role    One entry an inner loop. `ref/` in plain C is the specification; `simd/`
 *         holds one source compiled once for each level of the CPU and overrides
 *         entries. Chosen once (kernel/exec.h), const afterwards.
 * Owns    Nothing; kernels allocate nothing, know no threads and cannot fail.
 * Shapes  Row-major floats. A "slice" is the part of an operation that one thread
 *         does; operations cut their work by shape, so bits never depend on the
 *         number of threads. Each output is summed over k in one fixed order, also
 *         at edges: a row's bits do not depend on the rows around it.
 * Numbers No fast-math. Masked scores are -INFINITY; a row with nothing to look at
 *         gives zeros.
 */
#ifndef AT_KERNEL_KERNEL_H
#define AT_KERNEL_KERNEL_H
#include "base/status.h"
#include "kernel/cell.h"
#include "tensor/tensor.h"

typedef enum at_activation {
    AT_LINEAR,
    AT_RELU,
    AT_GELU,
    AT_GELU_TANH,
    AT_SILU,
    AT_TANH,
    AT_SIGMOID
} at_activation;

/* C (m,n) = [C +] A (m,k) · B (k,n), then bias, activation, residual.
 * A's element (i,l) is a[i*a_row + l*a_col]: any transposition of A is a stride.
 * B's element (l,j) is b[(j/panel)*b_panel + l*b_row + j%panel]: packed panels
 * (b_row = panel, b_panel = k*panel, the last panel padded with zeros) or a plain
 * row-major matrix (b_row = its row stride, b_panel = panel). */
typedef struct at_gemm {
    const float *a;
    size_t a_row, a_col;
    const float *b;
    size_t b_row, b_panel;
    const at_bf16 *b16; /* instead of b: panels that pack_bf16 made, b_panel apart; the products and sums are
                         * those of the numbers widened to fp32, bit for bit, unless the kernels' `dots` says
                         * that A is rounded to bf16 too */
    float *c;
    size_t c_row;
    size_t m, n, k;
    bool accumulate;   /* c += …; otherwise c is only written */
    const float *bias; /* (n), or NULL; added once, also when accumulating */
    at_activation activation;
    float *before;         /* (m,n) stride c_row: value before activation, or NULL */
    const float *residual; /* (m,n) stride c_row, added after activation, or NULL */
} at_gemm;

/* Attention of one head over one sequence (or one slot of a state).
 * score(t,s) = cap(scale * q_t · k_s) + bias(t,s), cap(x) = softcap * tanh(x / softcap).
 * visible s: s < keys, and causal: s <= t + past + ahead, and window > 0: s > t + past - window;
 * bias -INFINITY hides a key too. weights = softmax; o_t = sum_s w_ts v_s.
 * Key s is row (rows ? rows[s] : s) of k and v. */
typedef struct at_attend {
    const float *q, *k, *v; /* (queries,d_key), (keys,d_key), (keys,d_value) */
    float *o;               /* (queries,d_value) */
    float *lse;             /* (queries) with stride lse_stride: log-sum-exp of the scores, or NULL */
    size_t q_stride, k_stride, v_stride, o_stride, lse_stride;
    const at_bf16 *q16, *k16, *v16; /* attend_bf16: k16, v16 instead of k and v, q16 instead of q; strides */
    at_bf16 *o16;                   /* count numbers. o16 instead of o, with q16 only */
    const int32_t *rows;
    size_t queries, keys, d_key, d_value;
    float scale;
    bool causal;
    int64_t past, window, ahead; /* window 0: unlimited */
    float softcap;               /* 0: scores as they are */
    const float *bias;           /* (queries,keys), or NULL */
    size_t bias_stride;          /* from query to query; 0: one row for all */
    float drop_rate;             /* 0: none. Weight (t,s) is kept or zeroed by word s%4 of */
    uint32_t drop_key[2];        /* philox({s/4, t, drop_counter[0], drop_counter[1]}, drop_key) */
    uint32_t drop_counter[2];
    /* Backward only: */
    const float *d_o;       /* (queries,d_value) stride o_stride */
    float *d_q, *d_k, *d_v; /* added to; strides as q, k, v; never with `rows` */
    /* attend_bf16_backward: d_o16 in; d_q16 is written. Sums for keys that several heads share stay in fp32
     * from head to head: d_k and d_v, rows side by side, are added to (NULL: nothing was before), and
     * rounded to d_k16 and d_v16 where these are given. */
    const at_bf16 *d_o16;
    at_bf16 *d_q16, *d_k16, *d_v16;
} at_attend;

/* Rotary positions of one row: in each head the pair (a, b) number i becomes (a c - b s, b c + a s) with
 * c = cosines[i], s = sines[i]. Pairs are (2i, 2i+1) when interleaved, otherwise (i, i + pairs); elements
 * from 2 * pairs on are copied. x == out only without accumulate. */
typedef struct at_turn {
    float *out;
    const float *x; /* (heads, width) */
    size_t heads, width;
    const float *cosines, *sines; /* (pairs) */
    size_t pairs;
    bool interleaved;
    bool back;       /* the other way round: the turn's inverse and transpose */
    bool accumulate; /* out += …; otherwise only written */
} at_turn;

/* The additive score of one query, score[s] = v · tanh(q + k_s). Bahdanau et al. 2015, arXiv:1409.0473. */
typedef struct at_additive {
    const float *q, *k, *v; /* (width), (keys,width) with k_stride, (width) */
    size_t keys, width, k_stride;
    /* Backward only: */
    const float *d_scores;  /* (keys) */
    float *d_q, *d_k, *d_v; /* added to; strides as q, k, v */
} at_additive;

/* What attend_weights gives: (keys) numbers a query at one of the stages on the way. */
typedef enum at_stage {
    AT_STAGE_WEIGHTS,  /* softmax of the scores, without dropout; 0 where not visible */
    AT_STAGE_PRODUCTS, /* scale * q · k of every key, visible or not */
    AT_STAGE_CAPPED,   /* the same after the soft-cap */
    AT_STAGE_SCORES,   /* with bias; -INFINITY where not visible */
} at_stage;

typedef struct at_adam {
    float lr, beta1, beta2, eps, decay; /* decay: decoupled (AdamW), 0 none */
    float correct1, correct2;           /* 1 / (1 - beta^step) */
    float grad_scale;                   /* clipping: multiplies the gradient */
} at_adam;

/* Numbers of a panel of pack_bf16. */
static inline size_t at_bf16_panel(size_t panel, size_t k)
{
    return (k + 1) / 2 * 2 * panel;
}

typedef struct at_kernels {
    const char *name; /* "ref", "avx2", "avx512", "avx512bf16", "neon" */
    size_t panel;     /* columns of a packed panel */
    size_t tile;      /* rows that the product takes at a time: a good unit to cut m by */
    bool dots; /* products with b16 and attend_bf16 take the CPU's dot products of bf16, sums in fp32 */

    /* panels [p0,p1) of B (k,n), element (l,j) at b[l*b_row + j*b_col]; panel p at out + p*k*panel */
    void (*pack)(float *out, const float *b, size_t b_row, size_t b_col, size_t k, size_t n, size_t p0,
                 size_t p1);
    /* The same of numbers in bf16. Rows of a panel go in pairs, as the CPUs' dot products want them: element
     * (l,j) of panel p at out + p*size + (l/2)*2*panel + 2*j + l%2, size = at_bf16_panel(panel, k); the
     * partner of an odd last row is zeros. */
    void (*pack_bf16)(at_bf16 *out, const at_bf16 *b, size_t b_row, size_t b_col, size_t k, size_t n,
                      size_t p0, size_t p1);
    /* Those of fp32 rounded to bf16; element (l,j) at b[l*b_row + j] */
    void (*pack_narrow)(at_bf16 *out, const float *b, size_t b_row, size_t k, size_t n, size_t p0, size_t p1);
    void (*widen)(float *out, const at_bf16 *a, size_t n);  /* exact */
    void (*narrow)(at_bf16 *out, const float *a, size_t n); /* to the nearest, ties to even; NaN stays NaN */
    void (*round_bf16)(float *out, const float *a, size_t n); /* there and back; out may equal a */
    /* rows [m0,m1), columns [n0,n1) of C; n0 a multiple of panel, n1 too or n */
    void (*gemm)(const at_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1);

    void (*attend)(const at_attend *a, float *scratch);          /* forward */
    void (*attend_backward)(const at_attend *a, float *scratch); /* needs o and lse of the forward */
    /* rows t0…t1-1 (keys) of one stage, weights from the forward's lse: exact rows on request */
    void (*attend_weights)(const at_attend *a, size_t t0, size_t t1, at_stage stage, float *out);
    size_t (*attend_scratch)(size_t queries, size_t keys, size_t d_key, size_t d_value); /* floats */
    /* Forward with k16 and v16, sums in fp32, no dropout. One query or two take a path of their own, so a
     * row's bits depend on whether it has the company of two. With `dots`, queries and weights are rounded to
     * bf16 for the products, and denormal numbers count as zeros there. */
    void (*attend_bf16)(const at_attend *a, float *scratch);
    size_t (*attend_bf16_scratch)(size_t queries, size_t keys, size_t d_key, size_t d_value);
    /* All of q16, k16, v16, o16 and lse of the forward. With `dots`, weights and slopes of scores are
     * rounded too. With `dots` both also take all in fp32, as attend and attend_backward do, dropout too,
     * and round what they multiply: attention of mixed training. */
    void (*attend_bf16_backward)(const at_attend *a, float *scratch);
    size_t (*attend_bf16_backward_scratch)(size_t queries, size_t keys, size_t d_key, size_t d_value);

    /* elementwise, n floats; out may equal an input */
    void (*add)(float *out, const float *a, const float *b, size_t n);
    void (*mul)(float *out, const float *a, const float *b, size_t n);
    void (*mul_add)(float *out, const float *a, const float *b, size_t n); /* out += a * b */
    void (*scale)(float *out, const float *a, float s, size_t n);
    void (*axpy)(float *out, float s, const float *a, size_t n); /* out += s * a */
    void (*exp)(float *out, const float *a, size_t n);
    void (*activate)(float *out, const float *a, at_activation f, size_t n);
    /* d_in += d_out * f'; `before` is f's input, `after` its output (either may be NULL where f needs it not:
     * relu, tanh, sigmoid read `after`, the others `before`) */
    void (*activate_backward)(float *d_in, const float *d_out, const float *before, const float *after,
                              at_activation f, size_t n);
    /* out = [base +] (kept ? a / (1-rate) : 0); element i uses word i%4 of philox({i/4, counter[0..2]}, key);
     * kept when the word >= rate * 2^32. base may be NULL or equal to out. */
    void (*dropout)(float *out, const float *base, const float *a, size_t n, float rate,
                    const uint32_t key[2], const uint32_t counter[3]);

    /* Of a maximum over taps: where x is larger, best becomes x and which becomes tap; the first of equals
     * stays. Backward: d += d_out where which is this tap. */
    void (*larger)(float *best, float *which, const float *x, float tap, size_t n);
    void (*add_where)(float *d, const float *d_out, const float *which, float tap, size_t n);

    /* reductions */
    float (*max)(const float *a, size_t n); /* -INFINITY when n = 0 */
    float (*dot)(const float *a, const float *b, size_t n);
    double (*sum_squares)(const float *a, size_t n);           /* NaN and Inf come through */
    float (*sum_exp)(const float *a, float max, size_t n);     /* sum of exp(a - max) */
    void (*softmax)(float *out, const float *a, size_t n);     /* a row of only -INFINITY gives zeros */
    void (*log_softmax)(float *out, const float *a, size_t n); /* only -INFINITY stays as it is */
    /* d_in += d_out - exp(out) * sum(d_out) */
    void (*log_softmax_backward)(float *d_in, const float *out, const float *d_out, size_t n);
    /* d_in += w * (d_w - w·d_w) */
    void (*softmax_backward)(float *d_in, const float *w, const float *d_w, size_t n);

    /* The nearest point of the simplex: max(0, a - tau) with sum 1; a row of only -INFINITY gives zeros.
     * Martins and Astudillo 2016, arXiv:1602.02068. */
    void (*sparsemax)(float *out, const float *a, size_t n);
    /* d_in += d_w - mean of d_w, both over the w that are not zero */
    void (*sparsemax_backward)(float *d_in, const float *w, const float *d_w, size_t n);

    void (*additive)(const at_additive *a, float *scores);
    void (*additive_backward)(const at_additive *a); /* tanh is computed again, not kept */

    /* rows of width d; mean and rstd (rows) are kept for the backward; gamma, beta may be NULL */
    void (*layer_norm)(float *out, float *mean, float *rstd, const float *x, const float *gamma,
                       const float *beta, size_t rows, size_t d, float eps);
    /* d_x += …; d_gamma, d_beta (d) += sums over these rows (NULL: not wanted) */
    void (*layer_norm_backward)(float *d_x, float *d_gamma, float *d_beta, const float *d_out, const float *x,
                                const float *mean, const float *rstd, const float *gamma, size_t rows,
                                size_t d);
    void (*rms_norm)(float *out, float *rstd, const float *x, const float *gamma, size_t rows, size_t d,
                     float eps);
    void (*rms_norm_backward)(float *d_x, float *d_gamma, const float *d_out, const float *x,
                              const float *rstd, const float *gamma, size_t rows, size_t d);
    void (*turn)(const at_turn *r);
    /* d_bias[j] += sum over rows of d_out[i*stride + j], j < n, rows in order */
    void (*column_sum)(float *d_bias, const float *d_out, size_t stride, size_t rows, size_t n);

    /* One row of logits (n): returns the loss -(1-s) log p[target] - s/n * sum log p, and when `scale` is not
     * 0 replaces the row by scale * d loss / d logits. s: label smoothing. */
    float (*cross_entropy)(float *logits, size_t n, size_t target, float smoothing, float scale);

    /* One step of a recurrent cell for sequences first … end-1 (kernel/cell.h). With the reset before the
     * product a GRU's step is cell_reset (r, z, and r h for the product), then cell; its backward
     * cell_backward (d_u of z and n), then cell_reset_backward with d_rh (d_u of r, d_h added to). */
    void (*cell)(const at_cell_step *s, size_t first, size_t end);
    void (*cell_reset)(const at_cell_step *s, size_t first, size_t end);
    void (*cell_backward)(const at_cell_step *s, size_t first, size_t end);
    void (*cell_reset_backward)(const at_cell_step *s, size_t first, size_t end);

    void (*adam)(float *p, float *m, float *v, const float *g, size_t n, const at_adam *a);

    /* Multiply-adds on registers alone, for measuring what the CPU can do; *sink is read and written. Returns
     * the floating-point operations done. */
    double (*peak)(float *sink);
} at_kernels;

extern const at_kernels at_kernels_ref;
#endif
