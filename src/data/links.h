/* data/links.h - alignments that come with a parallel corpus, for guided training.
 *
 * Role    Links between whitespace words of the raw lines (text/links.h) become links between pieces: every
 *         piece of a target word to every piece of the source words it is linked to, however often the words
 *         are segmented anew.
 * Owns    at_dataset_links belongs to its dataset.
 * Shapes  Words here are whitespace words of the prepared line; word[p] is that of piece p of all ids, -1 for
 *         special tokens.
 * Errors  AT_EFORMAT for a link to a word that the pair does not have; AT_ENOMEM.
 *
 *     st = at_dataset_links_add(set, &links, raw_source, raw_target);      // of the newest pair, not yet cut
 *     st = at_dataset_links_find(set);                                     // after segmenting anew
 *     st = at_dataset_links_batch(set, pairs, count, arena, &batch);       // fills link_starts, link_keys
 */
#ifndef AT_DATA_LINKS_H
#define AT_DATA_LINKS_H
#include "base/arena.h"
#include "data/batch.h"
#include "data/dataset.h"
#include "text/links.h"

struct at_dataset_links {
    at_link *list;   /* of all pairs, between prepared words */
    size_t *offsets; /* (count+1) */
    size_t list_count, list_capacity, offsets_capacity;
    int32_t *word[2]; /* of source and target, parallel to their ids */
    size_t word_capacity[2];
};

at_status at_dataset_links_add(at_dataset *set, const at_links *links, const char *source,
                               const char *target);
/* The newest pair's sides have been cut: what ends them now is </s>. */
void at_dataset_links_cut(at_dataset *set);
at_status at_dataset_links_find(at_dataset *set);
/* pairs: (count) numbers of the batch's pairs, in order. */
at_status at_dataset_links_batch(const at_dataset *set, const uint32_t *pairs, size_t count, at_arena *arena,
                                 at_batch *batch);
void at_dataset_links_free(at_dataset *set);
#endif
