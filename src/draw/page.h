/* draw/page.h - attention as one HTML file that a person can play with, without any address in it.
 *
 * Role    Everything one or two models attended to for one pair of texts. A person picks a kind of
 *         attention, a layer, a head, hovers over a word and sees where it looks; two models
 *         stand side by side. Opens from a disk without a network: script, style and numbers are inside.
 * Owns    Nothing; everything in a request is borrowed while the call lasts.
 * Shapes  A map is (rows, columns); weights in 0 … 1, a row of attention sums to 1 (or to 0 where
 *         nothing could be seen).
 * Size    Weights are kept to 1/65535, and of each row only the largest where they are too many
 *         altogether (`entries`); the page then says how much of the row is not drawn. 30 words,
 *         4 layers, 4 heads are 250 KB, 4,000 words never above 20 MB.
 * Errors  AT_EARG for an empty request, more than 65,535 words, a weight out of 0 … 1; AT_ENUMBER for
 *         NaN; AT_ENOMEM. Nothing is appended then.
 *
 *     at_page_map maps[] = {{.layer = 0, .head = 0, .weights = w}};
 *     at_page_sheet sheet = {AT_PAGE_CROSS, zh, en, 3, 4, maps, 1};
 *     at_page_model model = {.name = "tatoeba-en-zh", .source = "Tom chases Jerry.", .target = "…",
 *                            .sheets = &sheet, .sheet_count = 1};
 *     at_page page = {.models = &model, .model_count = 1};
 *     at_status st = at_page_html(&page, &out);
 */
#ifndef AT_DRAW_PAGE_H
#define AT_DRAW_PAGE_H
#include "base/buf.h"

typedef struct at_page_map {
    const char *label; /* what it is if it is no head: "rollout …"; else NULL */
    int layer, head;
    const float *weights;
} at_page_map;

typedef enum at_page_kind {
    AT_PAGE_CROSS,
    AT_PAGE_ENCODER,
    AT_PAGE_DECODER,
    AT_PAGE_CLASS, /* which words decided a label: rows are measures; its map has a label */
} at_page_kind;

/* One kind of attention: rows look at columns. */
typedef struct at_page_sheet {
    at_page_kind kind;
    const char *const *rows, *const *columns; /* words, UTF-8 */
    size_t row_count, column_count;
    const at_page_map *maps;
    size_t map_count;
} at_page_sheet;

typedef struct at_page_model {
    const char *name, *source, *target; /* target NULL: the model has none */
    const at_page_sheet *sheets;
    size_t sheet_count;
} at_page_model;

enum { AT_PAGE_MODELS = 2 };

typedef struct at_page {
    const char *title;   /* NULL: "Attention" */
    const char *caption; /* NULL: AT_DRAW_CAVEAT */
    const at_page_model *models;
    size_t model_count; /* 1 … AT_PAGE_MODELS */
    const char *pick;   /* opens on "2.1": layer 2, head 1; "2": the mean of layer 2; NULL: of all */
    size_t entries;     /* most weights kept altogether; 0: 3 million */
} at_page;

at_status at_page_html(const at_page *page, at_buf *out);
#endif
