/* A cell's weights for as long as a loop over steps runs: packed once, their gradient taken once. The node
 * stands in front of the loop, so its backward runs after those of all steps. */
#include <string.h>
#include "layer/internal.h"

/* --- gradients of the weights -------------------------------------------------------------- */
/* Rows whose backward never ran (nothing looked at that step) add nothing. */
static void forget_rest(at_cell_loop *loop)
{
    size_t wide = at_cell_gates(loop->cell.kind) * loop->cell.width;
    for (at_cell_use *use = loop->uses; use; use = use->next) {
        if (!use->came)
            memset(loop->d_u + use->first * wide, 0, use->rows * wide * sizeof *loop->d_u);
        use->came = false;
    }
}

/* Of the rows of `blocks` blocks of the weights: the sums' gradients times what they were sums of. */
static void blocks_backward(at_tape *tape, const at_cell_loop *loop, size_t block, size_t blocks,
                            const float *a, size_t a_row, float *d_w)
{
    size_t d = loop->cell.width;
    at_panels rows;
    if (!at_panels_rows(tape, a, a_row, loop->taken, d, &rows))
        return;
    at_gemm g = {.a = loop->d_u + block * d,
                 .a_row = 1,
                 .a_col = at_cell_gates(loop->cell.kind) * d,
                 .c = d_w + block * d * d,
                 .c_row = d,
                 .m = blocks * d,
                 .n = d,
                 .k = loop->taken,
                 .accumulate = true};
    at_gemm_panels(tape->exec, &g, &rows);
    at_exec_gemm(tape->exec, &g);
    at_panels_return(tape, &rows);
}

static void weights_backward(at_tape *tape, const at_node *node)
{
    at_cell_loop *loop = node->saved;
    size_t d = loop->cell.width, gates = at_cell_gates(loop->cell.kind);
    float *d_w = at_tape_grad(tape, node->in[0], NULL), *d_b = at_tape_grad(tape, node->in[1], NULL);
    forget_rest(loop);
    if (d_w && loop->cell.reset_before) {
        blocks_backward(tape, loop, 0, 2, loop->h, d, d_w);
        blocks_backward(tape, loop, 2, 1, loop->kept + 3 * d, 4 * d, d_w);
    } else if (d_w) {
        blocks_backward(tape, loop, 0, gates, loop->h, d, d_w);
    }
    if (d_b)
        at_add_columns(tape->exec, d_b, loop->d_u, loop->taken, gates * d);
    at_tape_return(tape, loop->d_u);
    loop->d_u = NULL;
}

const at_op at_op_cell_weights = {"cell_weights", weights_backward};

/* --- the loop ------------------------------------------------------------------------------ */
void at_cell_take(at_cell_loop *loop, at_cell_use *use, size_t rows)
{
    AT_ASSERT(rows <= loop->rows - loop->taken);
    *use = (at_cell_use){.next = loop->uses, .first = loop->taken, .rows = rows};
    loop->uses = use;
    loop->taken += rows;
}

/* Rows first … first+rows-1 of w for as long as the loop runs: as they lie when `back`, or transposed. */
static bool pack(at_tape *tape, const at_param *w, size_t first, size_t rows, bool back, at_panels *panels)
{
    size_t d = (size_t)w->shape.dim[1], k = back ? rows : d, n = back ? d : rows, row = back ? d : 1,
           column = back ? 1 : d;
    if (at_narrow_weights(tape, w)) {
        at_bf16 *to = at_tape_saved(tape, at_packed_bf16_size(tape->exec, k, n), sizeof *to);
        if (to)
            at_exec_pack_bf16(tape->exec, to, w->data16 + first * d, row, column, k, n);
        panels->narrow = to;
        return to != NULL;
    }
    float *to = at_tape_saved(tape, at_packed_size(tape->exec, k, n), sizeof *to);
    if (to)
        at_exec_pack(tape->exec, to, w->data + first * d, row, column, k, n);
    panels->wide = to;
    return to != NULL;
}

bool at_cell_come_back(at_tape *tape, at_cell_loop *loop, at_cell_use *use)
{
    size_t d = loop->cell.width, wide = at_cell_gates(loop->cell.kind) * d;
    if (!loop->back.wide && !loop->back.narrow && !pack(tape, loop->hidden, 0, wide, true, &loop->back))
        return false;
    if (!loop->d_u)
        loop->d_u = at_tape_borrow(tape, loop->taken * wide + 1);
    at_tape_grad(tape, loop->token, NULL);
    use->came = true;
    return tape->status == AT_OK;
}

static bool pack_weights(at_tape *tape, at_cell_loop *loop)
{
    const at_param *w = loop->hidden;
    size_t panel = tape->exec->kernels->panel, d = loop->cell.width;
    bool packed = (w->packed || w->packed16) && w->packed_panel == panel;
    if (!loop->cell.reset_before)
        return packed ? at_panels_of(tape, w, &loop->sums)
                      : pack(tape, w, 0, (size_t)w->shape.dim[0], false, &loop->sums);
    if (packed && 2 * d % panel == 0) { /* n begins with a panel */
        if (!at_panels_of(tape, w, &loop->sums))
            return false;
        if (w->packed)
            loop->fresh.wide = w->packed + at_packed_size(tape->exec, d, 2 * d);
        else
            loop->fresh.narrow = w->packed16 + at_packed_bf16_size(tape->exec, d, 2 * d);
        return true;
    }
    return pack(tape, w, 0, 2 * d, false, &loop->sums) && pack(tape, w, 2 * d, d, false, &loop->fresh);
}

static at_gate usual(at_gate gate, at_gate_kind kind)
{
    return gate.kind == AT_GATE_USUAL ? (at_gate){kind, 0, 0} : gate;
}

/* The cell with its options said out. */
static at_cell cell_of(const at_cell_weights *w)
{
    at_cell cell = w->cell;
    cell.width = (size_t)w->hidden->shape.dim[1];
    cell.f = usual(cell.f, AT_GATE_SIGMOID);
    cell.g = usual(cell.g, AT_GATE_TANH);
    cell.h = usual(cell.h, AT_GATE_TANH);
    cell.reset_before = cell.kind == AT_CELL_GRU && cell.reset_before;
    cell.input_forget = cell.kind == AT_CELL_LSTM && cell.input_forget;
    cell.peepholes = cell.kind == AT_CELL_LSTM && w->peepholes ? w->peepholes->data : NULL;
    return cell;
}

static bool weights_fit(at_tape *tape, const at_cell_weights *w)
{
    int64_t d = w->hidden->shape.rank == 2 ? w->hidden->shape.dim[1] : 0;
    int64_t wide = (int64_t)at_cell_gates(w->cell.kind) * d;
    at_status st = at_shape_expect(w->hidden->name, w->hidden->shape, at_shape2(wide, d));
    if (st == AT_OK && w->bias)
        st = at_shape_expect(w->bias->name, w->bias->shape, at_shape1(wide));
    if (st == AT_OK && w->peepholes)
        st = at_shape_expect(w->peepholes->name, w->peepholes->shape, at_shape1(3 * d));
    if (st != AT_OK)
        at_tape_fail(tape, st, "%s", at_error_message());
    return st == AT_OK;
}

at_cell_loop *at_cell_open(at_tape *tape, const at_cell_weights *w, size_t rows)
{
    if (!weights_fit(tape, w))
        return NULL;
    at_cell_loop *loop = at_tape_saved(tape, 1, sizeof *loop);
    at_var *token = at_tape_value(tape, at_shape1(1));
    if (!loop || !token)
        return NULL;
    *loop = (at_cell_loop){
        .cell = cell_of(w), .hidden = w->hidden, .bias = w->bias, .token = token, .rows = rows};
    token->data[0] = 0;
    if (!pack_weights(tape, loop))
        return NULL;
    if (tape->mode == AT_TAPE_RUN)
        return loop;
    size_t d = loop->cell.width;
    loop->h = at_tape_saved(tape, rows * d, sizeof *loop->h);
    loop->kept = at_tape_saved(tape, rows * at_cell_kept(loop->cell.kind) * d, sizeof *loop->kept);
    if (loop->cell.peepholes)
        loop->peephole_var = at_param_var(tape, w->peepholes);
    at_var *in[] = {at_param_var(tape, w->hidden), w->bias ? at_param_var(tape, w->bias) : NULL};
    return at_tape_record(tape, &at_op_cell_weights, token, in, 2, loop) && tape->status == AT_OK ? loop
                                                                                                  : NULL;
}
