/* layer/recurrent.h - GRU, LSTM and plain recurrent layers: whole sequences, or one step at a time.
 *
 * Role    The cell (kernel/cell.h) with its weights of the hidden state, as two operations: over whole
 *         sequences of packed rows, and one step for loops that decide what comes next (decoders). Then
 *         layers of them: several on top of each other, in both directions.
 * Owns    Nothing: parameters are the model's, memory is the tape's.
 * Shapes  D width, G sums (RNN 1, GRU 3, LSTM 4). x (N,in) rows -> (N,D), or (N,2D) in both directions;
 *         states (B,D), a row a sequence. Parameters have PyTorch's names and shapes.
 * Errors  Shapes that do not fit: NULL, AT_ESHAPE sticks and names both.
 *
 *     at_recurrent encoder;
 *     at_recurrent_spec spec = {.cell = {.kind = AT_CELL_GRU}, .in = 256, .width = 512, .layers = 2,
 *                               .bidirectional = true, .biases = true};
 *     st = at_recurrent_declare(params, "model.encoder.rnn", &spec, &encoder);
 *     at_cell_state last[2 * 2];
 *     at_var *h = at_recurrent_rows(tape, &encoder, x, rows, NULL, last);    // (N,1024)
 *
 *     at_recurrent_loop *loop = at_recurrent_open(tape, &decoder, steps * B);
 *     for (size_t t = 0; t < steps; t++)
 *         h = at_recurrent_step(tape, loop, x[t], states);                   // (B,D)
 */
#ifndef AT_LAYER_RECURRENT_H
#define AT_LAYER_RECURRENT_H
#include "layer/layer.h"

/* A cell with what it learns for its hidden state. `cell.width` and `cell.peepholes` are set from these. */
typedef struct at_cell_weights {
    at_cell cell;
    const at_param *hidden;    /* (G D,D) */
    const at_param *bias;      /* (G D), or NULL */
    const at_param *peepholes; /* (3 D) of i, f, o, or NULL; LSTM only */
} at_cell_weights;

/* One row a sequence. c is an LSTM's only. As what to begin with, h or c NULL means zeros. */
typedef struct at_cell_state {
    at_var *h, *c;
} at_cell_state;

/* h after each row, x (N, G D) being the input's sums of all rows: at_linear with weight_ih and bias_ih.
 * Reverse: from the last row of each sequence to its first. `first` and `last` may be NULL; the last state
 * of an empty sequence is its first. */
at_var *at_recurrence(at_tape *tape, const at_cell_weights *w, at_var *x, const at_rows *rows, bool reverse,
                      const at_cell_state *first, at_cell_state *last);

/* A loop of single steps: its weights are packed once, and their gradient is one product over the rows of all
 * steps. `rows`: the most that all steps have together. NULL: see the tape. */
typedef struct at_cell_loop at_cell_loop;
at_cell_loop *at_cell_open(at_tape *tape, const at_cell_weights *w, size_t rows);
/* x (B, G D) and the states of B sequences -> their next; B may differ from step to step. */
at_cell_state at_cell_next(at_tape *tape, at_cell_loop *loop, at_var *x, at_cell_state state);

/* --- layers -------------------------------------------------------------------------------- */
enum { AT_RECURRENT_LAYERS = 16 };

typedef struct at_recurrent_spec {
    at_cell cell; /* kind and options; width and peepholes are not read */
    size_t in, width, layers;
    bool bidirectional, biases, peepholes;
    float dropout; /* between layers, as in PyTorch: of what goes into all but the first */
} at_recurrent_spec;

typedef struct at_recurrent_input {
    const at_param *weight, *bias; /* (G D,in); (G D), or NULL */
} at_recurrent_input;

typedef struct at_recurrent {
    at_recurrent_spec spec;
    /* Layer l forward is 2l, backward 2l + 1. */
    at_recurrent_input input[2 * AT_RECURRENT_LAYERS];
    at_cell_weights cell[2 * AT_RECURRENT_LAYERS];
} at_recurrent;

/* Declares prefix + {weight_ih,weight_hh,bias_ih,bias_hh,weight_peephole}_l{k}{,_reverse}. layers 1 … 16. The
 * weights begin uniform within ±1/sqrt(D), as PyTorch's do. */
at_status at_recurrent_declare(at_params *params, const char *prefix, const at_recurrent_spec *spec,
                               at_recurrent *layer);

/* States stand at layer * directions + direction, as PyTorch has them; `first` and `last` may be NULL. */
at_var *at_recurrent_rows(at_tape *tape, const at_recurrent *layer, at_var *x, const at_rows *rows,
                          const at_cell_state *first, at_cell_state *last);

/* Single steps of a stack in one direction. `states` (layers) go in and come out. Dropout between layers
 * draws for each step anew. */
typedef struct at_recurrent_loop at_recurrent_loop;
at_recurrent_loop *at_recurrent_open(at_tape *tape, const at_recurrent *layer, size_t rows);
at_var *at_recurrent_step(at_tape *tape, at_recurrent_loop *loop, at_var *x, at_cell_state *states);

extern const at_op *const at_recurrent_ops[];
#endif
