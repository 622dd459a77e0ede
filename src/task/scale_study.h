/* task/scale_study.h - why scores are divided by sqrt(d_k): what softmax makes of random queries and keys.
 *
 * Role    Standard normal queries and keys of width d_k go through the operations of the
 *         models, with the scale and without. A dot product of d_k such terms has
 *         variance d_k, so softmax saturates and passes no gradient: Vaswani et al. 2017,
 *         section 3.2.1, footnote 4.
 * Owns    Nothing. Errors: AT_ENOMEM.
 *
 *     at_scale_row rows[AT_SCALE_ROWS];
 *     at_status st = at_scale_study(exec, 1, rows);
 */
#ifndef AT_TASK_SCALE_STUDY_H
#define AT_TASK_SCALE_STUDY_H
#include "kernel/exec.h"

enum { AT_SCALE_ROWS = 7, AT_SCALE_QUERIES = 1000, AT_SCALE_KEYS = 32 };

typedef struct at_scale_row {
    int width;         /* d_k: 8, 16, … 512 */
    double largest[2]; /* mean over the queries; [0] without the scale, [1] with it */
    double entropy[2]; /* bits of a query's weights, at most log2 of the keys */
    double slope[2];   /* length of the gradient that a random one of length 1 becomes behind softmax */
} at_scale_row;

at_status at_scale_study(at_exec *exec, uint64_t seed, at_scale_row rows[AT_SCALE_ROWS]);
#endif
