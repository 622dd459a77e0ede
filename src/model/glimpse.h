/* model/glimpse.h - recurrent visual attention: a net that looks at a few places of a picture, one by one.
 *
 * Role    The family "glimpse" (Mnih et al. 2014, arXiv:1406.6247) beyond what every family has: a look with
 *         places given, chosen or drawn, and the path it took.
 * Owns    Nothing: results live on the tape, paths are the caller's.
 * Shapes  B pictures, M copies of each (row i is of picture i / M), N = B M, T glimpses, D width of the core.
 *         Places are (N,T,2) of x, y: -1 … 1 from left to right and from top to bottom.
 * Errors  AT_ESHAPE sticks for pictures with other channels than the model's; AT_ENOMEM.
 * Threads As the tape's.
 *
 *     float path[32][7][2];
 *     at_gaze gaze = {.path = &path[0][0][0]};
 *     at_var *state = at_gaze_run(model, tape, &batch, &gaze);         // (32,D)
 *     at_var *logits = model->family->classify(model, tape, state);    // (32,labels)
 */
#ifndef AT_MODEL_GLIMPSE_H
#define AT_MODEL_GLIMPSE_H
#include "attention/glimpse.h"
#include "model/model.h"

typedef struct at_gaze {
    const float *places; /* where to look; NULL: as the model chooses */
    bool draw;           /* around what it chooses, with its deviation, instead of just there */
    size_t copies;       /* 0: 1 */
    uint32_t key[2];     /* of all that is drawn, with the picture's number in its epoch */
    float *path;         /* where it looked; NULL: not wanted */
} at_gaze;

bool at_model_glimpses(const at_model *model); /* whether it is of this family */
size_t at_gaze_steps(const at_model *model);   /* T */
/* The sensor's sizes; pictures, count and copies are not set. */
at_glimpses at_gaze_sensor(const at_model *model);

/* The core's state after the last glimpse, (N,D). */
at_var *at_gaze_run(const at_model *model, at_tape *tape, const at_batch *batch, const at_gaze *gaze);
#endif
