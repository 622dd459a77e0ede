/* layer/params.h - the table of everything a model learns.
 *
 * Role    One row a parameter: name (as Hugging Face's class calls it), shape, role,
 *         tied to, where its numbers are. Training lays fp32 masters in one block,
 *         decayed ones first; gradients, moments and averages are blocks with the
 *         same offsets. Running points rows at the mapped file or at packed panels.
 *         bf16 is a way to keep numbers: a row that only products and embeddings read
 *         (`compact`) may be kept in it when running, half the memory; training in
 *         mixed precision keeps a shadow in bf16 beside the masters.
 * Owns    Names, the master block (if laid out), the shadow, packed panels, widened or
 *         rounded copies. Not mapped files.
 * Shapes  Matrices are (out, in).
 * Errors  AT_ENOMEM; a name declared twice is our bug (AT_ASSERT).
 * Threads Const once loaded: shared freely.
 *
 *     at_param *w;
 *     at_status st = at_params_add(params, &(at_param_spec){"fc1.weight", at_shape2(256, 128), AT_DECAYED,
 *                                  AT_INIT_XAVIER}, &w);
 *     st = at_params_allocate(params);               // masters, zeroed
 *     at_params_init(params, seed);
 */
#ifndef AT_LAYER_PARAMS_H
#define AT_LAYER_PARAMS_H
#include "autograd/tape.h"

typedef enum at_role { AT_DECAYED, AT_PLAIN } at_role; /* weight decay or none */
typedef enum at_init {
    AT_INIT_ZERO,
    AT_INIT_ONE,
    AT_INIT_XAVIER,
    AT_INIT_NORMAL,
    AT_INIT_UNIFORM,
    AT_INIT_IDENTITY,
    AT_INIT_VALUE
} at_init;

typedef struct at_param_spec {
    const char *name;
    at_shape shape;
    at_role role;
    at_init init;
    float deviation; /* AT_INIT_NORMAL; of AT_INIT_UNIFORM the bound on both sides; AT_INIT_VALUE's */
    struct at_param *tied_to; /* shares the numbers of this one; NULL: its own */
    bool gathered;            /* rows of it are picked (an embedding); otherwise it is a factor of products */
} at_param_spec;

typedef struct at_param {
    char *name;
    at_shape shape;
    at_role role;
    at_init init;
    float deviation;
    struct at_param *tied_to;
    bool gathered;
    bool
        compact; /* read as a factor or by at_embed only, so it may be kept in bf16: set by who declares it */
    size_t offset;         /* floats from the start of each block; a tied one has its owner's */
    const float *data;     /* fp32, row-major; NULL where only data16 is kept, once allocated or loaded */
    const at_bf16 *data16; /* the same numbers in bf16, or NULL; with masters their shadow */
    float *packed;         /* panels of the transpose (in, out) for products, or NULL */
    at_bf16 *packed16;     /* instead of them, where only data16 is kept */
    size_t packed_panel;   /* panel width they were packed for */
    void *own;             /* what data or data16 points to, when it is this row's own copy */
} at_param;

typedef struct at_params {
    at_param **list; /* in the order declared; pointers stay valid */
    size_t count, capacity;
    size_t total, decayed; /* floats of all, and of the decayed ones, which come first */
    float *block;          /* masters, or NULL */
    at_bf16 *shadow;       /* of the masters, same offsets, or NULL */
} at_params;

/* A factor of products: rank 2 or more, the first dimension the outputs, all others the inputs together. */
static inline size_t at_param_inputs(const at_param *p)
{
    size_t inputs = 1;
    for (int i = 1; i < p->shape.rank; i++)
        inputs *= (size_t)p->shape.dim[i];
    return inputs;
}

void at_params_free(at_params *params); /* frees what it owns, not the struct */
at_status at_params_add(at_params *params, const at_param_spec *spec, at_param **param);
at_param *at_params_find(const at_params *params, const char *name); /* NULL: none */
size_t at_params_numbers(const at_params *params);     /* learned: without gaps, tied ones once */
void at_params_lay_out(at_params *params);             /* offsets, total, decayed; after the last add */
at_status at_params_allocate(at_params *params);       /* lays out, zeroed masters, points data there */
void at_params_init(at_params *params, uint64_t seed); /* needs masters; each by its name, so order is free */
at_status at_param_pack(at_param *param,
                        at_exec *exec); /* for running; what it is tied to shares the panels */
/* Compact rows are kept in bf16 from now on, rounded to the nearest; for running. Forgets panels. */
at_status at_params_compact(at_params *params, at_exec *exec);
/* Sets the masters' shadow, making one first where there is none: after every change of the masters. */
at_status at_params_shadow(at_params *params, at_exec *exec);
void at_params_unpack(at_params *params); /* forgets all panels: the masters are about to change */

/* The leaf of a parameter on this tape; its gradient is added at tape->grads + offset. */
at_var *at_param_var(at_tape *tape, const at_param *param);
#endif
