#include "draw/glimpses.h"
#include <math.h>
#include <string.h>
#include "draw/internal.h"
#include "draw/words.h"

/* Of the SVG's own system, and of the PNG. */
enum { MARGIN = 20, TITLE = 34, SIDE = 420, SEEN = 64, GAP = 10, SMALL = 22 };

/* The sensor with the picture's size, so that it says what a frame covers. */
static at_glimpses sensor_of(const at_glimpse_picture *p)
{
    at_glimpses g = p->sensor;
    g.height = p->image->height;
    g.width = p->image->width;
    g.channels = p->image->channels;
    return g;
}

static at_status check(const at_glimpse_picture *p)
{
    if (!p->image || !p->image->pixels || !p->image->width || !p->image->height)
        return at_fail(AT_EARG, "glimpses: no picture to draw them on");
    if (!p->count || !p->sensor.size || !p->sensor.scales || !p->sensor.zoom)
        return at_fail(AT_EARG, "glimpses: nothing to draw");
    return AT_OK;
}

static double in_pixels(float place, size_t length)
{
    return ((double)place + 1) / 2 * (double)length;
}

at_status at_glimpses_terminal(const at_glimpse_picture *p, at_buf *out)
{
    at_status st = check(p);
    if (st != AT_OK)
        return st;
    at_glimpses g = sensor_of(p);
    if (p->title)
        at_buf_printf(out, "%s\n", p->title);
    at_buf_text(out, "glimpse      x      y   pixels, from the left and from the top\n");
    for (size_t i = 0; i < p->count; i++) {
        const float *place = p->places + 2 * i;
        at_buf_printf(out, "%7zu %6.2f %6.2f  ", i + 1, (double)place[0], (double)place[1]);
        for (size_t s = 0; s < g.scales; s++) {
            at_glimpse_frame f = at_glimpse_covers(&g, s, place);
            at_buf_printf(out, "%s %lld-%lld, %lld-%lld", s ? ";" : "", (long long)f.left,
                          (long long)(f.left + f.side - 1), (long long)f.top,
                          (long long)(f.top + f.side - 1));
        }
        at_buf_char(out, '\n');
    }
    return at_buf_status(out);
}

/* ---------------------------------------------------------------- SVG */

static at_status put_image(const at_image *image, double x, double y, double width, double height,
                           at_buf *out)
{
    at_buf png = {0};
    at_status st = at_image_encode_png(image, &png);
    if (st == AT_OK) {
        at_buf_printf(out,
                      "<image x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
                      "preserveAspectRatio=\"none\" href=\"data:image/png;base64,",
                      x, y, width, height);
        at_draw_base64((const unsigned char *)png.data, png.length, out);
        at_buf_text(out, "\"/>\n");
    }
    at_buf_free(&png);
    return st;
}

/* The mean of a box of pixels, zeros outside. */
static uint8_t mean_of(const at_image *image, int64_t left, int64_t top, int64_t side, size_t channel)
{
    double sum = 0;
    for (int64_t y = top; y < top + side; y++)
        for (int64_t x = left; x < left + side; x++)
            if (x >= 0 && y >= 0 && x < (int64_t)image->width && y < (int64_t)image->height)
                sum += image->pixels[((size_t)y * image->width + (size_t)x) * image->channels + channel];
    return (uint8_t)lrint(sum / (double)(side * side));
}

/* What a frame gives the model, as a picture. */
static at_status put_seen(const at_glimpse_picture *p, const at_glimpse_frame *f, double x, double y,
                          at_buf *out)
{
    size_t size = p->sensor.size, c = p->image->channels;
    int64_t step = f->side / (int64_t)size;
    at_image seen = {0};
    at_status st = at_image_new(size, size, c, &seen);
    for (size_t i = 0; st == AT_OK && i < size * size * c; i++)
        seen.pixels[i] = mean_of(p->image, f->left + (int64_t)(i / c % size) * step,
                                 f->top + (int64_t)(i / c / size) * step, step, i % c);
    if (st == AT_OK)
        st = put_image(&seen, x, y, SEEN, SEEN, out);
    at_image_free(&seen);
    return st;
}

static void put_frames(const at_glimpse_picture *p, double scale, at_buf *out)
{
    at_glimpses g = sensor_of(p);
    at_buf_text(out, "<polyline class=\"way\" points=\"");
    for (size_t i = 0; i < p->count; i++)
        at_buf_printf(out, "%s%.1f,%.1f", i ? " " : "", scale * in_pixels(p->places[2 * i], g.width),
                      scale * in_pixels(p->places[2 * i + 1], g.height));
    at_buf_text(out, "\"/>\n");
    for (size_t i = 0; i < p->count; i++) {
        const float *place = p->places + 2 * i;
        double x = scale * in_pixels(place[0], g.width), y = scale * in_pixels(place[1], g.height);
        at_buf_printf(out, "<g><title>glimpse %zu at %.2f, %.2f</title>", i + 1, (double)place[0],
                      (double)place[1]);
        for (size_t s = 0; s < g.scales; s++) {
            at_glimpse_frame f = at_glimpse_covers(&g, s, place);
            at_buf_printf(out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
                          s ? "wide" : "frame", scale * (double)f.left, scale * (double)f.top,
                          scale * (double)f.side, scale * (double)f.side);
        }
        at_buf_printf(out,
                      "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"9\"/><text class=\"n\" x=\"%.1f\" y=\"%.1f\">%zu"
                      "</text></g>\n",
                      x, y, x, y + 4, i + 1);
    }
}

/* What was seen: a column a glimpse, a row a scale. */
static at_status put_strip(const at_glimpse_picture *p, double top, at_buf *out)
{
    at_glimpses g = sensor_of(p);
    at_status st = AT_OK;
    for (size_t i = 0; i < p->count && st == AT_OK; i++) {
        double x = MARGIN + (double)i * (SEEN + GAP);
        at_buf_printf(out, "<text class=\"s\" x=\"%.1f\" y=\"%.1f\">%zu</text>\n", x + SEEN / 2.0, top,
                      i + 1);
        for (size_t s = 0; s < g.scales && st == AT_OK; s++) {
            at_glimpse_frame f = at_glimpse_covers(&g, s, p->places + 2 * i);
            st = put_seen(p, &f, x, top + 8 + (double)s * (SEEN + GAP), out);
        }
    }
    return st;
}

at_status at_glimpses_svg(const at_glimpse_picture *p, at_buf *out)
{
    static const char style[] =
        "<style>text{font:13px sans-serif;fill:#1c2430}.t{font-size:16px}.back{fill:#fff}"
        "image{image-rendering:pixelated}.way{fill:none;stroke:#e07a1f;stroke-width:2}"
        ".frame{fill:none;stroke:#e07a1f;stroke-width:2}"
        ".wide{fill:none;stroke:#e07a1f;stroke-dasharray:4 3;opacity:.6}"
        "circle{fill:#e07a1f}.n{fill:#fff;font-size:12px;text-anchor:middle}.s{text-anchor:middle}"
        "@media(prefers-color-scheme:dark){text{fill:#e6ebf2}.back{fill:#12161d}}</style>\n";
    at_status st = check(p);
    if (st != AT_OK)
        return st;
    double longest = (double)(p->image->width > p->image->height ? p->image->width : p->image->height);
    double scale = SIDE / longest, width = scale * (double)p->image->width,
           height = scale * (double)p->image->height, strip = TITLE + height + GAP + SMALL,
           whole = fmax(width, (double)p->count * (SEEN + GAP) - GAP) + 2 * MARGIN,
           bottom = strip + 8 + (double)p->sensor.scales * (SEEN + GAP) + MARGIN;
    at_buf_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
                  "height=\"%.0f\" role=\"img\">\n",
                  whole, bottom, whole, bottom);
    at_buf_text(out, style);
    at_buf_printf(out,
                  "<rect class=\"back\" width=\"100%%\" height=\"100%%\"/>\n<text class=\"t\" x=\"%d\" "
                  "y=\"24\">",
                  MARGIN);
    at_draw_escape(p->title ? p->title : "glimpses", out);
    /* Frames that reach outside the picture are cut at its edge. */
    at_buf_printf(out, "</text>\n<svg x=\"%d\" y=\"%d\" width=\"%.2f\" height=\"%.2f\">\n", MARGIN, TITLE,
                  width, height);
    st = put_image(p->image, 0, 0, width, height, out);
    if (st == AT_OK) {
        put_frames(p, scale, out);
        at_buf_text(out, "</svg>\n");
        st = put_strip(p, strip, out);
    }
    at_buf_text(out, "</svg>\n");
    return st == AT_OK ? at_buf_status(out) : st;
}

/* ---------------------------------------------------------------- pixels */

static void put_pixel(at_image *image, int64_t x, int64_t y)
{
    static const uint8_t ink[] = {0xe0, 0x7a, 0x1f};
    if (x >= 0 && y >= 0 && x < (int64_t)image->width && y < (int64_t)image->height)
        memcpy(image->pixels + ((size_t)y * image->width + (size_t)x) * 3, ink, 3);
}

static void put_square(at_image *image, int64_t left, int64_t top, int64_t side, int64_t dash)
{
    for (int64_t i = 0; i < side; i++) {
        if (dash && i / dash % 2)
            continue;
        put_pixel(image, left + i, top);
        put_pixel(image, left + i, top + side - 1);
        put_pixel(image, left, top + i);
        put_pixel(image, left + side - 1, top + i);
    }
}

/* Digits of 3 x 5 dots, each three pixels wide, around (x,y). */
static void put_number(at_image *image, size_t number, int64_t x, int64_t y)
{
    enum { DOT = 3 };
    static const uint16_t digits[] = {075557, 026227, 071747, 071717, 055711,
                                      074717, 074757, 071111, 075757, 075717};
    size_t count = number > 9 ? 2 : 1;
    for (size_t d = 0; d < count; d++) {
        uint16_t dots = digits[count == 2 && d == 0 ? number / 10 % 10 : number % 10];
        int64_t left = x - (int64_t)(count * 4 - 1) * DOT / 2 + (int64_t)d * 4 * DOT, top = y - 5 * DOT / 2;
        for (int64_t i = 0; i < 15 * DOT * DOT; i++) {
            int64_t column = i % (3 * DOT), row = i / (3 * DOT);
            if (dots >> (14 - (row / DOT * 3 + column / DOT)) & 1)
                put_pixel(image, left + column, top + row);
        }
    }
}

static void put_line(at_image *image, double x0, double y0, double x1, double y1)
{
    size_t length = (size_t)fmax(fabs(x1 - x0), fabs(y1 - y0));
    for (size_t i = 0; i <= length; i++) {
        double part = length > 0 ? (double)i / (double)length : 0;
        put_pixel(image, lrint(x0 + part * (x1 - x0)), lrint(y0 + part * (y1 - y0)));
    }
}

/* The picture in colour, each pixel `scale` wide. */
static at_status enlarge(const at_image *image, size_t scale, at_image *out)
{
    at_status st = at_image_new(image->width * scale, image->height * scale, 3, out);
    for (size_t i = 0; st == AT_OK && i < out->width * out->height * 3; i++) {
        size_t x = i / 3 % out->width / scale, y = i / 3 / out->width / scale;
        size_t channel = image->channels == 3 ? i % 3 : 0;
        out->pixels[i] = image->pixels[(y * image->width + x) * image->channels + channel];
    }
    return st;
}

at_status at_glimpses_image(const at_glimpse_picture *p, at_image *out)
{
    at_status st = check(p);
    if (st != AT_OK)
        return st;
    at_glimpses g = sensor_of(p);
    size_t longest = g.width > g.height ? g.width : g.height, scale = longest < SIDE ? SIDE / longest : 1;
    int64_t wide = (int64_t)scale;
    st = enlarge(p->image, scale, out);
    double last[2] = {0, 0};
    for (size_t i = 0; st == AT_OK && i < p->count; i++) {
        const float *place = p->places + 2 * i;
        double at[2] = {(double)scale * in_pixels(place[0], g.width),
                        (double)scale * in_pixels(place[1], g.height)};
        for (size_t s = 0; s < g.scales; s++) {
            at_glimpse_frame f = at_glimpse_covers(&g, s, place);
            put_square(out, f.left * wide, f.top * wide, f.side * wide, s ? 4 : 0);
        }
        if (i > 0)
            put_line(out, last[0], last[1], at[0], at[1]);
        memcpy(last, at, sizeof last);
    }
    for (size_t i = 0; st == AT_OK && i < p->count; i++) /* beside the way, at the frame's corner */
    {
        at_glimpse_frame f = at_glimpse_covers(&g, 0, p->places + 2 * i);
        put_number(out, i + 1, f.left * wide + 12, f.top * wide + 12);
    }
    return st;
}
