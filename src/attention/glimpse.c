#include "attention/glimpse.h"
#include <math.h>
#include <string.h>

enum { PIXEL_GRAIN = 16384 }; /* pixels of pictures that a task reads at least */

size_t at_glimpse_width(const at_glimpses *g)
{
    return g->scales * g->channels * g->size * g->size;
}

static int64_t first_pixel(float place, size_t length, int64_t side)
{
    double at = place > -1 ? (place < 1 ? (double)place : 1) : -1;
    return (int64_t)floor((at + 1) / 2 * (double)length - (double)side / 2 + 0.5);
}

at_glimpse_frame at_glimpse_covers(const at_glimpses *g, size_t scale, const float place[2])
{
    int64_t side = (int64_t)g->size;
    for (size_t i = 0; i < scale; i++)
        side *= (int64_t)g->zoom;
    return (at_glimpse_frame){first_pixel(place[0], g->width, side), first_pixel(place[1], g->height, side),
                              side};
}

typedef struct looking {
    const at_glimpses *g;
    const at_kernels *k;
    const float *places;
    float *out, *sums; /* (N, width of a glimpse), (N, side of the widest frame) */
    size_t widest;
} looking;

/* The part of first … first+side-1 that lies within 0 … length-1. */
static void within(int64_t first, int64_t side, size_t length, int64_t *begin, int64_t *end)
{
    *begin = first > 0 ? first : 0;
    *end = first + side < (int64_t)length ? first + side : (int64_t)length;
    if (*end < *begin)
        *end = *begin;
}

/* The frame's pixels as they are. */
static void copy_frame(const looking *l, const float *picture, const at_glimpse_frame *f, float *out)
{
    size_t c = l->g->channels, row = l->g->size * c;
    int64_t x0, x1, y0, y1;
    within(f->left, f->side, l->g->width, &x0, &x1);
    within(f->top, f->side, l->g->height, &y0, &y1);
    memset(out, 0, l->g->size * row * sizeof *out);
    for (int64_t y = y0; y < y1; y++)
        memcpy(out + (size_t)(y - f->top) * row + (size_t)(x0 - f->left) * c,
               picture + ((size_t)y * l->g->width + (size_t)x0) * c, (size_t)(x1 - x0) * c * sizeof *out);
}

/* One row of the glimpse: means of boxes of step x step pixels, of which rows y0 … y1-1 are inside. */
static void average_row(const looking *l, const float *picture, const at_glimpse_frame *f, int64_t y0,
                        int64_t y1, float *sums, float *out)
{
    size_t c = l->g->channels, size = l->g->size, step = (size_t)f->side / size;
    int64_t x0, x1;
    within(f->left, f->side, l->g->width, &x0, &x1);
    memset(sums, 0, (size_t)f->side * c * sizeof *sums);
    float *inside = sums + (size_t)(x0 - f->left) * c;
    for (int64_t y = y0; y < y1; y++)
        l->k->add(inside, inside, picture + ((size_t)y * l->g->width + (size_t)x0) * c,
                  (size_t)(x1 - x0) * c);
    float share = 1.0f / (float)(step * step);
    for (size_t i = 0; i < size * c; i++) {
        const float *box = sums + i / c * step * c + i % c;
        float sum = 0;
        for (size_t j = 0; j < step; j++)
            sum += box[j * c];
        out[i] = sum * share;
    }
}

static void average_frame(const looking *l, const float *picture, const at_glimpse_frame *f, float *sums,
                          float *out)
{
    int64_t step = f->side / (int64_t)l->g->size;
    for (size_t i = 0; i < l->g->size; i++) {
        int64_t y0, y1;
        within(f->top + (int64_t)i * step, step, l->g->height, &y0, &y1);
        average_row(l, picture, f, y0, y1, sums, out + i * l->g->size * l->g->channels);
    }
}

static void look(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const looking *l = context;
    const at_glimpses *g = l->g;
    for (size_t i = first; i < end; i++) {
        const float *picture = g->pictures + i / g->copies * g->height * g->width * g->channels;
        float *out = l->out + i * at_glimpse_width(g);
        for (size_t s = 0; s < g->scales; s++, out += g->size * g->size * g->channels) {
            at_glimpse_frame f = at_glimpse_covers(g, s, l->places + 2 * i);
            if (f.side == (int64_t)g->size)
                copy_frame(l, picture, &f, out);
            else
                average_frame(l, picture, &f, l->sums + i * l->widest * g->channels, out);
        }
    }
}

at_var *at_glimpse(at_tape *tape, const at_glimpses *g, const float *places)
{
    AT_ASSERT(g->copies >= 1 && g->size >= 1 && g->scales >= 1 && g->zoom >= 1);
    size_t n = g->count * g->copies, width = at_glimpse_width(g);
    size_t widest = (size_t)at_glimpse_covers(g, g->scales - 1, (const float[]){0, 0}).side;
    float *out = at_tape_saved(tape, n * width + 1, sizeof *out);
    float *sums = at_tape_borrow(tape, n * widest * g->channels + 1);
    if (!out || !sums)
        return NULL;
    looking l = {g, tape->exec->kernels, places, out, sums, widest};
    size_t pixels = g->scales * g->channels * widest * widest;
    at_exec_rows(tape->exec, n, 1 + PIXEL_GRAIN / (pixels + 1), look, &l);
    at_tape_return(tape, sums);
    return at_leaf(tape, at_shape2((int64_t)n, (int64_t)width), out, NULL);
}
