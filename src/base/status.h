/* base/status.h - how a function says what went wrong.
 *
 * Role    Outside causes (file, flag, shape, memory) return an at_status; the
 *         message that names file, field, shape and remedy is kept per thread.
 * Owns    One message buffer a thread, the library's only mutable per-thread
 *         state (like errno). Valid until the thread's next at_fail.
 * Errors  Our own bugs are AT_ASSERT: always on, they abort.
 *
 *     if (n > limit)
 *         return at_fail(AT_EFORMAT, "%s: %zu layers; at most %zu", path, n, limit);
 *     at_status st = at_file_read(path, 1 << 20, &buf);
 *     if (st != AT_OK)
 *         return st;                       // the message is already there
 */
#ifndef AT_BASE_STATUS_H
#define AT_BASE_STATUS_H
#include "attend.h" /* at_status and its texts are public */

#if defined(__GNUC__)
#define AT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define AT_UNUSED __attribute__((unused))
#else
#define AT_PRINTF(fmt, args)
#define AT_UNUSED
#endif

/* Stores the message for this thread and returns `status`. */
at_status at_fail(at_status status, const char *format, ...) AT_PRINTF(2, 3);
/* Puts "prefix: " before the message that is there; returns `status`. For
 * callers who know the file where the callee knew only the field. */
at_status at_fail_within(at_status status, const char *format, ...) AT_PRINTF(2, 3);

#ifdef __clang_analyzer__
/* Shows the analyser, which sees one file at a time, that these return what they are given. */
#define at_fail(status, ...) ((at_fail)(status, __VA_ARGS__), (status))
#define at_fail_within(status, ...) ((at_fail_within)(status, __VA_ARGS__), (status))
#endif

#define AT_ASSERT(condition) ((condition) ? (void)0 : at_assert_failed(#condition, __FILE__, __LINE__))
void at_assert_failed(const char *condition, const char *file, int line) __attribute__((noreturn));
#endif
