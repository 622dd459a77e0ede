#include <pthread.h>
#include <string.h>
#include "kernel/exec.h"
#include "kernel/internal.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum { EAX, EBX, ECX, EDX };

/* One row a feature: where CPUID tells it, and which register state the system must save for it. */
typedef struct feature {
    const char *name;
    unsigned leaf, subleaf, reg, bit;
    uint64_t state;
} feature;

#ifdef AT_EMULATE_AVX512
enum { EMULATED = 1 };
#else
enum { EMULATED = 0 };
#endif
enum { STATE_YMM = 0x6, STATE_ZMM = 0xE6, STATE_TILE = 0x60000 }; /* bits of XCR0 */

static const feature features[] = {
    {"avx2", 7, 0, EBX, 5, STATE_YMM},        {"fma", 1, 0, ECX, 12, STATE_YMM},
    {"f16c", 1, 0, ECX, 29, STATE_YMM},       {"avx512f", 7, 0, EBX, 16, STATE_ZMM},
    {"avx512bw", 7, 0, EBX, 30, STATE_ZMM},   {"avx512dq", 7, 0, EBX, 17, STATE_ZMM},
    {"avx512vl", 7, 0, EBX, 31, STATE_ZMM},   {"avx512_vnni", 7, 0, ECX, 11, STATE_ZMM},
    {"avx512_bf16", 7, 1, EAX, 5, STATE_ZMM}, {"amx_bf16", 7, 0, EDX, 22, STATE_TILE},
};
enum { FEATURES = sizeof features / sizeof *features };

static uint64_t saved_state(void)
{
    unsigned r[4] = {0};
    if (!__get_cpuid(1, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) || !(r[ECX] & bit_OSXSAVE))
        return 0;
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool has(const feature *f, uint64_t state)
{
    unsigned r[4] = {0};
    return __get_cpuid_count(f->leaf, f->subleaf, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) &&
           (r[f->reg] >> f->bit & 1) && (state & f->state) == f->state;
}

/* Every name of `wanted`, which ends with NULL. */
static bool has_all(const char *const *wanted)
{
    uint64_t state = saved_state();
    for (; *wanted; wanted++)
        for (size_t i = 0; i < FEATURES; i++)
            if (!strcmp(features[i].name, *wanted) && !has(&features[i], state))
                return false;
    return true;
}

bool at_cpu_runs_avx2(void)
{
    return has_all((const char *const[]){"avx2", "fma", "f16c", NULL});
}

bool at_cpu_runs_avx512(void)
{
    return EMULATED || (at_cpu_runs_avx2() &&
                        has_all((const char *const[]){"avx512f", "avx512bw", "avx512dq", "avx512vl", NULL}));
}

bool at_cpu_runs_avx512bf16(void)
{
    return EMULATED || (at_cpu_runs_avx512() && has_all((const char *const[]){"avx512_bf16", NULL}));
}

static char name[192];

static void write_name(void)
{
    uint64_t state = saved_state();
    strcpy(name, "x86-64");
    for (size_t i = 0; i < FEATURES; i++)
        if (has(&features[i], state)) {
            strcat(name, " ");
            strcat(name, features[i].name);
        }
}

const char *at_cpu_name(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, write_name);
    return name;
}

#else

bool at_cpu_runs_avx2(void)
{
    return false;
}

bool at_cpu_runs_avx512(void)
{
    return false;
}

bool at_cpu_runs_avx512bf16(void)
{
    return false;
}

const char *at_cpu_name(void)
{
#if defined(__aarch64__)
    return "arm64 neon";
#else
    return "unknown";
#endif
}
#endif
