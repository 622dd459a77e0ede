/* layer/internal.h - shared by the files of this folder. */
#ifndef AT_LAYER_INTERNAL_H
#define AT_LAYER_INTERNAL_H
#include "layer/recurrent.h"

enum {
    AT_LAYER_GRAIN = 16384, /* elements a task takes at least */
    AT_COLUMN_GRAIN = 64,   /* columns a task takes when rows are summed */
    AT_NORM_CHUNK = 64,     /* rows whose gradients of gain and bias are summed together */
};

/* d_bias (width) += the sums over rows of d (rows,width). */
void at_add_columns(at_exec *exec, float *d_bias, const float *d, size_t rows, size_t width);

/* d_x (n,in) [+]= d (n,out) · w. back: of at_panels_back. */
void at_add_to_input(at_tape *tape, const at_param *w, const at_panels *back, const float *d, size_t n,
                     float *d_x, bool fresh);
/* d_w (out,in) += dᵀ · x, of d (n,out) and x (n,in). */
void at_add_to_weight(at_tape *tape, float *d_w, const float *d, size_t out, const float *x, size_t in,
                      size_t n);

/* --- cells --------------------------------------------------------------------------------- */
/* What one operation took of its loop: rows first … first+rows-1 of h, kept and d_u. */
typedef struct at_cell_use {
    struct at_cell_use *next;
    size_t first, rows;
    bool came; /* its backward has written d_u */
} at_cell_use;

struct at_cell_loop {
    at_cell cell;
    const at_param *hidden, *bias;
    at_panels sums, fresh; /* of all sums; with the reset before the product, of r and z, and of n */
    at_panels back;        /* of the weights as they are, from the first backward on */
    at_var *token;         /* stands for the weights on the tape */
    at_var *peephole_var;  /* or NULL */
    size_t rows, taken;
    float *h, *kept, *d_u; /* (rows, D), (rows, kept D), (rows, G D); NULL where nothing is recorded */
    at_cell_use *uses;
};

/* Rows of the loop's memory for an operation. */
void at_cell_take(at_cell_loop *loop, at_cell_use *use, size_t rows);
/* Before the backward of an operation: d_u and panels are there. False: see the tape. */
bool at_cell_come_back(at_tape *tape, at_cell_loop *loop, at_cell_use *use);

extern const at_op at_op_cell_weights, at_op_recurrence;
extern const at_op at_op_linear, at_op_embed, at_op_layer_norm, at_op_rms_norm, at_op_rotary, at_op_repeated,
    at_op_repeated_step, at_op_pool_mean, at_op_pool_max, at_op_pool_weighted, at_op_pick, at_op_unfold,
    at_op_convolve, at_op_max_windows, at_op_tokens, at_op_scale_columns, at_op_drop_paths;
#endif
