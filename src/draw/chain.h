/* draw/chain.h - a chain of steps with shapes: what a model does, as lines for a terminal or as an SVG.
 *
 * Role    Steps one below the other, each with the shape of what it gives; equal blocks once, with their
 *         number; a second chain beside the first, which may look at the first one's end.
 * Owns    Nothing; everything is borrowed while the call lasts.
 * Errors  AT_EARG for a chain without steps, AT_ENOMEM.
 *
 *     at_chain_step steps[] = {{.name = "picture", .shape = "224×224×3"},
 *                              {.name = "linear", .shape = "49×128", .parameters = 393344}};
 *     at_chain chain = {.title = "models/cats-dogs", .steps = steps, .count = 2};
 *     at_status st = at_chain_text(&chain, 80, &out);
 *     st = at_chain_svg(&chain, &svg);
 */
#ifndef AT_DRAW_CHAIN_H
#define AT_DRAW_CHAIN_H
#include "base/buf.h"

typedef struct at_chain_step {
    int lane;                          /* 0 or 1 */
    const char *name, *detail, *shape; /* UTF-8; detail NULL or "": none */
    size_t repeats, parameters;        /* equal blocks (0 and 1: one), parameters of one of them */
    bool reads;                        /* looks at the end of lane 0 */
} at_chain_step;

typedef struct at_chain {
    const char *title;    /* NULL: none */
    const char *lanes[2]; /* names; NULL: none */
    const at_chain_step *steps;
    size_t count;
} at_chain;

/* Lines of at most `width` columns where names and shapes let them (0: 80). */
at_status at_chain_text(const at_chain *chain, int width, at_buf *out);
/* A whole SVG document: light and dark by the viewer's preference, no outside files. */
at_status at_chain_svg(const at_chain *chain, at_buf *out);
#endif
