#include <stdlib.h>
#include <string.h>
#include "base/memory.h"
#include "task/internal.h"

/* What one line became, for one rank; parts of a cut line are joined here. */
typedef struct answer {
    at_buf text;
    double score, log_probability;
    bool any;
    size_t pieces;
    const char **source_words, **target_words; /* (source_count), (target_count); texts are copies */
    size_t source_count, target_count;
    float *weights;
} answer;

typedef struct job {
    at_translator *t;
    const char *const *texts; /* the lines as they came */
    at_translate_options options;
    at_beam_options beam;
    at_segments segments;
    size_t *order; /* segments by falling length, so that a batch is of like lengths */
    size_t lines;
    answer *answers; /* (lines, n_best) */
} job;

static void drop_words(const char **words, size_t count)
{
    for (size_t i = 0; words && i < count; i++)
        at_free((char *)(uintptr_t)words[i]);
    at_free(words);
}

static void free_answer(answer *a)
{
    at_buf_free(&a->text);
    drop_words(a->source_words, a->source_count);
    drop_words(a->target_words, a->target_count);
    at_free(a->weights);
}

static at_status copy_words(const at_words *from, const char ***words, size_t *count)
{
    const char **more = at_realloc_array(*words, *count + from->count, sizeof *more);
    if (!more)
        return AT_ENOMEM;
    *words = more;
    for (size_t i = 0; i < from->count; i++) {
        more[*count] = at_strdup(from->text[i]);
        if (!more[*count])
            return AT_ENOMEM;
        ++*count;
    }
    return AT_OK;
}

/* Puts the weights of one more part below and to the right of what is there: parts do not look at each other.
 * The line has one end of sentence, its last column: what rested on the ends of earlier parts rests there. */
static at_status add_weights(answer *a, const at_looked *looked)
{
    if (a->source_count > 0)
        at_free((char *)(uintptr_t)a->source_words[--a->source_count]);
    size_t rows = a->target_count, before = a->source_count, r = looked->row_words.count,
           c = looked->column_words.count, columns = before + c;
    float *all = at_alloc_zero((rows + r) * columns, sizeof *all);
    if (!all)
        return AT_ENOMEM;
    for (size_t i = 0; i < rows; i++) {
        memcpy(all + i * columns, a->weights + i * (before + 1), before * sizeof *all);
        all[(i + 1) * columns - 1] = a->weights[i * (before + 1) + before];
    }
    for (size_t i = 0; i < r; i++)
        memcpy(all + (rows + i) * columns + before, looked->weights + i * c, c * sizeof *all);
    at_free(a->weights);
    a->weights = all;
    at_status st = copy_words(&looked->column_words, &a->source_words, &a->source_count);
    return st == AT_OK ? copy_words(&looked->row_words, &a->target_words, &a->target_count) : st;
}

/* The end of sentence is a source word (weights may rest there), but not a word of the translation. */
static size_t without_end(const at_translator *t, const at_hypothesis *h)
{
    bool ended = h->length > 0 && h->ids[h->length - 1] == t->folder->model->vocabulary.eos;
    return h->length - (ended ? 1 : 0);
}

/* One hypothesis of one segment, on its way into an answer. */
typedef struct said {
    const at_segment *segment;
    const at_hypothesis *hypothesis;
    answer *answer;
    at_pair pair; /* borrows its ids */
    at_buf text;
} said;

/* The line as it came where the segment is all of it, else what the tokenizer got. */
static const char *raw_source(const job *j, const at_segment *segment)
{
    const at_segment *list = j->segments.list;
    size_t i = (size_t)(segment - list);
    bool whole = (i == 0 || list[i - 1].line != segment->line) &&
                 (i + 1 == j->segments.count || list[i + 1].line != segment->line);
    return whole ? j->texts[segment->line] : segment->text;
}

/* A space goes between two parts unless the first ends in a wide sign, as Chinese sentences do. */
static void join_text(at_buf *text, const at_buf *part)
{
    if (text->length > 0 && (unsigned char)text->data[text->length - 1] < 0x80)
        at_buf_char(text, ' ');
    at_buf_bytes(text, part->data, part->length);
}

static at_status spell(job *j, said *s)
{
    const at_ids *target = &s->pair.target;
    int32_t unknown = j->t->folder->model->vocabulary.unk;
    bool any = false;
    for (size_t i = 0; i < target->count && j->options.replace_unk; i++)
        any = any || target->id[i] == unknown;
    at_look look = {
        .kind = AT_CROSS, .layer = j->options.layer, .head = j->options.head, .unit = AT_UNIT_WORD};
    at_status st = any ? at_spell_unknown(j->t, &look, &s->pair, s->pair.raw_source, &s->text)
                       : at_spell(j->t, target->id, target->count, &s->text);
    if (st != AT_OK)
        return st;
    answer *a = s->answer;
    join_text(&a->text, &s->text);
    a->score += (double)s->hypothesis->score;
    a->log_probability += (double)s->hypothesis->log_probability;
    a->any = true;
    a->pieces += s->hypothesis->length;
    return at_buf_status(&a->text);
}

/* Looks at all of them in one pass; those that say nothing have nothing to look at. */
static at_status align(job *j, said *list, size_t count)
{
    at_look look = {
        .kind = AT_CROSS, .layer = j->options.layer, .head = j->options.head, .unit = j->options.unit};
    at_pair *pairs = at_alloc_array(count, sizeof *pairs);
    answer **answers = at_alloc_array(count, sizeof *answers);
    at_looked *looked = at_alloc_zero(count, sizeof *looked);
    at_status st = pairs && answers && looked ? AT_OK : AT_ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < count && st == AT_OK; i++) {
        if (list[i].pair.target.count == 0)
            continue;
        answers[n] = list[i].answer;
        pairs[n] = list[i].pair;
        pairs[n++].raw_target = list[i].text.data ? list[i].text.data : "";
    }
    if (st == AT_OK && n > 0)
        st = at_look_at(j->t, &look, pairs, n, looked);
    for (size_t i = 0; i < n; i++) {
        if (st == AT_OK)
            st = add_weights(answers[i], &looked[i]);
        at_looked_free(&looked[i]);
    }
    at_free(pairs);
    at_free(answers);
    at_free(looked);
    return st;
}

static at_status take(job *j, said *list, size_t count)
{
    at_status st = AT_OK;
    for (size_t i = 0; i < count && st == AT_OK; i++)
        st = spell(j, &list[i]);
    if (st == AT_OK && j->options.align)
        st = align(j, list, count);
    for (size_t i = 0; i < count; i++)
        at_buf_free(&list[i].text);
    return st;
}

static at_status take_all(job *j, const at_hypotheses *found, at_arena *arena)
{
    size_t ranks = (size_t)j->beam.n_best, batch = (size_t)j->options.batch, n = 0;
    said *list = at_arena_array(arena, batch, sizeof *list);
    at_status st = list ? AT_OK : AT_ENOMEM;
    for (size_t i = 0; i < j->segments.count && st == AT_OK; i++) {
        const at_segment *segment = &j->segments.list[i];
        for (size_t rank = 0; rank < ranks && found[i].count > 0 && st == AT_OK; rank++) {
            /* A part with fewer translations than asked gives its last one again, so that every rank is a
             * whole line. */
            size_t best = rank < found[i].count ? rank : found[i].count - 1, words;
            const at_hypothesis *h = &found[i].list[best];
            words = without_end(j->t, h);
            list[n++] = (said){.segment = segment,
                               .hypothesis = h,
                               .answer = &j->answers[segment->line * ranks + rank],
                               .pair = {.source = segment->ids,
                                        .target = {(int32_t *)(uintptr_t)h->ids, words, words},
                                        .raw_source = raw_source(j, segment)}};
            if (n == batch) {
                st = take(j, list, n);
                n = 0;
            }
        }
    }
    return st == AT_OK ? take(j, list, n) : st;
}

/* Searches for segments order[first … first+count-1] together. */
static at_status run_batch(job *j, size_t first, size_t count, at_arena *arena, at_hypotheses *found)
{
    int32_t *offsets = at_arena_array(arena, count + 1, sizeof *offsets);
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += j->segments.list[j->order[first + i]].ids.count;
    int32_t *ids = at_arena_array(arena, total, sizeof *ids);
    at_hypotheses *results = at_arena_array(arena, count, sizeof *results);
    if (!offsets || !ids || !results)
        return AT_ENOMEM;
    offsets[0] = 0;
    for (size_t i = 0; i < count; i++) {
        const at_ids *from = &j->segments.list[j->order[first + i]].ids;
        memcpy(ids + offsets[i], from->id, from->count * sizeof *ids);
        offsets[i + 1] = offsets[i] + (int32_t)from->count;
    }
    at_batch batch = {.source = {count, offsets, NULL}, .source_ids = ids};
    at_status st = at_beam_search(j->t->folder->model, j->t->tape, &batch, &j->beam, arena, results);
    for (size_t i = 0; i < count && st == AT_OK; i++) {
        found[j->order[first + i]] = results[i];
        st = at_expect_finite(&results[i]);
    }
    return st;
}

typedef struct keyed {
    size_t length, index;
} keyed;

static int longer_first(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    if (x->length != y->length)
        return x->length > y->length ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static at_status sort_segments(job *j, at_arena *arena)
{
    size_t n = j->segments.count;
    keyed *keys = at_arena_array(arena, n, sizeof *keys);
    j->order = at_arena_array(arena, n, sizeof *j->order);
    if (!keys || !j->order)
        return AT_ENOMEM;
    for (size_t i = 0; i < n; i++)
        keys[i] = (keyed){j->segments.list[i].ids.count, i};
    qsort(keys, n, sizeof *keys, longer_first);
    for (size_t i = 0; i < n; i++)
        j->order[i] = keys[i].index;
    return AT_OK;
}

static at_status search_all(job *j, at_arena *arena)
{
    at_hypotheses *found = at_arena_array(arena, j->segments.count, sizeof *found);
    at_status st = found ? sort_segments(j, arena) : AT_ENOMEM;
    size_t batch = (size_t)j->options.batch;
    for (size_t i = 0; i < j->segments.count && st == AT_OK; i += batch) {
        size_t rest = j->segments.count - i;
        st = run_batch(j, i, rest < batch ? rest : batch, arena, found);
    }
    return st == AT_OK ? take_all(j, found, arena) : st;
}

/* Whether an earlier rank of the line says the same: other pieces, but the same text. */
static bool said_before(const answer *ranks, size_t rank)
{
    for (size_t i = 0; i < rank; i++) {
        if (ranks[i].any && strcmp(ranks[i].text.data ? ranks[i].text.data : "",
                                   ranks[rank].text.data ? ranks[rank].text.data : "") == 0)
            return true;
    }
    return false;
}

/* The first n_best different texts of each line; an empty line has one, empty translation. */
static at_status hand_out(const job *j, at_translation_sink *sink, void *context)
{
    size_t ranks = (size_t)j->beam.n_best;
    for (size_t line = 0; line < j->lines; line++) {
        const answer *answers = j->answers + line * ranks;
        int given = 0;
        for (size_t i = 0; i < ranks && given < j->options.n_best; i++) {
            const answer *a = &answers[i];
            if (i > 0 && (!a->any || said_before(answers, i)))
                continue;
            at_translation t = {line,
                                given++,
                                a->text.data ? a->text.data : "",
                                a->score,
                                a->log_probability,
                                a->source_words,
                                a->target_words,
                                a->source_count,
                                a->target_count,
                                a->weights,
                                a->pieces};
            if (!sink(context, &t))
                return at_fail(AT_ECANCEL, "stopped by the caller");
        }
    }
    return AT_OK;
}

static at_status read_options(job *j, const at_translate_options *options)
{
    at_translate_options o = AT_TRANSLATE_DEFAULTS;
    if (options)
        o = *options;
    at_status st = at_unit_check(o.unit);
    if (st != AT_OK)
        return st;
    if (o.batch < 1 || o.batch > 4096)
        return at_fail(AT_EARG, "batch: want 1 to 4096 lines, got %d", o.batch);
    j->options = o;
    j->beam = j->t->decode;
    j->beam.n_best = o.n_best;
    if (o.beam > 0)
        j->beam.beam = o.beam;
    if (o.beam < 0 || o.beam > 64)
        return at_fail(AT_EARG, "beam: want 1 to 64, or 0 for the model's own; got %d", o.beam);
    if (o.penalty >= 0)
        j->beam.penalty = o.penalty;
    if (o.max_length > 0)
        j->beam.max_length = o.max_length;
    if (j->beam.n_best < 1 || j->beam.n_best > j->beam.beam)
        return at_fail(AT_EARG, "n_best: want 1 to the beam of %lld, got %d", (long long)j->beam.beam,
                       o.n_best);
    if (o.n_best > 1) /* pieces differ where texts do not: all are searched for, so that enough differ */
        j->beam.n_best = j->beam.beam;
    return AT_OK;
}

static at_status run(job *j, const char *const *lines, at_arena *arena)
{
    j->answers = at_alloc_zero(j->lines * (size_t)j->beam.n_best, sizeof *j->answers);
    if (!j->answers)
        return AT_ENOMEM;
    at_status st = j->options.align || j->options.replace_unk ? at_look_possible(j->t, AT_CROSS) : AT_OK;
    for (size_t i = 0; i < j->lines && st == AT_OK; i++)
        st = at_segments_add(j->t, true, i, lines[i], &j->segments);
    return st == AT_OK && j->segments.count > 0 ? search_all(j, arena) : st;
}

at_status at_translate(at_translator *translator, const char *const *lines, size_t count,
                       const at_translate_options *options, at_translation_sink *sink, void *context)
{
    job j = {.t = translator, .texts = lines, .lines = count};
    at_status st = at_expect_translates(translator);
    if (st == AT_OK)
        st = read_options(&j, options);
    if (st != AT_OK || count == 0)
        return st;
    at_arena *arena = at_arena_new();
    if (!arena)
        return AT_ENOMEM;
    pthread_mutex_lock(&translator->lock);
    st = run(&j, lines, arena);
    pthread_mutex_unlock(&translator->lock);
    if (st == AT_OK)
        st = hand_out(&j, sink, context);
    for (size_t i = 0; j.answers && i < count * (size_t)j.beam.n_best; i++)
        free_answer(&j.answers[i]);
    at_free(j.answers);
    at_segments_free(&j.segments);
    at_arena_free(arena);
    return st;
}
