#include <math.h>
#include <stdio.h>
#include <string.h>

#include "draw/internal.h"
#include "draw/words.h"

enum {
    WIDTH_USUAL = 80,
    WIDTH_LEAST = 12,
    NUMBER = 3,      /* columns of ".62" */
    HEAD_LINES = 10, /* most lines of a word written downwards */
    LEVELS = 10,
};

/* How the picture is laid out; all in columns of the terminal. */
typedef struct layout {
    const at_matrix *matrix;
    const at_terminal_options *options;
    int width, label; /* of a line, of the target words */
    int cell, gap;    /* least width of a cell; space behind it */
    bool across, numbers;
} layout;

typedef struct rgb {
    int r, g, b;
} rgb;

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* ---- layout ---- */

static int cell_width(const layout *l, size_t s)
{
    return l->across ? max_int(l->cell, at_draw_width(l->matrix->sources[s])) : l->cell;
}

static int room(const layout *l)
{
    return l->width - l->label - 2; /* " │" */
}

/* The first column that no longer fits in a block that begins at `first`. */
static size_t block_end(const layout *l, size_t first)
{
    size_t s = first;
    for (int used = 0; s < l->matrix->source_count; s++) {
        used += cell_width(l, s) + l->gap;
        if (used > room(l) && s > first)
            break;
    }
    return s;
}

/* Numbers make cells wider: a shade glyph and three digits, or three on a ground of colour. */
static void set_cells(layout *l, bool across, bool numbers)
{
    bool color = l->options->color != AT_COLOR_NONE;
    l->across = across;
    l->numbers = numbers;
    l->cell = !numbers ? 2 : color ? NUMBER : NUMBER + 1;
    l->gap = across || numbers;
}

static layout plan(const at_matrix *matrix, const at_terminal_options *options)
{
    layout l = {.matrix = matrix, .options = options};
    int longest = 0;
    l.width = max_int(options->width > 0 ? options->width : WIDTH_USUAL, WIDTH_LEAST);
    for (size_t t = 0; t < matrix->target_count; t++)
        longest = max_int(longest, at_draw_width(matrix->targets[t]));
    l.label = min_int(longest, l.width / 3);

    bool wanted = options->numbers != AT_NUMBERS_NEVER, needed = options->numbers == AT_NUMBERS_ALWAYS;
    for (int across = 1; across >= 0; across--) {
        for (int numbers = wanted; numbers >= (needed ? 1 : 0); numbers--) {
            set_cells(&l, across, numbers);
            if (block_end(&l, 0) == matrix->source_count && cell_width(&l, 0) <= room(&l))
                return l;
        }
    }
    return l; /* downwards and in blocks */
}

/* ---- pieces of a line ---- */

static void spaces(at_buf *out, int count)
{
    for (int i = 0; i < count; i++)
        at_buf_char(out, ' ');
}

static void number_text(float w, char text[8])
{
    int percent = (int)lrintf(100.0f * w);
    if (percent == 0)
        memcpy(text, "   ", NUMBER + 1);
    else if (percent == 100)
        memcpy(text, "1.0", NUMBER + 1);
    else
        snprintf(text, 8, ".%02d", percent);
}

static const char *shade(float w)
{
    static const char *const shades[] = {" ", "░", "▒", "▓", "█"};
    return shades[w < 0.05f ? 0 : w < 0.25f ? 1 : w < 0.5f ? 2 : w < 0.75f ? 3 : 4];
}

/* From next to nothing to the whole: near the ground at first, far from it at last. */
static rgb true_color(float w, bool light)
{
    static const rgb stops[2][4] = {{{24, 34, 54}, {34, 84, 152}, {72, 158, 226}, {205, 238, 255}},
                                    {{232, 240, 250}, {150, 194, 234}, {44, 112, 190}, {8, 44, 104}}};
    float at = 3.0f * w;
    int i = min_int((int)at, 2);
    const rgb *a = &stops[light][i], *b = a + 1;
    float f = at - (float)i;
    return (rgb){(int)((float)a->r + f * (float)(b->r - a->r)), (int)((float)a->g + f * (float)(b->g - a->g)),
                 (int)((float)a->b + f * (float)(b->b - a->b))};
}

static void begin_color(const at_terminal_options *options, float w, at_buf *out)
{
    static const int indexed[2][LEVELS] = {{234, 236, 238, 24, 31, 32, 74, 117, 153, 195},
                                           {255, 189, 153, 111, 75, 68, 32, 25, 24, 17}};
    /* White digits on the dark half of the scale, black ones on the light half. */
    int ink = (w < 0.5f) == options->light ? 16 : 231;
    if (options->color == AT_COLOR_TRUE) {
        rgb c = true_color(w, options->light);
        at_buf_printf(out, "\033[48;2;%d;%d;%d;38;5;%dm", c.r, c.g, c.b, ink);
    } else {
        int level = min_int((int)(w * LEVELS), LEVELS - 1);
        at_buf_printf(out, "\033[48;5;%d;38;5;%dm", indexed[options->light][level], ink);
    }
}

static void draw_cell(const layout *l, float weight, int width, at_buf *out)
{
    float w = fminf(fmaxf(weight, 0.0f), 1.0f);
    char number[8] = "";
    if (l->numbers)
        number_text(w, number);
    int fill = width - (int)strlen(number);
    if (l->options->color == AT_COLOR_NONE) {
        for (int i = 0; i < fill; i++)
            at_buf_text(out, shade(w));
        at_buf_text(out, number);
    } else {
        begin_color(l->options, w, out);
        spaces(out, fill / 2);
        at_buf_text(out, number);
        spaces(out, fill - fill / 2);
        at_buf_text(out, "\033[0m");
    }
    spaces(out, l->gap);
}

/* ---- heads ---- */

static void head_across(const layout *l, size_t first, size_t end, at_buf *out)
{
    spaces(out, l->label + 2);
    for (size_t s = first; s < end; s++) {
        const char *word = l->matrix->sources[s];
        int free_columns = cell_width(l, s) - at_draw_width(word);
        spaces(out, free_columns / 2);
        at_draw_cut(word, cell_width(l, s), out);
        spaces(out, free_columns - free_columns / 2 + l->gap);
    }
    at_buf_char(out, '\n');
}

static int word_lines(const char *word)
{
    int lines = 0, width;
    for (size_t used; (used = at_draw_next(word, NULL, &width)) > 0; word += used)
        lines++;
    return lines;
}

/* The character of `word` on line `line`, 0 at the top; a word too long ends in ⋮. */
static void head_character(const char *word, int line, at_buf *out, int *width)
{
    int lines = word_lines(word);
    *width = 0;
    if (lines > HEAD_LINES && line == HEAD_LINES - 1) {
        at_buf_text(out, "⋮");
        *width = 1;
        return;
    }
    for (; line > 0; line--)
        word += at_draw_next(word, NULL, width);
    at_draw_next(word, out, width);
}

/* Words written downwards, their last characters next to the cells. */
static void head_down(const layout *l, size_t first, size_t end, at_buf *out)
{
    int height = 0;
    for (size_t s = first; s < end; s++)
        height = max_int(height, min_int(word_lines(l->matrix->sources[s]), HEAD_LINES));
    for (int line = 0; line < height; line++) {
        spaces(out, l->label + 2);
        for (size_t s = first; s < end; s++) {
            const char *word = l->matrix->sources[s];
            int above = height - min_int(word_lines(word), HEAD_LINES), width = 0;
            spaces(out, (l->cell - 1) / 2);
            if (line >= above)
                head_character(word, line - above, out, &width);
            spaces(out, l->cell - (l->cell - 1) / 2 - width + l->gap);
        }
        at_buf_char(out, '\n');
    }
}

/* A target word at the right end of its field. */
static void draw_label(const layout *l, size_t t, at_buf *out)
{
    const char *word = l->matrix->targets[t];
    spaces(out, l->label - at_draw_cut(word, l->label, NULL));
    at_draw_cut(word, l->label, out);
    at_buf_text(out, " │");
}

static void draw_block(const layout *l, size_t first, size_t end, at_buf *out)
{
    const at_matrix *m = l->matrix;
    if (l->across)
        head_across(l, first, end, out);
    else
        head_down(l, first, end, out);
    for (size_t t = 0; t < m->target_count; t++) {
        draw_label(l, t, out);
        for (size_t s = first; s < end; s++)
            draw_cell(l, m->weights[t * m->source_count + s], cell_width(l, s), out);
        at_buf_char(out, '\n');
    }
}

static void draw_legend(const layout *l, at_buf *out)
{
    layout sample = *l;
    sample.numbers = false;
    sample.gap = 0;
    if (l->options->color == AT_COLOR_NONE) {
        if (l->width >= 29)
            at_buf_text(out, "░ .05  ▒ .25  ▓ .50  █ .75 up\n");
        return;
    }
    at_buf_text(out, "0 ");
    for (int i = 0; i < l->width - 4 && i < 2 * LEVELS; i++)
        draw_cell(&sample, (float)i / (2 * LEVELS - 1), 1, out);
    at_buf_text(out, " 1\n");
}

static at_status draw(const at_matrix *matrix, const at_terminal_options *options, at_buf *out)
{
    layout l = plan(matrix, options);
    const char *caption = matrix->caption ? matrix->caption : AT_DRAW_CAVEAT;
    if (matrix->title && *matrix->title) {
        at_draw_lines(matrix->title, l.width, out);
        at_buf_char(out, '\n');
    }
    for (size_t s = 0; s < matrix->source_count;) {
        size_t end = block_end(&l, s);
        draw_block(&l, s, end, out);
        at_buf_char(out, '\n');
        s = end;
    }
    draw_legend(&l, out);
    at_draw_lines(caption, l.width, out);
    return at_buf_status(out);
}

at_status at_matrix_terminal(const at_matrix *matrix, const at_terminal_options *options, at_buf *out)
{
    at_pooled pooled;
    at_status st = at_matrix_pool(matrix, &pooled);
    if (st == AT_OK)
        st = draw(&pooled.matrix, options, out);
    at_pooled_free(&pooled);
    return st;
}
