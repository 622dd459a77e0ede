/* tests/check.h - the field's own assertions on top of cmocka.
 *
 * Role    Arrays near each other, same bits, guard bytes, statuses with their message,
 *         the n-th allocation failing, a temporary folder, a printed seed.
 * Owns    check_folder's folder, removed at exit. Guarded buffers: check_guard_free.
 * Errors  Each check fails the test that calls it and prints what it saw.
 *
 *     #include "tests/check.h"
 *     static void sums(void **state) { (void)state; check_near(got, want, n, 1e-6); }
 *     int main(void)
 *     {
 *         const struct CMUnitTest tests[] = {cmocka_unit_test(sums)};
 *         return cmocka_run_group_tests(tests, NULL, NULL);
 *     }
 */
#ifndef AT_TESTS_CHECK_H
#define AT_TESTS_CHECK_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h> /* before cmocka, whose leak-checking macros it must not meet */
#include <cmocka.h>
#include "base/status.h"

/* |got - want| <= tolerance * max(1, |want|); infinities and NaN must be the same. */
#define check_near(got, want, n, tolerance) check_near_at(got, want, n, tolerance, __FILE__, __LINE__)
#define check_same_bits(got, want, bytes) check_same_bits_at(got, want, bytes, __FILE__, __LINE__)
#define check_ok(status) check_ok_at(status, #status, __FILE__, __LINE__)
/* message_part NULL: any message. */
#define check_fails(got, want, message_part) check_fails_at(got, want, message_part, #got, __FILE__, __LINE__)
#define check_guard(block) check_guard_at(block, __FILE__, __LINE__)

void check_near_at(const float *got, const float *want, size_t n, double tolerance, const char *file,
                   int line);
void check_same_bits_at(const void *got, const void *want, size_t bytes, const char *file, int line);
void check_ok_at(at_status status, const char *text, const char *file, int line);
void check_fails_at(at_status got, at_status want, const char *message_part, const char *text,
                    const char *file, int line);

/* n floats, 64-byte aligned, NaN at first, with 64 guard bytes before and behind. */
float *check_guarded(size_t n);
void check_guard_at(const float *block, const char *file, int line);
void check_guard_free(float *block); /* checks once more */

/* The seed of this run: AT_TEST_SEED of the environment, else 1; printed once. */
uint64_t check_rng_seed(void);

/* A fresh empty folder of this process, the same at each call; removed at exit. */
char *check_folder(void);
/* check_folder()/name; valid until the fourth call after it. */
const char *check_path(const char *name);

/* From now on allocation number n (0: the next one) and all after it fail; n < 0:
 * none fails, blocks are only counted. The other ends that and says whether one failed.
 * Call at_memory's users only between the two, or not at all, for blocks they keep. */
void check_fail_allocation(long n);
bool check_allocations_restore(void);
long check_live_blocks(void); /* allocated since check_fail_allocation and not freed */

/* Runs attempt(context) with allocation 0, 1, 2, … failing until it succeeds. It must give
 * AT_ENOMEM until then and leave no block behind. `most` bounds the number of rounds. */
void check_every_allocation(at_status (*attempt)(void *context), void *context, long most);
#endif
