/* Whole sequences, without padding, and single steps, which are sequences of one row. Inside, rows are
 * ordered by step: the sequences by falling length, so that those still active at step t are the first
 * `active[t]`, and each step's rows lie together for its product.
 *
 *     h      h before step 0 | before step 1 | …      what the hidden products read; the loop keeps it
 *     kept   the same rows: gates, for the backward
 *     c      before step 0 | after step 0 | after step 1 | … */
#include <string.h>
#include "layer/internal.h"

typedef struct plan {
    size_t count, steps, total; /* sequences, the longest's length, rows */
    size_t *active, *start;     /* (steps + 1) */
    int32_t *order;             /* (count) sequence of place i */
    int32_t *at;                /* (total) row that comes at each place of the order by step */
} plan;

typedef struct recurrence {
    at_cell_use use; /* first: the loop's list links these */
    plan plan;
    at_cell_loop *loop;
    float *h, *c, *kept;
    bool keeps;   /* all steps' rows are kept for the backward; otherwise one step's */
    size_t lasts; /* blocks of last states behind the rows of the result: none, h, h and c */
} recurrence;

enum { CELL_GRAIN = 4096 }; /* sums a task takes at least: each costs about ten times a product's */

typedef void cell_kernel(const at_cell_step *step, size_t first, size_t end);

typedef struct cell_slices {
    cell_kernel *kernel;
    const at_cell_step *step;
} cell_slices;

static void cell_slice(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const cell_slices *s = context;
    s->kernel(s->step, first, end);
}

/* --- the order by step --------------------------------------------------------------------- */
static size_t length_of(const at_rows *rows, size_t b)
{
    return (size_t)(rows->offsets[b + 1] - rows->offsets[b]);
}

/* active[t]: sequences longer than t; a sequence of n rows has its place behind those active at step n. */
static void order_by_length(plan *p, const at_rows *rows)
{
    size_t *tally = p->start, longer = 0;
    memset(tally, 0, (p->steps + 1) * sizeof *tally);
    for (size_t b = 0; b < p->count; b++)
        tally[length_of(rows, b)]++;
    for (size_t n = p->steps + 1; n-- > 0;) {
        p->active[n] = longer;
        longer += tally[n];
        tally[n] = 0;
    }
    for (size_t b = 0; b < p->count; b++) {
        size_t n = length_of(rows, b);
        p->order[p->active[n] + tally[n]++] = (int32_t)b;
    }
}

static bool make_plan(at_tape *tape, plan *p, const at_rows *rows, bool reverse)
{
    *p = (plan){.count = rows->count, .total = at_rows_total(rows)};
    for (size_t b = 0; b < rows->count; b++)
        p->steps = length_of(rows, b) > p->steps ? length_of(rows, b) : p->steps;
    p->active = at_tape_saved(tape, p->steps + 1, sizeof *p->active);
    p->start = at_tape_saved(tape, p->steps + 1, sizeof *p->start);
    p->order = at_tape_saved(tape, p->count, sizeof *p->order);
    p->at = at_tape_saved(tape, p->total, sizeof *p->at);
    if (!p->active || !p->start || !p->order || !p->at)
        return false;
    order_by_length(p, rows);
    size_t place = 0;
    for (size_t t = 0; t < p->steps; t++) {
        p->start[t] = place;
        for (size_t i = 0; i < p->active[t]; i++) {
            size_t b = (size_t)p->order[i];
            int32_t step = (int32_t)t;
            p->at[place++] = reverse ? rows->offsets[b + 1] - 1 - step : rows->offsets[b] + step;
        }
    }
    p->start[p->steps] = place;
    return true;
}

/* One step of all, in their own order. */
static bool make_step(at_tape *tape, plan *p, size_t count)
{
    *p = (plan){.count = count, .steps = count > 0, .total = count};
    p->active = at_tape_saved(tape, 2, sizeof *p->active);
    p->start = at_tape_saved(tape, 2, sizeof *p->start);
    p->order = at_tape_saved(tape, count, sizeof *p->order);
    if (!p->active || !p->start || !p->order)
        return false;
    p->active[0] = p->start[1] = count;
    p->active[1] = p->start[0] = 0;
    for (size_t i = 0; i < count; i++)
        p->order[i] = (int32_t)i;
    p->at = p->order;
    return true;
}

/* --- forward ------------------------------------------------------------------------------- */
/* Every task has some thousand sums at least. */
static void run_cell(at_exec *exec, cell_kernel *kernel, const at_cell_step *step, size_t rows)
{
    size_t sums = at_cell_gates(step->cell->kind) * step->cell->width;
    cell_slices slices = {kernel, step};
    at_exec_rows(exec, rows, 1 + CELL_GRAIN / (sums + 1), cell_slice, &slices);
}

/* Sums of the hidden state into blocks of `kept`: a (rows,D) against the panels. */
static void sum_into(at_exec *exec, const at_cell_loop *loop, const at_panels *panels, const float *a,
                     size_t a_row, float *kept, size_t block, size_t blocks, size_t rows)
{
    size_t d = loop->cell.width;
    at_gemm g = {.a = a,
                 .a_row = a_row,
                 .a_col = 1,
                 .c = kept + block * d,
                 .c_row = at_cell_kept(loop->cell.kind) * d,
                 .m = rows,
                 .n = blocks * d,
                 .k = d,
                 .bias = loop->bias ? loop->bias->data + block * d : NULL};
    at_gemm_panels(exec, &g, panels);
    at_exec_gemm(exec, &g);
}

/* Where step t's rows lie; forward and backward fill in the rest. */
static at_cell_step step_of(const recurrence *r, const at_var *x, size_t t)
{
    const plan *p = &r->plan;
    const at_cell *cell = &r->loop->cell;
    size_t d = cell->width, place = r->keeps ? p->start[t] : 0;
    at_cell_step s = {.cell = cell, .at = p->at + p->start[t], .x = x->data, .carry = p->active[t + 1]};
    s.kept = r->kept + place * at_cell_kept(cell->kind) * d;
    /* A run that keeps nothing goes to and fro between two blocks of h, and c stays where it is. */
    s.h = r->h + (r->keeps ? place : t % 2 * p->active[0]) * d;
    if (s.carry > 0)
        s.h_new = r->h + (r->keeps ? p->start[t + 1] : (t + 1) % 2 * p->active[0]) * d;
    if (r->c) {
        s.c = r->c + (r->keeps && t > 0 ? p->active[0] + p->start[t - 1] : 0) * d;
        s.c_new = r->c + (r->keeps ? p->active[0] + p->start[t] : 0) * d;
    }
    return s;
}

static void step_forward(at_exec *exec, const at_cell_loop *loop, const at_cell_step *s, size_t rows)
{
    size_t d = loop->cell.width;
    if (loop->cell.reset_before) {
        sum_into(exec, loop, &loop->sums, s->h, d, s->kept, 0, 2, rows);
        run_cell(exec, exec->kernels->cell_reset, s, rows);
        sum_into(exec, loop, &loop->fresh, s->kept + 3 * d, 4 * d, s->kept, 2, 1, rows);
    } else {
        sum_into(exec, loop, &loop->sums, s->h, d, s->kept, 0, at_cell_gates(loop->cell.kind), rows);
    }
    run_cell(exec, exec->kernels->cell, s, rows);
}

/* Row order[i] of a state (zeros when there is none) to place i, for the sequences that have rows. */
static void place_first(const recurrence *r, float *to, const at_var *from)
{
    size_t d = r->loop->cell.width;
    for (size_t i = 0; to && i < r->plan.active[0]; i++) {
        if (from)
            memcpy(to + i * d, from->data + (size_t)r->plan.order[i] * d, d * sizeof *to);
        else
            memset(to + i * d, 0, d * sizeof *to);
    }
}

/* Places from … to-1 of the order have come to their end with these rows; `index`: whose row is place i's. */
static void keep_last(const recurrence *r, float *last, const float *rows, const int32_t *index, size_t from,
                      size_t to)
{
    size_t d = r->loop->cell.width;
    for (size_t i = from; i < to; i++) {
        float *here = last + (size_t)r->plan.order[i] * d;
        if (rows)
            memcpy(here, rows + (index ? (size_t)index[i] : i) * d, d * sizeof *here);
        else
            memset(here, 0, d * sizeof *here);
    }
}

static void run_steps(at_tape *tape, const recurrence *r, const at_var *x, const at_cell_state *first,
                      at_var *out)
{
    const plan *p = &r->plan;
    size_t d = r->loop->cell.width;
    float *last_h = r->lasts > 0 ? out->data + p->total * d : NULL;
    float *last_c = r->lasts > 1 ? last_h + p->count * d : NULL;
    place_first(r, r->h, first->h);
    place_first(r, r->c, first->c);
    /* Sequences without rows end as they began. */
    if (last_h)
        keep_last(r, last_h, first->h ? first->h->data : NULL, p->order, p->active[0], p->count);
    if (last_c)
        keep_last(r, last_c, first->c ? first->c->data : NULL, p->order, p->active[0], p->count);
    for (size_t t = 0; t < p->steps; t++) {
        at_cell_step s = step_of(r, x, t);
        s.out = out->data;
        step_forward(tape->exec, r->loop, &s, p->active[t]);
        if (last_h)
            keep_last(r, last_h, out->data, s.at, p->active[t + 1], p->active[t]);
        if (last_c)
            keep_last(r, last_c, s.c_new, NULL, p->active[t + 1], p->active[t]);
    }
}

/* --- backward ------------------------------------------------------------------------------ */
/* What flows back to the step before, a row a place of the order. */
typedef struct flow {
    float *d_h, *d_c; /* (active,D) */
    float *d_rh;      /* (active,D), with the reset before the product */
} flow;

/* Gradients of blocks of the sums, times their rows of the weights. */
static void back_through(at_exec *exec, const at_cell_loop *loop, const float *d_u, size_t block,
                         size_t blocks, float *to, bool accumulate, size_t rows)
{
    size_t d = loop->cell.width, wide = at_cell_gates(loop->cell.kind) * d, panel = exec->kernels->panel;
    at_gemm g = {.a = d_u + block * d,
                 .a_row = wide,
                 .a_col = 1,
                 .c = to,
                 .c_row = d,
                 .m = rows,
                 .n = d,
                 .k = wide,
                 .accumulate = accumulate};
    at_gemm_panels(exec, &g, &loop->back);
    g.k = blocks * d; /* a panel holds all G D rows, one after the other, in bf16 in pairs: block is even */
    if (g.b16)
        g.b16 += block * d * panel;
    else
        g.b += block * d * panel;
    at_exec_gemm(exec, &g);
}

static void step_backward(at_exec *exec, const at_cell_loop *loop, const flow *f, const at_cell_step *s,
                          size_t rows)
{
    run_cell(exec, exec->kernels->cell_backward, s, rows);
    if (loop->cell.reset_before) {
        back_through(exec, loop, s->d_u, 2, 1, f->d_rh, false, rows);
        run_cell(exec, exec->kernels->cell_reset_backward, s, rows);
        back_through(exec, loop, s->d_u, 0, 2, f->d_h, true, rows);
    } else {
        bool more = loop->cell.kind == AT_CELL_GRU; /* what came past the product is there already */
        back_through(exec, loop, s->d_u, 0, at_cell_gates(loop->cell.kind), f->d_h, more, rows);
    }
}

/* Sequences that end at a step begin their way back there: with the gradient of their last state, if any. */
static void begin_back(const recurrence *r, float *to, const float *d_last, size_t t)
{
    size_t d = r->loop->cell.width;
    for (size_t i = r->plan.active[t + 1]; to && i < r->plan.active[t]; i++) {
        if (d_last)
            memcpy(to + i * d, d_last + (size_t)r->plan.order[i] * d, d * sizeof *to);
        else
            memset(to + i * d, 0, d * sizeof *to);
    }
}

/* What came back to the first state; the last state of a sequence without rows was its first. */
static void end_back(at_tape *tape, const recurrence *r, at_var *first, const float *d_state,
                     const float *d_last)
{
    size_t d = r->loop->cell.width;
    float *d_first = at_tape_grad(tape, first, NULL);
    for (size_t i = 0; d_first && i < r->plan.count; i++) {
        size_t b = (size_t)r->plan.order[i];
        const float *from = i < r->plan.active[0] ? d_state + i * d : d_last ? d_last + b * d : NULL;
        if (from)
            tape->exec->kernels->add(d_first + b * d, d_first + b * d, from, d);
    }
}

typedef struct peephole_sums {
    const recurrence *r;
    const at_kernels *k;
    const float *d_u;
    float *to;
} peephole_sums;

/* i and f looked at c before the step, o at c after it. Columns first … end-1 of D. */
static void peephole_span(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const peephole_sums *s = context;
    const plan *p = &s->r->plan;
    size_t d = s->r->loop->cell.width, n = end - first;
    float *to = s->to + first;
    for (size_t t = 0; t < p->steps; t++) {
        const float *before = s->r->c + (t > 0 ? p->active[0] + p->start[t - 1] : 0) * d + first;
        const float *after = s->r->c + (p->active[0] + p->start[t]) * d + first;
        for (size_t i = 0; i < p->active[t]; i++) {
            const float *d_u = s->d_u + (p->start[t] + i) * 4 * d + first;
            s->k->mul_add(to, d_u, before + i * d, n);
            s->k->mul_add(to + d, d_u + d, before + i * d, n);
            s->k->mul_add(to + 2 * d, d_u + 3 * d, after + i * d, n);
        }
    }
}

static bool borrow_flow(at_tape *tape, const recurrence *r, flow *f)
{
    size_t n = r->plan.active[0] * r->loop->cell.width + 1;
    *f = (flow){.d_h = at_tape_borrow(tape, n)};
    if (r->c)
        f->d_c = at_tape_borrow(tape, n);
    if (r->loop->cell.reset_before)
        f->d_rh = at_tape_borrow(tape, n);
    return tape->status == AT_OK;
}

static void recurrence_backward(at_tape *tape, const at_node *node)
{
    recurrence *r = node->saved;
    const plan *p = &r->plan;
    flow f;
    bool fresh;
    float *d_x = at_tape_grad(tape, node->in[0], &fresh);
    if (!at_cell_come_back(tape, r->loop, &r->use) || !borrow_flow(tape, r, &f))
        return;
    size_t d = r->loop->cell.width, wide = at_cell_gates(r->loop->cell.kind) * d;
    const float *d_out = node->out->grad;
    const float *last_h = r->lasts > 0 ? d_out + p->total * d : NULL;
    const float *last_c = r->lasts > 1 ? last_h + p->count * d : NULL;
    float *d_u = r->loop->d_u + r->use.first * wide;
    for (size_t t = p->steps; t-- > 0;) {
        begin_back(r, f.d_h, last_h, t);
        begin_back(r, f.d_c, last_c, t);
        at_cell_step s = step_of(r, node->in[0], t);
        s.d_out = d_out;
        s.d_h = f.d_h;
        s.d_c = f.d_c;
        s.d_rh = f.d_rh;
        s.d_u = d_u + p->start[t] * wide;
        s.d_x = d_x;
        s.d_x_fresh = fresh;
        step_backward(tape->exec, r->loop, &f, &s, p->active[t]);
    }
    end_back(tape, r, node->in[1], f.d_h, last_h);
    end_back(tape, r, node->in[2], f.d_c, last_c);
    peephole_sums sums = {r, tape->exec->kernels, d_u, at_tape_grad(tape, node->in[4], NULL)};
    if (sums.to)
        at_exec_rows(tape->exec, d, AT_COLUMN_GRAIN, peephole_span, &sums);
    at_tape_return(tape, f.d_rh);
    at_tape_return(tape, f.d_c);
    at_tape_return(tape, f.d_h);
}

const at_op at_op_recurrence = {"recurrence", recurrence_backward};

/* --- the operations ------------------------------------------------------------------------ */
static bool state_fits(at_tape *tape, const at_cell_loop *loop, const at_var *state, size_t count)
{
    return !state || at_expect_shape(tape, loop->hidden->name, state,
                                     at_shape2((int64_t)count, (int64_t)loop->cell.width));
}

/* Memory of the operation: the loop's where it is kept for the backward. */
static bool take_memory(at_tape *tape, recurrence *r)
{
    at_cell_loop *loop = r->loop;
    const plan *p = &r->plan;
    size_t d = loop->cell.width, kept = at_cell_kept(loop->cell.kind) * d, active = p->active[0];
    r->keeps = tape->mode != AT_TAPE_RUN;
    at_cell_take(loop, &r->use, p->total);
    if (r->keeps) {
        r->h = loop->h + r->use.first * d;
        r->kept = loop->kept + r->use.first * kept;
    } else {
        r->h = at_tape_borrow(tape, 2 * active * d + 1);
        r->kept = at_tape_borrow(tape, active * kept + 1);
    }
    size_t cells = (r->keeps ? p->total + active : active) * d;
    if (loop->cell.kind == AT_CELL_LSTM)
        r->c = r->keeps ? at_tape_saved(tape, cells, sizeof *r->c) : at_tape_borrow(tape, cells + 1);
    return tape->status == AT_OK;
}

static void return_memory(at_tape *tape, recurrence *r)
{
    at_tape_return(tape, r->c);
    at_tape_return(tape, r->kept);
    at_tape_return(tape, r->h);
}

/* All steps of the plan in r. The result's rows, behind them the last states. */
static at_var *recur(at_tape *tape, recurrence *r, at_var *x, const at_cell_state *first)
{
    const plan *p = &r->plan;
    int64_t d = (int64_t)r->loop->cell.width, gates = (int64_t)at_cell_gates(r->loop->cell.kind);
    if (!at_expect_shape(tape, r->loop->hidden->name, x, at_shape2((int64_t)p->total, gates * d)) ||
        !state_fits(tape, r->loop, first->h, p->count) || !state_fits(tape, r->loop, first->c, p->count))
        return NULL;
    at_var *out = at_tape_value(tape, at_shape2((int64_t)(p->total + r->lasts * p->count), d));
    if (!out || !take_memory(tape, r))
        return NULL;
    run_steps(tape, r, x, first, out);
    if (!r->keeps)
        return_memory(tape, r);
    at_var *in[] = {x, first->h, first->c, r->loop->token, r->loop->peephole_var};
    return at_tape_record(tape, &at_op_recurrence, out, in, 5, r);
}

at_var *at_recurrence(at_tape *tape, const at_cell_weights *w, at_var *x, const at_rows *rows, bool reverse,
                      const at_cell_state *first, at_cell_state *last)
{
    at_cell_state none = {NULL, NULL};
    if (last)
        *last = none;
    recurrence *r = x ? at_tape_saved(tape, 1, sizeof *r) : NULL;
    at_cell_loop *loop = r ? at_cell_open(tape, w, at_rows_total(rows)) : NULL;
    if (!loop)
        return NULL;
    *r = (recurrence){.loop = loop, .lasts = !last ? 0 : loop->cell.kind == AT_CELL_LSTM ? 2 : 1};
    if (!make_plan(tape, &r->plan, rows, reverse))
        return NULL;
    at_var *out = recur(tape, r, x, first ? first : &none);
    if (!out)
        return NULL;
    if (last)
        last->h = at_slice(tape, out, r->plan.total, rows->count);
    if (last && r->lasts > 1)
        last->c = at_slice(tape, out, r->plan.total + rows->count, rows->count);
    return at_slice(tape, out, 0, r->plan.total);
}

at_cell_state at_cell_next(at_tape *tape, at_cell_loop *loop, at_var *x, at_cell_state state)
{
    at_cell_state none = {NULL, NULL};
    recurrence *r = loop && x ? at_tape_saved(tape, 1, sizeof *r) : NULL;
    if (!r)
        return none;
    *r = (recurrence){.loop = loop};
    size_t rows = (size_t)x->shape.dim[0];
    if (!make_step(tape, &r->plan, rows))
        return none;
    if (loop->cell.kind != AT_CELL_LSTM)
        return (at_cell_state){recur(tape, r, x, &state), NULL};
    r->lasts = 2;
    at_var *out = recur(tape, r, x, &state);
    if (!out)
        return none;
    return (at_cell_state){at_slice(tape, out, rows, rows), at_slice(tape, out, 2 * rows, rows)};
}

const at_op *const at_recurrent_ops[] = {&at_op_cell_weights, &at_op_recurrence, NULL};
