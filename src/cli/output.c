#include "cli/output.h"
#include <stdio.h>
#include "base/file.h"
#include "base/memory.h"

at_status at_cli_print(const at_buf *out)
{
    at_status st = at_buf_status(out);
    if (st != AT_OK)
        return st;
    if (fwrite(out->data ? out->data : "", 1, out->length, stdout) != out->length || fflush(stdout) != 0)
        return at_fail(AT_EIO, "standard output: cannot write; is the disk full or the pipe closed?");
    return AT_OK;
}

void at_cli_put_json(at_buf *out, json_t *value, size_t flags)
{
    char *text = value ? json_dumps(value, flags) : NULL;
    if (text)
        at_buf_printf(out, "%s\n", text);
    else
        out->failed = true;
    at_free(text); /* jansson allocates through our hooks */
    json_decref(value);
}

at_status at_cli_print_json(json_t *value, size_t flags)
{
    at_buf out = {0};
    at_cli_put_json(&out, value, flags);
    at_status st = at_cli_print(&out);
    at_buf_free(&out);
    return st;
}

at_status at_cli_save(at_status drawn, at_buf *out, const char *path)
{
    at_status st = drawn == AT_OK ? at_buf_status(out) : drawn;
    if (st == AT_OK)
        st = at_file_write(path, out->data, out->length);
    at_buf_free(out);
    return st;
}
