#include "cli/classify_pictures.h"
#include <stdio.h>
#include <string.h>
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/output.h"
#include "cli/pictures.h"
#include "task/classifier.h"

enum { AT_ONCE = 16 }; /* batches between two writes */

typedef struct printer {
    const at_classify_request *r;
    const at_picture_set *set;
    const uint32_t *index; /* which of it are in this call */
    const char *idx;       /* the IDX file that they lie in, or NULL */
    const char *const *labels;
    size_t label_count, *order;
    size_t read, broken;
    at_buf out, name; /* of a picture of an IDX file */
    at_status status;
    char message[400]; /* of a broken file that ends it */
} printer;

size_t at_cli_rank(const float *probabilities, size_t count, size_t top, size_t *order)
{
    size_t kept = 0;
    top = top < count ? top : count;
    for (size_t i = 0; i < count; i++) {
        size_t at = kept;
        for (; at > 0 && probabilities[order[at - 1]] < probabilities[i]; at--)
            if (at < top)
                order[at] = order[at - 1];
        if (at < top) {
            order[at] = i;
            kept += kept < top;
        }
    }
    return kept;
}

/* RFC 4180: in quotes where it must be. */
static void put_csv(at_buf *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        at_buf_text(out, text);
        return;
    }
    at_buf_char(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            at_buf_char(out, '"');
        at_buf_char(out, *text);
    }
    at_buf_char(out, '"');
}

static void put_json(printer *p, const char *path, const at_classification *c, size_t count)
{
    json_t *o = json_pack("{s:s}", "path", path), *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:f}", "label", p->labels[p->order[i]], "probability",
                                              (double)c->probabilities[p->order[i]]));
    if (c->error)
        json_object_set_new(o, "error", json_string(c->error));
    json_object_set_new(o, "labels", list);
    at_cli_put_json(&p->out, o, JSON_COMPACT | JSON_REAL_PRECISION(7));
}

/* FILE:NUMBER for a picture of an IDX file. */
static const char *name_of(printer *p, size_t i)
{
    if (!p->idx)
        return p->set->path[p->index[i]];
    at_buf_clear(&p->name);
    at_buf_printf(&p->name, "%s:%u", p->idx, p->index[i]);
    return at_buf_status(&p->name) == AT_OK ? p->name.data : p->idx;
}

static bool print(void *context, const at_classification *c)
{
    printer *p = context;
    const char *path = name_of(p, c->line);
    p->read++;
    if (c->error) {
        p->broken++;
        if (p->r->strict) {
            snprintf(p->message, sizeof p->message, "%s", c->error);
            p->status = AT_EFORMAT;
            return false;
        }
        at_cli_note(p->r->spec, "left out: %s", c->error);
    }
    size_t count = c->probabilities ? at_cli_rank(c->probabilities, p->label_count, p->r->top, p->order) : 0;
    if (p->r->json)
        put_json(p, path, c, count);
    else if (!c->error) {
        (p->r->csv ? put_csv : at_buf_text)(&p->out, path);
        for (size_t i = 0; i < count; i++) {
            at_buf_char(&p->out, p->r->csv ? ',' : '\t');
            (p->r->csv ? put_csv : at_buf_text)(&p->out, p->labels[p->order[i]]);
            at_buf_printf(&p->out, "%c%.4f", p->r->csv ? ',' : '\t', (double)c->probabilities[p->order[i]]);
        }
        at_buf_char(&p->out, '\n');
    }
    p->status = at_buf_status(&p->out);
    return p->status == AT_OK;
}

/* Some of a set's pictures; idx: the IDX file that they lie in, or NULL. */
static at_status classify_set(at_classifier *classifier, printer *p, const at_picture_set *set,
                              at_cli_pictures these, const char *idx)
{
    at_classify_options how = AT_CLASSIFY_DEFAULTS;
    how.batch = p->r->batch;
    how.max_pixels = p->r->max_pixels;
    size_t step = AT_ONCE * (size_t)how.batch;
    uint32_t *index = at_alloc_array(step, sizeof *index);
    at_status st = index ? AT_OK : AT_ENOMEM;
    p->set = set;
    p->idx = idx;
    p->index = index;
    for (size_t at = 0; st == AT_OK && at < these.count; at += step) {
        size_t count = these.count - at < step ? these.count - at : step;
        for (size_t i = 0; i < count; i++)
            index[i] = (uint32_t)(these.first + at + i);
        st = at_classify_set(classifier, set, index, count, &how, print, p);
        if (st == AT_ECANCEL) /* print stops for an error of its own */
            st = p->message[0] ? at_fail(p->status, "%s", p->message) : at_buf_status(&p->out);
        if (st == AT_OK)
            st = at_cli_print(&p->out);
        at_buf_clear(&p->out);
    }
    p->set = NULL; /* both end here */
    p->index = NULL;
    at_free(index);
    return st;
}

static at_status classify_lines(at_classifier *classifier, printer *p)
{
    at_cli_lines in;
    at_status st;
    at_cli_lines_open(&in, NULL, 0);
    while ((st = at_cli_lines_next(&in, AT_ONCE * (size_t)p->r->batch)) == AT_OK && in.count > 0) {
        at_picture_set set = {0};
        for (size_t i = 0; st == AT_OK && i < in.count; i++)
            st = in.list[i][0] ? at_picture_set_add(in.list[i], &set) : AT_OK;
        if (st == AT_OK)
            st = classify_set(classifier, p, &set, (at_cli_pictures){0, set.count}, NULL);
        at_picture_set_free(&set);
        if (st != AT_OK)
            break;
    }
    at_cli_lines_close(&in);
    return st;
}

static at_status classify_words(at_classifier *classifier, printer *p)
{
    const at_cli_words *w = p->r->words;
    at_status st = AT_OK;
    if (w->count == 0)
        return classify_lines(classifier, p);
    for (int i = 0; st == AT_OK && i < w->count; i++) {
        at_picture_set set = {0};
        if (!strcmp(w->list[i], "-")) {
            st = classify_lines(classifier, p);
            continue;
        }
        at_cli_pictures these;
        st = at_cli_open_pictures(w->list[i], &set, &these);
        char *idx = st == AT_OK && set.idx.bytes ? at_cli_pictures_file(w->list[i]) : NULL;
        if (st == AT_OK && set.idx.bytes && !idx)
            st = AT_ENOMEM;
        if (st == AT_OK)
            st = classify_set(classifier, p, &set, these, idx);
        at_free(idx);
        at_picture_set_free(&set);
    }
    return st;
}

static void put_head(printer *p)
{
    size_t top = p->r->top < p->label_count ? p->r->top : p->label_count;
    at_buf_text(&p->out, "path");
    for (size_t i = 1; i <= top; i++)
        at_buf_printf(&p->out, ",label%zu,probability%zu", i, i);
    at_buf_char(&p->out, '\n');
}

at_status at_cli_classify_pictures(at_classifier *classifier, const at_classify_request *request)
{
    printer p = {.r = request, .status = AT_OK};
    p.labels = at_classifier_labels(classifier, &p.label_count);
    p.order = at_alloc_array(p.label_count + 1, sizeof *p.order);
    at_status st = p.order ? AT_OK : AT_ENOMEM;
    if (st == AT_OK && request->csv && !request->json)
        put_head(&p);
    if (st == AT_OK)
        st = classify_words(classifier, &p);
    if (st == AT_OK && p.broken && p.broken == p.read)
        st = at_fail(AT_EFORMAT, "none of %zu pictures could be read", p.read);
    else if (st == AT_OK && p.broken && !request->quiet)
        at_cli_note(request->spec, "%zu of %zu pictures could not be read", p.broken, p.read);
    at_free(p.order);
    at_buf_free(&p.name);
    at_buf_free(&p.out);
    return st;
}
