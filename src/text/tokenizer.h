/* text/tokenizer.h - text to token ids and back, as Hugging Face writes it.
 *
 * Role    Byte-level BPE in a `tokenizer.json` that Hugging Face `tokenizers` opens too, with
 *         the same ids for the same valid UTF-8: optional normalizer (NFC, NFD, NFKC, NFKD,
 *         Lowercase, Sequence), Split by regular expressions and ByteLevel, BPE, a template.
 *         Also WordLevel with WhitespaceSplit. Without a normalizer any bytes come back as
 *         they were; bytes of no character are pieces of their own.
 * Owns    The tokenizer is the caller's. It never changes after loading: any number of threads
 *         may use it at once. Buffers and ids passed in are appended to.
 * Errors  AT_EIO, AT_EFORMAT, AT_ENOSUP (a component we do not have, by name), AT_ENOMEM.
 *
 *     at_tokenizer *t;
 *     at_status st = at_tokenizer_load("model/tokenizer.json", &t);
 *     at_ids ids = {0};
 *     st = at_tokenizer_encode(t, line, strlen(line), &(at_encoding){.close = true}, &ids);
 *     at_buf text = {0};
 *     st = at_tokenizer_decode(t, ids.id, ids.count, true, &text);   // line again
 *     at_tokenizer_free(t);
 */
#ifndef AT_TEXT_TOKENIZER_H
#define AT_TEXT_TOKENIZER_H
#include "base/buf.h"
#include "base/rng.h"
#include "text/ids.h"

enum { /* where tokenizers trained here have them; others say it themselves */
       AT_ID_PAD = 0,
       AT_ID_BOS = 1,
       AT_ID_EOS = 2,
       AT_ID_UNK = 3,
};

typedef struct at_tokenizer at_tokenizer;

at_status at_tokenizer_load(const char *path, at_tokenizer **tokenizer);
/* The same from bytes in memory; `name` stands for the file in messages. */
at_status at_tokenizer_parse(const char *json, size_t length, const char *name, at_tokenizer **tokenizer);
at_status at_tokenizer_save(const at_tokenizer *tokenizer, const char *path); /* atomic */
void at_tokenizer_free(at_tokenizer *tokenizer);

typedef struct at_encoding {
    bool close;     /* the template: ours puts </s> at the end */
    bool special;   /* "</s>" in the text is that token; otherwise text is only text */
    double dropout; /* BPE-dropout (Provilkov et al. 2020): chance that a merge is left out; 0 … 1 */
    at_rng *rng;    /* the caller's; needed if dropout > 0 */
} at_encoding;

/* `encoding` NULL: all off. On failure what was appended to `ids` is taken away again. */
at_status at_tokenizer_encode(const at_tokenizer *tokenizer, const char *text, size_t length,
                              const at_encoding *encoding, at_ids *ids);
/* Decoding in parts gives the same bytes as decoding at once (at_utf8_complete says how much of
 * them may be shown). AT_EARG for an id outside the vocabulary. */
at_status at_tokenizer_decode(const at_tokenizer *tokenizer, const int32_t *ids, size_t count,
                              bool skip_special, at_buf *text);

int32_t at_tokenizer_size(const at_tokenizer *tokenizer);
/* The bytes that a piece stands for, not NUL-terminated, valid as long as the tokenizer. */
const char *at_tokenizer_piece(const at_tokenizer *tokenizer, int32_t id, size_t *length);
int32_t at_tokenizer_find(const at_tokenizer *tokenizer, const char *piece, size_t length); /* -1: none */
bool at_tokenizer_is_special(const at_tokenizer *tokenizer, int32_t id);
int32_t at_tokenizer_pad(const at_tokenizer *tokenizer); /* -1: has none; so the next three */
int32_t at_tokenizer_bos(const at_tokenizer *tokenizer);
int32_t at_tokenizer_eos(const at_tokenizer *tokenizer);
int32_t at_tokenizer_unk(const at_tokenizer *tokenizer);
#endif
