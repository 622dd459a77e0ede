/* base/log.h - where the library's remarks go: a callback, never a stream.
 *
 *     at_log log = {print_line, stderr};
 *     at_log_line(&log, "skipped %zu empty pairs", n);
 */
#ifndef AT_BASE_LOG_H
#define AT_BASE_LOG_H
#include "base/status.h"

typedef struct at_log {
    void (*line)(void *context, const char *text); /* no newline in text; NULL: silent */
    void *context;
} at_log;

void at_log_line(const at_log *log, const char *format, ...) AT_PRINTF(2, 3); /* log may be NULL */
#endif
