#include "kernel/dropout.h"
#include "kernel/simd/attend.h"
#include "kernel/simd/philox.h"

/* A vector of keys and a vector of their elements at a time. */
static void turn_group(float *panel, const float *const rows[AT_VEC], size_t d, at_vec by)
{
    at_vec v[AT_VEC];
    size_t l = 0;
    for (; l + AT_VEC <= d; l += AT_VEC) {
        attend_turned(v, rows, l, AT_VEC);
#pragma GCC unroll 16
        for (size_t j = 0; j < AT_VEC; j++)
            vec_store(panel + (l + j) * PANEL, vec_mul(by, v[j]));
    }
    if (l == d)
        return;
    attend_turned(v, rows, l, d - l);
    for (size_t j = 0; l + j < d; j++)
        vec_store(panel + (l + j) * PANEL, vec_mul(by, v[j]));
}

void AT_SIMD_NAME(attend_turn)(float *panels, const float *from, size_t stride, const int32_t *rows,
                               size_t s0, size_t columns, size_t d, float s)
{
    size_t padded = attend_rounded(columns, PANEL);
    for (size_t c = 0; c < padded; c += AT_VEC) {
        float *group = panels + c / PANEL * PANEL * d + c % PANEL;
        if (c >= columns) {
            for (size_t l = 0; l < d; l++)
                vec_store(group + l * PANEL, vec_zero());
            continue;
        }
        const float *at[AT_VEC];
        if (c + AT_VEC < columns) {
            attend_rows(at, from, stride, rows, s0 + c + AT_VEC, s0 + columns);
            for (size_t i = 0; i < AT_VEC; i++)
                attend_fetch(at[i], d);
        }
        attend_rows(at, from, stride, rows, s0 + c, s0 + columns);
        turn_group(group, at, d, vec_set(s));
    }
}

void AT_SIMD_NAME(attend_pack)(float *panels, const float *from, size_t stride, const int32_t *rows,
                               size_t s0, size_t count, size_t d, float s)
{
    at_vec by = vec_set(s);
    size_t whole = d / AT_VEC * AT_VEC, width = attend_rounded(d, PANEL);
    for (size_t i = 0; i < count; i++) {
        const float *row = from + (rows ? (size_t)rows[s0 + i] : s0 + i) * stride;
        float *to = panels + i * PANEL;
        if (i + AHEAD < count)
            attend_fetch(from + (rows ? (size_t)rows[s0 + i + AHEAD] : s0 + i + AHEAD) * stride, d);
        for (size_t j = 0; j < width; j += AT_VEC) {
            at_vec v = j < whole ? vec_load(row + j) : j < d ? vec_load_n(row + j, d - j) : vec_zero();
            vec_store(to + j / PANEL * count * PANEL + j % PANEL, vec_mul(by, v));
        }
    }
}

/* Counters of the blocks of four keys, row after row: a vector may reach over several rows. */
typedef struct block_counter {
    at_uvec block, query;
    uint32_t first, each; /* of a row: its first block and how many */
} block_counter;

static block_counter count_from(size_t t0, size_t s0, size_t each)
{
    uint32_t block[AT_VEC], query[AT_VEC];
    for (size_t lane = 0; lane < AT_VEC; lane++) {
        block[lane] = (uint32_t)(s0 / 4 + lane % each);
        query[lane] = (uint32_t)(t0 + lane / each);
    }
    return (block_counter){uvec_load(block), uvec_load(query), (uint32_t)(s0 / 4), (uint32_t)each};
}

/* AT_VEC blocks on: whole rows and a rest, which may reach into one row more. */
AT_INLINE void count_on(block_counter *c)
{
    uint32_t rows = AT_VEC / c->each, rest = AT_VEC % c->each;
    at_uvec block = uvec_add(c->block, uvec_set(rest)), end = uvec_set(c->first + c->each);
    at_lanes inside = uvec_less(block, end);
    at_uvec back = uvec_set(0u - c->each);
    c->block = uvec_select(inside, block, uvec_add(block, back));
    c->query = uvec_add(c->query, uvec_select(inside, uvec_set(rows), uvec_set(rows + 1)));
}

void AT_SIMD_NAME(attend_factors)(const at_attend *a, float *factors, size_t t0, size_t rows, size_t s0,
                                  size_t columns)
{
    size_t blocks = (columns + 3) / 4;
    if (blocks == 0)
        return;
    at_uvec limit = uvec_set(at_drop_limit(a->drop_rate));
    at_vec scale = vec_set(at_drop_scale(a->drop_rate));
    block_counter at = count_from(t0, s0, blocks);
    for (size_t i = 0; i < rows * blocks; i += AT_VEC) {
        at_uvec words[4], in_order[4];
        at_uvec counter[4] = {at.block, at.query, uvec_set(a->drop_counter[0]), uvec_set(a->drop_counter[1])};
        uvec_philox(counter, a->drop_key, words);
        uvec_weave4(words, in_order);
#pragma GCC unroll 4
        for (size_t v = 0; v < 4; v++)
            vec_store(factors + 4 * i + v * AT_VEC,
                      vec_select(uvec_less(in_order[v], limit), vec_zero(), scale));
        count_on(&at);
    }
}
