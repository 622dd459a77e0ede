/* train/optimiser.h - gradients -> parameters, in flat passes over blocks.
 *
 * Role    Adam (Kingma and Ba 2015, arXiv:1412.6980) and AdamW (Loshchilov and Hutter 2019,
 *         arXiv:1711.05101); clipping by the global norm (Pascanu et al. 2013, arXiv:1211.5063);
 *         an exponential moving average of the parameters.
 * Owns    Blocks of gradients, moments and the average, with the offsets of the parameter table.
 * Shapes  Every block has params->total floats; decay touches the first params->decayed only.
 * Numbers Blocks are cut in chunks of one size and sums joined in order: bits do not depend on
 *         the number of threads.
 * Errors  AT_ENOMEM.
 *
 *     at_optimiser *o;
 *     at_status st = at_optimiser_new(exec, &model->params, &options, &o);
 *     at_optimiser_clear(o);                                // gradients to zero
 *     tape->grads = o->grads; … at_tape_backward(tape, loss); …
 *     double norm = at_optimiser_norm(o, 1.0 / tokens);     // not finite: leave this step out
 *     at_optimiser_step(o, lr, at_clip_scale(norm, 1.0) / tokens);
 */
#ifndef AT_TRAIN_OPTIMISER_H
#define AT_TRAIN_OPTIMISER_H
#include "layer/params.h"

typedef enum at_optimiser_kind {
    AT_ADAM,  /* decay is added to the gradient */
    AT_ADAMW, /* decay is taken from the parameter */
} at_optimiser_kind;

typedef struct at_optimiser_options {
    at_optimiser_kind kind;
    double beta1, beta2, eps, decay;
    double ema; /* of the parameters; 0: none is kept */
} at_optimiser_options;

typedef struct at_optimiser {
    at_optimiser_options options;
    at_exec *exec;
    const at_params *params;
    float *grads, *m, *v;
    float *ema;      /* NULL when not wanted */
    double *sums;    /* one a chunk, for the norm */
    int64_t updates; /* done so far: corrects the moments' start from zero */
} at_optimiser;

/* params must have masters. The average starts as a copy of them. */
at_status at_optimiser_new(at_exec *exec, const at_params *params, const at_optimiser_options *options,
                           at_optimiser **optimiser);
void at_optimiser_free(at_optimiser *optimiser);
void at_optimiser_clear(at_optimiser *optimiser);
/* Length of scale * all gradients as one vector; NaN or infinite when one of them is. */
double at_optimiser_norm(at_optimiser *optimiser, double scale);
/* One update with scale * gradients, which may be changed by it. */
void at_optimiser_step(at_optimiser *optimiser, double lr, double scale);

/* What makes a vector of length `norm` at most `limit` long: 1 or less. limit 0: no clipping. */
double at_clip_scale(double norm, double limit);
#endif
