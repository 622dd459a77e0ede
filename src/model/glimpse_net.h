/* model/glimpse_net.h - what the files of recurrent visual attention share; private to glimpse*.c.
 *
 * Role    The options and parameters of the family "glimpse", one look at some pictures, and the losses that
 *         a look is learned by. Mnih et al. 2014, arXiv:1406.6247.
 * Shapes  As in model/glimpse.h.
 * Errors  NULL or false: see the tape.
 */
#ifndef AT_MODEL_GLIMPSE_NET_H
#define AT_MODEL_GLIMPSE_NET_H
#include "layer/multi_head.h"
#include "layer/recurrent.h"
#include "layer/repeated.h"
#include "model/glimpse.h"
#include "model/internal.h"
#include "model/stack.h"

enum { AT_MOST_GLIMPSES = 64 };
enum { AT_GAZE_SUM, AT_GAZE_PRODUCT };
enum { AT_GAZE_RNN, AT_GAZE_GRU, AT_GAZE_LSTM };
enum { AT_GAZE_LEARNED, AT_GAZE_RANDOM };
enum { AT_GAZE_CENTRE, AT_GAZE_ANYWHERE };
enum { AT_GAZE_RIGHT, AT_GAZE_PROBABILITY };

typedef struct at_gaze_options {
    int64_t height, width_pixels, channels, glimpses, size, scales, zoom;
    int64_t what, where, combine, glimpse_width;
    int64_t cell, width, locator, places, first, copies, reward;
    double deviation, early_loss, dropout;
    bool norm;
} at_gaze_options;

typedef struct at_gaze_net {
    at_projection what, where, both, both_where; /* both_where: combine sum */
    at_recurrent core;
    at_norm_weights state;   /* before the classifier; or NULLs */
    at_norm_weights locator; /* location network: the state grows from step to step, what it says must not */
    at_projection hidden, mean;
    at_projection baseline, classifier;
} at_gaze_net;

/* One look at some pictures: what is on the way from the first glimpse to the last. */
typedef struct at_look {
    const at_gaze_options *o;
    const at_gaze_net *n;
    at_tape *tape;
    const at_gaze *gaze;
    const at_rows *pictures;
    at_rows rows; /* one a path, for dropout */
    size_t count, steps;
    at_glimpses sensor;
    at_repeated *what, *where, *both, *both_where, *hidden, *mean;
    at_recurrent_loop *core;
    at_cell_state state;
    float *places;         /* (N,2) of the step at hand */
    float *drawn, *states; /* (T-1,N,2) before they are held within the picture, (T-1,N,D); or NULL */
    at_var *means[AT_MOST_GLIMPSES]; /* (N,2) a step but the first */
    at_var *after[AT_MOST_GLIMPSES]; /* (N,D) the state after each step */
} at_look;

/* keeps: places and states, for the policy's loss. */
bool at_look_open(at_look *l, const at_model *model, at_tape *tape, const at_batch *batch,
                  const at_gaze *gaze, bool keeps);
at_var *at_look_run(at_look *l); /* the state after the last glimpse, (N,D) */

at_var *at_gaze_classify(const at_model *model, at_tape *tape, at_var *state);
at_var *at_gaze_loss(const at_model *model, at_tape *tape, const at_batch *batch, const at_loss_options *how,
                     at_loss_report *report);
#endif
