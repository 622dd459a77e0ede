/* text/words.h - which pieces make which word, for pictures of attention.
 *
 * Role    Pieces are what a model sees, words what a person reads. A word is what white space
 *         separates, punctuation around it apart; in scripts without spaces (Chinese, Japanese,
 *         Thai, …) a piece is a word, but never part of a character. A special token is a word.
 * Owns    at_words until at_words_free; zero-initialise.
 * Errors  AT_ENOMEM, AT_EARG (id outside the vocabulary).
 *
 *     at_words words = {0};
 *     at_status st = at_words_find(tokenizer, ids.id, ids.count, &words);
 *     for (size_t i = 0; i < ids.count; i++)
 *         weight_of_word[words.word[i]] += weight[i];
 *     printf("%s", words.text[0]);
 */
#ifndef AT_TEXT_WORDS_H
#define AT_TEXT_WORDS_H
#include "text/tokenizer.h"

typedef struct at_word_span {
    size_t begin, end; /* bytes of the decoded text, special tokens included */
} at_word_span;

typedef struct at_words {
    size_t pieces;      /* as many as ids went in */
    int32_t *word;      /* [pieces] which word the piece belongs to; never falls */
    at_word_span *span; /* [pieces] */
    size_t count;       /* words */
    const char **text;  /* [count] NUL-terminated UTF-8 without white space around; bad bytes as U+FFFD */
    char *memory;       /* of the texts */
} at_words;

at_status at_words_find(const at_tokenizer *tokenizer, const int32_t *ids, size_t count, at_words *words);
/* The same with words that only white space and special tokens separate, in every script: the words of
 * tokenized corpora, and of alignments that come with them. */
at_status at_words_spaced(const at_tokenizer *tokenizer, const int32_t *ids, size_t count, at_words *words);
/* The same with every piece a word of its own; a space at its beginning is shown as U+2581. */
at_status at_words_pieces(const at_tokenizer *tokenizer, const int32_t *ids, size_t count, at_words *words);
/* Where each word stands in `raw`, the line as it was before preprocessing and normalising: spans
 * [words->count]; begin == end for special tokens and for what cannot be found. An unknown word is what lies
 * between its neighbours. */
at_status at_words_origin(const at_tokenizer *tokenizer, const int32_t *ids, const at_words *words,
                          const char *raw, at_word_span *spans);
/* The whitespace words of `raw` itself as the words, special tokens before and behind as words of their own;
 * a word may be left without a piece. */
at_status at_words_raw(const at_tokenizer *tokenizer, const int32_t *ids, size_t count, const char *raw,
                       at_words *words);
void at_words_free(at_words *words);
#endif
