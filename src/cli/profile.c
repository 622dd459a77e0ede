#include "cli/profile.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/buf.h"

static int longer(const void *a, const void *b)
{
    const at_profile_row *x = a, *y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

/* "12.3 GFLOP/s  45 %", or as much room left empty. */
static void put_rate(at_buf *out, double work, double seconds, double peak)
{
    if (work > 0 && seconds > 0)
        at_buf_printf(out, "  %9.1f %5.0f %%", work / seconds / 1e9, 100 * work / seconds / peak);
    else
        at_buf_printf(out, "  %17s", "");
}

static void put_row(at_buf *out, const at_profile_row *row, double all, const double peaks[2])
{
    at_buf_printf(out, "%-16s %-8s %9llu %9.4f %6.1f %%", row->name, row->backward ? "backward" : "",
                  (unsigned long long)row->calls, row->seconds, all > 0 ? 100 * row->seconds / all : 0);
    put_rate(out, row->flops, row->seconds, peaks[0]);
    put_rate(out, row->bytes, row->seconds, peaks[1]);
    at_buf_char(out, '\n');
}

at_status at_cli_profile(at_exec *exec)
{
    at_profile *profile = exec->profile;
    exec->profile = NULL;
    double peaks[2];
    at_status st = at_exec_peaks(exec, &peaks[0], &peaks[1]);
    if (st != AT_OK)
        return st;
    at_profile_row all = {.name = "together"};
    for (size_t i = 0; i < profile->count; i++) {
        all.calls += profile->rows[i].calls;
        all.seconds += profile->rows[i].seconds;
        all.flops += profile->rows[i].flops;
        all.bytes += profile->rows[i].bytes;
    }
    qsort(profile->rows, profile->count, sizeof *profile->rows, longer);
    at_buf out = {0};
    at_buf_printf(
        &out,
        "profile: %s kernels, %d threads; they reach %.1f GFLOP/s from registers and %.1f GB/s from "
        "memory\n",
        exec->kernels->name, exec->threads, peaks[0] / 1e9, peaks[1] / 1e9);
    at_buf_printf(&out, "%-25s %9s %9s %8s  %9s %7s  %9s %7s\n", "operation", "calls", "seconds", "share",
                  "GFLOP/s", "of peak", "GB/s", "of peak");
    for (size_t i = 0; i < profile->count; i++)
        put_row(&out, &profile->rows[i], all.seconds, peaks);
    put_row(&out, &all, all.seconds, peaks);
    st = at_buf_status(&out);
    if (st == AT_OK)
        fputs(out.data, stderr);
    at_buf_free(&out);
    return st;
}
