/* Every layer against finite differences, by its rows and by its parameters. */
#include "layer/multi_head.h"
#include "layer/pool.h"
#include "layer/rotary.h"
#include "layer/repeated.h"
#include "tests/gradient.h"

static const int32_t offsets[] = {0, 3, 3, 8, 9}, key_offsets[] = {0, 4, 6, 6, 12};
static const at_rows rows = {4, offsets, NULL}, key_rows = {4, key_offsets, NULL};

/* Declared parameters with random numbers everywhere: biases and gains too. */
static void fill(at_params *params)
{
    check_ok(at_params_allocate(params));
    for (size_t i = 0; i < params->count; i++) {
        const at_param *p = params->list[i];
        gradient_random(params->block + p->offset, at_shape_count(p->shape), 40 + (uint32_t)i, 0.6f);
    }
}

static at_param *declare(at_params *params, const char *name, at_shape shape)
{
    at_param *p;
    at_param_spec spec = {name, shape, AT_DECAYED, AT_INIT_ZERO, 0, NULL, false};
    check_ok(at_params_add(params, &spec, &p));
    return p;
}

typedef struct linear_case {
    const at_param *w, *b;
    at_activation f;
} linear_case;

static at_var *linear(at_tape *tape, at_var *const *x, const void *context)
{
    const linear_case *c = context;
    return at_linear(tape, x[0], c->w, c->b, c->f);
}

static void linears(void **state)
{
    (void)state;
    static const at_activation all[] = {AT_LINEAR, AT_RELU, AT_GELU,   AT_GELU_TANH,
                                        AT_SILU,   AT_TANH, AT_SIGMOID};
    static const int64_t sizes[][3] = {{1, 1, 1}, {5, 3, 7}, {3, 17, 2}, {2, 5, 33}};
    for (size_t i = 0; i < 4 * 7; i++) {
        const int64_t *s = sizes[i / 7];
        at_params params = {0};
        linear_case c = {declare(&params, "w", at_shape2(s[2], s[1])), NULL, all[i % 7]};
        if (i % 2)
            c.b = declare(&params, "b", at_shape1(s[2]));
        fill(&params);
        gradient_check(&(gradient_case){.name = "linear",
                                        .build = linear,
                                        .context = &c,
                                        .leaves = {at_shape2(s[0], s[1])},
                                        .params = &params});
        at_params_free(&params);
    }
}

/* One matrix in two places: both gradients meet in it. */
static at_var *linear_twice(at_tape *tape, at_var *const *x, const void *context)
{
    const linear_case *c = context;
    return at_linear(tape, at_linear(tape, x[0], c->w, c->b, AT_TANH), c->w, c->b, AT_LINEAR);
}

static void one_matrix_used_twice(void **state)
{
    (void)state;
    at_params params = {0};
    linear_case c = {declare(&params, "w", at_shape2(5, 5)), declare(&params, "b", at_shape1(5)), AT_LINEAR};
    fill(&params);
    gradient_check(&(gradient_case){.name = "linear twice",
                                    .build = linear_twice,
                                    .context = &c,
                                    .leaves = {at_shape2(3, 5)},
                                    .params = &params});
    at_params_free(&params);
}

/* A residual path through two layers, whose base is a leaf first and their own input then. */
static at_var *residual(at_tape *tape, at_var *const *x, const void *context)
{
    const linear_case *c = context;
    at_var *h = at_linear_onto(tape, x[0], at_activate(tape, x[1], AT_TANH), c->w, c->b);
    return at_linear_onto(tape, h, h, c->w, c->b);
}

static void linear_onto_a_base(void **state)
{
    (void)state;
    at_params params = {0};
    linear_case c = {declare(&params, "w", at_shape2(5, 5)), declare(&params, "b", at_shape1(5)), AT_LINEAR};
    fill(&params);
    gradient_check(&(gradient_case){.name = "linear onto a base",
                                    .build = residual,
                                    .context = &c,
                                    .leaves = {at_shape2(3, 5), at_shape2(3, 5)},
                                    .params = &params});
    at_params_free(&params);
}

/* h = tanh(h w^T + b + x_t) with fewer rows at each step, as when sentences end. */
static at_var *repeated(at_tape *tape, at_var *const *x, const void *context)
{
    const linear_case *c = context;
    static const size_t counts[] = {4, 4, 2, 1};
    at_repeated *r = at_repeated_new(tape, c->w, c->b, 11);
    at_var *h = x[1];
    for (size_t t = 0, first = 0; t < 4; first += counts[t++]) {
        at_var *add = t == 1 ? NULL : at_slice(tape, x[0], first, counts[t]);
        h = at_activate(tape, at_repeated_step(tape, r, at_slice(tape, h, 0, counts[t]), add), AT_TANH);
    }
    return h;
}

static void a_matrix_in_a_loop(void **state)
{
    (void)state;
    for (int bias = 0; bias < 2; bias++) {
        at_params params = {0};
        linear_case c = {declare(&params, "w", at_shape2(5, 5)), NULL, AT_LINEAR};
        if (bias)
            c.b = declare(&params, "b", at_shape1(5));
        fill(&params);
        gradient_check(&(gradient_case){.name = "repeated",
                                        .build = repeated,
                                        .context = &c,
                                        .leaves = {at_shape2(11, 5), at_shape2(4, 5)},
                                        .params = &params});
        at_params_free(&params);
    }
}

typedef struct norm_case {
    const at_param *gain, *bias;
} norm_case;

static at_var *layer_norm(at_tape *tape, at_var *const *x, const void *context)
{
    const norm_case *c = context;
    return at_layer_norm(tape, x[0], c->gain, c->bias, 1e-5f);
}

static at_var *rms_norm(at_tape *tape, at_var *const *x, const void *context)
{
    const norm_case *c = context;
    return at_rms_norm(tape, x[0], c->gain, 1e-5f);
}

/* 130 rows are more than one chunk of the sums over rows. */
static void norms(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {{3, 2}, {2, 7}, {1, 33}, {130, 3}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        at_params params = {0};
        norm_case c = {declare(&params, "gain", at_shape1(sizes[i][1])),
                       declare(&params, "bias", at_shape1(sizes[i][1]))};
        fill(&params);
        gradient_check(&(gradient_case){.name = "layer_norm",
                                        .build = layer_norm,
                                        .context = &c,
                                        .leaves = {at_shape2(sizes[i][0], sizes[i][1])},
                                        .params = &params,
                                        .spread = 3,
                                        .tolerance = sizes[i][1] == 2 ? 3e-3 : 0});
        at_params_free(&params);
    }
}

static void norms_without_a_bias(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {{3, 1}, {3, 2}, {2, 7}, {1, 33}, {130, 3}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        at_params params = {0};
        norm_case c = {declare(&params, "gain", at_shape1(sizes[i][1])), NULL};
        fill(&params);
        gradient_case g = {.name = "rms_norm",
                           .build = rms_norm,
                           .context = &c,
                           .leaves = {at_shape2(sizes[i][0], sizes[i][1])},
                           .params = &params,
                           .spread = 3};
        gradient_check(&g);
        if (sizes[i][1] > 2) {
            g.name = "layer_norm without bias";
            g.build = layer_norm;
            gradient_check(&g);
        }
        at_params_free(&params);
    }
}

typedef struct rotary_case {
    at_rotary rotary;
    size_t heads;
    const int32_t *starts;
} rotary_case;

static at_var *rotate(at_tape *tape, at_var *const *x, const void *context)
{
    const rotary_case *c = context;
    return at_rotate(tape, &c->rotary, x[0], c->heads, &rows, c->starts);
}

/* Both ways of pairing, whole and part of a head, positions of their own. */
static void rotary_positions(void **state)
{
    (void)state;
    static const int32_t starts[] = {4, 0, 1, 2};
    static const struct {
        size_t heads, head, width;
    } sizes[] = {{1, 2, 2}, {2, 6, 6}, {3, 7, 4}, {1, 34, 34}, {2, 5, 0}};
    float cosines[8 * 17], sines[8 * 17];
    double frequencies[17];
    for (size_t i = 0; i < 4 * sizeof sizes / sizeof *sizes; i++) {
        size_t width = sizes[i / 4].width;
        at_rotary_frequencies(frequencies, width, 100);
        at_rotary_tables(cosines, sines, 8, width / 2, frequencies);
        rotary_case c = {.rotary = {.cosines = cosines,
                                    .sines = sines,
                                    .positions = 8,
                                    .width = width,
                                    .interleaved = i % 2},
                         .heads = sizes[i / 4].heads,
                         .starts = i & 2 ? starts : NULL};
        gradient_check(&(gradient_case){
            .name = "rotary",
            .build = rotate,
            .context = &c,
            .leaves = {at_shape2((int64_t)at_rows_total(&rows), (int64_t)(c.heads * sizes[i / 4].head))}});
    }
}

static at_var *norm_of_a_constant(at_tape *tape, at_var *const *x, const void *context)
{
    (void)x;
    static float data[4 * 5];
    gradient_random(data, 4 * 5, 7, 1);
    at_var *constant = at_leaf(tape, at_shape2(4, 5), data, NULL);
    return layer_norm(tape, &constant, context);
}

static at_var *linear_of_a_constant(at_tape *tape, at_var *const *x, const void *context)
{
    (void)x;
    static float data[4 * 5];
    gradient_random(data, 4 * 5, 7, 1);
    at_var *constant = at_leaf(tape, at_shape2(4, 5), data, NULL);
    return linear(tape, &constant, context);
}

static void rows_that_want_no_gradient(void **state)
{
    (void)state;
    at_params params = {0};
    norm_case n = {declare(&params, "gain", at_shape1(5)), declare(&params, "bias", at_shape1(5))};
    fill(&params);
    gradient_check(&(gradient_case){
        .name = "norm of a constant", .build = norm_of_a_constant, .context = &n, .params = &params});
    at_params_free(&params);
    linear_case l = {declare(&params, "w", at_shape2(3, 5)), declare(&params, "b", at_shape1(3)), AT_GELU};
    fill(&params);
    gradient_check(&(gradient_case){
        .name = "linear of a constant", .build = linear_of_a_constant, .context = &l, .params = &params});
    at_params_free(&params);
}

typedef struct embed_case {
    at_embedding embedding;
    const int32_t *starts;
} embed_case;

static at_var *embed(at_tape *tape, at_var *const *x, const void *context)
{
    (void)x;
    static const int32_t ids[] = {2, 0, 2, 6, 6,
                                  6, 1, 2, 0}; /* some meet in one row, some rows are never met */
    const embed_case *c = context;
    return at_embed(tape, &c->embedding, ids, &rows, c->starts);
}

static void embeddings(void **state)
{
    (void)state;
    static const int32_t starts[] = {4, 0, 1, 2};
    float fixed[8 * 5];
    gradient_random(fixed, 8 * 5, 3, 1);
    for (int i = 0; i < 6; i++) {
        at_params params = {0};
        embed_case c = {{declare(&params, "table", at_shape2(7, 5)), 2.2f, i % 3 == 1 ? fixed : NULL, NULL},
                        i < 3 ? NULL : starts};
        if (i % 3 == 2)
            c.embedding.learned = declare(&params, "positions", at_shape2(8, 5));
        fill(&params);
        gradient_check(&(gradient_case){.name = "embed", .build = embed, .context = &c, .params = &params});
        at_params_free(&params);
    }
}

typedef struct heads_case {
    at_multi_head_weights weights;
    at_attend_spec spec;
    int source[3]; /* which leaf is Q, K, V */
} heads_case;

static at_var *multi_head(at_tape *tape, at_var *const *x, const void *context)
{
    const heads_case *c = context;
    return at_multi_head(tape, &c->weights, x[c->source[0]], x[c->source[1]], x[c->source[2]], &c->spec,
                         NULL);
}

/* Queries, keys, values from one, two, three sources, of different widths and lengths; X as all three. */
static void heads_of_one_two_and_three_sources(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int source[3];
        size_t width[3], heads, groups, head_width, out_width;
        bool shared_values, biases, causal, training;
    } cases[] = {
        {"x is all three", {0, 0, 0}, {6, 6, 6}, 2, 2, 3, 6, false, true, false, false},
        {"x is all three, causal", {0, 0, 0}, {6, 6, 6}, 3, 3, 2, 5, false, true, true, false},
        {"x is all three, keys are values", {0, 0, 0}, {6, 6, 6}, 2, 2, 3, 6, true, true, true, false},
        {"two sources", {0, 1, 1}, {4, 7, 7}, 2, 2, 3, 5, false, true, false, false},
        {"two sources, keys are values", {0, 1, 1}, {4, 7, 7}, 2, 1, 3, 5, true, false, false, false},
        {"three sources", {0, 1, 2}, {4, 7, 3}, 2, 2, 3, 5, false, true, false, false},
        {"three sources, groups", {0, 1, 2}, {4, 7, 3}, 4, 2, 3, 5, false, false, false, false},
        {"three sources, dropout", {0, 1, 2}, {3, 5, 2}, 2, 1, 2, 3, false, true, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const at_multi_head_spec spec = {.query_width = cases[i].width[0],
                                         .key_width = cases[i].width[1],
                                         .value_width = cases[i].width[2],
                                         .heads = cases[i].heads,
                                         .groups = cases[i].groups,
                                         .head_width = cases[i].head_width,
                                         .out_width = cases[i].out_width,
                                         .shared_values = cases[i].shared_values,
                                         .biases = cases[i].biases},
                                 *s = &spec;
        const int *source = cases[i].source;
        at_params params = {0};
        heads_case c = {.source = {source[0], source[1], source[2]}};
        c.spec = (at_attend_spec){.heads = s->heads,
                                  .groups = s->groups,
                                  .causal = cases[i].causal,
                                  .dropout = 0.3f,
                                  .queries = rows,
                                  .keys = source[1] == 0 ? rows : key_rows};
        check_ok(at_multi_head_declare(&params, "layers.0.", s, &c.weights));
        fill(&params);
        gradient_case g = {.name = cases[i].name,
                           .build = multi_head,
                           .context = &c,
                           .params = &params,
                           .training = cases[i].training};
        g.leaves[0] = at_shape2((int64_t)at_rows_total(&rows), (int64_t)s->query_width);
        if (source[1] == 1)
            g.leaves[1] = at_shape2((int64_t)at_rows_total(&key_rows), (int64_t)s->key_width);
        if (source[2] == 2)
            g.leaves[2] = at_shape2((int64_t)at_rows_total(&key_rows), (int64_t)s->value_width);
        gradient_check(&g);
        at_params_free(&params);
    }
}

typedef struct pool_case {
    const at_rows *rows;
    at_pooling pooling;
    const at_pool_weights *weights;
} pool_case;

static at_var *pooled(at_tape *tape, at_var *const *x, const void *context)
{
    const pool_case *c = context;
    return c->weights ? at_pool_attention(tape, c->weights, x[0], c->rows, NULL)
                      : at_pool_rows(tape, x[0], c->rows, c->pooling);
}

/* One sequence is empty, one has a single row. */
static void pools(void **state)
{
    (void)state;
    static const int64_t widths[] = {1, 3, 18};
    for (size_t i = 0; i < 3 * 3; i++) {
        at_params params = {0};
        at_pool_weights weights;
        pool_case c = {&rows, i % 3 == 1 ? AT_POOL_MAX : AT_POOL_MEAN, NULL};
        if (i % 3 == 2) {
            check_ok(at_pool_declare(&params, "pool.", (size_t)widths[i / 3], 4, &weights));
            fill(&params);
            c.weights = &weights;
        }
        gradient_check(&(gradient_case){.name = "pool",
                                        .build = pooled,
                                        .context = &c,
                                        .leaves = {at_shape2(9, widths[i / 3])},
                                        .params = i % 3 == 2 ? &params : NULL,
                                        .spread = 2});
        at_params_free(&params);
    }
}

static at_var *picked(at_tape *tape, at_var *const *x, const void *context)
{
    (void)context;
    static const int32_t index[] = {2, 0, 2, 4};
    return at_pick_rows(tape, x[0], index, 4);
}

static void rows_picked(void **state)
{
    (void)state;
    gradient_check(&(gradient_case){.name = "pick", .build = picked, .leaves = {at_shape2(5, 7)}});
}

static void no_operation_escapes(void **state)
{
    (void)state;
    gradient_check_all(at_layer_ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linears),
        cmocka_unit_test(one_matrix_used_twice),
        cmocka_unit_test(linear_onto_a_base),
        cmocka_unit_test(a_matrix_in_a_loop),
        cmocka_unit_test(norms),
        cmocka_unit_test(norms_without_a_bias),
        cmocka_unit_test(rotary_positions),
        cmocka_unit_test(rows_that_want_no_gradient),
        cmocka_unit_test(embeddings),
        cmocka_unit_test(heads_of_one_two_and_three_sources),
        cmocka_unit_test(pools),
        cmocka_unit_test(rows_picked),
        cmocka_unit_test(no_operation_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
