/* bf16 as a way to store numbers: rounding, packing, and products that must give the bits of fp32 products of
 * the widened numbers, for every set of kernels that this CPU can run. Sets with dot products of bf16 round A
 * too, and add in an order of their own: of them each row must have the bits that it gets alone. */
#include "tests/kernel/levels.h"

static at_rng rng;

static at_bf16 *narrow_block(size_t n)
{
    at_bf16 *x = (at_bf16 *)(void *)check_guarded((n + 1) / 2);
    for (size_t i = 0; i < n; i++)
        x[i] = at_f32_to_bf16(2 * at_rng_uniform(&rng) - 1);
    return x;
}

static void guard_free(at_bf16 *x)
{
    check_guard_free((float *)(void *)x);
}

static float of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Every upper half, with lower halves about the tie: nearest by the distances in double, ties to the even one
 * of both neighbours. */
static void rounding_is_to_the_nearest_even(void **state)
{
    (void)state;
    static const uint32_t low[] = {0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF};
    enum { LOW = sizeof low / sizeof *low };
    float x[LOW], back[LOW];
    at_bf16 y[LOW];
    for (size_t l = 0; l < level_count(); l++)
        for (uint32_t high = 0; high < 0x10000; high++) {
            for (size_t i = 0; i < LOW; i++)
                x[i] = of_bits(high << 16 | low[i]);
            level(l)->narrow(y, x, LOW);
            level(l)->round_bf16(back, x, LOW);
            for (size_t i = 0; i < LOW; i++) {
                float got = of_bits((uint32_t)y[i] << 16);
                assert_memory_equal(&back[i], &got, sizeof got);
                if (isnan(x[i])) {
                    assert_true(isnan(got) && !signbit(got) == !signbit(x[i]));
                    continue;
                }
                assert_int_equal(y[i], at_f32_to_bf16(x[i]));
                uint32_t up = high + (low[i] > 0x8000 || (low[i] == 0x8000 && high % 2));
                assert_int_equal(y[i], up); /* past the largest: infinity; below the least: a denormal */
            }
        }
}

static void rows_of_any_length(void **state)
{
    (void)state;
    for (size_t l = 0; l < level_count(); l++)
        for (size_t s = 0; s < EDGE_SIZES; s++) {
            size_t n = edge_sizes[s];
            float *x = random_block(&rng, n, 3), *wide = check_guarded(n), *there_and_back = check_guarded(n);
            at_bf16 *y = narrow_block(n);
            level(l)->narrow(y, x, n);
            level(l)->widen(wide, y, n);
            level(l)->round_bf16(there_and_back, x, n);
            for (size_t i = 0; i < n; i++)
                assert_true(wide[i] == at_bf16_to_f32(at_f32_to_bf16(x[i])));
            check_same_bits(there_and_back, wide, n * sizeof *wide);
            guard_free(y);
            check_guard_free(x);
            check_guard_free(wide);
            check_guard_free(there_and_back);
        }
}

/* B in bf16, row-major (k,n), its numbers widened, and its panels. */
typedef struct matrix {
    size_t k, n, panels;
    at_bf16 *plain, *packed;
    float *wide, *wide_packed;
} matrix;

static matrix make_matrix(const at_kernels *kernels, size_t k, size_t n)
{
    matrix b = {.k = k, .n = n, .panels = (n + kernels->panel - 1) / kernels->panel};
    b.plain = narrow_block(k * n);
    b.wide = check_guarded(k * n);
    kernels->widen(b.wide, b.plain, k * n);
    b.packed = narrow_block(b.panels * at_bf16_panel(kernels->panel, k));
    b.wide_packed = check_guarded(b.panels * kernels->panel * k);
    kernels->pack_bf16(b.packed, b.plain, n, 1, k, n, 0, b.panels);
    kernels->pack(b.wide_packed, b.wide, n, 1, k, n, 0, b.panels);
    return b;
}

static void free_matrix(matrix *b)
{
    guard_free(b->plain);
    guard_free(b->packed);
    check_guard_free(b->wide);
    check_guard_free(b->wide_packed);
}

static void panels_hold_pairs_and_zeros(void **state)
{
    (void)state;
    static const size_t ks[] = {1, 2, 5, 34, 65};
    enum { N = 75 };
    for (size_t l = 0; l < level_count(); l++)
        for (size_t s = 0; s < sizeof ks / sizeof *ks; s++) {
            const at_kernels *kernels = level(l);
            size_t k = ks[s], panel = kernels->panel, size = at_bf16_panel(panel, k);
            matrix b = make_matrix(kernels, k, N);
            at_bf16 *turned = narrow_block(k * N), *across = narrow_block(b.panels * size);
            for (size_t i = 0; i < k; i++)
                for (size_t j = 0; j < N; j++)
                    turned[j * k + i] = b.plain[i * N + j];
            kernels->pack_bf16(across, turned, 1, k, k, N, 0, 1);
            kernels->pack_bf16(across, turned, 1, k, k, N, 1, b.panels);
            check_same_bits(across, b.packed, b.panels * size * sizeof *across);
            at_bf16 *spread = narrow_block(2 * k * N); /* neighbours in neither direction */
            for (size_t i = 0; i < k * N; i++)
                spread[2 * i] = b.plain[i];
            kernels->pack_bf16(across, spread, 2 * N, 2, k, N, 0, b.panels);
            check_same_bits(across, b.packed, b.panels * size * sizeof *across);
            guard_free(spread);
            for (size_t x = 0; x < b.panels * size; x++) {
                size_t i = x % size / (2 * panel) * 2 + x % 2, j = x / size * panel + x / 2 % panel;
                assert_int_equal(across[x], i < k && j < N ? b.plain[i * N + j] : 0);
            }
            guard_free(turned);
            guard_free(across);
            free_matrix(&b);
        }
}

/* Panels of fp32 are those of its numbers rounded. */
static void panels_of_fp32_are_rounded(void **state)
{
    (void)state;
    static const size_t ks[] = {1, 2, 33, 64}, ns[] = {1, 16, 31, 64, 75};
    for (size_t l = 0; l < level_count(); l++)
        for (size_t s = 0; s < sizeof ks / sizeof *ks * (sizeof ns / sizeof *ns); s++) {
            const at_kernels *kernels = level(l);
            size_t k = ks[s % 4], n = ns[s / 4], panels = (n + kernels->panel - 1) / kernels->panel,
                   count = panels * at_bf16_panel(kernels->panel, k);
            float *b = random_block(&rng, k * n, 2);
            at_bf16 *narrow = narrow_block(k * n), *want = narrow_block(count), *got = narrow_block(count);
            kernels->narrow(narrow, b, k * n);
            kernels->pack_bf16(want, narrow, n, 1, k, n, 0, panels);
            kernels->pack_narrow(got, b, n, k, n, 0, 1);
            kernels->pack_narrow(got, b, n, k, n, 1, panels);
            check_same_bits(got, want, count * sizeof *got);
            guard_free(narrow);
            guard_free(want);
            guard_free(got);
            check_guard_free(b);
        }
}

/* A transposed, and with neighbours in neither direction: the bits of the same A as it lies. */
static void compare_transposed(const at_kernels *kernels, const at_gemm *g, const float *start)
{
    float *turned = check_guarded(g->m * g->k), *spread = check_guarded(2 * g->m * g->k),
          *c = copy_block(start, g->m * g->n);
    for (size_t i = 0; i < g->m; i++)
        for (size_t l = 0; l < g->k; l++)
            turned[l * g->m + i] = spread[2 * (l * g->m + i)] = g->a[i * g->k + l];
    at_gemm other = *g;
    other.c = c;
    other.a = turned;
    other.a_row = 1;
    other.a_col = g->m;
    kernels->gemm(&other, 0, g->m, 0, g->n);
    check_same_bits(c, g->c, g->m * g->n * sizeof *c);
    memcpy(c, start, g->m * g->n * sizeof *c);
    other.a = spread;
    other.a_row = 2;
    other.a_col = 2 * g->m;
    kernels->gemm(&other, 0, g->m, 0, g->n);
    check_same_bits(c, g->c, g->m * g->n * sizeof *c);
    check_guard_free(turned);
    check_guard_free(spread);
    check_guard_free(c);
}

/* Each row of the product alone, onto what stood there before it: the same bits. */
static void compare_rows(const at_kernels *kernels, const at_gemm *g, const float *start)
{
    float *c = copy_block(start, g->m * g->n);
    at_gemm alone = *g;
    alone.c = c;
    for (size_t i = 0; i < g->m; i++)
        kernels->gemm(&alone, i, i + 1, 0, g->n);
    check_same_bits(c, g->c, g->m * g->n * sizeof *c);
    check_guard_free(c);
}

/* One product both ways, with everything that may follow it, against fp32 and against double. */
static void compare_products(const at_kernels *kernels, size_t m, const matrix *b, bool accumulate)
{
    size_t n = b->n, k = b->k;
    float *a = random_block(&rng, m * k, 1), *bias = random_block(&rng, n, 1),
          *start = random_block(&rng, m * n, 1), *c = copy_block(start, m * n),
          *want = copy_block(start, m * n);
    at_gemm g = {.a = a,
                 .a_row = k,
                 .a_col = 1,
                 .b16 = b->packed,
                 .b_panel = at_bf16_panel(kernels->panel, k),
                 .c = c,
                 .c_row = n,
                 .m = m,
                 .n = n,
                 .k = k,
                 .accumulate = accumulate,
                 .bias = bias};
    kernels->gemm(&g, 0, m, 0, n);
    compare_transposed(kernels, &g, start);
    at_gemm wide = g;
    wide.b16 = NULL;
    wide.b = b->wide_packed;
    wide.b_row = kernels->panel;
    wide.b_panel = k * kernels->panel;
    wide.c = want;
    kernels->gemm(&wide, 0, m, 0, n);
    if (kernels->dots)
        compare_rows(kernels, &g, start);
    else
        check_same_bits(c, want, m * n * sizeof *c);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double from = accumulate ? (double)start[i * n + j] : 0, sum = from + (double)bias[j];
            double size = fabs(from) + fabs((double)bias[j]);
            for (size_t l = 0; l < k; l++) {
                float x = kernels->dots ? at_bf16_to_f32(at_f32_to_bf16(a[i * k + l])) : a[i * k + l];
                sum += (double)x * (double)b->wide[l * n + j];
                size += fabs((double)x * (double)b->wide[l * n + j]);
            }
            /* every step rounds a partial sum no larger than `size` by half a unit */
            assert_true(fabs(c[i * n + j] - sum) <= (double)(k + 2) * 0x1p-24 * size);
        }
    float *all[] = {a, bias, start, c, want};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        check_guard_free(all[i]);
}

static void products_are_those_of_the_widened_numbers(void **state)
{
    (void)state;
    static const size_t ms[] = {1, 2, 3, 4, 5, 6, 7, 13, 30}, ns[] = {1, 15, 16, 33, 64, 70, 130},
                        ks[] = {1, 2, 7, 32, 255, 256, 257, 515};
    for (size_t l = 0; l < level_count(); l++)
        for (size_t j = 0; j < sizeof ns / sizeof *ns; j++)
            for (size_t s = 0; s < sizeof ks / sizeof *ks; s++) {
                matrix b = make_matrix(level(l), ks[s], ns[j]);
                for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
                    if (i < 4 || (i + j + s) % 3 == 0)
                        compare_products(level(l), ms[i], &b, (i + s) % 2);
                free_matrix(&b);
            }
}

/* A weight rounded to bf16 is off by at most 2^-9 of itself: a product by as much of its terms' sizes, twice
 * where A is rounded too. */
static void rounded_weights_stay_within_their_bound(void **state)
{
    (void)state;
    enum { M = 5, N = 40, K = 300 };
    float *a = random_block(&rng, M * K, 1), *b = random_block(&rng, K * N, 1), *c = check_guarded(M * N);
    for (size_t l = 0; l < level_count(); l++) {
        const at_kernels *kernels = level(l);
        size_t panels = (N + kernels->panel - 1) / kernels->panel;
        at_bf16 *narrow = narrow_block(K * N),
                *packed = narrow_block(panels * at_bf16_panel(kernels->panel, K));
        kernels->narrow(narrow, b, K * N);
        kernels->pack_bf16(packed, narrow, N, 1, K, N, 0, panels);
        at_gemm g = {
            .a = a, .a_row = K, .a_col = 1, .b16 = packed, .c = c, .c_row = N, .m = M, .n = N, .k = K};
        g.b_panel = at_bf16_panel(kernels->panel, K);
        kernels->gemm(&g, 0, M, 0, N);
        for (size_t x = 0; x < M * N; x++) {
            double sum = 0, size = 0;
            for (size_t i = 0; i < K; i++) {
                double term = (double)a[x / N * K + i] * (double)b[i * N + x % N];
                sum += term;
                size += fabs(term);
            }
            double rounding = kernels->dots ? 0x1.01p-8 : 0x1p-9;
            assert_true(fabs(c[x] - sum) <= (rounding + K * 0x1p-24) * size);
        }
        guard_free(narrow);
        guard_free(packed);
    }
    check_guard_free(a);
    check_guard_free(b);
    check_guard_free(c);
}

static void nan_and_infinity_come_through(void **state)
{
    (void)state;
    enum { N = 40, K = 11 };
    for (size_t l = 0; l < level_count(); l++)
        for (size_t m = 1; m <= 8; m++) {
            const at_kernels *kernels = level(l);
            matrix b = make_matrix(kernels, K, N);
            memset(b.plain, 0, K * N * sizeof *b.plain);
            b.plain[7 * N + 35] = at_f32_to_bf16(INFINITY);
            b.plain[10 * N + 2] = at_f32_to_bf16(NAN);
            kernels->pack_bf16(b.packed, b.plain, N, 1, K, N, 0, b.panels);
            float a[8 * K] = {0}, c[8 * N];
            at_gemm g = {
                .a = a, .a_row = K, .a_col = 1, .b16 = b.packed, .c = c, .c_row = N, .m = m, .n = N, .k = K};
            g.b_panel = at_bf16_panel(kernels->panel, K);
            kernels->gemm(&g, 0, m, 0, N);
            for (size_t x = 0; x < m * N; x++)
                assert_true(x % N == 35 || x % N == 2 ? isnan(c[x]) : c[x] == 0);
            free_matrix(&b);
        }
}

static void bits_depend_on_no_number_of_threads(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8, 16};
    static const struct {
        size_t m, n, k;
    } shapes[] = {{1, 4000, 65}, {3, 2000, 64}, {140, 500, 300}};
    for (size_t x = 0; x < sizeof shapes / sizeof *shapes; x++)
        for (size_t l = 0; l < level_count(); l++) {
            size_t m = shapes[x].m, n = shapes[x].n, k = shapes[x].k;
            float *a = random_block(&rng, m * k, 1), *want = check_guarded(m * n), *c = check_guarded(m * n);
            matrix b = make_matrix(level(l), k, n);
            for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
                at_exec *exec;
                check_ok(at_exec_new(level(l)->name, threads[t], &exec));
                at_bf16 *packed = narrow_block(at_packed_bf16_size(exec, k, n));
                at_exec_pack_bf16(exec, packed, b.plain, n, 1, k, n);
                check_same_bits(packed, b.packed, at_packed_bf16_size(exec, k, n) * sizeof *packed);
                at_gemm g = {
                    .a = a, .a_row = k, .a_col = 1, .c = t ? c : want, .c_row = n, .m = m, .n = n, .k = k};
                at_gemm_packed_bf16(exec, &g, packed);
                at_exec_gemm(exec, &g);
                if (t)
                    check_same_bits(c, want, m * n * sizeof *c);
                guard_free(packed);
                at_exec_free(exec);
            }
            check_guard_free(a);
            check_guard_free(want);
            check_guard_free(c);
            free_matrix(&b);
        }
}

int main(void)
{
    rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_is_to_the_nearest_even),
        cmocka_unit_test(rows_of_any_length),
        cmocka_unit_test(panels_hold_pairs_and_zeros),
        cmocka_unit_test(panels_of_fp32_are_rounded),
        cmocka_unit_test(products_are_those_of_the_widened_numbers),
        cmocka_unit_test(rounded_weights_stay_within_their_bound),
        cmocka_unit_test(nan_and_infinity_come_through),
        cmocka_unit_test(bits_depend_on_no_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
