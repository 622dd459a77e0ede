#include "cli/prompt.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef AT_HAVE_LIBEDIT
#include <editline/readline.h>
#endif

static at_status read_plainly(at_cli_prompt *p, const char **line)
{
    errno = 0;
    ssize_t length = getline(&p->buffer, &p->size, stdin);
    if (length < 0 && ferror(stdin))
        return at_fail(AT_EIO, "standard input: %s", strerror(errno));
    if (length < 0)
        return AT_OK;
    while (length > 0 && strchr("\r\n", p->buffer[length - 1]))
        p->buffer[--length] = '\0';
    *line = p->buffer;
    return AT_OK;
}

at_status at_cli_prompt_line(at_cli_prompt *p, const char *sign, const char **line)
{
    *line = NULL;
    bool terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
#ifdef AT_HAVE_LIBEDIT
    if (terminal && isatty(STDOUT_FILENO)) {
        free(p->buffer);
        p->buffer = readline(sign);
        if (p->buffer && *p->buffer)
            add_history(p->buffer);
        *line = p->buffer;
        return AT_OK;
    }
#endif
    if (terminal)
        fputs(sign, stderr);
    return read_plainly(p, line);
}

void at_cli_prompt_close(at_cli_prompt *p)
{
    free(p->buffer);
    *p = (at_cli_prompt){0};
}
