/* The product of every set of kernels that this CPU can run, against sums in double precision. */
#include "tests/check.h"
#include <math.h>
#include <string.h>
#include "base/rng.h"
#include "kernel/exec.h"

/* Entries are below 1, sums at most 600 long: each of its roundings is at most 2^-24 of a partial sum of
 * about 15, and they go either way. A wrong or missing product would show at 1e-2. */
static const double tolerance = 4e-5;

/* One case: everything a product reads and writes, behind guard bytes. */
typedef struct problem {
    size_t m, n, k, c_row;
    bool transposed, accumulate, with_bias, with_before, with_residual;
    at_activation activation;
    float *a, *b, *c, *bias, *before, *residual, *start;
    float *want, *want_before;
} problem;

static at_rng rng;

static float *filled(size_t n)
{
    float *x = check_guarded(n);
    for (size_t i = 0; i < n; i++)
        x[i] = 2 * at_rng_uniform(&rng) - 1;
    return x;
}

/* Without guards, so that the address sanitizer sees a read behind the last element. */
static float *filled_exactly(size_t n)
{
    float *x = malloc(n ? n * sizeof *x : 1);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = 2 * at_rng_uniform(&rng) - 1;
    return x;
}

static double activated(double x, at_activation f)
{
    switch (f) {
    case AT_RELU:
        return x > 0 ? x : 0;
    case AT_GELU:
        return 0.5 * x * (1 + erf(x / sqrt(2)));
    case AT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    case AT_SILU:
        return x / (1 + exp(-x));
    case AT_TANH:
        return tanh(x);
    case AT_SIGMOID:
        return 1 / (1 + exp(-x));
    case AT_LINEAR:
        break;
    }
    return x;
}

static void expect(problem *p)
{
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            size_t at = i * p->c_row + j;
            double sum = p->accumulate ? p->start[at] : 0;
            for (size_t l = 0; l < p->k; l++)
                sum += (double)p->a[p->transposed ? l * p->m + i : i * p->k + l] * p->b[l * p->n + j];
            if (p->with_bias)
                sum += p->bias[j];
            p->want_before[at] = (float)sum;
            p->want[at] = (float)(activated(sum, p->activation) + (p->with_residual ? p->residual[at] : 0));
        }
}

static void make(problem *p)
{
    size_t size = p->m * p->c_row;
    p->a = filled_exactly(p->m * p->k);
    p->b = filled_exactly(p->k * p->n);
    p->bias = filled(p->n);
    p->residual = filled(size);
    p->start = filled(size);
    p->c = check_guarded(size);
    p->before = check_guarded(size);
    p->want = check_guarded(size);
    p->want_before = check_guarded(size);
    memcpy(p->want, p->start, size * sizeof(float));
    memcpy(p->want_before, p->start, size * sizeof(float));
    expect(p);
}

static void drop(problem *p)
{
    free(p->a);
    free(p->b);
    float *all[] = {p->bias, p->residual, p->start, p->c, p->before, p->want, p->want_before};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        check_guard_free(all[i]);
}

static at_gemm product_of(const problem *p)
{
    return (at_gemm){.a = p->a,
                     .a_row = p->transposed ? 1 : p->k,
                     .a_col = p->transposed ? p->m : 1,
                     .c = p->c,
                     .c_row = p->c_row,
                     .m = p->m,
                     .n = p->n,
                     .k = p->k,
                     .accumulate = p->accumulate,
                     .bias = p->with_bias ? p->bias : NULL,
                     .activation = p->activation,
                     .before = p->with_before ? p->before : NULL,
                     .residual = p->with_residual ? p->residual : NULL};
}

/* What lies between the columns of C must stay, so whole rows are compared. */
static void compare(const problem *p)
{
    size_t size = p->m * p->c_row;
    check_near(p->c, p->want, size, tolerance);
    check_near(p->before, p->with_before ? p->want_before : p->start, size, tolerance);
    check_guard(p->c);
    check_guard(p->before);
}

static void run(const problem *p, const at_kernels *kernels)
{
    size_t size = p->m * p->c_row, panels = (p->n + kernels->panel - 1) / kernels->panel;
    float *packed = check_guarded(panels * kernels->panel * p->k);
    kernels->pack(packed, p->b, p->n, 1, p->k, p->n, 0, panels);
    check_guard(packed);
    at_gemm g = product_of(p);
    g.b = packed;
    g.b_row = kernels->panel;
    g.b_panel = p->k * kernels->panel;
    memcpy(p->c, p->start, size * sizeof(float));
    memcpy(p->before, p->start, size * sizeof(float));
    kernels->gemm(&g, 0, p->m, 0, p->n);
    compare(p);

    float *first = check_guarded(size);
    memcpy(first, p->c, size * sizeof(float));
    g.b = p->b;
    g.b_row = p->n;
    g.b_panel = kernels->panel;
    memcpy(p->c, p->start, size * sizeof(float));
    kernels->gemm(&g, 0, p->m, 0, p->n);
    compare(p);
    check_same_bits(p->c, first, size * sizeof(float));
    check_guard_free(first);
    check_guard_free(packed);
}

static void run_all(problem *p)
{
    make(p);
    const at_kernels *const *list;
    size_t count = at_kernels_usable(&list);
    for (size_t i = 0; i < count; i++)
        run(p, list[i]);
    drop(p);
}

static void products_of_all_edge_sizes(void **state)
{
    (void)state;
    static const size_t ms[] = {0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 14, 15, 29, 43};
    static const size_t ns[] = {0, 1, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 65, 97, 130};
    static const size_t ks[] = {0, 1, 2, 31, 33};
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
        for (size_t j = 0; j < sizeof ns / sizeof *ns; j++)
            for (size_t l = 0; l < sizeof ks / sizeof *ks; l++) {
                problem p = {.m = ms[i], .n = ns[j], .k = ks[l], .c_row = ns[j] + (i + j) % 3};
                p.transposed = (i + l) % 2;
                p.accumulate = (j + l) % 2;
                run_all(&p);
            }
}

static void products_longer_than_a_block(void **state)
{
    (void)state;
    static const size_t ks[] = {255, 256, 257, 511, 512, 600};
    static const size_t ms[] = {1, 3, 8, 31};
    for (size_t l = 0; l < sizeof ks / sizeof *ks; l++)
        for (size_t i = 0; i < sizeof ms / sizeof *ms; i++) {
            problem p = {
                .m = ms[i], .n = 50, .k = ks[l], .c_row = 53, .transposed = i % 2, .accumulate = l % 2};
            p.with_bias = p.with_before = p.with_residual = true;
            p.activation = i % 2 ? AT_RELU : AT_LINEAR;
            run_all(&p);
        }
}

static void epilogues(void **state)
{
    (void)state;
    for (int f = AT_LINEAR; f <= AT_SIGMOID; f++)
        for (unsigned flags = 0; flags < 16; flags++) {
            problem p = {.m = flags & 1 ? 17 : 2, .n = 45, .k = 20, .c_row = 47};
            p.activation = (at_activation)f;
            p.with_bias = flags & 2;
            p.with_before = flags & 4;
            p.with_residual = flags & 8;
            p.accumulate = flags & 1;
            run_all(&p);
        }
}

/* Panels of a transposed matrix are those of the matrix itself, and padded with zeros. */
static void packing(void **state)
{
    (void)state;
    enum { K = 37, N = 75 };
    float *b = filled(K * N), *turned = check_guarded(K * N);
    for (size_t l = 0; l < K; l++)
        for (size_t j = 0; j < N; j++)
            turned[j * K + l] = b[l * N + j];
    const at_kernels *const *list;
    size_t count = at_kernels_usable(&list);
    for (size_t i = 0; i < count; i++) {
        size_t panel = list[i]->panel, panels = (N + panel - 1) / panel, size = panels * panel * K;
        float *straight = check_guarded(size), *across = check_guarded(size), *want = check_guarded(size);
        for (size_t x = 0; x < size; x++) {
            size_t l = x / panel % K, j = x / (panel * K) * panel + x % panel;
            want[x] = j < N ? b[l * N + j] : 0;
        }
        list[i]->pack(straight, b, N, 1, K, N, 0, panels);
        list[i]->pack(across, turned, 1, K, K, N, 0, 1);
        list[i]->pack(across, turned, 1, K, K, N, 1, panels);
        check_same_bits(straight, want, size * sizeof(float));
        check_same_bits(across, want, size * sizeof(float));
        check_guard_free(straight);
        check_guard_free(across);
        check_guard_free(want);
    }
    check_guard_free(b);
    check_guard_free(turned);
}

/* A NaN or an infinity spoils its own row or column, also where the other factor is zero, and nothing
 * else. */
static void nan_and_infinity_come_through(void **state)
{
    (void)state;
    enum { M = 19, N = 40, K = 12 };
    const at_kernels *const *list;
    size_t count = at_kernels_usable(&list);
    for (size_t s = 0; s < count; s++) {
        float a[M * K] = {0}, b[K * N] = {0}, c[M * N];
        a[3 * K + 5] = NAN;
        b[7 * N + 35] = INFINITY;
        at_gemm g = {.a = a,
                     .a_row = K,
                     .a_col = 1,
                     .b = b,
                     .b_row = N,
                     .b_panel = list[s]->panel,
                     .c = c,
                     .c_row = N,
                     .m = M,
                     .n = N,
                     .k = K,
                     .activation = AT_RELU};
        list[s]->gemm(&g, 0, M, 0, N);
        for (size_t i = 0; i < M; i++)
            for (size_t j = 0; j < N; j++)
                assert_true(i == 3 || j == 35 ? isnan(c[i * N + j]) : c[i * N + j] == 0);
    }
}

/* The bits of a product in `exec`; both ways of holding B must agree. */
static void product_in(at_exec *exec, const problem *p, float *c)
{
    at_gemm g = product_of(p);
    g.c = c;
    float *packed = check_guarded(at_packed_size(exec, p->k, p->n));
    at_exec_pack(exec, packed, p->b, p->n, 1, p->k, p->n);
    at_gemm_packed(exec, &g, packed);
    memcpy(c, p->start, p->m * p->c_row * sizeof *c);
    at_exec_gemm(exec, &g);
    check_guard_free(packed);
    float *again = check_guarded(p->m * p->c_row);
    memcpy(again, p->start, p->m * p->c_row * sizeof *c);
    g.c = again;
    at_gemm_plain(exec, &g, p->b, p->n);
    at_exec_gemm(exec, &g);
    check_same_bits(c, again, p->m * p->c_row * sizeof *c);
    check_guard_free(again);
}

static void bits_depend_on_no_number_of_threads(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8, 16};
    static const struct {
        size_t m, n, k;
        bool transposed;
    } shapes[] = {{333, 170, 70, false},
                  {70, 1000, 64, false},
                  {130, 96, 700, true},
                  {5, 2000, 64, false},
                  {1, 4000, 33, false}};
    const at_kernels *const *list;
    size_t count = at_kernels_usable(&list);
    for (size_t x = 0; x < sizeof shapes / sizeof *shapes; x++) {
        problem p = {.m = shapes[x].m,
                     .n = shapes[x].n,
                     .k = shapes[x].k,
                     .c_row = shapes[x].n,
                     .transposed = shapes[x].transposed,
                     .accumulate = true};
        make(&p);
        for (size_t s = 0; s < count; s++) {
            float *c = check_guarded(p.m * p.c_row);
            for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
                at_exec *exec;
                check_ok(at_exec_new(list[s]->name, threads[t], &exec));
                product_in(exec, &p, t ? c : p.c);
                if (t)
                    check_same_bits(c, p.c, p.m * p.c_row * sizeof *c);
                at_exec_free(exec);
            }
            check_near(c, p.want, p.m * p.c_row, tolerance);
            check_guard_free(c);
        }
        drop(&p);
    }
}

static void a_row_has_the_same_bits_alone_and_among_others(void **state)
{
    (void)state;
    enum { M = 61, N = 150, K = 300 };
    problem p = {.m = M, .n = N, .k = K, .c_row = N, .with_bias = true, .activation = AT_GELU};
    make(&p);
    const at_kernels *const *list;
    size_t count = at_kernels_usable(&list);
    for (size_t s = 0; s < count; s++) {
        float *alone = check_guarded(M * N);
        at_gemm g = product_of(&p);
        g.b = p.b;
        g.b_row = N;
        g.b_panel = list[s]->panel;
        list[s]->gemm(&g, 0, M, 0, N);
        for (size_t group = 1; group <= 17; group++) {
            g.c = alone;
            for (size_t i = 0; i < M; i += group)
                for (size_t j = 0; j < N; j += 64)
                    list[s]->gemm(&g, i, i + group < M ? i + group : M, j, j + 64 < N ? j + 64 : N);
            check_same_bits(alone, p.c, M * N * sizeof(float));
        }
        check_guard_free(alone);
    }
    drop(&p);
}

int main(void)
{
    rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_all_edge_sizes),
        cmocka_unit_test(products_longer_than_a_block),
        cmocka_unit_test(epilogues),
        cmocka_unit_test(packing),
        cmocka_unit_test(nan_and_infinity_come_through),
        cmocka_unit_test(bits_depend_on_no_number_of_threads),
        cmocka_unit_test(a_row_has_the_same_bits_alone_and_among_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
