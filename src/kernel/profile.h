/* kernel/profile.h - where the time goes, by operation.
 *
 * Role    A clock that is cut at events: what passed since the last one belongs to the event's name, with the
 *         arithmetic and the memory traffic that were counted meanwhile. Nothing is left out, so the rows add
 *         up to the whole. On when an at_exec's `profile` is set.
 * Owns    Nothing; names must be constants.
 * Numbers flops: a multiply-add is two. bytes: what the operation reads and writes once, by its shapes; what
 *         comes from a cache is counted all the same.
 * Threads The caller's of the at_exec.
 *
 *     at_profile profile = {0};
 *     at_profile_start(&profile);
 *     exec->profile = &profile;
 *     …
 *     at_exec_took(exec, "optimiser", false);    // operations of the tape do so themselves
 *     exec->profile = NULL;
 */
#ifndef AT_KERNEL_PROFILE_H
#define AT_KERNEL_PROFILE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct at_profile_row {
    const char *name;
    bool backward;
    uint64_t calls;
    double seconds, flops, bytes;
} at_profile_row;

enum { AT_PROFILE_ROWS = 128 };

typedef struct at_profile {
    at_profile_row rows[AT_PROFILE_ROWS]; /* in order of appearance; the last takes what finds no room */
    size_t count;
    double last;         /* clock of the last event */
    double flops, bytes; /* counted since */
} at_profile;

void at_profile_start(at_profile *profile);
void at_profile_take(at_profile *profile, const char *name, bool backward);
#endif
