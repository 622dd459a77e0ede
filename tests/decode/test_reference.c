/* Beam search against the same rule written plainly: whole sentences, every continuation, one sort. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "decode/beam.h"
#include "tests/toy.h"

enum { PIECES = 8, EOS = 2, LENGTH = 7, WIDEST = 8, CONTINUATIONS = WIDEST * PIECES };

typedef struct sentence {
    int32_t ids[LENGTH];
    size_t length, parent;
    double log_probability;
} sentence;

/* log p of every piece after `ids`, from the training path. */
static void next_pieces(toy *t, const toy_batch *source, const sentence *s, double *out)
{
    toy_batch b = *source;
    b.target_offsets[1] = (int32_t)s->length + 1;
    b.in[0] = t->model->vocabulary.bos;
    memcpy(b.in + 1, s->ids, s->length * sizeof *s->ids);
    b.batch = (at_batch){.source = {1, b.source_offsets, NULL},
                         .target = {1, b.target_offsets, NULL},
                         .source_ids = b.source,
                         .target_in = b.in,
                         .target_out = b.out};
    at_tape_begin(t->tape, AT_TAPE_RUN, 0, 0);
    at_var *memory = t->model->family->encode(t->model, t->tape, &b.batch);
    const at_var *logits =
        at_model_logits(t->model, t->tape, t->model->family->decode(t->model, t->tape, &b.batch, memory));
    check_ok(at_tape_status(t->tape));
    const float *last = logits->data + s->length * PIECES;
    double sum = 0;
    for (int i = 0; i < PIECES; i++)
        sum += exp((double)last[i]);
    for (int i = 0; i < PIECES; i++)
        out[i] = (double)last[i] - log(sum);
}

static int likelier(const void *a, const void *b)
{
    const sentence *x = a, *y = b;
    if (x->log_probability != y->log_probability)
        return x->log_probability > y->log_probability ? -1 : 1;
    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    return x->ids[x->length - 1] < y->ids[y->length - 1] ? -1 : 1;
}

/* The rule: of the 2*beam likeliest continuations those among the first `beam` that end are done; the
 * first `beam` that do not end live on. Over when `beam` are done, or at LENGTH, where the rest is taken. */
static size_t plain_search(toy *t, const toy_batch *source, size_t beam, sentence *done)
{
    sentence live[WIDEST] = {{.length = 0}}, all[CONTINUATIONS];
    size_t live_count = 1, done_count = 0;
    for (size_t length = 1; live_count > 0 && done_count < beam; length++) {
        size_t count = 0, next = 0;
        for (size_t p = 0; p < live_count; p++) {
            double log_p[PIECES];
            next_pieces(t, source, &live[p], log_p);
            for (int32_t id = EOS; id < PIECES; id++) {
                sentence s = live[p];
                s.ids[s.length++] = id;
                s.parent = p;
                s.log_probability += log_p[id];
                all[count++] = s;
            }
        }
        qsort(all, count, sizeof *all, likelier);
        for (size_t i = 0; i < count && i < 2 * beam && next < beam; i++) {
            bool ends = all[i].ids[length - 1] == EOS;
            if (ends ? i < beam : length == LENGTH && done_count < beam)
                done[done_count++] = all[i];
            else if (!ends && length < LENGTH)
                live[next++] = all[i];
        }
        live_count = next;
    }
    return done_count;
}

static double score(const sentence *s)
{
    return s->log_probability / (double)s->length;
}

static int better(const void *a, const void *b)
{
    double x = score(a), y = score(b);
    return x > y ? -1 : x < y;
}

static void compare(toy *t, size_t beam, uint32_t stream)
{
    toy_batch source;
    toy_fill(&source, t, 1, (const int[]){4}, (const int[]){1}, stream);
    sentence want[2 * WIDEST];
    size_t count = plain_search(t, &source, beam, want);
    at_arena *arena = at_arena_new();
    at_beam_options o = AT_BEAM_DEFAULTS;
    o.beam = o.n_best = (int64_t)beam;
    o.max_length = LENGTH;
    at_hypotheses found;
    check_ok(at_beam_search(t->model, t->tape, &source.batch, &o, arena, &found));
    qsort(want, count, sizeof *want, better);
    assert_int_equal(found.count, count < beam ? count : beam);
    for (size_t i = 0; i < found.count; i++) {
        const at_hypothesis *h = &found.list[i];
        assert_true(fabs((double)h->score - score(&want[i])) < 1e-5);
        assert_int_equal(h->length, want[i].length);
        assert_memory_equal(h->ids, want[i].ids, h->length * sizeof *h->ids);
    }
    at_arena_free(arena);
}

static void searches_agree(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 12; seed++) {
        toy t;
        toy_open(&t, &(toy_spec){.vocabulary = PIECES, .seed = seed, .options = "{\"encoder_layers\": 1}"});
        for (size_t beam = 1; beam <= WIDEST; beam += 1 + beam / 3)
            compare(&t, beam, seed);
        toy_close(&t);
    }
}

/* All pieces equally likely: parents and ids decide, the same way on every kernel set. */
static void ties_go_to_the_first(void **state)
{
    (void)state;
    static const int32_t want[3][4] = {{EOS}, {3, EOS}, {3, 3, EOS}};
    static const size_t lengths[] = {1, 2, 3};
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    for (size_t set = 0; set < count; set++) {
        toy t;
        toy_batch source;
        toy_open(&t, &(toy_spec){.kernels = sets[set]->name, .vocabulary = PIECES});
        memset(t.model->params.block, 0, t.model->params.total * sizeof(float));
        toy_fill(&source, &t, 1, (const int[]){4}, (const int[]){1}, 1);
        at_arena *arena = at_arena_new();
        at_beam_options o = AT_BEAM_DEFAULTS;
        o.beam = o.n_best = 3;
        o.penalty = 0;
        at_hypotheses found;
        check_ok(at_beam_search(t.model, t.tape, &source.batch, &o, arena, &found));
        assert_int_equal(found.count, 3);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(found.list[i].length, lengths[i]);
            assert_memory_equal(found.list[i].ids, want[i], lengths[i] * sizeof **want);
        }
        at_arena_free(arena);
        toy_close(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searches_agree),
        cmocka_unit_test(ties_go_to_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
