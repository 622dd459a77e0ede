/* draw/overlay.h - where in a picture a model looked: weights of patches laid over the photo.
 *
 * Role    One set of weights as pixels (for PNG) or SVG; all layers and heads as one HTML page, in which a
 *         person picks a map and hovers over a patch. Knows no model: photo, grid and numbers are given.
 * Owns    Nothing; everything in a request is borrowed while the call lasts. The painted picture is the
 *         caller's.
 * Shapes  A picture of down x across patches. An overlay's weights (down * across), row by row, any scale:
 *         the largest is drawn as full. A page's maps (tokens, tokens), tokens = down * across, and one more,
 *         the first, with a class token.
 * Errors  AT_EARG for an empty request, too many patches or a weight below 0; AT_ENUMBER for NaN; AT_ENOSUP
 *         in a build without libpng (SVG and page carry the photo as PNG); AT_ENOMEM. Nothing is appended
 *         then.
 *
 *     at_overlay o = {.photo = &seen, .down = 7, .across = 7, .weights = w, .query = AT_OVERLAY_CLASS,
 *                     .title = "class token, rollout"};
 *     at_image painted;
 *     at_status st = at_overlay_paint(&o, 0, &painted);      // at_image_write_png(&painted, "where.png")
 *     st = at_overlay_svg(&o, &svg);
 */
#ifndef AT_DRAW_OVERLAY_H
#define AT_DRAW_OVERLAY_H
#include "base/buf.h"
#include "image/image.h"

enum { AT_OVERLAY_CLASS = -1, AT_OVERLAY_PATCHES = 16384 };

#define AT_OVERLAY_CAVEAT                                                                   \
    "Weights show where the model looked; they are no explanation of why it chose a label " \
    "(Jain and Wallace 2019)."

typedef struct at_overlay {
    const at_image *photo; /* what the model saw of it, at any size */
    size_t down, across;
    const float *weights;
    long query;          /* the patch that asks, outlined; AT_OVERLAY_CLASS: the class token */
    bool weighted;       /* each patch as bright as its weight; else colours over the photo */
    const char *title;   /* NULL: none; SVG only, as the caption */
    const char *caption; /* NULL: AT_OVERLAY_CAVEAT; "": none */
} at_overlay;

at_status at_overlay_check(const at_overlay *overlay);
/* RGB, its longer side `side` dots (0: 672). */
at_status at_overlay_paint(const at_overlay *overlay, size_t side, at_image *out);
/* A whole SVG document, the photo inside; weights in tooltips. */
at_status at_overlay_svg(const at_overlay *overlay, at_buf *out);

typedef struct at_overlay_map {
    const char *label; /* what it is if it is no head: "rollout"; else NULL */
    int layer, head;
    const float *weights; /* (tokens, tokens), 0 … 1 */
} at_overlay_map;

typedef struct at_overlay_answer {
    const char *label;
    double probability;
} at_overlay_answer;

typedef struct at_overlay_page {
    const at_image *photo;
    size_t down, across;
    bool class_token;
    const at_overlay_map *maps;
    size_t map_count;
    /* (tokens, tokens) how alike what the model made of two patches is, 0 … 1; NULL: not shown. */
    const float *likeness;
    /* (tokens) how much each counts where there is no class token; NULL: all the same. */
    const float *pooling;
    const at_overlay_answer *answers; /* likeliest first; may be none */
    size_t answer_count;
    long query; /* the patch that is held when the page opens; AT_OVERLAY_CLASS: none */
    const char *title, *caption;
} at_overlay_page;

at_status at_overlay_html(const at_overlay_page *page, at_buf *out);
#endif
