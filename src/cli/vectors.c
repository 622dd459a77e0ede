#include "cli/vectors.h"
#include <string.h>
#include "base/memory.h"

static at_status add(at_vectors *v, const at_vector *from)
{
    if (!v->width)
        v->width = from->width;
    size_t d = v->width;
    at_status st = at_grow(&v->values, &v->value_capacity, (v->count + 1) * d + 1, sizeof *v->values);
    if (st == AT_OK)
        st = at_grow(&v->line, &v->line_capacity, v->count + 1, sizeof *v->line);
    if (st == AT_OK)
        st = at_grow(&v->word, &v->word_capacity, v->count + 1, sizeof *v->word);
    char *word = st == AT_OK && from->word ? at_strdup(from->word) : NULL;
    if (st != AT_OK || (from->word && !word))
        return AT_ENOMEM;
    if (from->width)
        memcpy(v->values + v->count * d, from->values, d * sizeof *v->values);
    else
        memset(v->values + v->count * d, 0, d * sizeof *v->values);
    v->line[v->count] = from->line;
    v->word[v->count] = word;
    v->count++;
    v->cut += from->cut;
    return AT_OK;
}

static bool keep(void *context, const at_vector *vector)
{
    at_vectors *v = context;
    v->status = add(v, vector);
    return v->status == AT_OK;
}

at_status at_vectors_read(at_vectors *v, at_embedder *embedder, const char *const *lines, size_t count,
                          const at_embed_options *how)
{
    at_status st = at_embed_lines(embedder, lines, count, how, keep, v);
    return st == AT_ECANCEL ? v->status : st;
}

double at_vectors_cosine(const at_vectors *a, size_t i, const at_vectors *b, size_t j)
{
    double sum = 0;
    for (size_t k = 0; k < a->width && k < b->width; k++)
        sum += (double)a->values[i * a->width + k] * (double)b->values[j * b->width + k];
    return sum;
}

size_t at_vectors_nearest(const at_vectors *a, size_t i, const at_vectors *b, size_t self, size_t most,
                          size_t *nearest)
{
    size_t kept = 0;
    for (size_t j = 0; j < b->count; j++) {
        if (j == self)
            continue;
        double cosine = at_vectors_cosine(a, i, b, j);
        size_t at = kept;
        for (; at > 0 && at_vectors_cosine(a, i, b, nearest[at - 1]) < cosine; at--)
            if (at < most)
                nearest[at] = nearest[at - 1];
        if (at < most) {
            nearest[at] = j;
            kept += kept < most;
        }
    }
    return kept;
}

void at_vectors_free(at_vectors *v)
{
    for (size_t i = 0; i < v->count; i++)
        at_free(v->word[i]);
    at_free(v->word);
    at_free(v->values);
    at_free(v->line);
    *v = (at_vectors){0};
}
