/* text/links.h - word alignments as text: "0-0 1-1 2-1", as Moses and fast_align write them.
 *
 * Role    A link is SOURCE-TARGET, words counted from 0. Gold alignments may mark a link as
 *         possible, not sure: 2p3 or 2?3 (Och & Ney 2003).
 * Owns    at_links until at_links_free; zero-initialise. Reused from line to line.
 * Errors  AT_EFORMAT naming the link; AT_ENOMEM.
 *
 *     at_links links = {0};
 *     at_status st = at_links_parse("0-0 1p2", &links);   // replaces what was there
 *     links.list[1].possible;                             // true
 */
#ifndef AT_TEXT_LINKS_H
#define AT_TEXT_LINKS_H
#include "base/status.h"

typedef struct at_link {
    int32_t source, target;
    bool possible; /* not sure */
} at_link;

typedef struct at_links {
    at_link *list; /* by source, then target; each pair once, sure if it is so anywhere */
    size_t count, capacity;
} at_links;

at_status at_links_parse(const char *line, at_links *links);
void at_links_free(at_links *links);
#endif
