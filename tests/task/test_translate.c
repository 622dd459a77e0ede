/* Lines in, lines out: order, odd lines, long lines, n-best, alignments, threads. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include "base/memory.h"
#include "tests/task/small.h"
#include "task/internal.h"
#include "text/utf8.h"

static const char *const lines[] = {
    "the cat",
    "",
    "the dog sees the cat",
    "   ",
    "a",
    "\xe6\xb1\xa4\xe5\xa7\x86 \xf0\x9f\x98\x80",
    ("the cat sees the dog and the dog sees the cat. The dog sees the cat; the cat sees the dog! And the dog "
     "and the cat and the dog and the cat and the dog and the cat see and see and see. "
     "xyzxyzxyzxyzxyzxyzxyzxyzxyz"),
    "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"};
enum { LINES = sizeof lines / sizeof lines[0] };

typedef struct kept {
    at_buf text; /* of all translations, one a line */
    size_t count, last_line;
    int last_rank;
    double last_score;
    bool aligned;
    size_t stop_after; /* 0: never */
} kept;

static void check_alignment(const at_translation *t)
{
    if (t->pieces <= 1) /* nothing was said */
        return;
    assert_true(t->source_count > 1 && t->target_count > 0);
    assert_string_equal(t->source_words[t->source_count - 1], "</s>");
    for (size_t j = 0; j + 1 < t->source_count; j++)
        assert_string_not_equal(t->source_words[j], "</s>");
    for (size_t i = 0; i < t->target_count; i++) {
        double sum = 0;
        for (size_t j = 0; j < t->source_count; j++)
            sum += (double)t->weights[i * t->source_count + j];
        assert_true(fabs(sum - 1) < 1e-4);
    }
}

static bool keep(void *context, const at_translation *t)
{
    kept *k = context;
    size_t length = strlen(t->text);
    assert_int_equal(at_utf8_valid(t->text, length), length);
    assert_null(strpbrk(t->text, "\r\n"));
    if (t->rank == 0) {
        assert_true(k->count == 0 || t->line == k->last_line + 1);
    } else {
        assert_int_equal(t->line, k->last_line);
        assert_int_equal(t->rank, k->last_rank + 1);
        assert_true(t->score <= k->last_score + 1e-6);
    }
    if (k->aligned)
        check_alignment(t);
    else
        assert_true(t->source_count == 0 && t->target_count == 0 && !t->weights);
    k->count++;
    k->last_line = t->line;
    k->last_rank = t->rank;
    k->last_score = t->score;
    at_buf_printf(&k->text, "%s\n", t->text);
    return k->count != k->stop_after;
}

static at_translator *open_small(const char *path, int threads)
{
    at_translator *t;
    at_open_options open = AT_OPEN_DEFAULTS;
    open.threads = threads;
    check_ok(at_translator_open(path, &open, &t));
    return t;
}

static void each_line_has_one_line(void **state)
{
    (void)state;
    at_translator *t = open_small(small_folder("model", NULL), 1);
    at_buf first = {0};
    for (int batch = 1; batch <= 8; batch += 7) {
        kept k = {0};
        at_translate_options how = AT_TRANSLATE_DEFAULTS;
        how.batch = batch;
        how.beam = 3;
        check_ok(at_translate(t, lines, LINES, &how, keep, &k));
        assert_int_equal(k.count, LINES);
        assert_int_equal(k.last_line, LINES - 1);
        if (batch == 1)
            first = k.text;
        else
            assert_string_equal(first.data, k.text.data); /* company changes nothing */
        if (batch > 1)
            at_buf_free(&k.text);
    }
    assert_non_null(strstr(first.data, "\n\n")); /* the empty line is empty */
    at_buf_free(&first);
    check_ok(at_translate(t, lines, 0, NULL, keep, NULL));
    at_translator_close(t);
}

static void long_lines_are_cut_and_joined(void **state)
{
    (void)state;
    at_translator *t = open_small(small_folder("model", NULL), 1);
    for (size_t i = 0; i < LINES; i++) {
        at_segments segments = {0};
        check_ok(at_segments_add(t, true, i, lines[i], &segments));
        assert_int_equal(segments.count > 1, i >= 6);
        size_t length = 0;
        for (size_t s = 0; s < segments.count; s++) {
            const at_ids *ids = &segments.list[s].ids;
            assert_true(ids->count > 1 && ids->count <= 24);
            assert_int_equal(ids->id[ids->count - 1], 2);
            at_buf part = {0};
            check_ok(at_tokenizer_decode(t->folder->tokenizer, ids->id, ids->count, true, &part));
            assert_non_null(strstr(lines[i], part.data)); /* nothing is made up, characters stay whole */
            length += part.length;
            at_buf_free(&part);
        }
        size_t spaces = 0;
        for (const char *c = lines[i]; *c; c++)
            spaces += *c == ' ';
        assert_true(length <= strlen(lines[i]) && length + spaces >= strlen(lines[i])); /* and nothing lost */
        at_segments_free(&segments);
    }
    at_translator_close(t);
}

static void n_best_falls_and_aligns(void **state)
{
    (void)state;
    at_translator *t = open_small(small_folder("model", NULL), 2);
    at_translate_options how = AT_TRANSLATE_DEFAULTS;
    how.beam = 4;
    how.n_best = 3;
    how.align = true;
    kept k = {.aligned = true};
    check_ok(at_translate(t, lines, LINES, &how, keep, &k));
    assert_int_equal(k.count, 3 * (LINES - 2) + 2); /* an empty line has one translation */
    at_buf_free(&k.text);
    how.layer = 1;
    how.head = 0;
    k = (kept){.aligned = true};
    check_ok(at_translate(t, lines, LINES, &how, keep, &k));
    at_buf_free(&k.text);
    how.layer = 2;
    k = (kept){.aligned = true};
    check_fails(at_translate(t, lines, LINES, &how, keep, &k), AT_EARG, "layers 0 to 1");
    at_translator_close(t);
}

/* Word by word as the search ran, with a trace on each step: another path to the same weights. */
static void weights_are_those_of_the_search(void **state)
{
    (void)state;
    at_translator *t = open_small(small_folder("model", NULL), 1);
    at_segments segments = {0};
    check_ok(at_segments_add(t, true, 0, lines[2], &segments));
    at_ids source = segments.list[0].ids;
    int32_t offsets[] = {0, (int32_t)source.count};
    at_batch batch = {.source = {1, offsets, NULL}, .source_ids = source.id};
    at_beam_options beam = AT_BEAM_DEFAULTS;
    beam.beam = 4;
    beam.n_best = 4;
    at_arena *arena = at_arena_new();
    at_hypotheses found;
    check_ok(at_beam_search(t->folder->model, t->tape, &batch, &beam, arena, &found));
    assert_int_equal(found.count, 4);
    for (size_t rank = 0; rank < found.count; rank++) {
        const at_hypothesis *h = &found.list[rank];
        at_look look = {.kind = AT_CROSS, .layer = 1, .head = 1, .unit = AT_UNIT_PIECE};
        at_pair pair = {.source = source, .target = {(int32_t *)(uintptr_t)h->ids, h->length, h->length}};
        at_looked looked;
        check_ok(at_look_at(t, &look, &pair, 1, &looked));
        assert_int_equal(looked.row_words.count, h->length);
        at_trace *trace = at_trace_new();
        at_trace_want(trace, AT_CROSS, 1, 1);
        at_state *running;
        int place, slot;
        check_ok(at_state_new(t->folder->model, &running));
        check_ok(at_state_encode(t->folder->model, t->tape, running, &batch, &place));
        check_ok(at_state_open(running, place, &slot));
        for (size_t i = 0; i < h->length; i++) {
            int32_t one[] = {0, 1}, id = i ? h->ids[i - 1] : 1;
            at_rows rows = {1, one, NULL};
            at_trace_clear(trace);
            at_tape_begin(t->tape, AT_TAPE_RUN, 0, 0);
            t->tape->trace = trace;
            at_state_step(t->folder->model, t->tape, running, &slot, &rows, &id);
            t->tape->trace = NULL;
            check_ok(at_tape_status(t->tape));
            float row[24];
            check_ok(at_trace_mean(trace, AT_CROSS, 1, 1, 0, row, 1, source.count));
            check_near(looked.weights + i * source.count, row, source.count, 1e-5);
        }
        at_state_free(running);
        at_trace_free(trace);
        at_looked_free(&looked);
    }
    at_arena_free(arena);
    at_segments_free(&segments);
    at_translator_close(t);
}

static void the_caller_can_stop(void **state)
{
    (void)state;
    at_translator *t = open_small(small_folder("model", NULL), 1);
    kept k = {.stop_after = 2};
    check_fails(at_translate(t, lines, LINES, NULL, keep, &k), AT_ECANCEL, "caller");
    assert_int_equal(k.count, 2);
    at_buf_free(&k.text);
    at_translator_close(t);
}

static void limits_are_told(void **state)
{
    (void)state;
    at_translator *t = open_small(small_folder("model", NULL), 1);
    at_translate_options how = AT_TRANSLATE_DEFAULTS;
    how.beam = 65;
    check_fails(at_translate(t, lines, 1, &how, keep, NULL), AT_EARG, "beam");
    how.beam = 2;
    how.n_best = 3;
    check_fails(at_translate(t, lines, 1, &how, keep, NULL), AT_EARG, "n_best");
    how.n_best = 1;
    how.batch = 0;
    check_fails(at_translate(t, lines, 1, &how, keep, NULL), AT_EARG, "batch");
    at_translator_close(t);
    check_fails(at_translator_open("/nowhere/at/all", NULL, &t), AT_EIO, "/nowhere/at/all");
    assert_null(t);
    at_open_options open = AT_OPEN_DEFAULTS;
    open.kernels = "abacus";
    check_fails(at_translator_open(check_path("model"), &open, &t), AT_EARG, "abacus");
    at_translator_close(NULL);
    at_view_free(NULL);
}

static void numbers_gone_wild_are_told(void **state)
{
    (void)state;
    at_translator *t = open_small(small_folder("model", NULL), 1);
    at_params *params = &t->folder->model->params;
    float *wild = at_alloc_zero(params->total, sizeof *wild);
    for (size_t i = 0; i < params->total; i++)
        wild[i] = NAN;
    for (size_t i = 0; i < params->count; i++)
        params->list[i]->data = wild + params->list[i]->offset;
    at_params_unpack(params);
    check_fails(at_translate(t, lines, 1, NULL, keep, NULL), AT_ENUMBER, "finite");
    at_view *v;
    check_fails(at_view_new(t, lines[0], NULL, NULL, &v), AT_ENUMBER, "finite");
    at_translator_close(t);
    at_free(wild);
}

typedef struct sharer {
    at_translator *translator;
    const char *want;
    bool same;
} sharer;

static void *translate_again(void *context)
{
    sharer *s = context;
    s->same = true;
    for (int i = 0; i < 3; i++) {
        kept k = {0};
        at_translate_options how = AT_TRANSLATE_DEFAULTS;
        how.beam = 2;
        s->same = s->same && at_translate(s->translator, lines, LINES, &how, keep, &k) == AT_OK &&
                  strcmp(k.text.data, s->want) == 0;
        at_buf_free(&k.text);
        at_view *view = NULL;
        s->same = s->same && at_view_new(s->translator, lines[2], "the cat", NULL, &view) == AT_OK;
        at_view_free(view);
    }
    return NULL;
}

static void threads_share_a_handle(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    at_translator *t = open_small(small_folder("model", NULL), 2);
    kept k = {0};
    at_translate_options how = AT_TRANSLATE_DEFAULTS;
    how.beam = 2;
    check_ok(at_translate(t, lines, LINES, &how, keep, &k));
    pthread_t threads[THREADS];
    sharer sharers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        sharers[i] = (sharer){t, k.text.data, false};
        assert_int_equal(pthread_create(&threads[i], NULL, translate_again, &sharers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(sharers[i].same);
    }
    at_buf_free(&k.text);
    at_translator_close(t);
}

static void moses_tokens_come_and_go(void **state)
{
    (void)state;
    const char *path = small_folder("moses", "{\"moses\": true, \"lowercase\": true, \"source\": \"en\", "
                                             "\"target\": \"de\"}");
    at_translator *t = open_small(path, 1);
    at_segments segments = {0};
    check_ok(at_segments_add(t, true, 0, "The dog, it sees.", &segments));
    at_buf seen = {0};
    check_ok(at_tokenizer_decode(t->folder->tokenizer, segments.list[0].ids.id, segments.list[0].ids.count,
                                 true, &seen));
    assert_string_equal(seen.data, "the dog , it sees .");
    at_buf plain = {0}, kept_tokens = {0};
    const at_ids *ids = &segments.list[0].ids;
    check_ok(at_spell(t, ids->id, ids->count - 1, &plain));
    assert_string_equal(plain.data, "the dog, it sees.");
    assert_true(at_translator_keep_tokens(t, true));
    check_ok(at_spell(t, ids->id, ids->count - 1, &kept_tokens));
    assert_string_equal(kept_tokens.data, seen.data);
    at_buf_free(&plain);
    at_buf_free(&kept_tokens);
    at_buf_free(&seen);
    at_segments_free(&segments);
    at_translator_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_has_one_line),     cmocka_unit_test(long_lines_are_cut_and_joined),
        cmocka_unit_test(n_best_falls_and_aligns),    cmocka_unit_test(weights_are_those_of_the_search),
        cmocka_unit_test(the_caller_can_stop),        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(numbers_gone_wild_are_told), cmocka_unit_test(threads_share_a_handle),
        cmocka_unit_test(moses_tokens_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
