/* The guided loss of attention by pairs: any score, any normaliser, queries of whole sequences or of a step.
 */
#include <math.h>
#include <string.h>
#include "attention/guide.h"
#include "attention/internal.h"

/* What backward keeps: the loss's gradient by every score, 0 where a row has no links. */
typedef struct guided_pairs {
    const at_kernels *k;
    const at_guide *guide;
    float *gradient; /* (P) */
    size_t count;
} guided_pairs;

/* One row of a head: scores z (hidden ones -INFINITY) and their weights. */
typedef struct guided_row {
    const float *z, *weights;
    size_t count;
    const int32_t *links;
    size_t linked;
    at_normaliser how;
} guided_row;

/* Links whose keys are visible share the row's whole; 0: there are none. */
static float visible_part(const guided_row *r)
{
    size_t seen = 0;
    for (size_t l = 0; l < r->linked; l++) {
        AT_ASSERT(r->links && r->links[l] >= 0 && (size_t)r->links[l] < r->count);
        seen += r->z[r->links[l]] > -INFINITY;
    }
    return seen > 0 ? 1.0f / (float)seen : 0;
}

/* The part of the loss that is made of scores alone: log-sum-exp; half the sum of z^2 - tau^2 over what
 * sparsemax keeps, whose weights are z - tau; half the squares of scores as they are. */
static double potential(const at_kernels *k, const guided_row *r)
{
    if (r->how == AT_NORMALISE_SOFTMAX) {
        float most = k->max(r->z, r->count);
        return (double)most + log((double)k->sum_exp(r->z, most, r->count));
    }
    double sum = 0;
    for (size_t j = 0; j < r->count; j++) {
        double z = (double)r->z[j], w = (double)r->weights[j];
        if (r->how == AT_NORMALISE_NONE)
            sum += w * w / 2; /* hidden: 0 */
        else if (w > 0)
            sum += w * (2 * z - w) / 2;
    }
    return sum;
}

/* The loss of a row whose visible links weigh `part` each; `gradient` becomes weights minus links. */
static double guide_row(const at_kernels *k, const guided_row *r, float part, float *gradient)
{
    memcpy(gradient, r->weights, r->count * sizeof *gradient);
    double loss = potential(k, r), squares = 0;
    for (size_t l = 0; l < r->linked; l++) {
        AT_ASSERT(r->links);
        if (r->z[r->links[l]] == -INFINITY)
            continue;
        loss -= (double)part * (double)r->z[r->links[l]];
        squares += (double)part * (double)part;
        gradient[r->links[l]] -= part;
    }
    return r->how == AT_NORMALISE_SOFTMAX ? loss : loss + squares / 2;
}

static void guide_pairs_backward(at_tape *tape, const at_node *node)
{
    const guided_pairs *s = node->saved;
    float *d = at_tape_grad(tape, node->in[0], NULL);
    if (d)
        s->k->axpy(d, node->out->grad[0] * s->guide->weight, s->gradient, s->count);
}

const at_op at_op_guide_pairs = {"guide_pairs", guide_pairs_backward};

/* All rows of sequence b; their losses' sum. */
static double guide_sequence(const guided_pairs *s, const at_pairs *pairs, size_t b, const float *scores,
                             const float *weights, at_normaliser how, at_guide *guide)
{
    at_pair_block block = at_pairs_block(pairs, b, (size_t)guide->head);
    size_t name = pairs->names ? (size_t)pairs->names[b] : b;
    int32_t first = guide->offsets[name] + (pairs->starts ? pairs->starts[b] : 0);
    double sum = 0;
    for (size_t t = 0; t < block.queries; t++) {
        const int32_t *starts = guide->starts + first + (int32_t)t;
        size_t at = block.at + t * block.keys;
        guided_row row = {.z = scores + at,
                          .weights = weights + at,
                          .count = block.keys,
                          .links = starts[1] > starts[0] ? guide->keys + starts[0] : NULL,
                          .linked = (size_t)(starts[1] - starts[0]),
                          .how = how};
        float part = visible_part(&row);
        if (part > 0) {
            sum += guide_row(s->k, &row, part, s->gradient + at);
            guide->rows++;
        }
    }
    return sum;
}

bool at_guide_pairs(at_tape *tape, at_var *scores, const at_var *weights, const at_pairs *pairs,
                    at_normaliser how, at_attention_kind kind, int layer)
{
    if (!scores || !weights || !pairs)
        return false;
    if (!at_guide_wants(tape, kind, layer))
        return true;
    at_guide *guide = tape->guide;
    if (guide->head < 0 || (size_t)guide->head >= pairs->heads) {
        at_tape_fail(tape, AT_EARG, "guided alignment: no head %d; there are heads 0 to %zu", guide->head,
                     pairs->heads - 1);
        return false;
    }
    size_t count = at_pairs_total(pairs);
    guided_pairs *s = at_tape_saved(tape, 1, sizeof *s);
    float *gradient = at_tape_saved(tape, count + 1, sizeof *gradient);
    at_var *out = at_tape_value(tape, at_shape1(1));
    if (!s || !gradient || !out)
        return false;
    memset(gradient, 0, (count + 1) * sizeof *gradient);
    *s = (guided_pairs){tape->exec->kernels, guide, gradient, count};
    double sum = 0;
    for (size_t b = 0; b < pairs->queries.count; b++)
        sum += guide_sequence(s, pairs, b, scores->data, weights->data, how, guide);
    guide->sum += sum;
    out->data[0] = (float)(sum * (double)guide->weight);
    out = at_tape_record(tape, &at_op_guide_pairs, out, &scores, 1, s);
    guide->loss = guide->loss ? at_add(tape, guide->loss, out) : out;
    return guide->loss != NULL;
}
