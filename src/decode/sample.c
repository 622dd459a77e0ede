#include "decode/sample.h"
#include <math.h>
#include <stdlib.h>
#include "base/memory.h"

#define AT(member) offsetof(at_sample_options, member)

const at_field at_sample_fields[] = {
    {"temperature", AT_FIELD_REAL, AT(temperature), "1", 0, 100, NULL,
     "logits are divided by it; 0: always the likeliest"},
    {"top_k", AT_FIELD_INT, AT(top_k), "0", 0, 1 << 24, NULL, "draw from so many of the likeliest; 0: all"},
    {"top_p", AT_FIELD_REAL, AT(top_p), "1", 1e-9, 1, NULL,
     "draw from the fewest that together have this probability"},
    {"min_p", AT_FIELD_REAL, AT(min_p), "0", 0, 1, NULL,
     "draw from those at least this part as likely as the likeliest"},
    {"typical", AT_FIELD_REAL, AT(typical), "1", 1e-9, 1, NULL,
     "draw from those nearest to the entropy that together have this probability"},
    {"repetition", AT_FIELD_REAL, AT(repetition), "1", 0.01, 100, NULL,
     "penalty for what was said before; 1: none, 1.2: usual"},
    {0}};

typedef struct entry {
    double logit, key; /* key: what the list is sorted by, falling */
    int32_t id;
} entry;

struct at_sampler {
    size_t n;
    entry *list;
    double *probability; /* (n) of the list */
    bool *banned, *said; /* (n) */
};

at_status at_sample_check(const at_sample_options *o)
{
    const struct {
        const char *key;
        double value;
    } reals[] = {{"temperature", o->temperature},
                 {"top_k", (double)o->top_k},
                 {"top_p", o->top_p},
                 {"min_p", o->min_p},
                 {"typical", o->typical},
                 {"repetition", o->repetition}};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        const at_field *f = at_fields_find(at_sample_fields, reals[i].key);
        if (!(reals[i].value >= f->min && reals[i].value <= f->max))
            return at_fail(AT_EARG, "option '%s': %g is not within %g to %g", f->key, reals[i].value, f->min,
                           f->max);
    }
    return AT_OK;
}

at_status at_sampler_new(size_t n, at_sampler **sampler)
{
    at_sampler *s = at_alloc_zero(1, sizeof *s);
    *sampler = s;
    if (!s)
        return AT_ENOMEM;
    s->n = n;
    s->list = at_alloc_array(n, sizeof *s->list);
    s->probability = at_alloc_array(n, sizeof *s->probability);
    s->banned = at_alloc_zero(n, sizeof *s->banned);
    s->said = at_alloc_zero(n, sizeof *s->said);
    if (s->list && s->probability && s->banned && s->said)
        return AT_OK;
    at_sampler_free(s);
    *sampler = NULL;
    return AT_ENOMEM;
}

void at_sampler_free(at_sampler *s)
{
    if (!s)
        return;
    at_free(s->list);
    at_free(s->probability);
    at_free(s->banned);
    at_free(s->said);
    at_free(s);
}

void at_sampler_ban(at_sampler *s, int32_t id)
{
    if (id >= 0 && (size_t)id < s->n)
        s->banned[id] = true;
}

/* Every id that may be said, with its penalised logit. */
static size_t gather(at_sampler *s, const at_sample_options *o, const float *logits, const int32_t *said,
                     size_t count)
{
    bool penalty = o->repetition < 1 || o->repetition > 1;
    size_t kept = 0;
    for (size_t i = 0; penalty && i < count; i++)
        s->said[said[i]] = true;
    for (size_t i = 0; i < s->n; i++) {
        double logit = (double)logits[i];
        if (s->banned[i] || !(logit > -INFINITY))
            continue;
        if (penalty && s->said[i])
            logit = logit > 0 ? logit / o->repetition : logit * o->repetition;
        s->list[kept++] = (entry){logit, logit, (int32_t)i};
    }
    for (size_t i = 0; penalty && i < count; i++)
        s->said[said[i]] = false;
    return kept;
}

/* log sum exp of all logits, those that may not be said included. */
static double log_sum(const float *logits, size_t n)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        most = (double)logits[i] > most ? (double)logits[i] : most;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - most);
    return most + log(sum);
}

static size_t likeliest(const entry *list, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        if (list[i].logit > list[best].logit) /* ids rise: the lower one stays */
            best = i;
    }
    return best;
}

/* Falling by key, rising by id. */
static int by_key(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->key > y->key || x->key < y->key)
        return x->key > y->key ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void softmax(at_sampler *s, size_t count)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++)
        most = s->list[i].logit > most ? s->list[i].logit : most;
    for (size_t i = 0; i < count; i++)
        sum += s->probability[i] = exp(s->list[i].logit - most);
    for (size_t i = 0; i < count; i++)
        s->probability[i] /= sum;
}

/* How many of the front have `part` of the probability together; one at least. */
static size_t front(const at_sampler *s, size_t count, double part)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += s->probability[i];
        if (sum >= part)
            return i + 1;
    }
    return count;
}

static size_t keep_typical(at_sampler *s, size_t count, double part)
{
    double entropy = 0;
    softmax(s, count);
    for (size_t i = 0; i < count; i++)
        entropy -= s->probability[i] > 0 ? s->probability[i] * log(s->probability[i]) : 0;
    for (size_t i = 0; i < count; i++)
        s->list[i].key = -fabs(-log(s->probability[i]) - entropy);
    qsort(s->list, count, sizeof *s->list, by_key);
    softmax(s, count);
    return front(s, count, part);
}

/* The list sorted and cut by the options that are on. */
static size_t filter(at_sampler *s, const at_sample_options *o, size_t count)
{
    bool cuts = o->top_k > 0 || o->top_p < 1 || o->min_p > 0;
    if (cuts)
        qsort(s->list, count, sizeof *s->list, by_key);
    if (o->top_k > 0 && (uint64_t)o->top_k < count)
        count = (size_t)o->top_k;
    if (o->top_p < 1) {
        softmax(s, count);
        count = front(s, count, o->top_p);
    }
    if (o->min_p > 0) {
        softmax(s, count);
        size_t kept = 1;
        while (kept < count && s->probability[kept] >= o->min_p * s->probability[0])
            kept++;
        count = kept;
    }
    return o->typical < 1 ? keep_typical(s, count, o->typical) : count;
}

static size_t draw(at_sampler *s, size_t count, at_rng *rng)
{
    double point = (double)at_rng_uniform(rng), sum = 0;
    softmax(s, count);
    for (size_t i = 0; i + 1 < count; i++) {
        sum += s->probability[i];
        if (point < sum)
            return i;
    }
    return count - 1;
}

at_sampled at_sample(at_sampler *s, const at_sample_options *o, const float *logits, const int32_t *said,
                     size_t count, at_rng *rng)
{
    size_t kept = gather(s, o, logits, said, count);
    double all = log_sum(logits, s->n);
    if (!kept || !isfinite(all))
        return (at_sampled){-1, NAN};
    size_t chosen;
    if (o->temperature > 0) {
        for (size_t i = 0; i < kept; i++)
            s->list[i].logit = s->list[i].key = s->list[i].logit / o->temperature;
        kept = filter(s, o, kept);
        chosen = draw(s, kept, rng);
    } else {
        chosen = likeliest(s->list, kept);
    }
    int32_t id = s->list[chosen].id;
    return (at_sampled){id, (double)logits[id] - all};
}
