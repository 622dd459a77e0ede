#include "draw/chain.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "draw/words.h"

enum { MOST_NAME = 44, INDENT = 4 };
/* Pixels of the SVG's own system. */
enum {
    MARGIN = 24,
    TITLE = 17,
    NAME = 13,
    SMALL = 11,
    BOX = 300,
    PAD = 12,
    GUTTER = 96,
    LINK = 38,
    LEADING = 15
};
enum { DETAIL_COLUMNS = 50, CORNER = 6, BEHIND = 4 };

static at_status check(const at_chain *chain)
{
    return chain->count ? AT_OK : at_fail(AT_EARG, "a chain without steps cannot be drawn");
}

static size_t times(const at_chain_step *step)
{
    return step->repeats ? step->repeats : 1;
}

/* 2,773,378 */
static void put_number(size_t number, at_buf *out)
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%zu", number);
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            at_buf_char(out, ',');
        at_buf_char(out, digits[i]);
    }
}

static size_t total(const at_chain *chain)
{
    size_t sum = 0;
    for (size_t i = 0; i < chain->count; i++)
        sum += times(&chain->steps[i]) * chain->steps[i].parameters;
    return sum;
}

/* "224 × 224 × 3 → 49 × 3072 → …": the shapes of a lane, equal ones once. */
static void put_shapes(const at_chain *chain, int lane, at_buf *out)
{
    const char *before = NULL;
    for (size_t i = 0; i < chain->count; i++) {
        const at_chain_step *s = &chain->steps[i];
        if (s->lane != lane || (before && strcmp(before, s->shape) == 0))
            continue;
        at_buf_text(out, before ? " → " : "");
        at_draw_cut(s->shape, 200, out);
        before = s->shape;
    }
}

static bool has_lane(const at_chain *chain, int lane)
{
    for (size_t i = 0; i < chain->count; i++)
        if (chain->steps[i].lane == lane)
            return true;
    return false;
}

/* ---------------------------------------------------------------- terminal */

static void spaces(int count, at_buf *out)
{
    for (int i = 0; i < count; i++)
        at_buf_char(out, ' ');
}

/* Name and how many of them; returns its columns. */
static int put_name(const at_chain_step *step, at_buf *out)
{
    int width = at_draw_cut(step->name, MOST_NAME, out);
    if (times(step) < 2)
        return width;
    char count[32];
    int digits = snprintf(count, sizeof count, "%zu", times(step));
    if (out)
        at_buf_printf(out, " × %s", count);
    return width + 3 + digits;
}

static void text_detail(const char *detail, int width, at_buf *out)
{
    at_buf lines = {0};
    at_draw_lines(detail, width - INDENT > 20 ? width - INDENT : 20, &lines);
    const char *at = at_buf_status(&lines) == AT_OK && lines.data ? lines.data : "";
    while (*at) {
        size_t n = strcspn(at, "\n");
        spaces(INDENT, out);
        at_buf_bytes(out, at, n);
        at_buf_char(out, '\n');
        at += n + (at[n] == '\n');
    }
    at_buf_free(&lines);
}

static void text_lane(const at_chain *chain, int lane, int width, at_buf *out)
{
    int names = 0, shapes = 0;
    for (size_t i = 0; i < chain->count; i++) {
        int name = put_name(&chain->steps[i], NULL), shape = at_draw_width(chain->steps[i].shape);
        names = name > names ? name : names;
        shapes = shape > shapes ? shape : shapes;
    }
    if (chain->lanes[lane]) {
        at_draw_cut(chain->lanes[lane], 200, out);
        at_buf_text(out, ": ");
    }
    put_shapes(chain, lane, out);
    at_buf_text(out, "\n\n");
    for (size_t i = 0; i < chain->count; i++) {
        const at_chain_step *s = &chain->steps[i];
        if (s->lane != lane)
            continue;
        spaces(2, out);
        spaces(names - put_name(s, out) + 2, out);
        int wide = at_draw_cut(s->shape, 200, out);
        if (s->parameters) {
            spaces(shapes - wide + 2, out);
            if (times(s) > 1)
                at_buf_printf(out, "%zu × ", times(s));
            put_number(s->parameters, out);
        }
        at_buf_char(out, '\n');
        if (s->detail && s->detail[0])
            text_detail(s->detail, width, out);
        if (s->reads) {
            spaces(INDENT, out);
            at_buf_printf(out, "looks at the last rows of: %s\n",
                          chain->lanes[0] ? chain->lanes[0] : "the first chain");
        }
    }
    at_buf_char(out, '\n');
}

at_status at_chain_text(const at_chain *chain, int width, at_buf *out)
{
    at_status st = check(chain);
    for (int lane = 0; lane < 2 && st == AT_OK; lane++)
        if (has_lane(chain, lane))
            text_lane(chain, lane, width ? width : 80, out);
    if (st != AT_OK)
        return st;
    put_number(total(chain), out);
    at_buf_text(out, " parameters\n");
    return at_buf_status(out);
}

/* ---------------------------------------------------------------- SVG */

static double detail_height(const at_chain_step *s)
{
    if (!s->detail || !s->detail[0])
        return 0;
    at_buf lines = {0};
    at_draw_lines(s->detail, DETAIL_COLUMNS, &lines);
    size_t count = 1;
    for (size_t i = 0; i + 1 < lines.length; i++)
        count += lines.data[i] == '\n';
    at_buf_free(&lines);
    return (double)count * LEADING;
}

static double box_height(const at_chain_step *s)
{
    return 2 * PAD + NAME + detail_height(s) + (s->parameters ? LEADING : 0);
}

static double lane_left(int lane)
{
    return MARGIN + lane * (BOX + GUTTER);
}

static void put_rect(const char *class, double x, double y, double height, at_buf *out)
{
    at_buf_printf(out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" rx=\"%d\"/>\n",
                  class, x, y, BOX, height, CORNER);
}

static void put_text(const char *class, double x, double y, const char *text, at_buf *out)
{
    at_buf_printf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x, y);
    at_draw_cut_escape(text, 64, out);
    at_buf_text(out, "</text>\n");
}

/* A box: name, number of blocks, detail, parameters. */
static void put_box(const at_chain_step *s, double x, double y, at_buf *out)
{
    double height = box_height(s), line = y + PAD + NAME - 3;
    for (int i = times(s) > 1 ? 2 : 0; i > 0; i--)
        put_rect("k", x + i * BEHIND, y + i * BEHIND, height, out);
    put_rect("k", x, y, height, out);
    put_text("b", x + PAD, line, s->name, out);
    at_buf note = {0};
    if (times(s) > 1) {
        at_buf_printf(&note, "× %zu", times(s));
        put_text("b e", x + BOX - PAD, line, note.data ? note.data : "", out);
        at_buf_clear(&note);
    }
    if (s->detail && s->detail[0]) {
        at_draw_box box = {.x = x + PAD, .y = line + LEADING + 2, .leading = LEADING, .most = DETAIL_COLUMNS};
        at_draw_paragraph(s->detail, &box, out);
    }
    if (s->parameters) {
        if (times(s) > 1)
            at_buf_printf(&note, "%zu × ", times(s));
        put_number(s->parameters, &note);
        at_buf_text(&note, " parameters");
        put_text("s", x + PAD, y + height - PAD + 2, note.data ? note.data : "", out);
    }
    at_buf_free(&note);
}

/* Steps of a lane from `top` down; where each begins in tops. Returns where the lane ends. */
static double put_lane(const at_chain *chain, int lane, double top, double *tops, at_buf *out)
{
    double x = lane_left(lane), y = top;
    const at_chain_step *before = NULL;
    for (size_t i = 0; i < chain->count; i++) {
        const at_chain_step *s = &chain->steps[i];
        if (s->lane != lane)
            continue;
        double from = y + (before && times(before) > 1 ? 2 * BEHIND : 0);
        if (before) {
            y += LINK + (times(before) > 1 ? 2 * BEHIND : 0);
            at_buf_printf(out, "<path class=\"l\" d=\"M%.1f %.1fV%.1f\" marker-end=\"url(#a)\"/>\n",
                          x + BOX / 2.0, from, y - 6);
            put_text("v", x + BOX / 2.0 + 12, from + (LINK + SMALL) / 2.0 - 3, before->shape, out);
        }
        tops[i] = y;
        put_box(s, x, y, out);
        y += box_height(s);
        before = s;
    }
    if (before) {
        y += 2 * BEHIND;
        put_text("v m", x + BOX / 2.0, y + LEADING, before->shape, out);
    }
    return y + LEADING;
}

/* From the end of lane 0 to the boxes of lane 1 that look at it. */
static void put_readers(const at_chain *chain, const double *tops, at_buf *out)
{
    size_t last = chain->count;
    for (size_t i = 0; i < chain->count; i++)
        last = chain->steps[i].lane == 0 ? i : last;
    if (last == chain->count)
        return;
    double y = tops[last] + box_height(&chain->steps[last]) / 2, x = MARGIN + BOX, bend = x + GUTTER / 2.0;
    x += times(&chain->steps[last]) > 1 ? 2 * BEHIND : 0;
    for (size_t i = 0; i < chain->count; i++) {
        const at_chain_step *s = &chain->steps[i];
        if (s->lane == 1 && s->reads)
            at_buf_printf(out, "<path class=\"l\" d=\"M%.1f %.1fH%.1fV%.1fH%.1f\" marker-end=\"url(#a)\"/>\n",
                          x, y, bend, tops[i] + box_height(s) / 2, lane_left(1) - 6);
    }
}

static void put_head(const at_chain *chain, double width, double height, at_buf *out)
{
    at_buf_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                  "viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n<title>",
                  width, height, width, height);
    at_draw_escape(chain->title ? chain->title : "Chain of shapes", out);
    at_buf_printf(
        out,
        "</title>\n<style>\n"
        "text{font-family:'Helvetica Neue',Helvetica,Arial,'Noto Sans','PingFang SC',"
        "'Microsoft YaHei','Noto Sans CJK SC','Source Han Sans SC',sans-serif;fill:#1c2430;"
        "font-size:%dpx}\n.t{font-size:%dpx;font-weight:600}.b{font-size:%dpx;font-weight:600}\n"
        ".e{text-anchor:end}.m{text-anchor:middle}.v{font-variant-numeric:tabular-nums;fill:#0d4a94;"
        "font-size:%dpx}.s{fill:#687385}\n"
        ".bg{fill:#fff}.k{fill:#f1f4f8;stroke:#c3ccd8}.l{fill:none;stroke:#687385}.p{fill:#687385}\n"
        "@media (prefers-color-scheme:dark){text{fill:#e6ebf2}.s{fill:#94a0b3}.v{fill:#7cc4ff}"
        ".bg{fill:#12161d}.k{fill:#1e2530;stroke:#3a4556}.l{stroke:#94a0b3}.p{fill:#94a0b3}}\n</style>\n"
        "<defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"4\" refY=\"4\" markerWidth=\"8\" "
        "markerHeight=\"8\" orient=\"auto\"><path class=\"p\" d=\"M0 0L8 4L0 8Z\"/></marker></defs>\n"
        "<rect class=\"bg\" width=\"100%%\" height=\"100%%\"/>\n",
        SMALL, TITLE, NAME, NAME);
}

at_status at_chain_svg(const at_chain *chain, at_buf *out)
{
    enum { MOST_STEPS = 64 };
    double tops[MOST_STEPS] = {0}, y = MARGIN, end = 0;
    at_status st = check(chain);
    if (st == AT_OK && chain->count > MOST_STEPS)
        st = at_fail(AT_EARG, "a chain of %zu steps; at most %d can be drawn", chain->count, MOST_STEPS);
    if (st != AT_OK)
        return st;
    at_buf body = {0}, sum = {0};
    bool two = has_lane(chain, 1);
    if (chain->title) {
        put_text("t", MARGIN, y + TITLE - 2, chain->title, &body);
        y += TITLE + 8;
    }
    put_number(total(chain), &sum);
    at_buf_text(&sum, " parameters");
    put_text("s", MARGIN, y + SMALL, sum.data ? sum.data : "", &body);
    y += SMALL + MARGIN + (two ? 10 : 0);
    for (int lane = 0; lane < 2; lane++) {
        double top = y;
        if (chain->lanes[lane] && has_lane(chain, lane)) {
            put_text("b s", lane_left(lane), y, chain->lanes[lane], &body);
            top += 12;
        }
        end = fmax(end, put_lane(chain, lane, top, tops, &body));
    }
    put_readers(chain, tops, &body);
    put_head(chain, (two ? lane_left(1) : lane_left(0)) + BOX + 2 * BEHIND + MARGIN, end + MARGIN, out);
    at_buf_bytes(out, body.data, body.length);
    at_buf_text(out, "</svg>\n");
    st = at_buf_status(&body) == AT_OK && at_buf_status(&sum) == AT_OK ? at_buf_status(out) : AT_ENOMEM;
    at_buf_free(&body);
    at_buf_free(&sum);
    return st;
}
