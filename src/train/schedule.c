#include "train/schedule.h"
#include <math.h>

static const double pi = 3.14159265358979323846;

static bool ends(const at_schedule *s)
{
    return s->kind == AT_SCHEDULE_COSINE || s->kind == AT_SCHEDULE_LINEAR;
}

at_status at_schedule_check(const at_schedule *s)
{
    if (ends(s) && s->steps <= 0)
        return at_fail(AT_EARG,
                       "option 'max_steps': a cosine or linear schedule must know where it ends; give at "
                       "least 1");
    if (ends(s) && s->warmup >= s->steps)
        return at_fail(AT_EARG, "option 'warmup': %lld steps of warm-up leave nothing of max_steps %lld",
                       (long long)s->warmup, (long long)s->steps);
    return AT_OK;
}

/* How much of the way from the end of warm-up to the end has been gone, 0 … 1. */
static double part_gone(const at_schedule *s, int64_t step)
{
    double gone = (double)(step - s->warmup) / (double)(s->steps - s->warmup);
    return gone < 1 ? gone : 1;
}

double at_schedule_lr(const at_schedule *s, int64_t step)
{
    if (step < s->warmup)
        return s->first + (s->peak - s->first) * (double)step / (double)s->warmup;
    switch (s->kind) {
    case AT_SCHEDULE_INVERSE_SQRT:
        return s->peak * sqrt((double)(s->warmup > 0 ? s->warmup : 1) / (double)(step > 0 ? step : 1));
    case AT_SCHEDULE_COSINE:
        return s->least + (s->peak - s->least) * 0.5 * (1 + cos(pi * part_gone(s, step)));
    case AT_SCHEDULE_LINEAR:
        return s->peak + (s->least - s->peak) * part_gone(s, step);
    case AT_SCHEDULE_CONSTANT:
        break;
    }
    return s->peak;
}
