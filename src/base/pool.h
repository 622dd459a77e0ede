/* base/pool.h - threads that wait for work.
 *
 * Role    Runs task(context, i) for i = 0 … count-1 on all threads and returns when
 *         all are done. Who runs which i is not fixed, so results must not depend
 *         on it: work is cut by shape, never by thread count.
 * Owns    threads-1 threads (the caller works too). Workers spin some microseconds,
 *         then sleep. One run at a time: a pool belongs to one calling thread.
 * Errors  AT_ENOMEM, AT_EIO (thread not started) at creation only.
 *
 *     at_pool *pool;
 *     at_status st = at_pool_new(0, &pool);           // 0: one thread a core
 *     at_pool_run(pool, rows, norm_row, &context);
 */
#ifndef AT_BASE_POOL_H
#define AT_BASE_POOL_H
#include "base/status.h"

typedef struct at_pool at_pool;
typedef void at_task(void *context, size_t index, int worker); /* worker: 0 … threads-1 */

at_status at_pool_new(int threads, at_pool **pool); /* 1 … 256; 0: the cores we may use */
void at_pool_free(at_pool *pool);
int at_pool_threads(const at_pool *pool);
void at_pool_run(at_pool *pool, size_t count, at_task *task, void *context);
int at_cores(void); /* respects affinity and cgroups */
#endif
