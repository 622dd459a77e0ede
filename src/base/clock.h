/* base/clock.h - seconds on a clock that only goes forward. */
#ifndef AT_BASE_CLOCK_H
#define AT_BASE_CLOCK_H
#include "base/status.h"

double at_clock(void);                               /* monotonic seconds */
void at_clock_span(double seconds, char buffer[16]); /* "1:02:03", "4:05" */
size_t at_peak_rss(void);                            /* most bytes this process held; 0 unknown */
#endif
