/* kernel/cell.h - one step of a recurrent cell: all that is not a product.
 *
 * Role    Gates, states and their gradients for rows of sequences that are at the same step. The products
 *         with the weights are the caller's: forward it brings the sums, backward it takes their gradients
 *         on.
 * Owns    Nothing.
 * Shapes  D width. Columns of sums and gates by blocks of D, as PyTorch orders them: RNN h; GRU r z n;
 *         LSTM i f g o. Peepholes i f o.
 *
 *     RNN   h' = g(x + u)                                        Elman 1990
 *     GRU   r, z = f(x + u); n = g(x + r u); h' = n + z (h - n)   Cho et al. 2014, arXiv:1406.1078; the reset
 *           after the product as in cuDNN, or before it as in the paper: n = g(x + u), u from r h
 *     LSTM  i, f, o = f(x + u); g = g(x + u); c' = f c + i g; h' = o h(c')    Hochreiter and Schmidhuber
 *           1997; Gers et al. 2000; peepholes (i, f see c, o sees c') Gers and Schmidhuber 2000
 *
 * where x is the input's product with its bias and u the hidden state's.
 */
#ifndef AT_KERNEL_CELL_H
#define AT_KERNEL_CELL_H
#include "base/status.h"

typedef enum at_cell_kind { AT_CELL_RNN, AT_CELL_GRU, AT_CELL_LSTM } at_cell_kind;

/* What becomes of a sum; a = alpha, b = beta, as ONNX's RNN, GRU and LSTM define them. All rise or stay, so
 * that a slope can be told from the value; scaled tanh, leaky ReLU and ELU want a > 0 for that, thresholded
 * ReLU a >= 0. */
typedef enum at_gate_kind {
    AT_GATE_USUAL, /* sigmoid for f, tanh for g and h */
    AT_GATE_SIGMOID,
    AT_GATE_TANH,
    AT_GATE_RELU,
    AT_GATE_AFFINE,           /* a x + b */
    AT_GATE_LEAKY_RELU,       /* x > 0 ? x : a x */
    AT_GATE_THRESHOLDED_RELU, /* x > a ? x : 0 */
    AT_GATE_SCALED_TANH,      /* a tanh(b x) */
    AT_GATE_HARD_SIGMOID,     /* a x + b within 0 … 1 */
    AT_GATE_ELU,              /* x > 0 ? x : a (e^x - 1) */
    AT_GATE_SOFTSIGN,         /* x / (1 + |x|) */
    AT_GATE_SOFTPLUS,         /* log(1 + e^x) */
    AT_GATES
} at_gate_kind;

typedef struct at_gate {
    at_gate_kind kind;
    float alpha, beta;
} at_gate;

typedef struct at_cell {
    at_cell_kind kind;
    size_t width;
    at_gate f, g, h;        /* of the gates, of what is new, of an LSTM's c' */
    float clip;             /* what goes into f, g, h is held within -clip … clip; 0: it is not */
    bool reset_before;      /* GRU */
    bool input_forget;      /* LSTM: f = 1 - i */
    const float *peepholes; /* LSTM: (3D), or NULL */
} at_cell;

/* Blocks of D columns: of the sums (1, 3, 4), and of what is kept for the backward (1, 4, 4). */
static inline size_t at_cell_gates(at_cell_kind kind)
{
    return kind == AT_CELL_RNN ? 1 : kind == AT_CELL_GRU ? 3 : 4;
}

static inline size_t at_cell_kept(at_cell_kind kind)
{
    return kind == AT_CELL_RNN ? 1 : 4;
}

/* Row i of these is sequence i, but of x, out, d_out and d_x it is row `at[i]` (NULL: i). */
typedef struct at_cell_step {
    const at_cell *cell;
    const int32_t *at;
    const float *x; /* (·, gates D) the input's sums */
    /* (rows, kept D). In: the hidden state's sums u in the first `gates` blocks. Out, for the backward: RNN
     * h'; GRU r z u_n n, with the reset before r z n rh; LSTM i f g o. */
    float *kept;
    const float *h, *c; /* (rows, D) before the step; c of an LSTM only */
    float *h_new;       /* (carry, D) h' of the first `carry` rows; NULL with carry 0 */
    float *c_new;       /* (rows, D) */
    float *out;         /* (·, D) h' of all rows */
    size_t carry;
    /* Backward: */
    const float *d_out; /* (·, D) gradient of out */
    float *d_h, *d_c;   /* (rows, D) in: of h', c' from the steps after, d_out not included. Out: of h, c,
                         * without what comes through the hidden product; RNN and LSTM leave d_h alone */
    float *d_u;         /* (rows, gates D) written: of the hidden state's sums */
    float *d_x;         /* (·, gates D) of the input's sums, or NULL */
    bool d_x_fresh;     /* written; otherwise added to */
    const float *d_rh;  /* (rows, D) cell_reset_backward: of r h */
} at_cell_step;
#endif
