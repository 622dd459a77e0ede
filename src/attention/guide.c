#include "attention/guide.h"
#include <math.h>
#include <string.h>
#include "attention/internal.h"

/* What the tasks read, and what backward keeps. */
typedef struct guided {
    const at_kernels *k;
    const at_guide *guide;
    size_t width;          /* of one head */
    const float *q, *keys; /* of the head: its first columns */
    size_t q_stride, k_stride;
    float scale;
    float *losses; /* (Nq) */
    float *scores; /* (queries, keys) of each sequence, one after the other; in the end the loss's gradient by
                      them, of rows with links */
    size_t *first; /* (sequences) where its scores begin */
    at_rows queries, sources;
    float *d_q, *d_k, factor; /* backward */
} guided;

/* One row: its loss; `row` becomes its gradient by the scaled scores. */
static float guide_row(const guided *s, const float *q, const float *keys, size_t count, const int32_t *links,
                       size_t linked, float *row)
{
    for (size_t j = 0; j < count; j++)
        row[j] = s->scale * s->k->dot(q, keys + j * s->k_stride, s->width);
    float most = s->k->max(row, count), loss = 0, part = 1.0f / (float)linked;
    float log_sum = most + logf(s->k->sum_exp(row, most, count));
    for (size_t l = 0; l < linked; l++)
        loss += part * (log_sum - row[links[l]]);
    s->k->softmax(row, row, count);
    for (size_t l = 0; l < linked; l++)
        row[links[l]] -= part;
    return loss;
}

static void forward_task(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const guided *s = context;
    const at_guide *g = s->guide;
    for (size_t b = first; b < end; b++) {
        size_t k0 = (size_t)s->sources.offsets[b], count = (size_t)s->sources.offsets[b + 1] - k0;
        float *row = s->scores + s->first[b];
        for (int32_t i = s->queries.offsets[b]; i < s->queries.offsets[b + 1]; i++, row += count) {
            size_t linked = (size_t)(g->starts[i + 1] - g->starts[i]);
            s->losses[i] = 0;
            if (linked > 0)
                s->losses[i] = guide_row(s, s->q + (size_t)i * s->q_stride, s->keys + k0 * s->k_stride, count,
                                         g->keys + g->starts[i], linked, row);
        }
    }
}

static void backward_task(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const guided *s = context;
    const at_guide *g = s->guide;
    for (size_t b = first; b < end; b++) {
        size_t k0 = (size_t)s->sources.offsets[b], count = (size_t)s->sources.offsets[b + 1] - k0;
        const float *row = s->scores + s->first[b];
        for (int32_t i = s->queries.offsets[b]; i < s->queries.offsets[b + 1]; i++, row += count) {
            size_t at = (size_t)i * s->q_stride;
            if (g->starts[i + 1] == g->starts[i])
                continue;
            for (size_t j = 0; j < count; j++) {
                float d = s->factor * row[j];
                size_t key = (k0 + j) * s->k_stride;
                if (s->d_q)
                    s->k->axpy(s->d_q + at, d, s->keys + key, s->width);
                if (s->d_k)
                    s->k->axpy(s->d_k + key, d, s->q + at, s->width);
            }
        }
    }
}

static void guide_backward(at_tape *tape, const at_node *node)
{
    guided s = *(const guided *)node->saved;
    float *d_q = at_tape_grad(tape, node->in[0], NULL), *d_k = at_tape_grad(tape, node->in[1], NULL);
    if (tape->status != AT_OK)
        return;
    s.d_q = d_q ? d_q + (s.q - node->in[0]->data) : NULL;
    s.d_k = d_k ? d_k + (s.keys - node->in[1]->data) : NULL;
    s.factor = node->out->grad[0] * s.guide->weight * s.scale;
    at_exec_rows(tape->exec, s.queries.count, 1, backward_task, &s);
}

const at_op at_op_guide = {"guide", guide_backward};

static bool fits(at_tape *tape, const at_var *q, const at_var *k, const at_attend_spec *spec,
                 const at_guide *guide)
{
    size_t rows = at_rows_total(&spec->queries), heads = spec->heads, groups = spec->groups;
    if (guide->head < 0 || (size_t)guide->head >= heads) {
        at_tape_fail(tape, AT_EARG, "guided alignment: no head %d; there are heads 0 to %zu", guide->head,
                     heads - 1);
        return false;
    }
    if (spec->softcap != 0 || spec->bias.numbers || spec->window > 0 || spec->causal) {
        at_tape_fail(tape, AT_ENOSUP, "guided alignment: not of attention with a soft-cap, a bias or a mask");
        return false;
    }
    int64_t width = k->shape.rank == 2 ? k->shape.dim[1] / (int64_t)groups : 0;
    return at_expect_shape(tape, "guide's queries", q, at_shape2((int64_t)rows, width * (int64_t)heads)) &&
           at_expect_shape(tape, "guide's keys", k,
                           at_shape2((int64_t)at_rows_total(&spec->keys), width * (int64_t)groups));
}

/* Links are given by whoever reads data; a place outside its source is our own bug. */
static void check_links(const at_guide *guide, const at_rows *queries, const at_rows *keys)
{
    for (size_t b = 0; b < queries->count; b++) {
        int32_t count = keys->offsets[b + 1] - keys->offsets[b];
        int32_t first = guide->starts[queries->offsets[b]], end = guide->starts[queries->offsets[b + 1]];
        for (int32_t l = first; l < end; l++)
            AT_ASSERT(guide->keys[l] >= 0 && guide->keys[l] < count);
    }
}

bool at_guide_wants(at_tape *tape, at_attention_kind kind, int layer)
{
    at_guide *guide = tape->guide;
    if (!guide || !guide->starts || kind != AT_CROSS)
        return false;
    guide->layers = layer + 1 > guide->layers ? layer + 1 : guide->layers;
    return layer == guide->layer;
}

at_var *at_guide_loss(at_tape *tape, at_var *q, at_var *k, const at_attend_spec *spec, at_guide *guide)
{
    if (!q || !k || !fits(tape, q, k, spec, guide))
        return NULL;
    size_t sequences = spec->queries.count, rows = at_rows_total(&spec->queries), room = 0;
    size_t width = (size_t)k->shape.dim[1] / spec->groups, head = (size_t)guide->head;
    check_links(guide, &spec->queries, &spec->keys);
    guided *s = at_tape_saved(tape, 1, sizeof *s);
    float *losses = at_tape_saved(tape, rows + 1, sizeof *losses);
    size_t *first = at_tape_saved(tape, sequences + 1, sizeof *first);
    at_var *out = at_tape_value(tape, at_shape1(1));
    if (tape->status != AT_OK)
        return NULL;
    for (size_t b = 0; b < sequences; b++) {
        first[b] = room;
        room += (size_t)(spec->queries.offsets[b + 1] - spec->queries.offsets[b]) *
                (size_t)(spec->keys.offsets[b + 1] - spec->keys.offsets[b]);
    }
    float *scores = at_tape_saved(tape, room + 1, sizeof *scores);
    if (!scores)
        return NULL;
    *s = (guided){.k = tape->exec->kernels,
                  .guide = guide,
                  .width = width,
                  .q = q->data + head * width,
                  .keys = k->data + head / (spec->heads / spec->groups) * width,
                  .q_stride = (size_t)q->shape.dim[1],
                  .k_stride = (size_t)k->shape.dim[1],
                  .scale = spec->scale != 0 ? spec->scale : 1.0f / sqrtf((float)width),
                  .losses = losses,
                  .scores = scores,
                  .first = first,
                  .queries = spec->queries,
                  .sources = spec->keys};
    at_exec_rows(tape->exec, sequences, 1, forward_task, s);
    guide->sum = 0;
    guide->rows = 0;
    for (size_t i = 0; i < rows; i++) {
        guide->sum += (double)losses[i];
        guide->rows += guide->starts[i + 1] > guide->starts[i];
    }
    out->data[0] = (float)(guide->sum * (double)guide->weight);
    return at_tape_record(tape, &at_op_guide, out, (at_var *[]){q, k}, 2, s);
}

void at_guide_begin(at_guide *guide, const at_rows *targets, const int32_t *starts, const int32_t *keys)
{
    guide->offsets = targets->offsets;
    guide->layers = 0;
    guide->starts = starts;
    guide->keys = keys;
    guide->loss = NULL;
    guide->sum = 0;
    guide->rows = 0;
}

at_var *at_guide_add(at_tape *tape, at_var *loss)
{
    at_guide *guide = tape->guide;
    if (!loss || !guide || !guide->starts)
        return loss;
    if (!guide->loss && guide->layers > 0) {
        at_tape_fail(tape, AT_EARG,
                     "guided alignment: no cross attention of layer %d: there are layers 0 to %d; choose "
                     "train.guided_layer",
                     guide->layer, guide->layers - 1);
        return NULL;
    }
    if (!guide->loss) {
        at_tape_fail(tape, AT_ENOSUP,
                     "guided alignment: this model has no cross attention to teach; it wants model.attention "
                     "bahdanau or luong (family recurrent), or family transformer; or set "
                     "train.guided_alignment to 0");
        return NULL;
    }
    return at_add(tape, loss, guide->loss);
}
