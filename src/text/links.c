#include "text/links.h"
#include <stdlib.h>
#include <string.h>
#include "base/memory.h"

enum { MOST_WORDS = 1 << 24 };

/* A number at *text, which moves behind it; false: none, or no word of any line. */
static bool number(const char **text, int32_t *value)
{
    const char *from = *text;
    int64_t n = 0;
    for (; **text >= '0' && **text <= '9' && n <= MOST_WORDS; (*text)++)
        n = n * 10 + (**text - '0');
    *value = (int32_t)n;
    return *text > from && n <= MOST_WORDS;
}

static int in_order(const void *a, const void *b)
{
    const at_link *x = a, *y = b;
    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    if (x->target != y->target)
        return x->target < y->target ? -1 : 1;
    return (int)x->possible - (int)y->possible; /* the sure one first */
}

static void sort(at_links *links)
{
    size_t kept = 0;
    if (links->count > 1)
        qsort(links->list, links->count, sizeof *links->list, in_order);
    for (size_t i = 0; i < links->count; i++) {
        const at_link *l = &links->list[i], *last = kept ? &links->list[kept - 1] : NULL;
        if (!last || l->source != last->source || l->target != last->target)
            links->list[kept++] = *l;
    }
    links->count = kept;
}

at_status at_links_parse(const char *line, at_links *links)
{
    static const char spaces[] = " \t\r\n";
    links->count = 0;
    for (const char *at = line + strspn(line, spaces); *at; at += strspn(at, spaces)) {
        const char *from = at;
        at_link link = {0};
        bool good = number(&at, &link.source);
        char mark = good ? *at : '\0';
        good = good && (mark == '-' || mark == 'p' || mark == '?');
        if (good) {
            at++;
            link.possible = mark != '-';
            good = number(&at, &link.target) && (!*at || strchr(spaces, *at));
        }
        if (!good)
            return at_fail(AT_EFORMAT,
                           "'%.*s' is no link: want SOURCE-TARGET such as 0-1, or 0p1 for a possible one",
                           (int)strcspn(from, spaces), from);
        at_status st = at_grow(&links->list, &links->capacity, links->count + 1, sizeof *links->list);
        if (st != AT_OK)
            return st;
        links->list[links->count++] = link;
    }
    sort(links);
    return AT_OK;
}

void at_links_free(at_links *links)
{
    at_free(links->list);
    *links = (at_links){0};
}
