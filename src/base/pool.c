#include "base/pool.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/memory.h"

/* The gate is one word, so that joining a run and the run's end cannot cross:
 * bits 0-15 workers inside, bit 16 the run is open, bit 17 the caller sleeps until
 * the last worker leaves, from bit 18 on the number of the run. Only a worker inside
 * may look at task, context, count and next; the caller changes them when nobody is. */
#define INSIDE ((uint64_t)0xFFFF)
#define OPEN ((uint64_t)1 << 16)
#define CALLER_SLEEPS ((uint64_t)1 << 17)
#define RUN_SHIFT 18

enum { MAX_THREADS = 256, CACHE_LINE = 64 };
static const double SPIN_SECONDS = 40e-6; /* a training step's gaps are shorter; a wake-up costs about this */

typedef struct worker {
    at_pool *pool;
    pthread_t thread;
    int index;
} worker;

struct at_pool {
    _Alignas(CACHE_LINE) _Atomic uint64_t gate;
    _Alignas(CACHE_LINE) _Atomic size_t next;
    _Alignas(CACHE_LINE) at_task *task;
    void *context;
    size_t count;
    _Alignas(CACHE_LINE) atomic_int sleepers;
    atomic_bool stop;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    worker *workers;
    int threads;
    bool spin, running;
};

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void work(at_pool *pool, int index)
{
    size_t count = pool->count;
    for (;;) {
        size_t i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (i >= count)
            return;
        pool->task(pool->context, i, index);
    }
}

/* Goes through an open gate; false if the run ended meanwhile. */
static bool enter(at_pool *pool, uint64_t gate)
{
    while (gate & OPEN)
        if (atomic_compare_exchange_weak_explicit(&pool->gate, &gate, gate + 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static void leave(at_pool *pool)
{
    uint64_t before = atomic_fetch_sub_explicit(&pool->gate, 1, memory_order_acq_rel);
    if ((before & CALLER_SLEEPS) && (before & INSIDE) == 1) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->done);
        pthread_mutex_unlock(&pool->lock);
    }
}

static bool has_news(at_pool *pool, uint64_t seen)
{
    return atomic_load(&pool->gate) >> RUN_SHIFT != seen || atomic_load(&pool->stop);
}

/* Spins for a while, then sleeps, until there is a run after `seen` or the end. */
static void await_news(at_pool *pool, uint64_t seen)
{
    if (pool->spin) {
        double end = at_clock() + SPIN_SECONDS;
        do {
            for (int i = 0; i < 16; i++) {
                if (has_news(pool, seen))
                    return;
                pause_cpu();
            }
        } while (at_clock() < end);
    }
    pthread_mutex_lock(&pool->lock);
    /* Counted before looking again, and the caller opens the gate before it looks at
     * the count: one of the two sees the other (both sequentially consistent). */
    atomic_fetch_add(&pool->sleepers, 1);
    while (!has_news(pool, seen))
        pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *argument)
{
    worker *self = argument;
    at_pool *pool = self->pool;
    uint64_t seen = 0;
    while (!atomic_load(&pool->stop)) {
        await_news(pool, seen);
        uint64_t gate = atomic_load(&pool->gate);
        if (enter(pool, gate)) {
            seen = atomic_load(&pool->gate) >> RUN_SHIFT; /* cannot change while we are inside */
            work(pool, self->index);
            leave(pool);
        } else {
            seen = gate >> RUN_SHIFT;
        }
    }
    return NULL;
}

static void wake_workers(at_pool *pool, size_t wanted)
{
    int sleepers = atomic_load(&pool->sleepers);
    if (!sleepers)
        return;
    pthread_mutex_lock(&pool->lock);
    if (wanted >= (size_t)sleepers)
        pthread_cond_broadcast(&pool->wake);
    else
        for (size_t i = 0; i < wanted; i++)
            pthread_cond_signal(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

/* Closes the gate and waits for those inside; who did not come in time is not missed. */
static void close_run(at_pool *pool)
{
    atomic_fetch_and_explicit(&pool->gate, ~OPEN, memory_order_acq_rel);
    double end = 0;
    for (unsigned round = 0;; round++) {
        for (int i = 0; i < 64; i++) {
            if (!(atomic_load_explicit(&pool->gate, memory_order_acquire) & INSIDE))
                return;
            pause_cpu();
        }
        double now = at_clock();
        if (!round)
            end = now + (pool->spin ? 4 * SPIN_SECONDS : 0);
        if (now >= end)
            break;
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_or(&pool->gate, CALLER_SLEEPS);
    while (atomic_load(&pool->gate) & INSIDE)
        pthread_cond_wait(&pool->done, &pool->lock);
    atomic_fetch_and(&pool->gate, ~CALLER_SLEEPS);
    pthread_mutex_unlock(&pool->lock);
}

at_status at_pool_new(int threads, at_pool **result)
{
    *result = NULL;
    if (threads < 0 || threads > MAX_THREADS)
        return at_fail(AT_EARG, "threads: %d is not 0 (all cores) to %d", threads, MAX_THREADS);
    int cores = at_cores();
    if (!threads)
        threads = cores < MAX_THREADS ? cores : MAX_THREADS;
    at_pool *pool = at_alloc_aligned(1, sizeof *pool);
    worker *workers = at_alloc_zero((size_t)threads, sizeof *workers);
    if (!pool || !workers) {
        at_free(workers);
        at_free_aligned(pool);
        return AT_ENOMEM;
    }
    memset(pool, 0, sizeof *pool);
    pool->workers = workers;
    pool->spin = threads <= cores; /* with fewer cores than threads, spinning keeps others from working */
    pool->threads = 1;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (int i = 1; i < threads; i++) {
        workers[i] = (worker){.pool = pool, .index = i};
        int error = pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
        if (error) {
            at_pool_free(pool);
            return at_fail(AT_EIO, "thread %d of %d not started: %s; ask for fewer threads", i + 1, threads,
                           strerror(error));
        }
        pool->threads = i + 1;
    }
    *result = pool;
    return AT_OK;
}

void at_pool_free(at_pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 1; i < pool->threads; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    at_free(pool->workers);
    at_free_aligned(pool);
}

int at_pool_threads(const at_pool *pool)
{
    return pool->threads;
}

void at_pool_run(at_pool *pool, size_t count, at_task *task, void *context)
{
    if (pool->threads == 1 || count <= 1) {
        for (size_t i = 0; i < count; i++)
            task(context, i, 0);
        return;
    }
    AT_ASSERT(!pool->running); /* a task must not start a run, nor two threads share a pool */
    pool->running = true;
    pool->task = task;
    pool->context = context;
    pool->count = count;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    uint64_t run = (atomic_load_explicit(&pool->gate, memory_order_relaxed) >> RUN_SHIFT) + 1;
    atomic_store(&pool->gate, run << RUN_SHIFT | OPEN);
    wake_workers(pool, count - 1);
    work(pool, 0);
    close_run(pool);
    pool->running = false;
}

#ifdef __linux__
/* The whole cores a cgroup's quota allows, or `cores` if there is none. */
static int quota_of(const char *path, int cores)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return cores;
    double quota, period;
    if (fscanf(file, "%lf %lf", &quota, &period) == 2 && quota > 0 && period > 0) {
        double allowed = quota / period;
        if (allowed < cores)
            cores = allowed <= 1 ? 1 : (int)(allowed + 0.5);
    }
    fclose(file);
    return cores;
}

static int cgroup_cores(int cores)
{
    cores = quota_of("/sys/fs/cgroup/cpu.max", cores); /* a container sees its own group as the root */
    char line[512];
    FILE *file = fopen("/proc/self/cgroup", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "0::/", 4) != 0 || strstr(line, ".."))
            continue;
        line[strcspn(line, "\n")] = '\0';
        char path[640];
        for (char *end = line + strlen(line); end > line + 4; end = strrchr(line + 3, '/')) {
            *end = '\0';
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", line + 3);
            cores = quota_of(path, cores);
        }
    }
    if (file)
        fclose(file);
    return cores;
}
#endif

int at_cores(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return cgroup_cores(CPU_COUNT(&set));
#endif
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : (int)cores;
}
