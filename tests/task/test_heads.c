/* What heads do, against the same counted from bundles; positions against their formula. */
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

static void near(double got, double want)
{
    if (isnan(want) ? !isnan(got) : !(fabs(got - want) < 1e-6))
        fail_msg("got %.9g, want %.9g", got, want);
}

static double entropy_of(const float *row, size_t n)
{
    double bits = 0;
    for (size_t j = 0; j < n; j++)
        bits -= row[j] > 0 ? (double)row[j] * log2((double)row[j]) : 0;
    return bits;
}

/* "the dog sees ." is 0 1 2 3 and </s> 4; of the decoder <s> 0, a 1 ("cat" is said last, read by nobody). */
static void shares_are_those_of_the_maps(void **state)
{
    (void)state;
    static const char *const source = "the dog sees .", *const target = "a cat";
    at_translator *t = open_small();
    at_bundle *b;
    at_heads *heads;
    check_ok(at_bundle_new(t, source, target, NULL, &b));
    check_ok(at_heads_new(t, &source, &target, 1, NULL, &heads));
    assert_int_equal(heads->pairs, 1);
    assert_int_equal(heads->count, 4 + 2 + 4);
    for (size_t i = 0; i < heads->count; i++) {
        const at_head *h = &heads->list[i];
        const at_bundle_part *p = &b->parts[h->kind];
        const float *w = p->weights + (size_t)(h->layer * p->heads + h->head) * p->rows * p->columns;
        double want[AT_HEAD_ROLES] = {NAN, NAN, NAN, 0, 0, 0}, bits = 0;
        if (h->kind == AT_VIEW_ENCODER) {
            want[AT_HEAD_PREVIOUS] = ((double)w[5] + (double)w[11] + (double)w[17]) / 3;
            want[AT_HEAD_NEXT] = ((double)w[1] + (double)w[7] + (double)w[13]) / 3;
            want[AT_HEAD_ITSELF] = ((double)w[0] + (double)w[6] + (double)w[12] + (double)w[18]) / 4;
        }
        size_t rows = h->kind == AT_VIEW_CROSS ? 2 : h->kind == AT_VIEW_ENCODER ? 4 : 1;
        assert_int_equal(h->rows, rows);
        if (h->kind == AT_VIEW_DECODER) { /* pieces: the second row alone, if "a" is one piece as is "cat" */
            assert_int_equal(p->rows, 2);
            near(h->share[AT_HEAD_PREVIOUS], (double)w[2]);
            near(h->share[AT_HEAD_ITSELF], (double)w[3]);
            near(h->share[AT_HEAD_FIRST], (double)w[2]);
            assert_true(isnan(h->share[AT_HEAD_NEXT]) && isnan(h->share[AT_HEAD_STOP]) &&
                        isnan(h->share[AT_HEAD_END]));
            near(h->entropy, entropy_of(w + 2, 2));
            continue;
        }
        for (size_t r = 0; r < rows; r++) {
            const float *row = w + r * 5;
            want[AT_HEAD_FIRST] += (double)row[0] / (double)rows;
            want[AT_HEAD_STOP] += (double)row[3] / (double)rows;
            want[AT_HEAD_END] += (double)row[4] / (double)rows;
            bits += entropy_of(row, 5) / (double)rows;
        }
        for (int r = 0; r < AT_HEAD_ROLES; r++)
            near(h->share[r], want[r]);
        near(h->entropy, bits);
    }
    at_bundle_free(b);
    at_heads_free(heads);
    at_translator_close(t);
}

static void batches_and_gaps(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "the dog sees .", "", "cat", "dog sees the cat",
        "the cat sees the dog and the dog sees the cat and xyz xyz xyz xyz xyz xyz"};
    at_translator *t = open_small();
    at_heads *one, *many;
    at_heads_options how = AT_HEADS_DEFAULTS;
    how.batch = 1;
    check_ok(at_heads_new(t, lines, lines, 5, &how, &one));
    how.batch = 4;
    check_ok(at_heads_new(t, lines, lines, 5, &how, &many));
    assert_true(one->pairs == 3 && one->left_out == 2 && many->pairs == 3 && many->left_out == 2);
    for (size_t i = 0; i < one->count; i++) {
        near(one->list[i].entropy, many->list[i].entropy);
        for (int r = 0; r < AT_HEAD_ROLES; r++)
            near(one->list[i].share[r], many->list[i].share[r]);
    }
    at_heads_free(one);
    at_heads_free(many);
    check_ok(at_heads_new(t, lines, NULL, 1, NULL, &one)); /* its own translation */
    assert_int_equal(one->pairs, 1);
    at_heads_free(one);
    check_fails(at_heads_new(t, lines + 1, NULL, 1, NULL, &one), AT_EARG, "no line");
    how.batch = 0;
    check_fails(at_heads_new(t, lines, NULL, 1, &how, &one), AT_EARG, "batch");
    assert_null(one);
    at_heads_free(NULL);
    at_translator_close(t);
}

static void strongest_role(void **state)
{
    (void)state;
    at_head head = {.share = {NAN, 0.1, 0.5, 0.3, NAN, 0.2}};
    assert_int_equal(at_head_strongest(&head), AT_HEAD_ITSELF);
    assert_string_equal(at_head_role_name(AT_HEAD_ITSELF), "itself");
    for (int r = 0; r < AT_HEAD_ROLES; r++)
        head.share[r] = NAN;
    assert_int_equal(at_head_strongest(&head), -1);
}

/* Sinusoids: PE(p)·PE(p+d) is the sum of cos(d w) over the frequencies, whatever p. */
static void positions_by_their_formula(void **state)
{
    (void)state;
    enum { WIDTH = 16, COUNT = 20 };
    at_translator *t = open_small();
    at_positions *p;
    for (int side = 0; side < 2; side++) {
        check_ok(at_positions_new(t, side, COUNT, &p));
        assert_true(p->count == COUNT && p->width == WIDTH);
        for (size_t d = 0; d < COUNT; d++) {
            double want = 0;
            for (int i = 0; i < WIDTH / 2; i++)
                want += cos((double)d * pow(10000, -2.0 * i / WIDTH));
            assert_true(fabs(p->dot[d] - want) < 1e-4);
            assert_true(p->least[d] <= p->dot[d] + 1e-12 && p->dot[d] <= p->most[d] + 1e-12);
            assert_true(p->most[d] - p->least[d] < 1e-4);
        }
        at_positions_free(p);
    }
    check_fails(at_positions_new(t, false, 25, &p), AT_EARG, "1 to 24");
    check_fails(at_positions_new(t, false, 0, &p), AT_EARG, "1 to 24");
    assert_null(p);
    at_positions_free(NULL);
    at_translator_close(t);
}

/* config.json's attend.align is what AT_OWN means. */
static void the_models_own_head(void **state)
{
    (void)state;
    at_translator *t = open_small();
    at_view_options how = AT_VIEW_DEFAULTS;
    at_view *own, *named;
    check_ok(at_view_new(t, "the dog", "a cat", &how, &own));
    assert_true(own->layer == AT_MEAN && own->head == AT_MEAN);
    at_view_free(own);
    t->align_layer = 1;
    t->align_head = 0;
    check_ok(at_view_new(t, "the dog", "a cat", &how, &own));
    how.layer = 1;
    how.head = 0;
    check_ok(at_view_new(t, "the dog", "a cat", &how, &named));
    assert_true(own->layer == 1 && own->head == 0);
    check_same_bits(own->weights, named->weights, own->rows * own->columns * sizeof(float));
    at_view_free(own);
    at_view_free(named);
    how.kind = AT_VIEW_ENCODER; /* of cross attention alone */
    how.layer = how.head = AT_OWN;
    check_ok(at_view_new(t, "the dog", "a cat", &how, &own));
    assert_true(own->layer == AT_MEAN && own->head == AT_MEAN);
    at_view_free(own);
    at_translator_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_those_of_the_maps),
        cmocka_unit_test(batches_and_gaps),
        cmocka_unit_test(strongest_role),
        cmocka_unit_test(positions_by_their_formula),

        cmocka_unit_test(the_models_own_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
