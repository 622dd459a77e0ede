#include "autograd/tape.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/memory.h"
#include "base/rng.h"

/* Gradients and borrowed blocks: kept by classes of size, four to an octave, so a block fits any later
 * request of its class and is at most a quarter too large. */
enum { LEAST_BITS = 8, STEPS = 4, CLASSES = STEPS * 44, HEADER = 64 };

typedef struct block {
    struct block *next;
    int class;
} block;

struct at_tape_private {
    at_node *nodes;
    size_t count, capacity;
    block *free_blocks[CLASSES];
    block **held; /* every block ever made, for at_tape_free */
    size_t held_count, held_capacity, held_bytes;
};

at_status at_tape_new(at_exec *exec, at_tape **tape)
{
    at_tape *t = at_alloc_zero(1, sizeof *t);
    if (!t)
        return AT_ENOMEM;
    t->exec = exec;
    t->arena = at_arena_new();
    t->private = at_alloc_zero(1, sizeof *t->private);
    if (!t->arena || !t->private) {
        at_tape_free(t);
        return AT_ENOMEM;
    }
    *tape = t;
    return AT_OK;
}

void at_tape_free(at_tape *tape)
{
    if (!tape)
        return;
    struct at_tape_private *p = tape->private;
    if (p) {
        for (size_t i = 0; i < p->held_count; i++)
            at_free_aligned(p->held[i]);
        at_free(p->held);
        at_free(p->nodes);
        at_free(p);
    }
    at_arena_free(tape->arena);
    at_free(tape);
}

/* Every block goes back, also those whose backward never ran: a loss that was only looked at, a failed
 * step. */
static void reclaim_blocks(struct at_tape_private *p)
{
    memset(p->free_blocks, 0, sizeof p->free_blocks);
    for (size_t i = 0; i < p->held_count; i++) {
        block *b = p->held[i];
        b->next = p->free_blocks[b->class];
        p->free_blocks[b->class] = b;
    }
}

void at_tape_reset(at_tape *tape)
{
    reclaim_blocks(tape->private);
    tape->private->count = 0;
    tape->status = AT_OK;
    tape->dropouts = 0;
    at_arena_reset(tape->arena);
}

void at_tape_begin(at_tape *tape, at_tape_mode mode, uint64_t seed, uint64_t step)
{
    at_tape_reset(tape);
    tape->mode = mode;
    tape->seed = seed;
    tape->step = step;
}

at_status at_tape_status(const at_tape *tape)
{
    return tape->status;
}

at_status at_tape_fail(at_tape *tape, at_status status, const char *format, ...)
{
    if (tape->status != AT_OK)
        return tape->status;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tape->status = at_fail(status, "%s", text);
    return status;
}

const at_node *at_tape_nodes(const at_tape *tape, size_t *count)
{
    *count = tape->private->count;
    return tape->private->nodes;
}

size_t at_tape_peak(const at_tape *tape)
{
    return at_arena_peak(tape->arena) + tape->private->held_bytes;
}

at_var *at_leaf(at_tape *tape, at_shape shape, float *data, float *grad)
{
    if (tape->status != AT_OK)
        return NULL;
    at_var *v = at_tape_saved(tape, 1, sizeof *v);
    if (!v)
        return NULL;
    *v = (at_var){shape, data, grad, grad != NULL, false};
    return v;
}

at_var *at_tape_value(at_tape *tape, at_shape shape)
{
    if (tape->status != AT_OK)
        return NULL;
    at_var *v = at_tape_saved(tape, 1, sizeof *v);
    float *data = at_tape_saved(tape, at_shape_count(shape), sizeof *data);
    if (!v || !data)
        return NULL;
    *v = (at_var){shape, data, NULL, false, true};
    return v;
}

void *at_tape_saved(at_tape *tape, size_t count, size_t size)
{
    if (tape->status != AT_OK)
        return NULL;
    void *memory = at_arena_array(tape->arena, count ? count : 1, size);
    if (!memory)
        tape->status = AT_ENOMEM;
    return memory;
}

/* The operation's end, for the profile. One that ran no product has counted nothing: then it is what it
 * reads and writes, out and inputs, in the backward their gradients too. */
static void note_time(at_tape *tape, const at_op *op, const at_var *out, at_var *const *in, size_t inputs,
                      bool backward)
{
    const at_profile *profile = tape->exec->profile;
    if (!profile)
        return;
    if (profile->bytes == 0) {
        double floats = (double)at_shape_count(out->shape);
        for (size_t i = 0; i < inputs; i++)
            floats += in[i] ? (double)at_shape_count(in[i]->shape) : 0;
        at_exec_count(tape->exec, 0, (double)sizeof(float) * (backward ? 2 : 1) * floats);
    }
    at_exec_took(tape->exec, op->name, backward);
}

at_var *at_tape_record(at_tape *tape, const at_op *op, at_var *out, at_var *const *in, size_t inputs,
                       void *saved)
{
    AT_ASSERT(inputs <= AT_MAX_INPUTS);
    if (!out)
        return NULL;
    note_time(tape, op, out, in, inputs, false);
    if (tape->mode == AT_TAPE_RUN)
        return out;
    bool wanted = false;
    for (size_t i = 0; i < inputs; i++)
        wanted = wanted || (in[i] && in[i]->needs_grad);
    if (!wanted)
        return out;
    struct at_tape_private *p = tape->private;
    if (at_grow(&p->nodes, &p->capacity, p->count + 1, sizeof *p->nodes) != AT_OK) {
        tape->status = AT_ENOMEM;
        return NULL;
    }
    at_node *node = &p->nodes[p->count++];
    *node = (at_node){.op = op, .out = out, .saved = saved};
    for (size_t i = 0; i < inputs; i++)
        node->in[i] = in[i];
    out->needs_grad = true;
    return out;
}

/* Class c holds blocks of (4 + c % 4) * 2^(c / 4) * 64 bytes: 256, 320, 384, 448, 512, 640, … */
static size_t class_bytes(int class)
{
    return (size_t)(STEPS + class % STEPS) << (LEAST_BITS - 2 + class / STEPS);
}

static int class_of(size_t bytes)
{
    int class = 0;
    while (class_bytes(class) < bytes)
        class += class_bytes(class + STEPS) < bytes ? STEPS : 1;
    return class;
}

float *at_tape_borrow(at_tape *tape, size_t floats)
{
    if (tape->status != AT_OK)
        return NULL;
    struct at_tape_private *p = tape->private;
    AT_ASSERT(floats < ((size_t)1 << 44));
    int class = class_of(floats * sizeof(float));
    block *b = p->free_blocks[class];
    if (b) {
        p->free_blocks[class] = b->next;
        return (float *)((char *)b + HEADER);
    }
    size_t bytes = class_bytes(class) + HEADER;
    if (at_grow(&p->held, &p->held_capacity, p->held_count + 1, sizeof(block *)) == AT_OK)
        b = at_alloc_aligned(1, bytes);
    if (!b) {
        tape->status = AT_ENOMEM;
        return NULL;
    }
    b->class = class;
    p->held[p->held_count++] = b;
    p->held_bytes += bytes;
    return (float *)((char *)b + HEADER);
}

void at_tape_return(at_tape *tape, float *data)
{
    if (!data)
        return;
    block *b = (block *)((char *)data - HEADER);
    b->next = tape->private->free_blocks[b->class];
    tape->private->free_blocks[b->class] = b;
}

float *at_tape_grad(at_tape *tape, at_var *v, bool *fresh)
{
    if (fresh)
        *fresh = false;
    if (!v || !v->needs_grad)
        return NULL;
    if (v->grad)
        return v->grad;
    size_t n = at_shape_count(v->shape);
    v->grad = at_tape_borrow(tape, n);
    if (v->grad && fresh)
        *fresh = true;
    else if (v->grad)
        memset(v->grad, 0, n * sizeof *v->grad);
    return v->grad;
}

at_status at_tape_backward(at_tape *tape, at_var *loss)
{
    if (tape->status != AT_OK || !loss)
        return tape->status;
    AT_ASSERT(at_shape_count(loss->shape) == 1);
    struct at_tape_private *p = tape->private;
    float *seed = at_tape_grad(tape, loss, NULL);
    if (seed)
        seed[0] += 1.0f;
    for (size_t i = p->count; i-- > 0 && tape->status == AT_OK;) {
        const at_node *node = &p->nodes[i];
        if (!node->out->grad)
            continue; /* nothing downstream looked at it */
        node->op->backward(tape, node);
        note_time(tape, node->op, node->out, node->in, AT_MAX_INPUTS, true);
        if (node->out->owns_grad) {
            at_tape_return(tape, node->out->grad);
            node->out->grad = NULL;
        }
    }
    return tape->status;
}

bool at_expect_rank(at_tape *tape, const char *what, const at_var *v, int rank)
{
    if (!v)
        return false; /* the tape already holds the error that made it NULL */
    if (v->shape.rank == rank)
        return true;
    at_tape_fail(tape, AT_ESHAPE, "%s: want rank %d, got %s", what, rank, at_shape_text(v->shape).s);
    return false;
}

bool at_expect_shape(at_tape *tape, const char *what, const at_var *v, at_shape want)
{
    if (!v)
        return false;
    if (at_shape_same(v->shape, want))
        return true;
    at_tape_fail(tape, AT_ESHAPE, "%s: want %s, got %s", what, at_shape_text(want).s,
                 at_shape_text(v->shape).s);
    return false;
}

void at_tape_dropout_key(at_tape *tape, uint32_t key[2])
{
    uint32_t counter[4] = {tape->dropouts++, (uint32_t)tape->step, (uint32_t)(tape->step >> 32), 0x64726f70u};
    uint32_t seed[2] = {(uint32_t)tape->seed, (uint32_t)(tape->seed >> 32)}, out[4];
    at_philox(counter, seed, out);
    key[0] = out[0];
    key[1] = out[1];
}
