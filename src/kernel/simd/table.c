#include <pthread.h>
#include "kernel/simd/simd.h"

static at_kernels table;

/* What no file of this folder overrides stays the reference's. */
static void fill(void)
{
    table = at_kernels_ref;
    table.name = AT_SIMD_TEXT;
    AT_SIMD_NAME(fill_gemm)(&table);
    AT_SIMD_NAME(fill_bf16)(&table);
    AT_SIMD_NAME(fill_row)(&table);
    AT_SIMD_NAME(fill_norm)(&table);
    AT_SIMD_NAME(fill_turn)(&table);
    AT_SIMD_NAME(fill_softmax)(&table);
    AT_SIMD_NAME(fill_dropout)(&table);
    AT_SIMD_NAME(fill_loss)(&table);
    AT_SIMD_NAME(fill_adam)(&table);
    AT_SIMD_NAME(fill_cell)(&table);
    AT_SIMD_NAME(fill_peak)(&table);
    AT_SIMD_NAME(fill_attend)(&table);
    AT_SIMD_NAME(fill_attend_bf16)(&table);
    AT_SIMD_NAME(fill_additive)(&table);
}

const at_kernels *AT_SIMD_NAME(kernels)(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill);
    return &table;
}
