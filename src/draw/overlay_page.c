/* The page of a picture: the photo, the numbers as JSON, and photo/ as it is. */
#include <math.h>
#include "base/memory.h"
#include "draw/internal.h"
#include "draw/overlay.h"
#include "draw/words.h"

enum { PHOTO_SIDE = 768 };

static size_t tokens_of(const at_overlay_page *page)
{
    return page->down * page->across + page->class_token;
}

static at_status check_weights(const float *weights, size_t tokens, const char *what)
{
    at_matrix m = {.target_count = tokens, .source_count = tokens, .weights = weights};
    at_status st = at_matrix_check(&m);
    return st == AT_OK ? AT_OK : at_fail_within(st, "%s", what);
}

static at_status check(const at_overlay_page *page)
{
    float none = 0.0f;
    at_overlay one = {
        .photo = page->photo, .down = 1, .across = 1, .weights = &none, .query = AT_OVERLAY_CLASS};
    at_status st = at_overlay_check(&one);
    size_t patches;
    if (st != AT_OK)
        return st;
    if (!page->map_count || !at_mul_ok(page->down, page->across, &patches) || !patches)
        return at_fail(AT_EARG, "page of a picture: no patches, or no layer that looks at them");
    if (patches > AT_OVERLAY_PATCHES)
        return at_fail(AT_EARG, "page of a picture: %zu x %zu patches; at most %d are drawn", page->across,
                       page->down, AT_OVERLAY_PATCHES);
    if (page->query != AT_OVERLAY_CLASS && (page->query < 0 || (size_t)page->query >= patches))
        return at_fail(AT_EARG, "page of a picture: patch %ld; there are %zu", page->query, patches);
    for (size_t i = 0; st == AT_OK && i < page->map_count; i++)
        st = check_weights(page->maps[i].weights, tokens_of(page), "page of a picture");
    for (size_t i = 0; st == AT_OK && page->pooling && i < tokens_of(page); i++)
        if (!isfinite(page->pooling[i]))
            st = at_fail(AT_ENUMBER, "page of a picture: pooling of token %zu is not finite", i);
    if (st == AT_OK && page->likeness)
        st = check_weights(page->likeness, tokens_of(page), "page of a picture: likeness");
    return st;
}

static void put_key(const char *key, const char *text, at_buf *out)
{
    at_buf_printf(out, "\"%s\":", key);
    at_draw_json(text, out);
    at_buf_char(out, ',');
}

static void put_data(const float *weights, size_t tokens, at_buf *out)
{
    at_buf_text(out, "\"data\":\"");
    at_draw_pack(weights, tokens, tokens, tokens, out);
    at_buf_text(out, "\"}");
}

static void put_maps(const at_overlay_page *page, at_buf *out)
{
    size_t tokens = tokens_of(page);
    at_buf_text(out, "\"maps\":[");
    for (size_t i = 0; i < page->map_count; i++) {
        const at_overlay_map *m = &page->maps[i];
        at_buf_text(out, i ? ",\n{" : "\n{");
        if (m->label)
            put_key("label", m->label, out);
        else
            at_buf_printf(out, "\"layer\":%d,\"head\":%d,", m->layer, m->head);
        put_data(m->weights, tokens, out);
    }
    at_buf_text(out, "],");
    if (page->likeness) {
        at_buf_text(out, "\n\"likeness\":{");
        put_data(page->likeness, tokens, out);
        at_buf_char(out, ',');
    }
}

static at_status put_numbers(const at_overlay_page *page, const char *title, at_buf *out)
{
    at_buf_text(out, "<script type=\"application/json\" id=\"data\">{");
    put_key("title", title, out);
    put_key("caption", page->caption ? page->caption : AT_OVERLAY_CAVEAT, out);
    at_buf_printf(out, "\"width\":%zu,\"height\":%zu,\"down\":%zu,\"across\":%zu,\"first\":%d,\"query\":%ld,",
                  page->photo->width, page->photo->height, page->down, page->across, page->class_token,
                  page->query);
    if (page->pooling && !page->class_token) {
        at_buf_text(out, "\"pooling\":[");
        for (size_t i = 0; i < tokens_of(page); i++)
            at_buf_printf(out, "%s%.6g", i ? "," : "", (double)page->pooling[i]);
        at_buf_text(out, "],");
    }
    at_buf_text(out, "\"answers\":[");
    for (size_t i = 0; i < page->answer_count; i++) {
        at_buf_text(out, i ? ",{" : "{");
        put_key("label", page->answers[i].label, out);
        at_buf_printf(out, "\"probability\":%.6f}", page->answers[i].probability);
    }
    at_buf_text(out, "],");
    put_maps(page, out);
    at_buf_text(out, "\n\"photo\":\"");
    at_status st = at_draw_photo(page->photo, PHOTO_SIDE, out);
    at_buf_text(out, "\"}</script>\n");
    return st;
}

at_status at_overlay_html(const at_overlay_page *page, at_buf *out)
{
    size_t begin = out->length;
    at_status st = check(page);
    if (st != AT_OK)
        return st;
    const char *title = page->title ? page->title : "Where the model looked";
    at_draw_page_head(title, "img-src data:", at_draw_photo_css, out);
    at_buf_text(out, "<noscript>This page draws with JavaScript, which is off here; "
                     "attend show --svg makes a picture without.</noscript>\n");
    st = put_numbers(page, title, out);
    at_buf_text(out, "<script>\n");
    at_buf_text(out, at_draw_photo_js);
    at_buf_text(out, "</script>\n</body>\n</html>\n");
    if (st == AT_OK)
        st = at_buf_status(out);
    if (st != AT_OK)
        out->length = begin;
    return st;
}
