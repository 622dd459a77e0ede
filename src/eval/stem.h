/* eval/stem.h - English words to their stems. Private to eval/.
 *
 * Role    M. F. Porter 1980, "An algorithm for suffix stripping", Program 14(3), with the departures of
 *         NLTK's PorterStemmer in its default mode, because ROUGE is counted with that one.
 * Owns    Nothing: the word is cut in place and never grows.
 *
 *     uint32_t word[] = {'r', 'u', 'n', 'n', 'i', 'n', 'g'};
 *     size_t length = at_stem_english(word, 7, flags);      // 3: "run"
 */
#ifndef AT_EVAL_STEM_H
#define AT_EVAL_STEM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* word: lower-case ASCII letters and digits; flags: scratch of as many. Returns the stem's length. */
size_t at_stem_english(uint32_t *word, size_t length, bool *flags);
#endif
