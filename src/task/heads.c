/* What each head does, measured: the mean share of its weight that rests on the previous word, the next,
 * itself, the first, the full stop and the end. After Clark et al. 2019, arXiv:1906.04341, section 3; Voita
 * et al. 2019, arXiv:1905.09418, section 4. */
#include <math.h>
#include <string.h>
#include "base/memory.h"
#include "task/internal.h"

enum { KINDS = 3 };
static const at_attention_kind kinds[KINDS] = {AT_CROSS, AT_ENCODER_SELF, AT_DECODER_SELF}; /* by view kind */

/* Sums over rows, and how many rows there were. */
typedef struct sums {
    double share[AT_HEAD_ROLES], entropy;
    size_t rows[AT_HEAD_ROLES], all;
} sums;

typedef struct heads {
    at_heads public;
    at_head *list;
} heads;

typedef struct job {
    at_translator *t;
    at_trace *trace;
    int layers[KINDS], head_count[KINDS];
    sums *sums[KINDS]; /* (layers, heads) */
    at_pair *pairs;    /* of the batch */
    size_t count;
    size_t used, left_out;
} job;

static bool is_stop(const char *word)
{
    static const char *const stops[] = {".", "。", "．", "!", "！", "?", "？", "…", "।", "؟", "۔"};
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        if (strcmp(word, stops[i]) == 0)
            return true;
    }
    return false;
}

static bool is_end(const at_words *words, size_t j)
{
    return j + 1 == words->count && strcmp(words->text[j], "</s>") == 0;
}

static void add(sums *s, at_head_role role, double share)
{
    s->share[role] += share;
    s->rows[role]++;
}

/* One row of one head: where its weight rests. */
static void measure_row(at_attention_kind kind, const float *row, size_t i, const at_words *columns, sums *s)
{
    size_t n = columns->count;
    double entropy = 0, stop = 0;
    bool stops = false;
    for (size_t j = 0; j < n; j++) {
        double w = (double)row[j];
        entropy -= w > 0 ? w * log2(w) : 0;
        if (is_stop(columns->text[j])) {
            stops = true;
            stop += w;
        }
    }
    if (kind != AT_CROSS) {
        add(s, AT_HEAD_ITSELF, (double)row[i]);
        if (i > 0)
            add(s, AT_HEAD_PREVIOUS, (double)row[i - 1]);
        if (kind == AT_ENCODER_SELF && i + 1 < n && !is_end(columns, i + 1))
            add(s, AT_HEAD_NEXT, (double)row[i + 1]);
    }
    add(s, AT_HEAD_FIRST, (double)row[0]);
    if (stops)
        add(s, AT_HEAD_STOP, stop);
    if (is_end(columns, n - 1))
        add(s, AT_HEAD_END, (double)row[n - 1]);
    s->entropy += entropy;
    s->all++;
}

/* The end of sentence looks too, but is no word; what has only itself to look at tells nothing. */
static void measure_map(at_attention_kind kind, const float *weights, const at_words *rows,
                        const at_words *columns, sums *s)
{
    for (size_t i = kind == AT_DECODER_SELF ? 1 : 0; i < rows->count; i++) {
        if (kind == AT_ENCODER_SELF && is_end(rows, i))
            continue;
        measure_row(kind, weights + i * columns->count, i, columns, s);
    }
}

static at_status make_room(job *j)
{
    for (size_t k = 0; k < KINDS; k++) {
        if (j->sums[k])
            continue;
        j->layers[k] = at_trace_layers(j->trace, kinds[k]);
        j->head_count[k] = at_trace_heads(j->trace, kinds[k]);
        j->sums[k] = at_alloc_zero((size_t)(j->layers[k] * j->head_count[k]) + 1, sizeof *j->sums[k]);
        if (!j->sums[k])
            return AT_ENOMEM;
    }
    return AT_OK;
}

static at_status measure_kind(job *j, size_t k, size_t sequence)
{
    at_words rows = {0}, columns = {0};
    const at_pair *pair = &j->pairs[sequence];
    at_status st = kinds[k] == AT_DECODER_SELF
                       ? at_look_read(j->t, pair, AT_UNIT_WORD, &rows)
                       : at_look_words(j->t, pair, kinds[k], AT_UNIT_WORD, &rows, &columns);
    const at_words *across = kinds[k] == AT_DECODER_SELF ? &rows : &columns;
    float *words = st == AT_OK ? at_alloc_array(rows.count * across->count + 1, sizeof *words) : NULL;
    if (st == AT_OK && !words)
        st = AT_ENOMEM;
    for (int i = 0; i < j->layers[k] * j->head_count[k] && st == AT_OK; i++) {
        const at_trace_map *m =
            at_trace_find(j->trace, kinds[k], i / j->head_count[k], i % j->head_count[k], sequence);
        if (!m)
            continue;
        at_join_pieces(m->weights, &rows, across, words);
        measure_map(kinds[k], words, &rows, across, &j->sums[k][i]);
    }
    at_free(words);
    at_words_free(&rows);
    at_words_free(&columns);
    return st;
}

static at_status run_batch(job *j)
{
    at_trace_clear(j->trace);
    at_status st = at_trace_pairs(j->t, j->pairs, j->count, true, j->trace);
    if (st == AT_OK)
        st = make_room(j);
    for (size_t i = 0; i < j->count; i++) {
        for (size_t k = 0; k < KINDS && st == AT_OK; k++) {
            if (j->layers[k] > 0)
                st = measure_kind(j, k, i);
        }
        at_pair_free(&j->pairs[i]);
    }
    j->used += j->count;
    j->count = 0;
    return st;
}

static at_status run(job *j, const char *const *sources, const char *const *targets, size_t count,
                     size_t batch, int beam)
{
    at_status st = AT_OK;
    for (size_t i = 0; i < count && st == AT_OK; i++) {
        bool fits = true;
        at_pair_spec spec = {.source = sources[i], .target = targets ? targets[i] : NULL, .beam = beam};
        st = at_pair_try(j->t, &spec, &j->pairs[j->count], &fits);
        if (st == AT_OK && fits)
            j->count++;
        else if (st == AT_OK)
            j->left_out++;
        if (st == AT_OK && j->count == batch)
            st = run_batch(j);
    }
    if (st == AT_OK && j->count > 0)
        st = run_batch(j);
    for (size_t i = 0; i < j->count; i++)
        at_pair_free(&j->pairs[i]);
    if (st == AT_OK && j->used == 0)
        st = at_fail(AT_EARG, "no line to measure heads on: all are empty or longer than the model reaches");
    return st;
}

static at_status put_all(const job *j, heads *h)
{
    size_t total = 0;
    for (size_t k = 0; k < KINDS; k++)
        total += (size_t)(j->layers[k] * j->head_count[k]);
    at_status st = at_trace_expect(j->trace, -1);
    if (st != AT_OK)
        return st;
    h->list = at_alloc_zero(total, sizeof *h->list);
    if (!h->list)
        return AT_ENOMEM;
    for (size_t k = 0; k < KINDS; k++) {
        for (int i = 0; i < j->layers[k] * j->head_count[k]; i++) {
            const sums *s = &j->sums[k][i];
            at_head *head = &h->list[h->public.count++];
            *head = (at_head){.kind = (at_view_kind)k,
                              .layer = i / j->head_count[k],
                              .head = i % j->head_count[k],
                              .rows = s->all,
                              .entropy = s->all ? s->entropy / (double)s->all : NAN};
            for (int r = 0; r < AT_HEAD_ROLES; r++)
                head->share[r] = s->rows[r] ? s->share[r] / (double)s->rows[r] : NAN;
        }
    }
    h->public.list = h->list;
    h->public.pairs = j->used;
    h->public.left_out = j->left_out;
    return AT_OK;
}

at_status at_heads_new(at_translator *translator, const char *const *sources, const char *const *targets,
                       size_t count, const at_heads_options *options, at_heads **out)
{
    at_heads_options o = AT_HEADS_DEFAULTS;
    if (options)
        o = *options;
    *out = NULL;
    if (o.batch < 1 || o.batch > 4096)
        return at_fail(AT_EARG, "batch: want 1 to 4096 pairs, got %d", o.batch);
    heads *h = at_alloc_zero(1, sizeof *h);
    job j = {.t = translator, .trace = at_trace_new()};
    j.pairs = at_alloc_zero((size_t)o.batch, sizeof *j.pairs);
    at_status st = h && j.trace && j.pairs ? AT_OK : AT_ENOMEM;
    if (st == AT_OK) {
        for (size_t k = 0; k < KINDS; k++)
            at_trace_want(j.trace, kinds[k], AT_MEAN, AT_MEAN);
        pthread_mutex_lock(&translator->lock);
        st = run(&j, sources, targets, count, (size_t)o.batch, o.beam);
        pthread_mutex_unlock(&translator->lock);
    }
    if (st == AT_OK)
        st = put_all(&j, h);
    at_trace_free(j.trace);
    at_free(j.pairs);
    for (size_t k = 0; k < KINDS; k++)
        at_free(j.sums[k]);
    if (st == AT_OK)
        *out = &h->public;
    else if (h)
        at_heads_free(&h->public);
    return st;
}

void at_heads_free(at_heads *public)
{
    if (!public)
        return;
    heads *h = (heads *)public; /* its first member */
    at_free(h->list);
    at_free(h);
}

const char *at_head_role_name(at_head_role role)
{
    static const char *const names[] = {"previous", "next", "itself", "first", "stop", "end"};
    return role >= 0 && role < AT_HEAD_ROLES ? names[role] : "";
}

int at_head_strongest(const at_head *head)
{
    int best = -1;
    for (int r = 0; r < AT_HEAD_ROLES; r++) {
        if (!isnan(head->share[r]) && (best < 0 || head->share[r] > head->share[best]))
            best = r;
    }
    return best;
}
