/* cli/vectors.h - the vectors of many lines held at once: what embed and eval compare.
 *
 * Owns    Copies of vectors and words; at_vectors_free. Zero-initialise.
 * Errors  Those of at_embed_lines.
 *
 *     at_vectors v = {0};
 *     at_status st = at_vectors_read(&v, embedder, lines, count, &how);
 *     double cosine = at_vectors_cosine(&v, i, &v, j);
 *     at_vectors_free(&v);
 */
#ifndef AT_CLI_VECTORS_H
#define AT_CLI_VECTORS_H
#include "attend.h"

typedef struct at_vectors {
    size_t count, width, cut; /* cut: of lines that were too long */
    float *values;            /* (count,width), of length 1; an empty line's are zeros */
    size_t *line;             /* (count) */
    char **word;              /* (count) NULL without `words` */
    size_t value_capacity, line_capacity, word_capacity;
    at_status status;
} at_vectors;

/* Adds the vectors of these lines. */
at_status at_vectors_read(at_vectors *v, at_embedder *embedder, const char *const *lines, size_t count,
                          const at_embed_options *how);
double at_vectors_cosine(const at_vectors *a, size_t i, const at_vectors *b, size_t j);
/* The `most` vectors of b nearest to vector i of a, nearest first, without `self` (SIZE_MAX: all take part).
 * How many there are. */
size_t at_vectors_nearest(const at_vectors *a, size_t i, const at_vectors *b, size_t self, size_t most,
                          size_t *nearest);
void at_vectors_free(at_vectors *v);
#endif
