#include "draw/positions.h"
#include <math.h>
#include <stdlib.h>
#include "draw/words.h"

enum { SHADES = 5, LEVELS = 10, MAP_ROWS = 24, BAR = 40 };
/* Pixels of the SVG's own system. */
enum { MARGIN = 24, MAP_WIDTH = 640, MAP_MOST = 480, CURVE = 200, GAP = 64, LEFT = 56 };

static at_status check(const at_position_picture *p)
{
    if (p->count == 0 || p->width == 0)
        return at_fail(AT_EARG, "positions: nothing to draw");
    for (size_t i = 0; i < p->count * p->width; i++) {
        if (!isfinite(p->values[i]))
            return at_fail(AT_ENUMBER, "positions: number %zu of position %zu is not finite", i % p->width,
                           i / p->width);
    }
    return AT_OK;
}

static double largest(const at_position_picture *p)
{
    double most = 0;
    for (size_t i = 0; i < p->count * p->width; i++)
        most = fmax(most, fabs((double)p->values[i]));
    return most > 0 ? most : 1;
}

/* The next distance of the table: every one at first, then ever fewer. */
static size_t next_distance(size_t d)
{
    size_t step = 1;
    while (step * 8 <= d)
        step *= 2;
    return d + step;
}

static void put_bars(const at_position_picture *p, int columns, at_buf *out)
{
    double most = 0;
    for (size_t d = 0; d < p->count; d++)
        most = fmax(most, fabs(p->dot[d]));
    int bar = columns - 40 < BAR ? columns - 40 : BAR;
    at_buf_printf(out, "\nPE(p)·PE(q) by distance\n%8s %9s %9s %9s\n", "distance", "mean", "least", "most");
    for (size_t d = 0; d < p->count; d = next_distance(d)) {
        at_buf_printf(out, "%8zu %9.3f %9.3f %9.3f ", d, p->dot[d], p->least[d], p->most[d]);
        int length = most > 0 && bar > 0 ? (int)lround(fabs(p->dot[d]) / most * bar) : 0;
        if (length > 0 && p->dot[d] < 0)
            at_buf_char(out, '-');
        for (int i = 0; i < length; i++)
            at_buf_text(out, "█");
        while (out->length > 0 && out->data[out->length - 1] == ' ')
            out->data[--out->length] = '\0';
        at_buf_char(out, '\n');
    }
}

at_status at_positions_terminal(const at_position_picture *p, int columns, at_buf *out)
{
    static const char *const shades[SHADES] = {" ", "░", "▒", "▓", "█"};
    at_status st = check(p);
    if (st != AT_OK)
        return st;
    double most = largest(p);
    size_t room = columns > 32 ? (size_t)columns - 8 : 24, across = p->width < room ? p->width : room;
    size_t down = p->count < MAP_ROWS ? p->count : MAP_ROWS;
    if (p->title)
        at_buf_printf(out, "%s\n", p->title);
    at_buf_printf(out, "position down, its %zu numbers across; ' ' is %.3g, '█' %.3g\n", p->width, -most,
                  most);
    for (size_t i = 0; i < down; i++) {
        size_t row = i * p->count / down;
        at_buf_printf(out, "%6zu  ", row);
        for (size_t j = 0; j < across; j++) {
            double v = (double)p->values[row * p->width + j * p->width / across] / most;
            int shade = (int)((v + 1) / 2 * SHADES);
            at_buf_text(out, shades[shade < SHADES ? shade : SHADES - 1]);
        }
        at_buf_char(out, '\n');
    }
    put_bars(p, columns, out);
    return at_buf_status(out);
}

/* Cells of one colour as one path: a level of -LEVELS … LEVELS. */
static void put_level(const at_position_picture *p, double most, int level, double cell_w, double cell_h,
                      double top, at_buf *out)
{
    bool any = false;
    for (size_t i = 0; i < p->count; i++) {
        for (size_t j = 0, end; j < p->width; j = end) {
            for (end = j; end < p->width; end++) {
                double v = (double)p->values[i * p->width + end] / most;
                if ((int)lround(v * LEVELS) != level)
                    break;
            }
            if (end == j) {
                end++;
                continue;
            }
            if (!any)
                at_buf_printf(out, "<path class=\"%s\" opacity=\"%.2f\" d=\"", level < 0 ? "n" : "p",
                              abs(level) / (double)LEVELS);
            any = true;
            at_buf_printf(out, "M%.2f %.2fh%.2fv%.2fh%.2fz", LEFT + (double)j * cell_w,
                          top + (double)i * cell_h, (double)(end - j) * cell_w, cell_h,
                          -(double)(end - j) * cell_w);
        }
    }
    if (any)
        at_buf_text(out, "\"/>\n");
}

/* y of a product in the curve's field. */
static double place(double value, double low, double high, double top)
{
    return top + CURVE * (1 - (value - low) / (high - low));
}

static void put_curve(const at_position_picture *p, double top, at_buf *out)
{
    double low = 0, high = 0;
    for (size_t d = 0; d < p->count; d++) {
        low = fmin(low, p->least[d]);
        high = fmax(high, p->most[d]);
    }
    high = high > low ? high : low + 1;
    double step = p->count > 1 ? MAP_WIDTH / (double)(p->count - 1) : 0;
    at_buf_printf(out, "<path class=\"band\" d=\"M");
    for (size_t d = 0; d < p->count; d++)
        at_buf_printf(out, "%.1f %.1f ", LEFT + (double)d * step, place(p->most[d], low, high, top));
    for (size_t d = p->count; d-- > 0;)
        at_buf_printf(out, "%.1f %.1f ", LEFT + (double)d * step, place(p->least[d], low, high, top));
    at_buf_text(out, "z\"/>\n<path class=\"mean\" d=\"M");
    for (size_t d = 0; d < p->count; d++)
        at_buf_printf(out, "%.1f %.1f ", LEFT + (double)d * step, place(p->dot[d], low, high, top));
    at_buf_printf(out, "\"/>\n<path class=\"axis\" d=\"M%d %.1fv%dM%d %.1fh%d\"/>\n", LEFT, top, CURVE, LEFT,
                  place(0, low, high, top), MAP_WIDTH);
    at_buf_printf(out, "<text x=\"%d\" y=\"%.1f\" class=\"r\">%.3g</text>\n", LEFT - 6, top + 4, high);
    at_buf_printf(out, "<text x=\"%d\" y=\"%.1f\" class=\"r\">%.3g</text>\n", LEFT - 6, top + CURVE + 4, low);
    at_buf_printf(out, "<text x=\"%d\" y=\"%.1f\">0</text><text x=\"%d\" y=\"%.1f\" class=\"r\">%zu</text>\n",
                  LEFT, top + CURVE + 18, LEFT + MAP_WIDTH, top + CURVE + 18, p->count - 1);
}

at_status at_positions_svg(const at_position_picture *p, at_buf *out)
{
    static const char style[] =
        "<style>text{font:12px sans-serif;fill:#222}.t{font-size:16px}.r{text-anchor:end}.p{fill:#b2182b}"
        ".n{fill:#2166ac}.mean{fill:none;stroke:#b2182b;stroke-width:1.5}.band{fill:#b2182b;opacity:.2}"
        ".axis,.frame{fill:none;stroke:#888}.back{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#ddd}"
        ".p{fill:#f4a582}.n{fill:#92c5de}.mean{stroke:#f4a582}.band{fill:#f4a582}.back{fill:#16181c}}</"
        "style>\n";
    at_status st = check(p);
    if (st != AT_OK)
        return st;
    double most = largest(p), cell_w = MAP_WIDTH / (double)p->width;
    double cell_h = fmin(12, MAP_MOST / (double)p->count), map = cell_h * (double)p->count, top = MARGIN + 40;
    double height = top + map + GAP + CURVE + 40;
    at_buf_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" "
                  "height=\"%.0f\" role=\"img\">\n",
                  LEFT + MAP_WIDTH + MARGIN, height, LEFT + MAP_WIDTH + MARGIN, height);
    at_buf_text(out, style);
    at_buf_printf(
        out, "<rect class=\"back\" width=\"100%%\" height=\"100%%\"/>\n<text class=\"t\" x=\"%d\" y=\"%d\">",
        MARGIN, MARGIN + 4);
    at_draw_escape(p->title ? p->title : "position encoding", out);
    at_buf_printf(
        out,
        "</text>\n<text x=\"%d\" y=\"%.1f\">position 0 to %zu down, its %zu numbers across; red %.3g, blue "
        "%.3g, nothing 0</text>\n",
        MARGIN, MARGIN + 26.0, p->count - 1, p->width, most, -most);
    for (int level = -LEVELS; level <= LEVELS; level++) {
        if (level != 0)
            put_level(p, most, level, cell_w, cell_h, top, out);
    }
    at_buf_printf(out, "<rect class=\"frame\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/>\n", LEFT,
                  top, MAP_WIDTH, map);
    at_buf_printf(out,
                  "<text x=\"%d\" y=\"%.1f\">PE(p)·PE(q) by distance of p and q: mean, and from least to "
                  "most</text>\n",
                  MARGIN, top + map + GAP - 16);
    put_curve(p, top + map + GAP, out);
    at_buf_text(out, "</svg>\n");
    return at_buf_status(out);
}
