/* How looking is learned: the classes by cross-entropy, the places by REINFORCE with baselines. */
#include <math.h>
#include "model/glimpse_net.h"

/* sum over rows of weight * (x - target)^2, x (N,K), weights (N), targets (N,K) constants. */
static at_var *weighted_squares(at_tape *tape, at_var *x, const float *targets, const float *weights)
{
    size_t n = (size_t)x->shape.dim[0], k = (size_t)x->shape.dim[1];
    float *minus = at_tape_saved(tape, n * k + 1, sizeof *minus);
    float *each = at_tape_saved(tape, n * k + 1, sizeof *each);
    if (!minus || !each)
        return NULL;
    for (size_t i = 0; i < n * k; i++) {
        minus[i] = -targets[i];
        each[i] = weights[i / k];
    }
    at_var *d = at_add(tape, x, at_leaf(tape, x->shape, minus, NULL));
    return d ? at_sum(tape, at_mul(tape, at_mul(tape, d, d), at_leaf(tape, x->shape, each, NULL))) : NULL;
}

/* What the other paths through a picture gained by the same move is to be expected of it: a baseline that
 * knows how hard the picture is. Kool, van Hoof and Welling 2019, "Buy 4 REINFORCE Samples, Get a Baseline
 * for Free!". */
static void compare_copies(const at_look *l, float *gain, size_t moves)
{
    size_t copies = l->gaze->copies;
    for (size_t i = 0; copies > 1 && i < moves; i += copies) {
        double sum = 0;
        for (size_t j = 0; j < copies; j++)
            sum += (double)gain[i + j];
        for (size_t j = 0; j < copies; j++)
            gain[i + j] -= (float)((sum - (double)gain[i + j]) / (double)(copies - 1));
    }
}

/* Places that were followed by more reward than was to be expected become more likely, others less:
 * - (R - b) log N(drawn; mean, deviation^2) with R - b as a constant, and (R - b)^2 for the baseline b. */
static at_var *policy_loss(at_look *l, const float *rewards, float scale)
{
    at_tape *tape = l->tape;
    size_t moves = l->count * (l->steps - 1);
    at_var *states = at_leaf(tape, at_shape2((int64_t)moves, l->o->width), l->states, NULL);
    if (l->o->norm && states) { /* what the class is read from is not the baseline's to move */
        states = at_norm_run(tape, states, &l->n->state);
        states = states ? at_leaf(tape, states->shape, states->data, NULL) : NULL;
    }
    at_var *baseline = states ? at_project(tape, &l->n->baseline, states) : NULL;
    at_var *means = baseline ? at_stack_rows(tape, l->means + 1, l->steps - 1) : NULL;
    float *equal = at_tape_saved(tape, 2 * moves + 1, sizeof *equal);
    if (!means || !equal)
        return NULL;
    float *gain = equal + moves;
    float sharpness = (float)(1 / (2 * l->o->deviation * l->o->deviation));
    for (size_t i = 0; i < moves; i++) {
        equal[i] = scale;
        gain[i] = scale * (rewards[i] - baseline->data[i]) * sharpness;
    }
    compare_copies(l, gain, moves);
    at_var *places = weighted_squares(tape, means, l->drawn, gain);
    at_var *expected = weighted_squares(tape, baseline, rewards, equal);
    return places && expected ? at_add(tape, places, expected) : NULL;
}

static float reward_of(const at_look *l, const float *logits, size_t classes, size_t label)
{
    size_t best = 0;
    double sum = 0;
    for (size_t j = 1; j < classes; j++)
        best = logits[j] > logits[best] ? j : best;
    if (l->o->reward == AT_GAZE_RIGHT)
        return best == label ? 1 : 0;
    for (size_t j = 0; j < classes; j++)
        sum += exp((double)logits[j] - (double)logits[label]);
    return (float)(1 / sum);
}

/* Of all moves, step by step: those of a path share what its end is worth. */
static float *rewards_of(const at_look *l, const at_var *logits, const int32_t *labels)
{
    size_t classes = (size_t)logits->shape.dim[1], moves = l->count * (l->steps - 1);
    float *reward = at_tape_saved(l->tape, moves + 1, sizeof *reward);
    for (size_t i = 0; reward && i < moves; i++)
        reward[i] = i < l->count ? reward_of(l, logits->data + i * classes, classes, (size_t)labels[i])
                                 : reward[i - l->count];
    return reward;
}

/* What the states before the last would have said. */
static at_var *early_loss(const at_model *model, at_look *l, const int32_t *labels,
                          const at_loss_options *how)
{
    size_t before = l->steps - 1, n = before * l->count;
    int32_t *each = at_tape_saved(l->tape, n + 1, sizeof *each);
    at_var *x = each ? at_stack_rows(l->tape, l->after, before) : NULL;
    if (!x)
        return NULL;
    for (size_t i = 0; i < n; i++)
        each[i] = labels[i % l->count];
    at_loss_options weighted = *how;
    weighted.scale *= (float)(l->o->early_loss / (double)before);
    at_loss_report unused = {0};
    return at_logit_cross_entropy(l->tape, at_gaze_classify(model, l->tape, x), each, &weighted, &unused);
}

at_var *at_gaze_loss(const at_model *model, at_tape *tape, const at_batch *batch, const at_loss_options *how,
                     at_loss_report *report)
{
    const at_gaze_options *o = model->options;
    bool training = tape->mode == AT_TAPE_TRAIN;
    at_gaze gaze = {.draw = training, .copies = training ? (size_t)o->copies : 1};
    if (training)
        at_tape_dropout_key(tape, gaze.key);
    bool learns = training && o->places == AT_GAZE_LEARNED && o->glimpses > 1;
    at_look l;
    at_var *x = at_look_open(&l, model, tape, batch, &gaze, learns) ? at_look_run(&l) : NULL;
    x = x ? at_dropout_add(tape, NULL, x, (float)o->dropout, &l.rows) : NULL;
    at_var *logits = x ? at_gaze_classify(model, tape, x) : NULL;
    int32_t *labels = at_tape_saved(tape, l.count + 1, sizeof *labels);
    if (!logits || !labels)
        return NULL;
    for (size_t i = 0; i < l.count; i++)
        labels[i] = batch->labels[i / gaze.copies];
    at_loss_options each = *how;
    each.scale /= (float)gaze.copies;
    at_loss_report paths = {0};
    at_var *classes = at_logit_cross_entropy(tape, logits, labels, &each, &paths);
    report->loss += paths.loss / (double)gaze.copies;
    report->tokens += batch->source.count;
    report->judged += paths.judged;
    report->right += paths.right;
    if (training && o->early_loss > 0 && l.steps > 1 && classes && how->scale != 0) {
        at_var *early = early_loss(model, &l, labels, &each);
        classes = early ? at_add(tape, classes, early) : NULL;
    }
    if (!learns || !classes || how->scale == 0)
        return classes;
    float *rewards = rewards_of(&l, logits, labels);
    at_var *policy = rewards ? policy_loss(&l, rewards, each.scale) : NULL;
    return policy ? at_add(tape, classes, policy) : NULL;
}
