/* Looking into models that do not translate: a decoder alone over a text and over what it writes on, an
 * encoder alone, which words decided a classifier's label. */
#include <math.h>
#include "tests/task/small.h"
#include "attend.h"

#define SIZES "\"layers\": 2, \"d_model\": 16, \"ffn\": 16, \"heads\": 2, \"max_length\": 24"
#define LABELS "{\"0\": \"animal\", \"1\": \"thing\", \"2\": \"other\"}"
static const char line[] = "the dog sees the cat";

static at_translator *open_model(const char *name, const char *family, const char *options,
                                 const char *labels)
{
    at_translator *t;
    at_open_options open = AT_OPEN_DEFAULTS;
    open.threads = 1;
    small_spec spec = {.family = family, .options = options, .labels = labels};
    check_ok(at_viewer_open(small_model(name, &spec), &open, &t));
    return t;
}

static void check_rows(const at_view *v)
{
    for (size_t i = 0; i < v->rows; i++) {
        double sum = 0;
        for (size_t j = 0; j < v->columns; j++)
            sum += (double)v->weights[i * v->columns + j];
        assert_true(fabs(sum - 1) < 1e-5);
    }
}

static void a_decoder_is_looked_into(void **state)
{
    (void)state;
    at_translator *t = open_model("decoder", "decoder", "{" SIZES "}", NULL);
    at_view *v;
    check_ok(at_view_new(t, line, NULL, NULL, &v));
    assert_int_equal(v->kind, AT_VIEW_DECODER);
    assert_string_equal(v->translation, line);
    static const char *const said[] = {"the", "dog", "sees", "the", "cat"}, *const read[] = {"<s>", "the",
                                                                                             "dog", "sees",
                                                                                             "the", "cat"};
    assert_int_equal(v->rows, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(v->row_words[i], said[i]);
    for (size_t i = 0; i < v->columns; i++)
        assert_string_equal(v->column_words[i], read[i]);
    check_rows(v);
    at_view_free(v);
    at_view_options how = AT_VIEW_DEFAULTS;
    how.pieces = true;
    check_ok(at_view_new(t, line, NULL, &how, &v));
    for (size_t i = 0; i < v->rows; i++)
        for (size_t j = i + 1; j < v->columns; j++)
            assert_true(v->weights[i * v->columns + j] <= 0); /* nobody looks ahead */
    size_t before = v->rows;
    at_view_free(v);
    how.write = 4;
    check_ok(at_view_new(t, line, NULL, &how, &v));
    assert_int_equal(v->rows, before + 4);
    assert_memory_equal(v->translation, line, sizeof line - 1);
    assert_true(strlen(v->translation) > sizeof line - 1);
    check_rows(v);
    at_view_free(v);
    at_bundle_options all = AT_BUNDLE_DEFAULTS;
    at_bundle *b;
    check_ok(at_bundle_new(t, line, NULL, &all, &b));
    assert_int_equal(b->own, AT_VIEW_DECODER);
    assert_int_equal(b->count, 1);
    assert_int_equal(b->parts[0].layers * b->parts[0].heads, 4);
    assert_non_null(b->parts[0].rollout);
    at_bundle_free(b);
    how.write = 40;
    check_fails(at_view_new(t, line, NULL, &how, &v), AT_EARG, "longer than the model reaches, 24");
    how.write = -1;
    check_fails(at_view_new(t, line, NULL, &how, &v), AT_EARG, "pieces to write");
    check_fails(at_view_new(t, "", NULL, NULL, &v), AT_EARG, "empty");
    check_fails(at_view_new(t, line, "x", NULL, &v), AT_ENOSUP, "no target");
    check_fails(at_translate(t, (const char *const[]){line}, 1, NULL, NULL, NULL), AT_ENOSUP, "generate");
    check_fails(at_align(t, (const char *const[]){line}, (const char *const[]){line}, 1, NULL, NULL, NULL),
                AT_ENOSUP, "does not translate");
    how = (at_view_options)AT_VIEW_DEFAULTS;
    how.kind = AT_VIEW_CLASS;
    check_fails(at_view_new(t, line, NULL, &how, &v), AT_ENOSUP, "no labels");
    how.kind = AT_VIEW_CROSS;
    check_fails(at_view_new(t, line, NULL, &how, &v), AT_ENOSUP, "");
    at_translator_close(t);
    at_open_options open = AT_OPEN_DEFAULTS;
    check_fails(at_translator_open(check_path("decoder"), &open, &t), AT_ENOSUP, "does not translate");
    assert_null(t);
}

/* What classify says of one line: its label, and how much its words counted. */
typedef struct answer {
    double weights[32], log_probability[3];
    size_t count;
    int number;
} answer;

static bool take(void *context, const at_classification *c)
{
    answer *a = context;
    a->number = c->number;
    a->count = c->word_count;
    for (size_t i = 0; i < c->word_count; i++)
        a->weights[i] = (double)c->weights[i];
    for (int i = 0; i < 3; i++)
        a->log_probability[i] = log((double)c->probabilities[i]);
    return true;
}

static answer classify(const char *folder, const char *text, at_measure measure)
{
    answer a = {0};
    at_classifier *c;
    at_open_options open = AT_OPEN_DEFAULTS;
    open.threads = 1;
    check_ok(at_classifier_open(check_path(folder), &open, &c));
    at_classify_options how = AT_CLASSIFY_DEFAULTS;
    how.words = true;
    how.measure = measure;
    check_ok(at_classify(c, &text, 1, &how, take, &a));
    at_classifier_close(c);
    return a;
}

/* Words left out, one line after the other, through the front door. */
static void check_left_out(const char *folder)
{
    static const char *const without[] = {"dog sees the cat", "the sees the cat", "the dog the cat",
                                          "the dog sees cat", "the dog sees the"};
    answer whole = classify(folder, line, AT_MEASURE_LEFT_OUT);
    assert_int_equal(whole.count, 7);
    assert_true(fabs(whole.weights[0]) < 1e-12 && fabs(whole.weights[6]) < 1e-12); /* <s>, </s> */
    for (size_t i = 1; i < 5;
         i++) { /* behind the first word: it has no space before it, so others follow it */
        answer less = classify(folder, without[i], AT_MEASURE_LEFT_OUT);
        double want = whole.log_probability[whole.number] - less.log_probability[whole.number];
        assert_true(fabs(want - whole.weights[i + 1]) < 1e-4);
    }
}

static void check_share(const float *row, const answer *want, size_t columns)
{
    assert_int_equal(want->count, columns);
    for (size_t i = 0; i < columns; i++)
        assert_true(fabs((double)row[i] - want->weights[i]) < 1e-5);
}

/* The last two rows are words left out: shares of all that changed, with their signs apart. */
static void check_signs(const at_view *v, const char *folder)
{
    answer want = classify(folder, line, AT_MEASURE_LEFT_OUT);
    const float *less = v->weights + (v->rows - 2) * v->columns, *more = less + v->columns;
    double sum = 0;
    for (size_t i = 0; i < v->columns; i++)
        sum += fabs(want.weights[i]);
    for (size_t i = 0; i < v->columns; i++)
        assert_true(fabs((double)(less[i] - more[i]) * sum - want.weights[i]) < 1e-5);
}

static void what_decided_a_class(void **state)
{
    (void)state;
    static const struct {
        const char *name, *options;
        size_t rows;
        at_measure own;
    } models[] = {
        {"pooled", "{" SIZES ", \"pooling\": \"attention\"}", 3, AT_MEASURE_POOLING},
        {"class", "{" SIZES ", \"pooling\": \"class\"}", 4, AT_MEASURE_CLASS},
        {"mean", "{" SIZES ", \"pooling\": \"mean\"}", 2, AT_MEASURE_LEFT_OUT},
        {"max", "{" SIZES ", \"pooling\": \"max\"}", 2, AT_MEASURE_LEFT_OUT},
        {"gru", "{" SIZES ", \"pooling\": \"attention\", \"body\": \"gru\"}", 3, AT_MEASURE_POOLING},
        {"gruclass", "{" SIZES ", \"pooling\": \"class\", \"body\": \"gru\"}", 2, AT_MEASURE_LEFT_OUT},
    };
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        at_translator *t = open_model(models[m].name, "encoder", models[m].options, LABELS);
        at_view *v;
        check_ok(at_view_new(t, line, NULL, NULL, &v));
        assert_int_equal(v->kind, AT_VIEW_CLASS);
        assert_int_equal(v->rows, models[m].rows);
        answer own = classify(models[m].name, line, AT_MEASURE_OWN);
        answer same = classify(models[m].name, line, models[m].own);
        for (size_t i = 0; i < own.count; i++)
            assert_true(fabs(own.weights[i] - same.weights[i]) < 1e-12);
        if (models[m].own != AT_MEASURE_LEFT_OUT)
            check_share(v->weights, &own, v->columns);
        check_left_out(models[m].name);
        check_signs(v, models[m].name);
        assert_true(fabs(log(v->probability) - own.log_probability[own.number]) < 1e-5);
        at_view_free(v);
        at_view_options how = AT_VIEW_DEFAULTS;
        how.layer = 0;
        check_fails(at_view_new(t, line, NULL, &how, &v), AT_EARG, "no layers");
        at_translator_close(t);
    }
}

/* The class token's row is that of <s> in the picture of the encoder's last layer, its rollout that of the
 * bundle's. */
static void the_class_token_looks_from_the_first_row(void **state)
{
    (void)state;
    at_translator *t = open_model("token", "encoder", "{" SIZES ", \"pooling\": \"class\"}", LABELS);
    at_view_options how = AT_VIEW_DEFAULTS;
    at_view *encoder;
    at_bundle *b;
    how.kind = AT_VIEW_ENCODER;
    how.layer = 1;
    check_ok(at_view_new(t, line, NULL, &how, &encoder));
    answer looked = classify("token", line, AT_MEASURE_CLASS),
           rolled = classify("token", line, AT_MEASURE_ROLLOUT);
    check_share(encoder->weights, &looked, encoder->columns);
    check_ok(at_bundle_new(t, line, NULL, NULL, &b));
    assert_int_equal(b->count, 2);
    assert_int_equal(b->own, AT_VIEW_CLASS);
    assert_int_equal(b->parts[1].kind, AT_VIEW_CLASS);
    check_share(b->parts[0].rollout, &rolled, b->parts[0].columns);
    assert_true(b->label && b->probability > 0.3);
    at_bundle_free(b);
    at_view_free(encoder);
    at_translator_close(t);
    at_classifier *c;
    check_ok(at_classifier_open(check_path("token"), NULL, &c));
    at_classify_options wrong = AT_CLASSIFY_DEFAULTS;
    wrong.words = true;
    wrong.measure = AT_MEASURE_POOLING;
    answer a;
    const char *text = line;
    check_fails(at_classify(c, &text, 1, &wrong, take, &a), AT_ENOSUP, "its own is class");
    wrong.measure = AT_MEASURES;
    check_fails(at_classify(c, &text, 1, &wrong, take, &a), AT_EARG, "measure");
    at_classifier_close(c);
}

static void an_encoder_without_labels_shows_itself(void **state)
{
    (void)state;
    at_translator *t = open_model("plain", "encoder", "{" SIZES "}", NULL);
    at_view *v;
    check_ok(at_view_new(t, line, NULL, NULL, &v));
    assert_int_equal(v->kind, AT_VIEW_ENCODER);
    assert_string_equal(v->row_words[0], "<s>");
    assert_string_equal(v->translation, "");
    check_rows(v);
    at_view_free(v);
    check_fails(at_view_new(t,
                            "the cat sees the dog and the dog sees the cat and the dog and xyz xyz xyz xyz",
                            NULL, NULL, &v),
                AT_EARG, "longer than the model reaches");
    at_translator_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_decoder_is_looked_into),
        cmocka_unit_test(what_decided_a_class),
        cmocka_unit_test(the_class_token_looks_from_the_first_row),
        cmocka_unit_test(an_encoder_without_labels_shows_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
