/* Aligning pairs that are given, and unknown words copied from the source. */
#include <math.h>
#include "task/internal.h"
#include "tests/task/small.h"

static at_translator *open_small(const char *path)
{
    at_translator *t;
    at_open_options open = AT_OPEN_DEFAULTS;
    open.threads = 2;
    check_ok(at_translator_open(path, &open, &t));
    return t;
}

static const char *const sources[] = {
    "the cat", "",    "the dog, sees",
    "cat",     "see", "the cat sees the dog and the dog sees the cat xyz xyz xyz xyz xyz"};
static const char *const targets[] = {"a dog", "b", "and the cat sees", " ", "the dog and the cat", "c"};
enum { PAIRS = sizeof sources / sizeof *sources };

typedef struct kept {
    at_translator *t;
    size_t seen, stop_after;
    at_buf weights; /* all of them as text */
    at_align_options how;
} kept;

static bool keep(void *context, const at_alignment *a)
{
    kept *k = context;
    assert_int_equal(a->line, k->seen++);
    assert_int_equal(a->too_long, a->line == 5);
    assert_int_equal(a->target_count == 0, a->line == 1 || a->line == 3 || a->line == 5);
    for (size_t i = 0; i < a->target_count; i++) {
        double sum = 0;
        for (size_t j = 0; j < a->source_count; j++) {
            sum += (double)a->weights[i * a->source_count + j];
            at_buf_printf(&k->weights, "%a ", (double)a->weights[i * a->source_count + j]);
        }
        assert_true(fabs(sum - 1) < 1e-5);
    }
    return k->seen != k->stop_after;
}

static void batches_change_nothing(void **state)
{
    (void)state;
    at_translator *t = open_small(small_folder("model", NULL));
    kept first = {0};
    for (int batch = 1; batch <= 4; batch++) {
        kept k = {0};
        at_align_options how = AT_ALIGN_DEFAULTS;
        how.batch = batch;
        check_ok(at_align(t, sources, targets, PAIRS, &how, keep, &k));
        assert_int_equal(k.seen, PAIRS);
        if (batch == 1)
            first = k;
        else
            assert_string_equal(first.weights.data, k.weights.data); /* to the bit */
        if (batch > 1)
            at_buf_free(&k.weights);
    }
    at_buf_free(&first.weights);
    at_translator_close(t);
}

typedef struct expected {
    const at_view *view;
    const char *const *rows, *const *columns; /* NULL: the view's */
    size_t row_count, column_count;
} expected;

static bool compare(void *context, const at_alignment *a)
{
    const expected *e = context;
    if (e->view) {
        assert_int_equal(a->target_count, e->view->rows);
        assert_int_equal(a->source_count, e->view->columns);
        check_near(a->weights, e->view->weights, e->view->rows * e->view->columns, 1e-6);
        return true;
    }
    assert_int_equal(a->target_count, e->row_count);
    assert_int_equal(a->source_count, e->column_count);
    for (size_t i = 0; i < e->row_count; i++)
        assert_string_equal(a->target_words[i], e->rows[i]);
    for (size_t j = 0; j < e->column_count; j++)
        assert_string_equal(a->source_words[j], e->columns[j]);
    return true;
}

static void an_alignment_is_the_forced_view(void **state)
{
    (void)state;
    at_translator *t = open_small(small_folder("model", NULL));
    for (int layer = -1; layer < 2; layer++) {
        for (int head = -1; head < 2; head++) {
            at_view_options seen = AT_VIEW_DEFAULTS;
            at_align_options how = AT_ALIGN_DEFAULTS;
            seen.layer = how.layer = layer;
            seen.head = how.head = head;
            expected e = {0};
            at_view *v;
            check_ok(at_view_new(t, sources[2], targets[2], &seen, &v));
            e.view = v;
            check_ok(at_align(t, sources + 2, targets + 2, 1, &how, compare, &e));
            at_view_free(v);
        }
    }
    at_translator_close(t);
}

static void words_of_the_raw_line(void **state)
{
    (void)state;
    static const char *const columns[] = {"The", "dog,", "sees.", "</s>"}, *const rows[] = {"A", "Cat!"};
    static const char *const from = "The dog, sees.", *const to = "A Cat!";
    at_translator *t = open_small(small_folder(
        "moses", "{\"moses\": true, \"lowercase\": true, \"source\": \"en\", \"target\": \"de\"}"));
    at_align_options how = AT_ALIGN_DEFAULTS;
    how.unit = AT_UNIT_SPACED;
    expected e = {NULL, rows, columns, 2, 4};
    check_ok(at_align(t, &from, &to, 1, &how, compare, &e));
    static const char *const fine_columns[] = {"the", "dog", ",", "sees", ".", "</s>"}, *const fine_rows[] = {
                                                                                            "a", "cat", "!"};
    how.unit = AT_UNIT_WORD;
    e = (expected){NULL, fine_rows, fine_columns, 3, 6};
    check_ok(at_align(t, &from, &to, 1, &how, compare, &e));
    at_translator_close(t);
}

static void links_by_hand(void **state)
{
    (void)state;
    /* The last source word is the end of sentence; ties go to the first; a row of zeros has no link. */
    static const float weights[] = {0.1F, 0.3F, 0.6F, 0.4F, 0.4F, 0.2F, 0, 0, 0};
    at_alignment a = {.source_count = 3, .target_count = 3, .weights = weights};
    size_t link[3];
    at_alignment_links(&a, link);
    assert_true(link[0] == 1 && link[1] == 0 && link[2] == SIZE_MAX);
}

static void limits_are_told(void **state)
{
    (void)state;
    at_translator *t = open_small(small_folder("model", NULL));
    kept k = {.stop_after = 2};
    check_fails(at_align(t, sources, targets, PAIRS, NULL, keep, &k), AT_ECANCEL, "caller");
    at_buf_free(&k.weights);
    at_align_options how = AT_ALIGN_DEFAULTS;
    how.layer = 2;
    check_fails(at_align(t, sources, targets, 1, &how, keep, &k), AT_EARG, "layers 0 to 1, heads 0 to 1");
    how.layer = AT_OWN;
    how.batch = 0;
    check_fails(at_align(t, sources, targets, 1, &how, keep, &k), AT_EARG, "batch");
    how.batch = 1;
    how.unit = (at_unit)9;
    check_fails(at_align(t, sources, targets, 1, &how, keep, &k), AT_EARG, "unit");
    check_ok(at_align(t, sources, targets, 0, NULL, keep, &k));
    at_translator_close(t);
}

/* <unk> of the target becomes the word of the line that its row looks at most. */
static void unknown_words_are_copied(void **state)
{
    (void)state;
    at_translator *t = open_small(small_folder("model", NULL));
    static const char raw[] = "The DOG";
    at_segments from = {0}, to = {0};
    check_ok(at_segments_add(t, true, 0, "the dog", &from));
    check_ok(at_segments_add(t, false, 0, "cat cat", &to));
    at_ids target = to.list[0].ids;
    target.count--;
    assert_int_equal(target.count, 2);
    target.id[1] = t->folder->model->vocabulary.unk;
    at_pair pair = {.source = from.list[0].ids, .target = target};
    for (int head = 0; head < 2; head++) {
        at_look look = {.kind = AT_CROSS, .layer = 1, .head = head, .unit = AT_UNIT_WORD};
        at_looked looked;
        check_ok(at_look_at(t, &look, &pair, 1, &looked));
        assert_int_equal(looked.row_words.count, 2);
        assert_int_equal(looked.column_words.count, 3);
        const float *row = looked.weights + 3;
        at_buf text = {0}, want = {0};
        check_ok(at_spell_unknown(t, &look, &pair, raw, &text));
        at_buf_printf(&want, "cat %s", row[0] >= row[1] ? "The" : "DOG");
        assert_string_equal(text.data, want.data);
        at_buf_free(&text);
        at_buf_free(&want);
        at_looked_free(&looked);
    }
    at_segments_free(&from);
    at_segments_free(&to);
    at_translator_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_change_nothing), cmocka_unit_test(an_alignment_is_the_forced_view),
        cmocka_unit_test(words_of_the_raw_line),  cmocka_unit_test(links_by_hand),
        cmocka_unit_test(limits_are_told),        cmocka_unit_test(unknown_words_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
