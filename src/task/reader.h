/* task/reader.h - an open model that reads lines: what classifying and embedding share. Private to task/.
 *
 * Role    Opens the folder, makes lines ready (prepared, in pieces, <s> … </s> for an encoder alone, cut
 *         where the model's reach ends) and batches of them.
 * Owns    A reader its folder, threads and tape; at_reader_close. A batch its ids; at_read_free.
 * Errors  Those of store and text; AT_ENOSUP for a model without an encoder.
 * Threads Calls on one reader wait for each other: lock it around tape and exec.
 *
 *     at_reader *r;
 *     at_status st = at_reader_open(folder, options, &r);
 *     at_read read = {0};
 *     st = at_read_lines(r, lines, 32, &read);
 *     at_batch batch = at_read_batch(&read);
 */
#ifndef AT_TASK_READER_H
#define AT_TASK_READER_H
#include <pthread.h>
#include "attend.h"
#include "data/classes.h"
#include "store/folder.h"
#include "text/preprocess.h"

typedef struct at_reader {
    at_exec *exec;
    at_tape *tape;
    at_folder *folder;
    at_preprocess preprocess;
    at_classes classes; /* none: the model is no classifier */
    pthread_mutex_t lock;
} at_reader;

at_status at_reader_open(const char *folder, const at_open_options *options, at_reader **reader);
void at_reader_close(at_reader *reader); /* NULL is fine */

/* Some lines as rows. Empty ones have none: sequence b is line[b]. */
typedef struct at_read {
    at_ids ids;
    int32_t *offsets; /* (count+1) */
    size_t *line;     /* (count) */
    bool *cut;        /* (count) longer than the model reaches: its beginning was read */
    size_t count, capacity, offsets_capacity, cut_capacity;
} at_read;

/* In place of what `read` holds. */
at_status at_read_lines(const at_reader *reader, const char *const *lines, size_t count, at_read *read);
at_batch at_read_batch(const at_read *read);
void at_read_free(at_read *read);
#endif
