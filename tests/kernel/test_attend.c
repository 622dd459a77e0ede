#include "kernel/visible.h"
#include "tests/kernel/levels.h"

/* One head of one sequence, whose rows lie `gap` floats further apart than they are wide. */
typedef struct head {
    at_attend a;
    float *blocks[20];
    size_t count;
    float *scratch;
    int32_t *rows;
} head;

enum { GAP = 5, PLACES = 3 }; /* with `rows`, a store of PLACES * keys rows */

static float *keep(head *h, float *block)
{
    h->blocks[h->count++] = block;
    return block;
}

static head head_of(at_rng *rng, size_t queries, size_t keys, size_t d_key, size_t d_value)
{
    head h = {.a = {.queries = queries, .keys = keys, .d_key = d_key, .d_value = d_value}};
    at_attend *a = &h.a;
    a->scale = 1 / sqrtf((float)d_key);
    a->q_stride = d_key + GAP;
    a->k_stride = d_key + 2 * GAP;
    a->v_stride = d_value + GAP;
    a->o_stride = d_value + 3 * GAP;
    a->lse_stride = 2;
    a->q = keep(&h, random_block(rng, queries * a->q_stride, 1));
    a->k = keep(&h, random_block(rng, PLACES * keys * a->k_stride, 1));
    a->v = keep(&h, random_block(rng, PLACES * keys * a->v_stride, 1));
    a->o = keep(&h, random_block(rng, queries * a->o_stride, 1));
    a->lse = keep(&h, random_block(rng, queries * a->lse_stride, 1));
    a->d_o = keep(&h, random_block(rng, queries * a->o_stride, 1));
    a->d_q = keep(&h, random_block(rng, queries * a->q_stride, 1));
    a->d_k = keep(&h, random_block(rng, keys * a->k_stride, 1));
    a->d_v = keep(&h, random_block(rng, keys * a->v_stride, 1));
    a->drop_key[0] = 11;
    a->drop_key[1] = 22;
    a->drop_counter[0] = 33;
    a->drop_counter[1] = 44;
    return h;
}

/* Numbers of about 2 between the keys and the queries, some -INFINITY: every seventh query sees nothing, and
 * keys from 128 to 255 are hidden from all. */
static void add_bias(head *h, at_rng *rng, bool a_row_each)
{
    at_attend *a = &h->a;
    a->bias_stride = a_row_each ? a->keys + GAP : 0;
    size_t rows = a_row_each ? a->queries : a->queries > 0;
    float *bias = keep(h, random_block(rng, rows * (a->keys + GAP), 2));
    a->bias = bias;
    for (size_t t = 0; t < rows; t++)
        for (size_t s = 0; s < a->keys; s++)
            if (at_rng_below(rng, 5) == 0 || (a_row_each && t % 7 == 3) || s / 128 == 1)
                bias[t * a->bias_stride + s] = -INFINITY;
}

static void head_free(head *h)
{
    for (size_t i = 0; i < h->count; i++)
        check_guard_free(h->blocks[i]);
    free(h->rows);
}

/* Another place for what is written, with the same contents. */
static void own_output(head *h, const head *like)
{
    const at_attend *a = &like->a;
    h->a = like->a;
    h->a.o = keep(h, copy_block(a->o, a->queries * a->o_stride));
    h->a.lse = keep(h, copy_block(a->lse, a->queries * a->lse_stride));
    h->a.d_q = keep(h, copy_block(a->d_q, a->queries * a->q_stride));
    h->a.d_k = keep(h, copy_block(a->d_k, a->keys * a->k_stride));
    h->a.d_v = keep(h, copy_block(a->d_v, a->keys * a->v_stride));
}

static float *scratch_for(const at_kernels *k, const at_attend *a)
{
    return check_guarded(k->attend_scratch(a->queries, a->keys, a->d_key, a->d_value));
}

static void run_forward(const at_kernels *k, const at_attend *a)
{
    float *scratch = scratch_for(k, a);
    k->attend(a, scratch);
    check_guard_free(scratch);
}

static void run_backward(const at_kernels *k, const at_attend *a)
{
    float *scratch = scratch_for(k, a);
    k->attend_backward(a, scratch);
    check_guard_free(scratch);
}

static double factor_of(const at_attend *a, size_t t, size_t s)
{
    uint32_t words[4];
    at_philox((const uint32_t[]){(uint32_t)(s / 4), (uint32_t)t, a->drop_counter[0], a->drop_counter[1]},
              a->drop_key, words);
    return words[s % 4] >= (double)a->drop_rate * 4294967296.0 ? 1 / (1 - (double)a->drop_rate) : 0;
}

/* One number of each stage but the last; `slope` is what the soft-cap makes of a change of the product. */
static double stage_in_double(const at_attend *a, size_t t, size_t s, at_stage stage, double *slope)
{
    bool seen = !a->causal || (int64_t)s <= (int64_t)t + a->past + a->ahead;
    if (a->window > 0)
        seen = seen && (int64_t)s > (int64_t)t + a->past - a->window;
    const float *k = a->k + (a->rows ? (size_t)a->rows[s] : s) * a->k_stride;
    double x = 0, level = 0;
    for (size_t j = 0; j < a->d_key; j++)
        x += (double)a->scale * a->q[t * a->q_stride + j] * k[j];
    if (a->softcap > 0 && stage != AT_STAGE_PRODUCTS) {
        level = tanh(x / (double)a->softcap);
        x = (double)a->softcap * level;
    }
    if (slope)
        *slope = 1 - level * level;
    if (stage != AT_STAGE_SCORES)
        return x;
    return seen ? x + (a->bias ? (double)a->bias[t * a->bias_stride + s] : 0) : -INFINITY;
}

/* The contract in double, with whole rows of weights. w (keys), without dropout; returns the log-sum-exp. */
static double weights_in_double(const at_attend *a, size_t t, double *w)
{
    double max = -INFINITY, sum = 0;
    for (size_t s = 0; s < a->keys; s++) {
        w[s] = stage_in_double(a, t, s, AT_STAGE_SCORES, NULL);
        max = fmax(max, w[s]);
    }
    for (size_t s = 0; s < a->keys; s++)
        sum += w[s] = max == -INFINITY ? 0 : exp(w[s] - max);
    for (size_t s = 0; s < a->keys; s++)
        w[s] /= sum > 0 ? sum : 1;
    return max == -INFINITY ? -INFINITY : max + log(sum);
}

static void forward_in_double(const at_attend *a)
{
    double *w = calloc(a->keys + 1, sizeof *w);
    assert_non_null(w);
    for (size_t t = 0; t < a->queries; t++) {
        a->lse[t * a->lse_stride] = (float)weights_in_double(a, t, w);
        for (size_t j = 0; j < a->d_value; j++) {
            double sum = 0;
            for (size_t s = 0; s < a->keys; s++)
                sum += w[s] * factor_of(a, t, s) * a->v[(a->rows ? (size_t)a->rows[s] : s) * a->v_stride + j];
            a->o[t * a->o_stride + j] = (float)sum;
        }
    }
    free(w);
}

static void backward_in_double(const at_attend *a)
{
    size_t keys = a->keys + 1;
    double *w = calloc(3 * keys, sizeof *w), *d_w = w + keys;
    assert_non_null(w);
    for (size_t t = 0; t < a->queries; t++) {
        weights_in_double(a, t, w);
        double mean = 0;
        for (size_t s = 0; s < a->keys; s++) {
            d_w[s] = 0;
            for (size_t j = 0; j < a->d_value; j++)
                d_w[s] +=
                    (double)a->d_o[t * a->o_stride + j] * a->v[s * a->v_stride + j] * factor_of(a, t, s);
            mean += w[s] * d_w[s];
        }
        for (size_t s = 0; s < a->keys; s++) {
            double steepness, f = factor_of(a, t, s);
            stage_in_double(a, t, s, AT_STAGE_CAPPED, &steepness);
            double slope = w[s] * (d_w[s] - mean) * a->scale * steepness;
            for (size_t j = 0; j < a->d_key; j++) {
                a->d_q[t * a->q_stride + j] += (float)(slope * a->k[s * a->k_stride + j]);
                a->d_k[s * a->k_stride + j] += (float)(slope * a->q[t * a->q_stride + j]);
            }
            for (size_t j = 0; j < a->d_value; j++)
                a->d_v[s * a->v_stride + j] += (float)(w[s] * f * a->d_o[t * a->o_stride + j]);
        }
    }
    free(w);
}

/* Outputs are means of normal numbers with weights off by some 1e-6 of themselves (scores of a dozen
 * rounded products); dropout multiplies by up to 1/(1 - rate). */
static const double OUTPUT = 4e-6;
/* Gradients add up to a few hundred such terms. */
static const double GRADIENT = 2e-5;

static void compare_forward(const at_kernels *k, const head *h)
{
    head got = {.count = 0}, want = {.count = 0};
    own_output(&got, h);
    own_output(&want, h);
    run_forward(k, &got.a);
    forward_in_double(&want.a);
    check_near(got.a.o, want.a.o, h->a.queries * h->a.o_stride, OUTPUT); /* what lies between the rows too */
    check_near(got.a.lse, want.a.lse, h->a.queries * h->a.lse_stride, OUTPUT);
    head_free(&got);
    head_free(&want);
}

static void compare_backward(const at_kernels *k, const head *h)
{
    head got = {.count = 0}, want = {.count = 0};
    own_output(&got, h);
    own_output(&want, h);
    run_forward(k, &got.a);
    run_backward(k, &got.a);
    backward_in_double(&want.a);
    check_near(got.a.d_q, want.a.d_q, h->a.queries * h->a.q_stride, GRADIENT);
    check_near(got.a.d_k, want.a.d_k, h->a.keys * h->a.k_stride, GRADIENT);
    check_near(got.a.d_v, want.a.d_v, h->a.keys * h->a.v_stride, GRADIENT);
    head_free(&got);
    head_free(&want);
}

static const size_t widths[] = {1, 3, 16, 17, 31, 32, 33, 64, 80, 128};
enum { WIDTHS = sizeof widths / sizeof *widths };
static const size_t lengths[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65, 127, 128, 129, 150};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

static void all_widths(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < WIDTHS; i++)
            for (size_t j = 0; j < WIDTHS; j++) {
                head h = head_of(&rng, 5, 19, widths[i], widths[j]);
                compare_forward(level(l), &h);
                compare_backward(level(l), &h);
                head_free(&h);
            }
}

/* Both lengths, masks and dropout; the mask changes with the case so that all meet all. */
static void all_lengths(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < LENGTHS; i++)
            for (size_t j = 0; j < LENGTHS; j++) {
                head h = head_of(&rng, lengths[i], lengths[j], 8, 12);
                h.a.causal = (i + j) % 3 == 0;
                h.a.past = (i + j) % 2 ? (int64_t)lengths[j] - (int64_t)lengths[i] : 0;
                h.a.window = (i + 2 * j) % 5 == 0 ? 6 : 0;
                h.a.drop_rate = (2 * i + j) % 3 == 0 ? 0.3f : 0;
                h.a.ahead = (int64_t)(i + j) % 7 / 3;
                h.a.softcap = (i + j) % 4 == 3 ? 0.8f : 0;
                if ((3 * i + j) % 4 < 2)
                    add_bias(&h, &rng, (3 * i + j) % 4);
                compare_forward(level(l), &h);
                compare_backward(level(l), &h);
                head_free(&h);
            }
}

/* Heads of up to 64 with up to 128 keys have a path of their own; sizes on both sides of its bounds. */
static void short_sequences_of_any_size(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (int i = 0; i < 96; i++) {
            size_t queries = 1 + at_rng_below(&rng, 150), keys = 1 + at_rng_below(&rng, 132);
            head h = head_of(&rng, queries, keys, 1 + at_rng_below(&rng, 66), 1 + at_rng_below(&rng, 66));
            h.a.causal = i & 1;
            h.a.past = (int64_t)at_rng_below(&rng, 40) - 10;
            h.a.ahead = i % 5 == 0 ? 3 : 0;
            h.a.window = i % 3 == 0 ? 1 + (int64_t)at_rng_below(&rng, 50) : 0;
            h.a.drop_rate = i & 2 ? 0.2f : 0;
            h.a.softcap = i % 16 == 7 ? 0.9f : 0;
            if (i & 4)
                add_bias(&h, &rng, i & 8);
            compare_forward(level(l), &h);
            compare_backward(level(l), &h);
            head_free(&h);
        }
}

static void long_sequences_go_by_tiles(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (int mask = 0; mask < 8; mask++) {
            head h = head_of(&rng, 261, 300, 32, 32);
            h.a.causal = mask & 1;
            h.a.past = 39;
            h.a.softcap = mask > 5 ? 1 : 0;
            if (mask > 3)
                add_bias(&h, &rng, mask & 1);
            h.a.window = mask & 2 ? 70 : 0;
            h.a.drop_rate = mask % 4 == 3 ? 0.1f : 0;
            compare_forward(level(l), &h);
            compare_backward(level(l), &h);
            head_free(&h);
        }
}

/* Scratch must stay small however long the sequence is. */
static void scratch_does_not_grow_with_the_length(void **state)
{
    (void)state;
    for (size_t l = 0; l < level_count(); l++) {
        const at_kernels *k = level(l);
        if (k == &at_kernels_ref) /* keeps one row of weights */
            assert_true(k->attend_scratch(100000, 100000, 64, 64) <= 100000 + 1000);
        else
            assert_int_equal(k->attend_scratch(100000, 100000, 64, 64),
                             k->attend_scratch(1000, 1000, 64, 64));
    }
}

static void rows_point_into_a_store(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    const size_t queries[] = {1, 2, 5};
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < LENGTHS; i++)
            for (size_t n = 0; n < 3; n++) {
                size_t keys = lengths[i];
                head h = head_of(&rng, queries[n], keys, 32, 33);
                h.rows = calloc(keys + 1, sizeof *h.rows);
                assert_non_null(h.rows);
                for (size_t s = 0; s < keys; s++)
                    h.rows[s] = (int32_t)at_rng_below(&rng, (uint32_t)(PLACES * keys));
                h.a.rows = h.rows;
                h.a.causal = true;
                h.a.past = (int64_t)keys - (int64_t)queries[n];
                compare_forward(level(l), &h);
                head_free(&h);
            }
}

static void queries_without_keys_give_zeros(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++) {
        head h = head_of(&rng, 9, 20, 16, 16);
        h.a.causal = true;
        h.a.past = -4; /* queries 0 … 3 see nothing */
        compare_forward(level(l), &h);
        compare_backward(level(l), &h);
        run_forward(level(l), &h.a);
        for (size_t t = 0; t < 4; t++) {
            float zeros[16] = {0};
            check_near(h.a.o + t * h.a.o_stride, zeros, 16, 0);
            assert_true(h.a.lse[t * h.a.lse_stride] == -INFINITY);
        }
        h.a.past = 40; /* and here the window has moved beyond the keys for the last ones */
        h.a.causal = false;
        h.a.window = 24;
        compare_forward(level(l), &h);
        compare_backward(level(l), &h);
        head_free(&h);
    }
}

/* Scores of ±1e4: one key takes all, two tied ones share. */
static void huge_scores_choose(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t keys = 2; keys < 300; keys += 37) {
            head h = head_of(&rng, 3, keys, 4, 4);
            float *q = h.blocks[0], *k = h.blocks[1];
            memset(q, 0, 3 * h.a.q_stride * sizeof *q);
            memset(k, 0, keys * h.a.k_stride * sizeof *k);
            h.a.scale = 1;
            for (size_t t = 0; t < 3; t++)
                q[t * h.a.q_stride] = 100;
            for (size_t s = 0; s < keys; s++)
                k[s * h.a.k_stride] = s == 1 || s == keys - 1 ? 100 : -100;
            run_forward(level(l), &h.a);
            for (size_t t = 0; t < 3; t++)
                for (size_t j = 0; j < 4; j++) {
                    float want = 0.5f * (h.a.v[h.a.v_stride + j] + h.a.v[(keys - 1) * h.a.v_stride + j]);
                    check_near(h.a.o + t * h.a.o_stride + j, &want, 1, 1e-6);
                }
            head_free(&h);
        }
}

static void nan_is_not_hidden(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++) {
        head h = head_of(&rng, 3, 40, 16, 16);
        h.blocks[1][37 * h.a.k_stride + 2] = NAN;
        run_forward(level(l), &h.a);
        for (size_t t = 0; t < 3; t++)
            assert_true(isnan(h.a.o[t * h.a.o_stride]) && isnan(h.a.lse[t * h.a.lse_stride]));
        head_free(&h);
    }
}

static void compare_stage(const at_kernels *k, const head *h, at_stage stage)
{
    size_t keys = h->a.keys;
    float *got = check_guarded(7 * keys), *want = check_guarded(7 * keys);
    double *w = calloc(keys + 1, sizeof *w);
    assert_non_null(w);
    k->attend_weights(&h->a, 2, 9, stage, got);
    for (size_t t = 2; t < 9; t++) {
        if (stage == AT_STAGE_WEIGHTS)
            weights_in_double(&h->a, t, w);
        for (size_t s = 0; s < keys; s++)
            want[(t - 2) * keys + s] =
                (float)(stage == AT_STAGE_WEIGHTS ? w[s] : stage_in_double(&h->a, t, s, stage, NULL));
    }
    check_near(got, want, 7 * keys, 2e-6);
    free(w);
    check_guard_free(got);
    check_guard_free(want);
}

static void weights_are_those_of_the_forward(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < LENGTHS; i++)
            for (int mask = 0; mask < 16; mask++) {
                size_t keys = lengths[i];
                head h = head_of(&rng, 9, keys, 24, 24);
                h.a.causal = mask & 1;
                h.a.past = mask & 2 ? (int64_t)keys - 9 : 0;
                h.a.window = mask % 4 == 3 ? 5 : 0;
                h.a.softcap = mask & 4 ? 1.5f : 0;
                if (mask & 8)
                    add_bias(&h, &rng, mask & 4);
                run_forward(level(l), &h.a);
                for (int stage = AT_STAGE_WEIGHTS; stage <= AT_STAGE_SCORES; stage++)
                    compare_stage(level(l), &h, (at_stage)stage);
                head_free(&h);
            }
}

/* A bias that hides all but one key from a query, and keys whose bias is a large number; a soft-cap of
 * scores of thousands. */
static void large_numbers_stay_in_place(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t keys = 3; keys < 300; keys += 59) {
            head h = head_of(&rng, 3, keys, 4, 4);
            add_bias(&h, &rng, true);
            float *bias = h.blocks[h.count - 1];
            for (size_t s = 0; s < keys; s++) {
                bias[s] = s == keys - 1 ? -3e38f : -INFINITY;        /* one is left, however small */
                bias[h.a.bias_stride + s] = s == 1 ? 1e30f : 0;      /* one takes all */
                bias[2 * h.a.bias_stride + s] = s == 2 ? 0 : -1e30f; /* numbers, not a mask: they lose */
            }
            const size_t chosen[] = {keys - 1, 1, 2};
            for (int capped = 0; capped < 2; capped++) {
                h.a.softcap = capped ? 30 : 0;
                h.a.scale = capped ? 1e4f : 0.5f;
                run_forward(level(l), &h.a);
                for (size_t t = 0; t < 3; t++) {
                    check_near(h.a.o + t * h.a.o_stride, h.a.v + chosen[t] * h.a.v_stride, 4, 1e-6);
                    assert_true(isfinite(h.a.lse[t * h.a.lse_stride]));
                }
                compare_backward(level(l), &h);
            }
            head_free(&h);
        }
}

/* Keys that a bias hides from all are not looked at, whatever lies there, as when they were not there; the
 * result has the same bits. */
static void hidden_tiles_are_not_touched(void **state)
{
    (void)state;
    enum { QUERIES = 20, KEYS = 384 };
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++) {
        if (level(l) == &at_kernels_ref)
            continue; /* goes key by key: 0 * NaN is NaN there */
        head h = head_of(&rng, QUERIES, KEYS, 16, 16), without = {.count = 0};
        add_bias(&h, &rng, true);
        own_output(&without, &h);
        run_forward(level(l), &without.a);
        for (size_t s = 128; s < 256; s++)
            h.blocks[1][s * h.a.k_stride] = h.blocks[2][s * h.a.v_stride] = NAN;
        run_forward(level(l), &h.a);
        check_same_bits(h.a.o, without.a.o, QUERIES * h.a.o_stride * sizeof(float));
        run_backward(level(l), &h.a);
        for (size_t i = 0; i < KEYS * h.a.k_stride; i++)
            assert_false(isnan(h.a.d_k[i]));
        head_free(&without);
        head_free(&h);
    }
}

/* What a query gets has the same bits alone, as decoding computes it, as among all others. */
static void a_query_alone_gets_the_same_bits(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    const size_t sizes[][3] = {{20, 32, 32},  {33, 64, 64},  {128, 23, 41},
                               {129, 64, 33}, {140, 32, 48}, {260, 17, 80}};
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < 12; i++) {
            const size_t *size = sizes[i / 2];
            head h = head_of(&rng, size[0], size[0], size[1], size[2]);
            h.a.causal = true;
            h.a.window = i % 2 ? 13 : 0;
            h.a.softcap = i % 2 ? 2.0f : 0;
            if (i > 3)
                add_bias(&h, &rng, true);
            run_forward(level(l), &h.a);
            for (size_t t = 0; t < size[0]; t++) {
                float o[128], lse;
                at_attend one = h.a;
                one.q += t * one.q_stride;
                one.bias = at_bias_at(&h.a, t, 0);
                one.o = o;
                one.lse = &lse;
                one.queries = 1;
                one.keys = t + 1;
                one.past = (int64_t)t;
                run_forward(level(l), &one);
                check_same_bits(o, h.a.o + t * h.a.o_stride, size[2] * sizeof *o);
                check_same_bits(&lse, h.a.lse + t * h.a.lse_stride, sizeof lse);
            }
            head_free(&h);
        }
}

/* The reference's gradients against difference quotients of the definition in double: sum of o · d_o. */
static double objective(const at_attend *a)
{
    double sum = 0, w[64];
    for (size_t t = 0; t < a->queries; t++) {
        weights_in_double(a, t, w);
        for (size_t s = 0; s < a->keys; s++)
            for (size_t j = 0; j < a->d_value; j++)
                sum += w[s] * factor_of(a, t, s) * a->v[s * a->v_stride + j] * a->d_o[t * a->o_stride + j];
    }
    return sum;
}

static void check_slopes(const at_attend *a, float *x, const float *d_x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float was = x[i], up = was + 1e-2f, down = was - 1e-2f;
        x[i] = up;
        double slope = objective(a);
        x[i] = down;
        slope = (slope - objective(a)) / ((double)up - down);
        x[i] = was;
        if (fabs(slope - (double)d_x[i]) > 1e-3) /* the quotient's own error goes with step² */
            fail_msg("gradient %zu: %.9g, difference quotient %.9g", i, (double)d_x[i], slope);
    }
}

static void gradients_are_difference_quotients(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (int mask = 0; mask < 16; mask++) {
        head h = head_of(&rng, 6, 7, 5, 4);
        at_attend *a = &h.a;
        a->causal = mask & 1;
        a->softcap = mask & 4 ? 1.3f : 0;
        if (mask & 8)
            add_bias(&h, &rng, true);
        a->drop_rate = mask & 2 ? 0.25f : 0;
        memset(a->d_q, 0, 6 * a->q_stride * sizeof(float));
        memset(a->d_k, 0, 7 * a->k_stride * sizeof(float));
        memset(a->d_v, 0, 7 * a->v_stride * sizeof(float));
        run_forward(&at_kernels_ref, a);
        run_backward(&at_kernels_ref, a);
        check_slopes(a, h.blocks[0], a->d_q, 6 * a->q_stride);
        check_slopes(a, h.blocks[1], a->d_k, 7 * a->k_stride);
        check_slopes(a, h.blocks[2], a->d_v, 7 * a->v_stride);
        head_free(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_widths),
        cmocka_unit_test(all_lengths),
        cmocka_unit_test(short_sequences_of_any_size),
        cmocka_unit_test(long_sequences_go_by_tiles),
        cmocka_unit_test(scratch_does_not_grow_with_the_length),
        cmocka_unit_test(rows_point_into_a_store),
        cmocka_unit_test(queries_without_keys_give_zeros),
        cmocka_unit_test(huge_scores_choose),
        cmocka_unit_test(nan_is_not_hidden),
        cmocka_unit_test(weights_are_those_of_the_forward),
        cmocka_unit_test(large_numbers_stay_in_place),
        cmocka_unit_test(hidden_tiles_are_not_touched),
        cmocka_unit_test(a_query_alone_gets_the_same_bits),
        cmocka_unit_test(gradients_are_difference_quotients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
