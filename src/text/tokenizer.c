#include "text/tokenizer.h"
#include <string.h>
#include "base/memory.h"
#include "text/internal.h"

void at_tokenizer_index(at_tokenizer *t)
{
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        t->byte_id[byte] = at_pieces_find(&t->pieces, &c, 1);
    }
    for (size_t i = 0; i < t->added_count; i++)
        t->starts[t->added[i].normalized][(unsigned char)t->added[i].text.data[0]] = true;
    t->pad = at_pieces_find(&t->pieces, "<pad>", 5);
    t->bos = at_pieces_find(&t->pieces, "<s>", 3);
    t->eos = at_pieces_find(&t->pieces, "</s>", 4);
    t->unk = at_pieces_find(&t->pieces, "<unk>", 5);
}

void at_tokenizer_free(at_tokenizer *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->splits; i++)
        at_split_free(&t->split[i]);
    for (size_t i = 0; i < t->added_count; i++)
        at_buf_free(&t->added[i].text);
    at_free(t->added);
    at_merges_free(&t->merges);
    at_pieces_free(&t->pieces);
    at_free(t);
}

at_status at_tokenizer_decode(const at_tokenizer *t, const int32_t *ids, size_t count, bool skip_special,
                              at_buf *text)
{
    for (size_t i = 0; i < count; i++) {
        size_t length;
        const char *piece = at_tokenizer_piece(t, ids[i], &length);
        if (!piece)
            return at_fail(AT_EARG, "token id %d is outside the vocabulary of %d", ids[i],
                           at_tokenizer_size(t));
        if (skip_special && at_tokenizer_is_special(t, ids[i]))
            continue;
        if (t->kind == AT_KIND_WORD && text->length > 0)
            at_buf_char(text, ' ');
        at_buf_bytes(text, piece, length);
    }
    return at_buf_status(text);
}

int32_t at_tokenizer_size(const at_tokenizer *t)
{
    return (int32_t)t->pieces.count;
}

const char *at_tokenizer_piece(const at_tokenizer *t, int32_t id, size_t *length)
{
    if (id < 0 || (size_t)id >= t->pieces.count)
        return NULL;
    *length = t->pieces.piece[id].length;
    return t->pieces.bytes.data + t->pieces.piece[id].start;
}

int32_t at_tokenizer_find(const at_tokenizer *t, const char *piece, size_t length)
{
    return at_pieces_find(&t->pieces, piece, length);
}

bool at_tokenizer_is_special(const at_tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->pieces.count && (t->pieces.flags[id] & AT_PIECE_SPECIAL);
}

int32_t at_tokenizer_pad(const at_tokenizer *t)
{
    return t->pad;
}

int32_t at_tokenizer_bos(const at_tokenizer *t)
{
    return t->bos;
}

int32_t at_tokenizer_eos(const at_tokenizer *t)
{
    return t->eos;
}

int32_t at_tokenizer_unk(const at_tokenizer *t)
{
    return t->unk;
}
