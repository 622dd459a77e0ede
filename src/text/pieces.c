#include <string.h>
#include "base/memory.h"
#include "text/internal.h"
#include "text/utf8.h"

static uint64_t hash_bytes(const char *bytes, size_t length)
{
    uint64_t hash = UINT64_C(0x9E3779B97F4A7C15) ^ length, eight;
    for (; length >= sizeof eight; bytes += sizeof eight, length -= sizeof eight) {
        memcpy(&eight, bytes, sizeof eight);
        hash = (hash ^ eight) * UINT64_C(0xFF51AFD7ED558CCD);
        hash ^= hash >> 32;
    }
    eight = 0;
    if (length)
        memcpy(&eight, bytes, length);
    hash = (hash ^ eight) * UINT64_C(0xC4CEB9FE1A85EC53);
    return hash ^ hash >> 29;
}

/* The slot that holds these bytes, or the empty one where they belong. */
static size_t slot_of(const at_pieces *pieces, const char *bytes, size_t length)
{
    size_t mask = pieces->slots - 1;
    size_t i = (size_t)hash_bytes(bytes, length) & mask;
    while (pieces->slot[i]) {
        const at_piece *piece = &pieces->piece[pieces->slot[i] - 1];
        if (piece->length == length && memcmp(pieces->bytes.data + piece->start, bytes, length) == 0)
            break;
        i = (i + 1) & mask;
    }
    return i;
}

/* Only grows, and only while a tokenizer is being built. */
static at_status widen(at_pieces *pieces, size_t count)
{
    size_t slots = 64;
    while (slots < 2 * count)
        slots *= 2;
    if (slots <= pieces->slots)
        return AT_OK;
    uint32_t *slot = at_alloc_zero(slots, sizeof *slot);
    if (!slot)
        return AT_ENOMEM;
    at_free(pieces->slot);
    pieces->slot = slot;
    pieces->slots = slots;
    for (size_t id = 0; id < pieces->count; id++) {
        const at_piece *piece = &pieces->piece[id];
        if (!(pieces->flags[id] & AT_PIECE_USED))
            continue;
        size_t i = slot_of(pieces, pieces->bytes.data + piece->start, piece->length);
        if (!slot[i])
            slot[i] = (uint32_t)id + 1;
    }
    return AT_OK;
}

at_status at_pieces_open(at_pieces *pieces, size_t count)
{
    *pieces = (at_pieces){0};
    if (count > AT_MAX_PIECES)
        return at_fail(AT_EFORMAT, "%zu pieces; at most %d", count, AT_MAX_PIECES);
    pieces->capacity = count ? count : 1;
    pieces->piece = at_alloc_zero(pieces->capacity, sizeof *pieces->piece);
    pieces->flags = at_alloc_zero(pieces->capacity, 1);
    if (!pieces->piece || !pieces->flags || widen(pieces, count) != AT_OK) {
        at_pieces_free(pieces);
        return AT_ENOMEM;
    }
    pieces->count = count;
    return AT_OK;
}

static at_status extend(at_pieces *pieces, size_t count)
{
    at_status st = widen(pieces, count);
    if (st != AT_OK || count <= pieces->count)
        return st;
    if (count > pieces->capacity) {
        size_t flag_capacity = pieces->capacity;
        st = at_grow(&pieces->flags, &flag_capacity, count, 1);
        if (st == AT_OK)
            st = at_grow(&pieces->piece, &pieces->capacity, count, sizeof *pieces->piece);
        if (st != AT_OK)
            return st;
        pieces->capacity = pieces->capacity < flag_capacity ? pieces->capacity : flag_capacity;
    }
    size_t more = count - pieces->count;
    memset(pieces->piece + pieces->count, 0, more * sizeof *pieces->piece);
    memset(pieces->flags + pieces->count, 0, more);
    pieces->count = count;
    return AT_OK;
}

at_status at_pieces_set(at_pieces *pieces, int32_t id, const char *bytes, size_t length, uint8_t flags)
{
    AT_ASSERT(id >= 0);
    at_status st = extend(pieces, (size_t)id + 1);
    if (st != AT_OK)
        return st;
    size_t start = pieces->bytes.length;
    if (start + length > UINT32_MAX)
        return at_fail(AT_EFORMAT, "pieces of more than 4 GiB together");
    at_buf_bytes(&pieces->bytes, bytes, length);
    if (at_buf_status(&pieces->bytes) != AT_OK)
        return at_buf_status(&pieces->bytes);
    pieces->piece[id] = (at_piece){(uint32_t)start, (uint32_t)length};
    pieces->flags[id] = flags | AT_PIECE_USED;
    size_t i = slot_of(pieces, pieces->bytes.data + start, length);
    if (!pieces->slot[i])
        pieces->slot[i] = (uint32_t)id + 1;
    return AT_OK;
}

int32_t at_pieces_find(const at_pieces *pieces, const char *bytes, size_t length)
{
    return pieces->slots ? (int32_t)pieces->slot[slot_of(pieces, bytes, length)] - 1 : -1;
}

void at_pieces_free(at_pieces *pieces)
{
    at_free(pieces->piece);
    at_free(pieces->flags);
    at_free(pieces->slot);
    at_buf_free(&pieces->bytes);
    *pieces = (at_pieces){0};
}

/* Printable bytes of Latin-1 stand for themselves; the other 68 for U+0100 and on, in order. */
static bool stands_for_itself(uint32_t c)
{
    return (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || (c >= 174 && c <= 255);
}

uint32_t at_byte_symbol(unsigned char byte)
{
    if (stands_for_itself(byte))
        return byte;
    if (byte <= 32)
        return 256u + byte;
    return byte == 173 ? 256u + 67u : 256u + 33u + (byte - 127u);
}

static int byte_of_symbol(uint32_t c)
{
    if (c < 256)
        return stands_for_itself(c) ? (int)c : -1;
    if (c <= 256 + 32)
        return (int)c - 256;
    if (c < 256 + 67)
        return (int)c - 256 - 33 + 127;
    return c == 256 + 67 ? 173 : -1;
}

bool at_bytes_of_symbols(const char *text, size_t length, at_buf *bytes)
{
    char part[64]; /* loading a vocabulary spends its time here: no call a byte */
    size_t n = 0;
    for (size_t i = 0, step; i < length; i += step) {
        uint32_t c = 0;
        step = at_utf8_decode(text + i, length - i, &c);
        int byte = step ? byte_of_symbol(c) : -1;
        if (byte < 0)
            return false;
        part[n++] = (char)byte;
        if (n == sizeof part) {
            at_buf_bytes(bytes, part, n);
            n = 0;
        }
    }
    at_buf_bytes(bytes, part, n);
    return true;
}

void at_symbols_of_bytes(const char *bytes, size_t length, at_buf *text)
{
    for (size_t i = 0; i < length; i++)
        at_utf8_put(text, at_byte_symbol((unsigned char)bytes[i]));
}
