/* layer/layer.h - what owns weights, as operations on rows.
 *
 * Role    Linear, embedding with positions, norms: parameters by their table rows.
 * Owns    Nothing: parameters belong to the model, results to the tape.
 * Shapes  x (N,D) rows; weights (out,in).
 * Errors  Widths that do not fit: NULL, AT_ESHAPE sticks and names both shapes.
 *
 *     at_var *h = at_linear(tape, x, fc1, fc1_bias, AT_RELU);       // (N,F)
 *     at_var *y = at_linear(tape, h, fc2, fc2_bias, AT_LINEAR);     // (N,D)
 *     return at_layer_norm(tape, at_dropout_add(tape, x, y, rate, rows), gain, bias, 1e-5f);
 */
#ifndef AT_LAYER_LAYER_H
#define AT_LAYER_LAYER_H
#include "autograd/ops.h"
#include "layer/params.h"

/* f(x W^T + b): x (N,in), w (out,in), b (out) or NULL -> (N,out). */
at_var *at_linear(at_tape *tape, at_var *x, const at_param *w, const at_param *b, at_activation f);
/* base + x W^T + b: base (N,out), or NULL for none. */
at_var *at_linear_onto(at_tape *tape, at_var *base, at_var *x, const at_param *w, const at_param *b);

/* (x - mean) / sqrt(variance + eps) * gain + bias, over the width; bias NULL: none.
 * Ba et al. 2016, arXiv:1607.06450. */
at_var *at_layer_norm(at_tape *tape, at_var *x, const at_param *gain, const at_param *bias, float eps);

/* x / sqrt(mean of squares + eps) * gain, over the width. Zhang and Sennrich 2019, arXiv:1910.07467. */
at_var *at_rms_norm(at_tape *tape, at_var *x, const at_param *gain, float eps);

typedef struct at_embedding {
    const at_param *table;   /* (V,D) */
    float scale;             /* of the table's rows: sqrt(D) in Vaswani et al. 2017 */
    const float *fixed;      /* (P,D) positions added, or NULL */
    const at_param *learned; /* (P,D) positions added and learned, or NULL */
} at_embedding;

/* The first `count` rows of the positions that the embedding adds -> their width; 0: it adds none. out
 * NULL: the width alone. */
size_t at_embedding_positions(const at_embedding *embedding, size_t count, float *out);
/* Row i of sequence b: scale * table[ids[i]] + positions[starts[b] + place of i in b]. starts NULL: all 0.
 * Ids and positions within the tables are the caller's duty (AT_ASSERT). */
at_var *at_embed(at_tape *tape, const at_embedding *embedding, const int32_t *ids, const at_rows *rows,
                 const int32_t *starts);

/* PE(pos,2i) = sin(pos / 10000^(2i/D)), PE(pos,2i+1) = cos(the same). Vaswani et al. 2017, section 3.5.
 * out (positions,D), D even. */
void at_sinusoids(float *out, size_t positions, size_t width);

/* The product of g->a with w^T, from packed panels when there are some: fills the rest of g. For operations
 * of other folders that fuse something with it. */
void at_product(at_tape *tape, at_gemm *g, const at_param *w);

/* The second factor of a product: panels in fp32 or bf16, or a matrix read where it lies. */
typedef struct at_panels {
    const float *wide; /* one of the three */
    const at_bf16 *narrow;
    const float *plain;
    size_t plain_row; /* apart lie the rows of `plain` */
    float *borrowed;
} at_panels;
/* Whether products with w read numbers in bf16: what it multiplies may be rounded to bf16 then. */
bool at_narrow_weights(const at_tape *tape, const at_param *w);
/* w^T as this tape's products read it: panels that are packed, or packed now. False: see the tape. */
bool at_panels_of(at_tape *tape, const at_param *w, at_panels *panels);
/* w, for gradients of what it multiplies: panels in bf16, or where it lies. */
bool at_panels_back(at_tape *tape, const at_param *w, at_panels *panels);
/* x (rows,width), rows x_row apart, for gradients of weights: in mixed training panels in bf16, otherwise
 * where it lies. */
bool at_panels_rows(at_tape *tape, const float *x, size_t x_row, size_t rows, size_t width,
                    at_panels *panels);
void at_panels_return(at_tape *tape, at_panels *panels);
/* Points g->b at the factor; k and n must be set. */
void at_gemm_panels(const at_exec *exec, at_gemm *g, const at_panels *panels);
/* In mixed training a copy of x (n numbers) rounded to bf16, to be given back with at_tape_return(*borrowed),
 * unless the products round it themselves; otherwise x itself. NULL: see the tape. */
const float *at_rounded(at_tape *tape, const float *x, size_t n, float **borrowed);

extern const at_op *const at_layer_ops[];
#endif
