#include "decode/beam.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/memory.h"
#include "decode/candidates.h"

const at_field at_beam_fields[] = {
    {"beam", AT_FIELD_INT, offsetof(at_beam_options, beam), "5", 1, 64, NULL, "hypotheses kept; 1 is greedy"},
    {"n_best", AT_FIELD_INT, offsetof(at_beam_options, n_best), "1", 1, 64, NULL,
     "translations printed for each line; at most beam"},
    {"penalty", AT_FIELD_REAL, offsetof(at_beam_options, penalty), "1", 0, 5, NULL,
     "score is log probability / length^penalty"},
    {"min_length", AT_FIELD_INT, offsetof(at_beam_options, min_length), "0", 0, 65536, NULL,
     "fewest pieces before the end of sentence"},
    {"max_length", AT_FIELD_INT, offsetof(at_beam_options, max_length), "0", 0, 65536, NULL,
     "most pieces of a translation; 0: max_ratio * source + max_extra"},
    {"max_ratio", AT_FIELD_REAL, offsetof(at_beam_options, max_ratio), "3", 0.1, 100, NULL,
     "most pieces of a translation for each piece of the source"},
    {"max_extra", AT_FIELD_INT, offsetof(at_beam_options, max_extra), "20", 0, 65536, NULL,
     "and so many more"},
    {0}};

/* One word of a partial hypothesis: a tree whose leaves are the live ones. */
typedef struct word {
    int32_t id, before; /* index of the word before, -1: none */
} word;

typedef struct live {
    int slot;
    int32_t word; /* last one, -1: none yet */
    int32_t next; /* id that goes into the model at the next step */
    double log_probability;
} live;

typedef struct done {
    int32_t word;
    size_t length;
    double log_probability, score;
} done;

typedef struct search { /* of one source */
    int source;
    size_t live_count, done_count, limit;
    live *live; /* (beam) */
    done *done; /* (2*beam) */
    bool over;
} search;

typedef struct choice {
    size_t parent;
    at_candidate candidate;
    double log_probability;
} choice;

typedef struct context {
    const at_model *model;
    at_tape *tape;
    at_state *state;
    const at_beam_options *options;
    search *searches;
    size_t count, beam;
    word *words;
    size_t word_count, word_capacity;
    live *spare;       /* (beam) the next step's hypotheses */
    choice *choices;   /* (beam * 2*beam) */
    at_arena *scratch; /* this step's arrays */
} context;

static at_status check(const at_beam_options *o)
{
    if (o->beam < 1 || o->beam > 64)
        return at_fail(AT_EARG, "beam: want 1 to 64, got %lld", (long long)o->beam);
    if (o->n_best < 1 || o->n_best > o->beam)
        return at_fail(AT_EARG, "n_best: want 1 to the beam of %lld, got %lld", (long long)o->beam,
                       (long long)o->n_best);
    return AT_OK;
}

static size_t length_limit(const context *c, size_t source)
{
    const at_beam_options *o = c->options;
    double limit =
        o->max_length > 0 ? (double)o->max_length : o->max_ratio * (double)source + (double)o->max_extra;
    size_t most = at_model_reach(c->model);
    size_t pieces = limit < 1 ? 1 : (size_t)limit;
    return most > 0 && pieces > most ? most : pieces;
}

static at_status open_searches(context *c, const at_batch *batch, const int *sources)
{
    for (size_t b = 0; b < c->count; b++) {
        search *s = &c->searches[b];
        *s = (search){.source = sources[b],
                      .live = at_arena_array(c->scratch, c->beam, sizeof(live)),
                      .done = at_arena_array(c->scratch, 2 * c->beam, sizeof(done))};
        if (!s->live || !s->done)
            return AT_ENOMEM;
        s->limit = length_limit(c, (size_t)(batch->source.offsets[b + 1] - batch->source.offsets[b]));
        s->live[0] = (live){-1, -1, c->model->vocabulary.bos, 0};
        at_status st = at_state_open(c->state, s->source, &s->live[0].slot);
        if (st != AT_OK)
            return st;
        s->live_count = 1;
    }
    return AT_OK;
}

static double score_of(const context *c, double log_probability, size_t length)
{
    return log_probability / pow((double)length, c->options->penalty);
}

static at_status add_word(context *c, int32_t before, int32_t id, int32_t *index)
{
    at_status st = at_grow(&c->words, &c->word_capacity, c->word_count + 1, sizeof *c->words);
    if (st != AT_OK)
        return st;
    *index = (int32_t)c->word_count;
    c->words[c->word_count++] = (word){id, before};
    return AT_OK;
}

/* Falling by log probability; equal ones by parent and id, so that the order is one and the same
 * everywhere. */
static int better_choice(const void *a, const void *b)
{
    const choice *x = a, *y = b;
    if (x->log_probability != y->log_probability)
        return x->log_probability > y->log_probability ? -1 : 1;
    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    return x->candidate.id < y->candidate.id ? -1 : x->candidate.id > y->candidate.id;
}

static at_status finish(context *c, search *s, const choice *from, size_t length)
{
    int32_t last;
    at_status st = add_word(c, s->live[from->parent].word, from->candidate.id, &last);
    if (st == AT_OK)
        s->done[s->done_count++] =
            (done){last, length, from->log_probability, score_of(c, from->log_probability, length)};
    return st;
}

/* Slots for the chosen: the first child of a parent takes its slot over, others fork it, childless ones
 * close. */
static at_status hand_on_slots(context *c, search *s, live *next, const size_t *parents, size_t count)
{
    bool taken[64] = {false};
    for (size_t p = 0; p < s->live_count; p++) {
        bool has_child = false;
        for (size_t i = 0; i < count; i++)
            has_child = has_child || parents[i] == p;
        if (!has_child)
            at_state_close(c->state, s->live[p].slot);
    }
    at_status st = AT_OK;
    for (size_t i = 0; i < count; i++) {
        size_t p = parents[i];
        next[i].slot = -1;
        if (!taken[p])
            next[i].slot = s->live[p].slot;
        else if (st == AT_OK)
            st = at_state_fork(c->state, s->live[p].slot, &next[i].slot);
        taken[p] = true;
    }
    return st;
}

/* The beam's best continuations become the next live hypotheses; sentences that end are put aside. As in
 * fairseq, of 2*beam candidates only the first `beam` may end, and the search is over when `beam` have
 * ended. */
static at_status advance(context *c, search *s, const at_candidate *candidates, size_t per_row, size_t length)
{
    size_t total = 0, next_count = 0, parents[64];
    for (size_t p = 0; p < s->live_count; p++) {
        for (size_t i = 0; i < per_row; i++) {
            const at_candidate *from = &candidates[p * per_row + i];
            if (from->id >= 0)
                c->choices[total++] =
                    (choice){p, *from, s->live[p].log_probability + (double)from->log_probability};
        }
    }
    qsort(c->choices, total, sizeof *c->choices, better_choice);
    bool last = length >= s->limit;
    for (size_t i = 0; i < total && i < 2 * c->beam && next_count < c->beam; i++) {
        const choice *from = &c->choices[i];
        bool ends = from->candidate.id == c->model->vocabulary.eos;
        if ((ends && i < c->beam) || (last && !ends && s->done_count < c->beam)) {
            at_status st = s->done_count < 2 * c->beam ? finish(c, s, from, length) : AT_OK;
            if (st != AT_OK)
                return st;
        } else if (!ends && !last) {
            live *to = &c->spare[next_count];
            *to = (live){-1, -1, from->candidate.id, from->log_probability};
            parents[next_count++] = from->parent;
            at_status st = add_word(c, s->live[from->parent].word, from->candidate.id, &to->word);
            if (st != AT_OK)
                return st;
        }
    }
    s->over = s->done_count >= c->beam || next_count == 0;
    at_status st = hand_on_slots(c, s, c->spare, parents, s->over ? 0 : next_count);
    s->live_count = s->over ? 0 : next_count;
    memcpy(s->live, c->spare, s->live_count * sizeof *s->live);
    return st;
}

typedef struct step { /* the rows of all searches that are not over */
    int *slots;
    int32_t *ids, *offsets;
    bool *ban;
    size_t rows;
} step;

static at_status gather(context *c, size_t length, step *out)
{
    size_t most = c->count * c->beam;
    *out = (step){
        at_arena_array(c->scratch, most, sizeof(int)), at_arena_array(c->scratch, most, sizeof(int32_t)),
        at_arena_array(c->scratch, most + 1, sizeof(int32_t)), at_arena_array(c->scratch, most, 1), 0};
    if (!out->slots || !out->ids || !out->offsets || !out->ban)
        return AT_ENOMEM;
    out->offsets[0] = 0;
    for (size_t b = 0; b < c->count; b++) {
        const search *s = &c->searches[b];
        for (size_t i = 0; i < s->live_count; i++) {
            out->slots[out->rows] = s->live[i].slot;
            out->ids[out->rows] = s->live[i].next;
            out->ban[out->rows] = length <= (size_t)c->options->min_length;
            out->rows++;
            out->offsets[out->rows] = (int32_t)out->rows;
        }
    }
    return AT_OK;
}

/* One word more for every live hypothesis. */
static at_status take_step(context *c, size_t length, bool *busy)
{
    at_mark mark = at_arena_mark(c->scratch);
    step rows;
    at_status st = gather(c, length, &rows);
    *busy = st == AT_OK && rows.rows > 0;
    if (!*busy)
        return st;
    at_exec_took(c->tape->exec, "search", false);
    at_tape_begin(c->tape, AT_TAPE_RUN, 0, 0);
    at_rows each = {rows.rows, rows.offsets, NULL};
    at_var *logits = at_state_step(c->model, c->tape, c->state, rows.slots, &each, rows.ids);
    if (!logits)
        return at_tape_status(c->tape);
    size_t n = (size_t)logits->shape.dim[1], per_row = 2 * c->beam < n ? 2 * c->beam : n;
    at_candidate *best = at_arena_array(c->scratch, rows.rows * per_row, sizeof *best);
    if (!best)
        return AT_ENOMEM;
    const at_vocabulary *v = &c->model->vocabulary;
    at_candidate_request request = {logits->data, rows.rows, n, per_row, {v->pad, v->bos}, v->eos, rows.ban};
    at_candidates(c->tape->exec, &request, best);
    for (size_t b = 0; b < c->count && st == AT_OK; b++) {
        size_t used = c->searches[b].live_count;
        if (used > 0)
            st = advance(c, &c->searches[b], best, per_row, length);
        best += used * per_row;
    }
    at_exec_took(c->tape->exec, "search", false);
    at_tape_reset(c->tape);
    at_arena_release(c->scratch, mark);
    return st;
}

static int better_done(const void *a, const void *b)
{
    const done *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->word < y->word ? -1 : x->word > y->word;
}

/* Reads the words of a finished hypothesis back to front. */
static at_status spell(const context *c, const done *from, at_arena *arena, at_hypothesis *out)
{
    int32_t *ids = at_arena_array(arena, from->length, sizeof *ids);
    if (!ids)
        return AT_ENOMEM;
    size_t i = from->length;
    for (int32_t w = from->word; w >= 0; w = c->words[w].before)
        ids[--i] = c->words[w].id;
    AT_ASSERT(i == 0);
    *out = (at_hypothesis){ids, from->length, (float)from->log_probability, (float)from->score};
    return AT_OK;
}

static at_status collect(const context *c, at_arena *arena, at_hypotheses *found)
{
    for (size_t b = 0; b < c->count; b++) {
        search *s = &c->searches[b];
        size_t want = (size_t)c->options->n_best;
        qsort(s->done, s->done_count, sizeof *s->done, better_done);
        found[b].count = s->done_count < want ? s->done_count : want;
        found[b].list = at_arena_array(arena, found[b].count ? found[b].count : 1, sizeof *found[b].list);
        if (!found[b].list)
            return AT_ENOMEM;
        for (size_t i = 0; i < found[b].count; i++) {
            at_status st = spell(c, &s->done[i], arena, &found[b].list[i]);
            if (st != AT_OK)
                return st;
        }
    }
    return AT_OK;
}

static at_status run(context *c, const at_batch *batch, at_arena *arena, at_hypotheses *found)
{
    int *sources = at_arena_array(c->scratch, c->count, sizeof *sources);
    c->searches = at_arena_array(c->scratch, c->count, sizeof *c->searches);
    c->spare = at_arena_array(c->scratch, c->beam, sizeof *c->spare);
    c->choices = at_arena_array(c->scratch, 2 * c->beam * c->beam, sizeof *c->choices);
    if (!sources || !c->searches || !c->spare || !c->choices)
        return AT_ENOMEM;
    at_status st = at_state_encode(c->model, c->tape, c->state, batch, sources);
    if (st == AT_OK)
        st = open_searches(c, batch, sources);
    bool busy = true;
    for (size_t length = 1; busy && st == AT_OK; length++)
        st = take_step(c, length, &busy);
    return st == AT_OK ? collect(c, arena, found) : st;
}

at_status at_beam_search(const at_model *model, at_tape *tape, const at_batch *sources,
                         const at_beam_options *options, at_arena *arena, at_hypotheses *found)
{
    at_status st = check(options);
    if (st != AT_OK || sources->source.count == 0)
        return st;
    context c = {.model = model,
                 .tape = tape,
                 .options = options,
                 .count = sources->source.count,
                 .beam = (size_t)options->beam,
                 .scratch = at_arena_new()};
    if (!c.scratch)
        return AT_ENOMEM;
    st = at_state_new(model, &c.state);
    if (st == AT_OK)
        st = run(&c, sources, arena, found);
    AT_ASSERT(st != AT_OK || at_state_slots(c.state) == 0); /* every hypothesis gave its slot back */
    at_state_free(c.state);
    at_arena_free(c.scratch);
    at_free(c.words);
    return st;
}
