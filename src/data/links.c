#include "data/links.h"
#include "base/memory.h"
#include "text/words.h"

static at_dataset_side *side_of(at_dataset *set, int side)
{
    return side == 0 ? &set->source : &set->target;
}

/* Words of pieces [first, end) of one side: whitespace words as prepared; special tokens are none. */
static at_status find_words(at_dataset *set, int side, size_t first, size_t end)
{
    const int32_t *ids = side_of(set, side)->ids.id;
    at_words words;
    at_status st =
        at_grow(&set->links->word[side], &set->links->word_capacity[side], end + 1, sizeof(int32_t));
    if (st == AT_OK)
        st = at_words_spaced(set->tokenizer, ids + first, end - first, &words);
    if (st != AT_OK)
        return st;
    for (size_t p = first; p < end; p++) {
        bool special =
            at_tokenizer_is_special(set->tokenizer, ids[p]) && ids[p] != at_tokenizer_unk(set->tokenizer);
        set->links->word[side][p] = special ? -1 : words.word[p - first];
    }
    at_words_free(&words);
    return AT_OK;
}

/* Which word of the raw line each prepared word of the newest pair came from; the line's words in *inside. */
static at_status find_raw(const at_dataset *set, int side, const char *raw, int32_t **of, size_t *count,
                          size_t *inside)
{
    const at_dataset_side *s = side == 0 ? &set->source : &set->target;
    size_t first = s->offsets[set->count], length = s->offsets[set->count + 1] - first;
    at_words words;
    *of = at_alloc_zero(length + 1, sizeof **of);
    at_status st = *of ? at_words_raw(set->tokenizer, s->ids.id + first, length, raw, &words) : AT_ENOMEM;
    if (st != AT_OK)
        return st;
    *count = 0;
    for (size_t p = 0; p < length; p++) {
        int32_t word = set->links->word[side][first + p];
        if (word >= 0 && (size_t)word == *count)
            (*of)[(*count)++] = words.word[p];
    }
    *inside = words.count;
    for (size_t p = length; p > 0 && set->links->word[side][first + p - 1] < 0; p--)
        --*inside; /* </s> is no word of the line */
    at_words_free(&words);
    return AT_OK;
}

static at_status put(struct at_dataset_links *l, int32_t source, int32_t target)
{
    at_status st = at_grow(&l->list, &l->list_capacity, l->list_count + 1, sizeof *l->list);
    if (st == AT_OK)
        l->list[l->list_count++] = (at_link){source, target, false};
    return st;
}

at_status at_dataset_links_add(at_dataset *set, const at_links *links, const char *source, const char *target)
{
    struct at_dataset_links *l = set->links;
    const char *const raw[] = {source, target};
    int32_t *of[2] = {NULL, NULL};
    size_t count[2] = {0, 0}, inside[2] = {0, 0}, pair = set->count;
    at_status st = at_grow(&l->offsets, &l->offsets_capacity, pair + 2, sizeof *l->offsets);
    if (st == AT_OK && pair == 0)
        l->offsets[0] = 0;
    for (int side = 0; side < 2 && st == AT_OK; side++) {
        const at_dataset_side *s = side_of(set, side);
        st = find_words(set, side, s->offsets[pair], s->offsets[pair + 1]);
        if (st == AT_OK)
            st = find_raw(set, side, raw[side], &of[side], &count[side], &inside[side]);
    }
    for (size_t i = 0; i < links->count && st == AT_OK; i++) {
        const at_link *link = &links->list[i];
        if ((size_t)link->source >= inside[0] || (size_t)link->target >= inside[1])
            st = at_fail(AT_EFORMAT, "link %d-%d: the pair has %zu and %zu words, counted from 0",
                         (int)link->source, (int)link->target, inside[0], inside[1]);
        for (size_t a = 0; a < count[0] && st == AT_OK; a++) {
            for (size_t b = 0; b < count[1] && st == AT_OK; b++) {
                if (of[0][a] == link->source && of[1][b] == link->target)
                    st = put(l, (int32_t)a, (int32_t)b);
            }
        }
    }
    if (st == AT_OK)
        l->offsets[pair + 1] = l->list_count;
    at_free(of[0]);
    at_free(of[1]);
    return st;
}

void at_dataset_links_cut(at_dataset *set)
{
    for (int side = 0; side < 2; side++)
        set->links->word[side][side_of(set, side)->offsets[set->count + 1] - 1] = -1;
}

at_status at_dataset_links_find(at_dataset *set)
{
    at_status st = AT_OK;
    for (int side = 0; side < 2; side++) {
        const at_dataset_side *s = side_of(set, side);
        for (size_t i = 0; i < set->count && st == AT_OK; i++)
            st = find_words(set, side, s->offsets[i], s->offsets[i + 1]);
    }
    return st;
}

/* Source pieces that a target piece is linked to -> how many; keys NULL: counts only. */
static size_t keys_of(const at_dataset *set, size_t pair, size_t target_piece, int32_t *keys)
{
    const struct at_dataset_links *l = set->links;
    int32_t word = l->word[1][target_piece];
    size_t first = set->source.offsets[pair], end = set->source.offsets[pair + 1], found = 0;
    for (size_t i = l->offsets[pair]; i < l->offsets[pair + 1] && word >= 0; i++) {
        if (l->list[i].target != word)
            continue;
        for (size_t p = first; p < end; p++) {
            if (l->word[0][p] != l->list[i].source)
                continue;
            if (keys)
                keys[found] = (int32_t)(p - first);
            found++;
        }
    }
    return found;
}

at_status at_dataset_links_batch(const at_dataset *set, const uint32_t *pairs, size_t count, at_arena *arena,
                                 at_batch *batch)
{
    size_t rows = at_rows_total(&batch->target), total = 0, row = 0;
    int32_t *starts = at_arena_array(arena, rows + 1, sizeof *starts), *keys = NULL;
    if (!starts)
        return AT_ENOMEM;
    for (int pass = 0; pass < 2; pass++) {
        row = total = 0;
        for (size_t b = 0; b < count; b++) {
            size_t first = set->target.offsets[pairs[b]], end = set->target.offsets[pairs[b] + 1];
            for (size_t p = first; p < end; p++) {
                starts[row++] = (int32_t)total;
                total += keys_of(set, pairs[b], p, keys ? keys + total : NULL);
            }
        }
        starts[row] = (int32_t)total;
        if (pass == 0)
            keys = at_arena_array(arena, total + 1, sizeof *keys);
        if (!keys)
            return AT_ENOMEM;
    }
    AT_ASSERT(row == rows);
    batch->link_starts = starts;
    batch->link_keys = keys;
    return AT_OK;
}

void at_dataset_links_free(at_dataset *set)
{
    if (!set->links)
        return;
    at_free(set->links->list);
    at_free(set->links->offsets);
    at_free(set->links->word[0]);
    at_free(set->links->word[1]);
    at_free(set->links);
    set->links = NULL;
}
