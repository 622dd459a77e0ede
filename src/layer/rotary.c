#include "layer/rotary.h"
#include <math.h>
#include "layer/internal.h"

typedef struct rotary_rows {
    const at_kernels *k;
    at_rotary rotary;
    size_t heads, head_width;
    const int32_t *positions; /* (N) of each row; -1 - i: the i-th of those behind the tables */
    const float *far;         /* (count of those, pairs) cosines, then sines */
    size_t far_count;
    const float *from;
    float *to;
    bool back, accumulate;
} rotary_rows;

static void rotate_rows(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const rotary_rows *s = context;
    size_t pairs = s->rotary.width / 2, d = s->heads * s->head_width;
    for (size_t i = first; i < end; i++) {
        bool near = s->positions[i] >= 0;
        size_t at = (size_t)(near ? s->positions[i] : -1 - s->positions[i]) * pairs;
        at_turn turn = {.out = s->to + i * d,
                        .x = s->from + i * d,
                        .heads = s->heads,
                        .width = s->head_width,
                        .cosines = (near ? s->rotary.cosines : s->far) + at,
                        .sines = (near ? s->rotary.sines : s->far + s->far_count * pairs) + at,
                        .pairs = pairs,
                        .interleaved = s->rotary.interleaved,
                        .back = s->back,
                        .accumulate = s->accumulate};
        s->k->turn(&turn);
    }
}

static void run(at_tape *tape, rotary_rows *s, at_shape shape)
{
    size_t d = (size_t)shape.dim[1];
    at_exec_rows(tape->exec, (size_t)shape.dim[0], 1 + AT_LAYER_GRAIN / (d + 1), rotate_rows, s);
}

/* A turn's transpose is the turn back. */
static void rotary_backward(at_tape *tape, const at_node *node)
{
    rotary_rows s = *(const rotary_rows *)node->saved;
    bool fresh;
    s.to = at_tape_grad(tape, node->in[0], &fresh);
    if (!s.to)
        return;
    s.from = node->out->grad;
    s.back = true;
    s.accumulate = !fresh;
    run(tape, &s, node->out->shape);
}

const at_op at_op_rotary = {"rotary", rotary_backward};

/* Positions of all rows; those behind the tables become numbers of turns of their own. False: no memory. */
static bool place_rows(at_tape *tape, const at_rows *rows, const int32_t *starts, int32_t *positions,
                       rotary_rows *s)
{
    size_t pairs = s->rotary.width / 2, n = at_rows_total(rows), reach = s->rotary.positions, far = 0;
    for (size_t b = 0; b < rows->count; b++) {
        for (int32_t i = rows->offsets[b]; i < rows->offsets[b + 1]; i++) {
            positions[i] = i - rows->offsets[b] + (starts ? starts[b] : 0);
            AT_ASSERT(positions[i] >= 0);
            far += (size_t)positions[i] >= reach;
        }
    }
    if (far == 0)
        return true;
    AT_ASSERT(s->rotary.frequencies);
    float *turns = at_tape_saved(tape, 2 * far * pairs, sizeof *turns), *sines = turns + far * pairs;
    for (size_t i = 0, at = 0; turns && i < n; i++) {
        if ((size_t)positions[i] < reach)
            continue;
        for (size_t k = 0; k < pairs; k++) {
            double angle = (double)positions[i] * s->rotary.frequencies[k];
            turns[at * pairs + k] = (float)cos(angle);
            sines[at * pairs + k] = (float)sin(angle);
        }
        positions[i] = -1 - (int32_t)at++;
    }
    s->far = turns;
    s->far_count = far;
    return turns != NULL;
}

at_var *at_rotate(at_tape *tape, const at_rotary *rotary, at_var *x, size_t heads, const at_rows *rows,
                  const int32_t *starts)
{
    size_t n = at_rows_total(rows);
    if (!at_expect_rank(tape, "rotary", x, 2) ||
        !at_expect_shape(tape, "rotary", x, at_shape2((int64_t)n, x->shape.dim[1])))
        return NULL;
    size_t d = (size_t)x->shape.dim[1];
    if (heads == 0 || d % heads != 0 || rotary->width % 2 != 0 || rotary->width > d / heads) {
        at_tape_fail(tape, AT_ESHAPE,
                     "rotary: %s has no %zu heads of which the first %zu elements turn in pairs",
                     at_shape_text(x->shape).s, heads, rotary->width);
        return NULL;
    }
    at_var *out = at_tape_value(tape, x->shape);
    rotary_rows *s = at_tape_saved(tape, 1, sizeof *s);
    int32_t *positions = at_tape_saved(tape, n, sizeof *positions);
    if (tape->status != AT_OK)
        return NULL;
    *s = (rotary_rows){.k = tape->exec->kernels,
                       .rotary = *rotary,
                       .heads = heads,
                       .head_width = d / heads,
                       .positions = positions,
                       .from = x->data,
                       .to = out->data};
    if (!place_rows(tape, rows, starts, positions, s))
        return NULL;
    run(tape, s, x->shape);
    return at_tape_record(tape, &at_op_rotary, out, &x, 1, s);
}

void at_rotary_frequencies(double *out, size_t width, double base)
{
    for (size_t i = 0; i < width / 2; i++)
        out[i] = pow(base, -2 * (double)i / (double)width);
}

void at_rotary_tables(float *cosines, float *sines, size_t positions, size_t pairs, const double *frequencies)
{
    for (size_t p = 0; p < positions; p++) {
        for (size_t i = 0; i < pairs; i++) {
            double angle = (double)p * frequencies[i];
            cosines[p * pairs + i] = (float)cos(angle);
            sines[p * pairs + i] = (float)sin(angle);
        }
    }
}
