#include <math.h>
#include "base/memory.h"
#include "task/internal.h"

typedef struct positions {
    at_positions public;
    float *values;
    double *numbers; /* mean, least and most, one after the other */
} positions;

/* Products of all pairs of rows, gathered by their distance. */
static void gather(const positions *p, double *mean, double *least, double *most)
{
    size_t n = p->public.count, width = p->public.width;
    for (size_t d = 0; d < n; d++) {
        double sum = 0;
        least[d] = INFINITY;
        most[d] = -INFINITY;
        for (size_t i = 0; i + d < n; i++) {
            const float *a = p->values + i * width, *b = a + d * width;
            double dot = 0;
            for (size_t j = 0; j < width; j++)
                dot += (double)a[j] * (double)b[j];
            sum += dot;
            least[d] = dot < least[d] ? dot : least[d];
            most[d] = dot > most[d] ? dot : most[d];
        }
        mean[d] = sum / (double)(n - d);
    }
}

static at_status fill(const at_model *model, bool decoder, size_t count, positions *p)
{
    const at_family *family = model->family;
    size_t width = family->positions ? family->positions(model, decoder, 0, NULL) : 0;
    size_t reach = at_model_reach(model);
    if (width == 0)
        return at_fail(AT_ENOSUP, "this model adds no position encoding to its %s rows",
                       decoder ? "target" : "source");
    if (count < 1 || (reach > 0 && count > reach))
        return at_fail(AT_EARG, "positions: want 1 to %zu, got %zu", reach, count);
    p->values = at_alloc_array(count * width, sizeof *p->values);
    p->numbers = at_alloc_array(3 * count, sizeof *p->numbers);
    if (!p->values || !p->numbers)
        return AT_ENOMEM;
    family->positions(model, decoder, count, p->values);
    p->public = (at_positions){.count = count,
                               .width = width,
                               .values = p->values,
                               .dot = p->numbers,
                               .least = p->numbers + count,
                               .most = p->numbers + 2 * count};
    gather(p, p->numbers, p->numbers + count, p->numbers + 2 * count);
    return AT_OK;
}

at_status at_positions_new(at_translator *translator, bool target, size_t count, at_positions **out)
{
    *out = NULL;
    positions *p = at_alloc_zero(1, sizeof *p);
    if (!p)
        return AT_ENOMEM;
    at_status st = fill(translator->folder->model, target, count, p);
    if (st == AT_OK)
        *out = &p->public;
    else
        at_positions_free(&p->public);
    return st;
}

void at_positions_free(at_positions *public)
{
    if (!public)
        return;
    positions *p = (positions *)public; /* its first member */
    at_free(p->values);
    at_free(p->numbers);
    at_free(p);
}
