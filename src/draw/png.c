/* The picture as PNG. Pango shapes and measures the words, so that letters join, marks stand where they
 * belong and every script runs in its own direction. */
#include "draw/internal.h"
#include "draw/layout.h"
#include "draw/words.h"

#ifdef AT_HAVE_CAIRO
#include <cairo.h>
#include <limits.h>
#include <math.h>
#include <pango/pangocairo.h>
#include <stdio.h>

enum {
    MARGIN = AT_LAYOUT_MARGIN,
    SMALL = AT_LAYOUT_SMALL,
    TITLE = AT_LAYOUT_TITLE,
    LEGEND = AT_LAYOUT_LEGEND
};

typedef struct color {
    double r, g, b;
} color;

typedef struct theme {
    color ground, text, dim, number, on_ink, cell, ink, mark;
} theme;

#define RGB(n)                                                       \
    {                                                                \
        (n >> 16) / 255.0, (n >> 8 & 255) / 255.0, (n & 255) / 255.0 \
    }
/* Those of the SVG. */
static const theme light = {RGB(0xffffff), RGB(0x1c2430), RGB(0x687385), RGB(0x2a3648),
                            RGB(0xffffff), RGB(0xf1f4f8), RGB(0x0d4a94), RGB(0xe07a1f)};
static const theme dark = {RGB(0x12161d), RGB(0xe6ebf2), RGB(0x94a0b3), RGB(0xdbe3ee),
                           RGB(0x06121f), RGB(0x1e2530), RGB(0x7cc4ff), RGB(0xffb35c)};

typedef struct pen {
    cairo_t *cairo;
    PangoLayout *text;
    PangoFontDescription *font;
    const theme *theme;
    at_buf safe; /* a word as it is drawn */
} pen;

static void open_pen(pen *p, cairo_surface_t *surface, double scale)
{
    p->cairo = cairo_create(surface);
    cairo_scale(p->cairo, scale, scale);
    p->text = pango_cairo_create_layout(p->cairo);
    p->font = pango_font_description_from_string("sans-serif");
    pango_layout_set_single_paragraph_mode(p->text, TRUE);
}

static void close_pen(pen *p)
{
    pango_font_description_free(p->font);
    g_object_unref(p->text);
    cairo_destroy(p->cairo);
    at_buf_free(&p->safe);
}

static void set_color(const pen *p, color c, double alpha)
{
    cairo_set_source_rgba(p->cairo, c.r, c.g, c.b, alpha);
}

/* Makes the pen's text `word`, cut to `most` pixels if it is wider; returns its width. */
static double set_word(pen *p, const char *word, double size, bool bold, double most)
{
    int width;
    at_buf_clear(&p->safe);
    at_draw_cut(word, INT_MAX, &p->safe);
    at_buf_text(&p->safe, "");
    pango_font_description_set_absolute_size(p->font, size * PANGO_SCALE);
    pango_font_description_set_weight(p->font, bold ? PANGO_WEIGHT_SEMIBOLD : PANGO_WEIGHT_NORMAL);
    pango_layout_set_font_description(p->text, p->font);
    pango_layout_set_width(p->text, -1);
    pango_layout_set_text(p->text, p->safe.data ? p->safe.data : "", -1);
    pango_layout_get_size(p->text, &width, NULL);
    if (most <= 0.0 || width <= most * PANGO_SCALE)
        return (double)width / PANGO_SCALE;
    pango_layout_set_ellipsize(p->text, PANGO_ELLIPSIZE_END);
    pango_layout_set_width(p->text, (int)(most * PANGO_SCALE));
    pango_layout_set_alignment(p->text, PANGO_ALIGN_LEFT);
    PangoRectangle drawn;
    pango_layout_get_extents(p->text, NULL, &drawn);
    return (double)drawn.width / PANGO_SCALE;
}

/* Shows the pen's text with its baseline at y, its left end at x. */
static void show_word(pen *p, double x, double y)
{
    PangoRectangle drawn;
    pango_layout_get_extents(p->text, NULL, &drawn);
    cairo_move_to(p->cairo, x - (double)drawn.x / PANGO_SCALE,
                  y - (double)pango_layout_get_baseline(p->text) / PANGO_SCALE);
    pango_cairo_show_layout(p->cairo, p->text);
    pango_layout_set_ellipsize(p->text, PANGO_ELLIPSIZE_NONE);
}

static double measured(void *context, const char *word, double size)
{
    return set_word(context, word, size, false, 0.0);
}

static void draw_cell(pen *p, double x, double y, double side, color c, double alpha)
{
    set_color(p, c, alpha);
    cairo_rectangle(p->cairo, x, y, side, side);
    cairo_fill(p->cairo);
}

static void draw_outline(pen *p, double x, double y, double side, double width)
{
    set_color(p, p->theme->mark, 1.0);
    cairo_set_line_width(p->cairo, width);
    cairo_rectangle(p->cairo, x, y, side, side);
    cairo_stroke(p->cairo);
}

static void draw_words(pen *p, const at_layout *l)
{
    const at_matrix *m = l->matrix;
    set_color(p, p->theme->text, 1.0);
    for (size_t s = 0; s < m->source_count; s++) {
        double x = l->left + ((double)s + 0.5) * l->cell, width;
        cairo_save(p->cairo);
        width = set_word(p, m->sources[s], l->word, false, AT_LAYOUT_LABEL);
        cairo_translate(p->cairo, l->slant ? x + 3 : x - width / 2, l->slant ? l->top - 6 : l->top - 8);
        cairo_rotate(p->cairo, -l->slant * 3.14159265358979 / 180.0);
        pango_cairo_update_layout(p->cairo, p->text);
        show_word(p, 0, 0);
        cairo_restore(p->cairo);
    }
    pango_cairo_update_layout(p->cairo, p->text);
    for (size_t t = 0; t < m->target_count; t++) {
        double width = set_word(p, m->targets[t], l->word, false, AT_LAYOUT_LABEL);
        show_word(p, l->left - 8 - width, l->top + ((double)t + 0.5) * l->cell + 0.35 * l->word);
    }
}

static void draw_number(pen *p, const at_layout *l, double x, double y, double w)
{
    char text[16];
    snprintf(text, sizeof text, "%.2f", w);
    double width = set_word(p, text[0] == '0' ? text + 1 : text, l->number, false, 0.0);
    set_color(p, w > 0.55 ? p->theme->on_ink : p->theme->number, 1.0);
    show_word(p, x + (l->cell - width) / 2, y + 0.63 * l->cell);
}

static void draw_row(pen *p, const at_layout *l, size_t t)
{
    const at_matrix *m = l->matrix;
    const float *row = m->weights + t * m->source_count;
    double sum = 0.0, y = l->top + (double)t * l->cell, side = l->cell - 2;
    size_t top = 0;
    for (size_t s = 0; s < m->source_count; s++) {
        double x = l->left + (double)s * l->cell, w = fmin(fmax((double)row[s], 0.0), 1.0);
        sum += (double)row[s];
        top = row[s] > row[top] ? s : top;
        draw_cell(p, x + 1, y + 1, side, p->theme->cell, 1.0);
        draw_cell(p, x + 1, y + 1, side, p->theme->ink, w);
        if (l->numbers && w >= 0.005)
            draw_number(p, l, x, y, w);
    }
    draw_outline(p, l->left + (double)top * l->cell + 1, y + 1, side, l->thin ? 1.2 : 2.0);
    char text[32];
    snprintf(text, sizeof text, "%.2f", sum);
    double right = l->left + (double)m->source_count * l->cell + AT_LAYOUT_SUM - 8;
    double width = set_word(p, text, SMALL, false, 0.0);
    set_color(p, p->theme->dim, 1.0);
    show_word(p, right - width, y + l->cell / 2 + 4);
}

static void draw_small(pen *p, const char *text, double x, double y)
{
    set_color(p, p->theme->dim, 1.0);
    set_word(p, text, SMALL, false, 0.0);
    show_word(p, x, y);
}

static void draw_legend(pen *p, double y)
{
    double x = MARGIN;
    color ink = p->theme->ink;
    draw_small(p, "0", x, y + 9);
    cairo_pattern_t *scale = cairo_pattern_create_linear(x + 11, 0, x + 11 + LEGEND, 0);
    cairo_pattern_add_color_stop_rgba(scale, 0, ink.r, ink.g, ink.b, 0);
    cairo_pattern_add_color_stop_rgba(scale, 1, ink.r, ink.g, ink.b, 1);
    set_color(p, p->theme->cell, 1.0);
    cairo_rectangle(p->cairo, x + 11, y, LEGEND, 10);
    cairo_fill_preserve(p->cairo);
    cairo_set_source(p->cairo, scale);
    cairo_fill(p->cairo);
    cairo_pattern_destroy(scale);
    draw_small(p, "1", x + LEGEND + 16, y + 9);
    draw_outline(p, x + LEGEND + 40, y, 10, 2.0);
    draw_small(p, "largest of its row", x + LEGEND + 56, y + 9);
}

/* The caption from y on, broken into lines; returns where it ends. Without `draw` it is only measured. */
static double put_caption(pen *p, const at_layout *l, double y, bool draw)
{
    const char *caption = l->matrix->caption ? l->matrix->caption : AT_DRAW_CAVEAT;
    int height = 0;
    if (!*caption)
        return y;
    set_word(p, caption, SMALL, false, 0.0);
    pango_layout_set_width(p->text, (int)(at_layout_caption_width(l) * PANGO_SCALE));
    pango_layout_set_wrap(p->text, PANGO_WRAP_WORD_CHAR);
    pango_layout_get_size(p->text, NULL, &height);
    if (draw) {
        set_color(p, p->theme->dim, 1.0);
        cairo_move_to(p->cairo, MARGIN, y);
        pango_cairo_show_layout(p->cairo, p->text);
    }
    return y + (double)height / PANGO_SCALE;
}

static void draw_all(pen *p, const at_layout *l)
{
    const at_matrix *m = l->matrix;
    set_color(p, p->theme->ground, 1.0);
    cairo_paint(p->cairo);
    if (m->title && *m->title) {
        set_color(p, p->theme->text, 1.0);
        set_word(p, m->title, TITLE, true, 0.0);
        show_word(p, MARGIN, MARGIN + TITLE - 2);
    }
    draw_words(p, l);
    for (size_t t = 0; t < m->target_count; t++)
        draw_row(p, l, t);
    double width = set_word(p, "sum", SMALL, false, 0.0);
    set_color(p, p->theme->dim, 1.0);
    show_word(p, l->left + (double)m->source_count * l->cell + AT_LAYOUT_SUM - 8 - width, l->top - 8);
    draw_legend(p, l->bottom + 18);
    put_caption(p, l, l->bottom + 42, true);
}

static cairo_status_t collect(void *out, const unsigned char *bytes, unsigned length)
{
    at_buf_bytes(out, bytes, length);
    return ((at_buf *)out)->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

/* How large the picture gets is known after a first pen has measured its words. */
static at_status draw(const at_matrix *m, const at_png_options *options, at_buf *out)
{
    double scale = options->scale > 0.0 ? options->scale : 2.0;
    size_t begin = out->length;
    pen p = {.theme = options->dark ? &dark : &light};
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
    open_pen(&p, surface, 1.0);
    at_layout l = at_lay_out(m, measured, &p);
    double height = put_caption(&p, &l, l.bottom + 42, false) + MARGIN;
    close_pen(&p);
    cairo_surface_destroy(surface);
    surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(scale * l.width), (int)ceil(scale * height));
    p.safe = (at_buf){0};
    open_pen(&p, surface, scale);
    draw_all(&p, &l);
    close_pen(&p);
    cairo_status_t done = cairo_surface_write_to_png_stream(surface, collect, out);
    cairo_surface_destroy(surface);
    if (done == CAIRO_STATUS_SUCCESS)
        return at_buf_status(out);
    out->length = begin;
    return at_fail(done == CAIRO_STATUS_NO_MEMORY ? AT_ENOMEM : AT_EARG, "PNG of %.0f x %.0f dots: %s",
                   scale * l.width, scale * height, cairo_status_to_string(done));
}

at_status at_matrix_png(const at_matrix *matrix, const at_png_options *options, at_buf *out)
{
    at_pooled pooled;
    at_status st = at_matrix_pool(matrix, &pooled);
    if (st == AT_OK)
        st = draw(&pooled.matrix, options, out);
    at_pooled_free(&pooled);
    return st;
}

bool at_png_possible(void)
{
    return true;
}

#else

at_status at_matrix_png(const at_matrix *matrix, const at_png_options *options, at_buf *out)
{
    (void)matrix;
    (void)options;
    (void)out;
    return at_fail(AT_ENOSUP, "PNG pictures need cairo and pango, which this build was made without: install "
                              "libcairo2-dev and libpango1.0-dev and build again; SVG and HTML work without");
}

bool at_png_possible(void)
{
    return false;
}
#endif
