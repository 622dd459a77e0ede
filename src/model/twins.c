#include "model/twins.h"
#include <string.h>

static const uint32_t copy = 1u << 31; /* numbers of examples are smaller */

static const int32_t *twice_ids(at_tape *tape, const int32_t *ids, size_t count)
{
    int32_t *out = at_tape_saved(tape, 2 * count + 1, sizeof *out);
    if (!out || !ids)
        return NULL;
    memcpy(out, ids, count * sizeof *out);
    memcpy(out + count, ids, count * sizeof *out);
    return out;
}

static at_rows twice_rows(at_tape *tape, const at_rows *rows)
{
    size_t n = rows->count;
    int32_t *offsets = at_tape_saved(tape, 2 * n + 1, sizeof *offsets);
    uint32_t *examples = at_tape_saved(tape, 2 * n + 1, sizeof *examples);
    if (!offsets || !examples || !n)
        return (at_rows){0};
    for (size_t b = 0; b < n; b++) {
        examples[b] = rows->examples ? rows->examples[b] : (uint32_t)b;
        examples[n + b] = examples[b] + copy;
        offsets[b] = rows->offsets[b];
        offsets[n + b] = rows->offsets[n] + rows->offsets[b];
    }
    offsets[2 * n] = 2 * rows->offsets[n];
    return (at_rows){2 * n, offsets, examples};
}

/* Starts of the second half follow those of the first; keys are places in a sequence's own source. */
static const int32_t *twice_starts(at_tape *tape, const int32_t *starts, size_t rows)
{
    int32_t *out = at_tape_saved(tape, 2 * rows + 1, sizeof *out);
    for (size_t i = 0; out && i <= rows; i++) {
        out[i] = starts[i];
        out[rows + i] = starts[rows] + starts[i];
    }
    return out;
}

bool at_twin_batch(at_tape *tape, const at_batch *batch, at_batch *twice)
{
    size_t sources = at_rows_total(&batch->source), targets = at_rows_total(&batch->target);
    *twice = (at_batch){.source = twice_rows(tape, &batch->source),
                        .target = twice_rows(tape, &batch->target),
                        .source_ids = twice_ids(tape, batch->source_ids, sources),
                        .target_in = twice_ids(tape, batch->target_in, targets),
                        .target_out = twice_ids(tape, batch->target_out, targets),
                        .labels = batch->labels};
    if (batch->link_starts) {
        twice->link_starts = twice_starts(tape, batch->link_starts, targets);
        twice->link_keys = twice_ids(tape, batch->link_keys, (size_t)batch->link_starts[targets]);
    }
    return tape->status == AT_OK;
}

/* Log probabilities, cross-entropy with smoothing. */
static double judge(const at_twin_rows *r, float *row)
{
    r->k->log_softmax(row, row, r->pieces);
    double even = r->smoothing > 0 ? (double)r->k->dot(row, r->ones, r->pieces) / (double)r->pieces : 0;
    return -(1.0 - (double)r->smoothing) * (double)row[r->target] - (double)r->smoothing * even;
}

/* gradient = scale/2 (mine - wanted) + scale weight/4 (mine (d - mine·d) + mine - other), with
 * d = log mine/other */
static void put_gradient(const at_twin_rows *r, float *gradient, const float *mine, const float *other,
                         const float *d)
{
    const at_kernels *k = r->k;
    size_t n = r->pieces;
    float half = r->scale / 2, bind = r->scale * r->weight / 4;
    memset(gradient, 0, n * sizeof *gradient);
    k->softmax_backward(gradient, mine, d, n);
    k->scale(gradient, gradient, bind, n);
    k->axpy(gradient, half + bind, mine, n);
    k->axpy(gradient, -bind, other, n);
    if (r->smoothing > 0)
        k->axpy(gradient, -half * r->smoothing / (float)n, r->ones, n);
    gradient[r->target] -= half * (1 - r->smoothing);
}

float at_twin_loss(const at_twin_rows *r)
{
    const at_kernels *k = r->k;
    size_t n = r->pieces;
    float *p = r->first, *q = r->second, *d = r->room, *by_p = d + n, *by_q = by_p + n;
    double loss = (judge(r, p) + judge(r, q)) / 2;
    memcpy(d, p, n * sizeof *d);
    k->axpy(d, -1, q, n);
    k->exp(p, p, n);
    k->exp(q, q, n);
    double apart = (double)k->dot(p, d, n) - (double)k->dot(q, d, n); /* both divergences */
    if (r->scale != 0) {
        put_gradient(r, by_p, p, q, d);
        k->scale(d, d, -1, n);
        put_gradient(r, by_q, q, p, d);
        memcpy(p, by_p, n * sizeof *p);
        memcpy(q, by_q, n * sizeof *q);
    }
    return (float)(loss + (double)r->weight / 4 * apart);
}
