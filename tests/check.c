#include "tests/check.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/memory.h"

enum { GUARD = 64, GUARD_BYTE = 0xA5 };

static char folder[256];
static pthread_mutex_t allocation_lock = PTHREAD_MUTEX_INITIALIZER;
static long allocations_left = -1, live_blocks;
static bool allocation_failed;

static bool near(double got, double want, double tolerance)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got))
        return got == want;
    return fabs(got - want) <= tolerance * fmax(1, fabs(want));
}

void check_near_at(const float *got, const float *want, size_t n, double tolerance, const char *file,
                   int line)
{
    enum { SHOWN = 5 };
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++)
        if (!near((double)got[i], (double)want[i], tolerance) && ++wrong <= SHOWN)
            print_error("[%zu]: got %.9g, want %.9g, apart %.3g, tolerance %.3g\n", i, (double)got[i],
                        (double)want[i], fabs((double)got[i] - (double)want[i]), tolerance);
    if (wrong) {
        print_error("%zu of %zu values differ\n", wrong, n);
        _fail(file, line);
    }
}

void check_same_bits_at(const void *got, const void *want, size_t bytes, const char *file, int line)
{
    const unsigned char *a = got, *b = want;
    for (size_t i = 0; i < bytes; i++)
        if (a[i] != b[i]) {
            print_error("byte %zu of %zu: got %02x, want %02x\n", i, bytes, a[i], b[i]);
            _fail(file, line);
        }
}

void check_ok_at(at_status status, const char *text, const char *file, int line)
{
    if (status == AT_OK)
        return;
    print_error("%s gave \"%s\": %s\n", text, at_status_text(status), at_error_message());
    _fail(file, line);
}

void check_fails_at(at_status got, at_status want, const char *message_part, const char *text,
                    const char *file, int line)
{
    const char *message = at_error_message();
    if (got == want && (!message_part || strstr(message, message_part)))
        return;
    print_error("%s gave \"%s\": %s\nwant \"%s\" and \"%s\" in the message\n", text, at_status_text(got),
                message, at_status_text(want), message_part ? message_part : "");
    _fail(file, line);
}

/* The block's size stands in the first bytes of the front guard's own cache line. */
float *check_guarded(size_t n)
{
    unsigned char *whole = NULL;
    size_t bytes = n * sizeof(float);
    if (posix_memalign((void **)&whole, GUARD, bytes + 3 * GUARD) != 0)
        fail_msg("no memory for %zu guarded floats", n);
    memcpy(whole, &bytes, sizeof bytes);
    memset(whole + GUARD, GUARD_BYTE, GUARD);
    memset(whole + 2 * GUARD + bytes, GUARD_BYTE, GUARD);
    float *block = (float *)(void *)(whole + 2 * GUARD);
    for (size_t i = 0; i < n; i++)
        block[i] = NAN;
    return block;
}

void check_guard_at(const float *block, const char *file, int line)
{
    const unsigned char *data = (const unsigned char *)block;
    size_t bytes;
    memcpy(&bytes, data - (size_t)2 * GUARD, sizeof bytes);
    for (size_t i = 0; i < GUARD; i++) {
        if ((data - GUARD)[i] != GUARD_BYTE) {
            print_error("written %zu bytes before the block\n", GUARD - i);
            _fail(file, line);
        }
        if (data[bytes + i] != GUARD_BYTE) {
            print_error("written %zu bytes behind the block of %zu\n", i + 1, bytes);
            _fail(file, line);
        }
    }
}

void check_guard_free(float *block)
{
    if (!block)
        return;
    check_guard(block);
    free((unsigned char *)block - (size_t)2 * GUARD);
}

uint64_t check_rng_seed(void)
{
    static bool printed;
    const char *text = getenv("AT_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 1;
    if (!printed)
        print_message("seed %llu (AT_TEST_SEED)\n", (unsigned long long)seed);
    printed = true;
    return seed;
}

static void remove_folder(void)
{
    at_remove_tree(folder);
}

char *check_folder(void)
{
    if (folder[0])
        return folder;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/attend-test-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder))
        fail_msg("cannot make %s", folder);
    atexit(remove_folder);
    return folder;
}

const char *check_path(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", check_folder(), name);
    return path;
}

/* True if this allocation is one that must fail. */
static bool refuse(void)
{
    pthread_mutex_lock(&allocation_lock);
    bool now = allocations_left == 0;
    if (now)
        allocation_failed = true;
    else if (allocations_left > 0)
        allocations_left--;
    pthread_mutex_unlock(&allocation_lock);
    return now;
}

static void count_block(long change)
{
    pthread_mutex_lock(&allocation_lock);
    live_blocks += change;
    pthread_mutex_unlock(&allocation_lock);
}

static void *failing_alloc(void *context AT_UNUSED, size_t size)
{
    void *block = refuse() ? NULL : malloc(size);
    if (block)
        count_block(1);
    return block;
}

static void *failing_realloc(void *context AT_UNUSED, void *block, size_t size)
{
    return refuse() ? NULL : realloc(block, size);
}

static void counting_free(void *context AT_UNUSED, void *block)
{
    count_block(-1);
    free(block);
}

void check_fail_allocation(long n)
{
    static const at_allocator failing = {failing_alloc, failing_realloc, counting_free, NULL};
    allocations_left = n < 0 ? -1 : n;
    allocation_failed = false;
    live_blocks = 0;
    at_memory_use(&failing);
}

bool check_allocations_restore(void)
{
    at_memory_use(NULL);
    allocations_left = -1;
    return allocation_failed;
}

long check_live_blocks(void)
{
    return live_blocks;
}

void check_every_allocation(at_status (*attempt)(void *context), void *context, long most)
{
    for (long n = 0; n <= most; n++) {
        check_fail_allocation(n);
        at_status st = attempt(context);
        bool failed = check_allocations_restore();
        if (live_blocks != 0)
            fail_msg("allocation %ld failing leaves %ld blocks behind", n, live_blocks);
        if (!failed) {
            check_ok(st);
            return;
        }
        if (st != AT_ENOMEM)
            fail_msg("allocation %ld failing gives \"%s\": %s", n, at_status_text(st), at_error_message());
    }
    fail_msg("still short of memory after %ld allocations", most);
}
