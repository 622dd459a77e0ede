/* base/memory.h - every heap allocation of the library goes through here.
 *
 * Role    malloc with an error instead of a NULL nobody looks at, overflow-checked
 *         products, and one replaceable allocator.
 * Owns    The process-wide allocator, like SQLite's, because jansson's and PCRE2's
 *         hooks are process-wide too. Replace it only before the first other call;
 *         tests make the n-th allocation fail through it.
 * Errors  NULL, with AT_ENOMEM's message set. Freeing NULL does nothing.
 *
 *     float *x = at_alloc_array(n, sizeof *x);
 *     if (!x)
 *         return AT_ENOMEM;
 *     at_free(x);
 */
#ifndef AT_BASE_MEMORY_H
#define AT_BASE_MEMORY_H
#include "base/status.h"

typedef struct at_allocator {
    void *(*alloc)(void *context, size_t size);
    void *(*realloc)(void *context, void *block, size_t size);
    void (*free)(void *context, void *block);
    void *context;
} at_allocator;

/* Also installs jansson's hooks. NULL restores malloc, realloc, free. */
void at_memory_use(const at_allocator *allocator);

void *at_alloc(size_t size);                     /* uninitialised */
void *at_alloc_zero(size_t count, size_t size);  /* zeroed; overflow is AT_ENOMEM */
void *at_alloc_array(size_t count, size_t size); /* uninitialised, checked product */
void *at_realloc_array(void *block, size_t count, size_t size);
void at_free(void *block);
/* 64-byte aligned blocks for numbers; freed by at_free_aligned only. */
void *at_alloc_aligned(size_t count, size_t size);
void at_free_aligned(void *block);
char *at_strdup(const char *text);
char *at_strndup(const char *text, size_t length);

/* False on overflow; *result is then untouched. */
bool at_mul_ok(size_t a, size_t b, size_t *result);
bool at_add_ok(size_t a, size_t b, size_t *result);

/* Grows *block (elements of `size`) so that it holds at least `need`, doubling. */
at_status at_grow(void *block_pointer, size_t *capacity, size_t need, size_t size);
#endif
