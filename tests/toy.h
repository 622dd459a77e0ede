/* tests/toy.h - a small model with a tape, gradients and ragged batches, for the tests of model and decode.
 *
 * Owns    toy_close frees everything of a toy. Batches point into the toy_batch.
 * Errors  Fails the cmocka test that calls it.
 *
 *     toy t;
 *     toy_open(&t, &(toy_spec){.kernels = "ref", .threads = 1, .options = "{\"norm\": \"pre\"}"});
 *     toy_batch b;
 *     toy_fill(&b, &t, 3, (const int[]){4, 1, 6}, (const int[]){2, 5, 1}, 7);
 *     double loss = toy_loss(&t, &b.batch, 0.1f, 3);
 *     toy_close(&t);
 */
#ifndef AT_TESTS_TOY_H
#define AT_TESTS_TOY_H
#include "model/model.h"
#include "tests/check.h"

enum { TOY_VOCABULARY = 11, TOY_ROWS = 512, TOY_SEQUENCES = 24 };

typedef struct toy {
    at_exec *exec;
    at_tape *tape;
    at_model *model;
    float *grads; /* (params.total), zeroed by toy_loss */
} toy;

typedef struct toy_spec {
    const char *kernels; /* NULL: the best */
    int threads;         /* 0: 1 */
    const char *family;  /* NULL: "transformer" */
    const char *options; /* JSON of the section "model" over a tiny default (2+2 layers, width 12, 3 heads,
                             * feed-forward 20, length 40, no dropout); NULL: none */
    int64_t vocabulary;  /* 0: TOY_VOCABULARY */
    int64_t labels;      /* classes of an "encoder" */
    uint64_t seed;
} toy_spec;

void toy_open(toy *t, const toy_spec *spec);
void toy_close(toy *t);

/* "decoder", "encoder": 2 layers, width 12, 3 heads, feed-forward 20, length 40. A decoder's batches have no
 * sources (toy_fill with sources NULL). */

typedef struct toy_batch {
    at_batch batch;
    int32_t source_offsets[TOY_SEQUENCES + 1], target_offsets[TOY_SEQUENCES + 1];
    int32_t source[TOY_ROWS], in[TOY_ROWS], out[TOY_ROWS];
    uint32_t examples[TOY_SEQUENCES];
} toy_batch;

/* `count` pairs of random ids; lengths count the end of sentence, 0 is an empty sequence. */
void toy_fill(toy_batch *b, const toy *t, size_t count, const int *sources, const int *targets,
              uint32_t stream);
/* Sequence `index` of `from` alone. */
void toy_single(toy_batch *b, const toy_batch *from, size_t index);

/* One training step without the optimiser: the loss (scaled by 1 / tokens), gradients in t->grads. */
double toy_loss(toy *t, const at_batch *batch, float smoothing, uint64_t step);
#endif
