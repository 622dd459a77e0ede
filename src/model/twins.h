/* model/twins.h - each example twice in a batch, under different dropout, that must agree.
 *
 * Role    R-Drop: Liang et al. 2021, "R-Drop: Regularized Dropout for Neural Networks", arXiv:2106.14448.
 *         With P and Q what the two passes say of a target piece y, its loss is
 *         -1/2 (log P(y) + log Q(y)) + weight/4 (KL(P|Q) + KL(Q|P)), half of the paper's, so that learning
 *         rates stay those of the single loss.
 * Owns    Nothing: what is doubled lives on the tape.
 * Errors  AT_ENOMEM sticks to the tape.
 */
#ifndef AT_MODEL_TWINS_H
#define AT_MODEL_TWINS_H
#include "autograd/tape.h"
#include "data/batch.h"

/* Sequences, then the same ones again as examples of their own for dropout; labels, like targets, stand once.
 * False: no memory. */
bool at_twin_batch(at_tape *tape, const at_batch *batch, at_batch *twice);

enum { AT_TWIN_ROOM = 3 }; /* rows of V floats */

typedef struct at_twin_rows {
    const at_kernels *k;
    float *first, *second; /* logits (V) of the two passes; become the loss's gradient times `scale` */
    float *room;           /* (AT_TWIN_ROOM,V) to work in */
    const float *ones;     /* (V) */
    size_t pieces, target;
    float smoothing, weight, scale; /* scale 0: no gradient */
} at_twin_rows;

/* The loss of one target. */
float at_twin_loss(const at_twin_rows *rows);
#endif
