#include "image/idx.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include "base/memory.h"

enum { FIRST_PART = 1 << 20, UNSIGNED_BYTES = 0x08 };
/* Deflate codes at most 258 bytes in 2 bits, so a byte of the file yields at most this many. */
enum { MOST_EXPANSION = 1032 };

static at_status read_failed(gzFile file, const char *path)
{
    int error;
    const char *text = gzerror(file, &error);
    if (error == Z_ERRNO)
        return at_fail(AT_EIO, "%s: cannot read: %s", path, strerror(errno));
    if (error == Z_MEM_ERROR)
        return at_fail(AT_ENOMEM, "%s: no memory to read gzip", path);
    size_t own = strlen(path); /* zlib names the file, too */
    if (strncmp(text, path, own) == 0 && strncmp(text + own, ": ", 2) == 0)
        text += own + 2;
    return at_fail(AT_EFORMAT, "%s: broken or cut gzip: %s", path, text);
}

/* Exactly `length` bytes, or AT_EFORMAT. */
static at_status read_part(gzFile file, const char *path, uint8_t *to, size_t length, size_t *got)
{
    *got = 0;
    while (*got < length) {
        size_t most = length - *got < (size_t)1 << 30 ? length - *got : (size_t)1 << 30;
        int n = gzread(file, to + *got, (unsigned)most);
        if (n < 0)
            return read_failed(file, path);
        if (n == 0) { /* the end; of a cut stream zlib says it here only */
            int error;
            gzerror(file, &error);
            return error == Z_OK || error == Z_STREAM_END ? AT_OK : read_failed(file, path);
        }
        *got += (size_t)n;
    }
    return AT_OK;
}

static at_status read_head(gzFile file, const char *path, at_idx_kind kind, at_idx *idx)
{
    uint8_t head[16] = {0};
    size_t rank = (size_t)kind, want = 4 + 4 * rank, got, size[3] = {0, 1, 1};
    at_status st = read_part(file, path, head, want, &got);
    if (st != AT_OK)
        return st;
    if (got < 4 || head[0] || head[1])
        return at_fail(AT_EFORMAT, "%s: not an IDX file: it does not begin with two zero bytes", path);
    if (head[2] != UNSIGNED_BYTES)
        return at_fail(AT_EFORMAT, "%s: IDX numbers of type 0x%02X; want unsigned bytes (0x08)", path,
                       head[2]);
    if (head[3] != rank)
        return at_fail(AT_EFORMAT, "%s: IDX of %u dimensions; %s have %zu", path, head[3],
                       kind == AT_IDX_IMAGES ? "pictures" : "labels", rank);
    if (got < want)
        return at_fail(AT_EFORMAT, "%s: the file ends within its head", path);
    for (size_t i = 0; i < rank; i++)
        size[i] = (size_t)head[4 + 4 * i] << 24 | (size_t)head[5 + 4 * i] << 16 |
                  (size_t)head[6 + 4 * i] << 8 | head[7 + 4 * i];
    if (!size[1] || !size[2])
        return at_fail(AT_EFORMAT, "%s: pictures of %zu x %zu have no pixels", path, size[2], size[1]);
    *idx = (at_idx){.count = size[0], .height = size[1], .width = size[2]};
    return AT_OK;
}

/* What the head claims, if a file of this size can hold it. */
static at_status claimed(gzFile file, const char *path, size_t max_bytes, const at_idx *idx, size_t *bytes)
{
    struct stat info;
    size_t most = max_bytes ? max_bytes : AT_IDX_MAX_BYTES;
    if (!at_mul_ok(idx->count, idx->height, bytes) || !at_mul_ok(*bytes, idx->width, bytes) || *bytes > most)
        return at_fail(AT_EFORMAT, "%s: claims %zu x %zu x %zu bytes; at most %zu are read here", path,
                       idx->count, idx->height, idx->width, most);
    if (stat(path, &info) != 0)
        return at_fail(AT_EIO, "%s: cannot look at: %s", path, strerror(errno));
    if (S_ISREG(info.st_mode)) {
        size_t size = (size_t)info.st_size, room;
        if (!at_mul_ok(size, gzdirect(file) ? 1 : MOST_EXPANSION, &room))
            room = SIZE_MAX;
        if (*bytes > room)
            return at_fail(AT_EFORMAT, "%s: claims %zu x %zu x %zu bytes, but is a file of %zu", path,
                           idx->count, idx->height, idx->width, size);
    }
    return AT_OK;
}

static at_status read_body(gzFile file, const char *path, size_t bytes, at_idx *idx)
{
    size_t have = 0, capacity = 0, got;
    uint8_t beyond;
    while (have < bytes || !capacity) {
        size_t next = capacity ? 2 * capacity : FIRST_PART;
        next = next < bytes ? next : bytes;
        uint8_t *grown = at_realloc_array(idx->bytes, next ? next : 1, 1);
        if (!grown)
            return AT_ENOMEM;
        idx->bytes = grown;
        capacity = next ? next : 1;
        at_status st = read_part(file, path, grown + have, next - have, &got);
        if (st != AT_OK)
            return st;
        have += got;
        if (have < next)
            return at_fail(AT_EFORMAT, "%s: claims %zu x %zu x %zu bytes, but ends after %zu", path,
                           idx->count, idx->height, idx->width, have);
    }
    at_status st = read_part(file, path, &beyond, 1, &got);
    if (st == AT_OK && got)
        st = at_fail(AT_EFORMAT, "%s: goes on behind its %zu x %zu x %zu bytes", path, idx->count,
                     idx->height, idx->width);
    return st;
}

at_status at_idx_read(const char *path, at_idx_kind kind, size_t max_bytes, at_idx *idx)
{
    size_t bytes = 0;
    *idx = (at_idx){0};
    errno = 0;
    gzFile file = gzopen(path, "rb");
    if (!file)
        return at_fail(errno ? AT_EIO : AT_ENOMEM, "%s: cannot open: %s", path,
                       errno ? strerror(errno) : "no memory");
    at_status st = read_head(file, path, kind, idx);
    if (st == AT_OK)
        st = claimed(file, path, max_bytes, idx, &bytes);
    if (st == AT_OK)
        st = read_body(file, path, bytes, idx);
    gzclose(file);
    if (st != AT_OK)
        at_idx_free(idx);
    return st;
}

void at_idx_free(at_idx *idx)
{
    at_free(idx->bytes);
    *idx = (at_idx){0};
}
