#include "kernel/ref/ref.h"
#include "kernel/simd/math.h"

/* The cells that are trained: sigmoid gates, tanh (or ReLU in a plain cell) for what is new, no bounds. The
 * reference does the others. Loops go along a row, a vector of each gate at a time. */
static bool is_usual(const at_cell *c)
{
    if (c->clip > 0 || c->input_forget)
        return false;
    if (c->kind == AT_CELL_RNN)
        return c->g.kind == AT_GATE_TANH || c->g.kind == AT_GATE_RELU;
    return c->f.kind == AT_GATE_SIGMOID && c->g.kind == AT_GATE_TANH && c->h.kind == AT_GATE_TANH;
}

/* Rows of a step, blocks d apart. Those that a step does not have are NULL. */
typedef struct row {
    size_t d;
    const float *x, *h, *c, *peep, *d_out, *d_rh;
    float *kept, *h_new, *c_new, *out;
    float *d_h, *d_c, *d_u, *d_x;
    bool fresh;
} row;

AT_INLINE row row_of(const at_cell_step *s, size_t i)
{
    size_t d = s->cell->width, wide = at_cell_gates(s->cell->kind) * d, at = s->at ? (size_t)s->at[i] : i;
    return (row){.d = d,
                 .x = s->x ? s->x + at * wide : NULL,
                 .h = s->h ? s->h + i * d : NULL,
                 .c = s->c ? s->c + i * d : NULL,
                 .peep = s->cell->peepholes,
                 .d_out = s->d_out ? s->d_out + at * d : NULL,
                 .d_rh = s->d_rh ? s->d_rh + i * d : NULL,
                 .kept = s->kept + i * at_cell_kept(s->cell->kind) * d,
                 .h_new = i < s->carry ? s->h_new + i * d : NULL,
                 .c_new = s->c_new ? s->c_new + i * d : NULL,
                 .out = s->out ? s->out + at * d : NULL,
                 .d_h = s->d_h ? s->d_h + i * d : NULL,
                 .d_c = s->d_c ? s->d_c + i * d : NULL,
                 .d_u = s->d_u ? s->d_u + i * wide : NULL,
                 .d_x = s->d_x ? s->d_x + at * wide : NULL,
                 .fresh = s->d_x_fresh};
}

/* x + u of one block */
AT_INLINE at_vec sum(const row *p, size_t block, size_t j, size_t lanes)
{
    size_t at = block * p->d + j;
    return vec_add(vec_load_n(p->x + at, lanes), vec_load_n(p->kept + at, lanes));
}

AT_INLINE at_vec kept(const row *p, size_t block, size_t j, size_t lanes)
{
    return vec_load_n(p->kept + block * p->d + j, lanes);
}

AT_INLINE void keep(const row *p, size_t block, size_t j, at_vec v, size_t lanes)
{
    vec_store_n(p->kept + block * p->d + j, v, lanes);
}

AT_INLINE void put_h(const row *p, size_t j, at_vec h, size_t lanes)
{
    vec_store_n(p->out + j, h, lanes);
    if (p->h_new)
        vec_store_n(p->h_new + j, h, lanes);
}

/* Gradient `u` of the hidden state's sum, `x` of the input's. */
AT_INLINE void give(const row *p, size_t block, size_t j, at_vec u, at_vec x, size_t lanes)
{
    size_t at = block * p->d + j;
    vec_store_n(p->d_u + at, u, lanes);
    if (!p->d_x)
        return;
    if (!p->fresh)
        x = vec_add(vec_load_n(p->d_x + at, lanes), x);
    vec_store_n(p->d_x + at, x, lanes);
}

AT_INLINE at_vec sigmoid_slope(at_vec d, at_vec y)
{
    return vec_mul(d, vec_fnma(y, y, y));
}

AT_INLINE at_vec tanh_slope(at_vec d, at_vec y)
{
    return vec_mul(d, vec_fnma(y, y, vec_set(1.0f)));
}

/* --- forward, one vector --------------------------------------------------------------------- */
AT_INLINE void rnn_step(const row *p, size_t j, size_t lanes, bool relu)
{
    at_vec s = sum(p, 0, j, lanes);
    at_vec h = relu ? vec_max(vec_zero(), s) : vec_tanh(s); /* in this order NaN comes through */
    keep(p, 0, j, h, lanes);
    put_h(p, j, h, lanes);
}

AT_INLINE void gru_step(const row *p, size_t j, size_t lanes, bool reset_before)
{
    at_vec z, n, h = vec_load_n(p->h + j, lanes);
    if (reset_before) {
        z = kept(p, 1, j, lanes);
        n = vec_tanh(sum(p, 2, j, lanes));
        keep(p, 2, j, n, lanes);
    } else {
        at_vec r = vec_sigmoid(sum(p, 0, j, lanes));
        z = vec_sigmoid(sum(p, 1, j, lanes));
        n = vec_tanh(vec_fma(r, kept(p, 2, j, lanes), vec_load_n(p->x + 2 * p->d + j, lanes)));
        keep(p, 0, j, r, lanes);
        keep(p, 1, j, z, lanes);
        keep(p, 3, j, n, lanes);
    }
    put_h(p, j, vec_fma(z, vec_sub(h, n), n), lanes);
}

AT_INLINE void reset_step(const row *p, size_t j, size_t lanes)
{
    at_vec r = vec_sigmoid(sum(p, 0, j, lanes));
    keep(p, 0, j, r, lanes);
    keep(p, 1, j, vec_sigmoid(sum(p, 1, j, lanes)), lanes);
    keep(p, 3, j, vec_mul(r, vec_load_n(p->h + j, lanes)), lanes);
}

AT_INLINE at_vec peep_at(const row *p, size_t block, size_t j, at_vec c, at_vec s, size_t lanes)
{
    return vec_fma(vec_load_n(p->peep + block * p->d + j, lanes), c, s);
}

AT_INLINE void lstm_step(const row *p, size_t j, size_t lanes, bool peep)
{
    at_vec c = vec_load_n(p->c + j, lanes), i = sum(p, 0, j, lanes), f = sum(p, 1, j, lanes);
    if (peep) {
        i = peep_at(p, 0, j, c, i, lanes);
        f = peep_at(p, 1, j, c, f, lanes);
    }
    i = vec_sigmoid(i);
    f = vec_sigmoid(f);
    at_vec g = vec_tanh(sum(p, 2, j, lanes)), o = sum(p, 3, j, lanes);
    c = vec_fma(f, c, vec_mul(i, g));
    o = vec_sigmoid(peep ? peep_at(p, 2, j, c, o, lanes) : o);
    keep(p, 0, j, i, lanes);
    keep(p, 1, j, f, lanes);
    keep(p, 2, j, g, lanes);
    keep(p, 3, j, o, lanes);
    vec_store_n(p->c_new + j, c, lanes);
    put_h(p, j, vec_mul(o, vec_tanh(c)), lanes);
}

/* --- backward, one vector -------------------------------------------------------------------- */
AT_INLINE void rnn_back(const row *p, size_t j, size_t lanes, bool relu)
{
    at_vec d = vec_add(vec_load_n(p->d_h + j, lanes), vec_load_n(p->d_out + j, lanes));
    at_vec y = kept(p, 0, j, lanes);
    d = relu ? vec_select(vec_less(vec_zero(), y), d, vec_zero()) : tanh_slope(d, y);
    give(p, 0, j, d, d, lanes);
}

AT_INLINE void gru_back(const row *p, size_t j, size_t lanes, bool reset_before)
{
    at_vec d = vec_add(vec_load_n(p->d_h + j, lanes), vec_load_n(p->d_out + j, lanes));
    at_vec z = kept(p, 1, j, lanes), n = kept(p, reset_before ? 2 : 3, j, lanes);
    at_vec d_z = sigmoid_slope(vec_mul(d, vec_sub(vec_load_n(p->h + j, lanes), n)), z);
    at_vec past = vec_mul(d, z), d_n = tanh_slope(vec_sub(d, past), n);
    vec_store_n(p->d_h + j, past, lanes);
    give(p, 1, j, d_z, d_z, lanes);
    if (reset_before) {
        give(p, 2, j, d_n, d_n, lanes);
        return;
    }
    at_vec r = kept(p, 0, j, lanes), d_r = sigmoid_slope(vec_mul(d_n, kept(p, 2, j, lanes)), r);
    give(p, 0, j, d_r, d_r, lanes);
    give(p, 2, j, vec_mul(d_n, r), d_n, lanes);
}

AT_INLINE void reset_back(const row *p, size_t j, size_t lanes)
{
    at_vec d_rh = vec_load_n(p->d_rh + j, lanes), r = kept(p, 0, j, lanes);
    at_vec d_r = sigmoid_slope(vec_mul(d_rh, vec_load_n(p->h + j, lanes)), r);
    vec_store_n(p->d_h + j, vec_fma(d_rh, r, vec_load_n(p->d_h + j, lanes)), lanes);
    give(p, 0, j, d_r, d_r, lanes);
}

AT_INLINE void lstm_back(const row *p, size_t j, size_t lanes, bool peep)
{
    at_vec d = vec_add(vec_load_n(p->d_h + j, lanes), vec_load_n(p->d_out + j, lanes));
    at_vec i = kept(p, 0, j, lanes), f = kept(p, 1, j, lanes), g = kept(p, 2, j, lanes);
    at_vec o = kept(p, 3, j, lanes), seen = vec_tanh(vec_load_n(p->c_new + j, lanes));
    at_vec d_o = sigmoid_slope(vec_mul(d, seen), o);
    at_vec d_c = vec_add(vec_load_n(p->d_c + j, lanes), tanh_slope(vec_mul(d, o), seen));
    if (peep)
        d_c = peep_at(p, 2, j, d_o, d_c, lanes);
    at_vec d_f = sigmoid_slope(vec_mul(d_c, vec_load_n(p->c + j, lanes)), f);
    at_vec d_i = sigmoid_slope(vec_mul(d_c, g), i), d_g = tanh_slope(vec_mul(d_c, i), g);
    d_c = vec_mul(d_c, f);
    if (peep)
        d_c = peep_at(p, 0, j, d_i, peep_at(p, 1, j, d_f, d_c, lanes), lanes);
    vec_store_n(p->d_c + j, d_c, lanes);
    give(p, 0, j, d_i, d_i, lanes);
    give(p, 1, j, d_f, d_f, lanes);
    give(p, 2, j, d_g, d_g, lanes);
    give(p, 3, j, d_o, d_o, lanes);
}

/* --- rows ------------------------------------------------------------------------------------ */
typedef enum part { RNN_TANH, RNN_RELU, GRU, GRU_RESET_BEFORE, RESET, LSTM, LSTM_PEEPHOLES } part;

/* what and back are constants where this is inlined */
AT_INLINE void one_vector(const row *p, size_t j, size_t lanes, const part what, const bool back)
{
    switch (what) {
    case RNN_TANH:
    case RNN_RELU:
        back ? rnn_back(p, j, lanes, what == RNN_RELU) : rnn_step(p, j, lanes, what == RNN_RELU);
        break;
    case GRU:
    case GRU_RESET_BEFORE:
        back ? gru_back(p, j, lanes, what == GRU_RESET_BEFORE)
             : gru_step(p, j, lanes, what == GRU_RESET_BEFORE);
        break;
    case RESET:
        back ? reset_back(p, j, lanes) : reset_step(p, j, lanes);
        break;
    case LSTM:
    case LSTM_PEEPHOLES:
        back ? lstm_back(p, j, lanes, what == LSTM_PEEPHOLES)
             : lstm_step(p, j, lanes, what == LSTM_PEEPHOLES);
        break;
    }
}

AT_INLINE void all_rows(const at_cell_step *s, size_t first, size_t end, const part what, const bool back)
{
    size_t d = s->cell->width;
    for (size_t i = first; i < end; i++) {
        row p = row_of(s, i);
        size_t j = 0;
        for (; j + AT_VEC <= d; j += AT_VEC)
            one_vector(&p, j, AT_VEC, what, back);
        if (j < d)
            one_vector(&p, j, d - j, what, back);
    }
}

static part part_of(const at_cell *c)
{
    if (c->kind == AT_CELL_RNN)
        return c->g.kind == AT_GATE_RELU ? RNN_RELU : RNN_TANH;
    if (c->kind == AT_CELL_GRU)
        return c->reset_before ? GRU_RESET_BEFORE : GRU;
    return c->peepholes ? LSTM_PEEPHOLES : LSTM;
}

/* back is a constant where this is inlined */
AT_INLINE void run(const at_cell_step *s, size_t first, size_t end, const bool back)
{
    switch (part_of(s->cell)) {
    case RNN_TANH:
        all_rows(s, first, end, RNN_TANH, back);
        break;
    case RNN_RELU:
        all_rows(s, first, end, RNN_RELU, back);
        break;
    case GRU:
        all_rows(s, first, end, GRU, back);
        break;
    case GRU_RESET_BEFORE:
        all_rows(s, first, end, GRU_RESET_BEFORE, back);
        break;
    case LSTM:
        all_rows(s, first, end, LSTM, back);
        break;
    case LSTM_PEEPHOLES:
        all_rows(s, first, end, LSTM_PEEPHOLES, back);
        break;
    case RESET:
        break;
    }
}

static void cell(const at_cell_step *s, size_t first, size_t end)
{
    if (is_usual(s->cell))
        run(s, first, end, false);
    else
        at_ref_cell(s, first, end);
}

static void cell_backward(const at_cell_step *s, size_t first, size_t end)
{
    if (is_usual(s->cell))
        run(s, first, end, true);
    else
        at_ref_cell_backward(s, first, end);
}

static void cell_reset(const at_cell_step *s, size_t first, size_t end)
{
    if (is_usual(s->cell))
        all_rows(s, first, end, RESET, false);
    else
        at_ref_cell_reset(s, first, end);
}

static void cell_reset_backward(const at_cell_step *s, size_t first, size_t end)
{
    if (is_usual(s->cell))
        all_rows(s, first, end, RESET, true);
    else
        at_ref_cell_reset_backward(s, first, end);
}

void AT_SIMD_NAME(fill_cell)(at_kernels *table)
{
    table->cell = cell;
    table->cell_reset = cell_reset;
    table->cell_backward = cell_backward;
    table->cell_reset_backward = cell_reset_backward;
}
