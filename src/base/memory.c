#include "base/memory.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/internal.h"

enum { ALIGNMENT = 64, LARGE_PAGE = 2 << 20 };

static void *system_alloc(void *context AT_UNUSED, size_t size)
{
    return malloc(size);
}

static void *system_realloc(void *context AT_UNUSED, void *block, size_t size)
{
    return realloc(block, size);
}

static void system_free(void *context AT_UNUSED, void *block)
{
    free(block);
}

static const at_allocator system_allocator = {system_alloc, system_realloc, system_free, NULL};
static at_allocator allocator = {system_alloc, system_realloc, system_free, NULL};
static _Thread_local bool refused;

static void *json_alloc(size_t size)
{
    void *block = allocator.alloc(allocator.context, size ? size : 1);
    if (!block)
        refused = true;
    return block;
}

static void json_free_block(void *block)
{
    if (block)
        allocator.free(allocator.context, block);
}

static void *no_memory(size_t size)
{
    at_fail(AT_ENOMEM, "out of memory: %zu bytes wanted", size);
    return NULL;
}

static void *overflow(size_t count, size_t size)
{
    at_fail(AT_ENOMEM, "out of memory: %zu elements of %zu bytes are past the largest size", count, size);
    return NULL;
}

void at_memory_forget_refusal(void)
{
    refused = false;
}

bool at_memory_refused(void)
{
    return refused;
}

void at_memory_use(const at_allocator *replacement)
{
    allocator = replacement ? *replacement : system_allocator;
    json_set_alloc_funcs(json_alloc, json_free_block);
}

void *at_alloc(size_t size)
{
    if (size > PTRDIFF_MAX) /* no object may be larger: differences of its pointers would overflow */
        return no_memory(size);
    void *block = allocator.alloc(allocator.context, size ? size : 1);
    return block ? block : no_memory(size);
}

void *at_alloc_zero(size_t count, size_t size)
{
    size_t bytes;
    if (!at_mul_ok(count, size, &bytes))
        return overflow(count, size);
    if (bytes > PTRDIFF_MAX)
        return no_memory(bytes);
    if (allocator.alloc == system_alloc) { /* calloc leaves fresh pages untouched */
        void *block = calloc(bytes ? bytes : 1, 1);
        return block ? block : no_memory(bytes);
    }
    void *block = at_alloc(bytes);
    if (block)
        memset(block, 0, bytes);
    return block;
}

void *at_alloc_array(size_t count, size_t size)
{
    size_t bytes;
    if (!at_mul_ok(count, size, &bytes))
        return overflow(count, size);
    return at_alloc(bytes);
}

void *at_realloc_array(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (!at_mul_ok(count, size, &bytes))
        return overflow(count, size);
    if (!block)
        return at_alloc(bytes);
    if (bytes > PTRDIFF_MAX)
        return no_memory(bytes);
    void *moved = allocator.realloc(allocator.context, block, bytes ? bytes : 1);
    return moved ? moved : no_memory(bytes);
}

void at_free(void *block)
{
    if (block)
        allocator.free(allocator.context, block);
}

/* Asks the system for large pages: numbers by the megabyte would keep the CPU looking pages up, above all
 * where columns of a matrix are read, and each fresh small page is a visit to the kernel. A wish: where it
 * is not granted nothing changes. */
static void wish_large_pages(void *block AT_UNUSED, size_t size AT_UNUSED)
{
#ifdef MADV_HUGEPAGE
    if (size < 2 * LARGE_PAGE || allocator.alloc != system_alloc)
        return;
    uintptr_t first = ((uintptr_t)block + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE,
              end = ((uintptr_t)block + size) / LARGE_PAGE * LARGE_PAGE;
    madvise((char *)block + (first - (uintptr_t)block), end - first, MADV_HUGEPAGE);
#endif
}

/* The pointer that the allocator gave stands in the word before the aligned block. */
void *at_alloc_aligned(size_t count, size_t size)
{
    size_t bytes, padded;
    if (!at_mul_ok(count, size, &bytes) || !at_add_ok(bytes, ALIGNMENT + sizeof(void *), &padded))
        return overflow(count, size);
    char *whole = at_alloc(padded);
    if (!whole)
        return NULL;
    wish_large_pages(whole, padded);
    size_t skip = sizeof(void *);
    skip += (ALIGNMENT - ((uintptr_t)whole + skip) % ALIGNMENT) % ALIGNMENT;
    memcpy(whole + skip - sizeof whole, &whole, sizeof whole);
    return whole + skip;
}

void at_free_aligned(void *block)
{
    if (!block)
        return;
    void *whole;
    memcpy(&whole, (char *)block - sizeof whole, sizeof whole);
    at_free(whole);
}

char *at_strdup(const char *text)
{
    return at_strndup(text, strlen(text));
}

char *at_strndup(const char *text, size_t length)
{
    size_t bytes;
    if (!at_add_ok(length, 1, &bytes))
        return overflow(length, 1);
    char *copy = at_alloc(bytes);
    if (!copy)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

bool at_mul_ok(size_t a, size_t b, size_t *result)
{
    if (b && a > SIZE_MAX / b)
        return false;
    *result = a * b;
    return true;
}

bool at_add_ok(size_t a, size_t b, size_t *result)
{
    if (a > SIZE_MAX - b)
        return false;
    *result = a + b;
    return true;
}

at_status at_grow(void *block_pointer, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity)
        return AT_OK;
    size_t wanted = *capacity < 8 ? 8 : *capacity;
    while (wanted < need)
        wanted = wanted > SIZE_MAX / 2 ? need : wanted * 2;
    void *block;
    memcpy(&block, block_pointer, sizeof block);
    block = at_realloc_array(block, wanted, size);
    if (!block)
        return AT_ENOMEM;
    memcpy(block_pointer, &block, sizeof block);
    *capacity = wanted;
    return AT_OK;
}
