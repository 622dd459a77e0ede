#include <math.h>
#include <stdio.h>
#include "draw/internal.h"
#include "draw/layout.h"
#include "draw/words.h"

enum {
    MARGIN = AT_LAYOUT_MARGIN,
    SMALL = AT_LAYOUT_SMALL,
    TITLE = AT_LAYOUT_TITLE,
    LEGEND = AT_LAYOUT_LEGEND
};

/* A word drawn up to this many ems keeps within its field; longer ones are cut. */
static int most_columns(void)
{
    return (int)(AT_LAYOUT_LABEL / (0.58 * AT_LAYOUT_WORD));
}

/* Light at first, dark where the viewer prefers it. Ink of growing opacity over the
 * ground makes the scale linear in both. */
static void draw_style(const at_layout *p, at_buf *out)
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
        p->word, TITLE, SMALL, p->number, p->thin ? 1.2 : 2.0);
    at_buf_text(out, "@media (prefers-color-scheme:dark){text{fill:#e6ebf2}.s{fill:#94a0b3}.n{fill:#dbe3ee}"
                     ".h{fill:#06121f}.bg{fill:#12161d}.g{fill:#1e2530}.c{fill:#7cc4ff}.k{stop-color:#7cc4ff}"
                     ".o{stroke:#ffb35c}}\n</style>\n");
}

static void draw_frame(const at_layout *p, double height, at_buf *out)
{
    const at_matrix *m = p->matrix;
    at_buf_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                  "viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n<title>",
                  p->width, height, p->width, height);
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

static void draw_heads(const at_layout *p, at_buf *out)
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
        double y = p->top + ((double)t + 0.5) * p->cell + 0.35 * p->word;
        at_buf_printf(out, "<text class=\"w e\" x=\"%.1f\" y=\"%.1f\">", p->left - 8, y);
        draw_word(m->targets[t], out);
    }
}

static void draw_number(const at_layout *p, double x, double y, float w, at_buf *out)
{
    char text[16];
    snprintf(text, sizeof text, "%.2f", (double)w);
    /* ".62": the zero before the point says nothing in a cell. */
    at_buf_printf(out, "<text class=\"n%s\" x=\"%.1f\" y=\"%.1f\">%s</text>", w > 0.55f ? " h" : "",
                  x + p->cell / 2, y + p->cell / 2 + 0.13 * p->cell, text[0] == '0' ? text + 1 : text);
}

/* The ground of all cells in one go: most of a large picture is empty. */
static void draw_ground(const at_layout *p, at_buf *out)
{
    double side = p->cell - 2;
    at_buf_printf(out,
                  "<defs><pattern id=\"cells\" patternUnits=\"userSpaceOnUse\" x=\"%.1f\" y=\"%.1f\" "
                  "width=\"%.1f\" height=\"%.1f\"><rect class=\"g\" x=\"1\" y=\"1\" width=\"%.1f\" "
                  "height=\"%.1f\" rx=\"2\"/></pattern></defs>\n"
                  "<rect fill=\"url(#cells)\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                  p->left, p->top, p->cell, p->cell, side, side, p->left, p->top,
                  (double)p->matrix->source_count * p->cell, p->bottom - p->top);
}

static void draw_row(const at_layout *p, size_t t, at_buf *out)
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
        if (w < 0.002f)
            continue;
        at_buf_text(out, "<g><title>");
        at_draw_escape(m->targets[t], out);
        at_buf_text(out, " ← ");
        at_draw_escape(m->sources[s], out);
        at_buf_printf(out, ": %.4f</title>", (double)row[s]);
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
                  p->left + (double)m->source_count * p->cell + AT_LAYOUT_SUM - 8, y + p->cell / 2 + 4, sum);
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

static at_status draw(const at_matrix *m, at_buf *out)
{
    at_layout p = at_lay_out(m, at_draw_estimate, NULL);
    at_buf body = {0}; /* the frame needs the height that the caption ends at */
    draw_heads(&p, &body);
    at_buf_printf(&body, "<text class=\"s e\" x=\"%.1f\" y=\"%.1f\">sum</text>\n",
                  p.left + (double)m->source_count * p.cell + AT_LAYOUT_SUM - 8, p.top - 8);
    draw_ground(&p, &body);
    for (size_t t = 0; t < m->target_count; t++)
        draw_row(&p, t, &body);
    draw_legend(p.bottom + 18, &body);
    at_draw_box box = {MARGIN, p.bottom + 52, 1.45 * SMALL,
                       (int)(at_layout_caption_width(&p) / (0.5 * SMALL))};
    const char *caption = m->caption ? m->caption : AT_DRAW_CAVEAT;
    double height = at_draw_paragraph(caption, &box, &body) + MARGIN - SMALL;
    draw_frame(&p, height, out);
    at_buf_bytes(out, body.data, body.length);
    at_buf_text(out, "</svg>\n");
    at_status st = at_buf_status(&body) == AT_OK ? at_buf_status(out) : AT_ENOMEM;
    at_buf_free(&body);
    return st;
}

at_status at_matrix_svg(const at_matrix *matrix, at_buf *out)
{
    at_pooled pooled;
    at_status st = at_matrix_pool(matrix, &pooled);
    if (st == AT_OK)
        st = draw(&pooled.matrix, out);
    at_pooled_free(&pooled);
    return st;
}
