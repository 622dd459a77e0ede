#include "kernel/simd/math.h"

static void additive(const at_additive *a, float *scores)
{
    for (size_t s = 0; s < a->keys; s++) {
        const float *k = a->k + s * a->k_stride;
        at_vec sum = vec_zero();
        for (size_t j = 0; j < a->width; j += AT_VEC) {
            size_t lanes = vec_lanes(a->width - j);
            at_vec u = vec_tanh(vec_add(vec_load_n(a->q + j, lanes), vec_load_n(k + j, lanes)));
            sum = vec_fma(vec_load_n(a->v + j, lanes), u, sum);
        }
        scores[s] = vec_sum(sum);
    }
}

static void additive_backward(const at_additive *a)
{
    at_vec one = vec_set(1.0f);
    for (size_t s = 0; s < a->keys; s++) {
        const float *k = a->k + s * a->k_stride;
        float *d_k = a->d_k + s * a->k_stride;
        at_vec d = vec_set(a->d_scores[s]);
        for (size_t j = 0; j < a->width; j += AT_VEC) {
            size_t lanes = vec_lanes(a->width - j);
            at_vec u = vec_tanh(vec_add(vec_load_n(a->q + j, lanes), vec_load_n(k + j, lanes)));
            at_vec slope = vec_mul(vec_sub(one, u), vec_add(one, u));
            at_vec inner = vec_mul(vec_mul(d, vec_load_n(a->v + j, lanes)), slope);
            vec_store_n(a->d_q + j, vec_add(vec_load_n(a->d_q + j, lanes), inner), lanes);
            vec_store_n(d_k + j, vec_add(vec_load_n(d_k + j, lanes), inner), lanes);
            vec_store_n(a->d_v + j, vec_fma(d, u, vec_load_n(a->d_v + j, lanes)), lanes);
        }
    }
}

void AT_SIMD_NAME(fill_additive)(at_kernels *table)
{
    table->additive = additive;
    table->additive_backward = additive_backward;
}
