/* Attention whose keys and values are in bf16, against the reference of the same numbers: kernels with few
 * and many queries, and the whole in bf16 forward and backward. */
#include "attention/attend.h"
#include "kernel/visible.h"
#include "tests/kernel/levels.h"

static at_rng rng;

static at_bf16 *narrow_block(size_t n)
{
    at_bf16 *x = (at_bf16 *)(void *)check_guarded((n + 1) / 2);
    for (size_t i = 0; i < n; i++)
        x[i] = at_f32_to_bf16(at_rng_normal(&rng));
    return x;
}

static void guard_free(at_bf16 *x)
{
    check_guard_free((float *)(void *)x);
}

static float *widened(const at_bf16 *x, size_t n)
{
    float *wide = check_guarded(n);
    for (size_t i = 0; i < n; i++)
        wide[i] = at_bf16_to_f32(x[i]);
    return wide;
}

typedef struct one {
    size_t queries, keys, d_key, d_value, stride;
    bool causal, biased, shuffled, ends; /* queries and outputs in bf16 too */
    int64_t past, window;
    float softcap;
} one;

/* A case's numbers, and the kernel's view of them. What comes out is another's. */
typedef struct numbers {
    at_bf16 *q, *k, *v, *d_o;
    float *q_wide, *k_wide, *v_wide, *d_o_wide, *v_size, *bias;
    int32_t *rows;
    at_attend a;
} numbers;

static numbers make_numbers(const one *c)
{
    numbers n = {.q = narrow_block(c->queries * c->d_key),
                 .k = narrow_block(c->keys * (c->d_key + c->stride)),
                 .v = narrow_block(c->keys * (c->d_value + c->stride)),
                 .d_o = narrow_block(c->queries * c->d_value),
                 .bias = random_block(&rng, c->queries * c->keys, 1),
                 .rows = malloc((c->keys + 1) * sizeof *n.rows)};
    assert_non_null(n.rows);
    n.q_wide = widened(n.q, c->queries * c->d_key);
    n.k_wide = widened(n.k, c->keys * (c->d_key + c->stride));
    n.v_wide = widened(n.v, c->keys * (c->d_value + c->stride));
    n.d_o_wide = widened(n.d_o, c->queries * c->d_value);
    n.v_size = widened(n.v, c->keys * (c->d_value + c->stride));
    for (size_t i = 0; i < c->keys * (c->d_value + c->stride); i++)
        n.v_size[i] = fabsf(n.v_size[i]);
    for (size_t s = 0; s < c->keys; s++)
        n.rows[s] = (int32_t)(c->keys - 1 - s);
    for (size_t s = 0; s < c->queries * c->keys; s += 3)
        n.bias[s] = -INFINITY;
    n.a = (at_attend){.q_stride = c->d_key,
                      .k_stride = c->d_key + c->stride,
                      .v_stride = c->d_value + c->stride,
                      .o_stride = c->d_value,
                      .lse_stride = 1,
                      .queries = c->queries,
                      .keys = c->keys,
                      .d_key = c->d_key,
                      .d_value = c->d_value,
                      .scale = 0.3f,
                      .causal = c->causal,
                      .past = c->past,
                      .window = c->window,
                      .softcap = c->softcap,
                      .rows = c->shuffled ? n.rows : NULL,
                      .bias = c->biased ? n.bias : NULL,
                      .bias_stride = c->keys};
    return n;
}

static void free_numbers(numbers *n)
{
    guard_free(n->q);
    guard_free(n->k);
    guard_free(n->v);
    guard_free(n->d_o);
    float *all[] = {n->q_wide, n->k_wide, n->v_wide, n->d_o_wide, n->v_size, n->bias};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        check_guard_free(all[i]);
    free(n->rows);
}

/* The reference's attention over v. */
static void want_forward(const numbers *n, const float *v, float *o, float *lse)
{
    at_attend a = n->a;
    a.q = n->q_wide;
    a.k = n->k_wide;
    a.v = v;
    a.o = o;
    a.lse = lse;
    float *scratch = check_guarded(at_kernels_ref.attend_scratch(a.queries, a.keys, a.d_key, a.d_value));
    at_kernels_ref.attend(&a, scratch);
    check_guard_free(scratch);
}

/* Each within its own distance. */
static void check_within(const float *got, const float *want, const float *size, size_t n, double relative,
                         double absolute)
{
    for (size_t i = 0; i < n; i++) {
        double most = relative * (double)size[i] + absolute;
        if (!(fabs((double)got[i] - (double)want[i]) <= most))
            fail_msg("[%zu]: got %.9g, want %.9g, apart %.3g, tolerance %.3g", i, (double)got[i],
                     (double)want[i], fabs((double)got[i] - (double)want[i]), most);
    }
}

/* Every level against fp32 attention of the reference on the widened numbers, whose sums are in double.
 * With dot products each weight is rounded, by at most 2^-8 of itself: an output by as much of its terms'
 * sizes. One that is in bf16 is rounded once more. */
static void compare(const one *c)
{
    size_t outputs = c->queries * c->d_value;
    numbers n = make_numbers(c);
    float *o = check_guarded(outputs), *want = check_guarded(outputs), *size = check_guarded(outputs),
          *lse = check_guarded(c->queries), *want_lse = check_guarded(c->queries);
    at_bf16 *o16 = narrow_block(outputs);
    want_forward(&n, n.v_size, size, want_lse);
    want_forward(&n, n.v_wide, want, want_lse);
    at_attend a = n.a;
    a.k16 = n.k;
    a.v16 = n.v;
    a.lse = lse;
    if (c->ends) {
        a.q16 = n.q;
        a.o16 = o16;
    } else {
        a.q = n.q_wide;
        a.o = o;
    }
    for (size_t l = 0; l < level_count(); l++) {
        float *scratch =
            check_guarded(level(l)->attend_bf16_scratch(c->queries, c->keys, c->d_key, c->d_value) + 1);
        level(l)->attend_bf16(&a, scratch);
        for (size_t i = 0; c->ends && i < outputs; i++)
            o[i] = at_bf16_to_f32(o16[i]);
        double relative = (level(l)->dots ? 0x1.01p-8 : 0) + (c->ends ? 0x1.01p-8 : 0);
        check_within(o, want, size, outputs, relative, 2e-5);
        check_near(lse, want_lse, c->queries, 2e-5);
        check_guard(o);
        check_guard((float *)(void *)o16);
        check_guard(lse);
        check_guard_free(scratch);
    }
    float *all[] = {o, want, size, lse, want_lse};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        check_guard_free(all[i]);
    guard_free(o16);
    free_numbers(&n);
}

static void keys_in_bf16_of_all_shapes(void **state)
{
    (void)state;
    static const size_t queries[] = {1, 2, 3, 17, 70}, keys[] = {0, 1, 7, 8, 9, 127, 128, 129, 300},
                        widths[] = {1, 4, 7, 8, 16, 33, 64, 72};
    size_t n = 0;
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        for (size_t j = 0; j < sizeof keys / sizeof *keys; j++)
            for (size_t w = 0; w < sizeof widths / sizeof *widths; w++, n++) {
                if (queries[i] > 3 && n % 3)
                    continue;
                one c = {.queries = queries[i], .keys = keys[j], .d_key = widths[w], .stride = n % 4};
                c.d_value = widths[(w + n / 7) % 8];
                c.causal = n % 2;
                c.past = c.causal ? (int64_t)keys[j] - (int64_t)queries[i] : 0;
                c.window = n % 5 == 0 ? 6 : 0;
                c.biased = n % 3 == 1;
                c.shuffled = n % 4 == 2;
                c.softcap = n % 7 == 0 ? 2 : 0;
                c.ends = n % 2;
                compare(&c);
            }
}

/* Gradients in double, and for each the sum of its terms' sizes. */
typedef struct gradients {
    float *d_q, *d_k, *d_v, *q_size, *k_size, *v_size;
} gradients;

static double dot_rows(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* more: of the factor's size, beside itself */
static void add_row(float *d, float *size, double by, double more, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        d[i] += (float)(by * (double)x[i]);
        size[i] += (float)((fabs(by) + more) * fabs((double)x[i]));
    }
}

/* One query and the keys it sees. The mean slope is that of o as it was rounded; a kernel may take it from
 * the weights, and then it is that of o before: off by as much of its terms' sizes as o was rounded by. */
static void want_query(const numbers *n, size_t t, const float *o, double lse, gradients *g)
{
    const at_attend *a = &n->a;
    at_visible keys = at_visible_keys(a, t);
    const float *q = n->q_wide + t * a->q_stride, *d_o = n->d_o_wide + t * a->o_stride;
    double mean = dot_rows(o + t * a->o_stride, d_o, a->d_value), scale = (double)a->scale, mean_size = 0;
    for (size_t j = 0; j < a->d_value; j++)
        mean_size += fabs((double)o[t * a->o_stride + j] * (double)d_o[j]);
    for (size_t s = keys.first; s < keys.end; s++) {
        const float *k = n->k_wide + s * a->k_stride, *v = n->v_wide + s * a->v_stride;
        double score = scale * dot_rows(q, k, a->d_key), steepness = 1;
        if (a->softcap > 0) {
            double level = tanh(score / (double)a->softcap);
            score = (double)a->softcap * level;
            steepness = 1 - level * level;
        }
        double weight = exp(score + (a->bias ? (double)a->bias[t * a->bias_stride + s] : 0) - lse);
        double each = weight * steepness * scale, slope = each * (dot_rows(d_o, v, a->d_value) - mean);
        if (lse == -INFINITY)
            continue;
        add_row(g->d_v + s * a->v_stride, g->v_size + s * a->v_stride, weight, 0, d_o, a->d_value);
        add_row(g->d_q + t * a->q_stride, g->q_size + t * a->q_stride, slope, each * mean_size, k, a->d_key);
        add_row(g->d_k + s * a->k_stride, g->k_size + s * a->k_stride, slope, each * mean_size, q, a->d_key);
    }
}

static float *zeros(size_t n)
{
    float *x = check_guarded(n);
    memset(x, 0, n * sizeof *x);
    return x;
}

static void check_narrow(at_bf16 *got, const float *want, const float *size, size_t rows, size_t stride,
                         size_t d, double relative)
{
    for (size_t r = 0; r < rows; r++) {
        float *wide = widened(got + r * stride, d);
        check_within(wide, want + r * stride, size + r * stride, d, relative, 1e-4);
        check_guard_free(wide);
    }
    check_guard((float *)(void *)got);
}

/* Gradients of every level. They are rounded once (2^-8), with dot products the weights and slopes in them
 * too. What heads before have added counts as well: here 1 each. */
static void compare_backward(const one *c)
{
    numbers n = make_numbers(c);
    const at_attend *a = &n.a;
    size_t nq = c->queries * a->q_stride, nk = c->keys * a->k_stride, nv = c->keys * a->v_stride,
           no = c->queries * c->d_value;
    float *o = check_guarded(no), *lse = check_guarded(c->queries);
    gradients g = {zeros(nq), zeros(nk), zeros(nv), zeros(nq), zeros(nk), zeros(nv)};
    want_forward(&n, n.v_wide, o, lse);
    at_bf16 *o16 = narrow_block(no), *d_q = narrow_block(nq), *d_k = narrow_block(nk),
            *d_v = narrow_block(nv);
    at_kernels_ref.narrow(o16, o, no);
    at_kernels_ref.widen(o, o16, no);
    for (size_t t = 0; t < c->queries; t++)
        want_query(&n, t, o, (double)lse[t], &g);
    for (size_t l = 0; l < level_count(); l++) {
        at_attend b = *a;
        b.q16 = n.q;
        b.k16 = n.k;
        b.v16 = n.v;
        b.o16 = o16;
        b.d_o16 = n.d_o;
        b.lse = lse;
        b.d_q16 = d_q;
        b.d_k16 = d_k;
        b.d_v16 = d_v;
        float *scratch = check_guarded(
            level(l)->attend_bf16_backward_scratch(c->queries, c->keys, c->d_key, c->d_value) + 1);
        level(l)->attend_bf16_backward(&b, scratch);
        double relative = level(l)->dots ? 0x1.02p-7 : 0x1.01p-8;
        check_narrow(d_q, g.d_q, g.q_size, c->queries, a->q_stride, c->d_key, relative);
        check_narrow(d_k, g.d_k, g.k_size, c->keys, a->k_stride, c->d_key, relative);
        check_narrow(d_v, g.d_v, g.v_size, c->keys, a->v_stride, c->d_value, relative);
        /* A second head of the group, that is the same one, after a first. */
        float *k_sums = zeros(c->keys * c->d_key), *v_sums = zeros(c->keys * c->d_value);
        b.d_k = k_sums;
        b.d_v = v_sums;
        b.d_k16 = b.d_v16 = NULL;
        level(l)->attend_bf16_backward(&b, scratch);
        for (size_t s = 0; s < c->keys; s++)
            check_within(v_sums + s * c->d_value, g.d_v + s * a->v_stride, g.v_size + s * a->v_stride,
                         c->d_value, relative, 1e-4);
        b.d_k16 = d_k;
        b.d_v16 = d_v;
        level(l)->attend_bf16_backward(&b, scratch);
        for (size_t s = 0; s < c->keys; s++)
            for (size_t i = 0; i < c->d_key; i++)
                assert_int_equal(d_k[s * a->k_stride + i], at_f32_to_bf16(k_sums[s * c->d_key + i]));
        check_guard_free(k_sums);
        check_guard_free(v_sums);
        check_guard_free(scratch);
    }
    float *all[] = {o, lse, g.d_q, g.d_k, g.d_v, g.q_size, g.k_size, g.v_size};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        check_guard_free(all[i]);
    guard_free(o16);
    guard_free(d_q);
    guard_free(d_k);
    guard_free(d_v);
    free_numbers(&n);
}

/* Mixed training: all in fp32 is rounded where it is multiplied. Numbers that bf16 can hold, with dropout,
 * against the reference: weights and slopes are off by 2^-8 of themselves, which is far less than 1 in 50
 * of the largest gradient. What was in the gradients stays. */
static void mixed_training_takes_dropout_too(void **state)
{
    (void)state;
    static const one cases[] = {{.queries = 1, .keys = 9, .d_key = 8, .d_value = 8},
                                {.queries = 33, .keys = 31, .d_key = 32, .d_value = 16, .stride = 3},
                                {.queries = 150, .keys = 140, .d_key = 20, .d_value = 33, .causal = true}};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const one *c = &cases[i / 2];
        numbers n = make_numbers(c);
        at_attend a = n.a, b;
        size_t nq = c->queries * a.q_stride, nk = c->keys * a.k_stride, nv = c->keys * a.v_stride,
               no = c->queries * c->d_value;
        float *o = zeros(no), *lse = zeros(c->queries), *d_q = zeros(nq), *d_k = zeros(nk), *d_v = zeros(nv),
              *got_o = zeros(no), *got_lse = zeros(c->queries), *got_q = zeros(nq), *got_k = zeros(nk),
              *got_v = zeros(nv),
              *scratch =
                  check_guarded(at_kernels_ref.attend_scratch(c->queries, c->keys, c->d_key, c->d_value));
        a.drop_rate = i % 2 ? 0.3f : 0;
        a.q = n.q_wide;
        a.k = n.k_wide;
        a.v = n.v_wide;
        a.d_o = n.d_o_wide;
        b = a;
        a.o = o;
        a.lse = lse;
        a.d_q = d_q;
        a.d_k = d_k;
        a.d_v = d_v;
        b.o = got_o;
        b.lse = got_lse;
        b.d_q = got_q;
        b.d_k = got_k;
        b.d_v = got_v;
        for (size_t j = 0; j < nk; j++)
            d_k[j] = 1;
        at_kernels_ref.attend(&a, scratch);
        at_kernels_ref.attend_backward(&a, scratch);
        check_guard_free(scratch);
        for (size_t l = 0; l < level_count(); l++) {
            if (!level(l)->dots)
                continue;
            size_t forward = level(l)->attend_bf16_scratch(c->queries, c->keys, c->d_key, c->d_value),
                   backward =
                       level(l)->attend_bf16_backward_scratch(c->queries, c->keys, c->d_key, c->d_value);
            scratch = check_guarded(forward > backward ? forward : backward);
            memset(got_q, 0, nq * sizeof *got_q);
            memset(got_v, 0, nv * sizeof *got_v);
            for (size_t j = 0; j < nk; j++)
                got_k[j] = 1;
            level(l)->attend_bf16(&b, scratch);
            level(l)->attend_bf16_backward(&b, scratch);
            check_near(got_o, o, no, 0.02);
            check_near(got_lse, lse, c->queries, 2e-5);
            check_near(got_q, d_q, nq, 0.02);
            check_near(got_k, d_k, nk, 0.02);
            check_near(got_v, d_v, nv, 0.02);
            check_guard_free(scratch);
        }
        float *all[] = {o, lse, d_q, d_k, d_v, got_o, got_lse, got_q, got_k, got_v};
        for (size_t j = 0; j < sizeof all / sizeof *all; j++)
            check_guard_free(all[j]);
        free_numbers(&n);
    }
}

static void gradients_in_bf16_of_all_shapes(void **state)
{
    (void)state;
    static const size_t queries[] = {0, 1, 2, 13, 32, 75, 230}, keys[] = {1, 7, 16, 33, 128, 129, 300},
                        widths[] = {1, 7, 8, 16, 33, 64, 72};
    size_t n = 0;
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        for (size_t j = 0; j < sizeof keys / sizeof *keys; j++, n++) {
            one c = {.queries = queries[i], .keys = keys[j], .d_key = widths[n % 7], .stride = n % 4};
            c.d_value = widths[(n + n / 7) % 7];
            c.causal = n % 2;
            c.past = c.causal ? (int64_t)keys[j] - (int64_t)queries[i] : 0;
            c.window = n % 5 == 0 ? 6 : 0;
            c.biased = n % 3 == 1;
            c.softcap = n % 4 == 0 ? 2 : 0;
            compare_backward(&c);
        }
}

/* Queries [t0, t0+count) alone give what they give among all. */
static void no_bit_depends_on_the_company(void **state)
{
    (void)state;
    one c = {.queries = 201, .keys = 280, .d_key = 40, .d_value = 24, .causal = true, .past = 79};
    numbers n = make_numbers(&c);
    at_bf16 *o = narrow_block(c.queries * c.d_value), *part = narrow_block(c.queries * c.d_value);
    for (size_t l = 0; l < level_count(); l++) {
        float *scratch =
            check_guarded(level(l)->attend_bf16_scratch(c.queries, c.keys, c.d_key, c.d_value) + 1);
        at_attend a = n.a;
        a.q16 = n.q;
        a.k16 = n.k;
        a.v16 = n.v;
        a.o16 = o;
        level(l)->attend_bf16(&a, scratch);
        a.o16 = part;
        for (size_t t0 = 0; t0 + 3 <= c.queries; t0 += 37) {
            a.queries = c.queries - t0 < 21 ? c.queries - t0 : 3 + t0 % 19;
            a.q16 = n.q + t0 * a.q_stride;
            a.past = c.past + (int64_t)t0;
            level(l)->attend_bf16(&a, scratch);
            check_same_bits(part, o + t0 * a.o_stride, a.queries * a.o_stride * sizeof *o);
        }
        check_guard_free(scratch);
    }
    guard_free(o);
    guard_free(part);
    free_numbers(&n);
}

/* A value that is not a number reaches those that see it, in its column; a query, all of its row. */
static void what_is_not_a_number_comes_through(void **state)
{
    (void)state;
    one c = {.queries = 20, .keys = 20, .d_key = 16, .d_value = 16, .causal = true};
    numbers n = make_numbers(&c);
    n.v[10 * c.d_value + 3] = 0x7FC0;
    n.q[5 * c.d_key + 7] = 0x7FC0;
    at_bf16 *o = narrow_block(c.queries * c.d_value);
    for (size_t l = 0; l < level_count(); l++) {
        float *scratch =
            check_guarded(level(l)->attend_bf16_scratch(c.queries, c.keys, c.d_key, c.d_value) + 1);
        at_attend a = n.a;
        a.q16 = n.q;
        a.k16 = n.k;
        a.v16 = n.v;
        a.o16 = o;
        level(l)->attend_bf16(&a, scratch);
        for (size_t j = 0; j < c.d_value; j++) {
            assert_true(isnan(at_bf16_to_f32(o[5 * c.d_value + j])));
            assert_false(isnan(at_bf16_to_f32(o[3 * c.d_value + j])) && j != 3);
            assert_true(isnan(at_bf16_to_f32(o[19 * c.d_value + j])) == (j == 3));
        }
        check_guard_free(scratch);
    }
    guard_free(o);
    free_numbers(&n);
}

/* Two sequences, grouped heads, everything in bf16. */
enum {
    B = 2,
    H = 4,
    G = 2,
    K = 8,
    W = 12,
    ROWS = 75,
    NQ = ROWS * H * K,
    NK = ROWS * G * K,
    NV = ROWS * G * W,
    NO = ROWS * H * W
};
static const int32_t offsets[] = {0, 5, ROWS};
static const at_attend_spec spec = {
    .heads = H, .groups = G, .causal = true, .queries = {B, offsets, NULL}, .keys = {B, offsets, NULL}};

typedef struct whole {
    at_bf16 *q, *k, *v, *d_o, *o, *d_q, *d_k, *d_v;
    float *lse;
} whole;

static void free_whole(whole *w)
{
    at_bf16 *all[] = {w->q, w->k, w->v, w->d_o, w->o, w->d_q, w->d_k, w->d_v};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        guard_free(all[i]);
    check_guard_free(w->lse);
}

/* The same inputs each time. */
static whole run_whole(int threads)
{
    at_rng again = at_rng_make(check_rng_seed(), AT_RNG_TEST), before = rng;
    rng = again;
    whole w = {narrow_block(NQ), narrow_block(NK), narrow_block(NV), narrow_block(NO),       narrow_block(NO),
               narrow_block(NQ), narrow_block(NK), narrow_block(NV), check_guarded(ROWS * H)};
    rng = before;
    at_exec *exec;
    check_ok(at_exec_new(NULL, threads, &exec));
    at_attention_bf16 a = {.key_width = K,
                           .value_width = W,
                           .q = w.q,
                           .k = w.k,
                           .v = w.v,
                           .o = w.o,
                           .lse = w.lse,
                           .d_o = w.d_o,
                           .d_q = w.d_q,
                           .d_k = w.d_k,
                           .d_v = w.d_v};
    check_ok(at_attend_bf16(exec, &spec, &a));
    check_ok(at_attend_bf16_backward(exec, &spec, &a));
    at_exec_free(exec);
    return w;
}

static void no_bit_depends_on_the_threads(void **state)
{
    (void)state;
    static const int threads[] = {2, 3, 8};
    whole single = run_whole(1);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        whole many = run_whole(threads[i]);
        check_same_bits(single.o, many.o, NO * sizeof *single.o);
        check_same_bits(single.d_q, many.d_q, NQ * sizeof *single.o);
        check_same_bits(single.d_k, many.d_k, NK * sizeof *single.o);
        check_same_bits(single.d_v, many.d_v, NV * sizeof *single.o);
        free_whole(&many);
    }
    free_whole(&single);
}

static void near_wide(const at_bf16 *narrow, const float *want, size_t n, double tolerance)
{
    float *got = widened(narrow, n);
    check_near(got, want, n, tolerance);
    check_guard_free(got);
}

/* Against fp32 on the tape with the reference's kernels: one rounding apart. */
static void all_in_bf16_forward_and_backward(void **state)
{
    (void)state;
    whole w = run_whole(2);
    at_exec *exec;
    at_tape *tape;
    check_ok(at_exec_new("ref", 1, &exec));
    check_ok(at_tape_new(exec, &tape));
    float *q = widened(w.q, NQ), *k = widened(w.k, NK), *v = widened(w.v, NV), *d_o = widened(w.d_o, NO);
    float *d_q = check_guarded(NQ), *d_k = check_guarded(NK), *d_v = check_guarded(NV);
    memset(d_q, 0, NQ * sizeof *d_q);
    memset(d_k, 0, NK * sizeof *d_k);
    memset(d_v, 0, NV * sizeof *d_v);
    at_tape_begin(tape, AT_TAPE_CHECK, 0, 0);
    at_var *out = at_attention(tape, at_leaf(tape, at_shape2(ROWS, H * K), q, d_q),
                               at_leaf(tape, at_shape2(ROWS, G * K), k, d_k),
                               at_leaf(tape, at_shape2(ROWS, G * W), v, d_v), &spec);
    assert_non_null(out);
    /* Half a unit of 8 bits, of numbers up to 2; with dot products the weights are rounded too. */
    near_wide(w.o, out->data, NO, level(0)->dots ? 0x1p-7 : 0x1p-8);
    at_var *weighted = at_mul(tape, out, at_leaf(tape, at_shape2(ROWS, H * W), d_o, NULL));
    check_ok(at_tape_backward(tape, at_sum(tape, weighted)));
    near_wide(w.d_q, d_q, NQ, 0.03); /* the output that the backward reads is rounded too */
    near_wide(w.d_k, d_k, NK, 0.03);
    near_wide(w.d_v, d_v, NV, 0.03);
    float *all[] = {q, k, v, d_o, d_q, d_k, d_v};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        check_guard_free(all[i]);
    free_whole(&w);
    at_tape_free(tape);
    at_exec_free(exec);
}

int main(void)
{
    rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_in_bf16_of_all_shapes),
        cmocka_unit_test(gradients_in_bf16_of_all_shapes),
        cmocka_unit_test(mixed_training_takes_dropout_too),
        cmocka_unit_test(no_bit_depends_on_the_company),
        cmocka_unit_test(what_is_not_a_number_comes_through),
        cmocka_unit_test(no_bit_depends_on_the_threads),
        cmocka_unit_test(all_in_bf16_forward_and_backward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
