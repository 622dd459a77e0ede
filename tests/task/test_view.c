/* Seeing: rows that sum to 1, the right words, limits; and scores of given pairs. */
#include <math.h>
#include "tests/task/small.h"
#include "task/score.h"
#include "task/translator.h"

static at_translator *open_small(void)
{
    at_translator *t;
    at_open_options open = AT_OPEN_DEFAULTS;
    open.threads = 1;
    check_ok(at_translator_open(small_folder("model", NULL), &open, &t));
    return t;
}

static void rows_sum_to_one(void **state)
{
    (void)state;
    at_translator *t = open_small();
    for (int kind = AT_VIEW_CROSS; kind <= AT_VIEW_DECODER; kind++) {
        for (int pieces = 0; pieces < 2; pieces++) {
            at_view_options how = AT_VIEW_DEFAULTS;
            how.kind = (at_view_kind)kind;
            how.pieces = pieces;
            at_view *v;
            check_ok(at_view_new(t, "the dog sees", "cat and dog", &how, &v));
            assert_string_equal(v->translation, "cat and dog");
            for (size_t i = 0; i < v->rows; i++) {
                double sum = 0;
                for (size_t j = 0; j < v->columns; j++)
                    sum += (double)v->weights[i * v->columns + j];
                assert_true(fabs(sum - 1) < 1e-5);
            }
            at_view_free(v);
        }
    }
    at_translator_close(t);
}

static void words_are_those_of_the_texts(void **state)
{
    (void)state;
    at_translator *t = open_small();
    at_view *v;
    check_ok(at_view_new(t, "the dog, sees", "cat and", NULL, &v));
    const char *const columns[] = {"the", "dog", ",", "sees", "</s>"}, *const rows[] = {"cat", "and"};
    assert_int_equal(v->columns, 5);
    assert_int_equal(v->rows, 2);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(v->column_words[i], columns[i]);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(v->row_words[i], rows[i]);
    at_view_free(v);
    at_translator_close(t);
}

static void limits_are_told(void **state)
{
    (void)state;
    at_translator *t = open_small();
    at_view *v;
    check_fails(at_view_new(t, "", NULL, NULL, &v), AT_EARG, "source: empty");
    check_fails(at_view_new(t, "the", " ", NULL, &v), AT_EARG, "target: empty");
    check_fails(
        at_view_new(t, "the cat sees the dog and the dog sees the cat and the dog and xyz xyz xyz xyz xyz",
                    "a", NULL, &v),
        AT_EARG, "source: longer");
    at_view_options how = AT_VIEW_DEFAULTS;
    how.layer = 9;
    check_fails(at_view_new(t, "the", "a", &how, &v), AT_EARG, "layers 0 to 1");
    assert_null(v);
    how.kind = (at_view_kind)7;
    check_fails(at_view_new(t, "the", "a", &how, &v), AT_EARG, "kind");
    at_translator_close(t);
}

static void scores_do_not_depend_on_company(void **state)
{
    (void)state;
    at_translator *t = open_small();
    const char *const from[] = {"the cat", "", "dog",
                                "the cat sees the dog and the dog sees the cat xyz xyz xyz xyz xyz"};
    const char *const to[] = {"a dog", "b", "and the cat sees", "c"};
    double alone = 0;
    size_t pieces = 0;
    at_pair_score one, all;
    for (size_t i = 0; i < 4; i++) {
        check_ok(at_score_pairs(t, &(at_score_request){from + i, to + i, 1, 1}, &one));
        alone += one.loss;
        pieces += one.pieces;
    }
    for (size_t batch = 1; batch <= 4; batch++) {
        check_ok(at_score_pairs(t, &(at_score_request){from, to, 4, batch}, &all));
        assert_int_equal(all.left_out, 2); /* the empty one and the one that is too long */
        assert_int_equal(all.pieces, pieces);
        assert_true(fabs(all.loss - alone) < 1e-4 * alone);
    }
    /* Random weights know nothing: about log V a piece. */
    double mean = all.loss / (double)all.pieces;
    assert_true(mean > 3 && mean < 12);
    at_translator_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_sum_to_one),
        cmocka_unit_test(words_are_those_of_the_texts),
        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(scores_do_not_depend_on_company),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
