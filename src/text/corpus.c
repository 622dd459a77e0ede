#include "text/corpus.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include "base/buf.h"
#include "base/memory.h"
#include "text/utf8.h"

enum { CHUNK = 1 << 16 };

struct at_lines {
    gzFile file;
    char *path;
    at_buf line;
    size_t number;
    unsigned have, used; /* of chunk */
    bool any_bytes, ended;
    char chunk[CHUNK];
};

struct at_pairs {
    at_lines *source, *target; /* target NULL: TSV */
    size_t number, empty, first_empty;
};

static gzFile open_file(const char *path)
{
    if (strcmp(path, "-") != 0)
        return gzopen(path, "rb");
    int descriptor = dup(STDIN_FILENO);
    gzFile file = descriptor < 0 ? NULL : gzdopen(descriptor, "rb");
    if (!file && descriptor >= 0)
        close(descriptor);
    return file;
}

at_status at_lines_open(const char *path, at_lines **result)
{
    *result = NULL;
    at_lines *lines = at_alloc_zero(1, sizeof *lines);
    if (!lines)
        return AT_ENOMEM;
    lines->path = at_strdup(path);
    at_status st = lines->path ? AT_OK : AT_ENOMEM;
    if (st == AT_OK) {
        errno = 0;
        lines->file = open_file(path);
        if (!lines->file)
            st = errno ? at_fail(AT_EIO, "%s: %s", path, strerror(errno))
                       : at_fail(AT_ENOMEM, "%s: out of memory while opening", path);
    }
    if (st != AT_OK) {
        at_lines_close(lines);
        return st;
    }
    *result = lines;
    return AT_OK;
}

void at_lines_any_bytes(at_lines *lines)
{
    lines->any_bytes = true;
}

static at_status fill(at_lines *lines)
{
    errno = 0;
    int got = gzread(lines->file, lines->chunk, CHUNK);
    int code = Z_OK;
    const char *reason = gzerror(lines->file, &code);
    /* A gzip file that breaks off gives its last bytes first and Z_BUF_ERROR with them. */
    if (got < 0 || (code != Z_OK && code != Z_STREAM_END))
        return at_fail(AT_EIO, "%s:%zu: %s", lines->path, lines->number + 1,
                       code == Z_ERRNO       ? strerror(errno ? errno : EIO)
                       : code == Z_BUF_ERROR ? "the gzip data break off; the file is cut short"
                                             : reason);
    lines->have = (unsigned)got;
    lines->used = 0;
    lines->ended = got == 0;
    return AT_OK;
}

static at_status check_line(at_lines *lines)
{
    at_buf *line = &lines->line;
    if (line->length > 0 && line->data[line->length - 1] == '\r')
        line->data[--line->length] = '\0';
    if (lines->number == 1 && line->length >= 3 && memcmp(line->data, "\xEF\xBB\xBF", 3) == 0) {
        line->length -= 3;
        memmove(line->data, line->data + 3, line->length + 1);
    }
    size_t valid = lines->any_bytes ? line->length : at_utf8_valid(line->data, line->length);
    if (valid < line->length)
        return at_fail(AT_EFORMAT,
                       "%s:%zu: invalid UTF-8 at byte %zu (0x%02X); convert the file with "
                       "iconv -f ENCODING -t UTF-8",
                       lines->path, lines->number, valid + 1, (unsigned)(unsigned char)line->data[valid]);
    return AT_OK;
}

at_status at_lines_next(at_lines *lines, at_text *text)
{
    *text = (at_text){0};
    at_buf_clear(&lines->line);
    bool any = false, whole = false;
    while (!whole && !lines->ended) {
        if (lines->used == lines->have) {
            at_status st = fill(lines);
            if (st != AT_OK)
                return st;
            continue;
        }
        const char *begin = lines->chunk + lines->used;
        size_t left = lines->have - lines->used;
        const char *end = memchr(begin, '\n', left);
        size_t length = end ? (size_t)(end - begin) : left;
        any = true;
        whole = end != NULL;
        at_buf_bytes(&lines->line, begin, length);
        lines->used += (unsigned)(length + whole);
        if (lines->line.length > AT_MAX_LINE)
            return at_fail(AT_EFORMAT, "%s:%zu: a line of more than %d bytes; is it a text file?",
                           lines->path, lines->number + 1, AT_MAX_LINE);
    }
    if (!any)
        return AT_OK;
    lines->number++;
    at_buf_text(&lines->line, ""); /* a line of no bytes has memory, too */
    at_status st = at_buf_status(&lines->line);
    if (st == AT_OK)
        st = check_line(lines);
    if (st == AT_OK)
        *text = (at_text){lines->line.data, lines->line.length};
    return st;
}

size_t at_lines_number(const at_lines *lines)
{
    return lines->number;
}

void at_lines_close(at_lines *lines)
{
    if (!lines)
        return;
    if (lines->file)
        gzclose_r(lines->file);
    at_buf_free(&lines->line);
    at_free(lines->path);
    at_free(lines);
}

at_status at_pairs_open(const char *source_path, const char *target_path, at_pairs **result)
{
    *result = NULL;
    at_pairs *pairs = at_alloc_zero(1, sizeof *pairs);
    if (!pairs)
        return AT_ENOMEM;
    at_status st = at_lines_open(source_path, &pairs->source);
    if (st == AT_OK && target_path)
        st = at_lines_open(target_path, &pairs->target);
    if (st != AT_OK) {
        at_pairs_close(pairs);
        return st;
    }
    *result = pairs;
    return AT_OK;
}

static bool is_blank(at_text text)
{
    for (size_t i = 0, step; i < text.length; i += step) {
        uint32_t c = 0;
        step = at_utf8_decode(text.data + i, text.length - i, &c);
        if (step == 0 || !at_utf8_is_space(c))
            return false;
    }
    return true;
}

static at_status split_columns(at_pairs *pairs, at_text *source, at_text *target)
{
    char *tab = memchr(source->data, '\t', source->length);
    if (!tab)
        return at_fail(AT_EFORMAT, "%s:%zu: want source and target with a tab between them, found no tab",
                       pairs->source->path, pairs->source->number);
    char *end = pairs->source->line.data + source->length;
    char *next = memchr(tab + 1, '\t', (size_t)(end - tab - 1));
    *target = (at_text){tab + 1, (size_t)((next ? next : end) - tab - 1)};
    source->length = (size_t)(tab - source->data);
    *tab = '\0';
    if (next)
        *next = '\0';
    return AT_OK;
}

/* One file has ended: reads the other to its end to be able to say how long it is. */
static at_status unequal(at_pairs *pairs, at_lines *longer)
{
    at_text line;
    at_status st;
    do {
        st = at_lines_next(longer, &line);
    } while (st == AT_OK && line.data);
    if (st != AT_OK)
        return st;
    return at_fail(AT_EFORMAT,
                   "%s has %zu lines, %s has %zu; line n of one must be the translation of line n of "
                   "the other",
                   pairs->source->path, pairs->source->number, pairs->target->path, pairs->target->number);
}

at_status at_pairs_next(at_pairs *pairs, at_text *source, at_text *target)
{
    *target = (at_text){0};
    at_status st = at_lines_next(pairs->source, source);
    if (st == AT_OK && pairs->target)
        st = at_lines_next(pairs->target, target);
    else if (st == AT_OK && source->data)
        st = split_columns(pairs, source, target);
    if (st == AT_OK && pairs->target && !source->data != !target->data)
        st = unequal(pairs, source->data ? pairs->source : pairs->target);
    if (st != AT_OK || !source->data) {
        *source = *target = (at_text){0};
        return st;
    }
    pairs->number++;
    if (is_blank(*source) || is_blank(*target)) {
        pairs->empty++;
        pairs->first_empty = pairs->first_empty ? pairs->first_empty : pairs->number;
    }
    return AT_OK;
}

size_t at_pairs_number(const at_pairs *pairs)
{
    return pairs->number;
}

size_t at_pairs_empty(const at_pairs *pairs)
{
    return pairs->empty;
}

size_t at_pairs_first_empty(const at_pairs *pairs)
{
    return pairs->first_empty;
}

void at_pairs_close(at_pairs *pairs)
{
    if (!pairs)
        return;
    at_lines_close(pairs->source);
    at_lines_close(pairs->target);
    at_free(pairs);
}
