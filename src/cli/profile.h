/* cli/profile.h - the table behind --profile.
 *
 * Role    Measures what the threads can reach, then prints time, work and memory traffic by operation on
 *         stderr, the longest first, with shares of that.
 * Owns    Nothing.
 *
 *     at_profile_start(&profile);
 *     exec->profile = &profile;
 *     …
 *     at_cli_profile(exec);              // takes the profile off the exec
 */
#ifndef AT_CLI_PROFILE_H
#define AT_CLI_PROFILE_H
#include "kernel/exec.h"

at_status at_cli_profile(at_exec *exec);
#endif
