#include "train/optimiser.h"
#include <math.h>
#include <string.h>
#include "base/memory.h"

/* Floats of a chunk: large enough that starting one costs nothing, small enough for the second-level cache to
 * hold its five blocks. Part of the numbers: the norm is summed chunk by chunk. */
enum { CHUNK = 8192 };

static size_t chunks(size_t floats)
{
    return (floats + CHUNK - 1) / CHUNK;
}

static float *zero_block(size_t floats)
{
    float *block = at_alloc_aligned(floats ? floats : 1, sizeof *block);
    if (block)
        memset(block, 0, floats * sizeof *block);
    return block;
}

at_status at_optimiser_new(at_exec *exec, const at_params *params, const at_optimiser_options *options,
                           at_optimiser **optimiser)
{
    AT_ASSERT(params->block);
    *optimiser = NULL;
    at_optimiser *o = at_alloc_zero(1, sizeof *o);
    if (!o)
        return AT_ENOMEM;
    o->options = *options;
    o->exec = exec;
    o->params = params;
    o->grads = zero_block(params->total);
    o->m = zero_block(params->total);
    o->v = zero_block(params->total);
    o->sums = at_alloc_zero(chunks(params->total) + 1, sizeof *o->sums);
    if (options->ema > 0)
        o->ema = zero_block(params->total);
    if (!o->grads || !o->m || !o->v || !o->sums || (options->ema > 0 && !o->ema)) {
        at_optimiser_free(o);
        return AT_ENOMEM;
    }
    if (o->ema)
        memcpy(o->ema, params->block, params->total * sizeof *o->ema);
    *optimiser = o;
    return AT_OK;
}

void at_optimiser_free(at_optimiser *o)
{
    if (!o)
        return;
    at_free_aligned(o->grads);
    at_free_aligned(o->m);
    at_free_aligned(o->v);
    at_free_aligned(o->ema);
    at_free(o->sums);
    at_free(o);
}

static void clear_range(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    at_optimiser *o = context;
    memset(o->grads + first, 0, (end - first) * sizeof *o->grads);
}

void at_optimiser_clear(at_optimiser *o)
{
    at_exec_rows(o->exec, o->params->total, CHUNK, clear_range, o);
}

static void square_range(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    at_optimiser *o = context;
    for (size_t at = first; at < end; at += CHUNK) {
        size_t n = end - at < CHUNK ? end - at : CHUNK;
        o->sums[at / CHUNK] = o->exec->kernels->sum_squares(o->grads + at, n);
    }
}

double at_optimiser_norm(at_optimiser *o, double scale)
{
    at_exec_rows(o->exec, o->params->total, CHUNK, square_range, o);
    double sum = 0;
    for (size_t i = 0; i < chunks(o->params->total); i++)
        sum += o->sums[i];
    return scale * sqrt(sum);
}

typedef struct update {
    at_optimiser *o;
    at_adam adam;
    size_t start; /* of the part, in the blocks */
    float add;    /* of the parameter to the unscaled gradient: Adam's decay */
    float ema;
} update;

static void update_range(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const update *u = context;
    const at_optimiser *o = u->o;
    const at_kernels *k = o->exec->kernels;
    size_t at = u->start + first, n = end - first;
    float *p = o->params->block + at;
    if (u->add != 0)
        k->axpy(o->grads + at, u->add, p, n);
    k->adam(p, o->m + at, o->v + at, o->grads + at, n, &u->adam);
    if (o->ema) {
        k->scale(o->ema + at, o->ema + at, u->ema, n);
        k->axpy(o->ema + at, 1 - u->ema, p, n);
    }
}

static void update_part(update *u, size_t start, size_t end, double decay, double scale)
{
    bool coupled = u->o->options.kind == AT_ADAM;
    u->start = start;
    u->adam.decay = coupled ? 0 : (float)decay;
    u->add = coupled && decay > 0 && scale > 0 ? (float)(decay / scale) : 0;
    at_exec_rows(u->o->exec, end - start, CHUNK, update_range, u);
}

void at_optimiser_step(at_optimiser *o, double lr, double scale)
{
    const at_optimiser_options *a = &o->options;
    double t = (double)++o->updates;
    update u = {
        .o = o,
        .adam = {.lr = (float)lr,
                 .beta1 = (float)a->beta1,
                 .beta2 = (float)a->beta2,
                 .eps = (float)a->eps,
                 .correct1 = (float)(1 / (1 - pow(a->beta1, t))),
                 .correct2 = (float)(1 / (1 - pow(a->beta2, t))),
                 .grad_scale = (float)scale},
        /* The first averages look back no further than the training does. */
        .ema = (float)fmin(a->ema, (1 + t) / (10 + t)),
    };
    update_part(&u, 0, o->params->decayed, a->decay, scale);
    update_part(&u, o->params->decayed, o->params->total, 0, scale);
}

double at_clip_scale(double norm, double limit)
{
    return limit > 0 && norm > limit ? limit / norm : 1;
}
