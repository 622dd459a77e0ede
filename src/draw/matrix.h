/* draw/matrix.h - the picture of attention: source words across, target words down.
 *
 * Role    One request, three pictures: lines for a terminal, a self-contained SVG, a PNG.
 *         What the numbers are (a layer, a head, a mean) the caller says in `title`. Of more
 *         than 128 words each way neighbours are drawn as one, and the caption says so.
 * Owns    Nothing; everything in a request is borrowed while the call lasts.
 * Shapes  weights (T,S) row by row; each in 0 … 1, a row of attention sums to 1.
 * Errors  AT_EARG for an empty request or a weight out of 0 … 1, AT_ENUMBER for NaN,
 *         AT_ENOMEM; AT_ENOSUP for PNG in a build without cairo and pango.
 *
 *     at_matrix m = {.targets = zh, .target_count = 3, .sources = en, .source_count = 4,
 *                    .weights = w, .title = "layer 4, mean of 4 heads"};
 *     at_terminal_options options = {.width = 80, .color = AT_COLOR_TRUE};
 *     at_status st = at_matrix_terminal(&m, &options, &out);
 *     st = at_matrix_svg(&m, &svg);
 *     st = at_matrix_png(&m, &(at_png_options){.dark = true}, &png);
 */
#ifndef AT_DRAW_MATRIX_H
#define AT_DRAW_MATRIX_H
#include "base/buf.h"

/* The caption of pictures that have none of their own. */
#define AT_DRAW_CAVEAT                                                                     \
    "Weights show where the model looked; they are no explanation of why it chose a word " \
    "(Jain and Wallace 2019)."

typedef struct at_matrix {
    const char *const *targets, *const *sources; /* words, UTF-8 */
    size_t target_count, source_count;
    const float *weights;
    const char *title;   /* NULL: none */
    const char *caption; /* NULL: AT_DRAW_CAVEAT; "": none */
} at_matrix;

typedef enum at_color { AT_COLOR_NONE, AT_COLOR_256, AT_COLOR_TRUE } at_color;

typedef enum at_numbers {
    AT_NUMBERS_AUTO, /* where they fit without cutting the picture into blocks */
    AT_NUMBERS_ALWAYS,
    AT_NUMBERS_NEVER,
} at_numbers;

typedef struct at_terminal_options {
    int width;      /* columns; 0: 80 */
    at_color color; /* NONE: shades ░▒▓█ */
    at_numbers numbers;
    bool light; /* dark text on a light background */
} at_terminal_options;

at_status at_matrix_check(const at_matrix *matrix);
/* Lines that end in newlines, none wider than the terminal. Words stand across while
 * they fit, else downwards; what is still too wide is cut into blocks of columns. */
at_status at_matrix_terminal(const at_matrix *matrix, const at_terminal_options *options, at_buf *out);
/* A whole SVG document: light and dark by the viewer's preference, no outside files. */
at_status at_matrix_svg(const at_matrix *matrix, at_buf *out);

typedef struct at_png_options {
    bool dark;
    double scale; /* dots a pixel of the SVG; 0: 2 */
} at_png_options;

/* The same picture in dots, drawn by pango with the fonts of this machine: every script that they have. */
at_status at_matrix_png(const at_matrix *matrix, const at_png_options *options, at_buf *out);
bool at_png_possible(void); /* whether this build has it */
#endif
