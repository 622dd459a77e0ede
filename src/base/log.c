#include "base/log.h"
#include <stdarg.h>
#include <stdio.h>

void at_log_line(const at_log *log, const char *format, ...)
{
    if (!log || !log->line)
        return;
    char text[4096]; /* a remark longer than this is cut */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log->line(log->context, text);
}
