/* All attention of a pair in one call: the same weights as the views give one by one; words; choices. */
#include <string.h>
#include <math.h>
#include "task/internal.h"
#include "tests/task/small.h"

static at_translator *open_small(void)
{
    at_translator *t;
    at_open_options open = AT_OPEN_DEFAULTS;
    open.threads = 1;
    check_ok(at_translator_open(small_folder("model", NULL), &open, &t));
    return t;
}

static void parts_are_the_views(void **state)
{
    (void)state;
    at_translator *t = open_small();
    static const int layers[] = {2, 1, 2}; /* cross, encoder, decoder of tests/task/small.h */
    for (int pieces = 0; pieces < 2; pieces++) {
        at_bundle_options how = AT_BUNDLE_DEFAULTS;
        how.pieces = pieces;
        at_bundle *b;
        check_ok(at_bundle_new(t, "the dog sees", "cat and dogs", &how, &b));
        assert_string_equal(b->translation, "cat and dogs");
        assert_int_equal(b->count, 3);
        for (int k = 0; k < 3; k++) {
            const at_bundle_part *p = &b->parts[k];
            assert_int_equal(p->kind, k);
            assert_int_equal(p->layers, layers[k]);
            assert_int_equal(p->heads, 2);
            for (int l = 0; l < p->layers; l++) {
                for (int h = 0; h < p->heads; h++) {
                    at_view_options one = AT_VIEW_DEFAULTS;
                    one.kind = p->kind;
                    one.layer = l;
                    one.head = h;
                    one.pieces = pieces;
                    at_view *v;
                    check_ok(at_view_new(t, "the dog sees", "cat and dogs", &one, &v));
                    assert_int_equal(v->rows, p->rows);
                    assert_int_equal(v->columns, p->columns);
                    size_t n = v->rows * v->columns;
                    check_near(p->weights + (size_t)(l * p->heads + h) * n, v->weights, n, 1e-6);
                    for (size_t i = 0; i < v->rows; i++)
                        assert_string_equal(v->row_words[i], p->row_words[i]);
                    for (size_t j = 0; j < v->columns; j++)
                        assert_string_equal(v->column_words[j], p->column_words[j]);
                    at_view_free(v);
                }
            }
        }
        at_bundle_free(b);
    }
    at_translator_close(t);
}

static void a_decoder_looks_at_what_it_has_read(void **state)
{
    (void)state;
    at_translator *t = open_small();
    at_bundle *b;
    check_ok(at_bundle_new(t, "the dog", "the cat sees", NULL, &b));
    const at_bundle_part *p = &b->parts[AT_VIEW_DECODER];
    static const char *const rows[] = {"the", "cat", "sees"}, *const columns[] = {"<s>", "the", "cat"};
    assert_int_equal(p->rows, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(p->row_words[i], rows[i]);
        assert_string_equal(p->column_words[i], columns[i]);
    }
    assert_true(fabs((double)p->weights[0] - 1) < 1e-6); /* the first word had <s> alone to look at */
    at_bundle_free(b);
    at_translator_close(t);
}

/* (mean of the heads + I) / 2 of layer l, times `before`. */
static void add_layer(const at_bundle_part *p, int l, const float *before, float *out)
{
    size_t n = p->rows;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = 0.0;
            for (size_t k = 0; k < n; k++) {
                double a = i == k ? 0.5 : 0.0;
                for (int h = 0; h < p->heads; h++)
                    a += 0.5 / p->heads * (double)p->weights[((size_t)(l * p->heads + h) * n + i) * n + k];
                sum += a * (double)before[k * n + j];
            }
            out[i * n + j] = (float)sum;
        }
    }
}

static void rollout_multiplies_the_layers(void **state)
{
    (void)state;
    at_translator *t = open_small();
    at_bundle_options how = AT_BUNDLE_DEFAULTS;
    at_bundle *b;
    how.pieces = true;
    check_ok(at_bundle_new(t, "the dog", "the cat sees", &how, &b));
    assert_null(b->parts[AT_VIEW_CROSS].rollout);
    for (size_t k = AT_VIEW_ENCODER; k <= AT_VIEW_DECODER; k++) {
        const at_bundle_part *p = &b->parts[k];
        float want[32 * 32] = {0}, next[32 * 32];
        assert_true(p->rows == p->columns && p->rows <= 32 && p->rollout);
        for (size_t i = 0; i < p->rows; i++)
            want[i * p->rows + i] = 1.0f;
        for (int l = 0; l < p->layers; l++) {
            add_layer(p, l, want, next);
            memcpy(want, next, sizeof want);
        }
        check_near(p->rollout, want, p->rows * p->rows, 1e-6);
    }
    at_bundle_free(b);
    how.layer = 0;
    check_ok(at_bundle_new(t, "the dog", "the cat sees", &how, &b));
    assert_null(b->parts[AT_VIEW_ENCODER].rollout);
    at_bundle_free(b);
    at_translator_close(t);
}

static void one_layer_and_head_may_be_chosen(void **state)
{
    (void)state;
    at_translator *t = open_small();
    at_bundle *all, *one;
    at_bundle_options how = AT_BUNDLE_DEFAULTS;
    how.layer = 1;
    how.head = 1;
    check_ok(at_bundle_new(t, "the dog", "a cat", NULL, &all));
    check_ok(at_bundle_new(t, "the dog", "a cat", &how, &one));
    assert_int_equal(one->count, 2); /* the encoder has one layer */
    for (size_t k = 0; k < one->count; k++) {
        const at_bundle_part *p = &one->parts[k], *q = &all->parts[p->kind];
        assert_true(p->layers == 1 && p->heads == 1 && p->first_layer == 1 && p->first_head == 1);
        size_t n = p->rows * p->columns;
        check_near(p->weights, q->weights + 3 * n, n, 0);
    }
    at_bundle_free(all);
    at_bundle_free(one);
    how.layer = 2;
    check_fails(at_bundle_new(t, "the dog", "a cat", &how, &one), AT_EARG, "layers 0 to 1");
    assert_null(one);
    check_fails(at_bundle_new(t, " ", "a cat", NULL, &one), AT_EARG, "source: empty");
    at_bundle_free(NULL);
    at_translator_close(t);
}

/* By hand: pieces a | b b | of rows and x x | y of columns; columns of a word are summed, rows averaged. */
static void pieces_join_to_words(void **state)
{
    (void)state;
    const float pieces[] = {0.1F, 0.2F, 0.7F, 0.3F, 0.3F, 0.4F, 0.5F, 0.1F, 0.4F};
    int32_t row[] = {0, 1, 1}, column[] = {0, 0, 1};
    at_words rows = {.pieces = 3, .word = row, .count = 2},
             columns = {.pieces = 3, .word = column, .count = 2};
    float words[4];
    at_join_pieces(pieces, &rows, &columns, words);
    static const float want[] = {0.3F, 0.7F, 0.6F, 0.4F};
    check_near(words, want, 4, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_the_views),
        cmocka_unit_test(a_decoder_looks_at_what_it_has_read),
        cmocka_unit_test(rollout_multiplies_the_layers),
        cmocka_unit_test(one_layer_and_head_may_be_chosen),
        cmocka_unit_test(pieces_join_to_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
