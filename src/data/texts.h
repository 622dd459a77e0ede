/* data/texts.h - plain text of a split, piece by piece, for models of one text.
 *
 * Role    Reads FOLDER/SPLIT.txt (or .txt.gz; several with commas between) as a stream of chunks that no
 *         tokenizer's word crosses, and says where documents end: files, paragraphs between empty lines, or
 *         lines (data.document). A part of the whole can be asked for, so that one file gives training and
 *         validation. Texts larger than memory are fine.
 * Owns    Nothing afterwards. Chunks live until the visitor returns.
 * Shapes  Parts are 0 … 1 of all characters, line ends counted as one. With documents of files the cut is at
 *         the character; other documents belong where their first character is.
 * Errors  AT_EIO naming the file looked for; AT_EFORMAT "FILE:LINE: …" for bad UTF-8; the visitor's.
 *
 *     at_texts_spec spec = {.folder = "data", .split = "input", .document = AT_DOCUMENT_FILE, .to = 0.9};
 *     at_status st = at_texts_each(&spec, learn_chunk, learner);
 */
#ifndef AT_DATA_TEXTS_H
#define AT_DATA_TEXTS_H
#include "data/dataset.h"

typedef struct at_texts_spec {
    const char *folder, *split;
    int64_t document; /* AT_DOCUMENT_… */
    double from, to;  /* part of the characters */
} at_texts_spec;

/* `end`: a document ends behind this chunk (which may be empty then). */
typedef at_status at_texts_visit(void *context, const char *text, size_t length, bool end);

at_status at_texts_each(const at_texts_spec *spec, at_texts_visit *visit, void *context);
#endif
