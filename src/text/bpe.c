#include <string.h>
#include "base/memory.h"
#include "text/internal.h"

/* Words up to here are merged by looking through all pairs each time, longer ones by a heap. */
enum { SHORT_WORD = 48 };

static const uint32_t NONE = UINT32_MAX;

static size_t slot_of(const at_merges *merges, uint32_t left, uint32_t right)
{
    uint64_t hash = ((uint64_t)left << 32 | right) * UINT64_C(0x9E3779B97F4A7C15);
    size_t mask = merges->slots - 1;
    size_t i = (size_t)(hash >> 32) & mask;
    while (merges->slot[i].left != NONE && (merges->slot[i].left != left || merges->slot[i].right != right))
        i = (i + 1) & mask;
    return i;
}

at_status at_merges_open(at_merges *merges, size_t count)
{
    *merges = (at_merges){0};
    if (count == 0)
        return AT_OK;
    size_t slots = 64;
    while (slots < count + count / 2)
        slots *= 2;
    merges->slot = at_alloc_array(slots, sizeof *merges->slot);
    merges->order = at_alloc_array(count, sizeof *merges->order);
    if (!merges->slot || !merges->order) {
        at_merges_free(merges);
        return AT_ENOMEM;
    }
    memset(merges->slot, 0xFF, slots * sizeof *merges->slot);
    merges->slots = slots;
    return AT_OK;
}

void at_merges_add(at_merges *merges, uint32_t left, uint32_t right, uint32_t result)
{
    merges->slot[slot_of(merges, left, right)] = (at_merge){left, right, (uint32_t)merges->count, result};
    merges->order[merges->count++] = (uint64_t)left << 32 | right;
}

const at_merge *at_merges_find(const at_merges *merges, uint32_t left, uint32_t right)
{
    if (merges->slots == 0)
        return NULL;
    const at_merge *found = &merges->slot[slot_of(merges, left, right)];
    return found->left == NONE ? NULL : found;
}

void at_merges_free(at_merges *merges)
{
    at_free(merges->slot);
    at_free(merges->order);
    *merges = (at_merges){0};
}

/* The ids of the bytes; unknown ones become the model's unk, joined if it says so, or vanish. */
static size_t start_symbols(const at_tokenizer *t, const char *word, size_t length, uint32_t *symbol)
{
    size_t n = 0;
    bool after_unknown = false;
    for (size_t i = 0; i < length; i++) {
        int32_t id = t->byte_id[(unsigned char)word[i]];
        bool unknown = id < 0;
        if (unknown)
            id = t->model_unk;
        if (id >= 0 && !(unknown && after_unknown && t->fuse_unk))
            symbol[n++] = (uint32_t)id;
        after_unknown = unknown;
    }
    return n;
}

static bool drops(const at_encoding *encoding)
{
    return (double)at_rng_uniform(encoding->rng) < encoding->dropout;
}

/* At each step the best pair of all that are not dropped; returns how many symbols remain. */
static size_t merge_short(const at_merges *merges, uint32_t *symbol, size_t n, const at_encoding *encoding)
{
    const at_merge *pair[SHORT_WORD];
    for (size_t i = 0; i + 1 < n; i++)
        pair[i] = at_merges_find(merges, symbol[i], symbol[i + 1]);
    while (n > 1) {
        size_t best = n;
        for (size_t i = 0; i + 1 < n; i++) {
            if (!pair[i] || (best < n && pair[i]->rank >= pair[best]->rank))
                continue;
            if (encoding->dropout > 0 && drops(encoding))
                continue;
            best = i;
        }
        if (best == n)
            break;
        symbol[best] = pair[best]->result;
        n--;
        memmove(symbol + best + 1, symbol + best + 2, (n - best - 1) * sizeof *symbol);
        if (best + 1 < n) {
            memmove(pair + best + 1, pair + best + 2, (n - best - 2) * sizeof *pair);
            pair[best] = at_merges_find(merges, symbol[best], symbol[best + 1]);
        }
        if (best > 0)
            pair[best - 1] = at_merges_find(merges, symbol[best - 1], symbol[best]);
    }
    return n;
}

typedef struct candidate {
    uint32_t rank, at, result;
} candidate;

typedef struct link {
    uint32_t symbol, before, after; /* symbol NONE: merged away */
} link;

typedef struct long_word {
    const at_merges *merges;
    link *link;
    candidate *heap, *dropped; /* each has room for all candidates there will ever be */
    size_t heap_count, dropped_count;
} long_word;

static bool comes_first(const candidate *a, const candidate *b)
{
    return a->rank < b->rank || (a->rank == b->rank && a->at < b->at);
}

static void heap_push(long_word *w, candidate item)
{
    size_t i = w->heap_count++;
    for (; i > 0 && comes_first(&item, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = item;
}

static candidate heap_pop(long_word *w)
{
    candidate top = w->heap[0], last = w->heap[--w->heap_count];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < w->heap_count) {
        if (child + 1 < w->heap_count && comes_first(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!comes_first(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

static void consider(long_word *w, uint32_t at)
{
    if (at == NONE || w->link[at].after == NONE)
        return;
    const at_merge *found = at_merges_find(w->merges, w->link[at].symbol, w->link[w->link[at].after].symbol);
    if (found)
        heap_push(w, (candidate){found->rank, at, found->result});
}

/* A candidate outlives its pair: it counts only if the pair there still gives the same result. */
static bool still_there(const long_word *w, const candidate *item)
{
    const link *left = &w->link[item->at];
    if (left->symbol == NONE || left->after == NONE)
        return false;
    const at_merge *found = at_merges_find(w->merges, left->symbol, w->link[left->after].symbol);
    return found && found->result == item->result;
}

static void merge_links(long_word *w, const at_encoding *encoding)
{
    while (w->heap_count > 0) {
        candidate item = heap_pop(w);
        if (encoding->dropout > 0 && drops(encoding)) {
            w->dropped[w->dropped_count++] = item;
            continue;
        }
        while (w->dropped_count > 0)
            heap_push(w, w->dropped[--w->dropped_count]);
        if (!still_there(w, &item))
            continue;
        link *left = &w->link[item.at], *right = &w->link[left->after];
        left->symbol = item.result;
        left->after = right->after;
        right->symbol = NONE;
        if (left->after != NONE)
            w->link[left->after].before = item.at;
        consider(w, item.at);
        consider(w, left->before);
    }
}

static at_status merge_long(const at_merges *merges, uint32_t *symbol, size_t *n, const at_encoding *encoding)
{
    /* Each merge makes one symbol of two and brings at most two candidates. */
    size_t most = 3 * *n;
    long_word w = {.merges = merges};
    w.link = at_alloc_array(*n, sizeof *w.link);
    w.heap = at_alloc_array(most, sizeof *w.heap);
    if (encoding->dropout > 0)
        w.dropped = at_alloc_array(most, sizeof *w.dropped);
    bool ok = w.link && w.heap && (w.dropped || encoding->dropout <= 0);
    if (ok) {
        for (size_t i = 0; i < *n; i++)
            w.link[i] = (link){symbol[i], i ? (uint32_t)i - 1 : NONE, i + 1 < *n ? (uint32_t)i + 1 : NONE};
        for (size_t i = 0; i + 1 < *n; i++)
            consider(&w, (uint32_t)i);
        merge_links(&w, encoding);
        size_t kept = 0;
        for (uint32_t i = 0; i != NONE; i = w.link[i].after)
            symbol[kept++] = w.link[i].symbol;
        *n = kept;
    }
    at_free(w.link);
    at_free(w.heap);
    at_free(w.dropped);
    return ok ? AT_OK : AT_ENOMEM;
}

at_status at_bpe_word(const at_tokenizer *t, const char *word, size_t length, const at_encoding *encoding,
                      at_ids *ids)
{
    if (t->ignore_merges) {
        int32_t whole = at_pieces_find(&t->pieces, word, length);
        if (whole >= 0 && !(t->pieces.flags[whole] & AT_PIECE_ADDED))
            return at_ids_push(ids, whole);
    }
    uint32_t few[SHORT_WORD], *symbol = few;
    if (length > SHORT_WORD) {
        symbol = at_alloc_array(length, sizeof *symbol);
        if (!symbol)
            return AT_ENOMEM;
    }
    at_status st = AT_OK;
    size_t n = start_symbols(t, word, length, symbol);
    if (n <= SHORT_WORD)
        n = merge_short(&t->merges, symbol, n, encoding);
    else
        st = merge_long(&t->merges, symbol, &n, encoding);
    for (size_t i = 0; i < n && st == AT_OK; i++)
        st = at_ids_push(ids, (int32_t)symbol[i]);
    if (symbol != few)
        at_free(symbol);
    return st;
}
