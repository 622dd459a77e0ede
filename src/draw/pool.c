/* Matrices of thousands of words made small enough to be drawn: neighbours share a row or a column. */
#include <string.h>
#include "base/memory.h"
#include "draw/internal.h"
#include "draw/words.h"

enum { LABEL_COLUMNS = 12 }; /* of the first and of the last word of a group */

/* "first … last" for each `step` words; returns how many there are. */
static at_status name_groups(const char *const *words, size_t count, size_t step, const char ***names,
                             at_buf *text)
{
    size_t groups = (count + step - 1) / step;
    *names = at_alloc_array(groups, sizeof **names);
    size_t *starts = at_alloc_array(groups, sizeof *starts);
    for (size_t g = 0; *names && starts && g < groups; g++) {
        size_t last = (g + 1) * step < count ? (g + 1) * step - 1 : count - 1;
        starts[g] = text->length;
        at_draw_cut(words[g * step], LABEL_COLUMNS, text);
        if (last > g * step) {
            at_buf_text(text, " … ");
            at_draw_cut(words[last], LABEL_COLUMNS, text);
        }
        at_buf_bytes(text, "", 1);
    }
    bool ok = *names && starts && !text->failed;
    for (size_t g = 0; ok && g < groups; g++)
        (*names)[g] = text->data + starts[g];
    at_free(starts);
    return ok ? AT_OK : AT_ENOMEM;
}

/* Columns of a group are summed, its rows averaged: rows go on summing to 1. */
static void join(const at_matrix *m, size_t rows_of, size_t columns_of, float *out, size_t columns)
{
    for (size_t t = 0; t < m->target_count; t++) {
        size_t first = t / rows_of * rows_of,
               mates = m->target_count - first < rows_of ? m->target_count - first : rows_of;
        float *to = out + t / rows_of * columns;
        for (size_t s = 0; s < m->source_count; s++)
            to[s / columns_of] += m->weights[t * m->source_count + s] / (float)mates;
    }
}

static size_t group_size(size_t count, size_t most)
{
    return (count + most - 1) / most;
}

at_status at_matrix_pool(const at_matrix *m, at_pooled *out)
{
    *out = (at_pooled){.matrix = *m};
    at_status st = at_matrix_check(m);
    size_t rows_of = group_size(m->target_count, AT_POOL_MOST),
           columns_of = group_size(m->source_count, AT_POOL_MOST);
    if (st != AT_OK || (rows_of <= 1 && columns_of <= 1))
        return st;
    at_matrix *p = &out->matrix;
    p->target_count = group_size(m->target_count, rows_of);
    p->source_count = group_size(m->source_count, columns_of);
    st = name_groups(m->targets, m->target_count, rows_of, &out->targets, &out->target_text);
    if (st == AT_OK)
        st = name_groups(m->sources, m->source_count, columns_of, &out->sources, &out->source_text);
    out->weights =
        st == AT_OK ? at_alloc_zero(p->target_count * p->source_count, sizeof *out->weights) : NULL;
    at_buf_printf(&out->caption,
                  "Drawn in groups: a row is the mean of up to %zu words, a column the sum of up to %zu. %s",
                  rows_of, columns_of, m->caption ? m->caption : AT_DRAW_CAVEAT);
    if (!out->weights || out->caption.failed) {
        at_pooled_free(out);
        return AT_ENOMEM;
    }
    join(m, rows_of, columns_of, out->weights, p->source_count);
    p->targets = out->targets;
    p->sources = out->sources;
    p->weights = out->weights;
    p->caption = out->caption.data;
    return AT_OK;
}

void at_pooled_free(at_pooled *pooled)
{
    at_free(pooled->targets);
    at_free(pooled->sources);
    at_free(pooled->weights);
    at_buf_free(&pooled->target_text);
    at_buf_free(&pooled->source_text);
    at_buf_free(&pooled->caption);
    *pooled = (at_pooled){0};
}
