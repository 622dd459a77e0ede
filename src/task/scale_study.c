#include "task/scale_study.h"
#include <math.h>
#include "attention/score.h"
#include "base/memory.h"
#include "base/rng.h"

typedef struct numbers {
    float *queries, *keys, *upstream, *slopes;
} numbers;

/* A gradient of length 1 for each query. */
static void draw_upstream(float *out, at_rng *rng)
{
    for (size_t i = 0; i < AT_SCALE_QUERIES; i++, out += AT_SCALE_KEYS) {
        double squares = 0;
        for (size_t j = 0; j < AT_SCALE_KEYS; j++) {
            out[j] = at_rng_normal(rng);
            squares += (double)out[j] * (double)out[j];
        }
        for (size_t j = 0; j < AT_SCALE_KEYS; j++)
            out[j] /= (float)sqrt(squares);
    }
}

static void measure(const float *weights, const float *slopes, int scaled, at_scale_row *row)
{
    for (size_t i = 0; i < AT_SCALE_QUERIES; i++, weights += AT_SCALE_KEYS, slopes += AT_SCALE_KEYS) {
        double largest = 0, entropy = 0, squares = 0;
        for (size_t j = 0; j < AT_SCALE_KEYS; j++) {
            double w = (double)weights[j];
            largest = fmax(largest, w);
            entropy -= w > 0 ? w * log2(w) : 0;
            squares += (double)slopes[j] * (double)slopes[j];
        }
        row->largest[scaled] += largest / AT_SCALE_QUERIES;
        row->entropy[scaled] += entropy / AT_SCALE_QUERIES;
        row->slope[scaled] += sqrt(squares) / AT_SCALE_QUERIES;
    }
}

/* Scores become a leaf, so that backward leaves their gradients there. */
static at_status study(at_tape *tape, const numbers *n, int scaled, at_scale_row *row)
{
    static const int32_t q_rows[] = {0, AT_SCALE_QUERIES}, k_rows[] = {0, AT_SCALE_KEYS};
    at_tape_begin(tape, AT_TAPE_CHECK, 0, 0);
    const at_pairs *pairs = at_pairs_new(
        tape, &(at_pairs){.heads = 1, .groups = 1, .queries = {1, q_rows, NULL}, .keys = {1, k_rows, NULL}});
    at_var *q = at_leaf(tape, at_shape2(AT_SCALE_QUERIES, row->width), n->queries, NULL);
    at_var *k = at_leaf(tape, at_shape2(AT_SCALE_KEYS, row->width), n->keys, NULL);
    at_var *scores = at_score_dot(tape, q, k, pairs, scaled ? 1.0f / sqrtf((float)row->width) : 1);
    if (!scores)
        return at_tape_status(tape);
    for (size_t i = 0; i < AT_SCALE_QUERIES * AT_SCALE_KEYS; i++)
        n->slopes[i] = 0;
    at_var *w = at_pairs_normalise(tape, at_leaf(tape, scores->shape, scores->data, n->slopes), pairs,
                                   AT_NORMALISE_SOFTMAX);
    at_var *upstream = at_leaf(tape, scores->shape, n->upstream, NULL);
    at_status st = at_tape_backward(tape, at_sum(tape, at_mul(tape, w, upstream)));
    if (st == AT_OK)
        measure(w->data, n->slopes, scaled, row);
    return st;
}

at_status at_scale_study(at_exec *exec, uint64_t seed, at_scale_row rows[AT_SCALE_ROWS])
{
    enum { WIDEST = 8 << (AT_SCALE_ROWS - 1), PAIRS = AT_SCALE_QUERIES * AT_SCALE_KEYS };
    at_tape *tape = NULL;
    size_t all = (AT_SCALE_QUERIES + AT_SCALE_KEYS) * (size_t)WIDEST + 2 * (size_t)PAIRS;
    float *block = at_alloc_array(all, sizeof *block);
    at_status st = block ? at_tape_new(exec, &tape) : AT_ENOMEM;
    for (int i = 0; i < AT_SCALE_ROWS && st == AT_OK; i++) {
        at_rng rng = at_rng_make(seed + (uint64_t)i, AT_RNG_SAMPLE);
        rows[i] = (at_scale_row){.width = 8 << i};
        size_t queries = AT_SCALE_QUERIES * (size_t)rows[i].width,
               keys = AT_SCALE_KEYS * (size_t)rows[i].width;
        numbers n = {block, block + queries, block + queries + keys, block + queries + keys + PAIRS};
        for (size_t j = 0; j < queries + keys; j++)
            block[j] = at_rng_normal(&rng);
        draw_upstream(n.upstream, &rng);
        for (int scaled = 0; scaled < 2 && st == AT_OK; scaled++)
            st = study(tape, &n, scaled, &rows[i]);
    }
    at_tape_free(tape);
    at_free(block);
    return st;
}
