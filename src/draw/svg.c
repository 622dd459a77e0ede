#include <math.h>
#include <stdio.h>

#include "draw/matrix.h"
#include "draw/words.h"

/* Sizes in pixels of the SVG's own system. */
enum {
    MARGIN = 24,
    WORD = 14, /* font sizes */
    SMALL = 11,
    TITLE = 17,
    SUM = 46, /* the column of row sums */
    LEGEND = 132,
    LABEL_MOST = 190,
    CELL_MOST = 56,
    CELL_LEAST = 13,
    CELL_SMALL = 24, /* below: steeper words, thinner outlines */
    GRID_WISHED = 680,
    CAPTION_LEAST = 46, /* characters a line */
};

typedef struct page {
    const at_matrix *matrix;
    double cell, label, head; /* cell side; width of row words; height of column words */
    double left, top;         /* of the grid */
    double width, height;
    int slant; /* degrees of the column words; 0: across */
    bool numbers;
} page;

/* A word drawn up to this many ems keeps within its field; longer ones are cut. */
static int most_columns(void)
{
    return (int)(LABEL_MOST / (0.58 * WORD));
}

static double word_width(const char *word, double size)
{
    return fmin(at_draw_ems(word) * size, LABEL_MOST);
}

static double widest(const char *const *words, size_t count, double size)
{
    double width = 0.0;
    for (size_t i = 0; i < count; i++)
        width = fmax(width, word_width(words[i], size));
    return width;
}

/* Words and cells shrink together in large pictures: slanted words of neighbouring
 * columns are 0.71 to 0.87 of a cell apart. */
static double word_size(const page *p)
{
    return fmin(WORD, 0.74 * p->cell);
}

static double radians(const page *p)
{
    return p->slant * 3.14159265358979 / 180.0;
}

static page lay_out(const at_matrix *m)
{
    page p = {.matrix = m};
    double columns = (double)m->source_count, rows = (double)m->target_count;
    p.cell = fmax(CELL_LEAST, fmin(CELL_MOST, floor(GRID_WISHED / fmax(columns, rows))));
    p.numbers = p.cell >= 26;
    double across = widest(m->sources, m->source_count, word_size(&p));
    p.slant = across <= p.cell - 3 ? 0 : p.cell < CELL_SMALL ? 60 : 45;
    p.label = widest(m->targets, m->target_count, word_size(&p));
    p.head = p.slant ? sin(radians(&p)) * across + word_size(&p) : 1.2 * word_size(&p);
    p.left = MARGIN + p.label + 12;
    p.top = MARGIN + (m->title && *m->title ? TITLE + 30 : 16) + p.head;
    double right = p.left + columns * p.cell + SUM;
    if (p.slant) /* the last word leans out over the sums */
        right =
            fmax(right, p.left + (columns - 0.5) * p.cell + 8 +
                            cos(radians(&p)) * word_width(m->sources[m->source_count - 1], word_size(&p)));
    double title = m->title ? at_draw_ems(m->title) * TITLE + MARGIN : 0;
    p.width = ceil(fmax(fmax(right, title), MARGIN + CAPTION_LEAST * 0.5 * SMALL) + MARGIN);
    p.height = p.top + rows * p.cell;
    return p;
}

/* Light at first, dark where the viewer prefers it. Ink of growing opacity over the
 * ground makes the scale linear in both. */
static void draw_style(const page *p, at_buf *out)
{
    at_buf_printf(
        out,
        "<style>\n"
        "text{font-family:'Helvetica Neue',Helvetica,Arial,'Noto Sans','PingFang SC',"
        "'Microsoft YaHei','Noto Sans CJK SC','Source Han Sans SC',sans-serif;fill:#1c2430}\n"
        ".w{font-size:%.1fpx}.t{font-size:%dpx;font-weight:600}.s{font-size:%dpx;fill:#687385}\n"
        ".n{font-size:%.1fpx;text-anchor:middle;fill:#2a3648}.h{fill:#fff}\n"
        ".m{text-anchor:middle}.e{text-anchor:end}\n"
        ".bg{fill:#fff}.g{fill:#f1f4f8}.c{fill:#0d4a94}.o{fill:none;stroke:#e07a1f;stroke-width:%.1f}\n"
        ".k{stop-color:#0d4a94}\n",
        word_size(p), TITLE, SMALL, fmin(12.0, 0.36 * p->cell), p->cell < CELL_SMALL ? 1.2 : 2.0);
    at_buf_text(out, "@media (prefers-color-scheme:dark){text{fill:#e6ebf2}.s{fill:#94a0b3}.n{fill:#aab6c8}"
                     ".h{fill:#06121f}.bg{fill:#12161d}.g{fill:#1e2530}.c{fill:#7cc4ff}.k{stop-color:#7cc4ff}"
                     ".o{stroke:#ffb35c}}\n</style>\n");
}

static void draw_frame(const page *p, at_buf *out)
{
    const at_matrix *m = p->matrix;
    at_buf_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                  "viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n<title>",
                  p->width, p->height, p->width, p->height);
    at_draw_escape(m->title && *m->title ? m->title : "Attention", out);
    at_buf_text(out, "</title>\n");
    draw_style(p, out);
    at_buf_text(out, "<rect class=\"bg\" width=\"100%\" height=\"100%\"/>\n");
    if (m->title && *m->title) {
        at_buf_printf(out, "<text class=\"t\" x=\"%d\" y=\"%d\">", MARGIN, MARGIN + TITLE - 2);
        at_draw_escape(m->title, out);
        at_buf_text(out, "</text>\n");
    }
}

/* The word cut to its field; whole in the tooltip if it was cut. */
static void draw_word(const char *word, at_buf *out)
{
    if (at_draw_width(word) > most_columns()) {
        at_buf_text(out, "<title>");
        at_draw_escape(word, out);
        at_buf_text(out, "</title>");
    }
    at_draw_cut_escape(word, most_columns(), out);
    at_buf_text(out, "</text>\n");
}

static void draw_heads(const page *p, at_buf *out)
{
    const at_matrix *m = p->matrix;
    for (size_t s = 0; s < m->source_count; s++) {
        double x = p->left + ((double)s + 0.5) * p->cell, y = p->top - 8;
        if (p->slant)
            at_buf_printf(out, "<text class=\"w\" transform=\"translate(%.1f %.1f) rotate(-%d)\">", x + 3,
                          y + 2, p->slant);
        else
            at_buf_printf(out, "<text class=\"w m\" x=\"%.1f\" y=\"%.1f\">", x, y);
        draw_word(m->sources[s], out);
    }
    for (size_t t = 0; t < m->target_count; t++) {
        double y = p->top + ((double)t + 0.5) * p->cell + 0.35 * word_size(p);
        at_buf_printf(out, "<text class=\"w e\" x=\"%.1f\" y=\"%.1f\">", p->left - 8, y);
        draw_word(m->targets[t], out);
    }
}

static void draw_number(const page *p, double x, double y, float w, at_buf *out)
{
    char text[16];
    snprintf(text, sizeof text, "%.2f", (double)w);
    /* ".62": the zero before the point says nothing in a cell. */
    at_buf_printf(out, "<text class=\"n%s\" x=\"%.1f\" y=\"%.1f\">%s</text>", w > 0.55f ? " h" : "",
                  x + p->cell / 2, y + p->cell / 2 + 0.13 * p->cell, text[0] == '0' ? text + 1 : text);
}

static void draw_row(const page *p, size_t t, at_buf *out)
{
    const at_matrix *m = p->matrix;
    const float *row = m->weights + t * m->source_count;
    double sum = 0.0, y = p->top + (double)t * p->cell, side = p->cell - 2;
    size_t top = 0;
    for (size_t s = 0; s < m->source_count; s++) {
        double x = p->left + (double)s * p->cell;
        float w = fminf(fmaxf(row[s], 0.0f), 1.0f);
        sum += (double)row[s];
        top = row[s] > row[top] ? s : top;
        at_buf_text(out, "<g><title>");
        at_draw_escape(m->targets[t], out);
        at_buf_text(out, " ← ");
        at_draw_escape(m->sources[s], out);
        at_buf_printf(out, ": %.4f</title>", (double)row[s]);
        at_buf_printf(out,
                      "<rect class=\"g\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"2\"/>",
                      x + 1, y + 1, side, side);
        if (w >= 0.002f)
            at_buf_printf(out,
                          "<rect class=\"c\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"2\" "
                          "fill-opacity=\"%.3f\"/>",
                          x + 1, y + 1, side, side, (double)w);
        if (p->numbers && w >= 0.005f)
            draw_number(p, x, y, w, out);
        at_buf_text(out, "</g>\n");
    }
    at_buf_printf(out,
                  "<rect class=\"o\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"3\"/>\n"
                  "<text class=\"s e\" x=\"%.1f\" y=\"%.1f\">%.2f</text>\n",
                  p->left + (double)top * p->cell + 1, y + 1, side, side,
                  p->left + (double)m->source_count * p->cell + SUM - 8, y + p->cell / 2 + 4, sum);
}

static void draw_legend(double y, at_buf *out)
{
    double x = MARGIN;
    at_buf_printf(out,
                  "<defs><linearGradient id=\"scale\"><stop class=\"k\" offset=\"0\" stop-opacity=\"0\"/>"
                  "<stop class=\"k\" offset=\"1\" stop-opacity=\"1\"/></linearGradient></defs>\n"
                  "<text class=\"s\" x=\"%.1f\" y=\"%.1f\">0</text>\n"
                  "<rect class=\"g\" x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"10\" rx=\"2\"/>"
                  "<rect fill=\"url(#scale)\" x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"10\" rx=\"2\"/>\n"
                  "<text class=\"s\" x=\"%.1f\" y=\"%.1f\">1</text>\n",
                  x, y + 9, x + 11, y, LEGEND, x + 11, y, LEGEND, x + LEGEND + 16, y + 9);
    x += LEGEND + 40;
    at_buf_printf(out,
                  "<rect class=\"o\" x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\" rx=\"2\"/>"
                  "<text class=\"s\" x=\"%.1f\" y=\"%.1f\">largest of its row</text>\n",
                  x, y, x + 16, y + 9);
}

at_status at_matrix_svg(const at_matrix *matrix, at_buf *out)
{
    at_status st = at_matrix_check(matrix);
    if (st != AT_OK)
        return st;
    page p = lay_out(matrix);
    const char *caption = matrix->caption ? matrix->caption : AT_DRAW_CAVEAT;
    at_buf body = {0}; /* the frame needs the height that the caption ends at */
    draw_heads(&p, &body);
    at_buf_printf(&body, "<text class=\"s e\" x=\"%.1f\" y=\"%.1f\">sum</text>\n",
                  p.left + (double)matrix->source_count * p.cell + SUM - 8, p.top - 8);
    for (size_t t = 0; t < matrix->target_count; t++)
        draw_row(&p, t, &body);
    draw_legend(p.height + 18, &body);
    at_draw_box box = {MARGIN, p.height + 52, 1.45 * SMALL, (int)((p.width - 2 * MARGIN) / (0.5 * SMALL))};
    p.height = at_draw_paragraph(caption, &box, &body) + MARGIN - SMALL;
    draw_frame(&p, out);
    at_buf_bytes(out, body.data, body.length);
    at_buf_text(out, "</svg>\n");
    st = at_buf_status(&body) == AT_OK ? at_buf_status(out) : AT_ENOMEM;
    at_buf_free(&body);
    return st;
}
