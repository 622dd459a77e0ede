/* Fused attention against finite differences: masks, groups, dropout, ragged rows, shared inputs. */
#include "attention/guide.h"
#include <math.h>
#include "tests/gradient.h"

/* Queries 3, 0, 5, 1 and keys 4, 2, 0, 6: a sequence without queries, and one without keys to look at. */
static const int32_t query_offsets[] = {0, 3, 3, 8, 9}, key_offsets[] = {0, 4, 6, 6, 12};
static const uint32_t examples[] = {3, 1, 4, 15};
static const at_rows queries = {4, query_offsets, examples}, keys = {4, key_offsets, examples};

/* 3, 1, 4, 1: the third has no key to look at. */
static const int32_t guided_offsets[] = {0, 3, 4, 8, 9};
static const at_rows guided_queries = {4, guided_offsets, examples};

enum { NQ = 9, NK = 12 };

static at_var *attend(at_tape *tape, at_var *const *x, const void *context)
{
    return at_attention(tape, x[0], x[1], x[2], context);
}

/* Keys are the values. */
static at_var *attend_shared(at_tape *tape, at_var *const *x, const void *context)
{
    return at_attention(tape, x[0], x[1], x[1], context);
}

/* X is all three. */
static at_var *attend_self(at_tape *tape, at_var *const *x, const void *context)
{
    return at_attention(tape, x[0], x[0], x[0], context);
}

static void check(const char *name, gradient_build *build, const at_attend_spec *spec, int64_t d_key,
                  int64_t d_value, bool training)
{
    int64_t h = (int64_t)spec->heads, g = (int64_t)spec->groups;
    gradient_case c = {.name = name, .build = build, .context = spec, .training = training};
    c.leaves[0] = at_shape2((int64_t)at_rows_total(&spec->queries), h * d_key);
    if (build != attend_self)
        c.leaves[1] = at_shape2((int64_t)at_rows_total(&spec->keys), g * d_key);
    if (build == attend)
        c.leaves[2] = at_shape2((int64_t)at_rows_total(&spec->keys), g * d_value);
    gradient_check(&c);
}

static void cross_attention(void **state)
{
    (void)state;
    static const struct {
        size_t heads, groups;
        int64_t d_key, d_value;
    } sizes[] = {{1, 1, 1, 1}, {1, 1, 5, 3}, {3, 3, 2, 7},  {2, 2, 9, 9},
                 {4, 2, 3, 5}, {6, 1, 2, 3}, {1, 1, 17, 16}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        at_attend_spec spec = {
            .heads = sizes[i].heads, .groups = sizes[i].groups, .queries = queries, .keys = keys};
        check("cross", attend, &spec, sizes[i].d_key, sizes[i].d_value, false);
    }
}

static void scale_of_its_own(void **state)
{
    (void)state;
    at_attend_spec spec = {.heads = 2, .groups = 2, .scale = 1.5f, .queries = queries, .keys = keys};
    check("scale", attend, &spec, 3, 3, false);
}

static void causal_attention(void **state)
{
    (void)state;
    at_attend_spec spec = {.heads = 2, .groups = 1, .causal = true, .queries = queries, .keys = queries};
    check("causal", attend, &spec, 3, 5, false);
    spec.keys = keys; /* other lengths: key s is seen by queries t >= s */
    check("causal, unequal lengths", attend, &spec, 3, 5, false);
}

static void window(void **state)
{
    (void)state;
    for (int64_t width = 1; width <= 3; width++) {
        at_attend_spec spec = {
            .heads = 2, .groups = 2, .causal = true, .window = width, .queries = queries, .keys = queries};
        check("causal window", attend, &spec, 3, 2, false);
        spec.causal = false;
        check("window", attend, &spec, 3, 2, false);
    }
}

static void soft_cap(void **state)
{
    (void)state;
    at_attend_spec spec = {.heads = 2, .groups = 1, .softcap = 0.7f, .queries = queries, .keys = keys};
    check("soft-cap", attend, &spec, 3, 5, false);
    spec.causal = true;
    spec.scale = 2;
    check("soft-cap, causal", attend, &spec, 3, 5, false);
}

/* A bias for each head and query, with hidden keys, the keys of one query all hidden; each query's place. */
static void bias_and_places(void **state)
{
    (void)state;
    static const int32_t past[] = {1, 0, -1, 3};
    static float numbers[120];
    gradient_random(numbers, 120, 9, 1);
    for (int i = 0; i < 120; i++)
        numbers[i] = i % 4 == 1 || (i >= 6 && i < 12) ? -INFINITY : numbers[i];
    at_attend_spec spec = {
        .heads = 2, .groups = 1, .bias = {numbers, 120, NULL, 50, 6}, .queries = queries, .keys = keys};
    check("bias", attend, &spec, 3, 5, false);
    spec.bias.query_stride = 0;
    check("bias of keys", attend, &spec, 3, 5, false);
    spec.softcap = 1.5f;
    spec.causal = true;
    spec.past = past;
    check("bias, soft-cap, places", attend, &spec, 3, 5, false);
    spec.ahead = 1;
    spec.window = 2;
    spec.dropout = 0.3f;
    check("bias, soft-cap, window to both sides, dropout", attend, &spec, 2, 3, true);
}

/* Rows with one link, with several, with none; a head of a group. */
static at_var *guided(at_tape *tape, at_var *const *x, const void *context)
{
    static const int32_t starts[] = {0, 1, 1, 4, 6, 6, 6, 6, 6, 8}, places[] = {2, 0, 1, 3, 0, 1, 5, 0};
    static at_guide guide;
    const at_attend_spec *spec = context;
    guide = (at_guide){.layer = 0, .head = spec->heads > 1 ? 1 : 0, .weight = 0.7f};
    at_guide_begin(&guide, &spec->queries, starts, places);
    return at_guide_loss(tape, x[0], x[1], spec, &guide);
}

static void guides(void **state)
{
    (void)state;
    /* The third sequence has queries and no key: its rows cannot have links. */
    static const struct {
        size_t heads, groups;
        int64_t width;
        float scale;
    } sizes[] = {{1, 1, 1, 0}, {1, 1, 9, 0}, {3, 3, 2, 1.5f}, {4, 2, 5, 0}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        at_attend_spec spec = {.heads = sizes[i].heads,
                               .groups = sizes[i].groups,
                               .scale = sizes[i].scale,
                               .queries = guided_queries,
                               .keys = keys};
        int64_t h = (int64_t)spec.heads, g = (int64_t)spec.groups;
        gradient_case c = {.name = "guide", .build = guided, .context = &spec};
        c.leaves[0] = at_shape2((int64_t)at_rows_total(&spec.queries), h * sizes[i].width);
        c.leaves[1] = at_shape2((int64_t)at_rows_total(&spec.keys), g * sizes[i].width);
        gradient_check(&c);
    }
}

/* Scores of two heads under every normaliser; with a mask that hides some of the links. */
typedef struct guided_case {
    at_normaliser how;
    at_pair_mask mask;
} guided_case;

static at_var *guided_pairs(at_tape *tape, at_var *const *x, const void *context)
{
    static const int32_t starts[] = {0, 1, 1, 4, 6, 6, 6, 6, 6, 8}, places[] = {2, 0, 1, 3, 0, 1, 5, 0};
    static at_guide guide;
    const guided_case *c = context;
    const at_pairs *pairs =
        at_pairs_new(tape, &(at_pairs){.heads = 2, .groups = 2, .queries = guided_queries, .keys = keys});
    guide = (at_guide){.layer = 0, .head = 1, .weight = 0.7f};
    at_guide_begin(&guide, &guided_queries, starts, places);
    at_var *scores = at_pairs_mask(tape, x[0], pairs, &c->mask);
    at_var *weights = at_pairs_normalise(tape, scores, pairs, c->how);
    tape->guide = &guide;
    bool taken = at_guide_pairs(tape, scores, weights, pairs, c->how, AT_CROSS, 0);
    tape->guide = NULL;
    return taken ? guide.loss : NULL;
}

static void guides_by_pairs(void **state)
{
    (void)state;
    size_t total = 0;
    for (size_t b = 0; b < keys.count; b++)
        total += 2 * (size_t)(guided_queries.offsets[b + 1] - guided_queries.offsets[b]) *
                 (size_t)(keys.offsets[b + 1] - keys.offsets[b]);
    for (int how = 0; how < AT_NORMALISERS; how++) {
        for (int64_t reach = 0; reach < 2; reach++) {
            guided_case g = {.how = (at_normaliser)how, .mask = {.reach = reach}};
            gradient_case c = {.name = "guide of pairs", .build = guided_pairs, .context = &g};
            c.leaves[0] = at_shape1((int64_t)total);
            gradient_check(&c);
        }
    }
}

static void dropped_weights(void **state)
{
    (void)state;
    at_attend_spec spec = {.heads = 4, .groups = 2, .dropout = 0.4f, .queries = queries, .keys = keys};
    check("dropout", attend, &spec, 3, 5, true);
    spec = (at_attend_spec){
        .heads = 2, .groups = 2, .causal = true, .dropout = 0.4f, .queries = queries, .keys = queries};
    check("causal dropout", attend_self, &spec, 5, 5, true);
}

static void one_variable_more_than_once(void **state)
{
    (void)state;
    at_attend_spec spec = {.heads = 3, .groups = 3, .queries = queries, .keys = keys};
    check("keys are values", attend_shared, &spec, 5, 5, false);
    spec.groups = 1;
    check("keys are values, grouped", attend_shared, &spec, 5, 5, false);
    spec = (at_attend_spec){.heads = 3, .groups = 3, .queries = queries, .keys = queries};
    check("x is all three", attend_self, &spec, 4, 4, false);
    spec.causal = true;
    check("x is all three, causal", attend_self, &spec, 4, 4, false);
}

/* Longer than any tile: sums go through more than one block of keys. */
static void many_keys(void **state)
{
    (void)state;
    static const int32_t one[] = {0, 2}, long_keys[] = {0, 133};
    at_attend_spec spec = {
        .heads = 1, .groups = 1, .dropout = 0.3f, .queries = {1, one, NULL}, .keys = {1, long_keys, NULL}};
    check("133 keys", attend, &spec, 2, 3, false);
    check("133 keys, dropout", attend, &spec, 2, 3, true);
    spec.window = 40;
    check("133 keys, window", attend, &spec, 2, 3, false);
}

/* Only some inputs want a gradient: the others' go nowhere. */
static at_var *values_only(at_tape *tape, at_var *const *x, const void *context)
{
    static float q[NQ * 4], k[NK * 4];
    gradient_random(q, NQ * 4, 5, 1);
    gradient_random(k, NK * 4, 6, 1);
    return at_attention(tape, at_leaf(tape, at_shape2(NQ, 4), q, NULL),
                        at_leaf(tape, at_shape2(NK, 4), k, NULL), x[0], context);
}

static at_var *queries_only(at_tape *tape, at_var *const *x, const void *context)
{
    static float k[NK * 4], v[NK * 4];
    gradient_random(k, NK * 4, 5, 1);
    gradient_random(v, NK * 4, 6, 1);
    return at_attention(tape, x[0], at_leaf(tape, at_shape2(NK, 4), k, NULL),
                        at_leaf(tape, at_shape2(NK, 4), v, NULL), context);
}

static void constants_among_the_inputs(void **state)
{
    (void)state;
    at_attend_spec spec = {.heads = 2, .groups = 2, .queries = queries, .keys = keys};
    gradient_check(&(gradient_case){
        .name = "values only", .build = values_only, .context = &spec, .leaves = {at_shape2(NK, 4)}});
    gradient_check(&(gradient_case){
        .name = "queries only", .build = queries_only, .context = &spec, .leaves = {at_shape2(NQ, 4)}});
}

static void no_operation_escapes(void **state)
{
    (void)state;
    gradient_check_all(at_attention_ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_attention),
        cmocka_unit_test(scale_of_its_own),
        cmocka_unit_test(causal_attention),
        cmocka_unit_test(window),
        cmocka_unit_test(soft_cap),
        cmocka_unit_test(bias_and_places),
        cmocka_unit_test(guides),
        cmocka_unit_test(guides_by_pairs),
        cmocka_unit_test(dropped_weights),
        cmocka_unit_test(one_variable_more_than_once),
        cmocka_unit_test(many_keys),
        cmocka_unit_test(constants_among_the_inputs),
        cmocka_unit_test(no_operation_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
