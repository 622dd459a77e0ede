/* base/internal.h - what base's own files share and nobody else sees. */
#ifndef AT_BASE_INTERNAL_H
#define AT_BASE_INTERNAL_H
#include "base/status.h"

/* jansson reports a failed allocation as any odd parse error; these tell the two
 * apart. Forget before calling it; then ask whether its hook returned NULL in this thread. */
void at_memory_forget_refusal(void);
bool at_memory_refused(void);
#endif
