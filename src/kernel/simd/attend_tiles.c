#include "kernel/dropout.h"
#include "kernel/simd/attend.h"
#include "kernel/simd/philox.h"

/* A vector of keys and a vector of their elements at a time. */
static void pack_group(float *panel, size_t width, const float *const rows[AT_VEC], size_t d)
{
    at_vec v[AT_VEC];
    size_t l = 0;
    for (; l + AT_VEC <= d; l += AT_VEC) {
        attend_turned(v, rows, l, AT_VEC);
#pragma GCC unroll 16
        for (size_t j = 0; j < AT_VEC; j++)
            vec_store(panel + (l + j) * width, v[j]);
    }
    if (l == d)
        return;
    attend_turned(v, rows, l, d - l);
    for (size_t j = 0; l + j < d; j++)
        vec_store(panel + (l + j) * width, v[j]);
}

void AT_SIMD_NAME(attend_pack)(float *panels, const float *from, size_t stride, const int32_t *rows,
                               size_t s0, size_t columns, size_t d, size_t panel)
{
    size_t padded = attend_rounded(columns, panel);
    for (size_t c = 0; c < padded; c += AT_VEC) {
        float *group = panels + c / panel * panel * d + c % panel;
        if (c >= columns) {
            for (size_t l = 0; l < d; l++)
                vec_store(group + l * panel, vec_zero());
            continue;
        }
        const float *at[AT_VEC];
        attend_rows(at, from, stride, rows, s0 + c, s0 + columns);
        pack_group(group, panel, at, d);
    }
}

/* Blocks of four keys, row after row: a vector of counters may reach over several rows. */
void AT_SIMD_NAME(attend_factors)(const at_attend *a, float *factors, size_t t0, size_t rows, size_t s0,
                                  size_t columns)
{
    size_t blocks = (columns + 3) / 4, b = 0, t = t0;
    at_uvec limit = uvec_set(at_drop_limit(a->drop_rate)), words[4], in_order[4];
    at_uvec counter[4] = {uvec_set(0), uvec_set(0), uvec_set(a->drop_counter[0]),
                          uvec_set(a->drop_counter[1])};
    at_vec scale = vec_set(at_drop_scale(a->drop_rate));
    for (size_t i = 0; i < rows * blocks; i += AT_VEC) {
        uint32_t block[AT_VEC], query[AT_VEC];
        for (size_t lane = 0; lane < AT_VEC; lane++) {
            block[lane] = (uint32_t)(s0 / 4 + b);
            query[lane] = (uint32_t)t;
            if (++b == blocks) {
                b = 0;
                t++;
            }
        }
        counter[0] = uvec_load(block);
        counter[1] = uvec_load(query);
        uvec_philox(counter, a->drop_key, words);
        uvec_weave4(words, in_order);
#pragma GCC unroll 4
        for (size_t v = 0; v < 4; v++)
            vec_store(factors + 4 * i + v * AT_VEC,
                      vec_select(uvec_less(in_order[v], limit), vec_zero(), scale));
    }
}
