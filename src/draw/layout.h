/* draw/layout.h - where the parts of an attention picture lie, for every kind of file that holds one.
 *
 * Role    Cells as large as fit, words beside them, a column of sums, a legend, a caption. SVG and PNG
 *         differ in how they know a word's width: the one estimates, the other measures.
 * Owns    Nothing; the matrix is borrowed.
 *
 *     at_layout l = at_lay_out(matrix, my_width, pen);
 *     double x = l.left + column * l.cell, y = l.top + row * l.cell;
 */
#ifndef AT_DRAW_LAYOUT_H
#define AT_DRAW_LAYOUT_H
#include "draw/matrix.h"

/* Pixels. */
enum {
    AT_LAYOUT_MARGIN = 24,
    AT_LAYOUT_WORD = 14, /* font sizes */
    AT_LAYOUT_SMALL = 11,
    AT_LAYOUT_TITLE = 17,
    AT_LAYOUT_SUM = 46, /* the column of row sums */
    AT_LAYOUT_LEGEND = 132,
    AT_LAYOUT_LABEL = 190, /* most of a word */
    AT_LAYOUT_TIGHT = 24,  /* smaller cells have thinner outlines */
};

typedef struct at_layout {
    const at_matrix *matrix;
    double cell;        /* side */
    double word;        /* font size of words: they shrink with the cells */
    double number;      /* of numbers in cells */
    double left, top;   /* of the cells */
    double bottom;      /* below the cells */
    double width;       /* of the picture; its height depends on the caption */
    int slant;          /* degrees of the column words; 0: across */
    bool numbers, thin; /* numbers in cells; thin outlines */
} at_layout;

/* Pixels of a word in a font of that size; of more than AT_LAYOUT_LABEL only these are used. */
typedef double at_word_width(void *pen, const char *word, double size);

at_layout at_lay_out(const at_matrix *matrix, at_word_width *width, void *pen);
/* Room for a caption's lines. */
double at_layout_caption_width(const at_layout *layout);
#endif
