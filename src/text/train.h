/* text/train.h - learning a tokenizer from text.
 *
 * Role    Byte-level BPE (Sennrich et al. 2016; bytes as in GPT-2) with the merges, ties included,
 *         that Hugging Face's BpeTrainer finds; or a vocabulary of characters, or of whitespace
 *         words; or nothing but bytes. All are saved as a tokenizer.json that Hugging Face opens.
 *         Ids: <pad> <s> </s> <unk>, the 256 bytes (not in `word`; only those seen if so asked), then what
 *         was learnt, best first.
 * Owns    A learner until at_learner_free; the tokenizer that it gives is the caller's.
 * Errors  AT_EARG (options), AT_EFORMAT (bad UTF-8, with file and line), AT_EIO, AT_ENOMEM.
 *
 *     at_learner *learner;
 *     at_status st = at_learner_new(&(at_tokenizer_options){.vocab_size = 10000}, &learner);
 *     if (st == AT_OK)
 *         st = at_learner_file(learner, "train.en");      // or at_learner_line for each line
 *     if (st == AT_OK)
 *         st = at_learner_finish(learner, &tokenizer);
 *     at_learner_free(learner);
 */
#ifndef AT_TEXT_TRAIN_H
#define AT_TEXT_TRAIN_H
#include "base/field.h"
#include "text/tokenizer.h"

typedef enum at_tokenizer_type {
    AT_TYPE_BPE,
    AT_TYPE_CHAR, /* each character a piece; those too rare for the vocabulary are bytes */
    AT_TYPE_WORD, /* each whitespace word a piece; others are <unk>: not lossless */
    AT_TYPE_BYTE, /* each byte a piece: 260 of them, whatever vocab_size */
} at_tokenizer_type;

/* Which single bytes are pieces: all, so that nothing is unknown; or those of the text learnt from. */
typedef enum at_byte_pieces { AT_BYTES_ALL, AT_BYTES_SEEN } at_byte_pieces;

typedef struct at_tokenizer_options {
    int64_t type;          /* at_tokenizer_type */
    int64_t vocab_size;    /* at most; special tokens and bytes included */
    int64_t min_frequency; /* a merge, character or word must occur so often; 0: once */
    int64_t normalizer;    /* 0 none, 1 NFC, 2 NFKC */
    bool lowercase;        /* in the tokenizer itself, so text does not come back as it was */
    int64_t bytes;         /* at_byte_pieces */
} at_tokenizer_options;

/* The options as rows: `type vocab_size min_frequency normalizer lowercase bytes`. */
extern const at_field at_tokenizer_fields[];

typedef struct at_learner at_learner;

at_status at_learner_new(const at_tokenizer_options *options, at_learner **learner);
at_status at_learner_line(at_learner *learner, const char *line, size_t length);
at_status at_learner_file(at_learner *learner, const char *path); /* plain or gzip */
at_status at_learner_finish(at_learner *learner, at_tokenizer **tokenizer);
void at_learner_free(at_learner *learner);
#endif
