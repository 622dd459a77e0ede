/* text/corpus.h - lines of text files, and pairs of lines.
 *
 * Role    Streams plain or gzip files a line at a time: line ends LF or CRLF cut off, a byte
 *         order mark at the beginning too; strict UTF-8, or an error that says where.
 * Owns    A reader its file and one line (two for pairs): valid until the next call.
 * Errors  AT_EIO; AT_EFORMAT: "FILE:LINE: …" for bad UTF-8, a TSV line without a tab, files of
 *         unequal length (with both counts). One reader, one thread.
 *
 *     at_lines *lines;
 *     at_text line;
 *     at_status st = at_lines_open(path, &lines);
 *     while (st == AT_OK && (st = at_lines_next(lines, &line)) == AT_OK && line.data)
 *         use(line.data, line.length);
 *     at_lines_close(lines);
 */
#ifndef AT_TEXT_CORPUS_H
#define AT_TEXT_CORPUS_H
#include "base/status.h"

enum { AT_MAX_LINE = 1 << 24 }; /* bytes */

typedef struct at_text {
    const char *data; /* NUL-terminated, but may hold NULs too; NULL: the file has ended */
    size_t length;
} at_text;

typedef struct at_lines at_lines;

at_status at_lines_open(const char *path, at_lines **lines); /* "-" is stdin */
/* Takes any bytes from now on; without it bad UTF-8 is an error. */
void at_lines_any_bytes(at_lines *lines);
at_status at_lines_next(at_lines *lines, at_text *line);
size_t at_lines_number(const at_lines *lines); /* of the line last read, from 1 */
void at_lines_close(at_lines *lines);

typedef struct at_pairs at_pairs;

/* target_path NULL: source_path is a TSV, source and target its first two columns. */
at_status at_pairs_open(const char *source_path, const char *target_path, at_pairs **pairs);
at_status at_pairs_next(at_pairs *pairs, at_text *source, at_text *target);
size_t at_pairs_number(const at_pairs *pairs);
/* Pairs so far with nothing but white space on a side; they are handed out like others. */
size_t at_pairs_empty(const at_pairs *pairs);
size_t at_pairs_first_empty(const at_pairs *pairs); /* its line, 0: none */
void at_pairs_close(at_pairs *pairs);
#endif
