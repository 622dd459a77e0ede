#include "base/rng.h"
#include "kernel/dropout.h"
#include "kernel/ref/ref.h"

void at_ref_dropout(float *out, const float *base, const float *a, size_t n, float rate,
                    const uint32_t key[2], const uint32_t counter[3])
{
    uint32_t limit = at_drop_limit(rate), words[4] = {0};
    float scale = at_drop_scale(rate);
    for (size_t i = 0; i < n; i++) {
        if (i % 4 == 0) {
            uint32_t block[4] = {(uint32_t)(i / 4), counter[0], counter[1], counter[2]};
            at_philox(block, key, words);
        }
        float kept = words[i % 4] >= limit ? a[i] * scale : 0;
        out[i] = base ? base[i] + kept : kept;
    }
}
