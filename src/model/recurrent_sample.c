/* Scheduled sampling, Bengio et al. 2015: while training, the decoder sees its own word now and then. Which
 * words is a function of (seed, step, example, place) alone. */
#include "model/recurrent.h"
#include <math.h>
#include "base/rng.h"

/* Section 2.4: the share of given words, from 1 down. */
static double given_share(const at_rnn_options *o, double step)
{
    double k = (double)o->sampling_steps;
    if (o->sampling_decay == AT_RNN_LINEAR_DECAY)
        return step < k ? 1 - step / k : 0;
    if (o->sampling_decay == AT_RNN_EXPONENTIAL_DECAY)
        return exp(-step / k);
    /* c / (c + exp(i / c)) is half at c ln c: the c for which that is sampling_steps. */
    double c = k > 3 ? k / log(k) : k;
    for (int i = 0; i < 30 && k > 3; i++)
        c = k / log(c);
    return c / (c + exp(fmin(step / c, 700)));
}

static double own_share(const at_rnn_pass *p)
{
    return p->o->sampling * (1 - given_share(p->o, (double)p->tape->step));
}

bool at_rnn_samples(const at_rnn_pass *p)
{
    return p->tape->mode == AT_TAPE_TRAIN && p->o->sampling > 0;
}

at_var *at_rnn_peek(const at_rnn_pass *p, at_var *state, at_var *word, at_var *context, size_t count)
{
    at_tape *tape = p->tape;
    tape->mode = AT_TAPE_RUN; /* computed, not recorded */
    if (!context && p->context)
        context = at_slice(tape, p->context, 0, count);
    at_var *out = at_rnn_read_out(p, state, word, context);
    tape->mode = AT_TAPE_TRAIN;
    return out;
}

static int32_t best_of(const float *logits, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    return (int32_t)best;
}

static int32_t draw_from(const at_kernels *k, float *logits, size_t n, double uniform)
{
    k->softmax(logits, logits, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)logits[i];
        if (uniform < sum)
            return (int32_t)i;
    }
    return best_of(logits, n);
}

static void chances(const at_rnn_pass *p, size_t t, size_t j, double chance[2])
{
    uint64_t step = p->tape->step;
    uint32_t counter[4] = {p->plan.examples[j], (uint32_t)t, (uint32_t)step,
                           0x73616d70u ^ (uint32_t)(step >> 32)};
    uint32_t key[2] = {(uint32_t)p->tape->seed, (uint32_t)(p->tape->seed >> 32)}, word[4];
    at_philox(counter, key, word);
    chance[0] = (double)word[0] / 4294967296.0;
    chance[1] = (double)word[1] / 4294967296.0;
}

/* Logits of the chosen rows; nothing of it outlives the step. */
static void replace_words(const at_rnn_pass *p, const at_var *rows, const int32_t *chosen,
                          const double *uniform, size_t count, int32_t *ids)
{
    at_tape *tape = p->tape;
    at_var *some = at_gather(tape, (at_var *)(uintptr_t)rows, chosen, count);
    at_var *logits = at_repeated_step(tape, p->logits, some, NULL);
    size_t n = logits ? (size_t)logits->shape.dim[1] : 0;
    for (size_t i = 0; logits && i < count; i++) {
        float *row = logits->data + i * n;
        row[p->model->vocabulary.pad] = row[p->model->vocabulary.bos] = -INFINITY;
        ids[chosen[i]] =
            p->o->sampling_draw ? draw_from(tape->exec->kernels, row, n, uniform[i]) : best_of(row, n);
    }
}

void at_rnn_sample(const at_rnn_pass *p, size_t t, size_t count, const at_var *rows, int32_t *ids)
{
    at_tape *tape = p->tape;
    double share = own_share(p);
    at_mark mark = at_arena_mark(tape->arena);
    int32_t *chosen = at_tape_saved(tape, count, sizeof *chosen);
    double *uniform = at_tape_saved(tape, count, sizeof *uniform);
    size_t some = 0;
    for (size_t j = 0; chosen && uniform && j < count; j++) {
        double chance[2];
        chances(p, t, j, chance);
        if (chance[0] < share) {
            chosen[some] = (int32_t)j;
            uniform[some++] = chance[1];
        }
    }
    if (some > 0 && rows) {
        tape->mode = AT_TAPE_RUN;
        replace_words(p, rows, chosen, uniform, some, ids);
        tape->mode = AT_TAPE_TRAIN;
    }
    at_arena_release(tape->arena, mark);
}
