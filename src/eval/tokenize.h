/* eval/tokenize.h - how a line is cut into words before n-grams are counted.
 *
 * Role    sacreBLEU's tokenizers. They exist so that scores of different systems
 *         are counted alike; they have nothing to do with a model's tokenizer.
 * Owns    Nothing; the line is rewritten in place, `scratch` is only memory.
 * Errors  Sticky in the line: at_points_status.
 *
 *     at_eval_tokenize(AT_TOKENIZE_13A, &line, &scratch);
 *     // words are now what white space separates
 */
#ifndef AT_EVAL_TOKENIZE_H
#define AT_EVAL_TOKENIZE_H
#include "eval/points.h"

typedef enum at_eval_tokenizer {
    AT_TOKENIZE_13A,  /* mteval-v13a.pl of NIST: punctuation of Western languages; the default */
    AT_TOKENIZE_ZH,   /* each Chinese character a word, the rest as 13a */
    AT_TOKENIZE_CHAR, /* each code point a word */
    AT_TOKENIZE_INTL, /* mteval-v14.pl --international: Unicode punctuation and symbols */
    AT_TOKENIZE_NONE, /* white space only: for text that is tokenized already (multi-bleu.perl) */
} at_eval_tokenizer;

void at_eval_tokenize(at_eval_tokenizer tokenizer, at_points *line, at_points *scratch);

const char *at_eval_tokenizer_name(at_eval_tokenizer tokenizer);
/* AT_EARG naming the known ones. */
at_status at_eval_tokenizer_parse(const char *name, at_eval_tokenizer *tokenizer);
#endif
