#include "text/preprocess.h"
#include <string.h>
#include "text/moses.h"
#include "text/utf8.h"

const at_field at_preprocess_fields[] = {
    {"moses", AT_FIELD_BOOL, offsetof(at_preprocess, moses), "false", 0, 0, NULL,
     "Moses tokens before pieces"},
    {"lowercase", AT_FIELD_BOOL, offsetof(at_preprocess, lowercase), "false", 0, 0, NULL, "lower case first"},
    {"keep", AT_FIELD_BOOL, offsetof(at_preprocess, keep), "false", 0, 0, NULL,
     "output stays in Moses tokens"},
    {"source", AT_FIELD_TEXT, offsetof(at_preprocess, source), NULL, 0, 0, NULL,
     "source language, as in \"en\""},
    {"target", AT_FIELD_TEXT, offsetof(at_preprocess, target), NULL, 0, 0, NULL, "target language"},
    {0}};

at_status at_preprocess_read(at_preprocess *preprocess, const json_t *section)
{
    *preprocess = (at_preprocess){0};
    if (!section)
        return AT_OK;
    at_status st = at_fields_read(at_preprocess_fields, preprocess, section, NULL);
    if (st != AT_OK)
        at_preprocess_free(preprocess);
    return st == AT_OK ? st : at_fail_within(st, "preprocess");
}

void at_preprocess_free(at_preprocess *preprocess)
{
    at_fields_free(at_preprocess_fields, preprocess);
    *preprocess = (at_preprocess){0};
}

bool at_preprocess_any(const at_preprocess *preprocess)
{
    return preprocess->moses || preprocess->lowercase;
}

static const char *language(const at_preprocess *p, bool source)
{
    const char *name = source ? p->source : p->target;
    return name ? name : "en";
}

at_status at_preprocess_apply(const at_preprocess *p, bool source, const char *line, at_buf *out)
{
    at_buf lower = {0};
    if (p->lowercase) {
        at_utf8_lower(line, strlen(line), &lower);
        line = lower.data ? lower.data : "";
    }
    at_status st = at_buf_status(&lower);
    if (st == AT_OK && p->moses)
        st = at_moses_tokenize(language(p, source), line, out);
    else if (st == AT_OK)
        at_buf_text(out, line);
    at_buf_free(&lower);
    return st == AT_OK ? at_buf_status(out) : st;
}

at_status at_preprocess_undo(const at_preprocess *p, const char *line, at_buf *out)
{
    if (p->moses && !p->keep)
        return at_moses_detokenize(language(p, false), line, out);
    at_buf_text(out, line);
    return at_buf_status(out);
}
