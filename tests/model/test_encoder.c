/* The encoder alone: gradients of its three losses, what is hidden, bits, and sets learned by heart. */
#include <math.h>
#include <string.h>
#include "tests/gradient.h"
#include "tests/toy.h"

enum { CLASSES = 3 };
static const int lengths[] = {5, 3, 9, 2, 4}, partners[] = {4, 6, 5, 3, 7};
static const int32_t labels[] = {2, 0, 1, 1, 0};
enum { COUNT = 5 };

typedef enum learned { LABELS, PAIRS, HIDDEN } learned;

/* Sequences <s> … </s>; pairs keep theirs in target_out. */
static void fill(toy_batch *b, const toy *t, learned what)
{
    toy_fill(b, t, COUNT, lengths, partners, 9);
    for (size_t i = 0; i < COUNT; i++) {
        b->source[b->source_offsets[i]] = 1;
        b->out[b->target_offsets[i]] = 1;
    }
    b->batch.labels = what == LABELS ? labels : NULL;
    if (what != PAIRS)
        b->batch.target.count = 0;
}

typedef struct loss_case {
    const toy *t;
    const toy_batch *b;
    float twins;
} loss_case;

static at_var *loss(at_tape *tape, at_var *const *x, const void *context)
{
    (void)x;
    const loss_case *c = context;
    const at_loss_options options = {.smoothing = 0.1f, .scale = 0.37f, .twins = c->twins};
    return at_model_loss(c->t->model, tape, &c->b->batch, &options, NULL);
}

#define SMALL \
    "\"layers\": 1, \"d_model\": 6, \"ffn\": 5, \"heads\": 2, \"mask_rate\": 0.4, \"temperature\": 0.5"

static void check_with(const char *options, learned what, bool training, float twins)
{
    toy t;
    toy_batch b;
    toy_open(&t, &(toy_spec){.family = "encoder", .options = options, .labels = CLASSES, .seed = 3});
    fill(&b, &t, what);
    at_params *params = &t.model->params;
    for (size_t i = 0; i < params->count; i++) { /* biases and gains begin as 0 and 1: stir them */
        const at_param *p = params->list[i];
        if (p->role == AT_PLAIN && p->shape.rank == 1)
            gradient_random(params->block + p->offset, at_shape_count(p->shape), (uint32_t)i, 0.5f);
    }
    loss_case c = {&t, &b, twins};
    gradient_check(&(gradient_case){.name = options,
                                    .build = loss,
                                    .context = &c,
                                    .params = params,
                                    .training = training,
                                    .tolerance = 5e-3});
    toy_close(&t);
}

static void check(const char *options, learned what, bool training)
{
    check_with(options, what, training, 0);
}

/* Each text twice, under masks of its own. */
static void gradients_of_twins(void **state)
{
    (void)state;
    check_with("{" SMALL ", \"pooling\": \"mean\", \"dropout\": 0.3, \"word_dropout\": 0.2}", LABELS, true,
               3);
    check_with("{" SMALL ", \"mask_loss\": 0.7, \"attention_dropout\": 0.2, \"dropout\": 0.1}", LABELS, true,
               0.6f);
}

/* Without dropout both passes agree and bind nothing: the loss is the single one, and so is the count. */
static void twins_that_agree_are_one(void **state)
{
    (void)state;
    toy t;
    toy_batch b;
    toy_open(&t, &(toy_spec){.family = "encoder", .options = "{}", .labels = CLASSES, .seed = 3});
    fill(&b, &t, LABELS);
    at_loss_report report[2];
    for (int i = 0; i < 2; i++) {
        const at_loss_options how = {.smoothing = 0.1f, .scale = 0.5f, .twins = i ? 5 : 0};
        at_tape_begin(t.tape, AT_TAPE_TRAIN, 9, 1);
        assert_non_null(at_model_loss(t.model, t.tape, &b.batch, &how, &report[i]));
    }
    assert_int_equal(report[1].tokens, COUNT);
    assert_int_equal(report[1].judged, COUNT);
    assert_int_equal(report[1].right, report[0].right);
    assert_true(fabs(report[1].loss - report[0].loss) < 1e-5);
    toy_close(&t);
}

static void gradients_of_labels(void **state)
{
    (void)state;
    check("{" SMALL "}", LABELS, false);
    check("{" SMALL ", \"pooling\": \"mean\", \"norm\": \"pre\", \"positions\": \"sinusoidal\"}", LABELS,
          false);
    check("{" SMALL ", \"pooling\": \"max\", \"positions\": \"none\"}", LABELS, false);
    check("{" SMALL
          ", \"pooling\": \"attention\", \"mask_loss\": 0.7, \"word_dropout\": 0.3, \"dropout\": 0.1}",
          LABELS, true);
}

static void gradients_of_recurrent_bodies(void **state)
{
    (void)state;
    check("{" SMALL ", \"body\": \"gru\", \"pooling\": \"attention\"}", LABELS, false);
    check("{" SMALL ", \"body\": \"lstm\", \"pooling\": \"mean\", \"positions\": \"none\"}", LABELS, false);
}

static void gradients_of_hidden_pieces_and_pairs(void **state)
{
    (void)state;
    check("{" SMALL ", \"mask_loss\": 1}", HIDDEN, false);
    check("{" SMALL ", \"mask_loss\": 1, \"dropout\": 0.2}", HIDDEN, true);
    check("{" SMALL ", \"pooling\": \"mean\"}", PAIRS, false);
    check("{" SMALL ", \"pooling\": \"mean\", \"mask_loss\": 0.5}", PAIRS, true);
}

/* The loss of hidden pieces is that of each sequence alone, whatever company it has: what is hidden follows
 * the example. Another step hides others. */
static void what_is_hidden_follows_the_example(void **state)
{
    (void)state;
    toy t;
    toy_batch all, one;
    toy_open(&t, &(toy_spec){.family = "encoder", .options = "{\"mask_loss\": 1}", .seed = 2});
    fill(&all, &t, HIDDEN);
    const at_loss_options plain = {.scale = 1};
    at_loss_report whole, part, next;
    double sum = 0;
    size_t count = 0;
    at_tape_begin(t.tape, AT_TAPE_TRAIN, 7, 3);
    at_model_loss(t.model, t.tape, &all.batch, &plain, &whole);
    for (size_t i = 0; i < COUNT; i++) {
        toy_single(&one, &all, i);
        one.batch.target.count = 0;
        at_tape_begin(t.tape, AT_TAPE_TRAIN, 7, 3);
        at_model_loss(t.model, t.tape, &one.batch, &plain, &part);
        sum += part.loss;
        count += part.tokens;
        assert_true(part.tokens >= (lengths[i] > 2)); /* none of "<s> </s>", at least one of any other */
    }
    assert_int_equal(whole.tokens, count);
    assert_true(fabs(whole.loss - sum) < 1e-4);
    assert_int_equal(whole.judged, 0);
    bool other = false;
    for (uint64_t step = 4; step < 12 && !other; step++) {
        at_tape_begin(t.tape, AT_TAPE_TRAIN, 7, step);
        at_model_loss(t.model, t.tape, &all.batch, &plain, &next);
        other = fabs(next.loss - whole.loss) > 1e-3;
    }
    assert_true(other);
    toy_close(&t);
}

/* Plain steps down the gradient until every prediction is right. */
static void learn_by_heart(const char *options, learned what, float rate)
{
    toy t;
    toy_batch b;
    at_loss_report report = {0};
    toy_open(&t, &(toy_spec){.family = "encoder", .options = options, .labels = CLASSES, .seed = 5});
    fill(&b, &t, what);
    float *block = t.model->params.block;
    for (uint64_t step = 1; step <= 200; step++) {
        const at_loss_options how = {.scale = 1.0f / COUNT};
        memset(t.grads, 0, t.model->params.total * sizeof *t.grads);
        at_tape_begin(t.tape, AT_TAPE_TRAIN, 1, step);
        t.tape->grads = t.grads;
        check_ok(at_tape_backward(t.tape, at_model_loss(t.model, t.tape, &b.batch, &how, &report)));
        for (size_t i = 0; i < t.model->params.total; i++)
            block[i] -= rate * t.grads[i];
    }
    assert_true(report.loss / COUNT < 0.1);
    assert_true(report.right == report.judged && report.judged == (what == PAIRS ? 2 * COUNT : COUNT));
    toy_close(&t);
}

static void a_tiny_set_is_learned_by_heart(void **state)
{
    (void)state;
    learn_by_heart(NULL, LABELS, 0.1f);
    learn_by_heart("{\"pooling\": \"attention\", \"body\": \"gru\"}", LABELS, 0.3f);
    learn_by_heart("{\"pooling\": \"attention\", \"norm\": \"pre\"}", LABELS, 0.1f);
    learn_by_heart("{\"pooling\": \"mean\", \"norm\": \"pre\", \"temperature\": 0.2}", PAIRS, 0.3f);
}

/* The same bits for any number of threads; layer 0 knows no places and no neighbours, the last layer is
 * encode. */
static void layers_and_threads(void **state)
{
    (void)state;
    float want[6 * 12];
    for (int threads = 1; threads <= 8; threads += threads == 1 ? 2 : 5) {
        toy t;
        toy_batch b;
        toy_open(&t, &(toy_spec){.family = "encoder", .threads = threads, .labels = 2, .seed = 5});
        toy_fill(&b, &t, 1, (const int[]){6}, (const int[]){0}, 4);
        b.source[1] = b.source[3] = 7;
        const at_family *f = t.model->family;
        at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
        at_var *first = f->layer(t.model, t.tape, &b.batch, 0),
               *last = f->layer(t.model, t.tape, &b.batch, 2);
        at_var *all = f->encode(t.model, t.tape, &b.batch), *middle = f->layer(t.model, t.tape, &b.batch, 1);
        assert_non_null(middle);
        check_same_bits(first->data + 12, first->data + 36, 12 * sizeof(float));
        assert_memory_not_equal(middle->data + 12, middle->data + 36, 12 * sizeof(float));
        check_same_bits(last->data, all->data, sizeof want);
        if (threads == 1)
            memcpy(want, all->data, sizeof want);
        check_same_bits(all->data, want, sizeof want);
        assert_null(f->layer(t.model, t.tape, &b.batch, 3));
        assert_int_equal(at_tape_status(t.tape), AT_EARG);
        toy_close(&t);
    }
}

static void what_was_not_learned_is_refused(void **state)
{
    (void)state;
    toy t;
    toy_batch b;
    const at_loss_options plain = {.scale = 1};
    toy_open(&t, &(toy_spec){.family = "encoder", .seed = 5});
    fill(&b, &t, HIDDEN);
    at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
    assert_null(at_model_loss(t.model, t.tape, &b.batch, &plain, NULL));
    check_fails(at_tape_status(t.tape), AT_ENOSUP, "mask_loss");
    fill(&b, &t, LABELS);
    at_tape_begin(t.tape, AT_TAPE_RUN, 0, 0);
    assert_null(at_model_loss(t.model, t.tape, &b.batch, &plain, NULL));
    check_fails(at_tape_status(t.tape), AT_ENOSUP, "learned no labels");
    toy_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_labels),
        cmocka_unit_test(gradients_of_twins),
        cmocka_unit_test(twins_that_agree_are_one),
        cmocka_unit_test(gradients_of_recurrent_bodies),
        cmocka_unit_test(gradients_of_hidden_pieces_and_pairs),
        cmocka_unit_test(what_is_hidden_follows_the_example),
        cmocka_unit_test(a_tiny_set_is_learned_by_heart),
        cmocka_unit_test(layers_and_threads),
        cmocka_unit_test(what_was_not_learned_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
