#include "data/texts.h"
#include <string.h>
#include "base/memory.h"
#include "text/corpus.h"
#include "text/utf8.h"

enum { CHUNK = 1 << 16 }; /* bytes that a chunk has before its end is looked for */

typedef struct reading {
    const at_texts_spec *spec;
    at_texts_visit *visit;
    void *context;
    uint64_t first, last; /* characters wanted: [first, last) */
    uint64_t place;       /* of the line at hand */
    at_buf chunk;
    bool wanted; /* the document at hand */
} reading;

static uint64_t count_characters(at_text line)
{
    uint64_t count = 0;
    for (size_t i = 0; i < line.length; i++)
        count += ((unsigned char)line.data[i] & 0xC0) != 0x80;
    return count;
}

/* Bytes of the first `count` characters. */
static size_t bytes_of(at_text line, uint64_t count)
{
    size_t i = 0;
    while (i < line.length && count > 0) {
        i++;
        while (i < line.length && ((unsigned char)line.data[i] & 0xC0) == 0x80)
            i++;
        count--;
    }
    return i;
}

static bool space_at(const char *text, size_t length)
{
    uint32_t c = 0;
    return at_utf8_decode(text, length, &c) == 0 || at_utf8_is_space(c);
}

static at_status flush(reading *r, bool end)
{
    at_status st = at_buf_status(&r->chunk);
    if (st == AT_OK && (end || r->chunk.length))
        st = r->visit(r->context, r->chunk.data ? r->chunk.data : "", r->chunk.length, end);
    at_buf_clear(&r->chunk);
    return st;
}

/* Words never cross "x\ny" with neither x nor y white space, whatever the tokenizer's pattern looks ahead. */
static bool ends_between_words(const at_buf *chunk, at_text next)
{
    size_t n = chunk->length;
    if (n < CHUNK || chunk->data[n - 1] != '\n' || !next.length || space_at(next.data, next.length))
        return false;
    size_t i = n - 1;
    while (i > 0 && ((unsigned char)chunk->data[--i] & 0xC0) == 0x80)
        continue;
    return !space_at(chunk->data + i, n - 1 - i);
}

/* One line of a file that is one document: the part of it that is wanted. */
static at_status add_to_file(reading *r, at_text line, uint64_t count)
{
    uint64_t begin = r->place, end = r->place + count; /* the line end is at `end` */
    at_status st = AT_OK;
    if (end < r->first || begin >= r->last)
        return AT_OK;
    if (ends_between_words(&r->chunk, line))
        st = flush(r, false);
    size_t from = begin < r->first ? bytes_of(line, r->first - begin) : 0;
    size_t to = end > r->last ? bytes_of(line, r->last - begin) : line.length;
    at_buf_bytes(&r->chunk, line.data + from, to - from);
    if (end < r->last)
        at_buf_char(&r->chunk, '\n');
    return st;
}

static bool is_blank(at_text line)
{
    for (size_t i = 0; i < line.length; i++) {
        if (!strchr(" \t", line.data[i]))
            return false;
    }
    return true;
}

static at_status end_document(reading *r)
{
    if (r->wanted && r->chunk.length)
        return flush(r, true);
    at_buf_clear(&r->chunk);
    return AT_OK;
}

/* One line where lines or paragraphs are documents. */
static at_status add_to_document(reading *r, at_text line)
{
    if (is_blank(line))
        return end_document(r);
    if (!r->chunk.length)
        r->wanted = r->place >= r->first && r->place < r->last;
    else
        at_buf_char(&r->chunk, '\n');
    at_buf_bytes(&r->chunk, line.data, line.length);
    return r->spec->document == AT_DOCUMENT_LINE ? end_document(r) : AT_OK;
}

static at_status read_file(reading *r, const char *path)
{
    at_lines *lines;
    at_text line;
    bool whole = r->spec->document == AT_DOCUMENT_FILE;
    uint64_t before = r->place;
    at_status st = at_lines_open(path, &lines);
    if (st != AT_OK)
        return st;
    while ((st = at_lines_next(lines, &line)) == AT_OK && line.data) {
        uint64_t count = count_characters(line);
        if (r->visit)
            st = whole ? add_to_file(r, line, count) : add_to_document(r, line);
        r->place += count + 1;
        if (st != AT_OK)
            break;
    }
    at_lines_close(lines);
    if (st != AT_OK || !r->visit)
        return st;
    if (!whole)
        return end_document(r);
    bool here = before < r->last && r->place > r->first;
    return here ? flush(r, r->place <= r->last) : AT_OK;
}

static at_status read_all(reading *r)
{
    at_status st = AT_OK;
    r->place = 0;
    for (const char *p = r->spec->split; st == AT_OK && p && *p;) {
        size_t length = strcspn(p, ",");
        char *name = at_strndup(p, length), *path = NULL;
        st = name ? at_data_file(r->spec->folder, name, "txt", &path) : AT_ENOMEM;
        if (st == AT_OK && !path)
            st = at_fail(AT_EIO,
                         "%s: neither %s.txt nor %s.txt.gz is there; name the text in the recipe's "
                         "section data",
                         r->spec->folder, name, name);
        if (st == AT_OK)
            st = read_file(r, path);
        at_free(path);
        at_free(name);
        p += length + (p[length] == ',');
    }
    return st;
}

at_status at_texts_each(const at_texts_spec *spec, at_texts_visit *visit, void *context)
{
    reading r = {.spec = spec, .context = context, .last = UINT64_MAX};
    at_status st = AT_OK;
    if (spec->from > 0 || spec->to < 1) { /* where the parts lie is known when all has been read once */
        st = read_all(&r);
        double all = (double)r.place;
        r.first = (uint64_t)(all * spec->from);
        r.last = spec->to < 1 ? (uint64_t)(all * spec->to) : UINT64_MAX;
    }
    r.visit = visit;
    if (st == AT_OK)
        st = read_all(&r);
    at_buf_free(&r.chunk);
    return st;
}
