#include "train/loop.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "attention/guide.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "train/internal.h"

/* Updates with a number that is not finite: so many in a row before the training rolls back, and so many
 * times. */
enum { BAD_IN_A_ROW = 3, MOST_ROLLBACKS = 3 };

/* ---------------------------------------------------------------- one update */

static bool epoch_is_over(const at_trainer *t)
{
    return at_loader_cursor(t->task->train).batch >= at_loader_batches(t->task->train);
}

/* Gradients of one update's batches, summed. An epoch's last update takes what is left of it. Every batch
 * draws its dropout from the same (seed, step): masks follow the example, so two batches are as one of
 * both. */
static at_status gather_gradients(at_trainer *t, at_loss_report *sum)
{
    bool twins = t->options->r_drop > 0 && t->progress.step >= t->options->r_drop_from;
    const at_loss_options options = {.smoothing = (float)t->options->label_smoothing,
                                     .scale = 1,
                                     .z = (float)t->options->z_loss,
                                     .twins = twins ? (float)t->options->r_drop : 0};
    at_guide guide = {.layer = (int)t->options->guided_layer,
                      .head = (int)t->options->guided_head,
                      .weight = (float)t->options->guided_alignment / (twins ? 2 : 1)}; /* each row twice */
    *sum = (at_loss_report){0};
    at_optimiser_clear(t->optimiser);
    bool mixed = t->options->precision == AT_PRECISION_BF16;
    at_status st = mixed ? at_params_shadow(t->params, t->task->exec) : AT_OK;
    at_exec_took(t->task->exec, "optimiser", false);
    for (int64_t i = 0; st == AT_OK && i < t->options->accumulate && !(i && epoch_is_over(t)); i++) {
        at_batch batch;
        at_loss_report part = {0};
        at_arena_reset(t->arena);
        st = at_loader_next(t->task->train, t->arena, &batch);
        if (st != AT_OK || !at_batch_count(&batch))
            break;
        at_exec_took(t->task->exec, "load batch", false);
        at_tape_begin(t->tape, AT_TAPE_TRAIN, (uint64_t)t->options->seed, (uint64_t)t->progress.step + 1);
        t->tape->grads = t->optimiser->grads;
        t->tape->mixed = mixed;
        t->tape->guide = guide.weight > 0 ? &guide : NULL;
        at_var *loss = at_model_loss(t->task->model, t->tape, &batch, &options, &part);
        st = at_tape_backward(t->tape, loss);
        sum->loss += part.loss;
        sum->tokens += part.tokens;
    }
    at_tape_reset(t->tape);
    t->tape->grads = NULL;
    t->tape->mixed = false;
    t->tape->guide = NULL;
    return st;
}

static const char *first_bad(const at_params *params, const float *block)
{
    for (size_t i = 0; i < params->count; i++) {
        const at_param *p = params->list[i];
        size_t n = at_shape_count(p->shape);
        for (size_t j = 0; j < n; j++)
            if (!isfinite(block[p->offset + j]))
                return p->name;
    }
    return NULL;
}

static at_status give_up(const at_trainer *t)
{
    const char *name = first_bad(t->params, t->params->block), *what = "parameter";
    if (!name) {
        name = first_bad(t->params, t->optimiser->grads);
        what = "gradient of";
    }
    if (!name)
        return at_fail(AT_ENUMBER,
                       "step %" PRId64 ": the loss is not finite though every gradient is; lower train.lr",
                       t->progress.step);
    return at_fail(AT_ENUMBER,
                   "step %" PRId64 ": %s %s is not finite, also after going back %d times with half the "
                   "learning rate; lower train.lr, or set train.clip",
                   t->progress.step, what, name, MOST_ROLLBACKS);
}

static at_status roll_back(at_trainer *t)
{
    at_progress before = t->progress;
    if (before.rollbacks >= MOST_ROLLBACKS)
        return give_up(t);
    bool found;
    at_status st = at_keep_restore(t, &found);
    if (st != AT_OK)
        return st;
    if (!found)
        return give_up(t);
    at_progress *p = &t->progress;
    p->rollbacks = before.rollbacks + 1;
    p->lr_factor = before.lr_factor / 2;
    p->skipped = before.skipped;
    p->bad_in_a_row = 0;
    at_journal_close(&t->journal);
    at_log_line(t->task->log,
                "step %" PRId64 ": %d updates in a row were not finite; back to step %" PRId64
                " with the learning rate times %g",
                before.step, BAD_IN_A_ROW, p->step, p->lr_factor);
    return at_journal_open(&t->journal, t->task->out, p->log_bytes);
}

/* The sums of this update become new parameters, or it is left out. */
static bool apply(at_trainer *t, const at_loss_report *sum)
{
    at_progress *p = &t->progress;
    double scale = sum->tokens ? 1 / (double)sum->tokens : 1;
    t->lr = p->lr_factor * at_schedule_lr(&t->schedule, ++p->step);
    t->grad_norm = at_optimiser_norm(t->optimiser, scale);
    t->loss = sum->loss * scale;
    p->tokens += (int64_t)sum->tokens;
    if (!isfinite(t->grad_norm) || !isfinite(t->loss)) {
        p->skipped++;
        p->bad_in_a_row++;
        at_log_line(t->task->log, "step %" PRId64 ": loss or gradient is not finite; left out", p->step);
        return false;
    }
    at_optimiser_step(t->optimiser, t->lr, scale * at_clip_scale(t->grad_norm, t->options->clip));
    at_exec_took(t->task->exec, "optimiser", false);
    p->updates = t->optimiser->updates;
    p->bad_in_a_row = 0;
    p->interval.loss += sum->loss;
    p->interval.tokens += (int64_t)sum->tokens;
    p->interval.grad_norm += t->grad_norm;
    p->interval.steps++;
    return true;
}

static at_status update(at_trainer *t, bool *rolled_back)
{
    at_progress *p = &t->progress;
    double start = at_clock();
    at_loss_report sum;
    *rolled_back = false;
    at_status st = gather_gradients(t, &sum);
    if (st != AT_OK)
        return st;
    apply(t, &sum);
    if (p->bad_in_a_row >= BAD_IN_A_ROW) {
        *rolled_back = true;
        return roll_back(t);
    }
    if (epoch_is_over(t)) { /* an empty batch moves the cursor to the next epoch */
        at_batch none;
        st = at_loader_next(t->task->train, t->arena, &none);
    }
    p->cursor = at_loader_cursor(t->task->train);
    double spent = at_clock() - start;
    p->seconds += spent;
    p->interval.seconds += spent;
    double speed = spent > 0 ? (double)sum.tokens / spent : 0;
    t->speed = t->speed > 0 ? 0.95 * t->speed + 0.05 * speed : speed;
    return st;
}

/* ---------------------------------------------------------------- between updates */

static double least_known(double a, double b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static double epoch_part(const at_trainer *t)
{
    size_t batches = at_loader_batches(t->task->train);
    return batches ? (double)t->progress.cursor.batch / (double)batches : 0;
}

static double seconds_left(const at_trainer *t)
{
    const at_train_options *o = t->options;
    const at_progress *p = &t->progress;
    double left = -1, steps = (double)(p->step - t->begun_step);
    double a_step = steps > 0 ? (at_clock() - t->begun) / steps : 0;
    if (o->max_steps > 0)
        left = least_known(left, a_step * (double)(o->max_steps - p->step));
    size_t batches = at_loader_batches(t->task->train);
    if (o->max_epochs > 0 && batches) {
        double epochs = (double)o->max_epochs - (double)p->cursor.epoch - epoch_part(t);
        left = least_known(left, a_step * epochs * (double)batches / (double)o->accumulate);
    }
    if (o->max_minutes > 0)
        left = least_known(left, fmax(0, 60 * o->max_minutes - p->seconds));
    return left;
}

static at_status report(at_trainer *t)
{
    at_progress *p = &t->progress;
    const at_train_hooks *hooks = &t->task->hooks;
    at_train_progress now = {.step = p->step,
                             .max_steps = t->options->max_steps,
                             .epoch = at_progress_epoch(p),
                             .epoch_part =
                                 (double)p->cursor.epoch + epoch_part(t) + 1 - (double)at_progress_epoch(p),
                             .loss = t->loss,
                             .lr = t->lr,
                             .grad_norm = t->grad_norm,
                             .target_tokens = (uint64_t)p->tokens,
                             .seconds = p->seconds,
                             .tokens_per_s = t->speed,
                             .seconds_left = seconds_left(t),
                             .logged = p->step % t->options->report_every == 0};
    at_status st = AT_OK;
    if (now.logged && p->interval.steps > 0) {
        now.loss = p->interval.loss / (double)p->interval.tokens;
        now.grad_norm = p->interval.grad_norm / (double)p->interval.steps;
        now.tokens_per_s = p->interval.seconds > 0 ? (double)p->interval.tokens / p->interval.seconds : 0;
        st = at_journal_write(&t->journal, at_journal_report(t));
        p->interval = (at_interval){0};
    }
    if (st == AT_OK && hooks->step)
        hooks->step(hooks->context, &now);
    return st;
}

/* Whether a limit is reached, and which. */
static bool at_limit(const at_trainer *t, at_train_end *end)
{
    const at_train_options *o = t->options;
    const at_progress *p = &t->progress;
    const struct {
        bool reached;
        at_train_end end;
    } limits[] = {{o->max_steps > 0 && p->step >= o->max_steps, AT_END_STEPS},
                  {o->max_epochs > 0 && p->cursor.epoch >= (uint64_t)o->max_epochs, AT_END_EPOCHS},
                  {o->patience > 0 && p->stall >= o->patience, AT_END_PATIENCE},
                  {o->max_minutes > 0 && p->seconds >= 60 * o->max_minutes, AT_END_MINUTES}};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        if (limits[i].reached) {
            *end = limits[i].end;
            return true;
        }
    return false;
}

static bool due(const at_trainer *t, int64_t every)
{
    return every > 0 ? t->progress.step % every == 0 : t->progress.cursor.batch == 0;
}

/* What falls due after an update: validation, checkpoint; *over when the training has ended. */
static at_status attend_to(at_trainer *t, bool *over, at_train_end *end)
{
    at_progress *p = &t->progress;
    const at_train_options *o = t->options;
    const at_train_hooks *hooks = &t->task->hooks;
    double start = at_clock();
    at_profile *profile = t->task->exec->profile;
    t->task->exec->profile = NULL; /* operations of a validation are not those of an update */
    *over = at_limit(t, end);
    bool judge = due(t, o->valid_every) || *over;
    bool keep = (o->checkpoint_every > 0 ? due(t, o->checkpoint_every) : judge) || *over;
    bool stop = hooks->stop && hooks->stop(hooks->context);
    at_status st = AT_OK;
    if (judge && t->task->valid)
        st = at_judge(t);
    if (st == AT_OK && !*over && at_limit(t, end)) /* patience may have run out just now */
        keep = *over = true;
    p->seconds += at_clock() - start;
    if (st == AT_OK && keep && !t->task->valid)
        st = at_keep_best(t, at_judged_block(t));
    if (st == AT_OK && (keep || stop))
        st = at_keep_checkpoint(t, keep);
    t->task->exec->profile = profile;
    at_exec_took(t->task->exec, "validate, save", false);
    if (!*over && stop) {
        *over = true;
        *end = AT_END_STOPPED;
    }
    return st;
}

/* ---------------------------------------------------------------- the whole */

static at_status begin_anew(at_trainer *t)
{
    if (!t->task->resume && at_is_folder(t->checkpoints))
        return at_fail(AT_EARG, "%s: a training is kept here already; resume it, or choose another folder",
                       t->task->out);
    t->progress =
        (at_progress){.lr_factor = 1, .extra = -1, .best_validation = {.loss = NAN, .scores = AT_NO_SCORES}};
    at_status st = at_loader_seek(t->task->train, t->progress.cursor);
    if (st == AT_OK)
        st = at_journal_open(&t->journal, t->task->out, 0);
    if (st == AT_OK) /* so that there is always something to go back to */
        st = at_keep_checkpoint(t, false);
    return st;
}

static at_status open_trainer(at_trainer *t)
{
    const at_train_task *task = t->task;
    at_optimiser_options options = at_train_optimiser(task->options);
    at_status st = at_train_options_check(task->options);
    if (st == AT_OK)
        st = at_make_folder(task->out);
    if (st == AT_OK)
        st = at_optimiser_new(task->exec, t->params, &options, &t->optimiser);
    if (st == AT_OK)
        st = at_tape_new(task->exec, &t->tape);
    if (st != AT_OK)
        return st;
    t->arena = at_arena_new();
    t->checkpoints = at_path_join(task->out, "checkpoints");
    if (!t->arena || !t->checkpoints)
        return AT_ENOMEM;
    bool found = false;
    if (task->resume)
        st = at_keep_restore(t, &found);
    if (st == AT_OK)
        st = found ? at_journal_open(&t->journal, task->out, t->progress.log_bytes) : begin_anew(t);
    if (st == AT_OK && found)
        at_log_line(task->log, "resumed at step %" PRId64, t->progress.step);
    t->begun = at_clock();
    t->begun_step = t->progress.step;
    return st;
}

static void close_trainer(at_trainer *t)
{
    at_journal_close(&t->journal);
    at_free(t->checkpoints);
    at_arena_free(t->arena);
    at_tape_free(t->tape);
    at_optimiser_free(t->optimiser);
}

static at_status run(at_trainer *t, at_train_end *end)
{
    at_status st = AT_OK;
    bool over = at_limit(t, end); /* a resumed training may have ended before */
    while (st == AT_OK && !over) {
        bool rolled_back;
        st = update(t, &rolled_back);
        if (rolled_back)
            continue;
        if (st == AT_OK)
            st = report(t);
        if (st == AT_OK)
            st = attend_to(t, &over, end);
    }
    return st;
}

/* The mean of the last checkpoints, and a model in OUT in any case. */
static at_status finish(at_trainer *t, at_train_result *result)
{
    const at_progress *p = &t->progress;
    at_status st = AT_OK;
    if (result->end != AT_END_STOPPED)
        st = at_judge_average(t, &result->averaged);
    if (st == AT_OK && result->end != AT_END_STOPPED && !p->judged && !result->averaged)
        st = at_keep_best(t, at_judged_block(t));
    result->steps = p->step;
    result->epochs = (int64_t)p->cursor.epoch;
    result->skipped = p->skipped;
    result->best_step = p->best_validation.step;
    result->best_loss = p->best_validation.loss;
    result->best_scores = p->best_validation.scores;
    result->seconds = p->seconds;
    return st;
}

at_status at_train(const at_train_task *task, at_train_result *result)
{
    AT_ASSERT(task->model->params.block);
    *result = (at_train_result){0};
    at_trainer *t = at_alloc_zero(1, sizeof *t);
    if (!t)
        return AT_ENOMEM;
    t->task = task;
    t->options = task->options;
    t->params = &task->model->params;
    t->schedule = at_train_schedule(task->options);
    at_status st = open_trainer(t);
    if (st == AT_OK)
        st = run(t, &result->end);
    if (st == AT_OK)
        st = finish(t, result);
    close_trainer(t);
    at_free(t);
    return st;
}

const char *at_train_end_text(at_train_end end)
{
    static const char *const texts[] = {"max_steps reached", "max_epochs reached", "max_minutes reached",
                                        "no better for patience validations", "stopped"};
    return texts[end];
}
