#include "draw/layout.h"
#include <math.h>

enum { CELL_MOST = 56, CELL_LEAST = 13, CELL_NUMBERS = 26, GRID_WISHED = 680, CAPTION_LEAST = 260 };

typedef struct measure {
    at_word_width *width;
    void *pen;
} measure;

static double word_width(const measure *by, const char *word, double size)
{
    return fmin(by->width(by->pen, word, size), AT_LAYOUT_LABEL);
}

static double widest(const measure *by, const char *const *words, size_t count, double size)
{
    double width = 0.0;
    for (size_t i = 0; i < count; i++)
        width = fmax(width, word_width(by, words[i], size));
    return width;
}

static double radians(int degrees)
{
    return degrees * 3.14159265358979 / 180.0;
}

/* Words and cells shrink together in large pictures: slanted words of neighbouring columns are 0.71 to 0.87
 * of a cell apart. */
at_layout at_lay_out(const at_matrix *m, at_word_width *width, void *pen)
{
    const measure by = {width, pen};
    double columns = (double)m->source_count, rows = (double)m->target_count;
    bool titled = m->title && *m->title;
    at_layout l = {.matrix = m};
    l.cell = fmax(CELL_LEAST, fmin(CELL_MOST, floor(GRID_WISHED / fmax(columns, rows))));
    l.word = fmin(AT_LAYOUT_WORD, 0.74 * l.cell);
    l.number = fmin(12.0, 0.36 * l.cell);
    l.numbers = l.cell >= CELL_NUMBERS;
    l.thin = l.cell < AT_LAYOUT_TIGHT;
    double across = widest(&by, m->sources, m->source_count, l.word);
    l.slant = across <= l.cell - 3 ? 0 : l.thin ? 60 : 45;
    double head = l.slant ? sin(radians(l.slant)) * across + l.word : 1.2 * l.word;
    l.left = AT_LAYOUT_MARGIN + widest(&by, m->targets, m->target_count, l.word) + 12;
    l.top = AT_LAYOUT_MARGIN + (titled ? AT_LAYOUT_TITLE + 30 : 16) + head;
    l.bottom = l.top + rows * l.cell;
    double right = l.left + columns * l.cell + AT_LAYOUT_SUM;
    for (size_t s = 0; l.slant && s < m->source_count; s++) /* words lean out over the sums */
        right = fmax(right, l.left + ((double)s + 0.5) * l.cell + 8 +
                                cos(radians(l.slant)) * word_width(&by, m->sources[s], l.word));
    double title = titled ? width(pen, m->title, 1.08 * AT_LAYOUT_TITLE) + AT_LAYOUT_MARGIN : 0;
    l.width = ceil(fmax(fmax(right, title), AT_LAYOUT_MARGIN + CAPTION_LEAST) + AT_LAYOUT_MARGIN);
    return l;
}

double at_layout_caption_width(const at_layout *l)
{
    return l->width - 2 * AT_LAYOUT_MARGIN;
}
