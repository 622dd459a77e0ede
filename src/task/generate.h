/* task/generate.h - the inside of a generator, shared by this folder's files only. */
#ifndef AT_TASK_GENERATE_H
#define AT_TASK_GENERATE_H
#include <pthread.h>
#include "autograd/tape.h"
#include "task/begin.h"
#include "task/generator.h"
#include "text/utf8.h"

struct at_generator {
    at_exec *exec;
    at_tape *tape;
    at_folder *folder;
    at_begin begin;
    pthread_mutex_t lock; /* one call at a time uses exec and tape */
};
#endif
