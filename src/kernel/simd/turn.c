#include "kernel/simd/simd.h"

AT_INLINE void put(float *out, at_vec v, bool accumulate, size_t lanes)
{
    vec_store_n(out, accumulate ? vec_add(vec_load_n(out, lanes), v) : v, lanes);
}

/* One head whose pairs lie half a width apart. */
AT_INLINE void turn_head(const at_turn *r, float *out, const float *x, bool accumulate)
{
    for (size_t i = 0; i < r->pairs; i += AT_VEC) {
        size_t lanes = vec_lanes(r->pairs - i);
        at_vec c = vec_load_n(r->cosines + i, lanes), s = vec_load_n(r->sines + i, lanes);
        at_vec a = vec_load_n(x + i, lanes), b = vec_load_n(x + r->pairs + i, lanes);
        if (r->back)
            s = vec_sub(vec_zero(), s);
        put(out + i, vec_sub(vec_mul(a, c), vec_mul(b, s)), accumulate, lanes);
        put(out + r->pairs + i, vec_add(vec_mul(b, c), vec_mul(a, s)), accumulate, lanes);
    }
    for (size_t j = 2 * r->pairs; j < r->width; j += AT_VEC) {
        size_t lanes = vec_lanes(r->width - j);
        put(out + j, vec_load_n(x + j, lanes), accumulate, lanes);
    }
}

/* Pairs side by side, the rarer form, stay with the reference. */
static void turn(const at_turn *r)
{
    if (r->interleaved) {
        at_kernels_ref.turn(r);
        return;
    }
    for (size_t h = 0; h < r->heads; h++) {
        if (r->accumulate)
            turn_head(r, r->out + h * r->width, r->x + h * r->width, true);
        else
            turn_head(r, r->out + h * r->width, r->x + h * r->width, false);
    }
}

void AT_SIMD_NAME(fill_turn)(at_kernels *table)
{
    table->turn = turn;
}
