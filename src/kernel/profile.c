#include "kernel/profile.h"
#include <string.h>
#include "base/clock.h"

void at_profile_start(at_profile *profile)
{
    *profile = (at_profile){.last = at_clock()};
}

static at_profile_row *row_of(at_profile *profile, const char *name, bool backward)
{
    for (size_t i = 0; i < profile->count; i++) {
        at_profile_row *row = &profile->rows[i];
        if (row->backward == backward && !strcmp(row->name, name))
            return row;
    }
    if (profile->count == AT_PROFILE_ROWS)
        return &profile->rows[AT_PROFILE_ROWS - 1];
    at_profile_row *row = &profile->rows[profile->count++];
    *row =
        (at_profile_row){.name = profile->count == AT_PROFILE_ROWS ? "others" : name, .backward = backward};
    return row;
}

void at_profile_take(at_profile *profile, const char *name, bool backward)
{
    double now = at_clock();
    at_profile_row *row = row_of(profile, name, backward);
    row->calls++;
    row->seconds += now - profile->last;
    row->flops += profile->flops;
    row->bytes += profile->bytes;
    profile->last = now;
    profile->flops = profile->bytes = 0;
}
