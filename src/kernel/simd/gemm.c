#include <stddef.h>
#include <string.h>
#include "kernel/simd/math.h"
#include "kernel/simd/tile.h"

/* The product is built of strips: ROWS rows of A against one panel of B over a block of K_BLOCK, all sums
 * in registers. A's elements are spread over a vector as they are read, so A may lie in any way; B comes
 * in panels of PANEL columns. Blocks of k follow each other, each going on from C, so every output is one
 * chain of fused multiply-adds over k in order: the same bits in whatever strip, task or thread it is
 * done.
 *
 * Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication", with the roles turned:
 * the panel of B stays in the first cache while the rows of A pass by out of the second. */
enum { K_BLOCK = 256, FEW_STRIPS = 2, WIDEST = 4 };
enum { LINE_BYTES = LINE * sizeof(float) };

/* Strips of a transposed A that are copied together, into a block that
 * fits the second cache with room to spare. */
enum { GROUP = 96 / ROWS, TURNED_STRIP = K_BLOCK * ROWS + AT_VEC, TURNED_AHEAD = 8, COPY_PANELS = 8 };

/* A sum waits about four steps for its last product, and two begin in each: with fewer than eight sums a
 * strip of few rows waits, so it takes several panels together. */
enum { SHORT = 3, WIDE_1 = WIDEST, WIDE_2 = 2, WIDE_3 = 2 };

typedef struct strip {
    const at_gemm *g;
    const float *a; /* first row, first k of the block */
    size_t a_row, a_col;
    const float *b; /* first panel, first k of the block */
    size_t b_row, b_panel;
    const at_bf16 *b16;   /* instead of b, for few rows: in pairs */
    size_t i, j;          /* where it lies in C */
    size_t width;         /* columns of the only panel; PANEL when there are several */
    size_t l, k;          /* block of k: from where, how much */
    bool first, last;     /* of the blocks */
    bool few;             /* at most SHORT rows: bf16 is widened in registers */
    const float *c_ahead; /* the next strip's part of C, brought into the first cache */
    bool fetch;           /* bring what comes next of A or B into the second cache as well, a line a step: */
    const float *ahead;   /* from here, */
    size_t ahead_lines;   /* so many, */
    ptrdiff_t ahead_step; /* this many bytes apart, */
    ptrdiff_t ahead_wrap; /* but after LINE of them this many: to the next line of LINE rows */
} strip;

/* Lanes of vector v (of all panels) that are columns of C. */
AT_INLINE size_t lanes_of(const strip *s, int v)
{
    size_t begin = (size_t)(v % VECS) * AT_VEC;
    return s->width <= begin ? 0 : vec_lanes(s->width - begin);
}

/* rows, panels and fetch are constants where this is inlined, so that `sum` lives in registers. Checks of
 * every step of every unrolled variant would take a compiler minutes; the address sanitizer's stay. */
__attribute__((no_sanitize("undefined"))) AT_INLINE void multiply(const strip *s, const int rows,
                                                                  const int panels, const bool fetch)
{
    const at_gemm *g = s->g;
    const size_t step = s->a_col;
    const int vecs = panels * VECS;
    float *c = g->c + s->i * g->c_row + s->j;
    at_vec sum[ROWS * VECS];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < vecs * AT_VEC / LINE; v++)
            __builtin_prefetch(s->c_ahead + (size_t)r * g->c_row + (size_t)v * LINE, 1);
    bool fresh = s->first && !g->accumulate;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++)
            sum[r * vecs + v] =
                fresh ? vec_zero()
                      : vec_load_n(c + (size_t)r * g->c_row + (size_t)v * AT_VEC, lanes_of(s, v));
    /* Five rows share a pointer: their offsets are what one address can express. */
    const float *a[3] = {s->a, s->a + (rows > 5 ? 5 * s->a_row : 0), s->a + (rows > 10 ? 10 * s->a_row : 0)};
    const float *b = s->b;
    const char *ahead = (const char *)s->ahead;
    for (size_t l = 0; l < s->k; l++) {
        if (fetch && l < s->ahead_lines) {
            __builtin_prefetch(ahead, 0, 2);
            ahead += l % LINE == LINE - 1 ? s->ahead_wrap : s->ahead_step;
        }
        at_vec in[WIDEST * VECS];
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++)
            in[v] = vec_load(b + (size_t)(v / VECS) * s->b_panel + (size_t)(v % VECS) * AT_VEC);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            at_vec x = vec_set(a[r / 5][(size_t)(r % 5) * s->a_row]);
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++)
                sum[r * vecs + v] = vec_fma(x, in[v], sum[r * vecs + v]);
        }
        a[0] += step;
        a[1] += step;
        a[2] += step;
        b += s->b_row;
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++)
            vec_store_n(c + (size_t)r * g->c_row + (size_t)v * AT_VEC, sum[r * vecs + v], lanes_of(s, v));
}

/* The same chains from panels in bf16, for few rows: two steps of k come in one load. */
__attribute__((no_sanitize("undefined"))) AT_INLINE void multiply_pairs(const strip *s, const int rows,
                                                                        const int panels)
{
    const at_gemm *g = s->g;
    const int vecs = panels * VECS;
    float *c = g->c + s->i * g->c_row + s->j;
    at_vec sum[SHORT * WIDEST * VECS], first[WIDEST * VECS], second[WIDEST * VECS];
    bool fresh = s->first && !g->accumulate;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++)
            sum[r * vecs + v] =
                fresh ? vec_zero()
                      : vec_load_n(c + (size_t)r * g->c_row + (size_t)v * AT_VEC, lanes_of(s, v));
    const float *a = s->a;
    const at_bf16 *b = s->b16;
    for (size_t l = 0; l < s->k; l += 2) {
        bool both = l + 1 < s->k;
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++)
            vec_pairs(b + (size_t)(v / VECS) * s->b_panel + (size_t)(v % VECS) * 2 * AT_VEC, &first[v],
                      &second[v]);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            at_vec x = vec_set(a[(size_t)r * s->a_row]);
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++)
                sum[r * vecs + v] = vec_fma(x, first[v], sum[r * vecs + v]);
            if (!both)
                continue;
            at_vec y = vec_set(a[(size_t)r * s->a_row + s->a_col]);
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++)
                sum[r * vecs + v] = vec_fma(y, second[v], sum[r * vecs + v]);
        }
        a += 2 * s->a_col;
        b += 2 * PANEL;
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++)
            vec_store_n(c + (size_t)r * g->c_row + (size_t)v * AT_VEC, sum[r * vecs + v], lanes_of(s, v));
}

AT_INLINE void multiply_few_pairs(const strip *s, const int rows, const int wide, int panels)
{
    if (panels == wide)
        multiply_pairs(s, rows, wide);
    else
        multiply_pairs(s, rows, 1);
}

static void multiply_strip_pairs(const strip *s, size_t rows, int panels)
{
    if (rows == 1)
        multiply_few_pairs(s, 1, WIDE_1, panels);
    else if (rows == 2)
        multiply_few_pairs(s, 2, WIDE_2, panels);
    else
        multiply_few_pairs(s, 3, WIDE_3, panels);
}

AT_INLINE void multiply_one(const strip *s, const int rows)
{
    if (s->fetch)
        multiply(s, rows, 1, true);
    else
        multiply(s, rows, 1, false);
}

AT_INLINE void multiply_few(const strip *s, const int rows, const int wide, int panels)
{
    if (panels == wide)
        multiply(s, rows, wide, false);
    else
        multiply_one(s, rows);
}

static void multiply_strip(const strip *s, size_t rows, int panels)
{
    switch (rows) {
    case 1:
        multiply_few(s, 1, WIDE_1, panels);
        break;
    case 2:
        multiply_few(s, 2, WIDE_2, panels);
        break;
    case 3:
        multiply_few(s, 3, WIDE_3, panels);
        break;
    case 4:
        multiply_one(s, 4);
        break;
    case 5:
        multiply_one(s, 5);
        break;
    case 6:
        multiply_one(s, 6);
        break;
#if defined(AT_SIMD_AVX512)
    case 7:
        multiply_one(s, 7);
        break;
    case 8:
        multiply_one(s, 8);
        break;
    case 9:
        multiply_one(s, 9);
        break;
    case 10:
        multiply_one(s, 10);
        break;
    case 11:
        multiply_one(s, 11);
        break;
    case 12:
        multiply_one(s, 12);
        break;
    case 13:
        multiply_one(s, 13);
        break;
    case 14:
        multiply_one(s, 14);
        break;
#endif
    default:
        AT_ASSERT(rows <= ROWS);
    }
}

/* What follows the last product of a strip, while its part of C is in the first cache. f is a constant where
 * this is inlined: the numbers that it needs are fetched once for all rows, which have but a few vectors
 * each. */
AT_INLINE void finish_rows(const at_gemm *g, size_t at, size_t j, size_t rows, size_t columns,
                           const at_activation f)
{
    for (; rows > 0; rows--, at += g->c_row)
        for (size_t x = 0; x < columns; x += AT_VEC) {
            size_t lanes = vec_lanes(columns - x);
            at_vec sum = vec_load_n(g->c + at + x, lanes);
            if (g->bias)
                sum = vec_add(sum, vec_load_n(g->bias + j + x, lanes));
            if (g->before)
                vec_store_n(g->before + at + x, sum, lanes);
            sum = vec_activated(sum, f);
            if (g->residual)
                sum = vec_add(sum, vec_load_n(g->residual + at + x, lanes));
            vec_store_n(g->c + at + x, sum, lanes);
        }
}

void AT_SIMD_NAME(gemm_finish)(const at_gemm *g, size_t i, size_t j, size_t rows, size_t columns)
{
    size_t at = i * g->c_row + j;
    switch (g->activation) {
    case AT_LINEAR:
        finish_rows(g, at, j, rows, columns, AT_LINEAR);
        break;
    case AT_RELU:
        finish_rows(g, at, j, rows, columns, AT_RELU);
        break;
    case AT_GELU:
        finish_rows(g, at, j, rows, columns, AT_GELU);
        break;
    case AT_GELU_TANH:
        finish_rows(g, at, j, rows, columns, AT_GELU_TANH);
        break;
    case AT_SILU:
        finish_rows(g, at, j, rows, columns, AT_SILU);
        break;
    case AT_TANH:
        finish_rows(g, at, j, rows, columns, AT_TANH);
        break;
    case AT_SIGMOID:
        finish_rows(g, at, j, rows, columns, AT_SIGMOID);
        break;
    }
}

/* `width` columns of a plain matrix as a panel, the rest of it zeros. */
static void copy_panel(float *panel, const float *b, size_t b_row, size_t k, size_t width)
{
    for (size_t l = 0; l < k; l++)
#pragma GCC unroll 4
        for (size_t v = 0; v < VECS; v++) {
            size_t begin = v * AT_VEC;
            vec_store(panel + l * PANEL + begin,
                      vec_load_n(b + l * b_row + begin, width <= begin ? 0 : vec_lanes(width - begin)));
        }
}

/* A block of k of a panel in bf16. */
static void widen_panel(float *panel, const at_bf16 *b, size_t k)
{
    for (size_t l = 0; l < k; l += 2)
#pragma GCC unroll 4
        for (size_t v = 0; v < VECS; v++) {
            at_vec first, second;
            vec_pairs(b + l * PANEL + 2 * v * AT_VEC, &first, &second);
            vec_store(panel + l * PANEL + v * AT_VEC, first);
            if (l + 1 < k)
                vec_store(panel + (l + 1) * PANEL + v * AT_VEC, second);
        }
}

/* In panels that can be read to their ends? */
static bool is_packed(const at_gemm *g)
{
    return g->b16 || (g->b_row == PANEL && g->b_panel != PANEL);
}

/* Sets the strip on the panel of columns j …; `copy` holds it where the matrix cannot be read as it lies. */
static void set_panel(strip *s, size_t l, size_t j, size_t n1, bool gather, float *copy)
{
    const at_gemm *g = s->g;
    s->j = j;
    s->width = n1 - j < PANEL ? n1 - j : PANEL;
    s->b_panel = g->b_panel;
    if (g->b16) { /* K_BLOCK is even: a block begins with a pair */
        s->b16 = g->b16 + j / PANEL * g->b_panel + l * PANEL;
        if (s->few)
            return;
        widen_panel(copy, s->b16, s->k);
        s->b = copy;
        s->b_row = PANEL;
        return;
    }
    s->b = g->b + j / PANEL * g->b_panel + l * g->b_row;
    s->b_row = g->b_row;
    if (is_packed(g) || (s->width == PANEL && !gather))
        return;
    copy_panel(copy, s->b, g->b_row, s->k, s->width);
    s->b = copy;
    s->b_row = PANEL;
}

static void multiply_and_finish(const strip *s, size_t rows, int panels)
{
    const at_gemm *g = s->g;
    if (s->few && g->b16)
        multiply_strip_pairs(s, rows, panels);
    else
        multiply_strip(s, rows, panels);
    if (s->last && (g->bias || g->before || g->residual || g->activation != AT_LINEAR))
        AT_SIMD_NAME(gemm_finish)(g, s->i, s->j, rows, panels == 1 ? s->width : (size_t)panels * PANEL);
}

/* One block of k against rows of one short strip. */
static void multiply_short(strip *s, size_t l, size_t m0, size_t m1, size_t n0, size_t n1, float *copy)
{
    static const int together[] = {1, WIDE_1, WIDE_2, WIDE_3};
    size_t wide = (size_t)together[m1 - m0];
    s->i = m0;
    s->a = s->g->a + m0 * s->g->a_row + l * s->g->a_col;
    for (size_t j = n0; j < n1;) {
        size_t panels = n1 - j >= wide * PANEL ? wide : 1;
        set_panel(s, l, j, n1, false, copy);
        s->c_ahead = s->g->c + m0 * s->g->c_row + j;
        multiply_and_finish(s, m1 - m0, (int)panels);
        j += panels * PANEL;
    }
}

/* Part `part` of `parts` of the block of A whose rows follow the strip's `rows`. */
static void fetch_rows(strip *s, size_t rows, size_t part, size_t parts)
{
    const at_gemm *g = s->g;
    bool turned = g->a_col != 1;
    s->fetch = true;
    s->ahead_lines = (s->k + parts - 1) / parts;
    s->ahead = s->a + rows * g->a_row + part * s->ahead_lines * g->a_col;
    s->ahead_step = (ptrdiff_t)((turned ? g->a_col : g->a_row) * sizeof(float));
    s->ahead_wrap = turned ? s->ahead_step : (ptrdiff_t)LINE_BYTES - (LINE - 1) * s->ahead_step;
}

/* Likewise of the next panel of B. The CPU's own guess ends with every page and every block of k; rows of a
 * plain matrix, a line of each, it does not guess at all. */
static void fetch_panel(strip *s, size_t part, size_t parts)
{
    const at_gemm *g = s->g;
    bool packed = is_packed(g);
    size_t lines = packed ? s->k * PANEL / (g->b16 ? 2 * LINE : LINE) : s->k, j = s->j / PANEL + 1;
    s->fetch = true;
    s->ahead_lines = (lines + parts - 1) / parts;
    s->ahead_step = s->ahead_wrap = packed ? LINE_BYTES : (ptrdiff_t)(g->b_row * sizeof(float));
    if (g->b16)
        s->ahead = (const void *)(g->b16 + j * g->b_panel + s->l * PANEL);
    else
        s->ahead = g->b + j * g->b_panel + s->l * g->b_row;
    s->ahead += part * s->ahead_lines * ((size_t)s->ahead_step / sizeof(float));
}

/* One block of k, strip by strip. A in its own order passes by each panel of B. A transposed A comes from far
 * apart lines of memory, so there each strip of it passes by all panels while the next one is fetched. */
static void multiply_block(strip *s, size_t l, size_t m0, size_t m1, size_t n0, size_t n1, float *copy)
{
    const at_gemm *g = s->g;
    at_cut c = cut_rows(m0, m1);
    size_t panels = (n1 - n0 + PANEL - 1) / PANEL;
    bool turned = g->a_col != 1;
    /* A plain matrix's rows lie apart, often by a power of two, and would fight for few lines of the
     * cache. */
    bool gather = !turned && c.strips > FEW_STRIPS;
    for (size_t x = 0; x < c.strips * panels; x++) {
        size_t t = turned ? x / panels : x % c.strips, p = turned ? x % panels : x / c.strips;
        if (turned || t == 0)
            set_panel(s, l, n0 + p * PANEL, n1, gather, copy);
        size_t here = strip_rows(&c, t);
        s->i = strip_begin(&c, t);
        s->a = g->a + s->i * g->a_row + l * g->a_col;
        s->c_ahead = g->c + s->i * g->c_row + s->j;
        if (turned && p + 1 < panels)
            s->c_ahead += PANEL;
        else if (!turned && t + 1 < c.strips)
            s->c_ahead += here * g->c_row;
        if (t + 1 < c.strips && (turned || p == 0))
            fetch_rows(s, here, turned ? p : 0, turned ? panels : 1);
        else if (!turned && p + 1 < panels && (gather || is_packed(g)))
            fetch_panel(s, t, c.strips);
        else
            s->fetch = false;
        multiply_and_finish(s, here, 1);
    }
}

/* Strips t0 … t1-1 of a transposed A, each k by k, ROWS floats a step. Whole vectors are stored: what is too
 * much is overwritten by the next step. They are read whole too, where A has columns enough. */
static void turn_strips(float *turned, const strip *s, const at_cut *c, size_t l, size_t t0, size_t t1)
{
    enum { WHOLE = (ROWS + AT_VEC - 1) / AT_VEC * AT_VEC };
    const at_gemm *g = s->g;
    size_t begin = strip_begin(c, t0), lines = (strip_begin(c, t1) - begin + LINE - 1) / LINE;
    size_t at[GROUP], whole = 0;
    for (size_t t = t0; t < t1; t++) {
        at[t - t0] = strip_begin(c, t) - begin;
        whole += strip_begin(c, t) + WHOLE <= g->m;
    }
    const float *a = g->a + begin + l * g->a_col;
    for (size_t i = 0; i < s->k; i++, a += g->a_col) {
        for (size_t line = 0; line < lines && i + TURNED_AHEAD < s->k; line++)
            __builtin_prefetch(a + TURNED_AHEAD * g->a_col + line * LINE);
        float *to = turned + i * ROWS;
        for (size_t t = 0; t < whole; t++)
#pragma GCC unroll 4
            for (size_t r = 0; r < WHOLE; r += AT_VEC)
                vec_store(to + t * TURNED_STRIP + r, vec_load(a + at[t] + r));
        for (size_t t = whole; t < t1 - t0; t++)
            for (size_t r = 0; r < strip_rows(c, t0 + t); r += AT_VEC)
                vec_store(to + t * TURNED_STRIP + r,
                          vec_load_n(a + at[t] + r, vec_lanes(strip_rows(c, t0 + t) - r)));
    }
}

/* A transposed A against many panels, which would come from the second cache for each strip anew: some strips
 * are copied at a time and pass by each panel together. */
static void multiply_turned(strip *s, size_t l, size_t m0, size_t m1, size_t n0, size_t n1, float *copy)
{
    _Alignas(64) float turned[GROUP * TURNED_STRIP];
    const at_gemm *g = s->g;
    at_cut c = cut_rows(m0, m1);
    s->a_row = 1;
    s->a_col = ROWS;
    for (size_t t0 = 0; t0 < c.strips; t0 += GROUP) {
        size_t t1 = c.strips - t0 < GROUP ? c.strips : t0 + GROUP;
        turn_strips(turned, s, &c, l, t0, t1);
        for (size_t j = n0; j < n1; j += PANEL) {
            set_panel(s, l, j, n1, t1 - t0 > FEW_STRIPS, copy);
            for (size_t t = t0; t < t1; t++) {
                size_t here = strip_rows(&c, t);
                s->i = strip_begin(&c, t);
                s->a = turned + (t - t0) * TURNED_STRIP;
                s->c_ahead = g->c + (s->i + (t + 1 < t1 ? here : 0)) * g->c_row + j;
                s->fetch = false;
                if (j + PANEL < n1 && t1 - t0 > FEW_STRIPS)
                    fetch_panel(s, t - t0, t1 - t0);
                multiply_and_finish(s, here, 1);
            }
        }
    }
}

static void gemm(const at_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1)
{
    if (m0 >= m1 || n0 >= n1)
        return;
    _Alignas(64) float copy[K_BLOCK * PANEL];
    strip s = {.g = g, .a_row = g->a_row, .a_col = g->a_col, .few = m1 - m0 <= SHORT};
    /* Packed panels for few rows need no block of k: each is one stream out of memory. */
    size_t block = s.few && is_packed(g) ? g->k + 1 : K_BLOCK;
    for (size_t l = 0; l == 0 || l < g->k; l += block) {
        s.l = l;
        s.k = g->k - l < block ? g->k - l : block;
        s.first = l == 0;
        s.last = l + s.k == g->k;
        if (m1 - m0 <= SHORT)
            multiply_short(&s, l, m0, m1, n0, n1, copy);
        else if (g->a_row == 1 && g->a_col != 1 && n1 - n0 > COPY_PANELS * PANEL)
            multiply_turned(&s, l, m0, m1, n0, n1, copy);
        else
            multiply_block(&s, l, m0, m1, n0, n1, copy);
    }
}

/* Columns that lie one float apart are copied by rows; otherwise (a transposed matrix) by runs of each
 * column, so that both sides stay in the first cache. */
static void pack_panel(float *panel, const float *b, size_t b_row, size_t b_col, size_t k, size_t width)
{
    if (b_col == 1) {
        copy_panel(panel, b, b_row, k, width);
        return;
    }
    enum { RUN = 16 };
    if (width < PANEL)
        memset(panel, 0, k * PANEL * sizeof *panel);
    for (size_t l = 0; l < k; l += RUN) {
        size_t run = k - l < RUN ? k - l : RUN;
        for (size_t j = 0; j < width; j++)
            for (size_t i = l; i < l + run; i++)
                panel[i * PANEL + j] = b[i * b_row + j * b_col];
    }
}

static void pack(float *out, const float *b, size_t b_row, size_t b_col, size_t k, size_t n, size_t p0,
                 size_t p1)
{
    for (size_t p = p0; p < p1; p++) {
        size_t left = n - p * PANEL;
        pack_panel(out + p * k * PANEL, b + p * PANEL * b_col, b_row, b_col, k, left < PANEL ? left : PANEL);
    }
}

void AT_SIMD_NAME(fill_gemm)(at_kernels *table)
{
    table->panel = PANEL;
    table->tile = ROWS;
    table->pack = pack;
    table->gemm = gemm;
}
