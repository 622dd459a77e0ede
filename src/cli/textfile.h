/* cli/textfile.h - a file of lines held whole: what eval compares line by line.
 *
 * Role    Collects what text/corpus.h streams: plain or gzip, "-" for standard input.
 * Owns    Copies of the lines, until at_textfile_free. Zero-initialise.
 * Errors  AT_EIO naming the file; AT_EFORMAT with file and line.
 *
 *     at_textfile ref = {0};
 *     at_status st = at_textfile_read(&ref, "ref.txt");
 *     … ref.lines[0 … ref.count-1] …
 *     at_textfile_free(&ref);
 */
#ifndef AT_CLI_TEXTFILE_H
#define AT_CLI_TEXTFILE_H
#include "base/status.h"

typedef struct at_textfile {
    char **lines;
    size_t count, capacity;
} at_textfile;

/* Bytes that are no UTF-8 are let through: a model may emit half a character, and metrics know what to do
 * with it. */
at_status at_textfile_read(at_textfile *file, const char *path);
/* Two files of equal length, or one TSV (target_path NULL); strict UTF-8. */
at_status at_textfile_read_pairs(at_textfile *source, at_textfile *target, const char *source_path,
                                 const char *target_path);
at_status at_textfile_add(at_textfile *file, const char *text, size_t length);
void at_textfile_free(at_textfile *file);
#endif
