#include "layer/recurrent.h"
#include <math.h>
#include <stdio.h>
#include "layer/internal.h"
#include "layer/repeated.h"

static size_t directions(const at_recurrent_spec *spec)
{
    return spec->bidirectional ? 2 : 1;
}

/* prefix.NAME_l0, prefix.NAME_l0_reverse, … */
static at_status declare(at_params *params, const char *prefix, const char *name, size_t index,
                         const at_param_spec *like, const at_param **param)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s%s_l%zu%s", prefix, *prefix ? "." : "", name, index / 2,
             index % 2 ? "_reverse" : "");
    at_param_spec spec = *like;
    spec.name = full;
    at_param *made = NULL;
    at_status st = at_params_add(params, &spec, &made);
    if (st == AT_OK)
        made->compact = made->shape.rank == 2;
    *param = made;
    return st;
}

static at_status declare_cell(at_params *params, const char *prefix, at_recurrent *layer, size_t index)
{
    const at_recurrent_spec *spec = &layer->spec;
    int64_t d = (int64_t)spec->width, wide = (int64_t)at_cell_gates(spec->cell.kind) * d;
    int64_t in = index < 2 ? (int64_t)spec->in : (int64_t)directions(spec) * d;
    float bound = 1.0f / sqrtf((float)spec->width);
    at_param_spec matrix = {.shape = at_shape2(wide, in), .init = AT_INIT_UNIFORM, .deviation = bound};
    at_param_spec vector = {
        .shape = at_shape1(wide), .role = AT_PLAIN, .init = AT_INIT_UNIFORM, .deviation = bound};
    at_cell_weights *cell = &layer->cell[index];
    at_recurrent_input *input = &layer->input[index];
    cell->cell = spec->cell;
    at_status st = declare(params, prefix, "weight_ih", index, &matrix, &input->weight);
    matrix.shape = at_shape2(wide, d);
    if (st == AT_OK)
        st = declare(params, prefix, "weight_hh", index, &matrix, &cell->hidden);
    if (st == AT_OK && spec->biases)
        st = declare(params, prefix, "bias_ih", index, &vector, &input->bias);
    if (st == AT_OK && spec->biases)
        st = declare(params, prefix, "bias_hh", index, &vector, &cell->bias);
    vector.shape = at_shape1(3 * d);
    if (st == AT_OK && spec->peepholes && spec->cell.kind == AT_CELL_LSTM)
        st = declare(params, prefix, "weight_peephole", index, &vector, &cell->peepholes);
    return st;
}

at_status at_recurrent_declare(at_params *params, const char *prefix, const at_recurrent_spec *spec,
                               at_recurrent *layer)
{
    AT_ASSERT(spec->layers >= 1 && spec->layers <= AT_RECURRENT_LAYERS);
    *layer = (at_recurrent){.spec = *spec};
    at_status st = AT_OK;
    for (size_t l = 0; l < spec->layers && st == AT_OK; l++)
        for (size_t r = 0; r < directions(spec) && st == AT_OK; r++)
            st = declare_cell(params, prefix, layer, 2 * l + r);
    return st;
}

at_var *at_recurrent_rows(at_tape *tape, const at_recurrent *layer, at_var *x, const at_rows *rows,
                          const at_cell_state *first, at_cell_state *last)
{
    const at_recurrent_spec *spec = &layer->spec;
    size_t ways = directions(spec);
    for (size_t l = 0; l < spec->layers; l++) {
        at_var *out[2] = {NULL, NULL};
        if (l > 0)
            x = at_dropout_add(tape, NULL, x, spec->dropout, rows);
        for (size_t r = 0; r < ways; r++) {
            const at_recurrent_input *input = &layer->input[2 * l + r];
            at_var *sums = at_linear(tape, x, input->weight, input->bias, AT_LINEAR);
            size_t state = l * ways + r;
            out[r] = at_recurrence(tape, &layer->cell[2 * l + r], sums, rows, r == 1,
                                   first ? &first[state] : NULL, last ? &last[state] : NULL);
        }
        x = ways == 2 ? at_beside(tape, out, 2) : out[0];
    }
    return x;
}

struct at_recurrent_loop {
    const at_recurrent *layer;
    at_repeated *input[AT_RECURRENT_LAYERS];
    at_cell_loop *cell[AT_RECURRENT_LAYERS];
};

at_recurrent_loop *at_recurrent_open(at_tape *tape, const at_recurrent *layer, size_t rows)
{
    AT_ASSERT(!layer->spec.bidirectional); /* what comes later is not known yet */
    at_recurrent_loop *loop = at_tape_saved(tape, 1, sizeof *loop);
    if (!loop)
        return NULL;
    *loop = (at_recurrent_loop){.layer = layer};
    for (size_t l = 0; l < layer->spec.layers; l++) {
        loop->input[l] = at_repeated_new(tape, layer->input[2 * l].weight, layer->input[2 * l].bias, rows);
        loop->cell[l] = at_cell_open(tape, &layer->cell[2 * l], rows);
        if (!loop->input[l] || !loop->cell[l])
            return NULL;
    }
    return loop;
}

/* One row a sequence, for the dropout. */
static const at_rows *single_rows(at_tape *tape, size_t count)
{
    at_rows *rows = at_tape_saved(tape, 1, sizeof *rows);
    int32_t *offsets = at_tape_saved(tape, count + 1, sizeof *offsets);
    if (!rows || !offsets)
        return NULL;
    for (size_t i = 0; i <= count; i++)
        offsets[i] = (int32_t)i;
    *rows = (at_rows){count, offsets, NULL};
    return rows;
}

at_var *at_recurrent_step(at_tape *tape, at_recurrent_loop *loop, at_var *x, at_cell_state *states)
{
    if (!loop)
        return NULL;
    const at_recurrent_spec *spec = &loop->layer->spec;
    bool drops = spec->dropout > 0 && spec->layers > 1 && tape->mode == AT_TAPE_TRAIN;
    const at_rows *rows = drops && x ? single_rows(tape, (size_t)x->shape.dim[0]) : NULL;
    for (size_t l = 0; l < spec->layers && x; l++) {
        if (l > 0 && rows)
            x = at_dropout_add(tape, NULL, x, spec->dropout, rows);
        x = at_repeated_step(tape, loop->input[l], x, NULL);
        states[l] = at_cell_next(tape, loop->cell[l], x, states[l]);
        x = states[l].h;
    }
    return x;
}
