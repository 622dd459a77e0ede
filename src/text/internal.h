/* text/internal.h - the inside of at_tokenizer, shared by this folder's files only.
 *
 * Role    One struct a duty: pieces (id <-> bytes), merges (pair -> rank and result), splits
 *         (regular expressions), added tokens; at_tokenizer holds them.
 * Owns    Each struct its memory, freed by its _free; zeroed is empty.
 * Errors  As in tokenizer.h; messages name the field, tokenizer_load.c adds the file.
 *
 *     pieces:  id --piece[id]--> bytes[start .. start+length)
 *     slots:   hash(bytes) --> id + 1, 0 for empty, linear probing, at most half full
 */
#ifndef AT_TEXT_INTERNAL_H
#define AT_TEXT_INTERNAL_H
#include "base/json.h"
#include "text/tokenizer.h"

enum {
    AT_MAX_PIECES = 1 << 20,
    AT_MAX_TOKENIZER_FILE = 1 << 26, /* bytes; 10,000 pieces take half a million */
    AT_MAX_NORMALS = 8,
    AT_MAX_SPLITS = 4,
    AT_MAX_TEMPLATE = 8,
};

/* ---- pieces.c: the vocabulary ---- */
enum { AT_PIECE_USED = 1, AT_PIECE_ADDED = 2, AT_PIECE_SPECIAL = 4 };

typedef struct at_piece {
    uint32_t start, length;
} at_piece;

typedef struct at_pieces {
    at_piece *piece;
    uint8_t *flags;
    size_t count, capacity;
    at_buf bytes;
    uint32_t *slot;
    size_t slots; /* a power of two */
} at_pieces;

at_status at_pieces_open(at_pieces *pieces, size_t count); /* ids 0 … count-1, all unused */
at_status at_pieces_set(at_pieces *pieces, int32_t id, const char *bytes, size_t length, uint8_t flags);
int32_t at_pieces_find(const at_pieces *pieces, const char *bytes, size_t length);
void at_pieces_free(at_pieces *pieces);

/* The 256 visible characters that stand for bytes in files (Radford et al. 2019, GPT-2). */
uint32_t at_byte_symbol(unsigned char byte);
/* False if the text has a character that stands for no byte. */
bool at_bytes_of_symbols(const char *text, size_t length, at_buf *bytes);
void at_symbols_of_bytes(const char *bytes, size_t length, at_buf *text);

/* ---- bpe.c ---- */
typedef struct at_merge {
    uint32_t left, right, rank, result; /* left UINT32_MAX: empty slot */
} at_merge;

typedef struct at_merges {
    at_merge *slot;
    size_t slots, count; /* slots a power of two or 0 */
    uint64_t *order;     /* [count] left << 32 | right, best first: for saving */
} at_merges;

at_status at_merges_open(at_merges *merges, size_t count);
/* Ranks rise from call to call; a pair given twice keeps the later rank. */
void at_merges_add(at_merges *merges, uint32_t left, uint32_t right, uint32_t result);
const at_merge *at_merges_find(const at_merges *merges, uint32_t left, uint32_t right);
void at_merges_free(at_merges *merges);

/* Appends the ids of one word. */
at_status at_bpe_word(const at_tokenizer *tokenizer, const char *word, size_t length,
                      const at_encoding *encoding, at_ids *ids);

/* ---- split.c ---- */
typedef struct at_split {
    char *pattern;
    void *code;  /* pcre2_code */
    void *limit; /* pcre2_match_context */
} at_split;

typedef at_status at_span_function(void *context, const char *text, size_t length);

at_status at_split_open(at_split *split, const char *pattern);
/* Calls `piece` for every match and for what is between matches, in order. */
at_status at_split_run(const at_split *split, const char *text, size_t length, at_span_function *piece,
                       void *context);
void at_split_free(at_split *split);
extern const char at_split_gpt2[];    /* what ByteLevel with use_regex splits by */
extern const char at_split_default[]; /* of tokenizers trained here */

/* ---- normal.c ---- */
typedef enum at_normal {
    AT_NFC,
    AT_NFD,
    AT_NFKC,
    AT_NFKD,
    AT_LOWERCASE,
} at_normal;

extern const char *const at_normal_names[]; /* by at_normal, NULL at the end */
at_status at_normal_run(at_normal step, const char *text, size_t length, at_buf *out); /* valid UTF-8 */

/* ---- added tokens: looked for in the text before everything else ---- */
typedef struct at_added {
    int32_t id;
    bool special, normalized;
    at_buf text; /* normalized ones: as the normalizer leaves it */
} at_added;

typedef enum at_model_kind {
    AT_KIND_BPE,
    AT_KIND_WORD, /* WordLevel, WhitespaceSplit */
} at_model_kind;

struct at_tokenizer {
    at_model_kind kind;
    at_pieces pieces;
    at_merges merges;
    int32_t byte_id[256]; /* -1: the vocabulary lacks it */
    int32_t model_unk;    /* -1: unknown bytes vanish */
    bool ignore_merges;   /* a word that is a piece is that piece */
    bool fuse_unk;
    bool prefix_space;
    int normals, splits;
    at_normal normal[AT_MAX_NORMALS];
    at_split split[AT_MAX_SPLITS];
    bool use_regex;  /* split[0] is ByteLevel's own */
    at_added *added; /* longest first */
    size_t added_count;
    bool starts[2][256]; /* [normalized][byte]: an added token starts with it */
    int befores, afters;
    int32_t before[AT_MAX_TEMPLATE], after[AT_MAX_TEMPLATE];
    int32_t pad, bos, eos, unk;
};

/* encode.c: the words that the model would get, for training; `text` is valid UTF-8. */
at_status at_words_of_text(const at_tokenizer *tokenizer, const char *text, size_t length,
                           at_span_function *word, void *context);

/* ---- load.c, load_model.c ---- */
at_status at_load_missing(const char *what, const char *type); /* AT_ENOSUP naming a component */
/* Keys (NULL at the end) that would change what a component does must be absent, null or off. */
at_status at_load_off(const json_t *object, const char *const *keys);
at_status at_load_model(at_tokenizer *tokenizer, const json_t *root); /* vocabulary, merges, added tokens */

/* tokenizer.c: fills byte_id, starts and the four ids from what is there. */
void at_tokenizer_index(at_tokenizer *tokenizer);
#endif
