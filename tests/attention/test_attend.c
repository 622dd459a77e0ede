/* Fused attention against the same from plain products and softmax; weights on request; cached keys. */
#include "attention/attend.h"
#include "attention/pairs.h"
#include <math.h>
#include <string.h>
#include "attention/trace.h"
#include "tests/gradient.h"

enum { HEADS = 4, WIDEST = 64 };

static const int32_t query_offsets[] = {0, 3, 3, 8, 9, 17}, key_offsets[] = {0, 4, 6, 6, 12, 20};
static const at_rows query_rows = {5, query_offsets, NULL}, key_rows = {5, key_offsets, NULL};

typedef struct bench {
    at_exec *exec;
    at_tape *tape;
    at_trace *trace;
    float q[20 * WIDEST], k[20 * WIDEST], v[20 * WIDEST];
} bench;

static void open_bench(bench *b, const char *kernels, int threads)
{
    check_ok(at_exec_new(kernels, threads, &b->exec));
    check_ok(at_tape_new(b->exec, &b->tape));
    b->trace = at_trace_new();
    assert_non_null(b->trace);
    at_trace_want(b->trace, AT_CROSS, -1, -1);
    b->tape->trace = b->trace;
    gradient_random(b->q, 20 * WIDEST, 1, 1);
    gradient_random(b->k, 20 * WIDEST, 2, 1);
    gradient_random(b->v, 20 * WIDEST, 3, 1);
}

static void close_bench(bench *b)
{
    at_trace_free(b->trace);
    at_tape_free(b->tape);
    at_exec_free(b->exec);
}

static float bias_of(const at_attend_spec *spec, size_t b, size_t h, size_t t, size_t s)
{
    const at_score_bias *bias = &spec->bias;
    if (!bias->numbers)
        return 0;
    return bias->numbers[(bias->sequences ? bias->sequences[b] : 0) + h * bias->head_stride +
                         t * bias->query_stride + s];
}

/* What is added to a score: the bias, or -INFINITY where the query sees not. */
static float mask_of(const at_attend_spec *spec, size_t b, size_t h, size_t t, size_t s)
{
    int64_t own = (int64_t)t + (spec->past ? spec->past[b] : 0);
    if ((spec->causal && (int64_t)s > own + spec->ahead) ||
        (spec->window > 0 && (int64_t)s <= own - spec->window))
        return -INFINITY;
    return bias_of(spec, b, h, t, s);
}

/* Columns [first, first + width) of rows [row, row + count) as a leaf. */
static at_var *part(at_tape *tape, const float *from, size_t stride, size_t row, size_t count, size_t first,
                    size_t width)
{
    float *data = at_tape_saved(tape, count * width, sizeof *data);
    for (size_t i = 0; i < count; i++)
        memcpy(data + i * width, from + (row + i) * stride + first, width * sizeof *data);
    return at_leaf(tape, at_shape2((int64_t)count, (int64_t)width), data, NULL);
}

/* softmax(cap(scale q k^T) + mask) v of head h of sequence b, step by step; mask (queries, keys). */
static at_var *unfused(at_tape *tape, at_var *q, at_var *k, at_var *v, const at_attend_spec *spec,
                       float *mask, at_var **weights)
{
    float width = (float)q->shape.dim[1];
    at_var *scores =
        at_scale(tape, at_matmul(tape, q, k, true), spec->scale > 0 ? spec->scale : 1 / sqrtf(width));
    if (spec->softcap > 0)
        scores = at_scale(tape, at_activate(tape, at_scale(tape, scores, 1 / spec->softcap), AT_TANH),
                          spec->softcap);
    at_var *m = at_leaf(tape, at_shape2(q->shape.dim[0], k->shape.dim[0]), mask, NULL);
    *weights = at_softmax(tape, at_add(tape, scores, m));
    return at_matmul(tape, *weights, v, false);
}

static void compare_head(bench *b, const at_attend_spec *spec, const at_var *fused, size_t d_key,
                         size_t d_value, size_t sequence, size_t head)
{
    size_t group = head / (spec->heads / spec->groups);
    size_t q0 = (size_t)spec->queries.offsets[sequence], k0 = (size_t)spec->keys.offsets[sequence];
    size_t queries = (size_t)spec->queries.offsets[sequence + 1] - q0;
    size_t keys = (size_t)spec->keys.offsets[sequence + 1] - k0;
    at_var *weights;
    float *mask = at_tape_saved(b->tape, queries * keys, sizeof *mask);
    for (size_t t = 0; t < queries; t++)
        for (size_t s = 0; s < keys; s++)
            mask[t * keys + s] = mask_of(spec, sequence, head, t, s);
    const at_var *o =
        unfused(b->tape, part(b->tape, b->q, spec->heads * d_key, q0, queries, head * d_key, d_key),
                part(b->tape, b->k, spec->groups * d_key, k0, keys, group * d_key, d_key),
                part(b->tape, b->v, spec->groups * d_value, k0, keys, group * d_value, d_value), spec, mask,
                &weights);
    assert_non_null(o);
    for (size_t t = 0; t < queries; t++)
        check_near(fused->data + (q0 + t) * spec->heads * d_value + head * d_value, o->data + t * d_value,
                   d_value, 2e-6);
    const at_trace_map *map = at_trace_find(b->trace, AT_CROSS, spec->layer, (int)head, sequence);
    assert_non_null(map);
    assert_true(map->queries == queries && map->keys == keys);
    check_near(map->weights, weights->data, queries * keys, 2e-6);
    for (size_t t = 0; t < queries; t++) {
        double sum = 0;
        size_t seen = 0;
        for (size_t s = 0; s < keys; s++) {
            sum += (double)map->weights[t * keys + s];
            seen += mask[t * keys + s] != -INFINITY;
        }
        assert_true(fabs(sum - (seen > 0)) < 1e-5); /* a row that sees nothing is zeros */
    }
}

static void compare_all(const at_attend_spec *spec, size_t d_key, size_t d_value, const char *kernels)
{
    static bench b;
    open_bench(&b, kernels, 2);
    at_tape_begin(b.tape, AT_TAPE_RUN, 0, 0);
    int64_t nq = (int64_t)at_rows_total(&spec->queries), nk = (int64_t)at_rows_total(&spec->keys);
    at_var *q = at_leaf(b.tape, at_shape2(nq, (int64_t)(spec->heads * d_key)), b.q, NULL);
    at_var *k = at_leaf(b.tape, at_shape2(nk, (int64_t)(spec->groups * d_key)), b.k, NULL);
    at_var *v = at_leaf(b.tape, at_shape2(nk, (int64_t)(spec->groups * d_value)), b.v, NULL);
    const at_var *fused = at_attention(b.tape, q, k, v, spec);
    assert_non_null(fused);
    for (size_t sequence = 0; sequence < spec->queries.count; sequence++)
        for (size_t head = 0; head < spec->heads; head++)
            compare_head(&b, spec, fused, d_key, d_value, sequence, head);
    close_bench(&b);
}

static void fused_equals_unfused(void **state)
{
    (void)state;
    static const size_t widths[][2] = {{1, 1}, {3, 5}, {8, 8}, {16, 16}, {13, 7}};
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    for (size_t set = 0; set < count; set++)
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
            for (size_t groups = 1; groups <= HEADS; groups *= 2)
                for (int mask = 0; mask < 4; mask++) {
                    at_attend_spec spec = {.heads = HEADS,
                                           .groups = groups,
                                           .causal = mask & 1,
                                           .window = mask & 2 ? 3 : 0,
                                           .scale = w == 1 ? 0.7f : 0,
                                           .queries = query_rows,
                                           .keys = key_rows,
                                           .kind = AT_CROSS,
                                           .layer = 5};
                    compare_all(&spec, widths[w][0], widths[w][1], sets[set]->name);
                }
}

/* Numbers of a bias for every sequence, head and query, some of them -INFINITY. */
enum { BIASES = 400 };
static const size_t own_biases[] = {0, 12, 12, 12, 18};
static const int32_t pasts[] = {1, 0, 2, -1, 3};

static void fill_bias(float numbers[BIASES])
{
    gradient_random(numbers, BIASES, 9, 2);
    for (size_t i = 0; i < BIASES; i++)
        numbers[i] = i % 5 == 1 || (i > 11 && i < 15) ? -INFINITY : numbers[i];
}

/* Soft-cap, a query's own place among the keys, windows to both sides, a bias: for all, for each head, for
 * each head of each sequence, one row for all queries. */
static void caps_biases_and_places(void **state)
{
    (void)state;
    static float numbers[BIASES];
    fill_bias(numbers);
    const at_score_bias biases[] = {{0},
                                    {numbers, BIASES, NULL, 0, 8},
                                    {numbers, BIASES, NULL, 64, 8},
                                    {numbers, BIASES, own_biases, 82, 9},
                                    {numbers, BIASES, own_biases, 82, 0}};
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    for (size_t set = 0; set < count; set++)
        for (size_t i = 0; i < 5; i++)
            for (int features = 0; features < 16; features++) {
                at_attend_spec spec = {.heads = HEADS,
                                       .groups = 2,
                                       .causal = features & 1,
                                       .ahead = features & 2 ? 2 : 0,
                                       .window = features & 2 ? 3 : 0,
                                       .past = features & 4 ? pasts : NULL,
                                       .softcap = features & 8 ? 0.9f : 0,
                                       .bias = biases[i],
                                       .queries = query_rows,
                                       .keys = key_rows,
                                       .kind = AT_CROSS,
                                       .layer = 5};
                compare_all(&spec, 5, 3, sets[set]->name);
            }
}

static void a_mask_becomes_a_bias(void **state)
{
    (void)state;
    static const unsigned char mask[] = {1, 0, 255};
    static const float want[] = {0, -INFINITY, 0};
    float bias[3];
    at_bias_of_mask(bias, mask, 3);
    check_near(bias, want, 3, 0);
}

/* The stages on the way to the weights, as a trace files them: by hand, scale 1. */
static void a_trace_shows_each_stage(void **state)
{
    (void)state;
    static float q[] = {1, 2}, k[] = {3, -1, 0.5f}, v[] = {1, 1, 1};
    static const int32_t two[] = {0, 2}, three[] = {0, 3};
    static const float numbers[] = {0.5f, 0.25f, -INFINITY};
    static const float products[] = {3, -1, 0.5f, 6, -2, 1};
    float c[6], scores[6] = {0, -INFINITY, -INFINITY, 0, 0, -INFINITY}, weights[6] = {1, 0, 0, 0, 0, 0};
    for (int i = 0; i < 6; i++)
        c[i] = 2 * tanhf(products[i] / 2);
    scores[0] = c[0] + 0.5f;
    scores[3] = c[3] + 0.5f;
    scores[4] = c[4] + 0.25f;
    weights[3] = 1 / (1 + expf(scores[4] - scores[3]));
    weights[4] = 1 - weights[3];
    const float *want[] = {weights, products, c, scores};
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    for (size_t i = 0; i < 4 * count; i++) {
        static bench b;
        open_bench(&b, sets[i / 4]->name, 1);
        at_trace_want_stage(b.trace, (at_stage)(i % 4));
        at_attend_spec spec = {.heads = 1,
                               .groups = 1,
                               .causal = true,
                               .scale = 1,
                               .softcap = 2,
                               .bias = {numbers, 3, NULL, 0, 0},
                               .queries = {1, two, NULL},
                               .keys = {1, three, NULL},
                               .kind = AT_CROSS};
        at_tape_begin(b.tape, AT_TAPE_RUN, 0, 0);
        at_var *ql = at_leaf(b.tape, at_shape2(2, 1), q, NULL),
               *kl = at_leaf(b.tape, at_shape2(3, 1), k, NULL);
        assert_non_null(at_attention(b.tape, ql, kl, at_leaf(b.tape, at_shape2(3, 1), v, NULL), &spec));
        check_near(at_trace_at(b.trace, 0)->weights, want[i % 4], 6, 1e-6);
        close_bench(&b);
    }
}

static void a_bias_that_is_too_short_is_named(void **state)
{
    (void)state;
    static bench b;
    static float numbers[BIASES];
    open_bench(&b, NULL, 1);
    at_attend_spec spec = {.heads = HEADS,
                           .groups = HEADS,
                           .bias = {numbers, 3 * 64 + 7 * 8 + 7, NULL, 64, 8},
                           .queries = query_rows,
                           .keys = key_rows};
    at_tape_begin(b.tape, AT_TAPE_RUN, 0, 0);
    at_var *q = at_leaf(b.tape, at_shape2(17, 8), b.q, NULL),
           *k = at_leaf(b.tape, at_shape2(20, 8), b.k, NULL);
    assert_null(at_attention(b.tape, q, k, k, &spec));
    check_fails(at_tape_status(b.tape), AT_ESHAPE,
                "attention bias: 4 heads of (8,8) of sequence 4 need 256 numbers, got 255");
    at_cached_keys caches[5];
    for (int i = 0; i < 5; i++)
        caches[i] = (at_cached_keys){.k = b.k, .v = b.v, .length = 8};
    at_tape_begin(b.tape, AT_TAPE_RUN, 0, 0);
    q = at_leaf(b.tape, at_shape2(17, 8), b.q, NULL);
    assert_null(at_attention_cached(b.tape, q, caches, 8, 8, &spec));
    check_fails(at_tape_status(b.tape), AT_ESHAPE, "need 256 numbers, got 255");
    spec.bias.count++;
    at_tape_begin(b.tape, AT_TAPE_RUN, 0, 0);
    q = at_leaf(b.tape, at_shape2(17, 8), b.q, NULL);
    assert_non_null(at_attention_cached(b.tape, q, caches, 8, 8, &spec));
    close_bench(&b);
}

/* Scores of hundreds: exp would overflow without the maximum taken off. */
static void large_scores_stay_finite(void **state)
{
    (void)state;
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    for (size_t set = 0; set < count; set++) {
        at_attend_spec spec = {
            .heads = 1, .groups = 1, .scale = 300, .queries = query_rows, .keys = key_rows, .kind = AT_CROSS};
        static bench b;
        open_bench(&b, sets[set]->name, 1);
        at_tape_begin(b.tape, AT_TAPE_RUN, 0, 0);
        at_var *q = at_leaf(b.tape, at_shape2(17, 4), b.q, NULL),
               *k = at_leaf(b.tape, at_shape2(20, 4), b.k, NULL);
        const at_var *o = at_attention(b.tape, q, k, k, &spec);
        for (size_t i = 0; i < 17 * 4; i++)
            assert_true(isfinite(o->data[i]));
        for (size_t i = 0; i < at_trace_count(b.trace); i++) {
            const at_trace_map *m = at_trace_at(b.trace, i);
            for (size_t t = 0; t < m->queries && m->keys > 0; t++) {
                double sum = 0;
                for (size_t s = 0; s < m->keys; s++)
                    sum += (double)m->weights[t * m->keys + s];
                assert_true(fabs(sum - 1) <
                            1e-4); /* the log-sum-exp of scores near 1000 has an error of 6e-5 */
            }
        }
        close_bench(&b);
    }
}

/* (rows, groups*width) to the named rows of a pool: heads side by side, or each head's `capacity` rows
 * together. */
static void to_pool(float *pool, const float *from, const int32_t *rows, size_t count, size_t groups,
                    size_t width, size_t capacity)
{
    for (size_t i = 0; i < count; i++)
        for (size_t g = 0; g < groups; g++, from += width) {
            size_t row = (size_t)rows[i], at = capacity ? g * capacity + row : row * groups + g;
            memcpy(pool + at * width, from, width * sizeof *pool);
        }
}

/* Query after query against a cache whose rows lie in any order, heads side by side or apart, gives what the
 * whole sequence gives. */
static void cached_equals_whole(const char *kernels)
{
    enum { LENGTH = 7, KEY = 5, VALUE = 3, GROUPS = 2, POOL = 11 };
    static const int32_t rows[LENGTH] = {6, 2, 9, 0, 10, 3, 4}, whole_offsets[] = {0, LENGTH};
    static bench b;
    open_bench(&b, kernels, 1);
    at_attend_spec spec = {.heads = HEADS,
                           .groups = GROUPS,
                           .causal = true,
                           .queries = {1, whole_offsets, NULL},
                           .keys = {1, whole_offsets, NULL},
                           .kind = AT_CROSS};
    for (int variant = 0; variant < 4; variant++) {
        size_t capacity = variant % 2 ? POOL : 0;
        spec.window = variant / 2 * 3;
        at_trace_clear(b.trace);
        at_tape_begin(b.tape, AT_TAPE_RUN, 0, 0);
        at_var *q = at_leaf(b.tape, at_shape2(LENGTH, HEADS * KEY), b.q, NULL);
        at_var *k = at_leaf(b.tape, at_shape2(LENGTH, GROUPS * KEY), b.k, NULL);
        at_var *v = at_leaf(b.tape, at_shape2(LENGTH, GROUPS * VALUE), b.v, NULL);
        const at_var *want = at_attention(b.tape, q, k, v, &spec);
        float pool_k[POOL * GROUPS * KEY], pool_v[POOL * GROUPS * VALUE];
        to_pool(pool_k, b.k, rows, LENGTH, GROUPS, KEY, capacity);
        to_pool(pool_v, b.v, rows, LENGTH, GROUPS, VALUE, capacity);
        at_cached_keys all = {.k = pool_k, .v = pool_v, .capacity = capacity, .rows = rows, .length = LENGTH};
        const at_var *gathered = at_pairs_gather(b.tape, &all, 1, GROUPS, GROUPS * VALUE, true);
        check_same_bits(gathered->data, b.v, LENGTH * GROUPS * VALUE * sizeof(float));
        static const size_t cuts[][3] = {{0, 1, 1}, {1, 2, 1}, {2, 5, 3}, {5, 7, 2}};
        for (size_t i = 0; i < 4; i++) {
            size_t first = cuts[i][0], end = cuts[i][1], count = end - first;
            int32_t offsets[] = {0, (int32_t)count};
            at_attend_spec step = spec;
            step.queries = (at_rows){1, offsets, NULL};
            step.layer = 1 + (int)i;
            at_cached_keys cache = all;
            cache.length = end;
            at_var *some =
                at_leaf(b.tape, at_shape2((int64_t)count, HEADS * KEY), b.q + first * HEADS * KEY, NULL);
            const at_var *got =
                at_attention_cached(b.tape, some, &cache, GROUPS * KEY, GROUPS * VALUE, &step);
            assert_non_null(got);
            check_near(got->data, want->data + first * HEADS * VALUE, count * HEADS * VALUE, 1e-6);
            for (int h = 0; h < HEADS; h++) {
                const at_trace_map *whole = at_trace_find(b.trace, AT_CROSS, 0, h, 0),
                                   *now = at_trace_find(b.trace, AT_CROSS, step.layer, h, 0);
                assert_true(now->queries == count && now->keys == end);
                for (size_t t = 0; t < count; t++)
                    check_near(now->weights + t * end, whole->weights + (first + t) * LENGTH, end, 1e-6);
            }
        }
    }
    close_bench(&b);
}

static void cached_attention(void **state)
{
    (void)state;
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    for (size_t set = 0; set < count; set++)
        cached_equals_whole(sets[set]->name);
}

/* Looking changes nothing, and what was not asked for is not there. */
static void a_trace_is_a_request(void **state)
{
    (void)state;
    static bench b;
    open_bench(&b, NULL, 1);
    at_trace *one = at_trace_new();
    at_trace_want(one, AT_DECODER_SELF, 1, 2);
    at_trace_want(one, AT_CROSS, 0, -1);
    float plain[17 * 8], out[8 * 8];
    for (int round = 0; round < 2; round++) {
        b.tape->trace = round ? one : NULL;
        at_tape_begin(b.tape, AT_TAPE_RUN, 0, 0);
        at_var *q = at_leaf(b.tape, at_shape2(17, 8), b.q, NULL),
               *k = at_leaf(b.tape, at_shape2(20, 8), b.k, NULL);
        for (int layer = 0; layer < 2; layer++)
            for (int kind = AT_ENCODER_SELF; kind <= AT_CROSS; kind++) {
                at_attend_spec spec = {.heads = HEADS,
                                       .groups = HEADS,
                                       .queries = query_rows,
                                       .keys = key_rows,
                                       .kind = (at_attention_kind)kind,
                                       .layer = layer};
                const at_var *o = at_attention(b.tape, q, k, k, &spec);
                if (!round)
                    memcpy(plain, o->data, sizeof plain);
                check_same_bits(o->data, plain, sizeof plain);
            }
    }
    assert_int_equal(at_trace_count(one), 5 * (1 + HEADS));
    assert_null(at_trace_find(one, AT_ENCODER_SELF, -1, -1, 0));
    assert_null(at_trace_find(one, AT_DECODER_SELF, 0, 2, 0));
    assert_non_null(at_trace_find(one, AT_DECODER_SELF, 1, 2, 4));
    check_ok(at_trace_mean(one, AT_CROSS, 0, -1, 4, out, 8, 8));
    double sum = 0;
    for (int s = 0; s < 8; s++)
        sum += (double)out[s];
    assert_true(fabs(sum - 1) < 1e-5);
    check_fails(at_trace_mean(one, AT_CROSS, 3, -1, 0, out, 3, 4), AT_EARG,
                "there are layers 0 to 1, heads 0 to 3");
    check_fails(at_trace_mean(one, AT_ENCODER_SELF, -1, -1, 0, out, 3, 4), AT_EARG, "encoder");
    check_fails(at_trace_mean(one, AT_CROSS, -1, -1, 0, out, 4, 3), AT_ESHAPE, "want (4,3), got (3,4)");
    at_trace_clear(one);
    assert_int_equal(at_trace_count(one), 0);
    at_trace_free(one);
    close_bench(&b);
}

static void widths_that_do_not_fit_are_named(void **state)
{
    (void)state;
    static bench b;
    open_bench(&b, NULL, 1);
    static const struct {
        int64_t q, k, v, rows;
        size_t groups;
        const char *message;
    } bad[] = {{8, 6, 8, 20, 4, "keys 6 and values 8 wide do not divide into 4 groups"},
               {8, 4, 6, 20, 4, "keys 4 and values 6 wide do not divide into 4 groups"},
               {8, 4, 4, 20, 4, "attention queries: want (17,4), got (17,8)"},
               {8, 8, 8, 19, 4, "attention keys: want (20,8), got (19,8)"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        at_tape_begin(b.tape, AT_TAPE_RUN, 0, 0);
        at_attend_spec spec = {
            .heads = HEADS, .groups = bad[i].groups, .queries = query_rows, .keys = key_rows};
        at_var *q = at_leaf(b.tape, at_shape2(17, bad[i].q), b.q, NULL),
               *k = at_leaf(b.tape, at_shape2(bad[i].rows, bad[i].k), b.k, NULL),
               *v = at_leaf(b.tape, at_shape2(bad[i].rows, bad[i].v), b.v, NULL);
        assert_null(at_attention(b.tape, q, k, v, &spec));
        check_fails(at_tape_status(b.tape), AT_ESHAPE, bad[i].message);
    }
    close_bench(&b);
}

static void same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    enum { LONG = 300, WIDTH = 32 };
    static const int32_t offsets[] = {0, 120, 121, 300};
    static float x[LONG * WIDTH], grad[2][LONG * WIDTH], out[2][LONG * WIDTH];
    gradient_random(x, LONG * WIDTH, 8, 1);
    static float distances[180 * 180];
    for (int i = 0; i < 180 * 180; i++)
        distances[i] = i % 7 == 3 ? -INFINITY : -0.01f * (float)abs(i / 180 - i % 180);
    static const int threads[] = {1, 2, 3, 8, 16};
    const at_kernels *const *sets;
    size_t count = at_kernels_usable(&sets);
    for (size_t i = 0; i < count * 5; i++) {
        at_exec *exec;
        at_tape *tape;
        check_ok(at_exec_new(sets[i / 5]->name, threads[i % 5], &exec));
        check_ok(at_tape_new(exec, &tape));
        at_tape_begin(tape, AT_TAPE_TRAIN, 1, 2);
        float *g = grad[i % 5 > 0];
        memset(g, 0, sizeof grad[0]);
        at_rows rows = {3, offsets, NULL};
        at_attend_spec spec = {.heads = 4,
                               .groups = 4,
                               .causal = true,
                               .softcap = 3,
                               .bias = {distances, 180 * 180, NULL, 0, 180},
                               .dropout = 0.1f,
                               .queries = rows,
                               .keys = rows};
        at_var *v = at_leaf(tape, at_shape2(LONG, WIDTH), x, g), *y = at_attention(tape, v, v, v, &spec);
        memcpy(out[i % 5 > 0], y->data, sizeof out[0]);
        check_ok(at_tape_backward(tape, at_sum(tape, at_mul(tape, y, y))));
        check_same_bits(out[i % 5 > 0], out[0], sizeof out[0]);
        check_same_bits(g, grad[0], sizeof grad[0]);
        at_tape_free(tape);
        at_exec_free(exec);
    }
}

/* Which weights are dropped depends on the example and not on its place in the batch. */
static void a_mask_belongs_to_its_example(void **state)
{
    (void)state;
    static bench b;
    open_bench(&b, NULL, 1);
    static const int32_t both[] = {0, 5, 8}, alone[] = {0, 3};
    static const uint32_t names[] = {40, 41}, second[] = {41}, other[] = {42};
    const struct {
        at_rows rows;
        size_t first;
    } runs[] = {{{2, both, names}, 0}, {{1, alone, second}, 5}, {{1, alone, other}, 5}};
    float out[3][3 * 8];
    for (int i = 0; i < 3; i++) {
        at_tape_begin(b.tape, AT_TAPE_TRAIN, 1, 1);
        at_attend_spec spec = {
            .heads = 2, .groups = 2, .dropout = 0.5f, .queries = runs[i].rows, .keys = runs[i].rows};
        int64_t n = (int64_t)at_rows_total(&runs[i].rows);
        at_var *x = at_leaf(b.tape, at_shape2(n, 8), b.q + runs[i].first * 8, NULL);
        const at_var *y = at_attention(b.tape, x, x, x, &spec);
        assert_non_null(y);
        memcpy(out[i], y->data + (n - 3) * 8, sizeof out[i]);
    }
    check_same_bits(out[1], out[0], sizeof out[0]);
    assert_memory_not_equal(out[2], out[0], sizeof out[0]);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fused_equals_unfused),
        cmocka_unit_test(caps_biases_and_places),
        cmocka_unit_test(a_mask_becomes_a_bias),
        cmocka_unit_test(a_trace_shows_each_stage),
        cmocka_unit_test(a_bias_that_is_too_short_is_named),
        cmocka_unit_test(large_scores_stay_finite),
        cmocka_unit_test(cached_attention),
        cmocka_unit_test(a_trace_is_a_request),
        cmocka_unit_test(widths_that_do_not_fit_are_named),
        cmocka_unit_test(a_mask_belongs_to_its_example),
        cmocka_unit_test(same_bits_for_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
