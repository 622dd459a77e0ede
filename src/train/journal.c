#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "train/internal.h"

at_status at_journal_open(at_journal *journal, const char *folder, int64_t bytes)
{
    *journal = (at_journal){.path = at_path_join(folder, "log.jsonl")};
    if (!journal->path)
        return AT_ENOMEM;
    journal->stream = fopen(journal->path, "ab");
    if (!journal->stream)
        return at_fail(AT_EIO, "%s: cannot be written: %s", journal->path, strerror(errno));
    /* What was logged after the checkpoint will be logged again. A power cut may have left less than that. */
    long length = fseek(journal->stream, 0, SEEK_END) == 0 ? ftell(journal->stream) : -1;
    if (length < 0 || (length > bytes && ftruncate(fileno(journal->stream), (off_t)bytes) != 0))
        return at_fail(AT_EIO, "%s: cannot be cut back: %s", journal->path, strerror(errno));
    return AT_OK;
}

void at_journal_close(at_journal *journal)
{
    if (journal->stream)
        fclose(journal->stream);
    at_free(journal->path);
    *journal = (at_journal){0};
}

at_status at_journal_write(at_journal *journal, json_t *line)
{
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(line);
    if (!text)
        return at_fail(AT_ENOMEM, "out of memory while writing %s", journal->path);
    at_status st = at_file_append_line(journal->stream, journal->path, text);
    at_free(text);
    return st;
}

at_status at_journal_sync(at_journal *journal, int64_t *bytes)
{
    long length = -1;
    if (fflush(journal->stream) == 0 && fsync(fileno(journal->stream)) == 0 &&
        fseek(journal->stream, 0, SEEK_END) == 0)
        length = ftell(journal->stream);
    if (length < 0)
        return at_fail(AT_EIO, "%s: cannot be written: %s", journal->path, strerror(errno));
    *bytes = length;
    return AT_OK;
}

json_t *at_journal_report(const at_trainer *trainer)
{
    const at_progress *p = &trainer->progress;
    const at_interval *i = &p->interval;
    double tokens = i->tokens > 0 ? (double)i->tokens : 1, steps = i->steps > 0 ? (double)i->steps : 1;
    return json_pack("{s:I, s:I, s:f, s:f, s:f, s:I, s:f, s:f}", "step", (json_int_t)p->step, "epoch",
                     (json_int_t)at_progress_epoch(p), "loss", i->loss / tokens, "lr", trainer->lr,
                     "grad_norm", i->grad_norm / steps, "target_tokens", (json_int_t)p->tokens, "seconds",
                     p->seconds, "tokens_per_s", i->seconds > 0 ? (double)i->tokens / i->seconds : 0);
}

json_t *at_journal_validation(const at_validation *v)
{
    json_t *line = json_pack("{s:I, s:I, s:f}", "step", (json_int_t)v->step, "epoch", (json_int_t)v->epoch,
                             "valid_loss", v->loss);
    bool ok = line != NULL;
    if (ok && isfinite(v->scores.bleu))
        ok = json_object_set_new(line, "bleu", json_real(v->scores.bleu)) == 0;
    if (ok && isfinite(v->scores.chrf))
        ok = json_object_set_new(line, "chrf", json_real(v->scores.chrf)) == 0;
    if (ok && isfinite(v->scores.accuracy))
        ok = json_object_set_new(line, "accuracy", json_real(v->scores.accuracy)) == 0;
    if (ok && v->averaged > 0)
        ok = json_object_set_new(line, "averaged", json_integer(v->averaged)) == 0;
    if (ok)
        ok = json_object_set_new(line, "best", json_boolean(v->best)) == 0;
    if (ok)
        return line;
    json_decref(line);
    return NULL;
}
