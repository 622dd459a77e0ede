#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "store/average.h"
#include "train/internal.h"

/* Lets the model read its numbers from another block of the same layout. */
static void point_at(at_params *params, const float *block)
{
    for (size_t i = 0; i < params->count; i++)
        params->list[i]->data = block + params->list[i]->offset;
}

float *at_judged_block(const at_trainer *trainer)
{
    return trainer->optimiser->ema ? trainer->optimiser->ema : trainer->params->block;
}

static at_status measure_loss(at_trainer *trainer, double *loss, double *accuracy)
{
    at_loader *valid = trainer->task->valid;
    const at_loss_options plain = {.scale = 1};
    at_loss_report sum = {0};
    at_status st = at_loader_seek(valid, (at_cursor){0, 0});
    while (st == AT_OK) {
        at_batch batch;
        at_loss_report part = {0};
        at_arena_reset(trainer->arena);
        st = at_loader_next(valid, trainer->arena, &batch);
        if (st != AT_OK || !at_batch_count(&batch))
            break;
        at_tape_begin(trainer->tape, AT_TAPE_RUN, 0, 0);
        at_model_loss(trainer->task->model, trainer->tape, &batch, &plain, &part);
        st = at_tape_status(trainer->tape);
        sum.loss += part.loss;
        sum.tokens += part.tokens;
        sum.judged += part.judged;
        sum.right += part.right;
    }
    at_tape_reset(trainer->tape);
    *accuracy = sum.judged ? (double)sum.right / (double)sum.judged : NAN;
    *loss = sum.tokens ? sum.loss / (double)sum.tokens : NAN;
    return st;
}

at_status at_judge_measure(at_trainer *trainer, float *block, bool score, at_validation *v)
{
    const at_train_hooks *hooks = &trainer->task->hooks;
    double start = at_clock();
    *v = (at_validation){.step = trainer->progress.step,
                         .epoch = at_progress_epoch(&trainer->progress),
                         .scores = AT_NO_SCORES,
                         .patience = trainer->options->patience};
    point_at(trainer->params, block);
    double accuracy;
    at_status st = measure_loss(trainer, &v->loss, &accuracy);
    if (st == AT_OK && score && hooks->score)
        st = hooks->score(hooks->context, trainer->task->model, &v->scores);
    v->scores.accuracy = accuracy;
    point_at(trainer->params, trainer->params->block);
    trainer->validating += at_clock() - start;
    return st;
}

double at_judge_value(const at_train_options *options, const at_validation *v)
{
    if (options->best_by && !strcmp(options->best_by, "bleu"))
        return -v->scores.bleu;
    if (options->best_by && !strcmp(options->best_by, "chrf"))
        return -v->scores.chrf;
    if (options->best_by && !strcmp(options->best_by, "accuracy"))
        return -v->scores.accuracy;
    return v->loss;
}

static bool score_now(const at_trainer *trainer)
{
    const at_train_options *o = trainer->options;
    const at_progress *p = &trainer->progress;
    return o->score_every > 0 && p->step >= o->score_from && p->validations % o->score_every == 0;
}

at_status at_judge(at_trainer *trainer)
{
    at_progress *p = &trainer->progress;
    const at_train_hooks *hooks = &trainer->task->hooks;
    at_validation v;
    p->validations++;
    at_status st = at_judge_measure(trainer, at_judged_block(trainer), score_now(trainer), &v);
    if (st != AT_OK)
        return st;
    double value = at_judge_value(trainer->options, &v);
    v.best = isfinite(value) && (!p->judged || value < p->best);
    if (v.best) {
        st = at_keep_best(trainer, at_judged_block(trainer));
        p->judged = true;
        p->best = value;
        p->best_validation = v;
        p->stall = 0;
    } else if (isfinite(value)) {
        p->stall++;
    }
    v.stall = p->stall;
    if (st == AT_OK)
        st = at_journal_write(&trainer->journal, at_journal_validation(&v));
    if (st == AT_OK && hooks->validated)
        hooks->validated(hooks->context, &v);
    return st;
}

/* The checkpoints that are still there: somebody may have made room by hand. */
static at_status average_block(at_trainer *trainer, float *block, int64_t *count)
{
    const at_progress *p = &trainer->progress;
    char **paths = at_alloc_zero((size_t)p->regular_count + 1, sizeof *paths);
    at_status st = paths ? AT_OK : AT_ENOMEM;
    *count = 0;
    for (int64_t i = 0; st == AT_OK && i < p->regular_count; i++) {
        at_buf path = {0};
        at_buf_printf(&path, "%s/step-%" PRId64, trainer->checkpoints, p->regular[i]);
        st = at_buf_status(&path);
        if (st == AT_OK && at_is_folder(path.data))
            paths[(*count)++] = at_buf_take(&path);
        at_buf_free(&path);
    }
    if (st == AT_OK && *count > 1) {
        memset(block, 0, trainer->params->total * sizeof *block);
        st = at_average_folders((const char *const *)paths, (size_t)*count, trainer->params, block);
    }
    for (int64_t i = 0; paths && i < *count; i++)
        at_free(paths[i]);
    at_free(paths);
    return st;
}

static at_status judge_block(at_trainer *trainer, float *block, int64_t count, int64_t *averaged)
{
    at_progress *p = &trainer->progress;
    const at_train_hooks *hooks = &trainer->task->hooks;
    at_validation v = {0};
    bool always = trainer->options->average == AT_AVERAGE_ALWAYS || !trainer->task->valid;
    at_status st = AT_OK;
    if (trainer->task->valid)
        st = at_judge_measure(trainer, block, trainer->options->score_every > 0, &v);
    if (st != AT_OK)
        return st;
    double value = at_judge_value(trainer->options, &v);
    v.averaged = count;
    v.best = always || (isfinite(value) && (!p->judged || value < p->best));
    if (v.best) {
        st = at_keep_best(trainer, block);
        p->best_validation = v;
        *averaged = count;
    }
    if (st != AT_OK || !trainer->task->valid)
        return st;
    st = at_journal_write(&trainer->journal, at_journal_validation(&v));
    if (st == AT_OK && hooks->validated)
        hooks->validated(hooks->context, &v);
    return st;
}

at_status at_judge_average(at_trainer *trainer, int64_t *averaged)
{
    int64_t count;
    *averaged = 0;
    if (trainer->options->average_last < 2 || trainer->progress.regular_count < 2)
        return AT_OK;
    float *block = at_alloc_aligned(trainer->params->total, sizeof *block);
    at_status st = block ? average_block(trainer, block, &count) : AT_ENOMEM;
    if (st == AT_OK && count > 1)
        st = judge_block(trainer, block, count, averaged);
    at_free_aligned(block);
    return st;
}
