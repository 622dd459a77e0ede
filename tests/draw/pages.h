/* tests/draw/pages.h - made-up attention of any size, for the tests of pages.
 *
 * Role    Words of many scripts; heads that look at the word before, at the same place, at the first
 *         word, and nowhere in particular; causal for the decoder.
 * Owns    pages_free frees what pages_make made.
 *
 *     pages p;
 *     pages_make(&p, &(pages_spec){.rows = 30, .columns = 30, .layers = 4, .heads = 4, .models = 1});
 *     check_ok(at_page_html(&p.page, &out));
 *     pages_free(&p);
 */
#ifndef AT_TESTS_DRAW_PAGES_H
#define AT_TESTS_DRAW_PAGES_H
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/memory.h"
#include "base/rng.h"
#include "draw/page.h"
#include "tests/check.h"

enum { PAGES_MAPS = 32, PAGES_SHEETS = 3 };

typedef struct pages_spec {
    size_t rows, columns;
    int layers, heads;
    size_t models;
    bool cross_only;
} pages_spec;

typedef struct pages {
    at_page page;
    at_page_model model[AT_PAGE_MODELS];
    at_page_sheet sheet[PAGES_SHEETS];
    at_page_map map[PAGES_SHEETS][PAGES_MAPS + 1];
    const char **target, **source;
    float *weights[PAGES_SHEETS][PAGES_MAPS + 1];
} pages;

static const char *const pages_source[] = {"The",
                                           "Law",
                                           "will",
                                           "be",
                                           "perfect",
                                           ",",
                                           "but",
                                           "its",
                                           "application",
                                           "should",
                                           "be",
                                           "just",
                                           "-",
                                           "this",
                                           "is",
                                           "what",
                                           "we",
                                           "are",
                                           "missing",
                                           ",",
                                           "in",
                                           "my",
                                           "<b>&\"opinion\"</script>",
                                           "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk",
                                           "كتاب",
                                           "שלום",
                                           "हिन्दी",
                                           "한국어",
                                           "\x1b[31m",
                                           "."};
static const char *const pages_target[] = {"法律", "会",   "是",   "完美",       "的",
                                           "，",   "但",   "它的", "应用",       "应该",
                                           "公正", "——",   "这",   "就是",       "我们",
                                           "所",   "缺少", "的",   "，",         "在",
                                           "我",   "看",   "来",   "如此",       "👩‍👩‍👧",
                                           "",     "ä̈",    "\xff", "\"quoted\"", "。"};
enum { PAGES_WORDS = sizeof pages_source / sizeof pages_source[0] };

/* A head of the kinds 0 … 3 over row r: its score of column c. */
static double pages_score(int head, size_t r, size_t c, at_rng *rng)
{
    double noise = 2.0 * (double)at_rng_uniform(rng);
    switch (head % 4) {
    case 0:
        return c == r ? 5.0 + noise : noise;
    case 1:
        return c + 1 == r ? 6.0 : noise;
    case 2:
        return c == 0 ? 4.0 + noise : noise;
    default:
        return 0.5 * noise;
    }
}

static float *pages_weights(const at_page_sheet *s, int head, at_rng *rng)
{
    float *w = at_alloc_array(s->row_count * s->column_count, sizeof *w);
    assert_non_null(w);
    for (size_t r = 0; r < s->row_count; r++) {
        float *row = w + r * s->column_count;
        double sum = 0.0;
        for (size_t c = 0; c < s->column_count; c++) {
            bool masked = s->kind == AT_PAGE_DECODER && c > r;
            row[c] = masked ? 0.0f : (float)exp(pages_score(head, r, c, rng));
            sum += (double)row[c];
        }
        for (size_t c = 0; c < s->column_count; c++)
            row[c] = (float)((double)row[c] / sum);
    }
    return w;
}

static void pages_make(pages *p, const pages_spec *spec)
{
    static const at_page_kind kinds[] = {AT_PAGE_CROSS, AT_PAGE_ENCODER, AT_PAGE_DECODER};
    *p = (pages){0};
    at_rng rng = at_rng_make(5, AT_RNG_TEST);
    p->target = at_alloc_array(spec->rows, sizeof *p->target);
    p->source = at_alloc_array(spec->columns, sizeof *p->source);
    assert_true(p->target && p->source && spec->layers * spec->heads <= PAGES_MAPS);
    for (size_t i = 0; i < spec->rows; i++)
        p->target[i] = pages_target[i % PAGES_WORDS];
    for (size_t i = 0; i < spec->columns; i++)
        p->source[i] = pages_source[i % PAGES_WORDS];
    size_t sheets = spec->cross_only ? 1 : PAGES_SHEETS;
    for (size_t k = 0; k < sheets; k++) {
        bool from_source = kinds[k] == AT_PAGE_ENCODER, to_source = kinds[k] != AT_PAGE_DECODER;
        at_page_sheet *s = &p->sheet[k];
        *s = (at_page_sheet){.kind = kinds[k],
                             .rows = from_source ? p->source : p->target,
                             .columns = to_source ? p->source : p->target,
                             .row_count = from_source ? spec->columns : spec->rows,
                             .column_count = to_source ? spec->columns : spec->rows,
                             .maps = p->map[k]};
        for (int i = 0; i < spec->layers * spec->heads; i++) {
            p->weights[k][i] = pages_weights(s, i, &rng);
            p->map[k][i] = (at_page_map){NULL, i / spec->heads, i % spec->heads, p->weights[k][i]};
        }
        s->map_count = (size_t)(spec->layers * spec->heads);
        if (kinds[k] == AT_PAGE_ENCODER) /* one that is no head */
            p->map[k][s->map_count++] =
                (at_page_map){"rollout over all layers (Abnar & Zuidema 2020)", 0, 0, p->weights[k][0]};
    }
    static const char *const names[] = {"models/transformer", "models/gru"};
    for (size_t i = 0; i < spec->models; i++)
        p->model[i] =
            (at_page_model){names[i], "The Law will be perfect, but its application should be just.",
                            "法律会是完美的，但它的应用应该公正。", p->sheet, sheets};
    p->page =
        (at_page){.title = "Attention: <made> & \"up\"", .models = p->model, .model_count = spec->models};
}

static void pages_free(pages *p)
{
    for (size_t k = 0; k < PAGES_SHEETS; k++)
        for (size_t i = 0; i <= PAGES_MAPS; i++)
            at_free(p->weights[k][i]);
    at_free(p->target);
    at_free(p->source);
}
#endif
