/* Keys and values projected to k rows: against sums written out, finite differences; what a trace tells. */
#include "attention/linformer.h"
#include <math.h>
#include <string.h>
#include "attention/trace.h"
#include "tests/gradient.h"

/* Lengths 3, 0, 5, 1 of at most 6. */
static const int32_t offsets[] = {0, 3, 3, 8, 9};
static const uint32_t examples[] = {3, 1, 4, 15};
static const at_rows rows = {4, offsets, examples};
enum { N = 9, P = 6 };

typedef struct shape_case {
    int64_t groups, width, slots; /* groups 0: one projection for all */
} shape_case;
/* k below, at and above the longest sequence; wide enough for a whole panel of the product. */
static const shape_case cases[] = {{0, 5, 2}, {0, 1, 1}, {0, 33, 6}, {0, 3, 9},
                                   {2, 6, 4}, {3, 3, 7}, {2, 40, 35}};
enum { CASES = sizeof cases / sizeof *cases };

static at_shape matrix_shape(const shape_case *c)
{
    return c->groups ? at_shape3(c->groups, P, c->slots) : at_shape2(P, c->slots);
}

static at_exec *exec;

static int open_exec(void **state)
{
    (void)state;
    return at_exec_new(NULL, 3, &exec) != AT_OK;
}

static int close_exec(void **state)
{
    (void)state;
    at_exec_free(exec);
    return 0;
}

static at_tape *new_tape(void)
{
    at_tape *tape;
    check_ok(at_tape_new(exec, &tape));
    at_tape_begin(tape, AT_TAPE_RUN, 1, 1);
    return tape;
}

/* As a product reads it. */
static double factor(float x, bool rounded)
{
    return (double)(rounded && exec->kernels->dots ? at_bf16_to_f32(at_f32_to_bf16(x)) : x);
}

static void sums_are_the_formula(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * CASES; i++) {
        const shape_case *c = &cases[i / 2];
        bool rounded = i % 2;
        size_t w = (size_t)c->width, k = (size_t)c->slots, own = (size_t)c->groups;
        static float x[N * 64], e[3 * P * 64], want[4 * 64 * 64];
        gradient_random(x, N * w, 1, 1);
        gradient_random(e, (own ? own : 1) * P * k, 2, 1);
        for (size_t b = 0; b < 4; b++)
            for (size_t j = 0; j < k; j++)
                for (size_t d = 0; d < w; d++) {
                    const float *mine = e + (own ? d / (w / own) : 0) * P * k;
                    double sum = 0;
                    for (int32_t s = offsets[b]; s < offsets[b + 1]; s++)
                        sum += factor(mine[(size_t)(s - offsets[b]) * k + j], rounded) *
                               factor(x[(size_t)s * w + d], rounded);
                    want[(b * k + j) * w + d] = (float)sum;
                }
        at_tape *tape = new_tape();
        at_var *y = at_linformer(tape, at_leaf(tape, at_shape2(N, c->width), x, NULL),
                                 at_leaf(tape, matrix_shape(c), e, NULL), own ? own : 1, &rows, rounded);
        assert_non_null(y);
        assert_int_equal(y->shape.dim[0], 4 * c->slots);
        check_near(y->data, want, 4 * k * w, 1e-5);
        at_tape_free(tape);
    }
}

enum { LONG = 700, WIDE = 96, SLOTS = 40 };

typedef struct outcome {
    float y[SLOTS * WIDE], dx[LONG * WIDE], de[LONG * SLOTS];
} outcome;

/* One sequence long enough to be cut among threads. */
static void run_long(int threads, bool rounded, outcome *out)
{
    static float x[LONG * WIDE], e[LONG * SLOTS];
    static const int32_t one[] = {0, LONG};
    at_rows whole = {1, one, NULL};
    at_exec *with;
    at_tape *tape;
    gradient_random(x, LONG * WIDE, 1, 1);
    gradient_random(e, LONG * SLOTS, 2, 1);
    *out = (outcome){0};
    check_ok(at_exec_new(NULL, threads, &with));
    check_ok(at_tape_new(with, &tape));
    at_tape_begin(tape, AT_TAPE_CHECK, 1, 1);
    at_var *y = at_linformer(tape, at_leaf(tape, at_shape2(LONG, WIDE), x, out->dx),
                             at_leaf(tape, at_shape2(LONG, SLOTS), e, out->de), 1, &whole, rounded);
    assert_non_null(y);
    memcpy(out->y, y->data, sizeof out->y);
    check_ok(at_tape_backward(tape, at_sum(tape, at_mul(tape, y, y))));
    at_tape_free(tape);
    at_exec_free(with);
}

static void long_sequences_are_the_same_on_any_threads(void **state)
{
    (void)state;
    static outcome one, three;
    for (int rounded = 0; rounded < 2; rounded++) {
        run_long(1, rounded, &one);
        run_long(3, rounded, &three);
        check_same_bits(&one, &three, sizeof one);
    }
}

/* |got - want| / |want| */
static double apart(const float *got, const float *want, size_t n)
{
    double difference = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)got[i] - (double)want[i];
        difference += d * d;
        all += (double)want[i] * (double)want[i];
    }
    return sqrt(difference / all);
}

static void rounded_is_near(void **state)
{
    (void)state;
    static outcome plain, rounded;
    run_long(2, false, &plain);
    run_long(2, true, &rounded);
    if (!exec->kernels->dots) {
        check_same_bits(&rounded, &plain, sizeof plain);
        return;
    }
    /* Both factors are off by 2^-9 of their size at most. */
    const double most = 2 * 0x1p-9;
    assert_in_range(1e6 * apart(rounded.y, plain.y, SLOTS * WIDE), 1, 1e6 * most);
    assert_in_range(1e6 * apart(rounded.dx, plain.dx, LONG * WIDE), 1, 1e6 * 2 * most);
    assert_in_range(1e6 * apart(rounded.de, plain.de, LONG * SLOTS), 1, 1e6 * 2 * most);
}

static at_var *project(at_tape *tape, at_var *const *x, const void *context)
{
    const shape_case *c = context;
    return at_linformer(tape, x[0], x[1], c->groups ? (size_t)c->groups : 1, &rows, false);
}

/* Keys and values of one projection, attention over what it makes. */
static at_var *attend(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    at_attend_spec spec = {.heads = 2, .groups = 2, .queries = rows};
    if (!at_linformer_rows(tape, &rows, (size_t)x[2]->shape.dim[1], &spec.keys))
        return NULL;
    return at_attention(tape, x[0], at_linformer(tape, x[0], x[2], 2, &rows, false),
                        at_linformer(tape, x[1], x[2], 2, &rows, false), &spec);
}

static const float mask[P] = {0, -INFINITY, 0, -INFINITY, 0, 0};
static const size_t starts[] = {0, 0, 1, 1};

static at_var *hide(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    at_score_bias bias = {.numbers = mask, .count = P, .sequences = starts};
    return at_linformer_hide(tape, x[0], &bias, &rows);
}

static void gradients(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++)
        gradient_check(&(gradient_case){.name = "linformer",
                                        .build = project,
                                        .context = &cases[i],
                                        .leaves = {at_shape2(N, cases[i].width), matrix_shape(&cases[i])}});
    gradient_check(&(gradient_case){.name = "attention over it",
                                    .build = attend,
                                    .leaves = {at_shape2(N, 4), at_shape2(N, 4), at_shape2(P, 3)}});
    gradient_check(&(gradient_case){.name = "hidden rows", .build = hide, .leaves = {at_shape2(N, 3)}});
}

static void hidden_rows_are_zeros(void **state)
{
    (void)state;
    at_tape *tape = new_tape();
    float x[N], want[N] = {1, 0, 3, /* second is empty */ 0, 5, 0, 7, 8, /* one row, number 1 */ 0};
    for (int i = 0; i < N; i++)
        x[i] = (float)(i + 1);
    at_var *leaf = at_leaf(tape, at_shape2(N, 1), x, NULL), *y = hide(tape, &leaf, NULL);
    assert_non_null(y);
    check_near(y->data, want, N, 0);
    at_score_bias each = {.numbers = mask, .count = P, .query_stride = 1};
    assert_null(at_linformer_hide(tape, leaf, &each, &rows));
    check_fails(at_tape_status(tape), AT_ENOSUP, "one row of numbers");
    at_tape_free(tape);
}

static void errors_name_what_is_wrong(void **state)
{
    (void)state;
    static float x[N * 4], e[3 * P * 2];
    static const struct {
        at_shape e;
        at_status status;
        const char *text;
    } wrong[] = {{{.rank = 2, .dim = {4, 2}}, AT_ENOSUP, "5 rows, and its projection has 4"},
                 {{.rank = 3, .dim = {3, P, 2}}, AT_ESHAPE, "3 projections for 2 groups"},
                 {{.rank = 1, .dim = {P}}, AT_ESHAPE, "Linformer"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        at_tape *tape = new_tape();
        assert_null(at_linformer(tape, at_leaf(tape, at_shape2(N, 4), x, NULL),
                                 at_leaf(tape, wrong[i].e, e, NULL), 2, &rows, false));
        check_fails(at_tape_status(tape), wrong[i].status, wrong[i].text);
        at_tape_free(tape);
    }
}

/* Two slots that read places 1 and 0: the weights come back at these places; -3 counts as 3. */
static void a_trace_tells_shares_of_places(void **state)
{
    (void)state;
    at_tape *tape = new_tape();
    at_trace *trace = at_trace_new();
    at_trace_want(trace, AT_ENCODER_SELF, -1, -1);
    tape->trace = trace;
    static const int32_t three[] = {0, 3}, two[] = {0, 2};
    at_rows queries = {1, three, NULL};
    float q[3] = {0, 0, 0}, k[2] = {1, 2}, v[2] = {1, 1}, f[6] = {0, -3, 1, 0, 0, 0};
    at_attend_spec spec = {.heads = 1, .groups = 1, .queries = queries, .keys = {1, two, NULL}};
    assert_non_null(at_attention(tape, at_leaf(tape, at_shape2(3, 1), q, NULL),
                                 at_leaf(tape, at_shape2(2, 1), k, NULL),
                                 at_leaf(tape, at_shape2(2, 1), v, NULL), &spec));
    assert_false(at_trace_shared_out(trace));
    at_linformer_trace(tape, 0, at_leaf(tape, at_shape2(3, 2), f, NULL), 1, &queries);
    check_ok(at_tape_status(tape));
    float shares[9], want[9] = {0.75f, 0.25f, 0, 0.75f, 0.25f, 0, 0.75f, 0.25f, 0};
    check_ok(at_trace_mean(trace, AT_ENCODER_SELF, 0, 0, 0, shares, 3, 3));
    check_near(shares, want, 9, 1e-6);
    assert_true(at_trace_shared_out(trace));
    at_tape_free(tape);
    at_trace_free(trace);
}

static void no_operation_escapes(void **state)
{
    (void)state;
    gradient_check_all(at_linformer_ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_the_formula),
        cmocka_unit_test(long_sequences_are_the_same_on_any_threads),
        cmocka_unit_test(rounded_is_near),
        cmocka_unit_test(gradients),
        cmocka_unit_test(hidden_rows_are_zeros),
        cmocka_unit_test(errors_name_what_is_wrong),
        cmocka_unit_test(a_trace_tells_shares_of_places),
        cmocka_unit_test(no_operation_escapes),
    };
    return cmocka_run_group_tests(tests, open_exec, close_exec);
}
