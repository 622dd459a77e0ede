/* layer/repeated.h - one linear layer that a loop uses at every step.
 *
 * Role    Inside a loop over words each product has few rows. The weights are packed once for
 *         all steps, and the gradients of weights and bias are one product over the rows of all
 *         steps, taken when backward comes to where the loop began.
 * Owns    Nothing: memory is the tape's.
 * Shapes  x (n,in), w (out,in), b (out), add (n,out) or NULL -> (n,out); n may differ by step.
 * Errors  Widths that do not fit: NULL, AT_ESHAPE sticks and names both shapes.
 *
 *     at_repeated *u = at_repeated_new(tape, weight, bias, rows);      // rows of all steps together
 *     for (size_t t = 0; t < steps; t++)
 *         h = at_activate(tape, at_repeated_step(tape, u, h, x[t]), AT_TANH);
 */
#ifndef AT_LAYER_REPEATED_H
#define AT_LAYER_REPEATED_H
#include "layer/layer.h"

typedef struct at_repeated at_repeated;

/* rows: the most that all steps have together. b NULL: none. NULL: see the tape. */
at_repeated *at_repeated_new(at_tape *tape, const at_param *w, const at_param *b, size_t rows);
/* x w^T + b + add. */
at_var *at_repeated_step(at_tape *tape, at_repeated *repeated, at_var *x, at_var *add);
#endif
