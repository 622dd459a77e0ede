/* cli/show_page.h - the page of `attend show --html`: all attention of one pair, by one model or two.
 *
 * Errors  AT_ENOSUP for a model without attention; what at_bundle_new and the file say; the message names
 *         the model. Nothing is written then.
 *
 *     at_cli_page page = {.path = "a.html", .models = names, .translators = open, .count = 2,
 *                         .sentence = "Tom chases Jerry.", .look = AT_BUNDLE_DEFAULTS};
 *     at_status st = at_cli_show_page(&page);
 */
#ifndef AT_CLI_SHOW_PAGE_H
#define AT_CLI_SHOW_PAGE_H
#include "attend.h"

#define AT_CLI_CLASS_CAVEAT                                                                                  \
    "Pooling and class token say where the model looked, which is no explanation (Jain and Wallace 2019). "  \
    "Words left out: how much less, or more, probable the label is without the word (logarithms, as shares " \
    "of all that changed)."

/* By at_view_kind. */
extern const char *const at_cli_kinds[];

typedef struct at_cli_page {
    const char *path;
    const char *const *models; /* folders */
    at_translator *const *translators;
    size_t count; /* 1 or 2 */
    const char *sentence;
    const char *target; /* NULL: each model's own translation */
    at_view_kind kind;  /* that the page opens on; AT_VIEW_OWN: the model's */
    at_bundle_options look;
} at_cli_page;

at_status at_cli_show_page(const at_cli_page *page);
#endif
