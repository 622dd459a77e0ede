#include "eval/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The printed score, read back: JSON shows the same two digits as the line. */
static double round_as_printed(double score)
{
    char text[64];
    snprintf(text, sizeof text, "%.2f", score);
    return strtod(text, NULL);
}

static int add_pairs(json_t *object, const char *signature)
{
    int failed = 0;
    for (const char *pair = signature; *pair;) {
        size_t length = strcspn(pair, "|");
        const char *colon = memchr(pair, ':', length);
        char key[32];
        if (colon && (size_t)(colon - pair) < sizeof key) {
            memcpy(key, pair, (size_t)(colon - pair));
            key[colon - pair] = '\0';
            failed |= json_object_set_new(object, key,
                                          json_stringn(colon + 1, length - (size_t)(colon + 1 - pair)));
        }
        pair += length + (pair[length] == '|');
    }
    return failed;
}

void at_eval_print_refs(uint64_t min_refs, uint64_t max_refs, at_buf *out)
{
    if (min_refs == max_refs)
        at_buf_printf(out, "nrefs:%llu|", (unsigned long long)min_refs);
    else
        at_buf_text(out, "nrefs:var|");
}

json_t *at_eval_report_json(const at_eval_report *report)
{
    json_t *object = json_object();
    int failed = json_object_set_new(object, "name", json_string(report->name));
    failed |= json_object_set_new(object, "score", json_real(round_as_printed(report->score)));
    failed |= json_object_set_new(object, "signature", json_string(report->signature));
    if (report->verbose)
        failed |= json_object_set_new(object, "verbose_score", json_string(report->verbose));
    failed |= add_pairs(object, report->signature);
    if (failed) {
        json_decref(object);
        at_fail(AT_ENOMEM, "%s: no memory for the JSON object", report->name);
        return NULL;
    }
    return object;
}
