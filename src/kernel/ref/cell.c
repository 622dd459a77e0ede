#include <math.h>
#include "kernel/ref/ref.h"

static float gate_value(at_gate g, float x)
{
    switch (g.kind) {
    case AT_GATE_USUAL:
    case AT_GATE_SIGMOID:
        return 1.0f / (1.0f + expf(-x));
    case AT_GATE_TANH:
        return tanhf(x);
    case AT_GATE_RELU:
        return x > 0 ? x : (x == x ? 0 : x); /* NaN comes through */
    case AT_GATE_AFFINE:
        return g.alpha * x + g.beta;
    case AT_GATE_LEAKY_RELU:
        return x > 0 ? x : g.alpha * x;
    case AT_GATE_THRESHOLDED_RELU:
        return x > g.alpha ? x : (x == x ? 0 : x);
    case AT_GATE_SCALED_TANH:
        return g.alpha * tanhf(g.beta * x);
    case AT_GATE_HARD_SIGMOID:
        x = g.alpha * x + g.beta;
        return x < 0 ? 0 : x > 1 ? 1 : x;
    case AT_GATE_ELU:
        return x > 0 ? x : g.alpha * expm1f(x);
    case AT_GATE_SOFTSIGN:
        return x / (1.0f + fabsf(x));
    case AT_GATE_SOFTPLUS:
        return (x > 0 ? x : 0) + log1pf(expf(-fabsf(x)));
    case AT_GATES:
        break;
    }
    return x;
}

/* The derivative by the gate's value y. */
static float gate_slope(at_gate g, float y)
{
    switch (g.kind) {
    case AT_GATE_USUAL:
    case AT_GATE_SIGMOID:
        return y * (1.0f - y);
    case AT_GATE_TANH:
        return 1.0f - y * y;
    case AT_GATE_RELU:
    case AT_GATE_THRESHOLDED_RELU:
        return y > 0 ? 1 : 0;
    case AT_GATE_AFFINE:
        return g.alpha;
    case AT_GATE_LEAKY_RELU:
        return y > 0 ? 1 : g.alpha;
    case AT_GATE_SCALED_TANH:
        return g.beta * (g.alpha - y * y / g.alpha);
    case AT_GATE_HARD_SIGMOID:
        return y > 0 && y < 1 ? g.alpha : 0;
    case AT_GATE_ELU:
        return y > 0 ? 1 : y + g.alpha;
    case AT_GATE_SOFTSIGN:
        return (1.0f - fabsf(y)) * (1.0f - fabsf(y));
    case AT_GATE_SOFTPLUS:
        return -expm1f(-y);
    case AT_GATES:
        break;
    }
    return 1;
}

static float value(const at_cell *c, at_gate g, float x)
{
    if (c->clip > 0)
        x = x > c->clip ? c->clip : x < -c->clip ? -c->clip : x;
    return gate_value(g, x);
}

/* Where the sum was held at a bound nothing changes; the value there is the bound's. */
static float slope(const at_cell *c, at_gate g, float y)
{
    if (c->clip > 0 && (y == gate_value(g, c->clip) || y == gate_value(g, -c->clip)))
        return 0;
    return gate_slope(g, y);
}

/* One row of a step: pointers to it, blocks of D apart. */
typedef struct row {
    size_t at;
    const float *x, *h, *c;
    float *kept, *h_new, *c_new, *out;
} row;

static row row_of(const at_cell_step *s, size_t i)
{
    size_t d = s->cell->width, kept = at_cell_kept(s->cell->kind) * d;
    size_t at = s->at ? (size_t)s->at[i] : i;
    return (row){.at = at,
                 .x = s->x ? s->x + at * at_cell_gates(s->cell->kind) * d : NULL,
                 .kept = s->kept + i * kept,
                 .h = s->h ? s->h + i * d : NULL,
                 .c = s->c ? s->c + i * d : NULL,
                 .h_new = i < s->carry ? s->h_new + i * d : NULL,
                 .c_new = s->c_new ? s->c_new + i * d : NULL,
                 .out = s->out ? s->out + at * d : NULL};
}

static float gru_element(const at_cell *cell, const row *p, size_t j)
{
    size_t d = cell->width;
    float *k = p->kept + j;
    const float *x = p->x + j;
    if (cell->reset_before) {
        k[2 * d] = value(cell, cell->g, x[2 * d] + k[2 * d]);
        return k[2 * d] + k[d] * (p->h[j] - k[2 * d]);
    }
    k[0] = value(cell, cell->f, x[0] + k[0]);
    k[d] = value(cell, cell->f, x[d] + k[d]);
    k[3 * d] = value(cell, cell->g, x[2 * d] + k[0] * k[2 * d]);
    return k[3 * d] + k[d] * (p->h[j] - k[3 * d]);
}

static float lstm_element(const at_cell *cell, const row *p, size_t j)
{
    size_t d = cell->width;
    float *k = p->kept + j, before = p->c[j];
    const float *x = p->x + j, *peep = cell->peepholes ? cell->peepholes + j : NULL;
    k[0] = value(cell, cell->f, x[0] + k[0] + (peep ? peep[0] * before : 0));
    float forget = x[d] + k[d] + (peep ? peep[d] * before : 0);
    k[d] = cell->input_forget ? 1.0f - k[0] : value(cell, cell->f, forget);
    k[2 * d] = value(cell, cell->g, x[2 * d] + k[2 * d]);
    float after = k[d] * before + k[0] * k[2 * d];
    k[3 * d] = value(cell, cell->f, x[3 * d] + k[3 * d] + (peep ? peep[2 * d] * after : 0));
    p->c_new[j] = after;
    return k[3 * d] * value(cell, cell->h, after);
}

static float rnn_element(const at_cell *cell, const row *p, size_t j)
{
    p->kept[j] = value(cell, cell->g, p->x[j] + p->kept[j]);
    return p->kept[j];
}

void at_ref_cell(const at_cell_step *s, size_t first, size_t end)
{
    const at_cell *cell = s->cell;
    for (size_t i = first; i < end; i++) {
        row p = row_of(s, i);
        for (size_t j = 0; j < cell->width; j++) {
            float h = cell->kind == AT_CELL_RNN   ? rnn_element(cell, &p, j)
                      : cell->kind == AT_CELL_GRU ? gru_element(cell, &p, j)
                                                  : lstm_element(cell, &p, j);
            p.out[j] = h;
            if (p.h_new)
                p.h_new[j] = h;
        }
    }
}

void at_ref_cell_reset(const at_cell_step *s, size_t first, size_t end)
{
    size_t d = s->cell->width;
    for (size_t i = first; i < end; i++) {
        row p = row_of(s, i);
        for (size_t j = 0; j < d; j++) {
            float *k = p.kept + j;
            k[0] = value(s->cell, s->cell->f, p.x[j] + k[0]);
            k[d] = value(s->cell, s->cell->f, p.x[d + j] + k[d]);
            k[3 * d] = k[0] * p.h[j];
        }
    }
}

/* Where the gradients of one row go. */
typedef struct gradients {
    float *h, *c, *u, *x;
    bool fresh;
    size_t d;
} gradients;

static gradients gradients_of(const at_cell_step *s, size_t i, size_t at)
{
    size_t d = s->cell->width, wide = at_cell_gates(s->cell->kind) * d;
    return (gradients){.h = s->d_h + i * d,
                       .c = s->d_c ? s->d_c + i * d : NULL,
                       .u = s->d_u + i * wide,
                       .x = s->d_x ? s->d_x + at * wide : NULL,
                       .fresh = s->d_x_fresh,
                       .d = d};
}

/* Gradient `u` of a hidden state's sum and `x` of the input's, which differ in one block of a GRU. */
static void give(const gradients *g, size_t block, size_t j, float u, float x)
{
    size_t at = block * g->d + j;
    g->u[at] = u;
    if (g->x)
        g->x[at] = g->fresh ? x : g->x[at] + x;
}

static void gru_element_back(const at_cell *cell, const row *p, const gradients *g, size_t j, float d_new)
{
    size_t d = cell->width;
    const float *k = p->kept + j;
    float r = k[0], z = k[d], n = cell->reset_before ? k[2 * d] : k[3 * d];
    float d_z = d_new * (p->h[j] - n) * slope(cell, cell->f, z);
    float d_n = d_new * (1.0f - z) * slope(cell, cell->g, n);
    g->h[j] = d_new * z;
    give(g, 1, j, d_z, d_z);
    if (cell->reset_before) {
        give(g, 2, j, d_n, d_n);
        return;
    }
    float d_r = d_n * k[2 * d] * slope(cell, cell->f, r);
    give(g, 0, j, d_r, d_r);
    give(g, 2, j, d_n * r, d_n);
}

static void lstm_element_back(const at_cell *cell, const row *p, const gradients *g, size_t j, float d_new)
{
    size_t d = cell->width;
    const float *k = p->kept + j, *peep = cell->peepholes ? cell->peepholes + j : NULL;
    float in = k[0], forget = k[d], fresh = k[2 * d], out = k[3 * d];
    float seen = value(cell, cell->h, p->c_new[j]);
    float d_o = d_new * seen * slope(cell, cell->f, out);
    float d_c = g->c[j] + d_new * out * slope(cell, cell->h, seen) + (peep ? d_o * peep[2 * d] : 0);
    float d_f = d_c * p->c[j], d_i = d_c * fresh - (cell->input_forget ? d_f : 0);
    d_f = cell->input_forget ? 0 : d_f * slope(cell, cell->f, forget);
    d_i *= slope(cell, cell->f, in);
    float d_g = d_c * in * slope(cell, cell->g, fresh);
    g->c[j] = d_c * forget + (peep ? d_i * peep[0] + d_f * peep[d] : 0);
    give(g, 0, j, d_i, d_i);
    give(g, 1, j, d_f, d_f);
    give(g, 2, j, d_g, d_g);
    give(g, 3, j, d_o, d_o);
}

void at_ref_cell_backward(const at_cell_step *s, size_t first, size_t end)
{
    const at_cell *cell = s->cell;
    size_t d = cell->width;
    for (size_t i = first; i < end; i++) {
        row p = row_of(s, i);
        gradients g = gradients_of(s, i, p.at);
        AT_ASSERT(p.h && (cell->kind != AT_CELL_LSTM || (p.c && p.c_new && g.c)));
        for (size_t j = 0; j < d; j++) {
            float d_new = g.h[j] + s->d_out[p.at * d + j];
            if (cell->kind == AT_CELL_GRU)
                gru_element_back(cell, &p, &g, j, d_new);
            else if (cell->kind == AT_CELL_LSTM)
                lstm_element_back(cell, &p, &g, j, d_new);
            else {
                float d_sum = d_new * slope(cell, cell->g, p.kept[j]);
                give(&g, 0, j, d_sum, d_sum);
            }
        }
    }
}

void at_ref_cell_reset_backward(const at_cell_step *s, size_t first, size_t end)
{
    size_t d = s->cell->width;
    for (size_t i = first; i < end; i++) {
        row p = row_of(s, i);
        gradients g = gradients_of(s, i, p.at);
        AT_ASSERT(p.h);
        for (size_t j = 0; j < d; j++) {
            float r = p.kept[j], d_rh = s->d_rh[i * d + j];
            float d_r = d_rh * p.h[j] * slope(s->cell, s->cell->f, r);
            g.h[j] += d_rh * r;
            give(&g, 0, j, d_r, d_r);
        }
    }
}
