#include "text/learn.h"
#include <stdlib.h>
#include <string.h>
#include "base/memory.h"

/* Words as rows of symbols that shrink in place; every pair knows its count and its words:
 *
 *   words     symbol[first[w] .. first[w] + length[w])
 *   pairs     hash(left, right) -> pair {count, list of words}; lists are chains of nodes
 *   heap      (count, pair), best first; counts in it may be too high, which popping puts right
 */
static const uint32_t NONE = UINT32_MAX;

typedef struct pair {
    uint32_t left, right;
    int64_t count;
    uint32_t nodes;  /* the chain of words that may hold it */
    uint32_t marked; /* the merge that last raised its count */
} pair;

typedef struct node {
    uint32_t word, next;
} node;

typedef struct entry {
    int64_t count;
    uint32_t pair;
} entry;

typedef struct learner {
    const at_learning *in;
    at_tokenizer *t;
    uint32_t *symbol, *first, *length;
    pair *pair;
    size_t pairs, pair_capacity;
    uint32_t *slot; /* of pair + 1; a power of two of them */
    size_t slots;
    node *node;
    size_t nodes, node_capacity;
    entry *heap;
    size_t heap_count, heap_capacity;
    uint32_t *raised; /* pairs whose counts rose in this merge */
    size_t raised_count, raised_capacity;
    uint64_t *merge; /* left << 32 | right, best first */
    uint32_t *result;
    size_t merges, merge_capacity, result_capacity;
} learner;

static size_t slot_of(const learner *l, uint32_t left, uint32_t right)
{
    uint64_t hash = ((uint64_t)left << 32 | right) * UINT64_C(0x9E3779B97F4A7C15);
    size_t mask = l->slots - 1, i = (size_t)(hash >> 32) & mask;
    while (l->slot[i] && (l->pair[l->slot[i] - 1].left != left || l->pair[l->slot[i] - 1].right != right))
        i = (i + 1) & mask;
    return i;
}

static at_status widen(learner *l)
{
    size_t slots = l->slots ? l->slots * 2 : 1024;
    uint32_t *slot = at_alloc_zero(slots, sizeof *slot);
    if (!slot)
        return AT_ENOMEM;
    at_free(l->slot);
    l->slot = slot;
    l->slots = slots;
    for (size_t i = 0; i < l->pairs; i++)
        slot[slot_of(l, l->pair[i].left, l->pair[i].right)] = (uint32_t)i + 1;
    return AT_OK;
}

static at_status pair_of(learner *l, uint32_t left, uint32_t right, pair **found)
{
    if (2 * (l->pairs + 1) > l->slots) {
        at_status st = widen(l);
        if (st != AT_OK)
            return st;
    }
    size_t i = slot_of(l, left, right);
    if (!l->slot[i]) {
        at_status st = at_grow(&l->pair, &l->pair_capacity, l->pairs + 1, sizeof *l->pair);
        if (st != AT_OK)
            return st;
        if (l->pairs >= NONE - 1)
            return at_fail(AT_EARG, "too many pairs of pieces to number; train on fewer words");
        l->pair[l->pairs] = (pair){left, right, 0, NONE, 0};
        l->slot[i] = (uint32_t)++l->pairs;
    }
    *found = &l->pair[l->slot[i] - 1];
    return AT_OK;
}

/* A word's places are handled one behind the other, so looking at the head avoids doubles. */
static at_status note_word(learner *l, pair *p, uint32_t word)
{
    AT_ASSERT(p->nodes == NONE || l->node);
    if (p->nodes != NONE && l->node[p->nodes].word == word)
        return AT_OK;
    if (l->nodes >= NONE - 1)
        return at_fail(AT_EARG, "too many pieces to number; train on fewer words");
    at_status st = at_grow(&l->node, &l->node_capacity, l->nodes + 1, sizeof *l->node);
    if (st != AT_OK)
        return st;
    l->node[l->nodes] = (node){word, p->nodes};
    p->nodes = (uint32_t)l->nodes++;
    return AT_OK;
}

/* Most frequent first; among equals the pair with the smaller ids, as Hugging Face does it. */
static bool is_better(const learner *l, const entry *a, const entry *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    const pair *p = &l->pair[a->pair], *q = &l->pair[b->pair];
    return p->left != q->left ? p->left < q->left : p->right < q->right;
}

static at_status heap_push(learner *l, entry item)
{
    at_status st = at_grow(&l->heap, &l->heap_capacity, l->heap_count + 1, sizeof *l->heap);
    if (st != AT_OK)
        return st;
    size_t i = l->heap_count++;
    for (; i > 0 && is_better(l, &item, &l->heap[(i - 1) / 2]); i = (i - 1) / 2)
        l->heap[i] = l->heap[(i - 1) / 2];
    l->heap[i] = item;
    return AT_OK;
}

static entry heap_pop(learner *l)
{
    entry top = l->heap[0], last = l->heap[--l->heap_count];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < l->heap_count) {
        if (child + 1 < l->heap_count && is_better(l, &l->heap[child + 1], &l->heap[child]))
            child++;
        if (!is_better(l, &l->heap[child], &last))
            break;
        l->heap[i] = l->heap[child];
        i = child;
    }
    l->heap[i] = last;
    return top;
}

/* Bytes become symbols, and all pairs are counted. */
static at_status count_pairs(learner *l)
{
    const at_pieces *words = l->in->words;
    size_t total = words->bytes.length;
    l->symbol = at_alloc_array(total, sizeof *l->symbol);
    l->first = at_alloc_array(words->count, sizeof *l->first);
    l->length = at_alloc_array(words->count, sizeof *l->length);
    if (!l->symbol || !l->first || !l->length)
        return AT_ENOMEM;
    for (size_t w = 0; w < words->count; w++) {
        l->first[w] = words->piece[w].start;
        l->length[w] = words->piece[w].length;
        uint32_t *symbol = l->symbol + l->first[w];
        for (size_t i = 0; i < l->length[w]; i++) {
            symbol[i] =
                (uint32_t)at_pieces_find(&l->t->pieces, words->bytes.data + words->piece[w].start + i, 1);
            if (i == 0)
                continue;
            pair *p;
            at_status st = pair_of(l, symbol[i - 1], symbol[i], &p);
            if (st == AT_OK)
                st = note_word(l, p, (uint32_t)w);
            if (st != AT_OK)
                return st;
            p->count += l->in->count[w];
        }
    }
    at_status st = AT_OK;
    for (size_t i = 0; i < l->pairs && st == AT_OK; i++)
        st = heap_push(l, (entry){l->pair[i].count, (uint32_t)i});
    return st;
}

static at_status change(learner *l, uint32_t left, uint32_t right, uint32_t word, bool more)
{
    pair *p;
    at_status st = pair_of(l, left, right, &p);
    if (st != AT_OK)
        return st;
    p->count += more ? l->in->count[word] : -l->in->count[word];
    if (!more)
        return AT_OK;
    uint32_t stamp = (uint32_t)l->merges + 1;
    if (p->marked != stamp) {
        st = at_grow(&l->raised, &l->raised_capacity, l->raised_count + 1, sizeof *l->raised);
        if (st != AT_OK)
            return st;
        l->raised[l->raised_count++] = (uint32_t)(p - l->pair);
        p->marked = stamp;
    }
    return note_word(l, p, word);
}

/* Joins left and right wherever the word has them, from the left. */
static at_status merge_word(learner *l, uint32_t word, uint32_t left, uint32_t right, uint32_t result)
{
    uint32_t *symbol = l->symbol + l->first[word];
    size_t n = l->length[word], kept = 0;
    at_status st = AT_OK;
    for (size_t i = 0; i < n && st == AT_OK; i++) {
        if (i + 1 == n || symbol[i] != left || symbol[i + 1] != right) {
            symbol[kept++] = symbol[i];
            continue;
        }
        if (kept > 0) {
            st = change(l, symbol[kept - 1], left, word, false);
            if (st == AT_OK)
                st = change(l, symbol[kept - 1], result, word, true);
        }
        if (i + 2 < n && st == AT_OK) {
            st = change(l, right, symbol[i + 2], word, false);
            if (st == AT_OK)
                st = change(l, result, symbol[i + 2], word, true);
        }
        symbol[kept++] = result;
        i++;
    }
    l->length[word] = (uint32_t)kept;
    return st;
}

/* The piece that a pair makes: a new one, or the one that has these bytes. Nothing may make the
 * text of a special token a piece; *result is then NONE. */
static at_status make_piece(learner *l, const pair *p, at_buf *bytes, uint32_t *result)
{
    size_t length;
    at_buf_clear(bytes);
    const char *part = at_tokenizer_piece(l->t, (int32_t)p->left, &length);
    at_buf_bytes(bytes, part, length);
    part = at_tokenizer_piece(l->t, (int32_t)p->right, &length);
    at_buf_bytes(bytes, part, length);
    if (at_buf_status(bytes) != AT_OK)
        return at_buf_status(bytes);
    int32_t id = at_pieces_find(&l->t->pieces, bytes->data, bytes->length);
    *result = NONE;
    if (id >= 0 && l->t->pieces.flags[id] & AT_PIECE_ADDED)
        return AT_OK;
    if (id < 0) {
        id = (int32_t)l->t->pieces.count;
        at_status st = at_pieces_set(&l->t->pieces, id, bytes->data, bytes->length, 0);
        if (st != AT_OK)
            return st;
    }
    *result = (uint32_t)id;
    return AT_OK;
}

static at_status record_merge(learner *l, const pair *p, uint32_t result)
{
    at_status st = at_grow(&l->merge, &l->merge_capacity, l->merges + 1, sizeof *l->merge);
    if (st == AT_OK)
        st = at_grow(&l->result, &l->result_capacity, l->merges + 1, sizeof *l->result);
    if (st != AT_OK)
        return st;
    l->merge[l->merges] = (uint64_t)p->left << 32 | p->right;
    l->result[l->merges] = result;
    return AT_OK;
}

static at_status merge_pair(learner *l, uint32_t which, at_buf *bytes)
{
    pair p = l->pair[which]; /* a copy: the array moves as it grows */
    uint32_t result = NONE;
    l->pair[which].count = 0;
    l->pair[which].nodes = NONE;
    at_status st = make_piece(l, &p, bytes, &result);
    if (st != AT_OK || result == NONE)
        return st;
    st = record_merge(l, &p, result);
    l->raised_count = 0;
    for (uint32_t n = p.nodes; n != NONE && st == AT_OK; n = l->node[n].next)
        st = merge_word(l, l->node[n].word, p.left, p.right, result);
    l->merges++;
    for (size_t i = 0; i < l->raised_count && st == AT_OK; i++) {
        const pair *raised = &l->pair[l->raised[i]];
        if (raised->count > 0)
            st = heap_push(l, (entry){raised->count, l->raised[i]});
    }
    return st;
}

static at_status merge_all(learner *l)
{
    at_status st = AT_OK;
    at_buf bytes = {0};
    int64_t least = l->in->min_frequency > 1 ? l->in->min_frequency : 1;
    while (st == AT_OK && l->t->pieces.count < l->in->vocab_size && l->heap_count > 0) {
        entry top = heap_pop(l);
        int64_t now = l->pair[top.pair].count;
        if (top.count != now) {
            if (now > 0)
                st = heap_push(l, (entry){now, top.pair});
            continue;
        }
        if (now < least)
            break;
        st = merge_pair(l, top.pair, &bytes);
    }
    at_buf_free(&bytes);
    return st;
}

at_status at_learn_merges(const at_learning *learning, at_tokenizer *t)
{
    learner l = {.in = learning, .t = t};
    at_status st = count_pairs(&l);
    if (st == AT_OK)
        st = merge_all(&l);
    if (st == AT_OK)
        st = at_merges_open(&t->merges, l.merges);
    for (size_t i = 0; i < l.merges && st == AT_OK; i++)
        at_merges_add(&t->merges, (uint32_t)(l.merge[i] >> 32), (uint32_t)l.merge[i], l.result[i]);
    at_free(l.symbol);
    at_free(l.first);
    at_free(l.length);
    at_free(l.pair);
    at_free(l.slot);
    at_free(l.node);
    at_free(l.heap);
    at_free(l.raised);
    at_free(l.merge);
    at_free(l.result);
    return st;
}

typedef struct ranked {
    const char *bytes;
    size_t length;
    int64_t count;
} ranked;

static int compare_ranked(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    size_t common = x->length < y->length ? x->length : y->length;
    int order = memcmp(x->bytes, y->bytes, common);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

at_status at_learn_words(const at_learning *learning, at_tokenizer *t)
{
    const at_pieces *words = learning->words;
    int64_t least = learning->min_frequency > 1 ? learning->min_frequency : 1;
    ranked *list = at_alloc_array(words->count, sizeof *list);
    if (!list)
        return AT_ENOMEM;
    for (size_t i = 0; i < words->count; i++)
        list[i] =
            (ranked){words->bytes.data + words->piece[i].start, words->piece[i].length, learning->count[i]};
    qsort(list, words->count, sizeof *list, compare_ranked);
    at_status st = AT_OK;
    for (size_t i = 0; i < words->count && st == AT_OK; i++) {
        if (t->pieces.count >= learning->vocab_size || list[i].count < least)
            break;
        if (at_pieces_find(&t->pieces, list[i].bytes, list[i].length) < 0)
            st = at_pieces_set(&t->pieces, (int32_t)t->pieces.count, list[i].bytes, list[i].length, 0);
    }
    at_free(list);
    return st;
}
