/* Attention whose keys and values are in bf16, against the reference of the same numbers: kernels with few
 * and many queries, and the whole in bf16 forward and backward. */
#include "attention/attend.h"
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
    bool causal, biased, shuffled;
    int64_t past, window;
    float softcap;
} one;

/* Every level against fp32 attention of the reference on the widened numbers, whose sums are in double. */
static void compare(const one *c)
{
    size_t k_stride = c->d_key + c->stride, v_stride = c->d_value + c->stride;
    float *q = random_block(&rng, c->queries * c->d_key, 1),
          *bias = random_block(&rng, c->queries * c->keys, 1), *o = check_guarded(c->queries * c->d_value),
          *want = check_guarded(c->queries * c->d_value), *lse = check_guarded(c->queries),
          *want_lse = check_guarded(c->queries);
    at_bf16 *k = narrow_block(c->keys * k_stride), *v = narrow_block(c->keys * v_stride);
    float *k_wide = widened(k, c->keys * k_stride), *v_wide = widened(v, c->keys * v_stride);
    int32_t *rows = malloc((c->keys + 1) * sizeof *rows);
    assert_non_null(rows);
    for (size_t s = 0; s < c->keys; s++)
        rows[s] = (int32_t)(c->keys - 1 - s);
    for (size_t s = 0; s < c->queries * c->keys; s += 3)
        bias[s] = -INFINITY;
    at_attend a = {.q = q,
                   .q_stride = c->d_key,
                   .k_stride = k_stride,
                   .v_stride = v_stride,
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
                   .rows = c->shuffled ? rows : NULL,
                   .bias = c->biased ? bias : NULL,
                   .bias_stride = c->keys};
    at_attend wide = a;
    wide.k = k_wide;
    wide.v = v_wide;
    wide.o = want;
    wide.lse = want_lse;
    a.k16 = k;
    a.v16 = v;
    a.o = o;
    a.lse = lse;
    float *scratch = check_guarded(at_kernels_ref.attend_scratch(c->queries, c->keys, c->d_key, c->d_value));
    at_kernels_ref.attend(&wide, scratch);
    check_guard_free(scratch);
    for (size_t l = 0; l < level_count(); l++) {
        scratch = check_guarded(level(l)->attend_bf16_scratch(c->queries, c->keys, c->d_key, c->d_value) + 1);
        level(l)->attend_bf16(&a, scratch);
        check_near(o, want, c->queries * c->d_value, 2e-5);
        check_near(lse, want_lse, c->queries, 2e-5);
        check_guard(o);
        check_guard(lse);
        check_guard_free(scratch);
    }
    free(rows);
    float *all[] = {q, bias, o, want, lse, want_lse, k_wide, v_wide};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        check_guard_free(all[i]);
    guard_free(k);
    guard_free(v);
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
                compare(&c);
            }
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
    whole single = run_whole(1), three = run_whole(3);
    check_same_bits(single.o, three.o, NO * sizeof *single.o);
    check_same_bits(single.d_q, three.d_q, NQ * sizeof *single.o);
    check_same_bits(single.d_k, three.d_k, NK * sizeof *single.o);
    check_same_bits(single.d_v, three.d_v, NV * sizeof *single.o);
    free_whole(&single);
    free_whole(&three);
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
    near_wide(w.o, out->data, NO, 0x1p-8); /* half a unit of 8 bits, of numbers up to 2 */
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
        cmocka_unit_test(no_bit_depends_on_the_threads),
        cmocka_unit_test(all_in_bf16_forward_and_backward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
