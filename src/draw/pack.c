/* Weights as text: the largest of each row, 16 bits each, in base64. */
#include <math.h>
#include <stdlib.h>
#include "base/memory.h"
#include "draw/internal.h"

enum { FULL = 65535 };

typedef struct entry {
    uint16_t column, value;
} entry;

static uint16_t quantise(float w)
{
    return (uint16_t)lrintf(fminf(fmaxf(w, 0.0f), 1.0f) * FULL);
}

/* The root of the heap is the one that goes first: the smallest, of equals the last. */
static bool goes_first(entry a, entry b)
{
    return a.value != b.value ? a.value < b.value : a.column > b.column;
}

static void sift_down(entry *heap, size_t count, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && goes_first(heap[child + 1], heap[child]))
            child++;
        if (!goes_first(heap[child], heap[at]))
            return;
        entry e = heap[at];
        heap[at] = heap[child];
        heap[child] = e;
    }
}

/* Takes a row's entries that are not zero; of more than `most` the largest. Returns how many. */
static size_t take_largest(const float *row, size_t columns, size_t most, entry *kept)
{
    size_t count = 0;
    for (size_t c = 0; c < columns; c++) {
        entry e = {(uint16_t)c, quantise(row[c])};
        if (e.value == 0)
            continue;
        if (count < most) {
            kept[count++] = e;
            if (count == most) /* full: from here on it is a heap */
                for (size_t i = count / 2; i-- > 0;)
                    sift_down(kept, count, i);
        } else if (goes_first(kept[0], e)) {
            kept[0] = e;
            sift_down(kept, count, 0);
        }
    }
    return count;
}

static int by_column(const void *a, const void *b)
{
    return ((const entry *)a)->column - ((const entry *)b)->column;
}

static void push_16(at_buf *out, uint16_t n)
{
    at_buf_char(out, (char)(n & 0xff));
    at_buf_char(out, (char)(n >> 8));
}

void at_draw_base64(const unsigned char *p, size_t n, at_buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t second = left > 1 ? p[i + 1] : 0, third = left > 2 ? p[i + 2] : 0;
        uint32_t bits = (uint32_t)p[i] << 16 | second << 8 | third;
        char four[] = {digits[bits >> 18], digits[bits >> 12 & 63], left > 1 ? digits[bits >> 6 & 63] : '=',
                       left > 2 ? digits[bits & 63] : '='};
        at_buf_bytes(out, four, sizeof four);
    }
}

void at_draw_pack(const float *weights, size_t rows, size_t columns, size_t most, at_buf *out)
{
    at_buf counts = {0}, indices = {0}, values = {0};
    most = most < columns ? most : columns;
    entry *kept = at_alloc_array(most, sizeof *kept);
    for (size_t r = 0; r < rows && kept; r++) {
        size_t count = take_largest(weights + r * columns, columns, most, kept);
        qsort(kept, count, sizeof *kept, by_column);
        push_16(&counts, (uint16_t)count);
        for (size_t i = 0; i < count; i++) {
            push_16(&indices, kept[i].column);
            push_16(&values, kept[i].value);
        }
    }
    at_buf_bytes(&counts, indices.data, indices.length);
    at_buf_bytes(&counts, values.data, values.length);
    if (!kept || counts.failed || indices.failed || values.failed)
        out->failed = true;
    else
        at_draw_base64((const unsigned char *)counts.data, counts.length, out);
    at_free(kept);
    at_buf_free(&counts);
    at_buf_free(&indices);
    at_buf_free(&values);
}
