/* text/learn.h - from counted words to a vocabulary; private to train.c.
 *
 * Role    at_learn_merges: BPE. at_learn_words: the most frequent words (or characters).
 * Owns    Nothing; pieces and merges go into the tokenizer.
 * Errors  AT_ENOMEM; AT_EARG if there is too much text to number.
 *
 *     at_learning learning = {.words = &words, .count = count, .vocab_size = 10000};
 *     at_status st = at_learn_merges(&learning, tokenizer);
 */
#ifndef AT_TEXT_LEARN_H
#define AT_TEXT_LEARN_H
#include "text/internal.h"

typedef struct at_learning {
    const at_pieces *words;
    const int64_t *count; /* [words->count] */
    size_t vocab_size;
    int64_t min_frequency;
} at_learning;

at_status at_learn_merges(const at_learning *learning, at_tokenizer *tokenizer);
at_status at_learn_words(const at_learning *learning, at_tokenizer *tokenizer);
#endif
