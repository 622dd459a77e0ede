#include "base/status.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_SIZE = 1024 };

static _Thread_local char message[MESSAGE_SIZE];

at_status(at_fail)(at_status status, const char *format, ...)
{
    /* Formatted apart: an argument may be the message that is there now. */
    char text[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(message, text, sizeof text);
    return status;
}

at_status(at_fail_within)(at_status status, const char *format, ...)
{
    char prefix[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    size_t used = length < 0 ? 0 : (size_t)length;
    if (used > sizeof prefix - 3)
        used = sizeof prefix - 3;
    memcpy(prefix + used, ": ", 3);
    used += 2;
    const char *inner = at_error_message();
    size_t rest = strnlen(inner, MESSAGE_SIZE - 1 - used);
    memcpy(prefix + used, inner, rest);
    prefix[used + rest] = '\0';
    memcpy(message, prefix, sizeof prefix);
    return status;
}

void at_assert_failed(const char *condition, const char *file, int line)
{
    /* A bug of ours: the one case where the library speaks for itself, for the core dump's reader. */
    fprintf(stderr, "attend: bug: %s:%d: %s does not hold\n", file, line, condition);
    abort();
}

AT_API const char *at_error_message(void)
{
    return message[0] ? message : "no error";
}

AT_API const char *at_status_text(at_status status)
{
    switch (status) {
#define AT_STATUS_CASE(name, value, text) \
    case name:                            \
        return text;
        AT_STATUS_LIST(AT_STATUS_CASE)
#undef AT_STATUS_CASE
    }
    return "unknown status";
}

const char *at_version(void)
{
    return AT_VERSION;
}
