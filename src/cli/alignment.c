#include "cli/alignment.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/memory.h"

int at_cli_pick(const at_cli_spec *spec, const char *flag, const char *text, int *value)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (strcmp(text, "own") == 0)
        *value = AT_OWN;
    else if (strcmp(text, "mean") == 0)
        *value = AT_MEAN;
    else if (end != text && !*end && number >= -1 && number <= 65535)
        *value = (int)number;
    else
        return at_cli_wrong(spec, "--%s: want own, mean or a number from 0, got '%s'", flag, text);
    return AT_CLI_GO;
}

at_alignment at_alignment_of(const at_translation *t)
{
    return (at_alignment){.line = t->line,
                          .source_words = t->source_words,
                          .target_words = t->target_words,
                          .source_count = t->source_count,
                          .target_count = t->target_count,
                          .weights = t->weights};
}

at_status at_alignment_moses(const at_alignment *a, at_buf *out)
{
    size_t *link = at_alloc_array(a->target_count + 1, sizeof *link);
    if (!link)
        return AT_ENOMEM;
    at_alignment_links(a, link);
    const char *space = "";
    for (size_t i = 0; i < a->target_count; i++) {
        if (link[i] == SIZE_MAX)
            continue;
        at_buf_printf(out, "%s%zu-%zu", space, link[i], i);
        space = " ";
    }
    at_free(link);
    return AT_OK;
}

void at_alignment_soft(const at_alignment *a, at_buf *out)
{
    for (size_t i = 0; i < a->target_count; i++) {
        for (size_t j = 0; j < a->source_count; j++)
            at_buf_printf(out, "%s%.4g", j ? "," : (i ? " " : ""),
                          (double)a->weights[i * a->source_count + j]);
    }
}

static json_t *words_json(const char *const *words, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_string(words[i]));
    return array;
}

static double rounded(double value, double places)
{
    return round(value * places) / places;
}

void at_alignment_put(const at_alignment *a, json_t *object)
{
    json_object_set_new(object, "source", words_json(a->source_words, a->source_count));
    json_object_set_new(object, "target", words_json(a->target_words, a->target_count));
    json_t *rows = json_array();
    for (size_t i = 0; i < a->target_count; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < a->source_count; j++)
            json_array_append_new(row, json_real(rounded((double)a->weights[i * a->source_count + j], 1e6)));
        json_array_append_new(rows, row);
    }
    json_object_set_new(object, "weights", rows);
}

json_t *at_alignment_json(const at_alignment *a)
{
    json_t *object = json_pack("{s:I}", "line", (json_int_t)a->line), *links = json_array();
    size_t *link = at_alloc_array(a->target_count + 1, sizeof *link);
    if (!object || !links || !link) {
        json_decref(object);
        json_decref(links);
        at_free(link);
        return NULL;
    }
    at_alignment_links(a, link);
    for (size_t i = 0; i < a->target_count; i++) {
        if (link[i] != SIZE_MAX)
            json_array_append_new(links, json_pack("[I,I]", (json_int_t)link[i], (json_int_t)i));
    }
    at_free(link);
    json_object_set_new(object, "links", links);
    if (a->too_long)
        json_object_set_new(object, "too_long", json_true());
    at_alignment_put(a, object);
    return object;
}

json_t *at_translation_json(const at_translation *t, bool align)
{
    json_t *object =
        json_pack("{s:I,s:i,s:s,s:f,s:f}", "line", (json_int_t)t->line, "rank", t->rank, "text", t->text,
                  "score", rounded(t->score, 1e6), "log_probability", rounded(t->log_probability, 1e6));
    at_alignment a = at_alignment_of(t);
    if (object && align)
        at_alignment_put(&a, object);
    return object;
}
