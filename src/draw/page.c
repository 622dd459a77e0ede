/* The page: a frame, the numbers as JSON, and page.css and page.js as they are. */
#include "draw/page.h"
#include <math.h>
#include "draw/internal.h"
#include "draw/matrix.h"
#include "draw/words.h"

enum { WORDS_MOST = 65535, ENTRIES = 3000000 };

static const char *kind_name(at_page_kind kind)
{
    static const char *const names[] = {[AT_PAGE_CROSS] = "cross",
                                        [AT_PAGE_ENCODER] = "encoder",
                                        [AT_PAGE_DECODER] = "decoder",
                                        [AT_PAGE_CLASS] = "class"};
    return names[kind];
}

static at_status check_sheet(const at_page_sheet *s)
{
    if (s->row_count > WORDS_MOST || s->column_count > WORDS_MOST)
        return at_fail(AT_EARG, "page: %zu words looking at %zu; at most %d", s->row_count, s->column_count,
                       WORDS_MOST);
    if (s->map_count == 0)
        return at_fail(AT_EARG, "page: %s attention without any layer", kind_name(s->kind));
    for (size_t i = 0; i < s->map_count; i++) {
        at_matrix m = {
            .target_count = s->row_count, .source_count = s->column_count, .weights = s->maps[i].weights};
        at_status st = at_matrix_check(&m);
        if (st != AT_OK)
            return st;
    }
    return AT_OK;
}

/* Also counts the rows of all maps, among which the entries are shared out. */
static at_status check(const at_page *page, size_t *rows)
{
    *rows = 0;
    if (page->model_count < 1 || page->model_count > AT_PAGE_MODELS)
        return at_fail(AT_EARG, "page: %zu models; want 1 to %d", page->model_count, AT_PAGE_MODELS);
    for (size_t m = 0; m < page->model_count; m++) {
        const at_page_model *model = &page->models[m];
        if (model->sheet_count == 0)
            return at_fail(AT_EARG, "page: model %zu shows no attention", m);
        for (size_t i = 0; i < model->sheet_count; i++) {
            at_status st = check_sheet(&model->sheets[i]);
            if (st != AT_OK)
                return st;
            *rows += model->sheets[i].row_count * model->sheets[i].map_count;
        }
    }
    return AT_OK;
}

/* Bits, the mean over the rows that look at anything: 0 when each looks at one word only. */
static double entropy(const at_page_sheet *s, const float *weights)
{
    double sum = 0.0;
    size_t seeing = 0;
    for (size_t r = 0; r < s->row_count; r++) {
        double bits = 0.0, total = 0.0;
        for (size_t c = 0; c < s->column_count; c++) {
            double w = (double)weights[r * s->column_count + c];
            total += w;
            bits -= w > 0.0 ? w * log2(w) : 0.0;
        }
        seeing += total > 0.0;
        sum += fmax(bits, 0.0);
    }
    return seeing ? sum / (double)seeing : 0.0;
}

static void put_key(const char *key, const char *text, at_buf *out)
{
    at_buf_printf(out, "\"%s\":", key);
    at_draw_json(text, out);
    at_buf_char(out, ',');
}

static void put_words(const char *key, const char *const *words, size_t count, at_buf *out)
{
    at_buf_printf(out, "\"%s\":[", key);
    for (size_t i = 0; i < count; i++) {
        at_buf_text(out, i ? "," : "");
        at_draw_json(words[i], out);
    }
    at_buf_text(out, "],");
}

static void put_sheet(const at_page_sheet *s, size_t most, at_buf *out)
{
    at_buf_char(out, '{');
    put_key("kind", kind_name(s->kind), out);
    put_words("rows", s->rows, s->row_count, out);
    put_words("columns", s->columns, s->column_count, out);
    at_buf_text(out, "\"maps\":[");
    for (size_t i = 0; i < s->map_count; i++) {
        const at_page_map *map = &s->maps[i];
        at_buf_text(out, i ? ",\n{" : "\n{");
        if (map->label)
            put_key("label", map->label, out);
        else
            at_buf_printf(out, "\"layer\":%d,\"head\":%d,", map->layer, map->head);
        at_buf_printf(out, "\"entropy\":%.3f,\"data\":\"", entropy(s, map->weights));
        at_draw_pack(map->weights, s->row_count, s->column_count, most, out);
        at_buf_text(out, "\"}");
    }
    at_buf_text(out, "]}");
}

static void put_model(const at_page_model *m, size_t most, at_buf *out)
{
    at_buf_char(out, '{');
    put_key("name", m->name, out);
    put_key("source", m->source, out);
    if (m->target)
        put_key("target", m->target, out);
    at_buf_text(out, "\"sheets\":[");
    for (size_t i = 0; i < m->sheet_count; i++) {
        at_buf_text(out, i ? "," : "");
        put_sheet(&m->sheets[i], most, out);
    }
    at_buf_text(out, "]}");
}

void at_draw_page_head(const char *title, const char *also, const char *style, at_buf *out)
{
    at_buf_text(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                     "style-src 'unsafe-inline'; script-src 'unsafe-inline'");
    at_buf_printf(out, "%s%s", also ? "; " : "", also ? also : "");
    at_buf_text(out, "\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    at_draw_escape(title, out);
    at_buf_text(out, "</title>\n<style>\n");
    at_buf_text(out, style);
    at_buf_text(out, "</style>\n</head>\n<body>\n");
}

at_status at_page_html(const at_page *page, at_buf *out)
{
    size_t rows, begin = out->length;
    at_status st = check(page, &rows);
    if (st != AT_OK)
        return st;
    size_t most = (page->entries ? page->entries : ENTRIES) / rows;
    const char *title = page->title ? page->title : "Attention";
    at_draw_page_head(title, NULL, at_draw_page_css, out);
    at_buf_text(out, "<noscript>This page draws with JavaScript, which is off here; "
                     "attend show --svg makes a picture without.</noscript>\n"
                     "<script type=\"application/json\" id=\"data\">{");
    put_key("title", title, out);
    put_key("caption", page->caption ? page->caption : AT_DRAW_CAVEAT, out);
    if (page->pick)
        put_key("pick", page->pick, out);
    at_buf_text(out, "\"models\":[");
    for (size_t i = 0; i < page->model_count; i++) {
        at_buf_text(out, i ? "," : "");
        put_model(&page->models[i], most ? most : 1, out);
    }
    at_buf_text(out, "]}</script>\n<script>\n");
    at_buf_text(out, at_draw_page_js);
    at_buf_text(out, "</script>\n</body>\n</html>\n");
    st = at_buf_status(out);
    if (st != AT_OK)
        out->length = begin;
    return st;
}
