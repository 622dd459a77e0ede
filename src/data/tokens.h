/* data/tokens.h - a text as ids in a mapped file, and loaders over it.
 *
 * Role    Writes the ids of a split once, two or four bytes each; training then reads them where they lie,
 *         so a corpus may be larger than memory. The stream loader cuts windows of one length anywhere;
 *         the document loader has each document by itself.
 * Owns    at_tokens its mapping; at_tokens_close. Loaders borrow it.
 * Shapes  A stream's window: target_in = ids[i … i+n-1], target_out = ids[i+1 … i+n]. A document: target_in
 *         <s> y1 … yn, target_out y1 … yn </s>. No source.
 * Errors  AT_EIO; AT_EFORMAT for a file that is none of ours or is cut off; those of data/texts.h.
 *
 *     at_tokens_spec spec = {.texts = texts, .tokenizer = tokenizer, .documents = false};
 *     at_status st = at_tokens_write(&spec, "out/train.tokens");
 *     at_tokens tokens;
 *     st = at_tokens_open("out/train.tokens", &tokens);
 *     st = at_stream_loader_new(&tokens, &options, &loader);
 */
#ifndef AT_DATA_TOKENS_H
#define AT_DATA_TOKENS_H
#include "base/file.h"
#include "data/loader.h"
#include "data/texts.h"

typedef struct at_tokens {
    at_mapping map;
    size_t width;     /* bytes of an id: 2 or 4 */
    size_t count;     /* ids */
    size_t documents; /* that end in it */
    size_t bytes;     /* of the text they stand for, without </s> */
    size_t characters;
    int32_t eos;   /* closes documents; -1: nothing does */
    uint32_t mark; /* checksum of the ids: tells one corpus from another */
} at_tokens;

typedef struct at_tokens_spec {
    at_texts_spec texts;
    const at_tokenizer *tokenizer;
    bool documents; /* </s> behind each document; otherwise between them */
} at_tokens_spec;

at_status at_tokens_write(const at_tokens_spec *spec, const char *path); /* atomic */
at_status at_tokens_open(const char *path, at_tokens *tokens);
void at_tokens_close(at_tokens *tokens);
void at_tokens_read(const at_tokens *tokens, size_t first, size_t count, int32_t *out);

typedef struct at_stream_options {
    size_t window, windows; /* rows of one, and how many make a batch */
    bool shuffle; /* every epoch from another first place, in another order; false: in order, all of it */
    uint64_t seed;
} at_stream_options;

at_status at_stream_loader_new(const at_tokens *tokens, const at_stream_options *options, at_loader **loader);

/* Documents longer than most: left out, or cut (data.too_long). *left_out counts them. */
typedef struct at_document_options {
    at_loader_options batches;
    size_t most; /* rows, </s> counted */
    bool cut;
} at_document_options;

at_status at_document_loader_new(const at_tokens *tokens, const at_document_options *options,
                                 at_loader **loader, size_t *left_out);
#endif
