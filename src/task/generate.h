/* task/generate.h - the inside of a generator, shared by this folder's files only. */
#ifndef AT_TASK_GENERATE_H
#define AT_TASK_GENERATE_H
#include <pthread.h>
#include "autograd/tape.h"
#include "task/generator.h"
#include "text/utf8.h"

struct at_generator {
    at_exec *exec;
    at_tape *tape;
    at_folder *folder;
    int32_t begin;        /* what an empty prompt is; -1: there is none */
    bool always;          /* a special piece: before every prompt */
    pthread_mutex_t lock; /* one call at a time uses exec and tape */
};

/* Appends the ids of a prompt, what it begins behind included. */
at_status at_prompt_encode(const at_generator *generator, const char *text, size_t length, at_ids *ids);
#endif
