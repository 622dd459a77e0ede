/* tensor/rows.h - which rows belong to which sequence.
 *
 * Role    Activations of B sequences are rows (N, D) one after the other, without
 *         padding; only attention, recurrence, positions and pooling look at offsets.
 * Owns    Nothing.
 *
 *     int32_t offsets[] = {0, 3, 5};                  // lengths 3 and 2
 *     at_rows rows = {2, offsets, NULL};
 */
#ifndef AT_TENSOR_ROWS_H
#define AT_TENSOR_ROWS_H
#include "base/status.h"

/* Which rows belong to which sequence: sequence b is rows offsets[b] … offsets[b+1]-1. */
typedef struct at_rows {
    size_t count;             /* B sequences */
    const int32_t *offsets;   /* (B+1), from 0, never falling */
    const uint32_t *examples; /* (B) number of each example in its epoch, for dropout; NULL: b */
} at_rows;

/* All rows: offsets[count], 0 for no sequence. */
static inline size_t at_rows_total(const at_rows *rows)
{
    return rows->count ? (size_t)rows->offsets[rows->count] : 0;
}
#endif
