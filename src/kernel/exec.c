#include "kernel/exec.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/memory.h"
#include "kernel/internal.h"

struct at_scratch {
    float *block;  /* threads * floats */
    size_t floats; /* each worker's share: a multiple of 16, so that every share is 64-byte aligned */
};

/* Sizes of a task of a product. A task's rows times a block of k stay in the second cache while the panels of
 * B pass by; a transposed A is copied in each task, so those are wide; a task shorter than LEAST_WORK costs
 * more to hand over than to do. */
enum { TASK_ROWS = 224, TASK_PANELS = 8, TURNED_PANELS = 64, TASKS_A_THREAD = 4 };
enum { INLINE_WORK = 50000, LEAST_WORK = 125000 };

static const at_kernels *usable[5];
static size_t usable_count;

static void find_usable(void)
{
#ifdef AT_HAVE_AVX512BF16
    if (at_cpu_runs_avx512bf16())
        usable[usable_count++] = at_avx512bf16_kernels();
#endif
#ifdef AT_HAVE_AVX512
    if (at_cpu_runs_avx512())
        usable[usable_count++] = at_avx512_kernels();
#endif
#ifdef AT_HAVE_AVX2
    if (at_cpu_runs_avx2())
        usable[usable_count++] = at_avx2_kernels();
#endif
#ifdef AT_HAVE_NEON
    usable[usable_count++] = at_neon_kernels();
#endif
    usable[usable_count++] = &at_kernels_ref;
}

size_t at_kernels_usable(const at_kernels *const **list)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_usable);
    *list = usable;
    return usable_count;
}

static at_status choose_kernels(const char *name, const at_kernels **kernels)
{
    const char *source = "kernels";
    if (!name) {
        name = getenv("ATTEND_KERNELS");
        source = "environment ATTEND_KERNELS";
    }
    const at_kernels *const *list;
    size_t count = at_kernels_usable(&list);
    if (!name || !*name) {
        *kernels = list[0];
        return AT_OK;
    }
    for (size_t i = 0; i < count; i++)
        if (!strcmp(list[i]->name, name)) {
            *kernels = list[i];
            return AT_OK;
        }
    at_buf known = {0};
    for (size_t i = 0; i < count; i++)
        at_buf_printf(&known, "%s%s", i ? ", " : "", list[i]->name);
    at_status st = at_buf_status(&known);
    if (st == AT_OK)
        st = at_fail(AT_EARG, "%s: '%s' cannot run here; this CPU and build can run: %s", source, name,
                     known.data);
    at_buf_free(&known);
    return st;
}

at_status at_exec_new(const char *name, int threads, at_exec **result)
{
    *result = NULL;
    const at_kernels *kernels = NULL;
    at_status st = choose_kernels(name, &kernels);
    if (st != AT_OK)
        return st;
    at_exec *exec = at_alloc_zero(1, sizeof *exec);
    if (!exec)
        return AT_ENOMEM;
    exec->kernels = kernels;
    exec->scratch = at_alloc_zero(1, sizeof *exec->scratch);
    st = exec->scratch ? at_pool_new(threads, &exec->pool) : AT_ENOMEM;
    if (st != AT_OK) {
        at_exec_free(exec);
        return st;
    }
    exec->threads = at_pool_threads(exec->pool);
    *result = exec;
    return AT_OK;
}

void at_exec_free(at_exec *exec)
{
    if (!exec)
        return;
    at_pool_free(exec->pool);
    if (exec->scratch)
        at_free_aligned(exec->scratch->block);
    at_free(exec->scratch);
    at_free(exec);
}

typedef struct row_run {
    at_range_task *task;
    void *context;
    size_t rows, grain;
} row_run;

static void run_slice(void *context, size_t index, int worker)
{
    const row_run *run = context;
    size_t first = index * run->grain;
    size_t left = run->rows - first;
    run->task(run->context, first, first + (left < run->grain ? left : run->grain), worker);
}

void at_exec_rows(at_exec *exec, size_t rows, size_t grain, at_range_task *task, void *context)
{
    AT_ASSERT(grain > 0);
    row_run run = {task, context, rows, grain};
    at_pool_run(exec->pool, rows / grain + (rows % grain != 0), run_slice, &run);
}

at_status at_exec_reserve(at_exec *exec, size_t floats)
{
    struct at_scratch *scratch = exec->scratch;
    if (floats <= scratch->floats)
        return AT_OK;
    size_t share, all;
    if (!at_add_ok(floats, 15, &share) || !at_mul_ok(share / 16 * 16, (size_t)exec->threads, &all))
        return at_fail(AT_ENOMEM, "scratch of %zu floats a thread is too large", floats);
    float *block = at_alloc_aligned(all, sizeof *block);
    if (!block)
        return AT_ENOMEM;
    at_free_aligned(scratch->block);
    scratch->block = block;
    scratch->floats = share / 16 * 16;
    return AT_OK;
}

float *at_exec_scratch(at_exec *exec, int worker)
{
    return exec->scratch->block + (size_t)worker * exec->scratch->floats;
}

typedef struct product {
    const at_gemm *g;
    const at_kernels *kernels;
    size_t rows, columns; /* of a task */
    size_t across;        /* tasks side by side along n */
} product;

static void run_product(void *context, size_t index, int worker AT_UNUSED)
{
    const product *p = context;
    size_t m0 = index / p->across * p->rows, n0 = index % p->across * p->columns;
    size_t m_left = p->g->m - m0, n_left = p->g->n - n0;
    p->kernels->gemm(p->g, m0, m0 + (m_left < p->rows ? m_left : p->rows), n0,
                     n0 + (n_left < p->columns ? n_left : p->columns));
}

/* The least part, a multiple of `unit`, of `count` equal parts of `whole`. */
static size_t part_of(size_t whole, size_t count, size_t unit)
{
    size_t units = (whole + unit - 1) / unit;
    return (units + count - 1) / count * unit;
}

static size_t parts(size_t whole, size_t part)
{
    return (whole + part - 1) / part;
}

/* Cut along n first: then no two tasks read the same panels of B. A transposed A is copied in each task, so
 * it is cut along m first, but where B is a plain matrix, which tasks copy too, only while tasks are not much
 * wider than high. */
void at_exec_gemm(at_exec *exec, const at_gemm *g)
{
    if (!g->m || !g->n)
        return;
    const at_kernels *kernels = exec->kernels;
    double work = (double)g->m * (double)g->n * (double)(g->k + 1);
    double weights = (double)g->k * (double)g->n * (g->b16 ? 0.5 : 1.0);
    double floats = (double)g->m * (double)g->k + weights + (double)g->m * (double)g->n;
    at_exec_count(exec, 2.0 * (double)g->m * (double)g->n * (double)g->k, sizeof(float) * floats);
    if (work < INLINE_WORK) {
        product whole = {g, kernels, g->m, g->n, 1};
        run_product(&whole, 0, 0);
        return;
    }
    bool turned = g->a_col != 1, plain = !g->b16 && g->b_panel == kernels->panel;
    size_t down = parts(g->m, TASK_ROWS);
    size_t across = parts(g->n, (turned ? TURNED_PANELS : TASK_PANELS) * kernels->panel);
    size_t panels = parts(g->n, kernels->panel), tiles = parts(g->m, kernels->tile);
    size_t wanted = exec->threads == 1 ? 1 : (size_t)exec->threads * TASKS_A_THREAD;
    while (down * across < wanted && work / (double)(down * across) > 2 * LEAST_WORK) {
        bool more_across = 2 * across <= panels, more_down = 2 * down <= tiles;
        bool want_down = turned && (!plain || 2 * (g->m / down) >= g->n / across);
        if (more_down && (want_down || !more_across))
            down *= 2;
        else if (more_across)
            across *= 2;
        else
            break;
    }
    product cut = {g, kernels, part_of(g->m, down, kernels->tile), part_of(g->n, across, kernels->panel), 0};
    cut.across = parts(g->n, cut.columns);
    at_pool_run(exec->pool, cut.across * parts(g->m, cut.rows), run_product, &cut);
}

size_t at_packed_size(const at_exec *exec, size_t k, size_t n)
{
    size_t panel = exec->kernels->panel;
    return parts(n, panel) * panel * k;
}

typedef struct packing {
    const at_kernels *kernels;
    float *out;
    const float *b;
    size_t b_row, b_col, k, n;
} packing;

static void pack_panels(void *context, size_t first, size_t end, int worker AT_UNUSED)
{
    const packing *p = context;
    p->kernels->pack(p->out, p->b, p->b_row, p->b_col, p->k, p->n, first, end);
}

void at_exec_pack(at_exec *exec, float *out, const float *b, size_t b_row, size_t b_col, size_t k, size_t n)
{
    packing p = {exec->kernels, out, b, b_row, b_col, k, n};
    size_t floats_a_panel = exec->kernels->panel * (k + 1);
    at_exec_count(exec, 0, 2.0 * sizeof(float) * (double)k * (double)n);
    at_exec_rows(exec, parts(n, exec->kernels->panel), 1 + INLINE_WORK / floats_a_panel, pack_panels, &p);
}

size_t at_packed_bf16_size(const at_exec *exec, size_t k, size_t n)
{
    size_t panel = exec->kernels->panel;
    return parts(n, panel) * at_bf16_panel(panel, k);
}

typedef struct packing_bf16 {
    const at_kernels *kernels;
    at_bf16 *out;
    const at_bf16 *b;
    size_t b_row, b_col, k, n;
} packing_bf16;

static void pack_panels_bf16(void *context, size_t first, size_t end, int worker AT_UNUSED)
{
    const packing_bf16 *p = context;
    p->kernels->pack_bf16(p->out, p->b, p->b_row, p->b_col, p->k, p->n, first, end);
}

void at_exec_pack_bf16(at_exec *exec, at_bf16 *out, const at_bf16 *b, size_t b_row, size_t b_col, size_t k,
                       size_t n)
{
    packing_bf16 p = {exec->kernels, out, b, b_row, b_col, k, n};
    size_t numbers_a_panel = exec->kernels->panel * (k + 1);
    at_exec_count(exec, 0, 2.0 * sizeof(at_bf16) * (double)k * (double)n);
    at_exec_rows(exec, parts(n, exec->kernels->panel), 1 + INLINE_WORK / numbers_a_panel, pack_panels_bf16,
                 &p);
}

typedef struct packing_narrow {
    const at_kernels *kernels;
    at_bf16 *out;
    const float *b;
    size_t b_row, k, n;
} packing_narrow;

static void pack_panels_narrow(void *context, size_t first, size_t end, int worker AT_UNUSED)
{
    const packing_narrow *p = context;
    p->kernels->pack_narrow(p->out, p->b, p->b_row, p->k, p->n, first, end);
}

void at_exec_pack_narrow(at_exec *exec, at_bf16 *out, const float *b, size_t b_row, size_t k, size_t n)
{
    packing_narrow p = {exec->kernels, out, b, b_row, k, n};
    size_t panel = exec->kernels->panel;
    at_exec_count(exec, 0, (double)(sizeof(float) + sizeof(at_bf16)) * (double)k * (double)n);
    at_exec_rows(exec, parts(n, panel), 1 + INLINE_WORK / (panel * (k + 1)), pack_panels_narrow, &p);
}

typedef struct rounding {
    const at_kernels *kernels;
    at_bf16 *narrow; /* or */
    float *out;
    const float *a;
} rounding;

static void round_span(void *context, size_t first, size_t end, int worker AT_UNUSED)
{
    const rounding *r = context;
    if (r->narrow)
        r->kernels->narrow(r->narrow + first, r->a + first, end - first);
    else
        r->kernels->round_bf16(r->out + first, r->a + first, end - first);
}

void at_exec_narrow(at_exec *exec, at_bf16 *out, const float *a, size_t n)
{
    rounding r = {exec->kernels, out, NULL, a};
    at_exec_count(exec, 0, (double)(sizeof(float) + sizeof(at_bf16)) * (double)n);
    at_exec_rows(exec, n, INLINE_WORK, round_span, &r);
}

void at_exec_round_bf16(at_exec *exec, float *out, const float *a, size_t n)
{
    rounding r = {exec->kernels, NULL, out, a};
    at_exec_count(exec, 0, 2.0 * sizeof(float) * (double)n);
    at_exec_rows(exec, n, INLINE_WORK, round_span, &r);
}

void at_gemm_packed_bf16(const at_exec *exec, at_gemm *g, const at_bf16 *panels)
{
    g->b16 = panels;
    g->b_panel = at_bf16_panel(exec->kernels->panel, g->k);
}

void at_gemm_packed(const at_exec *exec, at_gemm *g, const float *panels)
{
    size_t panel = exec->kernels->panel;
    g->b = panels;
    g->b_row = panel;
    g->b_panel = g->k * panel;
}

void at_gemm_plain(const at_exec *exec, at_gemm *g, const float *b, size_t b_row)
{
    g->b = b;
    g->b_row = b_row;
    g->b_panel = exec->kernels->panel;
}
