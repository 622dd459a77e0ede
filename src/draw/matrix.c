#include "draw/matrix.h"

#include <math.h>

at_status at_matrix_check(const at_matrix *matrix)
{
    const float slack = 1e-3f; /* sums of rounded weights */
    size_t rows = matrix->target_count, columns = matrix->source_count;
    if (rows == 0 || columns == 0)
        return at_fail(AT_EARG, "picture: %zu target and %zu source words; want at least one of each", rows,
                       columns);
    for (size_t t = 0; t < rows; t++) {
        for (size_t s = 0; s < columns; s++) {
            float w = matrix->weights[t * columns + s];
            if (!isfinite(w))
                return at_fail(AT_ENUMBER, "picture: weight of target %zu, source %zu is no finite number", t,
                               s);
            if (w < -slack || w > 1.0f + slack)
                return at_fail(AT_EARG, "picture: weight %g of target %zu, source %zu; want 0 to 1",
                               (double)w, t, s);
        }
    }
    return AT_OK;
}
