/* Beam search against enumeration of everything that could be said, and against teacher forcing. */
#include "decode/beam.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/toy.h"

enum { PIECES = 6, LENGTH = 4, EOS = 2, MOST = 200 };

/* log p of each row's next piece, the pieces of `ids` before it: from the training path. */
static double forced(toy *t, const toy_batch *source, const int32_t *ids, size_t length)
{
    toy_batch b = *source;
    memset(b.target_offsets, 0, sizeof b.target_offsets);
    b.target_offsets[1] = (int32_t)length;
    for (size_t i = 0; i < length; i++) {
        b.in[i] = i ? ids[i - 1] : t->model->vocabulary.bos;
        b.out[i] = ids[i];
    }
    b.batch = (at_batch){.source = {1, b.source_offsets, NULL},
                         .target = {1, b.target_offsets, NULL},
                         .source_ids = b.source,
                         .target_in = b.in,
                         .target_out = b.out};
    at_tape_begin(t->tape, AT_TAPE_RUN, 0, 0);
    at_loss_report report;
    assert_non_null(at_model_loss(t->model, t->tape, &b.batch, &(at_loss_options){.scale = 1}, &report));
    return -report.loss;
}

typedef struct sentence {
    int32_t ids[LENGTH];
    size_t length;
    double score;
} sentence;

typedef struct space {
    toy *t;
    const toy_batch *source;
    double penalty;
    size_t min_length, count;
    sentence all[MOST];
} space;

/* Every sentence that ends with </s> or is LENGTH long. <pad> and <s> are never said. */
static void enumerate(space *s, sentence *prefix)
{
    for (int32_t id = EOS; id < PIECES; id++) {
        if (id == EOS && prefix->length < s->min_length)
            continue;
        prefix->ids[prefix->length++] = id;
        if (id == EOS || prefix->length == LENGTH) {
            assert_true(s->count < MOST);
            prefix->score = forced(s->t, s->source, prefix->ids, prefix->length) /
                            pow((double)prefix->length, s->penalty);
            s->all[s->count++] = *prefix;
        } else {
            enumerate(s, prefix);
        }
        prefix->length--;
    }
}

static int better(const void *a, const void *b)
{
    const sentence *x = a, *y = b;
    return x->score > y->score ? -1 : x->score < y->score;
}

/* The width of a beam that is never cut: 27 prefixes of three pieces, 64 is more. */
static void a_beam_as_wide_as_the_space(void **state)
{
    (void)state;
    static space s;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        toy t;
        toy_batch source;
        toy_open(&t, &(toy_spec){.vocabulary = PIECES, .seed = seed, .options = "{\"encoder_layers\": 1}"});
        toy_fill(&source, &t, 1, (const int[]){3}, (const int[]){1}, (uint32_t)seed);
        s = (space){.t = &t,
                    .source = &source,
                    .penalty = seed % 3 ? 1 : 0.4 * (double)(seed / 3),
                    .min_length = seed == 5 ? 2 : 0};
        enumerate(&s, &(sentence){.length = 0});
        qsort(s.all, s.count, sizeof *s.all, better);
        at_beam_options options = {.beam = 64,
                                   .n_best = 20,
                                   .penalty = s.penalty,
                                   .max_length = LENGTH,
                                   .min_length = (int64_t)s.min_length,
                                   .max_ratio = 3,
                                   .max_extra = 20};
        at_arena *arena = at_arena_new();
        at_hypotheses found;
        check_ok(at_beam_search(t.model, t.tape, &source.batch, &options, arena, &found));
        assert_int_equal(found.count, 20);
        for (size_t i = 0; i < found.count; i++) {
            assert_true(fabs((double)found.list[i].score - s.all[i].score) < 1e-5);
            assert_int_equal(found.list[i].length, s.all[i].length);
            assert_memory_equal(found.list[i].ids, s.all[i].ids, s.all[i].length * sizeof(int32_t));
        }
        at_arena_free(arena);
        toy_close(&t);
    }
}

typedef struct corpus {
    toy t;
    toy_batch b;
    at_arena *arena;
} corpus;

enum { SENTENCES = 7 };

static void open_corpus(corpus *c, const char *kernels, int threads)
{
    toy_open(&c->t, &(toy_spec){.kernels = kernels, .threads = threads, .vocabulary = 37, .seed = 11});
    toy_fill(&c->b, &c->t, SENTENCES, (const int[]){4, 1, 9, 2, 0, 6, 3}, (const int[SENTENCES]){0}, 3);
    c->arena = at_arena_new();
    assert_non_null(c->arena);
}

static void close_corpus(corpus *c)
{
    at_arena_free(c->arena);
    toy_close(&c->t);
}

/* What a beam of one says is what taking the best piece each time says. */
static void greedy_is_the_best_piece_each_time(void **state)
{
    (void)state;
    corpus c;
    open_corpus(&c, NULL, 1);
    at_beam_options options = AT_BEAM_DEFAULTS;
    options.beam = 1;
    options.max_length = 12;
    at_hypotheses found[SENTENCES];
    check_ok(at_beam_search(c.t.model, c.t.tape, &c.b.batch, &options, c.arena, found));
    for (size_t i = 0; i < SENTENCES; i++) {
        toy_batch one;
        toy_single(&one, &c.b, i);
        int source, slot;
        at_state *running;
        check_ok(at_state_new(c.t.model, &running));
        check_ok(at_state_encode(c.t.model, c.t.tape, running, &one.batch, &source));
        check_ok(at_state_open(running, source, &slot));
        int32_t id = c.t.model->vocabulary.bos, said[12];
        size_t length = 0;
        while (length < 12 && id != EOS) {
            static const int32_t offsets[] = {0, 1};
            at_rows rows = {1, offsets, NULL};
            at_tape_begin(c.t.tape, AT_TAPE_RUN, 0, 0);
            const at_var *y = at_state_step(c.t.model, c.t.tape, running, &slot, &rows, &id);
            assert_non_null(y);
            id = EOS;
            for (int32_t j = EOS; j < 37; j++)
                id = y->data[j] > y->data[id] ? j : id;
            said[length++] = id;
        }
        at_state_free(running);
        assert_int_equal(found[i].count, 1);
        assert_int_equal(found[i].list[0].length, length);
        assert_memory_equal(found[i].list[0].ids, said, length * sizeof *said);
    }
    close_corpus(&c);
}

static void check_list(corpus *c, const at_hypotheses *found, size_t which, const at_beam_options *o)
{
    toy_batch one;
    toy_single(&one, &c->b, which);
    for (size_t i = 0; i < found->count; i++) {
        const at_hypothesis *h = &found->list[i];
        assert_in_range(h->length, 1, (uintmax_t)o->max_length);
        assert_true(i == 0 || h->score <= found->list[i - 1].score);
        double want = forced(&c->t, &one, h->ids, h->length);
        assert_true(fabs((double)h->log_probability - want) < 2e-5);
        assert_true(fabs((double)h->score - want / pow((double)h->length, o->penalty)) < 2e-5);
        bool ended = h->ids[h->length - 1] == EOS;
        assert_true(ended || h->length == (size_t)o->max_length);
        assert_true(!ended || h->length > (size_t)o->min_length);
        for (size_t j = 0; j < h->length; j++)
            assert_true(h->ids[j] >= EOS && (h->ids[j] != EOS || j + 1 == h->length));
        for (size_t j = 0; j < i; j++)
            assert_false(found->list[j].length == h->length &&
                         memcmp(found->list[j].ids, h->ids, h->length * sizeof *h->ids) == 0);
    }
}

static void lists_are_sorted_distinct_and_rightly_scored(void **state)
{
    (void)state;
    static const struct {
        int64_t beam, n_best, min_length, max_length;
        double penalty;
    } runs[] = {{5, 5, 0, 12, 1}, {8, 3, 4, 9, 0.6}, {2, 2, 0, 1, 1}, {3, 3, 6, 6, 0}, {64, 64, 0, 7, 2}};
    corpus c;
    open_corpus(&c, NULL, 2);
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        at_beam_options o = AT_BEAM_DEFAULTS;
        o.beam = runs[i].beam;
        o.n_best = runs[i].n_best;
        o.min_length = runs[i].min_length;
        o.max_length = runs[i].max_length;
        o.penalty = runs[i].penalty;
        at_hypotheses found[SENTENCES];
        check_ok(at_beam_search(c.t.model, c.t.tape, &c.b.batch, &o, c.arena, found));
        for (size_t s = 0; s < SENTENCES; s++) {
            assert_int_equal(found[s].count, o.max_length > 1 || o.n_best < 36 ? o.n_best : 36);
            check_list(&c, &found[s], s, &o);
        }
    }
    close_corpus(&c);
}

/* Alone, in another order, on other threads: the same sentences with the same scores, bit for bit. */
static void company_changes_nothing(void **state)
{
    (void)state;
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    for (size_t set = 0; set < count; set++) {
        corpus c, d;
        open_corpus(&c, sets[set]->name, 1);
        open_corpus(&d, sets[set]->name, 3);
        at_beam_options o = AT_BEAM_DEFAULTS;
        o.n_best = 5;
        at_hypotheses together[SENTENCES], alone;
        check_ok(at_beam_search(c.t.model, c.t.tape, &c.b.batch, &o, c.arena, together));
        for (size_t s = SENTENCES; s-- > 0;) {
            toy_batch one;
            toy_single(&one, &d.b, s);
            check_ok(at_beam_search(d.t.model, d.t.tape, &one.batch, &o, d.arena, &alone));
            assert_int_equal(alone.count, together[s].count);
            for (size_t i = 0; i < alone.count; i++) {
                const at_hypothesis *a = &alone.list[i], *b = &together[s].list[i];
                assert_int_equal(a->length, b->length);
                assert_memory_equal(a->ids, b->ids, a->length * sizeof *a->ids);
                check_same_bits(&a->score, &b->score, sizeof a->score);
            }
        }
        close_corpus(&c);
        close_corpus(&d);
    }
}

static void lengths_follow_source_and_model(void **state)
{
    (void)state;
    corpus c;
    open_corpus(&c, NULL, 1);
    at_beam_options o = AT_BEAM_DEFAULTS;
    o.min_length = 1000; /* never ends by itself */
    o.max_ratio = 2;
    o.max_extra = 3;
    at_hypotheses found[SENTENCES];
    check_ok(at_beam_search(c.t.model, c.t.tape, &c.b.batch, &o, c.arena, found));
    for (size_t s = 0; s < SENTENCES; s++) {
        size_t source = (size_t)(c.b.source_offsets[s + 1] - c.b.source_offsets[s]);
        assert_int_equal(found[s].list[0].length, 2 * source + 3);
    }
    o.max_extra = 500;
    check_ok(at_beam_search(c.t.model, c.t.tape, &c.b.batch, &o, c.arena, found));
    for (size_t s = 0; s < SENTENCES; s++)
        assert_int_equal(found[s].list[0].length, 40); /* the toy's max_length */
    close_corpus(&c);
}

static void limits_are_checked(void **state)
{
    (void)state;
    corpus c;
    open_corpus(&c, NULL, 1);
    at_hypotheses found[SENTENCES];
    at_beam_options o = AT_BEAM_DEFAULTS;
    o.beam = 0;
    check_fails(at_beam_search(c.t.model, c.t.tape, &c.b.batch, &o, c.arena, found), AT_EARG,
                "1 to 64, got 0");
    o.beam = 65;
    check_fails(at_beam_search(c.t.model, c.t.tape, &c.b.batch, &o, c.arena, found), AT_EARG,
                "1 to 64, got 65");
    o.beam = 4;
    o.n_best = 5;
    check_fails(at_beam_search(c.t.model, c.t.tape, &c.b.batch, &o, c.arena, found), AT_EARG,
                "beam of 4, got 5");
    at_beam_options defaults, same = AT_BEAM_DEFAULTS;
    memset(&defaults, 0, sizeof defaults);
    check_ok(at_fields_default(at_beam_fields, &defaults));
    assert_true(defaults.beam == same.beam && defaults.n_best == same.n_best &&
                defaults.penalty == same.penalty && defaults.max_ratio == same.max_ratio &&
                defaults.max_extra == same.max_extra && defaults.min_length == same.min_length &&
                defaults.max_length == same.max_length);
    close_corpus(&c);
}

static at_status search_once(void *context)
{
    corpus *c = context;
    at_arena *arena = at_arena_new();
    at_tape *tape = NULL;
    at_status st = arena ? at_tape_new(c->t.exec, &tape) : AT_ENOMEM;
    at_hypotheses found[SENTENCES];
    at_beam_options o = AT_BEAM_DEFAULTS;
    o.max_length = 6;
    if (st == AT_OK)
        st = at_beam_search(c->t.model, tape, &c->b.batch, &o, arena, found);
    at_tape_free(tape);
    at_arena_free(arena);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    corpus c;
    open_corpus(&c, NULL, 1);
    check_ok(search_once(&c)); /* the exec's scratch has its size now */
    check_every_allocation(search_once, &c, 1000);
    close_corpus(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_beam_as_wide_as_the_space),
        cmocka_unit_test(greedy_is_the_best_piece_each_time),
        cmocka_unit_test(lists_are_sorted_distinct_and_rightly_scored),
        cmocka_unit_test(company_changes_nothing),
        cmocka_unit_test(lengths_follow_source_and_model),
        cmocka_unit_test(limits_are_checked),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
