#include "kernel/simd/simd.h"

typedef struct factors {
    at_vec grad, beta1, rest1, beta2, rest2, correct1, correct2, eps, decay, lr;
} factors;

AT_INLINE void step(float *p, float *m, float *v, const float *g, const factors *f, size_t lanes)
{
    at_vec grad = vec_mul(vec_load_n(g, lanes), f->grad), old = vec_load_n(p, lanes);
    at_vec mean = vec_fma(f->beta1, vec_load_n(m, lanes), vec_mul(f->rest1, grad));
    at_vec square = vec_fma(f->beta2, vec_load_n(v, lanes), vec_mul(vec_mul(f->rest2, grad), grad));
    at_vec root = vec_add(vec_sqrt(vec_mul(square, f->correct2)), f->eps);
    at_vec move = vec_fma(f->decay, old, vec_div(vec_mul(mean, f->correct1), root));
    vec_store_n(m, mean, lanes);
    vec_store_n(v, square, lanes);
    vec_store_n(p, vec_fnma(f->lr, move, old), lanes);
}

static void adam(float *p, float *m, float *v, const float *g, size_t n, const at_adam *a)
{
    const factors f = {vec_set(a->grad_scale), vec_set(a->beta1),    vec_set(1 - a->beta1), vec_set(a->beta2),
                       vec_set(1 - a->beta2),  vec_set(a->correct1), vec_set(a->correct2),  vec_set(a->eps),
                       vec_set(a->decay),      vec_set(a->lr)};
    size_t i = 0;
    for (; i + AT_VEC <= n; i += AT_VEC)
        step(p + i, m + i, v + i, g + i, &f, AT_VEC);
    if (i < n)
        step(p + i, m + i, v + i, g + i, &f, n - i);
}

void AT_SIMD_NAME(fill_adam)(at_kernels *table)
{
    table->adam = adam;
}
