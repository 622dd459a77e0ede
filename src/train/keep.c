#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "train/internal.h"

enum { MAX_BLOCKS = 3 };

at_status at_keep_best(at_trainer *trainer, const float *numbers)
{
    at_folder_content content = trainer->task->content;
    content.model = trainer->task->model;
    content.numbers = numbers == trainer->params->block ? NULL : numbers;
    return at_folder_save(trainer->task->out, &content);
}

static size_t list_blocks(const at_trainer *trainer, at_block blocks[MAX_BLOCKS])
{
    const at_optimiser *o = trainer->optimiser;
    size_t total = trainer->params->total, count = 0;
    blocks[count++] = (at_block){"adam.m", o->m, total};
    blocks[count++] = (at_block){"adam.v", o->v, total};
    if (o->ema)
        blocks[count++] = (at_block){"ema", o->ema, total};
    return count;
}

/* JSON has no NaN: what was not measured is null. */
static json_t *real_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *write_regular(const at_progress *p)
{
    json_t *list = json_array();
    for (int64_t i = 0; list && i < p->regular_count; i++)
        if (json_array_append_new(list, json_integer(p->regular[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *write_best(const at_progress *p)
{
    const at_validation *v = &p->best_validation;
    if (!p->judged)
        return json_null();
    return json_pack("{s:f, s:I, s:I, s:o, s:o, s:o, s:o}", "value", p->best, "step", (json_int_t)v->step,
                     "epoch", (json_int_t)v->epoch, "loss", real_or_null(v->loss), "bleu",
                     real_or_null(v->scores.bleu), "chrf", real_or_null(v->scores.chrf), "accuracy",
                     real_or_null(v->scores.accuracy));
}

static json_t *write_interval(const at_interval *i)
{
    return json_pack("{s:f, s:f, s:f, s:I, s:I}", "loss", i->loss, "grad_norm", i->grad_norm, "seconds",
                     i->seconds, "tokens", (json_int_t)i->tokens, "steps", (json_int_t)i->steps);
}

static json_t *write_progress(const at_trainer *trainer)
{
    const at_progress *p = &trainer->progress;
    const char *mark = trainer->task->data_mark;
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:I, s:I, s:o, s:I, s:I, s:I, s:f, s:I, s:o, s:I, s:s}",
        "step", (json_int_t)p->step, "epoch", (json_int_t)p->cursor.epoch, "batch",
        (json_int_t)p->cursor.batch, "seed", (json_int_t)trainer->options->seed, "updates",
        (json_int_t)p->updates, "target_tokens", (json_int_t)p->tokens, "seconds", p->seconds, "interval",
        write_interval(&p->interval), "validations", (json_int_t)p->validations, "stall",
        (json_int_t)p->stall, "best", write_best(p), "skipped", (json_int_t)p->skipped, "bad_in_a_row",
        (json_int_t)p->bad_in_a_row, "rollbacks", (json_int_t)p->rollbacks, "lr_factor", p->lr_factor,
        "log_bytes", (json_int_t)p->log_bytes, "regular", write_regular(p), "extra", (json_int_t)p->extra,
        "data", mark ? mark : "");
}

/* A step that will be averaged goes into the list; the oldest falls out. */
static void note_regular(at_progress *p, int64_t most)
{
    if (most < 1)
        most = 1;
    if (p->regular_count && p->regular[p->regular_count - 1] == p->step)
        return;
    int64_t drop = p->regular_count + 1 > most ? p->regular_count + 1 - most : 0;
    memmove(p->regular, p->regular + drop, (size_t)(p->regular_count - drop) * sizeof p->regular[0]);
    p->regular_count -= drop;
    p->regular[p->regular_count++] = p->step;
}

static char *step_path(const at_trainer *trainer, int64_t step)
{
    at_buf path = {0};
    at_buf_printf(&path, "%s/step-%" PRId64, trainer->checkpoints, step);
    return at_buf_take(&path);
}

/* A checkpoint between the regular ones is only there to go on from: the next one takes its place, so that
 * the mean at the end is of the same checkpoints as in a training that was never stopped. */
static at_status drop_extra(const at_trainer *trainer, int64_t extra)
{
    char *path = step_path(trainer, extra);
    at_status st = path ? at_remove_tree(path) : AT_ENOMEM;
    at_free(path);
    return st;
}

static bool all_finite(const at_trainer *trainer)
{
    return isfinite(
        trainer->task->exec->kernels->sum_squares(trainer->params->block, trainer->params->total));
}

at_status at_keep_checkpoint(at_trainer *trainer, bool regular)
{
    at_progress *p = &trainer->progress;
    if (!all_finite(
            trainer)) { /* nothing to go back to: the next updates will be bad, and the training rolls back */
        at_log_line(trainer->task->log, "step %" PRId64 ": parameters are not finite; no checkpoint",
                    p->step);
        return AT_OK;
    }
    const at_train_options *o = trainer->options;
    int64_t old_extra = p->extra, keep = o->keep > o->average_last ? o->keep : o->average_last;
    bool replaces = p->regular_count && p->regular[p->regular_count - 1] == p->step;
    if (regular)
        note_regular(p, o->average_last);
    p->extra = regular || replaces ? -1 : p->step;
    at_status st = at_journal_sync(&trainer->journal, &p->log_bytes);
    json_t *state = st == AT_OK ? write_progress(trainer) : NULL;
    if (st == AT_OK && !state)
        st = at_fail(AT_ENOMEM, "out of memory while saving a checkpoint");
    if (st == AT_OK) {
        at_block blocks[MAX_BLOCKS];
        size_t count = list_blocks(trainer, blocks);
        at_checkpoint c = {.content = trainer->task->content,
                           .blocks = blocks,
                           .block_count = count,
                           .state = state,
                           .step = p->step};
        c.content.model = trainer->task->model;
        c.content.numbers = NULL;
        st = at_checkpoint_save(trainer->checkpoints, &c, keep + (old_extra >= 0) + (p->extra >= 0));
    }
    json_decref(state);
    if (st == AT_OK && old_extra >= 0 && old_extra != p->step)
        st = drop_extra(trainer, old_extra);
    return st;
}

static at_status read_best(const json_t *state, at_progress *p)
{
    const json_t *best = json_object_get(state, "best");
    at_validation *v = &p->best_validation;
    *v = (at_validation){.loss = NAN, .scores = AT_NO_SCORES};
    p->judged = best && !json_is_null(best);
    if (!p->judged)
        return AT_OK;
    at_status st = at_json_real(best, "value", -1e300, 1e300, &p->best);
    if (st == AT_OK)
        st = at_json_int(best, "step", 0, INT64_MAX, &v->step);
    if (st == AT_OK)
        st = at_json_int(best, "epoch", 0, INT64_MAX, &v->epoch);
    if (st == AT_OK)
        st = at_json_real_or(best, "loss", -1e300, 1e300, &v->loss);
    if (st == AT_OK)
        st = at_json_real_or(best, "bleu", -1e300, 1e300, &v->scores.bleu);
    if (st == AT_OK)
        st = at_json_real_or(best, "chrf", -1e300, 1e300, &v->scores.chrf);
    if (st == AT_OK)
        st = at_json_real_or(best, "accuracy", 0, 1, &v->scores.accuracy);
    return st;
}

static at_status read_interval(const json_t *state, at_interval *i)
{
    json_t *object = NULL;
    at_status st = at_json_object(state, "interval", &object);
    if (st == AT_OK)
        st = at_json_real(object, "loss", -1e300, 1e300, &i->loss);
    if (st == AT_OK)
        st = at_json_real(object, "grad_norm", -1e300, 1e300, &i->grad_norm);
    if (st == AT_OK)
        st = at_json_real(object, "seconds", 0, 1e300, &i->seconds);
    if (st == AT_OK)
        st = at_json_int(object, "tokens", 0, INT64_MAX, &i->tokens);
    if (st == AT_OK)
        st = at_json_int(object, "steps", 0, INT64_MAX, &i->steps);
    return st;
}

static at_status read_regular(const json_t *state, at_progress *p)
{
    const json_t *list = json_object_get(state, "regular");
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > AT_MAX_AVERAGED)
        return at_fail(AT_EFORMAT, "field 'regular': want at most %d steps", AT_MAX_AVERAGED);
    p->regular_count = 0;
    for (size_t i = 0; i < count; i++)
        p->regular[p->regular_count++] = json_integer_value(json_array_get(list, i));
    return AT_OK;
}

static at_status read_numbers(const json_t *state, at_progress *p)
{
    int64_t epoch = 0, batch = 0;
    const struct {
        const char *key;
        int64_t least, *to;
    } rows[] = {{"step", 0, &p->step},
                {"epoch", 0, &epoch},
                {"batch", 0, &batch},
                {"updates", 0, &p->updates},
                {"target_tokens", 0, &p->tokens},
                {"validations", 0, &p->validations},
                {"stall", 0, &p->stall},
                {"skipped", 0, &p->skipped},
                {"bad_in_a_row", 0, &p->bad_in_a_row},
                {"rollbacks", 0, &p->rollbacks},
                {"log_bytes", 0, &p->log_bytes},
                {"extra", -1, &p->extra}};
    at_status st = AT_OK;
    for (size_t i = 0; st == AT_OK && i < sizeof rows / sizeof rows[0]; i++)
        st = at_json_int(state, rows[i].key, rows[i].least, INT64_MAX, rows[i].to);
    if (st == AT_OK)
        st = at_json_real(state, "seconds", 0, 1e300, &p->seconds);
    if (st == AT_OK)
        st = at_json_real(state, "lr_factor", 0, 1, &p->lr_factor);
    p->cursor = (at_cursor){(uint64_t)epoch, (uint64_t)batch};
    return st;
}

/* The same data, and the same seed: with another one it would be neither the old training nor a new one. */
static at_status check_same(const at_trainer *trainer, const json_t *state)
{
    const char *data, *now = trainer->task->data_mark;
    int64_t seed;
    at_status st = at_json_text(state, "data", &data);
    if (st == AT_OK)
        st = at_json_int(state, "seed", 0, INT64_MAX, &seed);
    if (st != AT_OK)
        return st;
    if (now && *data && strcmp(data, now) != 0)
        return at_fail(AT_EARG,
                       "this training was begun with other data: then %.80s, now %.80s; bring the same, or "
                       "begin anew in another folder",
                       data, now);
    if (seed != trainer->options->seed)
        return at_fail(AT_EARG, "option 'seed': this training was begun with %" PRId64 ", not %" PRId64, seed,
                       trainer->options->seed);
    return AT_OK;
}

static at_status read_progress(at_trainer *trainer, const json_t *state)
{
    at_progress fresh = {0};
    at_status st = check_same(trainer, state);
    if (st == AT_OK)
        st = read_numbers(state, &fresh);
    if (st == AT_OK)
        st = read_interval(state, &fresh.interval);
    if (st == AT_OK)
        st = read_best(state, &fresh);
    if (st == AT_OK)
        st = read_regular(state, &fresh);
    if (st == AT_OK)
        st = at_loader_seek(trainer->task->train, fresh.cursor);
    if (st != AT_OK)
        return st;
    trainer->progress = fresh;
    trainer->optimiser->updates = fresh.updates;
    return AT_OK;
}

at_status at_keep_restore(at_trainer *trainer, bool *found)
{
    char *path;
    json_t *state = NULL;
    *found = false;
    at_status st = at_checkpoint_find(trainer->checkpoints, trainer->task->log, &path);
    if (st != AT_OK || !path)
        return st;
    at_block blocks[MAX_BLOCKS];
    size_t count = list_blocks(trainer, blocks);
    st = at_checkpoint_read(path, trainer->task->model, blocks, count, &state);
    if (st == AT_OK) {
        st = read_progress(trainer, state);
        if (st != AT_OK)
            st = at_fail_within(st, "%s", path);
    }
    json_decref(state);
    at_free(path);
    *found = st == AT_OK;
    return st;
}
