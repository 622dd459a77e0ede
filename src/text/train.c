#include "text/train.h"
#include <string.h>
#include "base/memory.h"
#include "text/corpus.h"
#include "text/internal.h"
#include "text/learn.h"
#include "text/utf8.h"

enum { SPECIALS = 4, BYTES = 256 };

const at_field at_tokenizer_fields[] = {
    {"type", AT_FIELD_CHOICE, offsetof(at_tokenizer_options, type), "bpe", 0, 0, "bpe|char|word|byte",
     "what pieces are: byte-level BPE, characters, whitespace words, or bytes"},
    {"vocab_size", AT_FIELD_INT, offsetof(at_tokenizer_options, vocab_size), "8000", 5, AT_MAX_PIECES, NULL,
     "most pieces, special tokens and bytes included"},
    {"min_frequency", AT_FIELD_INT, offsetof(at_tokenizer_options, min_frequency), "0", 0, 1e15, NULL,
     "how often a piece must occur to be learnt"},
    {"normalizer", AT_FIELD_CHOICE, offsetof(at_tokenizer_options, normalizer), "none", 0, 0, "none|nfc|nfkc",
     "Unicode normalization in front of the tokenizer"},
    {"lowercase", AT_FIELD_BOOL, offsetof(at_tokenizer_options, lowercase), "false", 0, 0, NULL,
     "lower-case the text in the tokenizer; what is decoded stays so"},
    {"bytes", AT_FIELD_CHOICE, offsetof(at_tokenizer_options, bytes), "all", 0, 0, "all|seen",
     "single bytes that are pieces: all, or those that occur; others are then <unk>"},
    {0},
};

struct at_learner {
    at_tokenizer_options options;
    at_tokenizer *t; /* its front works from the beginning; the model comes at the end */
    at_pieces words; /* every distinct word (char: character) */
    int64_t *count;  /* [words.count] how often */
    size_t capacity;
};

static void add_normals(at_tokenizer *t, const at_tokenizer_options *options)
{
    if (options->normalizer == 1 || options->normalizer == 2)
        t->normal[t->normals++] = options->normalizer == 1 ? AT_NFC : AT_NFKC;
    if (options->lowercase)
        t->normal[t->normals++] = AT_LOWERCASE;
}

static at_status add_front(at_tokenizer *t, const at_tokenizer_options *options)
{
    static const char character[] = "[^\\n]|\\n";
    add_normals(t, options);
    if (options->type == AT_TYPE_WORD) {
        t->kind = AT_KIND_WORD;
        return AT_OK;
    }
    t->ignore_merges = options->type == AT_TYPE_CHAR;
    at_status st = at_split_open(&t->split[0], options->type == AT_TYPE_CHAR ? character : at_split_default);
    t->splits = st == AT_OK;
    return st;
}

/* The special tokens, and the template that puts </s> behind a text. */
static at_status add_specials(at_tokenizer *t)
{
    static const char *const text[SPECIALS] = {"<pad>", "<s>", "</s>", "<unk>"};
    at_status st = at_pieces_open(&t->pieces, SPECIALS);
    if (st != AT_OK)
        return st;
    t->added = at_alloc_zero(SPECIALS, sizeof *t->added);
    if (!t->added)
        return AT_ENOMEM;
    for (int32_t id = 0; id < SPECIALS && st == AT_OK; id++) {
        at_added *added = &t->added[t->added_count++];
        *added = (at_added){.id = id, .special = true};
        at_buf_text(&added->text, text[id]);
        st = at_pieces_set(&t->pieces, id, text[id], strlen(text[id]), AT_PIECE_ADDED | AT_PIECE_SPECIAL);
        if (st == AT_OK)
            st = at_buf_status(&added->text);
    }
    t->after[t->afters++] = AT_ID_EOS;
    t->model_unk = AT_ID_UNK;
    return st;
}

/* In the order of the characters that stand for them, as Hugging Face has it. */
static at_status add_bytes(at_tokenizer *t, const bool *wanted)
{
    at_status st = AT_OK;
    for (uint32_t symbol = 0; symbol < 2 * BYTES && st == AT_OK; symbol++) {
        for (int byte = 0; byte < BYTES && st == AT_OK; byte++) {
            char c = (char)byte;
            if (wanted[byte] && at_byte_symbol((unsigned char)byte) == symbol)
                st = at_pieces_set(&t->pieces, (int32_t)t->pieces.count, &c, 1, 0);
        }
    }
    return st;
}

at_status at_learner_new(const at_tokenizer_options *options, at_learner **result)
{
    *result = NULL;
    bool all = options->type != AT_TYPE_WORD && options->bytes == AT_BYTES_ALL;
    int64_t least = SPECIALS + (all ? BYTES : 1);
    if (options->type != AT_TYPE_BYTE && (options->vocab_size < least || options->vocab_size > AT_MAX_PIECES))
        return at_fail(AT_EARG, "vocab_size %lld is not within %lld to %d%s", (long long)options->vocab_size,
                       (long long)least, AT_MAX_PIECES,
                       all ? ": the special tokens and all bytes are always in it" : "");
    at_learner *learner = at_alloc_zero(1, sizeof *learner);
    if (!learner)
        return AT_ENOMEM;
    learner->options = *options;
    learner->t = at_alloc_zero(1, sizeof *learner->t);
    at_status st = learner->t ? at_pieces_open(&learner->words, 0) : AT_ENOMEM;
    if (st == AT_OK)
        st = add_specials(learner->t);
    if (st == AT_OK)
        st = add_front(learner->t, options);
    if (st != AT_OK) {
        at_learner_free(learner);
        return st;
    }
    *result = learner;
    return AT_OK;
}

static at_status count_word(void *context, const char *word, size_t length)
{
    at_learner *learner = context;
    int32_t id = at_pieces_find(&learner->words, word, length);
    if (id < 0) {
        id = (int32_t)learner->words.count;
        if (id == INT32_MAX)
            return at_fail(AT_EARG, "more than %d distinct words", INT32_MAX);
        at_status st = at_grow(&learner->count, &learner->capacity, (size_t)id + 1, sizeof *learner->count);
        if (st == AT_OK)
            st = at_pieces_set(&learner->words, id, word, length, 0);
        if (st != AT_OK)
            return st;
        learner->count[id] = 0;
    }
    learner->count[id]++;
    return AT_OK;
}

at_status at_learner_line(at_learner *learner, const char *line, size_t length)
{
    size_t valid = at_utf8_valid(line, length);
    if (valid < length)
        return at_fail(AT_EFORMAT,
                       "invalid UTF-8 at byte %zu; convert the text with iconv -f ENCODING -t UTF-8",
                       valid + 1);
    return length ? at_words_of_text(learner->t, line, length, count_word, learner) : AT_OK;
}

at_status at_learner_file(at_learner *learner, const char *path)
{
    at_lines *lines;
    at_text line;
    at_status st = at_lines_open(path, &lines);
    if (st != AT_OK)
        return st;
    while ((st = at_lines_next(lines, &line)) == AT_OK && line.data) {
        st = at_learner_line(learner, line.data, line.length);
        if (st != AT_OK) {
            at_fail_within(st, "%s:%zu", path, at_lines_number(lines));
            break;
        }
    }
    at_lines_close(lines);
    return st;
}

/* Before merges, so that every pair has its parts. */
static at_status finish_bytes(at_learner *learner)
{
    const at_pieces *words = &learner->words;
    bool wanted[BYTES] = {false};
    bool all = learner->options.bytes == AT_BYTES_ALL;
    for (size_t i = 0; i < words->bytes.length; i++)
        wanted[(unsigned char)words->bytes.data[i]] = true;
    for (int i = 0; i < BYTES && all; i++)
        wanted[i] = true;
    return add_bytes(learner->t, wanted);
}

at_status at_learner_finish(at_learner *learner, at_tokenizer **tokenizer)
{
    *tokenizer = NULL;
    if (learner->options.type != AT_TYPE_WORD) {
        at_status st = finish_bytes(learner);
        if (st != AT_OK)
            return st;
    }
    at_learning learning = {.words = &learner->words,
                            .count = learner->count,
                            .vocab_size = (size_t)learner->options.vocab_size,
                            .min_frequency = learner->options.min_frequency};
    at_status st = AT_OK;
    if (learner->options.type == AT_TYPE_BPE)
        st = at_learn_merges(&learning, learner->t);
    else if (learner->options.type != AT_TYPE_BYTE)
        st = at_learn_words(&learning, learner->t);
    if (st != AT_OK)
        return st;
    at_tokenizer_index(learner->t);
    *tokenizer = learner->t;
    learner->t = NULL;
    return AT_OK;
}

void at_learner_free(at_learner *learner)
{
    if (!learner)
        return;
    at_tokenizer_free(learner->t);
    at_pieces_free(&learner->words);
    at_free(learner->count);
    at_free(learner);
}
