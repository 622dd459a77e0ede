#include "draw/overlay.h"
#include <math.h>
#include <string.h>
#include "base/memory.h"
#include "draw/internal.h"
#include "draw/words.h"
#include "image/resize.h"

enum {
    SIDE = 672,
    SVG_SIDE = 560,
    PHOTO_SIDE = 640,
    MARGIN = 24,
    TITLE = 17,
    SMALL = 12,
    LEADING = 17,
    STOPS = 5
};

/* From little to much: dark blue, violet, red, orange, yellow; lightness grows evenly, so that it reads
 * without colour too. */
static const uint8_t ramp[STOPS][3] = {
    {20, 24, 82}, {98, 30, 128}, {196, 54, 86}, {246, 138, 44}, {252, 232, 120}};

static void color_of(double w, double rgb[3])
{
    double at = fmin(fmax(w, 0.0), 1.0) * (STOPS - 1);
    size_t below = (size_t)at < STOPS - 1 ? (size_t)at : STOPS - 2;
    double part = at - (double)below;
    for (size_t c = 0; c < 3; c++)
        rgb[c] = (1.0 - part) * ramp[below][c] + part * ramp[below + 1][c];
}

/* How much of the colour covers the photo: most of it stays visible everywhere. */
static double cover_of(double w)
{
    return 0.38 + 0.3 * w;
}

at_status at_overlay_check(const at_overlay *o)
{
    size_t patches;
    if (!o->photo || !o->photo->width || !o->photo->height || !o->down || !o->across || !o->weights)
        return at_fail(AT_EARG, "picture of attention: no photo, or no patches");
    if (!at_mul_ok(o->down, o->across, &patches) || patches > AT_OVERLAY_PATCHES)
        return at_fail(AT_EARG, "picture of attention: %zu x %zu patches; at most %d are drawn", o->across,
                       o->down, AT_OVERLAY_PATCHES);
    if (o->query != AT_OVERLAY_CLASS && (o->query < 0 || (size_t)o->query >= patches))
        return at_fail(AT_EARG, "picture of attention: patch %ld; there are %zu", o->query, patches);
    for (size_t i = 0; i < patches; i++) {
        if (!isfinite(o->weights[i]))
            return at_fail(AT_ENUMBER, "picture of attention: weight %zu is not finite", i);
        if (o->weights[i] < 0.0f)
            return at_fail(AT_EARG, "picture of attention: weight %zu is %g", i, (double)o->weights[i]);
    }
    return AT_OK;
}

static double largest(const at_overlay *o)
{
    double most = 0.0;
    for (size_t i = 0; i < o->down * o->across; i++)
        most = fmax(most, (double)o->weights[i]);
    return most;
}

/* The photo as RGB with its longer side so long. */
static at_status scaled(const at_image *photo, size_t side, at_image *out)
{
    double by = (double)side / (double)(photo->width > photo->height ? photo->width : photo->height);
    size_t width = (size_t)fmax(round((double)photo->width * by), 1.0);
    size_t height = (size_t)fmax(round((double)photo->height * by), 1.0);
    at_status st = at_image_resize(photo, NULL, width, height, AT_RESAMPLE_BICUBIC, out);
    if (st == AT_OK)
        st = at_image_to_channels(out, 3);
    if (st != AT_OK)
        at_image_free(out);
    return st;
}

/* The weight at a point of the picture, 0 … 1: between the middles of patches for colours, a patch's own for
 * brightness. */
static double weight_at(const at_overlay *o, double x, double y, double most)
{
    double fx = x * (double)o->across, fy = y * (double)o->down, sum = 0.0;
    if (most <= 0.0)
        return 0.0;
    if (o->weighted) {
        size_t i = (size_t)fmin(fy, (double)o->down - 1), j = (size_t)fmin(fx, (double)o->across - 1);
        return (double)o->weights[i * o->across + j] / most;
    }
    fx = fmin(fmax(fx - 0.5, 0.0), (double)o->across - 1);
    fy = fmin(fmax(fy - 0.5, 0.0), (double)o->down - 1);
    size_t j = (size_t)fx, i = (size_t)fy;
    double px = fx - (double)j, py = fy - (double)i;
    for (size_t k = 0; k < 4; k++) {
        size_t row = i + (k >> 1) < o->down ? i + (k >> 1) : i,
               column = j + (k & 1) < o->across ? j + (k & 1) : j;
        sum +=
            (k & 1 ? px : 1.0 - px) * (k >> 1 ? py : 1.0 - py) * (double)o->weights[row * o->across + column];
    }
    return sum / most;
}

static void paint_pixel(const at_overlay *o, double w, uint8_t *p)
{
    double rgb[3] = {0, 0, 0}, cover = o->weighted ? 1.0 - w : cover_of(w);
    if (!o->weighted)
        color_of(w, rgb);
    for (size_t c = 0; c < 3; c++)
        p[c] = (uint8_t)((1.0 - cover) * p[c] + cover * rgb[c] + 0.5);
}

/* White within black, so that it is seen on any ground. */
static void outline(at_image *m, size_t left, size_t top, size_t right, size_t bottom)
{
    for (size_t y = top; y < bottom && y < m->height; y++) {
        for (size_t x = left; x < right && x < m->width; x++) {
            size_t dx = x - left < right - 1 - x ? x - left : right - 1 - x;
            size_t dy = y - top < bottom - 1 - y ? y - top : bottom - 1 - y, in = dx < dy ? dx : dy;
            if (in < 4)
                memset(m->pixels + (y * m->width + x) * 3, in == 0 || in == 3 ? 0 : 255, 3);
        }
    }
}

at_status at_overlay_paint(const at_overlay *overlay, size_t side, at_image *out)
{
    const at_overlay *o = overlay;
    *out = (at_image){0};
    at_status st = at_overlay_check(o);
    if (st == AT_OK)
        st = scaled(o->photo, side ? side : SIDE, out);
    if (st != AT_OK)
        return st;
    double most = largest(o);
    for (size_t y = 0; y < out->height; y++) {
        for (size_t x = 0; x < out->width; x++) {
            double w = weight_at(o, ((double)x + 0.5) / (double)out->width,
                                 ((double)y + 0.5) / (double)out->height, most);
            paint_pixel(o, w, out->pixels + (y * out->width + x) * 3);
        }
    }
    if (o->query >= 0) {
        size_t row = (size_t)o->query / o->across, column = (size_t)o->query % o->across;
        outline(out, column * out->width / o->across, row * out->height / o->down,
                (column + 1) * out->width / o->across, (row + 1) * out->height / o->down);
    }
    return AT_OK;
}

/* --- SVG --------------------------------------------------------------------------------------- */

at_status at_draw_photo(const at_image *photo, size_t side, at_buf *out)
{
    at_image small = {0};
    at_buf png = {0};
    size_t longer = photo->width > photo->height ? photo->width : photo->height;
    at_status st = scaled(photo, longer < side ? longer : side, &small);
    if (st == AT_OK)
        st = at_image_encode_png(&small, &png);
    if (st == AT_OK) {
        at_buf_text(out, "data:image/png;base64,");
        at_draw_base64((const unsigned char *)png.data, png.length, out);
    }
    at_buf_free(&png);
    at_image_free(&small);
    return st;
}

typedef struct place {
    double left, top, width, height; /* of the photo */
    double bottom;                   /* of all */
} place;

static void put_patches(const at_overlay *o, const place *p, at_buf *out)
{
    double most = largest(o), w = p->width / (double)o->across, h = p->height / (double)o->down;
    at_buf_text(out, "<g shape-rendering=\"crispEdges\">\n"); /* no seams between neighbours */
    for (size_t i = 0; i < o->down * o->across; i++) {
        size_t row = i / o->across, column = i % o->across;
        double part = most > 0.0 ? (double)o->weights[i] / most : 0.0, rgb[3] = {0, 0, 0};
        if (!o->weighted)
            color_of(part, rgb);
        at_buf_printf(out,
                      "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"#%02x%02x%02x\" "
                      "fill-opacity=\"%.3f\"><title>%zu, %zu: %.4f</title></rect>\n",
                      p->left + w * (double)column, p->top + h * (double)row, w, h, (unsigned)rgb[0],
                      (unsigned)rgb[1], (unsigned)rgb[2], o->weighted ? 1.0 - part : cover_of(part), column,
                      row, (double)o->weights[i]);
    }
    at_buf_text(out, "</g>\n");
    if (o->query < 0)
        return;
    size_t row = (size_t)o->query / o->across, column = (size_t)o->query % o->across;
    double x = p->left + w * (double)column, y = p->top + h * (double)row;
    at_buf_printf(out,
                  "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"none\" stroke=\"#000\" "
                  "stroke-width=\"5\"/>\n<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
                  "fill=\"none\" stroke=\"#fff\" stroke-width=\"2.5\"/>\n",
                  x, y, w, h, x, y, w, h);
}

static void put_legend(const at_overlay *o, double x, double y, at_buf *out)
{
    at_buf_printf(out, "<text class=\"s\" x=\"%.0f\" y=\"%.0f\">0</text>\n", x, y + 10);
    for (int i = 0; i < 40; i++) {
        double rgb[3];
        color_of(i / 39.0, rgb);
        if (o->weighted)
            rgb[0] = rgb[1] = rgb[2] = 255.0 * i / 39.0;
        at_buf_printf(out,
                      "<rect x=\"%.1f\" y=\"%.0f\" width=\"3.2\" height=\"11\" fill=\"#%02x%02x%02x\"/>\n",
                      x + 14 + 3 * i, y, (unsigned)rgb[0], (unsigned)rgb[1], (unsigned)rgb[2]);
    }
    at_buf_printf(out, "<text class=\"s\" x=\"%.0f\" y=\"%.0f\">%.3g, the largest of a patch</text>\n",
                  x + 142, y + 10, largest(o));
}

static at_status put_svg(const at_overlay *o, at_buf *body, const place *p, at_buf *out)
{
    double width = p->width + 2 * MARGIN;
    at_buf_printf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f "
        "%.0f\" role=\"img\">\n<title>",
        width, p->bottom, width, p->bottom);
    at_draw_escape(o->title && *o->title ? o->title : "Where the model looked", out);
    at_buf_text(out,
                "</title>\n<style>\n"
                "svg{color-scheme:light dark}\n"
                "text{font-family:system-ui,\"Noto Sans\",\"Noto Sans CJK SC\",sans-serif;fill:#1c2430}\n"
                ".s{font-size:12px;fill:#5d6879}.ground{fill:#fff}\n"
                "@media(prefers-color-scheme:dark){text{fill:#e6ebf2}.s{fill:#9aa6b8}"
                ".ground{fill:#12161d}}\n</style>\n"
                "<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n");
    if (o->title && *o->title) {
        at_buf_printf(out, "<text x=\"%d\" y=\"%d\" font-size=\"%d\" font-weight=\"bold\">", MARGIN,
                      MARGIN + TITLE - 3, TITLE);
        at_draw_escape(o->title, out);
        at_buf_text(out, "</text>\n");
    }
    at_buf_printf(out,
                  "<image x=\"%.0f\" y=\"%.0f\" width=\"%.2f\" height=\"%.2f\" preserveAspectRatio=\"none\" "
                  "href=\"",
                  p->left, p->top, p->width, p->height);
    at_status st = at_draw_photo(o->photo, PHOTO_SIDE, out);
    at_buf_text(out, "\"/>\n");
    at_buf_bytes(out, body->data, body->length);
    at_buf_text(out, "</svg>\n");
    return st == AT_OK ? at_buf_status(out) : st;
}

at_status at_overlay_svg(const at_overlay *overlay, at_buf *out)
{
    const at_overlay *o = overlay;
    size_t begin = out->length;
    at_buf body = {0};
    at_status st = at_overlay_check(o);
    if (st != AT_OK)
        return st;
    double w = (double)o->photo->width, h = (double)o->photo->height, by = SVG_SIDE / fmax(w, h);
    place p = {.left = MARGIN,
               .top = o->title && *o->title ? MARGIN + TITLE + 12 : MARGIN,
               .width = w * by,
               .height = h * by};
    put_patches(o, &p, &body);
    put_legend(o, MARGIN, p.top + p.height + 14, &body);
    const char *caption = o->caption ? o->caption : AT_OVERLAY_CAVEAT;
    at_draw_box box = {
        .x = MARGIN, .y = p.top + p.height + 50, .leading = LEADING, .most = (int)(p.width / 6.2)};
    p.bottom = at_draw_paragraph(caption, &box, &body) + 0.5 * MARGIN;
    st = at_buf_status(&body);
    if (st == AT_OK)
        st = put_svg(o, &body, &p, out);
    if (st != AT_OK)
        out->length = begin;
    at_buf_free(&body);
    return st;
}
