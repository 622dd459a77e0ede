#include "cli/show_page.h"
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "cli/output.h"
#include "draw/page.h"

enum { KINDS = 4 };

const char *const at_cli_kinds[] = {"cross", "encoder", "decoder", "class"};

/* One model's part of the page with what it points to. */
typedef struct shown {
    at_bundle *bundle;
    at_buf said; /* the label and its probability */
    at_page_map *maps[KINDS];
    at_page_sheet sheets[KINDS];
} shown;

static at_status fill_sheet(const at_bundle_part *part, at_page_map **maps, at_page_sheet *sheet)
{
    static const at_page_kind kinds[] = {[AT_VIEW_CROSS] = AT_PAGE_CROSS,
                                         [AT_VIEW_ENCODER] = AT_PAGE_ENCODER,
                                         [AT_VIEW_DECODER] = AT_PAGE_DECODER,
                                         [AT_VIEW_CLASS] = AT_PAGE_CLASS};
    size_t count = (size_t)part->layers * (size_t)part->heads;
    *maps = at_alloc_zero(count + 1, sizeof **maps);
    if (!*maps)
        return AT_ENOMEM;
    for (size_t i = 0; i < count; i++)
        (*maps)[i] =
            (at_page_map){part->kind == AT_VIEW_CLASS ? "measures of what decided the label" : NULL,
                          part->first_layer + (int)i / part->heads, part->first_head + (int)i % part->heads,
                          part->weights + i * part->rows * part->columns};
    if (part->rollout)
        (*maps)[count++] =
            (at_page_map){"rollout through all layers (Abnar & Zuidema 2020)", 0, 0, part->rollout};
    *sheet = (at_page_sheet){
        kinds[part->kind], part->row_words, part->column_words, part->rows, part->columns, *maps, count};
    return AT_OK;
}

/* What the model made of the sentence, on one line; NULL: nothing but what it read. */
static const char *said(const at_cli_page *page, shown *s)
{
    const at_bundle *b = s->bundle;
    if (b->label) {
        at_buf_printf(&s->said, "%s (%.4f)", b->label, b->probability);
        return s->said.data;
    }
    if (!*b->translation || !strcmp(b->translation, page->sentence))
        return NULL;
    for (const char *p = b->translation; *p; p++)
        at_buf_text(&s->said, *p == '\n' ? "\u23ce" : (const char[]){*p, '\0'}); /* a return sign */
    return s->said.data;
}

/* The kind that the page opens on comes first. */
static at_status fill_model(const at_cli_page *page, size_t which, shown *s, at_page_model *model)
{
    at_status st =
        at_bundle_new(page->translators[which], page->sentence, page->target, &page->look, &s->bundle);
    if (st != AT_OK)
        return at_fail_within(st, "%s", page->models[which]);
    size_t first = 0;
    at_view_kind kind = page->kind == AT_VIEW_OWN ? s->bundle->own : page->kind;
    for (size_t i = 0; i < s->bundle->count; i++)
        if (s->bundle->parts[i].kind == kind)
            first = i;
    for (size_t i = 0; st == AT_OK && i < s->bundle->count; i++) {
        size_t from = i == 0 ? first : i <= first ? i - 1 : i;
        st = fill_sheet(&s->bundle->parts[from], &s->maps[i], &s->sheets[i]);
    }
    *model = (at_page_model){.name = page->models[which],
                             .source = page->sentence,
                             .target = said(page, s),
                             .sheets = s->sheets,
                             .sheet_count = s->bundle->count};
    return st == AT_OK ? at_buf_status(&s->said) : st;
}

static void release(shown *s)
{
    for (size_t i = 0; i < KINDS; i++)
        at_free(s->maps[i]);
    at_bundle_free(s->bundle);
    at_buf_free(&s->said);
}

at_status at_cli_show_page(const at_cli_page *page)
{
    shown parts[AT_PAGE_MODELS] = {0};
    at_page_model models[AT_PAGE_MODELS];
    at_status st = AT_OK;
    for (size_t i = 0; st == AT_OK && i < page->count; i++)
        st = fill_model(page, i, &parts[i], &models[i]);
    char pick[32] = "all";
    if (page->look.layer >= 0 && page->look.head >= 0)
        snprintf(pick, sizeof pick, "%d.%d", page->look.layer, page->look.head);
    else if (page->look.layer >= 0)
        snprintf(pick, sizeof pick, "%d", page->look.layer);
    at_buf out = {0};
    at_page request = {.models = models, .model_count = page->count, .pick = pick};
    for (size_t i = 0; i < page->count; i++)
        if (parts[i].bundle && parts[i].bundle->label)
            request.caption = AT_CLI_CLASS_CAVEAT;
    if (st == AT_OK)
        st = at_cli_save(at_page_html(&request, &out), &out, page->path);
    for (size_t i = 0; i < page->count; i++)
        release(&parts[i]);
    return st;
}
