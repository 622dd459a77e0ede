#include "cli/lines.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/memory.h"
#include "text/utf8.h"

void at_cli_lines_open(at_cli_lines *lines, char **words, int count)
{
    *lines = (at_cli_lines){.words = words, .word_count = count, .from_words = count > 0};
}

static void drop(at_cli_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        at_free(lines->list[i]);
    lines->count = 0;
}

void at_cli_lines_close(at_cli_lines *lines)
{
    drop(lines);
    at_free(lines->list);
    free(lines->buffer); /* getline's: the C library's own */
    *lines = (at_cli_lines){0};
}

static at_status keep(at_cli_lines *lines, const char *text, size_t length)
{
    lines->number++;
    size_t valid = at_utf8_valid(text, length);
    const char *name = lines->from_words ? "argument" : "standard input";
    if (valid < length)
        return at_fail(AT_EFORMAT,
                       "%s:%zu: invalid UTF-8 at byte %zu; convert the text first, as with iconv -t UTF-8",
                       name, lines->number, valid + 1);
    if (memchr(text, '\0', length))
        return at_fail(AT_EFORMAT, "%s:%zu: a NUL byte; is this a text?", name, lines->number);
    at_status st = at_grow(&lines->list, &lines->capacity, lines->count + 1, sizeof *lines->list);
    if (st != AT_OK)
        return st;
    lines->list[lines->count] = at_strndup(text, length);
    if (!lines->list[lines->count])
        return AT_ENOMEM;
    lines->count++;
    return AT_OK;
}

/* Whether more can be read without waiting; what stdio has buffered is not seen, which only makes batches
 * smaller. */
static bool more_waiting(void)
{
    struct pollfd in = {.fd = fileno(stdin), .events = POLLIN};
    return poll(&in, 1, 0) > 0;
}

at_status at_cli_lines_next(at_cli_lines *lines, size_t most)
{
    drop(lines);
    at_status st = AT_OK;
    while (st == AT_OK && lines->count < most) {
        if (lines->from_words) {
            if (lines->word_count == 0)
                break;
            st = keep(lines, *lines->words, strlen(*lines->words));
            lines->words++;
            lines->word_count--;
            continue;
        }
        if (lines->count > 0 && !more_waiting())
            break;
        errno = 0;
        ssize_t n = getline(&lines->buffer, &lines->buffer_size, stdin);
        if (n < 0) {
            if (ferror(stdin))
                st = at_fail(AT_EIO, "standard input: %s", strerror(errno));
            break;
        }
        while (n > 0 && (lines->buffer[n - 1] == '\n' || lines->buffer[n - 1] == '\r'))
            n--;
        st = keep(lines, lines->buffer, (size_t)n);
    }
    return st;
}
