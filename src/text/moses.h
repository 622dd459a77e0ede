/* text/moses.h - the tokens of the Moses scripts, for English and German.
 *
 * Role    What papers on Multi30k score on: normalize-punctuation.perl, then tokenizer.perl
 *         without aggressive hyphens, and detokenizer.perl back. Rules for `en` and `de`;
 *         any other language is cut by the rules that they share.
 *         Koehn et al. 2007, "Moses: Open Source Toolkit for Statistical Machine Translation".
 * Owns    Nothing; output is appended to `out`. Any thread may call.
 * Errors  AT_ENOMEM. Bytes that are no UTF-8 stay where they are.
 *
 *     at_moses_tokenize("en", "Don't stop, Mr. \"X\"!", &out);   // Don &apos;t stop , Mr. &quot; X &quot; !
 *     at_moses_detokenize("en", out.data, &text);                // Don't stop, Mr. "X"!
 */
#ifndef AT_TEXT_MOSES_H
#define AT_TEXT_MOSES_H
#include "base/buf.h"

typedef struct at_moses_options {
    bool no_normalize; /* quotes, dashes and spaces stay as they are */
    bool no_escape;    /* & | < > ' " [ ] stay; otherwise &amp; &#124; &lt; &gt; &apos; &quot; &#91; &#93; */
} at_moses_options;

at_status at_moses_tokenize(const char *language, const char *line, at_buf *out); /* normalized and escaped */
at_status at_moses_tokenize_with(const char *language, const char *line, const at_moses_options *options,
                                 at_buf *out);
at_status at_moses_normalize(const char *language, const char *line, at_buf *out);
at_status at_moses_detokenize(const char *language, const char *line, at_buf *out);
#endif
