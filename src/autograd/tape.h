/* autograd/tape.h - an eager tape: values are there at once, gradients on the way back.
 *
 * Role    Every operation computes its value when called and, while recording, adds a
 *         node; at_tape_backward walks the nodes in reverse.
 * Owns    An arena for values (reset each step) and a free list for gradients, which
 *         go back to it as soon as they are used. Leaves belong to the caller.
 * Shapes  Activations are rows: (N, D), row-major, without padding; at_rows says which
 *         rows belong to which sequence.
 * Errors  Sticky: after the first failure operations return NULL, NULL in gives NULL
 *         out, and at_tape_status is the one check.
 * Threads One caller; operations use the threads of its at_exec.
 *
 *     at_tape *tape;
 *     at_status st = at_tape_new(exec, &tape);
 *     at_tape_begin(tape, AT_TAPE_TRAIN, seed, step);
 *     at_var *y = at_tanh(tape, at_add(tape, a, b));
 *     at_var *loss = at_sum(tape, y);
 *     st = at_tape_backward(tape, loss);
 *     at_tape_reset(tape);
 */
#ifndef AT_AUTOGRAD_TAPE_H
#define AT_AUTOGRAD_TAPE_H
#include "base/arena.h"
#include "kernel/exec.h"
#include "tensor/rows.h"
#include "tensor/tensor.h"

typedef struct at_var {
    at_shape shape;
    float *data;
    float *grad; /* NULL until a gradient arrives (leaves: where it is added) */
    bool needs_grad;
    bool owns_grad; /* the tape's free list takes the gradient back */
} at_var;

typedef struct at_tape at_tape;
typedef struct at_node at_node;

/* One row an operation: its name and how gradients flow back through it. */
typedef struct at_op {
    const char *name;
    void (*backward)(at_tape *tape, const at_node *node);
} at_op;

enum { AT_MAX_INPUTS = 6 };
struct at_node {
    const at_op *op;
    at_var *out, *in[AT_MAX_INPUTS];
    void *saved; /* the operation's own, in the arena */
};

typedef enum at_tape_mode {
    AT_TAPE_RUN,   /* nothing recorded, no dropout */
    AT_TAPE_CHECK, /* recorded, no dropout: gradient checks */
    AT_TAPE_TRAIN, /* recorded, dropout drawn from (seed, step) */
} at_tape_mode;

struct at_guide;
struct at_trace;

struct at_tape {
    at_exec *exec;
    at_arena *arena;
    at_tape_mode mode;
    at_status status;
    uint64_t seed, step;
    bool mixed;             /* products read weights from their shadow and round their other inputs to bf16 */
    uint32_t dropouts;      /* dropout operations so far in this step */
    float *grads;           /* block of parameter gradients, laid out as the parameters; NULL: none wanted */
    struct at_trace *trace; /* attention/trace.h; NULL: nothing asked */
    struct at_guide *guide; /* attention/guide.h; NULL: none */
    struct at_tape_private *private;
};

at_status at_tape_new(at_exec *exec, at_tape **tape);
void at_tape_free(at_tape *tape);
void at_tape_reset(at_tape *tape); /* forgets nodes, values, borrowed blocks and the sticky error */
void at_tape_begin(at_tape *tape, at_tape_mode mode, uint64_t seed, uint64_t step); /* resets too */
at_status at_tape_status(const at_tape *tape);
at_status at_tape_fail(at_tape *tape, at_status status, const char *format, ...) AT_PRINTF(3, 4);
/* The gradient of the one-element `loss` with respect to every leaf, added to the leaves' grad. */
at_status at_tape_backward(at_tape *tape, at_var *loss);
size_t at_tape_peak(const at_tape *tape); /* bytes of values and gradients */
/* What has been recorded, oldest first, for those who inspect a step; valid until the next operation. */
const at_node *at_tape_nodes(const at_tape *tape, size_t *count);

/* A leaf over the caller's memory. grad NULL: a constant. */
at_var *at_leaf(at_tape *tape, at_shape shape, float *data, float *grad);

/* For those who write operations. */
at_var *at_tape_value(at_tape *tape, at_shape shape);          /* uninitialised; NULL sticks AT_ENOMEM */
void *at_tape_saved(at_tape *tape, size_t count, size_t size); /* arena memory, NULL sticks */
/* Records op(in…) -> out when recording and some input wants a gradient; sets out->needs_grad. Returns
 * out. */
at_var *at_tape_record(at_tape *tape, const at_op *op, at_var *out, at_var *const *in, size_t inputs,
                       void *saved);
/* Where to add the gradient of v; NULL when it wants none. *fresh: memory is uninitialised and must be
 * written; otherwise added to. With fresh NULL the memory is zeroed first. */
float *at_tape_grad(at_tape *tape, at_var *v, bool *fresh);
float *at_tape_borrow(at_tape *tape,
                      size_t floats); /* uninitialised, from the free list, until reset at most */
void at_tape_return(at_tape *tape, float *block);
bool at_expect_rank(at_tape *tape, const char *what, const at_var *v, int rank);
bool at_expect_shape(at_tape *tape, const char *what, const at_var *v, at_shape want);
/* The Philox key of the step's next dropout operation. */
void at_tape_dropout_key(at_tape *tape, uint32_t key[2]);
#endif
