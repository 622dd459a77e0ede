#include "cli/scores.h"
#include <math.h>
#include <string.h>

at_status at_metrics_parse(const char *names, at_metrics *metrics)
{
    *metrics = (at_metrics){0};
    const struct known {
        const char *name;
        bool *wanted;
    } known[] = {{"bleu", &metrics->bleu},
                 {"chrf", &metrics->chrf},
                 {"chrf++", &metrics->chrf_words},
                 {"exact", &metrics->exact},
                 {"accuracy", &metrics->accuracy},
                 {"macro-f1", &metrics->macro_f1},
                 {"calibration", &metrics->calibration},
                 {"labels", &metrics->labels},
                 {"retrieval", &metrics->retrieval},
                 {"rouge-1", &metrics->rouge[AT_ROUGE_1]},
                 {"rouge-2", &metrics->rouge[AT_ROUGE_2]},
                 {"rouge-l", &metrics->rouge[AT_ROUGE_L]},
                 {"loss", &metrics->loss},
                 {"perplexity", &metrics->perplexity},
                 {"aer", &metrics->aer}};
    for (const char *name = names;; name++) {
        size_t length = strcspn(name, ",");
        bool found = length == 5 && strncmp(name, "rouge", 5) == 0;
        for (int k = 0; found && k < AT_ROUGE_KINDS; k++)
            metrics->rouge[k] = true;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (strlen(known[i].name) == length && strncmp(known[i].name, name, length) == 0)
                found = *known[i].wanted = true;
        }
        if (!found)
            return at_fail(
                AT_EARG,
                "metric: '%.*s' is none of bleu, chrf, chrf++, exact, rouge, rouge-1, rouge-2, "
                "rouge-l, loss, perplexity, aer, accuracy, macro-f1, calibration, labels, retrieval",
                (int)length, name);
        name += length;
        if (!*name)
            return AT_OK;
    }
}

/* A score with its signature; text of both forms comes from here, so that they cannot differ. */
typedef struct line {
    const char *name;
    const char *protocol;
    at_buf signature;
    const char *verbose; /* NULL: none */
    double score;
    int digits;
} line;

static at_status put(line *l, json_t *object, json_t *array, at_buf *out)
{
    if (l->protocol)
        at_buf_printf(&l->signature, "|protocol:%s", l->protocol);
    at_status st = object ? at_buf_status(&l->signature) : AT_ENOMEM;
    if (st == AT_OK && l->protocol) {
        if (json_object_set_new(object, "signature", json_string(l->signature.data)) != 0 ||
            json_object_set_new(object, "protocol", json_string(l->protocol)) != 0)
            st = at_fail(AT_ENOMEM, "%s: no memory for its signature", l->name);
    }
    if (st == AT_OK)
        at_buf_printf(out, "%s|%s = %.*f%s%s\n", l->name, l->signature.data, l->digits, l->score,
                      l->verbose ? " " : "", l->verbose ? l->verbose : "");
    if (st == AT_OK && json_array_append(array, object) != 0)
        st = at_fail(AT_ENOMEM, "%s: no memory for its score", l->name);
    at_buf_free(&l->signature);
    json_decref(object);
    return st;
}

static at_status put_bleu(const at_scoring *s, const at_eval_lines *lines, json_t *array, at_buf *out,
                          at_buf *warnings)
{
    at_bleu_stats stats = {0};
    at_status st = at_bleu_corpus(&s->bleu, lines, &stats);
    if (st != AT_OK)
        return st;
    if (!s->protocol) /* a protocol on tokens would only be told that its text is tokenized */
        at_bleu_warnings(&s->bleu, &stats, warnings);
    at_buf verbose = {0};
    at_bleu_verbose(&s->bleu, &stats, &verbose);
    st = at_buf_status(&verbose);
    if (st == AT_OK) {
        line l = {"BLEU", s->protocol, {0}, verbose.data, at_bleu_compute(&s->bleu, &stats).score, 2};
        at_bleu_signature(&s->bleu, &stats, &l.signature);
        st = put(&l, at_bleu_json(&s->bleu, &stats), array, out);
    }
    at_buf_free(&verbose);
    return st;
}

static at_status put_chrf(const at_scoring *s, int word_order, const at_eval_lines *lines, json_t *array,
                          at_buf *out)
{
    at_chrf_options options = s->chrf;
    options.word_order = word_order;
    at_chrf_stats stats = {0};
    at_status st = at_chrf_corpus(&options, lines, &stats);
    if (st != AT_OK)
        return st;
    at_buf name = {0};
    at_chrf_name(&options, &name);
    st = at_buf_status(&name);
    if (st == AT_OK) {
        line l = {name.data, s->protocol, {0}, NULL, at_chrf_compute(&options, &stats), 2};
        at_chrf_signature(&options, &stats, &l.signature);
        st = put(&l, at_chrf_json(&options, &stats), array, out);
    }
    at_buf_free(&name);
    return st;
}

static at_status put_rouge(const at_scoring *s, const at_eval_lines *lines, json_t *array, at_buf *out)
{
    at_rouge_stats stats = {0};
    at_status st = at_rouge_corpus(&s->rouge, lines, &stats);
    for (int k = 0; st == AT_OK && k < AT_ROUGE_KINDS; k++) {
        at_rouge_kind kind = (at_rouge_kind)k;
        at_buf verbose = {0};
        if (!s->metrics.rouge[k])
            continue;
        at_rouge_verbose(&stats, kind, &verbose);
        st = at_buf_status(&verbose);
        if (st == AT_OK) {
            line l = {
                at_rouge_name(kind), s->protocol, {0}, verbose.data, at_rouge_compute(&stats, kind).f, 2};
            at_rouge_signature(&s->rouge, &stats, &l.signature);
            st = put(&l, at_rouge_json(&s->rouge, &stats, kind), array, out);
        }
        at_buf_free(&verbose);
    }
    return st;
}

/* Lines that are one of their references to the byte, in %. */
static at_status put_exact(const at_scoring *s, const at_eval_lines *lines, json_t *array, at_buf *out)
{
    size_t same = 0;
    for (size_t i = 0; i < lines->line_count; i++) {
        bool hit = false;
        for (size_t r = 0; r < lines->ref_count; r++)
            hit = hit || !strcmp(lines->hyps[i], lines->refs[r][i]);
        same += hit;
    }
    double percent = lines->line_count ? 100.0 * (double)same / (double)lines->line_count : 0;
    line l = {"exact", s->protocol, {0}, NULL, percent, 2};
    at_buf_printf(&l.signature, "lines:%zu|version:%s", lines->line_count, AT_EVAL_VERSION);
    at_status st = at_buf_status(&l.signature);
    json_t *object = st == AT_OK ? json_pack("{s:s,s:f,s:s,s:I}", "name", "exact", "score", percent,
                                             "signature", l.signature.data, "same", (json_int_t)same)
                                 : NULL;
    return put(&l, object, array, out);
}

at_status at_scores_text(const at_scoring *scoring, const at_eval_lines *lines, json_t *array, at_buf *out,
                         at_buf *warnings)
{
    at_status st = scoring->metrics.bleu ? put_bleu(scoring, lines, array, out, warnings) : AT_OK;
    if (st == AT_OK && scoring->metrics.chrf)
        st = put_chrf(scoring, 0, lines, array, out);
    if (st == AT_OK && scoring->metrics.chrf_words)
        st = put_chrf(scoring, 2, lines, array, out);
    if (st == AT_OK && scoring->metrics.exact)
        st = put_exact(scoring, lines, array, out);
    if (st == AT_OK && at_metrics_of_rouge(&scoring->metrics))
        st = put_rouge(scoring, lines, array, out);
    return st;
}

static at_status put_number(const char *name, double value, const at_pair_score *score, json_t *array,
                            at_buf *out)
{
    line l = {name, NULL, {0}, NULL, value, 4};
    at_buf_printf(&l.signature, "pieces:%zu|version:%s", score->pieces, AT_EVAL_VERSION);
    at_status st = at_buf_status(&l.signature);
    json_t *object = st == AT_OK ? json_pack("{s:s,s:f,s:s,s:I}", "name", name, "score", value, "signature",
                                             l.signature.data, "pieces", (json_int_t)score->pieces)
                                 : NULL;
    return put(&l, object, array, out);
}

at_status at_scores_model(const at_scoring *scoring, const at_pair_score *score, json_t *array, at_buf *out)
{
    if (score->pieces == 0)
        return at_fail(AT_EARG,
                       "no pair to compute the loss of: all are empty or longer than the model reaches");
    double loss = score->loss / (double)score->pieces;
    if (!isfinite(exp(loss)))
        return at_fail(AT_ENUMBER, "the loss is not a finite number; is the model whole?");
    at_status st = scoring->metrics.loss ? put_number("loss", loss, score, array, out) : AT_OK;
    if (st == AT_OK && scoring->metrics.perplexity)
        st = put_number("perplexity", exp(loss), score, array, out);
    return st;
}
