#include "draw/curves.h"

#include <math.h>

#include "draw/words.h"

enum {
    WIDTH = 860,
    LEFT = 66,
    RIGHT = 66,
    TOP = 84, /* of the main panel, title and legend above it */
    MAIN = 330,
    BELOW = 84,
    BETWEEN = 26,
    FOOT = 50,
    COLORS = 6,
    POINTS_MARKED = 60, /* series of at most so many points show each as a dot */
    POINTS_THIN = 300,  /* a finer line from here on: noise would make it a band */
    POINTS_MOST = 1600, /* longer ones are thinned to the extremes of each bucket */
};

/* A scale: low … high onto pixels from … to. These, and step, are exponents when there is a base. */
typedef struct scale {
    double low, high, step, from, to;
    int base; /* 0: linear */
    bool used;
} scale;

typedef struct chart {
    const at_curves *curves;
    scale x, y[AT_AXIS_COUNT];
    double height;
} chart;

/* A value's place on the scale; NaN when a logarithmic one has none for it. */
static double on_scale(const scale *s, double value)
{
    if (!s->base)
        return value;
    return value > 0 ? log2(value) / log2(s->base) : NAN;
}

static double place(const scale *s, double value)
{
    return s->from + (on_scale(s, value) - s->low) / (s->high - s->low) * (s->to - s->from);
}

static bool shows(const chart *c, const at_series *s, size_t i)
{
    return isfinite(on_scale(&c->x, s->x[i])) && isfinite(on_scale(&c->y[s->axis], s->y[i]));
}

/* 1, 2 or 5 times a power of ten that cuts `span` into about `parts`. */
static double tick_step(double span, int parts)
{
    double raw = span / parts, power = pow(10.0, floor(log10(raw)));
    double unit = raw / power;
    return power * (unit < 1.5 ? 1.0 : unit < 3.5 ? 2.0 : unit < 7.5 ? 5.0 : 10.0);
}

static void widen(scale *s, double value)
{
    value = on_scale(s, value);
    if (!isfinite(value))
        return;
    s->low = s->used ? fmin(s->low, value) : value;
    s->high = s->used ? fmax(s->high, value) : value;
    s->used = true;
}

/* Ends of the scale on ticks, so that curves do not touch the frame by chance. */
static void finish(scale *s, int parts, bool round_ends)
{
    if (!s->used) {
        s->low = 0.0;
        s->high = 1.0;
    }
    double span = s->high - s->low, size = fmax(fabs(s->high), fabs(s->low));
    if (span <= 1e-9 * size || span == 0.0) { /* one value: some room about it */
        double room = size > 0.0 ? 0.1 * size : 0.5;
        s->low -= room;
        s->high += room;
    }
    s->step = tick_step(s->high - s->low, parts);
    if (s->base)
        s->step = fmax(1.0, ceil(s->step)); /* whole powers */
    if (round_ends) {
        s->low = s->step * floor(s->low / s->step + 1e-9);
        s->high = s->step * ceil(s->high / s->step - 1e-9);
    }
}

static chart lay_out(const at_curves *curves)
{
    chart c = {.curves = curves, .x.base = curves->x_log};
    c.y[AT_AXIS_LEFT].base = c.y[AT_AXIS_RIGHT].base = curves->y_log;
    for (size_t i = 0; i < curves->count; i++) {
        const at_series *s = &curves->series[i];
        for (size_t k = 0; k < s->count; k++) {
            if (!shows(&c, s, k))
                continue;
            widen(&c.x, s->x[k]);
            widen(&c.y[s->axis], s->y[k]);
        }
    }
    finish(&c.x, 8, false);
    finish(&c.y[AT_AXIS_LEFT], 6, true);
    finish(&c.y[AT_AXIS_RIGHT], 6, true);
    finish(&c.y[AT_AXIS_BELOW], 2, true);
    c.x.from = LEFT;
    c.x.to = WIDTH - RIGHT;
    c.y[AT_AXIS_LEFT].from = c.y[AT_AXIS_RIGHT].from = TOP + MAIN;
    c.y[AT_AXIS_LEFT].to = c.y[AT_AXIS_RIGHT].to = TOP;
    c.y[AT_AXIS_BELOW].from = TOP + MAIN + BETWEEN + BELOW;
    c.y[AT_AXIS_BELOW].to = TOP + MAIN + BETWEEN;
    c.height = TOP + MAIN + FOOT + (c.y[AT_AXIS_BELOW].used ? BETWEEN + BELOW : 0);
    return c;
}

static void draw_style(at_buf *out)
{
    /* The colours of Okabe and Ito, told apart by all kinds of colour vision. */
    at_buf_text(
        out,
        "<style>\n"
        "text{font-family:'Helvetica Neue',Helvetica,Arial,'Noto Sans','PingFang SC',"
        "'Microsoft YaHei','Noto Sans CJK SC','Source Han Sans SC',sans-serif;font-size:12px;fill:#1c2430}\n"
        ".t{font-size:17px;font-weight:600}.s{fill:#687385}.m{text-anchor:middle}.e{text-anchor:end}\n"
        ".bg{fill:#fff}.r{stroke:#e6eaf0;stroke-width:1}.a{stroke:#98a3b3;stroke-width:1}\n"
        ".l{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}\n"
        ".f{stroke-width:1}.l0{stroke:#0072b2}.l1{stroke:#d55e00}.l2{stroke:#009e73}.l3{stroke:#7d5ba6}"
        ".l4{stroke:#c58b00}.l5{stroke:#4aa3d9}\n"
        ".d0{fill:#0072b2}.d1{fill:#d55e00}.d2{fill:#009e73}.d3{fill:#7d5ba6}.d4{fill:#c58b00}"
        ".d5{fill:#4aa3d9}\n"
        "@media (prefers-color-scheme:dark){text{fill:#e6ebf2}.s{fill:#94a0b3}.bg{fill:#12161d}"
        ".r{stroke:#252d39}.a{stroke:#5b6779}.l0{stroke:#5ab4f0}.l1{stroke:#ff8a4c}.l2{stroke:#3fcf9f}"
        ".l3{stroke:#b79ae0}.l4{stroke:#f0bb45}.l5{stroke:#8fd0f7}.d0{fill:#5ab4f0}.d1{fill:#ff8a4c}"
        ".d2{fill:#3fcf9f}.d3{fill:#b79ae0}.d4{fill:#f0bb45}.d5{fill:#8fd0f7}}\n</style>\n");
}

/* The value at a tick; numbers near zero that rounding left are zero. */
static double tick_value(const scale *s, double at)
{
    if (s->base)
        return pow(s->base, at);
    return fabs(at) < 1e-6 * s->step ? 0.0 : at;
}

static void draw_axis(const chart *c, at_axis axis, bool grid, at_buf *out)
{
    const scale *s = &c->y[axis];
    bool right = axis == AT_AXIS_RIGHT;
    int ticks = (int)floor((s->high - s->low) / s->step + 1e-6);
    for (int i = 0; i <= ticks; i++) {
        double value = tick_value(s, s->low + i * s->step), y = place(s, value);
        if (grid)
            at_buf_printf(out, "<path class=\"r\" d=\"M%.1f %.1fH%.1f\"/>", c->x.from, y, c->x.to);
        at_buf_printf(out, "<text class=\"s%s\" x=\"%.1f\" y=\"%.1f\">%.6g</text>\n", right ? "" : " e",
                      right ? c->x.to + 8 : c->x.from - 8, y + 4, value);
    }
}

static void draw_steps(const chart *c, double bottom, at_buf *out)
{
    const scale *x = &c->x;
    double first = x->step * ceil(x->low / x->step - 1e-9);
    at_buf_printf(out, "<path class=\"a\" d=\"M%.1f %.1fH%.1f\"/>\n", x->from, bottom, x->to);
    for (int i = 0; first + i * x->step <= x->high + 1e-9 * x->step; i++) {
        double value = tick_value(x, first + i * x->step), at = place(x, value);
        at_buf_printf(out, "<path class=\"a\" d=\"M%.1f %.1fv5\"/>", at, bottom);
        at_buf_printf(out, "<text class=\"s m\" x=\"%.1f\" y=\"%.1f\">%.10g</text>\n", at, bottom + 19,
                      value);
    }
    if (c->curves->x_label) {
        at_buf_printf(out, "<text class=\"s m\" x=\"%.1f\" y=\"%.1f\">", (x->from + x->to) / 2, bottom + 38);
        at_draw_escape(c->curves->x_label, out);
        at_buf_text(out, "</text>\n");
    }
}

/* One point of the path; *pen says whether the last one was finite. */
static void draw_point(const chart *c, const at_series *s, size_t i, bool *pen, at_buf *out)
{
    if (!shows(c, s, i)) {
        *pen = false;
        return;
    }
    at_buf_printf(out, "%c%.1f %.1f", *pen ? 'L' : 'M', place(&c->x, s->x[i]),
                  place(&c->y[s->axis], s->y[i]));
    *pen = true;
}

/* All points, or of each bucket the lowest and the highest in their order: spikes stay. */
static void draw_line(const chart *c, const at_series *s, at_buf *out)
{
    size_t bucket = s->count > POINTS_MOST ? 2 * s->count / POINTS_MOST + 1 : 1;
    bool pen = false;
    for (size_t i = 0; i < s->count; i += bucket) {
        size_t end = i + bucket < s->count ? i + bucket : s->count, low = i, high = i;
        for (size_t k = i; k < end; k++) {
            if (!shows(c, s, k)) { /* the gap is what matters in this bucket */
                low = high = k;
                break;
            }
            low = s->y[k] < s->y[low] ? k : low;
            high = s->y[k] > s->y[high] ? k : high;
        }
        draw_point(c, s, low < high ? low : high, &pen, out);
        if (low != high)
            draw_point(c, s, low < high ? high : low, &pen, out);
    }
}

static bool is_alone(const chart *c, const at_series *s, size_t i)
{
    return (i == 0 || !shows(c, s, i - 1)) && (i + 1 == s->count || !shows(c, s, i + 1));
}

static void draw_series(const chart *c, size_t index, at_buf *out)
{
    const at_series *s = &c->curves->series[index];
    size_t color = index % COLORS;
    at_buf_printf(out, "<path class=\"l l%zu%s\"%s d=\"", color, s->count > POINTS_THIN ? " f" : "",
                  index >= COLORS ? " stroke-dasharray=\"6 4\"" : "");
    draw_line(c, s, out);
    at_buf_text(out, "\"/>\n");
    for (size_t i = 0; i < s->count; i++) {
        if (!shows(c, s, i) || (s->count > POINTS_MARKED && !is_alone(c, s, i)))
            continue;
        at_buf_printf(out, "<circle class=\"d%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"><title>", color,
                      place(&c->x, s->x[i]), place(&c->y[s->axis], s->y[i]));
        at_draw_escape(s->name, out);
        at_buf_printf(out, " %.6g at %.10g</title></circle>\n", s->y[i], s->x[i]);
    }
}

/* Name, last value and, when it is not the left one, the scale. */
static void print_entry(const at_series *s, at_buf *out)
{
    size_t last = s->count;
    while (last > 0 && !isfinite(s->y[last - 1]))
        last--;
    at_draw_escape(s->name, out);
    if (last > 0)
        at_buf_printf(out, " %.4g", s->y[last - 1]);
    else
        at_buf_text(out, " (no values)");
    if (s->axis == AT_AXIS_RIGHT)
        at_buf_text(out, " (right)");
    else if (s->axis == AT_AXIS_BELOW)
        at_buf_text(out, " (below)");
}

static void draw_legend(const chart *c, at_buf *out)
{
    double x = LEFT, y = TOP - 20;
    for (size_t i = 0; i < c->curves->count; i++) {
        at_buf entry = {0};
        print_entry(&c->curves->series[i], &entry);
        at_buf_printf(out, "<path class=\"l l%zu\"%s d=\"M%.1f %.1fh20\"/>", i % COLORS,
                      i >= COLORS ? " stroke-dasharray=\"6 4\"" : "", x, y - 4);
        at_buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\">%s</text>\n", x + 27, y,
                      entry.data ? entry.data : "");
        x += 27 + 12 * at_draw_ems(entry.data ? entry.data : "") + 22;
        out->failed |= entry.failed;
        at_buf_free(&entry);
    }
}

static void draw_frame(const chart *c, at_buf *out)
{
    const char *title = c->curves->title && *c->curves->title ? c->curves->title : NULL;
    at_buf_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
                  "viewBox=\"0 0 %d %.0f\" role=\"img\">\n<title>",
                  WIDTH, c->height, WIDTH, c->height);
    at_draw_escape(title ? title : "Training", out);
    at_buf_text(out, "</title>\n");
    draw_style(out);
    at_buf_text(out, "<rect class=\"bg\" width=\"100%\" height=\"100%\"/>\n");
    if (title) {
        at_buf_printf(out, "<text class=\"t\" x=\"%d\" y=\"38\">", LEFT);
        at_draw_escape(title, out);
        at_buf_text(out, "</text>\n");
    }
}

at_status at_curves_svg(const at_curves *curves, at_buf *out)
{
    if (curves->count == 0)
        return at_fail(AT_EARG, "curves: no series to draw; give at least one");
    chart c = lay_out(curves);
    bool below = c.y[AT_AXIS_BELOW].used;
    const char *caption = curves->caption ? curves->caption : "";
    at_draw_box box = {LEFT, c.height + 10, 17, 125};
    c.height += at_draw_paragraph(caption, &box, NULL) - box.y;

    draw_frame(&c, out);
    draw_legend(&c, out);
    draw_axis(&c, AT_AXIS_LEFT, true, out);
    if (c.y[AT_AXIS_RIGHT].used)
        draw_axis(&c, AT_AXIS_RIGHT, false, out);
    if (below)
        draw_axis(&c, AT_AXIS_BELOW, true, out);
    draw_steps(&c, c.y[below ? AT_AXIS_BELOW : AT_AXIS_LEFT].from, out);
    for (size_t i = 0; i < curves->count; i++)
        draw_series(&c, i, out);
    at_draw_paragraph(caption, &box, out);
    at_buf_text(out, "</svg>\n");
    return at_buf_status(out);
}
