#include "draw/tables.h"
#include <math.h>
#include <stdio.h>
#include "draw/words.h"

/* Names longer than this are cut; pixels of the SVG's own system. */
enum { MOST_NAME = 24, MARGIN = 24, TITLE = 17, HEAD = 13, WORD = 13, LINE = 26, GAP = 22, PAD = 10 };

typedef struct cell_text {
    char s[64];
} cell_text;

static cell_text number_text(float number, int digits, const char *hidden)
{
    cell_text t;
    if (number == -INFINITY) {
        snprintf(t.s, sizeof t.s, "%s", hidden);
        return t;
    }
    snprintf(t.s, sizeof t.s, "%.*f", digits, (double)number);
    double rounded = 0;
    if (sscanf(t.s, "%lf", &rounded) == 1 && rounded == 0) /* not -0.000 */
        snprintf(t.s, sizeof t.s, "%.*f", digits, 0.0);
    return t;
}

static int name_width(const char *name)
{
    return at_draw_cut(name, MOST_NAME, NULL);
}

static int widest_name(const at_table *t)
{
    int width = 0;
    for (size_t i = 0; i < t->row_count; i++)
        width = name_width(t->rows[i]) > width ? name_width(t->rows[i]) : width;
    return width;
}

/* Characters that a column takes: its name and its numbers. */
static int column_width(const at_table *t, size_t column, int digits)
{
    int width = name_width(t->columns[column]);
    for (size_t i = 0; i < t->row_count; i++) {
        int n = at_draw_width(number_text(t->numbers[i * t->column_count + column], digits, "-inf").s);
        width = n > width ? n : width;
    }
    return width;
}

static at_status check(const at_table *tables, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (tables[i].row_count == 0 || tables[i].column_count == 0)
            return at_fail(AT_EARG, "table '%s' is empty", tables[i].title);
    }
    return count ? AT_OK : at_fail(AT_EARG, "no table to draw");
}

static void spaces(int count, at_buf *out)
{
    for (int i = 0; i < count; i++)
        at_buf_char(out, ' ');
}

static void text_table(const at_table *t, int digits, at_buf *out)
{
    int names = widest_name(t);
    at_draw_cut(t->title, 200, out);
    at_buf_text(out, "\n\n");
    spaces(2 + names, out);
    for (size_t j = 0; j < t->column_count; j++) {
        spaces(2 + column_width(t, j, digits) - name_width(t->columns[j]), out);
        at_draw_cut(t->columns[j], MOST_NAME, out);
    }
    at_buf_char(out, '\n');
    for (size_t i = 0; i < t->row_count; i++) {
        spaces(2, out);
        spaces(names - at_draw_cut(t->rows[i], MOST_NAME, out), out);
        for (size_t j = 0; j < t->column_count; j++) {
            cell_text cell = number_text(t->numbers[i * t->column_count + j], digits, "-inf");
            spaces(2 + column_width(t, j, digits) - at_draw_width(cell.s), out);
            at_buf_text(out, cell.s);
        }
        at_buf_char(out, '\n');
    }
}

at_status at_tables_text(const at_table *tables, size_t count, int digits, at_buf *out)
{
    at_status st = check(tables, count);
    for (size_t i = 0; i < count && st == AT_OK; i++) {
        if (i > 0)
            at_buf_char(out, '\n');
        text_table(&tables[i], digits, out);
    }
    return st == AT_OK ? at_buf_status(out) : st;
}

/* ---------------------------------------------------------------- SVG */

static double pixels(const char *text)
{
    return fmin(at_draw_ems(text), MOST_NAME * 0.62) * WORD;
}

static double column_pixels(const at_table *t, size_t column, int digits)
{
    double width = pixels(t->columns[column]);
    for (size_t i = 0; i < t->row_count; i++)
        width = fmax(width, pixels(number_text(t->numbers[i * t->column_count + column], digits, "−∞").s));
    return ceil(width) + 2 * PAD;
}

static double names_pixels(const at_table *t)
{
    double width = 0;
    for (size_t i = 0; i < t->row_count; i++)
        width = fmax(width, pixels(t->rows[i]));
    return ceil(width) + PAD;
}

static double table_width(const at_table *t, int digits)
{
    double width = names_pixels(t);
    for (size_t j = 0; j < t->column_count; j++)
        width += column_pixels(t, j, digits);
    return fmax(width, at_draw_ems(t->title) * HEAD);
}

static void put_text(at_buf *out, const char *class, double x, double y, const char *text, int most)
{
    at_buf_printf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x, y);
    at_draw_cut_escape(text, most, out);
    at_buf_text(out, "</text>\n");
}

/* One cell: ground, ink as deep as the share, the number. */
static void svg_cell(const at_table *t, size_t i, size_t j, const double box[3], int digits, at_buf *out)
{
    float number = t->numbers[i * t->column_count + j];
    bool share = j < t->shares && number >= 0 && number <= 1;
    at_buf_printf(out, "<rect class=\"g\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>",
                  box[0] + 1, box[1] + 1, box[2] - 2, LINE - 2);
    if (share && number >= 0.002f)
        at_buf_printf(out,
                      "<rect class=\"c\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\" "
                      "fill-opacity=\"%.3f\"/>",
                      box[0] + 1, box[1] + 1, box[2] - 2, LINE - 2, (double)number);
    const char *class = share && number > 0.55f ? "n h" : number == -INFINITY ? "n s" : "n";
    put_text(out, class, box[0] + box[2] - PAD, box[1] + 0.68 * LINE, number_text(number, digits, "−∞").s,
             60);
}

/* Returns where the next one begins. */
static double svg_table(const at_table *t, double top, int digits, at_buf *out)
{
    double names = names_pixels(t), y = top + HEAD;
    put_text(out, "b", MARGIN, y, t->title, 200);
    y += GAP;
    double x = MARGIN + names;
    for (size_t j = 0; j < t->column_count; j++) {
        x += column_pixels(t, j, digits);
        put_text(out, "e", x - PAD, y, t->columns[j], MOST_NAME);
    }
    y += 8;
    for (size_t i = 0; i < t->row_count; i++, y += LINE) {
        put_text(out, "e", MARGIN + names - PAD + 2, y + 0.68 * LINE, t->rows[i], MOST_NAME);
        x = MARGIN + names;
        for (size_t j = 0; j < t->column_count; j++) {
            double box[] = {x, y, column_pixels(t, j, digits)};
            svg_cell(t, i, j, box, digits, out);
            x += box[2];
        }
    }
    return y + GAP;
}

static void svg_head(const char *title, double width, double height, at_buf *out)
{
    at_buf_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                  "viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n<title>",
                  width, height, width, height);
    at_draw_escape(title, out);
    at_buf_printf(out,
                  "</title>\n<style>\n"
                  "text{font-family:'Helvetica Neue',Helvetica,Arial,'Noto Sans','PingFang SC',"
                  "'Microsoft YaHei','Noto Sans CJK SC','Source Han Sans SC',sans-serif;fill:#1c2430;"
                  "font-size:%dpx}\n.t{font-size:%dpx;font-weight:600}.b{font-size:%dpx;font-weight:600}\n"
                  ".e,.n{text-anchor:end}.n{font-variant-numeric:tabular-nums}.s{fill:#687385}.h{fill:#fff}\n"
                  ".bg{fill:#fff}.g{fill:#f1f4f8}.c{fill:#0d4a94}\n"
                  "@media (prefers-color-scheme:dark){text{fill:#e6ebf2}.s{fill:#94a0b3}.h{fill:#06121f}"
                  ".bg{fill:#12161d}.g{fill:#1e2530}.c{fill:#7cc4ff}}\n</style>\n"
                  "<rect class=\"bg\" width=\"100%%\" height=\"100%%\"/>\n",
                  WORD, TITLE, HEAD);
}

at_status at_tables_svg(const char *title, const at_table *tables, size_t count, int digits, at_buf *out)
{
    at_status st = check(tables, count);
    if (st != AT_OK)
        return st;
    at_buf body = {0};
    double width = title ? at_draw_ems(title) * TITLE : 0, y = MARGIN;
    if (title) {
        put_text(&body, "t", MARGIN, y + TITLE - 2, title, 200);
        y += TITLE + GAP;
    }
    for (size_t i = 0; i < count; i++) {
        y = svg_table(&tables[i], y, digits, &body);
        width = fmax(width, table_width(&tables[i], digits));
    }
    svg_head(title ? title : "Attention", ceil(width) + 2 * MARGIN, y, out);
    at_buf_bytes(out, body.data, body.length);
    at_buf_text(out, "</svg>\n");
    st = at_buf_status(&body) == AT_OK ? at_buf_status(out) : AT_ENOMEM;
    at_buf_free(&body);
    return st;
}
