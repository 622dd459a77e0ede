#include "attention/linformer.h"
#include <math.h>
#include <string.h>
#include "attention/internal.h"

enum {
    LARGE = 1 << 21,    /* multiplications from which one sequence alone is cut among threads */
    FEW_ROWS = 24,      /* of e that a task sums the gradient of … */
    MANY_ROWS = 96,     /* … and when it has at least */
    MANY = 256,         /* rows */
    PACK_GRAIN = 16384, /* floats that a task packs at least */
    COPY_GRAIN = 16384, /* floats that a task copies at least */
};

typedef struct projection {
    const at_kernels *k;
    at_exec *exec;
    at_rows rows;
    size_t groups;        /* of columns with a matrix of their own: 1 when all share e */
    size_t stride, width; /* of x; columns of a group */
    size_t places, slots; /* P, k */
    const float *x, *e;
    float *out;
    const float *d_out;
    float *d_x, *d_e;
    bool fresh;
    bool dots;     /* products of numbers rounded to bf16 */
    float *panels; /* (B, groups) d_out transposed, packed for the gradient of e */
    size_t panel_floats;
} projection;

static size_t length_of(const projection *p, size_t b)
{
    return (size_t)(p->rows.offsets[b + 1] - p->rows.offsets[b]);
}

/* Columns of group g: of x at sequence b, of the k rows made of it. */
static size_t rows_at(const projection *p, size_t b, size_t g)
{
    return (size_t)p->rows.offsets[b] * p->stride + g * p->width;
}

static size_t slots_at(const projection *p, size_t b, size_t g)
{
    return b * p->slots * p->stride + g * p->width;
}

/* Of one product: b is the second factor as it lies. */
typedef struct factors {
    at_gemm g;
    const float *b;
} factors;

/* out (k,W) = e^T (k,n) · x (n,W) */
static factors forward_product(const projection *p, size_t b, size_t g)
{
    at_gemm gemm = {.a = p->e + g * p->places * p->slots,
                    .a_row = 1,
                    .a_col = p->slots,
                    .c = p->out + slots_at(p, b, g),
                    .c_row = p->stride,
                    .m = p->slots,
                    .n = p->width,
                    .k = length_of(p, b)};
    return (factors){gemm, p->x + rows_at(p, b, g)};
}

/* d_x (n,W) [+]= e (n,k) · d_out (k,W) */
static factors input_product(const projection *p, size_t b, size_t g)
{
    at_gemm gemm = {.a = p->e + g * p->places * p->slots,
                    .a_row = p->slots,
                    .a_col = 1,
                    .c = p->d_x + rows_at(p, b, g),
                    .c_row = p->stride,
                    .m = length_of(p, b),
                    .n = p->width,
                    .k = p->slots,
                    .accumulate = !p->fresh};
    return (factors){gemm, p->d_out + slots_at(p, b, g)};
}

static void count_work(const projection *p)
{
    double n = (double)at_rows_total(&p->rows), k = (double)p->slots, d = (double)p->stride;
    double floats = n * d + (double)p->rows.count * k * d + (double)(p->groups * p->places) * k;
    at_exec_count(p->exec, 2 * n * k * d, sizeof(float) * floats);
}

typedef factors product_maker(const projection *, size_t b, size_t g);

typedef struct products {
    const projection *p;
    product_maker *make;
} products;

static void multiply_task(void *context, size_t first, size_t end, int worker)
{
    const products *all = context;
    const projection *p = all->p;
    for (size_t i = first; i < end; i++) {
        factors one = all->make(p, i / p->groups, i % p->groups);
        at_gemm *g = &one.g;
        if (p->dots) {
            at_bf16 *panels = (at_bf16 *)(void *)at_exec_scratch(p->exec, worker);
            p->k->pack_narrow(panels, one.b, p->stride, g->k, g->n, 0,
                              (g->n + p->k->panel - 1) / p->k->panel);
            at_gemm_packed_bf16(p->exec, g, panels);
        } else {
            at_gemm_plain(p->exec, g, one.b, p->stride);
        }
        p->k->gemm(g, 0, g->m, 0, g->n);
    }
}

/* One product on all threads. */
static void multiply_long(const projection *p, factors *one, at_bf16 *panels)
{
    at_gemm *g = &one->g;
    if (p->dots) {
        at_exec_pack_narrow(p->exec, panels, one->b, p->stride, g->k, g->n);
        at_gemm_packed_bf16(p->exec, g, panels);
    } else {
        at_gemm_plain(p->exec, g, one->b, p->stride);
    }
    at_exec_gemm(p->exec, g);
}

/* A product for each sequence and group: a long one cut among the threads, short ones a task each. */
static void run_products(at_tape *tape, const projection *p, product_maker *make)
{
    size_t count = p->rows.count * p->groups, longest = 1;
    for (size_t b = 0; b < p->rows.count; b++)
        longest = length_of(p, b) > longest ? length_of(p, b) : longest;
    size_t work = longest * p->slots * p->width + 1, rows = longest > p->slots ? longest : p->slots;
    size_t panels = p->dots ? (at_packed_bf16_size(p->exec, rows, p->width) + 1) / 2 : 0;
    if (work < LARGE) {
        if (at_exec_reserve(p->exec, panels) != AT_OK) {
            tape->status = AT_ENOMEM;
            return;
        }
        count_work(p);
        products all = {p, make};
        at_exec_rows(p->exec, count, 1 + LARGE / 16 / work, multiply_task, &all);
        return;
    }
    float *borrowed = at_tape_borrow(tape, panels + 1);
    for (size_t i = 0; borrowed && i < count; i++) {
        factors one = make(p, i / p->groups, i % p->groups);
        multiply_long(p, &one, (at_bf16 *)(void *)borrowed);
    }
    at_tape_return(tape, borrowed);
}

/* ---------------------------------------------------------------- gradient of e */

static void pack_task(void *context, size_t first, size_t end, int worker AT_UNUSED)
{
    const projection *p = context;
    size_t panels = (p->slots + p->k->panel - 1) / p->k->panel;
    for (size_t i = first; i < end; i++) {
        size_t at = i / panels, panel = i % panels;
        p->k->pack(p->panels + at * p->panel_floats, p->d_out + slots_at(p, at / p->groups, at % p->groups),
                   1, p->stride, p->width, p->slots, panel, panel + 1);
    }
}

/* d_e (n,k) += x (n,W) · d_out^T (W,k), sequence after sequence: a task has some rows of e. */
static void matrix_task(void *context, size_t first, size_t end, int worker AT_UNUSED)
{
    const projection *p = context;
    size_t each = p->places < MANY ? FEW_ROWS : MANY_ROWS, parts = (p->places + each - 1) / each;
    for (size_t i = first; i < end; i++) {
        size_t g = i / parts, m0 = i % parts * each;
        for (size_t b = 0; b < p->rows.count; b++) {
            size_t n = length_of(p, b), m1 = m0 + each < n ? m0 + each : n;
            at_gemm product = {.a = p->x + rows_at(p, b, g),
                               .a_row = p->stride,
                               .a_col = 1,
                               .c = p->d_e + g * p->places * p->slots,
                               .c_row = p->slots,
                               .m = n,
                               .n = p->slots,
                               .k = p->width,
                               .accumulate = true};
            at_gemm_packed(p->exec, &product, p->panels + (b * p->groups + g) * p->panel_floats);
            if (m0 < m1)
                p->k->gemm(&product, m0, m1, 0, product.n);
        }
    }
}

static void matrix_gradient(at_tape *tape, projection *p)
{
    size_t panels = (p->slots + p->k->panel - 1) / p->k->panel, count = p->rows.count * p->groups;
    p->panel_floats = at_packed_size(p->exec, p->width, p->slots);
    p->panels = at_tape_borrow(tape, count * p->panel_floats + 1);
    if (!p->panels)
        return;
    at_exec_rows(p->exec, count * panels, 1 + PACK_GRAIN / (p->k->panel * (p->width + 1)), pack_task, p);
    size_t each = p->places < MANY ? FEW_ROWS : MANY_ROWS, parts = (p->places + each - 1) / each;
    count_work(p);
    at_exec_rows(p->exec, p->groups * parts, 1, matrix_task, p);
    at_tape_return(tape, p->panels);
}

static void projection_backward(at_tape *tape, const at_node *node)
{
    projection p = *(const projection *)node->saved;
    p.d_out = node->out->grad;
    p.d_x = at_tape_grad(tape, node->in[0], &p.fresh);
    if (p.d_x)
        run_products(tape, &p, input_product);
    p.d_e = at_tape_grad(tape, node->in[1], NULL);
    if (p.d_e)
        matrix_gradient(tape, &p);
}

static const at_op op_linformer = {"linformer", projection_backward};

/* The shapes fit, and every sequence: fills in widths. */
static bool fits(at_tape *tape, const at_var *x, const at_var *e, size_t groups, projection *p)
{
    int64_t rows = (int64_t)at_rows_total(&p->rows);
    bool own = e && e->shape.rank == 3;
    if (!at_expect_rank(tape, "Linformer rows", x, 2) || !at_expect_rank(tape, "Linformer", e, own ? 3 : 2) ||
        !at_expect_shape(tape, "Linformer rows", x, at_shape2(rows, x->shape.dim[1])))
        return false;
    p->places = (size_t)e->shape.dim[own ? 1 : 0];
    p->slots = (size_t)e->shape.dim[own ? 2 : 1];
    p->groups = own ? (size_t)e->shape.dim[0] : 1;
    p->stride = (size_t)x->shape.dim[1];
    p->width = p->stride / p->groups;
    if ((own && p->groups != groups) || p->stride % p->groups != 0) {
        at_tape_fail(tape, AT_ESHAPE, "Linformer: %zu projections for %zu groups of %zu columns", p->groups,
                     groups, p->stride);
        return false;
    }
    for (size_t b = 0; b < p->rows.count; b++) {
        if (length_of(p, b) <= p->places)
            continue;
        at_tape_fail(
            tape, AT_ENOSUP,
            "Linformer: a sequence of %zu rows, and its projection has %zu: shorten it, or train with a "
            "projection as long (%zu positions; linformer_k 0 has none)",
            length_of(p, b), p->places, length_of(p, b));
        return false;
    }
    return true;
}

at_var *at_linformer(at_tape *tape, at_var *x, at_var *e, size_t groups, const at_rows *rows, bool rounded)
{
    const at_kernels *k = tape->exec->kernels;
    projection like = {.k = k, .exec = tape->exec, .rows = *rows, .dots = rounded && k->dots};
    if (!x || !e || !fits(tape, x, e, groups, &like))
        return NULL;
    at_var *out = at_tape_value(tape, at_shape2((int64_t)(rows->count * like.slots), (int64_t)like.stride));
    projection *p = out ? at_tape_saved(tape, 1, sizeof *p) : NULL;
    if (!p)
        return NULL;
    *p = like;
    p->x = x->data;
    p->e = e->data;
    p->out = out->data;
    run_products(tape, p, forward_product);
    return at_tape_record(tape, &op_linformer, out, (at_var *[]){x, e}, 2, p);
}

bool at_linformer_rows(at_tape *tape, const at_rows *rows, size_t k, at_rows *projected)
{
    if (k && rows->count > INT32_MAX / k) {
        at_tape_fail(tape, AT_ESHAPE, "Linformer: %zu sequences of %zu projected rows are too many",
                     rows->count, k);
        return false;
    }
    int32_t *offsets = at_tape_saved(tape, rows->count + 1, sizeof *offsets);
    for (size_t b = 0; offsets && b <= rows->count; b++)
        offsets[b] = (int32_t)(b * k);
    *projected = (at_rows){rows->count, offsets, rows->examples};
    return offsets != NULL;
}

/* ---------------------------------------------------------------- hidden rows */

typedef struct hiding {
    const at_kernels *k;
    size_t width;
    const unsigned char *hidden; /* (N) */
    const float *from;
    float *to;
    bool add;
} hiding;

static void hide_task(void *context, size_t first, size_t end, int worker AT_UNUSED)
{
    const hiding *h = context;
    for (size_t i = first; i < end; i++) {
        float *to = h->to + i * h->width;
        const float *from = h->from + i * h->width;
        if (h->add && !h->hidden[i])
            h->k->add(to, to, from, h->width);
        else if (!h->add && h->hidden[i])
            memset(to, 0, h->width * sizeof *to);
        else if (!h->add)
            memcpy(to, from, h->width * sizeof *to);
    }
}

static void hide_backward(at_tape *tape, const at_node *node)
{
    hiding h = *(const hiding *)node->saved;
    h.from = node->out->grad;
    h.to = at_tape_grad(tape, node->in[0], NULL);
    h.add = true;
    if (h.to)
        at_exec_rows(tape->exec, (size_t)node->out->shape.dim[0], 1 + COPY_GRAIN / (h.width + 1), hide_task,
                     &h);
}

static const at_op op_linformer_hide = {"linformer_hide", hide_backward};

/* Which rows the numbers hide; NULL: see the tape. */
static unsigned char *hidden_rows(at_tape *tape, const at_score_bias *bias, const at_rows *rows)
{
    unsigned char *hidden = at_tape_saved(tape, at_rows_total(rows) + 1, sizeof *hidden);
    bool plain = bias->head_stride == 0 && bias->query_stride == 0;
    for (size_t b = 0; b < rows->count && hidden && plain; b++) {
        size_t first = (size_t)rows->offsets[b], n = (size_t)rows->offsets[b + 1] - first;
        size_t at = bias->sequences ? bias->sequences[b] : 0;
        if (n && at + n > bias->count) {
            at_tape_fail(tape, AT_ESHAPE, "mask of keys: %zu of sequence %zu need %zu numbers, got %zu", n, b,
                         at + n, bias->count);
            return NULL;
        }
        for (size_t i = 0; i < n; i++) {
            hidden[first + i] = bias->numbers[at + i] < 0;
            plain &= bias->numbers[at + i] == 0 || bias->numbers[at + i] == -INFINITY;
        }
    }
    if (hidden && !plain)
        at_tape_fail(
            tape, AT_ENOSUP,
            "Linformer: its keys are sums over all places, so a mask can only hide whole keys from all "
            "queries and heads: one row of numbers, each 0 or -infinity");
    return plain ? hidden : NULL;
}

at_var *at_linformer_hide(at_tape *tape, at_var *x, const at_score_bias *bias, const at_rows *rows)
{
    int64_t count = (int64_t)at_rows_total(rows);
    if (!x || !at_expect_rank(tape, "rows to hide", x, 2) ||
        !at_expect_shape(tape, "rows to hide", x, at_shape2(count, x->shape.dim[1])))
        return NULL;
    const unsigned char *hidden = hidden_rows(tape, bias, rows);
    at_var *out = hidden ? at_tape_value(tape, x->shape) : NULL;
    hiding *h = out ? at_tape_saved(tape, 1, sizeof *h) : NULL;
    if (!h)
        return NULL;
    *h = (hiding){.k = tape->exec->kernels,
                  .width = (size_t)x->shape.dim[1],
                  .hidden = hidden,
                  .from = x->data,
                  .to = out->data};
    at_exec_rows(tape->exec, (size_t)count, 1 + COPY_GRAIN / (h->width + 1), hide_task, h);
    return at_tape_record(tape, &op_linformer_hide, out, &x, 1, h);
}

/* ---------------------------------------------------------------- looking */

/* One map: weights (T,k) · f^T (k,n) -> shares (T,n) of the places, in new memory. */
static void read_map(at_tape *tape, const projection *p, at_trace_map *map, size_t g)
{
    size_t n = length_of(p, map->sequence), k = p->slots;
    float *shares = at_trace_room(tape->trace, map->queries * n);
    float *panels = at_tape_borrow(tape, at_packed_size(p->exec, k, n) + 1);
    if (!shares || !panels) {
        tape->status = AT_ENOMEM;
        return;
    }
    at_gemm product = {.a = map->weights, .a_row = k, .a_col = 1, .c = shares, .c_row = n};
    product.m = map->queries;
    product.n = n;
    product.k = k;
    at_exec_pack(p->exec, panels, p->e + g * p->places * k, 1, k, k, n);
    at_gemm_packed(p->exec, &product, panels);
    at_exec_gemm(p->exec, &product);
    at_tape_return(tape, panels);
    for (size_t t = 0; t < map->queries; t++) {
        float *row = shares + t * n;
        double sum = 0;
        for (size_t s = 0; s < n; s++)
            sum += (double)(row[s] = fabsf(row[s]));
        p->k->scale(row, row, sum > 0 ? (float)(1 / sum) : 0, n);
    }
    map->keys = n;
    map->weights = shares;
}

void at_linformer_trace(at_tape *tape, size_t before, const at_var *f, size_t heads, const at_rows *rows)
{
    at_trace *trace = tape->trace;
    if (!trace || tape->status != AT_OK || at_trace_count(trace) == before)
        return;
    if (at_trace_stage(trace) != AT_STAGE_WEIGHTS) {
        at_tape_fail(
            tape, AT_ENOSUP,
            "Linformer: scores are of projected keys, not of pieces; only weights can be traced back");
        return;
    }
    at_trace_share_out(trace);
    bool own = f->shape.rank == 3;
    projection p = {.k = tape->exec->kernels, .exec = tape->exec, .rows = *rows, .e = f->data};
    p.places = (size_t)f->shape.dim[own ? 1 : 0];
    p.slots = (size_t)f->shape.dim[own ? 2 : 1];
    size_t each = own ? heads / (size_t)f->shape.dim[0] : heads;
    for (size_t i = before; i < at_trace_count(trace) && tape->status == AT_OK; i++) {
        at_trace_map *map = at_trace_map_at(trace, i);
        read_map(tape, &p, map, (size_t)map->head / each);
    }
}

const at_op *const at_linformer_ops[] = {&op_linformer, &op_linformer_hide, NULL};
