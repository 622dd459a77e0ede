#include <pthread.h>
#include <string.h>
#include "kernel/internal.h"
#include "kernel/simd/tile.h"

/* Products with B in bf16 on CPUs that multiply pairs of such numbers and add both in one instruction: twice
 * the arithmetic of a multiply-add in fp32. A block of A is rounded to bf16 for a group of strips: rows as
 * they lie, so that their pairs are neighbours; of a transposed A the pairs of a strip's rows side by side.
 * Sums are fp32. All else is the avx512 level's, whose name this file is compiled under.
 *
 * An output is one chain of dot products over pairs of k, in order, in whatever strip, task or thread. The
 * instruction takes denormal numbers for zeros, whatever the CPU is set to. */
enum { K_BLOCK = 512, GROUP = 96 / ROWS, TURNED_AHEAD = 8 };
/* Pairs between rows: no power of two, whose rows would fight for few lines of the cache; of a strip. */
enum { PITCH = K_BLOCK / 2 + LINE, STRIP = ROWS * PITCH };

/* A sum waits for its last dot product: few rows take several panels together, as in gemm.c. */
enum { SHORT = 3, WIDEST = 4 };
static const int together[] = {1, WIDEST, 2, 2};

typedef struct strip {
    const at_gemm *g;
    const uint32_t *a; /* pairs of A: of row r and pair l at a[r*a_row + l*a_col] */
    size_t a_row, a_col;
    const at_bf16 *b; /* first panel, first pair of the block */
    size_t i, j, width, pairs;
    bool fresh;
} strip;

/* Lanes of vector v (of all panels) that are columns of C. */
AT_INLINE size_t lanes_of(const strip *s, int v)
{
    size_t begin = (size_t)v * AT_VEC;
    return s->width <= begin ? 0 : vec_lanes(s->width - begin);
}

/* rows and panels are constants where this is inlined. */
__attribute__((no_sanitize("undefined"))) AT_INLINE void multiply(const strip *s, const int rows,
                                                                  const int panels)
{
    const at_gemm *g = s->g;
    const int vecs = panels * VECS;
    float *c = g->c + s->i * g->c_row + s->j;
    at_vec sum[ROWS * VECS];
#pragma GCC unroll 32
    for (int x = 0; x < rows * vecs; x++) {
        float *at = c + (size_t)(x / vecs) * g->c_row + (size_t)(x % vecs) * AT_VEC;
        sum[x] = s->fresh ? vec_zero() : vec_load_n(at, lanes_of(s, x % vecs));
    }
    /* Five rows share a pointer: their offsets are what one address can express. */
    const uint32_t *a[3] = {s->a, s->a + (rows > 5 ? 5 * s->a_row : 0),
                            s->a + (rows > 10 ? 10 * s->a_row : 0)};
    const size_t step = s->a_col;
    const at_bf16 *b = s->b;
    for (size_t l = 0; l < s->pairs; l++, b += 2 * PANEL) {
        at_uvec in[WIDEST * VECS];
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++)
            in[v] = uvec_load_pairs(b + (size_t)(v / VECS) * g->b_panel + (size_t)(v % VECS) * 2 * AT_VEC);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            at_uvec x = uvec_set(a[r / 5][(size_t)(r % 5) * s->a_row]);
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++)
                sum[r * vecs + v] = vec_dot_pairs(x, in[v], sum[r * vecs + v]);
        }
        a[0] += step;
        a[1] += step;
        a[2] += step;
    }
#pragma GCC unroll 32
    for (int x = 0; x < rows * vecs; x++)
        vec_store_n(c + (size_t)(x / vecs) * g->c_row + (size_t)(x % vecs) * AT_VEC, sum[x],
                    lanes_of(s, x % vecs));
}

AT_INLINE void multiply_few(const strip *s, const int rows, const int wide, int panels)
{
    if (panels == wide)
        multiply(s, rows, wide);
    else
        multiply(s, rows, 1);
}

static void multiply_strip(const strip *s, size_t rows, int panels)
{
    switch (rows) {
    case 1:
        multiply_few(s, 1, WIDEST, panels);
        break;
    case 2:
        multiply_few(s, 2, 2, panels);
        break;
    case 3:
        multiply_few(s, 3, 2, panels);
        break;
    case 4:
        multiply(s, 4, 1);
        break;
    case 5:
        multiply(s, 5, 1);
        break;
    case 6:
        multiply(s, 6, 1);
        break;
    case 7:
        multiply(s, 7, 1);
        break;
    case 8:
        multiply(s, 8, 1);
        break;
    case 9:
        multiply(s, 9, 1);
        break;
    case 10:
        multiply(s, 10, 1);
        break;
    case 11:
        multiply(s, 11, 1);
        break;
    case 12:
        multiply(s, 12, 1);
        break;
    case 13:
        multiply(s, 13, 1);
        break;
    case 14:
        multiply(s, 14, 1);
        break;
    default:
        AT_ASSERT(rows <= ROWS);
    }
}

/* k numbers of a row, from l on; the partner of an odd last one is 0. */
static void narrow_row(at_bf16 *to, const float *a, size_t a_col, size_t k)
{
    if (a_col == 1) {
        size_t x = 0;
        for (; x + 2 * AT_VEC <= k; x += 2 * AT_VEC)
            uvec_store_pairs_n(to + x, uvec_narrow(vec_load(a + x), vec_load(a + x + AT_VEC)), 2 * AT_VEC);
        for (; x < k; x += AT_VEC) {
            at_vec rest = vec_load_n(a + x, vec_lanes(k - x));
            uvec_store_pairs_n(to + x, uvec_narrow(rest, vec_zero()), vec_lanes(k - x));
        }
    } else {
        for (size_t x = 0; x < k; x++)
            to[x] = at_f32_to_bf16(a[x * a_col]);
    }
    if (k % 2)
        to[k] = 0;
}

/* Rows as they lie, PITCH pairs apart. */
static void narrow_rows(strip *s, uint32_t *to, const at_cut *c, size_t t, size_t l, size_t k)
{
    const at_gemm *g = s->g;
    const float *a = g->a + strip_begin(c, t) * g->a_row + l * g->a_col;
    for (size_t r = 0; r < strip_rows(c, t); r++)
        narrow_row((at_bf16 *)(void *)(to + r * s->a_row), a + r * g->a_row, g->a_col, k);
}

/* Strips t0 … t1-1 of a transposed A, whose rows lie side by side: ROWS pairs a step of k. All strips of a
 * step together, since the next one may lie pages away. */
static void narrow_turned(const at_gemm *g, uint32_t *to, const at_cut *c, size_t t0, size_t t1, size_t l,
                          size_t k)
{
    for (size_t x = 0; x < k; x += 2) {
        const float *first = g->a + (l + x) * g->a_col, *second = first + g->a_col;
        for (size_t y = 0; x + TURNED_AHEAD < k && y < (t1 - t0) * ROWS + LINE; y += LINE) {
            const float *ahead = first + TURNED_AHEAD * g->a_col + strip_begin(c, t0) + y;
            __builtin_prefetch(ahead, 0, 2);
            __builtin_prefetch(ahead + g->a_col, 0, 2);
        }
        for (size_t t = t0; t < t1; t++) {
            size_t i = strip_begin(c, t), rows = strip_rows(c, t);
            at_vec other = x + 1 < k ? vec_load_n(second + i, rows) : vec_zero();
            uvec_store(to + (t - t0) * STRIP + x / 2 * ROWS,
                       uvec_weave(uvec_narrow(vec_load_n(first + i, rows), other)));
        }
    }
}

/* Strips t0 … t1-1 against all panels over one block of k. */
static void multiply_group(strip *s, const at_cut *c, size_t t0, size_t t1, size_t l, size_t n0, size_t n1,
                           const uint32_t *narrow, bool last)
{
    const at_gemm *g = s->g;
    bool finish = last && (g->bias || g->before || g->residual || g->activation != AT_LINEAR);
    size_t rows = strip_rows(c, t0), wide = t1 - t0 == 1 && rows <= SHORT ? (size_t)together[rows] : 1;
    for (size_t j = n0; j < n1;) {
        size_t panels = n1 - j >= wide * PANEL ? wide : 1;
        s->j = j;
        s->width = n1 - j < panels * PANEL ? n1 - j : panels * PANEL;
        s->b = g->b16 + j / PANEL * g->b_panel + l * PANEL; /* l is even: a block begins with a pair */
        for (size_t t = t0; t < t1; t++) {
            s->i = strip_begin(c, t);
            s->a = narrow + (t - t0) * STRIP;
            multiply_strip(s, strip_rows(c, t), (int)panels);
            if (finish)
                AT_SIMD_NAME(gemm_finish)(g, s->i, j, strip_rows(c, t), s->width);
        }
        j += panels * PANEL;
    }
}

static void gemm(const at_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1)
{
    if (!g->b16) {
        AT_SIMD_NAME(kernels)()->gemm(g, m0, m1, n0, n1);
        return;
    }
    if (m0 >= m1 || n0 >= n1)
        return;
    _Alignas(64) uint32_t narrow[GROUP * STRIP + AT_VEC];
    at_cut c = cut_rows(m0, m1);
    /* A lone strip takes all the room, so that its panels are long streams out of memory. */
    bool lone = c.strips == 1, turned = g->a_row == 1;
    size_t block = lone ? GROUP * K_BLOCK : K_BLOCK;
    strip s = {.g = g, .a_row = turned ? 1 : lone ? GROUP * PITCH : PITCH, .a_col = turned ? ROWS : 1};
    for (size_t t0 = 0; t0 < c.strips; t0 += GROUP) {
        size_t t1 = c.strips - t0 < GROUP ? c.strips : t0 + GROUP;
        for (size_t l = 0; l == 0 || l < g->k; l += block) {
            size_t k = g->k - l < block ? g->k - l : block;
            if (turned)
                narrow_turned(g, narrow, &c, t0, t1, l, k);
            for (size_t t = t0; !turned && t < t1; t++)
                narrow_rows(&s, narrow + (t - t0) * STRIP, &c, t, l, k);
            s.pairs = (k + 1) / 2;
            s.fresh = l == 0 && !g->accumulate;
            multiply_group(&s, &c, t0, t1, l, n0, n1, narrow, l + k == g->k);
        }
    }
}

static at_kernels table;

static void fill(void)
{
    table = *AT_SIMD_NAME(kernels)();
    table.name = AT_SIMD_TEXT "bf16";
    table.dots = true;
    table.gemm = gemm;
    AT_SIMD_NAME(fill_attend_dots)(&table);
}

const at_kernels *at_avx512bf16_kernels(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill);
    return &table;
}
