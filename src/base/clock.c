#include "base/clock.h"
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

double at_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void at_clock_span(double seconds, char buffer[16])
{
    if (!(seconds >= 0 && seconds < 1e9)) { /* NaN too: an estimate may be missing */
        snprintf(buffer, 16, "--:--");
        return;
    }
    unsigned whole = (unsigned)(seconds + 0.5);
    unsigned h = whole / 3600, m = whole / 60 % 60, s = whole % 60;
    if (h)
        snprintf(buffer, 16, "%u:%02u:%02u", h, m, s);
    else
        snprintf(buffer, 16, "%u:%02u", m, s);
}

size_t at_peak_rss(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
#ifdef __APPLE__
    return (size_t)usage.ru_maxrss; /* bytes there, KiB elsewhere */
#else
    return (size_t)usage.ru_maxrss * 1024;
#endif
}
