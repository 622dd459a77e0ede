#include "cli/alignment.h"
#include <math.h>

void at_alignment_moses(const at_translation *t, at_buf *out)
{
    for (size_t i = 0; i < t->target_count; i++) {
        const float *row = t->weights + i * t->source_count;
        size_t best = 0;
        for (size_t j = 1; j + 1 < t->source_count; j++)
            best = row[j] > row[best] ? j : best;
        at_buf_printf(out, "%s%zu-%zu", i ? " " : "", best, i);
    }
}

void at_alignment_soft(const at_translation *t, at_buf *out)
{
    for (size_t i = 0; i < t->target_count; i++) {
        for (size_t j = 0; j < t->source_count; j++)
            at_buf_printf(out, "%s%.4g", j ? "," : (i ? " " : ""),
                          (double)t->weights[i * t->source_count + j]);
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

json_t *at_translation_json(const at_translation *t, bool align)
{
    json_t *object =
        json_pack("{s:I,s:i,s:s,s:f,s:f}", "line", (json_int_t)t->line, "rank", t->rank, "text", t->text,
                  "score", rounded(t->score, 1e6), "log_probability", rounded(t->log_probability, 1e6));
    if (!object || !align)
        return object;
    json_object_set_new(object, "source", words_json(t->source_words, t->source_count));
    json_object_set_new(object, "target", words_json(t->target_words, t->target_count));
    json_t *rows = json_array();
    for (size_t i = 0; i < t->target_count; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < t->source_count; j++)
            json_array_append_new(row, json_real(rounded((double)t->weights[i * t->source_count + j], 1e6)));
        json_array_append_new(rows, row);
    }
    json_object_set_new(object, "weights", rows);
    return object;
}
