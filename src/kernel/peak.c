#include <math.h>
#include "base/clock.h"
#include "base/memory.h"
#include "kernel/exec.h"

/* Larger than any cache of today's, and cut so that every thread gets many parts. */
enum { STREAM_FLOATS = 1 << 25, STREAM_PART = 1 << 17, RUNS = 6, LOOPS = 10 };

typedef struct peaks {
    const at_kernels *kernels;
    const float *stream;
    float *sinks; /* one a task, a line apart */
    double work;
} peaks;

static void multiply_add(void *context, size_t index, int worker AT_UNUSED)
{
    peaks *p = context;
    double work = 0;
    for (int i = 0; i < LOOPS; i++)
        work += p->kernels->peak(p->sinks + 16 * index);
    if (!index)
        p->work = work;
}

static void read_part(void *context, size_t index, int worker AT_UNUSED)
{
    peaks *p = context;
    p->sinks[16 * index] = p->kernels->max(p->stream + index * STREAM_PART, STREAM_PART);
}

/* The best of some runs: what else the machine does can only make it slower. */
static double fastest(at_exec *exec, size_t tasks, at_task *task, peaks *p)
{
    double best = INFINITY;
    for (int i = 0; i < RUNS; i++) {
        double start = at_clock();
        at_pool_run(exec->pool, tasks, task, p);
        best = fmin(best, at_clock() - start);
    }
    return best;
}

at_status at_exec_peaks(at_exec *exec, double *flops, double *bytes)
{
    size_t parts = STREAM_FLOATS / STREAM_PART, threads = (size_t)exec->threads;
    float *stream = at_alloc_aligned(STREAM_FLOATS, sizeof *stream);
    float *sinks = at_alloc_zero(16 * (parts > threads ? parts : threads), sizeof *sinks);
    at_status st = stream && sinks ? AT_OK : AT_ENOMEM;
    if (st == AT_OK) {
        for (size_t i = 0; i < STREAM_FLOATS; i++) /* so that every page is there */
            stream[i] = (float)(i & 15);
        peaks p = {exec->kernels, stream, sinks, 0};
        double took = fastest(exec, threads, multiply_add, &p);
        *flops = p.work * (double)threads / took;
        *bytes = (double)STREAM_FLOATS * sizeof(float) / fastest(exec, parts, read_part, &p);
    }
    at_free_aligned(stream);
    at_free(sinks);
    return st;
}
