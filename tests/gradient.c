#include "tests/gradient.h"
#include <math.h>
#include <stdio.h>
#include "autograd/ops.h"
#include "base/rng.h"

enum { SEEN = 64, STREAM_LEAF = 100, STREAM_WEIGHT = 900 };

static const at_op *seen[SEEN];
static size_t seen_count;

void gradient_random(float *out, size_t n, uint32_t stream, float spread)
{
    at_rng rng = at_rng_make(check_rng_seed() * 1000003u + stream, AT_RNG_TEST);
    for (size_t i = 0; i < n; i++)
        out[i] = spread * at_rng_normal(&rng);
}

typedef struct subject { /* one case on one kernel set */
    const gradient_case *c;
    at_tape *tape;
    const char *kernels;
    size_t leaves;
    float *data[GRADIENT_LEAVES], *grad[GRADIENT_LEAVES];
    at_var *inputs[GRADIENT_LEAVES];
    float *param_grads;
    float *weights; /* r, as many as y has elements */
    size_t weight_count;
} subject;

static float *zeros(size_t n)
{
    float *block = calloc(n + 1, sizeof *block);
    assert_non_null(block);
    return block;
}

/* Where the case's inputs stand on the tape: gradients of leaves are added to memory that is there, those of
 * results to memory that is fresh, or that already holds what a later operation sent back. */
typedef enum place { ON_LEAF, ON_FRESH, ON_HELD, PLACES } place;

static at_var *build(subject *s, bool with_gradients, place where)
{
    at_tape_begin(s->tape, s->c->training ? AT_TAPE_TRAIN : AT_TAPE_CHECK, 7, 3);
    s->tape->grads = with_gradients ? s->param_grads : NULL;
    at_var *leaves[GRADIENT_LEAVES] = {NULL};
    for (size_t i = 0; i < s->leaves; i++) {
        leaves[i] = at_leaf(s->tape, s->c->leaves[i], s->data[i], with_gradients ? s->grad[i] : NULL);
        leaves[i] = where == ON_LEAF ? leaves[i] : at_scale(s->tape, leaves[i], 1);
        s->inputs[i] = leaves[i];
    }
    at_var *y = s->c->build(s->tape, leaves, s->c->context);
    if (!y) {
        print_error("%s (%s): %s\n", s->c->name, s->kernels, at_error_message());
        fail();
    }
    return y;
}

static double value(subject *s)
{
    const at_var *y = build(s, false, ON_LEAF);
    double sum = 0;
    for (size_t i = 0; i < s->weight_count; i++)
        sum += (double)s->weights[i] * (double)y->data[i];
    return sum;
}

/* (8 (f(+h) - f(-h)) - (f(+2h) - f(-2h))) / 12h: wrong by h^4 only, so h may be large enough for fp32. */
static double quotient(subject *s, float *x, float h)
{
    float kept = *x;
    static const int steps[] = {1, -1, 2, -2};
    double f[4];
    for (int i = 0; i < 4; i++) {
        *x = kept + (float)steps[i] * h;
        f[i] = value(s);
    }
    *x = kept;
    return (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * (double)h);
}

static void compare(subject *s, const char *what, float *x, const float *grad, size_t n)
{
    double largest = 0.3, tolerance = s->c->tolerance > 0 ? s->c->tolerance : 5e-4;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)grad[i]));
    for (size_t i = 0; i < n; i++) {
        double want = 0, apart = INFINITY;
        /* A smaller step when the first spans a kink of ReLU. */
        for (float h = 0.02f; h > 0.0003f && !(apart <= tolerance * largest); h /= 4) {
            want = quotient(s, x + i, h);
            apart = fabs(want - (double)grad[i]);
        }
        if (!(apart <= tolerance * largest)) {
            print_error("%s (%s), %s[%zu]: gradient %.7g, difference quotient %.7g, largest %.3g\n",
                        s->c->name, s->kernels, what, i, (double)grad[i], want, largest);
            fail();
        }
    }
}

static void note_operations(const at_tape *tape)
{
    size_t count;
    const at_node *nodes = at_tape_nodes(tape, &count);
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < seen_count && seen[j] != nodes[i].op)
            j++;
        assert_true(j < SEEN);
        seen[j] = nodes[i].op;
        seen_count = j == seen_count ? j + 1 : seen_count;
    }
}

static at_var *weighted_sum(subject *s, at_var *y)
{
    return at_sum(s->tape, at_mul(s->tape, y, at_leaf(s->tape, y->shape, s->weights, NULL)));
}

/* Gradients of the checked loss, plus sum(r * input) for every input when that shall hold something. */
static void run_backward(subject *s, place where)
{
    at_var *y = build(s, true, where);
    assert_true(y->needs_grad);
    at_var *loss = weighted_sum(s, y);
    for (size_t i = 0; where == ON_HELD && i < s->leaves; i++)
        loss = at_add(s->tape, loss, weighted_sum(s, s->inputs[i]));
    note_operations(s->tape);
    check_ok(at_tape_backward(s->tape, loss));
}

/* The same gradients wherever the inputs stand. */
static void check_places(subject *s)
{
    for (place where = ON_FRESH; where < PLACES; where++) {
        float *want[GRADIENT_LEAVES];
        for (size_t i = 0; i < s->leaves; i++) {
            size_t n = at_shape_count(s->c->leaves[i]);
            want[i] = s->grad[i];
            s->grad[i] = zeros(n);
        }
        float *params = s->param_grads;
        s->param_grads = params ? zeros(s->c->params->total) : NULL;
        run_backward(s, where);
        for (size_t i = 0; i < s->leaves; i++) {
            size_t n = at_shape_count(s->c->leaves[i]);
            for (size_t j = 0; where == ON_HELD && j < n; j++)
                s->grad[i][j] -= s->weights[j];
            check_near(s->grad[i], want[i], n, 1e-5);
            free(s->grad[i]);
            s->grad[i] = want[i];
        }
        if (params)
            check_near(s->param_grads, params, s->c->params->total, 1e-5);
        free(s->param_grads);
        s->param_grads = params;
    }
}

static void check_on(const gradient_case *c, const char *kernels)
{
    at_exec *exec;
    check_ok(at_exec_new(kernels, 2, &exec));
    subject s = {.c = c, .kernels = kernels};
    check_ok(at_tape_new(exec, &s.tape));
    for (; s.leaves < GRADIENT_LEAVES && c->leaves[s.leaves].rank > 0; s.leaves++) {
        size_t n = at_shape_count(c->leaves[s.leaves]);
        s.data[s.leaves] = zeros(n);
        s.grad[s.leaves] = zeros(n);
        gradient_random(s.data[s.leaves], n, STREAM_LEAF + (uint32_t)s.leaves, c->spread > 0 ? c->spread : 1);
    }
    if (c->params)
        s.param_grads = zeros(c->params->total);
    const at_var *y = build(&s, false, ON_LEAF);
    s.weight_count = at_shape_count(y->shape);
    size_t most = s.weight_count;
    for (size_t i = 0; i < s.leaves; i++)
        most = at_shape_count(c->leaves[i]) > most ? at_shape_count(c->leaves[i]) : most;
    s.weights = zeros(most);
    gradient_random(s.weights, most, STREAM_WEIGHT, 1);
    run_backward(&s, ON_LEAF);
    check_places(&s);
    for (size_t i = 0; i < s.leaves; i++) {
        char what[32];
        snprintf(what, sizeof what, "leaf %zu", i);
        compare(&s, what, s.data[i], s.grad[i], at_shape_count(c->leaves[i]));
    }
    for (size_t i = 0; c->params && i < c->params->count; i++) {
        const at_param *p = c->params->list[i];
        compare(&s, p->name, c->params->block + p->offset, s.param_grads + p->offset,
                at_shape_count(p->shape));
    }
    for (size_t i = 0; i < s.leaves; i++) {
        free(s.data[i]);
        free(s.grad[i]);
    }
    free(s.param_grads);
    free(s.weights);
    at_tape_free(s.tape);
    at_exec_free(exec);
}

void gradient_check(const gradient_case *c)
{
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    for (size_t i = 0; i < count; i++)
        check_on(c, sets[i]->name);
}

void gradient_check_all(const at_op *const *ops)
{
    size_t missing = 0;
    for (; *ops; ops++) {
        size_t j = 0;
        while (j < seen_count && seen[j] != *ops)
            j++;
        if (j == seen_count) {
            print_error("no gradient case exercises '%s'\n", (*ops)->name);
            missing++;
        }
    }
    assert_int_equal(missing, 0);
}
