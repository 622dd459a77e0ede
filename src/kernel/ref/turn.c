#include "kernel/ref/ref.h"

/* Su et al. 2021, arXiv:2104.09864, equation 34. The turn back has the sines' signs the other way round. */
void at_ref_turn(const at_turn *r)
{
    size_t apart = r->interleaved ? 1 : r->pairs, step = r->interleaved ? 2 : 1;
    for (size_t h = 0; h < r->heads; h++) {
        const float *x = r->x + h * r->width;
        float *out = r->out + h * r->width;
        for (size_t i = 0; i < r->pairs; i++) {
            size_t at = i * step;
            float c = r->cosines[i], s = r->back ? -r->sines[i] : r->sines[i], a = x[at], b = x[at + apart];
            float first = a * c - b * s, second = b * c + a * s;
            out[at] = r->accumulate ? out[at] + first : first;
            out[at + apart] = r->accumulate ? out[at + apart] + second : second;
        }
        for (size_t j = 2 * r->pairs; j < r->width; j++)
            out[j] = r->accumulate ? out[j] + x[j] : x[j];
    }
}
