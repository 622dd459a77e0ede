/* Attention by steps against finite differences: every score, normaliser and mask, groups, ragged rows. */
#include <math.h>
#include "attention/score.h"
#include "tests/gradient.h"

/* Queries 3, 0, 5, 1 and keys 4, 2, 0, 6: a sequence without queries, and one without keys to look at. */
static const int32_t query_offsets[] = {0, 3, 3, 8, 9}, key_offsets[] = {0, 4, 6, 6, 12};
static const uint32_t examples[] = {3, 1, 4, 15};
static const at_rows queries = {4, query_offsets, examples}, keys = {4, key_offsets, examples};

enum { NQ = 9, NK = 12 };

typedef struct pair_case {
    at_pairs pairs;
    float factor;
    at_pair_mask mask;
    at_normaliser how;
    float drop;
    bool focus;
} pair_case;

static at_var *dot(at_tape *tape, at_var *const *x, const void *context)
{
    const pair_case *c = context;
    return at_score_dot(tape, x[0], x[1], at_pairs_new(tape, &c->pairs), c->factor);
}

static at_var *dot_with_itself(at_tape *tape, at_var *const *x, const void *context)
{
    const pair_case *c = context;
    return at_score_dot(tape, x[0], x[0], at_pairs_new(tape, &c->pairs), c->factor);
}

static at_var *additive(at_tape *tape, at_var *const *x, const void *context)
{
    const pair_case *c = context;
    return at_score_additive(tape, x[0], x[1], x[2], at_pairs_new(tape, &c->pairs));
}

static at_var *additive_with_itself(at_tape *tape, at_var *const *x, const void *context)
{
    const pair_case *c = context;
    return at_score_additive(tape, x[0], x[0], x[1], at_pairs_new(tape, &c->pairs));
}

static const struct {
    size_t heads, groups;
    int64_t width;
} sizes[] = {{1, 1, 1}, {1, 1, 5}, {3, 3, 2}, {2, 2, 9}, {4, 2, 3}, {6, 1, 2}, {1, 1, 17}};

static void scores_by_dot_and_by_tanh(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t h = (int64_t)sizes[i].heads, g = (int64_t)sizes[i].groups, w = sizes[i].width;
        pair_case c = {.pairs = {sizes[i].heads, sizes[i].groups, queries, keys, NULL, NULL, NULL},
                       .factor = i % 2 ? 1 : 0.7f};
        gradient_check(&(gradient_case){.name = "dot",
                                        .build = dot,
                                        .context = &c,
                                        .leaves = {at_shape2(NQ, h * w), at_shape2(NK, g * w)}});
        gradient_check(
            &(gradient_case){.name = "additive",
                             .build = additive,
                             .context = &c,
                             .leaves = {at_shape2(NQ, h * w), at_shape2(NK, g * w), at_shape1(h * w)}});
        if (h != g)
            continue;
        c.pairs.keys = queries;
        gradient_check(&(gradient_case){.name = "dot with itself",
                                        .build = dot_with_itself,
                                        .context = &c,
                                        .leaves = {at_shape2(NQ, h * w)}});
        gradient_check(&(gradient_case){.name = "additive with itself",
                                        .build = additive_with_itself,
                                        .context = &c,
                                        .leaves = {at_shape2(NQ, h * w), at_shape1(h * w)}});
    }
}

/* 40 sequences are more than the parts that d_v is summed in. */
static void many_sequences(void **state)
{
    (void)state;
    static int32_t one[41];
    for (int32_t b = 0; b <= 40; b++)
        one[b] = b;
    pair_case c = {.pairs = {1, 1, {40, one, NULL}, {40, one, NULL}, NULL, NULL, NULL}};
    gradient_check(&(gradient_case){.name = "additive, 40 sequences",
                                    .build = additive,
                                    .context = &c,
                                    .leaves = {at_shape2(40, 3), at_shape2(40, 3), at_shape1(3)}});
}

static at_var *location(at_tape *tape, at_var *const *x, const void *context)
{
    const pair_case *c = context;
    const at_pairs *pairs = at_pairs_new(tape, &c->pairs);
    return at_pairs_normalise(tape, at_score_location(tape, x[0], pairs), pairs, c->how);
}

static at_var *units(at_tape *tape, at_var *const *x, const void *context)
{
    return at_unit_rows(tape, x[0], *(const size_t *)context, x[1]);
}

static void scores_by_place_and_by_angle(void **state)
{
    (void)state;
    for (size_t heads = 1; heads <= 2; heads++) {
        pair_case c = {.pairs = {heads, heads, queries, keys, NULL, NULL, NULL}};
        int64_t h = (int64_t)heads;
        for (int64_t places = 3; places <= 7; places += 2) /* fewer than keys, and more */
            gradient_check(&(gradient_case){
                .name = "location", .build = location, .context = &c, .leaves = {at_shape2(NQ, h * places)}});
        gradient_case unit = {
            .name = "unit rows", .build = units, .context = &heads, .leaves = {at_shape2(NQ, h * 5)}};
        gradient_check(&unit);
        unit.leaves[1] = at_shape1(h);
        gradient_check(&unit);
    }
}

/* Scores, values and perhaps centres are the leaves. */
static at_var *attend(at_tape *tape, at_var *const *x, const void *context)
{
    const pair_case *c = context;
    const at_pairs *pairs = at_pairs_new(tape, &c->pairs);
    at_pair_mask mask = c->mask;
    at_var *share = c->focus ? at_activate(tape, x[2], AT_SIGMOID) : NULL;
    mask.share = share;
    at_var *w = at_pairs_normalise(tape, at_pairs_mask(tape, x[0], pairs, &mask), pairs, c->how);
    if (c->focus)
        w = at_pairs_focus(tape, w, share, pairs, c->mask.reach);
    return at_pairs_sum(tape, at_pairs_drop(tape, w, pairs, c->drop), x[1], pairs);
}

static void check(const char *name, const pair_case *c)
{
    size_t total = 0;
    for (size_t b = 0; b < c->pairs.queries.count; b++)
        total += c->pairs.heads * (size_t)(c->pairs.queries.offsets[b + 1] - c->pairs.queries.offsets[b]) *
                 (size_t)(c->pairs.keys.offsets[b + 1] - c->pairs.keys.offsets[b]);
    gradient_case g = {.name = name,
                       .build = attend,
                       .context = c,
                       .training = c->drop > 0,
                       .leaves = {at_shape1((int64_t)total), at_shape2((int64_t)at_rows_total(&c->pairs.keys),
                                                                       3 * (int64_t)c->pairs.groups)}};
    if (c->focus)
        g.leaves[2] = at_shape2(NQ, 1);
    gradient_check(&g);
}

static void every_normaliser_and_mask(void **state)
{
    (void)state;
    static const at_pair_mask masks[] = {{0},           {.causal = true}, {.causal = true, .window = 2},
                                         {.window = 2}, {.reach = 1},     {.reach = 2, .causal = true}};
    static const int32_t starts[] = {1, 0, 2, 3};
    static float added[2 * (3 * 4 + 6)];
    for (size_t i = 0; i < sizeof added / sizeof *added; i++)
        added[i] = i % 3 == 1 ? -INFINITY : 0;
    for (at_normaliser how = 0; how < AT_NORMALISERS; how++) {
        for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
            pair_case c = {.pairs = {2, 1 + i % 2, queries, keys, i % 2 ? starts : NULL, NULL, NULL},
                           .mask = masks[i],
                           .how = how};
            check("masked attention", &c);
            c.mask.added = added;
            check("attention with a mask of its own", &c);
            c.drop = 0.4f;
            check("dropped attention", &c);
        }
    }
}

static void predicted_centres(void **state)
{
    (void)state;
    for (int64_t reach = 1; reach <= 4; reach++) {
        pair_case c = {
            .pairs = {2, 2, queries, keys, NULL, NULL, NULL}, .mask = {.reach = reach}, .focus = true};
        check("local-p", &c);
        c.how = AT_NORMALISE_NONE;
        check("local-p, not normalised", &c);
    }
}

static void no_operation_escapes(void **state)
{
    (void)state;
    gradient_check_all(at_pair_ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_by_dot_and_by_tanh),
        cmocka_unit_test(many_sequences),
        cmocka_unit_test(scores_by_place_and_by_angle),
        cmocka_unit_test(every_normaliser_and_mask),
        cmocka_unit_test(predicted_centres),
        cmocka_unit_test(no_operation_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
