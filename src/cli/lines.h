/* cli/lines.h - lines from words, files or standard input, for the commands that take any of them.
 *
 * Role    Hands out some lines at a time, so that a pipe is answered as it flows.
 * Owns    The lines of the last call, until the next or at_cli_lines_close.
 * Errors  AT_EFORMAT with file and line for bad UTF-8, AT_EIO.
 *
 *     at_cli_lines in;
 *     at_cli_lines_open(&in, words, count);     // count 0: standard input
 *     while ((st = at_cli_lines_next(&in, 256)) == AT_OK && in.count > 0)
 *         … in.list[0 … in.count-1] …
 *     at_cli_lines_close(&in);
 */
#ifndef AT_CLI_LINES_H
#define AT_CLI_LINES_H
#include "base/status.h"

typedef struct at_cli_lines {
    char **list;
    size_t count, capacity;
    char **words; /* what is still to come when lines are words */
    int word_count;
    bool from_words;
    size_t number; /* lines read so far */
    char *buffer;  /* getline's */
    size_t buffer_size;
} at_cli_lines;

void at_cli_lines_open(at_cli_lines *lines, char **words, int count);
/* At most `most` lines; fewer when no more are waiting in a pipe. Line ends (LF, CRLF) are taken away. */
at_status at_cli_lines_next(at_cli_lines *lines, size_t most);
void at_cli_lines_close(at_cli_lines *lines);
#endif
