#include "layer/window.h"
#include <string.h>
#include "layer/internal.h"

enum {
    AT_WINDOW_FLOATS = 1 << 16
}; /* of windows that a convolution has at a time: a quarter of a megabyte */

at_windowing at_windowing_patches(const at_grid *grid, size_t height, size_t width)
{
    return (at_windowing){.height = height,
                          .width = width,
                          .down = grid->height / height,
                          .across = grid->width / width,
                          .step_down = height,
                          .step_across = width,
                          .planes = true};
}

at_windowing at_windowing_same(const at_grid *grid, size_t size, size_t step)
{
    AT_ASSERT(size % 2 == 1 && step > 0);
    return (at_windowing){.height = size,
                          .width = size,
                          .down = (grid->height + step - 1) / step,
                          .across = (grid->width + step - 1) / step,
                          .step_down = step,
                          .step_across = step,
                          .top = -(int64_t)(size / 2),
                          .left = -(int64_t)(size / 2)};
}

at_grid at_grid_after(const at_grid *grid, const at_windowing *window)
{
    return (at_grid){grid->count, window->down, window->across};
}

/* ---------------------------------------------------------------- windows as rows */

/* What all three operations walk over. */
typedef struct windows {
    const at_kernels *k;
    at_grid grid;
    at_windowing w;
    size_t c;       /* channels */
    const float *x; /* (B*H*W, C) */
    float *out;
    const float *d_out;
    float *d_x;
    float *which; /* (B*R*S, C) of a maximum: the tap that won */
    size_t begun; /* the window that `out` begins with */
} windows;

static size_t a_picture(const windows *s)
{
    return s->w.down * s->w.across;
}

static size_t window_width(const windows *s)
{
    return s->w.height * s->w.width * s->c;
}

/* Where a window lies: pixels [from, to) of each of its lines are inside the picture. */
typedef struct place {
    size_t first;    /* row of x of the picture's first pixel */
    int64_t y, x;    /* of the window's first pixel */
    size_t from, to; /* columns of the window */
} place;

static place place_of(const windows *s, size_t window)
{
    size_t each = a_picture(s), picture = window / each, at = window % each;
    int64_t y = s->w.top + (int64_t)(at / s->w.across * s->w.step_down);
    int64_t x = s->w.left + (int64_t)(at % s->w.across * s->w.step_across);
    int64_t end = (int64_t)s->grid.width - x, width = (int64_t)s->w.width;
    place p = {picture * s->grid.height * s->grid.width, y, x, (size_t)(x < 0 ? -x : 0),
               (size_t)(end < 0       ? 0
                        : end < width ? end
                                      : width)};
    p.from = p.from < s->w.width ? p.from : s->w.width;
    p.to = p.to > p.from ? p.to : p.from;
    return p;
}

/* The pixels of a window's line that are inside: row of x of the first; false: the line is outside. */
static bool line_of(const windows *s, const place *p, size_t line, size_t *row)
{
    int64_t y = p->y + (int64_t)line;
    if (y < 0 || y >= (int64_t)s->grid.height || p->from == p->to)
        return false;
    *row = p->first + (size_t)y * s->grid.width + (size_t)(p->x + (int64_t)p->from);
    return true;
}

static void copy_line(const windows *s, const place *p, size_t line, float *out)
{
    size_t row, c = s->c;
    if (!line_of(s, p, line, &row)) {
        memset(out, 0, s->w.width * c * sizeof *out);
        return;
    }
    if (p->from > 0)
        memset(out, 0, p->from * c * sizeof *out);
    memcpy(out + p->from * c, s->x + row * c, (p->to - p->from) * c * sizeof *out);
    if (p->to < s->w.width)
        memset(out + p->to * c, 0, (s->w.width - p->to) * c * sizeof *out);
}

/* n pixels of three channels, each channel to a place of its own. */
static void part_three(float *to, size_t apart, const float *from, size_t n)
{
    float *second = to + apart, *third = second + apart;
    for (size_t i = 0; i < n; i++, from += 3) {
        to[i] = from[0];
        second[i] = from[1];
        third[i] = from[2];
    }
}

static void copy_planes(const windows *s, const place *p, float *out)
{
    size_t row, each = s->w.height * s->w.width, inside = p->to - p->from;
    for (size_t line = 0; line < s->w.height; line++, out += s->w.width) {
        bool seen = line_of(s, p, line, &row);
        if (!seen || inside < s->w.width)
            for (size_t ch = 0; ch < s->c; ch++)
                memset(out + ch * each, 0, s->w.width * sizeof *out);
        if (!seen)
            continue;
        float *to = out + p->from;
        const float *from = s->x + row * s->c;
        if (s->c == 3) {
            part_three(to, each, from, inside);
            continue;
        }
        for (size_t ch = 0; ch < s->c; ch++)
            for (size_t i = 0; i < inside; i++)
                to[ch * each + i] = from[i * s->c + ch];
    }
}

/* Windows first … end-1 as rows of `out`. */
static void copy_windows(const windows *s, size_t first, size_t end, float *out)
{
    size_t width = window_width(s), line = s->w.width * s->c;
    for (size_t i = first; i < end; i++, out += width) {
        place p = place_of(s, i);
        if (s->w.planes)
            copy_planes(s, &p, out);
        for (size_t l = 0; !s->w.planes && l < s->w.height; l++)
            copy_line(s, &p, l, out + l * line);
    }
}

/* The way back: rows `d` of windows first … end-1 added to the pixels they came from. */
static void add_windows(const windows *s, size_t first, size_t end, const float *d)
{
    size_t width = window_width(s), each = s->w.height * s->w.width, row;
    for (size_t i = first; i < end; i++, d += width) {
        place p = place_of(s, i);
        for (size_t l = 0; l < s->w.height; l++) {
            if (!line_of(s, &p, l, &row))
                continue;
            float *to = s->d_x + row * s->c;
            size_t count = p.to - p.from;
            if (!s->w.planes) {
                s->k->add(to, to, d + (l * s->w.width + p.from) * s->c, count * s->c);
                continue;
            }
            for (size_t ch = 0; ch < s->c; ch++)
                for (size_t j = 0; j < count; j++)
                    to[j * s->c + ch] += d[ch * each + l * s->w.width + p.from + j];
        }
    }
}

/* Whether x is the grid's rows; *s gets all but its results. */
static bool begin(at_tape *tape, const char *what, at_var *x, const at_grid *grid, const at_windowing *window,
                  windows *s)
{
    if (!x || !at_expect_rank(tape, what, x, 2))
        return false;
    size_t rows = at_grid_rows(grid);
    if ((size_t)x->shape.dim[0] != rows) {
        at_tape_fail(tape, AT_ESHAPE, "%s: %zu pictures of %zu x %zu pixels are %zu rows; got %s", what,
                     grid->count, grid->height, grid->width, rows, at_shape_text(x->shape).s);
        return false;
    }
    *s = (windows){
        .k = tape->exec->kernels, .grid = *grid, .w = *window, .c = (size_t)x->shape.dim[1], .x = x->data};
    return true;
}

/* ---------------------------------------------------------------- cut out */

static void unfold_rows(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const windows *s = context;
    copy_windows(s, s->begun + first, s->begun + end, s->out + first * window_width(s));
}

/* Pictures first … end-1: windows of one picture may overlap, those of two never do. */
static void fold_pictures(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const windows *s = context;
    size_t each = a_picture(s);
    add_windows(s, first * each, end * each, s->d_out + first * each * window_width(s));
}

/* Each picture's gradient by itself. */
static void spread_back(at_tape *tape, const at_node *node, at_range_task *pictures)
{
    windows s = *(const windows *)node->saved;
    s.d_out = node->out->grad;
    s.d_x = at_tape_grad(tape, node->in[0], NULL);
    if (s.d_x)
        at_exec_rows(tape->exec, s.grid.count, 1, pictures, &s);
}

static void unfold_backward(at_tape *tape, const at_node *node)
{
    spread_back(tape, node, fold_pictures);
}

const at_op at_op_unfold = {"unfold", unfold_backward};

at_var *at_unfold(at_tape *tape, at_var *x, const at_grid *grid, const at_windowing *window)
{
    windows s;
    if (!begin(tape, "windows", x, grid, window, &s))
        return NULL;
    size_t count = grid->count * a_picture(&s), width = window_width(&s);
    at_var *out = at_tape_value(tape, at_shape2((int64_t)count, (int64_t)width));
    windows *kept = at_tape_saved(tape, 1, sizeof *kept);
    if (tape->status != AT_OK)
        return NULL;
    s.out = out->data;
    *kept = s;
    at_exec_rows(tape->exec, count, 1 + AT_LAYER_GRAIN / (width + 1), unfold_rows, kept);
    return at_tape_record(tape, &at_op_unfold, out, &x, 1, kept);
}

/* ---------------------------------------------------------------- convolution */

typedef struct convolution {
    windows s;
    at_exec *exec;
    at_gemm product; /* of some windows: forward with the weights' transpose, backward with the weights */
    size_t rows;     /* windows at a time */
    size_t wide;     /* D, forward; backward d_out's width too */
    bool back;
} convolution;

static size_t rows_at_once(const windows *s)
{
    size_t rows = AT_WINDOW_FLOATS / (window_width(s) + 1) / 24 * 24; /* whole tiles of the product */
    return rows < 24 ? 24 : rows;
}

/* One picture after the other, each in pieces that stay in the cache: windows, then their product; or back:
 * gradients of windows, then those of pixels. */
static void convolve_pictures(void *context, size_t first, size_t end, int worker)
{
    const convolution *v = context;
    const windows *s = &v->s;
    float *some = at_exec_scratch(v->exec, worker);
    size_t each = a_picture(s);
    at_gemm g = v->product;
    for (size_t at = first * each, last; at < end * each; at = last) {
        size_t stop = (at / each + 1) * each;
        last = at + v->rows < stop ? at + v->rows : stop;
        g.m = last - at;
        if (!v->back) {
            copy_windows(s, at, last, some);
            g.a = some;
            g.c = s->out + at * v->wide;
        } else {
            g.a = s->d_out + at * v->wide;
            g.c = some;
        }
        s->k->gemm(&g, 0, g.m, 0, g.n);
        if (v->back)
            add_windows(s, at, last, some);
    }
}

static void run_pictures(at_tape *tape, convolution *v)
{
    size_t width = window_width(&v->s), all = v->s.grid.count * a_picture(&v->s);
    if (at_exec_reserve(tape->exec, v->rows * width) != AT_OK) {
        at_tape_fail(tape, AT_ENOMEM, "out of memory for the windows of a convolution");
        return;
    }
    at_exec_rows(tape->exec, v->s.grid.count, 1, convolve_pictures, v);
    at_exec_count(tape->exec, 2.0 * (double)all * (double)width * (double)v->wide,
                  4.0 * (double)all * (double)(v->s.c + v->wide));
}

/* d_w += d_out^T windows, some windows at a time in order. */
static void weight_gradient(at_tape *tape, const windows *s, size_t wide, float *d_w)
{
    size_t count = s->grid.count * a_picture(s), width = window_width(s), rows = rows_at_once(s);
    windows part = *s;
    part.out = at_tape_borrow(tape, rows * width);
    if (!part.out)
        return;
    for (part.begun = 0; part.begun < count; part.begun += rows) {
        size_t n = count - part.begun < rows ? count - part.begun : rows;
        at_exec_rows(tape->exec, n, 1 + AT_LAYER_GRAIN / width, unfold_rows, &part);
        at_gemm g = {.a = s->d_out + part.begun * wide,
                     .a_row = 1,
                     .a_col = wide,
                     .c = d_w,
                     .c_row = width,
                     .m = wide,
                     .n = width,
                     .k = n,
                     .accumulate = true};
        at_gemm_plain(tape->exec, &g, part.out, width);
        at_exec_gemm(tape->exec, &g);
    }
    at_tape_return(tape, part.out);
}

static void convolve_backward(at_tape *tape, const at_node *node)
{
    convolution v = *(const convolution *)node->saved;
    at_var *w = node->in[1];
    v.s.d_out = node->out->grad;
    v.s.d_x = at_tape_grad(tape, node->in[0], NULL);
    if (v.s.d_x) {
        v.back = true;
        v.product = (at_gemm){
            .a_row = v.wide, .a_col = 1, .c_row = window_width(&v.s), .n = window_width(&v.s), .k = v.wide};
        at_gemm_plain(tape->exec, &v.product, w->data, window_width(&v.s));
        run_pictures(tape, &v);
    }
    float *d_w = at_tape_grad(tape, w, NULL);
    if (d_w)
        weight_gradient(tape, &v.s, v.wide, d_w);
    float *d_b = at_tape_grad(tape, node->in[2], NULL);
    if (d_b)
        at_add_columns(tape->exec, d_b, v.s.d_out, v.s.grid.count * a_picture(&v.s), v.wide);
}

const at_op at_op_convolve = {"convolve", convolve_backward};

at_var *at_convolve(at_tape *tape, at_var *x, const at_grid *grid, const at_windowing *window,
                    const at_param *w, const at_param *b)
{
    windows s;
    if (!begin(tape, w->name, x, grid, window, &s))
        return NULL;
    AT_ASSERT(!window->planes);
    size_t wide = (size_t)w->shape.dim[0], width = window_width(&s), count = grid->count * a_picture(&s);
    if ((size_t)w->shape.dim[1] != width) {
        at_tape_fail(tape, AT_ESHAPE, "%s: weights %s, windows of %zu x %zu pixels with %zu channels",
                     w->name, at_shape_text(w->shape).s, s.w.height, s.w.width, s.c);
        return NULL;
    }
    at_var *out = at_tape_value(tape, at_shape2((int64_t)count, (int64_t)wide));
    convolution *v = at_tape_saved(tape, 1, sizeof *v);
    bool packed = w->packed && w->packed_panel == tape->exec->kernels->panel;
    float *panels = packed ? NULL : at_tape_borrow(tape, at_packed_size(tape->exec, width, wide));
    if (tape->status != AT_OK)
        return NULL;
    if (!packed)
        at_exec_pack(tape->exec, panels, w->data, 1, width, width, wide);
    s.out = out->data;
    *v = (convolution){.s = s, .exec = tape->exec, .rows = rows_at_once(&s), .wide = wide};
    v->product = (at_gemm){
        .a_row = width, .a_col = 1, .c_row = wide, .n = wide, .k = width, .bias = b ? b->data : NULL};
    at_gemm_packed(tape->exec, &v->product, packed ? w->packed : panels);
    run_pictures(tape, v);
    if (!packed)
        at_tape_return(tape, panels);
    at_var *in[] = {x, at_param_var(tape, w), b ? at_param_var(tape, b) : NULL};
    return at_tape_record(tape, &at_op_convolve, tape->status == AT_OK ? out : NULL, in, 3, v);
}

/* ---------------------------------------------------------------- the largest */

static void max_rows(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const windows *s = context;
    size_t row, c = s->c;
    for (size_t i = first; i < end; i++) {
        place p = place_of(s, i);
        float *best = s->out + i * c, *which = s->which + i * c;
        bool begun = false;
        for (size_t l = 0; l < s->w.height; l++) {
            if (!line_of(s, &p, l, &row))
                continue;
            for (size_t j = p.from; j < p.to; j++, row++) {
                float tap = (float)(l * s->w.width + j);
                if (begun) {
                    s->k->larger(best, which, s->x + row * c, tap, c);
                    continue;
                }
                memcpy(best, s->x + row * c, c * sizeof *best);
                for (size_t k = 0; k < c; k++)
                    which[k] = tap;
                begun = true;
            }
        }
        AT_ASSERT(begun);
    }
}

static void max_pictures_back(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const windows *s = context;
    size_t row, c = s->c, each = a_picture(s);
    for (size_t i = first * each; i < end * each; i++) {
        place p = place_of(s, i);
        for (size_t l = 0; l < s->w.height; l++) {
            if (!line_of(s, &p, l, &row))
                continue;
            for (size_t j = p.from; j < p.to; j++, row++)
                s->k->add_where(s->d_x + row * c, s->d_out + i * c, s->which + i * c,
                                (float)(l * s->w.width + j), c);
        }
    }
}

static void max_backward(at_tape *tape, const at_node *node)
{
    spread_back(tape, node, max_pictures_back);
}

const at_op at_op_max_windows = {"max_windows", max_backward};

at_var *at_max_windows(at_tape *tape, at_var *x, const at_grid *grid, const at_windowing *window)
{
    windows s;
    if (!begin(tape, "largest of windows", x, grid, window, &s))
        return NULL;
    size_t count = grid->count * a_picture(&s);
    at_var *out = at_tape_value(tape, at_shape2((int64_t)count, (int64_t)s.c));
    windows *kept = at_tape_saved(tape, 1, sizeof *kept);
    s.which = at_tape_saved(tape, count * s.c + 1, sizeof *s.which);
    if (tape->status != AT_OK)
        return NULL;
    s.out = out->data;
    *kept = s;
    at_exec_rows(tape->exec, count, 1 + AT_LAYER_GRAIN / (9 * s.c + 1), max_rows, kept);
    return at_tape_record(tape, &at_op_max_windows, out, &x, 1, kept);
}
