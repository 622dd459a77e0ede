/* eval/ngram.h - counts of the n-grams of a hypothesis and its references.
 *
 * Role    A trie in a hash table: the n-gram of order n is the child, by its last
 *         symbol, of the n-gram of order n-1. Symbols are code points, or words
 *         that another such trie has numbered (at_ngrams_word).
 * Owns    Its nodes; at_ngrams_free. Zero-initialise. Cleared for each line, in
 *         time proportional to what was in it; memory is kept.
 * Errors  AT_ENOMEM.
 *
 *     at_ngrams grams = {0};
 *     at_ngrams_add(&grams, AT_NGRAM_HYP, words, count, 4);
 *     at_ngrams_add(&grams, AT_NGRAM_REF, others, other_count, 4);
 *     for (size_t i = 1; i < grams.count; i++) ... grams.nodes[i].hyp, .ref
 */
#ifndef AT_EVAL_NGRAM_H
#define AT_EVAL_NGRAM_H
#include "base/status.h"

typedef struct at_ngram {
    uint32_t parent, symbol, slot, order; /* order 1: a single symbol */
    uint32_t hyp, ref;                    /* occurrences in hypothesis, in the reference at hand */
    uint32_t most;                        /* the most in any one reference so far */
} at_ngram;

typedef enum at_ngram_side { AT_NGRAM_HYP, AT_NGRAM_REF } at_ngram_side;

typedef struct at_ngrams {
    at_ngram *nodes; /* nodes[0] is the root, the empty n-gram */
    size_t count, capacity;
    uint32_t *slots; /* node numbers, 0: free; a power of two of them */
    size_t slot_count;
} at_ngrams;

void at_ngrams_free(at_ngrams *grams);
void at_ngrams_clear(at_ngrams *grams);
/* Counts every n-gram of orders 1 … max_order of `symbols` on one side. */
at_status at_ngrams_add(at_ngrams *grams, at_ngram_side side, const uint32_t *symbols, size_t count,
                        int max_order);
/* Ends a reference: `most` takes its counts, `ref` goes back to zero. */
void at_ngrams_next_ref(at_ngrams *grams);
/* One number for one spelling, the same until the next clear. */
at_status at_ngrams_word(at_ngrams *grams, const uint32_t *points, size_t count, uint32_t *number);
#endif
