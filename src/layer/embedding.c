#include <math.h>
#include "layer/internal.h"

typedef struct embed_rows {
    const at_kernels *k;
    at_embedding embedding;
    float *out;
    const int32_t *ids;
    const int32_t *positions; /* (N) of each row; NULL: none wanted */
    size_t rows, d;
    const float *d_out;
    float *d_table, *d_learned;
} embed_rows;

static void embed_forward(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const embed_rows *s = context;
    const at_embedding *e = &s->embedding;
    for (size_t i = first; i < end; i++) {
        float *out = s->out + i * s->d;
        const float *row = out;
        if (e->table->data)
            row = e->table->data + (size_t)s->ids[i] * s->d;
        else
            s->k->widen(out, e->table->data16 + (size_t)s->ids[i] * s->d, s->d);
        s->k->scale(out, row, e->scale, s->d);
        if (e->fixed)
            s->k->add(out, out, e->fixed + (size_t)s->positions[i] * s->d, s->d);
        if (e->learned)
            s->k->add(out, out, e->learned->data + (size_t)s->positions[i] * s->d, s->d);
    }
}

/* Columns are cut among threads; each adds all rows in order, so rows that meet in one table row never
 * race. */
static void embed_columns(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const embed_rows *s = context;
    for (size_t i = 0; i < s->rows; i++) {
        const float *d = s->d_out + i * s->d + first;
        if (s->d_table)
            s->k->axpy(s->d_table + (size_t)s->ids[i] * s->d + first, s->embedding.scale, d, end - first);
        if (s->d_learned)
            s->k->axpy(s->d_learned + (size_t)s->positions[i] * s->d + first, 1.0f, d, end - first);
    }
}

static void embed_backward(at_tape *tape, const at_node *node)
{
    embed_rows s = *(const embed_rows *)node->saved;
    s.d_out = node->out->grad;
    s.d_table = at_tape_grad(tape, node->in[0], NULL);
    s.d_learned = at_tape_grad(tape, node->in[1], NULL);
    if (tape->status != AT_OK)
        return;
    at_exec_count(tape->exec, 0, 3.0 * sizeof(float) * (double)s.rows * (double)s.d);
    at_exec_rows(tape->exec, s.d, AT_COLUMN_GRAIN, embed_columns, &s);
}

const at_op at_op_embed = {"embed", embed_backward};

/* The place of every row in its sequence, and the ids: copied, because the caller's may be gone at
 * backward. */
static bool place_rows(at_tape *tape, embed_rows *s, const int32_t *ids, const at_rows *rows,
                       const int32_t *starts)
{
    int32_t *kept = at_tape_saved(tape, 2 * s->rows, sizeof *kept);
    if (!kept)
        return false;
    int32_t *positions = kept + s->rows;
    const at_embedding *e = &s->embedding;
    for (size_t b = 0; b < rows->count; b++) {
        for (int32_t i = rows->offsets[b]; i < rows->offsets[b + 1]; i++) {
            AT_ASSERT(ids[i] >= 0 && ids[i] < e->table->shape.dim[0]);
            kept[i] = ids[i];
            positions[i] = i - rows->offsets[b] + (starts ? starts[b] : 0);
            AT_ASSERT(!e->learned || positions[i] < e->learned->shape.dim[0]);
        }
    }
    s->ids = kept;
    s->positions = positions;
    return true;
}

at_var *at_embed(at_tape *tape, const at_embedding *embedding, const int32_t *ids, const at_rows *rows,
                 const int32_t *starts)
{
    size_t n = at_rows_total(rows), d = (size_t)embedding->table->shape.dim[1];
    at_var *out = at_tape_value(tape, at_shape2((int64_t)n, (int64_t)d));
    embed_rows *s = out ? at_tape_saved(tape, 1, sizeof *s) : NULL;
    if (!s)
        return NULL;
    *s = (embed_rows){.k = tape->exec->kernels, .embedding = *embedding, .out = out->data, .rows = n, .d = d};
    if (!place_rows(tape, s, ids, rows, starts))
        return NULL;
    at_exec_count(tape->exec, 0, 2.0 * sizeof(float) * (double)n * (double)d); /* rows, not the whole table */
    at_exec_rows(tape->exec, n, 1 + AT_LAYER_GRAIN / d, embed_forward, s);
    at_var *in[] = {at_param_var(tape, embedding->table),
                    embedding->learned ? at_param_var(tape, embedding->learned) : NULL};
    return at_tape_record(tape, &at_op_embed, out, in, 2, s);
}

/* Each pair of columns is a point going round the unit circle: one rotation a position instead of a sine, in
 * double so that the error after thousands of steps stays below a float's. */
void at_sinusoids(float *out, size_t positions, size_t width)
{
    for (size_t i = 0; i + 1 < width; i += 2) {
        double step = pow(10000.0, -(double)i / (double)width);
        double turn_sin = sin(step), turn_cos = cos(step), s = 0, c = 1;
        for (size_t p = 0; p < positions; p++) {
            out[p * width + i] = (float)s;
            out[p * width + i + 1] = (float)c;
            double next = s * turn_cos + c * turn_sin;
            c = c * turn_cos - s * turn_sin;
            s = next;
        }
    }
}

size_t at_embedding_positions(const at_embedding *embedding, size_t count, float *out)
{
    const float *rows = embedding->fixed     ? embedding->fixed
                        : embedding->learned ? embedding->learned->data
                                             : NULL;
    size_t width = rows ? (size_t)embedding->table->shape.dim[1] : 0;
    for (size_t i = 0; i < count * width && out; i++)
        out[i] = rows[i];
    return width;
}
