#include "task/reason.h"
#include <math.h>
#include <string.h>
#include "attention/rollout.h"
#include "base/memory.h"

enum { ROWS_AT_ONCE = 4096 };

static bool option_is(const at_model *model, const char *key, const char *value)
{
    json_t *options = at_model_options(model);
    const char *text = json_string_value(json_object_get(options, key));
    bool is = text && !strcmp(text, value);
    json_decref(options);
    return is;
}

bool at_reason_has(const at_model *model, at_measure measure)
{
    if (measure == AT_MEASURE_POOLING)
        return option_is(model, "pooling", "attention");
    if (measure == AT_MEASURE_CLASS || measure == AT_MEASURE_ROLLOUT)
        return option_is(model, "pooling", "class") && option_is(model, "body", "transformer");
    return measure == AT_MEASURE_LEFT_OUT;
}

at_measure at_reason_own(const at_model *model)
{
    return at_reason_has(model, AT_MEASURE_POOLING) ? AT_MEASURE_POOLING
           : at_reason_has(model, AT_MEASURE_CLASS) ? AT_MEASURE_CLASS
                                                    : AT_MEASURE_LEFT_OUT;
}

const char *at_reason_name(at_measure measure)
{
    static const char *const names[AT_MEASURES] = {[AT_MEASURE_OWN] = "own",
                                                   [AT_MEASURE_POOLING] = "pooling",
                                                   [AT_MEASURE_CLASS] = "class",
                                                   [AT_MEASURE_ROLLOUT] = "rollout",
                                                   [AT_MEASURE_LEFT_OUT] = "left_out"};
    return names[measure];
}

/* Logits (B,labels) of some sequences on the tape, which is begun; NULL: see the tape. */
static const at_var *run(const at_reason_line *line, const at_rows *rows, const int32_t *ids, at_trace *trace,
                         const float **weights)
{
    at_batch batch = {.source = *rows, .source_ids = ids};
    at_tape_begin(line->tape, AT_TAPE_RUN, 0, 0);
    line->tape->trace = trace;
    at_var *logits = at_model_classify(line->model, line->tape, &batch, weights);
    line->tape->trace = NULL;
    return logits;
}

static void join(const at_words *words, const float *pieces, float *out)
{
    memset(out, 0, words->count * sizeof *out);
    for (size_t i = 0; i < words->pieces; i++)
        out[words->word[i]] += pieces[i];
}

/* Where the model looked. */
static at_status looked(const at_reason_line *line, at_measure measure, float *out)
{
    size_t n = line->count;
    int32_t offsets[] = {0, (int32_t)n};
    at_trace *trace = at_trace_new();
    float *map = at_alloc_array(n * n, sizeof *map);
    const float *weights = NULL;
    at_status st = trace && map ? AT_OK : AT_ENOMEM;
    if (st == AT_OK) {
        at_trace_want(trace, AT_ENCODER_SELF, AT_MEAN, AT_MEAN);
        run(line, &(at_rows){1, offsets, NULL}, line->ids, measure == AT_MEASURE_POOLING ? NULL : trace,
            &weights);
        st = at_tape_status(line->tape);
    }
    int last = st == AT_OK ? at_trace_layers(trace, AT_ENCODER_SELF) - 1 : 0;
    if (st == AT_OK && measure == AT_MEASURE_CLASS)
        st = at_trace_mean(trace, AT_ENCODER_SELF, last, AT_MEAN, 0, map, n, n);
    if (st == AT_OK && measure == AT_MEASURE_ROLLOUT)
        st = at_trace_rollout(trace, AT_ENCODER_SELF, 0, map, n);
    if (st == AT_OK && measure == AT_MEASURE_POOLING && !weights)
        st = at_fail(AT_ENOSUP, "this model does not pool by attention");
    if (st == AT_OK)
        join(line->words, weights ? weights : map, out); /* the class token's row is the first */
    at_tape_reset(line->tape);
    at_trace_free(trace);
    at_free(map);
    return st;
}

static double log_probability(const float *logits, size_t labels, size_t label)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < labels; i++)
        most = fmax(most, (double)logits[i]);
    for (size_t i = 0; i < labels; i++)
        sum += exp((double)logits[i] - most);
    return (double)logits[label] - most - log(sum);
}

/* The line's pieces but those of one word (`words->count`: all of them). */
static size_t copy_without(const at_reason_line *line, size_t word, int32_t *to)
{
    size_t count = 0;
    for (size_t i = 0; i < line->count; i++)
        if ((size_t)line->words->word[i] != word)
            to[count++] = line->ids[i];
    return count;
}

/* Log probability of the label without each of the words [first, end), into out. */
static at_status leave_out(const at_reason_line *line, size_t label, size_t first, size_t end, double *out)
{
    size_t count = end - first;
    int32_t *ids = at_alloc_array(count * line->count, sizeof *ids),
            *offsets = at_alloc_zero(count + 1, sizeof *offsets);
    at_status st = ids && offsets ? AT_OK : AT_ENOMEM;
    for (size_t i = 0; i < count && st == AT_OK; i++)
        offsets[i + 1] = offsets[i] + (int32_t)copy_without(line, first + i, ids + offsets[i]);
    size_t labels = (size_t)line->model->vocabulary.labels;
    const at_var *logits = st == AT_OK ? run(line, &(at_rows){count, offsets, NULL}, ids, NULL, NULL) : NULL;
    if (st == AT_OK)
        st = at_tape_status(line->tape);
    for (size_t i = 0; i < count && st == AT_OK; i++)
        out[i] = log_probability(logits->data + i * labels, labels, label);
    at_tape_reset(line->tape);
    at_free(ids);
    at_free(offsets);
    return st;
}

/* What the words did. The first and the last word are <s> and </s>. */
static at_status without_each(const at_reason_line *line, size_t label, float *out)
{
    size_t words = line->words->count, step = ROWS_AT_ONCE / (line->count + 1) + 1;
    double whole, *each = at_alloc_array(words + 1, sizeof *each);
    at_status st = each ? leave_out(line, label, words, words + 1, &whole) : AT_ENOMEM;
    memset(out, 0, words * sizeof *out);
    for (size_t i = 1; i + 1 < words && st == AT_OK; i += step) {
        size_t end = words - 1 - i < step ? words - 1 : i + step;
        st = leave_out(line, label, i, end, each + i);
    }
    for (size_t i = 1; i + 1 < words && st == AT_OK; i++)
        out[i] = (float)(whole - each[i]);
    at_free(each);
    return st;
}

at_status at_reason_measure(const at_reason_line *line, at_measure measure, size_t label, float *out)
{
    if (!at_reason_has(line->model, measure))
        return at_fail(AT_ENOSUP,
                       "measure %s: this model does not pool so; its own is %s, and left_out is for all",
                       at_reason_name(measure), at_reason_name(at_reason_own(line->model)));
    return measure == AT_MEASURE_LEFT_OUT ? without_each(line, label, out) : looked(line, measure, out);
}

/* ---------------------------------------------------------------- all of them */

static at_status find_label(const at_reason_line *line, at_reasons *r)
{
    size_t labels = (size_t)line->model->vocabulary.labels;
    int32_t offsets[] = {0, (int32_t)line->count};
    const at_var *logits = run(line, &(at_rows){1, offsets, NULL}, line->ids, NULL, NULL);
    at_status st = at_tape_status(line->tape);
    for (size_t i = 1; i < labels && st == AT_OK; i++)
        if (logits->data[i] > logits->data[r->label])
            r->label = i;
    r->probability = st == AT_OK ? exp(log_probability(logits->data, labels, r->label)) : 0;
    at_tape_reset(line->tape);
    if (st == AT_OK && !isfinite(r->probability))
        st = at_fail(AT_ENUMBER, "the model's probabilities are no finite numbers");
    return st;
}

/* (words) of signs -> two rows of shares: what spoke for the label, and against it. */
static void part_signs(float *rows, size_t words)
{
    double sum = 0;
    for (size_t i = 0; i < words; i++)
        sum += fabs((double)rows[i]);
    for (size_t i = 0; i < words; i++) {
        float share = sum > 0 ? (float)((double)rows[i] / sum) : 0;
        rows[i] = share > 0 ? share : 0;
        rows[words + i] = share < 0 ? -share : 0;
    }
}

at_status at_reasons_find(const at_reason_line *line, at_reasons *reasons)
{
    static const char *const names[AT_MEASURES] = {[AT_MEASURE_POOLING] = "attention pooling",
                                                   [AT_MEASURE_CLASS] = "class token",
                                                   [AT_MEASURE_ROLLOUT] = "class token, rollout",
                                                   [AT_MEASURE_LEFT_OUT] = "left out: was for"};
    size_t words = line->words->count;
    *reasons = (at_reasons){0};
    reasons->weights = at_alloc_zero((AT_MEASURES + 1) * words, sizeof *reasons->weights);
    at_status st = reasons->weights ? find_label(line, reasons) : AT_ENOMEM;
    for (int m = AT_MEASURE_POOLING; m < AT_MEASURES && st == AT_OK; m++) {
        bool too_long = m == AT_MEASURE_ROLLOUT && line->count > AT_ROLLOUT_MOST;
        if (!at_reason_has(line->model, (at_measure)m) || too_long)
            continue;
        float *row = reasons->weights + reasons->rows * words;
        st = at_reason_measure(line, (at_measure)m, reasons->label, row);
        reasons->names[reasons->rows++] = names[m];
        if (m != AT_MEASURE_LEFT_OUT)
            continue;
        part_signs(row, words);
        reasons->names[reasons->rows++] = "left out: was against";
    }
    if (st != AT_OK)
        at_reasons_free(reasons);
    return st;
}

void at_reasons_free(at_reasons *reasons)
{
    at_free(reasons->weights);
    *reasons = (at_reasons){0};
}
