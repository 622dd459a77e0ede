#include "eval/ngram.h"

#include "base/memory.h"

enum { FIRST_SLOTS = 1024 };

static size_t hash_pair(uint32_t parent, uint32_t symbol)
{
    uint64_t x = ((uint64_t)parent << 32 | symbol) * UINT64_C(0x9E3779B97F4A7C15);
    x ^= x >> 29;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    return (size_t)(x ^ x >> 32);
}

static size_t free_slot(const at_ngrams *grams, uint32_t parent, uint32_t symbol)
{
    size_t mask = grams->slot_count - 1, slot = hash_pair(parent, symbol) & mask;
    while (grams->slots[slot] != 0)
        slot = (slot + 1) & mask;
    return slot;
}

static at_status grow_slots(at_ngrams *grams)
{
    size_t wanted = grams->slot_count ? 2 * grams->slot_count : FIRST_SLOTS;
    uint32_t *slots = at_alloc_zero(wanted, sizeof *slots);
    if (!slots)
        return AT_ENOMEM;
    at_free(grams->slots);
    grams->slots = slots;
    grams->slot_count = wanted;
    for (size_t i = 1; i < grams->count; i++) {
        at_ngram *node = &grams->nodes[i];
        node->slot = (uint32_t)free_slot(grams, node->parent, node->symbol);
        slots[node->slot] = (uint32_t)i;
    }
    return AT_OK;
}

/* Room for one more node, half of the slots left free; the root exists afterwards. */
static at_status make_room(at_ngrams *grams)
{
    at_status st = AT_OK;
    if (grams->count >= UINT32_MAX / 4)
        return at_fail(AT_ENOMEM, "n-grams: more than %u different ones in one line", UINT32_MAX / 4);
    if (grams->count + 2 > grams->capacity)
        st = at_grow(&grams->nodes, &grams->capacity, grams->count + 2, sizeof *grams->nodes);
    if (st == AT_OK && 2 * (grams->count + 2) > grams->slot_count)
        st = grow_slots(grams);
    if (st == AT_OK && grams->count == 0)
        grams->nodes[grams->count++] = (at_ngram){0};
    return st;
}

static at_status find_child(at_ngrams *grams, uint32_t parent, uint32_t symbol, uint32_t *child)
{
    at_status st = make_room(grams);
    if (st != AT_OK)
        return st;
    size_t mask = grams->slot_count - 1, slot = hash_pair(parent, symbol) & mask;
    for (uint32_t i; (i = grams->slots[slot]) != 0; slot = (slot + 1) & mask) {
        if (grams->nodes[i].parent == parent && grams->nodes[i].symbol == symbol) {
            *child = i;
            return AT_OK;
        }
    }
    *child = (uint32_t)grams->count++;
    grams->nodes[*child] = (at_ngram){
        .parent = parent, .symbol = symbol, .slot = (uint32_t)slot, .order = grams->nodes[parent].order + 1};
    grams->slots[slot] = *child;
    return AT_OK;
}

void at_ngrams_free(at_ngrams *grams)
{
    at_free(grams->nodes);
    at_free(grams->slots);
    *grams = (at_ngrams){0};
}

void at_ngrams_clear(at_ngrams *grams)
{
    for (size_t i = 1; i < grams->count; i++)
        grams->slots[grams->nodes[i].slot] = 0;
    grams->count = 0;
}

at_status at_ngrams_add(at_ngrams *grams, at_ngram_side side, const uint32_t *symbols, size_t count,
                        int max_order)
{
    for (size_t start = 0; start < count; start++) {
        uint32_t node = 0;
        for (size_t i = start; i < count && i - start < (size_t)max_order; i++) {
            at_status st = find_child(grams, node, symbols[i], &node);
            if (st != AT_OK)
                return st;
            if (side == AT_NGRAM_HYP)
                grams->nodes[node].hyp++;
            else
                grams->nodes[node].ref++;
        }
    }
    return AT_OK;
}

void at_ngrams_next_ref(at_ngrams *grams)
{
    for (size_t i = 1; i < grams->count; i++) {
        at_ngram *node = &grams->nodes[i];
        if (node->most < node->ref)
            node->most = node->ref;
        node->ref = 0;
    }
}

at_status at_ngrams_word(at_ngrams *grams, const uint32_t *points, size_t count, uint32_t *number)
{
    uint32_t node = 0;
    for (size_t i = 0; i < count; i++) {
        at_status st = find_child(grams, node, points[i], &node);
        if (st != AT_OK)
            return st;
    }
    *number = node;
    return AT_OK;
}
