#include "tests/kernel/levels.h"

enum { ROWS = 3 };
static const float EPS = 1e-5f;

/* One case: rows of width d about `centre`, and what double arithmetic makes of them. */
typedef struct norm_case {
    size_t d;
    bool centred;
    float *x, *gamma, *beta, *d_out, *mean, *rstd;
} norm_case;

static norm_case case_of(at_rng *rng, size_t d, float centre, bool centred)
{
    norm_case c = {.d = d, .centred = centred};
    c.x = random_block(rng, ROWS * d, 2);
    for (size_t i = 0; i < ROWS * d; i++)
        c.x[i] += centre;
    c.gamma = random_block(rng, d, 1);
    c.beta = random_block(rng, d, 1);
    c.d_out = random_block(rng, ROWS * d, 1);
    c.mean = check_guarded(ROWS);
    c.rstd = check_guarded(ROWS);
    return c;
}

static void case_free(norm_case *c)
{
    float *blocks[] = {c->x, c->gamma, c->beta, c->d_out, c->mean, c->rstd};
    for (size_t i = 0; i < 6; i++)
        check_guard_free(blocks[i]);
}

static void statistics(const norm_case *c, size_t row, double *mean, double *rstd)
{
    double sum = 0, squares = 0;
    for (size_t j = 0; j < c->d; j++)
        sum += c->x[row * c->d + j];
    *mean = c->centred && c->d ? sum / (double)c->d : 0;
    for (size_t j = 0; j < c->d; j++)
        squares += (c->x[row * c->d + j] - *mean) * (c->x[row * c->d + j] - *mean);
    *rstd = 1 / sqrt((c->d ? squares / (double)c->d : 0) + EPS);
}

static void forward_in_double(const norm_case *c, float *out, const float *gamma, const float *beta)
{
    for (size_t i = 0; i < ROWS; i++) {
        double mean, rstd;
        statistics(c, i, &mean, &rstd);
        for (size_t j = 0; j < c->d; j++)
            out[i * c->d + j] =
                (float)((c->x[i * c->d + j] - mean) * rstd * (gamma ? gamma[j] : 1) + (beta ? beta[j] : 0));
    }
}

/* Adds to d_x, d_gamma, d_beta. */
static void backward_in_double(const norm_case *c, double *d_x, double *d_gamma, double *d_beta,
                               const float *gamma)
{
    for (size_t i = 0; i < ROWS; i++) {
        double mean, rstd, sum_g = 0, sum_gh = 0;
        statistics(c, i, &mean, &rstd);
        const float *x = c->x + i * c->d, *d_out = c->d_out + i * c->d;
        for (size_t j = 0; j < c->d; j++) {
            double h = (x[j] - mean) * rstd, g = d_out[j] * (gamma ? (double)gamma[j] : 1);
            sum_g += c->centred ? g : 0;
            sum_gh += g * h;
            d_gamma[j] += d_out[j] * h;
            d_beta[j] += d_out[j];
        }
        for (size_t j = 0; j < c->d; j++) {
            double h = (x[j] - mean) * rstd, g = d_out[j] * (gamma ? (double)gamma[j] : 1);
            d_x[i * c->d + j] += rstd * (g - sum_g / (double)c->d - h * sum_gh / (double)c->d);
        }
    }
}

/* tolerance: a row's values reach 4 deviations, rounded some four times; with the row at `centre` away from
 * zero, its numbers have lost centre/deviation of their own digits before we see them, and so has the
 * mean. */
static void forward_at(const at_kernels *k, norm_case *c, double tolerance)
{
    for (int with = 0; with < 4; with++) {
        const float *gamma = with & 1 ? c->gamma : NULL, *beta = with & 2 && c->centred ? c->beta : NULL;
        float *out = check_guarded(ROWS * c->d), *want = check_guarded(ROWS * c->d);
        if (c->centred)
            k->layer_norm(out, c->mean, c->rstd, c->x, gamma, beta, ROWS, c->d, EPS);
        else
            k->rms_norm(out, c->rstd, c->x, gamma, ROWS, c->d, EPS);
        forward_in_double(c, want, gamma, beta);
        check_near(out, want, ROWS * c->d, tolerance);
        check_guard_free(out);
        check_guard_free(want);
    }
}

static void compare_backward(const at_kernels *k, norm_case *c, bool with_gamma, bool wanted)
{
    size_t n = ROWS * c->d;
    float *d_x = check_guarded(n), *d_gamma = check_guarded(c->d), *d_beta = check_guarded(c->d);
    float *want = check_guarded(n + 2 * c->d);
    double *sums = calloc(n + 2 * c->d + 1, sizeof *sums);
    assert_non_null(sums);
    for (size_t i = 0; i < n; i++)
        sums[i] = d_x[i] = 0.5f;
    for (size_t j = 0; j < c->d; j++) {
        d_gamma[j] = d_beta[j] = -0.25f;
        sums[n + j] = sums[n + c->d + j] = -0.25;
    }
    const float *gamma = with_gamma ? c->gamma : NULL;
    if (c->centred)
        k->layer_norm_backward(d_x, wanted ? d_gamma : NULL, wanted ? d_beta : NULL, c->d_out, c->x, c->mean,
                               c->rstd, gamma, ROWS, c->d);
    else
        k->rms_norm_backward(d_x, wanted ? d_gamma : NULL, c->d_out, c->x, c->rstd, gamma, ROWS, c->d);
    backward_in_double(c, sums, sums + n, sums + n + c->d, gamma);
    for (size_t i = 0; i < n + 2 * c->d; i++)
        want[i] = (float)sums[i];
    check_near(d_x, want, n, 3e-6);
    if (wanted)
        check_near(d_gamma, want + n, c->d, 3e-6);
    if (wanted && c->centred)
        check_near(d_beta, want + n + c->d, c->d, 3e-6);
    free(sums);
    float *blocks[] = {d_x, d_gamma, d_beta, want};
    for (size_t i = 0; i < 4; i++)
        check_guard_free(blocks[i]);
}

static void all_sizes(bool centred)
{
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t i = 0; i < EDGE_SIZES; i++) {
            norm_case c = case_of(&rng, edge_sizes[i], 0.5f, centred);
            forward_at(level(l), &c, 2e-6);
            /* Rows of width 1 and 2 have almost no spread: rstd may be 300, and multiplies every rounding. */
            if (edge_sizes[i] >= 3)
                for (int with = 0; with < 4; with++)
                    compare_backward(level(l), &c, with & 1, with & 2);
            case_free(&c);
        }
}

static void layer_norm_equals_double(void **state)
{
    (void)state;
    all_sizes(true);
}

static void rms_norm_equals_double(void **state)
{
    (void)state;
    all_sizes(false);
}

/* The mean of squares less the square of the mean would have no digit left here. */
static void rows_far_from_zero_keep_their_digits(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++) {
        norm_case c = case_of(&rng, 256, 1e4f, true);
        forward_at(level(l), &c, 2e-3); /* a unit of 1e4 is 1e-3 */
        case_free(&c);
    }
}

static void constant_rows_give_beta(void **state)
{
    (void)state;
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (size_t l = 0; l < level_count(); l++)
        for (size_t d = 1; d < 40; d++) {
            norm_case c = case_of(&rng, d, 0, true);
            float out[ROWS * 40];
            for (size_t i = 0; i < ROWS * d; i++)
                c.x[i] = 2.5f;
            level(l)->layer_norm(out, c.mean, c.rstd, c.x, c.gamma, c.beta, ROWS, d, EPS);
            for (size_t i = 0; i < ROWS; i++)
                check_near(out + i * d, c.beta, d, 1e-6);
            case_free(&c);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_norm_equals_double),
        cmocka_unit_test(rms_norm_equals_double),
        cmocka_unit_test(rows_far_from_zero_keep_their_digits),
        cmocka_unit_test(constant_rows_give_beta),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
