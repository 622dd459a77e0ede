/* train/schedule.h - how the learning rate moves.
 *
 * Role    A function of the step alone, so that a resumed training needs no state of it.
 * Owns    Nothing.
 * Errors  AT_EARG when a schedule that ends is not told where.
 *
 *     at_schedule s = {AT_SCHEDULE_INVERSE_SQRT, 0.005, 2000, 0, 0, 8000};
 *     at_status st = at_schedule_check(&s);
 *     double lr = at_schedule_lr(&s, step);       // steps count from 1
 */
#ifndef AT_TRAIN_SCHEDULE_H
#define AT_TRAIN_SCHEDULE_H
#include "base/status.h"

typedef enum at_schedule_kind {
    /* Up to the peak, then peak * sqrt(warmup / step): Vaswani et al. 2017, section 5.3, with the peak
     * named. */
    AT_SCHEDULE_INVERSE_SQRT,
    AT_SCHEDULE_COSINE, /* then half a cosine down to `least`: Loshchilov and Hutter 2017, arXiv:1608.03983 */
    AT_SCHEDULE_LINEAR, /* then a line down to `least` */
    AT_SCHEDULE_CONSTANT,
} at_schedule_kind;

typedef struct at_schedule {
    at_schedule_kind kind;
    double peak;
    int64_t warmup; /* steps of a line from `first` to the peak; 0: none */
    double first;   /* where the warm-up begins */
    double least;   /* where cosine and linear end */
    int64_t steps;  /* when cosine and linear end */
} at_schedule;

at_status at_schedule_check(const at_schedule *schedule);
double at_schedule_lr(const at_schedule *schedule, int64_t step);
#endif
