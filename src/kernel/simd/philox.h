/* kernel/simd/philox.h - Philox4x32-10 on a vector of counters.
 *
 * Role    base/rng.h's generator, AT_VEC blocks at a time, bit for bit.
 * Owns    Nothing.
 * Errors  None.
 *
 *     at_uvec words[4];                  // words[j]: word j of each lane's block
 *     uvec_philox(counter, key, words);
 *     uvec_weave4(words, in_order);      // as the blocks lie one behind the other
 */
#ifndef AT_KERNEL_SIMD_PHILOX_H
#define AT_KERNEL_SIMD_PHILOX_H
#include "kernel/simd/simd.h"

AT_INLINE void uvec_philox(const at_uvec counter[4], const uint32_t key[2], at_uvec words[4])
{
    const at_uvec m0 = uvec_set(0xD2511F53u), m1 = uvec_set(0xCD9E8D57u);
    at_uvec c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        at_uvec low0, high0, low1, high1;
        uvec_mul_wide(c0, m0, &low0, &high0);
        uvec_mul_wide(c2, m1, &low1, &high1);
        c0 = uvec_xor(uvec_xor(high1, c1), uvec_set(k0));
        c1 = low1;
        c2 = uvec_xor(uvec_xor(high0, c3), uvec_set(k1));
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}
#endif
