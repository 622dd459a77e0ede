/* Attention whose keys and values are in bf16, against the reference in double of the same numbers: kernels with
 * few and many queries, and the whole in bf16 forward and backward. */
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

/* Two sequences, grouped heads, everything in bf16; one rounding of each number beside fp32 on the tape. */
static void all_in_bf16_forward_and_backward(void **state)
{
    (void)state;
    enum { B = 2, H = 4, G = 2, K = 8, W = 12, ROWS = 75 };
    static const int32_t offsets[] = {0, 5, ROWS};
    static const int threads[] = {1, 3};
    at_attend_spec spec = {
        .heads = H, .groups = G, .causal = true, .queries = {B, offsets, NULL}, .keys = {B, offsets, NULL}};
    at_bf16 *q = narrow_block(ROWS * H * K), *k = narrow_block(ROWS * G * K), *v = narrow_block(ROWS * G * W),
            *d_o = narrow_block(ROWS * H * W), *o[2], *d_q[2], *d_k[2], *d_v[2];
    float *lse = check_guarded(ROWS * H);
    for (size_t i = 0; i < 2; i++) {
        o[i] = narrow_block(ROWS * H * W);
        d_q[i] = narrow_block(ROWS * H * K);
        d_k[i] = narrow_block(ROWS * G * K);
        d_v[i] = narrow_block(ROWS * G * W);
        at_exec *exec;
        check_ok(at_exec_new(NULL, threads[i], &exec));
        at_attention_bf16 a = {.key_width = K,
                               .value_width = W,
                               .q = q,
                               .k = k,
                               .v = v,
                               .o = o[i],
                               .lse = lse,
                               .d_o = d_o,
                               .d_q = d_q[i],
                               .d_k = d_k[i],
                               .d_v = d_v[i]};
        check_ok(at_attend_bf16(exec, &spec, &a));
        check_ok(at_attend_bf16_backward(exec, &spec, &a));
        at_exec_free(exec);
    }
    check_same_bits(o[0], o[1], ROWS * H * W * sizeof **o);
    check_same_bits(d_q[0], d_q[1], ROWS * H * K * sizeof **o);
    check_same_bits(d_k[0], d_k[1], ROWS * G * K * sizeof **o);
    check_same_bits(d_v[0], d_v[1], ROWS * G * W * sizeof **o);

    at_exec *exec;
    at_tape *tape;
    check_ok(at_exec_new("ref", 1, &exec));
    check_ok(at_tape_new(exec, &tape));
    float *wide[] = {widened(q, ROWS * H * K), widened(k, ROWS * G * K), widened(v, ROWS * G * W),
                     widened(d_o, ROWS * H * W)};
    float *grads[] = {check_guarded(ROWS * H * K), check_guarded(ROWS * G * K), check_guarded(ROWS * G * W)};
    memset(grads[0], 0, ROWS * H * K * sizeof(float));
    memset(grads[1], 0, ROWS * G * K * sizeof(float));
    memset(grads[2], 0, ROWS * G * W * sizeof(float));
    at_tape_begin(tape, AT_TAPE_CHECK, 0, 0);
    at_var *out = at_attention(tape, at_leaf(tape, at_shape2(ROWS, H * K), wide[0], grads[0]),
                               at_leaf(tape, at_shape2(ROWS, G * K), wide[1], grads[1]),
                               at_leaf(tape, at_shape2(ROWS, G * W), wide[2], grads[2]), &spec);
    assert_non_null(out);
    float *got = widened(o[0], ROWS * H * W);
    check_near(got, out->data, ROWS * H * W, 0x1p-8); /* half a unit of 8 bits, of numbers up to 2 */
    check_guard_free(got);
    check_ok(at_tape_backward(
        tape, at_sum(tape, at_mul(tape, out, at_leaf(tape, at_shape2(ROWS, H * W), wide[3], NULL)))));
    at_bf16 *narrow[] = {d_q[0], d_k[0], d_v[0]};
    static const size_t sizes[] = {ROWS * H * K, ROWS * G * K, ROWS * G * W};
    for (size_t i = 0; i < 3; i++) {
        got = widened(narrow[i], sizes[i]);
        check_near(got, grads[i], sizes[i], 0.03); /* the output that the backward reads is rounded too */
        check_guard_free(got);
        check_guard_free(grads[i]);
    }
    for (size_t i = 0; i < 4; i++)
        check_guard_free(wide[i]);
    for (size_t i = 0; i < 2; i++) {
        guard_free(o[i]);
        guard_free(d_q[i]);
        guard_free(d_k[i]);
        guard_free(d_v[i]);
    }
    guard_free(q);
    guard_free(k);
    guard_free(v);
    guard_free(d_o);
    check_guard_free(lse);
    at_tape_free(tape);
    at_exec_free(exec);
}

int main(void)
{
    rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_in_bf16_of_all_shapes),
        cmocka_unit_test(all_in_bf16_forward_and_backward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
